"""Faults of settings in words: which variable, from where, what was expected, what came."""

import json
import os
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import IPvAnyNetwork, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

_PREFIX = "PRESAGIO_"
_LONGEST_SHOWN = 60
_LISTS = {
    str: 'a JSON list of texts, such as ["a", "b"]',
    IPvAnyNetwork: 'a JSON list of networks, such as ["10.0.0.0/8"]',
}
_BOUNDS = {Gt: ("gt", "above {}"), Ge: ("ge", "{} or more"), Lt: ("lt", "below {}"),
           Le: ("le", "at most {}")}  # fmt: skip


def _kinds(annotation: Any) -> list[Any]:
    """Return the types that a field may have, besides None."""
    if get_origin(annotation) in {Union, types.UnionType}:
        return [kind for kind in get_args(annotation) if kind is not type(None)]
    return [annotation]


def _is_secret(field: FieldInfo) -> bool:
    return SecretStr in _kinds(field.annotation)


def _bounds(field: FieldInfo) -> str:
    found = [
        words.format(f"{getattr(mark, name):,}")
        for kind, (name, words) in _BOUNDS.items() for mark in field.metadata
        if isinstance(mark, kind)
    ]  # fmt: skip
    return f" {' and '.join(found)}" if found else ""


def _text(field: FieldInfo) -> str:
    lengths = [mark.min_length for mark in field.metadata if isinstance(mark, MinLen)]
    patterns = [p for mark in field.metadata if (p := getattr(mark, "pattern", None))]
    if lengths:
        return f"a text of {lengths[0]} characters or more"
    return f"a text that matches {patterns[0]}" if patterns else "a text"


def expected(field: FieldInfo) -> str:
    """Say in words what kind of value a setting takes."""
    (kind, *_) = _kinds(field.annotation)
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    if get_origin(kind) in {tuple, list}:
        return _LISTS[get_args(kind)[0]]
    if kind is bool:
        return "true or false"
    if kind is int:
        return f"a whole number{_bounds(field)}"
    if kind is float:
        return f"a number{_bounds(field)}"
    return "a path" if kind is Path else _text(field)


def _came(value: Any, field: FieldInfo) -> str:
    """Say what came; of a secret no more than its length."""
    if _is_secret(field):
        revealed = value.get_secret_value() if isinstance(value, SecretStr) else value
        return f"a secret of {len(str(revealed))} characters"
    shown = str(value)
    return repr(shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}…")


def _source(variable: str, files: Sequence[Path]) -> str:
    if variable in {name.upper() for name in os.environ}:
        return "environment"
    for file in reversed(files):
        try:
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        if any(line.partition("=")[0].strip().upper() == variable for line in lines):
            return str(file)
    return "given by the program"


def _remedy(field: FieldInfo) -> str:
    if field.is_required():
        return "set another value"
    default = field.default
    if default is None:
        default = "none"
    elif isinstance(default, bool | tuple):
        default = json.dumps(default)
    return f"set another value, or remove it for the default ({default})"


def describe_faults(
    err: ValidationError, model: type[BaseSettings], files: Sequence[Path]
) -> Iterator[str]:
    """Yield each fault as a line.

    Parameters
    ----------
    err
        What validation has found.
    model
        The settings.
    files
        Files that settings were read from; a later one overrides an earlier one.
    """
    seen: set[str] = set()
    for fault in err.errors(include_url=False):
        name = str(fault["loc"][0]) if fault["loc"] else ""
        if name in seen:
            continue
        seen.add(name)
        field = model.model_fields.get(name)
        message = fault["msg"].removeprefix("Value error, ")
        if field is None:
            yield message
            continue
        variable = f"{_PREFIX}{name.upper()}"
        wanted = message if fault["type"] == "value_error" else f"expected {expected(field)}"
        yield (
            f"{variable} ({_source(variable, files)}): {wanted}, "
            f"got {_came(fault['input'], field)}; {_remedy(field)}"
        )
