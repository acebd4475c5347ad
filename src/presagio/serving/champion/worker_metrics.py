"""What Prometheus reads of the workers: which model each serves, and when it last looked."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from presagio.serving.champion.board import Board


class WorkerCollector(Collector):
    """What each worker says of the model that it serves, of each fleet.

    Parameters
    ----------
    boards
        Returns the board of each fleet, by the fleet's name.
    """

    def __init__(self, boards: Callable[[], Mapping[str, Board]]) -> None:
        self._boards = boards

    def collect(self) -> Iterable[Metric]:
        """Return the metrics, as all workers have them now."""
        served = GaugeMetricFamily(
            "presagio_model_served", "Workers by what they serve.",
            labels=["fleet", "model", "version"],
        )  # fmt: skip
        degraded = GaugeMetricFamily(
            "presagio_degraded", "Workers that do not serve a confirmed champion.",
            labels=["fleet"],
        )  # fmt: skip
        age = GaugeMetricFamily(
            "presagio_model_age_seconds", "Seconds since the oldest swap of a worker.",
            labels=["fleet"],
        )  # fmt: skip
        looked = GaugeMetricFamily(
            "presagio_registry_look_age_seconds",
            "Seconds since the last finished look at the registry, of the worker where it is most.",
            labels=["fleet"],
        )
        for fleet, board in self._boards().items():
            workers = board.workers()
            for key, count in Counter((w.model, w.version) for w in workers).items():
                served.add_metric([fleet, *key], count)
            degraded.add_metric([fleet], sum(worker.degraded for worker in workers))
            oldest = max((time.time() - worker.since for worker in workers), default=0.0)
            age.add_metric([fleet], oldest)
            looked.add_metric([fleet], max((w.look_age() for w in workers), default=0.0))
        return [served, degraded, age, looked]
