"""Commands on alarms: list and show them, acknowledge, assign, note, close with an outcome."""

import getpass
from enum import StrEnum
from typing import Annotated, Any

import typer

from presagio.cli.composition import Parts
from presagio.cli.output import (
    AsJson,
    FleetName,
    Home,
    local_time,
    print_fields,
    print_json,
    print_table,
    rounded,
    say,
    warn,
)
from presagio.cli.tables import Column
from presagio.inference.diagnosis_words import describe
from presagio.jobs.alarms import close_alarm
from presagio.storage.alarm_cases import AlarmCase
from presagio.storage.alarm_entries import AlarmEntry
from presagio.storage.alarms import Alarms

Number = Annotated[int, typer.Argument(metavar="ID", help="Number of the alarm.")]


class OutcomeName(StrEnum):
    """What an alarm was."""

    failure = "failure"
    repair = "repair"
    false = "false"


_ALARMS = (
    Column("Alarm", right=True), Column("Unit", "middle", least=8), Column("Mode", optional=True),
    Column("Opened", "words"), Column("Probability", right=True), Column("Reading", "words"),
    Column("Assigned", "middle", optional=True), Column("Outcome", styles={"open": "red"}),
    Column("Closed by", "middle", optional=True),
)  # fmt: skip
_ENTRIES = (
    Column("When", "words"),
    Column("What"),
    Column("Who", "middle"),
    Column("Why", "words"),
)


def _alarms(parts: Parts) -> Alarms:
    return Alarms(parts.database, parts.settings.fleet)


def _alarm_row(case: AlarmCase) -> tuple[Any, ...]:
    return (
        case.id, case.unit, case.mode, local_time(case.opened_at), rounded(case.probability),
        case.reading_at or "", case.assigned_to or "", case.outcome or "open",
        case.closed_by or "",
    )  # fmt: skip


def _entry_row(one: AlarmEntry) -> tuple[str, ...]:
    why = one.why or str(one.detail.get("to", ""))
    return (local_time(one.at), one.outcome or one.kind, one.who, why)


def _as_json(parts: Parts, case: AlarmCase, entries: list[AlarmEntry] | None = None) -> None:
    more = {} if entries is None else {"entries": [vars(entry) for entry in entries]}
    print_json({**vars(case), "fleet": parts.fleet.name, **more})


def list_alarms(
    unit: Annotated[str | None, typer.Option(help="Alarms of this unit only.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Closed ones too.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 50,
    fleet: FleetName = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List the open alarms, the newest first; `presagio alarms` is short for it.

    An alarm is opened when so many of a unit's newest readings say that it will fail ([alarm]
    confirm in the machine spec), one a unit and failure mode. It is closed by a person, by a
    failure or repair in a log of events, or by so many quiet readings ([alarm] quiet).
    """
    parts = Parts(home, fleet)
    found = _alarms(parts).cases(unit=unit, open_only=not every, limit=limit)
    if as_json:
        for case in found:
            _as_json(parts, case)
        return
    print_table(_ALARMS, [_alarm_row(case) for case in found])
    if not found:
        warn("No alarm is open." if not every else "There was no alarm.")


def show(
    number: Number, fleet: FleetName = None, home: Home = None, as_json: AsJson = False
) -> None:
    """Show an alarm with its diagnosis and all that happened to it."""
    parts = Parts(home, fleet)
    case, entries = _alarms(parts).case(number), _alarms(parts).entries(number)
    if as_json:
        _as_json(parts, case, entries)
        return
    shown = {name: value for name, value in vars(case).items() if name != "diagnosis"}
    print_fields({**shown, "fleet": parts.fleet.name})
    if case.diagnosis:
        for sentence in describe(parts.fleet.spec, case.diagnosis).all:
            say(str(sentence))
    print_table(_ENTRIES, [_entry_row(one) for one in entries])


def close(
    number: Number,
    outcome: Annotated[
        OutcomeName,
        typer.Option(metavar="OUTCOME", help="What it was: failure, repair or false."),
    ],
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="Why, for the ledger.")],
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="When the failure or repair was; by default at the unit's newest reading.",
        ),
    ] = None,
    fleet: FleetName = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Close an alarm with its outcome, from which the next training learns.

    failure and repair become an event of the unit, in a log that goes through the intake; readings
    after it are of a new life. false is kept in the ledger of alarms.
    """
    parts = Parts(home, fleet)
    done = close_alarm(parts.intake, number, outcome.value, who=getpass.getuser(), why=why, at=at)
    if as_json:
        key = None if done.event is None else done.event.key
        print_json({**vars(done.case), "fleet": parts.fleet.name, "event": key, "at": done.at})
        return
    say(f"alarm {number} of unit {done.case.unit} is closed: {outcome.value}")
    if done.event is not None:
        say(f"{outcome.value} at {done.at} goes through the intake as {done.event.key}")


def _changed(entry: AlarmEntry, words: str, *, as_json: bool) -> None:
    if as_json:
        print_json(vars(entry))
    else:
        say(f"alarm {entry.alarm_id} is {words}")


def acknowledge(
    number: Number, fleet: FleetName = None, home: Home = None, as_json: AsJson = False
) -> None:
    """Note that you have seen an alarm."""
    parts, who = Parts(home, fleet), getpass.getuser()
    _changed(_alarms(parts).acknowledge(number, who), "acknowledged", as_json=as_json)


def assign(
    number: Number,
    to: Annotated[str, typer.Option("--to", metavar="NAME", help="Who looks after it.")],
    fleet: FleetName = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Note who looks after an alarm."""
    parts, who = Parts(home, fleet), getpass.getuser()
    _changed(_alarms(parts).assign(number, who, to), f"assigned to {to}", as_json=as_json)


def note(
    number: Number,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What is to be known.")],
    fleet: FleetName = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Add a note to an alarm."""
    parts, who = Parts(home, fleet), getpass.getuser()
    _changed(_alarms(parts).note(number, who, text), "noted", as_json=as_json)
