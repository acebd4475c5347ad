import numpy as np
import pytest
from pydantic import ValidationError

from presagio.inference.manifest import RemainingTable
from presagio.inference.remaining_life import as_answer, with_interval

_TABLE = RemainingTable(
    most=100.0, unit="cycle", coverage=0.9, levels=(20.0, 60.0), widths=(5.0, 10.0, 30.0)
)


def test_the_interval_is_that_of_the_level_and_open_above_the_most() -> None:
    found = with_interval(_TABLE, np.array([3.0, 20.0, 59.9, 60.0, 90.0]))
    assert found.low.tolist() == [0.0, 10.0, 49.9, 30.0, 60.0]
    assert found.high.tolist()[:4] == [8.0, 30.0, 69.9, 90.0]
    assert np.isnan(found.high[4])


def test_an_answer_has_the_same_and_null_where_it_may_be_longer() -> None:
    for value in (-1.0, 3.0, 20.0, 59.9, 60.0):
        found, answer = with_interval(_TABLE, np.array([value])), as_answer(_TABLE, value)
        assert [answer["value"], answer["low"], answer["high"]] == [
            found.value[0], found.low[0], found.high[0],
        ]  # fmt: skip
    answer = as_answer(_TABLE, 95.0)
    assert answer == {"value": 95.0, "low": 65.0, "high": None, "unit": "cycle", "coverage": 0.9}


@pytest.mark.parametrize(
    "changes",
    [
        {"widths": (1.0, 2.0)},
        {"levels": (60.0, 20.0)},
        {"widths": (1.0, 2.0, -1.0)},
        {"most": 0.0},
        {"widths": (), "levels": ()},
        {"coverage": 1.0},
    ],
)
def test_a_table_that_contradicts_itself_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RemainingTable.model_validate(_TABLE.model_dump() | changes)
