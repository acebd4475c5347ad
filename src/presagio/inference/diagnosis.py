"""Why a reading is an alarm, how long until one comes, and what would clear it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from presagio.inference.alarm_modes import name_modes
from presagio.inference.imputation import input_columns
from presagio.inference.predictor import Predictor
from presagio.inference.shapley import Attribution, attribute
from presagio.machine.inputs import Feature
from presagio.machine.limits import distances_of, signed_distances
from presagio.machine.spec import MachineSpec

Floats = NDArray[np.float64]

_STEPS = 256
_ROUNDS = 3
_DIGITS = 4


@dataclass(frozen=True)
class LimitState:
    """How one reading stands to one operating limit.

    Attributes
    ----------
    distance
        To the limit, in ``unit``; negative beyond it.
    minutes_left
        Minutes of work at the present load until it is reached, 0 beyond it; None for a limit that
        wear does not bring nearer.
    """

    name: str
    mode: str
    distance: float
    unit: str
    minutes_left: float | None


@dataclass(frozen=True)
class Change:
    """The smallest change of one reading after which there is no alarm."""

    feature: str
    now: float
    to: float
    unit: str


@dataclass(frozen=True)
class Explanation:
    """What a technician wants to know of one answer.

    Attributes
    ----------
    mode
        The likeliest failure mode, by :func:`presagio.inference.alarm_modes.name_modes`; None where
        that names none.
    odds
        Log odds of each detector.
    limits
        In the spec's order.
    attribution
        None where the artifact has no background rows.
    clearing
        None where there is no alarm, no single change clears it, or earlier readings count too.
    """

    mode: str | None
    odds: dict[str, float]
    limits: tuple[LimitState, ...]
    attribution: Attribution | None
    clearing: Change | None


def minutes_left(spec: MachineSpec, inputs: Floats) -> dict[str, float]:
    """Say how long one row's machine can work as it does now until each limit that wear brings.

    Parameters
    ----------
    spec
        The machine spec; features with ``per_minute`` grow, all others stay.
    inputs
        One row, shape ``(k,)``.

    Returns
    -------
    dict
        Name of a limit → minutes; 0 where it is broken already. A limit that is not reached before
        a feature leaves its plausible range is not in it.
    """
    wearing = [f for f in spec.features if f.per_minute is not None]
    if not wearing:
        return {}
    places = {name: i for i, name in enumerate(spec.input_names)}
    # What wears has a range.
    span = min((f.bounds[1] - inputs[places[f.name]]) / (f.per_minute or 1.0) for f in wearing)
    minutes = np.linspace(0.0, max(span, 0.0), _STEPS)
    rows = np.repeat(inputs[None], _STEPS, axis=0)
    for feature in wearing:
        rows[:, places[feature.name]] += minutes * (feature.per_minute or 1.0)
    found = {}
    for name, distance in signed_distances(spec, input_columns(spec, rows)).items():
        if np.ptp(distance) == 0.0 or not (beyond := distance <= 0.0).any():
            continue
        first = int(np.argmax(beyond))
        before = max(first - 1, 0)
        # Between two steps the way is straight: distances are products with what wears.
        fall = distance[before] - distance[first]
        share = distance[before] / fall if fall > 0 else 0.0
        found[name] = float(minutes[before] + share * (minutes[first] - minutes[before]))
    return found


def _cleared(predictor: Predictor, inputs: Floats, place: int, values: Floats) -> NDArray[np.bool_]:
    rows = np.repeat(inputs[None], len(values), axis=0)
    rows[:, place] = values
    return ~predictor.predict(rows).label


def _nearest(
    predictor: Predictor, inputs: Floats, bounds: tuple[float, float], place: int
) -> float | None:
    """Return the value nearest to the present one at which there is no alarm."""
    now, (low, high) = inputs[place], bounds
    values = np.linspace(low, high, _STEPS)
    clear = values[_cleared(predictor, inputs, place, values)]
    if not len(clear):
        return None
    good = clear[np.argmin(np.abs(clear - now))]
    step = (high - low) / (_STEPS - 1)
    bad = good + np.sign(now - good) * min(step, abs(now - good))
    for _ in range(_ROUNDS):
        values = np.linspace(good, bad, _STEPS // 8)
        calm = _cleared(predictor, inputs, place, values)
        last = int(np.argmin(calm)) - 1 if not calm.all() else len(values) - 1
        good, bad = values[max(last, 0)], values[min(max(last, 0) + 1, len(values) - 1)]
    rounded = float(f"{good:.{_DIGITS}g}")
    return rounded if _cleared(predictor, inputs, place, np.array([rounded]))[0] else float(good)


def _searched(feature: Feature, seen: Floats) -> tuple[float, float] | None:
    """Return between which values a change is looked for: the range, or what the model has seen."""
    if feature.range is not None or not len(seen) or np.ptp(seen) == 0.0:
        return feature.range
    return float(seen.min()), float(seen.max())


def smallest_change(predictor: Predictor, inputs: Floats) -> Change | None:
    """Find the smallest single change that would clear an alarm.

    Parameters
    ----------
    predictor
        The model.
    inputs
        One row that is an alarm, shape ``(k,)``.

    Returns
    -------
    Change or None
        Of the features that can be adjusted, the one with the smallest change in standard
        deviations of the background rows (in shares of its range where there are none).
    """
    spec = predictor.artifact.spec
    background = np.array(predictor.artifact.manifest.background)
    found: list[tuple[float, Change]] = []
    known = {name: i for i, name in enumerate(spec.model_inputs)}
    for place, feature in enumerate(spec.features):
        bounds = _searched(feature, background[:, place] if len(background) else background)
        flag = known.get(feature.missing_name)
        # A value that is not there cannot be changed.
        missing = flag is not None and inputs[flag] > 0
        if not feature.adjustable or bounds is None or missing:
            continue
        to = _nearest(predictor, inputs, bounds, place)
        if to is None:
            continue
        spread = background[:, place].std() if len(background) else 0.0
        scale = spread or bounds[1] - bounds[0]
        now = float(inputs[place])
        found.append((abs(to - now) / scale, Change(feature.name, now, to, feature.unit)))
    return min(found, key=lambda change: change[0])[1] if found else None


def explain(predictor: Predictor, inputs: Floats, *, alarm: bool) -> Explanation:
    """Explain the answer to one row.

    Parameters
    ----------
    predictor
        The model; its artifact says the machine spec and the background.
    inputs
        Row of shape ``(k,)``, as for :meth:`Predictor.predict`.
    alarm
        Whether the answer was an alarm, which is to be cleared.
    """
    spec, inputs = predictor.artifact.spec, predictor.complete(inputs[None])[0]
    odds = predictor.mode_odds(inputs[None])
    measured = signed_distances(spec, input_columns(spec, inputs[None]))
    minutes = minutes_left(spec, inputs)
    limits = tuple(
        LimitState(
            limit.name,
            limit.mode,
            float(measured[limit.name][0]),
            limit.unit,
            minutes.get(limit.name),
        )
        for limit in distances_of(spec)
    )
    return Explanation(
        name_modes(spec, inputs[None], odds)[0],
        {name: float(values[0]) for name, values in odds.items()},
        limits,
        attribute(predictor, inputs),
        # Of a series nothing can be changed but its last reading, and that moves little.
        smallest_change(predictor, inputs) if alarm and not spec.has_history else None,
    )


def describe_explanation(spec: MachineSpec, found: Explanation) -> dict[str, Any]:
    """Return an explanation as answers and the ledger of alarms have it: what JSON can hold."""
    titles = {mode.name: mode.title for mode in spec.modes}
    parts, change = found.attribution, found.clearing
    return {
        "mode": found.mode,
        "title": titles.get(found.mode) if found.mode else None,
        "odds": found.odds,
        "limits": [
            {
                "limit": limit.name, "mode": limit.mode, "distance": limit.distance,
                "unit": limit.unit, "minutes_left": limit.minutes_left,
            }
            for limit in found.limits
        ],
        "base_probability": parts.base if parts else None,
        "contributions": parts.contributions if parts else {},
        "contribution_errors": parts.errors if parts else {},
        "clearing_change": dict(vars(change)) if change else None,
    }  # fmt: skip
