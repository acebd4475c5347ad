"""Baselines that a model is compared with, for the report only: none is ever served.

LightGBM comes with the extra ``baselines``; without it the others are evaluated alone.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from sklearn.base import BaseEstimator
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from presagio.machine.spec import MachineSpec
from presagio.training.datasets.splitting import Part
from presagio.training.detectors.features import FeatureSet, compute_features, feature_sets
from presagio.training.evaluation.metrics import Metrics, evaluate

_log = logging.getLogger(__name__)
# More rows than these change no baseline's metrics much, and a forest of them takes minutes.
_MOST_ROWS = 40_000


@dataclass(frozen=True)
class Baseline:
    """Another way to learn from the same readings.

    Attributes
    ----------
    estimator
        Untrained.
    features
        What it sees; those of our detectors are among them.
    """

    name: str
    estimator: BaseEstimator
    features: FeatureSet

    def evaluate(self, spec: MachineSpec, train: Part, test: Part) -> Metrics:
        """Train on one part, test on another; an alarm is a probability of a half or more."""
        self.estimator.fit(compute_features(spec, train.inputs, self._columns), train.target)
        seen = compute_features(spec, test.inputs, self._columns)
        probability = self.estimator.predict_proba(seen)[:, 1]
        return evaluate(test.target, probability, probability, probability >= 0.5)  # noqa: PLR2004

    @property
    def _columns(self) -> tuple[str, ...]:
        return self.features.columns


def _trees(seed: int) -> Mapping[str, BaseEstimator]:
    forest = {"random forest": RandomForestClassifier(500, random_state=seed, n_jobs=-1)}
    try:
        from lightgbm import LGBMClassifier  # noqa: PLC0415 - an extra
    except (ImportError, OSError) as err:
        # OSError: the system lacks a library of the compiler's (libgomp).
        _log.info("LightGBM is not among the baselines: %s", err)
        return forest

    boosted = LGBMClassifier(
        n_estimators=300, learning_rate=0.05, num_leaves=15, random_state=seed, verbose=-1
    )
    return forest | {"LightGBM": boosted}


def baselines(spec: MachineSpec, *, seed: int = 0) -> tuple[Baseline, ...]:
    """Return the baselines: trees see each set of features that our detectors see."""
    sets = [found for found in feature_sets(spec) if found.sharpness is None]
    by_name = {found.name: found for found in sets}
    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return (
        *(
            Baseline(f"{name}, {features.name}", estimator, features)
            for features in sets
            for name, estimator in _trees(seed).items()
        ),
        Baseline("logistic regression", logistic, by_name.get("derived", by_name["raw"])),
        Baseline("always negative", DummyClassifier(), by_name["raw"]),
    )


def evaluate_baselines(
    spec: MachineSpec, train: Part, test: Part, *, seed: int = 0
) -> dict[str, Metrics]:
    """Evaluate baselines on the held-out test set.

    Parameters
    ----------
    spec
        The machine spec.
    train, test
        As those of the model; of a larger training part they see a sample.
    seed
        Of sample and baselines.
    """
    sample = train.sample(_MOST_ROWS, seed=seed)
    return {
        baseline.name: baseline.evaluate(spec, sample, test)
        for baseline in baselines(spec, seed=seed)
    }
