"""From zero, out to the limits, and back to zero."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.platform_process import Platform, wait_for

MEETING = (
    "import os, time, pathlib\n"
    "def handler(event, context):\n"
    "    folder = pathlib.Path(event['folder'])\n"
    "    (folder / context.aws_request_id).touch()\n"
    "    while len(list(folder.iterdir())) < event['until']:\n"
    "        time.sleep(0.02)\n"
    "    return context.log_stream_name\n"
)
"""Returns when enough invocations run at once: none of them can end alone."""


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Platform]:
    made = Platform(tmp_path / "data", idle_seconds=1.5, environments_max=6, patience_seconds=2.0).start()
    yield made
    made.end()


@pytest.fixture
def meeting_place() -> Iterator[Path]:
    """Below /var/tmp: functions have a /tmp of their own."""
    import tempfile

    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        yield Path(folder)


def meet(platform: Platform, folder: Path, *, callers: int, until: int) -> list[object]:
    client = platform.client()

    def call(_: int) -> object:
        try:
            payload = json.dumps({"folder": str(folder), "until": until})
            return json.loads(client.invoke(FunctionName="meet", Payload=payload)["Payload"].read())
        except ClientError as error:
            return error.response

    with ThreadPoolExecutor(callers) as pool:
        return list(pool.map(call, range(callers)))


def test_simultaneous_invocations_get_an_environment_each_and_all_go_when_idle(
    small: Platform, meeting_place: Path
) -> None:
    small.function("meet", MEETING, Timeout=30)
    streams = meet(small, meeting_place, callers=6, until=6)
    assert len({str(stream) for stream in streams}) == 6
    wait_for("scale to zero", lambda: small.metric("lambent_environments", function="meet") == 0)


def test_reserved_concurrency_is_reached_and_never_exceeded(small: Platform, meeting_place: Path) -> None:
    small.function("meet", MEETING, Timeout=30)
    small.client().put_function_concurrency(FunctionName="meet", ReservedConcurrentExecutions=3)
    with ThreadPoolExecutor(1) as behind:
        three = behind.submit(meet, small, meeting_place, callers=3, until=4)
        wait_for("three to run", lambda: len(list(meeting_place.iterdir())) == 3)
        with pytest.raises(ClientError) as caught:
            small.invoke("meet", {"folder": str(meeting_place), "until": 0})
        (meeting_place / "enough").touch()
        assert len({str(stream) for stream in three.result()}) == 3
    refusal = caught.value.response
    assert refusal["Error"] == {"Code": "TooManyRequestsException", "Message": "Rate Exceeded."}
    assert refusal["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert refusal["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "1"
    assert small.metric("lambent_throttles_total", function="meet", reason=refusal["Reason"]) == 1


def test_a_full_machine_gives_idle_room_to_who_needs_it_and_refuses_who_waits_too_long(
    small: Platform, meeting_place: Path
) -> None:
    small.function("meet", MEETING, Timeout=30)
    small.function("other", "def handler(event, context):\n    return 'served'\n")
    with ThreadPoolExecutor(1) as behind:
        six = behind.submit(meet, small, meeting_place, callers=6, until=7)
        wait_for("the machine to be full", lambda: len(list(meeting_place.iterdir())) == 6)
        with pytest.raises(ClientError, match="Rate Exceeded") as caught:
            small.invoke("other")
        assert caught.value.response["Reason"] == "ConcurrentInvocationLimitExceeded"
        (meeting_place / "enough").touch()
        six.result()
    assert small.invoke("other")["Payload"] == "served"


def test_concurrency_zero_switches_a_function_off(small: Platform) -> None:
    small.function("off", "def handler(event, context):\n    return 1\n")
    small.client().put_function_concurrency(FunctionName="off", ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError, match="Rate Exceeded"):
        small.invoke("off")
    small.client().delete_function_concurrency(FunctionName="off")
    assert small.invoke("off")["Payload"] == 1


def test_an_environment_expires_when_it_has_idled_however_patient_callers_are(tmp_path: Path) -> None:
    """The timer of who waited for the cold start was armed for later, and was once left so."""
    platform = Platform(tmp_path / "data", idle_seconds=1.0, patience_seconds=60.0).start()
    try:
        platform.function("once", "def handler(event, context):\n    return 1\n")
        assert platform.invoke("once")["Payload"] == 1
        wait_for("scale to zero", lambda: platform.metric("lambent_environments", function="once") == 0)
    finally:
        platform.end()


def test_replicas_are_there_before_anybody_calls(tmp_path: Path) -> None:
    platform = Platform(tmp_path / "data", idle_seconds=1.0).start()
    try:
        source = "def handler(event, context):\n    return 1\n"
        platform.apply("kept", source, replicas=2)
        wait_for(
            "two environments", lambda: platform.metric("lambent_environments", function="kept", state="idle") == 2
        )
        platform.apply("kept", source, replicas=0)
        wait_for("scale to zero", lambda: platform.metric("lambent_environments", function="kept") == 0)
    finally:
        platform.end()


def test_a_function_says_how_long_its_environments_idle(tmp_path: Path) -> None:
    """By default they stay for an hour here; with a second of its own the function's go, and nothing is made anew for it."""
    platform = Platform(tmp_path / "data", idle_seconds=3600.0).start()
    try:
        source = "def handler(event, context):\n    return context.log_stream_name\n"
        for name in ("short", "long"):
            platform.apply(name, source)
        version = platform.client().publish_version(FunctionName="short")["Version"]
        streams = [platform.invoke(name)["Payload"] for name in ("short", f"short:{version}", "long")]
        platform.apply("short", source, idleSeconds=3600)
        assert platform.invoke("short")["Payload"] == streams[0]
        platform.apply("short", source, idleSeconds=1)
        wait_for("scale to zero", lambda: platform.metric("lambent_environments", function="short") == 0)
        assert platform.invoke("long")["Payload"] == streams[2]
    finally:
        platform.end()
