"""What Prometheus reads: requests, rows, scores, alarms, swaps; over all worker processes."""

import contextlib
import os
from collections import Counter as Counts
from collections.abc import Mapping, Sequence
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Where workers keep their values, so that whichever is asked answers for all.
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)
_SCORES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)


class ApiMetrics:
    """The API's metrics; one object a process. Those of a fleet are :class:`FleetMetrics`."""

    def __init__(self) -> None:
        disable_created_metrics()
        self._registry = CollectorRegistry()
        registered: dict[str, Any] = {"registry": self._registry}
        self._requests = Counter(
            "presagio_requests", "Answers, by route and status.", ["route", "status"], **registered
        )
        self._seconds = Histogram(
            "presagio_request_seconds", "Time to answer.", ["route"], buckets=_SECONDS, **registered
        )
        self._refusals = Counter(
            "presagio_refusals", "Requests refused, by kind of problem.", ["kind"], **registered
        )
        self.in_flight = Gauge(
            "presagio_requests_in_flight", "Requests being answered.",
            multiprocess_mode="livesum", **registered,
        )  # fmt: skip
        self._of_fleets = _fleet_metrics(registered)
        self._known: dict[tuple[str, int], tuple[Any, Any]] = {}

    def of(self, fleet: str) -> "FleetMetrics":
        """Return the metrics of a fleet."""
        return FleetMetrics(self, self._of_fleets, fleet)

    def prepare(self, route: str, status: int) -> tuple[Any, Any]:
        """Make the counters of a route and status, which count nothing yet."""
        found = self._requests.labels(route, status), self._seconds.labels(route)
        self._known[route, status] = found
        return found

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count an answer."""
        found = self._known.get((route, status)) or self.prepare(route, status)
        found[0].inc()
        found[1].observe(seconds)

    def refused(self, kind: str) -> None:
        """Count a refusal."""
        self._refusals.labels(kind).inc()

    def exposition(self, *others: Collector) -> bytes:
        """Return the metrics of all workers, and of other collectors, as Prometheus reads them."""
        if folder := os.environ.get(FOLDER_VARIABLE):
            registry = CollectorRegistry()
            MultiProcessCollector(registry, path=folder)
        else:
            registry = self._registry
        beside = CollectorRegistry()
        for other in others:
            beside.register(other)
        return generate_latest(registry) + generate_latest(beside)


def _fleet_metrics(registered: dict[str, Any]) -> dict[str, Any]:
    """Make what is counted of each fleet; its name is the first label."""
    counters = {
        "rows": ("presagio_rows", "Readings that were predicted.", []),
        "alarms": ("presagio_alarms", "Alarms answered, by likeliest failure mode.", ["mode"]),
        "swaps": ("presagio_swaps", "Champions taken and candidates refused.", ["result"]),
        "looks": ("presagio_registry_looks", "Looks at the registry, by how they ended.",
                  ["result"]),
        "recorded": ("presagio_recorded_predictions", "Answers that were kept.", []),
        "dropped": ("presagio_dropped_predictions", "Answers that were not: the queue was full.",
                    []),
        "recording_failures": ("presagio_recording_failures",
                               "Attempts to write recorded answers that failed.", []),
    }  # fmt: skip
    found: dict[str, Any] = {
        name: Counter(metric, text, ["fleet", *labels], **registered)
        for name, (metric, text, labels) in counters.items()
    }
    found["scores"] = Histogram(
        "presagio_probability", "Probabilities answered one by one.", ["fleet"], buckets=_SCORES,
        **registered,
    )  # fmt: skip
    found["queue"] = Gauge(
        "presagio_recording_queue_rows", "Answers that wait to be kept.", ["fleet"],
        multiprocess_mode="livesum", **registered,
    )  # fmt: skip
    return found


class FleetMetrics:
    """What is counted of one fleet."""

    def __init__(self, api: ApiMetrics, metrics: Mapping[str, Any], fleet: str) -> None:
        self._metrics, self._fleet, self.prepare = metrics, fleet, api.prepare
        self.rows, self.scores = metrics["rows"].labels(fleet), metrics["scores"].labels(fleet)
        self.recorded = metrics["recorded"].labels(fleet)
        self.dropped = metrics["dropped"].labels(fleet)
        self.recording_failures = metrics["recording_failures"].labels(fleet)
        self.queue = metrics["queue"].labels(fleet)

    def alarms(self, modes: Sequence[str | None]) -> None:
        """Count alarms, each by its likeliest failure mode."""
        for mode, number in Counts(modes).items():
            self._metrics["alarms"].labels(self._fleet, mode or "unknown").inc(number)

    def swap(self, result: str) -> None:
        """Count a champion that was taken (``swapped``) or a candidate that was ``refused``."""
        self._metrics["swaps"].labels(self._fleet, result).inc()

    def look(self, result: str) -> None:
        """Count a finished look: confirmed, swapped, refused, unavailable, or failed by a bug."""
        self._metrics["looks"].labels(self._fleet, result).inc()


def forget_worker(pid: int) -> None:
    """Take a worker that is gone out of what counts live ones only."""
    if os.environ.get(FOLDER_VARIABLE):
        # Another worker may remove its files at the same time.
        with contextlib.suppress(OSError):
            mark_process_dead(pid)
