"""Readings made from the published recipe of the AI4I 2020 data set.

Source: S. Matzka, "Explainable Artificial Intelligence for Predictive Maintenance
Applications", 2020, and the data set's page at UCI (id 601). The recipe's constants stand in
the machine spec, with one correction that is explained there (speed given torque).
"""

from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from presagio.errors import InvalidSpecError
from presagio.machine.degradation import simulate_lives
from presagio.machine.limits import failing_modes
from presagio.machine.recipe import Normal, SimulationRecipe
from presagio.machine.spec import MachineSpec
from presagio.sentences import Sentence

Floats = NDArray[np.float64]


def _scaled_walk(rng: np.random.Generator, rows: int, target: Normal) -> Floats:
    walk = np.cumsum(rng.standard_normal(rows))
    scaled: Floats = target.mean + target.sd * (walk - walk.mean()) / walk.std()
    return scaled


def _speed(rng: np.random.Generator, torque: Floats, recipe: SimulationRecipe) -> Floats:
    log_torque = np.log(np.maximum(torque, recipe.speed_torque_floor))
    residual = rng.normal(0.0, recipe.speed_log_sd, len(torque))
    return np.exp(np.polyval(recipe.speed_log_polynomial, log_torque) + residual)


class _ToolWear:
    """Wear in minutes, row by row; carried on from one block to the next."""

    def __init__(self, rng: np.random.Generator, recipe: SimulationRecipe) -> None:
        self._rng = rng
        self._recipe = recipe
        self._wear = 0.0
        self._life = self._new_life()

    def _new_life(self) -> float:
        return float(self._rng.uniform(*self._recipe.tool_life))

    def block(self, steps: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """Return wear before each row, and whether the tool failed on it, both ``(n,)``."""
        wear = np.empty(len(steps))
        failed = np.zeros(len(steps), dtype=bool)
        start = 0
        while start < len(steps):
            ahead = self._wear + np.concatenate(([0.0], np.cumsum(steps[start:])))
            last = int(np.searchsorted(ahead[:-1], self._life))
            if last >= len(steps) - start:
                wear[start:] = ahead[:-1]
                self._wear = float(ahead[-1])
                break
            wear[start : start + last + 1] = ahead[: last + 1]
            failed[start + last] = self._rng.random() < self._recipe.tool_failure_share
            start += last + 1
            self._wear, self._life = 0.0, self._new_life()
        return wear, failed


def _block(
    spec: MachineSpec, recipe: SimulationRecipe, rng: np.random.Generator, tool: _ToolWear
) -> pl.DataFrame:
    rows = recipe.block_rows
    air = np.round(_scaled_walk(rng, rows, recipe.air_temperature), 1)
    process = np.round(air + _scaled_walk(rng, rows, recipe.process_offset), 1)
    torque: Floats = np.abs(rng.normal(recipe.torque.mean, recipe.torque.sd, rows))
    speed = np.round(_speed(rng, torque, recipe))
    torque = np.round(torque, 1)
    kinds = rng.choice(list(recipe.shares), size=rows, p=list(recipe.shares.values()))
    steps = np.select([kinds == kind for kind in recipe.wear_step], list(recipe.wear_step.values()))
    wear, tool_failed = tool.block(steps)
    columns: list[Floats] = [air, process, speed, torque, wear]
    numbers = dict(zip(spec.feature_names, columns, strict=True))
    indicators = {
        name: kinds == value for cat in spec.categories for value, name in cat.indicators.items()
    }
    modes = failing_modes(spec, {**numbers, **{k: v.astype(float) for k, v in indicators.items()}})
    modes["twf"] = tool_failed
    failure = np.logical_or.reduce(list(modes.values()))
    # As in the real rows, random failures do not count towards the target (18 of 19 do not).
    modes["rnf"] = rng.random(rows) < recipe.random_failure_rate
    labels = {spec.target.name: failure, **{mode.name: modes[mode.name] for mode in spec.modes}}
    return pl.DataFrame({**numbers, **indicators, **labels})


def simulate(spec: MachineSpec, rows: int, *, seed: int = 0) -> Iterator[pl.DataFrame]:
    """Generate labelled readings, in linear time and bounded memory.

    The first ``n`` rows of a longer run with the same seed are the rows of a run of ``n``.

    Parameters
    ----------
    spec
        A machine spec with a ``[simulation]`` table; or with ``[unit]`` and ``[time]``: then
        units wear out, as of :func:`.degradation.simulate_lives`.
    rows
        How many rows to generate in all.
    seed
        Seed of the random numbers.

    Yields
    ------
    polars.DataFrame
        Blocks of rows with the spec's inputs and labels as columns.

    Raises
    ------
    InvalidSpecError
        If the spec has none of these.
    """
    recipe = spec.simulation
    if recipe is None and spec.is_series:
        yield from simulate_lives(spec, rows, seed=seed)
        return
    if recipe is None:
        raise InvalidSpecError(
            Sentence(
                "machine spec %(name)s has no [simulation] table to generate from, and no [unit] "
                "and [time] whose units could wear out",
                {"name": spec.name},
            )
        )
    rng = np.random.default_rng(seed)
    tool = _ToolWear(rng, recipe)
    for done in range(0, rows, recipe.block_rows):
        yield _block(spec, recipe, rng, tool).head(rows - done)
