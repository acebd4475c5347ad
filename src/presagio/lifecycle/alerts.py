"""Alerts: to the log and to a webhook, once while the same still holds."""

import json
import logging
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Literal

import httpx

from presagio.settings import MONITORING, Settings
from presagio.settings.private import reveal
from presagio.storage.objects import ObjectStore

_log = logging.getLogger(__name__)
_LIMIT_S = 10.0
# Answers of a webhook that say that it takes other messages, but not this one.
_TRY_AGAIN = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}

Delivery = Literal["sent", "refused", "failed"]


@dataclass(frozen=True)
class Alert:
    """Something that somebody should look at.

    Attributes
    ----------
    kind
        What sort: ``drift``, ``alarm``.
    subject
        What it is about, such that two alerts of the same are the same.
    text
        What to say, in words.
    """

    kind: str
    subject: str
    text: str


@dataclass(frozen=True)
class _LastAlert:
    subject: str
    at: str


class Alerts:
    """Sends alerts, and remembers in the object store which was sent last."""

    def __init__(self, settings: Settings, store: ObjectStore) -> None:
        self._settings, self._store = settings, store

    def raise_alert(self, alert: Alert, *, now: datetime | None = None) -> bool:
        """Send an alert, unless the last one of its kind was the same and not long ago.

        A webhook that cannot be reached does not fail what raised the alert: it is logged, and
        the alert is sent again the next time.

        Returns
        -------
        bool
            Whether it was sent.
        """
        now = now or datetime.now(UTC)
        last = self._last(alert.kind)
        repeat = timedelta(hours=self._settings.alert_repeat_h)
        same = last if last and last.subject == alert.subject else None
        if same and now - datetime.fromisoformat(same.at) < repeat:
            _log.info("%s holds still, it was sent at %s", alert.subject, same.at)
            return False
        if self.send(alert, now=now) != "sent":
            return False
        self._remember(alert.kind, _LastAlert(alert.subject, now.isoformat()))
        return True

    def send(self, alert: Alert, *, now: datetime | None = None) -> Delivery:
        """Send an alert, whatever was sent before.

        Returns
        -------
        str
            ``sent``; ``refused`` by a webhook that may take others; ``failed`` where it cannot be
            reached, or does not work. What is not sent is logged.
        """
        _log.warning("alert (%s): %s", alert.kind, alert.text)
        return self._post(alert, now or datetime.now(UTC))

    def clear(self, kind: str) -> None:
        """Note that nothing of a kind holds any more, so that the next alert is sent."""
        if self._last(kind) is not None:
            self._remember(kind, None)
            _log.info("%s: nothing holds any more", kind)

    def _post(self, alert: Alert, now: datetime) -> Delivery:
        if self._settings.alert_webhook is None:
            return "sent"
        address = reveal(self._settings.alert_webhook, "PRESAGIO_ALERT_WEBHOOK")
        try:
            body = {**asdict(alert), "at": now.isoformat()}
            answer = httpx.post(address, json=body, timeout=_LIMIT_S)
        except (httpx.HTTPError, httpx.InvalidURL) as err:
            # Without its address, which may hold a secret.
            _log.error("the webhook of PRESAGIO_ALERT_WEBHOOK failed: %s", type(err).__name__)
            return "failed"
        if answer.is_success:
            return "sent"
        _log.error("the webhook of PRESAGIO_ALERT_WEBHOOK answers %d", answer.status_code)
        is_refused = answer.is_client_error and answer.status_code not in _TRY_AGAIN
        return "refused" if is_refused else "failed"

    def _place(self, kind: str) -> str:
        return f"{self._settings.place(MONITORING)}alert-{kind}.json"

    def _last(self, kind: str) -> _LastAlert | None:
        read = self._store.read(self._settings.data_bucket, self._place(kind))
        found = json.loads(read[0]) if read else None
        return _LastAlert(**found) if found else None

    def _remember(self, kind: str, sent: _LastAlert | None) -> None:
        body = json.dumps(asdict(sent) if sent else None).encode()
        self._store.write(self._settings.data_bucket, self._place(kind), body)
