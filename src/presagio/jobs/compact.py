"""Compact: put small files together, of the curated data set and of recorded answers."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from presagio.ingest import compaction
from presagio.ingest.compaction import Rules
from presagio.ingest.filing import Intake
from presagio.lifecycle.recorded_answers import Answers, compact_answers, plan_answers
from presagio.settings import ANSWERS, Settings

_log = logging.getLogger(__name__)
_SHOWN = 5


def _answers(settings: Settings, intake: Intake) -> Answers:
    bucket = settings.data_bucket
    compactions = intake.ledger.compactions(bucket, "answers")
    return Answers(intake.store, compactions, bucket, settings.place(ANSWERS))


def rules_of(settings: Settings, on_read: Callable[[int], None] = lambda _files: None) -> Rules:
    """Return what is put together, as the settings say."""
    before = datetime.now(UTC) - timedelta(hours=settings.compact_after_h)
    return Rules(before, settings.compact_min_files, settings.compact_bytes, on_read=on_read)


def plan(settings: Settings, intake: Intake) -> dict[str, Any]:
    """Return what :func:`compact` would do, and do nothing.

    Raises
    ------
    StorageError
        If store or ledger fail.
    """
    rules = rules_of(settings)
    curated = compaction.plan(intake, rules)
    files, days = plan_answers(_answers(settings, intake), rules)
    return {
        "dry_run": True,
        "curated": vars(curated),
        "answers": {"files": files, "days": days},
    }


def compact(
    settings: Settings, intake: Intake, *, on_read: Callable[[int], None] = lambda _files: None
) -> dict[str, Any]:
    """Put small files together, and remove those that have been replaced for long enough.

    Parameters
    ----------
    settings
        Which files, and how long they stay.
    intake
        Store and ledger of a fleet.
    on_read
        Called with the number of files that were read since the last call.

    Returns
    -------
    dict
        Counts of ``curated`` and of ``answers``: ``files``, ``rows``, ``objects``, ``skipped``; and
        of ``removed`` parts.

    Raises
    ------
    DataError
        If an object is gone that has taken the place of small files.
    StorageError
        If store or ledger fail.
    """
    rules = rules_of(settings, on_read)
    curated = compaction.compact(intake, rules)
    before = datetime.now(UTC) - timedelta(hours=settings.compact_keep_originals_h)
    removed = compaction.remove_originals(intake, before=before)
    answers = compact_answers(_answers(settings, intake), rules)
    for reason in [*curated.skipped, *answers.skipped][:_SHOWN]:
        _log.warning("left as it is: %s", reason)
    found = {"curated": curated, "answers": answers}
    return {"dry_run": False, "removed": removed} | {
        name: vars(one) | {"skipped": len(one.skipped)} for name, one in found.items()
    }
