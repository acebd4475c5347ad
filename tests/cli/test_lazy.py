"""The program lists its commands without them: a module is imported when its command is run."""

import os
import re
import subprocess
import sys

import pytest

from presagio.cli.index import COMMANDS, GROUPS
from presagio.cli.lazy import LazyCommand

pytestmark = pytest.mark.unit

PROGRAM = """
import atexit, sys
sys.argv[0] = "presagio"
atexit.register(lambda: print(*sys.modules, sep="\\n", file=sys.stderr))
from presagio.cli.main import main
main()
"""
HEAVY = {
    "presagio.settings",
    "polars",
    "numpy",
    "httpx",
    "boto3",
    "sqlalchemy",
    "mlflow",
    "sklearn",
}


def _run(*arguments: str, **env: str) -> tuple[str, set[str]]:
    """Run the program; return what it printed, and what it imported."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        env=os.environ | {"COLUMNS": "200"} | env,
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    return done.stdout, set(done.stderr.splitlines())


def _commands_in(modules: set[str]) -> set[str]:
    return {name for name in modules if name.startswith("presagio.cli.commands.")}


def _below(group: str) -> dict[str, str]:
    prefix = f"{group} " if group else ""
    below = {name.removeprefix(prefix): entry.summary for name, entry in COMMANDS.items()
             if name.startswith(prefix)}  # fmt: skip
    return {name: summary for name, summary in below.items() if " " not in name}


@pytest.mark.parametrize("group", ["", *GROUPS])
def test_help_lists_commands_without_importing_one(group: str) -> None:
    shown, imported = _run(*group.split(), "--help")
    for name, summary in _below(group).items():
        assert re.search(rf"{name} +{re.escape(summary)}", shown), name
    assert _commands_in(imported) == set()
    assert imported & HEAVY == set()


def test_completion_lists_commands_without_importing_one() -> None:
    words = {"COMP_WORDS": "presagio ", "COMP_CWORD": "1", "_PRESAGIO_COMPLETE": "complete_bash"}
    shown, imported = _run(**words)
    assert shown.split() == [*_below(""), *GROUPS]
    assert _commands_in(imported) == set()


def test_completion_of_a_command_knows_its_options() -> None:
    words = {"COMP_WORDS": "presagio ingest verify --", "COMP_CWORD": "3"}
    shown, imported = _run(**words, _PRESAGIO_COMPLETE="complete_bash")
    assert {"--deep", "--repair", "--json"} <= set(shown.split())
    assert _commands_in(imported) == {"presagio.cli.commands.ingest"}


def test_a_command_imports_no_other() -> None:
    _, imported = _run("status", "--home", "/nowhere")
    assert _commands_in(imported) == {"presagio.cli.commands.stack"}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_summary_is_the_first_paragraph_of_the_docstring(name: str) -> None:
    help_text = LazyCommand(name.rpartition(" ")[2], COMMANDS[name]).load().help
    assert (help_text or "").split("\n\n")[0] == COMMANDS[name].summary


@pytest.mark.parametrize(
    ("command", "option"), [("feedback", "--lot"), ("ingest verify", "--mend")]
)
def test_a_former_name_of_an_option_is_taken_and_not_shown(command: str, option: str) -> None:
    loaded = LazyCommand(command, COMMANDS[command]).load()
    (parameter,) = [one for one in loaded.params if option in one.opts]
    assert getattr(parameter, "hidden", False)
