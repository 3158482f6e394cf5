"""
An invocation under way, and the execution environment it runs on: what both know, and which frame means what.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Protocol

from lambent_core.errors import LambdaError
from lambent_core.invocation import Invocation, Outcome
from lambent_core.link import Frame, FrameType, Report, decode_error, decode_report
from lambent_core.log_lines import LogTail
from lambent_core.placement import EnvironmentId, InvocationId
from lambent_gateway.drivers.fleet import Initialized, Specialization
from lambent_gateway.environments.agents import Agent
from lambent_gateway.routes import Route

LINE_BYTES_MAX = 262_144
"""An event of a log may have so many bytes (CloudWatch Logs quotas, "Event size")."""

Done = Callable[[Outcome | LambdaError], None]


class Sink(Protocol):
    """Where a streamed response goes."""

    def start(self, content_type: str, version: str) -> None: ...
    def chunk(self, data: bytes, agent: Agent) -> None:
        """A receiver that can't follow pauses the agent's transport, and resumes it."""


@dataclass(slots=True)
class Pending:
    """An accepted invocation, until it is answered."""

    id: InvocationId
    invocation: Invocation
    route: Route
    done: Done
    sink: Sink | None
    accepted_at: float
    payload: bytes = b""
    error_type: str = ""
    function_error: bool = False
    log: list[bytes] = field(default_factory=list)
    """Whole lines that are not written to the log yet."""
    tail: LogTail | None = None


class Told(Protocol):
    """Who is told what happens in an environment: the invoker."""

    def claimed(self, environment: ExecutionEnvironment, agent: Agent) -> Specialization: ...
    def initialized(self, environment: ExecutionEnvironment, outcome: Initialized) -> None: ...
    def logged(self, environment: ExecutionEnvironment, text: bytes) -> None: ...
    def reported(self, environment: ExecutionEnvironment, report: Report) -> None: ...
    def lost(self, environment: ExecutionEnvironment) -> None: ...


@dataclass(slots=True)
class ExecutionEnvironment:
    """One environment of one function version, from being asked for to being gone."""

    id: EnvironmentId
    told: Told
    route: Route
    log_stream: str
    asked_at: float
    agent: Agent | None = None
    running: Pending | None = None
    counted: bool = True
    """The scheduler knows it. False for one that outlived the last gateway and is not free yet."""
    init_ns: int = 0
    """Until the first REPORT has told it."""
    overdue_at: float = inf
    unfinished_line: bytes = b""
    """Output since the last newline: a chunk of output ends anywhere, an event of the log at a line's end."""

    def claimed(self, agent: Agent) -> Specialization:
        self.agent = agent
        self.route.metrics.cold_start("agent", asyncio.get_running_loop().time() - self.asked_at)
        return self.told.claimed(self, agent)

    def whole_lines(self, text: bytes) -> bytes:
        """What of the output is whole lines by now; a line longer than `LINE_BYTES_MAX` is cut."""
        text = self.unfinished_line + text
        end = text.rfind(b"\n") + 1 or (len(text) if len(text) > LINE_BYTES_MAX else 0)
        self.unfinished_line = text[end:]
        return text[:end]

    def last_line(self) -> bytes:
        """What is left at the end of an invocation, as a line."""
        text, self.unfinished_line = self.unfinished_line, b""
        return text + b"\n" if text else b""

    def initialized(self, outcome: Initialized) -> None:
        self.init_ns = outcome.init_ns
        for phase, ns in outcome.phases.items():
            self.route.metrics.cold_start(phase.removesuffix("Ns"), ns / 1e9)
        self.told.initialized(self, outcome)

    def frame_received(self, frame: Frame) -> None:
        running, type = self.running, frame.type
        if type == FrameType.REPORT:
            self.told.reported(self, decode_report(frame.body))
        elif type == FrameType.LOG:
            self.told.logged(self, frame.body)
        elif running is None:
            return  # answers a gateway that is no more; the event, if it was one, comes again
        elif type == FrameType.RESPONSE:
            running.payload = frame.body
        elif type == FrameType.ERROR:
            running.error_type, running.payload = decode_error(frame.body)
            running.function_error = True
        elif running.sink is not None and self.agent is not None:
            self._streamed(frame, running, running.sink, self.agent)

    def lost(self) -> None:
        self.agent = None
        self.told.lost(self)

    def _streamed(self, frame: Frame, running: Pending, sink: Sink, agent: Agent) -> None:
        if frame.type == FrameType.STREAM_CHUNK:
            sink.chunk(frame.body, agent)
        elif frame.type == FrameType.STREAM_START:
            sink.start(frame.body.decode(), running.route.version)
        elif frame.type == FrameType.STREAM_END and frame.body:
            running.error_type, running.payload = decode_error(frame.body)
            running.function_error = True
