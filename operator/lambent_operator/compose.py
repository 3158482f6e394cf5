"""Joins the engine to a cluster: election, lists, watches, censuses, health. `Operator.run` runs it all until it is told to stop."""

from __future__ import annotations

import asyncio
import functools
import random
import time
from datetime import UTC, datetime

from lambent_core import timestamps
from lambent_kube.client import Kubernetes
from lambent_kube.config import ClusterAccess
from lambent_operator import labels
from lambent_operator.audit import collections, keep_auditing
from lambent_operator.census import Census
from lambent_operator.census_client import CensusClient
from lambent_operator.engine import Engine
from lambent_operator.handlers import function, gateway, pod, runtime_pool
from lambent_operator.health import serve_health
from lambent_operator.leader import CHANGE_SECONDS_MAX, Leader
from lambent_operator.manifests.pod import AgentSource, Link
from lambent_operator.metrics import Metrics
from lambent_operator.settings import Settings
from lambent_operator.watches import Register, watch


class SystemClock:
    def __init__(self) -> None:
        """On a running loop."""
        self.monotonic = asyncio.get_running_loop().time

    def timestamp(self) -> str:
        return timestamps.condition_time(time.time())

    def timestamp_micro(self) -> str:
        return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Operator:
    def __init__(self, settings: Settings, access: ClusterAccess) -> None:
        """On a running loop."""
        self._settings = settings
        self._access = access
        self._lists = Kubernetes(access, field_manager=labels.MANAGER)
        self._changes = Kubernetes(access, field_manager=labels.MANAGER, request_seconds_max=CHANGE_SECONDS_MAX)
        clock = SystemClock()
        self._leader = Leader(
            self._changes,
            namespace=settings.system_namespace,
            me=settings.pod_name,
            elected=lambda: self._engine.reconciler.elected(),
            clock=clock.monotonic,
            timestamp=clock.timestamp_micro,
        )
        self._engine = Engine(
            self._changes,
            self._connect,
            Metrics(),
            namespace=settings.namespace,
            instance=settings.pod_name,
            link=Link(settings.link_port, settings.link_service),
            source=AgentSource(settings.agent_image, settings.agent_image_pull_policy, settings.image_pull_secrets),
            pod_labels=settings.pod_labels,
            may_act=self._leader.may_act,
            clock=clock,
            chance=random.random,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set. Raises what ended it otherwise."""
        health = await serve_health(self._settings.health_port)
        listed = asyncio.Event()
        # kopf takes every task that is younger than itself for its own, and ends it with itself: it comes last.
        tasks = [
            asyncio.create_task(self._leader.run()),
            asyncio.create_task(keep_auditing(self._lists, collections(self._settings, self._engine.intake), listed)),
            asyncio.create_task(self._engine.run(listed)),
        ]
        watches = asyncio.create_task(self._watch(stop))
        try:
            await asyncio.wait([*tasks, watches], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.set()
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, watches, return_exceptions=True)
            await self._leader.resign()
            await self._censuses.close()
            await self._changes.close()
            await self._lists.close()
            await health.cleanup()
        for outcome in ended:
            if isinstance(outcome, Exception):
                raise outcome

    def _connect(self, census: Census) -> CensusClient:
        self._censuses = CensusClient(
            census,
            port=self._settings.gateway_port,
            token_file=self._settings.gateway_token_file,
            clock=asyncio.get_running_loop().time,
            chance=random.random,
        )
        return self._censuses

    async def _watch(self, stop: asyncio.Event) -> None:
        """One kopf for each namespace; the end of one is the other's."""
        settings, intake = self._settings, self._engine.intake
        own: list[Register] = [
            functools.partial(kind.register, intake=intake) for kind in (function, runtime_pool, pod)
        ]
        system: list[Register] = [functools.partial(gateway.register, intake=intake)]
        if settings.system_namespace != settings.namespace:
            system.append(functools.partial(runtime_pool.register, intake=intake))
        async with asyncio.TaskGroup() as group:
            for namespace, handlers, selector in (
                (settings.namespace, own, labels.PODS_SELECTOR),
                (settings.system_namespace, system, settings.gateway_selector),
            ):
                group.create_task(self._watch_one(namespace, handlers, selector, stop))

    async def _watch_one(self, namespace: str, handlers: list[Register], selector: str, stop: asyncio.Event) -> None:
        try:
            await watch(self._access, namespace, handlers, pod_selector=selector, stop=stop)
        finally:
            stop.set()
