"""compose.yaml against the stack without Docker, and against what is promised of containers."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from presagio.deployment.databases import API_PASSWORD, API_ROLE
from presagio.orchestration import airflow_accounts
from presagio.settings import load_settings
from presagio.settings.ingest import IngestSettings
from presagio.settings.keeping import KeepingSettings
from presagio.settings.sign_in import SignInSettings
from presagio.stack.credentials import Credentials
from presagio.stack.layout import Layout
from presagio.stack.ports import Ports
from presagio.stack.service import Service
from presagio.stack.services import build_services
from tests.env_files import read_env

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
STEPS = {"create-databases", "create-buckets", "mlflow-init", "bootstrap", "airflow-init"}
# What a service is called without Docker.
SAME = {
    "mlflow": "mlflow",
    "airflow-apiserver": "airflow-apiserver",
    "airflow-scheduler": "airflow-scheduler",
    "airflow-dag-processor": "airflow-dag-processor",
    "airflow-triggerer": "airflow-triggerer",
}
# Where compose has another value: it is an address, a path or a secret, it has real accounts, or it
# takes a setting out of .env.
OTHERWISE = re.compile(
    r"AIRFLOW_HOME|AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_.*|AIRFLOW__API__(HOST|PORT|BASE_URL)"
    r"|AIRFLOW__CORE__(DAGS_FOLDER|EXECUTION_API_SERVER_URL|FERNET_KEY|PARALLELISM)"
    r"|AIRFLOW__API__SECRET_KEY|AIRFLOW__API_AUTH__JWT_SECRET|.*_CONN|.*_STORE_URI"
    r"|AIRFLOW__LOGGING__BASE_LOG_FOLDER|MLFLOW_S3_ENDPOINT_URL|.*_ENCRYPTION_KEY|AWS_.*KEY.*"
)
_PREFIXES = ("AIRFLOW", "MLFLOW", "AWS", "GIT")


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Service]:
    layout = Layout(tmp_path_factory.mktemp("home"))
    layout.create()
    built = build_services(load_settings(layout.home), layout, Ports(), Credentials.generate())
    return {service.name: service for service in built}


# What a DAG removes after so many days; MLflow's database is cleaned in its container.
RETAINED = {
    f"PRESAGIO_{name.upper()}" for name in KeepingSettings.model_fields if name.startswith("retain")
} - {"PRESAGIO_RETAIN_MLFLOW_DAYS"}


# An identity provider that signs people in to the console.
SIGN_IN = {f"PRESAGIO_{name.upper()}" for name in SignInSettings.model_fields}


@pytest.mark.parametrize("name", SAME)
def test_both_worlds_give_a_service_the_same_settings(name: str, local: dict[str, Service]) -> None:
    there = SERVICES[name]["environment"]
    # Without what it has from whoever runs the tests.
    here = dict(local[SAME[name]].env.items() - os.environ.items())
    wanted = {
        key: value for key, value in here.items()
        if key.startswith(_PREFIXES) and not OTHERWISE.fullmatch(key)
    }  # fmt: skip
    assert len(wanted) >= 8
    assert {key: there.get(key) for key in wanted} == wanted


def test_airflow_runs_as_many_tasks_as_the_intake_has_slots(local: dict[str, Service]) -> None:
    usual = IngestSettings.model_fields["intake_slots"].default
    assert local["airflow-scheduler"].env["AIRFLOW__CORE__PARALLELISM"] == str(usual)
    there = SERVICES["airflow-scheduler"]["environment"]
    for variable in ("AIRFLOW__CORE__PARALLELISM", "PRESAGIO_INTAKE_SLOTS"):
        assert there[variable] == f"${{PRESAGIO_INTAKE_SLOTS:-{usual}}}"
    limit = IngestSettings.model_fields["intake_max_file_bytes"].default
    name = "PRESAGIO_INTAKE_MAX_FILE_BYTES"
    assert there[name] == f"${{{name}:-{limit}}}"


def test_tasks_know_what_is_retained_and_whom_to_alert() -> None:
    there = SERVICES["airflow-scheduler"]["environment"]
    for variable in (*RETAINED, "PRESAGIO_ALERT_WEBHOOK"):
        assert there[variable] == f"${{{variable}:-}}"


def test_the_console_knows_the_identity_provider_with_the_usual_values() -> None:
    there = SERVICES["console"]["environment"]
    for name, field in SignInSettings.model_fields.items():
        usual = ",".join(field.default) if isinstance(field.default, tuple) else field.default or ""
        variable = f"PRESAGIO_{name.upper()}"
        assert there[variable] == f"${{{variable}:-{usual}}}"


@pytest.mark.parametrize("name", [name for name in SAME if name != "mlflow"])
def test_both_worlds_run_the_same_command(name: str, local: dict[str, Service]) -> None:
    program, *arguments = local[SAME[name]].command
    assert SERVICES[name]["command"] == [Path(program).name, *arguments]


def test_both_worlds_start_in_the_same_order(local: dict[str, Service]) -> None:
    called = {"databases": "create-databases", "buckets": "create-buckets",
              "webhook": "mlflow-init", "champion": "bootstrap", "api": "inference_api",
              "airflow-db": "airflow-init"}  # fmt: skip

    def before(name: str) -> set[str]:
        needs = set(SERVICES[name].get("depends_on", {}))
        return needs.union(*(before(need) for need in needs)) if needs else needs

    for service in local.values():
        own = called.get(service.name, service.name)
        assert {called.get(need, need) for need in service.needs} <= before(own), own


def _running_needs(name: str, *, through_steps: bool) -> set[str]:
    """Which services that run on have to be there for one, directly or not."""
    found: set[str] = set()
    ahead = set(SERVICES[name].get("depends_on", {}))
    seen: set[str] = set()
    while ahead:
        need = ahead.pop()
        seen.add(need)
        if need not in STEPS:
            found.add(need)
        elif not through_steps:
            continue
        ahead |= set(SERVICES[need].get("depends_on", {})) - seen
    return found


@pytest.mark.parametrize("name", sorted(set(SERVICES) - STEPS))
def test_what_a_service_needs_is_stopped_after_it(name: str) -> None:
    """Compose stops in the order of the needs, and steps, which have ended, pass none on."""
    assert _running_needs(name, through_steps=False) == _running_needs(name, through_steps=True)


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_has_no_rights_that_it_does_not_need(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "cap_add" not in service
    assert service["mem_limit"]
    assert service["cpus"]
    assert service["logging"]["options"]["max-size"]
    assert service["stop_grace_period"] == "10s"


@pytest.mark.parametrize("name", sorted(set(SERVICES) - STEPS))
def test_what_runs_on_is_watched_and_started_again(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", SERVICES)
def test_everything_waits_for_what_it_needs(name: str) -> None:
    for need, how in SERVICES[name].get("depends_on", {}).items():
        step = need in STEPS
        assert how["condition"] == ("service_completed_successfully" if step else "service_healthy")


def test_whatever_reads_readings_is_told_the_fleets_and_sees_their_specs() -> None:
    wanted = {
        "PRESAGIO_MACHINE_SPEC": "${PRESAGIO_MACHINE_SPEC:-ai4i2020}",
        "PRESAGIO_FLEETS": "${PRESAGIO_FLEETS:-/specs}",
    }
    said = {
        name: {variable: service["environment"].get(variable) for variable in wanted}
        for name, service in SERVICES.items()
        if {*wanted} & {*service.get("environment", {})}
    }
    assert all(told == wanted for told in said.values())
    # Steps that make databases, buckets and accounts know of no machine.
    blind = {"create-databases", "create-buckets", "mlflow-init", "airflow-init"}
    seen = {n for n, each in SERVICES.items() if "./specs:/specs:ro" in each.get("volumes", ())}
    assert seen == {*said} - blind
    assert {"bootstrap", "inference_api", "airflow-scheduler", "airflow-triggerer"} <= seen


def test_the_api_shares_by_a_role_of_its_own_whose_password_bootstrap_sets() -> None:
    address = SERVICES["inference_api"]["environment"]["PRESAGIO_API_DATABASE_URL"]
    assert re.fullmatch(
        rf"postgresql\+psycopg://{API_ROLE}:\$\{{{API_PASSWORD}\}}@postgres:5432/presagio", address
    )
    assert API_PASSWORD in SERVICES["create-databases"]["environment"]
    # The ledger's owner is nobody whom the API knows.
    assert "PRESAGIO_DATABASE_URL" not in SERVICES["inference_api"]["environment"]


def test_only_the_console_knows_its_account_of_airflow_which_a_step_makes() -> None:
    def knowing(variable: str) -> set[str]:
        value = f"${{{variable}"
        return {
            name for name, each in SERVICES.items()
            if any(str(one).startswith(value) for one in each.get("environment", {}).values())
        }  # fmt: skip

    assert knowing("PRESAGIO_AIRFLOW_CONSOLE_PASSWORD") == {"console", "airflow-init"}
    assert knowing("PRESAGIO_AIRFLOW_ADMIN_PASSWORD") == {"airflow-init"}
    assert SERVICES["console"]["environment"]["PRESAGIO_AIRFLOW_USER"] == airflow_accounts.CONSOLE
    # The step makes the role that the DAGs name.
    roles = {
        SERVICES[name]["environment"]["PRESAGIO_AIRFLOW_CONSOLE_ROLE"]
        for name in ("airflow-init", "airflow-dag-processor", "airflow-scheduler")
    }
    assert roles == {"presagio_console"}
    assert "internal" in SERVICES["console"]["networks"]
    assert "internal" in SERVICES["airflow-apiserver"]["networks"]


def test_ports_are_those_of_the_contract_and_on_loopback() -> None:
    found = {
        name: re.fullmatch(
            r"\$\{PRESAGIO_BIND:-127\.0\.0\.1\}:\$\{PRESAGIO_\w+_PORT:-(\d+)\}:\d+", port
        )
        for name, service in SERVICES.items()
        for port in service.get("ports", ())
    }
    ports = {name: int(match[1]) for name, match in found.items() if match}
    assert ports == {
        "inference_api": 8000, "console": 8050, "airflow-apiserver": 8080, "mlflow": 5000,
        "s3": 9010, "postgres": 5432, "grafana": 3000,
    }  # fmt: skip
    assert len(ports) == len(found)


def test_images_of_others_are_pinned() -> None:
    for service in SERVICES.values():
        image = service["image"]
        if not image.startswith("${PRESAGIO_REGISTRY"):
            assert re.search(r":v?\d+\.\d+", image), image


def test_no_secret_stands_in_the_file() -> None:
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|FERNET|(ACCESS|ENCRYPTION)_KEY$", key):
                assert str(value).startswith("${"), key


def _make_env(path: Path) -> str:
    made = subprocess.run(
        [sys.executable, str(ROOT / "deploy/make_env.py"), "--output", str(path)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return made.stdout


def test_make_env_makes_every_secret_that_compose_demands(tmp_path: Path) -> None:
    _make_env(tmp_path / ".env")
    made = read_env(tmp_path / ".env")
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    demanded = set(re.findall(r"\$\{(\w+):\?", text))
    assert len(demanded) > 20
    assert all(made[name] for name in demanded)
    # Nothing is asked for that the example does not explain.
    optional = set(re.findall(r"\$\{(\w+)[:}]", text)) - demanded
    assert optional - set(made) <= {
        "PRESAGIO_REVISION", "PRESAGIO_TOKEN_SECRET_PREVIOUS", "PRESAGIO_CORS_ORIGINS",
        "PRESAGIO_TRUSTED_PROXIES", "PRESAGIO_AIRFLOW_DATABASE_URL", "PRESAGIO_ALERT_WEBHOOK",
        "PRESAGIO_CONSOLE_URL", *RETAINED, *SIGN_IN,
    }  # fmt: skip
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600


def test_make_env_keeps_what_is_there_and_adds_what_is_not(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("PRESAGIO_API_PORT=8123\nPRESAGIO_ADMIN_PASSWORD=mine\nOWN=1\n", "utf-8")
    assert "added" in _make_env(path)
    first = path.read_text(encoding="utf-8")
    assert "nothing was missing" in _make_env(path)
    assert path.read_text(encoding="utf-8") == first
    made = read_env(path)
    assert (made["PRESAGIO_API_PORT"], made["PRESAGIO_ADMIN_PASSWORD"]) == ("8123", "mine")
    assert made["OWN"] == "1"


def test_secrets_are_new_each_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        _make_env(tmp_path / name)
    one, two = read_env(tmp_path / "one"), read_env(tmp_path / "two")
    same = {name for name in one if one[name] == two[name]}
    assert not [name for name in same if re.search("PASSWORD|SECRET|KEY", name)]


def _compose() -> list[str]:
    for command in (["docker", "compose"], ["docker-compose"]):
        if (
            shutil.which(command[0])
            and not subprocess.run(
                [*command, "version"], check=False, capture_output=True
            ).returncode
        ):
            return command
    pytest.skip("there is no docker compose")


def test_compose_takes_the_file_and_says_what_is_missing(tmp_path: Path) -> None:
    command = [*_compose(), "-f", str(ROOT / "compose.yaml"), "--env-file"]
    _make_env(tmp_path / ".env")
    fine = subprocess.run(
        [*command, str(tmp_path / ".env"), "config", "-q"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert fine.returncode == 0, fine.stderr
    (tmp_path / "none").write_text("", "utf-8")
    bare = subprocess.run(
        [*command, str(tmp_path / "none"), "config", "-q"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert bare.returncode != 0
    assert "run make env" in bare.stderr


def test_make_takes_each_task_once_and_only() -> None:
    tasks = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert len(tasks) == len(set(tasks))
    said = subprocess.run(
        ["make", "--no-print-directory", "-C", str(ROOT), "help"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert said.stderr == ""
    assert set(tasks) == {line.split()[0] for line in said.stdout.splitlines()}
