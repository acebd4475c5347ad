"""What a graph takes and gives, compared with what its manifest promises."""

from pathlib import Path
from typing import Any

from presagio.errors import InvalidArtifactError
from presagio.inference.manifest import Manifest

_DOUBLE = "tensor(double)"
_SHOWN = 500


def _is(entry: Any, name: str, width: int | None) -> bool:
    """Say whether an input or output has a name, float64, and a rank; ``width`` of its columns."""
    # A width that the graph leaves open is text or None; running it shows it.
    shape = list(entry.shape)
    ranked = len(shape) == (1 if width is None else 2)
    fits = width is None or not isinstance(shape[-1], int) or shape[-1] == width
    fixed = bool(shape) and isinstance(shape[0], int)
    return entry.name == name and entry.type == _DOUBLE and ranked and fits and not fixed


def check_signature(folder: Path, manifest: Manifest, session: Any) -> None:
    """Check that a graph takes what its manifest names and gives what it promises.

    Parameters
    ----------
    folder
        The artifact folder, for messages.
    manifest
        Its manifest.
    session
        Its graph, as ONNX Runtime has loaded it.

    Raises
    ------
    InvalidArtifactError
        If a name, a type or a rank is another.
    """
    width = len(manifest.inputs)
    taken = [(entry.name, entry.type, entry.shape) for entry in session.get_inputs()]
    if len(taken) != 1 or not _is(session.get_inputs()[0], "inputs", width):
        raise InvalidArtifactError(
            f"{folder}: the graph takes {str(taken)[:_SHOWN]}, not the spec's inputs as "
            f"float64 of shape (n, {width})"
        )
    wanted: dict[str, int | None] = {"score": None, "probability": None}
    if manifest.modes:
        wanted["modes"] = len(manifest.modes)
    if manifest.remaining is not None:
        wanted["remaining"] = None
    given = {entry.name: entry for entry in session.get_outputs()}
    for name, columns in wanted.items():
        if name not in given or not _is(given[name], name, columns):
            entry = given.get(name)
            found = "none" if entry is None else f"{entry.type} of shape {entry.shape}"[:_SHOWN]
            shape = "(n,)" if columns is None else f"(n, {columns})"
            raise InvalidArtifactError(
                f"{folder}: output {name} of the graph is {found}, not float64 of shape {shape}"
            )
