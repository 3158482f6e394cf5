"""Functions that misbehave: Lambda's error for their caller, nothing for anybody else."""

import pytest

from tests.platform_process import Platform


@pytest.fixture
def serving(shared_platform: Platform) -> Platform:
    if "bystander" not in {f["FunctionName"] for f in shared_platform.client().list_functions()["Functions"]}:
        shared_platform.function("bystander", "def handler(event, context):\n    return 'well'\n")
    return shared_platform


FAULTS = {
    "raises": ("def handler(event, context):\n    raise ValueError('bad')\n", {}, "ValueError", "bad"),
    "syntax": ("def handler(event, context:\n", {}, "Runtime.UserCodeSyntaxError", "Syntax error in module 'app'"),
    "missing-handler": ("x = 1\n", {}, "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'"),
    "missing-module": ("import nosuch\n", {}, "Runtime.ImportModuleError", "No module named 'nosuch'"),
    "exit": ("import os\ndef handler(event, context):\n    os._exit(3)\n", {}, "Runtime.ExitError", "exit status 3"),
    "too-long": ("while True: pass\n", {"Timeout": 1}, "Sandbox.Timedout", "Task timed out after 1.00 seconds"),
    "endless": (
        "def handler(event, context):\n    while True: pass\n",
        {"Timeout": 1},
        "Sandbox.Timedout",
        "1.00 seconds",
    ),
    "memory": (
        "def handler(event, context):\n    return len('x' * 2_000_000_000)\n",
        {},
        "Runtime.ExitError",
        "signal: killed",
    ),
    "large": (
        "def handler(event, context):\n    return 'x' * 7_000_000\n",
        {},
        "Function.ResponseSizeTooLarge",
        "6291556 bytes",
    ),
    "unserialisable": (
        "def handler(event, context):\n    return {1, 2}\n",
        {},
        "Runtime.MarshalError",
        "set is not JSON serializable",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_its_callers_alone(serving: Platform, fault: str) -> None:
    source, configuration, error_type, text = FAULTS[fault]
    serving.function(fault, source, **configuration)
    for _ in range(2):  # the environment recovers, whatever state it was left in
        answer = serving.invoke(fault)
        assert answer["FunctionError"] == "Unhandled"
        assert answer["Payload"]["errorType"] == error_type
        assert text in answer["Payload"]["errorMessage"]
        assert serving.invoke("bystander")["Payload"] == "well"


def test_a_fork_bomb_hits_the_process_limit(serving: Platform) -> None:
    source = (
        "import os, time\n"
        "def handler(event, context):\n"
        "    children = 0\n"
        "    try:\n"
        "        while children < 3000:\n"
        "            if os.fork() == 0:\n"
        "                time.sleep(60); os._exit(0)\n"
        "            children += 1\n"
        "    except OSError as error:\n"
        "        return [children, error.errno]\n"
        "    return [children, 0]\n"
    )
    serving.function("bomb", source, MemorySize=1024, Timeout=20)
    children, errno = serving.invoke("bomb")["Payload"]
    assert errno == 11
    assert children < 1024
    assert serving.invoke("bystander")["Payload"] == "well"


def test_a_flood_of_output_is_kept_in_order_and_bounded(serving: Platform) -> None:
    source = (
        "def handler(event, context):\n"
        "    for number in range(20_000):\n"
        "        print(f'{number:06d} ' + 'x' * 90)\n"
        "    return 'done'\n"
    )
    serving.function("flood", source, Timeout=30)
    assert serving.invoke("flood")["Payload"] == "done"
    lines = [event["message"] for event in serving.logs("flood") if event["message"].endswith("x" * 90)]
    assert [int(line[:6]) for line in lines] == list(range(20_000))
    assert serving.invoke("bystander")["Payload"] == "well"


def test_tmp_is_private_and_survives_a_time_out(serving: Platform) -> None:
    source = (
        "import os, time\n"
        "def handler(event, context):\n"
        "    found = os.path.exists('/tmp/mark')\n"
        "    open('/tmp/mark', 'w').close()\n"
        "    time.sleep(event['sleep'])\n"
        "    return found\n"
    )
    serving.function("tmp", source, Timeout=1)
    assert serving.invoke("tmp", {"sleep": 3})["Payload"]["errorType"] == "Sandbox.Timedout"
    assert serving.invoke("tmp", {"sleep": 0})["Payload"] is True
    serving.function("tmp-other", source, Timeout=1)
    assert serving.invoke("tmp-other", {"sleep": 0})["Payload"] is False


def test_the_task_folder_is_read_only(serving: Platform) -> None:
    source = (
        "def handler(event, context):\n"
        "    try:\n"
        "        open('/var/task/mine', 'w')\n"
        "    except OSError as error:\n"
        "        return error.strerror\n"
    )
    serving.function("writer", source)
    assert serving.invoke("writer")["Payload"] == "Read-only file system"
