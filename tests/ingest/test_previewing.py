"""The verdict on a file before it is sent: bounded in what it keeps, and in time."""

import gzip
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from presagio.ingest.checking import Limits
from presagio.ingest.previewing import preview_file
from presagio.machine.spec import MachineSpec

HEADER = "Type,Air temperature [K],Process temperature [K],Rotational speed [rpm],Torque [Nm],"
HEADER += "Tool wear [min],Machine failure\n"
GOOD, BAD = "L,300,310,1500,40,9,0\n", "L,300,310,1500,?,9,0\n"


def test_a_few_bad_rows_are_kept_of_many(spec: MachineSpec) -> None:
    body = (HEADER + GOOD * 400 + BAD * 60).encode()
    seen = preview_file(BytesIO(body), "x.csv", spec, Limits(), most_rows=5)
    assert (seen.rows, seen.rejected, seen.taken, seen.is_whole) == (460, 60, 400, True)
    assert seen.fault is None
    assert [row.line for row in seen.bad_rows] == [402, 403, 404, 405, 406]
    assert (seen.bad_rows[0].reasons, seen.bad_rows[0].raw) == (("not_a_number",), BAD.strip())


def test_after_its_time_the_verdict_is_of_the_rows_so_far(spec: MachineSpec) -> None:
    body = (HEADER + GOOD * 2_000_000).encode()
    seen = preview_file(BytesIO(body), "x.csv", spec, Limits(), seconds=0.0)
    assert not seen.is_whole
    assert 0 < seen.rows < 2_000_000


def test_a_file_of_a_form_is_read_whatever_its_handle_was_opened_for(spec: MachineSpec) -> None:
    with cast("BinaryIO", SpooledTemporaryFile()) as file:
        file.write(gzip.compress((HEADER + GOOD * 3).encode()))
        assert preview_file(file, "x.csv.gz", spec, Limits()).taken == 3


def test_a_file_that_is_too_large_is_not_read(spec: MachineSpec) -> None:
    seen = preview_file(BytesIO(b"x" * 11), "x.csv", spec, Limits(max_file_bytes=10))
    assert seen.fault is not None
    assert (seen.fault.reason, seen.taken) == ("too_large", 0)
