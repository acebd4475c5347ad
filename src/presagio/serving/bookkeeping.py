"""What becomes of answers, whichever way they were asked for: they are counted and kept."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from presagio.scoring.arrays import ScoredRows, score_rows
from presagio.serving.champion.holder import Served
from presagio.serving.logs import request_id
from presagio.serving.prometheus import FleetMetrics
from presagio.serving.recording import Recorder

# Score, probability and label of one reading.
Answer = tuple[float, float, bool]


@dataclass(frozen=True)
class Bookkeeping:
    """Knows where answers are counted, and where they are kept."""

    metrics: FleetMetrics
    recorder: Recorder

    def one(
        self, request: str, number: int, values: Sequence[float], answer: Answer, served: Served,
        mode: str | None = None,
    ) -> None:  # fmt: skip
        """Count and keep the answer to one reading; ``mode`` is what an alarm names."""
        self.metrics.rows.inc()
        self.metrics.scores.observe(answer[1])
        if answer[2]:
            self.metrics.alarms((mode,))
        self.recorder.one(request, number, values, answer, served)

    def score(
        self, served: Served, inputs: NDArray[np.float64],
        expanded: NDArray[np.float64] | None = None,
    ) -> ScoredRows:  # fmt: skip
        """Score rows of shape ``(n, k)`` for the request of this context; count and keep them.

        What is scored is ``expanded``, where inputs hang on other rows; what is kept was sent.
        """
        scored = score_rows(served.predictor, inputs if expanded is None else expanded)
        if len(inputs):
            self.metrics.rows.inc(len(inputs))
            self.metrics.alarms(scored.alarm_modes)
            self.recorder.many(request_id.get() or "", inputs, scored, served)
        return scored
