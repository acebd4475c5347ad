"""The training job: split, search, judge. CLI, DAG and notebook call this."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from presagio.inference.predictor import Prediction
from presagio.machine.spec import MachineSpec
from presagio.training.datasets.dataset import Dataset
from presagio.training.datasets.splitting import FOLDS, Split, repeats, split_dataset
from presagio.training.detectors.alarm import Method
from presagio.training.evaluation.baselines import judge_rivals
from presagio.training.evaluation.card import describe
from presagio.training.evaluation.evaluation import JUDGED_REPEATS, Judgement, judge, predict
from presagio.training.evaluation.metrics import Figures
from presagio.training.search.grids import DEFAULT_GRID, Grid
from presagio.training.search.halving import Progress
from presagio.training.search.search import SearchResult, search

# An exact Support Vector Machine takes time that grows with the square of its rows: up to so many
# in the training part it is trained, from there on a streamed one (docs/benchmarks.md).
EXACT_ROWS = 40_000


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
        card = describe(
            self.spec, self.dataset, self.split, self.result, self.judgement, self.said, self.seed
        )
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
