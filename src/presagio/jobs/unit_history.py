"""What is known of a unit's past: its readings as charts, the files that they came in, its events.

A page asks for it and cannot wait: a bounded number of objects is read, and what is left out is
told.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from presagio.ingest.filing import Intake
from presagio.ingest.outputs import RECEIPT
from presagio.ingest.unit_span import FoundReadings, Span, readings_of_span
from presagio.jobs.downsampling import Drawn
from presagio.jobs.unit_charts import POINTS, Charts, draw_readings
from presagio.jobs.unit_scores import UnitScores, draw_scores, unit_scores
from presagio.storage.kept_frames import KeptFrames
from presagio.storage.receipt import Receipt

# Of the files that readings came in so many are named, the newest.
_MOST_FILES = 20
# Rows of the table behind a chart.
_ROWS = 24


@dataclass(frozen=True)
class UnitHistory:
    """Readings of a unit to be looked at; of a size that does not hang on how many there are.

    Attributes
    ----------
    count
        How many readings.
    first, last
        Times of the oldest and the newest one, as times are compared; NaN of none.
    older
        Up to when the readings before these are; None where the span has none.
    is_cut
        Whether these are fewer than were wanted, since more parts hold them than are read.
    charts, tables
        As they are drawn, and the same of fewer points for tables.
    files
        Receipts of the newest files that they came in.
    files_in_all
        How many files they came in.
    scores
        What was said of them, without values.
    scores_drawn, scores_table
        These values as they are drawn, and for tables; None where no reading was scored.
    """

    count: int
    first: float
    last: float
    older: float | None
    is_cut: bool
    charts: Charts
    tables: Charts
    files: Sequence[Receipt]
    files_in_all: int
    scores: UnitScores
    scores_drawn: Drawn | None
    scores_table: Drawn | None


def unit_history(
    intake: Intake, engine: sa.Engine, unit: str, span: Span | None = None, *,
    points: int = POINTS, kept: KeptFrames | None = None,
) -> UnitHistory:  # fmt: skip
    """Return a unit's readings of a span as charts, with the files that they came in.

    Parameters
    ----------
    intake
        Where they lie; of a machine with units and times.
    engine
        The database of the ledger.
    unit
        Its name.
    span
        Which readings; the newest ones where it is not given.
    points
        So many points a chart at most.
    kept
        What was read lately, of other units too.

    Raises
    ------
    DataError
        If the machine spec has no unit and time, or a part is gone.
    StorageError
        If store or ledger fail.
    """
    spec = intake.spec
    found = readings_of_span(intake, unit, spec.input_names, span or Span(), kept)
    times = found.times
    numbers = sorted(found.rows[RECEIPT].unique().to_list(), reverse=True)
    files = intake.ledger.receipts_numbered(numbers[:_MOST_FILES]) if numbers else []
    scores = unit_scores(intake, engine, unit, found, kept)
    return UnitHistory(
        count=len(times), first=float(times[0]) if len(times) else math.nan,
        last=float(times[-1]) if len(times) else math.nan, older=_older(found),
        is_cut=found.is_cut, charts=draw_readings(spec, found, points),
        tables=draw_readings(spec, found, min(_ROWS, points)), files=files,
        files_in_all=len(numbers), scores=scores.without_values,
        scores_drawn=draw_scores(scores, points),
        scores_table=draw_scores(scores, min(_ROWS, points)),
    )  # fmt: skip


def _older(found: FoundReadings) -> float | None:
    if not found.has_older or not len(found.times):
        return None
    return float(np.nextafter(found.times[0], -np.inf))
