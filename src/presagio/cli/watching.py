"""Commands on a model in service: feedback on what it said, drift of what it sees."""

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from presagio.cli.intake import describe, open_home_intake
from presagio.cli.output import AsJson, Home, console, errors, print_json
from presagio.errors import StackError
from presagio.settings import load_settings

if TYPE_CHECKING:
    from presagio.monitoring.drift import DriftReport
    from presagio.orchestration.feedback import AlarmFigures

_TIMED_OUT = 4
_DRIFTED = 8


def _print_alarms(found: "list[AlarmFigures]", *, as_json: bool) -> None:
    if as_json:
        for one in found:
            print_json({**vars(one), "precision": one.precision, "recall": one.recall})
        return
    if not found:
        console.print("No outcome was sent back yet: presagio feedback FILE")
        return
    table = Table("Version", "Outcomes", "Failures", "Alarms", "Right", "Precision", "Recall")
    for one in found:
        shares = ["-" if share is None else f"{share:.3f}" for share in (one.precision, one.recall)]
        counts = map(str, (one.outcomes, one.failures, one.alarms, one.right))
        table.add_row(one.version, *counts, *shares)
    console.print(table)


def feedback(
    file: Annotated[
        Path | None,
        typer.Argument(
            exists=True,
            dir_okay=False,
            readable=True,
            help="CSV or Parquet file of readings with what became of them.",
        ),
    ] = None,
    lot: Annotated[
        int | None,
        typer.Option(help="The file names readings by an identifier; they came with this receipt."),
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait until the watcher has filed it.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait.")] = 120.0,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Send back what became of readings; without FILE: how right alarms were in service.

    Outcomes go through the intake like any readings, have their receipt, and are learned from in
    the next training. What the model said of them is taken from the columns said_alarm and
    said_version, or asked of the champion. Exit status 4: the wait ran out of time.
    """  # fmt: skip
    from presagio.ingest.upload import wait_for_receipt  # noqa: PLC0415 - heavy imports
    from presagio.orchestration.feedback import alarm_figures, send_feedback  # noqa: PLC0415
    from presagio.registry.recording import open_registry  # noqa: PLC0415

    intake, settings = open_home_intake(home), load_settings(home)
    if file is None:
        _print_alarms(alarm_figures(intake), as_json=as_json)
        return
    sent = send_feedback(intake, open_registry(settings), settings, file, lot=lot)
    receipt = wait_for_receipt(intake, sent.uploaded, timeout_s=timeout) if wait else None
    if as_json:
        body = describe(receipt) if receipt else None
        print_json({
            "file": file, "key": sent.uploaded.key, "outcomes": sent.outcomes,
            "failures": sent.failures, "receipt": body,
        })  # fmt: skip
    else:
        filed = f", receipt {receipt.id}" if receipt else ""
        console.print(
            f"{file}: {sent.outcomes} outcomes, {sent.failures} failures, sent as "
            f"{sent.uploaded.key}{filed}",
            soft_wrap=True,
        )
    if wait and receipt is None:
        errors.print(f"{file}: not filed within {timeout:.0f} s; see: presagio receipts")
        raise typer.Exit(_TIMED_OUT)


def _print_report(report: "DriftReport") -> None:
    table = Table("Column", "Drifted", "PSI", "Usual at most", "Test", "p", "Beyond", "Worth rows")
    for column in report.columns:
        table.add_row(
            column.name, "yes" if column.drifted else "no", f"{column.psi:.3f}",
            f"{column.usual_psi:.3f}", column.test, f"{column.p_value:.2g}",
            f"{column.outside:.1%}", f"{column.effective_rows:.0f}",
        )  # fmt: skip
    console.print(table)


def drift(home: Home = None, as_json: AsJson = False) -> None:
    """Hold the newest readings against what the champion was trained on.

    The same as the DAG monitor_drift does by its schedule: a page in the data bucket, figures in
    MLflow, an alert where there is drift. Exit status 8: something has drifted.
    """
    from presagio.orchestration.drift import watch_drift  # noqa: PLC0415 - heavy imports

    watched = watch_drift(load_settings(home))
    drifted = () if watched.report is None else watched.report.drifted
    if as_json:
        figures = {} if watched.report is None else watched.report.metrics
        print_json({
            "version": watched.version, "said": watched.said, "drifted": drifted,
            "page": watched.place, "alerted": watched.alerted, "figures": figures,
        })  # fmt: skip
    else:
        if watched.report is not None:
            _print_report(watched.report)
        said = watched.said[0].upper() + watched.said[1:]
        console.print(f"{said}.", soft_wrap=True)
        if watched.place:
            console.print(f"Report: {load_settings(home).data_bucket}/{watched.place}")
    if drifted:
        raise typer.Exit(_DRIFTED)


def exporter(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 9108,
    home: Home = None,
) -> None:
    """Give Prometheus figures of intake, champion and drift on /metrics, until Ctrl-C.

    The API has its own figures. Whoever reaches the port may read these.
    """
    from presagio.monitoring.exporter import Figures, serve_figures  # noqa: PLC0415
    from presagio.storage.database import open_database  # noqa: PLC0415
    from presagio.storage.ledger import Ledger  # noqa: PLC0415
    from presagio.storage.objects import open_store  # noqa: PLC0415
    from presagio.storage.promotions import Promotions  # noqa: PLC0415

    settings, stop = load_settings(home), threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    engine = open_database(settings)
    figures = Figures(settings, Ledger(engine), Promotions(engine), open_store(settings))
    try:
        serve_figures(figures, host, port, stop)
    except OSError as err:
        raise StackError(f"cannot listen on {host}:{port}: {err.strerror}") from err
    finally:
        engine.dispose()


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(feedback)
    app.command()(drift)
    app.command()(exporter)
