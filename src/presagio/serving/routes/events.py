"""The route that takes failures, repairs and errors: they become a log for the intake."""

from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Security
from pydantic import BaseModel, Field, create_model

from presagio.lifecycle.outcomes import outcomes_csv, outcomes_name
from presagio.machine.event_log import EVENT_KINDS, EVENTS
from presagio.machine.learning import KIND, MODE
from presagio.machine.spec import MachineSpec
from presagio.serving.auth.authorization import admitted
from presagio.serving.executors import Executor
from presagio.serving.http import bodies
from presagio.serving.http.answers import FeedbackResponse
from presagio.serving.http.openapi import IDEMPOTENCY_KEY, schema_reference
from presagio.serving.http.problems import problems
from presagio.serving.routes.series_fields import TEXT, example_series, series_fields
from presagio.serving.shared.once import Once, content_digest
from presagio.settings import Settings


class EventsRequest(BaseModel):
    """Events of units; ``events`` is given its type by :func:`events_model`."""

    events: Annotated[list[Any], Field(min_length=1, max_length=1000)]


def events_model(spec: MachineSpec) -> type[EventsRequest]:
    """Make the model of events from the machine spec: its unit and its time."""
    fields = {name: field for name, field in series_fields(spec).items() if name != "member"}
    kind: Any = Annotated[Literal[EVENT_KINDS], Field(description="What happened.")]
    mode = Field(description="Of what kind the failure was, or the code of an error.")
    fields |= {"kind": (kind, ...), "mode": (Annotated[str, TEXT, mode] | None, None)}
    event: Any = create_model("Event", **fields)
    limits = Field(min_length=1, max_length=1000, description="At most 1,000 at once.")
    return create_model(
        "EventsRequest", __base__=EventsRequest, __config__=None,
        events=(Annotated[list[event], limits], ...),
    )  # fmt: skip


def _store(settings: Settings, spec: MachineSpec, events: list[Any]) -> list[str]:
    from presagio.storage.objects import open_store  # noqa: PLC0415 - a third of a second

    columns = {"unit": spec.unit, "time": spec.time}
    rows = [
        {column.name: getattr(event, field) for field, column in columns.items() if column}
        | {KIND: event.kind, MODE: event.mode}
        for event in events
    ]
    body = outcomes_csv(rows)
    key = settings.prefixes.incoming + outcomes_name(body, EVENTS)
    open_store(settings).write(settings.prefixes.bucket, key, body)
    return [key]


def events_router(
    spec: MachineSpec,
    wanted: type[EventsRequest],
    settings: Settings,
    outcomes: Executor,
    once: Once,
) -> APIRouter:
    """Make the route that takes events."""
    router = APIRouter(tags=["feedback"])
    example = {**example_series(spec), "kind": "failure", "mode": "bearing"}
    example.pop("member", None)
    body = {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": schema_reference(EventsRequest)},
                "example": {"events": [example]},
            }
        },
    }

    def take(read: EventsRequest) -> FeedbackResponse:
        sent = [event.model_dump() for event in read.events]
        digest = content_digest("events", settings.prefixes.incoming, settings.s3_bucket, sent)
        keys = once.run(digest, lambda: _store(settings, spec, read.events))
        return FeedbackResponse(accepted=len(read.events), keys=keys)

    @router.post(
        "/events",
        status_code=HTTPStatus.ACCEPTED,
        dependencies=[Security(admitted, scopes=["feedback"])],
        responses=problems(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.UNPROCESSABLE_ENTITY,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
        openapi_extra={"requestBody": body, "parameters": [IDEMPOTENCY_KEY]},
    )
    async def events(request: Request) -> FeedbackResponse:
        """Take failures, repairs and errors of units; the next training knows of them."""
        read = await bodies.read_model(
            request.scope, request.receive, wanted, spec, settings.api_max_body_bytes
        )
        return await outcomes.run(take, read)

    return router
