"""File what came: plan batches of what waits, file each batch, sum up."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from typing import Any

from presagio.errors import RefusedValueError, StorageError
from presagio.ingest.filing import Intake, file_object
from presagio.ingest.incoming import Batch, plan_batches
from presagio.jobs.summaries import round_in_words
from presagio.storage.receipt import Receipt

_log = logging.getLogger(__name__)
# Filing a small file is mostly waiting for S3 and PostgreSQL.
_THREADS = 4
# A large file holds some 200 MB while it is checked: such files are filed one after the other.
_LARGE_BYTES = 16 << 20
# So many of the files that were refused whole are named in a summary.
_SHOWN = 5


@dataclass(frozen=True)
class Filed:
    """What came of the files of a round, or of a part of it."""

    files: int = 0
    files_quarantined: int = 0
    files_duplicate: int = 0
    rows_processed: int = 0
    rows_quarantined: int = 0

    def __add__(self, other: "Filed") -> "Filed":
        """Sum two parts up."""
        more = asdict(other)
        return Filed(**{name: count + more[name] for name, count in asdict(self).items()})


def _counted(receipt: Receipt) -> Filed:
    done = receipt.outcome
    return Filed(
        1,
        int(done.verdict == "quarantined"),
        int(done.verdict == "duplicate"),
        done.rows_processed,
        done.rows_quarantined,
    )


def _log_filed(receipt: Receipt) -> None:
    done = receipt.outcome
    _log.info(
        "%s: %s, %d of %d rows taken, receipt %d",
        receipt.identity.key, done.verdict, done.rows_processed, done.rows_in, receipt.id,
    )  # fmt: skip


def file_keys(
    intake: Intake,
    keys: Sequence[str],
    *,
    run_id: str | None = None,
    threads: int = _THREADS,
    on_filed: Callable[[Receipt], None] | None = None,
) -> Filed:
    """File objects, several at once; each is filed whether or not another one fails.

    Raises
    ------
    StorageError
        If store or ledger fail; the files that were not begun wait for the next round.
    ExceptionGroup
        If files fail for other reasons; all others are filed.
    """
    done, failures = Filed(), []
    with ThreadPoolExecutor(threads) as pool:
        futures = {pool.submit(file_object, intake, key, run_id=run_id): key for key in keys}
        for future in as_completed(futures):
            try:
                receipt = future.result()
            except Exception as err:
                if isinstance(err, StorageError) and not isinstance(err, RefusedValueError):
                    pool.shutdown(cancel_futures=True)
                    raise
                # Raised below, after the other files.
                err.add_note(f"while filing {futures[future]}")
                failures.append(err)
                continue
            if receipt is not None:
                _log_filed(receipt)
                done += _counted(receipt)
                if on_filed:
                    on_filed(receipt)
    if failures:
        raise ExceptionGroup(f"{len(failures)} of {len(keys)} files failed", failures)
    return done


def _threads(batch: Batch) -> int:
    return 1 if batch.size_bytes > _LARGE_BYTES * len(batch.keys) else _THREADS


def sweep(
    intake: Intake,
    *,
    run_id: str | None = None,
    on_filed: Callable[[Receipt], None] | None = None,
) -> Filed:
    """File everything that waits below the incoming prefix, in this process.

    Raises
    ------
    StorageError
        If store or ledger fail; what was not filed yet waits for the next round.
    """
    done, before = Filed(), list[Batch]()
    # A plan is bounded; what stays in spite of it would be in the next one too.
    while (batches := plan_batches(intake)) and batches != before:
        before = batches
        for batch in batches:
            done += file_keys(
                intake, batch.keys, run_id=run_id, threads=_threads(batch), on_filed=on_filed
            )
    return done


def begin_round(intake: Intake, *, run_id: str | None, slots: int) -> list[dict[str, object]]:
    """Plan a round, and file a small one right away: handing it over would take longer.

    Parameters
    ----------
    intake
        Where files wait.
    run_id
        The DAG run, for the receipts.
    slots
        How many batches can be filed at once.

    Returns
    -------
    list of dict
        The batches that are left to file, as JSON for the DAG.
    """
    batches = plan_batches(intake, slots=slots)
    if len(batches) == 1 and batches[0].is_small:
        file_keys(intake, batches[0].keys, run_id=run_id)
        return []
    return [asdict(batch) for batch in batches]


def file_batch(intake: Intake, batch: dict[str, Any], *, run_id: str | None) -> dict[str, int]:
    """File one batch of a plan, and return what came of it as JSON for the DAG."""
    planned = Batch(tuple(batch["keys"]), batch["size_bytes"])
    return asdict(file_keys(intake, planned.keys, run_id=run_id, threads=_threads(planned)))


def sum_up(intake: Intake, *, run_id: str) -> dict[str, Any]:
    """Sum up a round by its receipts, which also know what a task filed before it died.

    Returns
    -------
    dict
        The counts of :class:`Filed`, and the ``summary`` in words.
    """
    bucket = intake.prefixes.bucket
    found = intake.ledger.filed_in(bucket, run_id)
    filed = Filed(
        sum(found.files.values()),
        found.files.get("quarantined", 0),
        found.files.get("duplicate", 0),
        found.rows_processed,
        found.rows_quarantined,
    )
    refused = list[tuple[str, str]]()
    if filed.files_quarantined:
        first = intake.ledger.receipts(
            bucket=bucket, verdict="quarantined", run_id=run_id, limit=_SHOWN
        )
        refused = [
            (one.identity.key, str(one.outcome.notes.get("refused", "unknown"))) for one in first
        ]
    total = asdict(filed)
    summary = round_in_words(total, refused)
    _log.info("%s", summary)
    return {**total, "summary": summary}
