"""Headers of files: limits at the intake's doors, and time that grows as the header does."""

from io import BytesIO

import polars as pl
import pytest

from presagio.errors import HeaderLimitError
from presagio.ingest.checking import Limits, check_file
from presagio.ingest.text.dialect import read_dialect
from presagio.machine.headers import HeaderLimits
from presagio.machine.spec import MachineSpec
from tests.growth import LINEAR, growth
from tests.machine.test_columns import CONTRACT

ROW = ["300", "310", "1500", "40", "100", "0", "1"]
SMALL = Limits(headers=HeaderLimits(columns=20, name_length=40))
UNLIMITED = HeaderLimits(columns=10**9, name_length=10**9)


def _csv(header: list[str], delimiter: str = ",") -> bytes:
    row = [*ROW, *["x"] * (len(header) - len(ROW))]
    return f"{delimiter.join(header)}\n{delimiter.join(row)}\n".encode()


def _parquet(header: list[str]) -> bytes:
    body = BytesIO()
    row = [*ROW, *["x"] * (len(header) - len(ROW))]
    pl.DataFrame(dict(zip(header, [[cell] for cell in row], strict=True))).write_parquet(body)
    return body.getvalue()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    ("more", "reason"),
    [([f"c{i}" for i in range(14)], "too_many_columns"), (["x" * 41], "name_too_long")],
)
def test_a_text_file_beyond_the_limits_is_refused(
    more: list[str], reason: str, delimiter: str, spec: MachineSpec
) -> None:
    with pytest.raises(HeaderLimitError) as refused:
        check_file(_csv([*CONTRACT, *more], delimiter), spec, limits=SMALL)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("more", "reason"),
    [([f"c{i}" for i in range(14)], "too_many_columns"), (["x" * 41], "name_too_long")],
)
def test_a_parquet_file_beyond_the_limits_is_refused(
    more: list[str], reason: str, spec: MachineSpec
) -> None:
    with pytest.raises(HeaderLimitError) as refused:
        check_file(_parquet([*CONTRACT, *more]), spec, suffix=".parquet", limits=SMALL)
    assert refused.value.reason == reason


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_long_header_within_the_limits_is_no_long_name(delimiter: str, spec: MachineSpec) -> None:
    wide = [f"sensor {i}" for i in range(2000)]
    checked = check_file(_csv([*CONTRACT, *wide], delimiter), spec)
    assert len(checked.accepted) == 1
    assert checked.warnings[0].endswith("and 1,980 more")


@pytest.mark.parametrize("cell", ["a [", "[a]", "a_", " ", "torque_nm", "torque_nm [bar]", ""])
@pytest.mark.parametrize("between", ["", ",", ";", "|"])
def test_time_is_linear_in_the_size_of_a_header(cell: str, between: str, spec: MachineSpec) -> None:
    def make(size: int) -> list[str]:
        return ["x" + (cell + between) * size + "\n"]

    assert growth(make, lambda lines: read_dialect(lines, spec, UNLIMITED), 1000) < LINEAR
