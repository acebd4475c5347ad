"""Alerts over a real socket and a real object store."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from presagio.lifecycle.alerts import Alert, Alerts
from presagio.storage.objects import ObjectStore, open_store
from tests.conftest import RunningServices

pytestmark = pytest.mark.integration
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ALERT = Alert("drift", "m 1: torque_nm", "drift in torque_nm")


class Receiver:
    """A webhook's other end."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.status = 204
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append(json.loads(body))
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/hook?key=hush"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever)
    thread.start()
    yield receiver
    receiver.server.shutdown()
    thread.join()
    receiver.server.server_close()


@pytest.fixture
def store(services: RunningServices) -> ObjectStore:
    return open_store(services.settings)


@pytest.fixture
def alerts(services: RunningServices, store: ObjectStore, receiver: Receiver) -> Alerts:
    bucket = f"alerts-{uuid4().hex[:8]}"
    store.create_bucket(bucket)
    own = {"data_bucket": bucket, "alert_webhook": SecretStr(receiver.url)}
    return Alerts(services.settings.model_copy(update=own), store)


def test_the_same_alert_is_sent_once_a_day(alerts: Alerts, receiver: Receiver) -> None:
    assert alerts.raise_alert(ALERT, now=NOON)
    assert not alerts.raise_alert(ALERT, now=NOON + timedelta(hours=23))
    assert alerts.raise_alert(ALERT, now=NOON + timedelta(hours=25))
    assert [got["at"][:13] for got in receiver.got] == ["2026-03-01T12", "2026-03-02T13"]
    assert receiver.got[0]["text"] == "drift in torque_nm"


def test_another_alert_is_sent_at_once(alerts: Alerts, receiver: Receiver) -> None:
    alerts.raise_alert(ALERT, now=NOON)
    assert alerts.raise_alert(Alert("drift", "m 1: torque_nm, score", "more"), now=NOON)
    assert len(receiver.got) == 2


def test_what_was_over_and_comes_back_is_sent_again(alerts: Alerts, receiver: Receiver) -> None:
    alerts.raise_alert(ALERT, now=NOON)
    alerts.clear("drift")
    assert alerts.raise_alert(ALERT, now=NOON)
    assert len(receiver.got) == 2


def test_a_webhook_that_fails_is_tried_again_and_its_address_is_not_logged(
    alerts: Alerts, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.status = 500
    assert not alerts.raise_alert(ALERT, now=NOON)
    receiver.status = 204
    assert alerts.raise_alert(ALERT, now=NOON)
    assert "drift in torque_nm" in caplog.text
    assert "hush" not in caplog.text


def test_without_a_webhook_the_log_is_the_alert(
    services: RunningServices, store: ObjectStore, caplog: pytest.LogCaptureFixture
) -> None:
    bare = Alerts(services.settings.model_copy(update={"data_bucket": "data"}), store)
    assert bare.raise_alert(Alert("test", uuid4().hex, "look here"), now=NOON)
    assert "look here" in caplog.text
