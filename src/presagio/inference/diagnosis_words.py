"""A diagnosis in words: what is expected, what clears it, and why. The one owner of these words.

What a diagnosis holds is data, whoever stored it: what is missing, or of another kind, is left out.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from presagio.machine.limits import distances_of
from presagio.machine.shown_units import ShownUnits
from presagio.machine.spec import MachineSpec
from presagio.machine.titles import ENGLISH, title_in
from presagio.sentences import Measured, Points, Sentence, Value

# So many features are named that add most, and so many limits.
_MOST_NAMED = 3
_MOST_LIMITS = 4
# What adds less than a percentage point is no reason.
_LEAST = 0.01
_HOUR, _DAY = 60.0, 1440.0


@dataclass(frozen=True)
class DiagnosisWords:
    """A diagnosis in words.

    Attributes
    ----------
    expected
        What is expected.
    clearing
        What clears the alarm, or why no single change does.
    limits
        How operating limits stand that are broken, or that wear brings nearer.
    reasons
        Which features add most to the probability, and how they have changed.
    """

    expected: Sentence
    clearing: Sentence | None
    limits: tuple[Sentence, ...]
    reasons: tuple[Sentence, ...]

    @property
    def all(self) -> tuple[Sentence, ...]:
        """All sentences, the most useful first."""
        clearing = () if self.clearing is None else (self.clearing,)
        return (self.expected, *clearing, *self.limits, *self.reasons)


def describe(
    spec: MachineSpec, diagnosis: Mapping[str, Any], language: str = ENGLISH,
    shown: ShownUnits | None = None,
) -> DiagnosisWords:  # fmt: skip
    """Say a diagnosis in words.

    Parameters
    ----------
    spec
        The machine spec, which has titles and units.
    diagnosis
        As the API answers it and as it is kept of an alarm: ``mode``, ``clearing_change``,
        ``limits``, ``contributions``, ``changes``.
    language
        Of the titles, where the spec has them in several.
    shown
        The units that readings are shown in; those that the spec says where it is not given.
    """
    titles, shown = title_of(spec, language), shown or ShownUnits(spec)
    return DiagnosisWords(
        _expected(spec, diagnosis.get("mode"), titles),
        _clearing(spec, diagnosis, titles, shown),
        tuple(_limits(spec, diagnosis, titles, shown))[:_MOST_LIMITS],
        (*_reasons(diagnosis, titles), *_changes(diagnosis, titles, shown)),
    )


def title_of(spec: MachineSpec, language: str = ENGLISH) -> Callable[[object], str]:
    """Return what finds the title of a feature, quantity or mode; its name where it has none."""
    named = (*spec.features, *spec.quantities, *spec.categories, *spec.labels)
    named += tuple(each for each in (spec.unit, spec.time) if each is not None)
    titles = {each.name: title_in(each.title or each.name, language) for each in named}
    titles |= {
        indicator: f"{title_in(category.title or category.name, language)} {value}"
        for category in spec.categories for value, indicator in category.indicators.items()
    }  # fmt: skip

    def find(name: object) -> str:
        return titles.get(name, name) if isinstance(name, str) else ""

    return find


def _expected(spec: MachineSpec, mode: object, titles: Callable[[object], str]) -> Sentence:
    named: dict[str, Value] = {"mode": titles(mode)} if isinstance(mode, str) and mode else {}
    if spec.label.horizon is None:
        if named:
            return Sentence("%(mode)s is expected.", named)
        return Sentence("A failure is expected.", {})
    values = {**named, "horizon": _span(spec, titles)}
    if named:
        return Sentence("%(mode)s is expected within %(horizon)s.", values)
    return Sentence("A failure is expected within %(horizon)s.", values)


def _span(spec: MachineSpec, titles: Callable[[object], str]) -> Value:
    within = spec.label.within
    if isinstance(within, str):
        return spec.label.in_words
    return Measured(float(within or 0.0), titles(spec.day_name))


def _clearing(
    spec: MachineSpec, diagnosis: Mapping[str, Any], titles: Callable[[object], str],
    shown: ShownUnits,
) -> Sentence | None:  # fmt: skip
    change = diagnosis.get("clearing_change")
    if isinstance(change, Mapping):
        now, to, feature = _number(change, "now"), _number(change, "to"), change.get("feature")
        if now is not None and to is not None:
            unit = shown.of(feature, _unit(change))
            values: dict[str, Value] = {
                "feature": titles(feature), "now": Measured(unit.reading(now), unit.symbol),
                "to": Measured(unit.reading(to), unit.symbol),
            }  # fmt: skip
            if to > now:
                return Sentence("Raise %(feature)s from %(now)s to %(to)s: that clears it.", values)
            return Sentence("Lower %(feature)s from %(now)s to %(to)s: that clears it.", values)
    if spec.has_history:
        return Sentence(
            "No change of one reading clears it: the readings before count too.", {}
        )  # fmt: skip
    if "clearing_change" in diagnosis:
        return Sentence("No single change clears it: stop and inspect the machine.", {})
    return None


def _limits(
    spec: MachineSpec, diagnosis: Mapping[str, Any], titles: Callable[[object], str],
    shown: ShownUnits,
) -> Iterator[Sentence]:  # fmt: skip
    bounds = {distance.name: distance for distance in distances_of(spec)}
    broken, ahead = list[Sentence](), list[tuple[float, Sentence]]()
    for limit in _mappings(diagnosis.get("limits")):
        known, distance = bounds.get(str(limit.get("limit"))), _number(limit, "distance")
        if known is None or distance is None:
            continue
        unit = shown.of(known.bound.of)
        values: dict[str, Value] = {
            "quantity": titles(known.bound.of), "mode": titles(known.mode),
            "distance": Measured(unit.difference(abs(distance)), unit.symbol),
        }  # fmt: skip
        minutes = _number(limit, "minutes_left")
        if distance < 0:
            broken.append(_broken("below" if known.bound.above is None else "above", values))
        elif minutes is not None and minutes > 0:
            values["time"] = _duration(minutes)
            text = Sentence(
                "%(quantity)s reaches its limit in %(time)s of work at this load (%(mode)s).",
                values,
            )
            ahead.append((minutes, text))
    yield from broken
    yield from (sentence for _, sentence in sorted(ahead, key=lambda timed: timed[0]))


def _broken(side: str, values: Mapping[str, Value]) -> Sentence:
    if side == "below":
        return Sentence("%(quantity)s is %(distance)s below its limit (%(mode)s).", values)
    return Sentence("%(quantity)s is %(distance)s above its limit (%(mode)s).", values)


def _duration(minutes: float) -> Measured:
    if minutes < 2 * _HOUR:
        return Measured(float(round(minutes)), "min")
    if minutes < 2 * _DAY:
        return Measured(round(minutes / _HOUR, 1), "h")
    return Measured(round(minutes / _DAY, 1), "d")


def _reasons(diagnosis: Mapping[str, Any], titles: Callable[[object], str]) -> Iterator[Sentence]:
    found = diagnosis.get("contributions")
    if not isinstance(found, Mapping):
        return
    shares = {name: share for name in found if (share := _number(found, name)) is not None}
    ranked = sorted(shares.items(), key=lambda named: -named[1])
    for name, share in ranked[:_MOST_NAMED]:
        if share >= _LEAST:
            yield Sentence(
                "%(feature)s adds %(points)s percentage points to the probability.",
                {"feature": titles(name), "points": Points(share)},
            )


def _changes(
    diagnosis: Mapping[str, Any], titles: Callable[[object], str], shown: ShownUnits
) -> Iterator[Sentence]:
    for change in _mappings(diagnosis.get("changes")):
        by, over = _number(change, "by"), _number(change, "over")
        if by is None or over is None or by == 0.0:
            continue
        over_unit, unit = change.get("over_unit"), shown.of(change.get("feature"), _unit(change))
        values: dict[str, Value] = {
            "feature": titles(change.get("feature")),
            "by": Measured(unit.difference(abs(by)), unit.symbol),
            "over": Measured(over, titles(over_unit)),
        }  # fmt: skip
        if by > 0:
            yield Sentence("%(feature)s has risen by %(by)s in %(over)s.", values)
        else:
            yield Sentence("%(feature)s has fallen by %(by)s in %(over)s.", values)


def _mappings(found: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(found, list | tuple):
        yield from (each for each in found if isinstance(each, Mapping))


def _number(found: Mapping[str, Any], name: str) -> float | None:
    value = found.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _unit(found: Mapping[str, Any]) -> str:
    unit = found.get("unit")
    return unit if isinstance(unit, str) else ""
