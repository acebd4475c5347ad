"""Tables: what the fast path takes, the slow one takes too, and with the same values."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from presagio.machine.columns import match_columns
from presagio.machine.headers import HeaderLimits
from presagio.machine.spec import load_spec
from presagio.readings.row_check import RowCheck
from presagio.readings.rows import LINE, RAW, check_cells
from presagio.readings.table import ReadingsTable
from tests.engines import engine_rows, engines
from tests.readings.cases import CATEGORY, FLAG, NUMBER, TEXT

_SPEC = load_spec()
_SCRAP = st.text("0123456789+-.eE,_ \t'infaNtrulLMyso\xa0٣", max_size=9)
_VALUES = {
    column: st.one_of(_SCRAP, st.sampled_from([c.value for c in TEXT if c.column == column]))
    for column in (NUMBER, FLAG, CATEGORY)
}


def _same_verdicts(frame: pl.DataFrame) -> None:
    found = ReadingsTable(frame.schema, _SPEC, HeaderLimits()).check(frame)
    check = RowCheck(_SPEC, match_columns(frame.columns, _SPEC))
    lines = pl.int_range(frame.height, dtype=pl.Int64, eager=True).alias(LINE)
    slow = check_cells(frame.with_columns(lines, pl.lit("").alias(RAW)), check)
    accepted = slow.accepted.select(pl.col(_SPEC.input_names).cast(pl.Float64))
    assert found.inputs.tolist() == [list(row) for row in accepted.rows()]
    rejected = slow.rejected.select(
        "line",
        reason=pl.col("faults").list.eval(pl.element().struct.field("reason")).list.join(" "),
        fault=pl.col("faults").list.eval(pl.element().struct.field("message")).list.join("; "),
    )
    faults = found.faults if found.faults is not None else rejected.clear().drop("line")
    named = faults.with_row_index("line").filter(pl.col("fault").is_not_null())
    assert_frame_equal(named.select(rejected.columns).cast(rejected.schema), rejected)


@given(st.lists(st.tuples(_VALUES[NUMBER], _VALUES[FLAG], _VALUES[FLAG]), min_size=1, max_size=9))
def test_text_means_the_same_on_both_paths(rows: list[tuple[str, str, str]]) -> None:
    good = {name: str(value) for name, value in _SPEC.example.items()}
    columns = (NUMBER, FLAG, "type_m")
    _same_verdicts(pl.DataFrame([good | dict(zip(columns, row, strict=True)) for row in rows]))


@given(st.lists(_VALUES[CATEGORY], min_size=1, max_size=9))
def test_categories_mean_the_same_on_both_paths(cells: list[str]) -> None:
    good = {name: str(_SPEC.example[name]) for name in _SPEC.feature_names}
    _same_verdicts(pl.DataFrame([good | {CATEGORY: cell} for cell in cells]))


@given(st.lists(st.one_of(st.none(), st.floats(), st.floats(0, 150)), min_size=1, max_size=9))
def test_numbers_mean_the_same_as_their_text(numbers: list[float | None]) -> None:
    good = {name: float(value) for name, value in _SPEC.example.items()}
    typed = pl.DataFrame(
        [good | {NUMBER: number} for number in numbers],
        schema=dict.fromkeys(good, pl.Float64),
    )
    found = ReadingsTable(typed.schema, _SPEC, HeaderLimits()).check(typed)
    taken = [n for n in numbers if n is not None and 0 <= n <= 150]
    assert found.inputs[:, _SPEC.input_names.index(NUMBER)].tolist() == taken
    reasons = [] if found.faults is None else found.faults["reason"].drop_nulls().to_list()
    assert reasons == [
        "missing" if n is None else "not_a_number" if n != n else "out_of_range"  # noqa: PLR0124
        for n in numbers
        if n is None or not 0 <= n <= 150
    ]


def test_a_unit_has_no_nul_in_its_name_on_either_path() -> None:
    frame = engine_rows(1).head(3).with_columns(unit=pl.Series(["E", "E\0", " E\0"]))
    found = ReadingsTable(frame.schema, engines(), HeaderLimits()).check(frame)
    assert found.faults is not None
    assert found.faults["reason"].to_list() == [None, "nul_character", "nul_character"]
