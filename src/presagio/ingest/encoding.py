"""From the bytes of a text file to UTF-8: which encoding it is in, and never a guess.

UTF-8 is told from others by decoding the whole file: text in another encoding is not valid UTF-8
by chance. What is not UTF-8 and names no other encoding by a byte order mark is Windows-1252,
which the Excel of western Europe writes; that reading is recorded as a warning.
"""

import codecs
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from presagio.errors import UnreadableFileError

_BLOCK = 1 << 20
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
WINDOWS = "cp1252"


class Readable(Protocol):
    """Whatever gives bytes."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes, none at the end."""
        ...


@dataclass(frozen=True)
class TextForm:
    """How a text is written: its encoding, the length of its byte order mark, its line ends."""

    encoding: str
    mark: int = 0
    old_line_ends: bool = False


def _blocks(file: Readable) -> Iterator[bytes]:
    while block := file.read(_BLOCK):
        yield block


def _decoded(file: Readable, form: TextForm) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(form.encoding)()
    file.read(form.mark)
    for block in _blocks(file):
        yield decoder.decode(block)
    yield decoder.decode(b"", final=True)


def _examined(file: Readable, form: TextForm) -> TextForm:
    """Decode everything, and see how lines end."""
    fed = returned = False
    for text in _decoded(file, form):
        if "\0" in text:
            raise UnreadableFileError(
                "encoding",
                "there are NUL characters in it: this is no text file, or UTF-16 without a byte "
                "order mark; save it as CSV UTF-8",
            )
        fed, returned = fed or "\n" in text, returned or "\r" in text
    return TextForm(form.encoding, form.mark, old_line_ends=returned and not fed)


def find_form(reopen: Callable[[], Readable]) -> TextForm:
    """Find out how a text is written.

    Parameters
    ----------
    reopen
        Gives the file from its beginning; it is read once, or twice where it is not UTF-8.

    Returns
    -------
    TextForm
        The form in which every byte of the file is a character.

    Raises
    ------
    UnreadableFileError
        ``encoding``: it is in none of the encodings that are taken.
    """
    start = reopen().read(4)
    for mark, encoding in _MARKS.items():
        if start.startswith(mark):
            candidates = [TextForm(encoding, len(mark))]
            break
    else:
        candidates = [TextForm("utf-8"), TextForm(WINDOWS)]
    for form in candidates:
        try:
            return _examined(reopen(), form)
        except UnicodeDecodeError as err:
            refused = f"it is not {form.encoding} ({err.reason})"
    raise UnreadableFileError("encoding", f"{refused}; save the file as CSV UTF-8")


def utf8_blocks(file: Readable, form: TextForm) -> Iterator[bytes]:
    """Yield a text as UTF-8, without its byte order mark, in blocks of about a mebibyte."""
    if form.encoding == "utf-8":
        file.read(form.mark)
        blocks = _blocks(file)
    else:
        blocks = (text.encode() for text in _decoded(file, form))
    for block in blocks:
        yield block.replace(b"\r", b"\n") if form.old_line_ends else block
