"""Which rows count for a training, and what keeps it from starting."""

from collections.abc import Iterator
from functools import partial

import polars as pl
import pytest

from presagio.errors import DataError
from presagio.ingest.filing import Intake, file_object
from presagio.ingest.opening import open_intake
from presagio.jobs.new_rows import count_new_rows
from presagio.jobs.train import retrain
from presagio.lifecycle.promotion import open_promoter
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from presagio.settings import Settings
from presagio.storage.receipt import Receipt

pytestmark = pytest.mark.integration


@pytest.fixture
def intake(plant: Settings) -> Iterator[Intake]:
    intake = open_intake(plant)
    yield intake
    intake.ledger.close()


def _file(intake: Intake, name: str, frame: pl.DataFrame) -> Receipt:
    intake.store.write(intake.prefixes.bucket, f"incoming/{name}", frame.write_csv().encode())
    receipt = file_object(intake, f"incoming/{name}")
    assert receipt is not None
    return receipt


def test_only_labelled_rows_that_nothing_has_learned_from_count(
    plant: Settings, intake: Intake, spec: MachineSpec
) -> None:
    promotions = open_promoter(plant, spec).promotions
    count = partial(count_new_rows, intake, promotions, model_name=plant.model_name)
    assert count(wanted=1000) == {"new_rows": 0, "wanted": 1000, "after": 0}
    rows = pl.concat(simulate(spec, 1500, seed=2))
    _file(intake, "unlabelled.csv", rows.select(spec.input_names))
    # All rows are fewer than wanted: nothing was read to tell which of them are labelled.
    assert count(wanted=2000)["new_rows"] == 1500
    assert count(wanted=1000)["new_rows"] == 0
    _file(intake, "labelled.csv", rows)
    assert count(wanted=1000)["new_rows"] == 1500
    promotions.close()


def test_a_quarantine_alarm_blocks_training(
    plant: Settings, intake: Intake, spec: MachineSpec
) -> None:
    broken = pl.concat(simulate(spec, 300)).with_columns(torque_nm=pl.lit("?"))
    receipt = _file(intake, "broken.csv", broken)
    assert receipt.outcome.verdict == "quarantined"
    promoter = open_promoter(plant, spec)
    for step in (
        lambda: count_new_rows(intake, promoter.promotions, model_name=plant.model_name, wanted=1),
        lambda: retrain(plant, intake, promoter, run_id="r1"),
    ):
        with pytest.raises(DataError, match=rf"receipt {receipt.id} .*ingest release"):
            step()
    promoter.promotions.close()
