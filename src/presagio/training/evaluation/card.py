"""The model card: what a model is, what it was made of, how good it is, and where it ends."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from presagio.inference.imputation import Imputation, input_columns
from presagio.inference.predictor import Prediction
from presagio.machine.spec import MachineSpec
from presagio.pages.model_card import card_page
from presagio.pages.writing import mark
from presagio.sentences import Sentence, sentence_json
from presagio.training.datasets.dataset import Dataset
from presagio.training.datasets.splitting import Part, Split
from presagio.training.evaluation.curve_points import curve_points
from presagio.training.evaluation.evaluation import Evaluation
from presagio.training.evaluation.example_lives import example_lives, lead_times
from presagio.training.evaluation.metrics import Metrics
from presagio.training.evaluation.remaining import evaluate_remaining
from presagio.training.search.grids import grid_name
from presagio.training.search.remaining import RemainingModel
from presagio.training.search.search import SearchResult

_PACKAGES = ("presagio", "scikit-learn", "numpy", "onnx", "onnxruntime", "skops")
_LIMITS = (
    mark("Failures that follow no limit and no reading, as random ones, are not found."),
    mark(
        "Probabilities are calibrated on readings like the training data's; other work needs "
        "training."
    ),
    mark(
        "Accuracy is left out: the always-negative baseline is nearly always right, and finds "
        "nothing."
    ),
)


def _missing(spec: MachineSpec, dataset: Dataset, imputation: Imputation) -> dict[str, Any]:
    """Say which share of each feature that may be missing is, and what stands in.

    ``carried`` is the share for which it is the last value of the unit.
    """
    columns, found = input_columns(spec, dataset.inputs), dict[str, Any]()
    for name, flag in zip(spec.optional_names, spec.missing_names, strict=True):
        without = float(np.isnan(columns[name]).mean())
        share = float(columns[flag].mean()) if flag in columns else without
        if share:
            found[name] = {"share": share, "median": imputation.medians[name]}
            if name in spec.carried_names:
                found[name]["carried"] = share - without
    return found


def _data(
    spec: MachineSpec, dataset: Dataset, split: Split, imputation: Imputation
) -> dict[str, Any]:
    return {
        "source": dataset.source,
        "sha256": dataset.sha256,
        "receipts": list(dataset.receipts),
        "rows": len(dataset.target),
        "failures": int(dataset.target.sum()),
        "rejected_rows": dataset.rejected,
        "missing": _missing(spec, dataset, imputation),
        "divided_by": dataset.divided_by or mark("chance, stratified by the labels"),
        "train_rows": len(split.train),
        "test_rows": len(split.test),
        "test_failures": int(split.test.target.sum()),
    }


def _label_limit(spec: MachineSpec) -> Sentence:
    if spec.label.horizon is None:
        return Sentence("A label is about its reading: the model detects, and does not foresee.")
    return Sentence(
        "A label says whether the unit fails within %(horizon)s; readings whose units were not "
        "seen for so long, and did not fail, are left out.",
        {"horizon": spec.label.in_words},
    )


def _remaining(spec: MachineSpec, split: Split, remaining: RemainingModel | None) -> dict[str, Any]:
    """Say how far off the time left is, out of fold and on the held-out units."""
    rule, series = spec.remaining_life, split.test.series
    if remaining is None or rule is None or series is None:
        return {}
    evaluated = evaluate_remaining(spec, split.test, remaining)
    return {
        "most": rule.most, "coverage_wanted": rule.coverage,
        "support_vectors": len(remaining.regression.svr_.support_vectors_),
        "parameters": remaining.regression.get_params(), "rmse_out_of_fold": remaining.rmse,
        **evaluated,
    }  # fmt: skip


def _horizon(
    spec: MachineSpec, evaluation: Evaluation, dataset: Dataset, test: Part, prediction: Prediction
) -> dict[str, Any]:
    """Say what is foreseen, and how alarms do by failures; empty of a label without a horizon."""
    if spec.label.horizon is None:
        return {}
    found = {"test": evaluation.events, "out_of_fold": evaluation.events_out_of_fold}
    return {
        "within": spec.label.within,
        "ahead": spec.label.horizon / spec.day,
        "unit": spec.day_name,
        "confirm": list(spec.alarm.confirm),
        "censored_rows": dataset.censored,
        "logged": dict(dataset.events),
        "events": {name: asdict(metrics) for name, metrics in found.items() if metrics},
        **_pictured(spec, evaluation, test, prediction),
    }


def _pictured(
    spec: MachineSpec, evaluation: Evaluation, test: Part, prediction: Prediction
) -> dict[str, Any]:
    """Return what is drawn of the held-out lives, and what they cost."""
    series, metrics, costs = test.series, evaluation.events, spec.costs
    if series is None or metrics is None:
        return {}
    late = metrics.missed + metrics.too_early
    cost = late * costs.missed_failure + metrics.false_alarms * costs.false_alarm
    return {
        "lead_times": lead_times(series, prediction.label, spec.alarm, day=spec.day),
        "lives": example_lives(
            series, prediction.probability, prediction.label, spec.alarm, day=spec.day
        ),
        "cost": cost,
        "cost_always_negative": metrics.failures * costs.missed_failure,
    }


def _model(result: SearchResult, seed: int) -> dict[str, Any]:
    alarm = result.alarm
    return {
        "shape": result.shape,
        "detectors": [
            {
                "label": plan.label,
                "features": plan.features.name,
                "columns": list(plan.features.columns),
                "parameters": dict(plan.parameters),
                "keeps_its_boundary": bool(offset == 0.0),
            }
            for plan, offset in zip(alarm.plans, alarm.offsets_, strict=True)
        ],
        "method": result.method,
        "support_vectors": alarm.support_vectors,
        "threshold": alarm.threshold_,
        "thresholds": asdict(result.thresholds),
        "threshold_rule": mark("lowest expected cost on out-of-fold scores of the training part"),
        "seed": seed,
    }


def describe(
    spec: MachineSpec,
    dataset: Dataset,
    split: Split,
    imputation: Imputation,
    result: SearchResult,
    evaluation: Evaluation,
    prediction: Prediction,
    warnings: Sequence[Sentence],
    baselines: Mapping[str, Metrics],
    seed: int,
    remaining: RemainingModel | None = None,
) -> dict[str, Any]:
    """Make the model card of a training; the same run gives the same card."""
    compared = {
        shape: {
            "cost_per_1000": float(np.mean(metrics.costs)),
            "average_precision": metrics.average_precision,
            "f1": metrics.f1,
        }
        for shape, metrics in result.shapes.items()
    }
    limit = _label_limit(spec)
    again = Sentence(
        "%(command)s, with these data and versions",
        {
            "command": f"presagio train --seed {seed} --method {result.method} "
            f"--search {grid_name(result.grid)}"
        },
    )
    translated = (*warnings, limit, again, dataset.origin)
    return {
        "machine": spec.name,
        "title": spec.title,
        "modes": {mode.name: mode.title or mode.name for mode in (spec.target, *spec.modes)},
        "spec_sha256": spec.digest,
        "data": _data(spec, dataset, split, imputation),
        "warnings": [*map(str, warnings)],
        "model": _model(result, seed),
        "costs": spec.costs.model_dump(),
        "search": {
            "grid": grid_name(result.grid),
            "candidates": len(result.candidates),
            "shapes": compared,
            "features": result.best_by_features(),
        },
        "cross_validation": {
            name: {**asdict(interval), "sd": evaluation.cross_validation_sd[name]}
            for name, interval in evaluation.cross_validation.items()
        },
        "test": asdict(evaluation.test),
        "test_intervals": {name: asdict(i) for name, i in evaluation.test_intervals.items()},
        "test_by_category": {name: asdict(f) for name, f in evaluation.by_category.items()},
        "test_by_mode": {name: asdict(f) for name, f in evaluation.by_mode.items()},
        "horizon": _horizon(spec, evaluation, dataset, split.test, prediction),
        "remaining_life": _remaining(spec, split, remaining),
        "test_cost_per_1000": {
            "model": evaluation.cost,
            "baseline": evaluation.reference_cost,
            "always_negative": evaluation.always_negative_cost,
        },
        "baseline": asdict(evaluation.reference),
        "baselines": {name: asdict(metrics) for name, metrics in baselines.items()},
        "curves": curve_points(split.test.target, prediction.score, prediction.probability),
        "limits": [str(limit), *_LIMITS],
        "reproduce": str(again),
        # In other languages these are written from their parts.
        "sentences": {str(one): sentence_json(one) for one in translated if one is not None},
        "versions": {
            "python": platform.python_version(),
            **{package: version(package) for package in _PACKAGES},
        },
    }


def write_card(path: Path, card: Mapping[str, Any]) -> Path:
    """Write a model card as a page that stands alone.

    Parameters
    ----------
    path
        The page.
    card
        What :func:`describe` made.
    """
    path.write_text(card_page(card), encoding="utf-8")
    return path
