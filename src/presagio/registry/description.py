"""The file ``MLmodel`` of a third-party model: what it is, where it lies, what it takes."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, FailFast, Field, TypeAdapter, ValidationError

from presagio.errors import InvalidArtifactError
from presagio.machine.spec import MachineSpec
from presagio.registry.versions import RegisteredVersion

LARGEST_DESCRIPTION = 1 << 20
_NUMBERS = frozenset({"double", "float", "long", "integer", "boolean"})


def refuse(version: RegisteredVersion, why: str) -> InvalidArtifactError:
    """Return the error that says why a version is not served."""
    return InvalidArtifactError(f"{version.name} version {version.version} is refused: {why}")


class _Read(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Sklearn(_Read):
    pickled_model: Annotated[str, Field(max_length=200)]


class _Flavors(_Read):
    sklearn: _Sklearn


class _Signature(_Read):
    inputs: Annotated[str, Field(max_length=LARGEST_DESCRIPTION)]


class Description(_Read):
    """What is read of the file ``MLmodel``."""

    flavors: _Flavors
    signature: _Signature | None = None


class _SignatureColumn(_Read):
    name: Annotated[str, Field(max_length=200)]
    type: Annotated[str, Field(max_length=200)]


_COLUMNS: TypeAdapter[list[_SignatureColumn]] = TypeAdapter(
    Annotated[list[_SignatureColumn], FailFast(), Field(max_length=1000)]
)


def read_description(file: Path, version: RegisteredVersion) -> Description:
    """Read the file.

    Raises
    ------
    InvalidArtifactError
        If it describes no scikit-learn model.
    """
    import yaml  # noqa: PLC0415 - of the extra `third-party`

    try:
        return Description.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as err:
        raise refuse(version, "it is neither an artifact of ours nor a scikit-learn model") from err


def columns_of(
    signature: _Signature | None, spec: MachineSpec, version: RegisteredVersion
) -> list[str]:
    """Return the names of a model's columns in its order, compared with the machine spec.

    Raises
    ------
    InvalidArtifactError
        If they are others, or no numbers.
    """
    try:
        entries = _COLUMNS.validate_json(signature.inputs if signature else "")
    except ValidationError as err:
        raise refuse(version, "it has no signature with named columns") from err
    columns = [entry.name for entry in entries]
    if spec.model_inputs != spec.input_names:
        what = "windows" if spec.window_names else "features that may be missing"
        raise refuse(
            version,
            f"machine spec {spec.name} has {what}, which only models of presagio train take",
        )
    if sorted(columns) != sorted(spec.input_names):
        raise refuse(
            version,
            f"it takes {str(sorted(columns))[:500]}, machine spec {spec.name} "
            f"{[*spec.input_names]}",
        )
    if strange := {entry.type for entry in entries} - _NUMBERS:
        raise refuse(version, f"columns of type {sorted(strange)} are no numbers")
    return columns
