"""Judge many rows at once: what comes of it is counted and kept, whichever way they came."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from presagio.inference.diagnosis import likeliest_modes
from presagio.inference.predictor import Prediction
from presagio.serving.champion.holder import Served
from presagio.serving.logs import request_id
from presagio.serving.prometheus import Metrics
from presagio.serving.recording import Recorder


@dataclass(frozen=True)
class Judge:
    """Judges rows, and knows where answers are counted and kept."""

    metrics: Metrics
    recorder: Recorder

    def judge(self, served: Served, inputs: NDArray[np.float64]) -> Prediction:
        """Judge rows of shape ``(n, k)``, for the request of this context."""
        said = served.predictor.predict(inputs)
        if not len(inputs):
            return said
        self.metrics.rows.inc(len(inputs))
        if said.label.any():
            self.metrics.alarms(likeliest_modes(served.predictor, inputs[said.label]))
        self.recorder.many(request_id.get() or "", inputs, said, served)
        return said
