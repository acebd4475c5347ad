"""``mlflow models serve``: a model made of code."""

import sys
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent))
from session import Graph


class Predict(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Predicts a table of rows."""

    def load_context(self, context: Any) -> None:
        """Load the graph."""
        del context
        self._graph = Graph()

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """Predict rows."""
        del context, params
        label, probability = self._graph.predict(model_input)
        return pd.DataFrame({"label": label, "probability": probability})


if __name__ == "__main__":
    mlflow.pyfunc.save_model(
        sys.argv[1],
        python_model=Predict(),
        code_paths=[str(Path(__file__).with_name("session.py"))],
        pip_requirements=["onnxruntime"],
    )  # fmt: skip
