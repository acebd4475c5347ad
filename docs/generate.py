"""Write what is made from the program: settings, commands, limits, pictures of the structure.

Run by ``make docs``; a test fails while what it would write differs from what is there.
"""

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import typer

from pictures import packages_picture, walk_picture
from presagio.cli.exit_status import EVERY_COMMAND, ExitStatus
from presagio.cli.index import COMMANDS
from presagio.cli.lazy import LazyCommand
from presagio.cli.main import app
from presagio.machine.spec import MachineSpec
from presagio.settings import Settings
from structure import Package, every_package, packages, walks

HERE = Path(__file__).parent


def settings_page() -> str:
    """Return the table of settings."""
    lines = [
        "# Settings",
        "",
        "Every setting is an environment variable. What is not set there is read from the home",
        "folder, where `presagio up` writes the addresses (`stack.env`) and generated secrets",
        "(`credentials.env`, mode 0600) of the local stack.",
        "",
        "| variable | default | what it is |",
        "| --- | --- | --- |",
    ]
    defaults = {"home": "the nearest `.presagio` upwards", "dags_folder": "`airflow/dags`"}
    for name, field in Settings.model_fields.items():
        default = "" if field.is_required() or field.default is None else f"`{field.default}`"
        shown = defaults.get(name, default)
        lines.append(f"| `PRESAGIO_{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(lines) + "\n"


def _options(command: click.Command) -> list[str]:
    lines = []
    for parameter in command.params:
        if parameter.name == "help" or getattr(parameter, "hidden", False):
            continue
        about = getattr(parameter, "help", "") or ""
        if isinstance(parameter, click.Option) or hasattr(parameter, "secondary_opts"):
            names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
        else:
            names = f"`{(parameter.name or '').upper()}`"
        lines.append(f"- {names}: {about}")
    return lines


def _command(name: str, command: Any) -> list[str]:
    if hasattr(command, "commands"):
        return [
            line for child in command.commands
            for line in _command(f"{name} {child}", command.commands[child])
        ]  # fmt: skip
    if isinstance(command, LazyCommand):
        command = command.load()
    about = " ".join((command.help or "").split())
    specific = COMMANDS[name.removeprefix("presagio ")].ends
    ends = [f"{status} ({status.meaning})" for status in specific]
    after = ["", f"Exit status besides 0, 1, 2 and 130: {'; '.join(ends)}."] if ends else []
    return ["", f"## `{name}`", "", about, "", *_options(command), *after]


_FORMS = """
## Output

- **On a terminal** a table fits the width (`COLUMNS` overrides it): cells wrap between words, long
  keys and digests are shortened in the middle, the least important columns are left out first.
  `NO_COLOR` turns colours off.
- **In a pipe or a file** a table is one line a row: the titles, then the rows, tab separated,
  every value whole, no colours. Line ends and tabs within a value become blanks.
- **With `--json`** standard output has JSON only. A command about one thing prints one object on
  one line (`train`, `promote`, `rollback`, `drift`, `status`, `receipts NUMBER`, `ingest
  verify`, `ingest release`, `token`, `down`, `card`, `feedback FILE`, `data fetch`, `data
  generate`, `account add`, `account remove`, `export-fallback`). A command about a list prints
  one object a line (NDJSON), and nothing for an empty list (`receipts`, `models`, `models
  --history`, `feedback`, `events`, `account list`, `ingest upload`, `ingest check`, `ingest
  sweep`). Names are in snake case, times in UTC as ISO 8601, what is absent or no number is `null`.
  With `train --json` and `export-fallback --json` each fit is an object with `done` and `total` on
  standard error.
- Messages about errors, and hints where a list is empty, are text on standard error in every form.
"""


def _exit_statuses() -> list[str]:
    lines = [
        "## Exit status",
        "",
        "The same number means the same in every command. Every command can end with "
        + ", ".join(map(str, EVERY_COMMAND))
        + "; of several others the first one listed with the",
        "command is taken.",
        "",
        "| status | meaning | commands |",
        "| --- | --- | --- |",
    ]
    for status in ExitStatus:
        named = ", ".join(f"`{name}`" for name, entry in COMMANDS.items() if status in entry.ends)
        lines.append(f"| {status} | {status.meaning} | {named or 'every command'} |")
    return lines


def commands_page() -> str:
    """Return the exit statuses, the forms of output, and the commands with their options."""
    lines = [
        "# Commands",
        "",
        *_exit_statuses(),
        *_FORMS.rstrip().splitlines(),
    ]
    return "\n".join(lines + _command("presagio", typer.main.get_command(app))) + "\n"


# What bounds a request, a file and an answer of the registry.
_LIMIT = re.compile(
    "^(api|batch|max|reader|readers|intake_max|mlflow|model_trial|registry_stale|token)_?"
)
_NUMBERS = (int, float)


def _filled(page: str, part: str, content: str) -> str:
    """Put the content into a page, between the marks of a part."""
    begin, end = f"<!-- {part} -->\n", f"<!-- /{part} -->"
    before, after = page.partition(begin)[0], page.partition(end)[2]
    return f"{before}{begin}{content}\n{end}{after}"


def _page(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def security_page() -> str:
    """Return the page on security with its table of limits written anew."""
    lines = [
        f"| `PRESAGIO_{name.upper()}` | {field.default:,} | {field.description} |"
        for name, field in Settings.model_fields.items()
        if name != "api_workers" and _LIMIT.match(name) and isinstance(field.default, _NUMBERS)
    ]
    table = "\n".join(["| setting | default | what it bounds |", "| --- | --- | --- |", *lines])
    return _filled(_page("security.md"), "limits", table)


def _row(package: Package) -> str:
    name = package.name if package.name.endswith(".py") else f"{package.name}/"
    about = package.about.replace("``", "`").replace("|", "\\|")
    return (
        f"| [`{name}`](../src/presagio/{package.name}) | {about} | {', '.join(package.outside)} |"
    )


def architecture_page() -> str:
    """Return the page on the architecture with its table of packages written anew."""
    lines = ["| package | what is in it | speaks to |", "| --- | --- | --- |"]
    table = "\n".join([*lines, *map(_row, every_package())])
    return _filled(_page("architecture.md"), "packages", table)


def _walk_picture(title: str) -> str:
    (found,) = (walk for walk in walks(_page("architecture.md")) if walk.title == title)
    return walk_picture(found)


def spec_schema() -> str:
    """Return the JSON Schema of machine specs."""
    return json.dumps(MachineSpec.model_json_schema(), indent=1) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "machine-spec.schema.json": spec_schema,
    "settings.md": settings_page,
    "commands.md": commands_page,
    "security.md": security_page,
    "architecture.md": architecture_page,
    "images/packages.svg": lambda: packages_picture(packages()),
    **{
        f"images/{walk.file}.svg": partial(_walk_picture, walk.title)
        for walk in walks(_page("architecture.md"))
    },
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), encoding="utf-8")
