"""MLServer: a runtime of its own kind."""

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from session import Graph


class Runtime(MLModel):  # type: ignore[misc]
    """Predicts a tensor of rows."""

    async def load(self) -> bool:
        """Load the graph."""
        self._graph = Graph()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Predict rows."""
        label, probability = self._graph.predict(NumpyCodec.decode_input(payload.inputs[0]))
        return InferenceResponse(
            model_name=self.name,
            outputs=[
                NumpyCodec.encode_output("label", label),
                NumpyCodec.encode_output("probability", probability),
            ],
        )
