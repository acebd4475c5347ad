"""What a unit's readings are drawn as: each feature, with the operating limits that are on it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from presagio.ingest.unit_span import FoundReadings
from presagio.jobs.downsampling import Drawn, downsample, newest_of_buckets
from presagio.machine.failure_rules import Bound, FailureRule
from presagio.machine.limits import derive_quantities, threshold_of
from presagio.machine.spec import MachineSpec

Floats = NDArray[np.float64]

POINTS = 300
_MOST_CHARTS = 60


@dataclass(frozen=True)
class LimitLine:
    """An operating limit on a chart.

    Attributes
    ----------
    mode
        The failure mode that it defines.
    side
        On which side of it the machine may fail.
    values
        Where it lies, shape ``(b,)``: it may depend on a category, which may change.
    together
        Names of what else has to be outside its limit for the mode; empty where this one is enough.
    certain
        Whether the mode happens then, or may.
    """

    mode: str
    side: str
    values: Floats
    together: tuple[str, ...]
    certain: bool


@dataclass(frozen=True)
class Chart:
    """One feature, or one quantity that is derived from features, over time.

    Attributes
    ----------
    name
        As the machine spec has it.
    low, high
        Shape ``(b,)``, in its unit; the times are those of :class:`Charts`.
    newest
        The newest value; None where there is none.
    limits
        Limits that are on it.
    of
        Of which features it is derived; empty of a feature.
    """

    name: str
    low: Floats
    high: Floats
    newest: float | None
    limits: tuple[LimitLine, ...]
    of: tuple[str, ...] = ()


@dataclass(frozen=True)
class Charts:
    """A unit's readings as charts.

    Attributes
    ----------
    drawn
        The points that all charts share.
    charts
        Those with a limit first, then the other features in the spec's order.
    left_out
        How many features have no chart, since there are so many.
    """

    drawn: Drawn
    charts: tuple[Chart, ...]
    left_out: int


def draw_readings(spec: MachineSpec, found: FoundReadings, points: int = POINTS) -> Charts:
    """Draw readings, and the operating limits on them.

    A limit may be on a product of features: no line of one feature could show it, so that product
    has a chart of its own.

    Parameters
    ----------
    spec
        The machine spec.
    found
        Readings, with all of ``spec.input_names``.
    points
        So many at most.
    """
    inputs = {name: _numbers(found.rows[name]) for name in spec.input_names}
    limited = {bound.of for rule in spec.rules for bound in rule.bounds}
    derived = derive_quantities(spec, inputs) if limited - set(spec.feature_names) else {}
    values = {name: inputs[name] for name in spec.feature_names}
    values |= {name: found for name, found in derived.items() if name in limited}
    shown = sorted(values, key=lambda name: name not in limited)[:_MOST_CHARTS]
    left_out, values = len(values) - len(shown), {name: values[name] for name in shown}
    drawn = downsample(found.times, values, points)
    parts = {quantity.name: quantity for quantity in spec.derived}
    charts = [
        Chart(
            name, drawn.low[name], drawn.high[name], _newest(values[name]),
            _lines(spec, name, inputs, found.times, drawn),
            parts[name].of if name in parts else (),
        )
        for name in values
    ]  # fmt: skip
    return Charts(drawn, tuple(charts), left_out)


def _numbers(column: pl.Series) -> Floats:
    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _newest(values: Floats) -> float | None:
    known = values[~np.isnan(values)]
    return float(known[-1]) if len(known) else None


def _lines(
    spec: MachineSpec, name: str, inputs: Mapping[str, Floats], times: Floats, drawn: Drawn
) -> tuple[LimitLine, ...]:
    if not len(times):
        return ()
    return tuple(
        _line(rule, bound, np.broadcast_to(threshold_of(bound, spec, inputs), times.shape), times,
              drawn)
        for rule in spec.rules for bound in rule.bounds if bound.of == name
    )  # fmt: skip


def _line(
    rule: FailureRule, bound: Bound, threshold: Floats, times: Floats, drawn: Drawn
) -> LimitLine:
    others = tuple(other.of for other in rule.bounds if other is not bound)
    side = "below" if bound.above is None else "above"
    return LimitLine(
        rule.mode, side, newest_of_buckets(times, threshold, drawn), others, rule.certain
    )
