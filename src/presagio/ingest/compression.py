"""Compressed files, opened with caps: a small file must not become an endless one."""

import gzip
import sys
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from presagio.errors import UnreadableFileError
from presagio.ingest.text.encoding import Readable
from presagio.sentences import Count, Number, Sentence

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

COMPRESSED_SUFFIXES = (".gz", ".zst")
# Below this a high ratio is no bomb: a short file of one repeated row compresses a thousandfold.
_HARMLESS_BYTES = 16 << 20
_BROKEN = (gzip.BadGzipFile, zlib.error, zstd.ZstdError, EOFError)


@dataclass(frozen=True)
class Caps:
    """What a compressed file may become.

    Attributes
    ----------
    max_bytes
        Bytes after decompression.
    max_ratio
        Bytes after decompression for each byte before.
    """

    max_bytes: int = 8 << 30
    max_ratio: float = 200.0

    def most_bytes(self, packed_bytes: int) -> int:
        """Return how many bytes a file of a size may unpack to."""
        return min(self.max_bytes, max(_HARMLESS_BYTES, int(packed_bytes * self.max_ratio)))


class _Capped:
    """A decompressing file that refuses to give more than its caps."""

    def __init__(self, inner: BinaryIO, packed_bytes: int, caps: Caps) -> None:
        self._inner = inner
        self._caps = caps
        self._most = caps.most_bytes(packed_bytes)
        self._given = 0

    def read(self, size: int, /) -> bytes:
        try:
            block = self._inner.read(size)
        except _BROKEN as err:
            raise UnreadableFileError(
                "corrupt",
                Sentence(
                    "the compressed file is broken or cut off (%(why)s); send it again",
                    {"why": str(err)},
                ),
            ) from err
        self._given += len(block)
        if self._given > self._most:
            raise UnreadableFileError(
                "too_large",
                Sentence(
                    "it unpacks to more than %(bytes)s bytes (at most %(most)s, and %(ratio)s for "
                    "each packed byte); split it, or raise PRESAGIO_INTAKE_MAX_BYTES or "
                    "PRESAGIO_INTAKE_MAX_RATIO",
                    {
                        "bytes": Count(self._most), "most": Count(self._caps.max_bytes),
                        "ratio": Number(self._caps.max_ratio),
                    },
                ),
            )  # fmt: skip
        return block


def open_unpacked(file: BinaryIO, suffix: str, caps: Caps) -> Readable:
    """Give the bytes of a file from its beginning, unpacked as its suffix says.

    Parameters
    ----------
    file
        The file as it came; it is rewound.
    suffix
        ``.gz``, ``.zst``, or any other for a file that is not compressed.
    caps
        What it may unpack to.

    Returns
    -------
    Readable
        Its ``read`` raises :class:`UnreadableFileError` (``corrupt``, ``too_large``).
    """
    packed_bytes = file.seek(0, 2)
    file.seek(0)
    if suffix == ".gz":
        return _Capped(gzip.GzipFile(fileobj=file, mode="rb"), packed_bytes, caps)  # type: ignore[arg-type]
    if suffix == ".zst":
        return _Capped(zstd.ZstdFile(file), packed_bytes, caps)  # type: ignore[arg-type]
    return file
