"""BentoML."""

import bentoml
from session import Graph

NAMES = (
    "airtemperature_k", "process_temperature_k", "rotational_speed_rpm", "torque_nm",
    "tool_wear_min", "type_l", "type_m",
)  # fmt: skip


@bentoml.service(workers=1)
class Predict:
    """One route, one row."""

    def __init__(self) -> None:
        self._graph = Graph()

    @bentoml.api
    def predict(self, request_id: int, features: dict[str, float]) -> dict[str, object]:
        """Predict one reading."""
        label, probability = self._graph.predict([[features[name] for name in NAMES]])
        return {
            "response_id": request_id, "label": bool(label[0]),
            "probability": float(probability[0]),
        }  # fmt: skip
