"""The API keeps to its own document, whatever is sent, and never breaks."""

import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from presagio.registry.writer import open_registry
from presagio.storage.objects import open_store
from presagio.training.train import TrainedModel
from tests.champions import register_champion
from tests.conftest import RunningServices
from tests.extent import NIGHTLY
from tests.serving.conftest import Serve

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(7200)]

# Before a release: SCHEMATHESIS_EXAMPLES=1000.
_EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES") or ("200" if NIGHTLY else "2")


def test_every_operation_keeps_to_its_document(
    serve: Serve, services: RunningServices, trained: TrainedModel, tmp_path: Path
) -> None:
    name = f"conformance-{uuid4().hex[:8]}"
    # Fleets that are added lie in a bucket that no other test looks into.
    open_store(services.settings).create_bucket(name)
    settings = services.settings.model_copy(
        update={
            "home": tmp_path, "model_name": name, "experiment": name, "token_attempts": 10**9,
            "record_predictions": False, "data_bucket": name,
        }
    )  # fmt: skip
    register_champion(trained, open_registry(settings), tmp_path / "files")
    with serve(settings) as client:
        done = subprocess.run(
            [
                str(Path(sys.executable).with_name("schemathesis")),
                "--config-file", str(Path(__file__).with_name("schemathesis.toml")), "run",
                f"{client.base_url}/openapi.json", "--checks", "all",
                "--header", f"Authorization: {client.headers['authorization']}",
                "--max-examples", _EXAMPLES, "--generation-deterministic",
                "--continue-on-failure", "--request-timeout", "30", "--no-color",
            ],
            check=False, capture_output=True, text=True, cwd=tmp_path,
            env=os.environ | {
                "SCHEMATHESIS_HOOKS": "tests.serving.media_types",
                "PYTHONPATH": str(Path(__file__).parents[3]),
            },
        )  # fmt: skip
    # How many cases there were, for whoever asks: pytest -rP.
    print(done.stdout[-3000:])
    assert done.returncode == 0, done.stdout[-20_000:]
