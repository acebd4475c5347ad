"""A plant of one's own for each test: buckets, model, home, on the real services."""

from pathlib import Path
from uuid import uuid4

import pytest

from presagio.settings import Settings, load_settings
from presagio.storage.objects import open_store
from tests.conftest import RunningServices


@pytest.fixture
def plant(services: RunningServices, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """Settings of a plant, as its tasks read them from the environment."""
    name, given = f"plant-{uuid4().hex[:8]}", services.settings
    open_store(given).create_bucket(name)
    own = {
        "HOME": str(tmp_path), "S3_BUCKET": name, "DATA_BUCKET": name, "MODEL_NAME": name,
        "EXPERIMENT": name, "S3_ENDPOINT": str(given.s3_endpoint), "MLFLOW_URL": given.mlflow_url,
        "API_URL": "http://127.0.0.1:9", "TRAIN_MIN_NEW_ROWS": "1000",
    }  # fmt: skip
    for secret in ("s3_access_key", "s3_secret_key", "database_url"):
        own[secret.upper()] = getattr(given, secret).get_secret_value()
    for variable, value in own.items():
        monkeypatch.setenv(f"PRESAGIO_{variable}", value)
    return load_settings()
