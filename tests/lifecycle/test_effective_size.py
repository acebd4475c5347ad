"""Values that follow each other are worth fewer independent ones."""

import numpy as np
import pytest

from presagio.lifecycle.effective_size import effective_rows

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
