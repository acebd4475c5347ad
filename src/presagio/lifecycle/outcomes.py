"""Outcomes: what became of readings that a model has predicted, as a file that the intake takes.

An outcome is a labelled reading like any other: it is checked, archived, has its receipt, and is
learned from the next time. What the model had said of it stands in columns of its own.
"""

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping
from datetime import datetime

from presagio.readings.numerals import written

# Below the incoming prefix.
FEEDBACK = "feedback/"
SAID_ALARM = "said_alarm"
SAID_VERSION = "said_version"
REQUEST_ID = "request_id"


def outcomes_csv(rows: Iterable[Mapping[str, object]]) -> bytes:
    """Write outcomes as CSV; all rows have the columns of the first one, and None is a gap.

    Numbers are written so that the intake never has to ask what stands before decimals.
    """
    rows, text = list(rows), io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return text.getvalue().encode()


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.isoformat()
    return written(value) if isinstance(value, float) else value


def outcomes_name(body: bytes, prefix: str = FEEDBACK) -> str:
    """Return where outcomes go below the incoming prefix: the same ones, sent again, to one place.

    So that they are learned from once however often they are sent.
    """
    return f"{prefix}{hashlib.sha256(body).hexdigest()[:32]}.csv"
