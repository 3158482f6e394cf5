"""The Runtime API as a custom runtime sees it: statuses, headers, bodies, states, streams."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from agent_gateway import ARN, PYTHON, Gateway, Start

from lambent_core.link import InvokeHead, ReportStatus

SOURCE = (Path(__file__).parent / "provided.py").read_text().replace("#!/usr/bin/env python3", f"#!{PYTHON}")
RUNTIME = {"protocol": "api", "command": ["/var/task/bootstrap"]}
OK = [202, '{"status":"OK"}\n']


async def provided(start: Start, **options: Any) -> Gateway:
    return await start(files={"bootstrap": SOURCE}, prestart=False, runtime=RUNTIME, **options)


def script(*lines: str) -> dict[str, str]:
    return {"run": "\n".join(lines)}


def refused(state: str, wanted: str) -> str:
    return (
        f'{{"errorMessage":"State transition from {state} to {wanted} failed for runtime. '
        'Error: State transition is not allowed","errorType":"InvalidStateTransition"}\n'
    )


async def test_the_event_and_its_headers(start: Start) -> None:
    gateway = await provided(start)
    head = InvokeHead("id-1", ARN, "Root=1", '{"a":1}', '{"b":2}', "tenant")
    value = (await gateway.invoke(script("answer = headers"), head=head, timeout_ms=5000)).value
    assert int(value.pop("lambda-runtime-deadline-ms")) > 1_700_000_000_000
    assert value.pop("content-length")
    assert value == {
        "content-type": "application/json",
        "lambda-runtime-aws-request-id": "id-1",
        "lambda-runtime-invoked-function-arn": ARN,
        "lambda-runtime-trace-id": "Root=1",
        "lambda-runtime-client-context": '{"a":1}',
        "lambda-runtime-cognito-identity": '{"b":2}',
        "lambda-runtime-aws-tenant-id": "tenant",
    }


async def test_calls_before_the_first_next(start: Start) -> None:
    gateway = await provided(start, variables={"EARLY": "1"})
    value = (await gateway.invoke(script("answer = [[s, b.decode()] for s, h, b in seen]"))).value
    assert value == [
        [403, refused("RuntimeStarted", "RuntimeInvocationResponse")],
        [200, "pong"],
        [404, "404 page not found\n"],
        [404, "404 page not found\n"],
        [405, ""],
    ]


async def test_an_answer_for_another_invocation(start: Start) -> None:
    gateway = await provided(start)
    run = script(
        "r = [c.call('POST', BASE + '/invocation/other/' + k, b'1') for k in ('response', 'error')]",
        "answer = [[s, b.decode()] for s, h, b in r]",
    )
    assert (await gateway.invoke(run)).value == [
        [400, '{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}\n']
    ] * 2


async def test_next_again_gives_the_same_event(start: Start) -> None:
    gateway = await provided(start)
    run = script(
        "other = Connection()",
        "s, h, b = other.call('GET', BASE + '/invocation/next')",
        "answer = [s, h['lambda-runtime-aws-request-id'] == request]",
    )
    assert (await gateway.invoke(run)).value == [200, True]


async def test_a_second_answer_and_a_late_init_error(start: Start) -> None:
    gateway = await provided(start)
    run = script(
        "seen.append(c.call('POST', url + '/response', b'1'))",
        "seen.append(c.call('POST', url + '/response', b'2'))",
        "seen.append(c.call('POST', url + '/error', b'{}'))",
        "seen.append(c.call('POST', BASE + '/init/error', b'{}'))",
    )
    answer = await gateway.invoke(run)
    assert answer.payload == b"1"
    seen = (await gateway.invoke(script("answer = [[s, b.decode()] for s, h, b in seen]"))).value
    assert seen == [
        OK,
        [403, refused("RuntimeResponseSent", "RuntimeInvocationResponse")],
        [403, refused("RuntimeResponseSent", "RuntimeInvocationErrorResponse")],
        [403, refused("RuntimeResponseSent", "RuntimeInitError")],
    ]


async def test_an_error(start: Start) -> None:
    gateway = await provided(start)
    run = script(
        "c.call('POST', url + '/error', b'{\"errorMessage\":\"m\"}', Lambda_Runtime_Function_Error_Type='Mine.Error')"
    )
    answer = await gateway.invoke(run)
    assert (answer.error_type, answer.payload, answer.ended.status) == (
        "Mine.Error",
        b'{"errorMessage":"m"}',
        ReportStatus.ERROR,
    )


async def test_an_init_error(start: Start) -> None:
    gateway = await provided(start, variables={"INIT_ERROR": "1"})
    assert (gateway.init["status"], gateway.init["errorType"]) == ("error", "Mine")
    answer = await gateway.invoke(script())
    assert (answer.error_type, answer.payload) == ("Mine", b'{"errorMessage":"no","errorType":"Mine"}')


async def test_responses_above_the_limit(start: Start) -> None:
    gateway = await provided(start)
    chunked = (
        "c.send('POST %s/response HTTP/1.1\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n' % url)",
        "[c.send(b'100000\\r\\n' + b'x' * 0x100000 + b'\\r\\n') for _ in range(7)]",
        "c.send('0\\r\\n\\r\\n')",
        "seen.append(c.reply())",
    )
    for run in (script("seen.append(c.call('POST', url + '/response', b'x' * 6291557))"), script(*chunked)):
        answer = await gateway.invoke(run)
        assert answer.error_type == "Function.ResponseSizeTooLarge"
    expected = '{"errorMessage":"Exceeded maximum allowed payload size (6291556 bytes).","errorType":"RequestEntityTooLarge"}\n'
    assert (await gateway.invoke(script("answer = [[s, b.decode()] for s, h, b in seen]"))).value == [
        [413, expected]
    ] * 2


async def test_ways_to_send_a_body(start: Start) -> None:
    gateway = await provided(start)
    expect = script(
        "c.send('POST %s/response HTTP/1.1\\r\\nContent-Length: 3\\r\\nExpect: 100-continue\\r\\n\\r\\n' % url)",
        "assert c.socket.recv(100) == b'HTTP/1.1 100 Continue\\r\\n\\r\\n'",
        "c.send('\"a\"')",
        "c.reply()",
    )
    assert (await gateway.invoke(expect)).payload == b'"a"'
    bytewise = script(
        "import time",
        "head = 'POST %s/response HTTP/1.1\\r\\nTRANSFER-encoding: Chunked\\r\\n\\r\\n' % url",
        "text = head + '2;ext=1\\r\\n\"b\\r\\n1\\r\\n\"\\r\\n0\\r\\nX-Y: z\\r\\n\\r\\n'",
        "[c.send(ch) for ch in text]",
        "c.reply()",
    )
    assert (await gateway.invoke(bytewise)).payload == b'"b"'


STREAM = (
    "c.send('POST %s/response HTTP/1.1\\r\\nLambda-Runtime-Function-Response-Mode: streaming\\r\\nContent-Type: text/x\\r\\n"
    "Transfer-Encoding: chunked\\r\\nTrailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\\r\\n\\r\\n' % url)",
    "c.send('3\\r\\none\\r\\n')",
    "c.send('3\\r\\ntwo\\r\\n')",
)


async def test_a_stream(start: Start) -> None:
    gateway = await provided(start)
    answer = await gateway.invoke(script(*STREAM, "c.send('0\\r\\n\\r\\n')", "c.reply()"), stream=True)
    assert (answer.content_type, b"".join(answer.chunks), answer.stream_error) == ("text/x", b"onetwo", None)
    assert answer.ended.status == ReportStatus.SUCCESS


async def test_a_stream_nobody_asked_for(start: Start) -> None:
    gateway = await provided(start)
    answer = await gateway.invoke(script(*STREAM, "c.send('0\\r\\n\\r\\n')", "c.reply()"))
    assert (answer.content_type, answer.payload) == (None, b"onetwo")


async def test_a_whole_response_where_a_stream_was_welcome(start: Start) -> None:
    gateway = await provided(start)
    assert (await gateway.invoke(script("answer = 5"), stream=True)).payload == b"5"


async def test_a_stream_that_ends_with_an_error(start: Start) -> None:
    gateway = await provided(start)
    error = b'{"errorMessage":"half way","errorType":"Late"}'
    trailers = (
        "c.send('0\\r\\nLambda-Runtime-Function-Error-Type: Late\\r\\nLambda-Runtime-Function-Error-Body: "
        + base64.b64encode(error).decode()
        + "\\r\\n\\r\\n')"
    )
    answer = await gateway.invoke(script(*STREAM, trailers, "c.reply()"), stream=True)
    assert (b"".join(answer.chunks), answer.stream_error) == (b"onetwo", ("Late", error))
    assert (answer.ended.status, answer.ended.error_type) == (ReportStatus.ERROR, "Late")
    answer = await gateway.invoke(script(*STREAM, trailers, "c.reply()"))
    assert (answer.error_type, answer.payload) == ("Late", error)


async def test_a_stream_whose_runtime_dies(start: Start) -> None:
    gateway = await provided(start)
    answer = await gateway.invoke(script(*STREAM, "import os", "os._exit(1)"), stream=True)
    assert b"".join(answer.chunks) == b"onetwo"
    assert answer.stream_error is not None
    assert answer.stream_error[0] in ("Runtime.TruncatedResponse", "Runtime.ExitError")
    assert answer.ended.status == ReportStatus.FAILURE
    assert (await gateway.invoke(script("answer = 1"))).value == 1


async def test_a_stream_that_takes_too_long(start: Start) -> None:
    gateway = await provided(start, timeout_ms=500)
    answer = await gateway.invoke(script(*STREAM, "import time", "time.sleep(60)"), stream=True)
    assert answer.stream_error is not None
    assert answer.stream_error[0] == "Sandbox.Timedout"
    assert answer.ended.status == ReportStatus.TIMEOUT


async def test_a_mode_that_does_not_exist(start: Start) -> None:
    gateway = await provided(start)
    run = script(
        "s, h, b = c.call('POST', url + '/response', b'1', Lambda_Runtime_Function_Response_Mode='mixed')",
        "answer = [s, b.decode()]",
    )
    expected = '{"errorMessage":"Invalid function response mode","errorType":"InvalidFunctionResponseMode"}\n'
    assert (await gateway.invoke(run)).value == [400, expected]


async def test_a_large_stream_with_a_slow_reader(start: Start) -> None:
    gateway = await provided(start)
    run = script(
        STREAM[0],
        "[c.send(b'100000\\r\\n' + b'y' * 0x100000 + b'\\r\\n') for _ in range(40)]",
        "c.send('0\\r\\n\\r\\n')",
        "c.reply()",
    )
    answer = await gateway.invoke(run, stream=True)
    assert sum(map(len, answer.chunks)) == 40 << 20
    text = Path(f"/proc/{gateway.hello['pid']}/status").read_text()
    assert int(text.split("VmHWM:")[1].split()[0]) < 20_000


async def test_a_runtime_that_talks_nonsense(start: Start) -> None:
    gateway = await provided(start)
    run = script(
        "other = Connection()",
        "other.send('no http at all\\r\\n\\r\\n')",
        "first = other.reply()[0]",
        "other = Connection()",
        "other.send(b'POST %s/response HTTP/1.1\\r\\nContent-Length: -5\\r\\n\\r\\n' % url.encode())",
        "answer = [first, other.reply()[0]]",
    )
    assert (await gateway.invoke(run)).value == [400, 400]


async def test_the_bootstrap_may_be_a_layers_and_the_functions_own_comes_first(start: Start) -> None:
    layers: list[dict[str, str | bytes]] = [{"bootstrap": SOURCE}, {"other": ""}]
    gateway = await start(files={"readme": ""}, layers=layers, prestart=False, runtime=RUNTIME)
    assert (await gateway.invoke(script("answer = 1"))).value == 1
    own = SOURCE.replace("main()\n", "os.environ['OWN'] = 'yes'\nmain()\n")
    gateway = await start(files={"bootstrap": own}, layers=layers, prestart=False, runtime=RUNTIME)
    assert (await gateway.invoke(script("import os; answer = os.environ['OWN']"))).value == "yes"


async def test_no_bootstrap_in_the_package(start: Start) -> None:
    gateway = await start(files={"readme": "nothing to run"}, prestart=False, runtime=RUNTIME)
    assert (gateway.init["status"], gateway.init["errorType"]) == ("error", "Runtime.InvalidEntrypoint")
    answer = await gateway.invoke({})
    assert answer.error_type == "Runtime.InvalidEntrypoint"
    assert answer.value["errorMessage"].startswith("RequestId: 00000000-0000-0000-0000-000000000001 Error: ")
