"""What Prometheus reads of the workers: which model each serves, and when it last looked."""

import time
from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from presagio.serving.champion.board import Board


class WorkerCollector(Collector):
    """What each worker says of the model that it serves."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def collect(self) -> Iterable[Metric]:
        """Return the metrics, as all workers have them now."""
        served = GaugeMetricFamily(
            "presagio_model_served", "Workers by what they serve.", labels=["model", "version"]
        )
        degraded = GaugeMetricFamily(
            "presagio_degraded", "Workers that do not serve a confirmed champion."
        )
        age = GaugeMetricFamily(
            "presagio_model_age_seconds", "Seconds since the oldest swap of a worker."
        )
        looked = GaugeMetricFamily(
            "presagio_registry_look_age_seconds",
            "Seconds since the last finished look at the registry, of the worker where it is most.",
        )
        workers = self._board.workers()
        counts: dict[tuple[str, str], int] = {}
        for worker in workers:
            key = worker.model, worker.version
            counts[key] = counts.get(key, 0) + 1
        for key, count in counts.items():
            served.add_metric(list(key), count)
        degraded.add_metric([], sum(worker.degraded for worker in workers))
        age.add_metric([], max((time.time() - worker.since for worker in workers), default=0.0))
        looked.add_metric([], max((worker.look_age() for worker in workers), default=0.0))
        return [served, degraded, age, looked]
