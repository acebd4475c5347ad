"""What a stack consists of, and that no secret shows on a command line."""

from dataclasses import asdict
from pathlib import Path

import psycopg
import pytest

from presagio.settings import Settings
from presagio.stack.credentials import load_credentials
from presagio.stack.layout import Layout
from presagio.stack.ports import Ports
from presagio.stack.service import Service
from presagio.stack.services import build_services
from tests.conftest import RunningServices


@pytest.fixture
def built(tmp_path: Path) -> tuple[list[Service], Layout]:
    layout = Layout(tmp_path)
    layout.create()
    settings = Settings(home=tmp_path)
    return build_services(settings, layout, Ports(), load_credentials(layout)), layout


def test_every_service_of_the_design_is_there(built: tuple[list[Service], Layout]) -> None:
    names = {service.name for service in built[0]}
    assert names == {
        "postgres", "s3", "databases", "buckets", "mlflow", "airflow-db", "airflow-apiserver",
        "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer", "webhook", "champion",
        "api", "console",
    }  # fmt: skip


def test_needs_are_met_without_a_circle(built: tuple[list[Service], Layout]) -> None:
    waiting, ready = {service.name: set(service.needs) for service in built[0]}, set[str]()
    while waiting:
        startable = {name for name, needs in waiting.items() if needs <= ready}
        assert startable, f"nothing can start of {waiting}"
        ready |= startable
        waiting = {name: needs for name, needs in waiting.items() if name not in startable}


def test_only_what_runs_tasks_waits_for_airflows_api_server(
    built: tuple[list[Service], Layout],
) -> None:
    waiting = [service.name for service in built[0] if "airflow-apiserver" in service.needs]
    assert waiting == ["airflow-scheduler"]


def test_no_secret_on_a_command_line(built: tuple[list[Service], Layout]) -> None:
    services, layout = built
    secrets = set(asdict(load_credentials(layout)).values())
    for service in services:
        assert not [s for s in secrets if any(s in part for part in service.command)]
        assert not [s for s in secrets if s in repr(service)]


def test_everything_listens_on_loopback(built: tuple[list[Service], Layout]) -> None:
    for service in built[0]:
        if service.port is not None:
            assert "127.0.0.1" in service.address


@pytest.mark.integration
@pytest.mark.parametrize(("role", "other"), [("presagio", "airflow"), ("mlflow", "presagio")])
def test_a_role_reaches_its_own_database_only(
    services: RunningServices, role: str, other: str
) -> None:
    password = asdict(services.credentials)[f"{role}_db_password"]
    own = "mlflow_db" if role == "mlflow" else role

    def connect(database: str, password: str) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1", port=services.ports.postgres,
            user=role, password=password, dbname=database,
        )  # fmt: skip

    with connect(own, password) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        connect(other, password)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(own, "wrong")
