"""What the API is asked: the models of its requests, made from the machine spec."""

import itertools
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError

from presagio.machine.contradictions import CONTRADICTION, contradict
from presagio.machine.inputs import Category, Feature
from presagio.machine.spec import MachineSpec

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
            description=f"{feature.title}, {feature.allowed}.",
            json_schema_extra={"unit": feature.unit},
        ),
    ]


def _one_value(category: Category) -> Callable[[Any], Any]:
    """Make the check that a reading has one value of a category."""
    names = tuple(category.indicators.values())

    def check(features: Any) -> Any:
        if contradict([getattr(features, name) for name in names]):
            raise PydanticCustomError(
                CONTRADICTION, "{message}", {"message": category.contradiction, "names": names}
            )
        return features

    return check


def _features_model(spec: MachineSpec) -> type[BaseModel]:
    fields: dict[str, Any] = {feature.name: (_number(feature), ...) for feature in spec.features}
    for category in spec.categories:
        for value, indicator in category.indicators.items():
            about = Field(description=f"{category.title} is {value}.")
            fields[indicator] = (Annotated[_Indicator, about], ...)
    checks: dict[str, Any] = {
        f"one_{category.name}": model_validator(mode="after")(_one_value(category))
        for category in spec.categories
        if len(category.indicators) > 1
    }
    return create_model(
        "Features",
        __config__=ConfigDict(json_schema_extra=_described(spec)),
        __doc__=f"One reading of: {spec.title}.",
        __validators__=checks,
        **fields,
    )


def _described(spec: MachineSpec) -> dict[str, Any]:
    """Return what the fields of a reading do not tell, for its JSON schema."""
    true: dict[str, Any] = {"enum": [True, 1]}
    both = [
        {"properties": {one: true, other: true}, "required": [one, other]}
        for category in spec.categories
        for one, other in itertools.combinations(category.indicators.values(), 2)
    ]
    described: dict[str, Any] = {"examples": [dict[str, Any](spec.example)]}
    return described | ({"not": {"anyOf": both}} if both else {})


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
