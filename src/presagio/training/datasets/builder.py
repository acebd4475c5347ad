"""From clean rows and events to a dataset: batch by batch, labelled and expanded at the end."""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from presagio.errors import DataError
from presagio.inference.conditions import Conditions
from presagio.inference.event_features import EventTimes, event_columns
from presagio.inference.imputation import input_columns
from presagio.inference.series import SeriesFeatures
from presagio.ingest.events import LoggedEvents, event_times
from presagio.machine.limits import failing_modes
from presagio.machine.spec import MachineSpec
from presagio.readings.instants import time_numbers
from presagio.training.datasets.dataset import Bools, Dataset, Floats
from presagio.training.datasets.lives import HorizonLabels, label_by_horizon
from presagio.training.datasets.mapped import MappedRows, release, take_rows, writable_rows

_FEWEST_FAILURES = 20
# Of so many rows at a time what hangs on others is made.
_EXPANDED_ROWS = 100_000
# Of failures whose mode nobody knows, the largest share with which modes can still be learned.
_UNKNOWN_MODES = 0.1


def series_columns(spec: MachineSpec) -> tuple[str, ...]:
    """Return the columns beside inputs and labels that a dataset is made with."""
    division = [spec.divided_by[1]] if spec.divided_by is not None else []
    units = [spec.unit.name] if spec.unit is not None else []
    return tuple(dict.fromkeys([*division, *units, *spec.series_names]))


def _keys(column: pl.Series) -> NDArray[Any]:
    return column.fill_null("").to_numpy() if column.dtype == pl.String else time_numbers(column)


class DatasetBuilder:
    """Makes a dataset of clean rows, batch by batch; readings go to disk, labels stay in memory.

    Parameters
    ----------
    spec
        The machine spec.
    """

    def __init__(self, spec: MachineSpec) -> None:
        self._spec = spec
        self._inputs = MappedRows(len(spec.input_names))
        self._digest = hashlib.sha256()
        self._target: list[Bools] = []
        self._modes: list[dict[str, Bools]] = []
        self._unknown: Counter[str] = Counter()
        self._logged: LoggedEvents | None = None
        self._events: dict[str, int] = {}
        self._series: dict[str, list[NDArray[Any]]] = {name: [] for name in series_columns(spec)}

    def add(self, frame: pl.DataFrame) -> None:
        """Add labelled rows; a row without target is a mistake of the caller's.

        Raises
        ------
        DataError
            If a column is not there by which the spec divides rows, or carries values forward.
        """
        spec = self._spec
        rows = frame.select(pl.col(name).cast(pl.Float64) for name in spec.input_names).to_numpy()
        target = np.zeros(len(frame), dtype=bool)
        if spec.needs_target:
            target = frame[spec.target.name].to_numpy().astype(bool)
        self._inputs.add(rows)
        self._digest.update(np.ascontiguousarray(rows).tobytes())
        self._target.append(target)
        self._modes.append(self._known_modes(frame, rows, target))
        for name, parts in self._series.items():
            if name not in frame.columns:
                raise DataError(f"no column {name}, by which the spec divides or orders rows")
            parts.append(_keys(frame[name]))

    def _known_modes(self, frame: pl.DataFrame, rows: Floats, target: Bools) -> dict[str, Bools]:
        """Return each mode's rows, without gaps.

        A row that is no failure is none of any mode; a failure whose mode is not recorded, as in
        some outcomes that are sent back, is of the mode whose operating limit it is beyond.
        """
        limits = failing_modes(self._spec, input_columns(self._spec, rows))
        found = dict[str, Bools]()
        for mode in self._spec.modes:
            recorded = frame.get_column(mode.name, default=None)
            none = np.zeros(len(frame), dtype=bool)
            unknown = ~none if recorded is None else recorded.is_null().to_numpy()
            known = none if recorded is None else recorded.fill_null(value=False).to_numpy()
            self._unknown[mode.name] += int((unknown & target).sum())
            found[mode.name] = np.where(unknown, target & limits.get(mode.name, none), known)
        return found

    def add_events(self, events: LoggedEvents) -> None:
        """Add what logs tell; from them follows where lives end."""
        if self._spec.label.horizon is None or not events.receipts:
            return
        self._logged = events
        for name in (*self._spec.series_names, *events.rows.columns):
            self._digest.update(name.encode())
        self._digest.update(events.rows.drop("receipt").hash_rows(seed=0).to_numpy().tobytes())

    def finish(self, source: str, *, receipts: tuple[int, ...] = (), rejected: int = 0) -> Dataset:
        """Return the dataset.

        Parameters
        ----------
        source, receipts, rejected
            As of :class:`Dataset`.

        Raises
        ------
        DataError
            If there are too few failures to learn from.
        """
        target = np.concatenate(self._target) if self._target else np.zeros(0, dtype=bool)
        series = {name: np.concatenate(parts) for name, parts in self._series.items() if parts}
        log = self._known_events(series)
        labelled, read = self._by_horizon(target, series, log), self._with_events(series, log)
        by_condition = self._spec.windows is not None and self._spec.windows.by_condition
        inputs = read if by_condition else self._expanded(read, series, labelled)
        whole = series
        censored = 0
        if labelled is not None:
            known = np.flatnonzero(labelled.known)
            censored, target = len(target) - len(known), labelled.target[known]
            inputs = take_rows(inputs, known)
            series = {name: values[known] for name, values in series.items()}
        labels = self._all_labels(source, target)
        # Labels last: the same rows in other batches are the same data.
        for name, values in labels.items():
            self._digest.update(name.encode() + values.tobytes())
        division = self._spec.divided_by
        return Dataset(
            inputs,
            labels,
            source,
            self._digest.hexdigest(),
            receipts,
            rejected,
            None if division is None else division[0],
            None if division is None else series[division[1]],
            None if labelled is None else labelled.series.take(labelled.known),
            censored,
            self._gap(division),
            self._expander(read, whole, labelled) if by_condition else None,
            self._events,
            None if self._spec.unit is None else series[self._spec.unit.name],
        )

    def _all_labels(self, source: str, target: Bools) -> dict[str, Bools]:
        """Return the target, and the modes that can be learned; refuse too few failures."""
        failures = int(target.sum())
        if not _FEWEST_FAILURES <= failures < len(target):
            raise DataError(
                f"{source} has {failures} failures in {len(target)} rows; at least "
                f"{_FEWEST_FAILURES} failures, and rows without one, are needed"
            )
        # Learned are the modes of which it is known for nearly every failure whether it was one.
        learned = [m.name for m in self._spec.modes
                   if self._unknown[m.name] <= _UNKNOWN_MODES * failures]  # fmt: skip
        labels = {self._spec.target.name: target}
        for name in learned:
            labels[name] = np.concatenate([modes[name] for modes in self._modes])
        return labels

    def _gap(self, division: tuple[str, str] | None) -> float:
        """Return the horizon where rows are divided by the time that it is of."""
        time, horizon = self._spec.time, self._spec.label.horizon
        by_time = division is not None and time is not None and division == ("time", time.name)
        return horizon if by_time and horizon is not None else 0.0

    def _expander(
        self, read: Floats, series: Mapping[str, NDArray[Any]], labelled: HorizonLabels | None
    ) -> Callable[[Conditions], Floats]:
        def expand(conditions: Conditions) -> Floats:
            inputs = self._expanded(read, series, labelled, conditions)
            return inputs if labelled is None else take_rows(inputs, np.flatnonzero(labelled.known))

        return expand

    def _by_horizon(
        self, failed: Bools, series: Mapping[str, NDArray[Any]], log: EventTimes | None
    ) -> HorizonLabels | None:
        """Label rows by what became of their units, where the spec wants it."""
        horizon = self._spec.label.horizon
        if horizon is None or not series:
            return None
        units, times = (series[name] for name in self._spec.series_names)
        rows_failed = None if self._spec.events.source == "last_row" else failed
        return label_by_horizon(units, times, rows_failed, horizon, log)

    def _known_events(self, series: Mapping[str, NDArray[Any]]) -> EventTimes | None:
        """Return the events of units that readings are of, and count the others."""
        if self._logged is None or not series:
            return None
        rows, units = self._logged.rows, np.unique(series[self._spec.series_names[0]])
        known = rows.filter(rows["unit"].is_in(units.tolist()))
        self._events = self._logged.found | {"of_unknown_units": len(rows) - len(known)}
        return event_times(known)

    def _with_events(self, series: Mapping[str, NDArray[Any]], log: EventTimes | None) -> Floats:
        """Return the inputs; what logs say at readings is taken from there."""
        inputs = self._inputs.array()
        if not self._spec.event_features or log is None:
            return inputs
        units, times = (series[name] for name in self._spec.series_names)
        columns = event_columns(self._spec, units, times, log)
        filled = writable_rows(*inputs.shape)
        for start in range(0, len(inputs), _EXPANDED_ROWS):
            rows = slice(start, start + _EXPANDED_ROWS)
            filled[rows] = inputs[rows]
            for place, values in columns.items():
                filled[rows, place] = values[rows]
            release(inputs)
            release(filled)
        return filled

    def _expanded(
        self, inputs: Floats, series: Mapping[str, NDArray[Any]], labelled: HorizonLabels | None,
        conditions: Conditions | None = None,
    ) -> Floats:  # fmt: skip
        """Make what hangs on the unit's other rows, in order of time, where the spec wants it."""
        spec = self._spec
        if not series or not spec.has_history:
            return inputs
        units, times = (series[name] for name in spec.series_names)
        if labelled is not None:
            # What was before a failure says nothing of the life after it.
            units = labelled.series.lives
        order = np.argsort(times, kind="stable")
        features = SeriesFeatures(spec, conditions)
        expanded = writable_rows(len(inputs), len(spec.model_inputs))
        for start in range(0, len(order), _EXPANDED_ROWS):
            rows = order[start : start + _EXPANDED_ROWS]
            expanded[rows] = features.expand(inputs[rows], units[rows], times[rows])
            release(inputs)
            release(expanded)
        return expanded


def dataset_from_frame(
    frame: pl.DataFrame, spec: MachineSpec, source: str, *, rejected: int = 0,
    events: LoggedEvents | None = None,
) -> Dataset:  # fmt: skip
    """Make a dataset of clean rows.

    Raises
    ------
    DataError
        If the target is missing or has too few failures to learn from.
    """
    if spec.needs_target and spec.target.name not in frame.columns:
        raise DataError(f"{source} has no column {spec.target.name}: there is nothing to learn")
    builder = DatasetBuilder(spec)
    builder.add(frame)
    if events is not None:
        builder.add_events(events)
    return builder.finish(source, rejected=rejected)
