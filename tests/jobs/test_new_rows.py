"""Which rows count for a training, and what keeps it from starting."""

from functools import partial

import polars as pl
import pytest

from presagio.errors import DataError
from presagio.ingest.filing import Intake
from presagio.jobs.new_rows import count_new_rows
from presagio.jobs.train import retrain
from presagio.lifecycle.promotion import open_promoter
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from presagio.settings import Settings
from tests.filing import file_body

pytestmark = pytest.mark.integration


def test_only_labelled_rows_that_nothing_has_learned_from_count(
    plant: Settings, plant_intake: Intake, spec: MachineSpec
) -> None:
    promotions = open_promoter(plant, spec).promotions
    count = partial(count_new_rows, plant_intake, promotions, model_name=plant.model_name)
    assert count(wanted=1000) == {"new_rows": 0, "wanted": 1000, "after": 0}
    rows = pl.concat(simulate(spec, 1500, seed=2))
    file_body(plant_intake, "unlabelled.csv", rows.select(spec.input_names).write_csv().encode())
    # All rows are fewer than wanted: nothing was read to tell which of them are labelled.
    assert count(wanted=2000)["new_rows"] == 1500
    assert count(wanted=1000)["new_rows"] == 0
    file_body(plant_intake, "labelled.csv", rows.write_csv().encode())
    assert count(wanted=1000)["new_rows"] == 1500
    promotions.close()


def test_a_quarantine_alarm_blocks_training(
    plant: Settings, plant_intake: Intake, spec: MachineSpec
) -> None:
    broken = pl.concat(simulate(spec, 300)).with_columns(torque_nm=pl.lit("?"))
    receipt = file_body(plant_intake, "broken.csv", broken.write_csv().encode())
    assert receipt.outcome.verdict == "quarantined"
    promoter = open_promoter(plant, spec)
    for step in (
        lambda: count_new_rows(
            plant_intake, promoter.promotions, model_name=plant.model_name, wanted=1
        ),
        lambda: retrain(plant, plant_intake, promoter, run_id="r1"),
    ):
        with pytest.raises(DataError, match=rf"receipt {receipt.id} .*ingest release"):
            step()
    promoter.promotions.close()
