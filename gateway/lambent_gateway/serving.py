"""
Serves a platform over HTTP until SIGINT or SIGTERM, then lets what runs end.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from types import FrameType

import uvicorn

from lambent_gateway.http import protocol_factory
from lambent_gateway.platform import Platform


async def _nothing() -> None:
    pass


async def serve(
    platform: Platform,
    listener: socket.socket,
    *,
    drain_seconds: float,
    linger_seconds: float = 0.0,
    ready: Callable[[], None] = lambda: None,
    told_to_end: Callable[[], None] = lambda: None,
    drained: Callable[[], Awaitable[None]] = _nothing,
) -> None:
    """
    `ready` is called once requests are answered, `told_to_end` as soon as it is told so.

    Told to end, it goes on serving for `linger_seconds`, not ready any more: until those who send it requests have been told too. Then what
    runs has `drain_seconds` to end: requests, attempts at asynchronous events, and whatever else `drained` waits for.
    """
    config = uvicorn.Config(
        platform.application,
        http=protocol_factory(platform.invoke_api),  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=int(drain_seconds),
    )
    server = _Server(config, platform, ready, told_to_end, drained, linger_seconds)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, server.handle_exit, number, None)
    await server.serve([listener])


class _Server(uvicorn.Server):
    """Says when it serves, and leaves signals to us: uvicorn raises them again when it is done, before our parts are taken apart."""

    def __init__(
        self,
        config: uvicorn.Config,
        platform: Platform,
        ready: Callable[[], None],
        told_to_end: Callable[[], None],
        drained: Callable[[], Awaitable[None]],
        linger_seconds: float,
    ) -> None:
        super().__init__(config)
        self._told_to_end = told_to_end
        self._drained = drained
        self._linger_seconds = linger_seconds
        self._serving = platform.serving
        self._asynchronous = platform.asynchronous
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What is there by now stays: the collector need not look at it again and again while invocations come and go.
        gc.collect()
        gc.freeze()
        self._serving.phase = "serving"
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await asyncio.gather(super().shutdown(sockets), self._drain())

    async def _drain(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                await asyncio.gather(self._asynchronous.drain(), self._drained())

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._serving.phase == "shutting down" or self._linger_seconds == 0:
            self._end(sig, frame)
        else:
            asyncio.get_running_loop().call_later(self._linger_seconds, self._end, sig, frame)
        self._serving.phase = "shutting down"
        self._told_to_end()

    def _end(self, sig: int, frame: FrameType | None) -> None:
        self._serving.ending = True
        super().handle_exit(sig, frame)

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()
