"""A trained model in the registry, with everything that it can be judged by later."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from presagio.registry.versions import (
    DATA_TAG,
    HOLDOUT,
    NEWEST_RECEIPT_TAG,
    REFERENCE,
    RegisteredVersion,
)
from presagio.registry.writer import LoggedCandidate, Registry, TrainingRecord
from presagio.training.datasets.splitting import Part
from presagio.training.evaluation.card import write_card
from presagio.training.evaluation.curves import draw_curves
from presagio.training.export.parity import export_model
from presagio.training.search.halving import Candidate
from presagio.training.train import TrainedModel

Floats = NDArray[np.float64]

_REFERENCE_ROWS = 50_000
# Candidates that came furthest are runs of their own; the others are in the table of candidates.
LOGGED_CANDIDATES = 15


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
    part with their probabilities, in order, by which drift is told from what is usual.
    """
    train = model.split.train
    sample = train.take(np.arange(max(len(train) - _REFERENCE_ROWS, 0), len(train)))
    probability = model.result.alarm.predict_proba(sample.inputs)[:, 1]
    return (
        _write_table(folder / f"{HOLDOUT}.parquet", model.split.test),
        _write_table(folder / f"{REFERENCE}.parquet", sample, probability=probability),
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

    Who is champion is another matter: :func:`presagio.lifecycle.promotion.promote`.

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
