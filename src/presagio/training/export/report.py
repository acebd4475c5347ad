"""Files of a training, for people and later comparisons: curves, card, candidates, tables."""

import json
from pathlib import Path

import numpy as np
import polars as pl

from presagio.inference.imputation import as_read, input_columns
from presagio.machine.spec import MachineSpec
from presagio.registry.versions import CARD, HOLDOUT, REFERENCE
from presagio.training.datasets.dataset import Floats
from presagio.training.datasets.splitting import Part
from presagio.training.evaluation.card import write_card
from presagio.training.evaluation.curves import draw_curves
from presagio.training.train import TrainedModel

_REFERENCE_ROWS = 50_000


def _write_candidates(model: TrainedModel, path: Path) -> Path:
    """Write all candidates of the search as JSON."""
    rows = [
        {
            "label": candidate.plan.label,
            "features": candidate.plan.features.name,
            **candidate.plan.parameters,
            **candidate.metrics,
            "folds": len(candidate.folds),
        }
        for candidate in model.result.candidates
    ]
    path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return path


def write_report(model: TrainedModel, folder: Path) -> tuple[Path, ...]:
    """Write curves, model card and candidates into a folder; return the files."""
    test = model.prediction
    curves = draw_curves(folder, model.split.test.target, test.score, test.probability, test.label)
    card = write_card(folder / CARD, model.card)
    return (*curves, card, _write_candidates(model, folder / "candidates.json"))


def _write_table(
    path: Path, spec: MachineSpec, inputs: Floats, part: Part, **columns: Floats
) -> Path:
    units = {} if spec.unit is None or part.units is None else {spec.unit.name: part.units}
    # Without medians: what stands in for a missing value is each model's own.
    table = pl.DataFrame({**units, **input_columns(spec, inputs), **part.labels, **columns})
    table.with_columns(pl.col(spec.optional_names).fill_nan(None)).write_parquet(path)
    return path


def write_tables(model: TrainedModel, folder: Path) -> tuple[Path, ...]:
    """Write the tables that a version is compared by later, into a folder; return the files.

    The test part, by which the gate compares it with the champion; and the newest of the training
    part with their probabilities, in order, by which drift is told from what is usual.
    """
    spec, train, test = model.spec, model.split.train, model.split.test
    sample = train.take(np.arange(max(len(train) - _REFERENCE_ROWS, 0), len(train)))
    probability = model.result.alarm.predict_proba(sample.inputs)[:, 1]
    return (
        _write_table(folder / f"{HOLDOUT}.parquet", spec, model.held_out, test),
        _write_table(
            folder / f"{REFERENCE}.parquet", spec, as_read(spec, sample.inputs), sample,
            probability=probability,
        ),
    )  # fmt: skip
