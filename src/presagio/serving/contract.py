"""Request and answer of the API; the request is made from the machine spec."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, create_model
from pydantic.json_schema import models_json_schema

from presagio.machine.spec import Feature, MachineSpec

_INT64 = 2**63
# One-hot columns come as 0 and 1 from many an export.
_Indicator = StrictBool | Literal[0, 1]


def _whole(value: object) -> object:
    """Take 7.0 for 7, as JSON does; text and booleans are no numbers."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_RequestId = Annotated[int, Field(strict=True, ge=-_INT64, lt=_INT64), BeforeValidator(_whole)]


class PredictRequest(BaseModel):
    """One reading to judge; ``features`` is given its fields by :func:`request_model`."""

    request_id: Annotated[
        _RequestId, Field(description="Comes back as response_id.", examples=[123])
    ]
    features: BaseModel


class PredictResponse(BaseModel):
    """What the model says of one reading."""

    model_config = ConfigDict(protected_namespaces=())

    response_id: Annotated[int, Field(description="The request_id of the request.")]
    label: Annotated[bool, Field(description="Whether a failure is expected.")]
    probability: Annotated[float, Field(description="Calibrated probability of a failure.")]
    model: Annotated[str, Field(description="Name of the model that answered.")]
    version: Annotated[str, Field(description="The one version that answered.")]
    degraded: Annotated[
        bool,
        Field(
            description="True when it may not be the champion that answered: the bundled model "
            "did, or the registry cannot be asked, or refuses the one that it names."
        ),
    ]
    threshold: Annotated[
        float, Field(description="Score (log odds) from which on a reading is an alarm.")
    ]
    score: Annotated[float, Field(description="The decision function's value.")]
    diagnosis: Annotated[
        "Diagnosis | None", Field(description="For an alarm, and with `?explain=true`.")
    ] = None


class LimitDistance(BaseModel):
    """How far the reading is from one operating limit."""

    limit: Annotated[str, Field(examples=["osf_strain_above"])]
    mode: Annotated[str, Field(description="Failure mode that it defines.", examples=["osf"])]
    distance: Annotated[float, Field(description="In `unit`; negative beyond the limit.")]
    unit: Annotated[str, Field(examples=["minNm"])]
    minutes_left: Annotated[
        float | None,
        Field(
            description="Minutes of work at the present load until wear reaches it; 0 beyond it, "
            "null where wear does not bring it nearer."
        ),
    ]


class ClearingChange(BaseModel):
    """The smallest change of one reading after which there is no alarm."""

    feature: Annotated[str, Field(examples=["torque_nm"])]
    now: float
    to: float
    unit: Annotated[str, Field(examples=["Nm"])]


class Diagnosis(BaseModel):
    """Why the model says so, and what a technician can do."""

    mode: Annotated[str | None, Field(description="The likeliest failure mode.")]
    title: Annotated[str | None, Field(examples=["Overstrain failure"])]
    odds: Annotated[dict[str, float], Field(description="Log odds of each detector.")]
    limits: list[LimitDistance]
    base_probability: Annotated[
        float | None, Field(description="Mean probability of the background readings.")
    ]
    contributions: Annotated[
        dict[str, float],
        Field(
            description="Exact Shapley values: what each reading adds to the probability. With "
            "the base they sum up to it."
        ),
    ]
    clearing_change: Annotated[
        ClearingChange | None,
        Field(description="Null without an alarm, and where no single change clears it."),
    ]


class Outcome(BaseModel):
    """What became of one reading; ``features`` is given its fields by :func:`feedback_model`."""

    request_id: Annotated[
        _RequestId | None,
        Field(description="The request that the reading was judged by."),
    ] = None
    features: BaseModel
    failure: Annotated[StrictBool, Field(description="Whether the machine failed.")]
    mode: Annotated[
        str | None, Field(description="Which failure mode it was, where that is known.")
    ] = None
    said_alarm: Annotated[
        StrictBool | None,
        Field(description="The label that was answered; the model is asked again if not given."),
    ] = None
    said_version: Annotated[
        str | None, Field(max_length=100, description="The version that answered it.")
    ] = None


class FeedbackRequest(BaseModel):
    """Outcomes of readings; ``outcomes`` is given its type by :func:`feedback_model`."""

    outcomes: Annotated[list[Any], Field(min_length=1, max_length=1000)]


class FeedbackResponse(BaseModel):
    """What was taken."""

    accepted: Annotated[int, Field(description="How many outcomes.")]
    keys: Annotated[
        list[str], Field(description="Where they wait for the intake, which gives them receipts.")
    ]


class Fault(BaseModel):
    """One thing that is wrong with a request."""

    field: Annotated[str, Field(description="Where, as a path.", examples=["features.torque_nm"])]
    got: Annotated[str, Field(description="What came, shortened.", examples=["-5.0"])]
    allowed: Annotated[str, Field(description="What is allowed.", examples=["0 to 150 Nm"])]
    minimum: float | None = None
    maximum: float | None = None
    unit: Annotated[str | None, Field(examples=["Nm"])] = None


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: Annotated[
        str,
        Field(
            description="`urn:presagio:problem:` and a stable code.",
            examples=["urn:presagio:problem:invalid-request"],
        ),
    ]
    title: str
    status: int
    detail: str
    errors: list[Fault] = []


class WorkerState(BaseModel):
    """What one worker process serves."""

    pid: int
    model: str
    version: str
    degraded: bool
    reason: str | None


class Readiness(BaseModel):
    """Whether the API answers predictions, and with which model."""

    status: str
    model: str
    version: str
    source: Annotated[
        str, Field(description="registry, cache (the last good one, on disk) or fallback.")
    ]
    degraded: bool
    reason: Annotated[str | None, Field(description="Why it is degraded, or runs an older one.")]
    auth: Annotated[str, Field(description="`off` when everybody may ask everything.")]


class ModelDescription(BaseModel):
    """The model that answers."""

    model: str
    version: str
    degraded: bool
    digest: Annotated[str, Field(description="SHA-256 of its artifact.")]
    threshold: Annotated[float, Field(description="Score from which on a reading is an alarm.")]
    workers: Annotated[list[WorkerState], Field(description="Every process of this API.")]
    card: Annotated[
        dict[str, Any],
        Field(description="The model card: data, figures with intervals, costs, limits."),
    ]


class ModelVersion(BaseModel):
    """One version in the registry."""

    version: str
    aliases: list[str]
    trained: Annotated[str, Field(description="When, ISO 8601.")]
    digest: Annotated[str | None, Field(description="SHA-256 of its artifact.")]
    figures: Annotated[dict[str, float], Field(description="On rows that it never saw.")]


class ModelVersions(BaseModel):
    """The newest versions in the registry."""

    model: str
    versions: list[ModelVersion]


class Reloaded(BaseModel):
    """What is served after a look at the registry."""

    model: str
    version: str
    degraded: bool
    reason: str | None
    workers: list[WorkerState]


_SCHEMAS = "#/components/schemas/{model}"


def schema_reference(model: type[BaseModel]) -> str:
    """Return where a model's schema stands in the OpenAPI document."""
    return _SCHEMAS.format(model=model.__name__)


def schemas_of(*models: type[BaseModel]) -> dict[str, Any]:
    """Return the schemas of models and of what they contain, by name."""
    _, document = models_json_schema(
        [(model, "validation") for model in models], ref_template=_SCHEMAS
    )
    schemas: dict[str, Any] = document["$defs"]
    return schemas


def allowed_range(feature: Feature) -> str:
    """Say what values of a feature are allowed, in words."""
    low, high = feature.range
    return f"{low:g} to {high:g} {feature.unit}"


def _number(feature: Feature) -> Any:
    low, high = feature.range
    return Annotated[
        float,
        Field(
            # Neither text nor a boolean is a number; a whole number is.
            strict=True,
            allow_inf_nan=False,
            ge=low,
            le=high,
            title=f"{feature.title} [{feature.unit}]",
            description=f"{feature.title}, {allowed_range(feature)}.",
            json_schema_extra={"unit": feature.unit},
        ),
    ]


def _features_model(spec: MachineSpec) -> type[BaseModel]:
    fields: dict[str, Any] = {feature.name: (_number(feature), ...) for feature in spec.features}
    for category in spec.categories:
        for value, indicator in category.indicators.items():
            about = Field(description=f"{category.title} is {value}.")
            fields[indicator] = (Annotated[_Indicator, about], ...)
    return create_model(
        "Features",
        __config__=ConfigDict(json_schema_extra={"examples": [dict[str, Any](spec.example)]}),
        __doc__=f"One reading of: {spec.title}.",
        **fields,
    )


def request_model(spec: MachineSpec) -> type[PredictRequest]:
    """Make the model of a request from the machine spec: one field an input, with its unit."""
    features = _features_model(spec)
    return create_model(
        "PredictRequest",
        __base__=PredictRequest,
        __config__=None,
        features=(features, ...),
    )


def feedback_model(spec: MachineSpec, request: type[PredictRequest]) -> type[FeedbackRequest]:
    """Make the model of outcomes from the machine spec and the request: inputs, failure modes."""
    features = request.model_fields["features"].annotation
    fields: dict[str, Any] = {"features": (features, ...)}
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
