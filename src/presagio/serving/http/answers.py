"""What the API answers: the models of its answers about itself, and of its problems."""

from typing import Annotated, Any

from pydantic import BaseModel, Field


class FeedbackResponse(BaseModel):
    """What was taken."""

    accepted: Annotated[int, Field(description="How many outcomes.")]
    keys: Annotated[
        list[str], Field(description="Where they wait for the intake, which gives them receipts.")
    ]


class FieldFault(BaseModel):
    """One thing that is wrong with a request."""

    field: Annotated[str, Field(description="Where, as a path.", examples=["features.torque_nm"])]
    got: Annotated[str, Field(description="What came, shortened.", examples=["-5.0"])]
    allowed: Annotated[str, Field(description="What is allowed.", examples=["0 to 150 Nm"])]
    reason: Annotated[
        str | None,
        Field(
            description="The code of what is wrong with a reading, the same at every door.",
            examples=["out_of_range"],
        ),
    ] = None
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
    errors: list[FieldFault] = []


class WorkerState(BaseModel):
    """What one worker process serves."""

    pid: int
    model: str
    version: str
    degraded: bool
    reason: str | None


class ReplicaState(BaseModel):
    """What one worker process of one replica serves."""

    replica: str
    pid: int
    model: str
    version: str
    degraded: bool
    reason: str | None
    behind: Annotated[
        bool, Field(description="Whether it serves something else than was agreed on.")
    ]


class AgreedChampion(BaseModel):
    """The champion that all replicas have agreed on."""

    model: str
    version: str
    at: Annotated[str, Field(description="From when on, ISO 8601, by the database's clock.")]


class ReplicasState(BaseModel):
    """What is known of all replicas."""

    replica: Annotated[str, Field(description="The one that answers.")]
    reason: Annotated[
        str | None,
        Field(
            description="Why it is not known what the others serve; each follows the champion by "
            "itself meanwhile."
        ),
    ]
    agreed: AgreedChampion | None
    processes: Annotated[list[ReplicaState], Field(description="Every process of every replica.")]


class Readiness(BaseModel):
    """Whether the API answers predictions, and with which model."""

    status: str
    model: str
    version: str
    source: Annotated[
        str,
        Field(
            description="registry, cache (the last good one, on disk), fallback, or none as long "
            "as there is no model of this machine; predictions are refused then."
        ),
    ]
    degraded: bool
    reason: Annotated[str | None, Field(description="Why it is degraded, or runs an older one.")]
    auth: Annotated[str, Field(description="`off` when everybody may ask everything.")]
    replica: Annotated[
        str | None, Field(description="Which replica answers, where there are several.")
    ] = None
    replicas_reason: Annotated[
        str | None, Field(description="Why it is not known what the other replicas serve.")
    ] = None


class ModelDescription(BaseModel):
    """The model that answers."""

    model: str
    version: str
    degraded: bool
    digest: Annotated[str, Field(description="SHA-256 of its artifact.")]
    threshold: Annotated[float, Field(description="Score from which on a reading is an alarm.")]
    workers: Annotated[list[WorkerState], Field(description="Every process of this replica.")]
    replicas: Annotated[
        ReplicasState | None, Field(description="All replicas, where there are several.")
    ] = None
    card: Annotated[
        dict[str, Any],
        Field(description="The model card: data, metrics with intervals, costs, limits."),
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
    replicas: ReplicasState | None = None


class FleetState(BaseModel):
    """A fleet, and the model that answers for it."""

    name: Annotated[str, Field(examples=["ai4i2020"])]
    title: str
    default: Annotated[bool, Field(description="Whether its routes also stand without its name.")]
    route: Annotated[
        str, Field(description="What its routes begin with.", examples=["/fleets/pumps"])
    ]
    registered_model: Annotated[str, Field(examples=["svm_prod"])]
    source: Annotated[str, Field(description="Where its machine spec comes from.")]
    spec_sha256: Annotated[str, Field(description="SHA-256 of what the spec says.")]
    model: str
    version: str
    degraded: bool
    reason: Annotated[str | None, Field(description="Why it is degraded, or has no model.")]


class FleetAtFault(BaseModel):
    """A fleet that is not served, since its machine spec is at fault."""

    name: str
    source: str
    message: Annotated[str, Field(description="What is wrong, and in which line.")]


class FleetList(BaseModel):
    """All fleets."""

    fleets: list[FleetState]
    faults: list[FleetAtFault]


class RemovedFleet(BaseModel):
    """A fleet that is served no more; its files, curated data and models stay."""

    removed: str
