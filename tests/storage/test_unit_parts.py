"""Parts of a unit come in order of time, each once, wherever they are listed."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
import sqlalchemy as sa
from bench.receipts import BUCKET, make_receipts

from presagio.storage.ledger import Ledger
from presagio.storage.migration import migrate
from tests.conftest import RunningServices

pytestmark = pytest.mark.integration

_FILES, _COMPACTIONS = 350, 150


@pytest.fixture(scope="module")
def ledger(services: RunningServices) -> Iterator[Ledger]:
    """Parts with few different times, in a schema of their own."""
    url = services.credentials.database_url(services.ports, "presagio")
    schema = f"parts_{uuid4().hex[:8]}"
    engine = sa.create_engine(url, connect_args={"options": f"-csearch_path={schema}"})
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE SCHEMA {schema}"))
    migrate(engine)
    make_receipts(engine, 1, _FILES)
    statements = (
        "DELETE FROM unit_parts",
        "INSERT INTO unit_parts (receipt_id, part, unit, fleet, bucket, oldest, newest) "
        "SELECT id, part, CASE id % 4 WHEN 0 THEN '' WHEN 1 THEN 'v' ELSE 'u' END, fleet, bucket, "
        "id % 3, 10 + id % 3 FROM receipts, generate_series(0, 1) AS part",
        "INSERT INTO compactions (kind, fleet, bucket, place, keys, committed_at) SELECT "
        "'curated', '', :bucket, '', '[0, 1]', now() FROM generate_series(1, :compactions)",
        "INSERT INTO compacted_spans (compaction_id, part, unit, fleet, bucket, oldest, newest) "
        "SELECT id, part, CASE id % 3 WHEN 0 THEN '' WHEN 1 THEN 'v' ELSE 'u' END, fleet, bucket, "
        "id % 3, 10 + id % 3 FROM compactions, generate_series(0, 1) AS part",
    )
    with engine.begin() as connection:
        for statement in statements:
            given = {"bucket": BUCKET, "compactions": _COMPACTIONS}
            text = sa.text(statement)
            connection.execute(text, given if ":bucket" in statement else {})
    yield Ledger(engine)
    with engine.begin() as connection:
        connection.execute(sa.text(f"DROP SCHEMA {schema} CASCADE"))
    engine.dispose()


@pytest.mark.parametrize("newest_first", [True, False])
def test_parts_of_the_same_times_come_once_over_many_pages(
    ledger: Ledger, newest_first: bool
) -> None:
    found = list(ledger.parts_of_unit(BUCKET, "u", newest_first=newest_first))
    files = sum(2 for number in range(1, _FILES + 1) if number % 4 != 1)
    compactions = sum(2 for number in range(1, _COMPACTIONS + 1) if number % 3 != 1)
    assert len(found) == len(set(found)) == files + compactions
    assert sum(part.is_compacted for part in found) == compactions
    times = [part.newest if newest_first else part.oldest for part in found]
    assert times == sorted(times, reverse=newest_first)
    assert list(ledger.parts_of_unit(BUCKET, "nobody", newest_first=newest_first)) == [
        part for part in found if part.receipt_id % (3 if part.is_compacted else 4) == 0
    ]
