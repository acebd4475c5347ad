"""The training job: split, search, judge, export, register. CLI, stack and notebook call this."""

import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from presagio.errors import InvalidArtifactError
from presagio.inference.artifact import Example, write_artifact
from presagio.inference.predictor import Prediction, load_predictor
from presagio.machine.spec import MachineSpec
from presagio.registry import LoggedCandidate, RegisteredVersion, Registry, TrainingRecord
from presagio.training.dataset import Dataset, Split, split_dataset
from presagio.training.evaluation import Figures, draw_curves, evaluate
from presagio.training.export import export_graph
from presagio.training.search import DEFAULT_GRID, Grid, Progress, SearchResult, search

_RECORDED_EXAMPLES = 10
_PARITY = 1e-3
_PACKAGES = ("presagio", "scikit-learn", "numpy", "onnx", "onnxruntime", "skops")


@dataclass(frozen=True)
class TrainedModel:
    """A trained model with everything that is known of it.

    Attributes
    ----------
    said
        What scikit-learn says of the test part, at the chosen threshold and calibration.
    test
        Figures of that.
    """

    spec: MachineSpec
    dataset: Dataset
    split: Split
    result: SearchResult
    seed: int
    said: Prediction
    test: Figures

    @property
    def card(self) -> dict[str, Any]:
        """The model card: data, choice, figures, versions. The same run gives the same card."""
        best = self.result.best
        return {
            "machine": self.spec.name,
            "data": {
                "source": self.dataset.source,
                "sha256": self.dataset.sha256,
                "receipts": list(self.dataset.receipts),
                "rows": len(self.dataset.target),
                "failures": int(self.dataset.target.sum()),
                "rejected_rows": self.dataset.rejected,
                "test_rows": len(self.split.test_target),
                "test_failures": int(self.split.test_target.sum()),
            },
            "model": {
                "pipeline": "StandardScaler + passthrough, SVC",
                "parameters": best.parameters,
                "support_vectors": int(self.result.pipeline["svc"].n_support_.sum()),
                "threshold": self.result.threshold,
                "threshold_rule": "best F1 on out-of-fold scores of the training part",
                "seed": self.seed,
            },
            "cross_validation": {"average_precision": best.mean, "sd": best.sd},
            "test": asdict(self.test),
            "versions": {
                "python": platform.python_version(),
                **{package: version(package) for package in _PACKAGES},
            },
        }


def _predict(result: SearchResult, inputs: pd.DataFrame) -> Prediction:
    score = np.asarray(result.pipeline.decision_function(inputs), dtype=np.float64)
    sigmoid = result.calibration
    probability = 1.0 / (1.0 + np.exp(sigmoid.slope * score + sigmoid.intercept))
    return Prediction(score, probability, score >= result.threshold)


def train_model(
    dataset: Dataset,
    spec: MachineSpec,
    *,
    grid: Grid = DEFAULT_GRID,
    seed: int = 0,
    progress: Progress = lambda _done, _total: None,
) -> TrainedModel:
    """Split the data, search on the training part, judge once on the test part.

    Parameters
    ----------
    dataset
        Labelled readings.
    spec
        The machine spec that they follow.
    grid
        Parameter grids of the pipeline.
    seed
        Seed of split and folds: the same data, seed and grid give the same figures.
    progress
        Called with (fits done, fits in all).
    """
    split = split_dataset(dataset, seed=seed)
    result = search(spec, split.train, split.train_target, grid=grid, seed=seed, progress=progress)
    said = _predict(result, split.test)
    test = evaluate(split.test_target, said.score, said.probability, said.label)
    return TrainedModel(spec, dataset, split, result, seed, said, test)


def _examples(
    inputs: NDArray[np.float64], said: Prediction, threshold: float
) -> tuple[Example, ...]:
    clear = np.abs(said.score - threshold) > 10 * _PARITY
    chosen = [
        i for label in (True, False)
        for i in np.flatnonzero(clear & (said.label == label))[:_RECORDED_EXAMPLES]
    ]  # fmt: skip
    return tuple(
        Example(
            inputs=tuple(float(value) for value in inputs[i]),
            score=float(said.score[i]),
            probability=float(said.probability[i]),
            label=bool(said.label[i]),
        )
        for i in chosen
    )


def export_model(model: TrainedModel, folder: Path) -> str:
    """Write the serving artifact and hold it against scikit-learn on the whole test part.

    Returns
    -------
    str
        The artifact's digest.

    Raises
    ------
    InvalidArtifactError
        If a score differs by more than 0.001, or a label differs that is not within that of the
        threshold.
    """
    result, inputs = model.result, model.split.test.to_numpy(dtype=np.float64)
    said = model.said
    digest = write_artifact(
        folder,
        graph=export_graph(model.spec, result.pipeline, result.calibration),
        spec=model.spec,
        card=model.card,
        threshold=result.threshold,
        examples=_examples(inputs, said, result.threshold),
    )
    repeated = load_predictor(folder, digest=digest).predict(inputs)
    difference = float(np.max(np.abs(repeated.score - said.score)))
    clear = np.abs(said.score - result.threshold) > _PARITY
    flipped = int(np.sum(clear & (repeated.label != said.label)))
    if difference > _PARITY or flipped:
        raise InvalidArtifactError(
            f"the exported graph is not the trained model: scores differ by up to {difference:.2g} "
            f"(allowed {_PARITY}), {flipped} labels differ of {len(inputs)} rows"
        )
    return digest


def _record(
    model: TrainedModel, artifact: Path, digest: str, pictures: list[Path]
) -> TrainingRecord:
    best = model.result.best
    candidates = tuple(
        LoggedCandidate(
            parameters=candidate.parameters,
            metrics={
                "cv_average_precision": candidate.mean,
                "cv_average_precision_sd": candidate.sd,
                "fit_seconds": candidate.fit_seconds,
                **{f"fold{i}_average_precision": v for i, v in enumerate(candidate.folds)},
            },
        )
        for candidate in model.result.candidates
    )
    return TrainingRecord(
        parameters={**best.parameters, "seed": model.seed, "threshold": model.result.threshold},
        metrics={
            "cv_average_precision": best.mean,
            "cv_average_precision_sd": best.sd,
            **model.test.as_metrics("test"),
        },
        tags={
            "presagio.data_source": model.dataset.source,
            "presagio.data_sha256": model.dataset.sha256,
            "presagio.receipts": ",".join(map(str, model.dataset.receipts)),
            "presagio.machine": model.spec.name,
            "presagio.version": version("presagio"),
        },
        candidates=candidates,
        pictures=tuple(pictures),
        artifact=artifact,
        digest=digest,
        pipeline=model.result.pipeline,
        input_example=model.split.train.head(5),
    )


def register_model(
    model: TrainedModel, registry: Registry, folder: Path, *, promote: bool = True
) -> RegisteredVersion:
    """Log a training with all candidates, register the model and make it champion.

    Parameters
    ----------
    model
        What was trained.
    registry
        Where to.
    folder
        A folder for the files that are logged.
    promote
        Whether the new version gets the alias ``champion``; ``challenger`` if not.

    Raises
    ------
    InvalidArtifactError
        If the exported artifact is not the trained model; nothing is registered then.
    RegistryError
        If MLflow refuses or cannot be reached.
    """
    digest = export_model(model, folder / "artifact")
    said = model.said
    pictures = draw_curves(
        folder, model.split.test_target, said.score, said.probability, said.label
    )
    registered = registry.register(_record(model, folder / "artifact", digest, pictures))
    registry.assign("champion" if promote else "challenger", registered)
    return registered
