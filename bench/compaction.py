"""Reading curated rows for a training: from many small files, and after they were put together.

The files are laid below the object store's folder and their receipts written at once, as if they
had been filed: filing is measured by :mod:`bench.intake`. Where ``deltalake`` can be imported, the
same rows are read from a Delta table besides.
"""

import hashlib
import importlib.util
import io
import json
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import sqlalchemy as sa

from bench.report import table, write
from bench.servers import services
from bench.sizes import Size
from presagio.ingest.compaction import Rules, compact, remove_originals
from presagio.ingest.curated import labelled_rows, training_schema
from presagio.ingest.filing import Intake
from presagio.ingest.opening import open_intake
from presagio.ingest.outputs import RECEIPT, curated_schema
from presagio.machine.simulation import simulate
from presagio.settings import Settings
from presagio.stack.layout import Layout
from presagio.stack.ports import free_ports
from presagio.storage.database import open_database
from presagio.storage.fleets import find_fleet

_ROWS = 10
_BATCH = 5000
_FOLDER = "day=2026-01-01"
_HEADER = ("what", "files", "rows", "time", "rows/s")


def _rows(intake: Intake, files: int) -> Iterator[pl.DataFrame]:
    """Yield the rows of one file after another."""
    schema = curated_schema(intake.spec)
    for block in simulate(intake.spec, files * _ROWS, seed=1):
        for part in block.iter_slices(_ROWS):
            yield part.select(
                pl.col(name).cast(kind) if name in part.columns else pl.lit(None, kind).alias(name)
                for name, kind in schema.items()
            )


def _file_all(intake: Intake, settings: Settings, objects: Path, files: int) -> None:
    folder = objects / settings.data_bucket / intake.prefixes.curated / _FOLDER
    folder.mkdir(parents=True)
    waiting = list[dict[str, Any]]()
    for number, rows in enumerate(_rows(intake, files), start=1):
        body = io.BytesIO()
        rows.with_columns(pl.lit(number, pl.Int64).alias(RECEIPT)).write_parquet(body)
        name = f"receipt-{number}-part-0.parquet"
        (folder / name).write_bytes(body.getvalue())
        key = f"{intake.prefixes.curated}{_FOLDER}/{name}"
        sha256 = hashlib.sha256(body.getvalue()).hexdigest()
        waiting.append({
            "id": number, "bucket": settings.s3_bucket, "key": f"incoming/{number}.csv",
            "sha256": sha256, "name": f"{number}.csv", "rows": len(rows),
            "keys": json.dumps([key]), "digests": json.dumps({key: sha256}),
        })  # fmt: skip
        if len(waiting) == _BATCH or number == files:
            _record(settings, waiting)
            waiting.clear()


def _record(settings: Settings, receipts: list[dict[str, Any]]) -> None:
    engine = open_database(settings)
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO claims (id, bucket, key, version, sha256, size_bytes, name, fleet) "
                "OVERRIDING SYSTEM VALUE VALUES (:id, :bucket, :key, '1', :sha256, 1, :name, '')"
            ),
            receipts,
        )
        connection.execute(
            sa.text(
                "INSERT INTO receipts (id, bucket, key, version, sha256, size_bytes, fleet, "
                "verdict, rows_in, rows_processed, rows_quarantined, reasons, archive_key, "
                "curated_keys, digests) VALUES (:id, :bucket, :key, '1', :sha256, 1, '', "
                "'processed', :rows, :rows, 0, '{}', '', CAST(:keys AS jsonb), "
                "CAST(:digests AS jsonb))"
            ),
            receipts,
        )
    engine.dispose()


def _line(what: str, files: int, rows: int, seconds: float) -> tuple[object, ...]:
    line = (what, f"{files:,}", f"{rows:,}", f"{seconds:.2f} s", f"{rows / seconds:,.0f}")
    print(*line, sep="; ", flush=True)
    return line


def _read(intake: Intake, what: str, after: int, files: int) -> tuple[object, ...]:
    began = time.perf_counter()
    rows = sum(map(len, labelled_rows(intake, after=after)))
    assert rows == _ROWS * (files - after)
    return _line(what, files - after, rows, time.perf_counter() - began)


def _delta(intake: Intake, settings: Settings, files: int) -> list[tuple[object, ...]]:
    """Read the same rows from a Delta table in the same store."""
    if importlib.util.find_spec("deltalake") is None:
        return []
    access, secret = settings.s3_access_key, settings.s3_secret_key
    assert access is not None
    assert secret is not None
    options = {
        "endpoint_url": str(settings.s3_endpoint), "allow_http": "true", "region": "us-east-1",
        "access_key_id": access.get_secret_value(), "secret_access_key": secret.get_secret_value(),
        "aws_conditional_put": "etag",
    }  # fmt: skip
    place, began = f"s3://{settings.data_bucket}/delta", time.perf_counter()
    rows = pl.concat(labelled_rows(intake))
    lines = list[tuple[object, ...]]()
    rows.write_delta(place, storage_options=options)
    lines.append(_line("written as a Delta table", files, len(rows), time.perf_counter() - began))
    names = training_schema(intake.spec).names()
    for reader, pyarrow in (("read from it by Polars", False), ("by PyArrow", True)):
        began, what = time.perf_counter(), reader
        try:
            scan = pl.scan_delta(place, storage_options=options, use_pyarrow=pyarrow)
            found = len(scan.select(RECEIPT, *names).collect())
        except OSError as err:
            reason = re.sub(r"\x1b\[\d+m|\(path.*|↳", "", str(err), flags=re.DOTALL)
            what, found = f"{reader}: refused, {' '.join(reason.split())}", 0
        lines.append(_line(what, files, found, time.perf_counter() - began))
    return lines


def run(size: Size) -> None:
    """Measure, and write the table."""
    files = size.pick(100_000, 20_000, 300)
    before = min(files, size.pick(20_000, 5000, 300))
    with tempfile.TemporaryDirectory(prefix="presagio-bench-") as folder:
        home, layout = Path(folder) / "home", Layout(Path(folder) / "home")
        with services(home, free_ports()) as settings:
            intake = open_intake(find_fleet(settings))
            with closing(intake.ledger):
                _file_all(intake, settings, layout.objects, files)
                lines = [_read(intake, "read from small files", files - before, files)]
                began = time.perf_counter()
                done = compact(
                    intake, Rules(datetime.now(UTC) + timedelta(hours=1), 2, settings.compact_bytes)
                )
                seconds = time.perf_counter() - began
                assert (done.files, done.skipped) == (files, [])
                lines.append(_line("put together", done.files, done.rows, seconds))
                lines.append(_read(intake, "read while the small files stay", 0, files))
                began = time.perf_counter()
                remove_originals(intake, before=datetime.now(UTC) + timedelta(hours=1))
                seconds = time.perf_counter() - began
                lines.append(_line("small files removed", files, done.rows, seconds))
                lines.append(_read(intake, "read from what was put together", 0, files))
                lines += _delta(intake, settings, files)
    peak = psutil.Process().memory_info().rss >> 20
    about = (
        f"Files of {_ROWS} rows, on the local stack's S3 (rclone): {done.objects:,} objects "
        f"afterwards. The process that did all of it had {peak:,} MiB in the end."
    )
    write("compaction", f"{about}\n\n{table(_HEADER, lines)}", size, after="intake")
