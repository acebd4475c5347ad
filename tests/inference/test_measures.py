"""Measures that need no scikit-learn, compared with it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score

from presagio.inference.measures import average_precision, f1_of

# Few distinct scores, so that there are ties.
_ROWS = st.lists(st.tuples(st.booleans(), st.integers(-3, 3), st.booleans()), min_size=1)


@given(_ROWS)
def test_measures_are_those_of_scikit_learn(rows: list[tuple[bool, int, bool]]) -> None:
    target, score, label = (np.array(column) for column in zip(*rows, strict=True))
    assert f1_of(target, label) == pytest.approx(f1_score(target, label, zero_division=0.0))
    weights = np.where(target, 1.0, 7.5)
    weighted = f1_score(target, label, sample_weight=weights, zero_division=0.0)
    assert f1_of(target, label, healthy_weight=7.5) == pytest.approx(weighted)
    if target.any():
        wanted = average_precision_score(target, score)
        assert average_precision(target, score.astype(float)) == pytest.approx(wanted)


def test_without_a_failure_nothing_is_ranked() -> None:
    assert average_precision(np.zeros(3, dtype=bool), np.arange(3.0)) == 0.0
