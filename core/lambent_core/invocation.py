"""
One request to run a function, and how it ended. Values only; who runs it is the gateway's `invoker`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from lambent_core.caller import Caller
from lambent_core.function import LATEST as LATEST
from lambent_core.link import Report


class Invocation(msgspec.Struct, frozen=True, gc=False):
    """What the caller asked for, already authorised and validated."""

    request_id: str
    function_name: str
    payload: bytes
    """JSON text; `b"{}"`-like bytes as they came, never parsed on the way."""
    qualifier: str | None = None
    """A version or an alias, as the caller gave it; None where nothing was said, which means `$LATEST`."""
    kind: Literal["RequestResponse", "Event"] = "RequestResponse"
    """`Event`: an attempt of an asynchronous invocation."""
    stream: bool = False
    """The caller takes the response in chunks."""
    log_tail: bool = False
    trace_id: str = ""
    client_context: str = ""
    """JSON on one line, decoded from base64."""
    caller: Caller = Caller()


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """How an invocation that reached the function ended. What never reached it is a `LambdaError` instead."""

    payload: bytes
    """The response, or the error object, as JSON text; of a streamed response only an error that it ended in."""
    function_error: str | None
    """`Unhandled` when payload is an error object: value of X-Amz-Function-Error."""
    error_type: str
    """E.g. `Sandbox.Timedout`; empty on success."""
    executed_version: str
    report: Report
    log_tail: bytes = b""
    """Last 4 KB of the log, where asked for."""
