"""A server that speaks what is read of MLflow's REST API, and lies when it is told to."""

import hashlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

MODEL = "svm_lies"
API = "/api/2.0/mlflow/"
PROXIED = "/api/2.0/mlflow-artifacts/artifacts/"
Handler = http.server.BaseHTTPRequestHandler
# Answers a request itself; says whether it has.
Lie = Callable[[Handler], bool]


def answer(
    handler: Handler, body: bytes, status: int = 200, headers: dict[str, str] | None = None
) -> None:
    handler.send_response(status)
    for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def says(path: str, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Lie:
    """Answer requests whose path contains ``path`` with these bytes."""

    def lie(handler: Handler) -> bool:
        if path not in handler.path:
            return False
        answer(handler, body, status, headers)
        return True

    return lie


class Registry:
    """What the server answers when it does not lie."""

    def __init__(self) -> None:
        self.folders: dict[str, Path] = {}
        self.versions: dict[str, dict[str, Any]] = {}
        self.champion: str | None = None
        self.lie: Lie | None = None
        self.asked: list[str] = []
        self.url = ""

    def register(
        self, folder: Path, *, run_id: str | None = None, digest: str | None = None
    ) -> str:
        """Register an artifact folder as the next version; return its number."""
        number = str(len(self.versions) + 1)
        run_id = run_id or f"run{number}"
        digest = digest or hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
        self.folders[run_id] = folder
        self.versions[number] = {
            "name": MODEL, "version": number, "run_id": run_id, "source": "models:/m-1",
            "creation_timestamp": 1_700_000_000_000,
            "tags": [{"key": "presagio.artifact_sha256", "value": digest}],
        }  # fmt: skip
        return number

    def alias_answer(self, **changes: Any) -> bytes:
        return json.dumps({"model_version": self.versions["1"] | changes}).encode()

    def respond(self, handler: Handler) -> None:
        self.asked.append(handler.path)
        if self.lie is not None and self.lie(handler):
            return
        parts = urlsplit(handler.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path.startswith(PROXIED):
            _, coded, _, _, name = parts.path.removeprefix(PROXIED).split("/")
            answer(handler, (self.folders[bytes.fromhex(coded).decode()] / name).read_bytes())
            return
        found = self._answer(parts.path.removeprefix(API), query)
        refusal = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "not there"}
        answer(handler, json.dumps(found or refusal).encode(), 200 if found else 404)

    def _answer(self, path: str, query: dict[str, str]) -> dict[str, Any] | None:
        if path == "registered-models/alias" and self.champion is not None:
            return {"model_version": self.versions[self.champion]}
        if path == "runs/get":
            # Whatever a run is called, its artifacts are there.
            uri = f"mlflow-artifacts:/0/{query['run_id'].encode().hex()}/artifacts"
            return {"run": {"info": {"artifact_uri": uri}, "data": {"metrics": [], "tags": []}}}
        if path == "registered-models/get":
            return {"registered_model": {"aliases": [{"alias": "champion", "version": "1"}]}}
        if path == "model-versions/search":
            return {"model_versions": list(self.versions.values())}
        return None


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients hang up on liars."""


@contextmanager
def serve_registry() -> Iterator[Registry]:
    registry = Registry()

    class Asked(Handler):
        def do_GET(self) -> None:  # noqa: N802 - the base class has it so
            registry.respond(self)

        def log_message(self, *_: Any) -> None:
            pass

    server = _Server(("127.0.0.1", 0), Asked)
    registry.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
