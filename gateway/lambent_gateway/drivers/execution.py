"""
An invocation under way, and the execution environment it runs on: what both know, and which frame means what.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from math import inf
from typing import Protocol

import msgspec

from lambent_core.census import AgentEntry
from lambent_core.invocation import Invocation
from lambent_core.link import Frame, FrameType, Report, decode_error, decode_report
from lambent_core.log_lines import LogTail
from lambent_core.placement import EnvironmentId, InvocationId
from lambent_gateway.drivers.orphans import Orphan
from lambent_gateway.drivers.runner import Done
from lambent_gateway.environments.agents import Agent
from lambent_gateway.environments.link_bodies import Initialized, Specialization
from lambent_gateway.routes import Route
from lambent_gateway.sinks import Sink

OVERDUE_SECONDS = 5.0
"""A connection that has not reported this long after the time-out is cut."""
LINE_BYTES_MAX = 262_144
"""An event of a log may have so many bytes (CloudWatch Logs quotas, "Event size")."""


class Pending(msgspec.Struct):
    """An accepted invocation, until it is answered."""

    id: InvocationId
    invocation: Invocation
    route: Route
    done: Done
    sink: Sink | None
    accepted_at: float
    began: float = 0.0
    """Unix time at which it was sent to an environment."""
    payload: bytes = b""
    error_type: str = ""
    function_error: bool = False
    log_begun: bool = False
    """Its first lines are in the log already; else all of them are written when it ends."""
    tail: LogTail | None = None


class Told(Protocol):
    """Who is told what happens in an environment: the invoker."""

    def per_pod(self, environment: ExecutionEnvironment) -> int:
        """Environments of its function in one pod, at most."""

    def claimed(self, environment: ExecutionEnvironment, agent: Agent) -> Specialization: ...
    def initialized(self, environment: ExecutionEnvironment, outcome: Initialized) -> None: ...
    def logged(self, environment: ExecutionEnvironment, text: bytes) -> None: ...
    def reported(self, environment: ExecutionEnvironment, report: Report) -> None: ...
    def leaving(self, environment: ExecutionEnvironment) -> None: ...
    def lost(self, environment: ExecutionEnvironment, reason: str) -> None: ...


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
    unknown: str | None = None
    """Request id of what it ran when it came from a gateway that was lost."""
    orphan: Orphan | None = None
    """The same, once somebody waits for it here."""
    redirected: str | None = None
    """The gateway that it goes to instead of being shut down."""
    counted: bool = True
    """The scheduler knows it. False for one that outlived the last gateway and is not free yet."""
    init_ns: int = 0
    """Until the first REPORT has told it."""
    init_error: str | None = None
    """Why its last initialisation failed; None once an invocation has succeeded."""
    unfinished_line: bytes = b""
    """Output since the last newline: a chunk of output ends anywhere, an event of the log at a line's end."""

    @property
    def overdue_at(self) -> float:
        """Unix time at which whatever it runs should have been reported long ago: the agent enforces the time-out."""
        if self.running is None:
            return inf
        return self.running.began + self.running.route.timeout_ms / 1000 + OVERDUE_SECONDS

    @property
    def revision(self) -> str:
        return self.route.revision

    @property
    def memory_mb(self) -> int:
        return self.route.memory_mb

    @property
    def environments_per_pod(self) -> int:
        return self.told.per_pod(self)

    def entry(self, pod: str, pool: str) -> AgentEntry:
        metadata = self.route.function.metadata
        return AgentEntry(
            pod,
            pool,
            "claimed",
            metadata.name,
            metadata.uid,
            self.route.revision,
            self.route.memory_mb,
            self.init_error,
        )

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

    def answered(self, payload: bytes, report: Report) -> None:
        """A response and its report, which came together."""
        if (answered := self.running or self.orphan) is not None:
            answered.payload = payload
        self.told.reported(self, report)

    def frame_received(self, frame: Frame) -> None:
        running, type = self.running, frame.type
        answered = running or self.orphan
        if type == FrameType.REPORT:
            self.told.reported(self, decode_report(frame.body))
        elif type == FrameType.LOG:
            self.told.logged(self, frame.body)
        elif answered is None:
            return  # answers a gateway that is no more; the event, if it was one, comes again
        elif type == FrameType.RESPONSE:
            answered.payload = frame.body
        elif type == FrameType.ERROR:
            answered.error_type, answered.payload = decode_error(frame.body)
            answered.function_error = True
        elif running is not None and running.sink is not None and self.agent is not None:
            self._streamed(frame, running, running.sink, self.agent)

    def leaving(self) -> None:
        self.told.leaving(self)

    def lost(self, reason: str = "") -> None:
        self.agent = None
        if self.orphan is not None:
            self.orphan.lost()
        self.told.lost(self, reason)

    def _streamed(self, frame: Frame, running: Pending, sink: Sink, agent: Agent) -> None:
        if frame.type == FrameType.STREAM_CHUNK:
            sink.chunk(frame.body, agent)
        elif frame.type == FrameType.STREAM_START:
            sink.start(frame.body.decode(), running.route.version)
        elif frame.type == FrameType.STREAM_END and frame.body:
            running.error_type, running.payload = decode_error(frame.body)
            running.function_error = True
