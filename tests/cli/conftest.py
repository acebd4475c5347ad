"""What a command left, ready to be compared."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.commands import run_command


@dataclass(frozen=True)
class Done:
    """What a command left: exit status and output."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object that was printed."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """The objects that were printed, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]


Cli = Callable[..., Done]


@pytest.fixture
def cli() -> Cli:
    def run(*arguments: object, home: Path) -> Done:
        done = run_command(*map(str, arguments), PRESAGIO_HOME=str(home))
        return Done(done.returncode, done.stdout, done.stderr)

    return run
