"""The real server, spoken to as a client does."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from pydantic import SecretStr

from presagio.serving.app import create_app
from presagio.serving.auth.tokens import SCOPES, Authority
from presagio.serving.worker import server_options
from presagio.settings import Settings
from presagio.training.datasets.sources import read_labelled_csv
from presagio.training.search.grids import SMALL_GRID
from presagio.training.train import TrainedModel, train_model
from tests.conftest import free_ports
from tests.pumps import pump_csv, pumps

Serve = Callable[[Settings], AbstractContextManager[httpx.Client]]

SECRETS = {
    "token_secret": SecretStr("a key for tests, " * 4),
    "admin_password": SecretStr("the admin's password"),
    "client_secret": SecretStr("the client's secret"),
}


def alone(home: Path, **changes: Any) -> Settings:
    """Return the settings of an API that reaches no other service, and serves the bundled model."""
    given: dict[str, Any] = {"mlflow_url": free_ports().url("mlflow"), "mlflow_timeout_s": 1}
    return Settings(home=home, **given | changes)


def with_secrets(settings: Settings) -> Settings:
    return settings.model_copy(update=SECRETS)


@contextlib.contextmanager
def serve_app(settings: Settings, *, ready: bool = True) -> Iterator[httpx.Client]:
    """Serve, and give a client that has a token for everything, once it is ready."""
    settings = with_secrets(settings)
    if settings.s3_endpoint is None:
        # Or answers would be recorded into a store somewhere else.
        settings = settings.model_copy(update={"record_predictions": False})
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(create_app(settings), **server_options())
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        port = listener.getsockname()[1]
        token, _ = Authority(settings).issue("tests", list(SCOPES))
        headers = {"Authorization": f"Bearer {token}"} if settings.auth == "on" else {}
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", timeout=30.0, headers=headers
        ) as client:
            while ready and client.get("/health/ready").status_code != 200:
                time.sleep(0.05)
            yield client
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture(scope="session")
def serve() -> Serve:
    return serve_app


@pytest.fixture(scope="session")
def pump_model(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    path = tmp_path_factory.mktemp("pumps") / "pumps.csv"
    path.write_bytes(pump_csv(1500))
    return train_model(read_labelled_csv(path, pumps()), pumps(), grid=SMALL_GRID)
