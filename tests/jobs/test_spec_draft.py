"""A first machine spec from files of readings."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from presagio.errors import DataError
from presagio.ingest.checking import check_file
from presagio.jobs.spec_draft import draft_spec
from presagio.machine.columns import fold
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec, parse_spec
from tests.motors import motor_csv, motor_rows
from tests.pumps import pump_rows


def _drafted(path: Path, **how: str) -> MachineSpec:
    return parse_spec(draft_spec([path], **how).encode(), "draft")


def test_of_another_machine(tmp_path: Path) -> None:
    path, rows = tmp_path / "Pumps of 2026.csv", pump_rows(500)
    path.write_text(rows.write_csv(separator=";"), encoding="utf-8")
    spec = _drafted(path, target="Class")
    assert spec.name == "pumps_of_2026"
    assert (spec.target.true_words, spec.target.false_words) == (("pos",), ("neg",))
    assert spec.missing_values == ("na",)
    assert spec.optional_names == ("vibration",)
    assert [f.unit for f in spec.features] == ["bar", "", "", ""]
    assert [f.name for f in spec.features if f.log] == ["restarts"]
    assert spec.categories[0].values == tuple(
        rows["seal"].value_counts(sort=True)["seal"].to_list()
    )
    assert spec.divided_by == ("unit", "pump")


def test_the_rows_that_it_was_made_from_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "pumps.csv"
    path.write_text(pump_rows(500).write_csv(), encoding="utf-8")
    with path.open("rb") as file:
        checked = check_file(file, _drafted(path), suffix=".csv")
    assert (checked.fault, len(checked.rejected)) == (None, 0)


def _with_decimal_commas(rows: pl.DataFrame, path: Path) -> None:
    floats = pl.col(pl.Float64).cast(pl.String).str.replace(".", ",", literal=True)
    rows.with_columns(floats).write_csv(path, separator=";")


@pytest.mark.parametrize(
    ("name", "write"),
    [("lathe.parquet", pl.DataFrame.write_parquet), ("drehbank.csv", _with_decimal_commas)],
)
def test_failure_modes_times_and_what_is_too_good_are_noticed(
    spec: MachineSpec, tmp_path: Path, name: str, write: Callable[[pl.DataFrame, Path], None]
) -> None:
    rows = pl.concat(simulate(spec, 3000)).with_row_index("n")
    hours = pl.col("n") * 3 + 17.5
    rows = rows.with_columns(
        pl.date(2026, 1, 1).dt.offset_by(pl.format("{}h", pl.col("n"))).alias("Timestamp"),
        hours.alias("Power on hours"), pl.lit("x").alias("line"),
        (pl.col(spec.target.name) * 5.0 + pl.col("n") / 1e4).alias("repair cost"),
    ).drop("n")  # fmt: skip
    path = tmp_path / name
    write(rows, path)
    text = draft_spec([path])
    found = parse_spec(text.encode(), "draft")
    assert {"hdf", "pwf", "osf"} <= {mode.name for mode in found.modes}
    assert found.division is not None
    assert found.division.by == "time"
    lines = text.splitlines()
    for feature, words in (("power_on_hours", "the date"), ("repair_cost", "by itself")):
        assert words in lines[lines.index(f'name = "{feature}"') - 2]
    assert '# Left out: "line": it says nothing: one value at most.' in lines


@pytest.mark.parametrize("cycle", ["cycle", "time_in_cycles"])
def test_units_and_times_of_series_are_proposed(tmp_path: Path, cycle: str) -> None:
    rows = motor_rows(20, 30)
    path = tmp_path / "motors.csv"
    path.write_bytes(motor_csv(rows.rename({"motor": "Machine", "taken_at": "Time"})))
    spec = _drafted(path)
    assert spec.unit is not None
    assert spec.time is not None
    assert (spec.unit.name, spec.time.name, spec.time.kind) == ("machine", "time", "timestamp")
    assert spec.divided_by == ("unit", "machine")
    with path.open("rb") as file:
        assert check_file(file, spec, suffix=".csv").rejected.is_empty()
    counted = rows.with_columns(pl.col("taken_at").rank("dense").over("motor").alias(cycle))
    path.write_text(counted.drop("taken_at").rename({"motor": "unit"}).write_csv(), "utf-8")
    spec = _drafted(path)
    assert spec.time is not None
    assert (spec.time.name, spec.time.kind) == (cycle, "counter")
    assert cycle not in spec.feature_names


def test_a_time_that_is_not_in_each_row_is_kept_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "motors.csv"
    gap = pl.when(pl.int_range(pl.len()) > 0).then(pl.col("taken_at"))
    path.write_bytes(motor_csv(motor_rows(20, 30).with_columns(gap)))
    spec = _drafted(path)
    assert spec.time is None
    assert "taken_at" in [column.name for column in spec.identifiers]


def test_what_cannot_be_drafted_says_why(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    for text, why in (
        ("a,b\n1,2\n3,4\n", "name it with --target"),
        ("a,failed\n", "has no rows"),
        ("failed,line\n1,x\n0,y\n", "no column is a number"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=why):
            draft_spec([path])
    path.write_text("a,b\n1,0\n3,1\n", encoding="utf-8")
    with pytest.raises(DataError, match="those are: b"):
        draft_spec([path], target="a")
    path.write_bytes(b"")
    with pytest.raises(DataError, match="cannot be read as a table"):
        draft_spec([path])


_CELLS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(str),
    st.sampled_from(["", "na", "0", "1", "yes", "A", "a", "2026-01-01", '"', "\\", "é", "1e308"]),
)
_HEADERS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(st.data(), st.lists(_HEADERS, min_size=1, max_size=5, unique=True))
def test_whatever_is_drafted_is_a_machine_spec(data: st.DataObject, headers: list[str]) -> None:
    # Of columns that differ by case only, one is looked at.
    assume(not {fold(header) for header in headers} & {fold("size"), fold("Failed?")})
    columns = {h: data.draw(st.lists(_CELLS, min_size=6, max_size=6)) for h in headers}
    table = pl.DataFrame(columns | {"Failed?": list("010001"), "size": list("123456")})
    with TemporaryDirectory() as folder:
        path = Path(folder) / "readings.parquet"
        table.write_parquet(path)
        spec = _drafted(path, target="Failed?")
    assert spec.target.columns == ("Failed?",)
    assert "size" in spec.feature_names
