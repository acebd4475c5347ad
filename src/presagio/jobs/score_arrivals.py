"""Score what the intake has accepted, each file once: scores, states of units, and cases."""

import logging
import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

from presagio.errors import NoChampionError, RefusedValueError, RegistryError, StorageError
from presagio.inference.predictor import Predictor
from presagio.ingest.filing import Intake
from presagio.ingest.unit_readings import readings_of
from presagio.jobs.arrived_readings import ArrivedReadings, events_in
from presagio.lifecycle.alarm_notices import notify
from presagio.lifecycle.alerts import Alerts
from presagio.lifecycle.outcomes import FEEDBACK
from presagio.lifecycle.unit_cases import CaseCounts, UnitCases, follow_events
from presagio.machine.spec import MachineSpec
from presagio.registry.loading import load_version
from presagio.registry.reader import RegistryReader
from presagio.registry.versions import RegisteredVersion
from presagio.settings import SCORES, Settings
from presagio.storage.arrivals import Scored, Scoring
from presagio.storage.receipt import Receipt

_log = logging.getLogger(__name__)
# So many receipts are scored before it is asked again who is champion.
_PAGE = 100
# What was read of earlier files is kept in memory for the other units of a file.
_KEPT_BYTES = 256 << 20
_PUT_OFF_S = 60.0
# A file over which so many processes ended, such as for memory, lets others go first.
_MOST_ENDED = 5
# A clock of another time zone is less than so much ahead.
_AHEAD = timedelta(days=1)

Step = Literal["taken", "scored", "written", "followed", "recorded", "committed", "notified"]
STEPS: tuple[Step, ...] = get_args(Step)


@dataclass(frozen=True)
class ArrivalSummary:
    """What came of one run.

    Attributes
    ----------
    receipts, rows, units
        What was scored: files, their rows, and units with a newer state.
    events
        Of which logs of events were followed: how many events.
    opened, closed
        Cases.
    notified
        Cases of which people were notified.
    waiting
        Files that still wait.
    faults
        Number of a receipt → why it could not be scored; it is tried again later.
    why
        Why nothing was scored, or no states were kept; None where all was.
    """

    receipts: int = 0
    rows: int = 0
    units: int = 0
    events: int = 0
    opened: int = 0
    closed: int = 0
    notified: int = 0
    waiting: int = 0
    faults: dict[int, str] = field(default_factory=dict)
    why: str | None = None

    def with_counts(self, **more: int) -> "ArrivalSummary":
        """Return it with counts added."""
        return replace(self, **{name: getattr(self, name) + n for name, n in more.items()})


def _ignore(_: object) -> None: ...


@dataclass(frozen=True)
class _Champion:
    version: RegisteredVersion
    predictor: Predictor


class ArrivalScoring:
    """Scores the files of a fleet that wait, oldest first.

    Parameters
    ----------
    settings
        Where scores go, and whom to alert.
    intake
        Store and ledger of the fleet.
    reader
        Its registered model.
    on_step
        Called after each step, with its name.
    """

    def __init__(
        self, settings: Settings, intake: Intake, reader: RegistryReader, *,
        on_step: Callable[[Step], None] = _ignore,
    ) -> None:  # fmt: skip
        self._settings, self._intake, self._reader = settings, intake, reader
        self._on_step, self._arrivals = on_step, intake.ledger.arrivals()
        self._champion: _Champion | None = None
        self._summary = ArrivalSummary()

    def run(self, *, limit_s: float = math.inf) -> ArrivalSummary:
        """Score what waits until nothing does, then notify people of cases that were opened.

        Parameters
        ----------
        limit_s
            After so many seconds no further file is begun: it waits for the next run.

        Raises
        ------
        InvalidArtifactError, RegistryError, StorageError
            If the champion cannot be had, or store or ledger fail; what was scored is scored.
        """
        bucket, until = self._intake.prefixes.bucket, time.monotonic() + limit_s
        while time.monotonic() < until:
            if not (numbers := self._arrivals.waiting(bucket, limit=_PAGE)):
                break
            try:
                champion = self._champion = self._load()
            except NoChampionError as err:
                self._summary = replace(self._summary, why=f"nothing is scored: {err}")
                break
            for place, number in enumerate(numbers):
                if time.monotonic() >= until:
                    break
                # Over which file a process ended is not noted of each: the next run begins with it.
                if place or not self._is_put_off(number):
                    self._score(number, champion)
        self._notify()
        if self._summary.rows and self._intake.spec.unit is None:
            why = "scores are written; no states of units, since the machine spec has no [unit]"
            self._summary = replace(self._summary, why=why)
        waiting, _ = self._arrivals.backlog(bucket)
        return replace(self._summary, waiting=waiting)

    def _load(self) -> _Champion:
        version = self._reader.resolve()
        if self._champion is not None and self._champion.version == version:
            return self._champion
        predictor = load_version(self._reader, version, self._intake.spec, self._settings)
        return _Champion(version, predictor)

    def _is_put_off(self, number: int) -> bool:
        """Tell whether a receipt is put off, since too many processes ended over it."""
        if (ended := self._arrivals.begin(number)) < _MOST_ENDED:
            return False
        fault = f"{ended} processes that scored it came to no end; look for memory and time limits"
        _log.error("receipt %d is put off: %s", number, fault)
        self._put_off(number, fault, self._summary)
        return True

    def _put_off(self, number: int, fault: str, before: ArrivalSummary) -> None:
        self._summary = replace(before, faults={**before.faults, number: fault})
        self._arrivals.put_off(number, fault, seconds=_PUT_OFF_S)

    def _score(self, number: int, champion: _Champion) -> None:
        before = self._summary
        try:
            with self._arrivals.scoring(number) as scoring:
                if scoring is not None:
                    self._on_step("taken")
                    self._score_receipt(scoring, champion)
        except Exception as err:
            is_unavailable = isinstance(err, StorageError | RegistryError)
            if is_unavailable and not isinstance(err, RefusedValueError):
                self._summary = before
                with suppress(StorageError):
                    self._arrivals.let_go(number)
                raise
            # Said and counted; the other files go on.
            _log.exception("receipt %d cannot be scored", number)
            self._put_off(number, f"{type(err).__name__}: {err}", before)
            return
        self._on_step("committed")

    def _score_receipt(self, scoring: Scoring, champion: _Champion) -> None:
        receipt = scoring.receipt
        if self._intake.is_of_events(receipt.identity.key):
            events = events_in(self._intake, receipt)
            counts = follow_events(scoring, events)
            self._on_step("followed")
            scored = Scored("", "", 0, 0, ())
            self._add(counts, events=len(events))
        elif receipt.identity.key.startswith(f"{self._intake.prefixes.incoming}{FEEDBACK}"):
            # Outcomes of readings that came before.
            scored = Scored("", "", 0, 0, ())
        else:
            scored = self._score_readings(scoring, champion)
        scoring.record(scored)
        self._on_step("recorded")

    def _add(self, counts: CaseCounts, **more: int) -> None:
        self._summary = self._summary.with_counts(
            opened=counts.opened, closed=counts.closed, **more
        )

    def _score_readings(self, scoring: Scoring, champion: _Champion) -> Scored:
        name, version = champion.version.name, champion.version.version
        curated = readings_of(self._intake, kept_bytes=_KEPT_BYTES)
        arrived = ArrivedReadings(self._intake, champion.predictor, scoring, curated)
        keys = []
        for place, body in enumerate(arrived.parts({"model": name, "version": version})):
            self._on_step("scored")
            keys.append(_key(self._settings, scoring.receipt, place))
            self._intake.store.write(self._settings.data_bucket, keys[-1], body)
            self._on_step("written")
        if arrived.left_out:
            _log.warning(
                "receipt %d: %d rows lack an input that the machine spec has now, and are not "
                "scored", scoring.receipt.id, arrived.left_out,
            )  # fmt: skip
        spec = self._intake.spec
        follow = UnitCases(
            scoring, spec.alarm, name, version, arrived.explain, _latest(spec)
        )  # fmt: skip
        counts = follow.follow(arrived.units)
        if follow.ahead:
            _log.warning(
                "receipt %d: %d readings are of the future and change no state of a unit; look at "
                "the clock of what wrote them", scoring.receipt.id, follow.ahead,
            )  # fmt: skip
        self._on_step("followed")
        units = len(arrived.units)
        self._add(counts, receipts=1, rows=arrived.rows, units=units)
        return Scored(name, version, arrived.rows, units, keys)

    def _notify(self) -> None:
        alerts = Alerts(self._settings, self._intake.store)
        cases = self._intake.ledger.alarms()
        console_url = self._settings.console_url
        for _ in notify(self._settings.fleet, cases, alerts, console_url=console_url):
            self._summary = self._summary.with_counts(notified=1)
            self._on_step("notified")


def _latest(spec: MachineSpec) -> float | None:
    """Return the last time that a reading can be of; None where times are counts."""
    if spec.time is None or spec.time.is_counter:
        return None
    return (datetime.now(UTC) + _AHEAD).timestamp() * 1e6


def _key(settings: Settings, receipt: Receipt, place: int) -> str:
    day = f"date={receipt.created_at:%Y-%m-%d}"
    return f"{settings.place(SCORES)}{day}/receipt-{receipt.id}-part-{place}.parquet"


def score_arrivals(
    settings: Settings, intake: Intake, reader: RegistryReader, *, limit_s: float = math.inf,
    on_step: Callable[[Step], None] = _ignore,
) -> ArrivalSummary:  # fmt: skip
    """Score what waits: see :class:`ArrivalScoring`."""
    return ArrivalScoring(settings, intake, reader, on_step=on_step).run(limit_s=limit_s)


def as_json(summary: ArrivalSummary) -> dict[str, Any]:
    """Return a summary as JSON has it."""
    return {**vars(summary), "faults": {str(n): why for n, why in summary.faults.items()}}
