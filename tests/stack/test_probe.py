"""The question that the engine asks of Airflow's parts in containers."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

_BEAT = "2026-01-01T00:00:00+00:00"
_SAID = {
    "scheduler": {"status": "healthy", "latest_scheduler_heartbeat": _BEAT},
    "triggerer": {"status": "unhealthy", "latest_triggerer_heartbeat": _BEAT},
}


class _Airflow(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps(_SAID).encode()
        self.send_response(200 if self.path == "/api/v2/monitor/health" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Airflow) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("part", "healthy"), [("scheduler", True), ("triggerer", False), ("dag_processor", False)]
)
def test_a_part_is_as_the_api_server_says(url: str, part: str, *, healthy: bool) -> None:
    asked = subprocess.run(
        [sys.executable, "-m", "presagio.stack.probe", part],
        check=False, env=os.environ | {"PRESAGIO_AIRFLOW_URL": url}, timeout=30,
    )  # fmt: skip
    assert (asked.returncode == 0) is healthy


def test_an_api_server_that_is_away_is_no_health() -> None:
    asked = subprocess.run(
        [sys.executable, "-m", "presagio.stack.probe", "scheduler"],
        check=False, env=os.environ | {"PRESAGIO_AIRFLOW_URL": "http://127.0.0.1:9"}, timeout=30,
    )  # fmt: skip
    assert asked.returncode == 1
