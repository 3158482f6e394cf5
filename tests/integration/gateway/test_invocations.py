"""Invocations through the whole house with real clients: what a caller sends and gets."""

import base64
import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from botocore.exceptions import ClientError

from tests.platform_process import ROLE, Platform, package, wait_for

ECHO = "def handler(event, context):\n    return event\n"


@pytest.fixture(scope="module")
def echo(shared_platform: Platform) -> Platform:
    shared_platform.function("echo", ECHO)
    return shared_platform


@pytest.fixture
def wire(echo: Platform) -> Iterator[http.client.HTTPConnection]:
    """A connection of our own, for what boto3 never does."""
    with closing(http.client.HTTPConnection(echo.endpoint.removeprefix("http://"), timeout=20)) as made:
        made.connect()
        yield made


INVOKE = "/2015-03-31/functions/echo/invocations"


def test_an_event_comes_back_as_it_was_sent(echo: Platform) -> None:
    event = {"hello": "world", "n": [1, 2.5, None, True], "u": "ü☃"}
    answer = echo.invoke("echo", event)
    assert (answer["StatusCode"], answer["ExecutedVersion"], answer.get("FunctionError")) == (200, "$LATEST", None)
    assert answer["Payload"] == event


@pytest.mark.parametrize(
    "name",
    ["echo", "echo:$LATEST", "000000000000:function:echo", "arn:aws:lambda:us-east-1:000000000000:function:echo"],
)
def test_a_function_has_many_names(echo: Platform, name: str) -> None:
    assert echo.invoke(name, {"a": 1})["Payload"] == {"a": 1}


def test_curl_needs_no_headers_and_no_body(wire: http.client.HTTPConnection) -> None:
    wire.request("POST", INVOKE)
    answer = wire.getresponse()
    assert (answer.status, answer.read()) == (200, b"{}")


def test_one_connection_serves_many_requests_of_every_kind(wire: http.client.HTTPConnection) -> None:
    for number in range(3):
        wire.request("POST", INVOKE, body=json.dumps(number))
        assert wire.getresponse().read() == str(number).encode()
        wire.request("GET", "/healthz")
        assert wire.getresponse().read() == b"ok"


def test_pipelined_requests_are_answered_in_order(wire: http.client.HTTPConnection) -> None:
    requests = b"".join(
        f"POST {INVOKE} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n{number}".encode() for number in range(5)
    )
    wire.sock.sendall(requests)
    received = b""
    while received.count(b"HTTP/1.1 200") < 5 or not received.endswith(b"4"):
        received += wire.sock.recv(65536)
    assert [part[-1:] for part in received.split(b"HTTP/1.1 ")[1:]] == [b"0", b"1", b"2", b"3", b"4"]


def test_a_client_that_asks_first_is_told_to_go_on(wire: http.client.HTTPConnection) -> None:
    head = f"POST {INVOKE} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    wire.sock.sendall(head.encode())
    assert wire.sock.recv(1024).startswith(b"HTTP/1.1 100 Continue")
    wire.sock.sendall(b"{}")
    assert wire.sock.recv(1024).startswith(b"HTTP/1.1 200 OK")


def test_a_chunked_body_is_taken(wire: http.client.HTTPConnection) -> None:
    wire.request(
        "POST", INVOKE, body=iter([b'{"a":', b" 1}"]), encode_chunked=True, headers={"Transfer-Encoding": "chunked"}
    )
    assert wire.getresponse().read() == b'{"a": 1}'


def test_a_dry_run_only_checks(echo: Platform) -> None:
    answer = echo.invoke("echo", {}, InvocationType="DryRun")
    assert (answer["StatusCode"], answer["Payload"]) == (204, None)
    with pytest.raises(ClientError, match="Function not found"):
        echo.invoke("nobody", {}, InvocationType="DryRun")


def test_the_log_tail_has_lambdas_lines(echo: Platform) -> None:
    echo.function("speaks", "def handler(event, context):\n    print('spoken', event['n'])\n")
    answer = echo.invoke("speaks", {"n": 1}, LogType="Tail")
    id = answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"]
    lines = base64.b64decode(answer["LogResult"]).decode().splitlines()
    assert lines[:3] == [f"START RequestId: {id} Version: $LATEST", "spoken 1", f"END RequestId: {id}"]
    assert lines[3].startswith(f"REPORT RequestId: {id}\tDuration: ")
    wait_for("the log", lambda: [event for event in echo.logs("speaks") if event["message"] == "spoken 1"])


def test_the_client_context_arrives(echo: Platform) -> None:
    echo.function("context", "def handler(event, context):\n    return context.client_context.custom\n")
    given = base64.b64encode(json.dumps({"custom": {"key": "välue"}}, indent=1).encode()).decode()
    assert echo.invoke("context", {}, ClientContext=given)["Payload"] == {"key": "välue"}


@pytest.mark.parametrize(
    ("parameters", "code", "text"),
    [
        ({"Qualifier": "7"}, "ResourceNotFoundException", "Function not found: .*:echo:7"),
        ({"FunctionName": "echo:8", "Qualifier": "7"}, "InvalidParameterValueException", "derived qualifier"),
        ({"Payload": b'{"a":'}, "InvalidRequestContentException", "Could not parse request body into json"),
        ({"Payload": b'"\x87"'}, "InvalidRequestContentException", "Invalid UTF-8 start byte 0x87"),
        ({"Payload": b"1 2"}, "InvalidRequestContentException", "line: 1, column: 3"),
        ({"ClientContext": "no base64!"}, "InvalidRequestContentException", "Base64-encoded JSON object"),
        ({"ClientContext": "A" * 3584}, "InvalidRequestContentException", "no more than 3583 bytes, got 3584"),
        (
            {"InvocationType": "Wish"},
            "ValidationException",
            r"Value 'Wish' at 'invocationType' .*\[Event, RequestResponse, DryRun\]",
        ),
        ({"LogType": "Head"}, "ValidationException", r"Value 'Head' at 'logType' .*\[None, Tail\]"),
        ({"Payload": b'"%s"' % (b"x" * 6_291_556)}, "RequestTooLargeException", "6291556 bytes"),
        (
            {"InvocationType": "Event", "Payload": b'"%s"' % (b"x" * 1_048_576)},
            "RequestTooLargeException",
            "1048576 bytes",
        ),
        (
            {"FunctionName": "arn:aws:lambda:eu-west-1:000000000000:function:echo"},
            "ResourceNotFoundException",
            "Functions from 'eu-west-1' are not reachable",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_a_caller_gets_wrong(echo: Platform, parameters: dict[str, object], code: str, text: str) -> None:
    client = echo.client(parameter_validation=False)
    with pytest.raises(ClientError, match=text) as caught:
        client.invoke(**{"FunctionName": "echo", **parameters})
    assert caught.value.response["Error"]["Code"] == code
    assert echo.invoke("echo", {"still": "serving"})["Payload"] == {"still": "serving"}


def test_a_runtime_that_is_not_here_is_named(echo: Platform) -> None:
    echo.function("other", ECHO, Runtime="java21")
    with pytest.raises(
        ClientError, match=r"Runtime java21 of function other is not available here\. This machine runs"
    ) as caught:
        echo.invoke("other")
    assert caught.value.response["Error"]["Code"] == "InvalidRuntimeException"


def test_a_client_that_hangs_up_costs_nobody_else_anything(echo: Platform, wire: http.client.HTTPConnection) -> None:
    echo.function("slow", "import time\ndef handler(event, context):\n    time.sleep(0.3)\n    print('done')\n")
    wire.request("POST", "/2015-03-31/functions/slow/invocations", body="{}")
    wire.close()
    assert echo.invoke("echo", {"a": 1})["Payload"] == {"a": 1}
    wait_for("the function to finish all the same", lambda: "done" in {event["message"] for event in echo.logs("slow")})
    wait_for("nothing to be left running", lambda: echo.metric("lambent_concurrent_executions") == 0)


def test_functions_may_call_functions_without_knowing_where_they_are(echo: Platform) -> None:
    source = (
        "import boto3, json\n"
        "def handler(event, context):\n"
        "    answer = boto3.client('lambda').invoke(FunctionName='echo', Payload=json.dumps(event))\n"
        "    return json.loads(answer['Payload'].read())\n"
    )
    echo.function("caller", source, Timeout=30)
    assert echo.invoke("caller", {"through": "two"})["Payload"] == {"through": "two"}


def test_awss_own_runtime_client_runs_the_same_handler(echo: Platform) -> None:
    source = "import sys\ndef handler(event, context):\n    return [event, 'awslambdaric' in sys.modules]\n"
    echo.function("official", source, Environment={"Variables": {"LAMBENT_RUNTIME_CLIENT": "awslambdaric"}})
    assert echo.invoke("official", {"a": 1})["Payload"] == [{"a": 1}, True]


def test_a_pre_started_runtime_that_is_put_aside_ends_nothing_but_itself(echo: Platform) -> None:
    """Its closing socket once armed a timer that killed the runtime started in its place, a second later."""
    source = "import time\ndef handler(event, context):\n    time.sleep(2)\n    return 'whole'\n"
    echo.function("patient", source, Timeout=20, Environment={"Variables": {"PYTHONOPTIMIZE": "1"}})
    assert echo.invoke("patient")["Payload"] == "whole"


def test_many_callers_each_get_their_own_answer(echo: Platform) -> None:
    client = echo.client()

    def call(number: int) -> int:
        return int(client.invoke(FunctionName="echo", Payload=str(number))["Payload"].read())

    with ThreadPoolExecutor(16) as callers:
        assert list(callers.map(call, range(400))) == list(range(400))


def test_an_update_is_served_by_new_environments(platform: Platform) -> None:
    client = platform.client()
    platform.function("f", "def handler(event, context):\n    return 1\n")
    assert platform.invoke("f")["Payload"] == 1
    client.update_function_code(
        FunctionName="f", ZipFile=package({"app.py": "def handler(event, context):\n    return 2\n"})
    )
    client.get_waiter("function_updated_v2").wait(FunctionName="f", WaiterConfig={"Delay": 1})
    assert platform.invoke("f")["Payload"] == 2
    client.update_function_configuration(FunctionName="f", Environment={"Variables": {"KEY": "b"}}, Role=ROLE)
    client.get_waiter("function_updated_v2").wait(FunctionName="f", WaiterConfig={"Delay": 1})
    assert platform.invoke("f")["Payload"] == 2
    client.delete_function(FunctionName="f")
    with pytest.raises(ClientError, match="Function not found"):
        platform.invoke("f")
    wait_for("its environments to go", lambda: platform.metric("lambent_environments", function="f") == 0)
