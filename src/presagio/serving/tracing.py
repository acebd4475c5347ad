"""OpenTelemetry traces, for who names a collector: a span for each request (extra ``traces``)."""

from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import extract
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

from presagio import __version__
from presagio.serving.http.bodies import Receive, Scope
from presagio.serving.http.edge import Asgi, Send

_SERVER_ERROR = 500


class Traced:
    """Wraps the application; a trace that a client began (W3C ``traceparent``) is carried on."""

    def __init__(self, app: Asgi, endpoint: str) -> None:
        self._app = app
        resource = Resource.create({"service.name": "presagio-api", "service.version": __version__})
        self._provider = TracerProvider(resource=resource)
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("presagio.serving")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            if scope["type"] == "lifespan":
                self._provider.shutdown()
            return
        carrier = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        with self._tracer.start_as_current_span(
            scope["method"], context=extract(carrier), kind=SpanKind.SERVER
        ) as span:

            async def answer(message: dict[str, Any]) -> None:
                if message["type"] == "http.response.start":
                    status = message["status"]
                    span.set_attribute("http.response.status_code", status)
                    if status >= _SERVER_ERROR:
                        span.set_status(Status(StatusCode.ERROR))
                    for key, value in message["headers"]:
                        if key == b"x-request-id":
                            span.set_attribute("presagio.request_id", value.decode("latin-1"))
                await send(message)

            await self._app(scope, receive, answer)
            # Known after routing; the path itself for what the edge calls directly.
            route = getattr(scope.get("route"), "path", scope["path"])
            span.update_name(f"{scope['method']} {route}")
            span.set_attribute("http.request.method", scope["method"])
            span.set_attribute("http.route", route)
