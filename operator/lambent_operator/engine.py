"""
The operator without its connections: what is seen comes in, work comes out, all of it on one loop.

Watches, censuses and the election are joined to it by `compose`, and simulated in tests.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping
from typing import Protocol

import structlog

from lambent_kube.client import Conflict, KubernetesError
from lambent_operator.census import Census
from lambent_operator.census_client import GatewayUnreachable
from lambent_operator.cluster import Cluster, KubernetesApi, NotLeading
from lambent_operator.intake import Gateways, Intake
from lambent_operator.manifests.pod import AgentSource, Link
from lambent_operator.metrics import Metrics
from lambent_operator.observation import Key, Observation
from lambent_operator.reconciler import Reconciler
from lambent_operator.troubles import Trouble
from lambent_operator.work_queue import Workers

log = structlog.get_logger(__name__)

AGENTS_PARALLEL_MAX = 16
"""Callers wait for these."""
STATUSES_PARALLEL_MAX = 4
"""Nobody waits for these: they leave the API server to the others."""


class GatewayConnections(Gateways, Protocol):
    async def report_failure(self, gateway: str, agent: str, trouble: Trouble) -> bool: ...


class Clock(Protocol):
    """Monotonic seconds for decisions; wall-clock time is for people alone."""

    def monotonic(self) -> float: ...
    def timestamp(self) -> str: ...
    def timestamp_micro(self) -> str: ...


class Engine:
    def __init__(
        self,
        api: KubernetesApi,
        gateways: Callable[[Census], GatewayConnections],
        metrics: Metrics,
        *,
        namespace: str,
        instance: str,
        link: Link,
        source: AgentSource,
        pod_labels: Mapping[str, str],
        may_act: Callable[[], bool],
        clock: Clock,
        chance: Callable[[], float],
    ) -> None:
        self._metrics = metrics
        self.observation = Observation(self.wake, clock=clock.monotonic)
        self.census = Census(lambda touched: self.reconciler.census_touched(touched), now=clock.monotonic())
        self.gateways = gateways(self.census)
        self.intake = Intake(
            self.observation,
            self.gateways,
            pools_changed=lambda name: self.reconciler.runtime_pool_changed(name),
            functions_changed=lambda name: self.reconciler.function_changed(name),
        )
        cluster = Cluster(
            api,
            self.intake,
            self.gateways.report_failure,
            namespace=namespace,
            instance=instance,
            may_act=may_act,
            timestamp=clock.timestamp_micro,
        )
        self.reconciler = Reconciler(
            self.observation,
            self.census,
            cluster,
            metrics,
            self.wake,
            namespace=namespace,
            link=link,
            source=source,
            pod_labels=pod_labels,
            may_act=may_act,
            clock=clock.monotonic,
            timestamp=clock.timestamp,
        )
        workers = functools.partial(
            Workers, self.reconciler.work, failed=self._failed, clock=clock.monotonic, chance=chance
        )
        self._agents: Workers[Key] = workers(parallel_max=AGENTS_PARALLEL_MAX)
        self._statuses: Workers[Key] = workers(parallel_max=STATUSES_PARALLEL_MAX)
        metrics.watch(self.observation, self.census, [("agents", self._agents), ("statuses", self._statuses)])

    @property
    def depth(self) -> int:
        """Keys whose time has come and that are not done."""
        return self._agents.queue.depth + self._statuses.queue.depth

    def wake(self, key: Key) -> None:
        (self._agents if key.kind == "agent" else self._statuses).add(key)

    async def run(self, listed: asyncio.Event) -> None:
        """For ever, once everything is listed: before, what isn't known proves nothing."""
        await listed.wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._agents.run())
            group.create_task(self._statuses.run())

    def _failed(self, key: Key, error: Exception, pause_seconds: float) -> None:
        self._metrics.errors.labels(key.kind).inc()
        expected = isinstance(error, KubernetesError | GatewayUnreachable | NotLeading)
        # A conflict is everyday: somebody else wrote the object since it was looked at.
        say = log.debug if isinstance(error, Conflict) else log.warning
        say(
            "not done",
            key=key.name,
            kind=key.kind,
            error=str(error) or type(error).__name__,
            again_seconds=round(pause_seconds, 1),
            exc_info=None if expected else error,
        )
