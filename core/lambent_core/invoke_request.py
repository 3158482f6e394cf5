"""
What a request to invoke says: which function, by whom, how, with which payload. Errors in AWS's words.

Behaviour: AWS documentation, API reference pages "Invoke", "InvokeAsync" and "InvokeWithResponseStream".

    N1  a payload is JSON, or empty, or refused; it is never changed
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qs, unquote

import msgspec
import orjson

from lambent_core import limits
from lambent_core.caller import Caller, caller_of
from lambent_core.errors import InvalidRequestContent, RequestTooLarge, ValidationFailed
from lambent_core.invocation import Invocation
from lambent_core.names import parse_target

Headers = Mapping[bytes, bytes]
"""By lower-case name; of a name that comes twice, the last."""

_json = msgspec.json.Decoder(msgspec.Raw)
"""Checks the syntax without building a value."""


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One of the three ways to invoke: what its invocation type may be, and whether the caller takes a stream."""

    kinds: tuple[bytes, ...]
    """Allowed; the default is RequestResponse where that is among them, else the only one."""
    stream: bool = False


INVOKE = Operation((b"Event", b"RequestResponse", b"DryRun"))
INVOKE_ASYNC = Operation((b"Event",))
INVOKE_STREAM = Operation((b"RequestResponse", b"DryRun"), stream=True)


def read_invocation(
    operation: Operation,
    name: bytes,
    query: bytes,
    headers: Headers,
    body: bytes,
    *,
    request_id: str,
    account: str,
    region: str,
) -> tuple[bytes, Invocation]:
    """
    The invocation type (`RequestResponse`, `Event` or `DryRun`) and the invocation. `name` is as in the path, percent-encoded.

    Raises `ValidationFailed`, `InvalidRequestContent`, `RequestTooLarge`, `InvalidParameterValue`, `ResourceNotFound`.
    """
    get = headers.get
    asked = _asked(
        operation,
        name,
        query,
        # The signature differs with every request, the credential scope does not: so much can be remembered.
        get(b"authorization", b"").partition(b",")[0],
        get(b"x-amz-invocation-type", b"RequestResponse"),
        get(b"x-amz-log-type", b"None"),
        account,
        region,
    )
    check_payload(body, asked.bytes_max)
    trace_id, context = get(b"x-amzn-trace-id"), get(b"x-amz-client-context")
    return asked.kind, Invocation(
        request_id=request_id,
        function_name=asked.function_name,
        payload=body or b"{}",
        qualifier=asked.qualifier,
        kind="Event" if asked.kind == b"Event" else "RequestResponse",
        stream=operation.stream,
        log_tail=asked.log_tail,
        trace_id=_new_trace_id(request_id) if trace_id is None else trace_id.decode("latin-1"),
        client_context=_client_context(context) if context else "",
        caller=asked.caller,
    )


class _Asked(msgspec.Struct, frozen=True, gc=False):
    """What many requests say alike, checked."""

    kind: bytes
    function_name: str
    qualifier: str | None
    caller: Caller
    log_tail: bool
    bytes_max: int


@lru_cache(10_000)
def _asked(
    operation: Operation,
    name: bytes,
    query: bytes,
    scope: bytes,
    kind: bytes,
    log_type: bytes,
    account: str,
    region: str,
) -> _Asked:
    caller = caller_of(scope.decode("latin-1"), account=account, region=region)
    qualifier = parse_qs(query.decode("latin-1")).get("Qualifier", [None])[0]
    target = parse_target(unquote(name.decode("latin-1")), caller, qualifier)
    if operation is INVOKE_ASYNC:
        kind = b"Event"
    _check_enum("invocationType", kind, operation.kinds)
    _check_enum("logType", log_type, (b"None", b"Tail"))
    return _Asked(
        kind,
        target.name,
        target.qualifier,
        caller,
        log_type == b"Tail",
        limits.ASYNC_REQUEST_BYTES_MAX if kind == b"Event" else limits.REQUEST_BYTES_MAX,
    )


def check_payload(body: bytes, bytes_max: int) -> None:
    """Raises `RequestTooLarge` or `InvalidRequestContent` in AWS's words."""
    if len(body) > bytes_max:
        raise RequestTooLarge(f"Request must be smaller than {bytes_max} bytes for the InvokeFunction operation")
    if not body:
        return
    try:
        if not body.isascii():
            body.decode()
        _json.decode(body)
    except UnicodeDecodeError as error:
        raise _not_json(f"Invalid UTF-8 start byte 0x{body[error.start]:02x}", body, error.start) from None
    except msgspec.DecodeError:
        try:
            orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise _not_json(error.msg, body, error.pos) from None


def _new_trace_id(request_id: str) -> str:
    """Made of the request id: both are random, and so one draw serves."""
    digits = request_id.replace("-", "")
    return f"Root=1-{digits[:8]}-{digits[8:]};Parent={digits[16:]};Sampled=0"


def _client_context(encoded: bytes) -> str:
    if len(encoded) > limits.CLIENT_CONTEXT_BYTES_MAX:
        raise InvalidRequestContent(
            f"Client context must be no more than {limits.CLIENT_CONTEXT_BYTES_MAX} bytes, got {len(encoded)}."
        )
    try:
        return orjson.dumps(orjson.loads(base64.b64decode(encoded, validate=True))).decode()
    except (binascii.Error, orjson.JSONDecodeError):
        raise InvalidRequestContent("Client context must be a valid Base64-encoded JSON object.") from None


def _check_enum(member: str, value: bytes, allowed: tuple[bytes, ...]) -> None:
    if value not in allowed:
        listed = ", ".join(name.decode() for name in allowed)
        raise ValidationFailed(
            f"1 validation error detected: Value '{value.decode(errors='replace')}' at '{member}' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{listed}]"
        )


def _not_json(what: str, body: bytes, position: int) -> InvalidRequestContent:
    before = body[:position]
    line, column = before.count(b"\n") + 1, position - (before.rfind(b"\n") + 1) + 1
    return InvalidRequestContent(
        f"Could not parse request body into json: Could not parse payload into json: {what}\n at [line: {line}, column: {column}]"
    )
