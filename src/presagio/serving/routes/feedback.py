"""The route that takes outcomes: they become a file below the incoming prefix."""

import hashlib
import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Security

from presagio.lifecycle.outcomes import (
    REQUEST_ID,
    SAID_ALARM,
    SAID_VERSION,
    outcomes_csv,
    outcomes_name,
)
from presagio.machine.spec import MachineSpec
from presagio.scoring.arrays import score_rows
from presagio.serving.auth.authorization import admitted
from presagio.serving.champion.holder import Champion, Served
from presagio.serving.executors import Executor
from presagio.serving.http import bodies
from presagio.serving.http.answers import FeedbackResponse
from presagio.serving.http.openapi import IDEMPOTENCY_KEY, schema_reference
from presagio.serving.http.problems import problems
from presagio.serving.routes.requests import FeedbackRequest, Outcome
from presagio.serving.routes.series_fields import example_series, series_values
from presagio.serving.shared.once import Once, content_digest
from presagio.settings import Settings

if TYPE_CHECKING:
    from presagio.storage.objects import ObjectStore

# In the data bucket: what the champion predicted when outcomes were first sent.
PREFIX = "feedback/"


def _predicted(
    store: "ObjectStore", settings: Settings, outcomes: Sequence[Outcome], served: Served
) -> list[tuple[bool, str]]:
    """Return of each reading whether it was an alarm, and by which version.

    Where the sender does not say, the champion predicts it, once: sent again, the same outcomes
    make the same file, whichever model is champion by then.
    """
    if any(outcome.said_alarm is None for outcome in outcomes):
        sent = json.dumps([outcome.model_dump() for outcome in outcomes], sort_keys=True)
        bucket = settings.data_bucket
        key = f"{settings.place(PREFIX)}{hashlib.sha256(sent.encode()).hexdigest()}.json"
        before = store.read(bucket, key)
        if before is None:
            inputs = served.predictor.arrange([vars(outcome.features) for outcome in outcomes])
            alarms = score_rows(served.predictor, inputs).label.tolist()
            version = served.version
            store.write(bucket, key, json.dumps([version, alarms]).encode())
        else:
            version, alarms = json.loads(before[0])
    else:
        version, alarms = "", [False] * len(outcomes)
    return [
        (alarm, version) if outcome.said_alarm is None
        else (bool(outcome.said_alarm), outcome.said_version or "")
        for outcome, alarm in zip(outcomes, alarms, strict=True)
    ]  # fmt: skip


def _row(spec: MachineSpec, outcome: Outcome, predicted: tuple[bool, str]) -> dict[str, object]:
    modes = {mode.name: mode.name == outcome.mode for mode in spec.modes}
    return {
        **series_values(spec, outcome),
        **{name: getattr(outcome.features, name) for name in spec.feature_names},
        # They may have come as 0 and 1.
        **{name: bool(getattr(outcome.features, name)) for name in spec.indicator_names},
        spec.target.name: bool(outcome.failure),
        **({} if _mode_is_missing(outcome) else modes),
        SAID_ALARM: predicted[0],
        SAID_VERSION: predicted[1],
        REQUEST_ID: outcome.request_id,
    }


def _mode_is_missing(outcome: Outcome) -> bool:
    return bool(outcome.failure) and outcome.mode is None


def _taken(rows: Sequence[dict[str, object]], spec: MachineSpec) -> list[dict[str, object]]:
    """Leave out the rows that the intake would reject: repeats, where the spec keeps one."""
    if spec.duplicates == "keep":
        return list(rows)
    names = (*spec.needed_columns, *spec.input_names, *spec.label_names)
    first: dict[tuple[object, ...], dict[str, object]] = {}
    for row in rows:
        first.setdefault(tuple(row.get(name) for name in names), row)
    return list(first.values())


def _store(
    settings: Settings, spec: MachineSpec, outcomes: Sequence[Outcome], served: Served
) -> list[str]:
    from presagio.storage.objects import open_store  # noqa: PLC0415 - a third of a second

    store, keys = open_store(settings), []
    predicted = _predicted(store, settings, outcomes, served)
    # A file of readings has its labels in every row or in none, so failures without a mode are
    # one of their own.
    for missing in (False, True):
        rows = [
            _row(spec, outcome, answer)
            for outcome, answer in zip(outcomes, predicted, strict=True)
            if _mode_is_missing(outcome) == missing
        ]
        if rows:
            body = outcomes_csv(_taken(rows, spec))
            keys.append(settings.prefixes.incoming + outcomes_name(body))
            store.write(settings.prefixes.bucket, keys[-1], body)
    return keys


def feedback_router(
    spec: MachineSpec,
    wanted: type[FeedbackRequest],
    settings: Settings,
    champion: Champion,
    outcomes: Executor,
    once: Once,
) -> APIRouter:
    """Make the route that takes outcomes."""
    router = APIRouter(tags=["feedback"])
    example = {"request_id": 123, **example_series(spec), "features": spec.example, "failure": True}
    body = {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": schema_reference(FeedbackRequest)},
                "example": {"outcomes": [example]},
            }
        },
    }

    def take(read: FeedbackRequest) -> FeedbackResponse:
        sent = [outcome.model_dump() for outcome in read.outcomes]
        digest = content_digest("feedback", settings.prefixes.incoming, settings.s3_bucket, sent)
        keys = once.run(digest, lambda: _store(settings, spec, read.outcomes, champion.served))
        return FeedbackResponse(accepted=len(read.outcomes), keys=keys)

    @router.post(
        "/feedback",
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
    async def feedback(request: Request) -> FeedbackResponse:
        """Take what became of readings; the next training learns from it, once."""
        read = await bodies.read_model(
            request.scope, request.receive, wanted, spec, settings.api_max_body_bytes
        )
        return await outcomes.run(take, read)

    return router
