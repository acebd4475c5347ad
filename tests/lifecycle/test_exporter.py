"""What Prometheus is told of intake, champion and drift, from real services."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import psycopg
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from presagio.deployment.provision import provision_databases
from presagio.ingest.filing import Intake, file_object
from presagio.lifecycle.exporter import Exporter, serve_metrics
from presagio.storage.database import open_database
from presagio.storage.ledger import Ledger
from presagio.storage.objects import open_store
from presagio.storage.promotions import Promotions
from tests.conftest import RunningServices, free_ports
from tests.readings import HEADER

pytestmark = pytest.mark.integration

GOOD, BAD = b"L,300,310,1500,40,10", b"L,-1,310,1500,40,10"
Samples = dict[tuple[str, str], float]


def _read(text: str) -> Samples:
    """Return each sample of the default fleet under its name and its label's value."""
    return {
        (sample.name, next((v for k, v in sample.labels.items() if k != "fleet"), "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.labels.get("fleet") == "ai4i2020"
    }


@pytest.fixture
def promotions(services: RunningServices) -> Iterator[Promotions]:
    found = Promotions(open_database(services.settings))
    yield found
    found.close()


@pytest.fixture
def scrape(
    intake: Intake, promotions: Promotions, services: RunningServices
) -> Callable[[], Samples]:
    settings = services.settings.model_copy(
        update={"s3_bucket": intake.prefixes.bucket, "data_bucket": intake.prefixes.bucket}
    )
    registry = CollectorRegistry()
    store = open_store(settings)
    exporter = Exporter(settings, intake.ledger, promotions, store)
    registry.register(exporter)
    return lambda: _read(generate_latest(registry).decode())


def test_files_rows_and_faults_are_counted(intake: Intake, scrape: Callable[[], Samples]) -> None:
    before = scrape()
    body = b"\n".join([HEADER, *[GOOD] * 9, BAD])
    intake.store.write(intake.prefixes.bucket, "incoming/a.csv", body)
    assert scrape()["presagio_incoming_files", ""] == 1
    file_object(intake, "incoming/a.csv")
    after = scrape()

    def grown(name: str, label: str) -> float:
        return after[name, label] - before.get((name, label), 0)

    assert grown("presagio_files_total", "processed") == 1
    assert grown("presagio_intake_rows_total", "processed") == 9
    assert grown("presagio_intake_rows_total", "quarantined") == 1
    assert sum(after[key] - before.get(key, 0) for key in after if "faults" in key[0]) >= 1
    assert after["presagio_incoming_files", ""] == 0
    assert after["presagio_incoming_oldest_seconds", ""] == 0
    assert time.time() - after["presagio_last_file_timestamp_seconds", ""] < 60
    assert after["presagio_files_to_score", ""] > before["presagio_files_to_score", ""]
    assert after["presagio_files_to_score_oldest_seconds", ""] > 0
    assert {("presagio_open_alarms", ""), ("presagio_units", "watch")} <= after.keys()
    assert all(after["presagio_source_up", name] == 1
               for name in ("ledger", "decisions", "incoming", "watch", "alarms"))  # fmt: skip


def test_what_waits_grows_older_and_other_files_do_not_count(
    intake: Intake, scrape: Callable[[], Samples]
) -> None:
    for name in ("a.csv", "b.csv.part"):
        intake.store.write(intake.prefixes.bucket, f"incoming/{name}", HEADER)
    assert scrape()["presagio_incoming_files", ""] == 1
    time.sleep(0.2)
    assert scrape()["presagio_incoming_oldest_seconds", ""] >= 0.2
    assert scrape()["presagio_incoming_too_large_files", ""] == 0


def test_one_thing_away_does_not_hide_the_others(
    ledger: Ledger, promotions: Promotions, services: RunningServices
) -> None:
    away = services.settings.model_copy(update={"s3_endpoint": "http://127.0.0.1:9"})
    exporter = Exporter(away, ledger, promotions, open_store(away))
    found = {
        (sample.name, sample.labels.get("source", "")): sample.value
        for family in exporter.collect()
        for sample in family.samples
    }
    assert found["presagio_source_up", "ledger"] == 1
    assert found["presagio_source_up", "incoming"] == 0
    assert any(name == "presagio_intake_rows_total" for name, _ in found)


def test_it_is_served_until_told_to_stop(
    ledger: Ledger, promotions: Promotions, services: RunningServices
) -> None:
    settings, stop, port = services.settings, threading.Event(), free_ports().api
    exporter = Exporter(settings, ledger, promotions, open_store(settings))
    thread = threading.Thread(target=serve_metrics, args=(exporter, "127.0.0.1", port, stop))
    thread.start()
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
                    text = answer.read().decode()
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
    finally:
        stop.set()
        thread.join()
    assert ("presagio_source_up", "ledger") in _read(text)


def test_the_command_ends_when_it_is_told_to(services: RunningServices, tmp_path: Path) -> None:
    settings, port = services.settings, free_ports().api
    assert settings.database_url is not None
    env = os.environ | {
        "PRESAGIO_HOME": str(tmp_path),
        "PRESAGIO_DATABASE_URL": settings.database_url.get_secret_value(),
        "PRESAGIO_S3_ENDPOINT": settings.s3_endpoint or "",
        "PRESAGIO_S3_ACCESS_KEY": services.credentials.s3_access_key,
        "PRESAGIO_S3_SECRET_KEY": services.credentials.s3_secret_key,
    }
    command = [str(Path(sys.executable).with_name("presagio")), "exporter", "--port", str(port)]
    with subprocess.Popen(command, env=env) as running:
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30).close()
                    break
                except OSError:
                    assert running.poll() is None
                    assert time.monotonic() < deadline
                    time.sleep(0.2)
            taken = subprocess.run(command, env=env, check=False, capture_output=True, text=True)
            assert taken.returncode == 1
            assert "cannot listen" in taken.stderr
        finally:
            running.send_signal(signal.SIGTERM)
        assert running.wait(10) == 0


def test_the_role_for_dashboards_reads_and_does_not_write(
    services: RunningServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in services.credentials.database_variables().items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("PRESAGIO_POSTGRES_PORT", str(services.ports.postgres))
    monkeypatch.setenv("PRESAGIO_MONITOR_DB_PASSWORD", "of-a-test")
    for _ in range(2):
        provision_databases(services.settings)
    with psycopg.connect(
        host="127.0.0.1", port=services.ports.postgres, user="presagio_monitor",
        password="of-a-test", dbname="presagio", autocommit=True,
    ) as connection:  # fmt: skip
        connection.execute("SELECT count(*) FROM receipts")
        for statement in ("DELETE FROM receipts", "CREATE TABLE t ()", "UPDATE claims SET name=''"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(
            host="127.0.0.1", port=services.ports.postgres, user="presagio_monitor",
            password="of-a-test", dbname="airflow",
        )  # fmt: skip
