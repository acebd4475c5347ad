"""The rules of a reading as a pydantic model: from the bytes of one JSON object in one step.

What the model accepts is what :mod:`.rules` has no reason against; the reason comes from there.
"""

import contextlib
import itertools
import json
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, create_model, model_validator
from pydantic_core import PydanticCustomError

from presagio.machine.inputs import Category
from presagio.machine.spec import MachineSpec
from presagio.readings.formats.json_values import Repeated, decode_object
from presagio.readings.rules import FlagRule, NumberRule, Reason, contradict, contradiction

# Of what a request says besides.
_NAMES = ("features", "readings", "time", "unit")
# One-hot columns come as 0 and 1 from many an export.
Flag = StrictBool | Literal[0, 1]


def _number(rule: NumberRule) -> Any:
    feature = rule.feature
    low, high = feature.range or (None, None)
    title = feature.title or feature.name
    unit = f" [{feature.unit}]" if feature.unit else ""
    missing = " It may be missing, or null." if rule.optional else ""
    number = Annotated[
        float,
        # Neither text nor a boolean is a number; a whole number is.
        Field(strict=True, allow_inf_nan=False, ge=low, le=high),
    ]
    about = Field(
        title=f"{title}{unit}",
        description=f"{title}, {feature.allowed}.{missing}",
        json_schema_extra={"unit": feature.unit},
    )
    return Annotated[number | None, about] if rule.optional else Annotated[number, about]


def _one_value(category: Category) -> Callable[[Any], Any]:
    """Make the check that a reading has one value of a category."""
    names = tuple(category.indicators.values())
    got, allowed = contradiction(category)

    def check(features: Any) -> Any:
        if contradict([getattr(features, name) for name in names]):
            context = {"got": got, "allowed": allowed}
            raise PydanticCustomError(Reason.CONTRADICTION.value, "{got}", context)
        return features

    return check


def features_model(spec: MachineSpec) -> type[BaseModel]:
    """Make the model of one reading from the machine spec: one field an input, with its unit."""
    optional = {*spec.optional_names}
    fields: dict[str, Any] = {
        f.name: (_number(NumberRule(f, f.name in optional)), None if f.name in optional else ...)
        for f in spec.features
    }
    for category in spec.categories:
        for value, indicator in category.indicators.items():
            about = Field(description=f"{category.title} is {value}.")
            fields[indicator] = (Annotated[Flag, about], ...)
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


def reason_of(error: Any, rule: NumberRule | FlagRule) -> Reason:
    """Return the code of one of pydantic's errors, for the value that a rule is about."""
    if error["type"] == "missing":
        return Reason.MISSING
    return rule.reason(error["input"]) or rule.wrong_kind


def repeated_key(raw: bytes, spec: MachineSpec) -> str | None:
    """Return a key of a reading that stands twice in one object; None without one.

    Nobody knows which of the two values is meant, and the model takes the last one.
    """
    found: set[str] = set()

    def note(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = decode_object(pairs)
        if isinstance(made, Repeated):
            found.update(made.keys_twice)
        return made

    # The model has passed over what is not for it, numbers of thousands of digits too.
    with contextlib.suppress(ValueError, RecursionError):
        json.loads(raw, object_pairs_hook=note)
    return min(found & {*_NAMES, *spec.input_names}, default=None)
