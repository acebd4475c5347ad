"""A text file cut into chunks of whole lines, in bounded memory."""

from collections.abc import Iterator

from presagio.errors import UnreadableFileError
from presagio.sentences import Count, Sentence

_LONGEST_LINE = 4 << 20


class Chunks:
    """Cuts blocks of UTF-8 bytes into chunks of whole lines of about ``size`` bytes.

    Attributes
    ----------
    blank_lines
        How many blank lines were left out at the end of the file.
    """

    def __init__(self, blocks: Iterator[bytes], size: int) -> None:
        self._blocks, self._size = blocks, size
        self.blank_lines = 0

    def __iter__(self) -> Iterator[tuple[bytes, bool]]:
        """Yield chunks, and whether there is more after each; one at least."""
        waiting: list[bytes] = []
        held = unbroken = 0
        for block in self._blocks:
            # Looked for in the block alone: a chunk is copied once.
            cut = block.rfind(b"\n") + 1
            unbroken = len(block) - cut if cut else unbroken + len(block)
            if unbroken > _LONGEST_LINE:
                raise UnreadableFileError(
                    "malformed",
                    Sentence(
                        "there is a line of more than %(most)s bytes in it; this is no table with "
                        "a row on each line",
                        {"most": Count(_LONGEST_LINE)},
                    ),
                )
            waiting.append(block)
            held += len(block)
            if held >= self._size and cut:
                waiting[-1], rest = block[:cut], block[cut:]
                yield b"".join(waiting), True
                waiting, held = [rest], len(rest)
        yield self._last(b"".join(waiting)), False

    def _last(self, rest: bytes) -> bytes:
        """Take blank lines off the end; the last line may have an end or not."""
        body = rest.rstrip(b"\r\n")
        ends = rest.count(b"\n", len(body))
        self.blank_lines = max(0, ends - 1) if body else ends
        return body


def pieces(body: bytes, size: int) -> Iterator[tuple[bytes, bool]]:
    """Cut a chunk into pieces of whole lines, of ``size`` bytes or one line; tell which is last."""
    start = 0
    while len(body) - start > size:
        cut = body.rfind(b"\n", start, start + size) + 1
        cut = cut or body.find(b"\n", start + size) + 1 or len(body)
        yield body[start:cut], cut == len(body)
        start = cut
    if start < len(body) or not body:
        yield (body[start:] if start else body), True


def without_lines(body: bytes, count: int) -> bytes:
    """Return what follows the first lines."""
    if not count:
        return body
    start = 0
    for _ in range(count):
        start = body.find(b"\n", start) + 1
        if not start:
            return b""
    return body[start:]


def split_lines(body: bytes) -> list[str]:
    """Return the lines of a text without their ends; the last one may have none."""
    lines = body.decode().split("\n")
    if not lines[-1]:
        lines.pop()
    return lines
