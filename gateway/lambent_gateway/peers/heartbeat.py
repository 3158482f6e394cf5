"""Tells a connection whose other end is gone without a word, as when its machine loses power, from one on which nothing is to be said."""

from __future__ import annotations

import asyncio

import structlog

from lambent_gateway.peers.messages import Alive, encode

log = structlog.get_logger(__name__)

ALIVE_SECONDS = 5.0
UNHEARD_MAX = 6
"""An end that lets so many of ours pass without a word is lost: after 30 s, as on the env link. They are counted, since who was stopped
itself for a minute has not listened for a minute."""


class Heartbeat:
    """Of one end of a connection. Each end has one, or, where the other knows no `Alive`, none does."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._unheard = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        if self._timer is None:
            self._beat()

    def heard(self) -> None:
        self._unheard = 0

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _beat(self) -> None:
        if self._unheard == UNHEARD_MAX:
            log.warning("a gateway is silent", peer=self._transport.get_extra_info("peername"))
            self._transport.abort()  # to close it would wait until all is sent
            return
        self._unheard += 1
        if not self._transport.is_closing():
            self._transport.write(encode(Alive()))
        self._timer = asyncio.get_running_loop().call_later(ALIVE_SECONDS, self._beat)
