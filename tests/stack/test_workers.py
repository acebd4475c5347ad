"""A stack with Celery workers: which services it has, and what each of them knows."""

import os
from dataclasses import asdict
from pathlib import Path

import pytest

from presagio.settings import Settings, load_settings
from presagio.stack.credentials import Credentials, load_credentials
from presagio.stack.layout import Layout
from presagio.stack.ports import Ports
from presagio.stack.service import Service
from presagio.stack.services import build_services

Built = tuple[dict[str, Service], Credentials, Layout]


@pytest.fixture
def built(tmp_path: Path) -> Built:
    layout = Layout(tmp_path)
    layout.create()
    credentials = load_credentials(layout)
    settings = Settings(home=tmp_path, worker_slots=3)
    services = build_services(settings, layout, Ports(), credentials, workers=2)
    return {service.name: service for service in services}, credentials, layout


def _ours(service: Service) -> dict[str, str]:
    """What a service is given besides what whoever runs the tests has."""
    return dict(service.env.items() - os.environ.items())


def test_there_are_workers_a_broker_and_a_pool(built: Built, tmp_path: Path) -> None:
    with_workers = set(built[0])
    layout = Layout(tmp_path / "other")
    layout.create()
    services = build_services(Settings(home=layout.home), layout, Ports(), built[1])
    assert with_workers - {service.name for service in services} == {
        "broker", "airflow-pool", "airflow-worker-intake-1", "airflow-worker-intake-2",
        "airflow-worker-train",
    }  # fmt: skip
    scheduler = {service.name: service for service in services}["airflow-scheduler"]
    assert scheduler.env["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"


def test_as_many_tasks_are_sent_as_there_are_slots(built: Built) -> None:
    services, _, layout = built
    assert services["airflow-scheduler"].env["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
    assert services["airflow-scheduler"].env["AIRFLOW__CORE__PARALLELISM"] == str(2 * 3 + 1)
    assert services["airflow-worker-intake-1"].env["PRESAGIO_INTAKE_SLOTS"] == str(2 * 3)
    assert services["airflow-worker-intake-1"].env["PRESAGIO_WORKER_SLOTS"] == "3"
    assert load_settings(layout.home).train_pool == "train"


def test_workers_of_other_hosts_are_counted_by_the_setting(built: Built) -> None:
    _, credentials, layout = built
    settings = Settings(home=layout.home, worker_slots=3, intake_slots=10)
    services = build_services(settings, layout, Ports(), credentials, workers=2)
    scheduler = {service.name: service for service in services}["airflow-scheduler"]
    assert scheduler.env["AIRFLOW__CORE__PARALLELISM"] == "11"
    assert scheduler.env["PRESAGIO_INTAKE_SLOTS"] == "10"


def test_slots_are_not_those_of_the_start_before(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, credentials, layout = built
    for name in ("PRESAGIO_INTAKE_SLOTS", "PRESAGIO_WORKER_SLOTS"):
        monkeypatch.delenv(name, raising=False)
    settings = load_settings(layout.home)
    services = build_services(settings, layout, Ports(), credentials)
    scheduler = {service.name: service for service in services}["airflow-scheduler"]
    assert scheduler.env["AIRFLOW__CORE__PARALLELISM"] == "2"
    assert settings.worker_slots == 2


def test_a_worker_does_not_know_what_airflow_keeps_to_itself(built: Built) -> None:
    services, credentials, _ = built
    hidden = (
        credentials.airflow_db_password, credentials.airflow_jwt_secret,
        credentials.airflow_fernet_key, credentials.postgres_password,
        credentials.airflow_admin_password,
    )  # fmt: skip
    for name in ("airflow-worker-intake-1", "airflow-worker-train", "broker"):
        given = "\n".join(_ours(services[name]).values())
        assert not [secret for secret in hidden if secret in given], name


def test_no_secret_on_a_command_line(built: Built) -> None:
    services, credentials, _ = built
    secrets = set(asdict(credentials).values())
    for service in services.values():
        assert not [s for s in secrets if any(s in part for part in service.command)]


def test_a_stack_without_workers_afterwards_has_none_of_their_settings(built: Built) -> None:
    _, credentials, layout = built
    build_services(Settings(home=layout.home), layout, Ports(), credentials)
    settings = load_settings(layout.home)
    assert settings.broker_url is None
    assert settings.train_pool == "default_pool"


def test_a_home_from_before_gets_a_password_for_the_broker(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.create()
    first = load_credentials(layout)
    path = tmp_path / "credentials.env"
    lines = path.read_text("utf-8").splitlines()
    kept = [line for line in lines if not line.startswith("PRESAGIO_BROKER_PASSWORD")]
    path.write_text("\n".join(kept) + "\n", "utf-8")
    again = load_credentials(layout)
    assert again.broker_password not in ("", first.broker_password)
    assert again.airflow_fernet_key == first.airflow_fernet_key
