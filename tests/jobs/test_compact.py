"""The job as command and DAG call it."""

import io

import polars as pl
import pytest

from presagio.ingest.filing import Intake
from presagio.jobs.compact import plan
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from presagio.orchestration import tasks
from presagio.settings import Settings, load_settings
from tests.filing import file_body

pytestmark = pytest.mark.integration


def test_small_files_are_planned_put_together_and_removed(
    plant: Settings, plant_intake: Intake, spec: MachineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("AFTER_H", "KEEP_ORIGINALS_H"):
        monkeypatch.setenv(f"PRESAGIO_COMPACT_{variable}", "0")
    monkeypatch.setenv("PRESAGIO_COMPACT_MIN_FILES", "2")
    bodies = [rows.write_csv().encode() for rows in simulate(spec, 40, seed=1)]
    for number, body in enumerate([*bodies, *(body + b"\n" for body in bodies)]):
        file_body(plant_intake, f"{number}.csv", body)
    answer = io.BytesIO()
    pl.DataFrame({"request_id": [1]}).write_parquet(answer)
    for name in "ab":
        key = f"predictions/date=2026-01-01/{name}.parquet"
        plant_intake.store.write(plant.data_bucket, key, answer.getvalue())
    planned = plan(load_settings(), plant_intake)
    assert planned["curated"] == {"files": 2, "rows": 80, "compactions": 1}
    assert planned["answers"] == {"files": 2, "days": 1}
    done = tasks.compact()
    assert done["curated"] == {"files": 2, "rows": 80, "objects": 1, "skipped": 0}
    assert (done["removed"], done["answers"]["files"]) == (2, 2)
    assert plan(load_settings(), plant_intake)["curated"]["files"] == 0
