"""The readings of one filed object, scored part by part, with what their units had before."""

import io
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl

from presagio.inference.diagnosis import describe_explanation, explain
from presagio.inference.event_features import EventTimes
from presagio.inference.predictor import Predictor
from presagio.ingest.curated import training_schema, without_required_gaps
from presagio.ingest.curated_parts import CuratedParts
from presagio.ingest.events import TIME, UNIT, events_of_receipts
from presagio.ingest.filing import Intake
from presagio.ingest.outputs import RECEIPT
from presagio.ingest.unit_lives import lives_before, needed_of_a_life
from presagio.lifecycle.unit_cases import FAILURE, REPAIR, Diagnosis, ScoredReading
from presagio.machine.learning import IS_FAILURE, IS_REPAIR, MODE
from presagio.readings.instants import time_numbers, written_time
from presagio.scoring.answer import named_apart
from presagio.scoring.arrivals import (
    REMAINING,
    ArrivalScorer,
    ArrivedScores,
    Floats,
    needs_history,
)
from presagio.storage.arrivals import Scoring, UnitEvent
from presagio.storage.receipt import Receipt

# So many rows are scored at a time.
_SLICE_ROWS = 50_000
# So many readings from before are held at a time.
_MOST_HISTORY = 500_000
# Of alarms what the model takes is kept until it is known which are explained.
_MOST_INPUTS = 20_000
# Of a machine without units so many alarms of a part are explained, the likeliest first.
_MOST_EXPLAINED = 100


def log_of(events: list[UnitEvent]) -> EventTimes:
    """Return events as arrays, for features and lives."""
    failed = np.array([event.kind == FAILURE for event in events], dtype=bool)
    ended = np.array([event.kind in (FAILURE, REPAIR) for event in events], dtype=bool)
    return EventTimes(
        np.array([event.unit for event in events], dtype=object),
        np.array([event.time for event in events], dtype=np.float64), failed, ended,
    )  # fmt: skip


class ArrivedReadings:
    """Scores what was taken of one file.

    Parameters
    ----------
    intake
        Where readings lie.
    predictor
        The model.
    scoring
        The open transaction of the file's receipt.
    curated
        What reads readings of units from before.
    """

    def __init__(
        self, intake: Intake, predictor: Predictor, scoring: Scoring, curated: CuratedParts
    ) -> None:
        self._intake, self._predictor, self._scoring = intake, predictor, scoring
        self._curated, self._spec = curated, intake.spec
        self._scorer = ArrivalScorer(predictor, intake.spec)
        self._inputs: dict[int, Floats] = {}
        self._explained: dict[int, dict[str, Any]] = {}
        self._known = set[str]()
        self._at_once = max(1, _MOST_HISTORY // sum(needed_of_a_life(self._spec)))
        self.rows = self.left_out = 0
        # Of machines without units there are none.
        self.units: dict[str, list[ScoredReading]] = defaultdict(list)

    @property
    def receipt(self) -> Receipt:
        """Of the file."""
        return self._scoring.receipt

    def parts(self, about: Mapping[str, Any]) -> Iterator[bytes]:
        """Yield the scores of each part of the file, as Parquet.

        Parameters
        ----------
        about
            Columns that are the same for all rows.

        Raises
        ------
        DataError
            If a part is gone, or a unit has more to remember than fits into memory.
        StorageError
            If store or ledger fail.
        """
        schema = training_schema(self._spec)
        its_parts = CuratedParts(self._intake, [RECEIPT, *schema])
        for key in self.receipt.outcome.curated_keys:
            read = its_parts.read(key, self.receipt.id)
            rows = without_required_gaps(read, self._spec)
            self.left_out += len(read) - len(rows)
            if self._spec.unit is not None and self._spec.time is not None:
                # A unit's readings of one time in the order in which they were written.
                names = [self._spec.unit.name, self._spec.time.name]
                rows = rows.sort(names, maintain_order=True)
            frames = [self._slice(some) for some in rows.iter_slices(_SLICE_ROWS)]
            if not frames:
                continue
            frame = pl.concat(frames).with_columns(
                pl.lit(value).alias(name) for name, value in about.items()
            )
            body = io.BytesIO()
            frame.write_parquet(body, compression="zstd")
            yield body.getvalue()

    def _slice(self, rows: pl.DataFrame) -> pl.DataFrame:
        first, spec = self.rows, self._spec
        found = self._scored(rows)
        self.rows += len(rows)
        labelled = np.flatnonzero(found.frame["label"].to_numpy())
        for place in labelled[: max(0, _MOST_INPUTS - len(self._inputs))].tolist():
            self._inputs[first + place] = found.inputs[place].copy()
        newest = self._newest(rows, found.frame)
        for place in newest:
            self._inputs[first + place] = found.inputs[place].copy()
        self._keep(rows, found.frame, first)
        words = {place: json.dumps(self.explain(first + place)) for place in newest}
        diagnosis = [words.get(place) for place in range(len(rows))]
        columns = {
            RECEIPT: rows[RECEIPT],
            **{name: found.frame[name] for name in found.frame.columns},
            "diagnosis": pl.Series(diagnosis, dtype=pl.String),
        }
        kept = rows.select(column.name for column in spec.kept_columns)
        return pl.DataFrame({**named_apart(kept, {*columns, "model", "version"}), **columns})

    def _newest(self, rows: pl.DataFrame, scores: pl.DataFrame) -> list[int]:
        """Return the alarms of rows that are explained: the newest reading of each unit."""
        label = scores["label"]
        if self._spec.unit is None:
            alarms = scores.with_row_index("place").filter(label)
            likeliest = alarms.sort("probability", descending=True).head(_MOST_EXPLAINED)
            return sorted(likeliest["place"].to_list())
        unit = rows[self._spec.unit.name]
        last = pl.DataFrame({"unit": unit, "label": label}).with_row_index("place")
        last = last.group_by("unit", maintain_order=True).last().filter("label")
        return last["place"].to_list()

    def _keep(self, rows: pl.DataFrame, scores: pl.DataFrame, first: int) -> None:
        """Keep what states are made of, unit by unit."""
        spec = self._spec
        if spec.unit is None:
            return
        times: list[float | None] = [None] * len(rows)
        written: list[str | None] = [None] * len(rows)
        if spec.time is not None:
            column = rows[spec.time.name]
            times = time_numbers(column).astype(np.float64).tolist()
            written = [str(written_time(time)) for time in column.to_list()]
        lacking = {name: None for name in REMAINING if name not in scores.columns}
        units = rows[spec.unit.name].to_list()
        for i, score in enumerate(scores.iter_rows(named=True)):
            reading = ScoredReading(times[i], written[i], score | lacking, first + i)
            self.units[units[i]].append(reading)

    def _scored(self, rows: pl.DataFrame) -> ArrivedScores:
        """Score rows, so many at a time as what their units had before fits into memory."""
        parts = [
            self._scorer.score(some, *self._history(some))
            for some in rows.iter_slices(self._at_once)
        ]
        frame = pl.concat([part.frame for part in parts])
        return ArrivedScores(frame, np.vstack([part.inputs for part in parts]))

    def _history(self, rows: pl.DataFrame) -> tuple[pl.DataFrame, EventTimes]:
        """Return readings from before of the units that come for the first time, and events."""
        spec = self._spec
        if spec.unit is None or spec.time is None or not needs_history(spec):
            return rows.clear(), log_of([])
        times = pl.Series("time", time_numbers(rows[spec.time.name]).astype(np.float64))
        began = pl.DataFrame({"unit": rows[spec.unit.name], "time": times})
        first = dict(began.group_by("unit", maintain_order=True).agg(pl.col("time").min()).rows())
        log = log_of(self._scoring.events(first))
        new = {unit: time for unit, time in first.items() if unit not in self._known}
        self._known |= new.keys()
        if not new:
            return rows.clear(), log
        return lives_before(self._intake, new, log, self._curated).select(rows.columns), log

    def explain(self, place: int) -> Diagnosis:
        """Explain the answer to a reading that is an alarm; None where it cannot be any more."""
        if place not in self._explained:
            if place not in self._inputs:
                return None
            found = explain(self._predictor, self._inputs[place], alarm=True)
            self._explained[place] = describe_explanation(self._spec, found)
        return self._explained[place]


def events_in(intake: Intake, receipt: Receipt) -> list[UnitEvent]:
    """Return the events of a log that has been filed.

    Raises
    ------
    DataError
        If a part of it is gone.
    StorageError
        If store or ledger fail.
    """
    rows = events_of_receipts(intake, [receipt]).rows
    times = time_numbers(rows[TIME]).astype(np.float64).tolist()
    return [
        UnitEvent(
            row[UNIT], time,
            FAILURE if row[IS_FAILURE] else REPAIR if row[IS_REPAIR] else "error",
            str(written_time(row[TIME])), row[MODE] or "", receipt.id,
        )
        for row, time in zip(rows.iter_rows(named=True), times, strict=True)
    ]  # fmt: skip
