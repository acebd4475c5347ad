"""The second half of the demonstration, with the DAGs' jobs in a thread in the place of Airflow."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.resources import files
from typing import Any

import pytest

from presagio.ingest.filing import Intake
from presagio.ingest.opening import open_intake
from presagio.jobs import demo_fleet
from presagio.jobs.demo_fleet import FLEET
from presagio.jobs.file import sweep
from presagio.jobs.score_arrivals import score_arrivals
from presagio.registry.reader import open_reader
from presagio.settings import Settings
from presagio.storage.fleets import find_fleet
from presagio.storage.objects import open_store
from tests.commands import run_command

pytestmark = pytest.mark.integration


@contextmanager
def _at_work(settings: Settings, intake: Intake) -> Iterator[None]:
    """File and score what comes, as the DAGs of the fleet do."""
    stop, reader = threading.Event(), open_reader(settings)

    def work() -> None:
        while not stop.wait(0.05):
            sweep(intake, run_id="a DAG")
            score_arrivals(settings, intake, reader)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        stop.set()
        worker.join()


@pytest.fixture
def events(plant: Settings, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What is printed by a demonstration whose fleet is there."""
    # A model of few engines is trained in a second, and is good enough to foresee a failure.
    monkeypatch.setattr(demo_fleet, "_HISTORY_UNITS", 8)
    spec = (files("presagio.machine") / "specs" / f"{FLEET}.toml").read_bytes()
    open_store(plant).write(plant.data_bucket, f"fleets/{FLEET}.toml", spec)
    fleet = find_fleet(plant, FLEET)
    intake = open_intake(fleet)
    with closing(intake.ledger), _at_work(fleet.settings, intake):
        done = run_command("demo", "--part", "engines", "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def _named(events: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [event for event in events if event["event"] == name]


def test_an_engine_ages_until_it_fails_and_the_alarm_came_before(
    events: list[dict[str, Any]],
) -> None:
    assert [event["step"] for event in events] == sorted(event["step"] for event in events)
    assert [event["added"] for event in _named(events, "fleet")] == [False]
    (failure,) = _named(events, "failure")
    (alarm,) = _named(events, "alarm")
    assert alarm["unit"] == failure["unit"]
    assert alarm["console"].endswith(f"/alarms/{alarm['alarm']}")
    (of_it,) = failure["alarms"]
    assert (of_it["alarm"], of_it["outcome"]) == (alarm["alarm"], "failure")
    assert 1 < of_it["lead_days"] < 7
    days = _named(events, "day")
    assert len(days) == 8
    states = [
        next(unit["state"] for unit in day["units"] if unit["unit"] == failure["unit"])
        for day in days
    ]
    assert (states[0], states[-1]) == ("well", "alarm")
    (outcomes,) = _named(events, "outcomes")
    assert (outcomes["failures"], outcomes["caught"], outcomes["false"]) == (1, 1, 0)
    first, again = _named(events, "trained")
    assert first["decision"]["kind"] == "promotion"
    assert again["rows"] > first["rows"]
    (addresses,) = _named(events, "addresses")
    assert addresses["unit"].endswith(f"/units/{FLEET}/{failure['unit']}")
