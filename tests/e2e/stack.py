"""A stack that tests speak to by its public face."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, ClassVar, TypeVar

import httpx
import psutil

from presagio.ingest.filing import Intake
from presagio.ingest.opening import open_intake
from presagio.registry.writer import open_registry
from presagio.settings import Settings, load_settings
from presagio.stack.layout import Layout
from presagio.stack.processes import left_over
from presagio.stack.state import is_running, read_status
from presagio.storage.fleets import find_fleet
from tests.commands import run_command
from tests.drives import DRIVES
from tests.extent import NIGHTLY
from tests.readings import HEADER

Found = TypeVar("Found")

# How many of the real rows are trained on, where they are.
TRAINED_ROWS = 3000
# What a stack under test has otherwise than a user's.
TESTED = {
    # Trained when a test asks for it, not whenever one has filed labelled rows; and how good a
    # model gets is tested elsewhere.
    "PRESAGIO_TRAIN_MIN_NEW_ROWS": "10000000",
    "PRESAGIO_TRAIN_SEARCH": "small",
    # The DAG retention cleans Airflow's database.
    "PRESAGIO_RETAIN_AIRFLOW_DAYS": "30",
    # Relative to where a command is given, as people write it.
    "PRESAGIO_FLEETS": os.path.relpath(DRIVES),
}
if not NIGHTLY:
    # Each 30 s, the DAG files take a tenth of a processor. Who adds a fleet has them read.
    TESTED["AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL"] = "150"


class _Login(httpx.Auth):
    """Asks for a token once, and again when it is refused."""

    requires_response_body = True

    def __init__(self, address: str, login: dict[str, str]) -> None:
        self._address, self._login, self._token = address, login, ""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
            answer = yield request
            if answer.status_code != httpx.codes.UNAUTHORIZED:
                return
        given = yield httpx.Request("POST", self._address, json=self._login)
        self._token = given.raise_for_status().json()["access_token"]
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


@dataclass(frozen=True)
class Stack:
    """A stack by its home; everything is asked through its public face."""

    # What the API is called among the services.
    api_name: ClassVar[str] = "api"

    home: Path
    offset: int
    ai4i_csv: Path | None

    @cached_property
    def own(self) -> dict[str, str]:
        """The settings of the stack and of what is called on it."""
        named = {"PRESAGIO_AI4I_CSV": str(self.ai4i_csv)} if self.ai4i_csv else {}
        return TESTED | {"PRESAGIO_HOME": str(self.home)} | named

    def call(self, *arguments: str | Path) -> CompletedProcess[str]:
        return run_command(*arguments, **self.own)

    def up(self, *options: str) -> CompletedProcess[str]:
        command = [sys.executable, "-m", "presagio", "up", "--detach"]
        # A process of its own: what it starts outlives it.
        return subprocess.run(
            [*command, "--port-offset", str(self.offset), *options],
            env=os.environ | {"COLUMNS": "200"} | self.own,
            capture_output=True, text=True, check=False, timeout=500,
        )  # fmt: skip

    @contextmanager
    def in_the_foreground(self, *options: str) -> Iterator[list[str]]:
        """Run ``presagio up`` until it is healthy; Ctrl-C at the end, and what it printed."""
        command = [sys.executable, "-m", "presagio", "up", "--port-offset", str(self.offset)]
        foreground = subprocess.Popen(
            [*command, *options],
            env=os.environ | self.own | {"COLUMNS": "200"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        output: list[str] = []
        try:
            eventually(lambda: self.status()["phase"] == "healthy", limit_s=240)
            yield output
        finally:
            foreground.send_signal(signal.SIGINT)
            text, _ = foreground.communicate(timeout=60)
            output.append(text)
        assert foreground.returncode == 0, text

    def down(self) -> None:
        self.call("down")
        assert self.processes == []

    def status(self) -> dict[str, Any]:
        # From where `presagio status` has it.
        layout = Layout(self.home)
        found = read_status(layout)
        if found is None or not is_running(layout):
            return {"phase": "stopped", "services": []}
        return found.model_dump()

    def service(self, name: str) -> dict[str, Any]:
        (found,) = [s for s in self.status()["services"] if s["name"] == name]
        return dict(found)

    @property
    def settings(self) -> Settings:
        return load_settings(self.home)

    @cached_property
    def _http(self) -> httpx.Client:
        """What asks all services: to make one costs more than most answers."""
        # No connection is kept, since what answers may be killed meanwhile.
        return httpx.Client(limits=httpx.Limits(max_keepalive_connections=0), timeout=10)

    @cached_property
    def _airflow(self) -> httpx.Client:
        lines = (self.home / "credentials.env").read_text(encoding="utf-8").splitlines()
        secrets = dict(line.split("=", 1) for line in lines if "=" in line)
        base = self.settings.airflow_url
        login = {"username": "admin", "password": secrets["PRESAGIO_AIRFLOW_ADMIN_PASSWORD"]}
        return httpx.Client(
            base_url=f"{base}/api/v2", auth=_Login(f"{base}/auth/token", login),
            limits=httpx.Limits(max_keepalive_connections=0),
        )  # fmt: skip

    @contextmanager
    def airflow(self) -> Iterator[httpx.Client]:
        """A client of Airflow's API, logged in."""
        yield self._airflow

    def run_state(self, run_id: str | None, dag: str = "csv_file_watcher") -> str:
        """The state of a DAG run."""
        with self.airflow() as airflow:
            answer = airflow.get(f"/dags/{dag}/dagRuns/{run_id}").raise_for_status()
            return str(answer.json()["state"])

    def ends(self, dag: str, run_id: str) -> bool:
        """Whether a DAG run is over, well or not."""
        return self.run_state(run_id, dag) in {"success", "failed"}

    def run_dag(self, dag: str, conf: dict[str, Any] | None = None) -> str:
        """Start a DAG; return the run's id.

        Of a fleet that was just added the DAGs come one file after the other.
        """
        with self.airflow() as airflow:
            assert eventually(lambda: airflow.get(f"/dags/{dag}").is_success, 120), dag
            body = {"logical_date": None, "conf": conf or {}}
            answer = airflow.post(f"/dags/{dag}/dagRuns", json=body).raise_for_status()
            return str(answer.json()["dag_run_id"])

    def succeed(
        self, *dags: str, conf: dict[str, Any] | None = None, limit_s: float = 300.0
    ) -> dict[str, str]:
        """Run DAGs beside each other, which takes half the time, and see them succeed.

        Returns the run of each.
        """
        runs = {dag: self.run_dag(dag, conf) for dag in dags}
        for dag, run in runs.items():
            assert eventually(lambda dag=dag, run=run: self.ends(dag, run), limit_s)  # type: ignore[misc]
            assert self.run_state(run, dag) == "success", self.task_states(dag, run)
        return runs

    def read_dag_files(self, *dags: str) -> None:
        """Have Airflow read the files of these DAGs at once, which it reads twice a minute."""
        with self.airflow() as airflow:
            for dag in dags:
                assert eventually(lambda dag=dag: airflow.get(f"/dags/{dag}").is_success, 120), dag  # type: ignore[misc]
                token = airflow.get(f"/dags/{dag}").raise_for_status().json()["file_token"]
                asked = airflow.put(f"/parseDagFile/{token}")
                # A conflict: somebody has asked for it already.
                assert asked.is_success or asked.status_code == httpx.codes.CONFLICT, asked.text

    def task_states(self, dag: str, run_id: str) -> dict[str, str]:
        """The state of each task of a run."""
        with self.airflow() as airflow:
            path = f"/dags/{dag}/dagRuns/{run_id}/taskInstances"
            found = airflow.get(path).raise_for_status().json()["task_instances"]
            return {task["task_id"]: str(task["state"]) for task in found}

    def xcom(self, dag: str, run_id: str, task: str, key: str = "return_value") -> Any:
        """Wait for what a task of a run has left behind for people, and return it."""

        def found() -> Any:
            with self.airflow() as airflow:
                path = f"/dags/{dag}/dagRuns/{run_id}/taskInstances/{task}/xcomEntries/{key}"
                answer = airflow.get(path, params={"deserialize": "true"})
            return answer.json()["value"] if answer.is_success else None

        return eventually(found)

    @cached_property
    def intake(self) -> Intake:
        return open_intake(find_fleet(self.settings))

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

    def assert_back_after_kill(self, names: Sequence[str], folder: Path, number: int) -> None:
        """Kill services at once: they come back by themselves, and nothing is lost.

        ``folder`` and ``number`` are those of :meth:`file_one_row`, for one row afterwards.
        """
        champion = open_registry(self.settings).resolve()
        before = {name: self.service(name) for name in names}
        for service in before.values():
            os.kill(service["pid"], signal.SIGKILL)

        def are_back() -> bool:
            # Whoever is away, the API lives and answers.
            assert self.api_name in names or self.live()
            now = {found["name"]: found for found in self.status()["services"]}
            return all(
                now[name]["state"] == "healthy" and now[name]["restarts"] > before[name]["restarts"]
                for name in names
            )

        assert eventually(are_back, limit_s=180)
        self.file_one_row(folder, number)
        # Whatever was away, the API is back on the champion without a restart.
        assert eventually(lambda: not self.ready()["degraded"], limit_s=30)
        assert open_registry(self.settings).resolve() == champion
        assert eventually(lambda: self.ready()["version"] == champion.version)

    def live(self) -> bool:
        return self._http.get(f"{self.settings.api_url}/health/live", timeout=2).is_success

    def ready(self) -> dict[str, Any]:
        """What the API says of itself once it is ready; an error of HTTP until then."""
        answer = self._http.get(f"{self.settings.api_url}/health/ready")
        return dict(answer.raise_for_status().json())


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
