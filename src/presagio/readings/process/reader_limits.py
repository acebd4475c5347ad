"""What the reading of one file may take."""

from dataclasses import dataclass

from presagio.settings import Settings


@dataclass(frozen=True)
class ReaderLimits:
    """Limits of a reader process and of the files that it reads.

    Attributes
    ----------
    memory_bytes
        Address space that a reader may take beyond what it has when it starts.
    seconds
        How long the next part of a file may take.
    line_bytes
        Longest line of NDJSON.
    cell_bytes
        Longest cell of a table; a row with a longer one is refused.
    """

    memory_bytes: int = 1 << 30
    seconds: float = 30.0
    line_bytes: int = 1 << 20
    cell_bytes: int = 1 << 16


def reader_limits(settings: Settings) -> ReaderLimits:
    """Return what the reading of a file may take, as the settings say."""
    return ReaderLimits(
        settings.reader_memory_bytes,
        settings.reader_seconds,
        settings.max_line_bytes,
        settings.max_cell_bytes,
    )
