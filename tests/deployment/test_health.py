import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from presagio.deployment.health import airflow_component, answers
from tests.conftest import free_ports

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def answer_of() -> Iterator[dict[str, object]]:
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
def test_an_answer_is_health(answer_of: dict[str, object], status: int, healthy: bool) -> None:
    answer_of["status"] = status
    assert answers(int(str(answer_of["port"])), "/")(NOW) is healthy


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
    answer_of: dict[str, object], entry: object, healthy: bool
) -> None:
    answer_of["body"] = {"scheduler": entry}
    check = airflow_component(int(str(answer_of["port"])), "scheduler")
    assert check(NOW - timedelta(seconds=1)) is healthy


def test_an_api_server_in_trouble_is_not_healthy(answer_of: dict[str, object]) -> None:
    answer_of["status"] = 503
    assert airflow_component(int(str(answer_of["port"])), "scheduler")(NOW) is False


def _asked_in_a_container(part: str, url: str) -> int:
    return subprocess.run(
        [sys.executable, "-m", "presagio.deployment.health", part],
        check=False, env=os.environ | {"PRESAGIO_AIRFLOW_URL": url}, timeout=30,
    ).returncode  # fmt: skip


def test_the_engine_asks_for_a_part_of_airflow(answer_of: dict[str, object]) -> None:
    beat = "2026-01-01T00:00:00+00:00"
    answer_of["body"] = {
        "scheduler": {"status": "healthy", "latest_scheduler_heartbeat": beat},
        "triggerer": {"status": "unhealthy", "latest_triggerer_heartbeat": beat},
    }
    url = f"http://localhost:{answer_of['port']}"
    parts = ("scheduler", "triggerer", "dag_processor")
    assert [_asked_in_a_container(part, url) for part in parts] == [0, 1, 1]
    assert _asked_in_a_container("scheduler", "http://127.0.0.1:9") == 1
