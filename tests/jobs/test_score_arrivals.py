"""Files are scored once on arrival: states of units follow, and cases open and close."""

import json
import logging
import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from uuid import uuid4

import polars as pl
import pytest
from pydantic import SecretStr

from presagio.errors import RegistryError, StorageError
from presagio.ingest.again import check_again
from presagio.ingest.checking import check_file
from presagio.jobs.arrived_readings import events_in
from presagio.jobs.score_arrivals import score_arrivals
from presagio.lifecycle.unit_cases import follow_events
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from presagio.registry.loading import load_version
from presagio.registry.reader import open_reader
from presagio.registry.writer import open_registry
from presagio.scoring.frames import score_frame
from presagio.settings import Settings
from presagio.storage.arrivals import Scored, Scoring
from presagio.storage.ledger import Ledger
from presagio.training.train import TrainedModel
from tests.arriving import LIFE, Arriving, life, new_fleet
from tests.champions import register_champion
from tests.conftest import RunningServices
from tests.engines import engines

pytestmark = pytest.mark.integration


def test_a_unit_goes_from_well_to_alarm_file_by_file(fleet: Arriving) -> None:
    fleet.file("a.csv", life(0, 30), life(0, 30, unit="E2"))
    first = fleet.score()
    assert (first.receipts, first.rows, first.units, first.opened) == (1, 60, 2, 0)
    assert fleet.states() == {"E1": "well", "E2": "well"}
    fleet.file("b.csv", life(30, -12))
    last = fleet.file("c.csv", life(-12, LIFE))
    second = fleet.score()
    assert (second.receipts, second.opened, second.waiting) == (2, 1, 0)
    assert fleet.states() == {"E1": "alarm", "E2": "well"}
    (case,) = fleet.cases()
    assert (case.unit, case.mode, case.is_open, case.version) == ("E1", "", True, "1")
    assert case.diagnosis is not None
    assert case.diagnosis["contributions"]
    state = fleet.intake.ledger.unit_states().one("E1")
    assert state is not None
    assert (state.receipt_id, state.reading_at, state.label) == (last.id, f"{LIFE}.0", True)
    assert state.remaining_life is not None
    assert state.diagnosis is not None


def test_scores_are_those_of_the_whole_life_at_once(fleet: Arriving, champion: Settings) -> None:
    for name, begin, end in (("a", 0, 25), ("b", 25, 60), ("c", 60, LIFE)):
        fleet.file(f"{name}.csv", life(begin, end))
        fleet.score()
    found = fleet.scores().sort("cycle")
    rows = check_file(life(0, LIFE).write_csv().encode(), engines()).accepted
    registry = open_registry(champion)
    predictor = load_version(registry, registry.resolve(), engines(), champion)
    whole = score_frame(predictor, rows)
    assert found["label"].to_list() == whole["label"].to_list()
    assert found["score"].to_numpy() == pytest.approx(whole["score"].to_numpy(), abs=1e-9)
    assert set(found["model"]) == {champion.model_name}
    diagnosed = found.filter(pl.col("diagnosis").is_not_null())
    assert json.loads(diagnosed["diagnosis"][-1])["contributions"]


def test_a_file_is_scored_once_whatever_comes_after(
    fleet: Arriving, champion: Settings, engine_model: TrainedModel, tmp_path: Path
) -> None:
    receipt = fleet.file("a.csv", life(0, 30))
    fleet.score()
    assert fleet.score() == fleet.score()
    assert fleet.score().receipts == 0
    other = champion.model_copy(update={"model_name": f"engines_{uuid4().hex[:8]}"})
    for _ in range(2):
        register_champion(engine_model, open_registry(other), tmp_path / uuid4().hex)
    moved = Arriving(
        fleet.settings.model_copy(update={"model_name": other.model_name}), fleet.intake
    )
    assert moved.score().receipts == 0
    noted = fleet.intake.ledger.arrivals().scored(receipt.id)
    assert noted is not None
    assert (noted["version"], noted["rows"], noted["units"]) == ("1", 30, 1)
    later = moved.file("b.csv", life(30, 40))
    assert moved.score().receipts == 1
    noted = fleet.intake.ledger.arrivals().scored(later.id)
    assert noted is not None
    assert noted["version"] == "2"


def test_an_older_file_does_not_turn_the_state_back(fleet: Arriving) -> None:
    fleet.file("new.csv", life(-12, LIFE))
    fleet.score()
    before = fleet.intake.ledger.unit_states().one("E1")
    fleet.file("old.csv", life(0, 40))
    assert fleet.score().rows == 40
    assert fleet.intake.ledger.unit_states().one("E1") == before
    assert len(fleet.scores()) == 52


def test_quiet_readings_close_a_case(fleet: Arriving) -> None:
    fleet.file("a.csv", life(-8, LIFE))
    fleet.score()
    young = life(0, 40).with_columns(pl.col("cycle") + LIFE)
    fleet.file("b.csv", young)
    assert fleet.score().closed == 1
    (case,) = fleet.cases()
    assert (case.outcome, case.closed_by) == ("quiet", "presagio")
    assert fleet.states() == {"E1": "well"}


@pytest.mark.parametrize(("kind", "outcome"), [("failure", "failure"), ("repair", "repaired")])
def test_an_event_of_a_log_closes_a_case(fleet: Arriving, kind: str, outcome: str) -> None:
    fleet.file("a.csv", life(-12, LIFE), life(-12, LIFE, unit="E2"))
    fleet.score()
    log = fleet.log("log.csv", ("E1", LIFE, kind), ("E2", LIFE - 11, "error"))
    done = fleet.score()
    assert (done.events, done.closed) == (2, 1)
    first, second = fleet.cases()
    closed, open_one = (first, second) if first.unit == "E1" else (second, first)
    assert (closed.unit, closed.outcome) == ("E1", outcome)
    entry = fleet.intake.ledger.alarms().entries(closed.id)[-1]
    assert entry.detail["receipt_id"] == log.id
    assert str(entry.sentence) == entry.why
    assert open_one.is_open
    # Of the life that is over nothing is expected, and of the next one nothing is known.
    assert fleet.states() == {"E1": "no data", "E2": "alarm"}
    state = fleet.intake.ledger.unit_states().one("E1")
    assert state is not None
    assert (state.probability, state.remaining_life, state.diagnosis) == (None, None, None)
    # The next life begins with nothing on; its windows look at nothing before.
    fleet.file("b.csv", life(0, 20).with_columns(pl.col("cycle") + LIFE))
    fleet.score()
    assert fleet.states()["E1"] == "well"


def test_a_log_that_is_checked_again_tells_of_what_it_has_now(fleet: Arriving) -> None:
    log = fleet.log("log.csv", ("e1", 3, "error"), ("E2", 3, "error"))
    of_other = fleet.log("other.csv", ("E2", 3, "error"), ("E2", 4, "repair")).id
    assert fleet.score().events == 4

    def known() -> set[tuple[str, float, int]]:
        with fleet.intake.ledger._engine.begin() as connection:
            scoring = Scoring(connection, fleet.settings.fleet, log)
            return {(e.unit, e.time, e.receipt_id) for e in scoring.events(["e1", "E1", "E2"])}

    def check_by(**changes: object) -> None:
        spec = engines().model_copy(update=changes)
        (again,) = check_again(replace(fleet.intake, spec=spec), [log.id])
        assert again.after is not None
        with fleet.intake.ledger.arrivals().scoring(log.id) as scoring:
            assert (scoring is not None) == (again.after.outcome.verdict == "processed")
            if scoring is not None:
                follow_events(scoring, events_in(fleet.intake, again.after))
                scoring.record(Scored("", "", 0, 0, ()))

    assert known() == {("e1", 3.0, log.id), ("E2", 3.0, log.id), ("E2", 4.0, of_other)}
    unit = engines().unit
    assert unit is not None
    check_by(unit=unit.model_copy(update={"names": "folded"}))
    assert known() == {("E1", 3.0, log.id), ("E2", 3.0, log.id), ("E2", 4.0, of_other)}
    check_by(missing_values=("e1", "e2"))
    assert known() == {("E2", 3.0, of_other), ("E2", 4.0, of_other)}
    check_by()
    assert known() == {("e1", 3.0, log.id), ("E2", 3.0, log.id), ("E2", 4.0, of_other)}
    assert fleet.score().waiting == 0


def test_a_case_that_was_closed_as_false_is_not_opened_by_the_next_reading(
    fleet: Arriving,
) -> None:
    fleet.file("a.csv", life(-12, -6))
    fleet.score()
    (case,) = fleet.cases()
    fleet.intake.ledger.alarms().close(case.id, "false", "ana", "sensor was loose")
    assert fleet.states() == {"E1": "watch"}
    fleet.file("b.csv", life(-6, LIFE))
    assert fleet.score().opened == 0
    assert fleet.states() == {"E1": "watch"}


def test_without_a_champion_nothing_is_scored(champion: Settings, ledger: Ledger) -> None:
    name = f"none_{uuid4().hex[:8]}"
    open_registry(champion.model_copy(update={"model_name": name})).ensure_model()
    fleet = new_fleet(champion, ledger, model_name=name)
    fleet.file("a.csv", life(0, 30))
    done = fleet.score()
    assert (done.receipts, done.waiting) == (0, 1)
    assert done.why is not None
    assert done.why.startswith("nothing is scored")
    away = fleet.settings.model_copy(update={"mlflow_url": "http://127.0.0.1:9"})
    with pytest.raises(RegistryError):
        score_arrivals(away, fleet.intake, open_reader(away))


def test_a_file_that_cannot_be_scored_does_not_keep_others_waiting(fleet: Arriving) -> None:
    lost = fleet.file("lost.csv", life(0, 30))
    fleet.intake.store.remove(fleet.settings.data_bucket, lost.outcome.curated_keys)
    fleet.file("good.csv", life(-12, LIFE, unit="E2"))
    done = fleet.score()
    assert (done.receipts, done.waiting) == (1, 1)
    assert "is gone" in done.faults[lost.id]
    # It is put off, and tried again later.
    assert fleet.score().faults == {}


def test_a_log_that_the_ledger_refuses_does_not_keep_others_waiting(fleet: Arriving) -> None:
    """An error's code of any length is taken, and one of 3,000 bytes fits into no index."""
    code = random.Random(1).randbytes(1500).hex()
    refused = fleet.coded_log("log.csv", code)
    fleet.file("good.csv", life(-12, LIFE, unit="E2"))
    done = fleet.score()
    assert (done.receipts, done.opened, done.waiting) == (1, 1, 1)
    assert "the ledger refuses" in done.faults[refused.id]


def test_a_file_over_which_processes_end_does_not_keep_others_waiting(fleet: Arriving) -> None:
    """As one does that takes more memory than there is."""
    large = fleet.file("large.csv", life(0, 30))
    fleet.file("good.csv", life(-12, LIFE, unit="E2"))

    def end(_step: str) -> None:
        raise SystemExit

    for _ in range(5):
        with pytest.raises(SystemExit):
            fleet.score(on_step=end)
    done = fleet.score()
    assert (done.receipts, done.opened, done.waiting) == (1, 1, 1)
    assert "5 processes that scored it came to no end" in done.faults[large.id]


def test_an_outage_is_no_fault_of_the_file_that_it_came_over(
    fleet: Arriving, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.file("a.csv", life(0, 30))

    def fail(*_: object) -> None:
        raise StorageError("S3 is down")

    monkeypatch.setattr(fleet.intake.store, "write", fail)
    for _ in range(6):
        with pytest.raises(StorageError):
            fleet.score()
    monkeypatch.undo()
    assert fleet.score().receipts == 1


def test_files_of_an_earlier_version_of_the_ledger_and_outcomes_wait_for_nobody(
    fleet: Arriving,
) -> None:
    fleet.file("feedback/outcomes-1.csv", life(0, 30))
    done = fleet.score()
    assert (done.receipts, done.rows, done.waiting) == (0, 0, 0)
    assert fleet.states() == {}


class _Webhook(HTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[dict[str, str]] = []
        self.status = 200
        self.refuses = "nothing"


class _Handler(BaseHTTPRequestHandler):
    server: _Webhook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append(json.loads(body))
        is_refused = self.server.refuses in self.server.got[-1]["text"]
        self.send_response(400 if is_refused else self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def webhook() -> Iterator[_Webhook]:
    server = _Webhook()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_people_are_notified_of_each_case_once(
    fleet: Arriving, webhook: _Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    address = SecretStr(f"http://127.0.0.1:{webhook.server_port}/secret")
    settings = fleet.settings.model_copy(update={"alert_webhook": address})
    fleet = Arriving(settings, fleet.intake)
    fleet.file("a.csv", life(-12, LIFE), life(-12, LIFE, unit="E2"))
    webhook.status = 500
    failed = fleet.score()
    assert (failed.opened, failed.notified, len(webhook.got)) == (2, 0, 1)
    webhook.status = 200
    with caplog.at_level(logging.WARNING):
        assert fleet.score().notified == 2
    assert "alarm" in caplog.text
    assert "secret" not in caplog.text
    assert fleet.score().notified == 0
    assert sorted(one["subject"] for one in webhook.got[1:]) == [
        f"alarm {case.id}" for case in fleet.cases()
    ]
    assert "unit E1" in webhook.got[0]["text"] or "unit E2" in webhook.got[0]["text"]
    assert f"{settings.console_url}/alarms/" in webhook.got[0]["text"]


def test_a_message_that_the_webhook_refuses_keeps_no_other_waiting(
    fleet: Arriving, webhook: _Webhook
) -> None:
    address = SecretStr(f"http://127.0.0.1:{webhook.server_port}/")
    settings = fleet.settings.model_copy(update={"alert_webhook": address})
    fleet = Arriving(settings, fleet.intake)
    fleet.file("a.csv", life(-12, LIFE, unit="<!channel>"))
    fleet.file("b.csv", life(-12, LIFE, unit="E2"))
    webhook.refuses = "channel"
    assert fleet.score().notified == 1
    assert "unit E2" in webhook.got[1]["text"]
    webhook.refuses = "nothing"
    assert fleet.score().notified == 1


def test_two_runs_at_once_end_as_one(fleet: Arriving) -> None:
    fleet.file("a.csv", life(0, 60))
    fleet.file("b.csv", life(60, LIFE))
    done, errors = [], list[BaseException]()

    def run() -> None:
        try:
            done.append(fleet.score())
        except BaseException as err:  # noqa: BLE001 - shown by the assertion
            errors.append(err)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sum(one.receipts for one in done) == 2
    assert sum(one.opened for one in done) == sum(one.notified for one in done) == 1
    assert len(fleet.scores()) == LIFE


def test_a_machine_without_units_has_scores_and_no_states(
    services: RunningServices, ledger: Ledger, spec: MachineSpec, trained: TrainedModel,
    tmp_path: Path,
) -> None:  # fmt: skip
    name = f"plain_{uuid4().hex[:8]}"
    changes = {"model_name": name, "experiment": name, "home": tmp_path / "home"}
    settings = services.settings.model_copy(update=changes)
    register_champion(trained, open_registry(settings), tmp_path / "files")
    fleet = new_fleet(settings, ledger, model_name=name)
    fleet = replace(fleet, intake=replace(fleet.intake, spec=spec))
    fleet.file("a.csv", *simulate(spec, 300, seed=1))
    done = fleet.score()
    assert (done.receipts, done.rows, done.units) == (1, 300, 0)
    assert (
        done.why == "scores are written; no states of units, since the machine spec has no [unit]"
    )
    found = fleet.scores()
    alarms = found.filter("label")
    assert len(found) == 300
    assert len(alarms) == alarms["diagnosis"].drop_nulls().len() > 0


def test_a_run_whose_time_is_over_leaves_the_rest_to_the_next(fleet: Arriving) -> None:
    for name in ("a", "b"):
        fleet.file(f"{name}.csv", life(0, 30, unit=name))
    assert fleet.score(limit_s=0).waiting == 2
    assert fleet.score().receipts == 2
