"""Parts of a unit come in order of time, each once, wherever they are listed."""

import math
from collections.abc import Iterator
from uuid import uuid4

import pytest
import sqlalchemy as sa
from bench.receipts import BUCKET, make_receipts

from presagio.storage.ledger import Ledger
from presagio.storage.migration import migrate
from presagio.storage.parts_of_units import ListedPart, PartPlace, UnitTimes
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


def _listed(
    ledger: Ledger, wanted: UnitTimes, count: int, *, newest_first: bool
) -> list[ListedPart]:
    """Return all parts, so many of each unit at a time."""
    found, passed = list[ListedPart](), 0
    with ledger.parts_of_units(BUCKET) as parts:
        while some := parts.listed(wanted, passed=passed, count=count, newest_first=newest_first):
            found += some
            passed += count
    return found


@pytest.mark.parametrize("newest_first", [True, False])
def test_parts_of_the_same_times_come_once_a_unit_over_many_pages(
    ledger: Ledger, newest_first: bool
) -> None:
    always = UnitTimes(["u", "nobody"], [-math.inf] * 2, [math.inf] * 2)
    every = _listed(ledger, always, 30, newest_first=newest_first)
    found = [part for part in every if part.unit == "u"]
    files = sum(2 for number in range(1, _FILES + 1) if number % 4 != 1)
    compactions = sum(2 for number in range(1, _COMPACTIONS + 1) if number % 3 != 1)
    assert len(found) == len(set(found)) == files + compactions
    assert sum(part.is_compacted for part in found) == compactions
    times = [part.newest if newest_first else part.oldest for part in found]
    assert times == sorted(times, reverse=newest_first)
    # What may hold any unit may hold one that nobody knows.
    assert [part._replace(unit="u") for part in every if part.unit == "nobody"] == [
        part for part in found if part.number % (3 if part.is_compacted else 4) == 0
    ]


def test_of_each_unit_the_parts_between_its_times_are_listed_and_found(ledger: Ledger) -> None:
    wanted = UnitTimes(["u", "v"], [10.5, -math.inf], [math.inf, 0.5])
    found = _listed(ledger, wanted, 30, newest_first=True)
    assert {part.newest for part in found if part.unit == "u"} == {11, 12}
    assert {part.oldest for part in found if part.unit == "v"} == {0}
    places = [PartPlace(*part[:3]) for part in found]
    with ledger.parts_of_units(BUCKET) as parts:
        lies = parts.found(places)
    of_files = {place for place in places if not place.is_compacted and place in lies}
    assert of_files
    assert all(lies[place].number == place.number for place in of_files)
    # Their keys are numbers here.
    assert {int(lies[place].key) for place in places if place.is_compacted} == {0, 1}
