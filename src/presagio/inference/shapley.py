"""Exact Shapley values of one answer: what each reading adds to the probability of a failure.

A coalition's worth is the mean probability over the background rows, with the readings of the
coalition put in their place (interventional; Lundberg and Lee 2017, "A unified approach to
interpreting model predictions"). All coalitions go through the graph as one array.
"""

from dataclasses import dataclass
from functools import cache
from math import comb

import numpy as np
from numpy.typing import NDArray

from presagio.inference.predictor import Predictor
from presagio.machine.spec import MachineSpec

Floats = NDArray[np.float64]

# 2 to the power of this is how many coalitions there are; each costs a background.
_MOST_PLAYERS = 14
_MOST_ROWS = 200_000


@dataclass(frozen=True)
class Attribution:
    """A probability taken apart: ``base`` and all ``contributions`` add up to it.

    Attributes
    ----------
    base
        Mean probability of the background rows.
    contributions
        Name of each feature or category → what its reading adds.
    """

    base: float
    contributions: dict[str, float]


def _players(spec: MachineSpec) -> dict[str, list[int]]:
    """Return the columns of each feature; a category's indicators move together."""
    places = {name: i for i, name in enumerate(spec.input_names)}
    players = {name: [places[name]] for name in spec.feature_names}
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
        One row, shape ``(k,)``, as for :meth:`Predictor.predict`.

    Returns
    -------
    Attribution or None
        None for an artifact that has no background, or more than 14 features.
    """
    artifact = predictor.artifact
    players = _players(artifact.spec)
    background = np.array(artifact.manifest.background)
    if not len(background) or len(players) > _MOST_PLAYERS:
        return None
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
