"""The job as command and DAG call it."""

import io
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from presagio.ingest.filing import Intake, file_object
from presagio.jobs.compact import compact, plan
from presagio.jobs.feedback import alarm_metrics, send_feedback
from presagio.jobs.monitor import watch_drift
from presagio.jobs.new_rows import count_new_rows
from presagio.lifecycle.promotion import open_promoter
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from presagio.orchestration import tasks
from presagio.registry.writer import open_registry
from presagio.settings import Settings, load_settings
from presagio.training.train import TrainedModel
from tests.champions import register_champion
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


def test_drift_feedback_and_new_rows_are_the_same_of_what_was_put_together(
    plant: Settings, plant_intake: Intake, spec: MachineSpec, trained: TrainedModel,
    tmp_path: Path,
) -> None:  # fmt: skip
    registry, promoter = open_registry(plant), open_promoter(plant, spec)
    register_champion(trained, registry, tmp_path)
    rows = pl.concat(simulate(spec, 400, seed=3))
    rows = rows.with_columns(product_id=pl.format("P{}", pl.int_range(pl.len())))
    settings = plant.model_copy(
        update={
            "drift_min_rows": 100, "compact_after_h": 0,
            "compact_min_files": 2, "compact_keep_originals_h": 0,
        }
    )  # fmt: skip
    said = rows.with_columns(said_alarm=pl.col("hdf"), said_version=pl.lit("3"))
    for number, part in enumerate(rows.iter_slices(100)):
        lot = file_body(plant_intake, f"{number}.csv", part.write_csv().encode())
        outcomes = tmp_path / f"{number}.csv"
        said[number * 10 : (number + 1) * 10].write_csv(outcomes)
        sent = send_feedback(plant_intake, registry, plant, outcomes)
        file_object(plant_intake, sent.uploaded.key)

    def look() -> dict[str, Any]:
        new = count_new_rows(
            plant_intake, promoter.promotions, model_name=plant.model_name, wanted=300
        )
        report = watch_drift(settings, plant_intake, registry).report
        return {"drift": report, "alarms": alarm_metrics(plant_intake), "new": new}

    before = look()
    assert before["drift"].window_rows == 300
    assert before["new"]["new_rows"] == 440
    assert [one.outcomes for one in before["alarms"]] == [40]
    done = compact(settings, plant_intake)
    assert (done["curated"]["files"], done["removed"]) == (8, 8)
    assert look() == before
    outcomes = tmp_path / "of a lot.csv"
    rows[-100:].select("product_id", "machine_failure").write_csv(outcomes)
    assert send_feedback(plant_intake, registry, plant, outcomes, receipt=lot.id).outcomes == 100
    promoter.promotions.close()
