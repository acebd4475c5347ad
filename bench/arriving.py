"""From the drop of a small file to an alarm about one of its units, on an idle stack.

And from the drop of one file with readings of thousands of units to the state of each.
"""

import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import sqlalchemy as sa

from bench.report import table, write
from bench.running import running_stack
from bench.sizes import Size
from presagio.cli.composition import Parts
from presagio.errors import StackError
from presagio.jobs.demo_fleet import (
    FLEET,
    History,
    add_demo_fleet,
    drop,
    send,
    train_first,
    wait_until_filed,
)
from presagio.jobs.fast_motion import FastMotion, fast_motion
from presagio.storage.alarms import Alarms

_DAYS, _LIMIT_S, _MANY_LIMIT_S, _POLL_S = 7, 120.0, 1200.0, 0.05
# Until all DAGs wait again.
_PAUSE_S = 15.0
# Readings of each unit in a file of many.
_OF_EACH = 12
_KNOWN = sa.text(
    "SELECT count(*) FROM unit_states "
    "WHERE fleet = :fleet AND starts_with(unit, :prefix) AND receipt_id = :receipt"
)


def _prepare(parts: Parts, folder: Path) -> None:
    """Give the fleet its first champion."""
    past = History.write(parts.spec, folder)
    log = send(parts.intake, past.failures, is_log=True)
    train_first(
        parts.promoter, parts.spec, parts.settings, past, who="bench", progress=lambda *_: None
    )
    wait_until_filed(parts.intake, log)


def _of_failing(motion: FastMotion, path: Path, *rows: pl.DataFrame) -> Path:
    """Write the rows of the engine that fails; a unit's name is a reading's first column."""
    pl.concat(rows).filter(pl.first() == motion.failing).write_csv(path)
    return path


def _seconds_to_alarm(parts: Parts, folder: Path, motion: FastMotion) -> tuple[float, int]:
    """Return the seconds from the drop of an engine's last days to its alarm, and their rows."""
    alarms = Alarms(parts.database, FLEET)
    before, last = (folder / f"{motion.failing}-{name}.csv" for name in ("before", "last"))
    drop(parts.intake, _of_failing(motion, before, motion.before))
    assert not alarms.cases(unit=motion.failing)
    time.sleep(_PAUSE_S)
    _of_failing(motion, last, *(day.readings for day in motion.days))
    began = time.monotonic()
    send(parts.intake, last)
    while not alarms.cases(unit=motion.failing):
        if time.monotonic() - began > _LIMIT_S:
            raise StackError(f"no alarm about {motion.failing} within {_LIMIT_S:.0f} s")
        time.sleep(_POLL_S)
    return time.monotonic() - began, pl.read_csv(last).height


def _seconds_to_states(
    parts: Parts, path: Path, life: pl.DataFrame, units: int
) -> tuple[float, float]:
    """Return the seconds from the drop of a file of many units to receipt, and to all states."""
    unit, prefix = life.columns[0], f"many-{units}-"
    names = pl.DataFrame({unit: [f"{prefix}{number}" for number in range(units)]})
    life.drop(unit).join(names, how="cross").select(life.columns).write_csv(path)
    began = time.monotonic()
    receipt = wait_until_filed(parts.intake, send(parts.intake, path))
    filed = time.monotonic() - began
    named = {"fleet": FLEET, "prefix": prefix, "receipt": receipt.id}
    known = 0
    while known < units:
        if time.monotonic() - began > _MANY_LIMIT_S:
            raise StackError(f"{known} of {units} units are known after {_MANY_LIMIT_S:.0f} s")
        time.sleep(_POLL_S * 10)
        with parts.database.connect() as connection:
            known = int(connection.scalar(_KNOWN, named) or 0)
    return filed, time.monotonic() - began


def _many(parts: Parts, folder: Path, motion: FastMotion, units: int) -> list[tuple[object, ...]]:
    """Return what two files of many units took, the second with the first one as its history."""
    unit, healthy = motion.before.columns[0], motion.units[-1]
    life = motion.before.filter(pl.col(unit) == healthy)[-2 * _OF_EACH :]
    rows: list[tuple[object, ...]] = []
    for what, part in (("first", life[:_OF_EACH]), ("next", life[_OF_EACH:])):
        filed, known = _seconds_to_states(parts, folder / f"{what}-{units}.csv", part, units)
        rows.append(
            (f"{units:,}", what, f"{units * _OF_EACH:,}", f"{filed:.1f} s", f"{known:.1f} s")
        )
        print(rows[-1], flush=True)
        time.sleep(_PAUSE_S)
    return rows


def run(size: Size) -> None:
    """Measure, and write the table."""
    drops = size.pick(9, 3, 1)
    with (
        running_stack(env={"PRESAGIO_TRAIN_SEARCH": "small"}) as stack,
        tempfile.TemporaryDirectory() as name,
    ):
        add_demo_fleet(stack.settings)
        parts, folder, today = Parts(stack.home, FLEET), Path(name), datetime.now(UTC).date()
        _prepare(parts, folder)
        found = []
        for number in range(drops):
            motion = fast_motion(parts.spec, f"bench-{number}", today, _DAYS)
            found.append(_seconds_to_alarm(parts, folder, motion))
            print(found[-1], flush=True)
        counts = size.pick([2_000, 20_000], [2_000], [20])
        many = [row for units in counts for row in _many(parts, folder, motion, units)]
    seconds = [one for one, _ in found]
    rows: list[tuple[object, ...]] = [
        (f"median of {drops}", f"{statistics.median(seconds):.1f} s", "10 s"),
        ("the fastest", f"{min(seconds):.1f} s", ""),
        ("the slowest", f"{max(seconds):.1f} s", ""),
    ]
    note = (
        "An idle stack without Docker; files of up to "
        f"{max(rows for _, rows in found):,} readings of one engine, each of which opens a case. "
        "From the upload to the case in the ledger."
    )
    heads = ("units in one file", "file", "rows", "filed", "all states known")
    text = f"{note}\n\n{table(('drop to alarm', 'measured', 'bar'), rows)}\n\n{table(heads, many)}"
    write("arriving", text, size, after="stack")
