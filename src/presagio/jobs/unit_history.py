"""What is known of a unit's past: its readings as charts, the files that they came in, its events.

A page asks for it and cannot wait: a bounded number of objects is read, and what is left out is
told.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from presagio.ingest.filing import Intake
from presagio.ingest.outputs import RECEIPT
from presagio.ingest.unit_span import FoundReadings, Span, readings_of_span
from presagio.jobs.unit_charts import POINTS, Charts, draw_readings
from presagio.storage.receipt import Receipt

# Of the files that readings came in so many are named, the newest.
_MOST_FILES = 20


@dataclass(frozen=True)
class UnitReadings:
    """Readings of a unit, to be looked at.

    Attributes
    ----------
    found
        The readings themselves.
    charts
        As they are drawn.
    files
        Receipts of the newest files that they came in.
    files_in_all
        How many files they came in.
    """

    found: FoundReadings
    charts: Charts
    files: Sequence[Receipt]
    files_in_all: int


def unit_readings_drawn(
    intake: Intake, unit: str, span: Span | None = None, *, points: int = POINTS
) -> UnitReadings:
    """Return a unit's readings of a span as charts, with the files that they came in.

    Parameters
    ----------
    intake
        Where they lie; of a machine with units and times.
    unit
        Its name.
    span
        Which readings; the newest ones where it is not given.
    points
        So many points a chart at most.

    Raises
    ------
    DataError
        If the machine spec has no unit and time, or a part is gone.
    StorageError
        If store or ledger fail.
    """
    found = readings_of_span(intake, unit, intake.spec.input_names, span or Span())
    numbers = sorted(found.rows[RECEIPT].unique().to_list(), reverse=True)
    files = intake.ledger.receipts_numbered(numbers[:_MOST_FILES]) if numbers else []
    charts = draw_readings(intake.spec, found, points)
    return UnitReadings(found, charts, files, len(numbers))
