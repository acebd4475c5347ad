"""What Prometheus reads of intake, champion and drift; the API has metrics of its own.

Each time it is asked, it looks at ledger, bucket and the last look for drift. What cannot be
reached is left out and said so (``presagio_source_up``): one that is down does not hide the others.
"""

import json
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, get_args

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from presagio.errors import StorageError
from presagio.fleet import Fleet, load_fleets
from presagio.ingest.incoming import incoming_files
from presagio.settings import MONITORING, Settings
from presagio.storage.fleets import read_fleets
from presagio.storage.ledger import Ledger
from presagio.storage.objects import ObjectStore
from presagio.storage.promotions import Kind, Promotions

# What the last look for drift found, beside its page.
LATEST = "latest.json"
_MOST_WAITING = 10_000
_UP = "1 for what could be asked for metrics."
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
_Source = Callable[[Fleet], Iterable[Metric]]


class _Samples:
    """Makes metrics of one fleet, whose name is the last label of each."""

    def __init__(self, fleet: str) -> None:
        self._fleet = fleet

    def gauge(self, name: str, text: str, value: float) -> Metric:
        """Return a metric with one value."""
        return self.gauges(name, text, "", {"": value})

    def gauges(self, name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
        """Return a metric with a value for each value of a label."""
        return self._filled(GaugeMetricFamily, name, text, label, values)

    def counters(self, name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
        """Return a metric of counts that only grow."""
        return self._filled(CounterMetricFamily, name, text, label, values)

    def _filled(
        self, kind: Any, name: str, text: str, label: str, values: Mapping[str, float]
    ) -> Metric:
        family: Metric = kind(name, text, labels=[label, "fleet"] if label else ["fleet"])
        for value, number in values.items():
            family.add_metric([value, self._fleet] if label else [self._fleet], number)  # type: ignore[attr-defined]
        return family


class Exporter(Collector):
    """Reads the metrics of all fleets from where they lie, at each scrape."""

    def __init__(
        self, settings: Settings, ledger: Ledger, promotions: Promotions, store: ObjectStore
    ) -> None:
        self._settings, self._store = settings, store
        self._ledger, self._promotions = ledger, promotions
        self._fleets = load_fleets(settings)
        self._first_seen: dict[tuple[str, str], datetime] = {}

    def collect(self) -> Iterable[Metric]:
        """Return all metrics that can be had now."""
        found: dict[str, Metric] = {}

        def add(metrics: Iterable[Metric]) -> None:
            for metric in metrics:
                family = found.setdefault(metric.name, metric)
                if family is not metric:
                    family.samples.extend(metric.samples)

        add(self._served_fleets())
        sources: dict[str, _Source] = {
            "ledger": self._intake, "decisions": self._decisions,
            "incoming": self._waiting, "watch": self._watched, "alarms": self._alarms,
        }  # fmt: skip
        for fleet in self._fleets.by_name.values():
            up: dict[str, float] = {}
            for source, read in sources.items():
                try:
                    add(list(read(fleet)))
                except StorageError as err:
                    _log.error("no metrics of %s of %s: %s", source, fleet.name, err)
                    up[source] = 0
                else:
                    up[source] = 1
            add([_Samples(fleet.name).gauges("presagio_source_up", _UP, "source", up)])
        yield from found.values()

    def _served_fleets(self) -> Iterable[Metric]:
        """Look which fleets there are; while the store does not answer it is those of before."""
        try:
            self._fleets = read_fleets(self._settings, self._store)
        except StorageError as err:
            _log.error("it is not known which fleets were added: %s", err)
        for fault in self._fleets.faults:
            _log.error("fleet %s: %s", fault.name, fault.message)
        faults = dict.fromkeys((fault.name for fault in self._fleets.faults), 1.0)
        served = dict.fromkeys(self._fleets.by_name, 0.0)
        text = "1 for a fleet that is not served, since its spec is at fault."
        family = GaugeMetricFamily("presagio_fleet_fault", text, labels=["fleet"])
        for name, value in (served | faults).items():
            family.add_metric([name], value)
        yield family

    def _intake(self, fleet: Fleet) -> Iterable[Metric]:
        made = _Samples(fleet.name)
        totals = self._ledger.of_fleet(fleet.settings.fleet).totals()
        yield made.counters("presagio_files", "Files by verdict.", "verdict", totals.files)
        rows = {"processed": totals.rows_processed, "quarantined": totals.rows_quarantined}
        yield made.counters("presagio_intake_rows", "Rows by fate.", "fate", rows)
        yield made.counters("presagio_faults", "Faults by reason.", "reason", totals.reasons)
        if totals.last is not None:
            yield made.gauge(
                "presagio_last_file_timestamp_seconds", "When the last file was filed.",
                totals.last.timestamp(),
            )  # fmt: skip

    def _decisions(self, fleet: Fleet) -> Iterable[Metric]:
        made = _Samples(fleet.name)
        history = self._promotions.history(fleet.settings.model_name, limit=None)
        kinds = Counter(one.decision.kind for one in history)
        yield made.counters(
            "presagio_decisions", "Decisions about model versions, by kind.", "kind",
            {kind: kinds[kind] for kind in get_args(Kind)},
        )  # fmt: skip
        taken = [one for one in history if one.decision.kind != "refusal"]
        if taken:
            yield made.gauge(
                "presagio_champion_timestamp_seconds", "When the champion became it.",
                taken[0].created_at.timestamp(),
            )  # fmt: skip

    def _waiting(self, fleet: Fleet) -> Iterable[Metric]:
        made, prefixes = _Samples(fleet.name), fleet.settings.prefixes
        others = self._fleets.other_names if fleet.is_default else frozenset[str]()
        files = [*islice(incoming_files(self._store, prefixes, others), _MOST_WAITING)]
        largest = fleet.settings.intake_max_file_bytes
        now, before = datetime.now(UTC), self._first_seen
        seen = {(fleet.name, one.key): before.get((fleet.name, one.key), now) for one in files}
        kept = {place: at for place, at in before.items() if place[0] != fleet.name}
        self._first_seen = kept | seen
        text = f"Files below the incoming prefix; {_MOST_WAITING:,} are counted at most."
        yield made.gauge("presagio_incoming_files", text, len(seen))
        oldest = (now - min(seen.values(), default=now)).total_seconds()
        text = "Those of them that are larger than a file may be, and are not filed."
        too_large = sum(one.size > largest for one in files)
        yield made.gauge("presagio_incoming_too_large_files", text, too_large)
        text = "Since when the longest of them has been seen there."
        yield made.gauge("presagio_incoming_oldest_seconds", text, oldest)

    def _alarms(self, fleet: Fleet) -> Iterable[Metric]:
        made, now = _Samples(fleet.name), datetime.now(UTC)
        ledger = self._ledger.of_fleet(fleet.settings.fleet)
        silent = now - timedelta(hours=fleet.settings.unit_silent_h)
        counts = ledger.unit_states().counts(silent_since=silent)
        states = {str(state): float(number) for state, number in counts.items()}
        yield made.gauges("presagio_units", "Units by state.", "state", states)
        yield made.gauge("presagio_open_alarms", "Open alarms.", ledger.alarms().count_open())
        waiting, since = ledger.arrivals().backlog(fleet.settings.prefixes.bucket)
        yield made.gauge("presagio_files_to_score", "Filed objects that wait for scores.", waiting)
        text = "Since when the oldest of them has waited."
        oldest = 0.0 if since is None else (now - since).total_seconds()
        yield made.gauge("presagio_files_to_score_oldest_seconds", text, max(oldest, 0.0))
        if (newest := ledger.arrivals().newest()) is not None:
            yield made.gauge(
                "presagio_last_scored_timestamp_seconds", "When a file was scored last.",
                newest.timestamp(),
            )  # fmt: skip

    def _watched(self, fleet: Fleet) -> Iterable[Metric]:
        made, settings = _Samples(fleet.name), fleet.settings
        read = self._store.read(settings.data_bucket, settings.place(MONITORING) + LATEST)
        if read is None:
            return
        look = json.loads(read[0])
        at = datetime.fromisoformat(look["at"])
        yield made.gauge(
            "presagio_drift_checked_timestamp_seconds", "When drift was looked for.",
            at.timestamp(),
        )  # fmt: skip
        yield made.gauge(
            "presagio_drift_window_rows", "Readings that were looked at.", look["rows"]
        )
        for group, label, metrics, found in (
            ("drift", "column", COLUMN_METRICS, look["columns"]),
            ("feedback", "version", ALARM_METRICS, look["alarms"]),
        ):
            for metric, text in metrics.items():
                # An older version has written less.
                values = {name: float(of[metric]) for name, of in found.items() if metric in of}
                yield made.gauges(f"presagio_{group}_{metric}", text, label, values)


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
