"""The command on failures, repairs and errors: events."""

from pathlib import Path
from typing import Annotated

import typer

from presagio.cli.composition import Parts
from presagio.cli.exit_status import leave_unless_done
from presagio.cli.index import first_of
from presagio.cli.output import AsJson, FleetName, Home, print_json, print_table, say, warn
from presagio.cli.sending import check_suffixes, send_files
from presagio.cli.tables import Column
from presagio.ingest.events import LoggedEvents, read_events
from presagio.machine.event_log import EVENTS
from presagio.machine.learning import IS_FAILURE, IS_REPAIR, MODE
from presagio.readings.instants import written_time

_EVENTS = (
    Column("Time"), Column("Unit", "middle", least=8), Column("Kind", styles={"failure": "red"}),
    Column("Mode", optional=True), Column("Receipt", right=True),
)  # fmt: skip


def _print_events(logged: LoggedEvents, unit: str | None, *, as_json: bool) -> None:
    rows = logged.rows if unit is None else logged.rows.filter(logged.rows["unit"] == unit)
    found = []
    for row in rows.iter_rows(named=True):
        kind = "failure" if row[IS_FAILURE] else "repair" if row[IS_REPAIR] else "error"
        found.append((written_time(row["time"]), row["unit"], kind, row[MODE], row["receipt"]))
    if as_json:
        for event in found:
            print_json(dict(zip(("time", "unit", "kind", "mode", "receipt"), event, strict=True)))
        return
    print_table(_EVENTS, [tuple("" if cell is None else cell for cell in one) for one in found])
    if not found:
        warn("No event is known yet: presagio events FILE")
    elif unit is None:
        say(", ".join(f"{name.replace('_', ' ')} {n}" for name, n in logged.found.items()))


def events(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            exists=True, dir_okay=False, readable=True,
            help="CSV, Parquet or Excel files with unit, time, kind (failure, repair or error) and "
            "mode.",
        ),
    ] = None,
    unit: Annotated[str | None, typer.Option(help="Show events of this unit only.")] = None,
    wait: Annotated[bool, typer.Option(help="Wait until the watcher has filed each one.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for each.")] = 120.0,
    fleet: FleetName = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Send failures, repairs and errors; without FILE, list those that are known.

    They go through the intake like readings and have their receipts. The next training joins labels
    from them: a failure or a repair ends a life of its unit.
    """
    intake = Parts(home, fleet).intake_of_units
    if not files:
        _print_events(read_events(intake), unit, as_json=as_json)
        return
    check_suffixes(files)
    met = send_files(
        intake, files, below=EVENTS, timeout_s=timeout if wait else None, as_json=as_json
    )
    leave_unless_done(first_of("events", met))
