"""Faults of a machine spec are sentences, and their English says what and where."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field, TypeAdapter, ValidationError

import presagio.machine
from presagio.errors import InvalidSpecError
from presagio.machine.spec import parse_spec
from presagio.machine.spec_faults import SpecFaultError, describe_faults
from presagio.sentences import English, Listed, Sentence, Value

SOURCE = Path(presagio.machine.__file__).parent
SPEC = """name = "x"
title = "X"
[[features]]
name = "a"
unit = "bar"
[[categories]]
name = "seal"
values = ["single", "double"]
indicators = {double = "seal_double"}
example = "single"
[unit]
name = "pump"
[time]
name = "hours"
kind = "counter"
[target]
name = "y"
"""
HORIZON = '[label]\nkind = "horizon"\nwithin = 3\n'


def _faults(text: str) -> tuple[str | Sentence, ...]:
    with pytest.raises(InvalidSpecError) as refused:
        parse_spec(text.encode(), "x.toml")
    listed = "".join(f"\n  {fault}" for fault in refused.value.faults)
    assert str(refused.value) == f"machine spec x.toml is not valid:{listed}"
    assert str(refused.value.sentence) == str(refused.value)
    return refused.value.faults


def _is_english_only(value: Value) -> bool:
    match value:
        case English() | Sentence("%(expected)s, got %(got)s", {"expected": English()}):
            return True
        case Listed(parts):
            return any(map(_is_english_only, parts))
        case Sentence(_, values):
            return any(map(_is_english_only, values.values()))
        case _:
            return False


@pytest.mark.parametrize(
    ("old", "new", "english"),
    [
        ('title = "X"\n', "", "title: is missing"),
        ('title = "X"', 'title = "X"\ncolour = "red"',
         "line 3: colour: is no field of a machine spec"),
        ('name = "x"', "name = 1", "line 1: name: should be a valid string, got 1"),
        ('name = "x"', 'name = "X"',
         "line 1: name: String should match pattern '^[a-z][a-z0-9_]*$', got 'X'"),
        ('unit = "bar"', 'missing = "zero"',
         "line 5: features.0.missing: should be 'refuse', 'median' or 'last', got 'zero'"),
        ('unit = "bar"', 'from_events = "all"',
         "line 5: features.0.from_events: should be 'errors' or 'since_repair', got 'all'"),
        ('unit = "bar"', "log = 3",
         "line 5: features.0.log: should be a valid boolean, unable to interpret input, got 3"),
        ('unit = "bar"', "log = []", "line 5: features.0.log: should be a valid boolean, got []"),
        ('unit = "bar"', 'example = "much"',
         "line 5: features.0.example: should be a valid number, unable to parse string as a "
         "number, got 'much'"),
        ('unit = "bar"', "example = []",
         "line 5: features.0.example: should be a valid number, got []"),
        ('unit = "bar"', "example = inf",
         "line 5: features.0.example: should be a finite number, got inf"),
        ('unit = "bar"', "range = 4", "line 5: features.0.range: should be a valid tuple, got 4"),
        ('unit = "bar"', "range = [1, 2, 3]",
         "line 5: features.0.range: Tuple should have at most 2 items after validation, not 3, "
         "got [1, 2, 3]"),
        ('["single", "double"]', '"single"',
         "line 8: categories.0.values: should be a valid tuple, got 'single'"),
        ('{double = "seal_double"}', "3",
         "line 9: categories.0.indicators: should be a valid dictionary, got 3"),
        ('[target]\nname = "y"', "[alarm]\nquiet = 0.5\n[costs]",
         "line 17: alarm.quiet: should be a valid integer, got a number with a fractional part, "
         "got 0.5"),
        ("[target]", '[alarm]\nquiet = "x"\n[target]',
         "line 17: alarm.quiet: should be a valid integer, unable to parse string as an integer, "
         "got 'x'"),
        ("[target]", "[alarm]\nquiet = []\n[target]",
         "line 17: alarm.quiet: should be a valid integer, got []"),
        ("[target]", "[alarm]\nquiet = 0\n[target]",
         "line 17: alarm.quiet: should be greater than or equal to 1, got 0"),
        ("[target]", "[alarm]\nquiet = 1001\n[target]",
         "line 17: alarm.quiet: should be less than or equal to 1000, got 1001"),
        ("[target]", "[remaining_life]\nmost = 9\ncoverage = 0.5\n[target]",
         "line 18: remaining_life.coverage: should be greater than 0.5, got 0.5"),
        ("[target]", "[remaining_life]\nmost = 9\ncoverage = 1\n[target]",
         "line 18: remaining_life.coverage: should be less than 1, got 1"),
        ("[target]", "[windows]\nrows = [2]\nstatistics = []\n[target]",
         "line 18: windows.statistics: Tuple should have at least 1 item after validation, not 0, "
         "got []"),
        ('name = "x"\n', 'name = "x"\nalarm = 3\n',
         "line 2: alarm: should be a valid dictionary or instance of AlarmRule, got 3"),
    ],
)  # fmt: skip
def test_what_the_library_finds_is_a_sentence(old: str, new: str, english: str) -> None:
    assert old in SPEC
    faults = _faults(SPEC.replace(old, new, 1))
    assert english in map(str, faults)
    assert [fault for fault in faults if isinstance(fault, str) or _is_english_only(fault)] == []


@pytest.mark.parametrize(
    ("old", "new", "english"),
    [
        ('unit = "bar"', "range = [2, 1]",
         "line 3: features.0: feature a: the range (2.0, 1.0) holds nothing"),
        ('unit = "bar"', "range = [1, 2]\nexample = 3",
         "line 3: features.0: feature a: example 3.0 is outside (1.0, 2.0)"),
        ('unit = "bar"', 'unit = "bar"\ndisplay_unit = "K"',
         "line 3: features.0: feature a: display_unit is 'K', and readings in 'bar' can be shown "
         "in ['bar']"),
        ('example = "single"', 'example = "none"',
         "line 6: categories.0: category seal: ['none'] not among values ('single', 'double')"),
        ('"seal_double"}\nexample', '"a"}\nexample',
         "line 4: names must be unique, these are not: ['a']"),
        ('kind = "counter"', 'kind = "counter"\nstep = "1h"',
         "line 13: time: time hours: step is a number, as it is a counter"),
        ('kind = "counter"', 'zone = "Here"',
         "line 15: time.zone: 'Here' is no time zone; write one such as 'Europe/Madrid'"),
        ('kind = "counter"', 'format = "%d.%Q"',
         "line 13: time: time hours: %Q is no directive of a format"),
        ("[target]", f'{HORIZON.replace("3", "true")}[remaining_life]\nmost = "9d"\n[target]',
         "most is a number, as the time is a counter"),
        ("[target]", f"{HORIZON.replace('3', '-3')}[target]",
         "line 16: label: within -3.0 is not ahead"),
        ('[unit]\nname = "pump"\n', HORIZON, "a label with a horizon needs [unit] and [time]"),
        ('[unit]\nname = "pump"\n', '[division]\nby = "unit"\n',
         "rows are divided by unit, and there is no [unit]"),
        ("[target]", "[remaining_life]\nmost = 9\n[target]",
         'remaining life needs [label] kind = "horizon"'),
        ("[target]", "[windows]\ndurations = [3]\n[target]",
         "a window of 3.0 has to have 2 to 500 steps of [time], whose step says how far readings "
         "are apart"),
        ("[target]", '[windows]\nrows = [2]\nof = ["b"]\n[target]',
         "windows are of features, and b is none"),
        ("[target]", '[[quantities]]\nname = "q"\nkind = "log"\nof = ["a", "b"]\n[target]',
         "line 16: quantities.0: quantity q: a log is of one name"),
        ('title = "X"', 'title = {es = "X"}', "line 2: title: a title by language needs en"),
        ('name = "y"\n', 'name = "y"\ntrue_words = ["n"]\nfalse_words = ["N"]\n',
         "line 16: target: label y: ['n'] mean true and false"),
    ],
)  # fmt: skip
def test_what_a_table_refuses_is_a_sentence(old: str, new: str, english: str) -> None:
    assert old in SPEC
    (fault,) = _faults(SPEC.replace(old, new, 1))
    assert str(fault) == english
    assert isinstance(fault, Sentence)
    assert not _is_english_only(fault)


def test_what_is_no_toml_has_the_words_of_the_library_in_a_sentence() -> None:
    with pytest.raises(InvalidSpecError) as refused:
        parse_spec(b"name = ", Sentence("of the new fleet"))
    assert str(refused.value) == (
        "machine spec of the new fleet is no TOML: Invalid value (at end of document)"
    )
    sentence = refused.value.sentence
    assert refused.value.faults == (sentence,)
    assert sentence is not None
    assert sentence.values["why"] == English("Invalid value (at end of document)")


def test_what_the_library_words_otherwise_is_english_in_a_sentence() -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(Annotated[int, Field(multiple_of=2)]).validate_python(3)
    (fault,) = describe_faults(refused.value, "")
    assert str(fault) == "should be a multiple of 2, got 3"
    assert fault.values["expected"] == English("should be a multiple of 2")
    # Of two items it says "items".
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(Annotated[tuple[int, ...], Field(min_length=2)]).validate_python((1,))
    (fault,) = describe_faults(refused.value, "")
    assert str(fault) == "Tuple should have at least 2 items after validation, not 1, got (1,)"
    assert _is_english_only(fault)


def _raised() -> Iterator[tuple[str, ast.Call]]:
    for path in SOURCE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                yield f"{path.name}:{node.lineno}", node.exc


def test_each_refusal_of_a_machine_spec_is_a_sentence() -> None:
    """Texts of sentences are looked up by ``test_catalogue``."""
    raised = [(place, ast.unparse(call.func), call) for place, call in _raised()]
    assert [place for place, name, _ in raised if name == "ValueError"] == []
    refusals = [
        (place, call.args[0]) for place, name, call in raised
        if name in (SpecFaultError.__name__, InvalidSpecError.__name__)
    ]  # fmt: skip
    assert len(refusals) > 30
    assert [
        place for place, message in refusals
        if not isinstance(message, ast.Call) or ast.unparse(message.func) != Sentence.__name__
    ] == []  # fmt: skip
