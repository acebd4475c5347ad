"""Values that follow each other are worth fewer independent ones."""

import numpy as np
import pytest

from presagio.lifecycle.effective_size import (
    effective_rows,
    effective_sizes_by_unit,
    units_of,
)

pytestmark = pytest.mark.unit


def test_values_that_follow_each_other_are_worth_fewer() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=20_000)
    assert effective_rows(noise) == pytest.approx(20_000, rel=0.1)
    # An autoregression with 0.9: n (1 - 0.9) / (1 + 0.9) independent values.
    series = np.zeros_like(noise)
    for i in range(1, len(noise)):
        series[i] = 0.9 * series[i - 1] + noise[i]
    assert effective_rows(series) == pytest.approx(20_000 / 19, rel=0.25)
    assert effective_rows(np.full(100, 3.0)) == 2.0


def _of_units(
    rng: np.random.Generator, units: int, rows: int, *, apart: float, after: float
) -> np.ndarray:
    """Return rows unit by unit: a level of each unit, and an autoregression within it."""
    noise = rng.normal(size=(units, rows))
    series = np.zeros_like(noise)
    for i in range(1, rows):
        series[:, i] = after * series[:, i - 1] + noise[:, i]
    series *= np.sqrt(1 - after**2)
    return (apart * rng.normal(size=(units, 1)) + series).ravel()


@pytest.mark.parametrize(
    ("apart", "after"), [(0.0, 0.0), (0.0, 0.8), (1.0, 0.0), (1.0, 0.8), (3.0, 0.5)]
)
def test_rows_of_units_are_worth_what_the_variance_of_their_mean_says(
    apart: float, after: float
) -> None:
    rng, rows = np.random.default_rng(0), 100
    reference = _of_units(rng, 150, rows, apart=apart, after=after)
    units = units_of(
        np.repeat(np.arange(150), rows).astype(str), np.repeat(np.arange(10), rows).astype(str)
    )
    _, found = effective_sizes_by_unit(reference, len(reference), units)
    means = [_of_units(rng, 10, rows, apart=apart, after=after).mean() for _ in range(400)]
    assert found == pytest.approx(reference.var() / np.var(means), rel=0.35)


def test_two_units_are_worth_two_values_however_many_rows_they_have() -> None:
    reference = np.repeat(np.arange(50.0), 40)
    units = units_of(np.repeat(np.arange(50), 40).astype(str), np.repeat(["a", "b"], 1000))
    before, now = effective_sizes_by_unit(reference, len(reference), units)
    assert before == pytest.approx(50.0)
    assert now == pytest.approx(2.0)


def test_values_that_are_all_alike_are_worth_the_fewest() -> None:
    units = units_of(np.array(["a", "b", "b"]), np.array(["a", "c"]))
    assert effective_sizes_by_unit(np.ones(3), 3, units) == (2.0, 2.0)
