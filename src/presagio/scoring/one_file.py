"""Score one file: rows that can be predicted into one file, the others with their reason aside."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from polars.io.plugins import register_io_source

from presagio.errors import DataError
from presagio.inference.predictor import Predictor
from presagio.machine.headers import HeaderLimits
from presagio.machine.spec import MachineSpec
from presagio.readings.process.checked import Source, open_source, rows_at_once
from presagio.readings.table import CheckedReadings, ReadingsTable
from presagio.scoring.answer import AnswerRows, is_good, named_apart
from presagio.scoring.arrays import score_rows
from presagio.scoring.tails import Tail

# Kinds of files, by the ends of their names.
FORMS = {".csv": "csv", ".parquet": "parquet"}
_NUMBER_BYTES = 8
# Rows of a group in a result: larger than Polars' default, which is written a twentieth slower.
_GROUP_ROWS = 250_000


@dataclass(frozen=True)
class FileLimits:
    """What a file may be.

    Attributes
    ----------
    headers
        Its columns.
    most_bytes
        To how many bytes of inputs it may unpack.
    """

    headers: HeaderLimits
    most_bytes: int


@dataclass(frozen=True)
class FileCounts:
    """What came of the rows of a file: ``rows = scored + rejected``.

    Attributes
    ----------
    reasons
        How many rows have each reason; a row may have several.
    """

    rows: int = 0
    scored: int = 0
    alarms: int = 0
    rejected: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def __add__(self, other: "FileCounts") -> "FileCounts":
        """Sum two up."""
        return FileCounts(
            self.rows + other.rows, self.scored + other.scored, self.alarms + other.alarms,
            self.rejected + other.rejected, dict(Counter(self.reasons) + Counter(other.reasons)),
        )  # fmt: skip


class CheckedPart(NamedTuple):
    """A part of a file: its rows as they were read, and checked."""

    frame: pl.DataFrame
    checked: CheckedReadings


class ReadFile:
    """A file of readings that was opened.

    Parameters
    ----------
    path
        The file.
    form
        One of the values of :data:`FORMS`.
    spec
        The machine whose readings it has.
    limits
        What it may be.

    Raises
    ------
    DataError
        If its columns are not those of the machine spec.
    """

    def __init__(self, path: Path, form: str, spec: MachineSpec, limits: FileLimits) -> None:
        found = open_source(form, path, {"headers": asdict(limits.headers)})
        self._source = found or Source({}, lambda _: iter(()))
        self._table = ReadingsTable(self._source.schema, spec, limits.headers)
        self._most_bytes = limits.most_bytes
        self._most_rows = limits.most_bytes // (_NUMBER_BYTES * len(spec.input_names))

    def parts(self) -> Iterator[CheckedPart]:
        """Yield its rows, at least one part, which may be empty.

        Raises
        ------
        DataError
            If it unpacks to more than it may.
        """
        left, table, wanted = self._most_rows, self._table, [*self._table.columns.values()]
        is_empty = True
        for frame in self._source.frames(table):
            if (left := left - frame.height) < 0:
                raise DataError(
                    f"it unpacks to more than {self._most_bytes:,} bytes; divide it, or raise "
                    "PRESAGIO_INTAKE_MAX_BYTES"
                )
            more = [name for name in frame.columns if name not in table.read.values()]
            for part in frame.iter_slices(rows_at_once(table)):
                is_empty = False
                yield CheckedPart(part, table.check(part.select(*wanted, *more), echo=False))
        if is_empty:
            nothing = pl.DataFrame(schema=dict.fromkeys(table.read.values(), pl.String))
            yield CheckedPart(nothing, table.check(nothing.select(wanted), echo=False))

    def echoed(self, part: pl.DataFrame) -> pl.DataFrame:
        """Return the columns that are no inputs, by the file's names."""
        return part.select(pl.col(new).alias(name) for name, new in self._table.echoed.items())

    def original(self, part: pl.DataFrame) -> pl.DataFrame:
        """Return all columns by the file's names."""
        return part.select(pl.col(new).alias(name) for name, new in self._table.read.items())


class _Rejected:
    """Rows that cannot be scored, kept part by part beside the result."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder = path.with_name(path.name + ".parts")
        self._parts: list[Path] = []
        self.reasons: Counter[str] = Counter()

    def add(self, answer: pl.DataFrame, original: pl.DataFrame, good: pl.Series) -> None:
        """Take the bad rows of a part."""
        bad = answer.select("row", "fault", "reason").filter(~good)
        sent = named_apart(original.filter(~good), bad.columns)
        self._folder.mkdir(exist_ok=True)
        self._parts.append(self._folder / f"{len(self._parts):08}.parquet")
        row, why = bad.select("row").to_dict(), bad.drop("row").to_dict()
        pl.DataFrame({**row, **sent, **why}).write_parquet(self._parts[-1])
        counted = bad["reason"].str.split(" ").explode().value_counts()
        self.reasons.update(dict(counted.iter_rows()))

    def close(self) -> None:
        """Put the parts together; without any there is no file."""
        if self._parts:
            pl.scan_parquet(self._parts, glob=False).sink_parquet(self._path)
        for part in self._parts:
            part.unlink()
        if self._parts:
            self._folder.rmdir()


def score_file(
    file: ReadFile, predictor: Predictor, version: str, result: Path, rejected: Path,
    history: Tail | None = None,
) -> FileCounts:  # fmt: skip
    """Score one file, in bounded memory.

    Parameters
    ----------
    file
        The readings.
    predictor, version
        The model, and what it is called.
    result
        Where the rows go that can be scored: the columns of a file answer, as Parquet.
    rejected
        Where the others go, with ``fault`` and ``reason`` beside the file's columns; no file is
        made where there are none.
    history
        What is known of the file's units from before it.

    Raises
    ------
    DataError
        If the file unpacks to more than it may, or has too many units for the memory.
    """
    spec = predictor.artifact.spec
    histories = predictor.histories() if spec.has_history else None
    if histories is not None and history is not None and len(history.units):
        histories.expand(history.rows, history.units, history.times)
    rows = AnswerRows(predictor, version, _score_with(predictor), histories)
    aside, counts = _Rejected(rejected), Counter[str]()
    # Text of few values, as codes: it is written in a tenth of the time.
    coded = [
        pl.col("mode").cast(pl.Categorical),
        pl.lit(version).cast(pl.Categorical).alias("version"),
    ]

    def good_rows() -> Iterator[pl.DataFrame]:
        for frame, checked in file.parts():
            good = is_good(checked)
            answer = rows.frame(checked, counts["rows"], frame.height, file.echoed(frame))
            counts["rows"] += frame.height
            if good is not None:
                aside.add(answer, file.original(frame), good)
                answer = answer.filter(good)
            answer = answer.drop("fault", "reason").with_columns(coded)
            counts["scored"] += answer.height
            counts["alarms"] += int(answer["label"].sum())
            yield answer

    _write(good_rows(), result)
    aside.close()
    total, scored = counts["rows"], counts["scored"]
    return FileCounts(total, scored, counts["alarms"], total - scored, dict(aside.reasons))


def _score_with(predictor: Predictor) -> Any:
    return lambda inputs, expanded: score_rows(predictor, inputs if expanded is None else expanded)


def _write(frames: Iterator[pl.DataFrame], path: Path) -> None:
    first, failed = next(frames), list[BaseException]()

    def every(*_: object) -> Iterator[pl.DataFrame]:
        try:
            yield first
            yield from frames
        except Exception as err:
            # Polars would tell of its class only by name.
            failed.append(err)
            raise

    source = register_io_source(every, schema=first.schema)
    try:
        source.sink_parquet(
            path, compression="zstd", compression_level=1, statistics=False,
            row_group_size=_GROUP_ROWS,
        )  # fmt: skip
    except Exception:
        if failed:
            raise failed[0] from None
        raise


def spec_of(text: str) -> MachineSpec:
    """Read a machine spec that was written as JSON for another process."""
    return MachineSpec.model_validate(json.loads(text))
