"""The gateway killed with SIGKILL at any moment, and started again on the same data directory."""

import json
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.platform_process import Platform, wait_for

NOTES = (
    "import os, pathlib\ndef handler(event, context):\n    (pathlib.Path(event['folder']) / str(event['n'])).touch()\n"
)


@pytest.fixture
def notes() -> Iterator[Path]:
    import tempfile

    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        yield Path(folder)


def test_environments_are_found_again(platform: Platform) -> None:
    platform.function(
        "counter", "count = 0\ndef handler(event, context):\n    global count\n    count += 1\n    return count\n"
    )
    assert [platform.invoke("counter")["Payload"] for _ in range(3)] == [1, 2, 3]
    platform.kill()
    platform.start()
    wait_for("its environment", lambda: platform.metric("lambent_environments", function="counter", state="idle") == 1)
    assert platform.invoke("counter")["Payload"] == 4


def test_an_environment_that_was_busy_comes_back_when_it_has_finished(platform: Platform, notes: Path) -> None:
    source = (
        "import os, pathlib, time\n"
        "def handler(event, context):\n"
        "    folder = pathlib.Path(event['folder'])\n"
        "    (folder / 'began').touch()\n"
        "    while not (folder / 'go').exists():\n"
        "        time.sleep(0.02)\n"
        "    return os.getpid()\n"
    )
    platform.function("slow", source, Timeout=60)

    def call() -> None:
        with pytest.raises((BotoCoreError, ClientError)):
            platform.invoke("slow", {"folder": str(notes)})

    caller = threading.Thread(target=call)
    caller.start()
    wait_for("the function to begin", lambda: (notes / "began").exists())
    platform.kill()
    caller.join()
    platform.start()
    (notes / "go").touch()
    wait_for("its environment", lambda: platform.metric("lambent_environments", function="slow", state="idle") == 1)
    assert isinstance(platform.invoke("slow", {"folder": str(notes)})["Payload"], int)


def test_functions_survive_with_their_code(platform: Platform) -> None:
    platform.function("kept", "def handler(event, context):\n    return 'kept'\n")
    before = platform.client().get_function(FunctionName="kept")["Configuration"]
    platform.kill()
    platform.start()
    after = platform.client().get_function(FunctionName="kept")["Configuration"]
    assert {k: v for k, v in before.items() if k != "ResponseMetadata"} == {
        k: v for k, v in after.items() if k != "ResponseMetadata"
    }
    assert platform.invoke("kept")["Payload"] == "kept"


@pytest.mark.timeout(180)
def test_no_accepted_event_is_lost(platform: Platform, notes: Path) -> None:
    """Callers send events the whole time; what got its 202 is run, however often the gateway dies in between."""
    platform.function("note", NOTES)
    platform.client().put_function_concurrency(FunctionName="note", ReservedConcurrentExecutions=4)
    chance = random.Random(4)
    accepted: list[int] = []
    stop = threading.Event()

    def send(first: int) -> None:
        number = first
        client = platform.client(connect_timeout=1, read_timeout=5)
        while not stop.is_set():
            try:
                payload = json.dumps({"folder": str(notes), "n": number})
                client.invoke(FunctionName="note", InvocationType="Event", Payload=payload)
                accepted.append(number)
            except (BotoCoreError, ClientError):
                stop.wait(0.05)
            number += 1

    senders = [threading.Thread(target=send, args=(at * 1_000_000,)) for at in range(4)]
    for sender in senders:
        sender.start()
    for _ in range(4):
        before = len(accepted)
        wanted = chance.randint(20, 150)
        wait_for("some events to be accepted", lambda before=before, wanted=wanted: len(accepted) > before + wanted)
        platform.kill()
        platform.start()
    stop.set()
    for sender in senders:
        sender.join()
    done = wait_for(
        "the queue to run dry",
        lambda: platform.metric("lambent_async_queue_depth") == 0 and {int(path.name) for path in notes.iterdir()},
        seconds=90,
    )
    assert set(accepted) <= done


def test_a_killed_agent_costs_its_invocation_alone(platform: Platform, notes: Path) -> None:
    import os
    import signal

    source = (
        "import os, pathlib, time\n"
        "def handler(event, context):\n"
        "    (pathlib.Path(event['folder']) / str(os.getppid())).touch()\n"
        "    time.sleep(event['sleep'])\n"
        "    return 'well'\n"
    )
    platform.function("f", source, Timeout=60)
    refused: list[str] = []

    def call() -> None:
        try:
            platform.invoke("f", {"folder": str(notes), "sleep": 50})
        except ClientError as error:
            refused.append(error.response["Error"]["Code"])

    caller = threading.Thread(target=call)
    caller.start()
    agent = wait_for("the function to begin", lambda: [int(path.name) for path in notes.iterdir()])[0]
    os.kill(agent, signal.SIGKILL)
    caller.join()
    assert refused == ["ServiceException"]
    assert platform.invoke("f", {"folder": str(notes), "sleep": 0})["Payload"] == "well"


def test_a_graceful_stop_finishes_what_runs(platform: Platform, notes: Path) -> None:
    source = (
        "import pathlib, time\n"
        "def handler(event, context):\n"
        "    folder = pathlib.Path(event['folder'])\n"
        "    (folder / 'began').touch()\n"
        "    while not (folder / 'go').exists():\n"
        "        time.sleep(0.02)\n"
        "    return 'finished'\n"
    )
    platform.function("slow", source, Timeout=60)
    answers: list[object] = []
    caller = threading.Thread(target=lambda: answers.append(platform.invoke("slow", {"folder": str(notes)})["Payload"]))
    caller.start()
    wait_for("the function to begin", lambda: (notes / "began").exists())
    platform.process.terminate()
    wait_for("no new connections", lambda: platform.get("/healthz")[0] == 0)
    (notes / "go").touch()
    caller.join()
    assert answers == ["finished"]
    assert platform.process.wait(20) == 0
    assert platform.agents() == []
