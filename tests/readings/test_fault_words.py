"""Each fault of a row is a sentence that can be translated, whose English is what is kept."""

from collections.abc import Iterator
from io import BytesIO

import polars as pl
import pytest

from presagio.ingest.checking import Limits
from presagio.ingest.previewing import BadRow, preview_file
from presagio.machine.event_log import event_log
from presagio.machine.spec import MachineSpec, load_spec
from presagio.readings.fault_words import fault_sentence
from presagio.readings.rules import Reason
from presagio.sentences import Sentence
from tests.motors import MOTORS as MOTORS_SPEC
from tests.pumps import PUMPS as PUMPS_SPEC

MILL = "UDI,Type,Air temperature [°C],Process temperature [K],Rotational speed [rpm],Torque [Nm],"
MILL += "Tool wear [min],Machine failure\n"
MILL_ROWS = (
    "1,L,30,310,1500,40,9,0", "2,X,30,310,1500,40,9,0", "3,L,,310,1500,40,9,0",
    "4,L,?,310,1500,40,9,0", "5,L,95,310,1500,400,9,maybe", '6,L,30,310,"1,551",40,9,0',
    '7,L,30,310,1500,"40,5",9,0', "8,L,30,310,1500,40", '9,"L"x,30,310,1500,40,9,0',
    f"10,L,30,310,1500,{'4' * 300},9,0", '11,"L,30,310,1500,40,9,0',
)  # fmt: skip
FLAGS = "type_l,type_m,airtemperature_k,process_temperature_k,rotational_speed_rpm,torque_nm,"
FLAGS += "tool_wear_min\n"
MOTORS = "shop,Motor no.,Taken at,Current [A],vibration,humidity,load,failed\n"
MOTORS_ROWS = (
    "press,A,2026-01-31T08:30:00,10,1,1,1,0", "press,A,2026-01-31T08:30:00,10,1,1,1,0",
    "press,A,2026-01-31T08:30:00,11,1,1,1,0", "press,,yesterday,10,x,1,1,0",
    "paint,B,2026-01-31T08:30:00,10,1,1,1,0", "press,C,2026-10-25T02:30:00,10,1,1,1,0",
)  # fmt: skip
EVENTS = "Motor no.,Taken at,kind,mode\n"
EVENTS_ROWS = (
    "A,2026-01-31T08:30:00,failure,", "A,2026-01-31T08:30:00,failure,",
    "B,2026-01-31T08:30:00,gone,",
)  # fmt: skip
# Of JSON alone, which files of the intake are not.
OF_JSON = {Reason.NO_JSON, Reason.NO_OBJECT, Reason.REPEATED_KEY}


def _csv(header: str, rows: tuple[str, ...], spec: MachineSpec) -> list[tuple[MachineSpec, BadRow]]:
    body = (header + "\n".join(rows) + "\n").encode()
    seen = preview_file(BytesIO(body), "x.csv", spec, Limits(max_bad_share=1.0))
    return [(spec, row) for row in seen.bad_rows]


def _parquet(spec: MachineSpec, **texts: str) -> list[tuple[MachineSpec, BadRow]]:
    """Return the bad rows of a reading with texts that no CSV has."""
    file = BytesIO()
    pl.DataFrame({name: [float(value)] for name, value in spec.example.items()}).with_columns(
        pl.lit(text).alias(name) for name, text in texts.items()
    ).write_parquet(file)
    seen = preview_file(file, "x.parquet", spec, Limits(max_bad_share=1.0))
    return [(spec, row) for row in seen.bad_rows]


def _bad_rows() -> Iterator[tuple[MachineSpec, BadRow]]:
    mill, motors, pumps = load_spec(), load_spec(MOTORS_SPEC), load_spec(PUMPS_SPEC)
    yield from _csv(MILL, MILL_ROWS, mill)
    yield from _parquet(mill, product_id="L\0")
    yield from _csv(FLAGS, ("1,1,300,310,1500,40,9", "x,0,300,310,1500,40,9"), mill)
    yield from _csv(MOTORS, MOTORS_ROWS, motors)
    yield from _csv(EVENTS, EVENTS_ROWS, event_log(motors))
    once = mill.model_copy(update={"duplicates": "reject"})
    yield from _csv(MILL, MILL_ROWS[:1] * 2, once)
    ranged = ("-1,1,1,1,single,p,0", "1,na,1,1,triple,p,0")
    yield from _csv("pressure_bar,flow,restarts,Vibration,seal,pump,Class\n", ranged, pumps)


@pytest.fixture(scope="module")
def faults() -> list[tuple[MachineSpec, str, str, str, Sentence | None]]:
    return [
        (spec, *fault)
        for spec, row in _bad_rows()
        for fault in zip(row.columns, row.reasons, row.messages, row.sentences, strict=True)
    ]  # fmt: skip


def test_there_is_a_sentence_for_each_fault_of_each_reason(
    faults: list[tuple[MachineSpec, str, str, str, Sentence | None]],
) -> None:
    seen = {reason for _, _, reason, _, _ in faults}
    unseen = {*Reason} - OF_JSON - seen
    # An event log keeps another mode of one time apart; its text is of the same table.
    assert unseen <= {Reason.CONTRADICTING_EVENT}
    for _, column, reason, message, sentence in faults:
        assert sentence is not None, (column, reason, message)
        assert str(sentence) == message


def test_a_cell_that_is_too_long_for_a_table_is_named(spec: MachineSpec) -> None:
    frame = pl.DataFrame({name: [1.0] for name in spec.input_names})
    frame = frame.with_columns(pl.lit("x" * (2 << 20)).alias("remark"))
    file = BytesIO()
    frame.write_parquet(file)
    seen = preview_file(file, "x.parquet", spec, Limits())
    (row,) = seen.bad_rows
    assert row.sentences[0] is not None
    assert str(row.sentences[0]) == row.messages[0]


@pytest.mark.parametrize(
    ("column", "reason", "message"),
    [
        ("torque_nm", "out_of_range", "torque_nm: got 400, allowed: a number, 0 to 99 Nm"),
        ("torque_nm", "unheard_of", "something"),
        ("gone", "missing", "gone: got nothing, allowed: a number"),
        ("", "ragged", "many cells where the header has few"),
        ("x", "too_long", "x is longer than a day"),
    ],
)
def test_what_another_spec_or_version_said_has_none(
    spec: MachineSpec, column: str, reason: str, message: str
) -> None:
    assert fault_sentence(spec, column, reason, message) is None


def test_text_of_a_file_is_a_value_and_never_a_part_of_the_text(spec: MachineSpec) -> None:
    message = "torque_nm: got %(allowed)s %s, allowed: a number, 0 to 150 Nm"
    found = fault_sentence(spec, "torque_nm", Reason.NOT_A_NUMBER, message)
    assert found is not None
    assert found.values["got"] == "%(allowed)s %s"
    assert str(found) == message
