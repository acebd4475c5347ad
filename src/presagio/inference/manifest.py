"""What a serving artifact says of itself: the schema of its manifest and of its model card.

An artifact comes from whoever may write to the registry, so that its parts agree with each other
is not assumed but checked: lengths, columns, numbers, and how much of each there is.
"""

from math import isfinite
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationError, model_validator
from pydantic_core import from_json

from presagio.errors import InvalidArtifactError

_MOST_INPUTS = 512
_MOST_ROWS = 1000
_MOST_CONDITIONS = 20
_MOST_VALUES = 20_000
# Sentences that have sentences in their gaps are among it.
_DEEPEST = 16
_LONGEST_TEXT = 20_000
_LARGEST_INTEGER = 1 << 53

_Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=200)]
_Names = Annotated[tuple[_Name, ...], FailFast(), Field(max_length=_MOST_INPUTS)]
_Row = Annotated[tuple[float, ...], FailFast(), Field(max_length=_MOST_INPUTS)]
_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Checked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Example(_Checked):
    """A recorded prediction that a loaded artifact has to repeat."""

    inputs: _Row
    score: float
    probability: Annotated[float, Field(ge=0, le=1)]
    label: bool


class ConditionTable(_Checked):
    """Operating conditions, and what features are in each; see :class:`.Conditions`."""

    middle: _Row
    scale: _Row
    centres: Annotated[tuple[_Row, ...], FailFast(), Field(max_length=_MOST_CONDITIONS)]
    means: Annotated[tuple[_Row, ...], FailFast(), Field(max_length=_MOST_CONDITIONS)]
    deviations: Annotated[tuple[_Row, ...], FailFast(), Field(max_length=_MOST_CONDITIONS)]


class RemainingTable(_Checked):
    """What the output of the time left is of, and how far off it may be.

    ``widths[i]`` is half the interval of predictions below ``levels[i]``, the last one of others.
    """

    most: Annotated[float, Field(gt=0)]
    unit: Annotated[str, Field(max_length=200)]
    coverage: Annotated[float, Field(gt=0, lt=1)]
    levels: Annotated[tuple[float, ...], FailFast(), Field(max_length=20)]
    widths: Annotated[
        tuple[Annotated[float, Field(ge=0)], ...], FailFast(), Field(min_length=1, max_length=21)
    ]

    @model_validator(mode="after")
    def _one_width_a_level(self) -> Self:
        if len(self.widths) != len(self.levels) + 1 or list(self.levels) != sorted(self.levels):
            raise ValueError("remaining: there is one width for each level, and one for the rest")
        return self


class Manifest(_Checked):
    """What the folder holds, and what the model answers."""

    format: Literal[1] = 1
    files: Annotated[dict[str, _Digest], Field(max_length=8)]
    inputs: _Names
    threshold: float
    # Columns of the graph's output of this name; models made before it was there have none.
    modes: _Names = ()
    # Models made before decision 35 had an output of distances to limits, which nobody reads.
    distances: Annotated[_Names, Field(exclude=True)] = ()
    examples: Annotated[tuple[Example, ...], FailFast(), Field(max_length=_MOST_ROWS)]
    # What stands in where a feature is missing; of those that may be.
    medians: Annotated[dict[_Name, float], Field(max_length=_MOST_INPUTS)] = {}
    # Where the machine spec has windows by condition.
    conditions: ConditionTable | None = None
    # Where the graph has an output of the time that a unit has left.
    remaining: RemainingTable | None = None
    # Rows that the model learned from, which an explanation compares with.
    background: Annotated[tuple[_Row, ...], FailFast(), Field(max_length=_MOST_ROWS)] = ()

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        width = len(self.inputs)
        for name, rows in (
            ("examples", [example.inputs for example in self.examples]),
            ("background", self.background),
        ):
            odd = next((i for i, row in enumerate(rows) if len(row) != width), None)
            if odd is not None:
                raise ValueError(
                    f"{name}: row {odd} has {len(rows[odd])} values, the model takes {width}"
                )
        if len(set(self.modes)) != len(self.modes):
            raise ValueError("modes: a column is named twice")
        return self


class _CardTable(BaseModel):
    """A part of a card: what is read of it has a form, what is only shown has not."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)


class _CardDetector(_CardTable):
    label: Annotated[str, Field(max_length=200)]


class _Model(_CardTable):
    detectors: Annotated[tuple[_CardDetector, ...], FailFast(), Field(max_length=_MOST_INPUTS)] = ()


class _Data(_CardTable):
    train_rows: Annotated[int, Field(ge=0, le=_LARGEST_INTEGER)] | None = None


class _Card(_CardTable):
    machine: Annotated[str, Field(max_length=200)] | None = None
    model: _Model | None = None
    data: _Data | None = None


def _count(value: Any, depth: int) -> int:
    """Count the values of a card, and check each."""
    if depth > _DEEPEST:
        raise ValueError(f"it is nested more than {_DEEPEST} levels deep")
    if isinstance(value, str) and len(value) > _LONGEST_TEXT:
        raise ValueError(f"a text in it is longer than {_LONGEST_TEXT} letters")
    if isinstance(value, int) and abs(value) > _LARGEST_INTEGER:
        raise ValueError("a number in it is beyond 2 to the power of 53")
    if isinstance(value, dict):
        return sum(_count(key, depth) + _count(part, depth + 1) for key, part in value.items())
    if isinstance(value, list):
        return 1 + sum(_count(part, depth + 1) for part in value)
    return 1


def _without_nan(value: Any) -> Any:
    """Put None in the place of metrics that are not defined: JSON has no form for them."""
    if isinstance(value, float) and not isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_without_nan(part) for part in value]
    return value


def parse_card(raw: bytes) -> dict[str, Any]:
    """Parse a model card.

    Parameters
    ----------
    raw
        JSON; its keys are free, but those that are read have the form that is expected.

    Returns
    -------
    dict
        The card.

    Raises
    ------
    InvalidArtifactError
        If it is no object, a part that is read has another form, or there is too much of it.
    """
    try:
        card = _without_nan(_bounded(from_json(raw)))
        _Card.model_validate(card)
    except ValidationError as err:
        raise InvalidArtifactError(f"the model card is not one: {first_fault(err)}") from err
    except ValueError as err:
        raise InvalidArtifactError(f"the model card is not one: {err}") from err
    return dict(card)


def _bounded(card: Any) -> Any:
    if (values := _count(card, 0)) > _MOST_VALUES:
        raise ValueError(f"it has {values} values, {_MOST_VALUES} are the most")
    return card


def first_fault(err: ValidationError) -> str:
    """Say where the first fault is, and which; the value itself may be of any size."""
    fault = err.errors(include_input=False, include_url=False, include_context=False)[0]
    place = ".".join(map(str, fault["loc"]))
    return (f"{place}: {fault['msg']}" if place else str(fault["msg"]))[:500]
