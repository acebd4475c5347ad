"""Parquet files that do more than hold readings: read within bounds, and each gets its verdict."""

import io
import os
import signal
from dataclasses import replace
from typing import Any

import polars as pl
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from presagio.errors import UnreadableFileError
from presagio.ingest.checking import CheckedFile, FileRows, Limits, check_file
from presagio.machine.spec import MachineSpec
from presagio.readings.process.reader_limits import ReaderLimits
from tests.bombs import shared_string, structs_within_each_other

pytestmark = pytest.mark.unit

_LIMITS = Limits(max_bad_share=1, reader=ReaderLimits(memory_bytes=384 << 20))


def _columns(spec: MachineSpec, rows: int) -> dict[str, Any]:
    return {name: [float(value)] * rows for name, value in spec.example.items()}


def _check(spec: MachineSpec, table: pa.Table, limits: Limits = _LIMITS) -> CheckedFile:
    body = io.BytesIO()
    pq.write_table(table, body, compression="zstd")
    return check_file(body.getvalue(), spec, suffix=".parquet", limits=limits)


def _peak_mib() -> float:
    return psutil.Process().memory_info().rss / 2**20


@pytest.mark.parametrize(
    "odd",
    [
        pa.array([[1, 2]]),
        pa.array([b"\xff\x00"]),
        pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
        pa.array([{"a": {"b": [1]}}]),
        pa.array([5], pa.duration("s")),
    ],
    ids=["list", "bytes", "map", "struct", "duration"],
)
def test_a_column_that_nobody_needs_may_be_anything(spec: MachineSpec, odd: pa.Array) -> None:
    checked = _check(spec, pa.table({**_columns(spec, 1), "odd": odd, "shift": [7]}))
    assert len(checked.accepted) == 1
    assert checked.accepted["extra"].to_list() == ['{"shift":"7"}']
    assert any("odd" in warning and "original" in warning for warning in checked.warnings)


def test_text_that_the_ledger_cannot_keep_is_refused_in_words_that_it_can(
    spec: MachineSpec,
) -> None:
    """Parquet takes a NUL in text, and PostgreSQL takes none: not in a name, nor in a message."""
    names = pa.table({**_columns(spec, 3), "Product ID": ["L1", "L\0", "L3"]})
    checked = _check(spec, names)
    assert checked.accepted["product_id"].to_list() == ["L1", "L3"]
    assert checked.tally.reasons == {"nul_character": 1}
    numbers = _check(spec, pa.table({**_columns(spec, 2), "torque_nm": ["40", "4\0"]}))
    assert numbers.tally.reasons == {"not_a_number": 1}
    for found in (checked, numbers):
        assert "\0" not in found.tally.examples[0]
        assert "\u2400" in found.tally.examples[0]
        assert "\0" in found.rejected["raw"][0]


def test_a_string_that_all_rows_share_is_not_made_for_each(spec: MachineSpec) -> None:
    for column in ("note", "torque_nm"):
        table = pa.table({**_columns(spec, 5_000), column: shared_string(5_000)})
        before = _peak_mib()
        checked = _check(spec, table)
        assert checked.tally.reasons == {"too_long": 5_000}
        assert f"{column} is longer than 65,536 bytes" in checked.tally.examples[0]
        assert _peak_mib() - before < 150


def test_text_that_unpacks_to_too_much_is_refused(spec: MachineSpec) -> None:
    table = pa.table({**_columns(spec, 5_000), "note": shared_string(5_000, length=60_000)})
    with pytest.raises(UnreadableFileError, match="its text unpacks to more") as refused:
        _check(spec, table)
    assert refused.value.reason == "too_large"


def test_a_file_without_rows_is_refused_and_says_so(spec: MachineSpec) -> None:
    checked = _check(spec, pa.table(_columns(spec, 0)))
    assert (len(checked.accepted), len(checked.rejected)) == (0, 0)
    assert checked.fault is not None
    assert checked.fault.reason == "no_rows"


def test_structs_within_each_other_get_a_verdict(spec: MachineSpec) -> None:
    table = pa.table({**_columns(spec, 1), "deep": structs_within_each_other(1000)})
    with pytest.raises(UnreadableFileError) as refused:
        _check(spec, table)
    assert refused.value.reason == "reader_ended"
    assert len(_check(spec, pa.table(_columns(spec, 3))).accepted) == 3


def test_a_file_of_too_much_memory_gets_a_verdict(spec: MachineSpec) -> None:
    rows = 30_000_000
    zeros = pl.select(pl.repeat(float(value), rows).alias(n) for n, value in spec.example.items())
    body = io.BytesIO()
    zeros.write_parquet(body, row_group_size=rows)
    del zeros
    with pytest.raises(UnreadableFileError) as refused:
        check_file(body.getvalue(), spec, suffix=".parquet", limits=_LIMITS)
    assert refused.value.reason == "reader_ended"
    assert "PRESAGIO_READER_MEMORY_BYTES" in str(refused.value)


def test_a_first_try_that_fails_by_chance_costs_no_row(spec: MachineSpec) -> None:
    table = pa.table({**_columns(spec, 150_000), "n": range(150_000)})
    body = io.BytesIO()
    pq.write_table(table, body)
    rows, numbers, killed = FileRows(body, ".parquet", spec, replace(_LIMITS, readers=1)), [], False
    for chunk in rows:
        numbers += chunk.accepted["extra"].str.json_path_match("$.n").cast(pl.Int64).to_list()
        if not killed:
            for reader in psutil.Process().children():
                if "presagio.readings.process.child" in reader.cmdline():
                    os.kill(reader.pid, signal.SIGKILL)
            killed = True
    assert numbers == list(range(150_000))


def test_files_that_are_given_up_hold_no_reader(spec: MachineSpec) -> None:
    body = io.BytesIO()
    pq.write_table(pa.table(_columns(spec, 150_000)), body)
    kept = []
    for _ in range(_LIMITS.readers + 1):
        # Whoever fails keeps what it was doing, as a traceback does.
        kept.append(iter(FileRows(body, ".parquet", spec, _LIMITS)))
        next(kept[-1])
        kept[-1].close()
    assert len(_check(spec, pa.table(_columns(spec, 3))).accepted) == 3


def test_a_count_of_rows_that_lies_is_found(spec: MachineSpec) -> None:
    body = io.BytesIO()
    pq.write_table(pa.table(_columns(spec, 1000)), body)
    raw = body.getvalue()
    # The footer has it as zigzag in 16 bits, of the file and of its row group.
    lie = raw.replace(b"\x16\xd0\x0f", b"\x16\xd2\x0f")
    assert lie != raw
    with pytest.raises(UnreadableFileError) as refused:
        check_file(lie, spec, suffix=".parquet", limits=_LIMITS)
    assert refused.value.reason == "corrupt"


@pytest.mark.parametrize(("air", "reason"), [("300", "ambiguous_numbers"), ("300.5", None)])
def test_a_number_stored_as_text_is_never_guessed(
    spec: MachineSpec, air: str, reason: str | None
) -> None:
    columns = _columns(spec, 2) | {
        "rotational_speed_rpm": ["1.551", "1500"], "airtemperature_k": [air, "300"],
    }  # fmt: skip
    fault = _check(spec, pa.table(columns)).fault
    assert (fault.reason if fault else None) == reason


def test_a_number_stored_as_one_needs_no_evidence(spec: MachineSpec) -> None:
    columns = _columns(spec, 2) | {"rotational_speed_rpm": [1.551, 1500.0]}
    assert _check(spec, pa.table(columns)).fault is None
