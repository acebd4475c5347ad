"""What the reading of one file may take."""

from dataclasses import dataclass


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
