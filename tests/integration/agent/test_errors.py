"""Errors that handlers and their modules end with, and how a runtime that ends is told: the same with both clients."""

from __future__ import annotations

import re

import pytest
from agent_gateway import Start

from lambent_core.link import ReportStatus

FIRST = "00000000-0000-0000-0000-000000000001"


async def test_a_handler_raises(start: Start, client: str) -> None:
    source = """class CustomError(Exception):
    pass

def inner():
    raise CustomError('some error')

def handler(event, context):
    inner()
"""
    gateway = await start(source, client=client)
    answer = await gateway.invoke()
    trace = answer.value["stackTrace"]
    assert answer.value | {"stackTrace": None} == {
        "errorMessage": "some error",
        "errorType": "CustomError",
        "requestId": FIRST,
        "stackTrace": None,
    }
    assert [re.sub(r'".*/', '"', line) for line in trace] == [
        '  File "app.py", line 8, in handler\n    inner()\n',
        "  File \"app.py\", line 5, in inner\n    raise CustomError('some error')\n",
    ]
    assert (answer.ended.status, answer.ended.error_type) == (ReportStatus.ERROR, "CustomError")
    assert answer.log.decode().startswith(
        "[ERROR] CustomError: some error\rTraceback (most recent call last):\r\u00a0\u00a0File "
    )
    assert answer.log.endswith(b"\n")
    assert answer.log.count(b"\n") == 1


@pytest.mark.parametrize(
    ("source", "handler", "error_type", "message"),
    [
        ("", "app.missing", "Runtime.HandlerNotFound", "Handler 'missing' missing on module 'app'"),
        (
            "",
            "nothing.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'nothing': No module named 'nothing'",
        ),
        (
            "import nosuch",
            "app.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'app': No module named 'nosuch'",
        ),
        (
            "def handler(:\n",
            "app.handler",
            "Runtime.UserCodeSyntaxError",
            "Syntax error in module 'app': invalid syntax (app.py, line 1)",
        ),
        (
            "",
            "handler",
            "Runtime.MalformedHandlerName",
            "Bad handler 'handler': not enough values to unpack (expected 2, got 1)",
        ),
        ("", "sys.exit", "Runtime.BuiltInModuleConflict", "Cannot use built-in module sys as a handler module"),
        ("raise ValueError('startup fails')", "app.handler", "ValueError", "startup fails"),
    ],
    ids=["no function", "no module", "import inside", "syntax", "malformed", "built-in", "raises"],
)
async def test_a_module_that_can_not_be_used(
    start: Start, client: str, source: str, handler: str, error_type: str, message: str
) -> None:
    """The first init fails; an invocation runs init again and answers with its error. And again with the next."""
    gateway = await start(source, client=client, handler=handler)
    assert (gateway.init["status"], gateway.init["errorType"]) == ("error", error_type)
    for _ in range(2):
        answer = await gateway.invoke()
        value = answer.value
        assert (value["errorMessage"], value["errorType"], value["requestId"]) == (message, error_type, "")
        assert (answer.ended.status, answer.ended.error_type) == (ReportStatus.ERROR, error_type)
        assert answer.ended.init_ns > 0
        assert f"[ERROR] {error_type}: ".encode() in answer.log
        assert b"LAMBDA_WARNING: Unhandled exception." in answer.log


async def test_the_stack_trace_of_an_init_error(start: Start, client: str) -> None:
    gateway = await start("raise Exception('startup fails')\n", client=client)
    trace = (await gateway.invoke()).value["stackTrace"]
    assert re.search(r'File ".*/importlib/__init__.py", line \d+, in import_module', trace[0])
    assert trace[-1].endswith("/app.py\", line 1, in <module>\n    raise Exception('startup fails')\n")
    assert not [line for line in trace if "bootstrap.py" in line or "lambent_runtime" in line]


@pytest.mark.parametrize(
    ("statement", "how"),
    [
        ("sys.exit(0)", "Runtime exited without providing a reason"),
        ("sys.exit(3)", "Runtime exited with error: exit status 3"),
        ("os._exit(127)", "Runtime exited with error: exit status 127"),
        ("os.kill(os.getpid(), 9)", "Runtime exited with error: signal: killed"),
        ("os.kill(os.getpid(), 11)", "Runtime exited with error: signal: segmentation fault"),
    ],
)
@pytest.mark.parametrize("where", ["init", "invoke"])
async def test_the_process_ends(start: Start, client: str, where: str, statement: str, how: str) -> None:
    body = f"import os, sys\nprint('said before', flush=True)\n{statement}\n"
    source = (
        body
        if where == "init"
        else "def handler(event, context):\n" + "".join(f"    {line}\n" for line in body.splitlines())
    )
    gateway = await start(source, client=client)
    assert gateway.init["status"] == ("error" if where == "init" else "success")
    for number in (1, 2):
        answer = await gateway.invoke()
        request = f"00000000-0000-0000-0000-{number:012}"
        assert answer.value == {"errorType": "Runtime.ExitError", "errorMessage": f"RequestId: {request} Error: {how}"}
        assert (answer.ended.status, answer.ended.error_type) == (ReportStatus.FAILURE, "Runtime.ExitError")
        assert b"said before\n" in answer.log
        assert (answer.ended.init_ns > 0) == (where == "init" or number == 2)


async def test_an_exception_that_is_no_exception(start: Start, client: str) -> None:
    gateway = await start("def handler(event, context):\n    raise KeyboardInterrupt\n", client=client)
    answer = await gateway.invoke()
    assert answer.error_type == "Runtime.ExitError"
    assert b"KeyboardInterrupt" in answer.log


async def test_a_timeout_ends_the_process_and_keeps_tmp(start: Start, client: str, mounts: bool) -> None:
    source = """
import os, time, tempfile
number = 0
path = tempfile.gettempdir() + "/kept"
def handler(event, context):
    global number
    if event == "sleep":
        number = 42
        open(path, "w").write("kept")
        print("going to sleep", flush=True)
        time.sleep(60)
    return [number, open(path).read()]
"""
    gateway = await start(source, client=client, timeout_ms=4000)
    answer = await gateway.invoke("sleep")
    assert answer.value == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {FIRST} Error: Task timed out after 4.00 seconds",
    }
    assert (answer.ended.status, answer.ended.error_type) == (ReportStatus.TIMEOUT, "Sandbox.Timedout")
    assert answer.ended.duration_ns >= 4_000_000_000
    assert answer.log == b"going to sleep\n"
    answer = await gateway.invoke("read")
    assert answer.value == [0, "kept"]
    assert answer.ended.init_ns > 0
    assert (await gateway.invoke("read")).ended.init_ns == 0


async def test_an_init_that_never_ends(start: Start, client: str) -> None:
    gateway = await start("while True: pass\n", client=client, init_timeout_ms=300, timeout_ms=400)
    assert gateway.init["status"] == "timeout"
    answer = await gateway.invoke()
    assert answer.value["errorMessage"] == f"RequestId: {FIRST} Error: Task timed out after 0.40 seconds"
    assert answer.ended.status == ReportStatus.TIMEOUT


async def test_a_wrapper_runs_the_runtime(start: Start, client: str) -> None:
    files: dict[str, str | bytes] = {
        "wrapper": '#!/bin/sh\nexport WRAPPED=yes\nexec "$@"\n',
        "app.py": "import os\ndef handler(event, context):\n    return os.environ['WRAPPED']\n",
    }
    variables = {"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/wrapper"}
    gateway = await start(files=files, client=client, variables=variables)
    assert (await gateway.invoke()).value == "yes"


async def test_a_wrapper_that_is_missing(start: Start, client: str) -> None:
    variables = {"AWS_LAMBDA_EXEC_WRAPPER": "/no/such/wrapper"}
    gateway = await start("def handler(event, context):\n    pass\n", client=client, variables=variables)
    answer = await gateway.invoke()
    assert answer.value == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {FIRST} Error: Runtime exited with error: exit status 127",
    }
