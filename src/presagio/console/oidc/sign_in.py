"""A sign-in by the identity provider, from the button to the session."""

import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import BoundedSemaphore

from presagio.console.oidc.attempt import Attempt
from presagio.console.oidc.faults import NotSignedInError, Reason
from presagio.console.oidc.limits import Failures, Used
from presagio.console.oidc.person import Person, person_of
from presagio.console.oidc.provider import Provider
from presagio.console.sessions import ADMIN, OPERATE, VIEW, Session, Sessions
from presagio.settings import Settings
from presagio.settings.private import reveal
from presagio.storage.audit import AuditLog

# Sign-ins that wait for the provider at a time: they keep neither pages nor passwords waiting.
_AT_ONCE, _BUSY_S = 8, 2
_LONGEST_CODE = 4096
_SHOWN = 300
# By the error that the provider sends the browser back with (RFC 6749, OpenID Connect).
_ERRORS: dict[str, Reason] = {
    "access_denied": "denied", "temporarily_unavailable": "provider", "server_error": "provider",
}  # fmt: skip


@dataclass(frozen=True)
class Returned:
    """What a browser brings back from the provider; texts that are not there are empty."""

    state: str
    code: str
    issuer: str
    error: str
    description: str


class OidcSignIn:
    """Signs people in by the identity provider of the settings.

    Parameters
    ----------
    settings
        Those of the deployment; they name an issuer.
    sessions
        Where sessions begin.
    audit
        Where it is written down who somebody is.

    Raises
    ------
    SettingsError
        If there is no secret to seal cookies with.
    """

    def __init__(self, settings: Settings, sessions: Sessions, audit: AuditLog) -> None:
        self._settings, self._sessions, self._audit = settings, sessions, audit
        self.provider = Provider(settings)
        # All replicas have this secret.
        secret = reveal(settings.client_secret, "PRESAGIO_CLIENT_SECRET")
        self._key = hmac.digest(secret.encode(), b"presagio console sign-in", "sha256")
        self._turns = BoundedSemaphore(_AT_ONCE)
        self._failures, self._used = Failures(settings.token_attempts), Used()

    def close(self) -> None:
        """Ask the provider no more."""
        self.provider.close()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._turns.acquire(blocking=False):
            raise NotSignedInError("crowded", "too many wait for the provider", _BUSY_S)
        try:
            yield
        finally:
            self._turns.release()

    def begin(self, back: str, callback: str) -> tuple[str, str]:
        """Begin a sign-in: return the provider's address for the browser, and its cookie.

        Parameters
        ----------
        back
            The page to go on with.
        callback
            The address of the console that the provider sends the browser back to.

        Raises
        ------
        NotSignedInError
            If the provider does not answer.
        """
        attempt = Attempt.begin(back)
        with self._turn():
            return self.provider.address(attempt, callback), attempt.seal(self._key)

    def attempt(self, cookie: str, state: str) -> Attempt:
        """Return the sign-in that a browser comes back from, which goes on this once.

        Raises
        ------
        NotSignedInError
            If it was begun elsewhere, or too long ago, or went on before.
        """
        found = Attempt.read(cookie, self._key)
        if found is None or not hmac.compare_digest(
            found.state.encode(), state.encode("utf-8", "replace")
        ):
            raise NotSignedInError("begun", "the state is not of this browser")
        if found.is_over:
            raise NotSignedInError("begun", "it was begun too long ago")
        if not self._used.take(state):
            raise NotSignedInError("begun", "it went on before")
        return found

    def finish(self, attempt: Attempt, returned: Returned, callback: str, client: str) -> Session:
        """Begin a session for who has signed in.

        Parameters
        ----------
        attempt
            What :meth:`attempt` has returned.
        returned
            What the browser brings back.
        callback
            As it was for :meth:`begin`.
        client
            The address of who asks, by which failures are counted.

        Raises
        ------
        NotSignedInError
            If nobody is signed in.
        StorageError
            If the database is unavailable.
        """
        if returned.error:
            reason = _ERRORS.get(returned.error, "refused")
            shown = returned.error[:_SHOWN], returned.description[:_SHOWN]
            raise NotSignedInError(reason, f"the provider says {shown!r}")
        if not 0 < len(returned.code) <= _LONGEST_CODE:
            raise NotSignedInError("refused", f"a code of {len(returned.code)} characters")
        self._failures.check(client)
        try:
            with self._turn():
                found = self.provider.claims(returned.code, returned.issuer, attempt, callback)
            person = person_of(found, self._settings)
        except NotSignedInError as err:
            if err.reason not in {"provider", "crowded"}:
                self._failures.add(client)
            raise
        return self._begin(person)

    def _begin(self, person: Person) -> Session:
        scope = next(scope for scope in (ADMIN, OPERATE, VIEW) if scope in person.scopes)
        # Names may pass from one person to another; the subject does not.
        self._audit.add(
            who=person.name, scope=scope, action="session.begin", target=person.name,
            detail={"issuer": self.provider.issuer, "subject": person.subject},
        )  # fmt: skip
        return self._sessions.begin(person.name, person.scopes, None)
