"""
The other gateways: a connection to each, made when it is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog

from lambent_core.ownership import Ownership
from lambent_gateway.peers.client import Handed, PeerClient

log = structlog.get_logger(__name__)


class PeerClients:
    """Owns the connections. `give_back` takes invocations that never reached their gateway, `orphaned` those whose gateway was lost."""

    def __init__(
        self,
        ownership: Ownership,
        *,
        port: int,
        key: bytes,
        give_back: Callable[[Handed], None],
        orphaned: Callable[[Handed], None],
    ) -> None:
        self._ownership = ownership
        self._port = port
        self._key = key
        self._give_back = give_back
        self._orphaned = orphaned
        self._clients: dict[str, PeerClient] = {}
        self._ending: dict[tuple[str, str], PeerClient] = {}
        """By name and address."""

    def members_changed(self, addresses: Mapping[str, str]) -> bool:
        """Whether they are others than before."""
        before = dict(self._ownership.addresses)
        if not self._ownership.change(addresses):
            return False
        log.info("gateways", ready=sorted(addresses))
        for name, client in list(self._clients.items()):
            if addresses.get(name) != before.get(name):
                client.close()
                del self._clients[name]
        return True

    def of(self, gateway: str) -> PeerClient:
        client = self._clients.get(gateway)
        if client is None:
            client = self._clients[gateway] = self._to(gateway, self._ownership.addresses[gateway])
        return client

    def all(self) -> list[PeerClient]:
        return [self.of(name) for name in sorted(self._ownership.addresses) if name != self._ownership.me]

    def ending(self, addresses: Mapping[str, str]) -> list[PeerClient]:
        """Of gateways that are members no more: connections of their own, for packages that they alone may have."""
        there = {(name, address) for name, address in addresses.items() if name != self._ownership.me}
        for gone in self._ending.keys() - there:
            self._ending.pop(gone).close()
        for name, address in sorted(there - self._ending.keys()):
            self._ending[name, address] = self._to(name, address)
        return [*self._ending.values()]

    def _to(self, gateway: str, address: str) -> PeerClient:
        return PeerClient(
            gateway,
            address,
            self._port,
            me=self._ownership.me,
            key=self._key,
            give_back=self._give_back,
            orphaned=self._orphaned,
        )
