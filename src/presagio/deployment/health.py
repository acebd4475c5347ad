"""Health checks: small questions to a service, answered with yes or no.

``python -m presagio.deployment.health PART`` asks of a part of Airflow that has no port of its own,
in a container: the API server, which ``PRESAGIO_AIRFLOW_URL`` names, knows their heartbeats.
"""

import http.client
import json
import os
import socket
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

# Asked with the time at which the service was started.
Check = Callable[[datetime], bool]
_TIMEOUT_S = 3.0
# A broker's answers to a good password, and to a ping.
_WELL = b"+OK\r\n+PONG\r\n"


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


def beats(file: Path, *, within_s: float = 30.0) -> Check:
    """Check that a process has touched a file lately, and since it was started."""

    def check(started: datetime) -> bool:
        try:
            beat = datetime.fromtimestamp(file.stat().st_mtime, UTC)
        except FileNotFoundError:
            return False
        return beat >= started and datetime.now(UTC) - beat < timedelta(seconds=within_s)

    return check


def answers_ping(port: int, user: str, password: str) -> Check:
    """Check that a broker on this machine lets an account in, and answers."""
    # RESP, inline: a password of ours has no spaces.
    asked = f"AUTH {user} {password}\r\nPING\r\n".encode()

    def check(_started: datetime) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_S) as peer:
                peer.sendall(asked)
                answer = b""
                while len(answer) < len(_WELL) and (part := peer.recv(len(_WELL))):
                    answer += part
        except OSError:
            return False
        return answer == _WELL

    return check


if __name__ == "__main__":
    where = urlsplit(os.environ["PRESAGIO_AIRFLOW_URL"])
    check = airflow_component(where.port or 80, sys.argv[1], where.hostname or "127.0.0.1")
    # Of whatever age: the engine waits after a start by itself.
    sys.exit(not check(datetime.min.replace(tzinfo=UTC)))
