"""
The lines that Lambda itself writes into a function's log, as text and as JSON, and the tail of a log.

Behaviour: AWS documentation, "Configuring JSON and plain text log formats" (with its table of levels by event),
"Lambda Telemetry API Event schema reference" (the records) and "Understanding the Lambda execution environment
lifecycle" (INIT_REPORT). Times are epoch seconds, durations nanoseconds; every line ends with a newline.

    G1  a line is written or left out by its level alone, and left out means empty bytes
    G2  a tail is always the last `LOG_TAIL_BYTES_MAX` bytes of what was added, or all of it
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Protocol

from lambent_core import limits
from lambent_core.billing import billed_ms
from lambent_core.function import LoggingConfig
from lambent_core.link import Report, ReportStatus

Phase = Literal["init", "invoke"]
InitStatus = Literal["success", "error", "timeout"]
InitializationType = Literal["on-demand", "provisioned-concurrency", "snap-start"]

_DEBUG, _INFO, _WARN = 0, 1, 2
_LEVELS: Mapping[str, int] = {"DEBUG": _DEBUG, "INFO": _INFO, "WARN": _WARN}
_STATUS_WORDS = {
    ReportStatus.SUCCESS: "success",
    ReportStatus.ERROR: "error",
    ReportStatus.TIMEOUT: "timeout",
    ReportStatus.FAILURE: "failure",
}


@dataclass(frozen=True, slots=True)
class LoggedFunction:
    """The facts about a function version that its log lines tell."""

    name: str
    arn: str
    version: str
    memory_mb: int
    runtime_version: str | None
    """E.g. `python:3.11.v1`; None for a container image, of which Lambda tells none."""
    runtime_version_arn: str | None
    initialization_type: InitializationType = "on-demand"


class SystemLog(Protocol):
    """Lambda's own lines of one function version. Made once per version, so that a line costs little."""

    def init_start(self, now: float, phase: Phase = "init") -> bytes: ...

    def init_report(self, now: float, status: InitStatus, init_ns: int, phase: Phase, error_type: str = "") -> bytes:
        """How initialisation ended. As text it is told only where it failed or was repeated; else REPORT has it."""

    def start(self, now: float, request_id: str) -> bytes: ...

    def timed_out(self, now: float, request_id: str, timeout_seconds: float) -> bytes:
        """What stands in the log when the deadline has ended an invocation; comes before `end`."""

    def end(self, now: float, request_id: str, report: Report) -> bytes: ...

    def report(self, now: float, request_id: str, report: Report, first_init_ns: int = 0) -> bytes:
        """
        The REPORT line. `first_init_ns` is the initialisation of the environment, told once, in its first report;
        an initialisation that was repeated (`report.init_ns`) is part of the duration instead.
        """

    def whole(self, began: float, now: float, request_id: str, report: Report, first_init_ns: int = 0) -> bytes:
        """All of the log of an invocation that wrote nothing itself: what `start`, `end` and `report` say."""


def system_log(function: LoggedFunction, logging: LoggingConfig) -> SystemLog:
    if logging.log_format == "JSON":
        return JsonLog(function, _LEVELS[logging.system_log_level or "INFO"])
    return TextLog(function)


def log_stream_name(now: float, version: str, token: bytes) -> str:
    """`2026/01/31/[$LATEST]<32 hex>`: the stream of one execution environment. `token` is 16 bytes of chance."""
    return f"{datetime.fromtimestamp(now, UTC):%Y/%m/%d}/[{version}]{token.hex()}"


class TextLog:
    __slots__ = ("_init_start", "_memory", "_start")

    def __init__(self, function: LoggedFunction) -> None:
        version = (
            f" Runtime Version: {function.runtime_version}\tRuntime Version ARN: {function.runtime_version_arn}"
            if function.runtime_version
            else ""
        )
        self._init_start = f"INIT_START{version}\n".encode()
        self._start = f" Version: {function.version}\n"
        self._memory = f" ms\tMemory Size: {function.memory_mb} MB\tMax Memory Used: "

    def init_start(self, now: float, phase: Phase = "init") -> bytes:
        return self._init_start

    def init_report(self, now: float, status: InitStatus, init_ns: int, phase: Phase, error_type: str = "") -> bytes:
        if status == "success" and phase == "init":
            return b""
        what = "" if status == "success" else f"\tStatus: {status}{_error_type(error_type)}"
        return f"INIT_REPORT Init Duration: {init_ns / 1e6:.2f} ms\tPhase: {phase}{what}\t\n".encode()

    def start(self, now: float, request_id: str) -> bytes:
        return f"START RequestId: {request_id}{self._start}".encode()

    def timed_out(self, now: float, request_id: str, timeout_seconds: float) -> bytes:
        return f"{_time(now)} {request_id} Task timed out after {timeout_seconds:.2f} seconds\n\n".encode()

    def end(self, now: float, request_id: str, report: Report) -> bytes:
        return f"END RequestId: {request_id}\n".encode()

    def report(self, now: float, request_id: str, report: Report, first_init_ns: int = 0) -> bytes:
        ran = report.duration_ns + report.init_ns
        return (
            f"REPORT RequestId: {request_id}\tDuration: {ran / 1e6:.2f} ms\tBilled Duration: "
            f"{billed_ms(ran, first_init_ns)}{self._memory}{_megabytes(report.memory_max_bytes)} MB\t"
            f"{f'Init Duration: {first_init_ns / 1e6:.2f} ms{_TAB}' if first_init_ns else ''}"
            f"{_text_status(report) if report.status in _TOLD_STATUSES else ''}\n"
        ).encode()

    def whole(self, began: float, now: float, request_id: str, report: Report, first_init_ns: int = 0) -> bytes:
        if first_init_ns or report.status in _TOLD_STATUSES:
            end = self.end(now, request_id, report) + self.report(now, request_id, report, first_init_ns)
            return self.start(began, request_id) + end
        ran = report.duration_ns + report.init_ns
        return (  # most invocations end here: one text costs a third of three
            f"START RequestId: {request_id}{self._start}END RequestId: {request_id}\n"
            f"REPORT RequestId: {request_id}\tDuration: {ran / 1e6:.2f} ms\tBilled Duration: "
            f"{billed_ms(ran)}{self._memory}{_megabytes(report.memory_max_bytes)} MB\t\n"
        ).encode()


_TAB = "\t"
_TOLD_STATUSES = frozenset({ReportStatus.TIMEOUT, ReportStatus.FAILURE})
"""A handler that raised is no failure of the environment: its REPORT looks like that of a success."""


def _text_status(report: Report) -> str:
    if report.status is ReportStatus.TIMEOUT:
        return "Status: timeout\t"
    return f"Status: error{_error_type(report.error_type)}\t"


def _error_type(error_type: str) -> str:
    return f"\tError Type: {error_type}" if error_type else ""


class JsonLog:
    """One object a line: `time`, `type`, `record`. `level` is the lowest that is written."""

    __slots__ = ("_debug", "_function", "_info", "_runtime", "_version")

    def __init__(self, function: LoggedFunction, level: int) -> None:
        self._function = function
        self._debug, self._info = level <= _DEBUG, level <= _INFO
        self._version = json.dumps(function.version)
        told = {"runtimeVersion": function.runtime_version, "runtimeVersionArn": function.runtime_version_arn}
        self._runtime = {name: value for name, value in told.items() if value}

    def init_start(self, now: float, phase: Phase = "init") -> bytes:
        if not self._info:
            return b""
        function = self._function
        record = {
            "initializationType": function.initialization_type,
            "phase": phase,
            **self._runtime,
            "functionName": function.name,
            "functionArn": function.arn,
            "functionVersion": function.version,
            "instanceMaxMemory": function.memory_mb * 1_048_576,
        }
        return _line(now, "platform.initStart", record)

    def init_report(self, now: float, status: InitStatus, init_ns: int, phase: Phase, error_type: str = "") -> bytes:
        on_demand = self._function.initialization_type == "on-demand"
        if status == "success" and not (self._debug if on_demand else self._info):
            return b""
        record: dict[str, object] = {
            "initializationType": self._function.initialization_type,
            "phase": phase,
            "status": status,
            **({"errorType": error_type} if error_type else {}),
            "metrics": {"durationMs": _milliseconds(init_ns)},
        }
        return _line(now, "platform.initReport", record)

    def start(self, now: float, request_id: str) -> bytes:
        if not self._info:
            return b""
        return (
            f'{{"time":"{_time(now)}","type":"platform.start","record":'
            f'{{"requestId":"{request_id}","version":{self._version}}}}}\n'
        ).encode()

    def timed_out(self, now: float, request_id: str, timeout_seconds: float) -> bytes:
        return b""  # runtimeDone and report tell it

    def end(self, now: float, request_id: str, report: Report) -> bytes:
        if report.status is ReportStatus.SUCCESS and not self._debug:
            return b""
        return (
            f'{{"time":"{_time(now)}","type":"platform.runtimeDone","record":{{"requestId":"{request_id}",'
            f'{_json_status(report)},"metrics":{{"durationMs":{_milliseconds(report.duration_ns)}}}}}}}\n'
        ).encode()

    def report(self, now: float, request_id: str, report: Report, first_init_ns: int = 0) -> bytes:
        if report.status is ReportStatus.SUCCESS and not self._info:
            return b""
        ran = report.duration_ns + report.init_ns
        init = f',"initDurationMs":{_milliseconds(first_init_ns)}' if first_init_ns else ""
        return (
            f'{{"time":"{_time(now)}","type":"platform.report","record":{{"requestId":"{request_id}",'
            f'"metrics":{{"durationMs":{_milliseconds(ran)},"billedDurationMs":{billed_ms(ran, first_init_ns)},'
            f'"memorySizeMB":{self._function.memory_mb},"maxMemoryUsedMB":{_megabytes(report.memory_max_bytes)}'
            f"{init}}},{_json_status(report)}}}}}\n"
        ).encode()

    def whole(self, began: float, now: float, request_id: str, report: Report, first_init_ns: int = 0) -> bytes:
        end = self.end(now, request_id, report) + self.report(now, request_id, report, first_init_ns)
        return self.start(began, request_id) + end


def _json_status(report: Report) -> str:
    error = f',"errorType":{json.dumps(report.error_type)}' if report.error_type else ""
    return f'"status":"{_STATUS_WORDS[report.status]}"{error}'


def _line(now: float, type: str, record: Mapping[str, object]) -> bytes:
    return json.dumps({"time": _time(now), "type": type, "record": record}, separators=(",", ":")).encode() + b"\n"


def _time(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _milliseconds(ns: int) -> float:
    """To the microsecond, as AWS writes it."""
    return ns // 1_000 / 1_000


def _megabytes(count: int) -> int:
    """Rounded up: what is used is never told as less."""
    return -(-count // 1_048_576)


class LogTail:
    """
    The last bytes of one invocation's log.

    Adding copies each byte once and now and then moves the tail to the front: at twice the limit, so that a long log
    of short lines does not move it for each of them.
    """

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept = bytearray()

    def add(self, data: bytes) -> None:
        kept = self._kept
        kept += data if len(data) <= limits.LOG_TAIL_BYTES_MAX else data[-limits.LOG_TAIL_BYTES_MAX :]
        if len(kept) > 2 * limits.LOG_TAIL_BYTES_MAX:
            del kept[: -limits.LOG_TAIL_BYTES_MAX]

    def __bytes__(self) -> bytes:
        return bytes(self._kept[-limits.LOG_TAIL_BYTES_MAX :])
