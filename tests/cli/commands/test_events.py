"""The command on events: send a log, file it, list what is known."""

import json
from pathlib import Path

import pytest

from presagio.settings import Settings
from tests.commands import run_command
from tests.motors import MOTORS

_LOG = (
    "motor,taken_at,kind,mode\nM1,2026-01-31 08:30,failure,bearing\nM2,2026-02-01,repair,\n"
    "M1,2026-03-01,error,E5\n"
)


@pytest.mark.integration
def test_a_log_is_sent_filed_and_listed(
    plant: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRESAGIO_MACHINE_SPEC", str(MOTORS))
    log = tmp_path / "july.csv"
    log.write_text(_LOG, encoding="utf-8")
    assert "No event is known yet" in run_command("events").stderr
    sent = json.loads(run_command("events", log, "--json").stdout)
    assert sent["key"] == f"{plant.prefixes.incoming}events/july.csv"
    assert run_command("ingest", "sweep").returncode == 0
    listed = [json.loads(line) for line in run_command("events", "--json").stdout.splitlines()]
    assert [(e["unit"], e["kind"], e["mode"]) for e in listed] == [
        ("M1", "failure", "bearing"), ("M2", "repair", None), ("M1", "error", "E5"),
    ]  # fmt: skip
    shown = run_command("events", "--unit", "M2")
    assert "repair" in shown.stdout
    assert "bearing" not in shown.stdout


def test_a_machine_without_units_has_no_events(tmp_path: Path) -> None:
    refused = run_command("events", "--home", tmp_path)
    assert refused.returncode == 1
    assert "has no [unit] and [time]" in refused.stderr
