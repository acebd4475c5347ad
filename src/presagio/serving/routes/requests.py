"""What the API is asked: the models of its requests, made from the machine spec."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, create_model

from presagio.machine.spec import MachineSpec
from presagio.readings.json_object import Flag, features_model
from presagio.serving.routes.series_fields import PRINTABLE, readings_fields, series_fields

_INT64 = 2**63


def _whole(value: object) -> object:
    """Take 7.0 for 7, as JSON does; text and booleans are no numbers."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_RequestId = Annotated[int, Field(strict=True, ge=-_INT64, lt=_INT64), BeforeValidator(_whole)]


class PredictRequest(BaseModel):
    """One reading to predict; ``features`` is given its fields by :func:`request_model`."""

    request_id: Annotated[
        _RequestId, Field(description="Comes back as response_id.", examples=[123])
    ]
    features: BaseModel


class Outcome(BaseModel):
    """What became of one reading; ``features`` is given its fields by :func:`feedback_model`."""

    request_id: Annotated[
        _RequestId | None,
        Field(description="The request that the reading was predicted by."),
    ] = None
    features: BaseModel
    failure: Annotated[Flag, Field(description="Whether the machine failed.")]
    mode: Annotated[
        str | None, Field(description="Which failure mode it was, where that is known.")
    ] = None
    said_alarm: Annotated[
        Flag | None,
        Field(description="The label that was answered; the model is asked again if not given."),
    ] = None
    said_version: Annotated[
        str | None,
        Field(max_length=100, pattern=PRINTABLE, description="The version that answered it."),
    ] = None


class FeedbackRequest(BaseModel):
    """Outcomes of readings; ``outcomes`` is given its type by :func:`feedback_model`."""

    outcomes: Annotated[list[Any], Field(min_length=1, max_length=1000)]


def colons_of(read: PredictRequest) -> int:
    """Return how many colons a request is written with: one a key, and those in its texts."""
    fields = vars(read)
    readings = fields.get("readings")
    if readings is None:
        features = fields["features"]
        within = 0 if features is None else len(features.model_fields_set)
    else:
        # Of each its time and its features, and what is in these.
        within = sum(2 + len(reading.features.model_fields_set) for reading in readings)
        within += sum(time.count(":") for r in readings if isinstance(time := r.time, str))
    unit = fields.get("unit") or ""
    return len(read.model_fields_set) + within + unit.count(":")


def request_model(spec: MachineSpec) -> type[PredictRequest]:
    """Make the model of a request from the machine spec: one field an input, with its unit."""
    features = features_model(spec)
    fields: dict[str, Any] = {"features": (features, ...)}
    if spec.has_history:
        fields = {"features": (features | None, None), **readings_fields(spec, features)}
    return create_model("PredictRequest", __base__=PredictRequest, __config__=None, **fields)


def feedback_model(spec: MachineSpec, request: type[PredictRequest]) -> type[FeedbackRequest]:
    """Make the model of outcomes from the machine spec and the request: inputs, failure modes."""
    features = request.model_fields["features"].annotation
    if spec.has_history:
        # There it need not be given; an outcome is of one reading.
        features = features_model(spec)
    fields: dict[str, Any] = {"features": (features, ...), **series_fields(spec)}
    if modes := tuple(mode.name for mode in spec.modes):
        fields["mode"] = (Literal[modes] | None, None)
    outcome: Any = create_model("Outcome", __base__=Outcome, __config__=None, **fields)
    limits = Field(min_length=1, max_length=1000, description="At most 1,000 at once.")
    return create_model(
        "FeedbackRequest",
        __base__=FeedbackRequest,
        __config__=None,
        outcomes=(Annotated[list[outcome], limits], ...),
    )
