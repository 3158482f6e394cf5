"""Streamed responses, through the AWS API and through function URLs, from a custom runtime that speaks the Runtime API."""

import http.client
import json
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.platform_process import Platform

BOOTSTRAP = """#!/usr/bin/env python3
import base64, http.client, json, os
connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
while True:
    connection.request("GET", "/2018-06-01/runtime/invocation/next")
    response = connection.getresponse()
    event, id = json.loads(response.read()), response.headers["Lambda-Runtime-Aws-Request-Id"]
    event = json.loads(event["body"]) if "body" in event else event
    connection.putrequest("POST", f"/2018-06-01/runtime/invocation/{id}/response")
    connection.putheader("Lambda-Runtime-Function-Response-Mode", "streaming")
    connection.putheader("Content-Type", event.get("type", "application/octet-stream"))
    connection.putheader("Transfer-Encoding", "chunked")
    if event.get("fails"):
        connection.putheader("Trailer", "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body")
    connection.endheaders()
    if "prelude" in event:
        head = json.dumps(event["prelude"]).encode() + bytes(8)
        connection.send(b"%x\\r\\n%b\\r\\n" % (len(head), head))
    for number in range(event["chunks"]):
        data = (b"%08d" % number) * (event["size"] // 8)
        connection.send(b"%x\\r\\n%b\\r\\n" % (len(data), data))
    connection.send(b"0\\r\\n")
    if event.get("fails"):
        error = base64.b64encode(b'{"errorMessage":"broke off","errorType":"Midway"}').decode()
        connection.send(f"Lambda-Runtime-Function-Error-Type: Midway\\r\\nLambda-Runtime-Function-Error-Body: {error}\\r\\n".encode())
    connection.send(b"\\r\\n")
    connection.getresponse().read()
"""


@pytest.fixture(scope="module")
def streaming(shared_platform: Platform) -> Platform:
    shared_platform.function("stream", {"bootstrap": BOOTSTRAP}, Runtime="provided.al2023", Handler="any", Timeout=30)
    shared_platform.client().create_function_url_config(
        FunctionName="stream", AuthType="NONE", InvokeMode="RESPONSE_STREAM"
    )
    return shared_platform


def body(chunks: int, size: int) -> bytes:
    return b"".join((b"%08d" % number) * (size // 8) for number in range(chunks))


def stream(platform: Platform, event: dict[str, object], **parameters: str) -> tuple[bytes, dict[str, str]]:
    answer = platform.client().invoke_with_response_stream(
        FunctionName="stream", Payload=json.dumps(event).encode(), **parameters
    )
    received: list[bytes] = []
    end: dict[str, str] = {}
    for part in answer["EventStream"]:
        received.append(part.get("PayloadChunk", {}).get("Payload", b""))
        end = part.get("InvokeComplete", end)
    return b"".join(received), end


@pytest.mark.parametrize(("chunks", "size"), [(3, 16), (1, 65_536), (40, 1_048_576)], ids=["small", "one", "40 MB"])
def test_chunks_arrive_whole_and_in_order(streaming: Platform, chunks: int, size: int) -> None:
    received, end = stream(streaming, {"chunks": chunks, "size": size})
    assert received == body(chunks, size)
    assert end == {}


def test_the_log_tail_comes_at_the_end(streaming: Platform) -> None:
    _, end = stream(streaming, {"chunks": 1, "size": 8}, LogType="Tail")
    assert "LogResult" in end


def test_an_error_midway_is_told_at_the_end(streaming: Platform) -> None:
    received, end = stream(streaming, {"chunks": 2, "size": 8, "fails": True})
    assert received == body(2, 8)
    assert end["ErrorCode"] == "Unhandled"
    assert json.loads(end["ErrorDetails"])["errorMessage"] == "broke off"


def test_a_function_that_answers_whole_is_one_chunk(streaming: Platform) -> None:
    streaming.function("whole", "def handler(event, context):\n    return event\n")
    answer = streaming.client().invoke_with_response_stream(FunctionName="whole", Payload=b'{"a": 1}')
    parts = list(answer["EventStream"])
    assert json.loads(parts[0]["PayloadChunk"]["Payload"]) == {"a": 1}
    assert "InvokeComplete" in parts[-1]


def test_a_buffered_invocation_of_a_streaming_function_gets_it_all(streaming: Platform) -> None:
    answer = streaming.client().invoke(FunctionName="stream", Payload=json.dumps({"chunks": 3, "size": 16}).encode())
    assert answer["Payload"].read() == body(3, 16)


def test_more_than_six_megabytes_are_too_many_unless_streamed(streaming: Platform) -> None:
    answer = streaming.client().invoke(
        FunctionName="stream", Payload=json.dumps({"chunks": 7, "size": 1_048_576}).encode()
    )
    assert json.loads(answer["Payload"].read())["errorType"] == "Function.ResponseSizeTooLarge"


@pytest.fixture
def wire(streaming: Platform) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection(streaming.endpoint.removeprefix("http://"), timeout=20)) as made:
        yield made


def test_a_url_streams_with_status_headers_and_cookies(wire: http.client.HTTPConnection) -> None:
    prelude = {"statusCode": 418, "headers": {"X-Kind": "teapot"}, "cookies": ["a=1", "b=2"]}
    kind = "application/vnd.awslambda.http-integration-response"
    event = {"chunks": 20, "size": 4096, "type": kind, "prelude": prelude}
    wire.request("POST", "/url/stream/", body=json.dumps(event), headers={"Content-Type": "application/json"})
    answer = wire.getresponse()
    assert (answer.status, answer.headers["x-kind"]) == (418, "teapot")
    assert answer.headers.get_all("set-cookie") == ["a=1", "b=2"]
    assert answer.read() == body(20, 4096)


def test_a_client_that_leaves_a_stream_costs_nobody_else_anything(
    streaming: Platform, wire: http.client.HTTPConnection
) -> None:
    event = {"chunks": 60, "size": 1_048_576, "type": "application/octet-stream"}
    wire.request("POST", "/url/stream/", body=json.dumps(event), headers={"Content-Type": "application/json"})
    assert wire.getresponse().read(1000)
    wire.close()
    received, _ = stream(streaming, {"chunks": 1, "size": 8})
    assert received == body(1, 8)
