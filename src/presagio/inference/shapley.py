"""Shapley values of one answer: what each reading adds to the probability of a failure.

A coalition's worth is the mean probability over the background rows, with the readings of the
coalition put in their place (interventional; Lundberg and Lee 2017, "A unified approach to
interpreting model predictions"). All coalitions go through the graph as one array; where there are
too many, readings are put in place one by one in orders drawn by chance, each order also backwards
(Štrumbelj and Kononenko 2014, "Explaining prediction models and individual predictions with feature
contributions"; Mitchell et al. 2022, "Sampling permutations for Shapley value estimation").
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from math import comb

import numpy as np
from numpy.typing import NDArray

from presagio.inference.predictor import Predictor
from presagio.machine.learning import AGE
from presagio.machine.spec import MachineSpec

Floats = NDArray[np.float64]

# 2 to the power of this is how many coalitions there are; each costs a background.
_MOST_PLAYERS = 14
_MOST_ROWS = 200_000
# Of rows that sampled values are made from: a fifth of a second for a large model.
_SAMPLED_ROWS = 20_000
_FEWEST_PAIRS, _PAIRS_AT_ONCE = 8, 30
# The standard error of a contribution, a share of a probability.
_EXACT_ENOUGH = 0.015


@dataclass(frozen=True)
class Attribution:
    """A probability taken apart: ``base`` and all ``contributions`` add up to it.

    Attributes
    ----------
    base
        Mean probability of the background rows.
    contributions
        Name of each feature or category → what its reading adds.
    errors
        Standard error of each, where they were sampled; empty for exact ones.
    """

    base: float
    contributions: dict[str, float]
    errors: dict[str, float] = field(default_factory=dict)


def _players(spec: MachineSpec) -> dict[str, list[int]]:
    """Return the columns of each feature, with its gap's flag and windows, of each category."""
    places = {name: i for i, name in enumerate(spec.model_inputs)}
    players = {
        feature.name: [places[n] for n in (feature.name, feature.missing_name) if n in places]
        for feature in spec.features
    }
    for column in spec.window_columns:
        players[column.feature].append(places[column.name])
    if AGE in places:
        players[AGE] = [places[AGE]]
    for category in spec.categories:
        players[category.name] = [places[name] for name in category.indicators.values()]
    return players


@cache
def _coalitions(players: int) -> tuple[NDArray[np.bool_], Floats]:
    """Return all coalitions, shape ``(2^p, p)``, and the weights that make them Shapley values.

    The second, shape ``(p, 2^p)``: a coalition of size s that lacks a player counts
    -1 / (p * C(p - 1, s)) for it, the same one with the player in it as much for it.
    """
    numbers = np.arange(2**players)
    members = (numbers[:, None] >> np.arange(players)) & 1 == 1
    sizes = members.sum(axis=1)
    within = np.array([comb(players - 1, max(size - 1, 0)) for size in sizes])
    without = np.array([comb(players - 1, min(size, players - 1)) for size in sizes])
    weights = np.where(members, 1.0 / within[:, None], -1.0 / without[:, None]) / players
    return members, weights.T


def attribute(predictor: Predictor, inputs: Floats) -> Attribution | None:
    """Take the probability of one row apart.

    Parameters
    ----------
    predictor
        The model, with the background rows of its artifact.
    inputs
        One complete row, shape ``(m,)``, as of :meth:`Predictor.complete`.

    Returns
    -------
    Attribution or None
        Exact up to 14 features and categories, sampled beyond; None for an artifact that has no
        background.
    """
    artifact = predictor.artifact
    players = _players(artifact.spec)
    background = np.array(artifact.manifest.background)
    if not len(background):
        return None
    if len(players) > _MOST_PLAYERS:
        return _sampled(predictor, inputs, background, players)
    members, weights = _coalitions(len(players))
    background = background[: max(1, _MOST_ROWS // len(members))]
    moved = np.zeros((len(members), len(inputs)), dtype=bool)
    for i, columns in enumerate(players.values()):
        moved[:, columns] = members[:, i : i + 1]
    rows = np.where(moved[:, None, :], inputs, background[None])
    probability = predictor.predict(rows.reshape(-1, len(inputs))).probability
    worth = probability.reshape(len(members), -1).mean(axis=1)
    values = weights @ worth
    return Attribution(
        float(worth[0]), {name: float(v) for name, v in zip(players, values, strict=True)}
    )


def _sampled(
    predictor: Predictor, inputs: Floats, background: Floats, players: Mapping[str, list[int]]
) -> Attribution:
    """Estimate the values by pairs of orders, until they are exact enough."""
    rng, number = np.random.default_rng(0), len(players)
    owner = np.empty(len(inputs), dtype=np.int64)
    for i, columns in enumerate(players.values()):
        owner[columns] = i
    most = max(_SAMPLED_ROWS // (2 * (number + 1)), _FEWEST_PAIRS)
    values, bases = np.empty((0, number)), np.empty(0)
    while True:
        pairs = min(_PAIRS_AT_ONCE, most - len(values))
        start = background[rng.integers(len(background), size=pairs)]
        orders = np.stack([rng.permutation(number) for _ in range(pairs)])
        more, base = _gains(predictor, inputs, start, orders, owner)
        values, bases = np.concatenate([values, more]), np.concatenate([bases, base])
        error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
        if len(values) >= most or error.max() < _EXACT_ENOUGH:
            break
    return Attribution(
        float(bases.mean()),
        dict(zip(players, values.mean(axis=0).tolist(), strict=True)),
        dict(zip(players, error.tolist(), strict=True)),
    )


def _gains(
    predictor: Predictor, inputs: Floats, start: Floats, forwards: NDArray[np.int64],
    owner: NDArray[np.int64],
) -> tuple[Floats, Floats]:  # fmt: skip
    """Return what each player adds in pairs of orders, each pair with one row of the background.

    Parameters
    ----------
    predictor, inputs
        As of :func:`attribute`.
    start
        The rows of the background, shape ``(pairs, m)``.
    forwards
        The orders, shape ``(pairs, players)``; each goes backwards too.
    owner
        Whose each column is, shape ``(m,)``.

    Returns
    -------
    tuple
        What they add, shape ``(pairs, players)``, and the worth of the background rows.
    """
    pairs, number = forwards.shape
    orders = np.stack([forwards, forwards[:, ::-1]], axis=1)
    # When each player is put in place, and so each of the columns, shape (pairs, 2, columns).
    turns = np.argsort(orders, axis=2)
    moved = np.arange(number + 1)[:, None] > turns[:, :, None, owner]
    rows = np.where(moved, inputs, start[:, None, None])
    worth = predictor.predict(rows.reshape(-1, len(inputs))).probability
    worth = worth.reshape(pairs, 2, number + 1)
    values = np.take_along_axis(np.diff(worth, axis=2), turns, axis=2).mean(axis=1)
    return values, worth[:, 0, 0]
