import io
from pathlib import Path

import pytest
from rich.console import Console

from presagio.cli.stack_view import StackView, print_welcome, stack_table
from presagio.stack.layout import Layout
from presagio.stack.state import ServiceState, ServiceStatus, StackStatus


def _status(state: ServiceState, note: str = "", restarts: int = 0) -> StackStatus:
    services = (
        ServiceStatus(
            name="api", state=state, address="http://127.0.0.1:8000", seconds=4.2,
            restarts=restarts, note=note,
        ),
        ServiceStatus(name="airflow-apiserver", state="healthy", address="http://127.0.0.1:8080"),
        ServiceStatus(name="champion", state="done", is_step=True),
    )  # fmt: skip
    return StackStatus(pid=1, phase="starting", services=services)


def _console(*, terminal: bool) -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, force_terminal=terminal, width=120), text


def test_the_table_shows_service_state_address_and_seconds() -> None:
    console, text = _console(terminal=False)
    console.print(stack_table(_status("restarting", restarts=2)))
    shown = text.getvalue()
    for part in ("api", "restarting", "http://127.0.0.1:8000", "4.2", "2 restarts"):
        assert part in shown


def test_progress_is_a_bar() -> None:
    console, text = _console(terminal=False)
    console.print(stack_table(_status("starting", note="30/75")))
    assert "━" in text.getvalue()


def test_without_a_terminal_each_change_is_a_line() -> None:
    console, text = _console(terminal=False)
    with StackView(console) as view:
        for status in (_status("starting"), _status("starting"), _status("healthy")):
            view(status)
    lines = [line.split()[:2] for line in text.getvalue().splitlines()]
    assert lines == [
        ["api", "starting"], ["airflow-apiserver", "healthy"], ["champion", "done"],
        ["api", "healthy"],
    ]  # fmt: skip


def test_on_a_terminal_the_table_is_live() -> None:
    console, text = _console(terminal=True)
    with StackView(console) as view:
        view(_status("starting"))
        view(_status("healthy"))
    assert "\x1b[" in text.getvalue()
    assert "healthy" in text.getvalue()


def test_the_end_names_addresses_users_passwords_and_what_to_try(tmp_path: Path) -> None:
    console, text = _console(terminal=False)
    print_welcome(console, _status("healthy"), Layout(tmp_path))
    shown = text.getvalue()
    for part in (
        "http://127.0.0.1:8000", "user admin", "PRESAGIO_AIRFLOW_ADMIN_PASSWORD",
        str(tmp_path / "credentials.env"), "make demo", "presagio status", "presagio ingest",
    ):  # fmt: skip
        assert part in shown


def test_the_console_is_the_first_address_of_the_end(tmp_path: Path) -> None:
    console, text = _console(terminal=False)
    status = _status("healthy")
    page = ServiceStatus(name="console", state="healthy", address="http://127.0.0.1:8050")
    status = status.model_copy(update={"services": (*status.services, page)})
    print_welcome(console, status, Layout(tmp_path))
    first, second = [line for line in text.getvalue().splitlines() if "http://" in line][:2]
    assert "http://127.0.0.1:8050" in first
    assert "http://127.0.0.1:8000" in second


@pytest.mark.parametrize("state", ["waiting", "unhealthy", "failed", "stopped"])
def test_every_state_can_be_drawn(state: ServiceState) -> None:
    console, text = _console(terminal=True)
    console.print(stack_table(_status(state)))
    assert state in text.getvalue()
