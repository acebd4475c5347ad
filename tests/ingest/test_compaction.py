"""Small files are put together: whoever reads gets each row once, before, meanwhile and after."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing.context import ForkServerContext
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
from polars.testing import assert_frame_equal

from presagio.errors import DataError, StorageError
from presagio.ingest import compaction
from presagio.ingest.again import check_again
from presagio.ingest.compaction import STEPS, Rules, Step, compact, plan, remove_originals
from presagio.ingest.curated import labelled_rows, processed_receipts
from presagio.ingest.curated_parts import CuratedParts, read_part
from presagio.ingest.filing import Intake
from presagio.ingest.unit_readings import unit_readings
from presagio.ingest.verify import verify
from presagio.machine.spec import MachineSpec, load_spec
from presagio.settings import Prefixes, Settings
from presagio.storage.database import open_database
from presagio.storage.ledger import Ledger
from presagio.storage.objects import open_store
from presagio.training.datasets.curated import read_curated
from tests.conftest import RunningServices
from tests.engines import engine_rows, engines
from tests.filing import file_body
from tests.readings import HEADER

pytestmark = pytest.mark.integration

FILES, EACH = 5, 12
# With the one that repeats a row.
ALL, ROWS = FILES + 1, EACH * FILES + 1


def _rules(**wanted: object) -> Rules:
    rules = Rules(datetime.now(UTC) + timedelta(hours=1), 2, 1 << 20)
    return replace(rules, **wanted)  # type: ignore[arg-type]


def _body(number: int, rows: int = EACH) -> bytes:
    lines = [b"L,300.%03d,310,1500,40,%d,%d" % (number, row, row % 2) for row in range(rows)]
    return b"\n".join([HEADER + b",machine_failure", *lines]) + b"\n"


def _remove(intake: Intake) -> int:
    return remove_originals(intake, before=datetime.now(UTC) + timedelta(hours=1))


def _objects(intake: Intake) -> list[str]:
    return [s.key for s in intake.store.list(intake.prefixes.curated_bucket, "curated/")]


def _rows(intake: Intake) -> pl.DataFrame:
    return pl.concat(labelled_rows(intake))


@pytest.fixture
def intake(new_intake: Callable[[], Intake]) -> Intake:
    """An intake with small files; two have the same row."""
    intake = new_intake()
    for number in range(FILES):
        file_body(intake, f"{number}.csv", _body(number))
    file_body(intake, "again.csv", _body(0, 1))
    return intake


def test_rows_are_the_same_before_and_after_and_lie_in_one_object(intake: Intake) -> None:
    before, dataset = _rows(intake), read_curated(intake)
    parts = [
        (key, receipt.id) for receipt in processed_receipts(intake)
        for key in receipt.outcome.curated_keys
    ]  # fmt: skip
    single = [read_part(intake, *part, ["tool_wear_min"]) for part in parts]
    assert plan(intake, _rules()) == compaction.Plan(ALL, ROWS, 1)
    done = compact(intake, _rules())
    assert (done.files, done.rows, done.objects, done.skipped) == (ALL, ROWS, 1, [])
    assert_frame_equal(_rows(intake), before)
    assert len(_objects(intake)) == ALL + 1
    assert _remove(intake) == ALL
    (key,) = _objects(intake)
    assert key.startswith("curated/compaction=")
    assert_frame_equal(_rows(intake), before)
    # Each part is still found by the name under which the receipt has it.
    for part, rows in zip(parts, single, strict=True):
        assert_frame_equal(read_part(intake, *part, ["tool_wear_min"]), rows)
    after = read_curated(intake)
    assert (after.source, after.receipts) == (dataset.source, dataset.receipts)
    assert "1 rows that came twice" in after.source
    assert (after.inputs == dataset.inputs).all()
    assert (compact(intake, _rules()).files, _remove(intake)) == (0, 0)
    assert plan(intake, _rules()).files == 0


def test_ledger_and_bucket_agree_at_each_stage(intake: Intake) -> None:
    compact(intake, _rules())
    assert verify(intake, deep=True).differences == ()
    _remove(intake)
    assert verify(intake, deep=True).differences == ()


def test_files_that_are_put_together_while_it_is_compared_are_no_difference(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    download, calls = intake.store.download, list[str]()

    def downloading(bucket: str, key: str, *args: Any, **named: Any) -> Any:
        calls.append(key)
        if len(calls) == 1:
            compact(intake, _rules())
            assert _remove(intake) == ALL
        return download(bucket, key, *args, **named)

    monkeypatch.setattr(intake.store, "download", downloading)
    assert verify(intake, deep=True).differences == ()
    assert len(_objects(intake)) == 1


def test_what_is_new_few_large_or_altered_stays_as_it_is(intake: Intake) -> None:
    assert compact(intake, _rules(before=datetime.now(UTC) - timedelta(hours=1))).files == 0
    assert compact(intake, _rules(min_files=ALL + 1)).files == 0
    assert compact(intake, _rules(group_bytes=100)).files == 0
    (key,) = [*processed_receipts(intake)][3].outcome.curated_keys
    intake.store.write(intake.prefixes.curated_bucket, key, b"other bytes")
    done = compact(intake, _rules())
    assert done.files == FILES
    assert "gone or altered" in done.skipped[0]
    assert verify(intake, deep=True, repair=True).is_clean
    assert len(_rows(intake)) == ROWS


def test_files_of_another_machine_spec_are_put_together_in_a_later_run(intake: Intake) -> None:
    tables = intake.spec.model_dump(exclude_defaults=True)
    tables["identifiers"] = (*tables["identifiers"], {"name": "line"})
    older = replace(intake, spec=MachineSpec.model_validate(tables))
    for number in range(3):
        file_body(older, f"old-{number}.csv", _body(50 + number))
    before = _rows(intake)
    done = compact(intake, _rules())
    assert (done.files, len(done.skipped)) == (ALL, 3)
    assert compact(intake, _rules()).files == 3
    _remove(intake)
    assert_frame_equal(_rows(intake), before)
    assert len(_objects(intake)) == 2


def test_a_first_file_of_another_machine_spec_does_not_hold_up_the_others(
    new_intake: Callable[[], Intake],
) -> None:
    intake = new_intake()
    tables = intake.spec.model_dump(exclude_defaults=True)
    tables["identifiers"] = (*tables["identifiers"], {"name": "line"})
    file_body(replace(intake, spec=MachineSpec.model_validate(tables)), "old.csv", _body(50))
    for number in range(3):
        file_body(intake, f"{number}.csv", _body(number))
    before, done = _rows(intake), compact(intake, _rules())
    assert (done.files, len(done.skipped)) == (3, 1)
    _remove(intake)
    assert_frame_equal(_rows(intake), before)


def _narrow(intake: Intake) -> Intake:
    """Return the intake under a machine spec that takes two rows less of a file."""
    narrow = intake.spec.features[4].model_copy(update={"range": (0.0, 9.0), "example": 1.0})
    spec = intake.spec.model_copy(update={"features": (*intake.spec.features[:4], narrow)})
    return replace(intake, spec=spec)


def test_a_file_that_is_checked_again_while_others_are_put_together_is_not_among_them(
    intake: Intake, services: RunningServices
) -> None:
    receipt = [*processed_receipts(intake)][2]
    checker = threading.Thread(target=lambda: list(check_again(_narrow(intake), [receipt.id])))
    waiting = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'UPDATE receipts%' "
        "AND cardinality(pg_blocking_pids(pid)) > 0"
    )
    engine = open_database(services.settings)

    def check(step: Step) -> None:
        if step == "recorded":
            checker.start()
            deadline = time.monotonic() + 10
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                while not connection.execute(waiting).scalar_one():
                    assert time.monotonic() < deadline
                    time.sleep(0.01)

    before = _rows(intake)
    compact(intake, _rules(on_step=check))
    checker.join()
    engine.dispose()
    left = before.filter((pl.col("receipt_id") != receipt.id) | (pl.col("tool_wear_min") <= 9))
    assert_frame_equal(_rows(intake), left)
    assert verify(_narrow(intake), deep=True).is_clean


def test_a_file_that_is_checked_again_has_its_own_part_again(intake: Intake) -> None:
    compact(intake, _rules())
    _remove(intake)
    before, receipt = _rows(intake), [*processed_receipts(intake)][4]
    (again,) = check_again(_narrow(intake), [receipt.id])
    assert again.after is not None
    assert again.after.outcome.rows_processed == EACH - 2
    left = before.filter((pl.col("receipt_id") != receipt.id) | (pl.col("tool_wear_min") <= 9))
    # In order of receipts, though its rows lie elsewhere.
    assert_frame_equal(_rows(intake), left)
    assert verify(_narrow(intake), deep=True).is_clean
    # Alone it stays as it is; and is put together with others.
    assert compact(intake, _rules()).files == 0
    file_body(intake, "one more.csv", _body(70))
    assert compact(intake, _rules()).files == 2
    assert len(_rows(intake)) == ROWS - 2 + EACH


def test_a_compaction_that_is_gone_is_made_again_from_the_originals(intake: Intake) -> None:
    before = _rows(intake)
    compact(intake, _rules())
    _remove(intake)
    intake.store.remove(intake.prefixes.curated_bucket, _objects(intake))
    with pytest.raises(DataError, match="is gone"):
        _rows(intake)
    (difference,) = verify(intake).differences
    assert difference.kind == "output_missing"
    assert verify(intake, repair=True).is_clean
    assert verify(intake, deep=True).differences == ()
    assert_frame_equal(_rows(intake), before)
    # Nothing of it counts any more, so nothing of it stays.
    _remove(intake)
    assert intake.ledger.compactions(intake.prefixes.bucket).committed() == []


def test_small_files_stay_where_what_replaces_them_is_altered(intake: Intake) -> None:
    compact(intake, _rules())
    key = next(key for key in _objects(intake) if "compaction=" in key)
    intake.store.write(intake.prefixes.curated_bucket, key, b"other bytes")
    with pytest.raises(DataError, match="small files that it is to replace stay"):
        _remove(intake)
    assert len(_objects(intake)) == ALL + 1


def test_a_file_that_is_being_checked_again_is_not_removed(intake: Intake) -> None:
    compact(intake, _rules())
    receipt = [*processed_receipts(intake)][2]
    with intake.ledger.filing(intake.ledger.claim(receipt.identity, ())):
        assert _remove(intake) == ALL - 1
    assert _remove(intake) == 1


def test_readers_that_have_listed_files_go_on(intake: Intake) -> None:
    before = _rows(intake)
    listed = list(intake.ledger.filed_rows(intake.prefixes.bucket))
    compact(intake, _rules())
    _remove(intake)
    columns = [name for name in before.columns if name != "receipt_id"]
    rows = pl.concat(CuratedParts(intake, columns).blocks(listed))
    assert_frame_equal(rows, before)


def test_readers_get_each_row_once_while_files_come_and_are_put_together(intake: Intake) -> None:
    ended, seen = threading.Event(), list[tuple[int, int]]()

    def work() -> None:
        try:
            for number in range(4):
                for more in range(2):
                    file_body(intake, f"later-{number}-{more}.csv", _body(200 + 2 * number + more))
                compact(intake, _rules())
                _remove(intake)
        finally:
            ended.set()

    worker = threading.Thread(target=work)
    worker.start()
    while not ended.is_set():
        rows = _rows(intake)
        seen.append((len(rows), rows["receipt_id"].n_unique()))
        assert rows["receipt_id"].is_sorted()
        counts = rows.group_by("receipt_id").len()["len"]
        assert (counts <= EACH).all()
    worker.join()
    # Whole files only, and never one less than before.
    assert seen == sorted(seen)
    assert all(rows - 1 == EACH * (files - 1) for rows, files in seen)
    assert len(_rows(intake)) == ROWS + 8 * EACH


def test_two_at_once_put_each_file_together_once(intake: Intake) -> None:
    before, done = _rows(intake), list[int]()
    threads = [
        threading.Thread(target=lambda: done.append(compact(intake, _rules()).files))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [0, 0, ALL]
    _remove(intake)
    assert_frame_equal(_rows(intake), before)


def test_a_run_that_has_lost_its_turn_alters_nothing_that_counts(
    intake: Intake, services: RunningServices
) -> None:
    engine = open_database(services.settings)
    name = f"compaction/curated//{intake.prefixes.bucket}"
    end = sa.text(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' AND "
        "(classid::bigint << 32 | objid::bigint) = hashtextextended(:name, 0)"
    )

    def lose(step: Step) -> None:
        if step == "read":
            with engine.connect() as connection:
                assert connection.execute(end, {"name": name}).scalar_one()
            file_body(intake, "one more.csv", _body(70))
            assert compact(intake, _rules()).files == ALL + 1

    with pytest.raises(StorageError):
        compact(intake, _rules(on_step=lose))
    engine.dispose()
    _remove(intake)
    assert len(_rows(intake)) == ROWS + EACH
    # What it has written belongs to nothing.
    (difference,) = verify(intake, deep=True).differences
    assert difference.kind == "unknown_object"


# ---- readings of units --------------------------------------------------------------------------


@pytest.fixture
def units(new_intake: Callable[[], Intake], monkeypatch: pytest.MonkeyPatch) -> Intake:
    """An intake with readings of three engines, ten cycles a file."""
    monkeypatch.setattr(compaction, "UNIT_PART_ROWS", 50)
    intake = replace(new_intake(), spec=engines())
    rows = engine_rows(3).filter(pl.col("cycle") < 60).sort("cycle")
    for (day,), part in rows.group_by(pl.col("cycle") // 10, maintain_order=True):
        file_body(intake, f"day-{day}.csv", part.write_csv().encode())
    return intake


def test_one_units_readings_are_found_without_reading_the_others(
    units: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [unit_readings(units, "2", 15), unit_readings(units, "2", 5, newest=False)]
    everything, dataset = unit_readings(units, "2", 99), read_curated(units)
    compact(units, _rules())
    _remove(units)
    found, read = list[str](), units.store.read

    def noting(bucket: str, key: str) -> object:
        found.append(key)
        return read(bucket, key)

    monkeypatch.setattr(units.store, "read", noting)
    assert_frame_equal(unit_readings(units, "2", 15), wanted[0])
    assert len(found) == 1
    assert_frame_equal(unit_readings(units, "2", 5, newest=False), wanted[1])
    assert_frame_equal(unit_readings(units, "2", 99), everything)
    assert unit_readings(units, "nobody", 5).is_empty()
    after = read_curated(units)
    assert (after.inputs == dataset.inputs).all()
    assert after.receipts == dataset.receipts


def test_the_reading_that_was_filed_first_counts_wherever_it_lies(units: Intake) -> None:
    late = engine_rows(1).filter(pl.col("cycle").is_between(30, 32))
    body = late.with_columns(sensor_2=pl.lit(7.0)).write_csv().encode()
    compact(units, _rules())
    receipt = file_body(units, "late.csv", body)
    assert receipt.outcome.notes["series"]["overlapping_units"] == 1
    assert 7.0 not in unit_readings(units, "1", 99)["sensor_2"].to_list()
    first, _ = [*processed_receipts(units)][:2]
    (again,) = check_again(units, [first.id])
    assert again.after is not None
    assert "overlapping_units" not in again.after.outcome.notes["series"]
    assert unit_readings(units, "1", 99)["cycle"].to_list() == list(range(1, 60))
    assert len(unit_readings(units, "1", 99).filter(pl.col("receipt_id") == first.id)) == 9


# ---- kills --------------------------------------------------------------------------------------


def _work(settings: Settings, prefixes: Prefixes, die_after: Step | None) -> None:
    def die(step: Step) -> None:
        if step == die_after:
            os.kill(os.getpid(), signal.SIGKILL)

    with closing(Ledger(open_database(settings))) as ledger:
        intake = Intake(open_store(settings), ledger, load_spec(), prefixes)
        compact(intake, _rules(on_step=die))
        now = datetime.now(UTC) + timedelta(hours=1)
        remove_originals(intake, before=now, on_step=die)


@pytest.fixture(scope="module")
def context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.ingest.test_compaction"])
    return context


@pytest.mark.slow
def test_a_kill_at_any_step_ends_in_the_same_state_as_one_clean_run(
    intake: Intake, context: ForkServerContext, services: RunningServices
) -> None:
    before = _rows(intake)
    for step in STEPS:
        worker = context.Process(target=_work, args=(services.settings, intake.prefixes, step))
        worker.start()
        worker.join(60)
        assert worker.exitcode == -signal.SIGKILL, step
        assert_frame_equal(_rows(intake), before)
        assert verify(intake, deep=True).differences == (), step
        # What was committed is there, so there must be something new for the next one.
        if step == "committed":
            file_body(intake, "x.csv", _body(80))
            file_body(intake, "y.csv", _body(81))
            before = _rows(intake)
            compact(intake, _rules())
    _work(services.settings, intake.prefixes, None)
    assert_frame_equal(_rows(intake), before)
    assert len(_objects(intake)) == 2
    assert verify(intake, deep=True).differences == ()
