import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from presagio.stack.health import airflow_component, answers
from tests.conftest import free_ports

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def said() -> Iterator[dict[str, object]]:
    """A server that answers what the test puts in: ``status`` and ``body``."""
    answer: dict[str, object] = {"status": 200, "body": {}}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(int(str(answer["status"])))
            self.end_headers()
            self.wfile.write(json.dumps(answer["body"]).encode())

        def log_message(self, *_args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    answer["port"] = server.server_port
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield answer
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "healthy"), [(200, True), (204, True), (403, False), (500, False)]
)
def test_an_answer_is_health(said: dict[str, object], status: int, healthy: bool) -> None:
    said["status"] = status
    assert answers(int(str(said["port"])), "/")(NOW) is healthy


def test_nobody_there_is_not_healthy() -> None:
    port = free_ports().api
    assert answers(port, "/")(NOW) is False
    assert airflow_component(port, "scheduler")(NOW) is False


@pytest.mark.parametrize(
    ("entry", "healthy"),
    [
        ({"status": "healthy", "latest_scheduler_heartbeat": NOW.isoformat()}, True),
        ({"status": "unhealthy", "latest_scheduler_heartbeat": NOW.isoformat()}, False),
        ({"status": None, "latest_scheduler_heartbeat": None}, False),
        (
            # A heartbeat of the one that ran before.
            {"status": "healthy",
             "latest_scheduler_heartbeat": (NOW - timedelta(seconds=9)).isoformat()},
            False,
        ),
        (None, False),
    ],
)  # fmt: skip
def test_a_component_is_healthy_when_its_own_heart_beats(
    said: dict[str, object], entry: object, healthy: bool
) -> None:
    said["body"] = {"scheduler": entry}
    check = airflow_component(int(str(said["port"])), "scheduler")
    assert check(NOW - timedelta(seconds=1)) is healthy


def test_an_api_server_in_trouble_is_not_healthy(said: dict[str, object]) -> None:
    said["status"] = 503
    assert airflow_component(int(str(said["port"])), "scheduler")(NOW) is False
