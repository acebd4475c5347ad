"""Exit statuses: the same number means the same in every command."""

from collections.abc import Iterable
from enum import IntEnum
from typing import Self

import typer

from presagio.errors import NotFoundError, PresagioError


class ExitStatus(IntEnum):
    """What the exit status of a command means."""

    meaning: str

    DONE = 0, "done"
    FAILED = 1, "failed: the reason is on standard error"
    USAGE = 2, "wrong usage: an option or argument that cannot be used"
    NOT_HEALTHY = 3, "no stack runs, or a service of it is not healthy"
    TIMED_OUT = 4, "a wait ran out of time"
    DIFFERENCES = 5, "ledger and buckets differ"
    QUARANTINED = 6, "a file was refused whole (quarantine)"
    NOT_PROMOTED = 7, "the model was not promoted; the champion stays"
    DRIFTED = 8, "readings have drifted"
    NOT_FOUND = 9, "nothing has the number or name that was given"
    INTERRUPTED = 130, "interrupted by Ctrl-C"

    def __new__(cls, value: int, meaning: str) -> Self:
        """Make a member that is the number and knows its meaning."""
        member = int.__new__(cls, value)
        member._value_, member.meaning = value, meaning
        return member


EVERY_COMMAND = (
    ExitStatus.DONE, ExitStatus.FAILED, ExitStatus.USAGE, ExitStatus.INTERRUPTED,
)  # fmt: skip


def exit_status_of(error: PresagioError | OSError) -> ExitStatus:
    """Return what a command ends with that an error has ended."""
    return ExitStatus.NOT_FOUND if isinstance(error, NotFoundError) else ExitStatus.FAILED


def leave_unless_done(status: ExitStatus) -> None:
    """End the command with a status, unless that is 0."""
    if status is not ExitStatus.DONE:
        raise typer.Exit(status)


def describe_statuses(statuses: Iterable[ExitStatus]) -> str:
    """List statuses with their meaning, as the end of a help text."""
    lines = (f"{status:>3}  {status.meaning}" for status in sorted(statuses))
    return "Exit status:\n\n" + "\n".join(lines)
