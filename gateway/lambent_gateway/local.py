"""
The composition root of local mode: the whole platform in one process on one machine, environments as child processes.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import structlog
import uvloop

from lambent_core.runtime_pool import AgentId
from lambent_gateway import identifiers, logging
from lambent_gateway.drivers.belongings import remove_left_behind
from lambent_gateway.drivers.fleet import Fleet, PoolSize
from lambent_gateway.environments.agents import Agent
from lambent_gateway.environments.process_provider import ProcessProvider
from lambent_gateway.environments.runtimes import Runtimes
from lambent_gateway.environments.sandbox import Sandbox, probe
from lambent_gateway.holdings import LINK_SOCKET, data_directory, link_socket, listening
from lambent_gateway.platform import Backing, assemble
from lambent_gateway.runtime_images import agent_binary, images_folder
from lambent_gateway.serving import serve
from lambent_gateway.settings import Settings
from lambent_gateway.stores.blobs import DirectoryPackages
from lambent_gateway.stores.documents import SqliteDocuments

log = structlog.get_logger(__name__)

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
        uvloop.run(_run(settings, listener, ready))


async def _run(settings: Settings, listener: socket.socket, ready: Ready) -> None:
    endpoint = "http://{}:{}".format(*listener.getsockname()[:2])
    async with AsyncExitStack() as stack:
        sandbox = probe()
        runtimes = Runtimes(images_folder(), settings.data_dir, mounted=sandbox.mount_namespace != "none")
        documents = SqliteDocuments(settings.data_dir / "documents.sqlite")
        stack.push_async_callback(documents.close)
        await remove_left_behind(documents)
        provider = _provider(settings, runtimes, sandbox)
        stack.callback(provider.close)
        backing = Backing(
            name="local",
            documents=documents,
            packages=DirectoryPackages(settings.data_dir / "packages"),
            runtimes=runtimes,
            provider=provider,
            pool_size=lambda _: PoolSize(settings.scaling.pool_size, settings.scaling.pool_size),
            new_agent_id=lambda _: AgentId(identifiers.new_agent_id()),
            agents_outlive=False,
        )
        platform = await assemble(settings, backing, endpoint, stack)
        await _listen_for_agents(settings.data_dir, platform.fleet, provider, stack)
        started = Started(endpoint, settings.data_dir, sandbox)
        await serve(platform, listener, drain_seconds=settings.server.drain_seconds, ready=lambda: ready(started))


def _provider(settings: Settings, runtimes: Runtimes, sandbox: Sandbox) -> ProcessProvider:
    return ProcessProvider(
        settings.data_dir,
        agent_binary=settings.agent or agent_binary(),
        runtimes=runtimes,
        sandbox=sandbox,
        gateway_address=f"unix:{settings.data_dir.resolve() / LINK_SOCKET}",
        new_secret=identifiers.new_secret,
    )


async def _listen_for_agents(data_dir: Path, fleet: Fleet, provider: ProcessProvider, stack: AsyncExitStack) -> None:
    """Only once all functions are known: an agent that has outlived a gateway is sent away if its function is not."""
    loop = asyncio.get_running_loop()
    link = await loop.create_unix_server(lambda: Agent(fleet), sock=link_socket(data_dir))
    stack.callback(link.close)
    sweep = loop.call_later(RECONNECT_SECONDS, lambda: provider.sweep(fleet.connected()))
    stack.callback(sweep.cancel)
