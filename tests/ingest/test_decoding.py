import pytest

from presagio.errors import UnreadableFileError
from presagio.ingest.decoding import decode_csv
from presagio.machine.spec import MachineSpec
from tests.readings import HEADER

ROW = b"L,300,310,1500,40,10"


def test_rows_come_with_their_lines(spec: MachineSpec) -> None:
    records = decode_csv(b"\n".join([HEADER, ROW, b"", ROW, b""]), spec)
    assert [line for line, _ in records.rows] == [2, 4]
    assert records.rows[0][1] == ("L", "300", "310", "1500", "40", "10")


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_byte_order_mark_and_line_ends_do_not_matter(
    spec: MachineSpec, mark: bytes, newline: bytes
) -> None:
    records = decode_csv(mark + newline.join([HEADER, ROW]), spec)
    assert not records.match.missing
    assert len(records.rows) == 1


def test_a_header_alone_is_a_file_of_no_rows(spec: MachineSpec) -> None:
    assert decode_csv(HEADER, spec).rows == ()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"\xff\xfe" + "Type".encode("utf-16-le"), "encoding"),
        (b"a,b\n1,2\n", "missing_columns"),
        (HEADER + b",TYPE\n", "duplicated_columns"),
        (HEADER + b'\nL,"300,310', "malformed"),
    ],
)
def test_a_file_that_cannot_be_taken_says_why(spec: MachineSpec, body: bytes, reason: str) -> None:
    with pytest.raises(UnreadableFileError) as refused:
        decode_csv(body, spec)
    assert refused.value.reason == reason
