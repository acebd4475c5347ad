"""Exit statuses: the one table that commands, ``--help``, docs and tests read."""

import inspect
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Self

import typer
from typer.main import get_command_name

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
# What a command can end with besides these. Of several, the first one listed is taken.
SPECIFIC: Mapping[str, tuple[ExitStatus, ...]] = {
    "up": (),
    "down": (),
    "status": (ExitStatus.NOT_HEALTHY,),
    "logs": (ExitStatus.NOT_FOUND,),
    "receipts": (ExitStatus.NOT_FOUND,),
    "train": (ExitStatus.NOT_PROMOTED,),
    "export-fallback": (),
    "models": (),
    "card": (ExitStatus.NOT_FOUND,),
    "promote": (ExitStatus.NOT_FOUND, ExitStatus.NOT_PROMOTED),
    "rollback": (ExitStatus.NOT_FOUND,),
    "serve": (),
    "token": (),
    "feedback": (ExitStatus.NOT_FOUND, ExitStatus.TIMED_OUT, ExitStatus.QUARANTINED),
    "drift": (ExitStatus.DRIFTED,),
    "exporter": (),
    "demo": (),
    "ingest upload": (ExitStatus.TIMED_OUT, ExitStatus.QUARANTINED),
    "ingest check": (ExitStatus.QUARANTINED,),
    "ingest sweep": (ExitStatus.QUARANTINED,),
    "ingest verify": (ExitStatus.DIFFERENCES,),
    "ingest release": (ExitStatus.NOT_FOUND,),
    "data fetch": (),
    "data generate": (),
    "account add": (),
    "account list": (),
    "account remove": (ExitStatus.NOT_FOUND,),
}


def exit_status_of(error: PresagioError | OSError) -> ExitStatus:
    """Return what a command ends with that an error has ended."""
    return ExitStatus.NOT_FOUND if isinstance(error, NotFoundError) else ExitStatus.FAILED


def leave_unless_done(status: ExitStatus) -> None:
    """End the command with a status, unless that is 0."""
    if status is not ExitStatus.DONE:
        raise typer.Exit(status)


def first_of(command: str, found: set[ExitStatus]) -> ExitStatus:
    """Of all that a command has met, return the status that it ends with."""
    return next((status for status in SPECIFIC[command] if status in found), ExitStatus.DONE)


def commands_of(
    app: typer.Typer, prefix: str = ""
) -> Iterator[tuple[str, typer.models.CommandInfo]]:
    """Yield each command with its whole name, such as ``ingest check``."""
    for info in app.registered_commands:
        if info.callback is not None:
            name = info.name or get_command_name(info.callback.__name__)
            yield f"{prefix}{name}", info
    for group in app.registered_groups:
        if group.typer_instance is not None:
            yield from commands_of(group.typer_instance, f"{prefix}{group.name} ")


def _lines(statuses: tuple[ExitStatus, ...]) -> str:
    return "\n".join(f"{status:>3}  {status.meaning}" for status in sorted(statuses))


def document_exit_statuses(app: typer.Typer) -> None:
    """Show the exit statuses in ``--help`` of each command, and all of them in the program's."""
    for name, info in commands_of(app):
        info.epilog = "Exit status:\n\n" + _lines((*EVERY_COMMAND, *SPECIFIC[name]))
        # Typer keeps the line breaks of all paragraphs but the first.
        paragraphs = inspect.getdoc(info.callback) or ""
        info.help = "\n\n".join(" ".join(part.split()) for part in paragraphs.split("\n\n"))
    app.info.epilog = f"{app.info.epilog}\n\nExit status:\n\n{_lines(tuple(ExitStatus))}"
