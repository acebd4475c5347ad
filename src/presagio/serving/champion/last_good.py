"""The model that was served last, kept for a start without the registry."""

import contextlib
import logging
import threading
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from presagio.inference.admission import admit
from presagio.inference.predictor import Predictor
from presagio.machine.spec import MachineSpec
from presagio.registry import cache as caching
from presagio.registry.versions import RegisteredVersion

_log = logging.getLogger(__name__)
_FILE = "last-good.json"
_LARGEST_BYTES = 1 << 16
_Text = Annotated[str, Field(max_length=1024)]
_Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Note(BaseModel):
    """Which version it was; ``digest`` is that of the artifact, whoever made it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: _Text
    version: _Text
    run_id: _Text
    registered_digest: _Digest | None
    digest: _Digest

    def as_version(self) -> RegisteredVersion:
        return RegisteredVersion(self.name, self.version, self.run_id, self.registered_digest)


def keep(cache: Path, version: RegisteredVersion, predictor: Predictor) -> None:
    """Remember what is served; without it a start takes longer, which is no reason to stop."""
    note = _Note(
        name=version.name, version=version.version, run_id=version.run_id,
        registered_digest=version.digest, digest=predictor.artifact.digest,
    )  # fmt: skip
    path = cache / _FILE
    scratch = path.with_name(f".{_FILE}.{threading.get_native_id()}")
    with contextlib.suppress(OSError):
        scratch.write_text(note.model_dump_json(), encoding="utf-8")
        scratch.replace(path)


def load(
    cache: Path, spec: MachineSpec, name: str, *, limit_s: float
) -> tuple[RegisteredVersion, Predictor] | None:
    """Load what was served last.

    Parameters
    ----------
    cache
        Where fetched artifacts are kept.
    spec
        The machine whose readings it is to take.
    name
        Of the registered model that it has to be a version of.
    limit_s
        Seconds that trying it may take, if this version of ONNX Runtime never has.

    Returns
    -------
    tuple or None
        The version and its model; None if there is none that can be served.
    """
    try:
        with (cache / _FILE).open("rb") as file:
            note = _Note.model_validate_json(file.read(_LARGEST_BYTES))
        if note.name != name:
            return None
        folder = caching.folder_of(cache, note.as_version())
        predictor = admit(folder, digest=note.digest, spec=spec, limit_s=limit_s)
    except FileNotFoundError:
        return None
    except Exception as err:  # noqa: BLE001 - whatever lies there, the API starts
        _log.warning("the last good model in %s cannot be served: %s", cache, err)
        return None
    return note.as_version(), predictor
