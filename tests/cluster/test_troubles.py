"""What goes wrong for one function stays with it, is told to whoever calls and to whoever looks, and is no storm."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cluster.installation import Installation, KubectlFailed, Object, function, wait_for
from tests.cluster.traffic import Traffic, traffic

pytestmark = pytest.mark.timeout(240)
ACTIVE = "--for=jsonpath={.status.state}=Active"
ROLLED_OUT = "--for=condition=RolledOut"
CRASHING = "raise RuntimeError('no database')\n"
THIEF = '''
import json, os, socket, struct

def read(connection, size):
    data = b""
    while len(data) < size and (chunk := connection.recv(size - len(data))):
        data += chunk
    return data

def handler(event, context):
    """Greets the gateway as the pod that it runs in, and as a neighbour, with the pod's own token."""
    try:
        token = open("/var/run/lambent/token").read()
    except OSError as error:
        return {"token": type(error).__name__}
    answers = []
    for name in [socket.gethostname(), *event["others"]]:
        host, port = event["link"]
        hello = {"protocol": 1, "environment": name, "token": token, "runtime": "python", "pid": 1, "secret": event["secret"],
                 "slots": [{"slot": 0, "state": "generic"}]}
        body = json.dumps(hello).encode()
        with socket.create_connection((host, port), timeout=10) as connection:
            connection.sendall(struct.pack(">IBBH", len(body), 1, 0, 0) + body)
            head = read(connection, 8)
            size, type, _, _ = struct.unpack(">IBBH", head) if head else (0, 0, 0, 0)
            answers.append([type, read(connection, size).decode()])
    return {"answers": answers}
'''


@contextmanager
def pool(lambent: Installation, runtime: str, **spec: Any) -> Iterator[None]:
    """A RuntimePool of the functions' own namespace, for a runtime that no other pool offers."""
    (ours,) = [
        one for one in json.loads(lambent.kubectl("get", "rp", "-A", "-o", "json"))["items"]
        if one["metadata"]["namespace"] == lambent.system
    ]  # fmt: skip
    wanted: Object = {
        "apiVersion": "lambent.dev/v1",
        "kind": "RuntimePool",
        "metadata": {"name": runtime.replace(".", "-")},
        "spec": ours["spec"] | {"runtimes": [runtime], "size": 1} | spec,
    }
    lambent.apply(wanted)
    try:
        yield
    finally:
        lambent.kubectl("delete", "rp", wanted["metadata"]["name"])


def refused(lambent: Installation, name: str) -> str:
    """What a caller is told who can't be served."""
    with pytest.raises(ClientError) as caught:
        lambent.client.invoke(FunctionName=name)
    status = caught.value.response["ResponseMetadata"]["HTTPStatusCode"]
    return f"{status} {caught.value}"


@contextmanager
def a_neighbour_is_served(lambent: Installation) -> Iterator[Traffic]:
    """All the time while the block runs."""
    with lambent.applied(function("neighbour")), traffic(lambent.endpoint, "neighbour", callers=2) as calls:
        yield calls
        calls.flows()
    assert calls.failed == {}, str(calls)


def test_a_function_that_crashes_at_init_says_so_and_makes_no_storm(lambent: Installation) -> None:
    with lambent.applied(function("crashes", CRASHING)):
        with a_neighbour_is_served(lambent) as calls:
            before = started(lambent)
            for _ in range(12):
                answer = lambent.client.invoke(FunctionName="crashes", Payload=b"{}")
                told = json.loads(answer["Payload"].read())
                assert answer["FunctionError"] == "Unhandled"
                assert (told["errorType"], told["errorMessage"]) == ("RuntimeError", "no database")
            calls.flows()
            assert started(lambent) - before <= 6, "a pod for each call would be a storm"
            wait_for(
                "the condition", lambda: lambent.condition("fn", "crashes", "Initialized") == ("False", "InitFailed")
            )
            wait_for("an event", lambda: "InitFailed" in lambent.events("crashes"))
            lambent.apply(function("crashes"))
            wait_for("the new code", lambda: lambent.serves("crashes"))
            wait_for("the condition", lambda: lambent.condition("fn", "crashes", "Initialized")[0] == "True")
        wait_for("its pods' end", lambda: len(lambent.pods_of("crashes")) <= 1)


def test_an_update_that_crashes_at_init_is_not_rolled_out_and_says_why(lambent: Installation) -> None:
    with lambent.applied(function("regresses", replicas=1)):
        lambent.kubectl("wait", ROLLED_OUT, "fn/regresses", "--timeout=60s")
        lambent.apply(function("regresses", CRASHING, replicas=1))
        wait_for("why", lambda: lambent.condition("fn", "regresses", "RolledOut") == ("False", "InitFailed"))
        with pytest.raises(KubectlFailed, match="condition not met"):
            lambent.kubectl("wait", ROLLED_OUT, "fn/regresses", "--timeout=0")
        assert lambent.condition("fn", "regresses", "Ready") == ("True", "Active"), (
            "it can be invoked, and says what is wrong"
        )
        lambent.apply(function("regresses", replicas=1))
        lambent.kubectl("wait", ROLLED_OUT, "fn/regresses", "--timeout=60s")
        assert lambent.invoke("regresses", 1) == 1


def started(lambent: Installation) -> int:
    """Pods that were ever made for pools and functions, by the events about them."""
    listed = json.loads(lambent.kubectl("get", "events.events.k8s.io", "-o", "json"))["items"]
    return len({one["regarding"]["name"] for one in listed if one["reason"] in ("Scheduled", "Pulled", "Started")})


def test_an_image_that_cannot_be_pulled_is_told_to_callers_and_in_conditions(lambent: Installation) -> None:
    with pool(lambent, "python3.12", image="localhost/lambent/there-is-none:1"), a_neighbour_is_served(lambent):
        lambent.apply(function("unpulled", runtime="python3.12"))
        try:
            lambent.kubectl("wait", ACTIVE, "fn/unpulled", "--timeout=30s")
            told = refused(lambent, "unpulled")
            assert told.startswith("500") and "ImagePullFailed" in told and "there-is-none" in told
            wait_for(
                "the function's condition",
                lambda: lambent.condition("fn", "unpulled", "Ready") == ("False", "ImagePullFailed"),
            )
            wait_for(
                "the pool's condition",
                lambda: lambent.condition("rp", "python3-12", "Ready") == ("False", "ImagePullFailed"),
            )
            wait_for("an event", lambda: "ImagePullFailed" in lambent.events("python3-12"))
            began = time.monotonic()
            assert "ImagePullFailed" in refused(lambent, "unpulled")
            assert time.monotonic() - began < 60, "the second is told in time"
        finally:
            lambent.remove("unpulled")


def test_a_pool_without_room_is_told_in_time(lambent: Installation) -> None:
    big = {"requests": {"cpu": "10m", "memory": "4Ti"}, "limits": {"memory": "4Ti"}}
    with pool(lambent, "python3.13", resources=big), a_neighbour_is_served(lambent):
        lambent.apply(function("homeless", runtime="python3.13"))
        try:
            lambent.kubectl("wait", ACTIVE, "fn/homeless", "--timeout=30s")
            told = refused(lambent, "homeless")
            assert told.startswith(("500", "429")) and "Unschedulable" in told, told
            wait_for(
                "the function's condition",
                lambda: lambent.condition("fn", "homeless", "EnvironmentsReady") == ("False", "Unschedulable"),
            )
            wait_for(
                "the end of pods that found no room",
                lambda: not lambent.pods(lambent.functions, "lambent.dev/pool=python3-13"),
            )
        finally:
            lambent.remove("homeless")


def test_a_runtime_that_no_pool_offers_is_told(lambent: Installation) -> None:
    lambent.apply(function("lost", runtime="nodejs22.x"))
    try:
        lambent.kubectl("wait", ACTIVE, "fn/lost", "--timeout=30s")
        told = refused(lambent, "lost")
        assert told.startswith("502") and "This cluster runs python3.11" in told
    finally:
        lambent.remove("lost")


def test_who_puts_a_functions_pods_right_sees_it_ready_without_invoking_it(lambent: Installation) -> None:
    with lambent.applied(function("unhoused", pod={"serviceAccountName": "there-is-none"})):
        assert "ServiceAccountMissing" in refused(lambent, "unhoused")
        wait_for(
            "the condition",
            lambda: lambent.condition("fn", "unhoused", "Ready") == ("False", "ServiceAccountMissing"),
        )
        lambent.apply(function("unhoused", pod={"serviceAccountName": "default"}))
        lambent.kubectl("wait", "--for=condition=Ready", "fn/unhoused", "--timeout=60s")
        assert lambent.serves("unhoused")


def test_code_that_steals_its_pods_token_can_be_nothing(lambent: Installation) -> None:
    """I1, I2: neither the environment that it is in already, nor a neighbour, nor with a secret that it made up."""
    with lambent.applied(function("thief", THIEF, timeout=60), function("victim")):
        lambent.invoke("victim")
        wait_for("the victim's pod", lambda: lambent.pods_of("victim"))
        others = [pod["metadata"]["name"] for pod in lambent.pods_of("victim")]
        others += [pod["metadata"]["name"] for pod in lambent.pods(lambent.functions, "lambent.dev/pool")]
        for gateway in lambent.platform_pods("gateway"):
            link = [gateway["status"]["podIP"], 9001]
            for secret in ("", "ab" * 32):
                told = lambent.invoke("thief", {"others": others, "link": link, "secret": secret})
                if "token" in told:
                    assert told == {"token": "PermissionError"}
                    continue
                assert len(told["answers"]) == len(others) + 1
                for type, body in told["answers"]:
                    assert (type, json.loads(body)) == (15, {"reason": "failure"}), told
        assert lambent.invoke("victim", 1) == 1 and len(lambent.pods_of("victim")) == 1
