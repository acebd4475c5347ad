"""Cross-validation with shared fits gives what separate fits give."""

import numpy as np
import pytest
from sklearn.svm import SVC

from presagio.machine.spec import MachineSpec
from presagio.training.datasets.sources import generate_dataset
from presagio.training.datasets.splitting import Part, make_folds, split_dataset
from presagio.training.detectors.alarm import FailureAlarm
from presagio.training.detectors.features import feature_sets
from presagio.training.detectors.plans import DetectorPlan
from presagio.training.evaluation.cross_validation import cross_validate
from presagio.training.evaluation.metrics import evaluate
from presagio.training.search.thresholds import choose_thresholds


@pytest.fixture(scope="module")
def part(spec: MachineSpec) -> Part:
    return split_dataset(generate_dataset(spec, 3000, seed=4)).train


@pytest.fixture(scope="module")
def plans(spec: MachineSpec) -> tuple[DetectorPlan, ...]:
    return tuple(
        DetectorPlan(mode, feature_sets(spec, mode)[0], {"kernel": "rbf", "C": 10.0, "gamma": 0.5})
        for mode in ("hdf", "osf")
    )


def test_each_fold_tests_a_model_made_without_it(
    spec: MachineSpec, part: Part, plans: tuple[DetectorPlan, ...]
) -> None:
    folds = make_folds(part, None, seed=1)
    shared = list(cross_validate(spec, part, plans, [folds], lambda _done, _total: None))
    tests = [test for _, test in folds]
    for fold, (train, test) in enumerate(folds):
        # The other four folds are the folds of the part that is trained on.
        place = {int(row): i for i, row in enumerate(train)}
        inner = []
        for other in range(len(tests)):
            if other != fold:
                own = np.array([place[int(row)] for row in tests[other]])
                inner.append((np.setdiff1d(np.arange(len(train)), own), own))
        rows = part.take(train)
        alarm = FailureAlarm(spec, plans)
        alarm.fit(rows.inputs, rows.labels, folds=[inner])
        alarm.threshold_ = choose_thresholds(rows.target, alarm.out_of_fold_, spec.costs).cost
        score = alarm.decision_function(part.take(test).inputs)
        label = score >= alarm.threshold_
        wanted = evaluate(part.target[test], score, alarm.probability(score), label)
        assert vars(shared[fold]) == pytest.approx(vars(wanted))


def test_fits_are_shared_between_folds(
    spec: MachineSpec, part: Part, plans: tuple[DetectorPlan, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted, fit = list[object](), SVC.fit

    def counted(*arguments: object) -> object:
        fitted.append(arguments)
        return fit(*arguments)

    monkeypatch.setattr(SVC, "fit", counted)
    progress: list[tuple[int, int]] = []
    folds = make_folds(part, None, seed=1)
    tested = list(
        cross_validate(spec, part, plans, [folds], lambda *counts: progress.append(counts))
    )
    assert len(tested) == 5
    assert progress == [(i, 5) for i in range(1, 6)]
    # Without one fold, and without two: 5 + 10.
    assert len(fitted) == 15 * len(plans)
