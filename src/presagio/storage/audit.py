"""The audit log: who changed what, when and why; it can only be added to."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from presagio.errors import StorageError
from presagio.storage.alarm_tables import AUDIT_LOG
from presagio.storage.database import translated

# How the action of an entry ends that says of another one that its change failed.
FAILED = ".failed"
_LONGEST_FAULT = 500


@dataclass(frozen=True)
class AuditEntry:
    """A change that a person made.

    Attributes
    ----------
    who
        The account, or the user of the operating system at the command line.
    scope
        The scope that allowed it.
    action
        What was done, such as ``alarm.close``.
    target
        What it was done to, such as ``alarm 12``.
    why
        In words; empty where none are asked for.
    detail
        What else is to be known.
    """

    id: int
    at: datetime
    who: str
    scope: str
    action: str
    target: str
    why: str
    detail: Mapping[str, Any]


def add_entry(
    connection: sa.Connection, *, who: str, scope: str, action: str, target: str, why: str = "",
    detail: Mapping[str, Any] | None = None,
) -> AuditEntry:  # fmt: skip
    """Write an entry in an open transaction, so that change and entry count together."""
    values = {
        "who": who, "scope": scope, "action": action, "target": target, "why": why,
        "detail": dict(detail or {}),
    }  # fmt: skip
    new = sa.insert(AUDIT_LOG).values(values).returning(*AUDIT_LOG.c)
    return AuditEntry(**connection.execute(new).one()._asdict())


class AuditLog:
    """The audit log in PostgreSQL; failures are :class:`.StorageError`."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @contextmanager
    def change(
        self, *, who: str, scope: str, action: str, target: str, why: str = "",
        detail: Mapping[str, Any] | None = None,
    ) -> Iterator[AuditEntry]:  # fmt: skip
        """Write an entry, and let the change be made that it is about, outside of this database.

        The entry is there before the change is: whoever is killed leaves no change without one. Of
        a change that fails there is another entry, ``ACTION.failed``, which says why.
        """
        about = {"who": who, "scope": scope, "target": target}
        entry = self.add(action=action, why=why, detail=detail, **about)
        try:
            yield entry
        except Exception as err:
            fault = f"{type(err).__name__}: {err}"[:_LONGEST_FAULT].replace("\0", "\ufffd")
            # Whatever failed is raised, also where the database is what fails.
            with suppress(StorageError):
                failed = {"entry": entry.id, "fault": fault}
                self.add(action=f"{action}{FAILED}", detail=failed, **about)
            raise

    def add(
        self, *, who: str, scope: str, action: str, target: str, why: str = "",
        detail: Mapping[str, Any] | None = None,
    ) -> AuditEntry:  # fmt: skip
        """Write an entry: the fields of :class:`AuditEntry`."""
        with translated(), self._engine.begin() as connection:
            return add_entry(
                connection, who=who, scope=scope, action=action, target=target, why=why,
                detail=detail,
            )  # fmt: skip

    def entries(
        self, *, target: str | None = None, before: int | None = None, limit: int = 50
    ) -> list[AuditEntry]:
        """Return entries, the newest first.

        Parameters
        ----------
        target
            Only those of this target.
        before
            Only those with a lower number: the next page.
        limit
            How many at most.
        """
        query = sa.select(AUDIT_LOG).order_by(AUDIT_LOG.c.id.desc()).limit(limit)
        if target is not None:
            query = query.where(AUDIT_LOG.c.target == target)
        if before is not None:
            query = query.where(AUDIT_LOG.c.id < before)
        with translated(), self._engine.connect() as connection:
            return [AuditEntry(**row._asdict()) for row in connection.execute(query)]
