"""Run a command in this process, as the ``presagio`` program would."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine

from presagio.cli.main import main
from presagio.storage import database


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
def cli(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Cli:
    def run(*arguments: object, home: Path) -> Done:
        monkeypatch.setenv("PRESAGIO_HOME", str(home))
        capfd.readouterr()
        status = 0
        with monkeypatch.context() as patch, closed_engines(patch):
            patch.setattr(sys, "argv", ["presagio", *map(str, arguments)])
            try:
                main()
            except SystemExit as end:
                status = int(end.code or 0)
        out, err = capfd.readouterr()
        return Done(status, out, err)

    return run


@contextmanager
def closed_engines(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close a command's connections when it is done; in life they end with its process."""
    engines: list[Engine] = []

    def opened(*arguments: Any, **options: Any) -> Engine:
        engines.append(create_engine(*arguments, **options))
        return engines[-1]

    patch.setattr(database, "create_engine", opened)
    yield
    for engine in engines:
        engine.dispose()
