"""Groups whose commands are imported when they are run: Typer's own, with the index behind them.

Command modules import what they need at their top, seconds of it. The index lists them without.
"""

import inspect
from importlib import import_module
from typing import Any, cast

import typer
from typer.core import TyperCommand, TyperGroup

from presagio.cli.exit_status import EVERY_COMMAND, describe_statuses
from presagio.cli.index import COMMANDS, Entry


def _paragraphs(text: str) -> str:
    """Put the lines of each paragraph together: Typer does so with the first one only."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


class LazyCommand(TyperCommand):
    """A command of the index, which is imported when it is run, completed or asked for help."""

    def __init__(self, name: str, entry: Entry) -> None:
        super().__init__(name, help=entry.summary)
        self._entry = entry

    def load(self) -> TyperCommand:
        """Import the command."""
        module, _, function = self._entry.place.partition(":")
        callback = getattr(import_module(f"presagio.cli.commands.{module}"), function)
        app = typer.Typer(add_completion=False)
        app.command(
            self.name,
            help=_paragraphs(inspect.getdoc(callback) or ""),
            epilog=describe_statuses((*EVERY_COMMAND, *self._entry.ends)),
        )(callback)
        # One function is a command, and no group.
        return cast("TyperCommand", typer.main.get_command(app))

    def make_context(self, *args: Any, **named: Any) -> Any:
        """Hand over to the command itself, which everything after this is asked of."""
        return self.load().make_context(*args, **named)


class LazyGroup(TyperGroup):
    """A group with the commands that the index has below its name."""

    def __init__(self, *, name: str | None = None, commands: Any = None, **attrs: Any) -> None:
        prefix = f"{name} " if name else ""
        listed = {
            last: LazyCommand(last, entry)
            for whole, entry in COMMANDS.items()
            if whole.startswith(prefix) and " " not in (last := whole.removeprefix(prefix))
        }
        super().__init__(name=name, commands={**listed, **(commands or {})}, **attrs)


class UploadByDefault(LazyGroup):
    """``presagio ingest FILE`` is short for ``presagio ingest upload FILE``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read a first argument that is no command as a file to upload."""
        if args and args[0] != "--help" and self.get_command(ctx, args[0]) is None:
            args = ["upload", *args]
        return super().parse_args(ctx, args)
