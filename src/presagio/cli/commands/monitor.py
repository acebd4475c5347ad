"""Commands on a model in service: feedback on its alarms, drift of its readings."""

from pathlib import Path
from typing import Annotated

import typer

from presagio.cli.composition import Parts
from presagio.cli.exit_status import ExitStatus, leave_unless_done
from presagio.cli.output import AsJson, FleetName, Home, print_json, print_table, say, warn
from presagio.cli.receipt_view import describe_receipt, receipt_status
from presagio.cli.tables import Column
from presagio.ingest.upload import wait_for_receipt
from presagio.jobs.feedback import AlarmMetrics, alarm_metrics, send_feedback
from presagio.jobs.monitor import watch_drift
from presagio.lifecycle.drift_report import ColumnDrift, DriftReport

_ALARMS = (
    Column("Version", right=True), Column("Outcomes", right=True), Column("Failures", right=True),
    Column("Alarms", right=True), Column("Right", right=True), Column("Precision", right=True),
    Column("Recall", right=True),
)  # fmt: skip


def _print_alarms(found: list[AlarmMetrics], *, as_json: bool) -> None:
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
    of_receipt: Annotated[
        int | None,
        typer.Option(
            "--receipt", help="Receipt of the readings, where FILE has their identifiers only."
        ),
    ] = None,
    former_name: Annotated[int | None, typer.Option("--lot", hidden=True)] = None,
    wait: Annotated[bool, typer.Option(help="Wait until the watcher has filed it.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait.")] = 120.0,
    fleet: FleetName = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Send outcomes back; without FILE, show how many alarms were right, by version.

    Outcomes go through the intake like any readings, have their receipt, and are learned from in
    the next training. Whether the model gave an alarm is taken from the columns said_alarm and
    said_version, or asked of the champion.
    """
    parts = Parts(home, fleet)
    intake = parts.intake
    if file is None:
        _print_alarms(alarm_metrics(intake), as_json=as_json)
        return
    earlier = former_name if of_receipt is None else of_receipt
    sent = send_feedback(intake, parts.registry, parts.settings, file, receipt=earlier)
    receipt = wait_for_receipt(intake, sent.uploaded, timeout_s=timeout) if wait else None
    if as_json:
        body = describe_receipt(receipt) if receipt else None
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


def _print_report(report: DriftReport) -> None:
    rows = [
        (
            column.name, column.verdict, f"{column.psi:.3f}", f"{column.usual_psi:.3f}",
            column.test, f"{column.p_value:.2g}", f"{column.outside:.1%}",
            f"{column.effective_rows:.0f}",
        )
        for column in report.columns
    ]  # fmt: skip
    print_table(_DRIFT, rows)


def _column_as_json(column: ColumnDrift) -> dict[str, object]:
    wanted = ("name", "verdict", "psi", "usual_psi", "test", "p_value", "outside", "effective_rows")
    return {name: getattr(column, name) for name in wanted}


def drift(fleet: FleetName = None, home: Home = None, as_json: AsJson = False) -> None:
    """Compare the newest readings with what the champion was trained on.

    The DAG monitor_drift does the same by its schedule: a page in the data bucket, metrics in
    MLflow, an alert where there is drift. "Cannot tell" means that the readings of a column follow
    each other so closely that they are worth too few independent ones.
    """
    parts = Parts(home, fleet)
    watched = watch_drift(parts.settings, parts.intake, parts.registry)
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
            say(f"Report: {parts.settings.data_bucket}/{watched.place}")
    drifted = report is not None and report.drifted
    leave_unless_done(ExitStatus.DRIFTED if drifted else ExitStatus.DONE)
