"""Readings as charts: extremes stay, gaps are gaps, limits stand where they are."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from presagio.ingest.unit_span import FoundReadings
from presagio.jobs.downsampling import downsample
from presagio.jobs.unit_charts import Chart, draw_readings
from presagio.machine.spec import MachineSpec
from tests.engines import engine_rows, engines


def _found(rows: pl.DataFrame, times: np.ndarray) -> FoundReadings:
    return FoundReadings(rows, times, has_older=False, is_cut=False)


def _milling(spec: MachineSpec, readings: int, **values: list[Any]) -> dict[str, Chart]:
    rows = pl.DataFrame([dict(spec.example)] * readings).with_columns(
        pl.Series(name, found) for name, found in values.items()
    )
    drawn = draw_readings(spec, _found(rows, np.arange(readings, dtype=np.float64)))
    return {chart.name: chart for chart in drawn.charts}


def test_few_readings_are_points_and_long_breaks_are_gaps() -> None:
    times = np.array([0.0, 1.0, 2.0, 10.0, 11.0])
    drawn = downsample(times, {"a": np.array([1.0, np.nan, 3.0, 4.0, 5.0])}, 5)
    assert drawn.bucket is None
    assert drawn.times.tolist() == [0, 1, 2, 6, 10, 11]
    np.testing.assert_array_equal(drawn.low["a"], [1, np.nan, 3, np.nan, 4, 5])
    assert drawn.low["a"] is drawn.high["a"]
    assert downsample(np.empty(0), {"a": np.empty(0)}, 5).times.tolist() == []


def test_of_many_readings_the_least_and_the_largest_of_a_bucket_stay() -> None:
    rng = np.random.default_rng(0)
    times = np.concatenate([np.arange(4000.0), np.arange(6000.0, 10_000.0)])
    values = rng.normal(size=len(times))
    values[1234], values[5678] = 99.0, -99.0
    values[2000:2500] = np.nan
    drawn = downsample(times, {"a": values}, 100)
    assert drawn.bucket == pytest.approx(99.99)
    low, high = drawn.low["a"], drawn.high["a"]
    assert (np.nanmax(high), np.nanmin(low)) == (99.0, -99.0)
    # Nothing was read between 4,000 and 6,000, and nothing was known from 2,000 to 2,500.
    assert np.isnan(low[41:59]).all()
    assert np.isnan(high[21:24]).all()
    assert not np.isnan(low[60:]).any()
    assert drawn.bucket is not None
    for i in (0, 30, 99):
        here = np.abs(times - drawn.times[i]) < drawn.bucket / 2
        assert low[i] == np.nanmin(values[here])


def test_readings_all_at_one_time_are_drawn() -> None:
    drawn = downsample(np.arange(11.0), {"a": np.full(11, np.nan)}, 10)
    assert np.isnan(drawn.low["a"]).all()


def test_a_limit_of_one_feature_is_a_line_on_its_chart(spec: MachineSpec) -> None:
    charts = _milling(spec, 3)
    (wear,) = charts["tool_wear_min"].limits
    assert (wear.mode, wear.side, wear.certain) == ("twf", "above", False)
    assert wear.values.tolist() == [200.0] * 3
    (speed,) = charts["rotational_speed_rpm"].limits
    assert (speed.side, speed.together) == ("below", ("temperature_difference",))
    assert charts["torque_nm"].limits == ()


def test_a_limit_of_a_product_has_a_chart_of_its_own(spec: MachineSpec) -> None:
    charts = _milling(spec, 3, torque_nm=[40.0, 50.0, 60.0])
    power = charts["power"]
    assert power.of == ("torque_nm", "rotational_speed_rpm")
    assert [(line.side, line.values[0]) for line in power.limits] == [
        ("below", 3500.0), ("above", 9000.0),
    ]  # fmt: skip
    np.testing.assert_allclose(power.high, np.array([40, 50, 60]) * 1310 * 2 * np.pi / 60)
    # Those with a limit come first.
    assert [bool(chart.limits) for chart in charts.values()] == sorted(
        (bool(chart.limits) for chart in charts.values()), reverse=True
    )


def test_a_limit_that_hangs_on_a_category_moves_with_it(spec: MachineSpec) -> None:
    charts = _milling(
        spec, 3, type_l=[True, True, False], type_m=[False, False, True],
    )  # fmt: skip
    (line,) = charts["strain"].limits
    assert line.values.tolist() == [11_000.0, 11_000.0, 12_000.0]


def test_missing_values_and_no_readings_at_all_are_drawn(spec: MachineSpec) -> None:
    charts = _milling(spec, 2, torque_nm=[None, 50.0])
    assert np.isnan(charts["power"].high[0])
    rows = engine_rows(1).head(0)
    drawn = draw_readings(engines(), _found(rows, np.empty(0)))
    assert {chart.newest for chart in drawn.charts} == {None}
