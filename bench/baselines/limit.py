"""What the framework alone allows: our request and answer through FastAPI, and no model."""

import os
from typing import Any

from fastapi import FastAPI

from presagio.machine.spec import DEFAULT_SPEC, load_spec
from presagio.serving.http.prediction_answers import PredictResponse
from presagio.serving.routes.requests import request_model

app = FastAPI()
Request: Any = request_model(load_spec(os.environ.get("LIMIT_SPEC", DEFAULT_SPEC)))


@app.post("/predict")
async def predict(request: Request) -> PredictResponse:
    """Answer always the same."""
    return PredictResponse(
        response_id=request.request_id, label=False, probability=0.1, score=-2.0, threshold=0.0,
        model="none", version="0", degraded=False,
    )  # fmt: skip
