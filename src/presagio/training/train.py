"""The training job: split, search, judge, export, register. CLI, stack and notebook call this."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray

from presagio.errors import InvalidArtifactError
from presagio.inference.artifact import Example, write_artifact
from presagio.inference.predictor import Prediction, load_predictor, open_predictor
from presagio.machine.limits import distances_of
from presagio.machine.spec import MachineSpec
from presagio.registry import (
    DATA_TAG,
    HOLDOUT,
    NEWEST_RECEIPT_TAG,
    REFERENCE,
    LoggedCandidate,
    RegisteredVersion,
    Registry,
    TrainingRecord,
)
from presagio.training.alarm import Method
from presagio.training.card import describe, write_card
from presagio.training.curves import draw_curves
from presagio.training.dataset import Dataset
from presagio.training.evaluation import Figures
from presagio.training.export import Precision, export_graph
from presagio.training.judgement import JUDGED_REPEATS, Judgement, judge, predict
from presagio.training.race import Candidate, Progress
from presagio.training.rivals import judge_rivals
from presagio.training.search import DEFAULT_GRID, Grid, SearchResult, search
from presagio.training.splitting import FOLDS, Part, Split, repeats, split_dataset

Floats = NDArray[np.float64]

_REFERENCE_ROWS = 50_000
# An exact Support Vector Machine takes time that grows with the square of its rows: up to so many
# in the training part it is trained, from there on a streamed one (docs/benchmarks.md).
EXACT_ROWS = 40_000
_RECORDED_EXAMPLES = 10
_PARITY = 1e-3
# From so many vectors on single precision is worth its error, while that is well within parity.
_SINGLE_FROM = 100
_SINGLE_PARITY = 3e-4
_PARITY_ROWS = 10_000
_MOST_PARITY_ROWS = 100_000
# Candidates that came furthest are runs of their own; the others are in the table of candidates.
LOGGED_CANDIDATES = 15


@dataclass(frozen=True)
class TrainedModel:
    """A trained model with everything that is known of it.

    Attributes
    ----------
    said
        What scikit-learn says of the test part.
    judgement
        Figures of that, and of cross-validation.
    rivals
        What others make of the same rows, where that was asked for.
    """

    spec: MachineSpec
    dataset: Dataset
    split: Split
    result: SearchResult
    seed: int
    said: Prediction
    judgement: Judgement
    rivals: Mapping[str, Figures] = field(default_factory=dict)

    @property
    def card(self) -> dict[str, Any]:
        """The model card: data, choice, figures, versions. The same run gives the same card."""
        card = describe(self.spec, self.dataset, self.split, self.result, self.judgement, self.seed)
        return card | {"rivals": {name: asdict(own) for name, own in self.rivals.items()}}


def train_model(
    dataset: Dataset,
    spec: MachineSpec,
    *,
    grid: Grid = DEFAULT_GRID,
    method: Method | None = None,
    with_rivals: bool = False,
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
        Parameters of the machines.
    method
        ``exact`` or ``streamed``; by default exact up to :data:`EXACT_ROWS` rows to train on.
    with_rivals
        Whether to judge others on the same rows too, for the report.
    seed
        Seed of split and folds: the same data, seed and grid give the same figures.
    progress
        Called with (steps done, steps in all): the search's fits, then the judgement's folds.
    """
    split, by = split_dataset(dataset, seed=seed), dataset.divided_by
    method = method or ("exact" if len(split.train) <= EXACT_ROWS else "streamed")
    times = repeats(len(split.train), JUDGED_REPEATS) if method == "exact" else 0
    folds, fits = times * FOLDS, 0

    def searched(done: int, total: int) -> None:
        nonlocal fits
        fits = total
        progress(done, total + folds)

    def judged(done: int, total: int) -> None:
        progress(fits + done, fits + total)

    result = search(
        spec, split.train, divided_by=by, grid=grid, method=method, seed=seed, progress=searched
    )
    judgement = judge(
        spec, split.train, split.test, result, divided_by=by, seed=seed, progress=judged
    )
    rivals = judge_rivals(spec, split.train, split.test, seed=seed) if with_rivals else {}
    said = predict(result.alarm, split.test)
    return TrainedModel(spec, dataset, split, result, seed, said, judgement, rivals)


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


def _parity_rows(model: TrainedModel) -> NDArray[np.float64]:
    """Return the test part, and rows near to rows of the training part, at least 10,000 in all."""
    spec, split = model.spec, model.split
    test = split.test.inputs.head(_MOST_PARITY_ROWS).to_numpy(dtype=np.float64)
    rng = np.random.default_rng(model.seed)
    chosen = rng.integers(len(split.train), size=max(_PARITY_ROWS - len(test), 0))
    more = split.train.inputs.iloc[chosen].to_numpy(dtype=np.float64, copy=True)
    numbers = len(spec.feature_names)
    spread = 0.1 * test[:, :numbers].std(axis=0)
    low, high = np.array([feature.range for feature in spec.features]).T
    moved = more[:, :numbers] + rng.normal(size=(len(more), numbers)) * spread
    more[:, :numbers] = np.clip(moved, low, high)
    return np.concatenate([test, more])


def _differences(
    model: TrainedModel, folder: Path, rows: Floats, expected: Floats
) -> tuple[float, int]:
    """Return the largest difference of a score, and how many labels differ for no such reason."""
    threshold, repeated = model.result.alarm.threshold_, open_predictor(folder).predict(rows)
    clear = np.abs(expected - threshold) > _PARITY
    flipped = int(np.sum(clear & (repeated.label != (expected >= threshold))))
    return float(np.max(np.abs(repeated.score - expected))), flipped


def export_model(model: TrainedModel, folder: Path) -> str:
    """Write the serving artifact and hold it against scikit-learn on at least 10,000 rows.

    A model of many vectors is written in single precision, unless that is off by too much.

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
    alarm, rows = model.result.alarm, _parity_rows(model)
    expected = alarm.decision_function(_frame(model.spec, rows))
    many = alarm.support_vectors > _SINGLE_FROM
    precisions: tuple[Precision, ...] = ("single", "double") if many else ("double",)
    for precision in precisions:
        digest = write_artifact(
            folder,
            graph=export_graph(model.spec, alarm, precision=precision),
            spec=model.spec,
            card=model.card,
            threshold=alarm.threshold_,
            modes=tuple(plan.label for plan in alarm.plans),
            distances=tuple(distance.name for distance in distances_of(model.spec)),
            examples=_examples(rows, model.said, alarm.threshold_),
        )
        difference, flipped = _differences(model, folder, rows, expected)
        allowed = _SINGLE_PARITY if precision == "single" else _PARITY
        if difference <= allowed and not flipped:
            load_predictor(folder, digest=digest)
            return digest
    raise InvalidArtifactError(
        f"the exported graph is not the trained model: scores differ by up to {difference:.2g} "
        f"(allowed {_PARITY}), {flipped} labels differ of {len(rows)} rows"
    )


def _frame(spec: MachineSpec, rows: NDArray[np.float64]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(spec.input_names))


def _logged(candidate: Candidate) -> LoggedCandidate:
    plan = candidate.plan
    return LoggedCandidate(
        parameters={"label": plan.label, "features": plan.features.name, **plan.parameters},
        metrics={
            **{f"cv_{name}": value for name, value in candidate.figures.items()},
            "folds": len(candidate.folds),
            "fit_seconds": candidate.fit_seconds,
        },
    )


def _write_table(path: Path, part: Part, **columns: Floats) -> Path:
    everything = {**part.inputs, **part.labels, **columns}
    pl.DataFrame({k: np.asarray(v) for k, v in everything.items()}).write_parquet(path)
    return path


def _write_tables(model: TrainedModel, folder: Path) -> tuple[Path, ...]:
    """Write the tables that a version is judged by later.

    The test part, by which the gate judges it and the champion; and the newest of the training
    part with their scores, in order, by which drift is told from what is usual.
    """
    train = model.split.train
    sample = train.take(np.arange(max(len(train) - _REFERENCE_ROWS, 0), len(train)))
    score = model.result.alarm.decision_function(sample.inputs)
    return (
        _write_table(folder / f"{HOLDOUT}.parquet", model.split.test),
        _write_table(folder / f"{REFERENCE}.parquet", sample, score=score),
    )


def _ranges(numbers: tuple[int, ...]) -> str:
    """Write numbers as ``1-3,5``: receipts may be many, and a tag's length has a bound."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(f"{a}-{b}" if b > a else str(a) for a, b in runs)


def _record(
    model: TrainedModel, artifact: Path, digest: str, attachments: list[Path]
) -> TrainingRecord:
    result, figures = model.result, model.judgement
    furthest = sorted(result.candidates, key=lambda candidate: -len(candidate.folds))
    svc = result.baseline["svc"]
    described = LoggedCandidate(
        {"features": "raw", "kernel": svc.kernel, "C": svc.C, "class_weight": svc.class_weight},
        {**figures.baseline.as_metrics("test"), "test_cost_per_1000": figures.baseline_cost},
        kind="baseline",
    )
    parameters: dict[str, Any] = {
        "shape": result.shape, "method": result.method, "threshold": result.alarm.threshold_,
    }  # fmt: skip
    for plan in result.alarm.plans:
        parameters[f"{plan.label}.features"] = plan.features.name
        parameters |= {f"{plan.label}.{name}": value for name, value in plan.parameters.items()}
    cross = {f"cv_{name}": interval.mean for name, interval in figures.cross_validation.items()}
    return TrainingRecord(
        parameters={**parameters, "seed": model.seed},
        metrics={
            **cross,
            **figures.test.as_metrics("test"),
            "test_cost_per_1000": figures.cost,
        },
        tags={
            "presagio.data_source": model.dataset.source,
            DATA_TAG: model.dataset.sha256,
            "presagio.receipts": _ranges(model.dataset.receipts),
            NEWEST_RECEIPT_TAG: str(max(model.dataset.receipts, default="")),
            "presagio.machine": model.spec.name,
            "presagio.version": version("presagio"),
        },
        candidates=(described, *map(_logged, furthest[:LOGGED_CANDIDATES])),
        attachments=tuple(attachments),
        artifact=artifact,
        tables=_write_tables(model, artifact.parent),
        digest=digest,
        estimator=result.alarm,
        input_example=model.split.train.inputs.head(5),
    )


def _write_candidates(model: TrainedModel, path: Path) -> Path:
    """Write all candidates of the search as JSON."""
    rows = [
        {
            "label": candidate.plan.label,
            "features": candidate.plan.features.name,
            **candidate.plan.parameters,
            **candidate.figures,
            "folds": len(candidate.folds),
        }
        for candidate in model.result.candidates
    ]
    path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return path


def register_model(model: TrainedModel, registry: Registry, folder: Path) -> RegisteredVersion:
    """Log a training with its candidates, and register the model as challenger.

    Who is champion is another matter: :func:`presagio.training.promotion.promote`.

    Parameters
    ----------
    model
        What was trained.
    registry
        Where to.
    folder
        A folder for the files that are logged.

    Raises
    ------
    InvalidArtifactError
        If the exported artifact is not the trained model; nothing is registered then.
    RegistryError
        If MLflow refuses or cannot be reached.
    """
    digest = export_model(model, folder / "artifact")
    said, target = model.said, model.split.test.target
    attachments = draw_curves(folder, target, said.score, said.probability, said.label)
    attachments.append(write_card(folder / "card.html", model.card))
    attachments.append(_write_candidates(model, folder / "candidates.json"))
    registered = registry.register(_record(model, folder / "artifact", digest, attachments))
    registry.assign("challenger", registered)
    return registered
