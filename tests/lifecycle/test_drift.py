"""A shifted generator is told from an unshifted one."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from presagio.inference.predictor import fallback_folder, load_predictor
from presagio.lifecycle.drift import (
    PROBABILITY,
    DriftRules,
    find_drift,
    newest_rows,
    stability_index,
    verdict_on,
)
from presagio.lifecycle.drift_report import ColumnDrift, DriftReport
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from tests.extent import NIGHTLY

Table = dict[str, NDArray[np.float64]]
ROWS = 8000
WINDOWS = 200 if NIGHTLY else 100


@pytest.fixture(scope="module")
def tables(spec: MachineSpec) -> tuple[Table, list[pl.DataFrame]]:
    """What a model was trained on, and windows that came afterwards."""
    window = newest_rows(ROWS, 5000)
    after = pl.concat(simulate(spec, window * WINDOWS, seed=7))
    windows = [after[i * window : (i + 1) * window] for i in range(WINDOWS)]
    return _table(pl.concat(simulate(spec, ROWS, seed=99)), spec), windows


def _table(frame: pl.DataFrame, spec: MachineSpec) -> Table:
    table = {name: frame[name].cast(pl.Float64).to_numpy() for name in spec.input_names}
    rows = np.column_stack(list(table.values()))
    return table | {PROBABILITY: load_predictor(fallback_folder()).predict(rows).probability}


def _look(spec: MachineSpec, reference: Table, frame: pl.DataFrame) -> DriftReport:
    window = _table(frame, spec)
    return find_drift(spec, reference, window, reference_rows=ROWS, rules=DriftRules())


def test_an_unshifted_generator_hardly_ever_raises_an_alarm(
    spec: MachineSpec, tables: tuple[Table, list[pl.DataFrame]]
) -> None:
    reference, windows = tables
    false = [_look(spec, reference, window).drifted for window in windows]
    # Each window has other weather: air temperature is a random walk.
    assert sum(map(bool, false)) <= 0.02 * WINDOWS


@pytest.mark.parametrize(
    ("column", "shift"),
    [("torque_nm", 6.0), ("rotational_speed_rpm", 150.0), ("airtemperature_k", 10.0)],
)
def test_a_shifted_generator_does(
    spec: MachineSpec, tables: tuple[Table, list[pl.DataFrame]], column: str, shift: float
) -> None:
    reference, windows = tables
    for window in windows[:20]:
        shifted = window.with_columns(pl.col(column) + shift)
        assert column in _look(spec, reference, shifted).drifted


def test_another_mix_of_products_does(
    spec: MachineSpec, tables: tuple[Table, list[pl.DataFrame]]
) -> None:
    reference, windows = tables
    only_m = windows[0].with_columns(type_l=pl.lit(value=False), type_m=pl.lit(value=True))
    (found,) = [c for c in _look(spec, reference, only_m).columns if c.name == "type"]
    assert (found.test, found.drifted) == ("chi-square", True)
    assert {label: now for label, _, now in found.shares}["M"] == 1.0


def test_the_report_has_every_feature_category_and_the_score(
    spec: MachineSpec, tables: tuple[Table, list[pl.DataFrame]]
) -> None:
    report = _look(spec, tables[0], tables[1][0])
    names = [column.name for column in report.columns]
    assert names == [*spec.feature_names, PROBABILITY, "type"]
    assert report.metrics["rows"] == len(tables[1][0])
    assert report.metrics["psi_torque_nm"] < 0.1
    for column in report.columns:
        assert sum(then for _, then, _ in column.shares) == pytest.approx(1.0)
        assert sum(now for _, _, now in column.shares) == pytest.approx(1.0)


def test_with_few_independent_values_it_cannot_be_told(
    spec: MachineSpec, tables: tuple[Table, list[pl.DataFrame]]
) -> None:
    reference, windows = tables
    report = _look(spec, reference, windows[0])
    verdicts = {column.name: column.verdict for column in report.columns}
    assert verdicts["torque_nm"] == "no drift"
    # The weather is a random walk: a thousand temperatures of it are worth two.
    assert verdicts["airtemperature_k"] == "cannot tell"
    assert report.undecided == tuple(n for n, told in verdicts.items() if told == "cannot tell")
    assert report.in_words == f"no drift; cannot tell for {', '.join(report.undecided)}"
    assert report.metrics["undecided_columns"] == len(report.undecided)
    assert report.metrics["undecided_airtemperature_k"] == 1.0


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "no drift"),
        ({"effective_rows": 19.0}, "cannot tell"),
        ({"psi": 5.4}, "drift"),
        ({"psi": 5.4, "p_value": 0.01}, "cannot tell"),
        ({"psi": 5.4, "usual_psi": 4.0}, "no drift"),
        ({"psi": 5.4, "p_value": 0.31, "effective_rows": 2.0}, "cannot tell"),
        ({"outside": 0.5, "effective_rows": 2.0}, "drift"),
    ],
)
def test_the_verdict_on_a_column(changes: dict[str, float], verdict: str) -> None:
    plain = ColumnDrift(
        "x",
        "KS",
        psi=0.1,
        usual_psi=0.05,
        p_value=1e-9,
        outside=0.0,
        effective_rows=99.0,
        shares=(),
    )
    column = replace(plain, **changes)  # type: ignore[arg-type]
    found = replace(column, verdict=verdict_on(column, DriftRules(), 1e-4))
    assert (found.verdict, found.drifted, found.undecided) == (
        verdict, verdict == "drift", verdict == "cannot tell",
    )  # fmt: skip


def test_the_index_is_the_published_one() -> None:
    half, tenth = np.array([0.5, 0.5]), np.array([0.1, 0.9])
    expected = (0.1 - 0.5) * np.log(0.1 / 0.5) + (0.9 - 0.5) * np.log(0.9 / 0.5)
    assert stability_index(half, tenth) == pytest.approx(expected)
    assert stability_index(half, half) == 0.0
