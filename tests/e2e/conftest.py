"""The whole stack, started and spoken to by the command line, as a user does."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.containers import COMMAND, ContainerStack
from tests.e2e.stack import REAL_ROWS, Stack, eventually

PORT_OFFSET = 20_000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs the whole stack, and the time that it takes to start."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(600))
    other = "local" if os.environ.get(COMMAND) else "containers"
    for item in items:
        if item.get_closest_marker(other):
            item.add_marker(pytest.mark.skip(reason=f"for the stack in another world: {other}"))


@pytest.fixture(scope="session")
def session_stack(stack_home: Path, real_rows_or_none: Path | None) -> Iterator[Stack]:
    if os.environ.get(COMMAND):
        containers = ContainerStack(stack_home, 0, real_rows_or_none)
        containers.connect()
        yield containers
        containers.intake.ledger.close()
        return
    stack = Stack(stack_home, PORT_OFFSET, real_rows_or_none)
    yield stack
    stack.intake.ledger.close()
    stack.down()


@pytest.fixture(scope="session")
def real_rows_or_none(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path | None:
    """Some of the real rows where they are; the stack trains on generated ones where not.

    Some, since a model is trained ten times here, and how good it gets is tested elsewhere.
    """
    try:
        every: Path = request.getfixturevalue("real_csv")
    except pytest.skip.Exception:
        return None
    some = tmp_path_factory.mktemp("rows") / every.name
    some.write_bytes(b"".join(every.read_bytes().splitlines(keepends=True)[: REAL_ROWS + 1]))
    return some


@pytest.fixture
def stack(session_stack: Stack) -> Stack:
    """A healthy stack, whatever the test before did to it."""
    if session_stack.status()["phase"] == "stopped":
        started = session_stack.up()
        assert started.returncode == 0, started.stdout + started.stderr
    eventually(lambda: session_stack.status()["phase"] == "healthy", limit_s=180)
    return session_stack
