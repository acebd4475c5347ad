"""What the page "What if" is made of: sliders from the machine spec, and what the API answers."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from presagio.console.presentation import Presentation
from presagio.console.wording import write_all
from presagio.inference.diagnosis_words import describe, title_of
from presagio.machine.inputs import Category, Feature
from presagio.machine.limits import distances_of
from presagio.machine.spec import MachineSpec
from presagio.machine.titles import title_in

_STEPS = 200
# Decimals of what is shown in another unit than the spec's.
_DIGITS = 6
# The score is the log odds of the probability, as far as an artifact's parity bound goes.
_PARITY = 1e-3


@dataclass(frozen=True)
class Slider:
    """One feature.

    Attributes
    ----------
    field
        Its name in the form.
    value, low, high, step
        In the unit that is shown; an empty value is a missing one.
    """

    field: str
    title: str
    unit: str
    value: str
    low: float | None
    high: float | None
    step: float | None
    is_optional: bool


@dataclass(frozen=True)
class Choice:
    """One category; ``values`` each with whether it is chosen."""

    field: str
    title: str
    values: tuple[tuple[str, bool], ...]


def _step(low: float, high: float) -> float:
    """Return a step of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / _STEPS
    power = 10.0 ** math.floor(math.log10(rough))
    return float(min((k * power for k in (1, 2, 5, 10) if k * power >= rough), default=power))


class Inputs:
    """The inputs of a reading as fields of a form, in the units that a visitor sees.

    Parameters
    ----------
    start
        The reading to begin with, by the spec's names of inputs; None where one is missing.
    """

    def __init__(
        self, show: Presentation, spec: MachineSpec, start: Mapping[str, float | bool | None]
    ) -> None:
        self._show, self._spec, self._start = show, spec, start
        self._language = show.catalogue.language
        self._optional = {*spec.optional_names}

    def read(self, query: Callable[[str], str]) -> dict[str, float | bool | None]:
        """Return the reading that the fields of an address make; where there is none, the start's.

        Raises
        ------
        ValueError
            If one is no number; the message is its title.
        """
        found: dict[str, float | bool | None] = {}
        sent = query("sent") == "1"
        for feature in self._spec.features:
            found[feature.name] = self._number(feature, query(f"v.{feature.name}"), sent=sent)
        for category in self._spec.categories:
            chosen = query(f"c.{category.name}") or self._chosen(category)
            for value, indicator in category.indicators.items():
                found[indicator] = value == chosen
        return found

    def _number(self, feature: Feature, text: str, *, sent: bool) -> float | None:
        if not text:
            start = self._start.get(feature.name)
            is_left_out = sent and feature.name in self._optional
            return None if is_left_out or start is None else float(start)
        try:
            shown = float(text)
        except ValueError:
            raise ValueError(self.title(feature)) from None
        if not math.isfinite(shown):
            raise ValueError(self.title(feature))
        value = self._show.from_shown(shown, feature.unit)
        # What is rounded for show may lie a hair beyond the ends of the range.
        if feature.range is not None:
            for end in feature.range:
                if math.isclose(value, end, rel_tol=1e-6):
                    return end
        return value

    def _chosen(self, category: Category) -> str:
        of_start = (v for v, name in category.indicators.items() if self._start.get(name))
        return next(of_start, category.remainder or category.example)

    def title(self, column: Feature | Category) -> str:
        """Return a title in the visitor's language."""
        return title_in(column.title or column.name, self._language)

    def sliders(self, values: Mapping[str, float | bool | None]) -> list[Slider]:
        """Return the features, each with its value."""
        return [self._slider(feature, values.get(feature.name)) for feature in self._spec.features]

    def _slider(self, feature: Feature, value: float | None) -> Slider:
        def shown(number: float) -> float:
            return round(self._show.convert(number, feature.unit), _DIGITS)

        low = high = step = None
        if feature.range is not None:
            low, high = sorted(map(shown, feature.range))
            step = _step(low, high)
        text = "" if value is None else f"{shown(float(value)):.10g}"
        return Slider(
            f"v.{feature.name}", self.title(feature), self._show.shown_unit(feature.unit), text,
            low, high, step, feature.name in self._optional,
        )  # fmt: skip

    def choices(self, values: Mapping[str, float | bool | None]) -> list[Choice]:
        """Return the categories, each with the value that is chosen."""
        return [
            Choice(f"c.{each.name}", self.title(each), self._values(each, values))
            for each in self._spec.categories
        ]

    def _values(
        self, category: Category, values: Mapping[str, float | bool | None]
    ) -> tuple[tuple[str, bool], ...]:
        named = (value for value, name in category.indicators.items() if values.get(name))
        chosen = next(named, category.remainder)
        return tuple((value, value == chosen) for value in category.values)


@dataclass(frozen=True)
class Outcome:
    """What the model says of such a reading.

    Attributes
    ----------
    threshold
        The probability from which on it is an alarm; None where the score is on another scale.
    words
        What is expected, what clears it, why.
    limits
        Quantity, failure mode and distance of each operating limit.
    """

    label: bool
    probability: float
    threshold: float | None
    version: str
    model: str
    degraded: bool
    mode: str
    remaining: str
    words: tuple[str, ...]
    limits: tuple[tuple[str, str, str, bool], ...]


def _share_of(answer: Mapping[str, Any]) -> float | None:
    def share(score: float) -> float:
        return 1.0 / (1.0 + math.exp(-max(-700.0, min(700.0, score))))

    agrees = abs(share(float(answer["score"])) - float(answer["probability"])) < _PARITY
    return share(float(answer["threshold"])) if agrees else None


def outcome(show: Presentation, spec: MachineSpec, answer: Mapping[str, Any]) -> Outcome:
    """Return what the API's answer says to a visitor.

    Raises
    ------
    KeyError, TypeError, ValueError
        If it is no answer of ``POST /predict``.
    """
    diagnosis = answer.get("diagnosis") or {}
    language = show.catalogue.language
    titles, words = title_of(spec, language), describe(spec, diagnosis, language)
    label = bool(answer["label"])
    sentences = words.all if label else (*words.limits, *words.reasons)
    life, remaining = answer.get("remaining_life") or {}, ""
    if life.get("value") is not None:
        remaining = f"{show.significant(float(life['value']))} {_unit(show, spec, life)}".strip()
    return Outcome(
        label, float(answer["probability"]), _share_of(answer), str(answer["version"]),
        str(answer["model"]), bool(answer.get("degraded")), titles(diagnosis.get("mode")),
        remaining, tuple(write_all(show, sentences)),
        tuple(_limits(show, spec, diagnosis.get("limits") or ())),
    )  # fmt: skip


def _unit(show: Presentation, spec: MachineSpec, life: Mapping[str, Any]) -> str:
    """Return what the time left is counted in."""
    unit = str(life.get("unit", ""))
    if spec.time is not None and unit == spec.time.name:
        return title_in(spec.time.title or unit, show.catalogue.language)
    return show.catalogue.gettext(unit)


def _limits(
    show: Presentation, spec: MachineSpec, found: Iterable[Mapping[str, Any]]
) -> Iterable[tuple[str, str, str, bool]]:
    known = {each.name: each for each in distances_of(spec)}
    titles = title_of(spec, show.catalogue.language)
    for limit in found:
        distance = known.get(str(limit.get("limit")))
        if distance is None:
            continue
        far = float(limit["distance"])
        text = show.difference(abs(far), distance.unit, 4)
        yield titles(distance.bound.of), titles(distance.mode), text, far < 0
