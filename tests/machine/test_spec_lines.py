"""The line of a fault in a machine spec."""

import pytest

from presagio.machine.spec_lines import SpecLines

_TEXT = """\
name = "lathe"

[[features]]
name = "torque"
range = [1, 2]

[[features]]
name = "speed"
unit = "rpm"

[target]
name = "failed"

[[rules]]
mode = "overload"
[[rules.bounds]]
of = "torque"
[[rules.bounds]]
of = "speed"
"""


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (("name",), 1),
        (("features", 0, "range", 1), 5),
        (("features", 1, "unit"), 9),
        (("features", 1, "example"), 7),
        (("target", "name"), 12),
        (("rules", 0, "bounds", 1, "of"), 19),
        (("rules", 0, "certain"), 14),
        (("nothing",), None),
    ],
)
def test_a_key_or_the_table_around_it(place: tuple[str | int, ...], line: int | None) -> None:
    assert SpecLines(_TEXT).of(place) == line


def test_of_the_spec_as_a_whole_the_name_that_is_quoted() -> None:
    message = "names must be unique, these are not: ['speed']"
    assert SpecLines(_TEXT).of((), message) == 8
