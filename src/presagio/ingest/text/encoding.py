"""From the bytes of a text file to UTF-8: which encoding it is in, and never a guess.

UTF-8 is told from others by decoding the whole file: text in another encoding is not valid UTF-8
by chance. What is not UTF-8 and names no other encoding by a byte order mark is Windows-1252,
which the Excel of western Europe writes; that reading is recorded as a warning.

Lines end as most of them do. A file without a line feed may use the carriage returns of old Macs,
or the line separators of Unicode and of mainframes; in a file with line feeds these are characters.
"""

import codecs
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from presagio.errors import UnreadableFileError
from presagio.sentences import Sentence

_BLOCK = 1 << 20
# Next line, line separator, paragraph separator.
_OTHER_ENDS = ("\x85", "\u2028", "\u2029")
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
    """How a text is written.

    Attributes
    ----------
    encoding, mark
        Its encoding, and the length of its byte order mark.
    line_end
        What ends its lines; a line feed may have a carriage return before it.
    stray_returns
        How many carriage returns stand within lines that end with a line feed.
    """

    encoding: str
    mark: int = 0
    line_end: str = "\n"
    stray_returns: int = 0


def _blocks(file: Readable) -> Iterator[bytes]:
    while block := file.read(_BLOCK):
        yield block


def _decoded(file: Readable, form: TextForm) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(form.encoding)()
    file.read(form.mark)
    for block in _blocks(file):
        yield decoder.decode(block)
    yield decoder.decode(b"", final=True)


class _LineEnds:
    """Counts what may end lines, block by block."""

    def __init__(self) -> None:
        self._feeds = self._returns = 0
        self._others: dict[str, int] = dict.fromkeys(_OTHER_ENDS, 0)
        self._last = ""

    def add(self, text: str) -> None:
        """Count in the next block."""
        if self._last == "\r" and text.startswith("\n"):
            self._returns -= 1
        self._feeds += text.count("\n")
        if "\r" in text:
            self._returns += text.count("\r") - text.count("\r\n")
        if not self._feeds:
            for end in _OTHER_ENDS:
                self._others[end] += text.count(end)
        self._last = text[-1:] or self._last

    def form(self, encoding: str, mark: int) -> TextForm:
        """Return the form that follows."""
        if self._returns > self._feeds:
            return TextForm(encoding, mark, "\r")
        other = max(_OTHER_ENDS, key=self._others.__getitem__)
        if not self._feeds and not self._returns and self._others[other]:
            return TextForm(encoding, mark, other)
        return TextForm(encoding, mark, stray_returns=self._returns)


def _examined(file: Readable, form: TextForm) -> TextForm:
    """Decode everything, and see how lines end."""
    ends = _LineEnds()
    for text in _decoded(file, form):
        if "\0" in text:
            raise UnreadableFileError(
                "encoding",
                Sentence(
                    "there are NUL characters in it: this is no text file, or UTF-16 without a "
                    "byte order mark; save it as CSV UTF-8"
                ),
            )
        ends.add(text)
    return ends.form(form.encoding, form.mark)


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
            refused = {"encoding": form.encoding, "why": err.reason}
    raise UnreadableFileError(
        "encoding",
        Sentence("it is not %(encoding)s (%(why)s); save the file as CSV UTF-8", refused),
    )


def _with_line_feeds(texts: Iterable[str], line_end: str) -> Iterator[str]:
    """End lines with line feeds; a return at the end of a block may belong to the next one's."""
    held = ""
    for text in texts:
        whole = held + text
        held = "\r" if whole.endswith("\r") else ""
        whole = whole.removesuffix("\r") if held else whole
        yield whole.replace("\r\n", "\n").replace(line_end, "\n")
    yield "\n" if held else ""


def utf8_blocks(file: Readable, form: TextForm) -> Iterator[bytes]:
    """Yield a text as UTF-8, without its byte order mark, in blocks of about a mebibyte.

    Its lines end with a line feed, with or without a carriage return before it.
    """
    if form.line_end != "\n":
        yield from (t.encode() for t in _with_line_feeds(_decoded(file, form), form.line_end) if t)
    elif form.encoding == "utf-8":
        file.read(form.mark)
        yield from _blocks(file)
    else:
        yield from (text.encode() for text in _decoded(file, form) if text)
