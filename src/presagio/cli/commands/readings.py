"""The command on one unit's readings: readings."""

from typing import Annotated

import polars as pl
import typer

from presagio.cli.composition import Parts
from presagio.cli.output import AsJson, FleetName, Home, print_json, print_table
from presagio.cli.tables import Column
from presagio.errors import NotFoundError
from presagio.ingest.events import read_events
from presagio.ingest.outputs import RECEIPT
from presagio.ingest.unit_lives import life_so_far
from presagio.ingest.unit_readings import unit_readings
from presagio.jobs.unit_request import unit_request
from presagio.machine.spec import MachineSpec
from presagio.readings.instants import written_time

# A terminal holds no more beside time and receipt; --json has them all.
_SHOWN_FEATURES = 6


def _print_rows(spec: MachineSpec, rows: pl.DataFrame) -> None:
    features = spec.feature_names[:_SHOWN_FEATURES]
    columns = [
        Column("Time"), *(Column(name, right=True, optional=True) for name in features),
        Column("Receipt", right=True),
    ]  # fmt: skip
    time = spec.needed_columns[1]
    print_table(
        columns,
        [
            (
                written_time(row[time]),
                *("" if row[f] is None else f"{row[f]:g}" for f in features), row[RECEIPT],
            )
            for row in rows.iter_rows(named=True)
        ],
    )  # fmt: skip


def readings(
    unit: Annotated[str, typer.Argument(help="The unit's name, as in its files.")],
    last: Annotated[
        int | None,
        typer.Option(min=1, max=1000, help="So many of its newest readings. By default what a "
                     "model can use: its life since the last failure or repair."),
    ] = None,
    fleet: FleetName = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Show a unit's newest readings, as the intake has filed them.

    With --json as the body of POST /predict: presagio readings 17 --json | curl -d @- … asks how
    the unit is. They are read from the parts that hold them, however many files there are.
    """
    intake = Parts(home, fleet).intake_of_units
    if last is None:
        rows = life_so_far(intake, unit, read_events(intake))
    else:
        rows = unit_readings(intake, unit, last)
    if rows.is_empty():
        hint = "; see: presagio receipts"
        if last is None:
            hint = " since its last failure or repair; --last N shows earlier ones"
        raise NotFoundError(f"no reading of unit {unit} is known{hint}")
    if as_json:
        print_json(unit_request(intake.spec, unit, rows))
        return
    _print_rows(intake.spec, rows)
