"""A champion that somebody registered from a notebook: a plain scikit-learn pipeline.

Taken in skops format, whose types are compared with a list of our own before anything is built.
Run by ONNX Runtime where it can be converted, by scikit-learn otherwise; its card says which.
A pickle runs whatever its author wants, so it is refused unless a setting names the version.
"""

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from presagio.errors import InvalidArtifactError, PresagioError, SettingsError
from presagio.inference.admission import admit, check_admissible
from presagio.inference.artifact import (
    ArtifactFiles,
    Example,
    Manifest,
    sha256_of,
    write_artifact,
)
from presagio.inference.predictor import Predictor, load_predictor
from presagio.machine.spec import MachineSpec
from presagio.registry import cache as caching
from presagio.registry.conversion import ThirdPartyEstimator, convert
from presagio.registry.description import (
    LARGEST_DESCRIPTION,
    columns_of,
    read_description,
    refuse,
)
from presagio.registry.estimators import load_estimator
from presagio.registry.reader import RegistryReader
from presagio.registry.versions import RegisteredVersion
from presagio.settings import Settings

_log = logging.getLogger(__name__)
Floats = NDArray[np.float64]

_PROBES = 1000
_WIDE = 1000.0
_EXAMPLES = 10
_PARITY = 1e-3


def _probes(spec: MachineSpec) -> Floats:
    """Return rows all over the plausible range, each indicator on and off."""
    rng = np.random.default_rng(0)
    # Of a feature without a range: all around its example.
    ranges = [f.range or (f.typical - _WIDE, f.typical + _WIDE) for f in spec.features]
    columns = [rng.uniform(low, high, size=_PROBES) for low, high in ranges]
    around = [
        rng.normal(feature.typical, 0.02 * (high - low), _PROBES)
        for feature, (low, high) in zip(spec.features, ranges, strict=True)
    ]
    half = rng.random(_PROBES) < 0.5  # noqa: PLR2004
    mixed = [
        np.clip(np.where(half, a, c), low, high)
        for a, c, (low, high) in zip(around, columns, ranges, strict=True)
    ]
    for category in spec.categories:
        drawn = rng.integers(len(category.values), size=_PROBES)
        places = dict(zip(category.values, range(len(category.values)), strict=True))
        mixed += [(drawn == places[value]).astype(float) for value in category.indicators]
    return np.stack(mixed, axis=1)


class ScikitLearnPredictor(Predictor):
    """A model that ONNX Runtime cannot run."""

    def __init__(self, artifact: ArtifactFiles, estimator: ThirdPartyEstimator) -> None:
        super().__init__(artifact, None)
        self._estimator = estimator

    def _run(self, outputs: Sequence[str], inputs: ArrayLike) -> list[Floats]:
        rows = np.ascontiguousarray(inputs, dtype=np.float64)
        if not len(rows):
            return [np.empty(0) for _ in outputs]
        found = dict(zip(("score", "probability"), self._estimator.predict(rows), strict=True))
        return [found[name] for name in outputs]


def _card(version: RegisteredVersion, file: Path, run_by: str) -> dict[str, Any]:
    return {
        "title": f"{version.name} version {version.version}",
        "origin": "registered by other means than presagio train; not evaluated here",
        "run_by": run_by,
        "sha256": sha256_of(file),
    }


def _converted(
    estimator: ThirdPartyEstimator,
    spec: MachineSpec,
    version: RegisteredVersion,
    file: Path,
    folder: Path,
) -> Predictor:
    rows = _probes(spec)
    score, probability = estimator.predict(rows)
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
    converted = predictor.predict(rows)
    apart = np.abs(converted.probability - probability).max()
    differ = int(np.sum((converted.label != (score >= 0)) & (np.abs(score) > _PARITY)))
    if apart > _PARITY or differ:
        raise InvalidArtifactError(f"probabilities differ by {apart:.2g}, {differ} labels differ")
    return predictor


def _by_scikit_learn(
    estimator: ThirdPartyEstimator, spec: MachineSpec, version: RegisteredVersion, file: Path
) -> Predictor:
    manifest = Manifest(files={}, inputs=spec.input_names, threshold=0.0, examples=())
    card = _card(version, file, "scikit-learn")
    artifact = ArtifactFiles(
        folder=file.parent, digest=sha256_of(file), manifest=manifest, spec=spec, card=card
    )
    return ScikitLearnPredictor(artifact, estimator)


def load_third_party(
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
        What its columns are compared with.
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
    SettingsError
        If packages are missing that such models need.
    """
    cache = settings.model_cache
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=caching.SCRATCH) as scratch:
        try:
            return _load(reader, version, spec, settings, Path(scratch))
        except PresagioError:
            raise
        except ImportError as err:
            # No fault of the version: the gate must not take a champion for a bad one by it.
            raise SettingsError(
                f"{version.name} version {version.version} is a third-party model, and {err.name} "
                "is missing; install presagio[third-party]"
            ) from err
        except Exception as err:
            # Estimators are what their author made them; what they raise has no bound.
            raise refuse(version, f"{type(err).__name__}: {str(err)[:500]}") from err


def _load(
    reader: RegistryReader, version: RegisteredVersion, spec: MachineSpec, settings: Settings,
    scratch: Path,
) -> Predictor:  # fmt: skip
    described = read_description(
        reader.download_source(
            version, "MLmodel", scratch / "MLmodel", at_most=LARGEST_DESCRIPTION
        ),
        version,
    )
    columns = columns_of(described.signature, spec, version)
    source = described.flavors.sklearn.pickled_model
    model, file = load_estimator(reader, source, version, settings, scratch)
    estimator = ThirdPartyEstimator(model, columns, spec)
    if not estimator.predicts:
        raise refuse(version, "it has neither decision_function nor predict_proba")
    rows = _probes(spec)
    if (estimator.labels(rows) != (estimator.predict(rows)[0] >= 0)).any():
        raise refuse(version, "its labels are not those of its scores")
    try:
        return _kept(_converted(estimator, spec, version, file, scratch / "artifact"),
                     version, settings)  # fmt: skip
    except Exception as err:  # noqa: BLE001 - a converter may fail in any way
        _log.warning("%s cannot be converted, scikit-learn runs it: %s", version.name, err)
    predictor = _by_scikit_learn(estimator, spec, version, file)
    check_admissible(predictor, spec)
    return predictor


def _kept(predictor: Predictor, version: RegisteredVersion, settings: Settings) -> Predictor:
    """Keep a converted model in the cache, and load it from there as any other."""
    cache, artifact = settings.model_cache, predictor.artifact
    folder = caching.folder_of(cache, version)
    caching.remove(cache, folder)
    caching.place(artifact.folder, cache, folder)
    return admit(folder, digest=artifact.digest, spec=artifact.spec, limit_s=settings.model_trial_s)
