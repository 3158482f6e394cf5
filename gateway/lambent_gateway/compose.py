"""
The composition root: makes every part, joins them, serves, and takes them apart again in order.

Nothing else in the gateway makes randomness, asks the time or knows which implementation stands behind a protocol.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

import structlog
import uvicorn
import uvloop
from prometheus_client import CollectorRegistry

from lambent_core.admission import Admission
from lambent_core.environment_variables import Surroundings
from lambent_core.function import Function
from lambent_core.log_lines import log_stream_name
from lambent_core.operations import OperationTable
from lambent_core.retry import RetryPolicy
from lambent_core.runtime_pool import AgentId
from lambent_core.scheduling import Scheduler, SchedulingLimits
from lambent_core.versions import FunctionAlias, FunctionVersion
from lambent_gateway import identifiers, logging
from lambent_gateway.api.app import build_app
from lambent_gateway.api.asgi import Application
from lambent_gateway.api.calls import Functions, Parts
from lambent_gateway.api.front import front
from lambent_gateway.api.function_urls import FunctionUrls, ServedUrl
from lambent_gateway.api.invoke import InvokeApi
from lambent_gateway.api.operating import Operating, router
from lambent_gateway.api.qualified import Qualified
from lambent_gateway.api.service_model import load_service_model
from lambent_gateway.clock import SystemClock
from lambent_gateway.drivers.async_invocations import AsyncInvocations, AsyncLimits
from lambent_gateway.drivers.async_invocations import Functions as EventFunctions
from lambent_gateway.drivers.catalogue import Catalogue
from lambent_gateway.drivers.deployment import Deployments
from lambent_gateway.drivers.fleet import Fleet
from lambent_gateway.drivers.invoker import Invoker
from lambent_gateway.drivers.specialization import specialization
from lambent_gateway.environments.agents import Agent
from lambent_gateway.environments.process_provider import ProcessProvider
from lambent_gateway.environments.runtimes import Runtimes
from lambent_gateway.environments.sandbox import Sandbox, probe
from lambent_gateway.holdings import LINK_SOCKET, data_directory, link_socket, listening
from lambent_gateway.http import protocol_factory
from lambent_gateway.routing import Routing
from lambent_gateway.runtime_images import agent_binary, images_folder
from lambent_gateway.settings import Settings
from lambent_gateway.stores.blobs import DirectoryPackages
from lambent_gateway.stores.documents import SqliteDocuments
from lambent_gateway.stores.events import SqlEventQueue
from lambent_gateway.stores.logs import FunctionLogs
from lambent_gateway.telemetry import Gauges, MetricsCollector

log = structlog.get_logger(__name__)

AGENTS_END_SECONDS_MAX = 3.0
"""Agents get two seconds for their shutdown phase; what is left after three is killed."""
RECONNECT_SECONDS = 65.0
"""Agents of an earlier gateway look for the next one for a minute; after that their folders are swept."""


@dataclass(frozen=True, slots=True)
class Started:
    """What whoever started the platform may tell its user."""

    endpoint: str
    data_dir: Path
    sandbox: Sandbox


Ready = Callable[[Started], None]


def up(settings: Settings, ready: Ready = lambda started: None) -> None:
    """Serves until SIGINT or SIGTERM. Raises `CannotStart`."""
    logging.configure(settings.log_level)
    server = settings.server
    with data_directory(settings.data_dir), listening(server.host, server.port) as listener:
        uvloop.run(_serve(settings, listener, ready))


async def _serve(settings: Settings, listener: socket.socket, ready: Ready) -> None:
    async with AsyncExitStack() as stack:
        platform = await _open(settings, "http://{}:{}".format(*listener.getsockname()[:2]), stack)
        config = uvicorn.Config(
            platform.application,
            http=protocol_factory(platform.invoke_api),  # type: ignore[arg-type]
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=int(settings.server.drain_seconds),
        )
        server = _Server(config, lambda: ready(Started(platform.endpoint, settings.data_dir, platform.sandbox)))
        platform.serving.server = server
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, server.handle_exit, number, None)
        await server.serve([listener])


class _Server(uvicorn.Server):
    """Says when it serves, and leaves signals to us: uvicorn raises them again when it is done, before our parts are taken apart."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What is there by now stays: the collector need not look at it again and again while invocations come and go.
        gc.collect()
        gc.freeze()
        self._ready()

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()


@dataclass(slots=True)
class _Serving:
    """What /readyz reads."""

    server: uvicorn.Server | None = None

    def reason_not_ready(self) -> str | None:
        if self.server is None or not self.server.started:
            return "starting"
        return "shutting down" if self.server.should_exit else None


@dataclass(frozen=True, slots=True)
class Platform:
    """The parts that serving needs."""

    endpoint: str
    sandbox: Sandbox
    application: Application
    invoke_api: InvokeApi
    serving: _Serving


async def _open(settings: Settings, endpoint: str, stack: AsyncExitStack) -> Platform:
    """Makes every part. What must be taken apart goes on `stack`, in the order in which it is made."""
    clock, serving, new_request_id = SystemClock(), _Serving(), identifiers.RequestIds()
    account, region = settings.server.account, settings.server.region
    sandbox = probe()
    runtimes = Runtimes(images_folder(), settings.data_dir, mounted=sandbox.mount_namespace != "none")
    documents = SqliteDocuments(settings.data_dir / "documents.sqlite")
    stack.push_async_callback(documents.close)
    packages = DirectoryPackages(settings.data_dir / "packages")
    events = await SqlEventQueue.open(settings.data_dir / "events.sqlite")
    stack.push_async_callback(events.close)
    logs = FunctionLogs(settings.data_dir / "logs")
    stack.callback(logs.flush)
    metrics = MetricsCollector()

    admission = Admission(settings.scaling.account_concurrency)
    invoker = Invoker(
        Scheduler(_scheduling_limits(settings), admission, count(1)),
        Routing(random.random),
        clock=clock,
        write_log=logs.write,
        specialize=lambda environment, sized: specialization(
            environment, sized=sized, platform=Surroundings(region, endpoint)
        ),
        new_log_stream=lambda version: log_stream_name(clock.time(), version, os.urandom(16)),
    )
    fleet, provider = _fleet(settings, sandbox, runtimes, invoker, packages.read, stack)
    catalogue = Catalogue(
        invoker,
        admission=admission,
        runtimes=runtimes,
        metrics=metrics,
        logs=logs,
        region=region,
        account=account,
    )
    functions, qualified = Functions(documents), Qualified(documents)
    await _load(documents, functions, qualified, catalogue)
    await _listen_for_agents(settings.data_dir, fleet, provider, stack)
    deployments = Deployments(documents, packages, new_request_id)
    deployments.start()
    stack.push_async_callback(deployments.stop)
    asynchronous = _asynchronous(settings, events, invoker, admission, stack)
    metrics.gauges = Gauges(
        environments=invoker.states,
        pool=fleet.states,
        queue_depth=events.depth,
        queue_age_seconds=lambda: max(0.0, clock.time() - (events.oldest_accepted_at() or clock.time())),
    )
    registry = CollectorRegistry()
    registry.register(metrics)
    for runtime in {route.runtime.pool for route in invoker.routing.by_key.values()} or {runtimes.default_pool}:
        fleet.prepare(runtime)

    model = load_service_model()
    parts = Parts(
        model=model,
        table=OperationTable(model),
        functions=functions,
        qualified=qualified,
        packages=packages,
        clock=clock,
        ids=new_request_id,
        settled=deployments.settled,
        account=account,
        region=region,
        account_concurrency=settings.scaling.account_concurrency,
    )
    operating = Operating(registry, logs, serving.reason_not_ready, lambda name: functions.get(name) is not None)
    invoke_api = InvokeApi(invoker, asynchronous.accept, new_request_id, account=account, region=region)
    urls = FunctionUrls(
        find_by_url=partial(_find_by_url, functions, qualified),
        invoker=invoker,
        clock=clock,
        new_request_id=new_request_id,
    )
    application = front(invoke_api, urls, build_app(parts, router(operating)))
    return Platform(endpoint, sandbox, application, invoke_api, serving)


async def _load(documents: SqliteDocuments, functions: Functions, qualified: Qualified, catalogue: Catalogue) -> None:
    """Shows the catalogue what there is, and every change from now on."""
    for uid in qualified.owners() - {function.metadata.uid for function in functions.all()}:
        await qualified.remove_all(uid)  # a crash came between the function's end and theirs
    documents.subscribe(catalogue.changed)
    for kind in (Function, FunctionVersion, FunctionAlias):
        for document in documents.list(kind):
            catalogue.changed(None, document)


def _asynchronous(
    settings: Settings, events: SqlEventQueue, invoker: Invoker, admission: Admission, stack: AsyncExitStack
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
        run=invoker.run,
        functions=EventFunctions(
            policy=policy,
            reserved=lambda: admission.reserved,
            dropped=lambda name, condition: invoker.dropped(name, condition),
        ),
        clock=SystemClock(),
        chance=random.random,
        owner="local",
        limits=AsyncLimits(limits.concurrency_max, limits.concurrency_per_function_max),
    )
    asynchronous.start()
    stack.push_async_callback(asynchronous.stop, settings.server.drain_seconds)
    return asynchronous


def _fleet(
    settings: Settings,
    sandbox: Sandbox,
    runtimes: Runtimes,
    invoker: Invoker,
    read_package: Callable[[str], Awaitable[bytes]],
    stack: AsyncExitStack,
) -> tuple[Fleet, ProcessProvider]:
    provider = ProcessProvider(
        settings.data_dir,
        agent_binary=settings.agent or agent_binary(),
        runtimes=runtimes,
        sandbox=sandbox,
        gateway_address=f"unix:{settings.data_dir.resolve() / LINK_SOCKET}",
        new_secret=identifiers.new_secret,
    )
    stack.callback(provider.close)
    fleet = Fleet(
        provider,
        agent_ids=iter(lambda: AgentId(identifiers.new_agent_id()), None),
        pool_size=settings.scaling.pool_size,
        spawning_max=settings.scaling.starting_max,
        read_package=read_package,
        found=invoker.found,
    )
    invoker.attach(fleet)
    stack.push_async_callback(fleet.close, AGENTS_END_SECONDS_MAX)  # in order; the provider kills what is left
    return fleet, provider


async def _listen_for_agents(data_dir: Path, fleet: Fleet, provider: ProcessProvider, stack: AsyncExitStack) -> None:
    """Only once all functions are known: an agent that has outlived a gateway is sent away if its function is not."""
    loop = asyncio.get_running_loop()
    link = await loop.create_unix_server(lambda: Agent(fleet), sock=link_socket(data_dir))
    stack.callback(link.close)
    sweep = loop.call_later(RECONNECT_SECONDS, lambda: provider.sweep(fleet.connected()))
    stack.callback(sweep.cancel)


def _scheduling_limits(settings: Settings) -> SchedulingLimits:
    scaling = settings.scaling
    return SchedulingLimits(
        environments_max=scaling.environments_max,
        idle_seconds_max=scaling.idle_seconds,
        patience_seconds=scaling.patience_seconds,
        starting_max=scaling.starting_max,
    )


def _find_by_url(functions: Functions, qualified: Qualified, address: str) -> ServedUrl | None:
    name, _, alias_name = address.partition(":")
    function = functions.get(name)
    if function is not None and alias_name:
        alias = qualified.alias(function, alias_name)
        return _alias_url(alias) if alias else None
    if function is not None:
        return _function_url(function)
    for each in functions.all():
        if each.status.url_id == address:
            return _function_url(each)
        for alias in qualified.aliases(each):
            if alias.url_id == address:
                return _alias_url(alias)
    return None


def _function_url(function: Function) -> ServedUrl | None:
    url = function.spec.url
    return None if url is None else ServedUrl(url, function.status.url_id or function.name, function.name)


def _alias_url(alias: FunctionAlias) -> ServedUrl | None:
    return None if alias.url is None else ServedUrl(alias.url, alias.url_id or "", alias.function_name, alias.name)
