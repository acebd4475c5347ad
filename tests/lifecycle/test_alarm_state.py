"""Cases open and close as training measures alarms, however readings are divided into files."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from presagio.inference.alarm_rule import alarms_on
from presagio.lifecycle.alarm_state import (
    AlarmMemory,
    Decision,
    Newer,
    Reading,
    advance,
    after_end,
    looks_back,
)
from presagio.machine.learning import AlarmRule

_RULES = st.builds(
    lambda needed, more, quiet: AlarmRule(confirm=(needed, needed + more), quiet=quiet),
    st.integers(1, 4), st.integers(0, 3), st.integers(1, 5),
)  # fmt: skip
_MODES = st.sampled_from(["", "wear", "heat"])
_READINGS = st.lists(st.tuples(st.booleans(), _MODES), max_size=40)
_ENDS = st.lists(st.integers(0, 40), max_size=3, unique=True)
_RULE = AlarmRule(confirm=(2, 3), quiet=2)


def _readings(found: list[tuple[bool, str]]) -> list[Reading]:
    return [Reading(float(i), label, mode) for i, (label, mode) in enumerate(found)]


def _labels(text: str, mode: str = "") -> list[Reading]:
    return _readings([(letter == "x", mode) for letter in text])


def _in_files(
    rule: AlarmRule, readings: list[Reading], cuts: list[int], ended: list[float]
) -> tuple[AlarmMemory, list[Decision]]:
    """Go on file by file; the memory is written and read each time, as the ledger does."""
    memory, decisions, start = AlarmMemory(), list[Decision](), 0
    for end in [*sorted({cut for cut in cuts if cut < len(readings)}), len(readings)]:
        (found,) = advance(rule, [Newer(memory, readings[start:end], ended)])
        decisions += [one._replace(place=one.place + start) for one in found.decisions]
        memory, start = AlarmMemory.from_json(found.memory.as_json()), end
    return memory, decisions


@given(_RULES, _READINGS, st.lists(st.integers(0, 40), max_size=5), _ENDS)
def test_files_are_divided_in_any_way(
    rule: AlarmRule, found: list[tuple[bool, str]], cuts: list[int], ends: list[int]
) -> None:
    readings, ended = _readings(found), [float(end) for end in ends]
    assert _in_files(rule, readings, cuts, ended) == _in_files(rule, readings, [], ended)


@given(_RULES, _READINGS, st.lists(st.integers(0, 40), max_size=5), _ENDS)
def test_a_case_is_open_where_training_takes_an_alarm_to_be_on(
    rule: AlarmRule, found: list[tuple[bool, str]], cuts: list[int], ends: list[int]
) -> None:
    readings, ended = _readings(found), [float(end) for end in ends]
    memory, decisions = _in_files(rule, readings, cuts, ended)
    lives = np.array(
        [sum(end < place for end in ended) for place in range(len(readings))], dtype=np.int64
    )
    label = np.array([one.label for one in readings], dtype=bool)
    on = alarms_on(label, lives, rule)
    open_modes, seen = set[str](), []
    for place in range(len(readings)):
        for one in decisions:
            if one.place == place and one.kind == "open":
                assert one.mode not in open_modes, "one case a mode"
                assert readings[place].label or rule.confirm[0] <= sum(label[:place])
                open_modes.add(one.mode)
            elif one.place == place:
                open_modes.clear()
        seen.append(bool(open_modes))
    assert seen == on.tolist()
    assert memory.on == (bool(on[-1]) if len(on) else False)
    assert set(memory.modes) == open_modes
    assert len(memory.recent) <= looks_back(rule)


@given(_RULES, st.lists(_READINGS, max_size=4))
def test_units_do_not_meet(rule: AlarmRule, found: list[list[tuple[bool, str]]]) -> None:
    units = [Newer(AlarmMemory(), _readings(one)) for one in found]
    assert advance(rule, units) == [advance(rule, [one])[0] for one in units]


def test_odd_readings_open_nothing() -> None:
    assert _in_files(_RULE, _labels("x..x..x"), [], [])[1] == []


def test_an_alarm_is_opened_once_and_closed_by_quiet_readings() -> None:
    decisions = _in_files(_RULE, _labels("x.xxx.x..xx"), [], [])[1]
    assert decisions == [Decision("open", 2), Decision("quiet", 8), Decision("open", 10)]


def test_another_mode_has_to_be_confirmed_by_itself() -> None:
    both = [(True, "wear"), (True, "wear"), (True, "heat"), (True, "wear"), (True, "heat")]
    decisions = _in_files(_RULE, _readings(both), [3], [])[1]
    assert decisions == [Decision("open", 1, "wear"), Decision("open", 4, "heat")]


def test_after_a_person_has_closed_it_the_same_alarm_is_not_opened_again() -> None:
    """The ledger closes a case; what is kept of the readings still says that one was opened."""
    memory, _ = _in_files(_RULE, _labels("xx"), [], [])
    later = [Reading(2.0 + i, label=True) for i in range(5)]
    assert advance(_RULE, [Newer(memory, later)])[0].decisions == ()


def test_a_repair_begins_a_life_in_which_nothing_is_on() -> None:
    decisions = _in_files(_RULE, _labels("xxxxx"), [], [2.0])[1]
    assert decisions == [
        Decision("open", 1), Decision("ended", 3, ended=2.0), Decision("open", 4),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ended", "still_open", "on", "kept"),
    [(3.0, [], False, 0), (0.5, [], False, 1), (0.5, ["wear"], True, 1), (-1.0, [""], True, 1)],
)
def test_a_repair_that_becomes_known_later_ends_what_was_before_it(
    ended: float, still_open: list[str], on: bool, kept: int
) -> None:
    rule = AlarmRule(confirm=(1, 1), quiet=2)
    memory, _ = _in_files(rule, _labels("xx"), [], [])
    found = after_end(memory, ended, still_open)
    assert (found.on, len(found.recent)) == (on, kept)


def test_readings_without_times_are_of_one_life() -> None:
    readings = [Reading(None, label=True)] * 3
    assert advance(_RULE, [Newer(AlarmMemory(), readings)])[0].decisions == (Decision("open", 1),)
