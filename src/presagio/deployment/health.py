"""Health checks: small questions to a service, answered with yes or no.

``python -m presagio.deployment.health PART`` asks of a part of Airflow that has no port of its own,
in a container: the API server, which ``PRESAGIO_AIRFLOW_URL`` names, knows their heartbeats.
"""

import http.client
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit

# Asked with the time at which the service was started.
Check = Callable[[datetime], bool]
_TIMEOUT_S = 3.0


def _get(port: int, path: str, host: str = "127.0.0.1") -> tuple[int, bytes] | None:
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def answers(port: int, path: str, *, below: int = 300) -> Check:
    """Check that a GET is answered with a status below a number."""

    def check(_started: datetime) -> bool:
        got = _get(port, path)
        return got is not None and got[0] < below

    return check


def airflow_component(port: int, component: str, host: str = "127.0.0.1") -> Check:
    """Check that Airflow's API server has a heartbeat of a component that is not an old one's."""

    def check(started: datetime) -> bool:
        got = _get(port, "/api/v2/monitor/health", host)
        if got is None or got[0] != http.HTTPStatus.OK:
            return False
        entry = json.loads(got[1]).get(component) or {}
        beat = entry.get(f"latest_{component}_heartbeat")
        if entry.get("status") != "healthy" or not beat:
            return False
        return datetime.fromisoformat(beat).astimezone(UTC) >= started

    return check


if __name__ == "__main__":
    where = urlsplit(os.environ["PRESAGIO_AIRFLOW_URL"])
    check = airflow_component(where.port or 80, sys.argv[1], where.hostname or "127.0.0.1")
    # Of whatever age: the engine waits after a start by itself.
    sys.exit(not check(datetime.min.replace(tzinfo=UTC)))
