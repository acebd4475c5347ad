"""Files of series: typed times, units, rows of other fleets; alike in every format and path."""

import io
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from presagio.errors import InvalidSpecError
from presagio.ingest.checking import CheckedFile, Limits, check_file
from presagio.ingest.curated import labelled_rows, processed_receipts
from presagio.ingest.curated_parts import read_part
from presagio.ingest.filing import Intake, file_object
from presagio.machine.spec import MachineSpec, parse_spec
from tests.engines import engine_rows, engines_with_events
from tests.motors import MOTORS, motor_csv, motor_rows, motors
from tests.workbooks import workbook

_GENEROUS = Limits(max_bad_share=1)
_UTC_8 = datetime(2026, 1, 31, 7, 30, tzinfo=UTC)


def _row(**changes: str) -> pl.DataFrame:
    good = {
        "Motor no.": "M1", "Taken at": "2026-01-31 08:30", "shop": "press",
        "Current [A]": "30.5", "vibration": "3", "humidity": "50", "load": "0.5",
        "failed": "0",
    }  # fmt: skip
    return pl.DataFrame([good | changes])


def _check(frame: pl.DataFrame, spec: MachineSpec | None = None) -> CheckedFile:
    return check_file(frame.write_csv().encode(), spec or motors(), limits=_GENEROUS)


def _reasons(checked: CheckedFile) -> list[str]:
    return checked.rejected["faults"].explode().struct.field("reason").to_list()


def test_times_are_typed_and_units_text() -> None:
    (row,) = _check(_row()).accepted.to_dicts()
    assert (row["motor"], row["taken_at"], row["shop"]) == ("M1", _UTC_8, "press")


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({"Taken at": "31.01.2026"}, ["not_a_time"]),
        ({"Taken at": "2026-10-25 02:30"}, ["not_a_time"]),
        ({"Taken at": ""}, ["missing"]),
        ({"Taken at": "na"}, ["missing"]),
        ({"Taken at": "x" * 300}, ["too_long"]),
        ({"Motor no.": " "}, ["missing"]),
        ({"Motor no.": "NA"}, ["missing"]),
        ({"Motor no.": "M" * 300}, ["too_long"]),
        ({"shop": ""}, ["missing"]),
        ({"Motor no.": "", "Taken at": "?", "load": "?"},
         ["missing", "not_a_time", "not_a_number"]),
        # Nothing else is said of a row that is for another fleet.
        ({"shop": "paint", "Taken at": "", "load": "?"}, ["other_member"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(changes: dict[str, str], reasons: list[str]) -> None:
    checked = _check(_row(**changes))
    assert _reasons(checked) == reasons
    assert checked.accepted.is_empty()


def test_what_may_stand_in_a_time_is_told() -> None:
    (words,) = _check(_row(**{"Taken at": "31.01.2026"})).tally.examples
    assert "taken_at: got 31.01.2026, allowed: a time such as 2026-01-31T08:30:00+01:00" in words
    assert "without an offset it is of Europe/Madrid" in words


@pytest.mark.parametrize("column", ["Motor no.", "Taken at", "shop"])
def test_a_file_without_unit_or_time_is_refused(column: str) -> None:
    with pytest.raises(Exception, match="no column for") as refusal:
        _check(_row().drop(column))
    assert refusal.value.reason == "missing_columns"  # type: ignore[attr-defined]


def test_rows_for_another_fleet_are_no_mistake_of_the_file() -> None:
    mine = [_row(), _row(**{"Motor no.": "M2"})]
    mixed = pl.concat([_row(shop="paint")] * 8 + mine)
    checked = check_file(mixed.write_csv().encode(), motors())
    assert checked.fault is None
    assert (len(checked.accepted), len(checked.rejected)) == (2, 8)
    assert "8 rows are for another fleet, by shop, and are set aside" in checked.warnings
    bad = pl.concat([mixed, _row(load="?")])
    fault = check_file(bad.write_csv().encode(), motors()).fault
    assert fault is not None
    assert str(fault).startswith("1 of 3 rows are bad (not_a_number 1)")
    none = check_file(_row(shop="paint").write_csv().encode(), motors()).fault
    assert none is not None
    assert none.reason == "no_members"


def test_of_one_unit_at_one_time_there_is_one_reading() -> None:
    same, other = _row(), _row(load="0.7")
    later = _row(**{"Taken at": "2026-01-31 09:30"})
    # As another zone writes the same moment.
    again = _row(**{"Taken at": "2026-01-31T07:30Z"})
    checked = _check(pl.concat([same, later, same, other, again, _row(**{"Motor no.": "M2"})]))
    assert checked.accepted["motor"].to_list() == ["M1", "M1", "M2"]
    assert checked.rejected["line"].to_list() == [4, 5, 6]
    assert _reasons(checked) == ["repeated_reading", "contradicting_reading", "repeated_reading"]
    assert checked.rejected["raw"][1].startswith("M1,2026-01-31 08:30,press,30.5")


def test_a_reading_is_known_over_the_chunks_of_a_file() -> None:
    rows = motor_rows(300, 100)
    body = motor_csv(rows)
    twice = body + body.partition(b"\n")[2]
    checked = check_file(twice, motors(), limits=_GENEROUS)
    assert checked.accepted["motor"].to_list() == rows["motor"].to_list()
    assert checked.tally.reasons == {"repeated_reading": len(rows)}


def test_the_receipt_says_what_the_series_are() -> None:
    rows = motor_rows(2, 48)
    backwards = pl.concat([rows.tail(1), rows.head(95)])
    notes = check_file(motor_csv(backwards), motors()).notes["series"]
    assert notes == {
        "units": 2, "from": "2025-12-31T23:00:00+00:00", "to": "2026-01-02T22:00:00+00:00",
        "out_of_order": 47,
    }  # fmt: skip
    assert check_file(motor_csv(rows), motors()).notes["series"]["out_of_order"] == 0


_TIMES = st.one_of(
    st.datetimes(datetime(1890, 1, 1), datetime(2210, 1, 1)).map(str),  # noqa: DTZ001
    st.sampled_from(["2026-01-31", " 2026-01-31T08:30Z", "2026-10-25 02:30", "", "na", "x" * 300]),
    st.text("0123456789-:TZ .+", max_size=20),
)
_UNITS = st.one_of(st.text("Mm1 ü", max_size=4), st.sampled_from(["na", " NA", "x" * 300, "1.0"]))
_SHOPS = st.sampled_from(["press", "Forge ", "paint", "", "x" * 300])


@given(st.lists(st.tuples(_UNITS, _TIMES, _SHOPS), min_size=1, max_size=6))
def test_the_fast_path_and_the_slow_one_read_the_same(rows: list[tuple[str, str, str]]) -> None:
    names = ("Motor no.", "Taken at", "shop")
    table = pl.concat([_row(**dict(zip(names, row, strict=True))) for row in rows])
    # A line's end in a quoted cell sends a file the slow way.
    more = table.with_columns(note=pl.lit("x"))
    texts = [more.write_csv(), more.write_csv(quote_style="always").replace('"x"', '"x\n"', 1)]
    found = [check_file(text.encode(), motors(), limits=_GENEROUS) for text in texts]
    kept = [one.accepted.drop("extra") for one in found]
    assert_frame_equal(kept[0], kept[1])
    faults = [one.rejected["faults"].to_list() for one in found]
    assert faults[0] == faults[1]


def _typed(frame: pl.DataFrame) -> CheckedFile:
    out = io.BytesIO()
    frame.write_parquet(out)
    return check_file(out.getvalue(), motors(), suffix=".parquet", limits=_GENEROUS)


@pytest.mark.parametrize("kind", [pl.Datetime("ms"), pl.Datetime("ns"), pl.Datetime("us")])
def test_typed_times_are_taken_as_their_text(kind: pl.DataType) -> None:
    rows = motor_rows(2, 30)
    typed = _typed(rows.with_columns(pl.col("taken_at").cast(kind)))
    text = check_file(motor_csv(rows), motors())
    assert_frame_equal(typed.accepted, text.accepted)
    assert typed.rejected.is_empty()


def test_a_typed_time_may_have_a_zone_or_be_a_day() -> None:
    rows = motor_rows(1, 3)
    tokyo = pl.col("taken_at").dt.replace_time_zone("Asia/Tokyo")
    first = _typed(rows.with_columns(tokyo)).accepted["taken_at"][0]
    assert first == datetime(2025, 12, 31, 15, tzinfo=UTC)
    days = _typed(rows.with_columns(pl.col("taken_at").dt.date())).accepted["taken_at"]
    assert set(days) == {datetime(2025, 12, 31, 23, tzinfo=UTC)}


@pytest.mark.parametrize("kind", [pl.Int64, pl.Float64, pl.String])
def test_a_number_that_names_a_unit_is_a_whole_one(kind: type[pl.DataType]) -> None:
    rows = motor_rows(1, 3).with_columns(pl.Series("motor", [17, 17, 18]).cast(kind))
    assert _typed(rows).accepted["motor"].to_list() == ["17", "17", "18"]


def test_a_workbook_is_read_alike() -> None:
    rows = motor_rows(1, 5).with_columns(pl.col("taken_at").dt.to_string("%Y-%m-%d %H:%M"))
    text = check_file(rows.write_csv().encode(), motors())
    book = workbook(rows.columns, *map(list, rows.rows()))
    sheet = check_file(book, motors(), suffix=".xlsx")
    assert_frame_equal(sheet.accepted, text.accepted)


def _counting(text: str) -> MachineSpec:
    return parse_spec(text.replace('zone = "Europe/Madrid"', 'kind = "counter"').encode(), "motors")


def test_a_counter_has_the_decimal_mark_of_its_file() -> None:
    spec = _counting(MOTORS.read_text(encoding="utf-8"))
    german = _row(**{"Taken at": "7,5", "Current [A]": "30,5", "load": "0,5"})
    checked = check_file(german.write_csv(separator=";").encode(), spec)
    assert checked.accepted["taken_at"].to_list() == [7.5]
    assert _reasons(_check(_row(**{"Taken at": "2026-01-31"}), spec)) == ["not_a_time"]


@pytest.fixture
def motor_intake(intake: Intake) -> Intake:
    return Intake(intake.store, intake.ledger, motors(), intake.prefixes, limits=intake.limits)


def _file(intake: Intake, body: bytes, name: str) -> int:
    key = f"{intake.prefixes.incoming}{name}"
    intake.store.write(intake.prefixes.bucket, key, body)
    receipt = file_object(intake, key)
    assert receipt is not None
    return receipt.id


@pytest.mark.integration
def test_processed_files_are_understood_again(motor_intake: Intake) -> None:
    rows = motor_rows(3, 40)
    receipt = _file(motor_intake, motor_csv(rows), "a.csv")
    (labelled,) = labelled_rows(motor_intake)
    assert labelled["receipt_id"].unique().to_list() == [receipt]
    curated = labelled.drop("receipt_id")
    assert curated["taken_at"].dtype == pl.Datetime("us", "UTC")
    (filed,) = processed_receipts(motor_intake)
    key = filed.outcome.processed_key or ""
    processed = motor_intake.store.read(motor_intake.prefixes.bucket, key)
    assert processed is not None
    again = check_file(processed[0], motors())
    assert_frame_equal(again.accepted.select(curated.columns), curated)


@pytest.mark.integration
def test_what_was_kept_as_text_before_is_a_time_now(motor_intake: Intake) -> None:
    text = MOTORS.read_text(encoding="utf-8")
    before = text.replace("[unit]", "[[identifiers]]").replace("[time]", "[[identifiers]]")
    before = before.replace('zone = "Europe/Madrid"\n', "").replace('"last"', '"median"')
    before = before.replace("[members]", "[[identifiers]]").replace("\nvalues =", "\ncolumns =")
    old = Intake(
        motor_intake.store, motor_intake.ledger, parse_spec(before.encode(), "old"),
        motor_intake.prefixes, limits=motor_intake.limits,
    )  # fmt: skip
    rows = motor_rows(1, 3)
    _file(old, motor_csv(rows), "a.csv")
    (then,), (receipt,) = labelled_rows(old), processed_receipts(old)
    assert then["taken_at"].to_list()[0] == "2026-01-01 00:00"
    (key,) = receipt.outcome.curated_keys
    now = read_part(motor_intake, key, receipt.id, ["taken_at", "motor"])
    assert now["taken_at"].to_list()[0] == datetime(2025, 12, 31, 23, tzinfo=UTC)
    _file(motor_intake, motor_csv(rows), "b.csv")
    newest = [*processed_receipts(motor_intake)][-1]
    back = read_part(old, newest.outcome.curated_keys[0], newest.id, ["taken_at"])
    assert back["taken_at"].dtype == pl.String


def _spec(old: str, new: str) -> MachineSpec:
    text = MOTORS.read_text(encoding="utf-8")
    assert old in text
    return parse_spec(text.replace(old, new).encode(), "motors.toml")


def test_names_of_units_that_differ_by_case_or_blanks_are_told_or_made_one() -> None:
    hour = ["2026-01-31 08:30", "2026-01-31 09:30", "2026-01-31 10:30"]
    rows = pl.concat(
        _row(**{"Motor no.": name, "Taken at": at})
        for name, at in zip(["M 1", "m  1", "M2"], hour, strict=True)
    )
    checked = _check(rows)
    assert checked.accepted["motor"].to_list() == ["M 1", "m  1", "M2"]
    assert (
        "differ by case or blanks only are taken for different ones: M 1, m  1"
        in (checked.warnings[-1])
    )
    folded = _check(rows, _spec("[unit]", '[unit]\nnames = "folded"'))
    assert folded.accepted["motor"].to_list() == ["M 1", "M 1", "M2"]
    assert folded.notes["series"]["renamed"] == 1
    assert not any("differ by case" in warning for warning in folded.warnings)


def test_steps_that_are_missing_are_counted() -> None:
    hours = ["08:00", "09:00", "10:25", "14:00", "13:00"]
    rows = pl.concat(_row(**{"Taken at": f"2026-01-31 {at}"}) for at in hours)
    assert "gaps" not in _check(rows).notes["series"]
    spec = _spec("[time]", '[time]\nstep = "1h"')
    notes = _check(rows, spec).notes["series"]
    assert (notes["gaps"], notes["out_of_order"]) == (1, 1)
    strict = _spec("[time]", '[time]\nstep = "1h"\ntolerance = 0.0')
    assert _check(rows, strict).notes["series"]["gaps"] == 2


@pytest.mark.parametrize("step", ["1", '"1 fortnight"', '"0h"'])
def test_a_step_is_a_span(step: str) -> None:
    with pytest.raises(InvalidSpecError, match="step"):
        _spec("[time]", f"[time]\nstep = {step}")


def test_what_comes_from_events_is_not_missed_in_readings() -> None:
    body = engine_rows(1).write_csv().encode()
    checked = check_file(body, engines_with_events())
    assert checked.warnings == []
    assert "missing" not in checked.notes
