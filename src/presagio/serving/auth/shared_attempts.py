"""Wrong passwords counted over all replicas: an attempt is a row, reserved in one transaction.

The rules are those of :mod:`presagio.serving.auth.attempts`. Locks on the account and on the
network, held to the end of the transaction, make counting and reserving one step.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from presagio.serving.shared.database import Database

# The minute that failures count for, and the days that an address is remembered for.
_WINDOW, _REMEMBERED = "interval '60 seconds'", "interval '30 days'"
_FORGET = 200
_RESERVE = f"""
WITH pair AS (
  SELECT EXISTS (SELECT FROM api_known_networks
                 WHERE account = %(account)s AND network = %(network)s) AS known
), counted AS (
  SELECT a.at, a.pending, a.account = %(account)s AS of_account,
         a.network = %(network)s AS of_network
  FROM api_attempts a, pair
  WHERE a.at > clock_timestamp() - {_WINDOW} AND a.known = pair.known
    AND CASE WHEN pair.known THEN a.account = %(account)s AND a.network = %(network)s
        ELSE a.account = %(account)s OR a.network = %(network)s END
), numbers AS (
  SELECT count(*) FILTER (WHERE of_network) AS here,
         count(*) FILTER (WHERE of_network AND NOT pending) AS here_decided,
         count(*) FILTER (WHERE of_account) AS account,
         count(*) FILTER (WHERE of_account AND NOT pending) AS account_decided,
         min(at) AS oldest
  FROM counted
), verdict AS (
  SELECT pair.known,
    here >= %(most)s OR (NOT pair.known AND here > 0 AND account >= %(most_by_account)s) AS blocked,
    here_decided >= %(most)s
      OR (NOT pair.known AND here_decided > 0 AND account_decided >= %(most_by_account)s)
      AS by_failures,
    extract(epoch FROM oldest + {_WINDOW} - clock_timestamp())::float8 AS wait_s
  FROM pair, numbers
), made AS (
  INSERT INTO api_attempts (account, network, known, pending)
  SELECT %(account)s, %(network)s, known, true FROM verdict WHERE NOT blocked
  RETURNING id
)
SELECT (SELECT id FROM made), by_failures, wait_s FROM verdict
"""  # noqa: S608 - constants
_CLEAN_ATTEMPTS = f"""
DELETE FROM api_attempts WHERE id IN (
  SELECT id FROM api_attempts WHERE at < clock_timestamp() - {_WINDOW}
  ORDER BY at LIMIT {_FORGET} FOR UPDATE SKIP LOCKED)
"""  # noqa: S608 - constants
_CLEAN_NETWORKS = f"""
DELETE FROM api_known_networks WHERE (account, network) IN (
  SELECT account, network FROM api_known_networks WHERE seen_at < now() - {_REMEMBERED}
  ORDER BY seen_at LIMIT {_FORGET} FOR UPDATE SKIP LOCKED)
"""  # noqa: S608 - constants


@dataclass(frozen=True)
class Reservation:
    """What became of asking for an attempt.

    Attributes
    ----------
    number
        The attempt's; None where it is not allowed.
    wait_s
        Seconds until one may be allowed.
    undecided
        Whether others that are being verified stand in its way, and not failures.
    """

    number: int | None
    wait_s: float = 0.0
    undecided: bool = False


def _lock(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)


class SharedAttempts:
    """Counts attempts in the database that replicas share; to be asked in a thread.

    Parameters
    ----------
    database
        Where they are counted.
    most, most_by_account
        The limits of all replicas together: wrong ones a minute from a network, and for an account.
    """

    def __init__(self, database: Database, most: int, most_by_account: int) -> None:
        self.database = database
        self._limits = {"most": most, "most_by_account": most_by_account}

    def reserve(self, account: str, network: str) -> Reservation:
        """Reserve an attempt for an account from a network, if one is allowed.

        Raises
        ------
        SharedStateError
            If the database is unavailable.
        """
        whose = {"account": account, "network": network}
        # In one order, whoever comes: no two wait for each other.
        locks = sorted({_lock(f"account {account}"), _lock(f"network {network}")})
        with self.database.connection() as connection:
            for lock in locks:
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (lock,))
            row: Any = connection.execute(_RESERVE, whose | self._limits).fetchone()
            number, by_failures, wait_s = row
            if number is not None and number % (_FORGET // 2) == 0:
                connection.execute(_CLEAN_ATTEMPTS)
                connection.execute(_CLEAN_NETWORKS)
        if number is not None:
            return Reservation(number)
        return Reservation(None, max(float(wait_s or 1.0), 0.1), undecided=not by_failures)

    def settle(self, number: int, *, right: bool | None, account: str, network: str) -> None:
        """Say what an attempt was: right, wrong, or neither since something broke (None).

        Raises
        ------
        SharedStateError
            If the database is unavailable: the attempt counts as a failure for its minute.
        """
        with self.database.connection() as connection:
            if right is False:
                connection.execute(
                    "UPDATE api_attempts SET pending = false WHERE id = %s", (number,)
                )
                return
            connection.execute("DELETE FROM api_attempts WHERE id = %s", (number,))
            if right:
                connection.execute(
                    "INSERT INTO api_known_networks (account, network) VALUES (%s, %s) "
                    "ON CONFLICT (account, network) DO UPDATE SET seen_at = now() "
                    "WHERE api_known_networks.seen_at < now() - interval '1 hour'",
                    (account, network),
                )
