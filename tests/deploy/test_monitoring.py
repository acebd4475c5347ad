"""Dashboards and alert rules name figures that there are, and each alert is explained."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from presagio.lifecycle import exporter
from presagio.serving import prometheus
from presagio.serving.champion import worker_metrics

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "deploy/monitoring"
BOARDS = sorted(MONITORING.glob("dashboards/*.json"))
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((MONITORING / "rules.yaml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
]


def _known() -> set[str]:
    """Every name of a figure that API or exporter write, as their sources spell them."""
    writers = (exporter, prometheus, worker_metrics)
    sources = [Path(module.__file__ or "").read_text("utf-8") for module in writers]
    names = {f"presagio_{name}" for name in re.findall(r'_gauge\(\s*"(\w+)"', sources[0])}
    names.update(*(re.findall(r'"(presagio_\w+)"', source) for source in sources))
    for group, figures in (
        ("drift", exporter.COLUMN_METRICS),
        ("feedback", exporter.ALARM_METRICS),
    ):
        names.update(f"presagio_{group}_{figure}" for figure in figures)
    return names


def _used(expression: str) -> set[str]:
    found = set(re.findall(r"\bpresagio_\w+", expression))
    return {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in found}


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_a_dashboard_shows_figures_that_there_are(path: Path) -> None:
    board = json.loads(path.read_text("utf-8"))
    assert board["uid"] == f"presagio-{path.stem}"
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    source = yaml.safe_load((MONITORING / "provisioning/datasources/prometheus.yaml").read_text())
    uid = source["datasources"][0]["uid"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["datasource"]["uid"] == uid
        assert panel["targets"]
        for target in panel["targets"]:
            assert _used(target["expr"]) <= _known(), target["expr"]
            assert "presagio_" in target["expr"] or "up{" in target["expr"]
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y)
                 for x in range(place["w"]) for y in range(place["h"])}  # fmt: skip
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_there_is_a_dashboard_for_each_part() -> None:
    assert {path.stem for path in BOARDS} == {"serving", "ingest", "model", "drift"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_figures_that_there_are_and_is_explained(rule: dict[str, Any]) -> None:
    assert _used(rule["expr"]) <= _known()
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert f"`{rule['alert']}`" in (ROOT / "docs/operations.md").read_text("utf-8")


def test_nothing_is_explained_that_does_not_exist() -> None:
    told = set(
        re.findall(r"`(Presagio[A-Z]\w+)`", (ROOT / "docs/operations.md").read_text("utf-8"))
    )
    assert told == {rule["alert"] for rule in RULES}


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
@pytest.mark.parametrize("command", ["check rules rules.yaml", "test rules rules_test.yaml"])
def test_prometheus_takes_the_rules_and_they_fire_when_they_should(command: str) -> None:
    done = subprocess.run(
        ["promtool", *command.split()], check=False, capture_output=True, text=True, cwd=MONITORING
    )
    assert done.returncode == 0, done.stdout + done.stderr
