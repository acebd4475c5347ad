"""A stack that tests speak to by its public face."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

from presagio.ingest.filing import Intake
from presagio.orchestration.sweep import open_intake
from presagio.settings import Settings, load_settings
from presagio.stack.layout import Layout
from presagio.stack.processes import left_over
from tests.readings import HEADER

Found = TypeVar("Found")

# Of the real rows, where they are.
REAL_ROWS = 3000


@dataclass(frozen=True)
class Stack:
    """A stack by its home; everything is asked through its public face."""

    home: Path
    offset: int
    ai4i_csv: Path | None

    @property
    def env(self) -> dict[str, str]:
        named = {"PRESAGIO_AI4I_CSV": str(self.ai4i_csv)} if self.ai4i_csv else {}
        # Trained when a test asks for it, not whenever one has filed labelled rows.
        own = {"PRESAGIO_HOME": str(self.home), "PRESAGIO_TRAIN_MIN_NEW_ROWS": "10000000"}
        return os.environ | own | {"COLUMNS": "200"} | named

    def call(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "presagio", *map(str, arguments)],
            env=self.env, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip

    def up(self) -> subprocess.CompletedProcess[str]:
        return self.call("up", "--detach", "--port-offset", str(self.offset))

    def down(self) -> None:
        self.call("down")
        assert self.processes == []

    def status(self) -> dict[str, Any]:
        return dict(json.loads(self.call("status", "--json").stdout))

    def service(self, name: str) -> dict[str, Any]:
        (found,) = [s for s in self.status()["services"] if s["name"] == name]
        return dict(found)

    @property
    def settings(self) -> Settings:
        return load_settings(self.home)

    def airflow(self) -> httpx.Client:
        """A client of Airflow's API, logged in."""
        lines = (self.home / "credentials.env").read_text(encoding="utf-8").splitlines()
        secrets = dict(line.split("=", 1) for line in lines if "=" in line)
        base = self.settings.airflow_url
        login = {"username": "admin", "password": secrets["PRESAGIO_AIRFLOW_ADMIN_PASSWORD"]}
        answer = httpx.post(f"{base}/auth/token", json=login).raise_for_status()
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        return httpx.Client(base_url=f"{base}/api/v2", headers=headers)

    def run_state(self, run_id: str | None, dag: str = "csv_file_watcher") -> str:
        """The state of a DAG run."""
        with self.airflow() as airflow:
            answer = airflow.get(f"/dags/{dag}/dagRuns/{run_id}").raise_for_status()
            return str(answer.json()["state"])

    def run_dag(self, dag: str, conf: dict[str, Any] | None = None) -> str:
        """Start a DAG; return the run's id."""
        with self.airflow() as airflow:
            body = {"logical_date": None, "conf": conf or {}}
            answer = airflow.post(f"/dags/{dag}/dagRuns", json=body).raise_for_status()
            return str(answer.json()["dag_run_id"])

    def task_states(self, dag: str, run_id: str) -> dict[str, str]:
        """The state of each task of a run."""
        with self.airflow() as airflow:
            path = f"/dags/{dag}/dagRuns/{run_id}/taskInstances"
            found = airflow.get(path).raise_for_status().json()["task_instances"]
            return {task["task_id"]: str(task["state"]) for task in found}

    @cached_property
    def intake(self) -> Intake:
        return open_intake(self.settings)

    @property
    def processes(self) -> list[psutil.Process]:
        return left_over(Layout(self.home))

    def decisions(self) -> list[dict[str, Any]]:
        """Who decided what about the champion, the newest first."""
        lines = self.call("models", "--history", "--json").stdout.splitlines()
        return [json.loads(line) for line in lines]

    def file_one_row(self, folder: Path, number: int) -> None:
        """Put a file with one row into the bucket, another each time, and see it filed."""
        file = folder / f"row {number}.csv"
        row = f"\nL,300,310,1500,40.{time.time_ns() % 10**6:06},{number % 200}\n"
        file.write_bytes(HEADER + row.encode())
        done = self.call("ingest", file, "--wait", "--json")
        assert json.loads(done.stdout)["receipt"]["rows_processed"] == 1, done.stderr

    def live(self) -> bool:
        return httpx.get(f"{self.settings.api_url}/health/live", timeout=2).is_success

    def ready(self) -> dict[str, Any]:
        return dict(httpx.get(f"{self.settings.api_url}/health/ready", timeout=10).json())


def eventually(found: Callable[[], Found], limit_s: float = 60.0) -> Found:
    """Ask until the answer is true, and rest as long as the asking took."""
    deadline = time.monotonic() + limit_s
    while True:
        began = time.monotonic()
        try:
            if answer := found():
                return answer
        except httpx.HTTPError:
            pass
        assert time.monotonic() < deadline, "not in time"
        time.sleep(max(0.2, time.monotonic() - began))
