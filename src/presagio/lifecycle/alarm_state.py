"""When cases of units are opened and closed: from scores in order of time, and from events.

Pure: what is known of a unit and its newer readings give what is known then, and what is decided.
When an alarm is on says :mod:`presagio.inference.alarm_rule`, by which training measures lead times
too; here it goes on from one file to the next.

A case is opened where an alarm goes on, for the failure mode that the confirming reading names, and
for another mode once that is confirmed by itself. Of each mode one is opened until the alarm is
over: after somebody has closed a case, readings that go on to say so open no other.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from presagio.inference.alarm_rule import switches
from presagio.machine.learning import AlarmRule


class Reading(NamedTuple):
    """What a model says of one reading.

    Attributes
    ----------
    time
        As times are compared; None where readings have none.
    label
        Whether it says that the unit will fail.
    mode
        The failure mode that it names; empty for none.
    """

    time: float | None
    label: bool
    mode: str = ""


@dataclass(frozen=True)
class AlarmMemory:
    """What is kept of a unit between its files.

    Attributes
    ----------
    recent
        Its newest readings, as many as the rule looks back.
    on
        Whether the alarm is on.
    modes
        For which modes a case has been opened since.
    since
        The time of the reading at which it went on; None of one that is off, or without times.
    """

    recent: tuple[Reading, ...] = ()
    on: bool = False
    modes: tuple[str, ...] = ()
    since: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as the ledger keeps it."""
        recent = [[*one] for one in self.recent]
        return {"on": self.on, "modes": [*self.modes], "since": self.since, "recent": recent}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "AlarmMemory":
        """Return what :meth:`as_json` has made; of nothing, that of a unit without a reading."""
        recent = tuple(Reading(*one) for one in kept.get("recent", ()))
        modes = tuple(kept.get("modes", ()))
        return cls(recent, bool(kept.get("on")), modes, kept.get("since"))


class Decision(NamedTuple):
    """What is to be done about the cases of a unit.

    Attributes
    ----------
    kind
        ``open``: a case of a mode, unless one is open. ``quiet``, ``ended``: close all.
    place
        Which of the newer readings it is for: the confirming one, the last quiet one, or the first
        one of a new life.
    mode
        Of a case to open.
    ended
        When the life ended; None unless it did.
    """

    kind: Literal["open", "quiet", "ended"]
    place: int
    mode: str = ""
    ended: float | None = None


@dataclass(frozen=True)
class Newer:
    """Newer readings of a unit.

    Attributes
    ----------
    memory
        What was kept of it.
    readings
        In order of time, all after those that were kept.
    ended
        Times of its failures and repairs: a reading of that time is of the life that ended.
    """

    memory: AlarmMemory
    readings: Sequence[Reading]
    ended: Sequence[float] = ()


@dataclass(frozen=True)
class Advance:
    """What comes of newer readings: what to keep, and what was decided, in order."""

    memory: AlarmMemory
    decisions: tuple[Decision, ...]


def looks_back(rule: AlarmRule) -> int:
    """Return how many readings before a new one count."""
    return max(rule.confirm[1], rule.quiet) - 1


def _lives(readings: Iterable[Reading], ended: Sequence[float]) -> list[int]:
    """Return a number of the life that each reading is of, by the ends before it."""
    ends = np.sort(np.asarray(ended, dtype=np.float64))
    times = [np.inf if one.time is None else one.time for one in readings]
    return [int(life) for life in np.searchsorted(ends, times, side="left")]


def advance(rule: AlarmRule, units: Sequence[Newer]) -> list[Advance]:
    """Decide about the cases of units by their newer readings.

    Parameters
    ----------
    rule
        When an alarm is on.
    units
        One entry a unit.

    Returns
    -------
    list of Advance
        One a unit.
    """
    rows, lives, codes, first = list[Reading](), list[list[int]](), list[int](), 0
    for unit in units:
        both = [*unit.memory.recent, *unit.readings]
        lives.append(_lives(both, unit.ended))
        codes += [first + life for life in lives[-1]]
        first += len(unit.ended) + 1
        rows += both
    label = np.array([row.label for row in rows], dtype=bool)
    by_life = np.array(codes, dtype=np.int64)
    on, over = switches(label, by_life, rule)
    modes = np.array([row.mode for row in rows], dtype=object)
    confirmed = np.zeros(len(rows), dtype=bool)
    # A mode counts by itself only where it is named.
    for mode in {row.mode for row in rows if row.label}:
        here = modes == mode
        confirmed |= here & label & switches(label & here, by_life, rule)[0]
    found, start = list[Advance](), 0
    for unit, unit_lives in zip(units, lives, strict=True):
        part = slice(start, start + len(unit_lives))
        start = part.stop
        walk = _Walk(unit, unit_lives, on[part].tolist(), over[part].tolist())
        found.append(walk.advance(confirmed[part].tolist(), looks_back(rule)))
    return found


@dataclass(frozen=True)
class _Walk:
    """Goes through the readings of one unit, those that were kept and the newer ones."""

    unit: Newer
    lives: list[int]
    confirmed: list[bool]
    over: list[bool]

    def advance(self, of_mode: list[bool], back: int) -> Advance:
        """Return what is decided; ``of_mode`` tells where the reading's mode is confirmed."""
        memory, decisions = self.unit.memory, list[Decision]()
        on, modes, since = memory.on, {*memory.modes}, memory.since
        kept = len(memory.recent)
        ends = sorted(self.unit.ended)
        for place, reading in enumerate(self.unit.readings):
            at = kept + place
            if at and self.lives[at] != self.lives[at - 1]:
                # Also of a unit whose alarm is over: somebody else may have opened a case.
                decisions.append(Decision("ended", place, ended=ends[self.lives[at] - 1]))
                on, modes, since = False, set(), None
            if self.over[at]:
                if on:
                    decisions.append(Decision("quiet", place))
                on, modes, since = False, set(), None
            elif self.confirmed[at]:
                if reading.mode not in modes and (not on or of_mode[at]):
                    decisions.append(Decision("open", place, reading.mode))
                    modes.add(reading.mode)
                on, since = True, since if on else reading.time
        rows = [*memory.recent, *self.unit.readings]
        same = [row for row, life in zip(rows, self.lives, strict=True) if life == self.lives[-1]]
        recent = tuple(same[len(same) - back :] if len(same) > back else same) if back else ()
        memory = AlarmMemory(recent, on, tuple(sorted(modes)), since)
        return Advance(memory, tuple(decisions))


def after_end(memory: AlarmMemory, ended: float, still_open: Iterable[str]) -> AlarmMemory:
    """Return what is kept of a unit of which a failure or a repair becomes known.

    Parameters
    ----------
    memory
        What was kept.
    ended
        When it was, as times are compared.
    still_open
        Modes of the cases that stay open: a later reading has confirmed them.
    """
    later = tuple(one for one in memory.recent if one.time is None or one.time > ended)
    if memory.on and memory.since is not None and memory.since > ended:
        return replace(memory, recent=later)
    modes = tuple(sorted(still_open))
    return AlarmMemory(later, bool(modes), modes, ended if modes else None)
