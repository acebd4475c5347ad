"""A trained model in the registry, with everything that it can be compared by later."""

from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from presagio.registry.inputs import Context, LoggedDataset
from presagio.registry.versions import DATA_TAG, NEWEST_RECEIPT_TAG, RegisteredVersion
from presagio.registry.writer import LoggedCandidate, Registry, TrainingRecord
from presagio.training.datasets.splitting import Part
from presagio.training.export.description import (
    describe_model,
    describe_training,
    training_title,
)
from presagio.training.export.parity import export_model
from presagio.training.export.report import write_report, write_tables
from presagio.training.search.halving import Candidate
from presagio.training.train import TrainedModel

# Candidates that came furthest are runs of their own; the others are in the table of candidates.
LOGGED_CANDIDATES = 15
_EXAMPLE_ROWS = 5


def _named(label: str, features: str, parameters: Mapping[str, Any]) -> str:
    """Name a candidate: ``hdf by physics: kernel=rbf, C=10, gamma=0.1``."""
    shown = ", ".join(
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in parameters.items()
    )
    return f"{label} by {features}: {shown}"


def _logged(candidate: Candidate) -> LoggedCandidate:
    plan = candidate.plan
    return LoggedCandidate(
        name=_named(plan.label, plan.features.name, plan.parameters),
        parameters={"label": plan.label, "features": plan.features.name, **plan.parameters},
        metrics={
            **{f"cv_{name}": value for name, value in candidate.metrics.items()},
            "folds": len(candidate.folds),
            "fit_seconds": candidate.fit_seconds,
        },
    )


def _candidates(model: TrainedModel) -> tuple[LoggedCandidate, ...]:
    """Return the reference model and the candidates that came furthest."""
    plan, evaluation = model.result.reference_plan, model.evaluation
    reference = LoggedCandidate(
        f"reference model, {_named(plan.label, plan.features.name, plan.parameters)}",
        {"features": plan.features.name, **plan.parameters},
        {
            **evaluation.reference.as_metrics("test"),
            "test_cost_per_1000": evaluation.reference_cost,
        },
        kind="baseline",
    )
    furthest = sorted(model.result.candidates, key=lambda candidate: -len(candidate.folds))
    return (reference, *map(_logged, furthest[:LOGGED_CANDIDATES]))


def _ranges(numbers: tuple[int, ...]) -> str:
    """Write numbers as ``1-3,5``: receipts may be many, and a tag's length has a bound."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(f"{a}-{b}" if b > a else str(a) for a, b in runs)


def _parameters(model: TrainedModel) -> dict[str, Any]:
    result = model.result
    parameters: dict[str, Any] = {
        "shape": result.shape, "method": result.method, "threshold": result.alarm.threshold_,
        "seed": model.seed,
    }  # fmt: skip
    for plan in result.alarm.plans:
        parameters[f"{plan.label}.features"] = plan.features.name
        parameters |= {f"{plan.label}.{name}": value for name, value in plan.parameters.items()}
    return parameters


def _metrics(model: TrainedModel) -> dict[str, float]:
    evaluation = model.evaluation
    folds = {f"cv_{name}": found.mean for name, found in evaluation.cross_validation.items()}
    found = folds | evaluation.test.as_metrics("test") | {"test_cost_per_1000": evaluation.cost}
    if evaluation.events is not None:
        events = asdict(evaluation.events)
        found |= {f"test_events_{name}": v for name, v in events.items() if v is not None}
    life = model.card["remaining_life"]
    measured = {"rmse": life.get("rmse"), "coverage": life.get("coverage")}
    return found | {f"test_remaining_{n}": v for n, v in measured.items() if v is not None}


def _tags(model: TrainedModel) -> dict[str, str]:
    receipts = model.dataset.receipts
    return {
        "presagio.data_source": model.dataset.source,
        DATA_TAG: model.dataset.sha256,
        "presagio.receipts": _ranges(receipts),
        NEWEST_RECEIPT_TAG: str(max(receipts, default="")),
        "presagio.machine": model.spec.name,
        "presagio.spec_sha256": model.spec.digest,
        "presagio.version": version("presagio"),
    }


def _dataset(model: TrainedModel, part: Part, name: str, context: Context) -> LoggedDataset:
    spec, dataset = model.spec, model.dataset
    columns = dict.fromkeys(spec.model_inputs, "double") | dict.fromkeys(part.labels, "boolean")
    return LoggedDataset(
        name=f"{spec.name}, {name}",
        sha256=dataset.sha256,
        context=context,
        address=dataset.address,
        columns=columns,
        profile={
            "num_rows": len(part),
            "num_elements": len(part) * len(columns),
            "failures": int(part.target.sum()),
            "source": dataset.source,
            "sha256": dataset.sha256,
            "receipts": _ranges(dataset.receipts),
        },
    )


def _datasets(model: TrainedModel) -> tuple[LoggedDataset, ...]:
    """Return what the model learned from, and what its metrics were measured on."""
    return (
        _dataset(model, model.split.train, "training part", "training"),
        _dataset(model, model.split.test, "held-out test set", "evaluation"),
    )


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
    artifact = folder / "artifact"
    digest = export_model(model, artifact)
    # MLflow reads names and types of a signature from a data frame.
    rows = model.split.train.inputs[:_EXAMPLE_ROWS]
    example = pd.DataFrame(rows, columns=[*model.spec.model_inputs])
    registered = registry.register(
        TrainingRecord(
            parameters=_parameters(model),
            metrics=_metrics(model),
            tags=_tags(model),
            candidates=_candidates(model),
            attachments=write_report(model, folder),
            artifact=artifact,
            tables=write_tables(model, folder),
            digest=digest,
            estimator=model.result.alarm,
            input_example=example,
            output_example=model.result.alarm.predict(example),
            title=training_title(model.card),
            description=describe_training(model.card),
            about=describe_model(model.spec),
            datasets=_datasets(model),
        )
    )
    registry.assign("challenger", registered)
    return registered
