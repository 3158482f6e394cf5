from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from lambent_core.caller import Caller
from lambent_core.errors import (
    LambdaError,
    ResourceNotFound,
    ServiceException,
    ServiceUnavailable,
    TooManyRequests,
)
from lambent_core.function import Cors, FunctionUrl
from lambent_core.http_response import STREAM_HEAD_TYPE
from lambent_core.invocation import Invocation, Outcome
from lambent_core.limits import REQUEST_BYTES_MAX
from lambent_core.link import Report, ReportStatus
from lambent_gateway.api.asgi import ClientGone, Message
from lambent_gateway.api.function_urls import FunctionUrls
from lambent_gateway.api.served_urls import ServedUrl

ID = "01234567-89ab-4def-a123-456789abcdef"
TRACE = "Root=1-01234567-89ab4defa123456789abcdef;Parent=a123456789abcdef;Sampled=0"
RECORDED = Path(__file__).parents[3] / "conformance" / "recorded" / "lambda_invoke_cases.json"
CASES = [case for case in json.loads(RECORDED.read_text())["cases"] if case["id"].startswith("url-")]
INTERNAL = (502, b"Internal Server Error")


def outcome(payload: bytes, error: str | None = None) -> Outcome:
    return Outcome(payload, error, "", "$LATEST", Report(1, 0, 1, ReportStatus.SUCCESS, ""))


@dataclass
class Functions:
    """The invoker: answers what the test says and remembers what it was asked."""

    answer: Outcome | LambdaError = field(default_factory=lambda: outcome(b"null"))
    stream_type: str | None = None
    chunks: Sequence[bytes] = ()
    asked: list[Invocation] = field(default_factory=list)

    async def run(self, invocation: Invocation) -> Outcome:
        self.asked.append(invocation)
        if isinstance(self.answer, LambdaError):
            raise self.answer
        return self.answer

    async def stream(
        self, invocation: Invocation, start: Callable[[str, str], None], chunk: Callable[[bytes], Awaitable[None]]
    ) -> Outcome:
        if self.stream_type is not None:
            start(self.stream_type, "$LATEST")
            for data in self.chunks:
                await chunk(data)
        return await self.run(invocation)


@dataclass
class Sent:
    """What came over the wire."""

    messages: list[Message] = field(default_factory=list)

    async def __call__(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> list[tuple[str, str]]:
        return [(name.decode(), value.decode()) for name, value in self.messages[0]["headers"]]

    @property
    def header(self) -> dict[str, str]:
        return dict(self.headers)

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.messages[1:])

    @property
    def whole(self) -> bool:
        assert [message["type"] for message in self.messages[1:]] == ["http.response.body"] * (len(self.messages) - 1)
        assert all(message["more_body"] for message in self.messages[1:-1])
        return len(self.messages) > 1 and not self.messages[-1]["more_body"]


class FixedClock:
    def time(self) -> float:
        return 1_785_917_679.8859


OPEN = FunctionUrl()


async def call(
    functions: Functions,
    url: FunctionUrl | None = OPEN,
    *,
    alias: str | None = None,
    path: bytes = b"/url/hello/",
    method: str = "GET",
    query: bytes = b"",
    headers: Sequence[tuple[bytes, bytes]] = (),
    body: Sequence[bytes] = (b"",),
    served: bool = True,
    scope: dict[str, Any] | None = None,
) -> Sent:
    served_url = ServedUrl(url, "abc123", "hello", alias) if url else None
    urls = FunctionUrls(
        find=lambda name: served_url if name in ("hello", "abc123") else None,
        invoker=functions,
        clock=FixedClock(),
        new_request_id=lambda: ID,
        owner=Caller("123456789012"),
    )
    pieces = [{"type": "http.request", "body": data, "more_body": True} for data in body]
    pieces[-1]["more_body"] = False

    async def receive() -> Message:
        return pieces.pop(0) if pieces else {"type": "http.disconnect"}

    sent = Sent()
    whole_scope = {
        "type": "http",
        "method": method,
        "raw_path": path,
        "query_string": query,
        "headers": list(headers),
        "client": ("192.0.2.7", 5000),
        "server": ("127.0.0.1", 9000),
        "scheme": "http",
        "http_version": "1.1",
    } | (scope or {})
    assert await urls(whole_scope, receive, sent) is served
    return sent


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
async def test_what_was_recorded_on_aws(case: dict[str, Any]) -> None:
    """The case's own handler answers, called with the event that would reach it."""
    module: dict[str, Any] = {}
    exec(case["files"]["handler.py"], module)

    class Handler(Functions):
        async def run(self, invocation: Invocation) -> Outcome:
            try:
                return outcome(json.dumps(module["handler"](json.loads(invocation.payload), None)).encode())
            except Exception as error:
                return outcome(json.dumps({"errorMessage": str(error)}).encode(), "Unhandled")

    (told,) = case["calls"]
    path, _, query = told.get("path", "/").partition("?")
    headers = [(name.lower().encode(), value.encode()) for name, value in told.get("headers", {}).items()]
    sent = await call(
        Handler(),
        method=told["method"],
        path=b"/url/hello" + path.encode(),
        query=query.encode(),
        headers=headers,
        body=[told["body"].encode()],
    )
    expected = told["expect"]
    assert (sent.status, sent.whole) == (expected["status"], True)
    for name, value in expected["headers"].items():
        assert sent.header[name.lower()] == value
    if isinstance(expected["content"], str):
        assert sent.body.decode() == expected["content"]
    else:
        seen = json.loads(sent.body)
        assert {key: seen[key] for key in expected["content"]["$subset"]} == expected["content"]["$subset"]


async def test_what_the_function_is_told() -> None:
    functions = Functions()
    await call(
        functions,
        method="PUT",
        path=b"/url/hello/a%2Fb//c",
        query=b"x=1",
        headers=[(b"host", b"h:9000"), (b"user-agent", b"ua"), (b"content-type", b"text/plain"), (b"x-l", b"\xe9")],
        body=[b"he", b"llo"],
    )
    (asked,) = functions.asked
    event = json.loads(asked.payload)
    assert event["rawPath"] == "/a%2Fb//c"
    assert (event["body"], event["isBase64Encoded"]) == ("hello", False)
    assert event["headers"] == {
        "host": "h:9000",
        "user-agent": "ua",
        "content-type": "text/plain",
        "x-l": "é",
        "x-amzn-trace-id": TRACE,
        "x-forwarded-for": "192.0.2.7",
        "x-forwarded-proto": "http",
        "x-forwarded-port": "9000",
    }
    context = event["requestContext"]
    assert (context["accountId"], context["apiId"], context["domainName"]) == ("anonymous", "abc123", "h:9000")
    assert (context["requestId"], context["timeEpoch"]) == (ID, 1_785_917_679_885)
    assert context["http"]["method"] == "PUT"
    del event
    assert (asked.request_id, asked.function_name, asked.stream, asked.trace_id) == (ID, "hello", False, TRACE)
    assert asked.caller == Caller("123456789012")


@pytest.mark.parametrize(
    ("server", "port"),
    [(("127.0.0.1", 8443), "8443"), (("/run/lambent.sock", None), "80"), (None, "80")],
    ids=["a port", "a Unix socket", "unknown"],
)
async def test_the_function_is_told_the_port(server: object, port: str) -> None:
    functions = Functions()
    await call(functions, scope={"server": server})
    assert json.loads(functions.asked[0].payload)["headers"]["x-forwarded-port"] == port


async def test_the_callers_trace_goes_on() -> None:
    functions = Functions()
    await call(functions, headers=[(b"x-amzn-trace-id", b"Root=1-2")])
    assert functions.asked[0].trace_id == "Root=1-2"
    assert json.loads(functions.asked[0].payload)["headers"]["x-amzn-trace-id"] == "Root=1-2"


async def test_the_path_without_a_slash() -> None:
    functions = Functions()
    await call(functions, path=b"/url/hello")
    assert json.loads(functions.asked[0].payload)["rawPath"] == "/"


async def test_a_name_is_decoded() -> None:
    functions = Functions()
    await call(functions, path=b"/url/h%65llo/")
    assert functions.asked


async def test_by_host_name() -> None:
    functions = Functions()
    host = b"ABC123.lambda-url.eu-west-1.localhost:9000"
    sent = await call(functions, path=b"/a", headers=[(b"accept", b"x"), (b"host", host)])
    assert sent.status == 200
    event = json.loads(functions.asked[0].payload)
    assert event["rawPath"] == "/a"
    assert event["requestContext"]["domainPrefix"] == "abc123"


@pytest.mark.parametrize("path", [b"/", b"/urls/hello/", b"/url/", b"/2015-03-31/functions/url/x"])
async def test_other_requests_are_left_alone(path: bytes) -> None:
    sent = await call(Functions(), path=path, headers=[(b"host", b"127.0.0.1:9000")], served=False)
    assert sent.messages == []


@pytest.mark.parametrize(
    ("url", "path"), [(FunctionUrl(), b"/url/other/"), (None, b"/url/hello/")], ids=["no such function", "no URL"]
)
async def test_where_no_url_is(url: FunctionUrl | None, path: bytes) -> None:
    sent = await call(Functions(), url, path=path)
    assert (sent.status, sent.header["x-amzn-errortype"]) == (404, "ResourceNotFoundException")
    assert sent.header["content-type"] == "application/json"
    assert json.loads(sent.body) == {"Message": f"No function has a URL here: {path.split(b'/')[2].decode()}"}


async def test_the_response_of_the_function() -> None:
    answer = {"statusCode": 201, "headers": {"X-A": "é"}, "cookies": ["a=1", "b=2"], "body": "ü"}
    sent = await call(Functions(outcome(json.dumps(answer).encode())))
    assert (sent.status, sent.body, sent.whole) == (201, "ü".encode(), True)
    assert sent.headers == [
        ("content-type", "application/json"),
        ("x-a", "é"),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("x-amzn-requestid", ID),
        ("content-length", "2"),
    ]


@pytest.mark.parametrize("status", [204, 304])
async def test_a_response_without_a_body_has_no_length(status: int) -> None:
    sent = await call(Functions(outcome(b'{"statusCode": %d, "body": "x"}' % status)))
    assert "content-length" not in sent.header
    assert (sent.status, sent.body) == (status, b"")


async def test_a_bad_response_says_why_in_the_log() -> None:
    with capture_logs() as logs:
        sent = await call(Functions(outcome(b'{"statusCode": 1}')))
    assert (sent.status, sent.body) == INTERNAL
    assert (logs[0]["request_id"], "statusCode" in logs[0]["error"]) == (ID, True)


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (TooManyRequests("Rate Exceeded.", headers={"Retry-After": "1"}), 429, "Rate Exceeded."),
        (ServiceUnavailable("shutting down"), 503, "shutting down"),
        (ResourceNotFound("Function not found"), 404, "Function not found"),
    ],
)
async def test_a_function_that_was_not_reached(error: LambdaError, status: int, message: str) -> None:
    sent = await call(Functions(error))
    assert (sent.status, json.loads(sent.body)) == (status, {"Message": message})
    assert sent.header["x-amzn-errortype"] == error.code
    assert sent.header.get("retry-after") == error.headers.get("Retry-After")


async def test_a_failure_is_told_in_the_log() -> None:
    with capture_logs() as logs:
        await call(Functions(TooManyRequests("Rate Exceeded.")))
    assert logs == [
        {
            "event": "function URL failed",
            "log_level": "warning",
            "request_id": ID,
            "code": "TooManyRequestsException",
            "error": "Rate Exceeded.",
        }
    ]


async def test_a_lost_environment() -> None:
    sent = await call(Functions(ServiceException("lost")))
    assert (sent.status, sent.body) == INTERNAL


async def test_a_request_that_is_too_large() -> None:
    functions = Functions()
    sent = await call(functions, method="POST", body=[b"x" * 4_000_000, b"x" * 3_000_000])
    assert sent.status == 413
    sent = await call(functions, method="POST", body=[b"\xff" * 5_000_000])
    assert sent.status == 413, "too large once it is base64"
    assert functions.asked == []


async def test_the_largest_event_reaches_the_function() -> None:
    """The limit is the event's, which is larger than the request that it is made of."""
    functions = Functions()
    await call(functions, body=[b""], headers=[(b"content-type", b"text/plain")])
    around = len(functions.asked.pop().payload) + len(',"body":""')
    for over, status in ((0, 200), (1, 413)):
        body = b"x" * (REQUEST_BYTES_MAX - around + over)
        sent = await call(functions, body=[body], headers=[(b"content-type", b"text/plain")])
        assert sent.status == status
    assert [len(invocation.payload) for invocation in functions.asked] == [REQUEST_BYTES_MAX]


async def test_the_url_of_an_alias_invokes_the_alias() -> None:
    functions = Functions()
    await call(functions, alias="live")
    await call(functions)
    assert [(asked.function_name, asked.qualifier) for asked in functions.asked] == [("hello", "live"), ("hello", None)]


async def test_a_client_that_hangs_up() -> None:
    urls = FunctionUrls(
        find=lambda name: ServedUrl(FunctionUrl(), "abc123", "hello"),
        invoker=Functions(),
        clock=FixedClock(),
        new_request_id=lambda: ID,
    )

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    with pytest.raises(ClientGone):
        await urls({"method": "GET", "raw_path": b"/url/hello/", "headers": []}, receive, Sent())


IAM = FunctionUrl(auth_type="AWS_IAM")


@pytest.mark.parametrize("headers", [[], [(b"authorization", b"Bearer x")]])
async def test_an_unsigned_call_of_a_url_that_wants_a_signature(headers: list[tuple[bytes, bytes]]) -> None:
    functions = Functions()
    sent = await call(functions, IAM, headers=headers)
    assert (sent.status, sent.header["x-amzn-errortype"]) == (403, "AccessDeniedException")
    assert json.loads(sent.body) == {
        "Message": "Forbidden. For troubleshooting Function URL authorization issues, see: "
        "https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"
    }
    assert functions.asked == []


async def test_a_signed_call() -> None:
    functions = Functions()
    sent = await call(functions, IAM, headers=[(b"authorization", b"AWS4-HMAC-SHA256 Credential=x")])
    assert sent.status == 200
    assert json.loads(functions.asked[0].payload)["requestContext"]["accountId"] == "123456789012"


CORS = Cors(allow_origins=["https://a.example"], allow_methods=["GET"])
ORIGIN = (b"origin", b"https://a.example")
ALLOWED = ("access-control-allow-origin", "https://a.example")


async def test_a_preflight_does_not_run_the_function() -> None:
    functions = Functions()
    asked = [ORIGIN, (b"access-control-request-method", b"GET")]
    sent = await call(functions, FunctionUrl(auth_type="AWS_IAM", cors=CORS), method="OPTIONS", headers=asked)
    assert (sent.status, sent.body, functions.asked) == (200, b"", [])
    assert ALLOWED in sent.headers
    await call(functions, FunctionUrl(), method="OPTIONS", headers=asked)
    assert functions.asked, "without settings the function answers by itself"


@pytest.mark.parametrize(
    "functions",
    [
        Functions(),
        Functions(outcome(b"{}", "Unhandled")),
        Functions(outcome(b'{"statusCode": 1}')),
        Functions(TooManyRequests("Rate Exceeded.")),
        Functions(ServiceException("lost")),
    ],
    ids=["success", "function error", "bad response", "throttled", "lost"],
)
async def test_every_response_has_the_cors_headers(functions: Functions) -> None:
    sent = await call(functions, FunctionUrl(cors=CORS), headers=[ORIGIN])
    assert ALLOWED in sent.headers


async def test_a_refusal_has_them_too() -> None:
    sent = await call(Functions(), FunctionUrl(auth_type="AWS_IAM", cors=CORS), headers=[ORIGIN])
    assert (sent.status, ALLOWED in sent.headers) == (403, True)


STREAMED = FunctionUrl(invoke_mode="RESPONSE_STREAM", cors=CORS)
HEAD = b'{"statusCode": 418, "headers": {"x-a": "b"}, "cookies": ["c=1"]}' + bytes(8)


def stream(*chunks: bytes, type: str = STREAM_HEAD_TYPE, answer: Outcome | LambdaError | None = None) -> Functions:
    return Functions(answer or outcome(b""), type, chunks)


async def test_a_stream_with_a_head() -> None:
    functions = stream(HEAD[:10], HEAD[10:] + b"one", b"two")
    sent = await call(functions, STREAMED, headers=[ORIGIN])
    assert functions.asked[0].stream
    assert (sent.status, sent.body, sent.whole) == (418, b"onetwo", True)
    assert [message["body"] for message in sent.messages[1:]] == [b"one", b"two", b""], "as it came"
    assert sent.headers == [
        ("content-type", "application/json"),
        ("x-a", "b"),
        ("set-cookie", "c=1"),
        ("vary", "Origin"),
        ALLOWED,
        ("x-amzn-requestid", ID),
    ]


async def test_a_stream_without_a_head_of_its_own() -> None:
    sent = await call(stream(b"a", b"", b"b", type="text/event-stream"), STREAMED)
    assert (sent.status, sent.header["content-type"], sent.body) == (200, "text/event-stream", b"ab")
    assert sent.whole


async def test_an_empty_stream() -> None:
    for functions in (stream(type="text/plain"), stream(HEAD)):
        sent = await call(functions, STREAMED)
        assert (sent.status in (200, 418), sent.body, sent.whole) == (True, b"", True)


async def test_a_streamed_status_without_a_body() -> None:
    sent = await call(stream(b'{"statusCode": 204}' + bytes(8) + b"x", b"y"), STREAMED)
    assert (sent.status, sent.body, sent.whole) == (204, b"", True)


async def test_a_function_that_answers_whole_where_a_stream_is_allowed() -> None:
    sent = await call(Functions(outcome(b'{"statusCode": 201, "body": "a"}')), STREAMED)
    assert (sent.status, sent.body, sent.header["content-length"]) == (201, b"a", "1")


async def test_a_streamed_head_that_is_bad_says_why_in_the_log() -> None:
    with capture_logs() as logs:
        await call(stream(b"[]" + bytes(8), b"more"), STREAMED)
    assert [entry["error"] for entry in logs] == ["the head of the streamed response is not an object"]


@pytest.mark.parametrize(
    "functions",
    [
        stream(b"[]" + bytes(8), b"more"),
        stream(b'{"statusCode": 200'),
        stream(answer=outcome(b"", "Unhandled")),
        stream(type="text/plain", answer=outcome(b"", "Unhandled")),
        stream(HEAD[:10], answer=ServiceException("lost")),
    ],
    ids=["bad head", "half a head", "error before the head", "error before the first byte", "lost before the head"],
)
async def test_streams_that_never_began(functions: Functions) -> None:
    with capture_logs() as logs:
        sent = await call(functions, STREAMED, headers=[ORIGIN])
    assert len(logs) <= 1, "said once"
    assert (sent.status, sent.body, sent.whole) == (*INTERNAL, True)
    assert ALLOWED in sent.headers


@pytest.mark.parametrize(
    "answer", [outcome(b"", "Unhandled"), ServiceException("lost")], ids=["function error", "lost"]
)
async def test_a_stream_that_breaks_is_not_ended(answer: Outcome | LambdaError) -> None:
    sent = await call(stream(HEAD + b"half", answer=answer), STREAMED)
    assert (sent.status, sent.body, sent.whole) == (418, b"half", False)
