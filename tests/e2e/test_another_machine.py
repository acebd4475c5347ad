"""A whole stack for another machine than the default one, from its spec and a file of readings."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import PORT_OFFSET
from tests.e2e.stack import Stack, eventually
from tests.pumps import PUMPS, pump_csv

# What differs by the machine is the same in containers, whose compose file hands the spec on; and
# test_fleets.py goes the same way each time, of a machine without model and generator too.
pytestmark = [pytest.mark.local, pytest.mark.nightly]


@dataclass(frozen=True)
class PumpStack(Stack):
    """A stack that is started with a path that is relative to where the command is given."""

    @cached_property
    def own(self) -> dict[str, str]:
        return super().own | {"PRESAGIO_MACHINE_SPEC": os.path.relpath(PUMPS)}


@pytest.fixture
def pump_stack(tmp_path: Path) -> Iterator[Stack]:
    stack = PumpStack(tmp_path / "home", PORT_OFFSET + 2000, None)
    yield stack
    stack.down()


def _predict(stack: Stack) -> dict[str, Any]:
    """Ask about a reading that lacks what may be missing."""
    token = stack.call("token").stdout.strip()
    reading = {"pressure_bar": 19, "flow": 21.0, "seal_double": True}
    answer = httpx.post(
        f"{stack.settings.api_url}/predict", json={"request_id": 1, "features": reading},
        headers={"Authorization": f"Bearer {token}"},
    )  # fmt: skip
    return dict(answer.json())


def test_a_file_becomes_a_champion_where_nothing_is_bundled(
    pump_stack: Stack, tmp_path: Path
) -> None:
    stack = pump_stack
    started = stack.up()
    assert started.returncode == 0, started.stdout + started.stderr
    assert stack.ready()["source"] == "none"
    assert _predict(stack)["type"] == "urn:presagio:problem:no-model"

    for number, rows in enumerate((1500, 600)):
        file = tmp_path / f"pumps {number}.csv"
        file.write_bytes(pump_csv(rows, seed=number))
        done = json.loads(stack.call("ingest", file, "--wait", "--json").stdout)["receipt"]
        assert (done["rows_processed"], done["rows_quarantined"]) == (rows, 0)
        assert done["notes"]["missing"]["vibration_mm_s"] > 0

    # Whoever calls it names no spec: the home does.
    del stack.own["PRESAGIO_MACHINE_SPEC"]
    trained = stack.call("train", "--unless-champion", "--json")
    assert trained.returncode == 0, trained.stderr
    assert eventually(lambda: not stack.ready()["degraded"], limit_s=30)
    answer = _predict(stack)
    assert answer["imputed"] == ["restarts", "vibration_mm_s"]
    assert answer["version"] == "1"

    drift = json.loads(stack.call("drift", "--json").stdout)
    columns = {column["name"] for column in drift["columns"]}
    assert {"pressure_bar", "vibration_mm_s", "missing_vibration_mm_s"} <= columns
    second = stack.call("train", "--processed", "--challenger", "--json")
    assert second.returncode == 0, second.stderr
    forced = stack.call("promote", "2", "--force", "--why", "a test of the way back")
    assert forced.returncode == 0, forced.stderr
    assert eventually(lambda: stack.ready()["version"] == "2", limit_s=30)
    assert stack.call("rollback", "--why", "a test").returncode == 0
    assert eventually(lambda: stack.ready()["version"] == "1", limit_s=30)
    assert stack.decisions()[0]["kind"] == "rollback"
