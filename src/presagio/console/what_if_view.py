"""The sliders of the page "What if", from the machine spec."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from presagio.console.presentation import Presentation
from presagio.machine.inputs import Category, Feature
from presagio.machine.spec import MachineSpec
from presagio.machine.titles import title_in

_STEPS = 200
# Digits that are kept in another unit than the spec's: what follows is binary noise.
_DIGITS = 10
_HAIR = 1e-9


@dataclass(frozen=True)
class Slider:
    """One feature.

    Attributes
    ----------
    field
        Its name in the form.
    value
        In the unit that is shown, as ``low`` and ``high``; empty of a missing one.
    low, high
        The ends of the range; None where every number is plausible.
    first, last, step
        Between which values, and by how much, the slider moves: round numbers within the range.
    """

    field: str
    title: str
    unit: str
    value: str
    low: float | None
    high: float | None
    first: float | None
    last: float | None
    step: float | None
    is_optional: bool


@dataclass(frozen=True)
class Choice:
    """One category; ``values`` each with whether it is chosen."""

    field: str
    title: str
    values: tuple[tuple[str, bool], ...]


def _steps(low: float, high: float) -> tuple[float, float, float]:
    """Return the first and the last value of a slider, and its step.

    The step is 1, 2 or 5 times a power of ten, the values are multiples of it: a range of
    -23.15 °C to 76.85 °C, which was round in K, is moved through by 27, 27.5 and 28 °C.
    """
    rough = (high - low) / _STEPS
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((k * power for k in (1, 2, 5, 10) if k * power >= rough), default=power)
    # A hair beside a multiple is that multiple.
    first = math.ceil(low / step - _HAIR) * step
    last = math.floor(high / step + _HAIR) * step
    return _clean(first), _clean(last), step


def _clean(number: float) -> float:
    return float(f"{number:.{_DIGITS}g}")


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
        self._spec, self._start, self._units = spec, start, show.units_of(spec)
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
        value = self._units.of(feature.name).from_shown(shown)
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
        unit = self._units.of(feature.name)

        def shown(number: float) -> float:
            return _clean(unit.reading(number))

        low = high = first = last = step = None
        if feature.range is not None:
            low, high = map(shown, feature.range)
            first, last, step = _steps(low, high)
        text = "" if value is None else f"{shown(float(value)):.{_DIGITS}g}"
        return Slider(
            f"v.{feature.name}", self.title(feature), unit.symbol, text, low, high, first, last,
            step, feature.name in self._optional,
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
