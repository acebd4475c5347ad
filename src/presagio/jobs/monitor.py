"""Monitor: compare the newest readings with what the champion was trained on."""

import json
import logging
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from presagio.errors import NoChampionError, RegistryError
from presagio.ingest.curated import processed_receipts, without_required_gaps
from presagio.ingest.curated_parts import CuratedParts
from presagio.ingest.filing import Intake
from presagio.jobs.feedback import alarm_metrics
from presagio.lifecycle.alerts import Alert, Alerts
from presagio.lifecycle.drift import PROBABILITY, DriftRules, find_drift, newest_rows
from presagio.lifecycle.drift_history import DriftHistory, KeptReport, name_of
from presagio.lifecycle.drift_page import write_report
from presagio.lifecycle.drift_report import DriftReport
from presagio.lifecycle.effective_size import Units, units_of
from presagio.lifecycle.exporter import COLUMN_METRICS, LATEST
from presagio.machine.spec import MachineSpec
from presagio.registry.loading import load_version
from presagio.registry.versions import REFERENCE, RegisteredVersion
from presagio.registry.writer import Registry
from presagio.scoring.frames import score_frame
from presagio.settings import MONITORING, Settings

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Watched:
    """What came of one look.

    Attributes
    ----------
    version
        The champion's version; None where there is none.
    report
        What was found; None where nothing can be summary, for the reason in ``summary``.
    summary
        In words.
    place
        Where the page with the report lies, in the data bucket.
    alerted
        Whether an alert was sent: not for the same as last time.
    """

    summary: str
    version: str | None = None
    report: DriftReport | None = None
    place: str | None = None
    alerted: bool = False


def _newest(intake: Intake, rows: int) -> pl.DataFrame:
    """Return the newest readings, labelled or not, in the order in which they came."""
    parts, found = list[pl.DataFrame](), 0
    spec = intake.spec
    kept = () if spec.unit is None else (spec.unit.name,)
    columns = tuple(dict.fromkeys((*kept, *spec.series_names, *spec.input_names)))
    curated = CuratedParts(intake, columns)
    for receipt in processed_receipts(intake, newest_first=True):
        for key in reversed(receipt.outcome.curated_keys):
            part = curated.read(key, receipt.id)
            parts.append(without_required_gaps(part, intake.spec))
            found += len(parts[-1])
            if found >= rows:
                return pl.concat(reversed(parts)).tail(rows)
    return pl.concat(reversed(parts)) if parts else pl.DataFrame()


def _reference(registry: Registry, champion: RegisteredVersion) -> pl.DataFrame:
    with tempfile.TemporaryDirectory() as scratch:
        folder = registry.download(champion, REFERENCE, Path(scratch))
        return pl.read_parquet(folder / f"{REFERENCE}.parquet")


def _table(frame: pl.DataFrame, spec: MachineSpec) -> dict[str, NDArray[np.float64]]:
    return {name: frame[name].cast(pl.Float64).to_numpy() for name in spec.input_names}


def _units(spec: MachineSpec, reference: pl.DataFrame, newest: pl.DataFrame) -> Units | None:
    """Return of which unit rows are; None where nobody knows of which the training data were."""
    if spec.unit is None or spec.unit.name not in reference.columns:
        return None
    return units_of(reference[spec.unit.name].to_numpy(), newest[spec.unit.name].to_numpy())


def _watch(settings: Settings, intake: Intake, registry: Registry) -> Watched:
    registry.ensure_model()
    try:
        champion = registry.resolve()
    except NoChampionError as err:
        return Watched(str(err))
    try:
        reference = _reference(registry, champion)
    except RegistryError as err:
        summary = f"version {champion.version} has no reference rows, train a new one: {err}"
        return Watched(summary, champion.version)
    wanted = newest_rows(len(reference), settings.drift_window_rows)
    newest = _newest(intake, wanted)
    if len(newest) < min(settings.drift_min_rows, wanted):
        summary = f"{len(newest)} readings, {min(settings.drift_min_rows, wanted)} are needed"
        return Watched(summary, champion.version)
    predictor = load_version(registry, champion, intake.spec, settings)
    learned = (predictor.artifact.card.get("data") or {}).get("train_rows")
    if learned is None:
        return Watched("the model card names no number of training rows", champion.version)
    window = _table(newest, intake.spec)
    window[PROBABILITY] = score_frame(predictor, newest)["probability"].to_numpy()
    report = find_drift(
        intake.spec,
        _table(reference, intake.spec) | {PROBABILITY: reference[PROBABILITY].to_numpy()},
        window,
        reference_rows=learned,
        rules=DriftRules(
            settings.drift_psi,
            settings.drift_p_value,
            settings.drift_outside,
            settings.drift_min_effective_rows,
        ),
        units=_units(intake.spec, reference, newest),
    )
    return _publish(settings, intake, registry, champion, report)


def _publish(
    settings: Settings, intake: Intake, registry: Registry, champion: RegisteredVersion,
    report: DriftReport,
) -> Watched:  # fmt: skip
    """Store the report, log its metrics, and raise or clear the alert."""
    at = datetime.now(UTC)
    folder, model = settings.place(MONITORING), f"{champion.name} version {champion.version}"
    place = f"{folder}{name_of(at)}.html"
    window = f"The newest {report.window_rows} readings at {at:%Y-%m-%d %H:%M} UTC"
    with tempfile.TemporaryDirectory() as scratch:
        page = write_report(Path(scratch) / "drift.html", report, model=model, window=window)
        intake.store.write(settings.data_bucket, place, page.read_bytes())
        DriftHistory(intake.store, settings.data_bucket, folder).keep(
            KeptReport(at, champion.name, champion.version, report)
        )
        tags = {
            "presagio.version": champion.version,
            "presagio.drifted": ",".join(report.drifted),
            "presagio.undecided": ",".join(report.undecided),
        }
        latest = {
            "at": at.isoformat(),
            "rows": report.window_rows,
            "columns": {
                column.name: {name: float(getattr(column, name)) for name in COLUMN_METRICS}
                for column in report.columns
            },
            "alarms": {one.version: asdict(one) for one in alarm_metrics(intake)},
        }
        intake.store.write(settings.data_bucket, folder + LATEST, json.dumps(latest).encode())
        found = ", ".join(report.drifted) or "none"
        name = f"{champion.name} {champion.version}, drift: {found} ({at:%Y-%m-%d %H:%M} UTC)"
        registry.log_report(name, report.metrics, tags, (page,))
    alerts, alerted = Alerts(settings, intake.store), False
    summary = f"newest {report.window_rows} readings: {report.in_words}"
    if report.drifted:
        text = f"{summary}; {model} was trained on others: {settings.data_bucket}/{place}"
        subject = f"{model}: {', '.join(report.drifted)}"
        alerted = alerts.raise_alert(Alert("drift", subject, text))
    else:
        alerts.clear("drift")
    return Watched(summary, champion.version, report, place, alerted)


def watch_drift(settings: Settings, intake: Intake, registry: Registry) -> Watched:
    """Compare the newest readings with what the champion was trained on.

    The report goes as a page and as data to the data bucket, as a page with its numbers as metrics
    to MLflow, and an alert to the log and the webhook.

    Parameters
    ----------
    settings
        What counts as drift, whom to alert, and where reports go.
    intake
        Where the newest readings are.
    registry
        Where the champion is.

    Raises
    ------
    RegistryError, StorageError
        If MLflow, store or ledger fail.
    """
    watched = _watch(settings, intake, registry)
    _log.info("%s", watched.summary)
    return watched
