"""The estimator: standardised numbers, indicators as they are, one Support Vector Machine."""

from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from presagio.machine.spec import MachineSpec

_KERNEL_CACHE_MB = 500


def build_pipeline(spec: MachineSpec) -> Pipeline:
    """Build the untrained pipeline for a machine spec.

    Steps: ``inputs`` (numeric features standardised, indicators passed through) and ``svc``.
    """
    inputs = ColumnTransformer(
        [
            ("numbers", StandardScaler(), list(spec.feature_names)),
            ("indicators", "passthrough", list(spec.indicator_names)),
        ]
    )
    return Pipeline([("inputs", inputs), ("svc", SVC(cache_size=_KERNEL_CACHE_MB))])
