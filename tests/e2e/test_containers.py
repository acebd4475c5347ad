"""The stack in containers: started again after a kill, stopped in time, with least rights."""

import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from mlflow import MlflowClient

from presagio.ingest.upload import upload, wait_for_receipt
from presagio.jobs.airflow_runs import AirflowRuns
from presagio.jobs.api_client import authorization
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from presagio.registry.writer import open_registry
from tests.e2e.containers import COMMAND, REGISTRY_IMAGE, ContainerStack, docker
from tests.e2e.stack import Stack, eventually
from tests.readings import HEADER

pytestmark = pytest.mark.containers

ROOT = Path(__file__).parents[2]

_RUNNING = (
    "inference_api", "console", "s3", "postgres", "mlflow", "airflow-apiserver",
    "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer",
)  # fmt: skip


@pytest.fixture
def containers(stack: Stack) -> ContainerStack:
    assert isinstance(stack, ContainerStack)
    return stack


def _inspect(stack: ContainerStack, name: str) -> dict[str, Any]:
    return dict(json.loads(docker("inspect", stack.service(name)["id"]))[0])


def _inside(stack: ContainerStack, name: str, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["docker", "exec", stack.service(name)["id"], *command],
        check=False, capture_output=True, text=True,
    )  # fmt: skip


_RIGHTS = """
id -u
touch /usr/bin/evil 2>/dev/null && echo written || echo refused
# No compiler, in what is ours.
command -v gcc cc make || echo none
cat /proc/1/status
"""


@pytest.mark.parametrize("name", _RUNNING)
def test_a_container_can_do_nothing_that_it_need_not(containers: ContainerStack, name: str) -> None:
    output = _inside(containers, name, "sh", "-c", _RIGHTS).stdout
    user, written, compilers, *status = output.splitlines()
    assert user != "0"
    assert written == "refused"
    assert compilers == "none"
    rights = dict(line.split(":\t", 1) for line in status if ":\t" in line)
    assert int(rights["CapEff"], 16) == 0
    assert rights["NoNewPrivs"] == "1"


def test_the_api_carries_neither_airflow_nor_mlflow(containers: ContainerStack) -> None:
    code = (
        "from importlib.util import find_spec; "
        "print([n for n in ('airflow', 'mlflow', 'sklearn', 'pandas') if find_spec(n)])"
    )
    assert _inside(containers, "inference_api", "python", "-c", code).stdout.strip() == "[]"
    labels = _inspect(containers, "inference_api")["Config"]["Labels"]
    assert labels["org.opencontainers.image.version"]
    assert labels["org.opencontainers.image.revision"]


@pytest.mark.parametrize(
    ("name", "most"), [("inference_api", 400_000_000), ("console", 600_000_000)]
)
def test_what_people_reach_has_a_small_image_in_which_nothing_can_be_installed(
    name: str, most: int, containers: ContainerStack
) -> None:
    image = _inspect(containers, name)["Image"]
    assert int(docker("image", "inspect", "--format", "{{.Size}}", image)) <= most
    for program in ("apt-get", "dpkg", "pip", "perl"):
        assert _inside(containers, name, "sh", "-c", f"command -v {program}").stdout == ""
    found = _inside(containers, name, "find", "/", "-xdev", "-perm", "/6000", "-type", "f")
    assert found.stdout == ""


def test_secrets_are_in_no_image(containers: ContainerStack) -> None:
    secrets = [
        value for name, value in containers.variables.items()
        if name.endswith(("PASSWORD", "SECRET", "_KEY"))
    ]  # fmt: skip
    assert len(secrets) > 15
    for name in ("inference_api", "console", "mlflow", "airflow-scheduler"):
        image = _inspect(containers, name)["Image"]
        found = docker("history", "--no-trunc", image) + docker("image", "inspect", image)
        assert not [secret for secret in secrets if secret in found]


# A first model is trained and served by the containers in test_console_in_containers.py, too.
@pytest.mark.nightly
def test_a_file_becomes_part_of_a_champion_that_predicts(
    containers: ContainerStack, spec: MachineSpec, tmp_path: Path
) -> None:
    """The whole loop, each step in the container that does it."""
    file = tmp_path / "labelled.csv"
    file.write_text(pl.concat(simulate(spec, 2000, seed=905)).write_csv(), encoding="utf-8")
    receipt = wait_for_receipt(containers.intake, upload(containers.intake, file), timeout_s=120)
    assert receipt is not None
    assert receipt.outcome.rows_processed == 2000
    # As the console does it.
    with AirflowRuns(containers.console_of_airflow) as airflow:
        run = airflow.start("train_champion", {"min_new_rows": 1})
    assert eventually(lambda: containers.ends("train_champion", run), 400)
    assert set(containers.task_states("train_champion", run).values()) == {"success"}
    decision = next(made for made in containers.decisions() if run in made["why"])
    assert decision["newest_receipt"] == receipt.id
    # Whatever the gate thought of it: the new one is to be seen.
    version = decision["version"]
    if decision["kind"] == "refusal":
        forced = containers.call("promote", version, "--force", "--why", "a test", "--json")
        assert forced.returncode == 0, forced.stderr
    assert eventually(lambda: containers.ready()["version"] == version)
    body = {"request_id": 5, "features": spec.example}
    headers = authorization(containers.settings, "predict")
    answer = httpx.post(f"{containers.settings.api_url}/predict", json=body, headers=headers)
    predicted = answer.raise_for_status().json()
    assert (predicted["response_id"], predicted["label"]) == (5, True)
    assert (predicted["model"], predicted["version"]) == ("svm_prod", version)


def test_all_stop_within_ten_seconds_and_come_back_with_everything(
    containers: ContainerStack,
) -> None:
    receipts = containers.intake.ledger.receipts(limit=None)
    champion = open_registry(containers.settings).resolve()
    containers.intake.ledger.close()
    ids = [containers.service(name)["id"] for name in _RUNNING]
    containers.compose("stop", "--timeout", "10")
    codes = docker("inspect", "--format", "{{.Name}} {{.State.ExitCode}}", *ids).splitlines()
    # 137 is what the engine leaves of one that it had to kill.
    assert len(codes) == len(_RUNNING)
    assert not [code for code in codes if code.endswith(" 137")]
    containers.down()
    containers.up()
    assert eventually(lambda: containers.status()["phase"] == "healthy", limit_s=240)
    assert containers.intake.ledger.receipts(limit=None) == receipts
    assert open_registry(containers.settings).resolve() == champion
    assert eventually(lambda: containers.ready()["version"] == champion.version)


@pytest.mark.nightly
@pytest.mark.parametrize("name", _RUNNING)
def test_a_service_stops_when_told_within_ten_seconds_and_alone(
    containers: ContainerStack, name: str
) -> None:
    container = containers.service(name)["id"]
    docker("stop", "--time", "10", container)
    code = docker("inspect", "--format", "{{.State.ExitCode}}", container)
    docker("start", container)
    assert code != "137"


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(("inference_api",), id="api"),
        # With each change all are stopped and started again: that is another test.
        pytest.param(
            tuple(name for name in _RUNNING if name != "inference_api"),
            id="all but the api",
            marks=pytest.mark.nightly,
        ),
    ],
)
def test_killed_containers_come_back_with_nothing_lost(
    containers: ContainerStack, names: tuple[str, ...], tmp_path: Path
) -> None:
    """One by one is what the nightly run does; here it is the engine that starts them again."""
    containers.assert_back_after_kill(names, tmp_path, 200 + len(names))


def test_a_request_in_flight_is_answered_before_the_api_ends(containers: ContainerStack) -> None:
    # So many that the answer is not there before it was seen to be under way.
    rows = 800_000
    body = HEADER + b"\n" + b"L,300,310,1500,40,10\n" * rows
    token = containers.call("token").stdout.strip()
    container = containers.service("inference_api")["id"]
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(
            httpx.post, f"{containers.settings.api_url}/predict/batch", content=body, timeout=60,
            headers={"Authorization": f"Bearer {token}", "Content-Type": "text/csv"},
        )  # fmt: skip
        assert eventually(lambda: answer.done() or _in_flight(containers) > 0, limit_s=20)
        assert not answer.done()
        docker("stop", "--time", "10", container)
        assert answer.result().status_code == 200
    assert answer.result().text.strip().count("\n") == rows
    docker("start", container)
    assert eventually(lambda: not containers.ready()["degraded"], limit_s=60)


def _in_flight(containers: ContainerStack) -> int:
    """How many connections the API has beside this one's: none is kept open otherwise."""
    told = _inside(containers, "inference_api", "cat", "/proc/net/tcp").stdout
    # Local port 8000 (1F40), established (01).
    return sum(":1F40 " in line[:28] and " 01 " in line[28:46] for line in told.splitlines())


@pytest.mark.nightly
def test_prometheus_gets_every_figure_and_takes_the_rules(
    containers: ContainerStack, tmp_path: Path
) -> None:
    # There are figures of files from the first one on.
    containers.file_one_row(tmp_path, 100)
    started = ("--profile", "monitoring")
    containers.compose(*started, "up", "-d", "exporter", "prometheus")
    try:
        (container,) = containers.compose(*started, "ps", "-q", "prometheus").split()

        def ask(expression: str) -> dict[str, float]:
            done = subprocess.run(
                ["docker", "exec", container, "promtool", "query", "instant", "-o", "json",
                 "http://127.0.0.1:9090", expression],
                check=False, capture_output=True, text=True,
            )  # fmt: skip
            found = json.loads(done.stdout or "[]")
            return {json.dumps(one["metric"]): float(one["value"][1]) for one in found}

        def is_up() -> bool:
            return sorted(ask("up").values()) == [1, 1]

        assert eventually(is_up, limit_s=120)
        # One of the API's own, and one of each thing that the exporter asks.
        for name in ("presagio_model_served", "presagio_files_total", "presagio_decisions_total",
                     "presagio_incoming_files"):  # fmt: skip
            assert eventually(partial(ask, name), limit_s=60), name
        assert set(ask("presagio_source_up").values()) == {1}
        for command in ("check config prometheus.yaml", "check rules rules.yaml",
                        "test rules rules_test.yaml"):  # fmt: skip
            docker("exec", "--workdir", "/etc/prometheus", container, "promtool", *command.split())
    finally:
        containers.compose(*started, "rm", "--stop", "--force", "exporter", "prometheus")


def test_airflows_history_is_cleaned_by_a_role_that_sees_no_session_that_goes_on(
    containers: ContainerStack,
) -> None:
    def ask(query: str) -> None:
        command = "PGPASSWORD=$POSTGRES_PASSWORD psql -U postgres -d airflow -v password=SECRET"
        subprocess.run(
            ["docker", "exec", "-i", containers.service("postgres")["id"], "sh", "-c", command],
            input=query, text=True, check=True, capture_output=True,
        )  # fmt: skip

    ask((ROOT / "deploy/airflow_cleaner.sql").read_text("utf-8"))
    ask("INSERT INTO session (session_id, expiry) VALUES ('over', now() - interval '200 days')")
    where = "postgresql+psycopg://airflow_cleaner:SECRET@postgres:5432/airflow"
    variables = {"PRESAGIO_RETAIN_AIRFLOW_DAYS": "90", "PRESAGIO_AIRFLOW_DATABASE_URL": where}
    given = [f"--env={name}={value}" for name, value in variables.items()]
    scheduler = containers.service("airflow-scheduler")["id"]
    said = docker("exec", *given, scheduler, "presagio", "retention")
    assert "database of airflow: cleaned" in said


def test_grafana_has_the_dashboards_and_reaches_prometheus(containers: ContainerStack) -> None:
    if "standins" in os.environ[COMMAND]:
        pytest.skip("Grafana's image has no stand-in")
    started, said = ("--profile", "monitoring"), containers.variables
    containers.compose(*started, "up", "-d")
    address = f"http://127.0.0.1:{said['PRESAGIO_GRAFANA_PORT']}/api"
    try:
        assert eventually(lambda: httpx.get(f"{address}/health").is_success, limit_s=120)
        with httpx.Client(auth=("admin", said["PRESAGIO_GRAFANA_ADMIN_PASSWORD"])) as client:
            found = client.get(f"{address}/search", params={"type": "dash-db"}).json()
            assert {board["uid"] for board in found} == {
                f"presagio-{name}" for name in ("serving", "ingest", "model", "drift")
            }
            health = client.get(f"{address}/datasources/uid/prometheus/health").json()
            assert health["status"] == "OK", health
        assert httpx.get(f"{address}/search").status_code == 401
    finally:
        containers.compose(*started, "rm", "--stop", "--force", "exporter", "prometheus", "grafana")


@pytest.mark.nightly
def test_a_backup_brings_back_what_was_lost(containers: ContainerStack, tmp_path: Path) -> None:
    containers.file_one_row(tmp_path, 101)
    champion = open_registry(containers.settings).resolve()
    receipts = containers.intake.ledger.receipts(limit=None)
    (lost, *_) = containers.intake.store.list("csv-data", "archive/")
    folder = tmp_path / "backup"
    containers.backup("save", folder)
    assert (folder / "SHA256SUMS").stat().st_mode & 0o077 == 0
    assert not containers.ready()["degraded"]
    # Lost: what came later, the alias, and an original.
    containers.file_one_row(tmp_path, 102)
    registry = containers.settings.mlflow_url
    MlflowClient(registry, registry).delete_registered_model_alias(champion.name, "champion")
    containers.intake.store.delete_unchanged("csv-data", lost)
    containers.intake.ledger.close()
    containers.backup("restore", folder)
    assert eventually(lambda: containers.status()["phase"] == "healthy", limit_s=240)
    assert containers.intake.ledger.receipts(limit=None) == receipts
    assert containers.intake.store.head("csv-data", lost.key) is not None
    assert open_registry(containers.settings).resolve() == champion
    assert containers.call("ingest", "verify").returncode == 0
    assert eventually(lambda: not containers.ready()["degraded"], limit_s=60)


@contextmanager
def _registry() -> Iterator[str]:
    """A registry for images on this machine, while it is wanted."""
    address = "127.0.0.1:15055"
    container = docker("run", "--detach", "--rm", "--publish", f"{address}:5000",
                        os.environ[REGISTRY_IMAGE])  # fmt: skip
    try:
        assert eventually(lambda: httpx.get(f"http://{address}/v2/").is_success)
        yield address
    finally:
        docker("stop", "--time", "2", container)


@pytest.mark.nightly
def test_a_released_version_runs_by_its_url_and_by_its_digest(containers: ContainerStack) -> None:
    built = _inspect(containers, "inference_api")["Image"]
    with _registry() as address:
        name = f"{address}/presagio/api"
        released = {"PRESAGIO_REGISTRY": f"{address}/presagio", "PRESAGIO_VERSION": "9.8.7"}
        docker("tag", built, f"{name}:9.8.7")
        docker("push", "--quiet", f"{name}:9.8.7")
        digest = docker("image", "inspect", "--format", "{{index .RepoDigests 0}}", built)
        docker("rmi", f"{name}:9.8.7")
        said = _digests(released) | {"PRESAGIO_API_DIGEST": digest.partition("@")[2]}
        by_digest = ("-f", str(ROOT / "deploy/compose.digest.yaml"))
        try:
            for files, reference in (((), f"{name}:9.8.7"), (by_digest, digest)):
                containers.compose(*files, "pull", "inference_api", **said)
                containers.compose(
                    *files, "up", "-d", "--no-build", "--no-deps", "inference_api", **said
                )
                assert _inspect(containers, "inference_api")["Config"]["Image"] == reference
                assert eventually(lambda: containers.ready()["source"] == "registry")
                docker("rmi", "--force", reference)
        finally:
            containers.compose("up", "-d", "--no-deps", "inference_api")


def _digests(released: dict[str, str]) -> dict[str, str]:
    """What the override by digests wants to know, as a release writes it."""
    done = subprocess.run(
        ["bash", str(ROOT / "deploy/release/images.sh"), "digests"],
        check=True, capture_output=True, text=True, env=os.environ | released | {"DRY_RUN": "1"},
    )  # fmt: skip
    return dict(line.split("=", 1) for line in done.stdout.splitlines()) | released
