"""The command that serves metrics of intake, champion and drift."""

import signal
import threading
from typing import Annotated

import typer

from presagio.cli.composition import Parts
from presagio.cli.output import Home
from presagio.errors import StackError
from presagio.lifecycle.exporter import Exporter, serve_metrics
from presagio.storage.ledger import Ledger
from presagio.storage.objects import open_store
from presagio.storage.promotions import Promotions


def exporter(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 9108,
    home: Home = None,
) -> None:
    """Serve metrics of intake, champion and drift to Prometheus, on /metrics, until Ctrl-C.

    The API has metrics of its own. Whoever reaches the port may read these.
    """
    parts, stop = Parts(home), threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    ledger, promotions = Ledger(parts.database), Promotions(parts.database)
    collector = Exporter(parts.settings, ledger, promotions, open_store(parts.settings))
    try:
        serve_metrics(collector, host, port, stop)
    except OSError as err:
        raise StackError(f"cannot listen on {host}:{port}: {err.strerror}") from err
    finally:
        parts.database.dispose()
