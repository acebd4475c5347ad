"""The second half of the demonstration: engines that age in fast motion, shown day by day."""

import getpass
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from presagio.cli.composition import Parts
from presagio.cli.decision_view import describe_decision, print_decision
from presagio.cli.demo_steps import Steps
from presagio.cli.output import rounded
from presagio.cli.training_view import training_progress
from presagio.console.addresses import address
from presagio.inference.diagnosis_words import describe
from presagio.jobs.alarm_outcomes import Failures, fleet_outcomes
from presagio.jobs.demo_fleet import (
    FLEET,
    Drop,
    History,
    add_demo_fleet,
    drop,
    lead_days,
    retrain,
    send,
    train_first,
    wait_until_filed,
)
from presagio.jobs.fast_motion import FastMotion, failure_of, fast_motion
from presagio.settings import CREDENTIALS_FILE
from presagio.storage.alarm_cases import AlarmCase
from presagio.storage.promotions import RecordedDecision
from presagio.storage.unit_states import UnitState
from presagio.training.train import TrainedModel

DAYS = 7
_STYLES = {"alarm": "red", "watch": "yellow"}


class AgeingFleet:
    """Shows a fleet from its first model to a failure, and what was learned from it.

    Parameters
    ----------
    deployment
        The deployment that runs.
    folder
        Where files are written before they are dropped.
    steps
        What prints.
    """

    def __init__(self, deployment: Parts, folder: Path, steps: Steps) -> None:
        self._deployment, self._folder, self._steps = deployment, folder, steps
        self._now, self._added = datetime.now(UTC), False

    def prepare(self) -> None:
        """Add the fleet where it is not there: its DAGs come half a minute later."""
        self._added = add_demo_fleet(self._deployment.deployment)

    def run(self) -> None:
        """Walk from the fleet's spec to its retrained model."""
        parts = Parts(self._deployment.deployment.home, FLEET)
        self._show_fleet(parts)
        past = History.write(parts.spec, self._folder)
        # Each training takes failures from the logs that are filed. Once more it is the same file.
        log = send(parts.intake, past.failures, is_log=True)
        self._first_model(parts, past)
        wait_until_filed(parts.intake, log)
        motion = fast_motion(parts.spec, f"{self._now:%m%d-%H%M%S}", self._now.date(), DAYS)
        self._days(parts, motion)
        self._failure(parts, motion)
        self._outcomes(parts)
        self._retrain(parts, past)
        self._addresses(parts, motion)

    def _show_fleet(self, parts: Parts) -> None:
        self._steps.begin("Another fleet is served beside the first one: engines that wear out")
        words = "added to the running stack" if self._added else "it is there from an earlier run"
        horizon = parts.spec.label.in_words
        text = f"fleet {FLEET}: {words}; which engine fails within {horizon}?"
        self._steps.show("fleet", text, fleet=FLEET, added=self._added)

    def _first_model(self, parts: Parts, past: History) -> None:
        self._steps.begin(f"A first small model, from {past.units} engines that failed last year")
        if (champion := parts.reader.find_champion()) is not None:
            text = f"{champion.name} version {champion.version} is champion already"
            self._steps.show("champion", text, version=champion.version)
            return
        with training_progress(as_json=self._steps.as_json) as progress:
            model, recorded = train_first(
                parts.promoter, parts.spec, parts.settings, past, who=getpass.getuser(),
                progress=progress,
            )  # fmt: skip
        self._trained(model, recorded)

    def _trained(self, model: TrainedModel, recorded: RecordedDecision) -> None:
        split, events = model.split, model.evaluation.events
        rows = len(split.train) + len(split.test)
        text = f"learned from {rows:,} readings"
        if events is not None:
            text += (
                f"; of {events.failures} engines set aside {events.caught} failures are foreseen, "
                f"{rounded(events.lead_p50, 1)} days before (median)"
            )
        self._steps.show("trained", text, rows=rows, decision=describe_decision(recorded))
        if not self._steps.as_json:
            print_decision(recorded, FLEET)

    def _days(self, parts: Parts, motion: FastMotion) -> None:
        first, last = motion.units[0], _letter(motion.units[-1])
        self._steps.begin(
            f"Engines {first} to {last} at work: a file a day is dropped, filed and scored"
        )
        self._day(parts, motion, "until then", motion.before)
        seen = set[int]()
        for day in motion.days:
            self._day(parts, motion, f"{day.date:%Y-%m-%d}", day.readings)
            for case in _cases(parts, motion):
                if case.id not in seen:
                    self._alarm(parts, case)
                seen.add(case.id)

    def _day(self, parts: Parts, motion: FastMotion, name: str, rows: pl.DataFrame) -> None:
        dropped = self._drop(parts, f"{motion.failing}-{name}", rows)
        known = parts.intake.ledger.unit_states()
        states = [state for unit in motion.units if (state := known.one(unit)) is not None]
        line = ", ".join(f"{_letter(one.unit)} {one.state}{_left(parts, one)}" for one in states)
        text = f"{name:<10}  {line}; scored {dropped.scored_s:.1f} s after the drop"
        self._steps.show(
            "day", text, style=_style(states),
            day=name, receipt=dropped.receipt.id, filed_s=dropped.filed_s,
            scored_s=dropped.scored_s, units=[_as_json(state) for state in states],
        )  # fmt: skip

    def _drop(self, parts: Parts, name: str, rows: pl.DataFrame, *, is_log: bool = False) -> Drop:
        path = self._folder / f"{name.replace(' ', '-')}.csv"
        rows.write_csv(path)
        return drop(parts.intake, path, is_log=is_log)

    def _alarm(self, parts: Parts, case: AlarmCase) -> None:
        url = f"{parts.settings.console_url}{address('alarms', str(case.id))}"
        why = describe(parts.spec, case.diagnosis).all if case.diagnosis else ()
        text = "\n".join([f"alarm {case.id}: engine {case.unit}", *map(str, why), url])
        self._steps.show(
            "alarm", text, style="red", alarm=case.id, unit=case.unit, reading=case.reading_at,
            probability=case.probability, console=url,
        )  # fmt: skip

    def _failure(self, parts: Parts, motion: FastMotion) -> None:
        self._steps.begin("The failure: a log of events is dropped, and the case is closed by it")
        dropped = self._drop(
            parts, f"{motion.failing}-failed", failure_of(parts.spec, motion), is_log=True
        )
        cases = [case for case in _cases(parts, motion) if case.unit == motion.failing]
        leads = [lead_days(parts.spec, case, motion.failed_at) for case in cases]
        at = f"{motion.failed_at:%Y-%m-%d %H:%M} UTC"
        text = f"engine {motion.failing} failed at {at}"
        for case, lead in zip(cases, leads, strict=True):
            outcome = case.outcome or "still open"
            text += f"\nalarm {case.id}: {outcome}; given {lead:.1f} days before the failure"
        if not cases:
            text += "\nno alarm was given before it: a missed failure"
        self._steps.show(
            "failure", text, unit=motion.failing, at=motion.failed_at, receipt=dropped.receipt.id,
            alarms=[
                {"alarm": case.id, "outcome": case.outcome, "lead_days": lead}
                for case, lead in zip(cases, leads, strict=True)
            ],
        )  # fmt: skip

    def _outcomes(self, parts: Parts) -> None:
        self._steps.begin("Did it help? All alarms of this fleet so far")
        zone = ZoneInfo(parts.settings.plant_time_zone)
        found = fleet_outcomes(parts.intake, parts.database, Failures.of(parts.intake), zone).total
        leads = ", ".join(f"{lead:.1f}" for lead in found.leads)
        text = (
            f"failures of engines that were watched: {found.failures}, of them {found.caught} "
            f"caught, {found.too_early} warned too early, {found.missed} missed\n"
            f"alarms: {found.alarms}, of them {found.false} false\n"
            f"lead times in days: {leads or 'none'}\n"
            f"cost {found.cost:g}; without alarms {found.cost_without:g}"
        )
        url = f"{parts.settings.console_url}{address('helped', fleet=FLEET)}"
        self._steps.show("outcomes", f"{text}\n{url}", **{**vars(found), "console": url})

    def _retrain(self, parts: Parts, past: History) -> None:
        self._steps.begin("Retraining on what was filed: the failure is learned from")
        with training_progress(as_json=self._steps.as_json) as progress:
            model, recorded = retrain(
                parts.promoter, parts.intake, past, who=getpass.getuser(), progress=progress
            )
        self._trained(model, recorded)

    def _addresses(self, parts: Parts, motion: FastMotion) -> None:
        self._steps.begin("Look for yourself")
        console = parts.settings.console_url
        unit = f"{console}{address('units', FLEET, motion.failing)}"
        text = (
            f"the engine   {unit}\n"
            f"the shift    {console}\n"
            f"sign in      user admin, PRESAGIO_ADMIN_PASSWORD in "
            f"{parts.settings.home / CREDENTIALS_FILE}\n"
            f"at the shell presagio alarms --fleet {FLEET} --all"
        )
        self._steps.show("addresses", text, unit=unit, shift=console)


def _cases(parts: Parts, motion: FastMotion) -> list[AlarmCase]:
    """Return the cases of the engines at work, the oldest first."""
    alarms = parts.intake.ledger.alarms()
    found = [case for unit in motion.units for case in alarms.cases(unit=unit)]
    return sorted(found, key=lambda case: case.id)


def _letter(unit: str) -> str:
    """Return what engines of one run differ by: the rest of their names is the run."""
    return unit.rpartition("-")[2]


def _left(parts: Parts, one: UnitState) -> str:
    if one.state == "well" or one.remaining_life is None:
        return ""
    return f" ({one.remaining_life:.1f} {parts.spec.day_name} left)"


def _style(states: Sequence[UnitState]) -> str:
    return next((_STYLES[one] for one in _STYLES if one in {s.state for s in states}), "")


def _as_json(one: UnitState) -> dict[str, Any]:
    return {
        "unit": one.unit, "state": one.state, "probability": one.probability,
        "reading": one.reading_at, "remaining_life": one.remaining_life,
    }  # fmt: skip
