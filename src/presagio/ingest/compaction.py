"""Put the rows of many small files together: fewer and larger objects of the curated data set.

Plan → begin → read → write → commit, a group of files at a time; the files' own parts are removed
some time after. A kill anywhere leaves the files as they were, or put together: nothing between.
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, get_args

import polars as pl

from presagio.errors import DataError
from presagio.ingest.filing import Intake
from presagio.ingest.naming import compaction_key, compaction_start, part_of
from presagio.ingest.outputs import (
    PART,
    UNIT_PART_ROWS,
    SpansOfParts,
    curated_schema,
    digest,
)
from presagio.readings.instants import time_type
from presagio.storage.compaction_turn import Result, SmallFile, Turn
from presagio.storage.compactions import Compaction
from presagio.storage.unit_parts import UnitSpans

Step = Literal["planned", "begun", "read", "written", "recorded", "committed", "removed"]
STEPS: tuple[Step, ...] = get_args(Step)
# A file counts as small up to this share of what is put together.
_SMALL = 8
_PAGE = 2000
_GROUP_FILES = 20_000
_READERS = 8
_READ_AHEAD = 64
_REMOVED_AT_ONCE = 500
# Above this many times what was planned the group ends: texts are longer than numbers.
_MOST = 2
_Columns = tuple[tuple[str, pl.DataType], ...]


def _ignore(_: object) -> None: ...


@dataclass(frozen=True)
class Rules:
    """What is put together.

    Attributes
    ----------
    before
        Files that were filed before.
    min_files
        Fewer are left as they are.
    group_bytes
        Bytes in memory of what is put together at a time.
    on_step
        Called after each step, with its name.
    on_read
        Called with the number of files that were read since the last call.
    """

    before: datetime
    min_files: int
    group_bytes: int
    on_step: Callable[[Step], None] = _ignore
    on_read: Callable[[int], None] = _ignore


@dataclass(frozen=True)
class Plan:
    """What waits to be put together."""

    files: int
    rows: int
    compactions: int


@dataclass
class Compacted:
    """What was put together.

    Attributes
    ----------
    skipped
        Files that cannot be, with the reason.
    """

    files: int = 0
    rows: int = 0
    objects: int = 0
    skipped: list[str] = field(default_factory=list)


def groups(intake: Intake, turn: Turn, rules: Rules, after: int) -> Iterator[list[SmallFile]]:
    """Yield groups of small files that are put together, oldest first.

    Parameters
    ----------
    intake
        Whose files.
    turn
        The ledger.
    rules
        What is put together.
    after
        Only files with a higher receipt.
    """
    row_bytes = 8 * len(curated_schema(intake.spec))
    group, size = list[SmallFile](), 0
    for file in _waiting(intake, turn, rules, after):
        if file.rows * row_bytes * _SMALL > rules.group_bytes:
            continue
        group.append(file)
        size += file.rows * row_bytes
        if size >= rules.group_bytes or len(group) == _GROUP_FILES:
            yield group
            group, size = [], 0
    if len(group) >= rules.min_files:
        yield group


def _waiting(intake: Intake, turn: Turn, rules: Rules, after: int) -> Iterator[SmallFile]:
    while True:
        page = turn.waiting(before=rules.before, after=after, limit=_PAGE)
        for file in page:
            if file.keys and not intake.is_of_events(file.key):
                yield file
        if len(page) < _PAGE:
            return
        after = page[-1].receipt_id


def plan(intake: Intake, rules: Rules) -> Plan:
    """Return what would be put together; nothing is read but the ledger."""
    files = rows = found = 0
    with intake.ledger.compactions(intake.prefixes.bucket).looking() as turn:
        for group in groups(intake, turn, rules, 0):
            files, found = files + len(group), found + 1
            rows += sum(file.rows for file in group)
    return Plan(files, rows, found)


def compact(intake: Intake, rules: Rules) -> Compacted:
    """Put small files together; of two runs at once one waits for the other, group by group.

    Each row counts once at any time, wherever the run ends.

    Raises
    ------
    StorageError
        If store or ledger fail; what was committed stays, the rest is for the next run.
    """
    compactions, done, after = intake.ledger.compactions(intake.prefixes.bucket), Compacted(), 0
    while True:
        with compactions.turn() as turn:
            group = next(groups(intake, turn, rules, after), None)
            if group is None:
                return done
            rules.on_step("planned")
            if (former := compactions.begun()) is not None:
                _remove_objects(intake, former)
            number = compactions.begin()
            rules.on_step("begun")
            after = _compact_group(intake, turn, rules, number, group, done)
        rules.on_step("committed")


def _compact_group(
    intake: Intake, turn: Turn, rules: Rules, number: int, group: Sequence[SmallFile],
    done: Compacted,
) -> int:  # fmt: skip
    """Put a group together as far as memory allows; return the last receipt of what was read."""
    read, size = dict[_Columns, list[tuple[SmallFile, pl.DataFrame]]](), 0
    last = group[-1].receipt_id
    for file, parts in _read(intake, group, done):
        rules.on_read(1)
        frame = _numbered(file, parts)
        if (reason := _fault(intake, frame)) is not None or frame is None:
            done.skipped.append(f"receipt {file.receipt_id}: {reason}")
            continue
        read.setdefault(tuple(frame.schema.items()), []).append((file, frame))
        size += int(frame.estimated_size())
        if size > _MOST * rules.group_bytes:
            last = file.receipt_id
            break
    files, rows = _most_alike(read, done)
    read.clear()
    if len(files) < 2:  # noqa: PLR2004 - one file is put together with nothing
        return last
    rules.on_step("read")
    with tempfile.TemporaryDirectory(prefix="presagio-compaction-") as folder:
        result = _store(intake, number, rows, Path(folder))
    rules.on_step("written")
    receipts = turn.unchanged(files)
    turn.commit(number, result, receipts)
    rules.on_step("recorded")
    done.files, done.rows = done.files + len(receipts), done.rows + result.rows
    done.objects += len(result.keys)
    return last


def _most_alike(
    read: dict[_Columns, list[tuple[SmallFile, pl.DataFrame]]], done: Compacted
) -> tuple[list[SmallFile], pl.DataFrame]:
    """Return the files of the columns that most have, and their rows; the others wait.

    Of most, not of the first: one file that is alone with its columns would hold up all after it.
    """
    most = max(read.values(), key=len, default=[])
    done.skipped += [
        f"receipt {file.receipt_id}: its parts have other columns than those of most files"
        for some in read.values() if some is not most
        for file, _ in some
    ]  # fmt: skip
    rows = pl.concat([rows for _, rows in most]) if most else pl.DataFrame()
    return [file for file, _ in most], rows


def _fault(intake: Intake, rows: pl.DataFrame | None) -> str | None:
    """Say why the rows of a file cannot be put together with those of others, if they cannot."""
    if rows is None:
        return "its parts have not all the same columns"
    spec = intake.spec
    if spec.is_series:
        unit, time = spec.needed_columns[:2]
        kind = pl.Float64() if spec.time is None else time_type(spec.time)
        if unit not in rows.columns or rows.schema.get(time) != kind:
            return "it was checked before there were unit and time; see: presagio ingest again"
    return None


def _read(
    intake: Intake, group: Sequence[SmallFile], done: Compacted
) -> Iterator[tuple[SmallFile, list[bytes]]]:
    """Yield files with their parts; those whose parts are not what the ledger says are skipped."""
    bucket = intake.prefixes.curated_bucket

    def parts_of(file: SmallFile) -> list[bytes] | None:
        parts = []
        for key in file.keys:
            found = intake.store.read(bucket, key)
            if found is None or hashlib.sha256(found[0]).hexdigest() != file.digests.get(key):
                return None
            parts.append(found[0])
        return parts

    with ThreadPoolExecutor(_READERS, thread_name_prefix="compaction") as readers:
        for start in range(0, len(group), _READ_AHEAD):
            some = group[start : start + _READ_AHEAD]
            for file, parts in zip(some, readers.map(parts_of, some), strict=True):
                if parts is not None:
                    yield file, parts
                else:
                    done.skipped.append(
                        f"receipt {file.receipt_id}: a part is gone or altered; see: presagio "
                        "ingest verify"
                    )


def _numbered(file: SmallFile, parts: Sequence[bytes]) -> pl.DataFrame | None:
    """Return the rows of a file with the number of their part; None where columns differ."""
    frames = [
        pl.read_parquet(body).with_columns(pl.lit(part_of(key), pl.Int32).alias(PART))
        for key, body in zip(file.keys, parts, strict=True)
    ]
    if any(frame.schema != frames[0].schema for frame in frames):
        return None
    return pl.concat(frames)


def _written(intake: Intake, rows: pl.DataFrame, folder: Path) -> tuple[list[Path], UnitSpans]:
    """Write the rows into files: of units in order of unit and time, as their parts are."""
    if not intake.spec.is_series:
        rows.write_parquet(folder / "part-0.parquet")
        return [folder / "part-0.parquet"], UnitSpans()
    spans, paths = SpansOfParts(intake.spec), list[Path]()
    for number, part in enumerate(spans.in_order(rows).iter_slices(UNIT_PART_ROWS)):
        spans.add(part, number)
        paths.append(folder / f"part-{number}.parquet")
        part.write_parquet(paths[-1])
    return paths, spans.found


def _remove_objects(intake: Intake, number: int) -> None:
    """Remove what a killed run has written of a compaction."""
    bucket = intake.prefixes.curated_bucket
    start = compaction_start(intake.prefixes.curated, number)
    intake.store.remove(bucket, [found.key for found in intake.store.list(bucket, start)])


def _store(intake: Intake, number: int, rows: pl.DataFrame, folder: Path) -> Result:
    prefixes, digests = intake.prefixes, dict[str, str]()
    paths, spans = _written(intake, rows, folder)
    for part, path in enumerate(paths):
        key, sha256 = compaction_key(prefixes.curated, number, part), digest(path)
        metadata = {"presagio-sha256": sha256}
        intake.store.upload(prefixes.curated_bucket, key, path, metadata=metadata)
        digests[key] = sha256
    return Result(tuple(digests), digests, len(rows), spans)


def remove_originals(
    intake: Intake, *, before: datetime, on_step: Callable[[Step], None] = _ignore
) -> int:
    """Remove the parts of files that were put together before a time; return how many.

    Before that it is made sure that the objects which replace them are there.

    Raises
    ------
    DataError
        If one is not; the parts of its files stay.
    StorageError
        If store or ledger fail.
    """
    compactions, removed = intake.ledger.compactions(intake.prefixes.bucket), 0
    bucket = intake.prefixes.curated_bucket
    for compaction in compactions.committed(before=before, with_originals=True):
        _require_whole(intake, compaction)
        after: int | None = 0
        while after is not None:
            with compactions.removing(compaction.id, after=after, limit=_REMOVED_AT_ONCE) as some:
                keys = some.keys()
                intake.store.remove(bucket, keys)
                on_step("removed")
                some.done()
                removed, after = removed + len(keys), some.last
    for compaction in compactions.unused(before=before):
        intake.store.remove(bucket, compaction.keys)
        compactions.forget(compaction.id)
    return removed


def _require_whole(intake: Intake, compaction: Compaction) -> None:
    for key in compaction.keys:
        found = intake.store.metadata(intake.prefixes.curated_bucket, key)
        if found.get("presagio-sha256") != compaction.digests[key]:
            raise DataError(
                f"{key} is gone or altered; the small files that it is to replace stay; see: "
                "presagio ingest verify"
            )
