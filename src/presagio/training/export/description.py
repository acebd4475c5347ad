"""A training in words: the name of its run, and what MLflow's pages say of version and model."""

from collections.abc import Mapping
from typing import Any

from presagio.machine.spec import MachineSpec

_METRICS = ("f1", "precision", "recall", "average_precision")
_SHAPES = {"per_mode": "a detector per failure mode", "single": "one detector"}


def training_title(card: Mapping[str, Any]) -> str:
    """Name a training by its machine, rows and shape; the same run gives the same name."""
    data, model = card["data"], card["model"]
    shape = _SHAPES.get(model["shape"], model["shape"])
    return f"{card['machine']}, {data['rows']:,} rows, {shape}, {model['method']}"


def describe_training(card: Mapping[str, Any]) -> str:
    """Say as Markdown what a version is, what it was trained on, and how good it is."""
    data, test, model = card["data"], card["test"], card["model"]
    cost = card["test_cost_per_1000"]
    detectors = ", ".join(f"{each['label']} by {each['features']}" for each in model["detectors"])
    metrics = ", ".join(f"{name.replace('_', ' ')} {test[name]:.3f}" for name in _METRICS)
    costs = (
        f"{cost['model']:.2f}, reference model {cost['baseline']:.2f}, "
        f"always-negative baseline {cost['always_negative']:.2f}"
    )
    rows = f"{data['rows']} rows, {data['failures']} failures, SHA-256 `{data['sha256'][:12]}`"
    lines = (
        f"- Predicts: {card['title']}, machine spec `{card['machine']}`",
        f"- Data: {data['source']}: {rows}",
        f"- Model: {model['shape']}, {model['method']}, {detectors}",
        f"- Search: {card['search']['grid']} grid, {card['search']['candidates']} candidates",
        f"- Held-out test set of {data['test_rows']} rows: {metrics}",
        f"- Cost of 1,000 readings: {costs}",
    )
    return "\n".join(lines)


def describe_model(spec: MachineSpec) -> str:
    """Say as Markdown what a fleet's registered model is for, and how to read its versions."""
    modes = ", ".join(mode.title or mode.name for mode in spec.modes)
    named = f" and which mode: {modes}" if modes else ""
    ahead = "" if spec.label.horizon is None else f" within {spec.label.in_words}"
    failures = spec.target.title or spec.target.name
    return f"""\
Predicts failures of {spec.title}: {failures}{ahead}{named}. Support Vector Machines, trained by
Presagio on the machine spec `{spec.name}`.

- Alias `champion`: the version that the API serves. Alias `challenger`: the newest one.
- Tag `presagio.gate` of a version: `passed`, `not promoted`, or `forced`: against the gate.
  `presagio.gate_why` says why, `presagio.gate_who` who asked.
- The run of a version has its data, candidates, metrics and model card."""
