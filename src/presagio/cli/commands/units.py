"""Commands on what is scored on arrival: units, score-arrivals."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

import typer

from presagio.cli.composition import Parts
from presagio.cli.exit_status import ExitStatus, leave_unless_done
from presagio.cli.output import (
    AsJson,
    FleetName,
    Home,
    local_time,
    print_json,
    print_table,
    rounded,
    say,
    warn,
)
from presagio.cli.tables import Column
from presagio.jobs import score_arrivals as arrivals
from presagio.storage.unit_states import STATES, State, UnitState, UnitStates


class StateName(StrEnum):
    """What state a unit is in."""

    alarm = "alarm"
    watch = "watch"
    well = "well"
    no_data = "no-data"

    @property
    def state(self) -> State:
        """The state as the ledger names it."""
        return next(state for state in STATES if state.replace(" ", "-") == self.value)


_RED = {"alarm": "red", "watch": "yellow"}
_UNITS = (
    Column("Unit", "middle", least=8), Column("State", styles=_RED), Column("Since", "words"),
    Column("Probability", right=True), Column("Mode", optional=True),
    Column("Left", right=True, optional=True), Column("Reading", "words"),
    Column("Receipt", right=True, optional=True), Column("Version", right=True, optional=True),
)  # fmt: skip


def _unit_row(one: UnitState, state: State) -> tuple[Any, ...]:
    return (
        one.unit, state, local_time(one.since), rounded(one.probability), one.mode or "",
        rounded(one.remaining_life, 1), one.reading_at or "", one.receipt_id, one.version,
    )  # fmt: skip


def units(
    state: Annotated[
        StateName | None,
        typer.Option(metavar="STATE", help="Those in this state: alarm, watch, well or no-data."),
    ] = None,
    search: Annotated[str, typer.Option(help="Those whose name has this in it.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many, the worst first.")] = 50,
    fleet: FleetName = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List the units, the worst first: state, probability of a failure, newest reading.

    alarm: a case is open (presagio alarms). watch: readings say so, or have done so until now.
    well: they do not. no data: no reading for PRESAGIO_UNIT_SILENT_H hours, or since a failure or a
    repair.
    """
    parts = Parts(home, fleet)
    silent = datetime.now(UTC) - timedelta(hours=parts.settings.unit_silent_h)
    states = UnitStates(parts.database, parts.settings.fleet)
    wanted = None if state is None else state.state
    found = states.page(state=wanted, search=search, limit=limit, silent_since=silent)
    if as_json:
        for one in found:
            shown = {name: value for name, value in vars(one).items() if name != "memory"}
            print_json({**shown, "fleet": parts.fleet.name, "state": one.shown(silent)})
        return
    print_table(_UNITS, [_unit_row(one, one.shown(silent)) for one in found])
    counts = states.counts(silent_since=silent)
    if not any(counts.values()):
        warn("No unit has been scored yet: presagio score-arrivals")
    else:
        say(", ".join(f"{name} {number:,}" for name, number in counts.items()))


def score_arrivals(fleet: FleetName = None, home: Home = None, as_json: AsJson = False) -> None:
    """Score the files that were filed since the last time, and open and close alarms by them.

    Each file is scored once, by the champion of then. The DAG score_arrivals does the same as soon
    as a file is filed. Scores lie in the data bucket, below scores/; presagio units shows states,
    presagio alarms what was opened.
    """
    parts = Parts(home, fleet)
    summary = arrivals.score_arrivals(parts.settings, parts.intake, parts.reader)
    if as_json:
        print_json(arrivals.as_json(summary))
    else:
        say(
            f"{summary.receipts:,} files scored: {summary.rows:,} rows of {summary.units:,} units; "
            f"{summary.events:,} events; alarms: {summary.opened:,} opened, {summary.closed:,} "
            f"closed, {summary.notified:,} notified. {summary.waiting:,} files wait."
        )
        if summary.why is not None:
            say(f"{summary.why[0].upper()}{summary.why[1:]}.")
    for number, fault in summary.faults.items():
        warn(f"receipt {number} cannot be scored now, and is tried again later: {fault}")
    leave_unless_done(ExitStatus.FAILED if summary.faults else ExitStatus.DONE)
