"""
Invoke and its sisters over HTTP: hands invocations to the invoker or the queue, and turns what came of them into responses.

`Invoke` answers by callback, so that `http.py` can serve it without a task. Behaviour: AWS documentation, API reference pages
"Invoke", "InvokeAsync" and "InvokeWithResponseStream".
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import NamedTuple, Protocol

import orjson

from lambent_core import limits
from lambent_core.errors import LambdaError, ResourceNotFound, ServiceException
from lambent_core.invocation import Invocation, Outcome
from lambent_core.invoke_request import INVOKE, INVOKE_ASYNC, INVOKE_STREAM, Headers, Operation, read_invocation
from lambent_gateway.api.asgi import Receive, Scope, Send, read_body
from lambent_gateway.api.event_stream_response import EventStreamResponse

_PATHS: tuple[tuple[re.Pattern[bytes], Operation], ...] = (
    (re.compile(rb"/2015-03-31/functions/([^/?]+)/invocations/?"), INVOKE),
    (re.compile(rb"/2014-11-13/functions/([^/?]+)/invoke-async/?"), INVOKE_ASYNC),
    (re.compile(rb"/2021-11-15/functions/([^/?]+)/response-streaming-invocations/?"), INVOKE_STREAM),
)


class Response(NamedTuple):
    status: int
    head: bytes
    """Header lines, each with its end; all but `content-length`."""
    body: bytes


Respond = Callable[[int, bytes, bytes], None]
"""Takes the members of a `Response`, which on the warm path need not be made."""


class Invoker(Protocol):
    """What runs invocations; `drivers/invoker.py` in the product."""

    def begin(self, invocation: Invocation, done: Callable[[Outcome | LambdaError], None]) -> None: ...

    async def stream(
        self, invocation: Invocation, start: Callable[[str, str], None], chunk: Callable[[bytes], Awaitable[None]]
    ) -> Outcome: ...

    def check(self, invocation: Invocation) -> None:
        """Raises the `LambdaError` that `begin` would raise for the function's sake: it isn't there, or can't be invoked."""


def is_invoke(url: bytes) -> bool:
    """Whether a request target (path and query as sent) is that of Invoke."""
    return url.startswith(b"/2015-03-31/functions/") and b"/invocations" in url


class InvokeApi:
    """The three operations. `accept` puts an event on disk before it returns."""

    def __init__(
        self,
        invoker: Invoker,
        accept: Callable[[Invocation], Awaitable[None]],
        new_request_id: Callable[[], str],
        *,
        account: str,
        region: str,
    ) -> None:
        self._invoker = invoker
        self._accept = accept
        self.new_request_id = new_request_id
        self._account = account
        self._region = region
        self._tasks: set[asyncio.Task[None]] = set()

    def invoke(self, url: bytes, headers: Headers, body: bytes, respond: Respond) -> None:
        """Invoke: `respond` is called once, sooner or later."""
        request_id = self.new_request_id()
        try:
            name, query = _name_and_query(url)
            kind, invocation = self._read(INVOKE, name, query, headers, body, request_id)
            self._begin(kind, invocation, respond)
        except LambdaError as error:
            respond(*error_response(error, request_id))

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """The three as ASGI. False: the request is for none of them."""
        found = [(match, operation) for path, operation in _PATHS if (match := path.fullmatch(scope["raw_path"]))]
        if scope["method"] != "POST" or not found:
            return False
        match, operation = found[0]
        request_id = self.new_request_id()
        try:
            body = await read_body(receive, limits.REQUEST_BYTES_MAX)
            headers, query = dict(scope["headers"]), scope["query_string"]
            kind, invocation = self._read(operation, match[1], query, headers, body, request_id)
            if operation is INVOKE_STREAM and kind == b"RequestResponse":
                await EventStreamResponse(send, invocation).run(self._invoker.stream)
                return True
            answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
            self._begin(kind, invocation, lambda *parts: None if answer.done() else answer.set_result(Response(*parts)))
            response = await answer
        except LambdaError as error:
            response = error_response(error, request_id)
        if operation is INVOKE_ASYNC and response.status == 202:
            response = response._replace(body=b'{"Status":202}')
        await send_response(send, response)
        return True

    def _read(
        self, operation: Operation, name: bytes, query: bytes, headers: Headers, body: bytes, request_id: str
    ) -> tuple[bytes, Invocation]:
        return read_invocation(
            operation, name, query, headers, body, request_id=request_id, account=self._account, region=self._region
        )

    def _begin(self, kind: bytes, invocation: Invocation, respond: Respond) -> None:
        if kind == b"RequestResponse":

            def done(result: Outcome | LambdaError) -> None:
                if isinstance(result, LambdaError):
                    respond(*error_response(result, invocation.request_id))
                else:
                    respond(200, _head(invocation, result), result.payload)

            self._invoker.begin(invocation, done)
            return
        self._invoker.check(invocation)
        if kind == b"DryRun":
            respond(204, f"x-amzn-requestid: {invocation.request_id}\r\n".encode(), b"")
            return
        task = asyncio.get_running_loop().create_task(self._enqueue(invocation, respond))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _enqueue(self, invocation: Invocation, respond: Respond) -> None:
        try:
            await self._accept(invocation)
        except LambdaError as error:
            respond(*error_response(error, invocation.request_id))
        except Exception as error:
            failed = ServiceException(f"The event could not be stored: {error}")
            respond(*error_response(failed, invocation.request_id))
            raise
        else:
            respond(202, _head(invocation), b"")


def error_response(error: LambdaError, request_id: str) -> Response:
    more = "".join(f"{name.lower()}: {value}\r\n" for name, value in error.headers.items())
    head = (
        f"content-type: application/json\r\nx-amzn-requestid: {request_id}\r\nx-amzn-errortype: {error.code}\r\n{more}"
    )
    return Response(error.status, head.encode(), orjson.dumps(error.body()))


async def send_response(send: Send, response: Response) -> None:
    headers = [(name, value) for line in response.head.splitlines() for name, _, value in [line.partition(b": ")]]
    if response.status != 204:
        headers.append((b"content-length", b"%d" % len(response.body)))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body, "more_body": False})


@lru_cache(10_000)
def _name_and_query(url: bytes) -> tuple[bytes, bytes]:
    """Of a request target that `is_invoke` took for Invoke's: the function's name, percent-encoded, and the query."""
    path, _, query = url.partition(b"?")
    match = _PATHS[0][0].fullmatch(path)
    if match is None:
        raise ResourceNotFound(f"No operation at {path.decode('latin-1')}")
    return match[1], query


def _head(invocation: Invocation, outcome: Outcome | None = None) -> bytes:
    """What the head says of an accepted invocation, and of how it ended."""
    head = (
        "content-type: application/json\r\n"
        f"x-amzn-requestid: {invocation.request_id}\r\nx-amzn-trace-id: {invocation.trace_id}\r\n"
    )
    if outcome is not None:
        head += f"x-amz-executed-version: {outcome.executed_version}\r\n"
        if outcome.function_error:
            head += f"x-amz-function-error: {outcome.function_error}\r\n"
        if invocation.log_tail:
            head += f"x-amz-log-result: {base64.b64encode(outcome.log_tail).decode()}\r\n"
    return head.encode("latin-1")
