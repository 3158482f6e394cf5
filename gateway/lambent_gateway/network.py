"""
The network of gateways as one of them sees it: joins membership, ownership, the connections to the others and what moves with them.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import BinaryIO

import aiohttp
import structlog

from lambent_core.invocation import Invocation
from lambent_core.ownership import Ownership
from lambent_gateway.api.operating import FORWARDED
from lambent_gateway.cluster_settings import ClusterSettings
from lambent_gateway.drivers.dispatcher import Dispatcher, begin_handed
from lambent_gateway.drivers.fleet import Fleet
from lambent_gateway.drivers.invoker import Invoker
from lambent_gateway.drivers.orphans import Orphan
from lambent_gateway.drivers.runner import Done
from lambent_gateway.peers.client import Handed, PeerClient
from lambent_gateway.peers.clients import PeerClients
from lambent_gateway.peers.membership import Membership
from lambent_gateway.peers.server import Guests, Hear, PeerServer
from lambent_gateway.platform import Serving
from lambent_gateway.sinks import Sink
from lambent_kube.client import Kubernetes, Object

log = structlog.get_logger(__name__)

NONCE_BYTES = 32


@dataclass(frozen=True, slots=True)
class _Joined:
    invoker: Invoker
    dispatcher: Dispatcher
    moving: tuple[Fleet, Serving] | None = None


class Network:
    def __init__(
        self,
        settings: ClusterSettings,
        kubernetes: Kubernetes,
        *,
        key: bytes,
        open_package: Callable[[str], Awaitable[BinaryIO]],
    ) -> None:
        """`open_package` opens one of this gateway's own packages, for the others."""
        self._settings = settings
        self._key = key
        self._ownership = Ownership(settings.pod_name)
        self._peers = PeerClients(
            self._ownership, port=settings.peer_port, key=key, give_back=self._give_back, orphaned=self._resume
        )
        self._open_package = open_package
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
        self._joined = _Joined(invoker, Dispatcher(invoker, self._ownership, self._peers))
        return self._joined.dispatcher

    def join(self, fleet: Fleet, serving: Serving) -> None:
        """From now on agents move with the functions that they are for."""
        assert self._joined is not None
        self._joined = replace(self._joined, moving=(fleet, serving))
        self._move()

    def leave(self) -> None:
        """This gateway is told to end. The others may have been told before."""
        self._move()

    def accept(self, hear: Hear) -> PeerServer:
        """The end of a connection that another gateway has made; `hear` takes what that one writes."""
        return PeerServer(
            self._begin_for_another,
            self._open_package,
            hear,
            self._guests,
            key=self._key,
            nonce=os.urandom(NONCE_BYTES),
        )

    def others(self) -> list[PeerClient]:
        """Connections to the other gateways that are ready."""
        return self._peers.all()

    def with_packages(self) -> list[PeerClient]:
        """Also to those that end: what one of them was given last it alone may have, until it is gone."""
        return [*self._peers.all(), *self._peers.ending(self._membership.ending)]

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

    def forward(self, handed: Handed) -> None:
        """Begins at the gateway that owns its function what an invoker here has not begun."""
        assert self._joined is not None
        begin_handed(self._joined.dispatcher, handed)

    def share(self, pool_size: int) -> int:
        """This gateway's part of the pods that wait in a pool, also while it is not ready yet."""
        return math.ceil(pool_size / len({self._ownership.me, *self._ownership.addresses}))

    def logs_elsewhere(self, function: str, query: str) -> AsyncIterator[bytes] | None:
        owner = self._ownership.owner(function)
        if owner == self._ownership.me:
            return None
        host, port = self._ownership.addresses[owner], self._settings.gateway.server.port
        return _fetched(f"http://{_bracketed(host)}:{port}/lambent/v1/functions/{function}/logs?{query}")

    def _link(self, gateway: str) -> str:
        return f"tcp:{_bracketed(self._ownership.addresses[gateway])}:{self._settings.link_port}"

    def _members_changed(self, addresses: dict[str, str]) -> None:
        if self._peers.members_changed(addresses):
            self._move()

    def _move(self) -> None:
        if self._joined is None or self._joined.moving is None:
            return
        fleet = self._joined.moving[0]
        if self._left:
            fleet.redirect_free(self._link(min(self._ownership.addresses)))
        else:
            fleet.resize()
        self._joined.invoker.hand_over()

    @property
    def _left(self) -> bool:
        """Whether this gateway ends and others have what was its own. While there are none, it goes on until its end."""
        if self._joined is None or self._joined.moving is None:
            return False
        addresses, serving = self._ownership.addresses, self._joined.moving[1]
        return serving.phase == "shutting down" and bool(addresses) and self._ownership.me not in addresses

    def _begin_for_another(self, invocation: Invocation, done: Done, sink: Sink | None) -> None:
        """Here, whoever owns its function, so that it goes round in no circle; but one that ends and is ready no more begins nothing."""
        assert self._joined is not None
        runner = self._joined.dispatcher if self._left else self._joined.invoker
        runner.begin(invocation, done, sink)

    def _give_back(self, handed: Handed) -> None:
        """Its owner is out of reach, and does not know of it: better run here than not at all."""
        assert self._joined is not None
        begin_handed(self._joined.invoker, handed)

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
