"""Traces reach a collector, and carry on what the client has begun."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from presagio.machine.spec import MachineSpec
from tests.serving.conftest import Serve, alone

pytestmark = pytest.mark.unit


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes]]]:
    got: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", got
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_span_for_each_request_carries_on_the_clients_trace(
    serve: Serve, collector: tuple[str, list[bytes]], tmp_path: Path, spec: MachineSpec
) -> None:
    url, got = collector
    settings = alone(tmp_path, record_predictions=False, otlp_endpoint=url)
    trace = "0af7651916cd43dd8448eb211c80319c"
    body = {"request_id": 1, "features": dict(spec.example)}
    with serve(settings) as client:
        headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
        answer = client.post("/predict", json=body, headers=headers)
        client.get("/v2/models/other")
    spans: dict[str, Any] = {}
    for raw in got:
        for resource in ExportTraceServiceRequest.FromString(raw).resource_spans:
            for scope in resource.scope_spans:
                spans |= {span.name: span for span in scope.spans}
    predicted = spans["POST /predict"]
    assert predicted.trace_id.hex() == trace
    said = {own.key: own.value for own in predicted.attributes}
    assert said["http.response.status_code"].int_value == 200
    assert said["presagio.request_id"].string_value == answer.headers["x-request-id"]
    assert "GET /v2/models/{name}" in spans
