"""What a Python handler sees and what becomes of its result: the same with both clients."""

from __future__ import annotations

import ctypes
import json
from pathlib import Path

import pytest
from agent_gateway import ARN, Start

from lambent_core.link import InvokeHead, ReportStatus

ECHO = "def handler(event, context):\n    return event\n"


@pytest.mark.parametrize(
    "event",
    [{}, {"a": [1, 2.5, None, True]}, "text", 7, None, [], {"u": "ü☃😀\u2028"}, {"big": 2**70, "deep": [[[[]]]]}],
    ids=["empty", "object", "text", "number", "null", "list", "unicode", "big number"],
)
async def test_an_event_comes_back(start: Start, client: str, event: object) -> None:
    gateway = await start(ECHO, client=client)
    answer = await gateway.invoke(event)
    assert answer.value == event
    assert (answer.ended.status, answer.ended.error_type, answer.ended.init_ns) == (ReportStatus.SUCCESS, "", 0)
    assert answer.ended.memory_max_bytes > 1_000_000
    assert answer.ended.duration_ns > 0


async def test_unicode_is_not_escaped_by_newer_runtimes(start: Start, client: str) -> None:
    gateway = await start(ECHO, client=client)
    assert (await gateway.invoke("ü")).payload == '"ü"'.encode()


async def test_unicode_is_escaped_by_older_runtimes(start: Start, client: str) -> None:
    gateway = await start(ECHO, client=client, variables={"AWS_EXECUTION_ENV": "AWS_Lambda_python3.11"})
    assert (await gateway.invoke("ü")).payload == b'"\\u00fc"'


async def test_large_payloads_both_ways(start: Start, client: str) -> None:
    gateway = await start(ECHO, client=client)
    event = "x" * 6_000_000
    assert (await gateway.invoke(event)).value == event
    assert (await gateway.invoke("y" * 3_000_000)).value == "y" * 3_000_000
    assert (await gateway.invoke(1)).value == 1


async def test_a_response_above_the_limit(start: Start, client: str) -> None:
    gateway = await start("def handler(event, context):\n    return 'a' * event\n", client=client)
    for _ in range(2):
        answer = await gateway.invoke(7_340_032)
        assert answer.error_type == "Function.ResponseSizeTooLarge"
        assert answer.value == {
            "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
            "errorType": "Function.ResponseSizeTooLarge",
        }
        assert answer.ended.status != ReportStatus.SUCCESS
    assert (await gateway.invoke(6_291_456)).payload == b'"' + b"a" * 6_291_456 + b'"'
    assert (await gateway.invoke(3)).value == "aaa"


async def test_results_that_need_the_official_encoder(start: Start, client: str) -> None:
    source = """
import decimal, enum, collections
Point = collections.namedtuple("Point", "x y")
class Color(enum.IntEnum):
    RED = 3
def handler(event, context):
    numbers = {"d": decimal.Decimal("1.10"), "n": decimal.Decimal("NaN"), "p": Point(1, (2, 3))}
    return {**numbers, "b": b"bytes", b"k": 1, 1.5: True, None: Color.RED}
"""
    gateway = await start(source, client=client)
    expected = b'{"d": 1.10, "n": NaN, "p": {"x": 1, "y": [2, 3]}, "b": "bytes", "k": 1, "1.5": true, "null": 3}'
    assert (await gateway.invoke()).payload == expected


async def test_bytes_are_the_response_as_they_are(start: Start, client: str) -> None:
    gateway = await start("def handler(event, context):\n    return b'\\x00raw\\xff'\n", client=client)
    assert (await gateway.invoke()).payload == b"\x00raw\xff"


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("object", "Object of type type is not JSON serializable"),
        ("{1, 2}", "Object of type set is not JSON serializable"),
        ("{(1, 2): 3}", "keys must be str, int, float, bool or None, not tuple"),
    ],
)
async def test_a_result_that_is_no_json(start: Start, client: str, expression: str, message: str) -> None:
    gateway = await start(f"def handler(event, context):\n    return {expression}\n", client=client)
    answer = await gateway.invoke()
    assert answer.value == {
        "errorMessage": f"Unable to marshal response: {message}",
        "errorType": "Runtime.MarshalError",
        "requestId": "00000000-0000-0000-0000-000000000001",
        "stackTrace": [],
    }
    assert (answer.ended.status, answer.ended.error_type) == (ReportStatus.ERROR, "Runtime.MarshalError")


CONTEXT = """
def fields(thing, names):
    return None if thing is None else {name: getattr(thing, name) for name in names}
def handler(event, context):
    c = context.client_context
    return {
        **fields(context, ["aws_request_id", "log_group_name", "log_stream_name", "function_name", "memory_limit_in_mb",
                           "function_version", "invoked_function_arn", "tenant_id"]),
        "client": c and fields(c.client, ["installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name"]),
        "custom": c and c.custom, "env": c and c.env,
        "identity": fields(context.identity, ["cognito_identity_id", "cognito_identity_pool_id"]),
        "remaining": context.get_remaining_time_in_millis(), "w3c": context.w3c(), "repr": repr(context),
    }
"""


async def test_the_context_object(start: Start, client: str) -> None:
    gateway = await start(CONTEXT, client=client)
    head = InvokeHead(
        "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
        ARN + ":live",
        "Root=1-a",
        '{"client": {"installation_id": "i", "app_title": "t"}, "custom": {"k": "v"}, "env": {"locale": "de"},'
        ' "w3c": {"traceparent": "00-1-2-3", "other": "no"}}',
        '{"cognitoIdentityId": "id", "cognitoIdentityPoolId": "pool"}',
        "tenant-1",
    )
    value = (await gateway.invoke(head=head)).value
    remaining = value.pop("remaining")
    text = value.pop("repr")
    assert 8_000 < remaining <= 10_000
    assert text.startswith(
        "LambdaContext([aws_request_id=8476a536-e9f4-11e8-9739-2dfe598c3fcd,log_group_name=/aws/lambda/test,"
    )
    assert value == {
        "aws_request_id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
        "log_group_name": "/aws/lambda/test",
        "log_stream_name": "2026/01/01/[$LATEST]0123456789abcdef0123456789abcdef",
        "function_name": "test",
        "memory_limit_in_mb": "128",
        "function_version": "$LATEST",
        "invoked_function_arn": ARN + ":live",
        "tenant_id": "tenant-1",
        "client": {
            "installation_id": "i",
            "app_title": "t",
            "app_version_name": None,
            "app_version_code": None,
            "app_package_name": None,
        },
        "custom": {"k": "v"},
        "env": {"locale": "de"},
        "identity": {"cognito_identity_id": "id", "cognito_identity_pool_id": "pool"},
        "w3c": {"traceparent": "00-1-2-3"},
    }


async def test_a_context_without_the_optional_parts(start: Start, client: str) -> None:
    gateway = await start(CONTEXT, client=client)
    value = (await gateway.invoke()).value
    assert (value["client"], value["custom"], value["env"], value["tenant_id"]) == (None, None, None, None)
    assert value["identity"] == {"cognito_identity_id": None, "cognito_identity_pool_id": None}


async def test_client_context_that_is_no_json(start: Start, client: str) -> None:
    gateway = await start(ECHO, client=client)
    answer = await gateway.invoke(head=InvokeHead("id-1", ARN, client_context="{nonsense"))
    assert answer.error_type == "Runtime.LambdaContextUnmarshalError"
    assert answer.value["errorMessage"].startswith("Unable to parse Client Context JSON: Expecting property name")


async def test_the_trace_id_is_the_invocations(start: Start, client: str) -> None:
    gateway = await start(
        "import os\ndef handler(event, context):\n    return os.environ.get('_X_AMZN_TRACE_ID')\n", client=client
    )
    ids = ["Root=1-a", "Root=1-b", "", "Root=1-c"]
    seen = [(await gateway.invoke(head=InvokeHead(f"id-{i}", ARN, trace))).value for i, trace in enumerate(ids)]
    assert seen == ["Root=1-a", "Root=1-b", None, "Root=1-c"]


@pytest.mark.parametrize("handler", ["app.handler", "package/module.function", "package.module.function"])
async def test_where_a_handler_can_be(start: Start, client: str, handler: str) -> None:
    files: dict[str, str | bytes] = {
        "app.py": ECHO,
        "package/__init__.py": "",
        "package/module.py": ECHO.replace("handler(", "function("),
    }
    gateway = await start(files=files, client=client, handler=handler)
    assert (await gateway.invoke("here")).value == "here"


async def test_globals_live_as_long_as_the_environment(start: Start, client: str) -> None:
    gateway = await start(
        "calls = []\ndef handler(event, context):\n    calls.append(event)\n    return calls\n", client=client
    )
    await gateway.invoke(1)
    assert (await gateway.invoke(2)).value == [1, 2]


async def test_the_variables_and_places(start: Start, client: str, mounts: bool) -> None:
    source = """
import os, sys
def handler(event, context):
    return {"variables": dict(os.environ), "cwd": os.getcwd(), "path": sys.path, "file": __file__, "limits": os.sysconf("SC_OPEN_MAX")}
"""
    gateway = await start(source, client=client, variables={"FOO": "bar"})
    value = (await gateway.invoke()).value
    environment = gateway.folder / "environment"
    task = "/var/task" if mounts else str(environment / "task")
    variables = value["variables"]
    assert variables["LAMBDA_TASK_ROOT"] == variables["PWD"] == task
    assert variables["LAMBDA_RUNTIME_DIR"] == ("/var/runtime" if mounts else str(gateway.folder / "runtime"))
    assert (variables["_HANDLER"], variables["FOO"], variables["AWS_REGION"]) == ("app.handler", "bar", "us-east-1")
    assert variables["AWS_LAMBDA_RUNTIME_API"].startswith("127.0.0.1:")
    assert not [name for name in variables if name.startswith("LAMBENT_")]
    assert value["file"] == f"{task}/app.py"
    assert task in value["path"]
    assert value["limits"] == 1024
    if mounts:
        assert value["cwd"] == "/var/task"
        assert "TMPDIR" not in variables
    else:
        assert variables["TMPDIR"] == str(environment / "tmp")


async def test_variables_that_its_container_was_given(start: Start, client: str) -> None:
    """By a Secret or a cloud's webhook, say. What the platform makes up gives way to them, and the function's own comes over them."""
    source = "import os\ndef handler(event, context):\n    return dict(os.environ)\n"
    given = {"AWS_ACCESS_KEY_ID": "a Secret's", "AZURE_CLIENT_ID": "a webhook's", "AWS_REGION": "eu-central-1"}
    made_up = {
        "AWS_ACCESS_KEY_ID": "LAMBENTLOCAL00000000",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_SESSION_TOKEN": "local",
    }
    gateway = await start(
        source,
        client=client,
        settings=given | {"FOO": "a ConfigMap's", "HOSTNAME": "pod", "HOME": "/"},
        variables=made_up | {"FOO": "the function's"},
    )
    variables = (await gateway.invoke()).value
    assert variables | given | {"FOO": "the function's"} == variables
    assert not {"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "HOSTNAME", "HOME"} & variables.keys()


async def test_a_layer_is_importable_and_later_ones_win(start: Start) -> None:
    layers: list[dict[str, str | bytes]] = [
        {"python/shared.py": "NAME = 'first'\n", "python/first.py": "", "data/a": "1"},
        {"python/shared.py": "NAME = 'second'\n", "data/b": "2"},
        {"data/a": "3"},
    ]
    source = """
import os, shared, first
def handler(event, context):
    opt = os.path.dirname(os.path.dirname(shared.__file__))
    return [shared.NAME, open(opt + "/data/a").read(), open(opt + "/data/b").read()]
"""
    gateway = await start(source, layers=layers)
    assert (await gateway.invoke()).value == ["second", "3", "2"]


async def test_layers_are_found_by_paths_that_processes_have(start: Start, client: str) -> None:
    """Programs by PATH, shared libraries by the loader, a wrapper by its path below /opt."""
    library = next(path for path in sorted(mapped_libraries()) if "libffi" in path or "libm." in path)
    layer: dict[str, str | bytes] = {
        "bin/tool": "#!/bin/sh\necho tool\n",
        "lib/libofalayer.so": Path(library).read_bytes(),
        "wrapper": '#!/bin/sh\nexport WRAPPED=yes\nexec "$@"\n',
    }
    source = """
import ctypes, os, subprocess
def handler(event, context):
    tool = subprocess.run(["tool"], capture_output=True, text=True).stdout
    return [tool, bool(ctypes.CDLL("libofalayer.so")), os.environ["WRAPPED"]]
"""
    variables = {"LD_LIBRARY_PATH": "/var/task/lib:/opt/lib", "AWS_LAMBDA_EXEC_WRAPPER": "/opt/wrapper"}
    gateway = await start(source, layers=[layer], client=client, variables=variables)
    assert (await gateway.invoke()).value == ["tool\n", True, "yes"]


def mapped_libraries() -> set[str]:
    """Of this very process."""
    assert ctypes
    return {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if ".so" in line}


async def test_modules_of_the_user_may_have_any_name(start: Start, client: str) -> None:
    files: dict[str, str | bytes] = {
        "bootstrap.py": "NAME = 'mine'\n",
        "main.py": "NAME = 'mine too'\n",
        "app.py": "import bootstrap, main\ndef handler(event, context):\n    return [bootstrap.NAME, main.NAME]\n",
    }
    gateway = await start(files=files, client=client)
    assert (await gateway.invoke()).value == ["mine", "mine too"]


async def test_variables_that_are_read_when_python_starts(start: Start) -> None:
    source = "import sys\ndef handler(event, context):\n    return [sys.flags.optimize, 'extra' in ''.join(sys.path)]\n"
    gateway = await start(source, variables={"PYTHONOPTIMIZE": "2", "PYTHONPATH": "/opt/extra"})
    assert (await gateway.invoke()).value == [2, True]


async def test_without_a_prestarted_runtime(start: Start) -> None:
    gateway = await start(ECHO, prestart=False)
    assert gateway.init["status"] == "success"
    assert (await gateway.invoke(5)).value == 5


async def test_a_child_process_does_not_answer(start: Start) -> None:
    source = """
import os, subprocess, sys, multiprocessing
def work(queue):
    queue.put(6)
def handler(event, context):
    if event == "fork":
        if os.fork() == 0:
            return "the child"
        os.wait()
        return "the parent"
    if event == "multiprocessing":
        queue = multiprocessing.SimpleQueue()
        child = multiprocessing.get_context("fork").Process(target=work, args=(queue,))
        child.start()
        child.join()
        return queue.get()
    return subprocess.run([sys.executable, "-c", "import os; print(os.listdir('/proc/self/fd'))"], capture_output=True, text=True).stdout
"""
    gateway = await start(source)
    assert (await gateway.invoke("fork")).value == "the parent"
    assert (await gateway.invoke("multiprocessing")).value == 6
    open_files = json.loads((await gateway.invoke("subprocess")).value.replace("'", '"'))
    assert len(open_files) <= 4  # 0, 1, 2 and the listing itself
