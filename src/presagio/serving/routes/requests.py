"""What the API is asked: the models of its requests, made from the machine spec."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    StringConstraints,
    create_model,
)
from pydantic_core import PydanticCustomError

from presagio.machine.series import TimeColumn
from presagio.machine.spec import MachineSpec
from presagio.readings.json_object import Flag, features_model
from presagio.readings.rules import LONGEST_VALUE, Reason

_INT64 = 2**63
# A version's name stands in a file later: no character that ends a line, or that no file has.
_PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"


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
        Field(max_length=100, pattern=_PRINTABLE, description="The version that answered it."),
    ] = None


class FeedbackRequest(BaseModel):
    """Outcomes of readings; ``outcomes`` is given its type by :func:`feedback_model`."""

    outcomes: Annotated[list[Any], Field(min_length=1, max_length=1000)]


def request_model(spec: MachineSpec) -> type[PredictRequest]:
    """Make the model of a request from the machine spec: one field an input, with its unit."""
    features = features_model(spec)
    return create_model(
        "PredictRequest",
        __base__=PredictRequest,
        __config__=None,
        features=(features, ...),
    )


def _refuse(reason: Reason, got: str, allowed: str) -> PydanticCustomError:
    return PydanticCustomError(reason.value, "{got}", {"got": repr(got), "allowed": allowed})


def _unit_check(spec: MachineSpec) -> Callable[[str], str]:
    gaps = {"", *(text.strip().lower() for text in spec.missing_values)}

    def check(unit: str) -> str:
        if unit.lower() in gaps:
            raise _refuse(Reason.MISSING, unit, "the name of a unit")
        return unit

    return check


def _time_check(time: TimeColumn) -> Callable[[str], str]:
    def check(text: str) -> str:
        # Polars takes a third of a second to import: for the first outcome of a spec with times.
        import polars as pl  # noqa: PLC0415

        from presagio.readings.instants import time_in  # noqa: PLC0415

        if pl.select(time_in(pl.lit(text), time)).item() is None:
            raise _refuse(Reason.NOT_A_TIME, text, time.allowed)
        return text

    return check


def _series_fields(spec: MachineSpec) -> dict[str, Any]:
    """Return the fields that say of which unit a reading is, and when it was taken."""
    text = StringConstraints(strip_whitespace=True, max_length=LONGEST_VALUE, pattern=_PRINTABLE)
    fields: dict[str, Any] = {}
    if spec.unit is not None:
        about = Field(description="Of which unit the reading is.")
        fields["unit"] = (Annotated[str, text, AfterValidator(_unit_check(spec)), about], ...)
    if (time := spec.time) is not None:
        about = Field(description=f"When the reading was taken: {time.allowed}.")
        number = Field(strict=True, allow_inf_nan=False)
        kind: Any = Annotated[float, number, about]
        if not time.is_counter:
            kind = Annotated[str, text, AfterValidator(_time_check(time)), about]
        fields["time"] = (kind, ...)
    if (members := spec.members) is not None:
        only = members.values[0] if len(members.values) == 1 else ...
        about = Field(description="Of what kind the unit is.")
        fields["member"] = (Annotated[Literal[members.values], about], only)
    return fields


def series_values(spec: MachineSpec, outcome: Outcome) -> dict[str, object]:
    """Return what an outcome says of unit, time and kind, by the spec's names."""
    columns = {"unit": spec.unit, "time": spec.time, "member": spec.members}
    return {
        column.name: getattr(outcome, field)
        for field, column in columns.items() if column is not None
    }  # fmt: skip


def example_series(spec: MachineSpec) -> dict[str, object]:
    """Return an example of the fields of :func:`_series_fields`."""
    found: dict[str, object] = {} if spec.unit is None else {"unit": "A-17"}
    if spec.time is not None:
        found["time"] = 1.0 if spec.time.is_counter else "2026-01-31T08:30:00+01:00"
    return found if spec.members is None else found | {"member": spec.members.values[0]}


def feedback_model(spec: MachineSpec, request: type[PredictRequest]) -> type[FeedbackRequest]:
    """Make the model of outcomes from the machine spec and the request: inputs, failure modes."""
    features = request.model_fields["features"].annotation
    fields: dict[str, Any] = {"features": (features, ...), **_series_fields(spec)}
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
