"""What a model is held against, for the report only: nothing of it is ever served.

LightGBM comes with the extra ``baselines``; without it the others are judged alone.
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
from presagio.training.evaluation.metrics import Figures, evaluate

_log = logging.getLogger(__name__)
# More rows than these change no rival's figures much, and a forest of them takes minutes.
_MOST_ROWS = 40_000


@dataclass(frozen=True)
class Rival:
    """Another way to learn from the same readings.

    Attributes
    ----------
    estimator
        Untrained.
    features
        What it sees; ours are among them.
    """

    name: str
    estimator: BaseEstimator
    features: FeatureSet

    def judge(self, spec: MachineSpec, train: Part, test: Part) -> Figures:
        """Train on one part, judge on another; an alarm is a probability of a half or more."""
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
        _log.info("LightGBM is not among the rivals: %s", err)
        return forest

    boosted = LGBMClassifier(
        n_estimators=300, learning_rate=0.05, num_leaves=15, random_state=seed, verbose=-1
    )
    return forest | {"LightGBM": boosted}


def rivals(spec: MachineSpec, *, seed: int = 0) -> tuple[Rival, ...]:
    """Return what there is to be held against: trees see each set of features that ours see."""
    sets = [found for found in feature_sets(spec) if found.sharpness is None]
    by_name = {found.name: found for found in sets}
    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return (
        *(
            Rival(f"{name}, {features.name}", estimator, features)
            for features in sets
            for name, estimator in _trees(seed).items()
        ),
        Rival("logistic regression", logistic, by_name.get("derived", by_name["raw"])),
        Rival("never to warn", DummyClassifier(), by_name["raw"]),
    )


def judge_rivals(
    spec: MachineSpec, train: Part, test: Part, *, seed: int = 0
) -> dict[str, Figures]:
    """Judge rivals on the rows that no choice has seen.

    Parameters
    ----------
    spec
        The machine spec.
    train, test
        As those of the model; of a larger training part they see a sample.
    seed
        Of sample and rivals.
    """
    sample = train.sample(_MOST_ROWS, seed=seed)
    return {rival.name: rival.judge(spec, sample, test) for rival in rivals(spec, seed=seed)}
