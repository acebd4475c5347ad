"""What Prometheus reads of the workers: which model each serves, and when it last looked."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from presagio.serving.champion.board import Board
from presagio.serving.champion.replicas import Replicas


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


class ReplicaCollector(Collector):
    """What this replica knows of all replicas: scrape each, and compare.

    Parameters
    ----------
    boards
        Returns the board of each fleet, by the fleet's name.
    replicas
        All replicas.
    """

    def __init__(self, boards: Callable[[], Mapping[str, Board]], replicas: Replicas) -> None:
        self._boards, self._replicas = boards, replicas

    def collect(self) -> Iterable[Metric]:
        """Return the metrics, as this replica knows them now."""
        info = GaugeMetricFamily(
            "presagio_replica_info", "Which replica answers.", labels=["replica"]
        )
        info.add_metric([self._replicas.name], 1)
        known = GaugeMetricFamily(
            "presagio_replicas_known",
            "Whether it is known what the others serve: their database answers.",
            value=float(self._replicas.available),
        )
        processes = GaugeMetricFamily(
            "presagio_replica_processes", "Living processes of all replicas.", labels=["fleet"]
        )
        behind = GaugeMetricFamily(
            "presagio_replica_processes_behind",
            "Those that do not serve the champion that was agreed on.",
            labels=["fleet"],
        )
        late = GaugeMetricFamily(
            "presagio_swap_late_seconds",
            "From the agreed moment to the last swap here, of the worker where it is most.",
            labels=["fleet"],
        )
        for fleet, board in self._boards().items():
            states, agreed = board.states(), board.known_agreed
            processes.add_metric([fleet], len(states))
            lagging = sum(s.serves != agreed.names for s in states) if agreed else 0
            behind.add_metric([fleet], lagging)
            late.add_metric([fleet], max((w.late for w in board.workers()), default=0.0))
        return [info, known, processes, behind, late]
