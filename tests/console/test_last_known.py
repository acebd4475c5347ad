import pytest

from presagio.console.last_known import LastKnown
from presagio.errors import NotFoundError, StorageError


def _unavailable() -> int:
    raise StorageError("the ledger cannot be used")


def test_what_was_read_last_is_shown_with_its_time() -> None:
    known = LastKnown()
    before = known.read("units", lambda: 7)
    now = known.read("units", _unavailable)
    assert (now.value, now.at) == (7, before.at)
    assert isinstance(now.fault, StorageError)
    assert known.read("units", lambda: 8).fault is None


def test_what_was_never_read_is_not_shown() -> None:
    with pytest.raises(StorageError):
        LastKnown().read("units", _unavailable)


def test_what_is_not_there_any_more_is_not_shown_either() -> None:
    known = LastKnown()
    known.read("unit", lambda: 7)

    def gone() -> int:
        raise NotFoundError("no such unit")

    with pytest.raises(NotFoundError):
        known.read("unit", gone)


def test_of_many_the_ones_asked_for_last_are_kept() -> None:
    known = LastKnown(most=2)
    for key in ("a", "b", "a", "c"):
        known.read(key, lambda: 1)
    assert known.read("a", _unavailable).value == 1
    with pytest.raises(StorageError):
        known.read("b", _unavailable)


def test_searches_push_out_searches_and_no_other_pages() -> None:
    known = LastKnown(most_of_a_sort=2)
    known.read("fleets", lambda: 7)
    for number in range(5):
        known.read(("search", number), lambda: 1)
    assert known.read("fleets", _unavailable).value == 7
    assert known.read(("search", 4), _unavailable).value == 1
    with pytest.raises(StorageError):
        known.read(("search", 2), _unavailable)
