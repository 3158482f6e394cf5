"""
Writes what environments say, and the platform's lines around it, to their functions' logs.

An invocation of which nothing was said is written whole, when it ends.
"""

from __future__ import annotations

from lambent_core.link import Report, ReportStatus
from lambent_gateway.clock import Clock
from lambent_gateway.drivers.execution import ExecutionEnvironment, Pending
from lambent_gateway.environments.link_bodies import Initialized
from lambent_gateway.stores.logs import LogWriter


class InvocationLogs:
    def __init__(self, write: LogWriter, clock: Clock) -> None:
        self._write = write
        self._clock = clock

    def initialized(self, environment: ExecutionEnvironment, outcome: Initialized) -> None:
        route, now = environment.route, self._clock.time()
        text = route.system_log.init_start(now)
        if outcome.status != "success":
            text += route.system_log.init_report(now, outcome.status, outcome.init_ns, "init", outcome.error_type or "")
        if text:
            self._write(route.name, int(now * 1000), environment.log_stream, None, text)

    def said(self, environment: ExecutionEnvironment, text: bytes) -> None:
        """Output of whatever runs in the environment."""
        running, at_ms = environment.running, int(self._clock.time() * 1000)
        lines = environment.whole_lines(text)
        if running is not None:
            self._add(environment, running, at_ms, _head(running) + lines)
        elif lines:
            self._write(environment.route.name, at_ms, environment.log_stream, None, lines)

    def ended(self, environment: ExecutionEnvironment, running: Pending, report: Report, init_ns: int) -> None:
        now, lines, request_id = self._clock.time(), running.route.system_log, running.invocation.request_id
        if running.log_begun or environment.unfinished_line or report.status is ReportStatus.TIMEOUT:
            text = _head(running) + environment.last_line()
            if report.status is ReportStatus.TIMEOUT:
                text += lines.timed_out(now, request_id, running.route.timeout_ms / 1000)
            text += lines.end(now, request_id, report) + lines.report(now, request_id, report, init_ns)
        else:
            text = lines.whole(running.began, now, request_id, report, init_ns)
        self._add(environment, running, int(now * 1000), text)

    def _add(self, environment: ExecutionEnvironment, running: Pending, at_ms: int, text: bytes) -> None:
        """Writes whole lines of an invocation's log."""
        if running.tail is not None:
            running.tail.add(text)
        if text:
            self._write(running.route.name, at_ms, environment.log_stream, running.invocation.request_id, text)


def _head(running: Pending) -> bytes:
    """What the log of an invocation begins with; nothing once it has begun."""
    if running.log_begun:
        return b""
    running.log_begun = True
    return running.route.system_log.start(running.began, running.invocation.request_id)
