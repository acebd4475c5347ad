"""The serving artifact: a folder with everything that serving needs, and no pickle.

``manifest.json``
    Format, digests of the other files, input names, threshold, recorded examples.
``model.onnx``
    One graph from raw inputs to score and calibrated probability.
``spec.json``
    The machine spec that the model was trained under.
``card.json``
    Where the model comes from, and its figures.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from presagio.errors import InvalidArtifactError
from presagio.machine.spec import MachineSpec

MANIFEST = "manifest.json"
GRAPH = "model.onnx"
SPEC = "spec.json"
CARD = "card.json"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Example(_Frozen):
    """A recorded prediction that a loaded artifact has to repeat."""

    inputs: tuple[float, ...]
    score: float
    probability: float
    label: bool


class Manifest(_Frozen):
    """What the folder holds, and what the model answers."""

    format: Literal[1] = 1
    files: dict[str, str]
    inputs: tuple[str, ...]
    threshold: float
    # Columns of the graph's outputs of these names; models made before they had them have none.
    modes: tuple[str, ...] = ()
    distances: tuple[str, ...] = ()
    examples: tuple[Example, ...]
    # Rows that the model learned from, which an explanation compares with.
    background: tuple[tuple[float, ...], ...] = ()


class ArtifactFiles(_Frozen):
    """A verified artifact folder, read but not yet runnable."""

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
    distances: tuple[str, ...] = (),
    background: tuple[tuple[float, ...], ...] = (),
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
        inputs=spec.input_names,
        threshold=threshold,
        modes=modes,
        distances=distances,
        examples=examples,
        background=background,
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
        found = sha256_of(folder / MANIFEST)
        if digest is not None and found != digest:
            raise InvalidArtifactError(f"{folder}: the manifest has digest {found}, not {digest}")
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
        for name in (GRAPH, SPEC, CARD):
            if sha256_of(folder / name) != manifest.files.get(name):
                raise InvalidArtifactError(f"{folder}: {name} is not the file that was exported")
        spec = MachineSpec.model_validate_json((folder / SPEC).read_bytes())
        card = json.loads((folder / CARD).read_bytes())
    except OSError as err:
        raise InvalidArtifactError(f"{folder}: cannot read {err.filename}: {err.strerror}") from err
    except (ValidationError, ValueError) as err:
        raise InvalidArtifactError(f"{folder}: {err}") from err
    if manifest.inputs != spec.input_names:
        raise InvalidArtifactError(
            f"{folder}: the model takes {manifest.inputs}, the spec has {spec.input_names}"
        )
    return ArtifactFiles(folder=folder, digest=found, manifest=manifest, spec=spec, card=card)
