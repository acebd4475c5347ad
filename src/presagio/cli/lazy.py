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


class _ByDefault(LazyGroup):
    """A group with a command that is meant where none is named."""

    default = ""
    even_without_arguments = False

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read a first argument that is no command as one of the default command."""
        wanted = bool(args) or self.even_without_arguments
        if wanted and args[:1] != ["--help"] and not (args and self.get_command(ctx, args[0])):
            args = [self.default, *args]
        return super().parse_args(ctx, args)


class UploadByDefault(_ByDefault):
    """``presagio ingest FILE`` is short for ``presagio ingest upload FILE``."""

    default = "upload"


class ListByDefault(_ByDefault):
    """``presagio alarms --unit U`` is short for ``presagio alarms list --unit U``."""

    default = "list"
    even_without_arguments = True
