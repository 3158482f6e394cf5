"""
The platform: joins the parts that a machine and a cluster have in common with those in which they differ.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Literal

from fastapi import APIRouter
from prometheus_client import CollectorRegistry

from lambent_core.admission import Admission
from lambent_core.caller import Caller
from lambent_core.census import Census
from lambent_core.documents import DocumentStore, PackagesAtHand
from lambent_core.environment_variables import Surroundings
from lambent_core.function import Function
from lambent_core.images import Images
from lambent_core.log_lines import log_stream_name
from lambent_core.operations import OperationTable
from lambent_core.retry import RetryPolicy
from lambent_core.runtime_pool import AgentId
from lambent_core.scheduling import Scheduler, SchedulingLimits
from lambent_core.versions import FunctionAlias, FunctionVersion
from lambent_gateway import identifiers
from lambent_gateway.api.app import build_app
from lambent_gateway.api.asgi import Application
from lambent_gateway.api.calls import Functions, Parts
from lambent_gateway.api.front import front
from lambent_gateway.api.function_urls import FunctionUrls
from lambent_gateway.api.invoke import InvokeApi
from lambent_gateway.api.layer_versions import LayerVersions
from lambent_gateway.api.operating import LogsElsewhere, Operating, router
from lambent_gateway.api.qualified import Qualified
from lambent_gateway.api.served_urls import ServedUrls
from lambent_gateway.api.service_model import load_service_model
from lambent_gateway.clock import SystemClock
from lambent_gateway.drivers.async_invocations import AsyncInvocations, AsyncLimits
from lambent_gateway.drivers.async_invocations import Functions as EventFunctions
from lambent_gateway.drivers.backlog_gauge import BacklogGauge
from lambent_gateway.drivers.catalogue import Catalogue
from lambent_gateway.drivers.deployment import Deployments
from lambent_gateway.drivers.fleet import Fleet, PoolSize
from lambent_gateway.drivers.invoker import Invoker
from lambent_gateway.drivers.layer_versions import LayerPublications
from lambent_gateway.drivers.retention import Retention
from lambent_gateway.drivers.runner import Runner
from lambent_gateway.drivers.specialization import specialization
from lambent_gateway.environments.provider import EnvironmentProvider
from lambent_gateway.environments.runtimes import OfferedRuntimes
from lambent_gateway.environments.trees import UnpackedTrees
from lambent_gateway.peers.client import Handed
from lambent_gateway.routing import Routing
from lambent_gateway.settings import Settings
from lambent_gateway.stores.events import SqlEventQueue
from lambent_gateway.stores.logs import FunctionLogs
from lambent_gateway.telemetry import Gauges, MetricsCollector

AGENTS_END_SECONDS_MAX = 3.0
"""Agents get two seconds for their shutdown phase; what is left after three is killed."""


@dataclass(slots=True)
class Serving:
    """What /readyz reads."""

    phase: Literal["starting", "serving", "shutting down"] = "starting"
    ending: bool = False
    """Requests are accepted no more: answers that have no end of their own end now."""

    def reason_not_ready(self) -> str | None:
        return None if self.phase == "serving" else self.phase


@dataclass(frozen=True, slots=True)
class Backing:
    """In what a machine and a cluster differ."""

    name: str
    """Of this gateway, among those that share a state."""
    documents: DocumentStore
    packages: PackagesAtHand
    runtimes: OfferedRuntimes
    provider: EnvironmentProvider
    pool_size: Callable[[str], PoolSize]
    new_agent_id: Callable[[str], AgentId]
    """A new name for an agent of the pool that is given."""
    agents_outlive: bool
    """Whether agents go on without this gateway when it stops in order."""
    gateway_of: Callable[[str], str | None] = lambda function: None
    """The address that agents of a function dial, where another gateway owns it."""
    forward: Callable[[Handed], None] = lambda handed: None
    """Begins there what waits here."""
    dispatch: Callable[[Invoker], Runner] = lambda invoker: invoker
    """Who begins invocations for callers: the invoker itself, or whoever knows which gateway's."""
    logs_elsewhere: LogsElsewhere | None = None
    images: Images | None = None
    """Where functions' container images are looked up; None where no containers can run."""
    namespace: str = "default"
    """Where functions are on Kubernetes."""


@dataclass(frozen=True, slots=True)
class Platform:
    """The parts that serving needs, and those that whoever made it still has to join."""

    endpoint: str
    application: Application
    invoke_api: InvokeApi
    serving: Serving
    asynchronous: AsyncInvocations
    fleet: Fleet
    invoker: Invoker
    catalogue: Catalogue
    census: Census


@dataclass(frozen=True, slots=True)
class _Kept:
    """What outlives this gateway's process."""

    events: SqlEventQueue
    logs: FunctionLogs


async def assemble(
    settings: Settings,
    backing: Backing,
    endpoint: str,
    stack: AsyncExitStack,
    routers: Callable[[Census, Invoker, Serving], list[APIRouter]] = lambda census, invoker, serving: [],
) -> Platform:
    """
    Makes and joins every part. What must be taken apart goes on `stack`, in the order in which it is made.

    `routers` makes the doors that only this kind of platform has.
    """
    clock, serving, new_request_id = SystemClock(), Serving(), identifiers.RequestIds()
    kept = await _keep(settings, stack)
    metrics, census = MetricsCollector(), Census(backing.name)
    admission = Admission(settings.scaling.account_concurrency)
    invoker = _invoker(settings, backing, admission, kept.logs, endpoint)
    runner = backing.dispatch(invoker)
    fleet = _fleet(settings, backing, invoker, census, stack)
    catalogue = Catalogue(
        invoker,
        admission=admission,
        runtimes=backing.runtimes,
        metrics=metrics,
        logs=kept.logs,
        region=settings.server.region,
        account=settings.server.account,
    )
    functions, qualified = Functions(backing.documents), Qualified(backing.documents)
    _load(backing.documents, catalogue)
    deployments = Deployments(
        backing.documents,
        backing.packages,
        new_request_id,
        clock=clock,
        url_of=partial(url_of, endpoint),
        caller=Caller(settings.server.account, settings.server.region),
        account_concurrency=settings.scaling.account_concurrency,
        images=backing.images,
    )
    deployments.start()
    stack.push_async_callback(deployments.stop)
    publications = LayerPublications(backing.documents, backing.packages)
    publications.start()
    stack.push_async_callback(publications.stop)
    trees = UnpackedTrees(settings.data_dir / "trees")
    retention = Retention(backing.documents, backing.packages, trees, in_use=invoker.packages, clock=clock)
    retention.start()
    stack.push_async_callback(retention.stop)
    asynchronous = _asynchronous(
        settings, backing.name, backing.documents, kept.events, invoker, runner, admission, stack
    )
    backlog = BacklogGauge(kept.events, clock.time)
    metrics.gauges = Gauges(
        environments=invoker.states,
        pool=fleet.states,
        queue_depth=backlog.depth,
        queue_age_seconds=backlog.age_seconds,
    )
    registry = CollectorRegistry()
    registry.register(metrics)
    for pool in backing.runtimes.default_pools if not invoker.routing.by_key else ():
        fleet.prepare(pool)

    model = load_service_model()
    parts = Parts(
        model=model,
        table=OperationTable(model),
        functions=functions,
        qualified=qualified,
        layers=LayerVersions(backing.documents),
        packages=backing.packages,
        clock=clock,
        ids=new_request_id,
        settled=deployments.settled,
        images=backing.images,
        namespace=backing.namespace,
        account=settings.server.account,
        region=settings.server.region,
        account_concurrency=settings.scaling.account_concurrency,
    )
    operating = Operating(
        registry,
        kept.logs,
        serving.reason_not_ready,
        lambda name: functions.get(name) is not None,
        backlog.refresh,
        lambda: serving.ending,
        backing.logs_elsewhere,
    )
    invoke_api = InvokeApi(
        runner, asynchronous.accept, new_request_id, account=settings.server.account, region=settings.server.region
    )
    urls = FunctionUrls(
        find=ServedUrls(backing.documents, functions, qualified).find,
        invoker=runner,
        clock=clock,
        new_request_id=new_request_id,
    )
    application = front(invoke_api, urls, build_app(parts, router(operating), *routers(census, invoker, serving)))
    return Platform(endpoint, application, invoke_api, serving, asynchronous, fleet, invoker, catalogue, census)


def url_of(endpoint: str, function: Function) -> str | None:
    """Where a function's URL is, if it has one."""
    return f"{endpoint}/url/{function.name}/" if function.spec.url else None


async def _keep(settings: Settings, stack: AsyncExitStack) -> _Kept:
    events = await SqlEventQueue.open(settings.postgres or settings.data_dir / "events.sqlite")
    stack.push_async_callback(events.close)
    logs = FunctionLogs(settings.data_dir / "logs")
    stack.callback(logs.flush)
    return _Kept(events, logs)


def _invoker(settings: Settings, backing: Backing, admission: Admission, logs: FunctionLogs, endpoint: str) -> Invoker:
    clock, scaling = SystemClock(), settings.scaling
    limits = SchedulingLimits(
        environments_max=scaling.environments_max,
        idle_seconds_max=scaling.idle_seconds,
        patience_seconds=scaling.patience_seconds,
        starting_max=scaling.starting_max,
    )
    return Invoker(
        Scheduler(limits, admission, count(1)),
        Routing(random.random),
        now=asyncio.get_running_loop().time,
        clock=clock,
        write_log=logs.write,
        specialize=lambda environment, sized: specialization(
            environment, sized=sized, platform=Surroundings(settings.server.region, endpoint)
        ),
        new_log_stream=lambda version: log_stream_name(clock.time(), version, os.urandom(16)),
        gateway_of=backing.gateway_of,
        forward=backing.forward,
    )


def _fleet(settings: Settings, backing: Backing, invoker: Invoker, census: Census, stack: AsyncExitStack) -> Fleet:
    fleet = Fleet(
        backing.provider,
        new_agent_id=backing.new_agent_id,
        pool_size=backing.pool_size,
        spawning_max=settings.scaling.starting_max,
        open_package=backing.packages.file,
        census=census,
        found=invoker.found,
    )
    invoker.attach(fleet)
    if not backing.agents_outlive:
        stack.push_async_callback(fleet.close, AGENTS_END_SECONDS_MAX)  # in order; the provider kills what is left
    return fleet


def _load(documents: DocumentStore, catalogue: Catalogue) -> None:
    """Shows the catalogue what there is, and every change from now on."""
    documents.subscribe(catalogue.changed)
    for kind in (Function, FunctionVersion, FunctionAlias):
        for document in documents.list(kind):
            catalogue.changed(None, document)


def _asynchronous(
    settings: Settings,
    owner: str,
    documents: DocumentStore,
    events: SqlEventQueue,
    invoker: Invoker,
    runner: Runner,
    admission: Admission,
    stack: AsyncExitStack,
) -> AsyncInvocations:
    def policy(name: str, qualifier: str | None) -> RetryPolicy | None:
        config = invoker.routing.event_invoke_config(name, qualifier)
        if config is None:
            return None
        return RetryPolicy(
            config.maximum_retry_attempts, config.maximum_event_age_in_seconds, admission.reserved.get(name)
        )

    limits = settings.asynchronous
    asynchronous = AsyncInvocations(
        events,
        run=runner.run,
        functions=EventFunctions(
            policy=policy,
            reserved=lambda: admission.reserved,
            dropped=lambda name, condition: invoker.dropped(name, condition),
            unreadable=documents.unreadable,
        ),
        clock=SystemClock(),
        chance=random.random,
        owner=owner,
        limits=AsyncLimits(limits.concurrency_max, limits.concurrency_per_function_max),
    )
    asynchronous.start()
    stack.push_async_callback(asynchronous.stop)
    return asynchronous
