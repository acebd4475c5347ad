import numpy as np
import pytest

from presagio.training.search.remaining import unit_quantile


def test_each_unit_counts_as_one() -> None:
    # A unit with a hundred small errors says no more than one with a single large one.
    errors = np.array([*np.linspace(0.0, 1.0, 100), 9.0])
    units = np.array(["often"] * 100 + ["once"])
    assert unit_quantile(errors, units, 0.3) == pytest.approx(0.9, abs=0.02)
    assert unit_quantile(errors, units, 0.8) == 9.0


def test_of_units_alike_it_is_the_quantile_raised_for_their_number() -> None:
    rng = np.random.default_rng(0)
    errors, units = rng.random(20_000), np.repeat(np.arange(100), 200)
    assert unit_quantile(errors, units, 0.9) == pytest.approx(0.909, abs=0.005)


def test_nothing_is_known_of_no_errors() -> None:
    assert unit_quantile(np.empty(0), np.empty(0), 0.9) == 0.0
