"""What was said of a unit's readings when they arrived: from the scores of their files."""

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import sqlalchemy as sa
from numpy.typing import NDArray

from presagio.ingest.filing import Intake
from presagio.ingest.outputs import RECEIPT, curated_schema
from presagio.ingest.unit_span import FoundReadings
from presagio.jobs.downsampling import Drawn, downsample
from presagio.storage.scored_files import ScoredFile, scored_files

Floats = NDArray[np.float64]

# So many files are looked into for one page, the newest.
_MOST_FILES = 64
_AT_ONCE = 4
_VALUES = ("probability", "remaining_life", "remaining_low", "remaining_high")


@dataclass(frozen=True)
class UnitScores:
    """Scores of a unit's readings, in order of time; a reading that was not scored is a gap.

    Attributes
    ----------
    times
        Of the readings, shape ``(n,)``.
    probability, remaining_life, remaining_low, remaining_high
        Shape ``(n,)``; NaN where there is none.
    label
        Whether the model said that the unit will fail, shape ``(n,)``.
    threshold
        The lowest probability of those, by the newest version alone; None where all of its
        readings, or none, are among them, or where a higher one is not.
    version
        The newest version.
    unscored
        Readings that were not scored, or whose scores are gone.
    """

    times: Floats
    probability: Floats
    remaining_life: Floats
    remaining_low: Floats
    remaining_high: Floats
    label: NDArray[np.bool_]
    threshold: float | None
    version: str
    unscored: int

    @property
    def without_values(self) -> "UnitScores":
        """The same without what is as long as there are readings."""
        none, no = np.empty(0), np.empty(0, dtype=bool)
        return replace(
            self, times=none, probability=none, remaining_life=none, remaining_low=none,
            remaining_high=none, label=no,
        )  # fmt: skip


def unit_scores(intake: Intake, engine: sa.Engine, unit: str, found: FoundReadings) -> UnitScores:
    """Return what was said of readings of a unit.

    Parameters
    ----------
    intake
        Where scores lie.
    engine
        The database of the ledger.
    unit
        The unit's name.
    found
        The readings.

    Raises
    ------
    StorageError
        If store or ledger fail.
    """
    receipts = sorted(set(found.rows[RECEIPT].to_list()), reverse=True)
    files = scored_files(engine, receipts[:_MOST_FILES])
    scores = _read(intake, files, unit)
    unit_name, time = intake.spec.needed_columns[:2]
    readings = found.rows.select(RECEIPT, time)
    # A reading has the score of the file that it came in.
    rows = readings.join(
        scores.drop(unit_name), on=[RECEIPT, time], how="left", maintain_order="left"
    )
    values = {n: rows[n].cast(pl.Float64).fill_null(np.nan).to_numpy() for n in _VALUES}
    label = rows["label"].fill_null(value=False).to_numpy()
    version = files[0].version if files else ""
    newest = (rows["version"] == version).fill_null(value=False).to_numpy()
    threshold = _threshold(values["probability"][newest], label[newest])
    unscored = int(np.isnan(values["probability"]).sum())
    return UnitScores(
        found.times, values["probability"], values["remaining_life"], values["remaining_low"],
        values["remaining_high"], label, threshold, version, unscored,
    )  # fmt: skip


def draw_scores(scores: UnitScores, points: int) -> Drawn | None:
    """Return scores as at most so many points; None where no reading was scored.

    Returns
    -------
    Drawn or None
        By name ``probability``, ``alarm`` (the probability of those that are one), and
        ``remaining_life``, ``remaining_low``, ``remaining_high``.
    """
    if np.isnan(scores.probability).all():
        return None
    values = {name: getattr(scores, name) for name in _VALUES}
    values["alarm"] = np.where(scores.label, scores.probability, np.nan)
    return downsample(scores.times, values, points)


def _threshold(probability: Floats, label: NDArray[np.bool_]) -> float | None:
    if not label.any() or label.all():
        return None
    lowest, highest = probability[label].min(), probability[~label].max()
    return float(lowest) if highest < lowest else None


def _read(intake: Intake, files: Sequence[ScoredFile], unit: str) -> pl.DataFrame:
    """Read the scores of a unit; an object that is gone is left out."""
    spec = intake.spec
    unit_name, time = spec.needed_columns[:2]
    objects = [(file, key) for file in files for key in file.keys]

    def read(place: tuple[ScoredFile, str]) -> pl.DataFrame | None:
        file, key = place
        stored = intake.store.read(intake.prefixes.curated_bucket, key)
        if stored is None:
            return None
        body = io.BytesIO(stored[0])
        there = pl.read_parquet_schema(body)
        names = [name for name in (unit_name, time, "label", *_VALUES) if name in there]
        rows = pl.read_parquet(body, columns=names)
        rows = rows.filter(pl.col(unit_name).cast(pl.String) == unit)
        return rows.select(
            unit_name, time, "label",
            *(pl.col(n) if n in names else pl.lit(None, pl.Float64).alias(n) for n in _VALUES),
            pl.lit(file.receipt_id, pl.Int64).alias(RECEIPT),
            pl.lit(file.version).alias("version"),
        )  # fmt: skip

    schema = curated_schema(spec)
    none = pl.DataFrame(schema={
        unit_name: pl.String(), time: schema[time], "label": pl.Boolean(),
        **dict.fromkeys(_VALUES, pl.Float64()), RECEIPT: pl.Int64(), "version": pl.String(),
    })  # fmt: skip
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return pl.concat([none, *(rows for rows in pool.map(read, objects) if rows is not None)])
