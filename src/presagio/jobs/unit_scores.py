"""What was said of a unit's readings when they arrived: from the scores of their files."""

import io
from collections.abc import Mapping, Sequence
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
from presagio.storage.kept_frames import KeptFrames
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


def unit_scores(
    intake: Intake, engine: sa.Engine, unit: str, found: FoundReadings,
    kept: KeptFrames | None = None,
) -> UnitScores:  # fmt: skip
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
    kept
        Scores that were read lately.

    Raises
    ------
    StorageError
        If store or ledger fail.
    """
    receipts = sorted(set(found.rows[RECEIPT].to_list()), reverse=True)
    files = scored_files(engine, receipts[:_MOST_FILES])
    scores = _read(intake, files, unit, kept or KeptFrames())
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


def _read(intake: Intake, files: Sequence[ScoredFile], unit: str, kept: KeptFrames) -> pl.DataFrame:
    """Read the scores of a unit; an object that is gone is left out."""
    spec = intake.spec
    unit_name, time = spec.needed_columns[:2]
    objects = [(file, key) for file in files for key in file.keys]
    schema = curated_schema(spec)
    columns = {
        unit_name: pl.String(), time: schema[time], "label": pl.Boolean(),
        **dict.fromkeys(_VALUES, pl.Float64()),
    }  # fmt: skip

    def read(place: tuple[ScoredFile, str]) -> pl.DataFrame:
        file, key = place
        known = (intake.prefixes.curated_bucket, key, file.scored_at, *columns)
        rows = kept.get(known, lambda: _decoded(intake, key, columns))
        return rows.filter(pl.col(unit_name) == unit).with_columns(
            pl.lit(file.receipt_id, pl.Int64).alias(RECEIPT), pl.lit(file.version).alias("version")
        )

    none = pl.DataFrame(schema={**columns, RECEIPT: pl.Int64(), "version": pl.String()})
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return pl.concat([none, *pool.map(read, objects)])


def _decoded(intake: Intake, key: str, columns: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Return columns of an object of scores; none of its rows where it is gone."""
    stored = intake.store.read(intake.prefixes.curated_bucket, key)
    if stored is None:
        return pl.DataFrame(schema=columns)
    body = io.BytesIO(stored[0])
    there = pl.read_parquet_schema(body)
    rows = pl.read_parquet(body, columns=[name for name in columns if name in there])
    return rows.select(
        (pl.col(name) if name in there else pl.lit(None, kind).alias(name))
        for name, kind in columns.items()
    )
