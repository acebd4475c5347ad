from contextlib import suppress
from dataclasses import replace

import pytest

from presagio.ingest.filing import Intake, Step, file_object
from presagio.ingest.incoming import incoming_files, is_file, is_waiting, plan_batches
from tests.ingest.intake_state import drop
from tests.readings import HEADER

pytestmark = pytest.mark.integration


def test_nothing_waits_in_an_empty_bucket(intake: Intake) -> None:
    assert not is_waiting(intake.store, intake.prefixes)
    assert plan_batches(intake) == []


def test_files_of_every_kind_wait(intake: Intake) -> None:
    names = ("a.csv", "b.CSV", "c.csv.gz", "d.csv.zst", "e.parquet", "f.xlsx", "g.json", "h")
    for name in names:
        drop(intake, f"incoming/{name}", b"x")
    keys = [stored.key for stored in incoming_files(intake.store, intake.prefixes, page_size=2)]
    assert keys == [f"incoming/{name}" for name in names]
    assert is_waiting(intake.store, intake.prefixes)


@pytest.mark.parametrize(
    "name",
    [
        "a.csv.part",
        "a.csv.filepart",
        "a.TMP",
        "~$book.xlsx",
        ".DS_Store",
        ".~lock.a.csv#",
        "line 1/",
    ],
)
def test_what_is_not_finished_or_is_no_file_stays(intake: Intake, name: str) -> None:
    assert not is_file(f"incoming/line 1/{name}")
    if not name.endswith("/"):
        drop(intake, f"incoming/{name}", b"x")
    assert not is_waiting(intake.store, intake.prefixes)


def test_few_files_are_one_batch_and_many_are_divided(intake: Intake) -> None:
    for i in range(60):
        drop(intake, f"incoming/{i:03}.csv", b"x")
    assert [len(batch.keys) for batch in plan_batches(intake, workers=2)] == [30, 30]
    assert [len(batch.keys) for batch in plan_batches(intake, workers=1)] == [60]
    assert [len(b.keys) for b in plan_batches(intake, most_files=10)] == [10]
    planned = [key for batch in plan_batches(intake) for key in batch.keys]
    assert planned == [f"incoming/{i:03}.csv" for i in range(60)]


def test_a_file_that_was_begun_and_not_ended_goes_last_and_alone(intake: Intake) -> None:
    def die(step: Step) -> None:
        if step == "claimed":
            raise KeyboardInterrupt

    for i in range(3):
        drop(intake, f"incoming/{i}.csv", HEADER + b"\nL,300,310,1500,40,%d\n" % i)
    with suppress(KeyboardInterrupt):
        file_object(replace(intake, on_step=die), "incoming/0.csv")
    assert [batch.keys for batch in plan_batches(intake)] == [
        ("incoming/1.csv", "incoming/2.csv"), ("incoming/0.csv",),
    ]  # fmt: skip
