"""The model card: what a model is, what it was made of, how good it is, and where it ends."""

import html
import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from presagio.machine.spec import MachineSpec
from presagio.training.dataset import Dataset
from presagio.training.judgement import Judgement
from presagio.training.search import SearchResult
from presagio.training.splitting import Split

_PACKAGES = ("presagio", "scikit-learn", "numpy", "onnx", "onnxruntime", "skops")
_LIMITS = (
    "A label is about the reading it stands beside: the model detects, and does not foresee.",
    "Failures that follow no limit and no reading, as random ones, are not found.",
    "Probabilities are calibrated on readings like the training data's; other work needs training.",
    "Accuracy is left out on purpose: never to warn is nearly always right, and worth nothing.",
)


def _data(dataset: Dataset, split: Split) -> dict[str, Any]:
    return {
        "source": dataset.source,
        "sha256": dataset.sha256,
        "receipts": list(dataset.receipts),
        "rows": len(dataset.target),
        "failures": int(dataset.target.sum()),
        "rejected_rows": dataset.rejected,
        "divided_by": dataset.divided_by or "chance, stratified by the labels",
        "train_rows": len(split.train),
        "test_rows": len(split.test),
        "test_failures": int(split.test.target.sum()),
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
        "threshold_rule": "lowest expected cost on out-of-fold scores of the training part",
        "seed": seed,
    }


def describe(
    spec: MachineSpec,
    dataset: Dataset,
    split: Split,
    result: SearchResult,
    judgement: Judgement,
    seed: int,
) -> dict[str, Any]:
    """Make the model card of a training; the same run gives the same card."""
    compared = {
        shape: {
            "cost_per_1000": float(np.mean(figures.costs)),
            "average_precision": figures.average_precision,
            "f1": figures.f1,
        }
        for shape, figures in result.shapes.items()
    }
    return {
        "machine": spec.name,
        "data": _data(dataset, split),
        "model": _model(result, seed),
        "costs": spec.costs.model_dump(),
        "search": {
            "candidates": len(result.candidates),
            "shapes": compared,
            "features": result.best_by_features(),
        },
        "cross_validation": {
            name: {**asdict(interval), "sd": judgement.cross_validation_sd[name]}
            for name, interval in judgement.cross_validation.items()
        },
        "test": asdict(judgement.test),
        "test_intervals": {name: asdict(i) for name, i in judgement.test_intervals.items()},
        "test_by_category": {name: asdict(f) for name, f in judgement.by_category.items()},
        "test_by_mode": {name: asdict(f) for name, f in judgement.by_mode.items()},
        "test_cost_per_1000": {
            "model": judgement.cost,
            "baseline": judgement.baseline_cost,
            "never_to_warn": judgement.never_cost,
        },
        "baseline": asdict(judgement.baseline),
        "limits": list(_LIMITS),
        "reproduce": f"presagio train --seed {seed}, with these data and these versions",
        "versions": {
            "python": platform.python_version(),
            **{package: version(package) for package in _PACKAGES},
        },
    }


_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem }
table { border-collapse: collapse; margin: .5rem 0 1rem }
th, td { border-bottom: 1px solid #ccc; padding: .25rem .75rem; text-align: left }
thead th { border-bottom: 2px solid #666 }
td.number { text-align: right; font-variant-numeric: tabular-nums }
"""


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f'<td class="number">{value:.4g}</td>'
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    if isinstance(value, Mapping):
        value = ", ".join(f"{name} = {own}" for name, own in value.items())
    return f"<td>{html.escape(str(value))}</td>"


def _row(name: str, values: list[Any]) -> str:
    cells = "".join(_cell(value) for value in values)
    return f'<tr><th scope="row">{html.escape(name)}</th>{cells}</tr>'


def _table(values: Mapping[str, Any]) -> str:
    """Make a table: of names and values, or with a column a field where values have fields."""
    fields = next(iter(values.values()), None)
    if not isinstance(fields, Mapping) or any(not isinstance(v, Mapping) for v in values.values()):
        rows = "".join(_row(name, [value]) for name, value in values.items())
        return f"<table><tbody>{rows}</tbody></table>"
    names = list(dict.fromkeys(name for value in values.values() for name in value))
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in ("", *names))
    rows = "".join(
        _row(name, [value.get(field, "") for field in names]) for name, value in values.items()
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _section(name: str, value: Any) -> str:
    title = html.escape(name.replace("_", " ").capitalize())
    if isinstance(value, list):
        items = "".join(f"<li>{html.escape(str(item))}</li>" for item in value)
        return f"<h2>{title}</h2><ul>{items}</ul>"
    if not isinstance(value, Mapping):
        return f"<h2>{title}</h2><p>{html.escape(str(value))}</p>"
    plain = {key: own for key, own in value.items() if key != "detectors"}
    body = _table(plain) if plain else "<p>none</p>"
    if "detectors" in value:
        body += _table({own["label"]: own for own in value["detectors"]})
    return f"<h2>{title}</h2>{body}"


def write_page(path: Path, card: Mapping[str, Any]) -> Path:
    """Write a model card as a page that stands alone."""
    title = html.escape(f"Model card: {card['machine']}")
    sections = "\n".join(_section(name, value) for name, value in card.items())
    path.write_text(
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>\n{sections}\n</body></html>\n",
        encoding="utf-8",
    )
    return path
