"""LitServe."""

import os
from typing import Any

import litserve
from session import Graph

NAMES = (
    "airtemperature_k", "process_temperature_k", "rotational_speed_rpm", "torque_nm",
    "tool_wear_min", "type_l", "type_m",
)  # fmt: skip


class Predict(litserve.LitAPI):  # type: ignore[misc]
    """One route, one row."""

    def setup(self, device: str) -> None:
        """Load the graph."""
        del device
        self._graph = Graph()

    def decode_request(self, request: dict[str, Any]) -> Any:
        """Take the reading out of a request."""
        return request["request_id"], [[float(request["features"][name]) for name in NAMES]]

    def predict(self, x: Any) -> Any:
        """Predict it."""
        label, probability = self._graph.predict(x[1])
        return {"response_id": x[0], "label": bool(label[0]), "probability": float(probability[0])}

    def encode_response(self, output: Any) -> Any:
        """Answer."""
        return output


if __name__ == "__main__":
    server = litserve.LitServer(Predict(), accelerator="cpu", workers_per_device=1)
    server.run(port=int(os.environ["PORT"]), host="127.0.0.1", generate_client_file=False,
               log_level="warning")  # fmt: skip
