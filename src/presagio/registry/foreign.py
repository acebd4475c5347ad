"""A champion that somebody registered from a notebook: a plain scikit-learn pipeline.

Taken in skops format, whose types are held against a list of our own before anything is built.
Run by ONNX Runtime where it can be converted, by scikit-learn otherwise; its card says which.
A pickle runs whatever its author wants, so it is refused unless a setting names the version.
"""

import json
import logging
import pickle
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from presagio.errors import InvalidArtifactError
from presagio.inference.artifact import (
    ArtifactFiles,
    Example,
    Manifest,
    sha256_of,
    write_artifact,
)
from presagio.inference.predictor import Predictor, load_predictor
from presagio.machine.spec import MachineSpec
from presagio.registry.conversion import ForeignEstimator, convert
from presagio.registry.reader import RegistryReader
from presagio.registry.versions import RegisteredVersion
from presagio.settings import Settings

_log = logging.getLogger(__name__)
Floats = NDArray[np.float64]

# Besides what skops itself trusts, which is scikit-learn's and NumPy's own plain classes.
_ALLOWED_TYPES = frozenset(
    {
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.compose._column_transformer._RemainderColsList",
    }
)
_NUMBERS = frozenset({"double", "float", "long", "integer", "boolean"})
_PROBES = 1000
_EXAMPLES = 10
_PARITY = 1e-3


def _refuse(version: RegisteredVersion, why: str) -> InvalidArtifactError:
    return InvalidArtifactError(f"{version.name} version {version.version} is refused: {why}")


def _described(folder: Path, version: RegisteredVersion) -> dict[str, Any]:
    import yaml  # noqa: PLC0415 - of the extra `foreign`

    try:
        found = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
        return {"sklearn": found["flavors"]["sklearn"], "signature": found.get("signature")}
    except (OSError, yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError) as err:
        raise _refuse(
            version, "it is neither an artifact of ours nor a scikit-learn model"
        ) from err


def _columns(signature: Any, spec: MachineSpec, version: RegisteredVersion) -> list[str]:
    """Return the names of a model's columns in its order, held against the machine spec."""
    try:
        entries = json.loads(signature["inputs"])
        columns = {entry["name"]: entry["type"] for entry in entries}
    except (TypeError, KeyError, ValueError) as err:
        raise _refuse(version, "it has no signature with named columns") from err
    if set(columns) != set(spec.input_names) or len(entries) != len(columns):
        raise _refuse(
            version, f"it takes {sorted(columns)}, machine spec {spec.name} {[*spec.input_names]}"
        )
    if strange := {kind for kind in columns.values() if kind not in _NUMBERS}:
        raise _refuse(version, f"columns of type {sorted(strange)} are no numbers")
    return list(columns)


def _load_skops(file: Path, version: RegisteredVersion) -> Any:
    import skops.io  # noqa: PLC0415 - of the extra `foreign`

    # What a damaged file raises is anything from a zip error to a missing attribute.
    try:
        strange = set(skops.io.get_untrusted_types(file=file)) - _ALLOWED_TYPES
    except Exception as err:
        raise _refuse(version, f"its skops file cannot be read: {err}") from err
    if strange:
        raise _refuse(version, f"types {sorted(strange)} are not on the list of trusted ones")
    try:
        return skops.io.load(file, trusted=sorted(_ALLOWED_TYPES))
    except Exception as err:
        raise _refuse(version, f"its skops file cannot be loaded: {err}") from err


def _load_estimator(
    folder: Path, flavor: Any, version: RegisteredVersion, settings: Settings
) -> tuple[Any, Path]:
    file = folder / Path(str(flavor.get("pickled_model", ""))).name
    if not file.is_file():
        raise _refuse(version, "its model file is missing")
    if file.suffix == ".skops":
        return _load_skops(file, version), file
    name = f"{version.name}/{version.version}"
    if name not in settings.allow_pickle:
        raise _refuse(
            version, "it is a pickle, which runs what its author wants; log it with "
            f'serialization_format="skops", or name {name} in PRESAGIO_ALLOW_PICKLE',
        )  # fmt: skip
    _log.warning("%s is loaded from a pickle, as PRESAGIO_ALLOW_PICKLE allows", name)
    try:
        with file.open("rb") as opened:
            return pickle.load(opened), file  # noqa: S301 - allowed by name
    except Exception as err:
        raise _refuse(version, f"its pickle cannot be loaded: {err}") from err


def _probes(spec: MachineSpec) -> Floats:
    """Return rows all over the plausible range, each indicator on and off."""
    rng = np.random.default_rng(0)
    columns = [rng.uniform(*feature.range, size=_PROBES) for feature in spec.features]
    around = [
        rng.normal(f.example, 0.02 * (f.range[1] - f.range[0]), _PROBES) for f in spec.features
    ]
    half = rng.random(_PROBES) < 0.5  # noqa: PLR2004
    mixed = [
        np.clip(np.where(half, a, c), *f.range)
        for a, c, f in zip(around, columns, spec.features, strict=True)
    ]
    for category in spec.categories:
        drawn = rng.integers(len(category.values), size=_PROBES)
        own = dict(zip(category.values, range(len(category.values)), strict=True))
        mixed += [(drawn == own[value]).astype(float) for value in category.indicators]
    return np.stack(mixed, axis=1)


class ScikitLearnPredictor(Predictor):
    """A model that ONNX Runtime cannot run."""

    def __init__(self, artifact: ArtifactFiles, estimator: ForeignEstimator) -> None:
        super().__init__(artifact, None)
        self._estimator = estimator

    def _run(self, outputs: Sequence[str], inputs: ArrayLike) -> list[Floats]:
        rows = np.ascontiguousarray(inputs, dtype=np.float64)
        if not len(rows):
            return [np.empty(0) for _ in outputs]
        found = dict(zip(("score", "probability"), self._estimator.judge(rows), strict=True))
        return [found[name] for name in outputs]


def _card(version: RegisteredVersion, file: Path, run_by: str) -> dict[str, Any]:
    return {
        "title": f"{version.name} version {version.version}",
        "origin": "registered by other means than presagio train; not judged here",
        "run_by": run_by,
        "sha256": sha256_of(file),
    }


def _converted(
    estimator: ForeignEstimator,
    spec: MachineSpec,
    version: RegisteredVersion,
    file: Path,
    folder: Path,
) -> Predictor:
    rows = _probes(spec)
    score, probability = estimator.judge(rows)
    clear = np.flatnonzero(np.abs(score) > 10 * _PARITY)[:_EXAMPLES]
    examples = tuple(
        Example(
            inputs=tuple(map(float, rows[i])), score=float(score[i]),
            probability=float(probability[i]), label=bool(score[i] >= 0),
        )
        for i in clear
    )  # fmt: skip
    digest = write_artifact(
        folder, graph=convert(estimator, spec), spec=spec, threshold=0.0, examples=examples,
        card=_card(version, file, "ONNX Runtime"),
    )  # fmt: skip
    predictor = load_predictor(folder, digest=digest)
    said = predictor.predict(rows)
    apart = np.abs(said.probability - probability).max()
    differ = int(np.sum((said.label != (score >= 0)) & (np.abs(score) > _PARITY)))
    if apart > _PARITY or differ:
        raise InvalidArtifactError(f"probabilities differ by {apart:.2g}, {differ} labels differ")
    return predictor


def _by_scikit_learn(
    estimator: ForeignEstimator, spec: MachineSpec, version: RegisteredVersion, file: Path
) -> Predictor:
    manifest = Manifest(files={}, inputs=spec.input_names, threshold=0.0, examples=())
    card = _card(version, file, "scikit-learn")
    artifact = ArtifactFiles(
        folder=file.parent, digest=sha256_of(file), manifest=manifest, spec=spec, card=card
    )
    return ScikitLearnPredictor(artifact, estimator)


def load_foreign(
    reader: RegistryReader, version: RegisteredVersion, spec: MachineSpec, settings: Settings
) -> Predictor:
    """Load a version that has no artifact of ours.

    Parameters
    ----------
    reader
        The registry.
    version
        A version without a digest.
    spec
        What its columns are held against.
    settings
        Where the cache is, and which pickles are allowed.

    Returns
    -------
    Predictor
        One whose card says what runs it.

    Raises
    ------
    InvalidArtifactError
        If it is none that may be served.
    RegistryError
        If it cannot be fetched.
    """
    cache = settings.model_cache
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        folder = reader.download_model(version, Path(scratch) / "model")
        try:
            said = _described(folder, version)
            columns = _columns(said["signature"], spec, version)
            model, file = _load_estimator(folder, said["sklearn"], version, settings)
        except ImportError as err:
            raise _refuse(version, f"{err.name} is missing; install presagio[foreign]") from err
        estimator = ForeignEstimator(model, columns, spec)
        if not estimator.judges:
            raise _refuse(version, "it has neither decision_function nor predict_proba")
        rows = _probes(spec)
        if (estimator.labels(rows) != (estimator.judge(rows)[0] >= 0)).any():
            raise _refuse(version, "its labels are not those of its scores")
        into = cache / f"{version.name}-{version.version}-{version.run_id or 'foreign'}"
        try:
            return _converted(estimator, spec, version, file, into)
        except Exception as err:  # noqa: BLE001 - a converter may fail in any way
            shutil.rmtree(into, ignore_errors=True)
            _log.warning("%s cannot be converted, scikit-learn runs it: %s", version.name, err)
        return _by_scikit_learn(estimator, spec, version, file)
