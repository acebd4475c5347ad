"""What is asked of the ledger looks at as many receipts as it returns, however many there are."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from bench.ledger import PASSES, QUESTIONS
from bench.receipts import BUCKET, FILES_OF_A_RUN, make_receipts

from presagio.storage.ledger import Ledger
from presagio.storage.migration import migrate
from presagio.storage.receipt_pages import each_receipt, receipts_below
from presagio.storage.schema import RECEIPTS
from tests.conftest import RunningServices
from tests.extent import NIGHTLY

pytestmark = pytest.mark.integration

# Beyond a page of 1,000 and the files of a run, which are what was asked for.
_SPARE = 1500
_FEW = 2100
_SIZE = 1_000_000 if NIGHTLY else 24_000
_BAR_S = 0.1
# What else runs on the machine may take time from the question.
_BUSY = 3


@pytest.fixture(scope="module")
def large(services: RunningServices) -> Iterator[Ledger]:
    """A ledger with thousands of receipts, by night with a million, in a schema of its own."""
    url = services.credentials.database_url(services.ports, "presagio")
    schema = f"large_{uuid4().hex[:8]}"
    engine = sa.create_engine(url, connect_args={"options": f"-csearch_path={schema}"})
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE SCHEMA {schema}"))
    migrate(engine)
    make_receipts(engine, 1, _SIZE)
    yield Ledger(engine)
    with engine.begin() as connection:
        connection.execute(sa.text(f"DROP SCHEMA {schema} CASCADE"))
    engine.dispose()


@contextmanager
def _asked(engine: sa.Engine) -> Iterator[list[tuple[str, Any]]]:
    """Collect the queries that are sent while the block runs."""
    sent: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if statement.startswith(("SELECT", "WITH")) and "FROM" in statement:
            sent.append((statement, parameters))

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)


def _looked_at(plan: dict[str, Any]) -> float:
    """Count the rows of tables that a plan went through, those included that it left out."""
    here = 0.0
    if "Relation Name" in plan:
        left_out = sum(n for key, n in plan.items() if key.startswith("Rows Removed"))
        here = (plan["Actual Rows"] + left_out) * plan["Actual Loops"]
    return here + sum(map(_looked_at, plan.get("Plans", [])))


def _rows_looked_at(ledger: Ledger, ask: Callable[[Ledger], object]) -> float:
    with _asked(ledger._engine) as sent:
        ask(ledger)
    looked = 0.0
    with ledger._engine.connect() as connection:
        for statement, parameters in sent:
            explained = connection.exec_driver_sql(
                f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters
            ).scalar_one()
            plan = explained if isinstance(explained, list) else json.loads(explained)
            looked += _looked_at(plan[0]["Plan"])
    return looked


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_looks_at_what_it_asks_for_and_no_more(large: Ledger, question: str) -> None:
    asked_for = FILES_OF_A_RUN if f"{FILES_OF_A_RUN:,}" in question else 1000
    if question.startswith("training: files"):
        # All files that were refused are listed.
        asked_for += _SIZE // 100
    ask = QUESTIONS[question]
    assert _rows_looked_at(large, ask) <= asked_for + _SPARE
    if NIGHTLY:
        began = time.perf_counter()
        ask(large)
        assert time.perf_counter() - began <= _BUSY * _BAR_S


def test_pages_hold_each_receipt_once_in_order(large: Ledger) -> None:
    after = _SIZE - 4000
    numbers = [receipt.id for receipt in large.each_receipt(bucket=BUCKET, after=after)]
    assert numbers == sorted({*numbers})
    assert set(range(after + 1, _SIZE + 1)) <= {*numbers}
    newest = islice(large.each_receipt(bucket=BUCKET, newest_first=True), len(numbers))
    assert [receipt.id for receipt in newest] == numbers[::-1]


def test_outcomes_that_were_sent_back_are_found_by_their_prefix(large: Ledger) -> None:
    found = [*large.receipts_below(BUCKET, "incoming/feedback/", "processed")]
    assert {1100, 1101, 2100} <= {receipt.id for receipt in found}
    assert len(found) == _SIZE // 1000 * 2
    keys = [receipt.identity.key for receipt in found]
    assert keys == sorted(keys)
    assert list(large.receipts_below(BUCKET, "incoming/feed/", "processed")) == []


def test_pages_below_a_prefix_hold_each_version_of_a_file_once(large: Ledger) -> None:
    prefix, first = "incoming/line-0/", [RECEIPTS.c.id <= _FEW]
    expected = sorted(
        (receipt.identity.key, receipt.id)
        for receipt in each_receipt(large._engine, first)
        if receipt.identity.key.startswith(prefix)
    )
    assert len({key for key, _ in expected}) < len(expected)
    for page in (1, 2, 7, len(expected), 1000):
        found = receipts_below(large._engine, first, prefix, page=page)
        assert [(receipt.identity.key, receipt.id) for receipt in found] == expected


def test_of_refused_files_those_block_that_nothing_replaced(large: Ledger) -> None:
    blocking = [r.id for r in large.blocking(BUCKET, ["too_many_bad_rows"], limit=3)]
    assert blocking == [500, 5500, 10_500]
    assert large.blocking(BUCKET, ["too_many_bad_rows"], number=1500) == []
    assert len(large.blocking(BUCKET, ["too_many_bad_rows"], number=5500)) == 1


def test_sums_and_open_claims_are_right_at_size(large: Ledger) -> None:
    assert large.wrong_totals() == []
    # Some filings of the questions above came besides.
    assert sum(large.totals().files.values()) >= _SIZE
    assert len(large.open_claims(BUCKET)) == 20
    run = large.filed_in(BUCKET, "run-1")
    assert sum(run.files.values()) == FILES_OF_A_RUN
    receipts = large.receipts(bucket=BUCKET, run_id="run-1", limit=None)
    assert run.rows_processed == sum(one.outcome.rows_processed for one in receipts)


def test_files_of_another_spec_are_found_with_those_of_events(large: Ledger) -> None:
    spec = large.receipts(number=1)[0].outcome.notes["spec_sha256"]
    assert len(large.outdated(BUCKET, spec, of_events=None)) <= len(QUESTIONS)
    of_events = ("incoming/feedback/", "another")
    outdated = large.outdated(BUCKET, spec, of_events=of_events)
    assert [number for number in outdated if number <= 2000] == [100, 101, 1100, 1101]
    assert len(PASSES) == 3
