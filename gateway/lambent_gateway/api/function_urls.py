"""
Functions behind URLs of their own: `/url/{function}/…`, `/url/{function}:{alias}/…`,
and `<url-id>.lambda-url.<region>.<anything>` by host name.

What the function is told and what its answer means is decided in the core (`http_event`, `http_response`, `cors`); here
requests are read, functions invoked, responses sent. Behaviour: AWS documentation, "Invoking Lambda function URLs" and
"Response streaming for Lambda functions".
"""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import unquote

import structlog

from lambent_core import limits
from lambent_core.caller import Caller
from lambent_core.cors import preflight, with_cors
from lambent_core.errors import LambdaError, RequestTooLarge, ResourceNotFound
from lambent_core.function import Cors, FunctionUrl
from lambent_core.http_event import TRACE_HEADER, HttpRequest, UrlContext, encode_event, join_headers, trace_id_of
from lambent_core.http_response import (
    BODILESS,
    INTERNAL_SERVER_ERROR,
    STREAM_HEAD_TYPE,
    BadResponse,
    HttpResponse,
    StreamedHead,
    infer_response,
    streamed_response,
)
from lambent_core.invocation import Invocation
from lambent_gateway.api.asgi import Receive, Scope, Send, read_body
from lambent_gateway.api.served_urls import ServedUrl
from lambent_gateway.clock import Clock
from lambent_gateway.invoker_protocol import Invoker

log = structlog.get_logger(__name__)

_PATH = b"/url/"
_HOST = ".lambda-url."
_JSON = (("Content-Type", "application/json"),)
FORBIDDEN = HttpResponse(
    403,
    (*_JSON, ("x-amzn-ErrorType", "AccessDeniedException")),
    b'{"Message":"Forbidden. For troubleshooting Function URL authorization issues, see: '
    b'https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"}',
)
_TOLD_STATUSES = frozenset({404, 413, 429, 503})
"""What a caller of a URL is told of why the function was not reached; anything else is AWS's 502."""


class FunctionUrls:
    """
    `find` is given a URL's id, a function's name, or `name:alias`. `owner` is in whose name functions are called.
    """

    def __init__(
        self,
        *,
        find: Callable[[str], ServedUrl | None],
        invoker: Invoker,
        clock: Clock,
        new_request_id: Callable[[], str],
        owner: Caller = Caller(),
    ) -> None:
        self._find = find
        self._invoker = invoker
        self._clock = clock
        self._new_request_id = new_request_id
        self._owner = owner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Serves the request and says True; False where it is for no function URL."""
        found = _named(scope)
        if found is None:
            return False
        name, raw_path = found
        request_id = self._new_request_id()
        served = self._find(name)
        if served is None:
            await _send_whole(send, _error(ResourceNotFound(f"No function has a URL here: {name}")), request_id)
            return True
        exchange = _Exchange(send, request_id, served.url, _headers(scope))
        answer = exchange.refusal(scope["method"])
        if answer is None:
            try:
                body = await read_body(receive, limits.REQUEST_BYTES_MAX)
                invocation = self._invocation(served, raw_path, scope, body, exchange)
                answer = await self._invoke(invocation, exchange)
            except LambdaError as error:
                answer = exchange.failed(error)
        if answer is not None:
            await _send_whole(send, answer, request_id)
        return True

    def _invocation(
        self, served: ServedUrl, raw_path: str, scope: Scope, body: bytes, exchange: _Exchange
    ) -> Invocation:
        request_id = exchange.request_id
        trace_id = trace_id_of(exchange.headers.get("x-amzn-trace-id", ""), request_id)
        request = HttpRequest(
            method=scope["method"],
            raw_path=raw_path,
            raw_query=scope["query_string"].decode("latin-1"),
            headers=(*exchange.given_headers, (TRACE_HEADER, trace_id)),
            body=body,
            source_ip=scope["client"][0] if scope.get("client") else "",
            protocol=f"HTTP/{scope['http_version']}",
            scheme=scope["scheme"],
            port=scope["server"][1] or 80 if scope.get("server") else 80,
        )
        context = UrlContext(
            account_id="anonymous" if exchange.url.auth_type == "NONE" else self._owner.account,
            url_id=served.url_id,
            domain_name=exchange.headers.get("host", ""),
            request_id=request_id,
            now=self._clock.time(),
        )
        event = encode_event(request, context)
        if len(event) > limits.REQUEST_BYTES_MAX:
            raise RequestTooLarge(f"Request must be smaller than {limits.REQUEST_BYTES_MAX} bytes")
        return Invocation(
            request_id=request_id,
            function_name=served.function_name,
            payload=event,
            qualifier=served.alias,
            stream=exchange.url.invoke_mode == "RESPONSE_STREAM",
            trace_id=trace_id,
            caller=self._owner,
        )

    async def _invoke(self, invocation: Invocation, exchange: _Exchange) -> HttpResponse | None:
        """The response still to be sent; None if it has been streamed."""
        if invocation.stream:
            outcome = await self._invoker.stream(invocation, exchange.start, exchange.chunk)
            if exchange.streams:
                return await exchange.end(outcome.function_error is not None)
        else:
            outcome = await self._invoker.run(invocation)
        if outcome.function_error is not None:
            return exchange.with_cors(INTERNAL_SERVER_ERROR)
        try:
            return exchange.with_cors(infer_response(outcome.payload))
        except BadResponse as error:
            return exchange.bad(error)


class _Exchange:
    """One request and what has been sent of its response."""

    def __init__(self, send: Send, request_id: str, url: FunctionUrl, headers: tuple[tuple[str, str], ...]) -> None:
        self.url = url
        self.request_id = request_id
        self.given_headers = tuple((name, value) for name, value in headers if name != TRACE_HEADER)
        self.headers = join_headers(headers)
        self.streams = False
        self._send = send
        self._head: StreamedHead | None = None
        """While the head of a streamed response is not whole."""
        self._response: HttpResponse | None = None
        """The head to send with the first bytes."""
        self._started = False
        self._broken = False

    @property
    def _cors(self) -> Cors | None:
        return self.url.cors

    def refusal(self, method: str) -> HttpResponse | None:
        """What is answered without the function: a preflight, or a request that may not call it."""
        if self._cors is not None and (answer := preflight(self._cors, method, self.headers)) is not None:
            return answer
        if self.url.auth_type == "AWS_IAM" and not self.headers.get("authorization", "").startswith("AWS4-"):
            return self.with_cors(FORBIDDEN)
        return None

    def with_cors(self, response: HttpResponse) -> HttpResponse:
        return response if self._cors is None else with_cors(self._cors, self.headers.get("origin"), response)

    def failed(self, error: LambdaError) -> HttpResponse | None:
        """The function was not reached, or lost. None: too late to tell, and the server closes the connection."""
        log.warning("function URL failed", request_id=self.request_id, code=error.code, error=error.message)
        if self._started:
            return None
        return self.with_cors(_error(error) if error.status in _TOLD_STATUSES else INTERNAL_SERVER_ERROR)

    def bad(self, error: BadResponse) -> HttpResponse:
        log.warning("function URL got no HTTP response", request_id=self.request_id, error=str(error))
        return self.with_cors(INTERNAL_SERVER_ERROR)

    def start(self, content_type: str, version: str) -> None:
        self.streams = True
        if content_type == STREAM_HEAD_TYPE:
            self._head = StreamedHead()
        else:
            self._response = streamed_response(content_type)

    async def chunk(self, data: bytes) -> None:
        if self._broken:
            return
        if self._head is not None:
            try:
                self._response = self._head.feed(data)
            except BadResponse as error:
                self._broken = True
                self.bad(error)
                return
            if self._response is None:
                return
            self._head, data = None, self._response.body
        await self._begin()
        if data and self._response is not None and self._response.status not in BODILESS:
            await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, failed: bool) -> HttpResponse | None:
        """What is still to be sent after the stream."""
        if failed and self._started:
            return None  # without its last chunk the client can tell that the response is not whole
        if failed or self._broken:
            return self.with_cors(INTERNAL_SERVER_ERROR)
        if self._head is not None:
            return self.bad(BadResponse("the stream ended before its head was whole"))
        await self._begin()
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        return None

    async def _begin(self) -> None:
        if not self._started:
            assert self._response is not None
            self._started = True
            await _send_head(self._send, self.with_cors(self._response), self.request_id, None)


def _named(scope: Scope) -> tuple[str, str] | None:
    """The function's name or its URL's id, and the path as the function is to see it."""
    raw: bytes = scope["raw_path"]
    if raw.startswith(_PATH):
        name, slash, path = raw.removeprefix(_PATH).decode("latin-1").partition("/")
        return (unquote(name), slash + path or "/") if name else None
    for header, value in scope["headers"]:
        if header == b"host" and _HOST.encode() in value.lower():
            return value.decode("latin-1").lower().partition(_HOST)[0], raw.decode("latin-1")
    return None


def _error(error: LambdaError) -> HttpResponse:
    headers = (*_JSON, ("x-amzn-ErrorType", error.code), *error.headers.items())
    return HttpResponse(error.status, headers, json.dumps({"Message": error.message}).encode())


def _headers(scope: Scope) -> tuple[tuple[str, str], ...]:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])


async def _send_whole(send: Send, response: HttpResponse, request_id: str) -> None:
    await _send_head(send, response, request_id, len(response.body))
    await send({"type": "http.response.body", "body": response.body, "more_body": False})


async def _send_head(send: Send, response: HttpResponse, request_id: str, length: int | None) -> None:
    headers = [(name.lower().encode(), value.encode(errors="replace")) for name, value in response.headers]
    headers.append((b"x-amzn-requestid", request_id.encode()))
    if length is not None and response.status not in (204, 304):
        headers.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
