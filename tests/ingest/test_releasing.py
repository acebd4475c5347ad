"""A release of a receipt that blocks nothing says why."""

from dataclasses import replace

import pytest

from presagio.errors import NotFoundError
from presagio.ingest.filing import Intake, file_object
from presagio.ingest.releasing import release
from presagio.storage.receipt import Receipt

pytestmark = pytest.mark.integration

HEADER = "Type,Air temperature [K],Process temperature [K],Rotational speed [rpm],Torque [Nm],"
HEADER += "Tool wear [min]\n"
GOOD, BAD = "L,300,310,1500,40,{number}\n", "L,300,310,1500,?,{number}\n"


def _file(intake: Intake, name: str, body: str) -> Receipt:
    intake.store.write(intake.prefixes.bucket, f"incoming/{name}", body.encode())
    receipt = file_object(intake, f"incoming/{name}")
    assert receipt is not None
    return receipt


def _note(intake: Intake, receipt: Receipt) -> str:
    done = release(intake, receipt.id, who="someone", why="x")
    assert (done.released, done.blocked) == (False, False)
    return str(done.note)


def test_what_blocks_is_released_once(intake: Intake) -> None:
    bad = _file(intake, "bad.csv", HEADER + BAD.format(number=1))
    done = release(intake, bad.id, who="someone", why="sensor was off")
    assert (done.released, done.blocked) == (True, True)
    assert str(done.note) == f"receipt {bad.id} (incoming/bad.csv) no longer blocks training"
    again = release(intake, bad.id, who="another", why="again")
    assert (again.released, again.blocked) == (False, True)
    assert str(again.note).endswith("by someone: sensor was off")


def test_what_blocks_nothing_is_named_with_the_reason(intake: Intake) -> None:
    taken = _file(intake, "good.csv", HEADER + GOOD.format(number=2))
    assert _note(intake, taken).endswith("blocks nothing: its rows were taken")
    same = _file(intake, "copy.csv", HEADER + GOOD.format(number=2))
    assert _note(intake, same).endswith(f"it has the same bytes as receipt {taken.id}")
    other = _file(intake, "none.csv", "a,b\n3,4\n")
    assert _note(intake, other).endswith("for another reason (missing_columns)")
    bad = _file(intake, "again.csv", HEADER + BAD.format(number=3))
    _file(intake, "again.csv", HEADER + GOOD.format(number=3))
    assert _note(intake, bad).endswith("a later file of its name was taken in its place")
    elsewhere = replace(intake, prefixes=intake.prefixes.model_copy(update={"bucket": "other"}))
    assert "not of other" in _note(elsewhere, bad)


def test_there_has_to_be_such_a_receipt(intake: Intake) -> None:
    with pytest.raises(NotFoundError, match="there is no receipt 99999999; see: presagio receipts"):
        release(intake, 99999999, who="someone", why="x")
