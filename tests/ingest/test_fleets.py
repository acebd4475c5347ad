"""The intakes of several fleets in one bucket: each takes its own files, and sees its own only."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from presagio.fleet import load_fleets
from presagio.ingest.filing import Intake
from presagio.ingest.incoming import is_waiting, plan_batches
from presagio.ingest.opening import open_intake
from presagio.ingest.verify import verify
from presagio.jobs.file import sweep
from presagio.settings import Settings
from presagio.storage.fleets import add_fleet, remove_fleet
from presagio.storage.objects import open_store
from tests.conftest import RunningServices
from tests.pumps import PUMPS, pump_csv, pumps_called
from tests.readings import HEADER

pytestmark = pytest.mark.integration

_ROWS = b"\n".join([HEADER, b"L,300,310,1500,40,10", b"M,301,310,1500,41,11"])


@pytest.fixture
def settings(services: RunningServices) -> Settings:
    bucket = f"plant-{uuid4().hex[:8]}"
    open_store(services.settings).create_bucket(bucket)
    own = {"s3_bucket": bucket, "data_bucket": bucket, "fleets": (str(PUMPS),)}
    return services.settings.model_copy(update=own)


@pytest.fixture
def intakes(settings: Settings) -> Iterator[dict[str, Intake]]:
    fleets = load_fleets(settings)
    opened = {name: open_intake(fleet) for name, fleet in fleets.by_name.items()}
    yield opened
    for intake in opened.values():
        intake.ledger.close()


def _write(intake: Intake, key: str, body: bytes) -> None:
    intake.store.write(intake.prefixes.bucket, key, body)


def test_each_files_its_own_below_its_own_prefixes(intakes: dict[str, Intake]) -> None:
    default, pumps = intakes["ai4i2020"], intakes["pumps"]
    _write(default, "incoming/x.csv", _ROWS)
    _write(default, "incoming/line 3/x.csv", _ROWS + b"\nH,302,310,1500,42,12")
    _write(pumps, "incoming/pumps/x.csv", pump_csv(20))
    assert [batch.keys for batch in plan_batches(default)] == [
        ("incoming/line 3/x.csv", "incoming/x.csv")
    ]
    assert (sweep(pumps).files, sweep(default).files) == (1, 2)
    stored = {one.key for one in default.store.list(default.prefixes.bucket)}
    assert {"processed/x.csv", "processed/line 3/x.csv", "processed/pumps/x.csv"} <= stored
    assert sum(key.startswith("curated/pumps/day=") for key in stored) == 1
    assert sum(key.startswith("archive/pumps/") for key in stored) == 1
    for intake, rows, fleet in ((default, 5, ""), (pumps, 20, "pumps")):
        receipts = intake.ledger.receipts(bucket=intake.prefixes.bucket)
        assert sum(receipt.outcome.rows_in for receipt in receipts) == rows
        assert {receipt.fleet for receipt in receipts} == {fleet}
        report = verify(intake, deep=True)
        assert (report.differences, report.rows_in) == ((), rows)


def test_the_same_bytes_are_no_duplicate_of_another_fleets(intakes: dict[str, Intake]) -> None:
    default, pumps = intakes["ai4i2020"], intakes["pumps"]
    _write(default, "incoming/x.csv", _ROWS)
    _write(default, "incoming/pumps/x.csv", _ROWS)
    sweep(default)
    sweep(pumps)
    (refused,) = pumps.ledger.receipts(bucket=pumps.prefixes.bucket)
    # No pumps' readings: judged by its own spec, and quarantined where it belongs.
    assert refused.outcome.verdict == "quarantined"
    assert refused.outcome.quarantine_key == "quarantine/pumps/x.csv"
    assert pumps.ledger.blocking(pumps.prefixes.bucket, ["missing_columns"]) == [refused]
    assert default.ledger.blocking(pumps.prefixes.bucket, ["missing_columns"]) == []


def test_an_unknown_object_is_reported_by_the_fleet_whose_it_would_be(
    intakes: dict[str, Intake],
) -> None:
    _write(intakes["pumps"], "processed/pumps/stranger.csv", b"x")
    assert verify(intakes["ai4i2020"]).differences == ()
    (found,) = verify(intakes["pumps"]).differences
    assert found.kind == "unknown_object"


def test_what_waits_for_a_fleet_that_was_removed_waits_for_its_return(
    settings: Settings, intakes: dict[str, Intake]
) -> None:
    default, fans = intakes["ai4i2020"], pumps_called("fans")
    add_fleet(settings, default.store, fans, "fans.toml")
    remove_fleet(settings, default.store, "fans")
    _write(default, "incoming/fans/x.csv", _ROWS)
    assert not is_waiting(default.store, default.prefixes, default.other_fleets())
    assert sweep(default).files == 0
    assert default.store.head(settings.s3_bucket, "incoming/fans/x.csv") is not None


def test_files_of_the_default_fleet_stay_its_own_when_a_fleet_takes_their_folders_name(
    settings: Settings, intakes: dict[str, Intake]
) -> None:
    default = intakes["ai4i2020"]
    _write(default, "incoming/fans/x.csv", _ROWS)
    assert sweep(default).files == 1
    fans = pumps_called("fans")
    other = open_intake(add_fleet(settings, default.store, fans, "fans.toml"))
    try:
        assert verify(default, deep=True).differences == ()
        assert verify(other, deep=True).differences == ()
    finally:
        other.ledger.close()
