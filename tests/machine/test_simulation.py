import polars as pl
import pytest
from polars.testing import assert_frame_equal

from presagio.errors import InvalidSpecError
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec

# The real rows are one draw of the recipe; many draws lie around it.
ROWS = 300_000


@pytest.fixture(scope="module")
def generated(spec: MachineSpec) -> pl.DataFrame:
    return pl.concat(simulate(spec, ROWS, seed=7))


def test_the_same_seed_gives_the_same_rows(spec: MachineSpec) -> None:
    first, second = (pl.concat(simulate(spec, 500, seed=3)) for _ in range(2))
    assert_frame_equal(first, second)


def test_another_seed_gives_other_rows(spec: MachineSpec) -> None:
    first, second = (pl.concat(simulate(spec, 500, seed=seed)) for seed in (3, 4))
    assert not first.equals(second)


def test_a_short_run_is_the_start_of_a_long_one(spec: MachineSpec) -> None:
    long = pl.concat(simulate(spec, 25_000, seed=1))
    assert_frame_equal(pl.concat(simulate(spec, 12_345, seed=1)), long.head(12_345))


def test_memory_is_bounded_by_the_block(spec: MachineSpec) -> None:
    assert spec.simulation is not None
    sizes = [len(block) for block in simulate(spec, 25_000)]
    assert sizes == [10_000, 10_000, 5_000]
    assert max(sizes) <= spec.simulation.block_rows


def test_a_row_of_nothing_is_nothing(spec: MachineSpec) -> None:
    assert list(simulate(spec, 0)) == []


def test_columns_are_inputs_and_labels(spec: MachineSpec, generated: pl.DataFrame) -> None:
    assert tuple(generated.columns) == (*spec.input_names, *spec.label_names)


def test_no_torque_is_negative(generated: pl.DataFrame) -> None:
    assert generated["torque_nm"].min() >= 0  # type: ignore[operator]


@pytest.mark.parametrize(
    ("column", "unit_tolerance"),
    [
        ("airtemperature_k", 0.1),
        ("process_temperature_k", 0.9),
        ("rotational_speed_rpm", 6.0),
        ("torque_nm", 0.3),
        # The recipe ends a tool's life at 200 to 240 min; the real ones end at 215 on average.
        ("tool_wear_min", 4.0),
    ],
)
def test_marginals_are_those_of_the_real_rows(
    generated: pl.DataFrame, real_rows: pl.DataFrame, column: str, unit_tolerance: float
) -> None:
    real, made = real_rows[column], generated[column]
    assert made.mean() == pytest.approx(real.mean(), abs=unit_tolerance)
    assert made.std() == pytest.approx(real.std(), abs=unit_tolerance)


@pytest.mark.parametrize("quantile", [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99])
@pytest.mark.parametrize("column", ["rotational_speed_rpm", "torque_nm", "tool_wear_min"])
def test_quantiles_are_those_of_the_real_rows(
    generated: pl.DataFrame, real_rows: pl.DataFrame, column: str, quantile: float
) -> None:
    spread = real_rows[column].std()
    real, made = real_rows[column].quantile(quantile), generated[column].quantile(quantile)
    assert made == pytest.approx(real, abs=0.12 * spread)  # type: ignore[operator]


@pytest.mark.parametrize("column", ["type_l", "type_m"])
def test_shares_of_the_types(generated: pl.DataFrame, real_rows: pl.DataFrame, column: str) -> None:
    assert generated[column].mean() == pytest.approx(real_rows[column].mean(), abs=0.015)


@pytest.mark.parametrize("label", ["machine_failure", "twf", "hdf", "pwf", "osf", "rnf"])
def test_failure_rates_are_those_of_the_real_rows(
    generated: pl.DataFrame, real_rows: pl.DataFrame, label: str
) -> None:
    # Three standard errors of the count in 8,000 rows, and a fifth for the walks, of which the
    # real data are only one.
    rate = real_rows[label].mean()
    assert isinstance(rate, float)
    tolerance = 3 * (rate / len(real_rows)) ** 0.5 + 0.2 * rate
    assert generated[label].mean() == pytest.approx(rate, abs=tolerance)


def test_random_failures_do_not_count_towards_the_target(generated: pl.DataFrame) -> None:
    modes = generated.select(pl.any_horizontal("twf", "hdf", "pwf", "osf")).to_series()
    assert (generated["machine_failure"] == modes).all()


def test_a_spec_without_recipe_is_refused(spec: MachineSpec) -> None:
    bare = spec.model_copy(update={"simulation": None})
    with pytest.raises(InvalidSpecError, match=r"no \[simulation\] table"):
        next(simulate(bare, 1))
