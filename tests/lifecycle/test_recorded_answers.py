"""Recorded answers of days that are over lie in few objects, each answer once."""

import io
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import polars as pl
import pytest

from presagio.ingest.compaction import STEPS, Rules, Step
from presagio.ingest.filing import Intake
from presagio.lifecycle.recorded_answers import Answers, compact_answers, plan_answers

pytestmark = pytest.mark.integration

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY, TODAY = "predictions/date=2026-03-01/", "predictions/date=2026-03-02/"
RULES = Rules(NOW, 2, 1 << 20)


def _write(answers: Answers, key: str, *numbers: int, **columns: object) -> None:
    body = io.BytesIO()
    rows = pl.DataFrame({"request_id": numbers, "label": [True] * len(numbers)})
    rows.with_columns(**{k: pl.lit(v) for k, v in columns.items()}).write_parquet(body)
    answers.store.write(answers.bucket, key, body.getvalue())


@pytest.fixture
def answers(new_intake: Callable[[], Intake]) -> Answers:
    """Answers of a day that is over, of today, and of another fleet."""
    intake = new_intake()
    bucket = intake.prefixes.curated_bucket
    compactions = intake.ledger.compactions(bucket, "answers")
    answers = Answers(intake.store, compactions, bucket, "predictions/")
    for number in range(6):
        _write(answers, f"{DAY}{number}.parquet", 2 * number, 2 * number + 1)
    for place in (TODAY, "predictions/pumps/date=2026-03-01/"):
        _write(answers, f"{place}a.parquet", 1)
        _write(answers, f"{place}b.parquet", 2)
    return answers


def _keys(answers: Answers, place: str = DAY) -> list[str]:
    return [stored.key for stored in answers.store.list(answers.bucket, place)]


def _rows(answers: Answers, place: str = DAY) -> list[int]:
    found = []
    for key in _keys(answers, place):
        read = answers.store.read(answers.bucket, key)
        assert read is not None
        found += pl.read_parquet(io.BytesIO(read[0]))["request_id"].to_list()
    return sorted(found)


def test_a_day_that_is_over_is_one_object(answers: Answers) -> None:
    assert plan_answers(answers, RULES) == (6, 1)
    done = compact_answers(answers, RULES)
    assert (done.files, done.rows, done.objects) == (6, 12, 1)
    (key,) = _keys(answers)
    assert key.startswith(f"{DAY}compaction-")
    assert _rows(answers) == list(range(12))
    assert len(_keys(answers, TODAY)) == 2
    assert len(_keys(answers, "predictions/pumps/")) == 2
    # What comes late is put together for itself.
    _write(answers, f"{DAY}late-1.parquet", 12)
    _write(answers, f"{DAY}late-2.parquet", 13)
    assert compact_answers(answers, RULES).files == 2
    assert (len(_keys(answers)), _rows(answers)) == (2, list(range(14)))
    assert compact_answers(answers, RULES).files == 0


def test_few_files_broken_ones_and_those_of_the_hour_stay(answers: Answers) -> None:
    assert compact_answers(answers, replace(RULES, min_files=7)).files == 0
    after_midnight = NOW.replace(hour=0, minute=30)
    assert compact_answers(answers, replace(RULES, before=after_midnight)).files == 0
    answers.store.write(answers.bucket, f"{DAY}3.parquet", b"no Parquet file")
    done = compact_answers(answers, RULES)
    assert (done.files, len(done.skipped)) == (5, 1)
    assert f"{DAY}3.parquet" in _keys(answers)


def test_answers_under_two_machine_specs_are_two_objects(answers: Answers) -> None:
    for number in range(3):
        _write(answers, f"{DAY}x-{number}.parquet", 100 + number, torque_nm=40.0)
    assert compact_answers(answers, RULES).objects == 2
    assert (len(_keys(answers)), len(_rows(answers))) == (2, 15)


def test_a_first_file_of_another_machine_spec_does_not_hold_up_its_day(answers: Answers) -> None:
    _write(answers, f"{DAY}0.parquet", 100, torque_nm=40.0)
    done = compact_answers(answers, RULES)
    assert (done.files, len(_keys(answers)), len(_rows(answers))) == (5, 2, 11)


@pytest.mark.parametrize("step", STEPS)
def test_an_end_at_any_step_ends_in_the_same_state_as_one_clean_run(
    answers: Answers, step: Step
) -> None:
    def end(at: Step) -> None:
        if at == step:
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        compact_answers(answers, replace(RULES, on_step=end))
    compact_answers(answers, RULES)
    assert (len(_keys(answers)), _rows(answers)) == (1, list(range(12)))
    assert len(answers.compactions.committed()) == 1


def test_two_at_once_put_each_file_together_once(answers: Answers) -> None:
    done = list[int]()
    threads = [
        threading.Thread(target=lambda: done.append(compact_answers(answers, RULES).files))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [0, 0, 6]
    assert _rows(answers) == list(range(12))
