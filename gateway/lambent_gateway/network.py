"""
The network of gateways as one of them sees it: joins membership, ownership, the connections to the others and what moves with them.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import aiohttp
import structlog

from lambent_core.ownership import Ownership
from lambent_gateway.api.operating import FORWARDED
from lambent_gateway.cluster_settings import ClusterSettings
from lambent_gateway.drivers.dispatcher import Dispatcher, run_here
from lambent_gateway.drivers.invoker import Invoker
from lambent_gateway.drivers.orphans import Orphan
from lambent_gateway.peers.client import Handed, PeerClient
from lambent_gateway.peers.clients import PeerClients
from lambent_gateway.peers.membership import Membership
from lambent_gateway.peers.server import Guests, Hear, PeerServer
from lambent_gateway.platform import Platform
from lambent_kube.client import Kubernetes, Object

log = structlog.get_logger(__name__)

NONCE_BYTES = 32


@dataclass(frozen=True, slots=True)
class _Joined:
    invoker: Invoker
    platform: Platform | None = None


class Network:
    def __init__(
        self,
        settings: ClusterSettings,
        kubernetes: Kubernetes,
        *,
        key: bytes,
        read_package: Callable[[str], Awaitable[bytes]],
    ) -> None:
        """`read_package` reads from this gateway's own packages, for the others."""
        self._settings = settings
        self._key = key
        self._ownership = Ownership(settings.pod_name)
        self._peers = PeerClients(
            self._ownership, port=settings.peer_port, key=key, give_back=self._give_back, orphaned=self._resume
        )
        self._read_package = read_package
        self._membership = Membership(
            kubernetes, settings.system_namespace, settings.link_service, self._members_changed
        )
        self._guests = Guests()
        self._joined: _Joined | None = None

    async def open(self) -> None:
        """From now on who is ready is known; so who owns what is, too."""
        await self._membership.open()

    async def close(self) -> None:
        await self._membership.close()

    def dispatch(self, invoker: Invoker) -> Dispatcher:
        self._joined = _Joined(invoker)
        return Dispatcher(invoker, self._ownership, self._peers)

    def join(self, platform: Platform) -> None:
        """From now on agents move with the functions that they are for."""
        self._joined = _Joined(platform.invoker, platform)
        self._move(platform)

    def accept(self, hear: Hear) -> PeerServer:
        """The end of a connection that another gateway has made; `hear` takes what that one writes."""
        assert self._joined is not None
        return PeerServer(
            self._joined.invoker.begin,
            self._read_package,
            hear,
            self._guests,
            key=self._key,
            nonce=os.urandom(NONCE_BYTES),
        )

    def others(self) -> list[PeerClient]:
        """Connections to the other gateways that are ready."""
        return self._peers.all()

    async def tell_others(self, kind: str, resource: Object, gone: bool) -> None:
        """Returns once every other gateway has seen what was written here, or can't be waited for (D3)."""
        await asyncio.gather(*(other.tell(kind, resource, gone=gone) for other in self.others()))

    async def others_served(self) -> None:
        """Returns once nothing runs here for other gateways."""
        await self._guests.gone()

    def gateway_of(self, function: str) -> str | None:
        """The address that agents of a function dial, where another gateway owns it."""
        owner = self._ownership.owner(function)
        return None if owner == self._ownership.me else self._link(owner)

    def share(self, pool_size: int) -> int:
        """This gateway's part of the pods that wait in a pool."""
        return math.ceil(pool_size / max(1, len(self._ownership.addresses)))

    def logs_elsewhere(self, function: str, query: str) -> AsyncIterator[bytes] | None:
        owner = self._ownership.owner(function)
        if owner == self._ownership.me:
            return None
        host, port = self._ownership.addresses[owner], self._settings.gateway.server.port
        return _fetched(f"http://{_bracketed(host)}:{port}/lambent/v1/functions/{function}/logs?{query}")

    def _link(self, gateway: str) -> str:
        return f"tcp:{_bracketed(self._ownership.addresses[gateway])}:{self._settings.link_port}"

    def _members_changed(self, addresses: dict[str, str]) -> None:
        if self._peers.members_changed(addresses) and self._joined is not None and self._joined.platform is not None:
            self._move(self._joined.platform)

    def _move(self, platform: Platform) -> None:
        platform.invoker.hand_over()
        platform.fleet.resize()
        others = sorted(self._ownership.addresses)
        if platform.serving.phase == "shutting down" and others:
            platform.fleet.redirect_free(self._link(others[0]))

    def _give_back(self, handed: Handed) -> None:
        assert self._joined is not None
        run_here(self._joined.invoker, handed)

    def _resume(self, handed: Handed) -> None:
        assert self._joined is not None
        orphan = Orphan(handed.invocation, handed.done)
        if handed.sink is None:
            self._joined.invoker.resume(orphan)
        else:
            orphan.lost()  # part of a streamed answer is with the lost gateway


async def _fetched(url: str) -> AsyncIterator[bytes]:
    timeout = aiohttp.ClientTimeout(total=None, connect=5)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        try:
            async with session.get(url, headers={FORWARDED: "1"}) as response:
                async for chunk in response.content.iter_any():
                    yield chunk
        except (TimeoutError, aiohttp.ClientError) as error:
            log.warning("a log could not be had from another gateway", url=url, error=str(error))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
