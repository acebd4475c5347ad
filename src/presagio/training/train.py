"""The training: split, search, evaluate. Commands, jobs and the notebook call this."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from presagio.inference.imputation import Imputation, fit_imputation
from presagio.inference.predictor import Prediction
from presagio.machine.spec import MachineSpec
from presagio.training.datasets.conditions import fit_conditions
from presagio.training.datasets.dataset import Dataset, Floats
from presagio.training.datasets.splitting import FOLDS, Split, repeats, split_dataset
from presagio.training.detectors.plans import Method
from presagio.training.evaluation.baselines import evaluate_baselines
from presagio.training.evaluation.card import describe
from presagio.training.evaluation.evaluation import REPEATS, Evaluation, evaluate_model, predict
from presagio.training.evaluation.leaks import find_leaks
from presagio.training.evaluation.metrics import Metrics
from presagio.training.search.grids import DEFAULT_GRID, Grid
from presagio.training.search.halving import Progress
from presagio.training.search.remaining import RemainingModel, search_remaining
from presagio.training.search.search import SearchResult, search

# An exact SVM takes time that grows with the square of its rows: up to so many in the training part
# it is trained, from there on a streamed one (docs/benchmarks.md).
EXACT_ROWS = 40_000


@dataclass(frozen=True)
class TrainedModel:
    """A trained model with everything that is known of it.

    Attributes
    ----------
    split
        Training and test part, with medians in the place of missing values.
    imputation
        Those medians: of the training part.
    held_out
        Inputs of the test part before medians, by which later versions are compared with this one.
    prediction
        Of the test part, by scikit-learn.
    evaluation
        Metrics of that, and of cross-validation.
    baselines
        Metrics of the baselines on the same rows, where they were asked for.
    card
        The model card: data, choice, metrics, versions. The same run gives the same card.
    remaining
        The regression of the time left, where the machine spec wants one.
    """

    spec: MachineSpec
    dataset: Dataset
    split: Split
    imputation: Imputation
    held_out: Floats
    result: SearchResult
    seed: int
    prediction: Prediction
    evaluation: Evaluation
    baselines: Mapping[str, Metrics]
    card: dict[str, Any]
    remaining: RemainingModel | None = None


def train_model(
    dataset: Dataset,
    spec: MachineSpec,
    *,
    grid: Grid = DEFAULT_GRID,
    method: Method | None = None,
    with_baselines: bool = False,
    seed: int = 0,
    progress: Progress = lambda _done, _total: None,
) -> TrainedModel:
    """Split the data, search on the training part, evaluate once on the test part.

    Parameters
    ----------
    dataset
        Labelled readings.
    spec
        The machine spec that they follow.
    grid
        Parameters of the detectors.
    method
        ``exact`` or ``streamed``; by default exact up to :data:`EXACT_ROWS` rows to train on.
    with_baselines
        Whether to evaluate baselines on the same rows too, for the report.
    seed
        Seed of split and folds: the same data, seed and grid give the same metrics.
    progress
        Called with (steps done, steps in all): the search's fits, then the evaluation's folds.

    Raises
    ------
    DataError
        If training or test part would be without a failure.
    """
    split, by = split_dataset(dataset, seed=seed), dataset.divided_by
    conditions = fit_conditions(spec, split.train.inputs, seed=seed)
    if dataset.expand is not None and conditions is not None:
        dataset = replace(dataset, inputs=dataset.expand(conditions), expand=None)
        split = split_dataset(dataset, seed=seed)
    imputation = fit_imputation(spec, split.train.inputs, conditions)
    held_out, split = split.test.inputs, split.map(imputation.complete)
    train, test = split.train, split.test
    method = method or ("exact" if len(train) <= EXACT_ROWS else "streamed")
    times = repeats(len(train), REPEATS) if method == "exact" else 0
    folds, fits = times * FOLDS, 0

    def searched(done: int, total: int) -> None:
        nonlocal fits
        fits = total
        progress(done, total + folds)

    def evaluated(done: int, total: int) -> None:
        progress(fits + done, fits + total)

    result = search(
        spec, train, divided_by=by, grid=grid, method=method, seed=seed, progress=searched
    )
    remaining = search_remaining(spec, train, divided_by=by, grid=grid, seed=seed)
    prediction = predict(result.alarm, test)
    evaluation = evaluate_model(
        spec, train, test, result, prediction, divided_by=by, seed=seed, progress=evaluated
    )
    baselines = evaluate_baselines(spec, train, test, seed=seed) if with_baselines else {}
    warnings = find_leaks(spec, train, divided_by=by, seed=seed)
    card = describe(
        spec,
        dataset,
        split,
        imputation,
        result,
        evaluation,
        prediction,
        warnings,
        baselines,
        seed,
        remaining,
    )
    return TrainedModel(
        spec, dataset, split, imputation, held_out, result, seed, prediction, evaluation,
        baselines, card, remaining,
    )  # fmt: skip
