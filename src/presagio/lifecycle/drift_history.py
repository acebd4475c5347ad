"""Reports on drift as they are kept: one JSON object each in the data bucket, beside its page."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import TypeAdapter, ValidationError

from presagio.errors import DataError
from presagio.lifecycle.drift_report import DriftReport
from presagio.storage.objects import ObjectStore

_NAME = "drift-{at:%Y%m%dT%H%M%SZ}"
_TIME = "%Y%m%dT%H%M%SZ"
_KEY = re.compile(r"drift-(\d{8}T\d{6}Z)\.json")
_MOST_BYTES = 8 << 20


@dataclass(frozen=True)
class KeptReport:
    """A report with what it is about.

    Attributes
    ----------
    at
        When it was made.
    model, version
        Whose training data the newest readings were compared with.
    """

    at: datetime
    model: str
    version: str
    report: DriftReport


_KEPT = TypeAdapter(KeptReport)


def name_of(at: datetime) -> str:
    """Return what the objects of a report are called, without an ending."""
    return _NAME.format(at=at.astimezone(UTC))


class DriftHistory:
    """The reports of a fleet.

    Parameters
    ----------
    store
        The object store.
    bucket, folder
        Where they lie.
    """

    def __init__(self, store: ObjectStore, bucket: str, folder: str) -> None:
        self._store, self._bucket, self._folder = store, bucket, folder

    def keep(self, kept: KeptReport) -> str:
        """Store a report; return its key."""
        key = f"{self._folder}{name_of(kept.at)}.json"
        self._store.write(self._bucket, key, _KEPT.dump_json(kept))
        return key

    def times(self, *, limit: int = 50) -> list[datetime]:
        """Return when the newest reports were made, the newest first."""
        return sorted(self._times(), reverse=True)[:limit]

    def _times(self) -> Iterator[datetime]:
        for stored in self._store.list(self._bucket, f"{self._folder}drift-"):
            found = _KEY.fullmatch(stored.key.removeprefix(self._folder))
            if found is not None and stored.size <= _MOST_BYTES:
                try:
                    yield datetime.strptime(found[1], _TIME).replace(tzinfo=UTC)
                except ValueError:
                    continue

    def read(self, at: datetime) -> KeptReport:
        """Return the report that was made at a time.

        Raises
        ------
        DataError
            If there is none, or it is no report.
        """
        key = f"{self._folder}{name_of(at)}.json"
        found = self._store.read(self._bucket, key)
        if found is None:
            raise DataError(f"there is no report {self._bucket}/{key}")
        try:
            return _KEPT.validate_json(found[0])
        except ValidationError as err:
            raise DataError(f"{self._bucket}/{key} is no report on drift") from err
