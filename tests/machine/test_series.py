import pytest

from presagio.errors import InvalidSpecError
from presagio.machine.spec import parse_spec
from tests.motors import MOTORS, motors

_TEXT = MOTORS.read_text(encoding="utf-8")


def _with(old: str, new: str) -> bytes:
    assert old in _TEXT
    return _TEXT.replace(old, new).encode()


def test_rows_are_divided_by_unit_where_the_spec_does_not_say_it() -> None:
    assert motors().divided_by == ("unit", "motor")


def test_a_division_by_time_or_unit_needs_no_column() -> None:
    spec = parse_spec(_TEXT.encode() + b'\n[division]\nby = "time"\n', "motors")
    assert spec.divided_by == ("time", "taken_at")


def test_what_a_file_has_to_have_besides_features() -> None:
    assert motors().needed_columns == ("motor", "taken_at", "shop")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('zone = "Europe/Madrid"', 'zone = "Madrid"', "no time zone"),
        ('zone = "Europe/Madrid"', 'kind = "counter"\nformat = "%d"', "neither format nor zone"),
        ('zone = "Europe/Madrid"', 'format = "%d/%m/%Q"', "%Q is no directive"),
        ('zone = "Europe/Madrid"', 'format = "%H:%M"', "lacks the day or the year"),
        ('values = ["press", "forge"]', "values = []", "at least 1 item"),
        ('values = ["press", "forge"]', 'values = [" press"]', "white space"),
        ('[unit]\nname = "motor"\ncolumns = ["Motor no."]', "", r"needs \[unit\] and \[time\]"),
        ('name = "shop"', 'name = "load"', "names must be unique"),
        ("[target]", '[division]\nby = "time"\ncolumn = "load"\n[target]', "is no identifier"),
    ],
)  # fmt: skip
def test_a_mistake_is_named(old: str, new: str, fault: str) -> None:
    with pytest.raises(InvalidSpecError, match=fault):
        parse_spec(_with(old, new), "motors")


def test_a_division_by_what_is_not_there_is_a_mistake() -> None:
    text = (
        'name = "a"\ntitle = "A"\n[[features]]\nname = "x"\n[target]\nname = "y"\n'
        '[division]\nby = "time"\n'
    )
    with pytest.raises(InvalidSpecError, match=r"there is no \[time\]"):
        parse_spec(text.encode(), "a")
