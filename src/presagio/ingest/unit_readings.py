"""Readings of units, their newest or oldest: from the parts that hold them, and from no others."""

import numpy as np
import polars as pl

from presagio.errors import DataError
from presagio.ingest.curated import training_schema
from presagio.ingest.curated_parts import CuratedParts
from presagio.ingest.filing import Intake
from presagio.ingest.outputs import RECEIPT
from presagio.ingest.unit_rows import (
    ASKED_UNIT,
    MOST_HELD,
    EndRows,
    asked_frame,
    asked_times,
    rows_of_part,
)
from presagio.machine.spec import MachineSpec
from presagio.storage.parts_of_units import PartPlace, PartsOfUnits, UnitTimes

# Parts of a unit that are listed first: most have what is wanted in their newest one.
_FIRST_PARTS, _MORE = 2, 4
# So many are listed at once.
_MOST_LISTED = 50_000
_LISTED = {
    "number": pl.Int64, "part": pl.Int32, "is_compacted": pl.Boolean, "unit": pl.String,
    "oldest": pl.Float64, "newest": pl.Float64,
}  # fmt: skip


def unit_and_time(spec: MachineSpec) -> tuple[str, str]:
    """Return the names of the columns of unit and time.

    Raises
    ------
    DataError
        If the machine spec has none.
    """
    if spec.unit is None or spec.time is None:
        raise DataError(f"the machine spec of {spec.name} has no [unit] and [time]")
    return spec.unit.name, spec.time.name


def readings_of(intake: Intake, *, kept_bytes: int = 0) -> CuratedParts:
    """Return what reads readings of units; what it keeps in memory serves whoever comes next.

    Parameters
    ----------
    intake
        Where they lie.
    kept_bytes
        How much it keeps.
    """
    columns = [RECEIPT, *training_schema(intake.spec)]
    return CuratedParts(intake, columns, kept_bytes=kept_bytes)


def unit_readings(
    intake: Intake, unit: str, count: int, *, newest: bool = True, since: float = -np.inf
) -> pl.DataFrame:
    """Return readings of one unit after a time: see :func:`readings_of_units`."""
    times = UnitTimes([unit], [since], [np.inf])
    return readings_of_units(intake, times, count, newest=newest)


def readings_of_units(
    intake: Intake, wanted: UnitTimes, count: int, *, newest: bool = True,
    curated: CuratedParts | None = None,
) -> pl.DataFrame:  # fmt: skip
    """Return readings of units, of each in order of time, and each time once.

    Of two readings of one time the one of the earlier receipt counts. Units are looked up many at
    once, and a part is read for all that have readings in it: it takes time as there are units.

    Parameters
    ----------
    intake
        Where they lie; of a machine with units and times.
    wanted
        Units, and after and before which times.
    count
        How many of each unit.
    newest
        Whether the newest ones, else the oldest.
    curated
        What reads them: of :func:`readings_of`; by default one for this call.

    Returns
    -------
    polars.DataFrame
        The columns of :func:`.curated.training_schema` and ``receipt_id``; nothing of a unit that
        is not known.

    Raises
    ------
    DataError
        If the machine spec has no unit and time, or a part is gone.
    StorageError
        If store or ledger fail.
    """
    unit_and_time(intake.spec)
    asked, curated = asked_frame(wanted), curated or readings_of(intake)
    found = [EndRows(intake.spec, count, newest=newest).rows]
    with intake.ledger.parts_of_units(intake.prefixes.bucket) as parts:
        found += [
            _Search(intake, parts, curated, count, newest=newest).among(some)
            for some in asked.iter_slices(max(1, MOST_HELD // count))
        ]
    return pl.concat(found)


class _Search:
    """Looks for the newest or the oldest readings of some units, part by part."""

    def __init__(
        self, intake: Intake, parts: PartsOfUnits, curated: CuratedParts, count: int, *,
        newest: bool,
    ) -> None:  # fmt: skip
        self._intake, self._parts, self._curated = intake, parts, curated
        self._count, self._newest = count, newest
        self._edge = "newest" if newest else "oldest"
        self._found = EndRows(intake.spec, count, newest=newest)

    def among(self, asked: pl.DataFrame) -> pl.DataFrame:
        """Return the readings of the units that are asked for."""
        passed, count = 0, _FIRST_PARTS
        while len(asked):
            left = []
            for some in asked.iter_slices(max(1, _MOST_LISTED // count)):
                parts = self._parts.listed(
                    asked_times(some), passed=passed, count=count, newest_first=self._newest
                )
                listed = pl.DataFrame(parts, schema=_LISTED, orient="row")
                self._read(some, listed)
                left.append(some.filter(pl.col(ASKED_UNIT).is_in(self._unsettled(listed, count))))
            asked, passed = pl.concat(left), passed + count
            count = min(max(self._count, count * _MORE), _MOST_LISTED)
        return self._found.rows

    def _read(self, asked: pl.DataFrame, listed: pl.DataFrame) -> None:
        """Read the parts that were listed, each once, as far as they can change what was found."""
        place = ("number", "part", "is_compacted")
        by_part = listed.group_by(place).agg("unit", self._edge, pl.max(self._edge).alias("first"))
        by_part = by_part.sort("first", descending=self._newest)
        places = [PartPlace(*row) for row in by_part.select(place).iter_rows()]
        known = self._parts.found(places)
        for one, units, edges in zip(places, by_part["unit"], by_part[self._edge], strict=True):
            part = known.get(one)
            # Logs that were filed before parts were listed are no readings.
            if part is None or self._intake.is_of_events(part.source_key):
                continue
            if names := self._found.open(units.to_list(), edges.to_list()):
                wanted = asked.filter(pl.col(ASKED_UNIT).is_in(names))
                self._found.add(rows_of_part(self._curated, part, asked_times(wanted)))

    def _unsettled(self, listed: pl.DataFrame, count: int) -> list[str]:
        """Return the units that may have more parts, which may change what was found."""
        end = pl.min(self._edge) if self._newest else pl.max(self._edge)
        last = listed.group_by("unit").agg(pl.len().alias("count"), end)
        last = last.filter(pl.col("count") == count)
        return self._found.open(last["unit"].to_list(), last[self._edge].to_list())
