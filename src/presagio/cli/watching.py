"""Commands on a model in service: feedback on its alarms, drift of its readings."""

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from presagio.cli.exit_status import ExitStatus, leave_unless_done
from presagio.cli.output import AsJson, Home, print_json, print_table, say, warn
from presagio.cli.receipts import describe, open_home_intake, receipt_status
from presagio.cli.tables import Column
from presagio.errors import StackError
from presagio.settings import load_settings

if TYPE_CHECKING:
    from presagio.jobs.feedback import AlarmFigures
    from presagio.lifecycle.drift_report import ColumnDrift, DriftReport

_ALARMS = (
    Column("Version", right=True), Column("Outcomes", right=True), Column("Failures", right=True),
    Column("Alarms", right=True), Column("Right", right=True), Column("Precision", right=True),
    Column("Recall", right=True),
)  # fmt: skip


def _print_alarms(found: "list[AlarmFigures]", *, as_json: bool) -> None:
    if as_json:
        for one in found:
            print_json({**vars(one), "precision": one.precision, "recall": one.recall})
        return
    rows = []
    for one in found:
        shares = ["-" if share is None else f"{share:.3f}" for share in (one.precision, one.recall)]
        rows.append((one.version, one.outcomes, one.failures, one.alarms, one.right, *shares))
    print_table(_ALARMS, rows)
    if not found:
        warn("No outcome was sent back yet: presagio feedback FILE")


_DRIFT = (
    Column("Column", "middle", least=21), Column("Verdict", styles={"drift": "bold red"}),
    Column("PSI", right=True), Column("Normal maximum", right=True), Column("Test", optional=True),
    Column("p", right=True, optional=True), Column("Outside range", right=True),
    Column("Effective sample", right=True),
)  # fmt: skip


def feedback(
    file: Annotated[
        Path | None,
        typer.Argument(
            exists=True,
            dir_okay=False,
            readable=True,
            help="CSV or Parquet file of readings and their outcomes.",
        ),
    ] = None,
    lot: Annotated[
        int | None,
        typer.Option(help="Receipt of the readings, where FILE has their identifiers only."),
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait until the watcher has filed it.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait.")] = 120.0,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Send outcomes back; without FILE, show how many alarms were right, by version.

    Outcomes go through the intake like any readings, have their receipt, and are learned from in
    the next training. Whether the model gave an alarm is taken from the columns said_alarm and
    said_version, or asked of the champion.
    """
    from presagio.ingest.upload import wait_for_receipt  # noqa: PLC0415 - heavy imports
    from presagio.jobs.feedback import alarm_figures, send_feedback  # noqa: PLC0415
    from presagio.registry.writer import open_registry  # noqa: PLC0415

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
        say(
            f"{file}: {sent.outcomes} outcomes, {sent.failures} failures, sent as "
            f"{sent.uploaded.key}{filed}"
        )
    if wait and receipt is None:
        warn(f"{file}: not filed within {timeout:.0f} s; see: presagio receipts")
    leave_unless_done(receipt_status(receipt) if wait else ExitStatus.DONE)


def _print_report(report: "DriftReport") -> None:
    rows = [
        (
            column.name, column.verdict, f"{column.psi:.3f}", f"{column.usual_psi:.3f}",
            column.test, f"{column.p_value:.2g}", f"{column.outside:.1%}",
            f"{column.effective_rows:.0f}",
        )
        for column in report.columns
    ]  # fmt: skip
    print_table(_DRIFT, rows)


def _column_as_json(column: "ColumnDrift") -> dict[str, object]:
    wanted = ("name", "verdict", "psi", "usual_psi", "test", "p_value", "outside", "effective_rows")
    return {name: getattr(column, name) for name in wanted}


def drift(home: Home = None, as_json: AsJson = False) -> None:
    """Compare the newest readings with what the champion was trained on.

    The DAG monitor_drift does the same by its schedule: a page in the data bucket, metrics in
    MLflow, an alert where there is drift. "Cannot tell" means that the readings of a column follow
    each other so closely that they are worth too few independent ones.
    """
    from presagio.jobs.monitor import watch_drift  # noqa: PLC0415 - heavy imports
    from presagio.registry.writer import open_registry  # noqa: PLC0415

    settings = load_settings(home)
    watched = watch_drift(settings, open_home_intake(home), open_registry(settings))
    report = watched.report
    if as_json:
        print_json({
            "version": watched.version, "summary": watched.summary,
            "drifted": report.drifted if report else (),
            "undecided": report.undecided if report else (),
            "columns": [_column_as_json(column) for column in report.columns] if report else [],
            "page": watched.place, "alerted": watched.alerted,
            "metrics": report.metrics if report else {},
        })  # fmt: skip
    else:
        if report is not None:
            _print_report(report)
        say(f"{watched.summary[0].upper()}{watched.summary[1:]}.")
        if watched.place:
            say(f"Report: {load_settings(home).data_bucket}/{watched.place}")
    drifted = report is not None and report.drifted
    leave_unless_done(ExitStatus.DRIFTED if drifted else ExitStatus.DONE)


def exporter(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 9108,
    home: Home = None,
) -> None:
    """Serve metrics of intake, champion and drift to Prometheus, on /metrics, until Ctrl-C.

    The API has metrics of its own. Whoever reaches the port may read these.
    """
    from presagio.lifecycle.exporter import Exporter, serve_metrics  # noqa: PLC0415
    from presagio.storage.database import open_database  # noqa: PLC0415
    from presagio.storage.ledger import Ledger  # noqa: PLC0415
    from presagio.storage.objects import open_store  # noqa: PLC0415
    from presagio.storage.promotions import Promotions  # noqa: PLC0415

    settings, stop = load_settings(home), threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    engine = open_database(settings)
    exporter = Exporter(settings, Ledger(engine), Promotions(engine), open_store(settings))
    try:
        serve_metrics(exporter, host, port, stop)
    except OSError as err:
        raise StackError(f"cannot listen on {host}:{port}: {err.strerror}") from err
    finally:
        engine.dispose()


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(feedback)
    app.command()(drift)
    app.command()(exporter)
