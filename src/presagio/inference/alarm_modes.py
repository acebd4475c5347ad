"""Which failure mode an alarm names: the one definition, for answers, metrics and model cards."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from presagio.inference.imputation import input_columns
from presagio.inference.predictor import Predictor
from presagio.machine.limits import distances_of, signed_distances
from presagio.machine.spec import MachineSpec

Floats = NDArray[np.float64]


def _by_limits(spec: MachineSpec, rows: Floats) -> list[str | None]:
    distances = signed_distances(spec, input_columns(spec, rows))
    limits = distances_of(spec)
    named, unnamed = np.full(len(rows), None, dtype=object), np.ones(len(rows), dtype=bool)
    # Limits that may break a machine come after those that do for certain.
    for rule in sorted(spec.rules, key=lambda rule: not rule.certain):
        bounds = [
            distances[limit.name] < 0.0
            for limit in limits
            if limit.mode == rule.mode and limit.bound in rule.bounds
        ]
        broken = unnamed & np.all(bounds, axis=0)
        named[broken] = rule.mode
        unnamed &= ~broken
    return list(named)


def name_modes(spec: MachineSpec, rows: Floats, odds: Mapping[str, Floats]) -> list[str | None]:
    """Name the likeliest failure mode of each row.

    Where there is a detector per failure mode, the one with the highest odds names its mode. One
    detector for all failures names none, so the operating limits do: the first one that is broken,
    those that are certain before those that may break a machine.

    Parameters
    ----------
    spec
        The machine spec.
    rows
        Shape ``(n, m)``: complete rows, the columns of ``spec.model_inputs``.
    odds
        Name of each detector's label → its log odds, shape ``(n,)``.

    Returns
    -------
    list
        A name of a failure mode for each row; None where there is neither a detector of a mode nor
        an operating limit that is broken.
    """
    modes = {mode.name for mode in spec.modes}
    detected = [name for name in odds if name in modes]
    if not detected:
        return _by_limits(spec, rows)
    likeliest = np.argmax(np.stack([odds[name] for name in detected]), axis=0)
    return [detected[i] for i in likeliest]


def modes_of(predictor: Predictor, rows: Floats) -> list[str | None]:
    """Name the likeliest failure mode of each row, by a model and its machine spec.

    Parameters
    ----------
    predictor
        The model.
    rows
        Shape ``(n, k)``, as for :meth:`Predictor.predict`.

    Returns
    -------
    list
        As of :func:`name_modes`.
    """
    complete = predictor.complete(rows)
    return name_modes(predictor.artifact.spec, complete, predictor.mode_odds(complete))
