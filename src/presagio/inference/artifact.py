"""The serving artifact: a folder with everything that serving needs, and no pickle.

``manifest.json``
    Format, digests of the other files, input names, threshold, recorded examples.
``model.onnx``
    One graph from raw inputs to score and calibrated probability.
``spec.json``
    The machine spec that the model was trained under.
``card.json``
    Where the model comes from, and its metrics.
"""

import hashlib
import json
from collections.abc import Mapping
from errno import ENOENT
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from presagio.errors import InvalidArtifactError
from presagio.inference.conditions import read_conditions
from presagio.inference.manifest import (
    ConditionTable,
    Example,
    Manifest,
    RemainingTable,
    first_fault,
    parse_card,
)
from presagio.machine.spec import MachineSpec

__all__ = [
    "CARD", "FILES", "GRAPH", "LARGEST", "MANIFEST", "SPEC", "ArtifactFiles", "Example", "Manifest",
    "read_artifact", "sha256_of", "write_artifact",
]  # fmt: skip

MANIFEST = "manifest.json"
GRAPH = "model.onnx"
SPEC = "spec.json"
CARD = "card.json"
FILES = (MANIFEST, GRAPH, SPEC, CARD)
# Bytes that each may have. The largest model of ours so far has a graph of 20 MB; a parsed text
# can take 50 times its size.
LARGEST = {MANIFEST: 4 << 20, GRAPH: 512 << 20, SPEC: 512 << 10, CARD: 2 << 20}
# Of what a spec has, each: explanations go through all of it.
_MOST_OF_A_SPEC = 1000


class ArtifactFiles(BaseModel):
    """A verified artifact folder, read but not yet runnable."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path
    digest: str
    manifest: Manifest
    spec: MachineSpec
    card: dict[str, Any]


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_artifact(
    folder: Path,
    *,
    graph: bytes,
    spec: MachineSpec,
    card: dict[str, Any],
    threshold: float,
    examples: tuple[Example, ...],
    modes: tuple[str, ...] = (),
    background: tuple[tuple[float, ...], ...] = (),
    medians: Mapping[str, float] | None = None,
    conditions: ConditionTable | None = None,
    remaining: RemainingTable | None = None,
) -> str:
    """Write an artifact folder.

    Returns
    -------
    str
        The artifact's digest: the SHA-256 of its manifest, which names those of the other files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / GRAPH).write_bytes(graph)
    (folder / SPEC).write_text(spec.model_dump_json(indent=1) + "\n", encoding="utf-8")
    (folder / CARD).write_text(json.dumps(card, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    manifest = Manifest(
        files={name: sha256_of(folder / name) for name in (GRAPH, SPEC, CARD)},
        inputs=spec.model_inputs,
        threshold=threshold,
        modes=modes,
        examples=examples,
        background=background,
        medians=dict(medians or {}),
        conditions=conditions,
        remaining=remaining,
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return sha256_of(folder / MANIFEST)


def read_artifact(folder: Path, *, digest: str | None = None) -> ArtifactFiles:
    """Read an artifact folder and verify every digest, before anything in it is run.

    Parameters
    ----------
    folder
        The artifact folder.
    digest
        The expected digest of the manifest; not checked when not given.

    Raises
    ------
    InvalidArtifactError
        If a file is missing or altered, or does not say what it should.
    """
    try:
        manifest, found = _read_manifest(folder, digest)
        for name in (GRAPH, SPEC, CARD):
            _check_size(folder / name)
            if sha256_of(folder / name) != manifest.files.get(name):
                raise InvalidArtifactError(f"{folder}: {name} is not the file that was exported")
        spec = MachineSpec.model_validate_json((folder / SPEC).read_bytes())
        card = parse_card((folder / CARD).read_bytes())
    except OSError as err:
        raise InvalidArtifactError(f"{folder}: cannot read {err.filename}: {err.strerror}") from err
    except ValidationError as err:
        raise InvalidArtifactError(f"{folder}: {err.title}: {first_fault(err)}") from err
    except RecursionError as err:
        raise InvalidArtifactError(f"{folder}: it is nested too deep") from err
    _check_columns(folder, manifest, spec)
    return ArtifactFiles(folder=folder, digest=found, manifest=manifest, spec=spec, card=card)


def _check_size(path: Path) -> None:
    if not path.is_file():
        raise FileNotFoundError(ENOENT, "there is no such file", str(path))
    if (size := path.stat().st_size) > LARGEST[path.name]:
        raise InvalidArtifactError(
            f"{path} has {size} bytes, {LARGEST[path.name]} are the most that one may have"
        )


def _read_manifest(folder: Path, digest: str | None) -> tuple[Manifest, str]:
    _check_size(folder / MANIFEST)
    raw = (folder / MANIFEST).read_bytes()
    found = hashlib.sha256(raw).hexdigest()
    if digest is not None and found != digest:
        raise InvalidArtifactError(f"{folder}: the manifest has digest {found}, not {digest}")
    return Manifest.model_validate_json(raw), found


def _check_columns(folder: Path, manifest: Manifest, spec: MachineSpec) -> None:
    """Check that the columns that a model has are those of its machine spec."""
    if manifest.inputs != spec.model_inputs:
        raise InvalidArtifactError(
            f"{folder}: the model takes {manifest.inputs}, the spec has {spec.model_inputs}"
        )
    if {*manifest.medians} != {*spec.imputed_names}:
        raise InvalidArtifactError(
            f"{folder}: there are values in place of missing {[*manifest.medians]}, and the spec "
            f"says that {[*spec.imputed_names]} may be missing"
        )
    try:
        read_conditions(spec, manifest.conditions)
    except ValueError as err:
        raise InvalidArtifactError(f"{folder}: {err}") from err
    parts = (
        len(spec.derived), len(spec.modes), sum(len(one.values) for one in spec.categories),
        sum(len(rule.bounds) for rule in spec.rules),
    )  # fmt: skip
    if max(parts) > _MOST_OF_A_SPEC:
        raise InvalidArtifactError(f"{folder}: the spec has more than {_MOST_OF_A_SPEC} of a kind")
    if odd := sorted(set(manifest.modes) - set(spec.label_names)):
        raise InvalidArtifactError(f"{folder}: the spec has no failure modes {odd}")
