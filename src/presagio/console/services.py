"""What pages work with: the fleets, the ledger, the store, the API; one object, handed to them."""

import time
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from http import HTTPStatus
from threading import Lock

import httpx
import sqlalchemy as sa

from presagio.console.asking import Api
from presagio.console.last_known import UNAVAILABLE, LastKnown
from presagio.console.oidc.sign_in import OidcSignIn
from presagio.console.sessions import Sessions
from presagio.console.tokens import Tokens
from presagio.console.watch import Watch
from presagio.fleet import Fleet, Fleets, load_fleets
from presagio.ingest.filing import Intake
from presagio.jobs.alarm_outcomes import Failures
from presagio.settings import Settings
from presagio.storage.audit import AuditLog
from presagio.storage.database import Waits, open_database, translated
from presagio.storage.fleets import read_fleets
from presagio.storage.kept_frames import KeptFrames
from presagio.storage.ledger import Ledger
from presagio.storage.objects import ObjectStore, open_store
from presagio.storage.promotions import Promotions

# Fleets that were added, or removed, are known after so many seconds.
_FLEETS_S = 5.0
_CHECK_S = 5.0
# The newest files of a fleet hold readings of most of its units.
_KEPT_BYTES = 160 << 20


class Services:
    """Everything outside of this program, opened once.

    Parameters
    ----------
    settings
        Those of the deployment; the database is the console's where they name one.

    Attributes
    ----------
    settings
        What jobs are handed: the ledger is reached with the console's own account.
    engine
        The ledger's database.
    tokens
        What the API is asked with.
    oidc
        Signs people in by the identity provider; None where there is none.
    last_known
        What was read last, for the time when a source does not answer.
    kept
        Rows of files that were read lately: pages of other units need them too.
    """

    def __init__(self, settings: Settings) -> None:
        if settings.console_database_url is not None:
            settings = settings.model_copy(update={"database_url": settings.console_database_url})
        self.settings = settings
        self.engine: sa.Engine = open_database(settings, Waits())
        # One that is kept may wait for an answer that never comes.
        self._asked = open_database(settings, Waits(), kept=False)
        self.sessions = Sessions(self.engine, settings)
        self.tokens = Tokens(settings)
        self.oidc: OidcSignIn | None = None
        if settings.console_oidc_issuer is not None and settings.auth != "off":
            self.oidc = OidcSignIn(settings, self.sessions, AuditLog(self.engine))
        self.last_known = LastKnown()
        self.kept = KeptFrames(_KEPT_BYTES)
        self.watch = Watch(self._checks())
        self._lock, self._fleets = Lock(), (0.0, load_fleets(settings))
        self._failures: dict[tuple[str, str], Failures] = {}

    @cached_property
    def store(self) -> ObjectStore:
        """The object store."""
        return open_store(self.settings)

    @cached_property
    def api(self) -> Api:
        """The inference API, to ask it for answers."""
        return Api(self.settings, self.tokens)

    @cached_property
    def ledger(self) -> Ledger:
        """Receipts; ``ledger.of_fleet(name)`` are those of a fleet."""
        return Ledger(self.engine)

    @cached_property
    def promotions(self) -> Promotions:
        """Which versions became champion, and why."""
        return Promotions(self.engine)

    @property
    def fleets(self) -> Fleets:
        """The fleets of the deployment now; those known last where the store does not answer."""
        with self._lock:
            read_at, known = self._fleets
            if time.monotonic() - read_at < _FLEETS_S and read_at:
                return known
            # One asks; the others wait for no store that takes long to answer.
            if read_at:
                self._fleets = time.monotonic(), known
        # If not, the banner names the store; the fleets are the same as a moment ago.
        with suppress(*UNAVAILABLE):
            known = read_fleets(self.settings, self.store)
        with self._lock:
            self._fleets = time.monotonic(), known
        return known

    def fleet(self, name: str) -> Fleet:
        """Return a fleet by its name.

        Raises
        ------
        NotFoundError
            If there is none of this name.
        InvalidSpecError
            If its machine spec is at fault.
        """
        return self.fleets.get(name)

    def intake(self, fleet: Fleet) -> Intake:
        """Return where the files of a fleet are, and its ledger."""
        settings = fleet.settings
        ledger = self.ledger.of_fleet(settings.fleet)
        return Intake(self.store, ledger, fleet.spec, settings.prefixes)

    def failures(self, fleet: Fleet) -> Failures:
        """Return what is known of the failures of a fleet; what was read is kept."""
        key = (fleet.name, fleet.spec.digest)
        with self._lock:
            if key not in self._failures:
                self._failures[key] = Failures.of(self.intake(fleet))
            return self._failures[key]

    def _checks(self) -> dict[str, Callable[[], object]]:
        settings = self.settings
        return {
            "PostgreSQL": self._ask_database,
            "S3": lambda: self.store.head(settings.data_bucket, "fleets/"),
            "API": lambda: _ask(f"{settings.api_url}/health/live"),
            "MLflow": lambda: _ask(f"{settings.mlflow_url}/health"),
        }

    def _ask_database(self) -> None:
        with translated(), self._asked.connect() as connection:
            connection.execute(sa.text("SELECT 1"))

    def close(self) -> None:
        """Let go of everything."""
        self.watch.close()
        if "api" in vars(self):
            self.api.close()
        if self.oidc is not None:
            self.oidc.close()
        self.engine.dispose()


def _ask(url: str) -> None:
    answer = httpx.get(url, timeout=_CHECK_S)
    if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        answer.raise_for_status()
