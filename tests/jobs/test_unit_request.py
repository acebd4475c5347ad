"""A unit's readings as a question to the inference API."""

import polars as pl

from presagio.jobs.unit_request import unit_request
from presagio.serving.routes.requests import request_model
from tests.engines import engine_rows, engines


def test_the_api_takes_a_units_readings_with_the_newest_one_changed() -> None:
    spec, rows = engines(), engine_rows(1).head(3)
    rows = rows.with_columns(pl.col("cycle").cast(pl.Float64))
    asked = unit_request(spec, "1", rows, {"sensor_2": 7.5})
    read = request_model(spec).model_validate({"request_id": 0, **asked})
    sent = [reading.features.sensor_2 for reading in read.readings]  # type: ignore[attr-defined]
    assert sent == [*rows["sensor_2"][:2], 7.5]
