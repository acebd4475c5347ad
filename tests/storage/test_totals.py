"""The sums that are kept of receipts are what the receipts come to, whatever happens."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from random import Random
from uuid import uuid4

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from hypothesis import given, settings
from hypothesis import strategies as st

from presagio.ingest.filing import Intake
from presagio.ingest.verify import verify
from presagio.storage.database import open_database
from presagio.storage.ledger import Ledger
from presagio.storage.migration import MIGRATIONS
from presagio.storage.receipt import FilingOutcome, ObjectIdentity, Receipt, Totals
from presagio.storage.unit_parts import UnitSpans
from tests.conftest import RunningServices
from tests.extent import NIGHTLY

pytestmark = pytest.mark.integration

_BUCKET = "totals"


@pytest.fixture(scope="module")
def engine(services: RunningServices) -> Iterator[sa.Engine]:
    engine = open_database(services.settings)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def new_fleet(engine: sa.Engine) -> Callable[[], Ledger]:
    return lambda: Ledger(engine, f"fleet-{uuid4().hex}")


def _identity() -> ObjectIdentity:
    number = uuid4().hex
    return ObjectIdentity(_BUCKET, f"incoming/{number}.csv", "etag", number, 10)


def _outcome(verdict: str, good: int, bad: int) -> FilingOutcome:
    return FilingOutcome(
        "processed" if verdict == "processed" else "quarantined",
        good + bad, good, bad, {"missing": bad, "out_of_range": good % 3} if bad else {},
        archive_key="archive/x",
    )  # fmt: skip


def _file(ledger: Ledger, outcome: FilingOutcome) -> Receipt:
    with ledger.filing(ledger.claim(_identity(), [f"{uuid4().hex}.csv"])) as filing:
        return filing.commit_receipt(outcome, None)


def _check_again(ledger: Ledger, receipt: Receipt, outcome: FilingOutcome) -> None:
    with ledger.filing(ledger.claim(receipt.identity, ())) as filing:
        filing.replace_outcome(outcome, UnitSpans())


def _added_up(outcomes: list[FilingOutcome]) -> tuple[dict[str, int], int, int, dict[str, int]]:
    files, faults = Counter(str(one.verdict) for one in outcomes), Counter[str]()
    for one in outcomes:
        faults.update(one.reasons)
    return (
        dict(files), sum(one.rows_processed for one in outcomes),
        sum(one.rows_quarantined for one in outcomes), {k: n for k, n in faults.items() if n},
    )  # fmt: skip


def _of(totals: Totals) -> tuple[object, ...]:
    return totals.files, totals.rows_processed, totals.rows_quarantined, totals.reasons


_OUTCOMES = st.builds(
    _outcome, st.sampled_from(["processed", "quarantined"]), st.integers(0, 9), st.integers(0, 9)
)


@settings(max_examples=100 if NIGHTLY else 10)
@given(st.lists(st.tuples(st.sampled_from(["file", "again", "remove"]), _OUTCOMES), max_size=12))
def test_the_sums_follow_what_is_filed_checked_again_and_removed(
    engine: sa.Engine,
    new_fleet: Callable[[], Ledger],
    steps: list[tuple[str, FilingOutcome]],
) -> None:
    ledger, there, removed = (
        new_fleet(),
        list[tuple[Receipt, FilingOutcome]](),
        list[FilingOutcome](),
    )
    for step, outcome in steps:
        if step == "file":
            there.append((_file(ledger, outcome), outcome))
        elif step == "again" and there:
            _check_again(ledger, there[0][0], outcome)
            there[0] = (there[0][0], outcome)
        elif there:
            receipt, before = there.pop()
            with engine.begin() as connection:
                connection.execute(
                    sa.text("DELETE FROM receipts WHERE id = :id"), {"id": receipt.id}
                )
            removed.append(before)
    # Counts only grow: what was removed stays in them.
    assert _of(ledger.totals()) == _added_up([one for _, one in there] + removed)
    assert ledger.wrong_totals() == []
    newest = max((receipt.created_at for receipt, _ in there), default=None)
    assert newest is None or (ledger.totals().last or newest) >= newest


def test_the_sums_hold_when_many_file_at_once_and_some_fail(
    new_fleet: Callable[[], Ledger],
) -> None:
    ledger = new_fleet()

    def work(seed: int) -> list[FilingOutcome]:
        chance, done = Random(seed), list[FilingOutcome]()
        for _ in range(25):
            outcome = _outcome("processed", chance.randrange(9), chance.randrange(9))
            try:
                with ledger.filing(ledger.claim(_identity(), [f"{uuid4().hex}.csv"])) as filing:
                    receipt = filing.commit_receipt(outcome, None)
                    # One in five fails.
                    _ = 1 / chance.randrange(5)
            except ZeroDivisionError:
                continue
            if chance.random() < 0.3:
                outcome = _outcome("quarantined", 0, chance.randrange(9))
                _check_again(ledger, receipt, outcome)
            done.append(outcome)
        return done

    with ThreadPoolExecutor(6) as pool:
        done = [one for part in pool.map(work, range(6)) for one in part]
    assert _of(ledger.totals()) == _added_up(done)
    assert ledger.wrong_totals() == []


def test_a_kill_before_the_commit_adds_nothing(
    new_fleet: Callable[[], Ledger], services: RunningServices
) -> None:
    ledger = new_fleet()
    _file(ledger, _outcome("processed", 3, 1))
    before = ledger.totals()
    code = """
import os, signal, sys
import sqlalchemy as sa
from presagio.storage.ledger import Ledger
from presagio.storage.receipt import FilingOutcome, ObjectIdentity
ledger = Ledger(sa.create_engine(os.environ["URL"]), sys.argv[1])
identity = ObjectIdentity("totals", "incoming/killed.csv", "e", sys.argv[1], 1)
with ledger.filing(ledger.claim(identity, ["killed.csv"])) as filing:
    filing.commit_receipt(FilingOutcome("processed", 5, 5), None)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    url = services.credentials.database_url(services.ports, "presagio")
    killed = subprocess.run(
        [sys.executable, "-c", code, ledger._fleet], env=os.environ | {"URL": url}, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert ledger.totals() == before
    (claim,) = ledger.open_claims(_BUCKET)
    with ledger.filing(claim) as filing:
        filing.commit_receipt(_outcome("processed", 5, 0), None)
    assert ledger.totals().rows_processed == 8
    assert ledger.open_claims(_BUCKET) == []


def test_sums_that_do_not_agree_are_found_and_counted_anew(
    engine: sa.Engine, intake: Intake
) -> None:
    mine = replace(intake, ledger=Ledger(engine, f"fleet-{uuid4().hex}"))
    _file(mine.ledger, _outcome("processed", 3, 1))
    before = mine.ledger.totals()
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "UPDATE receipt_totals SET number = number + 7 WHERE fleet = :f AND kind = 'rows'"
            ),
            {"f": mine.ledger._fleet},
        )
    found = [one for one in verify(mine).differences if one.kind == "totals_differ"]
    assert [one.message for one in found] == [
        "rows processed: 10 are kept and the receipts come to 3",
        "rows quarantined: 8 are kept and the receipts come to 1",
    ]
    assert verify(mine, repair=True).is_clean
    assert verify(mine).is_clean
    assert mine.ledger.totals() == before


def test_what_was_filed_before_is_counted_and_its_claims_are_closed(
    services: RunningServices,
) -> None:
    engine, schema = open_database(services.settings), f"old_{uuid4().hex[:8]}"
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE SCHEMA {schema}"))
        connection.execute(sa.text(f"SET LOCAL search_path TO {schema}"))
        config.attributes["connection"] = connection
        command.upgrade(config, "0006")
        for name in ("filed", "open"):
            connection.execute(
                sa.text(
                    "INSERT INTO claims (bucket, key, version, sha256, size_bytes, name) "
                    "VALUES ('b', :name, 'v', :name, 1, :name)"
                ),
                {"name": name},
            )
        connection.execute(
            sa.text(
                "INSERT INTO receipts (id, bucket, key, version, sha256, size_bytes, verdict, "
                "rows_in, rows_processed, rows_quarantined, reasons, archive_key) SELECT id, "
                "bucket, key, version, sha256, 1, 'processed', 5, 3, 2, '{\"missing\": 2}', 'a' "
                "FROM claims WHERE name = 'filed'"
            )
        )
        command.upgrade(config, "head")
        kept = connection.execute(
            sa.text("SELECT kind, name, number FROM receipt_totals ORDER BY kind, name")
        ).all()
        assert [tuple(row) for row in kept] == [
            ("faults", "missing", 2), ("files", "processed", 1), ("rows", "processed", 3),
            ("rows", "quarantined", 2),
        ]  # fmt: skip
        still_open = connection.execute(sa.text("SELECT name FROM claims WHERE NOT filed"))
        assert still_open.scalars().all() == ["open"]
        command.downgrade(config, "0006")
        connection.execute(sa.text(f"DROP SCHEMA {schema} CASCADE"))
    engine.dispose()
