"""Which features and which kernel make the best detector of one label."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, f1_score

from presagio.training.alarm import DetectorPlan, build_detector
from presagio.training.expansion import expand
from presagio.training.splitting import FOLDS, Folds, Part

Bools = NDArray[np.bool_]
Progress = Callable[[int, int], None]

FINALISTS = 6
# Of candidates, this share goes on from one fold to the next; the last ones see all folds.
_GO_ON = 1 / 4


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
        As many as it has come through: weak candidates see the first only.
    fit_seconds
        Mean time of one fit.
    vectors
        Support vectors that each answer is computed from; a linear machine needs none.
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
    def figures(self) -> dict[str, float]:
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


def rounds(candidates: int, finalists: int = FINALISTS) -> list[int]:
    """Return how many candidates see each fold."""
    counts = [candidates]
    while len(counts) < FOLDS:
        counts.append(min(counts[-1], max(finalists, round(counts[-1] * _GO_ON))))
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
class _Runner:
    """A candidate in the race."""

    plan: DetectorPlan
    folds: list[FoldScore] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    vectors: int = 0

    def run(self, spec: str, part: Part, target: Bools, fold: int, folds: Folds) -> None:
        train, test = folds[fold]
        began = time.perf_counter()
        detector = build_detector(spec, self.plan).fit(part.inputs.iloc[train], target[train])
        self.seconds.append(time.perf_counter() - began)
        scores = detector.decision_function(part.inputs.iloc[test])
        self.vectors = expand(detector).vector_count
        f1 = f1_score(target[test], scores >= 0.0, zero_division=0.0)
        precision = average_precision_score(target[test], scores)
        self.folds.append(FoldScore(float(precision), float(f1)))

    @property
    def rank(self) -> tuple[float, int]:
        """Best first; of equals the one that needs fewer features."""
        value = float(np.mean([fold.value for fold in self.folds]))
        return (-round(value, 6), len(self.plan.features.columns))

    def candidate(self) -> Candidate:
        seconds = float(np.mean(self.seconds))
        return Candidate(self.plan, tuple(self.folds), seconds, self.vectors)


def race(
    spec: str,
    part: Part,
    plans: Sequence[DetectorPlan],
    folds: Folds,
    counter: Counter,
    finalists: int = FINALISTS,
) -> list[Candidate]:
    """Let candidates see fold after fold, fewer each time (successive halving); the best first.

    Of those that see all folds and come within one standard error of the highest value, the best
    has the fewest features, and of these the fewest hundreds of support vectors: a mode with few
    failures would be left to chance, and answers would take longer for nothing.

    Parameters
    ----------
    spec
        The machine spec as JSON.
    part
        The rows to learn from and to judge by.
    plans
        The candidates, all for one label.
    folds
        How the rows are divided.
    counter
        Told of each fit.
    finalists
        How many see all folds.

    Source: Jamieson and Talwalkar, "Non-stochastic Best Arm Identification", 2016, with folds for
    the resource.
    """
    target = part.labels[plans[0].label].to_numpy(dtype=bool)
    running, out = [_Runner(plan) for plan in plans], []
    # libsvm releases the interpreter's lock: threads use every core without copies of the data.
    with joblib.Parallel(n_jobs=-1, backend="threading", return_as="generator_unordered") as pool:
        for fold, count in enumerate(rounds(len(plans), finalists)):
            ranked = sorted(running, key=lambda runner: runner.rank) if fold else running
            running, gone = ranked[:count], ranked[count:]
            out += gone
            jobs = (joblib.delayed(r.run)(spec, part, target, fold, folds) for r in running)
            for _ in pool(jobs):
                counter.one()
    ranked_last = [runner.candidate() for runner in sorted(running, key=lambda r: r.rank)]
    highest = ranked_last[0]
    near = [c for c in ranked_last if c.value >= highest.value - highest.error]
    best = min(near, key=lambda c: (len(c.plan.features.columns), c.vectors // 100, -c.value))
    others = [candidate for candidate in ranked_last if candidate is not best]
    return [best, *others, *(runner.candidate() for runner in out)]
