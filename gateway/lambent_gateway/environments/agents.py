"""
The gateway's end of the env link: agents dial in, say HELLO, and become `Agent` objects.

Reads frames and hands them to whoever owns the agent; decides nothing about invocations.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

import msgspec
import structlog

from lambent_core.link import Frame, FrameReader, FrameType, ProtocolError, Report, encode
from lambent_core.runtime_pool import AgentId
from lambent_gateway.environments.link_bodies import Hello, NotOpened
from lambent_gateway.paced import Paced

log = structlog.get_logger(__name__)

HELLO_SECONDS_MAX = 10.0
"""A connection that has not said HELLO by then is closed. How long it then takes to be decided is the listener's affair."""
STRANGER_BYTES_MAX = 64 * 1024
"""What is taken of a connection before its WELCOME: a HELLO is of a few kilobytes, even of a pod that has opened many agents."""
PING_SECONDS = 20.0
SILENCE_SECONDS_MAX = 30.0
"""An agent that is silent for so long after a PING is taken for dead."""


Decided = Callable[[str | None], bool]
"""
Called with the secret to hand out, which may be empty, or with None where the agent is not let in.

False: its connection is gone, and it was told nothing.
"""


class Owner(Protocol):
    """Who an agent's frames are for, once it is claimed."""

    def answered(self, payload: bytes, report: Report) -> None:
        """A RESPONSE and its REPORT, which came together: most of what is received."""

    def frame_received(self, frame: Frame) -> None: ...
    def agent_leaving(self) -> None: ...
    def agent_lost(self) -> None: ...


class Listener(Protocol):
    def admit(self, hello: Hello, decided: Decided) -> asyncio.Task[None] | None:
        """
        Whether an agent is who it says; `decided` is called once, now or by the task that is returned, which is the connection's to cancel.

        A task that ends without it has the connection closed, and the agent dials again.
        """

    def agent_connected(self, agent: Agent) -> None: ...
    def agent_leaving(self, agent: Agent) -> None:
        """The agent was asked by somebody else to end, and ends when it is told SHUTDOWN."""

    def not_opened(self, agent: Agent, failure: NotOpened) -> None:
        """The agent could not open another beside itself, or that one ended before it was welcomed."""

    def agent_gone(self, agent: Agent) -> None: ...


class Agent(Paced):
    """One connection. `owner` is set when the agent is claimed; until then its frames are ignored."""

    __slots__ = (
        "_admission",
        "_closing_reason",
        "_greeted",
        "_heard_at",
        "_hello_timer",
        "_listener",
        "_ping_timer",
        "_reader",
        "_stranger_bytes",
        "hello",
        "id",
        "owner",
        "transport",
        "write",
    )

    def __init__(self, listener: Listener) -> None:
        super().__init__()
        self._listener = listener
        self._reader = FrameReader()
        self.hello: Hello | None = None
        self.id = AgentId("")
        self.owner: Owner | None = None
        self._closing_reason = ""
        self._greeted = False
        self._admission: asyncio.Task[None] | None = None
        self._stranger_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        loop = asyncio.get_running_loop()
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by class
        self.write: Callable[[bytes], None] = self.transport.write
        self._heard_at = loop.time()
        self._hello_timer = loop.call_later(HELLO_SECONDS_MAX, self.close, "no HELLO that was good")
        self._ping_timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        try:
            if (owner := self.owner) is not None and (answer := self._reader.answer(data)) is not None:
                owner.answered(*answer)
                return
            if self.hello is None:
                self._stranger_bytes += len(data)
                if self._stranger_bytes > STRANGER_BYTES_MAX:
                    raise ProtocolError(f"more than {STRANGER_BYTES_MAX} bytes before WELCOME")
            for frame in self._reader.feed(data):
                owner = self.owner
                if owner is not None and frame.type < FrameType.SHUTDOWN:
                    owner.frame_received(frame)
                else:
                    self._control_frame(frame)
        except (ProtocolError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            self.close(str(error))

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._hello_timer.cancel()
        if self._ping_timer is not None:
            self._ping_timer.cancel()
        if self._admission is not None:
            self._admission.cancel()
        if self.hello is None:
            return
        log.debug("agent gone", agent=self.id, reason=self._closing_reason or str(exc or "closed by the agent"))
        self._listener.agent_gone(self)
        if self.owner is not None:
            self.owner.agent_lost()

    def send(self, type: FrameType, body: object = None, *, flags: int = 0) -> None:
        """A control frame with a JSON body."""
        self.write(encode(type, b"" if body is None else msgspec.json.encode(body), flags=flags))

    def close(self, reason: str) -> None:
        self._closing_reason = reason
        self.transport.close()

    def cut(self, reason: str) -> None:
        """Closes without waiting until all is sent: nobody may be there to take it."""
        self._closing_reason = reason
        self.transport.abort()

    def _control_frame(self, frame: Frame) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        if frame.type == FrameType.PING:
            self.send(FrameType.PONG)
        elif frame.type == FrameType.HELLO:
            self._greet(msgspec.json.decode(frame.body, type=Hello))
        elif self.hello is None and frame.type != FrameType.PONG:
            raise ProtocolError("a frame before WELCOME")
        elif frame.type == FrameType.SHUTDOWN:
            self._listener.agent_leaving(self)
        elif frame.type == FrameType.OPEN:
            self._listener.not_opened(self, msgspec.json.decode(frame.body, type=NotOpened))

    def _greet(self, hello: Hello) -> None:
        if self._greeted:
            raise ProtocolError("a second HELLO")
        self._greeted = True
        self._hello_timer.cancel()
        self._ping_timer = asyncio.get_running_loop().call_later(PING_SECONDS, self._ping)
        self._admission = self._listener.admit(hello, lambda secret: self._welcome(hello, secret))
        if self._admission is not None:
            self._admission.add_done_callback(lambda _: self._undecided())

    def _undecided(self) -> None:
        if self.hello is None:
            self.close("it could not be decided")

    def _welcome(self, hello: Hello, secret: str | None) -> bool:
        if self.transport.is_closing():
            return False
        if secret is None:
            log.warning("agent refused", agent=hello.environment)
            self.send(FrameType.SHUTDOWN, {"reason": "failure"})
            self.close("unknown environment or wrong proof")
            return True
        self.hello = hello
        self.id = AgentId(hello.environment)
        self.send(FrameType.WELCOME, {"secret": secret})
        self._listener.agent_connected(self)
        return True

    def _ping(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() - self._heard_at > PING_SECONDS + SILENCE_SECONDS_MAX:
            self.cut("silent")
            return
        self.send(FrameType.PING)
        self._ping_timer = loop.call_later(PING_SECONDS, self._ping)
