"""The broker: nobody without its password, few rights with it, and nothing lost by a kill."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis

from presagio.deployment.health import answers_ping
from presagio.stack.broker import USER, broker_command, broker_url
from presagio.stack.layout import Layout
from presagio.stack.ports import Ports
from tests.conftest import free_ports
from tests.e2e.stack import eventually

PASSWORD = "one-password"


@contextmanager
def _broker(layout: Layout, ports: Ports) -> Iterator[subprocess.Popen[bytes]]:
    command = broker_command(layout, ports.broker, PASSWORD)
    assert not any(PASSWORD in part for part in command)
    check = answers_ping(ports.broker, USER, PASSWORD)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=layout.work) as process:
        try:
            assert eventually(lambda: check(datetime.now(UTC)), limit_s=20)
            yield process
        finally:
            process.kill()


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    # A name that a file of settings would divide at.
    layout = Layout(tmp_path / 'home "of" one')
    layout.create()
    return layout


def test_it_lets_in_one_account_which_may_not_change_it(layout: Layout) -> None:
    ports = free_ports()
    with _broker(layout, ports):
        address = {"host": "127.0.0.1", "port": ports.broker}
        assert not answers_ping(ports.broker, USER, "another")(datetime.now(UTC))
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(**address).ping()  # type: ignore[arg-type]
        client = redis.Redis.from_url(broker_url(ports, PASSWORD))
        client.lpush("intake", "a message")
        for refused in ("FLUSHALL", "CONFIG GET requirepass", "ACL LIST", "SHUTDOWN", "KEYS *"):
            with pytest.raises(redis.ResponseError, match="no permissions"):
                client.execute_command(*refused.split())
        assert client.llen("intake") == 1
        client.close()


def test_it_listens_on_loopback_and_keeps_its_files_to_itself(layout: Layout) -> None:
    broker_command(layout, 6379, PASSWORD)
    config = layout.run / "broker.conf"
    assert config.stat().st_mode & 0o777 == 0o600
    assert "bind 127.0.0.1\n" in config.read_text("utf-8")
    assert layout.broker.stat().st_mode & 0o777 == 0o700


def test_what_it_has_accepted_is_there_after_a_kill(layout: Layout) -> None:
    ports = free_ports()
    with _broker(layout, ports) as process:
        client = redis.Redis.from_url(broker_url(ports, PASSWORD))
        for number in range(100):
            client.lpush("intake", f"message {number}")
        os.kill(process.pid, signal.SIGKILL)
        client.close()
    with _broker(layout, ports):
        client = redis.Redis.from_url(broker_url(ports, PASSWORD))
        assert client.llen("intake") == 100
        client.close()


def test_a_check_of_what_does_not_answer_ends() -> None:
    assert not answers_ping(free_ports().broker, USER, PASSWORD)(datetime.now(UTC))
