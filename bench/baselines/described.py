"""The described API: a table of one row for each request, and a linear SVC of scikit-learn."""

import numpy as np
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from presagio.machine.simulation import simulate
from presagio.machine.spec import load_spec


class Features(BaseModel):
    """One reading."""

    airtemperature_k: float
    process_temperature_k: float
    rotational_speed_rpm: float
    torque_nm: float
    tool_wear_min: float
    type_l: bool
    type_m: bool


class PredictRequest(BaseModel):
    """A request of the described API."""

    request_id: int
    features: Features


class PredictResponse(BaseModel):
    """Its answer."""

    response_id: int
    label: bool


def _train() -> object:
    """Train as it is described: failures drawn again until they are half of the rows."""
    spec, rng = load_spec(), np.random.default_rng(0)
    rows = next(iter(simulate(spec, 8000, seed=1)))
    inputs = pd.DataFrame({n: rows[n].to_numpy().astype(float) for n in spec.input_names})
    target = rows[spec.target.name].to_numpy()
    failures = np.flatnonzero(target)
    more = rng.choice(failures, len(target) - 2 * len(failures))
    chosen = np.concatenate([np.arange(len(target)), more])
    return make_pipeline(StandardScaler(), SVC(kernel="linear", C=10)).fit(
        inputs.iloc[chosen], target[chosen]
    )


model = _train()
app = FastAPI()


@app.post("/predict")
def predict(request: PredictRequest) -> PredictResponse:
    """Predict one reading."""
    frame = pd.DataFrame([request.features.model_dump()]).astype(float)
    label = model.predict(frame)[0]  # type: ignore[attr-defined]
    return PredictResponse(response_id=request.request_id, label=bool(label))
