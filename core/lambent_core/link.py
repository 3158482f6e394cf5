"""
The frames of the env link: one codec for gateway, test agents and benchmarks.

The format is `docs/decisions/0002-env-link.md`. Nothing here reads or writes: bytes go in, frames come out.

    L1  decoding what was encoded gives the same frame, however the bytes are cut
    L2  a frame above `BODY_BYTES_MAX` or of an unknown type is refused, never buffered
    L3  an answer taken at once is what its frames say one by one
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from struct import Struct

import msgspec

BODY_BYTES_MAX = 16 * 1024 * 1024
"""Largest body, bytes. Room for the 6 MB payload limit, its head, and a generous environment in SPECIALIZE."""

_HEADER = Struct(">IBBH")
_INVOKE = Struct(">QH")
_INVOKE_FRAME = Struct(">IBBHQH")
_REPORT = Struct(">QQQB")
_REPORT_FRAME = Struct(">IBBHQQQB")
_ERROR = Struct(">H")

INVOKE_STREAM = 1
BLOB_LAST = 1
BLOB_ABSENT = 2
LOG_OUTSIDE = 1


class FrameType(IntEnum):
    HELLO = 1
    WELCOME = 2
    SPECIALIZE = 3
    FETCH = 4
    BLOB = 5
    INIT = 6
    INVOKE = 7
    RESPONSE = 8
    ERROR = 9
    STREAM_START = 10
    STREAM_CHUNK = 11
    STREAM_END = 12
    LOG = 13
    REPORT = 14
    SHUTDOWN = 15
    PING = 16
    PONG = 17
    REDIRECT = 18
    OPEN = 19


_TYPE_LAST = max(FrameType)
_INVOKE_TYPE, _RESPONSE_TYPE, _REPORT_TYPE = int(FrameType.INVOKE), int(FrameType.RESPONSE), int(FrameType.REPORT)


class ReportStatus(IntEnum):
    SUCCESS = 0
    ERROR = 1
    TIMEOUT = 2
    FAILURE = 3


_STATUSES = tuple(ReportStatus)


class ProtocolError(Exception):
    """The peer broke the frame format; its connection must be closed."""


class Frame(msgspec.Struct, frozen=True, gc=False):
    type: int
    flags: int
    slot: int
    body: bytes


class InvokeHead(msgspec.Struct, frozen=True, gc=False):
    """What the runtime is told beside the payload. No field may contain a newline; the AWS names are those of the Runtime API's headers."""

    request_id: str
    invoked_function_arn: str
    trace_id: str = ""
    client_context: str = ""
    cognito_identity: str = ""
    tenant_id: str = ""


class Report(msgspec.Struct, frozen=True, gc=False):
    duration_ns: int
    init_ns: int
    memory_max_bytes: int
    status: ReportStatus
    error_type: str


def encode(type: int, body: bytes = b"", *, flags: int = 0, slot: int = 0) -> bytes:
    """One frame as bytes. Raises `ProtocolError` for a body above `BODY_BYTES_MAX`."""
    if len(body) > BODY_BYTES_MAX:
        raise ProtocolError(f"frame body of {len(body)} bytes is above the limit of {BODY_BYTES_MAX}")
    return _HEADER.pack(len(body), type, flags, slot) + body


def encode_invoke(deadline_ms: int, head: InvokeHead, payload: bytes, *, stream: bool = False, slot: int = 0) -> bytes:
    """An INVOKE frame. `deadline_ms` is Unix time in milliseconds."""
    text = (
        f"{head.request_id}\n{head.invoked_function_arn}\n{head.trace_id}\n"
        f"{head.client_context}\n{head.cognito_identity}\n{head.tenant_id}"
    ).encode()
    size = len(text)
    start = _INVOKE_FRAME.pack(
        _INVOKE.size + size + len(payload), _INVOKE_TYPE, INVOKE_STREAM if stream else 0, slot, deadline_ms, size
    )
    return b"".join((start, text, payload))


def decode_invoke(body: bytes) -> tuple[int, InvokeHead, bytes]:
    """`deadline_ms`, head and payload of an INVOKE body."""
    deadline_ms, size = _INVOKE.unpack_from(body)
    start = _INVOKE.size
    fields = body[start : start + size].decode().split("\n")
    if len(fields) != 6:
        raise ProtocolError(f"INVOKE head has {len(fields)} fields, not 6")
    return deadline_ms, InvokeHead(*fields), body[start + size :]


def encode_report(report: Report, *, slot: int = 0) -> bytes:
    body = _REPORT.pack(report.duration_ns, report.init_ns, report.memory_max_bytes, report.status)
    return encode(FrameType.REPORT, body + report.error_type.encode(), slot=slot)


def decode_report(body: bytes) -> Report:
    duration_ns, init_ns, memory_max_bytes, status = _REPORT.unpack_from(body)
    return Report(duration_ns, init_ns, memory_max_bytes, _status(status), body[_REPORT.size :].decode())


def _status(number: int) -> ReportStatus:
    if number >= len(_STATUSES):
        raise ProtocolError(f"unknown status {number} in REPORT")
    return _STATUSES[number]


def encode_error(error_type: str, error: bytes, *, slot: int = 0) -> bytes:
    name = error_type.encode()
    return encode(FrameType.ERROR, _ERROR.pack(len(name)) + name + error, slot=slot)


def decode_error(body: bytes) -> tuple[str, bytes]:
    """Error type and error object (JSON bytes) of an ERROR body."""
    (size,) = _ERROR.unpack_from(body)
    return body[_ERROR.size : _ERROR.size + size].decode(), body[_ERROR.size + size :]


class FrameReader:
    """Cuts a byte stream into frames. Give it bytes as they come; it keeps what is incomplete."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept = bytearray()

    def answer(self, data: bytes) -> tuple[bytes, Report] | None:
        """
        Payload and report, where `data` is one RESPONSE, one REPORT and nothing else, as it is after most invocations.

        None: it is not, and nothing was taken. Raises `ProtocolError`, as `feed` and `decode_report` do.
        """
        end = len(data)
        if self._kept or end < _HEADER.size + _REPORT_FRAME.size:
            return None
        length, type, _, slot = _HEADER.unpack_from(data)
        report_at = _HEADER.size + length
        if type != _RESPONSE_TYPE or length > BODY_BYTES_MAX or report_at + _REPORT_FRAME.size > end:
            return None
        size, type, _, other, duration_ns, init_ns, memory_max_bytes, status = _REPORT_FRAME.unpack_from(
            data, report_at
        )
        if type != _REPORT_TYPE or report_at + _HEADER.size + size != end or other != slot:
            return None
        error_type = data[report_at + _REPORT_FRAME.size :].decode() if size > _REPORT.size else ""
        report = Report(duration_ns, init_ns, memory_max_bytes, _status(status), error_type)
        return data[_HEADER.size : report_at], report

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that `data` completes. Raises `ProtocolError`, after which the connection must be closed."""
        kept = self._kept
        if kept:
            kept += data
            source: bytes | bytearray = kept
        else:
            source = data
        position, end = 0, len(source)
        while end - position >= _HEADER.size:
            length, type, flags, slot = _HEADER.unpack_from(source, position)
            if length > BODY_BYTES_MAX:
                raise ProtocolError(f"frame body of {length} bytes is above the limit of {BODY_BYTES_MAX}")
            if not 1 <= type <= _TYPE_LAST:
                raise ProtocolError(f"unknown frame type {type}")
            start = position + _HEADER.size
            if end - start < length:
                break
            position = start + length
            yield Frame(type, flags, slot, bytes(source[start:position]))
        if source is kept:
            del kept[:position]
        elif position < end:
            kept += data[position:]
