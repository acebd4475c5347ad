"""Tell people of cases that were opened: one message each, to the log and to the webhook."""

from collections.abc import Iterator

from presagio.lifecycle.alerts import Alert, Alerts
from presagio.storage.alarm_cases import AlarmCase
from presagio.storage.alarms import Alarms


class _NotSentError(Exception):
    """The webhook cannot be reached: it is tried again with the next run."""


def notify(fleet: str, alarms: Alarms, alerts: Alerts, *, console_url: str) -> Iterator[AlarmCase]:
    """Send a message of each case of which nobody has been notified, and yield it then.

    It is sent once, unless the process ends between the message and the commit: then once more. A
    webhook that fails does not fail the caller; what is left is sent the next time. Of a case that
    is over already nobody is notified.

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
    while True:
        try:
            with alarms.notice() as case:
                if (
                    case is not None
                    and case.is_open
                    and not alerts.send(_alert(fleet, case, console_url))
                ):
                    raise _NotSentError  # noqa: TRY301 - takes the transaction back
        except _NotSentError:
            return
        if case is None:
            return
        if case.is_open:
            yield case


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
