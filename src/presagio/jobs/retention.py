"""Remove what is older than the settings say, and nothing that anybody stands on."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from presagio.errors import DataError
from presagio.ingest.filing import Intake
from presagio.ingest.verdict import BLOCKING
from presagio.registry.reader import RegistryReader
from presagio.registry.versions import NEWEST_RECEIPT_TAG
from presagio.settings import ANSWERS, MONITORING, SCORES, Settings
from presagio.storage.retention import Kept

AT_ONCE = 500
_EVERYTHING = (1 << 63) - 1
_DAY = re.compile(r"date=(\d{4}-\d\d-\d\d)/")
_SCORES = re.compile(r"date=(\d{4}-\d\d-\d\d)/receipt-(\d+)-part-\d+\.parquet")
_REPORT = re.compile(r"drift-(\d{8}T\d{6}Z)\.(?:html|json)")


def newest_receipt_in_use(registry: RegistryReader) -> int:
    """Return up to which receipt a model with an alias was trained; if one does not say it, all.

    Raises
    ------
    RegistryError
        If MLflow does not answer.
    """
    newest = 0
    for version in registry.in_use():
        tags = registry.tags(version)
        if NEWEST_RECEIPT_TAG not in tags:
            return _EVERYTHING
        newest = max(newest, int(tags[NEWEST_RECEIPT_TAG] or 0))
    return newest


def refuse_deleted_runs(registry: RegistryReader) -> None:
    """Refuse to go on where somebody has deleted the run that a model in use was made by.

    Raises
    ------
    DataError
        If there is one: `mlflow gc` would remove what the model is made of.
    RegistryError
        If MLflow does not answer.
    """
    for version in registry.in_use():
        if registry.has_deleted_run(version):
            raise DataError(
                f"the run of {version.name} version {version.version}, which an alias names, is "
                f"deleted in MLflow; restore run {version.run_id}, or take the alias from it"
            )


class _Removal:
    """Removes, or counts what would be."""

    def __init__(self, settings: Settings, intake: Intake, *, dry_run: bool) -> None:
        self._settings, self._intake, self._dry_run = settings, intake, dry_run
        self._bucket = intake.prefixes.bucket
        self._ledger = intake.ledger.retention(self._bucket)
        self._now = datetime.now(UTC)

    def before(self, days: int) -> datetime:
        return self._now - timedelta(days=days)

    def kept(self, up_to: int) -> Kept:
        blocking = self._intake.ledger.blocking(self._bucket, BLOCKING)
        return Kept(up_to, (*(receipt.id for receipt in blocking), *self._of_open_alarms))

    @cached_property
    def _of_open_alarms(self) -> set[int]:
        return self._intake.ledger.alarms().receipts_of_open()

    def scores(self, days: int) -> int:
        settings, oldest = self._settings, f"{self.before(days):%Y-%m-%d}"
        stored = self._intake.store.list(settings.data_bucket, f"{settings.place(SCORES)}date=")
        found = ((one.key, _SCORES.search(one.key)) for one in stored)
        return self.objects(
            key for key, name in found
            if name and name[1] < oldest and int(name[2]) not in self._of_open_alarms
        )  # fmt: skip

    def originals(self, days: int, kept: Kept) -> int:
        if self._dry_run:
            return self._ledger.count_originals(self.before(days), kept)
        self._finish(self._ledger.unfinished())
        removed, after = 0, ""
        while True:
            keys, last = self._ledger.mark_originals(
                self.before(days), kept, after=after, limit=AT_ONCE
            )
            removed += self._finish(keys)
            if last is None:
                return removed
            after = last

    def _finish(self, keys: list[str]) -> int:
        with self._ledger.removing_originals(keys) as going:
            self._intake.store.remove(self._bucket, going)
        return len(going)

    def receipts(self, days: int, kept: Kept) -> int:
        if self._dry_run:
            return self._ledger.count_receipts(self.before(days), kept)
        removed = 0
        after: int | None = 0
        while after is not None:
            with self._ledger.removing_receipts(
                self.before(days), kept, after=after, limit=AT_ONCE
            ) as old:
                # Objects first: a receipt that is there still names them.
                self._intake.store.remove(self._bucket, old.keys)
                old.remove()
                removed, after = removed + len(old.numbers), old.last
        return removed

    def objects(self, keys: Iterator[str]) -> int:
        found = list(keys)
        if not self._dry_run:
            self._intake.store.remove(self._settings.data_bucket, found)
        return len(found)

    def answers(self, days: int) -> int:
        settings, oldest = self._settings, f"{self.before(days):%Y-%m-%d}"
        prefix = settings.place(ANSWERS)
        stored = self._intake.store.list(settings.data_bucket, f"{prefix}date=")
        removed = self.objects(
            one.key for one in stored if (day := _DAY.search(one.key)) and day[1] < oldest
        )
        if not self._dry_run:
            compactions = self._intake.ledger.compactions(settings.data_bucket, "answers")
            compactions.forget_answers(before=f"{prefix}date={oldest}/")
        return removed

    def reports(self, days: int) -> int:
        settings, oldest = self._settings, f"{self.before(days):%Y%m%dT%H%M%SZ}"
        folder = settings.place(MONITORING)
        stored = self._intake.store.list(settings.data_bucket, f"{folder}drift-")
        # As a page and as data; the newest one is what metrics and alerts speak of.
        pages = [
            (found[1], one.key)
            for one in stored
            if (found := _REPORT.fullmatch(one.key.removeprefix(folder)))
        ]
        newest = max((at for at, _ in pages), default="")
        return self.objects(key for at, key in sorted(pages) if at < oldest and at != newest)


def retain(
    settings: Settings, intake: Intake, registry: RegistryReader, *, dry_run: bool = False
) -> dict[str, Any]:
    """Remove what is older than the settings say.

    Originals stay that a model with an alias was trained on, that belong to a file which keeps
    training from starting, that an open alarm stands on, or that are being filed. Receipts stay
    whose rows count.

    Parameters
    ----------
    settings
        For how long what stays.
    intake
        Store and ledger of a fleet.
    registry
        Its models.
    dry_run
        Whether only to count.

    Returns
    -------
    dict
        ``dry_run``, and of ``archive``, ``receipts``, ``predictions``, ``scores`` and ``reports``
        how many were removed; None of what is kept for ever.

    Raises
    ------
    RegistryError
        If MLflow does not answer; nothing of the archive is removed then.
    StorageError
        If store or ledger fail; the next run goes on.
    """
    removal, found = _Removal(settings, intake, dry_run=dry_run), dict[str, int | None]()
    days = settings.retain_archive_days
    by_age = (
        ("predictions", settings.retain_predictions_days, removal.answers),
        ("scores", settings.retain_scores_days, removal.scores),
        ("reports", settings.retain_reports_days, removal.reports),
    )
    for name, oldest, remove in by_age:
        found[name] = None if oldest is None else remove(oldest)
    found["archive"] = found["receipts"] = None
    if days is not None:
        found["archive"] = removal.originals(days, removal.kept(newest_receipt_in_use(registry)))
    if settings.retain_receipts_days is not None:
        found["receipts"] = removal.receipts(settings.retain_receipts_days, removal.kept(0))
    return {"dry_run": dry_run, **found}
