"""The command on readings: what is known of a unit, as a table and as a request."""

import json
from pathlib import Path

import polars as pl
import pytest

from presagio.serving.routes.requests import request_model
from tests.commands import run_command
from tests.engines import ENGINES, engine_rows, engines


@pytest.mark.integration
@pytest.mark.usefixtures("plant")
def test_the_newest_readings_of_a_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRESAGIO_MACHINE_SPEC", str(ENGINES))
    rows, file = engine_rows(2).filter(pl.col("cycle") <= 60), tmp_path / "engines.csv"
    rows.write_csv(file)
    assert run_command("ingest", file).returncode == 0
    assert run_command("ingest", "sweep").returncode == 0
    shown = run_command("readings", "2", "--last", "3")
    assert [line.split()[0] for line in shown.stdout.splitlines()[-3:]] == ["58.0", "59.0", "60.0"]
    # Without --last it is what a model takes: ten of the first, and the longest window.
    body = json.loads(run_command("readings", "2", "--json").stdout)
    asked = request_model(engines()).model_validate(body | {"request_id": 1})
    times = [reading.time for reading in asked.readings]  # type: ignore[attr-defined]
    assert times == [*range(1, 11), *range(31, 61)]
    for last in ((), ("--last", 5)):
        unknown = run_command("readings", "3", *last)
        assert (unknown.returncode, unknown.stdout) == (9, "")
        assert "no reading of unit 3 is known" in unknown.stderr
        assert ("since its last failure or repair" in unknown.stderr) == (not last)


def test_a_machine_without_units_has_none(tmp_path: Path) -> None:
    refused = run_command("readings", "1", "--home", tmp_path)
    assert refused.returncode == 1
    assert "has no [unit] and [time]" in refused.stderr
