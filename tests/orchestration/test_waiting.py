"""The trigger on a real S3 server, in a process of its own (Airflow has global state)."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from presagio.ingest.filing import Intake
from tests.conftest import RunningServices

pytestmark = pytest.mark.integration

WAIT = """
import asyncio, json, sys, time
from presagio.orchestration.waiting import IncomingCsvTrigger
path, arguments = IncomingCsvTrigger(sys.argv[1], "incoming/").serialize()
assert path == "presagio.orchestration.waiting.IncomingCsvTrigger", path

async def first():
    async for event in IncomingCsvTrigger(**arguments).run():
        return event

print("waiting", flush=True)
print(json.dumps(asyncio.run(first()).model_dump()))
"""


def _wait(bucket: str, home: Path, airflow_home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", WAIT, bucket], stdout=subprocess.PIPE, text=True,
        env=os.environ | {
            "PRESAGIO_HOME": str(home), "AIRFLOW_HOME": str(airflow_home),
            "PRESAGIO_WATCH_POLL_S": "0.1",
        },
    )  # fmt: skip


def test_it_fires_as_soon_as_there_is_a_file_and_ends_the_task(
    intake: Intake, services: RunningServices, tmp_path: Path
) -> None:
    waiting = _wait(intake.prefixes.bucket, services.settings.home, tmp_path)
    assert waiting.stdout is not None
    with waiting.stdout as said:
        assert said.readline() == "waiting\n"
        intake.store.write(intake.prefixes.bucket, "incoming/x.csv.part", b"half")
        answer: list[str] = []
        reader = threading.Thread(target=lambda: answer.append(said.readline()))
        reader.start()
        reader.join(1.5)
        assert reader.is_alive()
        intake.store.write(intake.prefixes.bucket, "incoming/x.csv", b"")
        reader.join(30)
    waiting.wait()
    assert json.loads(answer[0])["task_instance_state"] == "success"


def test_a_missing_bucket_fails_the_task(services: RunningServices, tmp_path: Path) -> None:
    waiting = _wait("no-such-bucket", services.settings.home, tmp_path)
    waiting.communicate(timeout=60)
    assert waiting.returncode == 1
