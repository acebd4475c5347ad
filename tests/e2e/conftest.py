"""The whole stack, started and spoken to by the command line, as a user does."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.containers import COMMAND, ContainerStack
from tests.e2e.stack import TRAINED_ROWS, Stack, eventually
from tests.extent import NIGHTLY

PORT_OFFSET = 20_000


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Everything in this folder needs the whole stack, and the time that it takes to start.

    What is not marked with a world behaves alike in both: it is tested without Docker, and in the
    nightly run in containers too.
    """
    here = Path(__file__).parent
    ours = [item for item in items if here in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.e2e)
        item.add_marker(pytest.mark.slow)
        item.add_marker(pytest.mark.timeout(600))
    skipped = {item for item in ours if not _is_for_this_world(item)}
    config.hook.pytest_deselected(items=sorted(skipped, key=lambda item: item.nodeid))
    items[:] = sorted((item for item in items if item not in skipped), key=_turn)


def _turn(item: pytest.Item) -> str:
    """Give when it is a test's turn.

    A stack that was stopped is not started again where nothing follows. Of two modules that stop it
    test_workers comes last: it starts one of its kind whatever was before.
    """
    return item.path.name if item.get_closest_marker("leaves_it_stopped") else ""


def _is_for_this_world(item: pytest.Item) -> bool:
    if item.get_closest_marker("nightly") and not NIGHTLY:
        return False
    in_containers = bool(os.environ.get(COMMAND))
    if item.get_closest_marker("both_worlds"):
        return True
    if item.get_closest_marker("containers"):
        return in_containers
    if item.get_closest_marker("local"):
        return not in_containers
    return NIGHTLY or not in_containers


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
    some.write_bytes(b"".join(every.read_bytes().splitlines(keepends=True)[: TRAINED_ROWS + 1]))
    return some


@pytest.fixture
def stack(session_stack: Stack) -> Stack:
    """A healthy stack, whatever the test before did to it."""
    if session_stack.status()["phase"] == "stopped":
        started = session_stack.up()
        assert started.returncode == 0, started.stdout + started.stderr
    if not eventually(lambda: session_stack.status()["phase"] == "healthy", limit_s=180):
        # Every test from here on would wait as long for it.
        pytest.exit(f"the stack does not come back: {session_stack.status()}", returncode=1)
    return session_stack
