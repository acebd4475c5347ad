from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from presagio.errors import UnreadableFileError
from presagio.ingest.checking import Limits
from presagio.ingest.filing import Intake, Step, file_object
from presagio.ingest.incoming import (
    Batch,
    divide,
    incoming_files,
    is_file,
    is_waiting,
    plan_batches,
)
from presagio.storage.objects import StoredObject
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
    assert [len(batch.keys) for batch in plan_batches(intake, slots=2)] == [30, 30]
    assert [len(batch.keys) for batch in plan_batches(intake, slots=1)] == [60]
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


def _files(sizes: Iterable[int]) -> list[StoredObject]:
    return [StoredObject(f"incoming/{i:06}.csv", size, "e") for i, size in enumerate(sizes)]


def _lengths(batches: Iterable[Batch]) -> list[int]:
    return [len(batch.keys) for batch in batches]


@pytest.mark.parametrize("size", [300 << 20, 1 << 40, 0])
def test_a_round_has_no_more_batches_than_airflow_maps(size: int) -> None:
    batches = divide(_files([size] * 1100), slots=10)
    assert len(batches) <= 1000
    # The first ones: the others wait for the next round.
    planned = [key for batch in batches for key in batch.keys]
    assert planned == [f"incoming/{i:06}.csv" for i in range(1000 if size else 1100)]


def test_files_are_divided_by_the_slots_that_there_are() -> None:
    assert _lengths(divide(_files([100] * 500), slots=10)) == [50] * 10
    assert _lengths(divide(_files([100] * 500), slots=2)) == [250] * 2
    # Few large files are divided by their bytes.
    assert _lengths(divide(_files([50 << 20] * 10), slots=10)) == [1] * 10
    assert _lengths(divide(_files([50 << 20] * 10), slots=2)) == [5] * 2
    # A few small ones are not worth a second task.
    assert _lengths(divide(_files([100] * 15), slots=10)) == [15]


@given(
    sizes=st.lists(st.integers(0, 1 << 30), max_size=200),
    slots=st.integers(1, 50),
    most=st.integers(1, 60),
)
def test_batches_hold_the_first_files_each_once_and_are_bounded(
    sizes: list[int], slots: int, most: int
) -> None:
    batches = divide(_files(sizes), slots=slots, most_batches=most)
    assert len(batches) <= most
    planned = [key for batch in batches for key in batch.keys]
    assert planned == [f"incoming/{i:06}.csv" for i in range(len(planned))]
    assert len(batches) == most or len(planned) == len(sizes)
    assert all(len(batch.keys) == 1 or batch.size_bytes <= 256 << 20 for batch in batches)


def test_a_file_that_is_too_large_stays_unread_and_keeps_no_other(
    intake: Intake, caplog: pytest.LogCaptureFixture
) -> None:
    small = replace(intake, limits=Limits(max_file_bytes=1000))
    drop(intake, "incoming/a.csv", b"x" * 1001)
    assert not is_waiting(intake.store, intake.prefixes, most_bytes=1000)
    drop(intake, "incoming/b.csv", HEADER + b"\nL,300,310,1500,40,1\n")
    assert is_waiting(intake.store, intake.prefixes, most_bytes=1000)
    assert [batch.keys for batch in plan_batches(small)] == [("incoming/b.csv",)]
    assert "incoming/a.csv has 1,001 bytes, and a file may have 1,000: divide it" in caplog.text
    # Also where it has grown since the plan: nothing is claimed.
    with pytest.raises(UnreadableFileError, match="raise PRESAGIO_INTAKE_MAX_FILE_BYTES"):
        file_object(small, "incoming/a.csv")
    assert intake.ledger.open_claims(intake.prefixes.bucket) == []
    assert intake.store.head(intake.prefixes.bucket, "incoming/a.csv") is not None
    # The limit is raised, and it is filed like any other.
    assert file_object(intake, "incoming/a.csv") is not None
