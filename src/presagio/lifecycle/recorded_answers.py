"""Recorded answers: the small files of days that are over are put together, a day at a time.

PostgreSQL says which object has taken the place of which files. A day's files are removed right
after that; a run that is killed between leaves them to the next one.
"""

import hashlib
import io
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path

import polars as pl

from presagio.ingest.compaction import Compacted, Rules
from presagio.storage.compaction_turn import Result
from presagio.storage.compactions import Compactions
from presagio.storage.objects import ObjectStore, StoredObject

# Whoever records writes into the folder of the day, also of one that has just ended.
_SETTLED = timedelta(hours=1)
# A row takes this many times as many bytes in memory as in its file, or fewer.
_PACKED = 4


@dataclass(frozen=True)
class Answers:
    """Where the recorded answers of a fleet are.

    Attributes
    ----------
    prefix
        Of their keys, before ``date=``.
    compactions
        What the ledger knows of them.
    """

    store: ObjectStore
    compactions: Compactions
    bucket: str
    prefix: str

    def days(self, before: datetime) -> Iterator[tuple[str, list[StoredObject]]]:
        """Yield the folders of days that were over before a time, with their objects."""
        last = f"{self.prefix}date={before - _SETTLED:%Y-%m-%d}/"
        found = self.store.list(self.bucket, f"{self.prefix}date=")
        for folder, stored in groupby(found, key=lambda one: one.key.rpartition("/")[0] + "/"):
            if folder >= last:
                return
            yield folder, list(stored)

    def small_files(
        self, folder: str, stored: Sequence[StoredObject]
    ) -> tuple[list[StoredObject], list[str]]:
        """Return the files of a day that wait, and the keys of those that only have to go."""
        replaced, start = self.compactions.answers(folder), f"{folder}compaction-"
        left = [one.key for one in stored if one.key in replaced]
        files = [one for one in stored if one.key not in replaced and not one.key.startswith(start)]
        return files, left


def plan_answers(answers: Answers, rules: Rules) -> tuple[int, int]:
    """Return how many files would be put together, and of how many days."""
    waiting = [
        len(files)
        for folder, stored in answers.days(rules.before)
        if len(files := answers.small_files(folder, stored)[0]) >= rules.min_files
    ]
    return sum(waiting), len(waiting)


def compact_answers(answers: Answers, rules: Rules) -> Compacted:
    """Put the small files of days that are over together.

    Of two runs at once one waits for the other, day by day.

    Raises
    ------
    StorageError
        If store or ledger fail; what was committed stays, the rest is for the next run.
    """
    done = Compacted()
    for folder, _ in list(answers.days(rules.before)):
        while _compact_some(answers, rules, folder, done):
            pass
    return done


def _key(folder: str, number: int) -> str:
    return f"{folder}compaction-{number}.parquet"


def _compact_some(answers: Answers, rules: Rules, folder: str, done: Compacted) -> bool:
    """Put some files of a day together; tell whether there may be more."""
    with answers.compactions.turn() as turn:
        # Listed under the lock: what another run has put together is there or gone as a whole.
        stored = list(answers.store.list(answers.bucket, folder))
        files, left = answers.small_files(folder, stored)
        answers.store.remove(answers.bucket, left)
        if len(files) < rules.min_files:
            return False
        rules.on_step("planned")
        if (former := answers.compactions.begun(folder)) is not None:
            answers.store.remove(answers.bucket, [_key(folder, former)])
        number = answers.compactions.begin(folder)
        rules.on_step("begun")
        keys, rows = _read(answers, rules, files, done)
        if len(keys) < 2:  # noqa: PLR2004 - one file is put together with nothing
            return False
        rules.on_step("read")
        key = _key(folder, number)
        result = Result((key,), {key: _store(answers, key, rows)}, len(rows))
        rules.on_step("written")
        turn.commit_answers(number, result, keys)
        rules.on_step("recorded")
    rules.on_step("committed")
    done.files, done.rows, done.objects = (
        done.files + len(keys), done.rows + len(rows), done.objects + 1,
    )  # fmt: skip
    answers.store.remove(answers.bucket, keys)
    rules.on_step("removed")
    return len(keys) < len(files)


def _read(
    answers: Answers, rules: Rules, files: Sequence[StoredObject], done: Compacted
) -> tuple[list[str], pl.DataFrame]:
    """Read files as far as memory allows; return those of the columns that most of them have.

    Of most, not of the first: one that is alone with its columns would hold up its day.
    """
    read, size = dict[tuple[tuple[str, pl.DataType], ...], list[tuple[str, pl.DataFrame]]](), 0
    for file in files:
        if file.size * _PACKED > rules.group_bytes:
            continue
        found = answers.store.read(answers.bucket, file.key)
        rules.on_read(1)
        if found is None:
            continue
        try:
            rows = pl.read_parquet(io.BytesIO(found[0]))
        except pl.exceptions.PolarsError as err:
            done.skipped.append(f"{file.key}: it cannot be read: {err}")
            continue
        read.setdefault(tuple(rows.schema.items()), []).append((file.key, rows))
        size += int(rows.estimated_size())
        if size >= rules.group_bytes:
            break
    most = max(read.values(), key=len, default=[])
    rows = pl.concat([rows for _, rows in most]) if most else pl.DataFrame()
    return [key for key, _ in most], rows


def _store(answers: Answers, key: str, rows: pl.DataFrame) -> str:
    with tempfile.TemporaryDirectory(prefix="presagio-compaction-") as folder:
        path = Path(folder) / "answers.parquet"
        rows.write_parquet(path)
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        answers.store.upload(answers.bucket, key, path, metadata={"presagio-sha256": sha256})
    return sha256
