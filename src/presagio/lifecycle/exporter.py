"""What Prometheus reads of intake, champion and drift; the API has metrics of its own.

Each time it is asked, it looks at ledger, bucket and the last look for drift. What cannot be
reached is left out and said so (``presagio_source_up``): one that is down does not hide the others.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from presagio.errors import StorageError
from presagio.ingest.incoming import is_file
from presagio.settings import Settings
from presagio.storage.ledger import Ledger
from presagio.storage.objects import ObjectStore
from presagio.storage.promotions import Promotions

# What the last look for drift found, beside its page.
LATEST = "monitoring/latest.json"
_MOST_WAITING = 10_000
COLUMN_METRICS = {
    "psi": "Population stability index of a column, newest readings against training data.",
    "usual_psi": "What that index is at most while nothing has drifted.",
    "outside": "Share of readings beyond all training data.",
    "drifted": "1 for a column that has drifted.",
    "undecided": "1 for a column of which it cannot be told: too few independent readings.",
    "effective_rows": "Independent readings that a column's newest readings are worth.",
}
ALARM_METRICS = {
    "outcomes": "Outcomes that were sent back of readings that a version predicted.",
    "failures": "Failures among them.",
    "alarms": "Alarms among them.",
    "right": "Alarms among them that were right.",
}
_log = logging.getLogger(__name__)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"presagio_{name}", text, value=value)


class Exporter(Collector):
    """Reads the metrics from where they lie, at each scrape."""

    def __init__(
        self, settings: Settings, ledger: Ledger, promotions: Promotions, store: ObjectStore
    ) -> None:
        self._settings, self._store = settings, store
        self._ledger, self._promotions = ledger, promotions
        self._first_seen: dict[str, datetime] = {}

    def collect(self) -> Iterable[Metric]:
        """Return all metrics that can be had now."""
        up = GaugeMetricFamily(
            "presagio_source_up", "1 for what could be asked for metrics.", labels=["source"]
        )
        sources: dict[str, Callable[[], Iterable[Metric]]] = {
            "ledger": self._intake, "decisions": self._decisions,
            "incoming": self._waiting, "watch": self._watched,
        }  # fmt: skip
        for source, read in sources.items():
            try:
                yield from list(read())
            except StorageError as err:
                _log.error("no metrics of %s: %s", source, err)
                up.add_metric([source], 0)
            else:
                up.add_metric([source], 1)
        yield up

    def _intake(self) -> Iterable[Metric]:
        files = CounterMetricFamily("presagio_files", "Files by verdict.", labels=["verdict"])
        rows = CounterMetricFamily("presagio_intake_rows", "Rows by fate.", labels=["fate"])
        faults = CounterMetricFamily("presagio_faults", "Faults by reason.", labels=["reason"])
        totals = self._ledger.totals()
        for verdict, count in totals.files.items():
            files.add_metric([verdict], count)
        rows.add_metric(["processed"], totals.rows_processed)
        rows.add_metric(["quarantined"], totals.rows_quarantined)
        for reason, count in totals.reasons.items():
            faults.add_metric([reason], count)
        yield from (files, rows, faults)
        if totals.last is not None:
            text = "When the last file was filed."
            yield _gauge("last_file_timestamp_seconds", text, totals.last.timestamp())

    def _decisions(self) -> Iterable[Metric]:
        counted = CounterMetricFamily(
            "presagio_decisions", "Decisions about model versions, by kind.", labels=["kind"]
        )
        history = self._promotions.history(self._settings.model_name, limit=None)
        for kind in ("promotion", "rollback", "refusal"):
            counted.add_metric([kind], sum(one.decision.kind == kind for one in history))
        yield counted
        taken = [one for one in history if one.decision.kind != "refusal"]
        if taken:
            text = "When the champion became it."
            yield _gauge("champion_timestamp_seconds", text, taken[0].created_at.timestamp())

    def _waiting(self) -> Iterable[Metric]:
        prefixes = self._settings.prefixes
        found = self._store.list(prefixes.bucket, prefixes.incoming)
        keys = (stored.key for stored in islice(found, _MOST_WAITING))
        now = datetime.now(UTC)
        self._first_seen = {key: self._first_seen.get(key, now) for key in keys if is_file(key)}
        oldest = min(self._first_seen.values(), default=now)
        text = f"Files below the incoming prefix; {_MOST_WAITING:,} are counted at most."
        yield _gauge("incoming_files", text, len(self._first_seen))
        text = "Since when the longest of them has been seen there."
        yield _gauge("incoming_oldest_seconds", text, (now - oldest).total_seconds())

    def _watched(self) -> Iterable[Metric]:
        read = self._store.read(self._settings.data_bucket, LATEST)
        if read is None:
            return
        look = json.loads(read[0])
        at = datetime.fromisoformat(look["at"])
        yield _gauge(
            "drift_checked_timestamp_seconds", "When drift was looked for.", at.timestamp()
        )
        yield _gauge("drift_window_rows", "Readings that were looked at.", look["rows"])
        yield from _labelled("drift", "column", COLUMN_METRICS, look["columns"])
        yield from _labelled("feedback", "version", ALARM_METRICS, look["alarms"])


def _labelled(
    group: str, label: str, metrics: dict[str, str], found: dict[str, dict[str, Any]]
) -> Iterable[Metric]:
    for metric, text in metrics.items():
        family = GaugeMetricFamily(f"presagio_{group}_{metric}", text, labels=[label])
        for name, values in found.items():
            # An older version has written less.
            if metric in values:
                family.add_metric([name], float(values[metric]))
        yield family


def serve_metrics(exporter: Exporter, host: str, port: int, stop: threading.Event) -> None:
    """Answer Prometheus on ``/metrics`` until told to stop.

    Raises
    ------
    OSError
        If the port is taken.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(exporter)
    server, thread = start_http_server(port, host, registry)
    _log.info("metrics at http://%s:%d/metrics", host, port)
    stop.wait()
    server.shutdown()
    server.server_close()
    thread.join()
