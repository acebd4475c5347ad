"""Fixtures for all tests: the machine spec, the real rows, real services."""

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Self
from uuid import uuid4

import polars as pl
import pytest
from hypothesis import settings as hypothesis_settings
from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import OperationalError

from presagio.ingest.checking import check_file
from presagio.ingest.filing import Intake
from presagio.ingest.opening import open_intake
from presagio.machine.spec import MachineSpec, load_spec
from presagio.settings import Prefixes, Settings, load_settings
from presagio.stack import ports as stack_ports
from presagio.stack.credentials import Credentials, load_credentials
from presagio.stack.layout import Layout
from presagio.stack.ports import Ports
from presagio.stack.postgres import create_cluster
from presagio.stack.service import Service
from presagio.stack.services import build_services
from presagio.stack.state import StackStatus
from presagio.stack.supervisor import Supervisor
from presagio.storage.database import open_database
from presagio.storage.fleets import find_fleet
from presagio.storage.ledger import Ledger
from presagio.storage.objects import open_store
from presagio.training.datasets.sources import generate_dataset
from presagio.training.export.parity import export_model
from presagio.training.search.grids import SMALL_GRID
from presagio.training.train import TrainedModel, train_model
from tests.extent import NIGHTLY

_REAL_ROWS = "PRESAGIO_AI4I_CSV"
_REAL_CSV = os.environ.get(_REAL_ROWS)
_START_LIMIT_S = 240.0
free_ports = stack_ports.free_ports

# One machine is not like another: no example is slow, only the test's own time-out is.
hypothesis_settings.register_profile("ci", deadline=None, max_examples=30)
hypothesis_settings.register_profile("nightly", deadline=None, max_examples=1000)
hypothesis_settings.load_profile("nightly" if NIGHTLY else "ci")


def pytest_configure(config: pytest.Config) -> None:
    """Leave the settings of whoever runs the tests out of them."""
    # Runs no test itself, but starts the processes that do, which ask where the real rows are.
    distributes = config.getoption("numprocesses", None) and not hasattr(config, "workerinput")
    for name in [name for name in os.environ if name.startswith("PRESAGIO_")]:
        if not (distributes and name == _REAL_ROWS):
            del os.environ[name]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever is not marked otherwise is a unit test."""
    kinds = {"unit", "integration", "e2e"}
    for item in items:
        if not kinds & {mark.name for mark in item.iter_markers()}:
            item.add_marker(pytest.mark.unit)
    items[:] = _long_ones_first(items, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def _long_ones_first(items: list[pytest.Item], processes: int) -> list[pytest.Item]:
    """Let each process begin with its part of the long tests.

    A process is given a run of the items of this length, and the last ones of another process when
    it has none left: where a long one begins last, all the others wait for it.
    """
    long: dict[Path, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("slow"):
            long.setdefault(item.path, []).append(item)
    short = iter([item for item in items if not item.get_closest_marker("slow")])
    files, ordered = list(long.values()), list[pytest.Item]()
    for number in range(processes):
        begun = [item for file in files[number::processes] for item in file]
        length = (len(items) - len(ordered)) // (processes - number)
        ordered += [*begun, *islice(short, max(0, length - len(begun)))]
    return [*ordered, *short]


@pytest.fixture(scope="session")
def spec() -> MachineSpec:
    return load_spec()


@pytest.fixture(scope="session")
def real_csv() -> Path:
    """The 8,000 real rows; tests that need them are skipped where they are absent."""
    if not _REAL_CSV:
        pytest.skip(f"{_REAL_ROWS} does not name a file with rows of the AI4I 2020 data set")
    return Path(_REAL_CSV).resolve()


@pytest.fixture(scope="session")
def real_rows(real_csv: Path, spec: MachineSpec) -> pl.DataFrame:
    return check_file(real_csv.read_bytes(), spec).accepted


@dataclass(frozen=True)
class RunningServices:
    """Real PostgreSQL, S3 and MLflow, from the same code as ``presagio up``."""

    settings: Settings
    layout: Layout
    ports: Ports
    credentials: Credentials


@pytest.fixture(scope="session")
def stack_home() -> Iterator[Path]:
    """A home for services, outside of pytest's own folder.

    That one is closed to other users when tests start a second time; PostgreSQL runs as another
    user where the tests are run by root, and would lose its data under way.
    """
    with tempfile.TemporaryDirectory(prefix="presagio-test-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def services(stack_home: Path) -> Iterator[RunningServices]:
    layout, ports = Layout(stack_home), free_ports()
    layout.create()
    credentials = load_credentials(layout)
    create_cluster(layout, credentials.postgres_password)
    settings = Settings(
        home=stack_home,
        s3_endpoint=ports.url("s3"),
        s3_access_key=credentials.s3_access_key,
        s3_secret_key=credentials.s3_secret_key,
        database_url=credentials.database_url(ports, "presagio"),
        mlflow_url=ports.url("mlflow"),
        registry_poll_s=0.2,
    )
    wanted = {"postgres", "s3", "databases", "buckets", "mlflow"}
    built = [s for s in build_services(settings, layout, ports, credentials) if s.name in wanted]
    with RunningSupervisor([_unmeasured(service) for service in built], layout):
        yield RunningServices(settings, layout, ports, credentials)


def _unmeasured(service: Service) -> Service:
    """MLflow runs none of our code, and is a fourth slower where coverage looks on."""
    if service.name != "mlflow":
        return service
    env = {name: value for name, value in service.env.items() if not name.startswith("COVERAGE_")}
    return replace(service, env=env)


class RunningSupervisor:
    """A supervisor in a thread, entered when everything is healthy."""

    def __init__(
        self, services: list[Service], layout: Layout, *, start_limit_s: float = _START_LIMIT_S
    ) -> None:
        self.statuses: list[StackStatus] = []
        self._healthy = threading.Event()
        self.supervisor = Supervisor(services, layout, self._watch, start_limit_s=start_limit_s)
        self._thread = threading.Thread(target=self._run)
        self._error: BaseException | None = None

    def _watch(self, status: StackStatus) -> None:
        self.statuses.append(status)
        if status.phase == "healthy":
            self._healthy.set()

    def _run(self) -> None:
        try:
            self.supervisor.run()
        except BaseException as err:  # noqa: BLE001 - raised in the test's own thread below
            self._error = err
            self._healthy.set()

    def __enter__(self) -> Self:
        self._thread.start()
        healthy = self._healthy.wait(_START_LIMIT_S)
        if not healthy or self._error:
            self.__exit__()
            raise self._error or TimeoutError("services are not healthy")
        return self

    def __exit__(self, *_error: object) -> None:
        self.supervisor.request_stop()
        self._thread.join()


def eventually_connects(services: RunningServices, limit_s: float = 150.0) -> None:
    """Wait until PostgreSQL answers, after a test has killed it.

    The supervisor waits up to half a minute before a restart, and twice where the first one meets
    memory that a process of the killed server still holds.
    """
    url = services.credentials.database_url(services.ports, "presagio")
    engine, deadline = create_engine(url, poolclass=NullPool), time.monotonic() + limit_s
    while True:
        try:
            with engine.connect():
                return
        except OperationalError:
            assert time.monotonic() < deadline, "PostgreSQL did not come back"
            time.sleep(0.1)


@pytest.fixture(scope="session")
def ledger(services: RunningServices) -> Iterator[Ledger]:
    """One ledger for all tests: PostgreSQL has a bound on connections."""
    ledger = Ledger(open_database(services.settings))
    yield ledger
    ledger.close()


@pytest.fixture
def new_intake(
    services: RunningServices, ledger: Ledger, spec: MachineSpec
) -> Callable[[], Intake]:
    """Make intakes on the real services, each in a bucket of its own."""

    def make() -> Intake:
        store, bucket = open_store(services.settings), f"test-{uuid4().hex[:12]}"
        store.create_bucket(bucket)
        return Intake(store, ledger, spec, Prefixes(bucket=bucket, curated_bucket=bucket))

    return make


@pytest.fixture
def intake(new_intake: Callable[[], Intake]) -> Intake:
    return new_intake()


@pytest.fixture
def plant(services: RunningServices, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """Settings of a plant of one's own: buckets, model, home; the environment has them too."""
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


@pytest.fixture
def plant_intake(plant: Settings) -> Iterator[Intake]:
    """The intake of a plant, as its programs open it."""
    intake = open_intake(find_fleet(plant))
    yield intake
    intake.ledger.close()


@pytest.fixture(scope="session")
def trained(spec: MachineSpec) -> TrainedModel:
    """A small model, good enough to be told from a constant."""
    return train_model(generate_dataset(spec, 3000, seed=5), spec, grid=SMALL_GRID)


@pytest.fixture(scope="session")
def artifact(trained: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole artifact folder; copy it before changing anything."""
    folder = tmp_path_factory.mktemp("artifact")
    export_model(trained, folder)
    return folder
