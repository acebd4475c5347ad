"""The same graph for all: what each server calls for one row."""

import os
from typing import Any

import numpy as np
import onnxruntime as ort


class Graph:
    """The artifact's graph, run as Presagio runs it."""

    def __init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = ort.InferenceSession(os.environ["MODEL_ONNX"], options)
        self._threshold = float(os.environ["MODEL_THRESHOLD"])

    def predict(self, rows: Any) -> tuple[Any, Any]:
        """Return labels and probabilities."""
        inputs = np.asarray(rows, dtype=np.float64)
        score, probability = self._session.run(("score", "probability"), {"inputs": inputs})
        return score >= self._threshold, probability
