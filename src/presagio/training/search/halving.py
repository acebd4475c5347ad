"""Which features and which kernel make the best detector of one label: successive halving."""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from presagio.inference.measures import f1_of
from presagio.training.datasets.mapped import Positions
from presagio.training.datasets.splitting import FOLDS, Folds
from presagio.training.detectors.features import FeatureTable
from presagio.training.detectors.plans import DetectorPlan, build_detector

Bools = NDArray[np.bool_]
Progress = Callable[[int, int], None]

FINALISTS = 4
# Of candidates, this share goes on from one look to the next; the last ones see all folds.
_GO_ON = 1 / 4
# The first look learns from as many rows as have so many failures.
_ENOUGH_FAILURES = 40


@dataclass(frozen=True)
class FoldScore:
    """How a candidate does on the rows of one fold, by its own label."""

    average_precision: float
    f1: float

    @property
    def value(self) -> float:
        """What candidates are ranked by: how well it orders rows, and where it draws the line."""
        return (self.average_precision + self.f1) / 2


@dataclass(frozen=True)
class Candidate:
    """One candidate for a detector: what it is, and how it did fold by fold.

    Attributes
    ----------
    folds
        As many as it has come through: weak candidates see the first only, and learn from some of
        its rows.
    fit_seconds
        Processor time of its last fit.
    vectors
        Support vectors that a prediction is computed from; a linear SVM needs none.
    """

    plan: DetectorPlan
    folds: tuple[FoldScore, ...]
    fit_seconds: float
    vectors: int

    @property
    def value(self) -> float:
        """Mean over the folds of what candidates are ranked by."""
        return float(np.mean([fold.value for fold in self.folds]))

    @property
    def error(self) -> float:
        """Standard error of that mean."""
        return float(np.std([fold.value for fold in self.folds]) / np.sqrt(len(self.folds)))

    @property
    def metrics(self) -> dict[str, float]:
        """Means and standard deviations over the folds, for reports."""
        precision = [fold.average_precision for fold in self.folds]
        f1 = [fold.f1 for fold in self.folds]
        return {
            "average_precision": float(np.mean(precision)),
            "average_precision_sd": float(np.std(precision)),
            "f1": float(np.mean(f1)),
            "f1_sd": float(np.std(f1)),
            "support_vectors": float(self.vectors),
        }


def rounds(candidates: int, folds: int = FOLDS, finalists: int = FINALISTS) -> list[int]:
    """Return how many candidates see each fold, after the first look that all have."""
    counts, left = [], candidates
    for _ in range(folds):
        left = min(left, max(finalists, round(left * _GO_ON)))
        counts.append(left)
    return counts


@dataclass
class Counter:
    """Says how many fits are done, of how many."""

    total: int
    report: Progress
    done: int = 0

    def one(self) -> None:
        """Count one."""
        self.done += 1
        self.report(self.done, self.total)


@dataclass
class Trial:
    """A candidate that is being compared: what it has scored so far."""

    plan: DetectorPlan
    look: list[FoldScore] = field(default_factory=list)
    folds: list[FoldScore] = field(default_factory=list)
    seconds: float = 0.0
    vectors: int = 0

    def run(
        self, scores: list[FoldScore], table: FeatureTable, target: Bools, train: Positions,
        test: Positions, healthy_weight: float,
    ) -> None:  # fmt: skip
        """Learn from some rows, be tested on others, and add how that went to the scores.

        The target of all rows of the table has shape ``(n,)``; in the test each row without a
        failure counts as ``healthy_weight`` rows.
        """
        # Of this thread: others take their turns meanwhile.
        began = time.thread_time()
        detector = build_detector(self.plan)
        detector.fit(table.rows(self.plan.features, train), target[train])
        self.seconds = time.thread_time() - began
        decision = detector.decision_function(table.rows(self.plan.features, test))
        self.vectors = detector.size
        true = target[test]
        weights = np.where(true, 1.0, healthy_weight)
        precision = average_precision_score(true, decision, sample_weight=weights)
        f1 = f1_of(true, decision >= 0.0, healthy_weight=healthy_weight)
        scores.append(FoldScore(float(precision), f1))

    def candidate(self) -> Candidate:
        """Return what is known of it so far."""
        scores = tuple(self.folds or self.look)
        return Candidate(self.plan, scores, self.seconds, self.vectors)


def in_order(trials: Sequence[Trial]) -> list[Trial]:
    """Return candidates, the best first; of equals those that need fewer features.

    Of those that are equal even so, one of each set of features comes first, then a second one of
    each: on one fold many kernels on the same features may be without a fault, and would leave no
    place for the features that are without one on all folds.
    """
    keyed, before = [], defaultdict[tuple[float, str], int](int)
    for trial in trials:
        value, features = round(trial.candidate().value, 6), trial.plan.features
        place = before[value, features.name]
        before[value, features.name] += 1
        keyed.append(((-value, len(features.columns), place), trial))
    return [trial for _, trial in sorted(keyed, key=lambda pair: pair[0])]


def first_rows(target: Bools, train: Positions, seed: int) -> Positions:
    """Return what a first look learns from: rows with enough failures among them, not all.

    Fits grow with the square of the rows, and three of four candidates are gone after the first.
    The target has shape ``(n,)``, what is returned ``(m,)``.
    """
    share = _ENOUGH_FAILURES / max(int(target[train].sum()), 1)
    if share >= 1.0:
        return train
    rng = np.random.default_rng(seed)
    kinds = (train[target[train]], train[~target[train]])
    chosen = [rng.choice(k, size=round(share * len(k)), replace=False) for k in kinds]
    return np.sort(np.concatenate(chosen))


def successive_halving(
    table: FeatureTable,
    plans: Sequence[DetectorPlan],
    target: Bools,
    folds: Folds,
    counter: Counter,
    *,
    finalists: int = FINALISTS,
    healthy_weight: float = 1.0,
    seed: int = 0,
) -> list[Candidate]:
    """Let candidates see more and more rows, fewer of them each time; the best comes first.

    All have a first look at some rows, a quarter of them at the first fold, and so on.

    Of those that see all folds and come within one standard error of the highest value, the best
    has the fewest features, and of these the fewest hundreds of support vectors: a mode with few
    failures would be left to chance, and predictions would take longer for nothing.

    Parameters
    ----------
    table
        Features of the rows.
    plans
        The candidates, all for one label.
    target
        That label of each row, shape ``(n,)``.
    folds
        How the rows are divided.
    counter
        Counts each fit.
    finalists
        How many see all folds.
    healthy_weight
        For how many rows each one without a failure stands.
    seed
        Of the rows of the first look.

    Source: Jamieson and Talwalkar, "Non-stochastic Best Arm Identification", 2016, with rows
    and folds for the resource.
    """
    running, out = [Trial(plan) for plan in plans], []
    with joblib.Parallel(return_as="generator_unordered") as pool:

        def run(trials: Sequence[Trial], train: Positions, test: Positions, *, look: bool) -> None:
            jobs = (
                joblib.delayed(trial.run)(
                    trial.look if look else trial.folds,
                    table,
                    target,
                    train,
                    test,
                    healthy_weight,
                )
                for trial in trials
            )
            for _ in pool(jobs):
                counter.one()

        train, test = folds[0]
        run(running, first_rows(target, train, seed), test, look=True)
        for (train, test), count in zip(
            folds, rounds(len(plans), len(folds), finalists), strict=True
        ):
            ranked = in_order(running)
            running, gone = ranked[:count], ranked[count:]
            out += gone
            run(running, train, test, look=False)
    ranked_last = [trial.candidate() for trial in in_order(running)]
    highest = ranked_last[0]
    near = [c for c in ranked_last if c.value >= highest.value - highest.error]
    best = min(near, key=lambda c: (len(c.plan.features.columns), c.vectors // 100, -c.value))
    others = [candidate for candidate in ranked_last if candidate is not best]
    return [best, *others, *(trial.candidate() for trial in out)]
