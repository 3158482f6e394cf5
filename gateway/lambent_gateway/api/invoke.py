"""
Invoke, InvokeAsync and InvokeWithResponseStream: from HTTP to an `Invocation`, and from its `Outcome` back.

`Invoke` answers by callback, so that `http.py` can serve it without a task; the payload is checked to be JSON and otherwise left alone.
Behaviour: AWS documentation, API reference pages "Invoke", "InvokeAsync" and "InvokeWithResponseStream".
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import NamedTuple, Protocol
from urllib.parse import parse_qs, unquote

import msgspec
import orjson

from lambent_core import limits
from lambent_core.caller import Caller, caller_of
from lambent_core.errors import (
    InvalidRequestContent,
    LambdaError,
    RequestTooLarge,
    ResourceNotFound,
    ServiceException,
    ValidationFailed,
)
from lambent_core.event_stream import invoke_complete, payload_chunk
from lambent_core.invocation import LATEST, Invocation, Outcome
from lambent_core.names import Target, parse_target
from lambent_gateway.api.asgi import Receive, Scope, Send, read_body

Headers = Mapping[bytes, bytes]
"""By lower-case name; of a name that comes twice, the last."""

RequestIds = Callable[[], str]

_INVOKE = re.compile(rb"/2015-03-31/functions/([^/?]+)/invocations/?(?:\?(.*))?")
_INVOKE_ASYNC = re.compile(r"/2014-11-13/functions/([^/]+)/invoke-async/?")
_INVOKE_STREAM = re.compile(r"/2021-11-15/functions/([^/]+)/response-streaming-invocations/?")
_json = msgspec.json.Decoder(msgspec.Raw)
"""Checks the syntax without building a value."""


class Response(NamedTuple):
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


Respond = Callable[[Response], None]


class Invoker(Protocol):
    """What runs invocations; `drivers/invoker.py` in the product."""

    def begin(self, invocation: Invocation, done: Callable[[Outcome | LambdaError], None]) -> None: ...

    async def stream(
        self, invocation: Invocation, start: Callable[[str], None], chunk: Callable[[bytes], Awaitable[None]]
    ) -> Outcome: ...

    def check(self, invocation: Invocation) -> None:
        """Raises the `LambdaError` that `begin` would raise for the function's sake: it isn't there or can't be invoked."""


def is_invoke(url: bytes) -> bool:
    """Whether a request target (path and query as sent) is that of Invoke."""
    return url.startswith(b"/2015-03-31/functions/") and b"/invocations" in url


class InvokeApi:
    """The three operations. `accept` puts an event on disk before it returns."""

    def __init__(
        self,
        invoker: Invoker,
        accept: Callable[[Invocation], Awaitable[None]],
        new_request_id: RequestIds,
        *,
        account: str,
        region: str,
    ) -> None:
        self._account = account
        self._region = region
        self._invoker = invoker
        self._accept = accept
        self.new_request_id = new_request_id
        self._tasks: set[asyncio.Task[None]] = set()

    def invoke(self, url: bytes, headers: Headers, body: bytes, respond: Respond) -> None:
        """Invoke: `respond` is called once, sooner or later."""
        request_id = self.new_request_id()
        try:
            self._invoke(url, headers, body, request_id, respond)
        except LambdaError as error:
            respond(error_response(error, request_id))

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """The same and its sisters as ASGI. False: the request is none of these."""
        if scope["method"] != "POST":
            return False
        path, headers = scope["raw_path"].decode(), dict(scope["headers"])
        url = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        if _INVOKE.fullmatch(url):
            answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
            body = await read_body(receive, limits.REQUEST_BYTES_MAX)
            self.invoke(url, headers, body, lambda response: None if answer.done() else answer.set_result(response))
            await send_response(send, await answer)
        elif match := _INVOKE_ASYNC.fullmatch(path):
            await send_response(send, await self._invoke_async(match[1], headers, receive))
        elif match := _INVOKE_STREAM.fullmatch(path):
            await self._invoke_stream(match[1], scope, headers, receive, send)
        else:
            return False
        return True

    def _invoke(self, url: bytes, headers: Headers, body: bytes, request_id: str, respond: Respond) -> None:
        caller = self._caller(headers)
        target = _target(url, caller)
        kind = headers.get(b"x-amz-invocation-type", b"RequestResponse")
        log_type = headers.get(b"x-amz-log-type", b"None")
        _check_enum("invocationType", kind, (b"Event", b"RequestResponse", b"DryRun"))
        _check_enum("logType", log_type, (b"None", b"Tail"))
        check_payload(body, limits.ASYNC_REQUEST_BYTES_MAX if kind == b"Event" else limits.REQUEST_BYTES_MAX)
        invocation = Invocation(
            request_id=request_id,
            function_name=target.name,
            payload=body or b"{}",
            qualifier=target.qualifier or LATEST,
            kind="Event" if kind == b"Event" else "RequestResponse",
            log_tail=log_type == b"Tail",
            trace_id=_trace_id(headers, request_id),
            client_context=_client_context(headers.get(b"x-amz-client-context", b"")),
            caller=caller,
        )
        if kind == b"RequestResponse":
            self._invoker.begin(invocation, lambda result: respond(_response(result, invocation)))
            return
        self._invoker.check(invocation)
        if kind == b"DryRun":
            respond(Response(204, [(b"x-amzn-requestid", request_id.encode())], b""))
            return
        task = asyncio.get_running_loop().create_task(self._enqueue(invocation, respond))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _caller(self, headers: Headers) -> Caller:
        # The signature differs with every request, the credential scope does not: so much can be remembered.
        scope = headers.get(b"authorization", b"").partition(b",")[0]
        return _scope_caller(scope, self._account, self._region)

    async def _enqueue(self, invocation: Invocation, respond: Respond) -> None:
        try:
            await self._accept(invocation)
        except LambdaError as error:
            respond(error_response(error, invocation.request_id))
        except Exception as error:
            respond(error_response(ServiceException(f"The event could not be stored: {error}"), invocation.request_id))
            raise
        else:
            respond(Response(202, _headers(invocation), b""))

    async def _invoke_async(self, name: str, headers: Headers, receive: Receive) -> Response:
        request_id = self.new_request_id()
        try:
            body = await read_body(receive, limits.ASYNC_REQUEST_BYTES_MAX)
            caller = self._caller(headers)
            target = _target(f"/2015-03-31/functions/{name}/invocations".encode(), caller)
            check_payload(body, limits.ASYNC_REQUEST_BYTES_MAX)
            invocation = Invocation(
                request_id=request_id,
                function_name=target.name,
                payload=body or b"{}",
                qualifier=target.qualifier or LATEST,
                kind="Event",
                trace_id=_trace_id(headers, request_id),
                caller=caller,
            )
            self._invoker.check(invocation)
            await self._accept(invocation)
        except LambdaError as error:
            return error_response(error, request_id)
        return Response(202, _headers(invocation), b'{"Status":202}')

    async def _invoke_stream(self, name: str, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        request_id = self.new_request_id()
        query = b"?" + scope["query_string"] if scope["query_string"] else b""
        started = False

        async def chunk(data: bytes) -> None:
            nonlocal started
            if not started:
                started = True
                await send(_stream_start(request_id))
            for at in range(0, len(data), _CHUNK_BYTES_MAX):
                event = payload_chunk(data[at : at + _CHUNK_BYTES_MAX])
                await send({"type": "http.response.body", "body": event, "more_body": True})

        try:
            caller = self._caller(headers)
            target = _target(f"/2015-03-31/functions/{name}/invocations".encode() + query, caller)
            body = await read_body(receive, limits.REQUEST_BYTES_MAX)
            kind = headers.get(b"x-amz-invocation-type", b"RequestResponse")
            log_type = headers.get(b"x-amz-log-type", b"None")
            _check_enum("invocationType", kind, (b"RequestResponse", b"DryRun"))
            _check_enum("logType", log_type, (b"None", b"Tail"))
            check_payload(body, limits.REQUEST_BYTES_MAX)
            invocation = Invocation(
                request_id=request_id,
                function_name=target.name,
                payload=body or b"{}",
                qualifier=target.qualifier or LATEST,
                stream=True,
                log_tail=log_type == b"Tail",
                trace_id=_trace_id(headers, request_id),
                client_context=_client_context(headers.get(b"x-amz-client-context", b"")),
                caller=caller,
            )
            if kind == b"DryRun":
                self._invoker.check(invocation)
                await send_response(send, Response(204, [(b"x-amzn-requestid", request_id.encode())], b""))
                return
            outcome = await self._invoker.stream(invocation, lambda content_type: None, chunk)
        except LambdaError as error:
            if started:  # the head is out: the stream's own way to tell
                end = invoke_complete(error.code, error.message)
                await send({"type": "http.response.body", "body": end, "more_body": False})
            else:
                await send_response(send, error_response(error, request_id))
            return
        code, details = ("Unhandled", outcome.payload.decode()) if outcome.function_error else ("", "")
        await chunk(b"" if outcome.function_error else outcome.payload)
        end = invoke_complete(code, details, outcome.log_tail if invocation.log_tail else None)
        await send({"type": "http.response.body", "body": end, "more_body": False})


_CHUNK_BYTES_MAX = 64 * 1024


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


def error_response(error: LambdaError, request_id: str) -> Response:
    headers = [
        (b"content-type", b"application/json"),
        (b"x-amzn-requestid", request_id.encode()),
        (b"x-amzn-errortype", error.code.encode()),
        *((name.lower().encode(), value.encode()) for name, value in error.headers.items()),
    ]
    return Response(error.status, headers, orjson.dumps(error.body()))


async def send_response(send: Send, response: Response) -> None:
    length = (b"content-length", str(len(response.body)).encode())
    headers = [*response.headers, length] if response.status != 204 else response.headers
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body, "more_body": False})


@lru_cache(10_000)
def _target(url: bytes, caller: Caller) -> Target:
    """Which function and qualifier a request target names. Raises `LambdaError`."""
    match = _INVOKE.fullmatch(url)
    if match is None:
        raise ResourceNotFound(f"No operation at {url.decode(errors='replace')}")
    qualifier = parse_qs((match[2] or b"").decode()).get("Qualifier", [None])[0]
    return parse_target(unquote(match[1].decode()), caller, qualifier)


@lru_cache(1_000)
def _scope_caller(scope: bytes, account: str, region: str) -> Caller:
    return caller_of(scope.decode("latin-1"), account=account, region=region)


def _response(result: Outcome | LambdaError, invocation: Invocation) -> Response:
    if isinstance(result, LambdaError):
        return error_response(result, invocation.request_id)
    headers = _headers(invocation)
    headers.append((b"x-amz-executed-version", result.executed_version.encode()))
    if result.function_error:
        headers.append((b"x-amz-function-error", result.function_error.encode()))
    if invocation.log_tail:
        headers.append((b"x-amz-log-result", base64.b64encode(result.log_tail)))
    return Response(200, headers, result.payload)


def _headers(invocation: Invocation) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", b"application/json"),
        (b"x-amzn-requestid", invocation.request_id.encode()),
        (b"x-amzn-trace-id", invocation.trace_id.encode()),
    ]


def _stream_start(request_id: str) -> dict[str, object]:
    headers = [
        (b"content-type", b"application/vnd.amazon.eventstream"),
        (b"x-amzn-requestid", request_id.encode()),
        (b"x-amz-executed-version", LATEST.encode()),
    ]
    return {"type": "http.response.start", "status": 200, "headers": headers}


def _trace_id(headers: Headers, request_id: str) -> str:
    """The caller's trace, or one made of the request id: both are random, and so one draw serves."""
    given = headers.get(b"x-amzn-trace-id")
    if given is not None:
        return given.decode("latin-1")
    digits = request_id.replace("-", "")
    return f"Root=1-{digits[:8]}-{digits[8:]};Parent={digits[16:]};Sampled=0"


def _client_context(encoded: bytes) -> str:
    if not encoded:
        return ""
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
