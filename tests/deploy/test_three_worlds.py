"""The chart against compose.yaml and the stack without Docker: one product, three ways."""

import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from check_chart import CHART, ROOT

from presagio.settings import load_settings
from presagio.stack.credentials import Credentials
from presagio.stack.layout import Layout
from presagio.stack.ports import Ports
from presagio.stack.service import Service
from presagio.stack.services import build_services
from tests.deploy.charts import PLAIN, Manifests, container, found, rendered
from tests.deploy.test_compose import SERVICES

# What a service of compose is in the chart.
SAME = {
    "inference_api": "Deployment/presagio-api", "console": "Deployment/presagio-console",
    "mlflow": "Deployment/presagio-mlflow", "exporter": "Deployment/presagio-exporter",
    "create-databases": "Job/presagio-databases", "create-buckets": "Job/presagio-buckets",
    "mlflow-init": "Job/presagio-mlflow-init", "bootstrap": "Job/presagio-bootstrap",
}  # fmt: skip
LASTING = ("inference_api", "console", "mlflow", "exporter")
# Airflow's parts have its official chart; postgres, s3 are outside; dashboards are the cluster's.
ELSEWHERE = {"postgres", "s3", "prometheus", "grafana"}
ADDRESSES = {
    "http://s3:9010": "http://s3.internal:9010", "http://mlflow:5000": "http://presagio-mlflow:5000",
    "http://inference-api:8000": "http://presagio-api:8000",
    "http://airflow-apiserver:8080": "http://airflow-api-server:8080",
    "@postgres:5432": "@db.internal:5432", "postgres": "db.internal",
}  # fmt: skip
# Set by the chart alone: what addresses are made of, and what compose has in compose.aws.yaml.
MORE = re.compile(
    r"PGSSLMODE|PRESAGIO_S3_(REGION|BUCKET)|PRESAGIO_DATA_BUCKET|MLFLOW_ARTIFACTS_BUCKET"
    r"|PRESAGIO_POSTGRES_PORT|(TRAINER|READER)_PASSWORD"
    r"|PRESAGIO_(DB|(MLFLOW|MONITOR|API|CONSOLE)_DB)_PASSWORD"
    # Each pod's name; a container of compose has the host's.
    r"|PRESAGIO_REPLICA"
)
# Another value: names that the cluster gives, and lists.
OTHERWISE = {
    "MLFLOW_SERVER_ALLOWED_HOSTS", "PRESAGIO_CORS_ORIGINS", "PRESAGIO_TRUSTED_PROXIES",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
}  # fmt: skip
_VARIABLE = re.compile(r"\$\{(\w+)(?::([?-])([^}]*))?\}")


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Manifests:
    return rendered(PLAIN, tmp_path_factory.mktemp("chart"))


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Service]:
    layout = Layout(tmp_path_factory.mktemp("home"))
    layout.create()
    built = build_services(load_settings(layout.home), layout, Ports(), Credentials.generate())
    return {service.name: service for service in built}


def _image(service: dict[str, Any]) -> str:
    return str(re.sub(r"\$\{[^}]*\}", "", service["image"])).strip("/:")


def _dockerfile(image: str) -> str:
    return (ROOT / f"deploy/images/{image}.Dockerfile").read_text("utf-8")


def _here(value: str) -> str:
    """What compose writes, as the chart does: addresses of the cluster, $(NAME) for secrets."""
    for there, here in ADDRESSES.items():
        value = here if value == there else value.replace(there, here) if ":" in there else value
    return _VARIABLE.sub(lambda match: match[3] if match[2] == "-" else f"$({match[1]})", value)


def _of_chart(env: list[dict[str, Any]]) -> dict[str, str]:
    """Variables with their values; of a secret its key."""
    values = {}
    for each in env:
        secret = each.get("valueFrom", {}).get("secretKeyRef")
        values[each["name"]] = f"$({secret['key']})" if secret else str(each.get("value", ""))
    return values


def test_every_service_of_compose_has_its_place() -> None:
    airflow = {name for name in SERVICES if name.startswith("airflow")}
    # Of a profile, as brokers and poolers are: not a part of what always runs.
    optional = {name for name, each in SERVICES.items() if each.get("profiles")} - {*SAME}
    assert set(SERVICES) - optional == {*SAME, *airflow, *ELSEWHERE} - optional


@pytest.mark.parametrize("name", SAME)
def test_image_and_command_are_those_of_compose(name: str, chart: Manifests) -> None:
    service, here = SERVICES[name], container(chart, SAME[name])
    image = _image(service)
    assert re.fullmatch(rf"presagio/{image}:[\d.]+", here["image"])
    command = service.get("command")
    if command is None:
        (given,) = re.findall(r"^CMD (\[.*\])$", _dockerfile(image), re.MULTILINE)
        command = json.loads(given)
    assert here["command"] == command


@pytest.mark.parametrize("name", SAME)
def test_variables_are_those_of_compose(name: str, chart: Manifests) -> None:
    there = {key: _here(str(value)) for key, value in SERVICES[name]["environment"].items()}
    here = _of_chart(container(chart, SAME[name])["env"])
    assert {key for key in here.keys() - there.keys() if not MORE.fullmatch(key)} == set()
    assert {key for key in there.keys() - here.keys() if not MORE.fullmatch(key)} == set()
    # Passwords of MLflow's users, under names of their own.
    passwords = {"$(TRAINER_PASSWORD)": here.get("TRAINER_PASSWORD", ""),
                 "$(READER_PASSWORD)": here.get("READER_PASSWORD", "")}  # fmt: skip
    for name_here, value in passwords.items():
        here = {key: each.replace(name_here, value) for key, each in here.items()}
    compared = there.keys() & here.keys() - OTHERWISE
    # A secret that may be empty in compose may be missing in the Secret.
    fixed = {key for key in compared if there[key] or not here[key].startswith("$(")}
    assert {key: here[key] for key in fixed} == {key: there[key].strip() for key in fixed}


@pytest.mark.parametrize("name", LASTING)
def test_port_and_probe_are_those_of_compose(name: str, chart: Manifests) -> None:
    here = container(chart, SAME[name])
    test = " ".join(SERVICES[name]["healthcheck"]["test"])
    (asked,) = re.findall(r"http://127\.0\.0\.1:(\d+)(/[\w/]+)", test)
    (port,) = here["ports"]
    probe = here["readinessProbe"]["httpGet"]
    assert (str(port["containerPort"]), probe["path"]) == asked
    assert probe["port"] == port["name"]
    service = found(chart, f"Service/{SAME[name].partition('/')[2]}")
    assert [each["port"] for each in service["spec"]["ports"]] == [port["containerPort"]]


@pytest.mark.parametrize(
    ("name", "here"), [("api", "inference_api"), ("console", "console"), ("mlflow", "mlflow")]
)
def test_port_and_probe_are_those_of_the_stack(
    name: str, here: str, chart: Manifests, local: dict[str, Service]
) -> None:
    service, there = local[name], container(chart, SAME[here])
    assert service.check is not None
    path = inspect.getclosurevars(service.check).nonlocals["path"]
    assert path == there["readinessProbe"]["httpGet"]["path"]
    assert service.port == there["ports"][0]["containerPort"]


@pytest.mark.parametrize(
    ("name", "here"),
    [
        ("databases", "create-databases"),
        ("buckets", "create-buckets"),
        ("api", "inference_api"),
        ("console", "console"),
    ],
)
def test_commands_are_those_of_the_stack(
    name: str, here: str, chart: Manifests, local: dict[str, Service]
) -> None:
    there = list(local[name].command)
    module = there[there.index("-m") + 1 :]
    command = container(chart, SAME[here])["command"]
    assert command[command.index(module[0]) :][: len(module)][:2] == module[:2]


@pytest.mark.parametrize("name", SAME)
def test_limits_and_rights_are_those_of_compose(name: str, chart: Manifests) -> None:
    service, here = SERVICES[name], container(chart, SAME[name])
    limits = here["resources"]["limits"]
    cpus = service.get("cpus")
    pod = found(chart, SAME[name])["spec"]["template"]["spec"]
    user, group = (pod["securityContext"][key] for key in ("runAsUser", "runAsGroup"))
    assert f"USER {user}:{group}\n" in _dockerfile(_image(service))
    # Jobs share one limit, the largest.
    if name in LASTING:
        unit = {"g": "Gi", "m": "Mi"}[service["mem_limit"][-1]]
        assert limits == {"cpu": str(cpus), "memory": service["mem_limit"][:-1] + unit}
    # What can be written in compose can be written here.
    written = {str(each).split(":")[0] for each in service.get("tmpfs", ())}
    written |= {each.split(":")[1] for each in service.get("volumes", ()) if ":ro" not in each}
    mounts = {each["mountPath"] for each in here["volumeMounts"] if not each.get("readOnly")}
    assert written <= mounts
    specs = any(":/specs" in each for each in service.get("volumes", ()))
    assert specs is any(each["mountPath"] == "/specs" for each in here["volumeMounts"])


def test_a_job_comes_after_what_compose_starts_before_it(chart: Manifests) -> None:
    def moment(name: str) -> tuple[int, int]:
        made = found(chart, SAME[name])["metadata"].get("annotations", {})
        when = made.get("helm.sh/hook", "")
        order = -1 if when.startswith("pre") else 1 if when.startswith("post") else 0
        return order, int(made.get("helm.sh/hook-weight", 0))

    # The API goes without a champion at first: it says so, and follows when there is one.
    early = {("inference_api", "bootstrap"), ("exporter", "bootstrap")}
    for name in SAME:
        for need in SERVICES[name].get("depends_on", {}):
            if need in SAME and (name, need) not in early:
                assert moment(need) <= moment(name), (need, name)


def _airflow() -> dict[str, str]:
    values = yaml.safe_load((CHART / "airflow-values.yaml").read_text("utf-8"))
    env = {each["name"]: each["value"] for each in values["env"]}
    env |= {each["name"]: each["value"] for each in yaml.safe_load(values["extraEnv"])}
    env |= {each["envName"]: f"$({each['secretKey']})" for each in values["secret"]}
    return env | {"AIRFLOW__CORE__EXECUTOR": values["executor"]}


@pytest.mark.parametrize(
    "name", ["airflow-apiserver", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"]
)
def test_airflow_has_the_settings_of_compose(name: str) -> None:
    there = {key: _here(str(value)) for key, value in SERVICES[name]["environment"].items()}
    here = _airflow()
    # Of the engine of containers, not of Airflow.
    there.pop("TINI_KILL_PROCESS_GROUP")
    compared = there.keys() - OTHERWISE
    assert {key: here.get(key) for key in compared} == {key: there[key] for key in compared}


@pytest.mark.parametrize(
    ("name", "part"),
    [("airflow-scheduler", "scheduler"), ("airflow-dag-processor", "dagProcessor"),
     ("airflow-triggerer", "triggerer")],
)  # fmt: skip
def test_airflow_is_asked_and_bounded_as_in_compose(name: str, part: str) -> None:
    values = yaml.safe_load((CHART / "airflow-values.yaml").read_text("utf-8"))[part]
    assert ["CMD", *values["livenessProbe"]["command"]] == SERVICES[name]["healthcheck"]["test"]
    limits = values["resources"]["limits"]
    assert limits["memory"] == f"{SERVICES[name]['mem_limit'][:-1]}Gi"
    assert limits["cpu"] == str(SERVICES[name]["cpus"])


def test_airflow_gets_its_accounts_with_its_migrations_as_in_compose() -> None:
    values = yaml.safe_load((CHART / "airflow-values.yaml").read_text("utf-8"))
    shell, option, command = values["migrateDatabaseJob"]["args"]
    assert (shell, option) == ("bash", "-c")
    assert command.replace("exec ", "") == SERVICES["airflow-init"]["command"][-1]


def test_airflow_reads_what_the_chart_makes(chart: Manifests) -> None:
    values = yaml.safe_load((CHART / "airflow-values.yaml").read_text("utf-8"))
    kept = found(chart, "Secret/presagio")["data"]
    example = (ROOT / ".env.example").read_text("utf-8")
    for each in values["secret"]:
        if each["secretName"] == "presagio":
            assert each["secretKey"] in kept
        else:
            assert each["secretName"] == "presagio-external"
            assert f"\n{each['secretKey']}=" in example
    (specs,) = [each["configMap"]["name"] for each in values["volumes"] if "configMap" in each]
    assert found(chart, f"ConfigMap/{specs}")
    pinned = (ROOT / "requirements/airflow.txt").read_text("utf-8")
    version = re.search(r"^apache-airflow==([\d.]+)", pinned, re.MULTILINE)
    assert version
    assert values["airflowVersion"] == version[1]
    image = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))["appVersion"]
    assert values["images"]["airflow"] == {"repository": "presagio/airflow", "tag": image}
    assert f"USER {values['uid']}:{values['gid']}\n" in _dockerfile("airflow")


def test_chart_and_package_have_one_version() -> None:
    described = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    (version,) = re.findall(
        r'^version = "([^"]+)"', Path(ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE
    )
    assert described["appVersion"] == described["version"] == version
