"""Which shape of model is chosen, from metrics fold by fold."""

import numpy as np
import pytest

from presagio.machine.spec import MachineSpec
from presagio.training.detectors.alarm import FailureAlarm
from presagio.training.search.shapes import Shape, ShapeMetrics, choose_shape
from presagio.training.search.thresholds import Thresholds

_NOISE = np.array([0.4, -0.4, 0.2, -0.2, 0.0])


def _shapes(
    spec: MachineSpec, *, cost: tuple[float, float], precision: tuple[float, float]
) -> dict[Shape, ShapeMetrics]:
    """Return one for all, then one per mode, with what each has on average."""
    alarm = FailureAlarm(spec, ())
    names: tuple[Shape, Shape] = ("single", "per_mode")
    return {
        name: ShapeMetrics(
            alarm, Thresholds(0.0, 0.0, 0.0),
            costs=tuple(cost[i] + (-1) ** i * _NOISE),
            precisions=tuple(precision[i] + (-1) ** i * 0.02 * _NOISE),
            f1=0.9,
        )
        for i, name in enumerate(names)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("cost", "precision", "chosen"),
    [
        # Clearly cheaper, whatever the ranking.
        ((5.0, 8.0), (0.87, 0.92), "single"),
        ((8.0, 5.0), (0.92, 0.87), "per_mode"),
        # Within two standard errors (0.51) of each other: the one that ranks better.
        ((5.16, 5.52), (0.872, 0.923), "per_mode"),
        ((5.52, 5.16), (0.923, 0.872), "single"),
        # Nor does the ranking tell: one detector per mode, which names the cause.
        ((5.16, 5.52), (0.9, 0.901), "per_mode"),
        ((5.0, 5.0), (0.901, 0.9), "per_mode"),
    ],
)
def test_near_ties_in_cost_are_decided_by_average_precision(
    spec: MachineSpec, cost: tuple[float, float], precision: tuple[float, float], chosen: Shape
) -> None:
    assert choose_shape(_shapes(spec, cost=cost, precision=precision)) == chosen


def test_one_shape_is_no_choice(spec: MachineSpec) -> None:
    shapes = _shapes(spec, cost=(5.0, 5.0), precision=(0.9, 0.9))
    assert choose_shape({"single": shapes["single"]}) == "single"
