"""What Prometheus may ask, besides what the client library tells of the process."""

from __future__ import annotations

import functools
from collections import Counter as Tally
from collections.abc import Iterable

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from lambent_operator.census import Census
from lambent_operator.observation import Key, Observation
from lambent_operator.resources import Pod
from lambent_operator.work_queue import Workers


class Metrics:
    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._registry = registry
        self.seconds = Histogram(
            "lambent_operator_reconcile_seconds",
            "Time from taking a key to having done its plan",
            ["kind"],
            registry=registry,
        )
        self.errors = Counter(
            "lambent_operator_reconcile_errors",
            "Plans that could not be done, and are tried again",
            ["kind"],
            registry=registry,
        )
        self.changes = Counter("lambent_operator_changes", "Changes done, by kind", ["change"], registry=registry)

    def watch(self, observation: Observation, census: Census, queues: Iterable[tuple[str, Workers[Key]]]) -> None:
        """Has the gauges read what these hold."""
        depth = Gauge(
            "lambent_operator_queue_depth",
            "Keys whose time has come and that are not done",
            ["queue"],
            registry=self._registry,
        )
        for name, workers in queues:
            depth.labels(name).set_function(functools.partial(_depth, workers))
        functions = Gauge("lambent_operator_functions", "Functions known", registry=self._registry)
        functions.set_function(lambda: len(observation.functions))
        self._registry.register(_Gauges(observation, census))


class _Gauges(Collector):
    """Gauges whose labels come and go."""

    def __init__(self, observation: Observation, census: Census) -> None:
        self._observation = observation
        self._census = census

    def collect(self) -> Iterable[Metric]:
        pods = GaugeMetricFamily("lambent_operator_pods", "Pods of agents", labels=["state"])
        for state, count in Tally(pod_state(pod) for pod in self._observation.pods.values()).items():
            pods.add_metric([state], count)
        yield pods
        connected = GaugeMetricFamily(
            "lambent_operator_census_connected", "1: the gateway tells its agents", labels=["gateway"]
        )
        for gateway, is_connected in self._census.states().items():
            connected.add_metric([gateway], int(is_connected))
        yield connected


def _depth(workers: Workers[Key]) -> float:
    return workers.queue.depth


def pod_state(pod: Pod) -> str:
    return "Deleting" if pod.deleting else pod.phase
