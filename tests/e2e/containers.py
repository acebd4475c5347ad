"""The stack in containers, spoken to as the one without Docker is."""

import json
import os
import shlex
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import psutil
from pydantic import SecretStr

from presagio.settings import Settings
from tests.e2e.stack import Stack
from tests.env_files import read_env

# Set by `make compose-test`: the command with its files, such as docker-compose -f compose.yaml.
COMMAND = "E2E_COMPOSE"
# The image of a registry, for the tests that run released images.
REGISTRY_IMAGE = "E2E_REGISTRY_IMAGE"
_ENV_FILE = "E2E_COMPOSE_ENV"
_USERS = {"PRESAGIO_MLFLOW_USERNAME": "presagio"}


def docker(*arguments: str) -> str:
    """Ask the engine; what it says."""
    done = subprocess.run(["docker", *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@dataclass(frozen=True)
class ContainerStack(Stack):
    """What ``docker compose up`` started; its home here holds addresses and secrets only."""

    api_name: ClassVar[str] = "inference_api"

    @cached_property
    def variables(self) -> dict[str, str]:
        """What compose was given."""
        return read_env(Path(os.environ[_ENV_FILE]))

    def connect(self) -> None:
        """Write where the services are, as ``presagio up`` does."""
        said = self.variables
        port = {name: said[f"PRESAGIO_{name}_PORT"]
                for name in ("API", "CONSOLE", "AIRFLOW", "MLFLOW", "S3", "POSTGRES")}  # fmt: skip
        password = said["PRESAGIO_DB_PASSWORD"]
        addresses = {
            "PRESAGIO_API_URL": f"http://127.0.0.1:{port['API']}",
            "PRESAGIO_CONSOLE_URL": f"http://127.0.0.1:{port['CONSOLE']}",
            "PRESAGIO_AIRFLOW_URL": f"http://127.0.0.1:{port['AIRFLOW']}",
            "PRESAGIO_MLFLOW_URL": f"http://127.0.0.1:{port['MLFLOW']}",
            "PRESAGIO_S3_ENDPOINT": f"http://127.0.0.1:{port['S3']}",
            "PRESAGIO_DATABASE_URL":
                f"postgresql+psycopg://presagio:{password}@127.0.0.1:{port['POSTGRES']}/presagio",
            # As an operator: the tests look into every bucket.
            "PRESAGIO_S3_ACCESS_KEY": said["PRESAGIO_S3_ADMIN_ACCESS_KEY"],
            "PRESAGIO_S3_SECRET_KEY": said["PRESAGIO_S3_ADMIN_SECRET_KEY"],
        }  # fmt: skip
        both = said | _USERS | addresses
        text = "".join(f"{name}={value}\n" for name, value in both.items())
        (self.home / "credentials.env").touch(mode=0o600)
        (self.home / "credentials.env").write_text(text, encoding="utf-8")

    @property
    def console_of_airflow(self) -> Settings:
        """Settings of who asks Airflow with the console's account."""
        password = SecretStr(self.variables["PRESAGIO_AIRFLOW_CONSOLE_PASSWORD"])
        account = {"airflow_user": "console", "airflow_password": password}
        return self.settings.model_copy(update=account)

    @cached_property
    def _environment(self) -> dict[str, str]:
        """What compose itself reads: nothing of the tests' settings."""
        return {name: value for name, value in os.environ.items() if "PRESAGIO_" not in name}

    def compose(self, *arguments: str, **variables: str) -> str:
        """Run compose; variables stand above those of its file."""
        done = subprocess.run(
            [*shlex.split(os.environ[COMMAND]), *arguments],
            check=False, capture_output=True, text=True, timeout=580,
            env=self._environment | variables,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def call(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """As without Docker; accounts as an operator adds them, where the API's database is."""
        if arguments[0] != "account":
            return super().call(*arguments)
        container = self.service(self.api_name)["id"]
        return subprocess.run(
            ["docker", "exec", container, "presagio", *map(str, arguments)],
            check=False, capture_output=True, text=True,
        )  # fmt: skip

    def up(self, *_options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 0, self.compose("up", "-d"), "")

    def _inspected(self) -> list[dict[str, Any]]:
        # Of the engine: Compose 1.29 takes a second to say the same, and is asked often here.
        said = shlex.split(os.environ[COMMAND])
        project = said[said.index("--project-name") + 1]
        ours = f"label=com.docker.compose.project={project}"
        running = docker("ps", "--all", "--quiet", "--filter", ours).split()
        return list(json.loads(docker("inspect", *running))) if running else []

    def status(self) -> dict[str, Any]:
        services = []
        for found in self._inspected():
            state = found["State"]
            step = "Health" not in state
            services.append({
                "name": found["Config"]["Labels"]["com.docker.compose.service"],
                "pid": state["Pid"],
                "restarts": found["RestartCount"],
                "id": found["Id"],
                "state": ("done" if state["ExitCode"] == 0 and not state["Running"] else "failed")
                if step else state["Health"]["Status"] if state["Running"] else "stopped",
            })  # fmt: skip
        well = all(service["state"] in {"healthy", "done"} for service in services)
        # One that was stopped is enough: only `up` starts it again.
        stopped = not services or any(service["state"] == "stopped" for service in services)
        phase = "stopped" if stopped else "healthy" if well else "starting"
        return {"phase": phase, "services": services}

    def service(self, name: str) -> dict[str, Any]:
        return super().service(self.api_name if name == Stack.api_name else name)

    @property
    def processes(self) -> list[psutil.Process]:
        """Every process in a container, seen from outside."""
        found = []
        for service in self.status()["services"]:
            if service["pid"]:
                own = psutil.Process(service["pid"])
                found += [own, *own.children(recursive=True)]
        return found

    def backup(self, what: str, folder: Path) -> None:
        """Save or restore with the script of ``make backup`` and ``make restore``."""
        script = Path(__file__).parents[2] / "deploy" / "backup.sh"
        done = subprocess.run(
            ["bash", str(script), what, str(folder)],
            check=False, capture_output=True, text=True, timeout=580,
            env=self._environment | {"COMPOSE": os.environ[COMMAND]},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    def down(self) -> None:
        self.compose("down")
