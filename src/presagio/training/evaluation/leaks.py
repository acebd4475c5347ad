"""Features that seem to know too much: a warning at training and in the model card.

In fleet data a counter of age often tells the date, since healthy units end on one day and failed
ones before; and a column that is written after a failure tells the failure. A model of such looks
good and is worth nothing.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from presagio.inference.imputation import input_columns
from presagio.inference.measures import TOO_GOOD, separation
from presagio.machine.spec import MachineSpec
from presagio.sentences import Sentence
from presagio.training.datasets.splitting import Part

_ROWS = 50_000


def find_leaks(
    spec: MachineSpec, part: Part, *, divided_by: str | None, seed: int = 0
) -> list[Sentence]:
    """Say which features nearly tell the target, or the time, by themselves.

    Parameters
    ----------
    spec
        The machine spec.
    part
        The training part, complete.
    divided_by
        ``time`` where the keys of the part are times.
    seed
        Of the sample that is looked at.

    Returns
    -------
    list of Sentence
        A warning for each.
    """
    sample = part.sample(_ROWS, seed=seed)
    warnings, made = list[Sentence](), {column.name for column in spec.window_columns}
    for name, values in input_columns(spec, sample.inputs).items():
        if name in made:
            # How a value changes before a failure is what windows are for.
            continue
        if separation(values, sample.target) > TOO_GOOD:
            warnings.append(
                Sentence(
                    "%(feature)s nearly tells %(target)s by itself; is it known before the "
                    "failure?",
                    {"feature": name, "target": spec.target.name},
                )
            )
        if divided_by == "time" and sample.keys is not None and _grows(values, sample.keys):
            warnings.append(
                Sentence(
                    "%(feature)s grows with the time; a model may learn the date from it, not the "
                    "wear",
                    {"feature": name},
                )
            )
    return warnings


def _grows(values: NDArray[np.float64], keys: NDArray[Any]) -> bool:
    """Tell whether values follow the order of keys nearly without a mistake (Spearman)."""
    order = np.unique(keys, return_inverse=True)[1].astype(np.float64)
    ranks = np.unique(values, return_inverse=True)[1].astype(np.float64)
    if not np.ptp(ranks) or not np.ptp(order):
        return False
    return abs(float(np.corrcoef(order, ranks)[0, 1])) > TOO_GOOD
