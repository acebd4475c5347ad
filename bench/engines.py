"""Failures foreseen: turbofan engines (NASA C-MAPSS), within 30 cycles, beside other learners.

FD001: trained on the engines that ran to failure, evaluated on the rows of the official test set.
FD004, of six operating conditions, without an official test at hand: five folds by engine. All
learners but the product by row see the same windows.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import average_precision_score, f1_score
from sklearn.model_selection import GroupKFold

from bench.report import ROOT, table, write
from bench.sizes import Size
from presagio.inference.conditions import Conditions
from presagio.inference.predictor import Predictor, load_predictor
from presagio.ingest.checking import check_file
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec, load_spec
from presagio.scoring.frames import inputs_of, score_frame
from presagio.training.datasets.builder import DatasetBuilder, dataset_from_frame
from presagio.training.datasets.conditions import fit_conditions
from presagio.training.datasets.dataset import Dataset
from presagio.training.export.parity import export_model
from presagio.training.search.grids import GRIDS
from presagio.training.train import TrainedModel, train_model

_SPEC = ROOT / "tests" / "engines.toml"
_FOLDER = "TEST_TURBOFAN"
_FOLDS = 5
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def _read(path: Path, spec: MachineSpec) -> pl.DataFrame:
    with path.open("rb") as file:
        return check_file(file, spec, suffix=".csv.gz").accepted


def _by_row(spec: MachineSpec) -> MachineSpec:
    # A copy would have the names of columns that the spec has worked out already.
    return MachineSpec.model_validate(spec.model_dump() | {"windows": None})


def _by_condition(spec: MachineSpec) -> MachineSpec:
    """Return the spec of engines under six operating conditions, which three settings tell."""
    raw = spec.model_dump()
    settings = [f"setting_{i}" for i in (1, 2, 3)]
    raw["features"] = (*({"name": name} for name in settings), *raw["features"])
    raw["windows"]["by_condition"] = settings
    return MachineSpec.model_validate(raw)


def _exported(model: TrainedModel) -> Predictor:
    folder = Path(tempfile.mkdtemp(prefix="bench-engines-"))
    return load_predictor(folder, digest=export_model(model, folder))


def _presagio(spec: MachineSpec, size: Size) -> Callable[[pl.DataFrame, pl.DataFrame], Any]:
    def learn(train: pl.DataFrame, test: pl.DataFrame) -> tuple[Floats, Bools]:
        grid = GRIDS[size.pick("full", "full", "small")]
        model = train_model(dataset_from_frame(train, spec, "engines"), spec, grid=grid)
        found = score_frame(_exported(model), test)
        return found["score"].to_numpy(), found["label"].to_numpy()

    return learn


def _sklearn(
    spec: MachineSpec, make: Callable[[], Any]
) -> Callable[[pl.DataFrame, pl.DataFrame], Any]:
    def inputs(dataset: Dataset, conditions: Conditions | None) -> Floats:
        if dataset.expand is not None and conditions is not None:
            return dataset.expand(conditions)
        return dataset.inputs

    def learn(train: pl.DataFrame, test: pl.DataFrame) -> tuple[Floats, Bools]:
        known = dataset_from_frame(train, spec, "engines")
        # Every unit of the test rows ends somewhere: inputs do not hang on that.
        seen = dataset_from_frame(test, spec, "engines")
        conditions = fit_conditions(spec, known.inputs)
        fitted = make().fit(inputs(known, conditions), known.target)
        score = np.asarray(fitted.predict_proba(inputs(seen, conditions)))[:, 1]
        return score, score >= 0.5

    return learn


def _boosting() -> Any:
    from lightgbm import LGBMClassifier  # noqa: PLC0415 - an extra

    return LGBMClassifier(verbose=-1, random_state=0)


def _learners(spec: MachineSpec, size: Size) -> dict[str, Callable[..., Any]]:
    trees = size.pick(500, 200, 10)
    return {
        "Presagio, windows": _presagio(spec, size),
        "Presagio, by row": _presagio(_by_row(spec), size),
        f"random forest, {trees} trees, windows": _sklearn(
            spec, lambda: RandomForestClassifier(trees, n_jobs=-1, random_state=0)
        ),
        "LightGBM, windows": _sklearn(spec, _boosting),
    }


def _official(folder: Path, spec: MachineSpec, size: Size) -> list[tuple[object, ...]]:
    train = _read(folder / "train_FD001.csv.gz", spec)
    test = _read(folder / "test_FD001.csv.gz", spec)
    rul = pl.read_csv(folder / "RUL_FD001.csv", schema_overrides={"unit": pl.String})
    left = test.join(rul, on="unit", maintain_order="left").select(
        pl.col("cycle").max().over("unit") + pl.col("rul") - pl.col("cycle")
    )
    target = (left.to_series() <= (spec.label.horizon or 0)).to_numpy()
    lines: list[tuple[object, ...]] = []
    for name, learn in _learners(spec, size).items():
        began = time.perf_counter()
        score, label = learn(train, test)
        lines.append((
            name, f"{average_precision_score(target, score):.3f}", f"{f1_score(target, label):.3f}",
            f"{time.perf_counter() - began:.0f} s",
        ))  # fmt: skip
        print("FD001", *lines[-1], sep="; ", flush=True)
    return lines


def _by_folds(folder: Path, spec: MachineSpec, size: Size) -> list[tuple[object, ...]]:
    rows = _read(folder / "train_FD004.csv.gz", spec)
    units = rows["unit"].to_numpy()
    target = dataset_from_frame(rows, spec, "engines").target
    folds = list(GroupKFold(_FOLDS).split(units, target, units))[: size.pick(5, 5, 1)]
    lines: list[tuple[object, ...]] = []
    for name, learn in _learners(spec, size).items():
        began, precisions, f1 = time.perf_counter(), [], []
        for train, test in folds:
            score, label = learn(rows[train], rows[test])
            precisions.append(average_precision_score(target[test], score))
            f1.append(f1_score(target[test], label))
        seconds = (time.perf_counter() - began) / len(folds)
        lines.append((
            name, f"{np.mean(precisions):.3f} ± {np.std(precisions):.3f}", f"{np.mean(f1):.3f}",
            f"{seconds:.0f} s",
        ))  # fmt: skip
        print("FD004", *lines[-1], sep="; ", flush=True)
    return lines


def _events(folder: Path, spec: MachineSpec, size: Size) -> list[tuple[object, ...]]:
    rows = _read(folder / "train_FD001.csv.gz", spec)
    grid = GRIDS[size.pick("full", "full", "small")]
    lines: list[tuple[object, ...]] = []
    for name, one in (("windows", spec), ("by row", _by_row(spec))):
        model = train_model(dataset_from_frame(rows, one, "engines"), one, grid=grid)
        for part, found in (
            ("held-out", model.evaluation.events),
            ("out of fold", model.evaluation.events_out_of_fold),
        ):
            if found is not None:
                lines.append((
                    f"Presagio, {name}, {part}", found.failures, found.caught, found.too_early,
                    found.missed, f"{found.lead_p50:.0f} ({found.lead_p10:.0f} to "
                    f"{found.lead_p90:.0f})", f"{found.rises_per_life:.2f}",
                ))  # fmt: skip
    return lines


def _remaining(folder: Path, spec: MachineSpec, size: Size) -> list[tuple[object, ...]]:
    """Measure the time left on the last rows of the official test set, as is usual for it."""
    train = _read(folder / "train_FD001.csv.gz", spec)
    test = _read(folder / "test_FD001.csv.gz", spec)
    rul = pl.read_csv(folder / "RUL_FD001.csv", schema_overrides={"unit": pl.String})
    last = test.with_row_index("at").group_by("unit").agg(pl.col("at").max()).join(rul, on="unit")
    at, left = last["at"].to_numpy(), last["rul"].to_numpy().astype(float)
    lines: list[tuple[object, ...]] = []
    for seed in range(size.pick(5, 3, 1)):
        dataset = dataset_from_frame(train, spec, "engines")
        predictor = _exported(train_model(dataset, spec, grid=GRIDS["small"], seed=seed))
        life = predictor.remaining_life(inputs_of(test, spec, predictor.histories())[at])
        if life is None:
            continue
        late = life.value - left
        # Saxena et al. 2008, "Damage propagation modeling for aircraft engine run-to-failure".
        score = np.where(late < 0, np.exp(-late / 13), np.exp(late / 10)).sum() - len(late)
        held = (left >= life.low) & (np.isnan(life.high) | (left <= life.high))
        lines.append((
            f"Presagio, seed {seed}", f"{np.sqrt(np.mean(late**2)):.2f}", f"{score:.0f}",
            f"{held.mean():.0%}",
        ))  # fmt: skip
        print("FD001, time left", *lines[-1], sep="; ", flush=True)
    return lines


def _speed(folder: Path, spec: MachineSpec) -> list[tuple[object, ...]]:
    rows = _read(folder / "train_FD001.csv.gz", spec)
    model = train_model(dataset_from_frame(rows, spec, "engines"), spec, grid=GRIDS["small"])
    predictor = _exported(model)
    inputs, times, found = rows.select(spec.input_names).to_numpy()[:40], np.arange(40.0), []
    for _ in range(2000):
        began = time.perf_counter()
        predictor.foresee_one(predictor.last_inputs(inputs, times).tolist())
        found.append(time.perf_counter() - began)
    began = time.perf_counter()
    score_frame(predictor, rows)
    rate = len(rows) / (time.perf_counter() - began)
    return [
        ("one series of 40 readings, 14 sensors: inputs, answer and time left, median",
         f"{1e6 * np.median(found):.0f} µs"),
        ("a frame of series: inputs and scores", f"{rate:,.0f} readings/s"),
    ]  # fmt: skip


def _measure_many(rows: int) -> dict[str, float]:
    """Train on generated series in this process."""
    spec, began = load_spec(_SPEC), time.perf_counter()
    builder = DatasetBuilder(spec)
    for block in simulate(spec, rows):
        builder.add(block)
    model = train_model(builder.finish("generated"), spec)
    return {
        "seconds": time.perf_counter() - began,
        "mebibytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        "average_precision": model.evaluation.test.average_precision,
    }


def _many(size: Size) -> list[tuple[object, ...]]:
    """Train on generated series in a process of its own, whose peak of memory is its own."""
    rows = size.pick(1_000_000, 1_000_000, 20_000)
    done = subprocess.run(
        [sys.executable, "-m", "bench.engines", str(rows)], check=True, capture_output=True,
        text=True,
    )  # fmt: skip
    found = json.loads(done.stdout.splitlines()[-1])
    return [(
        f"{rows:,}", f"{found['seconds']:.0f} s", f"{found['mebibytes']:,.0f} MiB",
        f"{found['average_precision']:.3f}",
    )]  # fmt: skip


def run(size: Size) -> None:
    """Measure, and write the tables."""
    if not os.environ.get(_FOLDER):
        print(f"engines: skipped, {_FOLDER} does not name a folder of turbofan data")
        return
    folder, spec = Path(os.environ[_FOLDER]), load_spec(_SPEC)
    header = ("learner", "average precision of rows", "F1", "training and scoring")
    official = table(header, _official(folder, spec, size))
    folds = table(header, _by_folds(folder, _by_condition(spec), size))
    events = table(
        ("FD001, alarms", "failures", "caught", "too early", "missed",
         "lead time [cycles]: median (p10 to p90)", "alarms a life"),
        _events(folder, spec, size),
    )  # fmt: skip
    remaining = table(
        ("FD001, time left at the last row of each engine of the official test set",
         "RMSE [cycles]", "score", "90 % interval holds"),
        _remaining(folder, spec, size),
    )  # fmt: skip
    speed = table(("what", "measured"), _speed(folder, spec))
    many = table(
        ("generated readings of units that wear out", "from readings to a trained model",
         "peak of memory", "average precision, held out"),
        _many(size),
    )  # fmt: skip
    body = (
        f"FD001, rows of the official test set:\n\n{official}\n\nFD004, mean of {_FOLDS} folds by "
        f"engine:\n\n{folds}\n\nAlarms, where 2 of 3 readings say so:\n\n{events}\n\n"
        f"{remaining}\n\n{speed}\n\n{many}"
    )
    write("engines", body, size, after="drives")


if __name__ == "__main__":
    print(json.dumps(_measure_many(int(sys.argv[1]))))
