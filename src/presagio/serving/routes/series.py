"""One unit's newest readings, as they were sent, made into what a model takes of the last one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from presagio.inference.predictor import Predictor
from presagio.machine.learning import MICROSECONDS
from presagio.machine.series import TimeColumn
from presagio.machine.spec import MachineSpec
from presagio.readings.clock import plain_instant
from presagio.readings.rules import Reason
from presagio.serving.http.answers import FieldFault
from presagio.serving.http.prediction_answers import FeatureChange
from presagio.serving.http.problems import invalid, shown

Floats = NDArray[np.float64]

# Of so many features a diagnosis says how they changed.
_MOST_CHANGES = 3
_HOUR = 3600 * MICROSECONDS


@dataclass(frozen=True)
class SentReading:
    """What was sent to be predicted.

    Attributes
    ----------
    values
        The inputs of the last reading, as it was read.
    inputs
        What the model takes of it: as of :meth:`.Predictor.predict_one`.
    rows_used, complete
        How many readings that is made of, and whether they are as many as can be used; None for a
        reading by itself of a machine whose readings are all by themselves.
    changes
        Computes how much features changed over the longest window, in their own units.
    """

    values: list[float]
    inputs: Sequence[float] | Floats
    rows_used: int | None = None
    complete: bool | None = None
    changes: Callable[[], list[FeatureChange]] = list


def read_sent(spec: MachineSpec, predictor: Predictor, read: Any) -> SentReading:
    """Make a model's inputs of a request.

    Raises
    ------
    RefusedError
        If it has both a reading and a series or none of them, or times that are none or do not
        grow.
    """
    if not spec.has_history:
        values = predictor.values(vars(read.features))
        return SentReading(values, values)
    if (read.features is None) == (read.readings is None):
        got = "nothing" if read.features is None else "both"
        allowed = "features, of one reading, or readings, of a unit's newest ones"
        raise invalid([FieldFault(field="readings", got=got, allowed=allowed)])
    if read.readings is None:
        values = predictor.values(vars(read.features))
        return SentReading(values, values, 1, _wanted(spec) <= 1)
    times = _times(spec, [reading.time for reading in read.readings])
    rows = predictor.arrange([vars(reading.features) for reading in read.readings])
    inputs = predictor.last_inputs(rows, times)
    return SentReading(
        rows[-1].tolist(), inputs, min(len(rows), _wanted(spec)),
        len(rows) >= _wanted(spec), partial(_changes, spec, rows, times),
    )  # fmt: skip


def rehearse_times(spec: MachineSpec) -> None:
    """Read a time once: the first one takes a third of a second."""
    _numbers(spec.time, [0.0 if spec.time is None or spec.time.is_counter else "2026-01-31"])


def _wanted(spec: MachineSpec) -> int:
    """Return of how many readings more are of no use."""
    return spec.longest_window + (0 if spec.windows is None else spec.windows.first)


def _times(spec: MachineSpec, sent: list[float | str]) -> NDArray[Any]:
    """Return times as numbers, which have to grow."""
    times, none = _numbers(spec.time, sent)
    if none is None and (times[1:] > times[:-1]).all():
        return times
    for i, text in enumerate(sent):
        place = f"readings.{i}.time"
        if none is not None and none[i] and spec.time is not None:
            raise invalid([
                FieldFault(
                    field=place, got=shown(text), allowed=spec.time.allowed,
                    reason=Reason.NOT_A_TIME,
                )
            ])  # fmt: skip
        if i and times[i] <= times[i - 1]:
            allowed = f"a time after that of the reading before, {sent[i - 1]}"
            raise invalid([FieldFault(field=place, got=shown(text), allowed=allowed)])
    return times


def _numbers(
    time: TimeColumn | None, sent: list[float | str]
) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Return times as numbers, and which of them are none; None where all are times."""
    if time is None or time.is_counter:
        return np.array(sent, dtype=np.float64), None
    if time.format is None:
        plain = [plain_instant(str(text), of_utc=time.is_utc) for text in sent]
        if None not in plain:
            return np.array(plain, dtype=np.int64), None
    # Polars takes a third of a second to import: for the first series of times that are not plain.
    import polars as pl  # noqa: PLC0415

    from presagio.readings.instants import time_in, time_numbers  # noqa: PLC0415

    texts = pl.DataFrame({"time": sent}, schema={"time": pl.String})
    found = texts.select(time_in(pl.col("time"), time)).to_series()
    return time_numbers(found), found.is_null().to_numpy() if found.null_count() else None


def _changes(spec: MachineSpec, rows: Floats, times: NDArray[Any]) -> list[FeatureChange]:
    """Say how much the features of windows changed over the longest one."""
    if spec.windows is None or spec.time is None:
        return []
    window, clock = rows[-spec.longest_window :], times[-spec.longest_window :]
    counts = spec.time.is_counter
    found = []
    for feature in spec.features:
        values = window[:, spec.input_names.index(feature.name)]
        known = np.flatnonzero(~np.isnan(values))
        if feature.name not in spec.windowed_names or len(known) <= 1:
            continue
        first, last = known[0], known[-1]
        over = float(clock[last] - clock[first])
        found.append(
            FeatureChange(
                feature=feature.name, by=float(values[last] - values[first]), unit=feature.unit,
                over=over if counts else over / _HOUR,
                over_unit=spec.time.name if counts else "h",
            )
        )  # fmt: skip
    return found


def largest_changes(
    changes: list[FeatureChange], contributions: dict[str, float]
) -> list[FeatureChange]:
    """Return the changes of the features that add most to the probability."""
    ranked = sorted(changes, key=lambda change: -abs(contributions.get(change.feature, 0.0)))
    return ranked[:_MOST_CHANGES]
