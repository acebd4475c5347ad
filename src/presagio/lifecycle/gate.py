"""The gate: whether a challenger may become champion, by rows that it has not seen."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from presagio.inference.imputation import input_columns
from presagio.inference.measures import average_precision, f1_of, row_costs
from presagio.inference.predictor import Prediction
from presagio.machine.limits import rows_by_category
from presagio.machine.spec import MachineSpec
from presagio.sentences import Number, Sentence, Share, Value

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

_RESAMPLES = 2000
_PER = 1000
# Of costs, in words.
_DECIMALS = 2


@dataclass(frozen=True)
class GateRules:
    """What a challenger has to show.

    Attributes
    ----------
    confidence
        In which share of resamples its expected cost must be lower than the champion's.
    worst_category
        By how much its expected cost of 1,000 readings may be higher for any one value of a
        category (a machine type), in missed failures a hundred readings.
    """

    confidence: float = 0.9
    worst_category: float = 1.0


@dataclass(frozen=True)
class Side:
    """Metrics of one side on the rows that both are evaluated on."""

    version: str
    cost: float
    f1: float
    average_precision: float
    cost_by_category: dict[str, float]


@dataclass(frozen=True)
class GateDecision:
    """What the gate says.

    Attributes
    ----------
    passed
        Whether the challenger may become champion.
    reasons
        Why not, or why.
    rows
        How many rows both were evaluated on.
    confidence
        The share of resamples in which the challenger cost less; None without a champion.
    """

    passed: bool
    reasons: tuple[Sentence, ...]
    rows: int
    challenger: Side | None
    champion: Side | None
    confidence: float | None


def _side(
    version: str, target: Bools, answer: Prediction, costs: Floats, groups: dict[str, Bools]
) -> Side:
    return Side(
        version,
        _PER * float(costs.mean()),
        f1_of(target, answer.label),
        average_precision(target, answer.score),
        {name: _PER * float(costs[rows].mean()) for name, rows in groups.items()},
    )


def _confidence(saved: Floats, target: Bools, units: NDArray[Any] | None, seed: int) -> float:
    """Return the share of resamples in which something is saved (paired bootstrap).

    The same rows are drawn for both sides, failures and others apart; where rows are of units,
    units with all their rows, since rows of one unit are alike. Source: Efron and Tibshirani, "An
    Introduction to the Bootstrap", 1993, chapter 16; Davison and Hinkley, "Bootstrap Methods and
    their Application", 1997, section 3.8, for units.
    """
    rng, total = np.random.default_rng(seed), np.zeros(_RESAMPLES)
    if units is not None:
        _, codes = np.unique(units, return_inverse=True)
        sums = np.bincount(codes, weights=saved)
        values, counts = np.unique(sums, return_counts=True)
        draws = rng.multinomial(len(sums), counts / len(sums), size=_RESAMPLES)
        return float(np.mean(draws @ values > 0.0))
    for kind in (saved[target], saved[~target]):
        # Few rows differ at all: how often each is drawn is all that matters.
        values, counts = np.unique(kind, return_counts=True)
        total += rng.multinomial(len(kind), counts / len(kind), size=_RESAMPLES) @ values
    return float(np.mean(total > 0.0))


def compare(
    spec: MachineSpec,
    rows: Floats,
    target: Bools,
    challenger: tuple[str, Prediction],
    champion: tuple[str, Prediction],
    *,
    rules: GateRules,
    units: NDArray[Any] | None = None,
    seed: int = 0,
) -> GateDecision:
    """Compare a challenger with the champion.

    Parameters
    ----------
    spec
        The machine spec, whose costs count.
    rows, target
        Labelled rows, shape ``(n, k)``, or ``(n, m)`` with flags of gaps, and ``(n,)``.
    challenger, champion
        The version of each, and what it says of these rows.
    rules
        What the challenger has to show.
    units
        Of which unit each row is, shape ``(n,)``; None where rows stand alone.
    seed
        Seed of the resamples.
    """
    groups = rows_by_category(spec, input_columns(spec, rows))
    new = row_costs(target, challenger[1].label, spec.costs)
    old = row_costs(target, champion[1].label, spec.costs)
    sides = (
        _side(challenger[0], target, challenger[1], new, groups),
        _side(champion[0], target, champion[1], old, groups),
    )
    confidence = _confidence(old - new, target, units, seed)
    compared = Sentence(
        "its expected cost of 1,000 readings is %(cost)s, the champion's %(champion)s; it is lower "
        "in %(share)s of resamples",
        {
            "cost": Number(sides[0].cost, _DECIMALS),
            "champion": Number(sides[1].cost, _DECIMALS), "share": Share(confidence),
        },
    )  # fmt: skip
    reasons = []
    if confidence < rules.confidence:
        reasons.append(_too_uncertain(compared, rules, len(target), units))
    allowed = rules.worst_category / 100 * _PER * spec.costs.missed_failure
    for name, cost in sides[0].cost_by_category.items():
        if cost > sides[1].cost_by_category[name] + allowed:
            reasons.append(_worse_category(name, cost, sides[1].cost_by_category[name], allowed))
    return GateDecision(not reasons, tuple(reasons) or (compared,), len(target), *sides, confidence)


def _too_uncertain(
    compared: Sentence, rules: GateRules, rows: int, units: NDArray[Any] | None
) -> Sentence:
    values: dict[str, Value] = {
        "compared": compared, "rows": Number(rows, 0), "wanted": Share(rules.confidence),
    }  # fmt: skip
    if units is None:
        return Sentence("%(compared)s of %(rows)s rows, %(wanted)s are needed", values)
    values["units"] = Number(len(np.unique(units)), 0)
    return Sentence(
        "%(compared)s of %(rows)s rows of %(units)s units, %(wanted)s are needed", values
    )


def _worse_category(name: str, cost: float, champion: float, allowed: float) -> Sentence:
    return Sentence(
        "for %(category)s its expected cost of 1,000 readings is %(cost)s, the champion's "
        "%(champion)s; at most %(allowed)s more are allowed",
        {
            "category": name, "cost": Number(cost, _DECIMALS),
            "champion": Number(champion, _DECIMALS), "allowed": Number(allowed, _DECIMALS),
        },
    )  # fmt: skip
