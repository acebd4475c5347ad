"""What is sent twice is done once, over all replicas: PostgreSQL's unique key is the arbiter.

Whoever comes first inserts a row and does the work within that transaction; others wait for its
end and take the answer from the row. Who is killed in between has inserted nothing, so the next one
does the work. Without the database each request does it: what is written is named by its content.
"""

import hashlib
import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from presagio.serving.http.problems import RefusedError
from presagio.serving.shared.database import Database, HeldError, SharedStateError

# Others wait so long for somebody else's work; who works is cut off after a while more.
_WAIT_S, _WORK_S = 10, 25.0
_SETTLE = f"SET LOCAL lock_timeout = '{_WAIT_S}s'; SET LOCAL statement_timeout = '{_WAIT_S + 2}s'"
# Sent again after a day, it is done again; the intake knows the same bytes then.
_KEPT, _FORGET = "interval '1 day'", 200
_CLEAN = f"""
DELETE FROM api_requests WHERE digest IN (
  SELECT digest FROM api_requests WHERE at < now() - {_KEPT}
  ORDER BY at LIMIT {_FORGET} FOR UPDATE SKIP LOCKED)
"""  # noqa: S608 - constants


def content_digest(*parts: object) -> bytes:
    """Return what a request is known by: the digest of where it was sent, and of its content."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).digest()


class Once:
    """Does work once for all replicas.

    Parameters
    ----------
    database
        What they share; None where there is one replica, which does all that it is asked.
    """

    def __init__(self, database: Database | None) -> None:
        self._database = database

    def run(self, digest: bytes, work: Callable[[], Any]) -> Any:
        """Return the answer to a request, a JSON value: of ``work``, or of who has done it before.

        Parameters
        ----------
        digest
            What the request is known by, as of :func:`content_digest`.
        work
            What is done. It may be done again after a failure, so it must bear that.

        Raises
        ------
        RefusedError
            503 with ``Retry-After``, if somebody else's work takes too long.
        """
        if self._database is None:
            return work()
        done: list[Any] = []

        def work_once() -> Any:
            done.append(work())
            return done[0]

        try:
            return _arbitrated(self._database, digest, work_once)
        except HeldError as err:
            raise RefusedError(
                HTTPStatus.SERVICE_UNAVAILABLE, "busy", "The same request is being answered",
                "it has come a moment ago and is not done yet; send it again",
                headers={"Retry-After": "1"},
            ) from err  # fmt: skip
        except SharedStateError:
            # Unavailable, or lost under way: what is done is done.
            return done[0] if done else work()


def _arbitrated(database: Database, digest: bytes, work: Callable[[], Any]) -> Any:
    with database.connection(answer_s=_WORK_S) as connection:
        connection.execute(_SETTLE)
        inserted = connection.execute(
            "INSERT INTO api_requests (digest) VALUES (%s) ON CONFLICT DO NOTHING", (digest,)
        ).rowcount
        if not inserted:
            row = connection.execute(
                "SELECT answer FROM api_requests WHERE digest = %s", (digest,)
            ).fetchone()
            # None: forgotten in between.
            return work() if row is None else row[0]
        answer = work()
        connection.execute(
            "UPDATE api_requests SET answer = %s::jsonb WHERE digest = %s",
            (json.dumps(answer), digest),
        )
        connection.execute(_CLEAN)
        return answer
