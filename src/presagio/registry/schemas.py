"""What MLflow's REST API answers, as far as it is read: parsed by a schema before it is used.

Whoever may write to the registry decides what stands in these answers, so every text is bounded
and every number has a range.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from math import isfinite
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field, ValidationError

_LARGEST_MS = 253_402_300_799_000  # the end of the year 9999
_Model = TypeVar("_Model", bound=BaseModel)
_Entry = TypeVar("_Entry")


class UnexpectedAnswerError(Exception):
    """An answer does not have the form that MLflow's API documents."""


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


def _no_gap(value: object) -> object:
    """Protocol buffers leave out what is empty, and some servers write null for it."""
    return () if value is None else value


# The first odd entry ends it: a list of a million of them would make a million messages.
_Entries = Annotated[
    tuple[_Entry, ...], FailFast(), BeforeValidator(_no_gap), Field(max_length=10_000)
]
_Text = Annotated[str, Field(max_length=1024)]
_Number = Annotated[str, Field(pattern=r"^[0-9]{1,18}$", coerce_numbers_to_str=True)]


class Tag(_Answer):
    """A key with its value."""

    key: _Text
    value: Annotated[str, BeforeValidator(lambda value: "" if value is None else value)] = ""


class Measured(_Answer):
    """A metric; MLflow writes those that are not finite as text, such as ``NaN``."""

    key: _Text
    value: float = 0.0


class ModelVersionAnswer(_Answer):
    """A version of a registered model."""

    name: _Text
    version: _Number
    run_id: _Text | None = None
    source: _Text | None = None
    tags: _Entries[Tag] = ()
    creation_timestamp: Annotated[int, Field(ge=0, le=_LARGEST_MS)] = 0

    @property
    def created_at(self) -> datetime:
        """When it was registered."""
        return datetime.fromtimestamp(self.creation_timestamp / 1000, UTC)


class OneVersion(_Answer):
    """Answer of ``registered-models/alias`` and ``model-versions/get``."""

    model_version: ModelVersionAnswer


class FoundVersions(_Answer):
    """Answer of ``model-versions/search``."""

    model_versions: _Entries[ModelVersionAnswer] = ()


class AliasOf(_Answer):
    """An alias and the version that it names."""

    alias: _Text
    version: _Number


class RegisteredModelAnswer(_Answer):
    """A registered model with its aliases."""

    aliases: _Entries[AliasOf] = ()


class OneModel(_Answer):
    """Answer of ``registered-models/get``."""

    registered_model: RegisteredModelAnswer


class RunInfo(_Answer):
    """Where the artifacts of a run are, and whether somebody has deleted it."""

    artifact_uri: _Text
    experiment_id: _Text = ""
    lifecycle_stage: _Text = "active"


class RunData(_Answer):
    """Metrics and tags of a run."""

    metrics: _Entries[Measured] = ()
    tags: _Entries[Tag] = ()


class RunAnswer(_Answer):
    """A run."""

    info: RunInfo
    data: RunData = RunData()


class OneRun(_Answer):
    """Answer of ``runs/get``."""

    run: RunAnswer


class LoggedModelAnswer(_Answer):
    """A logged model."""

    info: RunInfo


class OneLoggedModel(_Answer):
    """Answer of ``logged-models/{id}``."""

    model: LoggedModelAnswer


class Refusal(_Answer):
    """Why MLflow refuses a request."""

    error_code: str = ""
    message: str = ""


def parse(schema: type[_Model], raw: bytes) -> _Model:
    """Parse an answer.

    Raises
    ------
    UnexpectedAnswerError
        If it is no JSON in UTF-8, or not of the form of the schema; the first fault is named.
    """
    try:
        return schema.model_validate_json(raw)
    except ValidationError as err:
        fault = err.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(map(str, fault["loc"])) or "the answer"
        raise UnexpectedAnswerError(f"{place}: {fault['msg']}") from err


def as_text(tags: Iterable[Tag]) -> dict[str, str]:
    """Return tags by key."""
    return {tag.key: tag.value for tag in tags}


def as_numbers(metrics: Iterable[Measured]) -> dict[str, float]:
    """Return metrics by key; one that is not finite says nothing and is left out."""
    return {metric.key: metric.value for metric in metrics if isfinite(metric.value)}
