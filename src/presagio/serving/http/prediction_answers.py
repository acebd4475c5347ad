"""What the API answers to readings: what the model says of them, and why."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


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
    imputed: Annotated[
        list[str],
        Field(
            description="Features that were missing, for which the medians of the training data "
            "stood in, where the machine spec lets any be missing; or the unit's last value, where "
            "the spec wants that and its readings, or a file with unit and time, were sent."
        ),
    ] = []
    diagnosis: Annotated[
        "AlarmDiagnosis | None", Field(description="For an alarm, and with `?explain=true`.")
    ] = None


class ForeseenResponse(PredictResponse):
    """What the model says of one reading of a machine whose failures are foreseen."""

    horizon: Annotated[
        float | str | None,
        Field(description="How far ahead a failure is expected, where the label has a horizon."),
    ] = None
    remaining_life: Annotated[
        "RemainingLifeAnswer | None",
        Field(description="How long the unit has left, where the machine spec wants that."),
    ] = None
    rows_used: Annotated[
        int | None,
        Field(description="How many readings were used, where a model looks at several."),
    ] = None
    complete: Annotated[
        bool | None,
        Field(description="Whether they were as many as a whole window has."),
    ] = None


class RemainingLifeAnswer(BaseModel):
    """How long a unit has left."""

    value: float
    low: Annotated[float, Field(description="The interval's lower end.")]
    high: Annotated[
        float | None,
        Field(description="Its upper end; null where it may be longer than is told apart."),
    ]
    unit: Annotated[str, Field(examples=["cycle", "days"])]
    coverage: Annotated[
        float, Field(description="In how many of 1 units the interval holds it.", examples=[0.9])
    ]


class FeatureChange(BaseModel):
    """How much a feature has changed over the readings of a window, in its own unit."""

    feature: Annotated[str, Field(examples=["sensor_11"])]
    by: Annotated[float, Field(description="The newest value less the oldest one.")]
    unit: Annotated[str, Field(examples=["psia"])]
    over: Annotated[float, Field(description="From the oldest reading to the newest.")]
    over_unit: Annotated[str, Field(examples=["cycle", "h"])]


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


class AlarmDiagnosis(BaseModel):
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
            description="Shapley values: what each reading adds to the probability. With "
            "the base they sum up to it."
        ),
    ]
    contribution_errors: Annotated[
        dict[str, float],
        Field(
            description="Standard error of each contribution, where there are so many readings "
            "that they are sampled; empty where they are exact."
        ),
    ] = {}
    clearing_change: Annotated[
        ClearingChange | None,
        Field(
            description="Null without an alarm, where no single change clears it, and where a "
            "model looks at several readings: what was cannot be changed."
        ),
    ]
    changes: Annotated[
        list[FeatureChange],
        Field(
            description="How the features that add most have changed, where a unit's readings were "
            "sent."
        ),
    ] = []
