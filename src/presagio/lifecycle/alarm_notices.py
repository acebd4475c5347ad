"""Tell people of cases that were opened: one message each, to the log and to the webhook."""

from collections.abc import Iterator

from presagio.lifecycle.alerts import Alert, Alerts, Delivery
from presagio.storage.alarm_cases import AlarmCase
from presagio.storage.alarms import Alarms


class _NotSentError(Exception):
    """A message that was not sent: it is tried again with the next run."""

    def __init__(self, delivery: Delivery) -> None:
        super().__init__(delivery)
        self.delivery = delivery


def notify(fleet: str, alarms: Alarms, alerts: Alerts, *, console_url: str) -> Iterator[AlarmCase]:
    """Send a message of each case of which nobody has been notified, and yield it then.

    It is sent once, unless the process ends between the message and the commit: then once more. A
    webhook that fails does not fail the caller; what is left is sent the next time. One message
    that it refuses keeps no other waiting. Of a case that is over already nobody is notified.

    Parameters
    ----------
    fleet
        Its name, empty for the default fleet.
    alarms
        Its cases.
    alerts
        Where messages go.
    console_url
        Address of the console, where a case has its page.
    """
    last = 0
    while True:
        case = None
        try:
            with alarms.notice(after=last) as case:
                if case is not None and case.is_open:
                    _send(alerts, _alert(fleet, case, console_url))
        except _NotSentError as err:
            if case is None or err.delivery == "failed":
                return
            last = case.id
            continue
        if case is None:
            return
        if case.is_open:
            yield case


def _send(alerts: Alerts, alert: Alert) -> None:
    """Send a message; raise where it is not sent, which takes the open transaction back."""
    if (delivery := alerts.send(alert)) != "sent":
        raise _NotSentError(delivery)


def _alert(fleet: str, case: AlarmCase, console_url: str) -> Alert:
    mode = f", {case.mode}" if case.mode else ""
    at = f" at {case.reading_at}" if case.reading_at else ""
    risk = "" if case.probability is None else f", probability {case.probability:.2f}"
    text = (
        f"alarm {case.id}: a failure of unit {case.unit} is expected{mode} "
        f"({fleet or 'default fleet'}); confirmed by its reading{at}{risk}, {case.model} version "
        f"{case.version}: {console_url}/alarms/{case.id}"
    )
    return Alert("alarm", f"alarm {case.id}", text)
