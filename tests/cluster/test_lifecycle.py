"""A function's life on a cluster: applied, invoked, gone to zero, scaled, changed, deleted; by kubectl and by the AWS tools."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.installation import (
    ECHO,
    GATEWAYS,
    IDLE_SECONDS,
    Installation,
    KubectlFailed,
    Object,
    function,
    wait_for,
)
from tests.cluster.test_faults import all_ready, kill
from tests.cluster.traffic import traffic

pytestmark = pytest.mark.timeout(240)
ROLE = "arn:aws:iam::000000000000:role/any"
ROLLED_OUT = ("wait", "--for=condition=RolledOut", "--timeout=60s")


def package(code: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("app.py"), code)
    return buffer.getvalue()


def test_from_kubectl_apply_to_zero_and_away(lambent: Installation) -> None:
    lambent.apply(function("lives", memorySize=256, url={}))
    lambent.kubectl("wait", "--for=condition=Ready", "fn/lives", "--timeout=60s")
    assert not lambent.pods_of("lives"), "nobody has called yet"
    assert lambent.invoke("lives", {"a": 1}) == {"a": 1}

    (pod,) = wait_for("the pod's label", lambda: lambent.pods_of("lives"))
    owner = lambent.function("lives")["metadata"]["uid"]
    wait_for(
        "the pod's owner",
        lambda: lambent.get("pod", pod["metadata"]["name"])["metadata"]["ownerReferences"][0]["uid"] == owner,
    )
    wait_for(
        "the pod's size, 256 MB and the agent's",
        lambda: (
            lambent.get("pod", pod["metadata"]["name"])["status"]["containerStatuses"][0]["resources"]["limits"]
            == {"memory": "288Mi"}
        ),
    )
    wait_for("the count of environments", lambda: lambent.function("lives")["status"]["environments"]["ready"] == 1)
    url = lambent.function("lives")["status"]["url"]
    assert url.endswith("/url/lives/")
    columns = lambent.kubectl("get", "fn", "lives").splitlines()
    assert columns[0].split() == ["NAME", "RUNTIME", "MEMORY", "STATE", "READY", "BUSY", "CONCURRENCY", "URL", "AGE"]
    assert columns[1].split()[:6] == ["lives", "python3.11", "256", "Active", "1", "0"]

    wait_for(
        f"zero, {IDLE_SECONDS} s after the last call",
        lambda: not lambent.pods_of("lives") and lambent.function("lives")["status"]["environments"] == {
            "ready": 0, "busy": 0, "starting": 0, "updated": 0,
        },
    )  # fmt: skip
    assert lambent.invoke("lives", {"again": True}) == {"again": True}
    assert lambent.function("lives")["metadata"]["finalizers"] == ["lambent.dev/drain"]
    told = lambent.kubectl("describe", "fn", "lives")
    assert "FunctionReady" in told and "ScaledUp" in told

    lambent.kubectl("delete", "fn", "lives", "--timeout=60s")
    wait_for("the end of its pods", lambda: not lambent.pods_of("lives"))
    with pytest.raises(lambent.client.exceptions.ResourceNotFoundException):
        lambent.client.invoke(FunctionName="lives")


def test_what_runs_when_its_function_is_deleted_is_answered(lambent: Installation) -> None:
    slow = "import time\ndef handler(event, context):\n    time.sleep(event)\n    return event\n"
    with lambent.applied(function("doomed", slow, timeout=30)), ThreadPoolExecutor(1) as behind:
        running = behind.submit(lambent.invoke, "doomed", 5)
        wait_for("it to run", lambda: lambent.function("doomed")["status"]["environments"]["busy"] == 1)
        lambent.kubectl("delete", "fn", "doomed", "--timeout=60s")
        assert running.result() == 5
        assert not lambent.pods_of("doomed")


def test_a_call_with_curl(lambent: Installation) -> None:
    with lambent.applied(function("curled")):
        url = f"{lambent.endpoint}/2015-03-31/functions/curled/invocations"
        done = subprocess.run(["curl", "-sS", url, "-d", '{"a": 1}'], capture_output=True, text=True, check=True)
        assert json.loads(done.stdout) == {"a": 1}


def test_kubectl_scale_makes_environments_ready_and_lets_them_go(lambent: Installation) -> None:
    with lambent.applied(function("scaled")):
        lambent.kubectl("scale", "fn/scaled", "--replicas=3")
        wait_for("three environments", lambda: lambent.function("scaled")["status"]["replicas"] == 3)
        lambent.kubectl("wait", "--for=jsonpath={.status.environments.ready}=3", "fn/scaled", "--timeout=30s")
        assert len(lambent.pods_of("scaled")) == 3
        assert lambent.invoke("scaled", 1) == 1
        lambent.kubectl("scale", "fn/scaled", "--replicas=0")
        wait_for("none", lambda: not lambent.pods_of("scaled"))


def test_who_waits_for_an_update_finds_the_new_code_in_every_environment(lambent: Installation) -> None:
    """`kubectl wait` begins right after `kubectl apply`: what was said of the code before counts for nothing."""
    slow = "import time\ndef handler(event, context):\n    time.sleep(1)\n    return context.log_stream_name\n"
    with lambent.applied(function("updated", replicas=2)):
        lambent.kubectl(*ROLLED_OUT, "fn/updated")
        lambent.apply(function("updated", slow, replicas=2))
        lambent.kubectl(*ROLLED_OUT, "fn/updated")
        thing = lambent.function("updated")
        assert thing["status"]["environments"] == {"ready": 2, "busy": 0, "starting": 0, "updated": 2}
        (found,) = (one for one in thing["status"]["conditions"] if one["type"] == "RolledOut")
        assert (found["reason"], found["observedGeneration"]) == ("Complete", thing["metadata"]["generation"])
        with ThreadPoolExecutor() as callers:
            streams = list(callers.map(lambda _: lambent.invoke("updated", 1), range(2)))
        assert len(set(streams)) == 2 and 1 not in streams, "two at once are in two environments"


def test_kubectl_explains_what_a_member_means(lambent: Installation) -> None:
    told = lambent.kubectl("explain", "fn.spec.memorySize")
    assert "Megabytes" in told
    assert "Seconds" in lambent.kubectl("explain", "function.spec.timeout")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"memorySize": 64}, "spec.memorySize in body should be greater than or equal to 128"),
        ({"timeout": 901}, "spec.timeout in body should be less than or equal to 900"),
        ({"runtime": "python2.7"}, "spec.runtime"),
        ({"environment": {"variables": {"AWS_REGION": "x"}}}, "AWS_REGION"),
        ({"handlr": "app.handler"}, 'unknown field "spec.handlr"'),
        ({"packageType": "Image"}, "Please provide ImageUri when creating a function with packageType Image."),
    ],
    ids=["memory", "timeout", "runtime", "variables", "member", "image"],
)
def test_a_wrong_manifest_is_refused_at_once(lambent: Installation, spec: dict[str, Any], said: str) -> None:
    with pytest.raises(KubectlFailed, match=re.escape(said)):
        lambent.apply(function("wrong", **spec))


def test_a_function_of_boto3_is_a_resource(lambent: Installation) -> None:
    try:
        lambent.client.create_function(
            FunctionName="made", Runtime="python3.11", Handler="app.handler", Role=ROLE, Code={"ZipFile": package(ECHO)}
        )
        lambent.client.get_waiter("function_active_v2").wait(FunctionName="made", WaiterConfig={"Delay": 1})
        assert lambent.invoke("made", [1]) == [1]
        thing = lambent.function("made")
        code, found = thing["spec"]["code"], thing["status"]["code"]
        # Which gateway has settled it is nobody's affair, and not each unzips the package.
        assert (code["sha256"], code["size"]) == (found["sha256"], found["size"])
        wait_for("its condition", lambda: lambent.condition("fn", "made", "Ready") == ("True", "Active"))
        managers = {entry["manager"] for entry in lambent.function("made")["metadata"]["managedFields"]}
        assert managers == {"lambent-api", "lambent-operator"}
        lambent.client.delete_function(FunctionName="made")
        wait_for("the end of its resource", lambda: "made" not in lambent.kubectl("get", "fn", "-o", "name"))
    finally:
        lambent.remove("made")


def test_a_function_of_kubectl_answers_the_aws_tools(lambent: Installation) -> None:
    with lambent.applied(function("applied", description="by kubectl")):
        told = lambent.client.get_function(FunctionName="applied")["Configuration"]
        assert (told["Description"], told["State"], told["LastUpdateStatus"]) == ("by kubectl", "Active", "Successful")
        assert "applied" in [each["FunctionName"] for each in lambent.client.list_functions()["Functions"]]
        aws = Path(sys.executable).parent / "aws"
        command = [aws, "--endpoint-url", lambent.endpoint, "lambda", "get-function-configuration"]
        done = subprocess.run(
            [*command, "--function-name", "applied"],
            capture_output=True,
            text=True,
            check=True,
            env={
                **os.environ,
                "AWS_ACCESS_KEY_ID": "any",
                "AWS_SECRET_ACCESS_KEY": "any",
                "AWS_DEFAULT_REGION": "us-east-1",
            },
        )
        assert json.loads(done.stdout)["Handler"] == "app.handler"


def test_an_alias_of_kubectl_outlives_gateways_and_goes_with_its_function(lambent: Installation) -> None:
    """Applied before its function and after it; one of no function is left alone."""
    names = "owner.early", "owner.late", "absent.live"
    early, late, nobodys = (alias(name) for name in names)
    try:
        lambent.apply(early, nobodys)
        with lambent.applied(function("owner")):
            lambent.apply(late)
            owner = lambent.function("owner")["metadata"]["uid"]
            for name in names[:2]:
                owners = wait_for(
                    "its owner", lambda name=name: lambent.get("fna", name)["metadata"]["ownerReferences"]
                )
                assert [one["uid"] for one in owners] == [owner]
            lambent.apply(late)  # whoever applies it once more does not take it away
            gateways = lambent.platform_pods("gateway")
            kill(lambent, lambent.system, gateways[0])
            wait_for(
                "all gateways", lambda: len(now := lambent.platform_pods("gateway")) == GATEWAYS and all_ready(now)
            )
            wait_for("the Service to lead to them", lambda: lambent.serves("owner"))
            assert aliases(lambent, *names) == {*names}
            assert lambent.client.get_alias(FunctionName="owner", Name="late")["FunctionVersion"] == "$LATEST"
            answer = lambent.client.invoke(FunctionName="owner", Qualifier="early", Payload=b"1")
            assert answer["Payload"].read() == b"1"
        wait_for("their end", lambda: aliases(lambent, *names) == {"absent.live"})
    finally:
        lambent.kubectl("delete", "fna", *names, "--ignore-not-found")


def aliases(lambent: Installation, *names: str) -> set[str]:
    """Those that are there."""
    listed = lambent.kubectl("get", "fna", *names, "--ignore-not-found", "--output", "name")
    return {name.rpartition("/")[2] for name in listed.split()}


def alias(name: str) -> Object:
    function_name, _, own = name.partition(".")
    spec = {"functionName": function_name, "name": own, "functionVersion": "$LATEST"}
    return {"apiVersion": "lambent.dev/v1", "kind": "FunctionAlias", "metadata": {"name": name}, "spec": spec}


def test_changes_of_both_sides_stand_beside_each_other(lambent: Installation) -> None:
    with lambent.applied(function("shared")):
        lambent.client.update_function_configuration(FunctionName="shared", MemorySize=512)
        lambent.client.get_waiter("function_updated_v2").wait(FunctionName="shared", WaiterConfig={"Delay": 1})
        thing = lambent.function("shared")
        assert (thing["spec"]["memorySize"], thing["spec"]["code"]) == (512, {"inline": ECHO})
        fields = {entry["manager"]: json.dumps(entry["fieldsV1"]) for entry in thing["metadata"]["managedFields"]
                  if "subresource" not in entry}  # fmt: skip
        assert "f:memorySize" in fields["lambent-api"], "drift is visible"
        assert lambent.invoke("shared", 1) == 1

        lambent.apply(function("shared", ECHO.replace("event\n", "[event]\n"), timeout=9))
        wait_for("the new code", lambda: lambent.invoke("shared", 1) == [1])
        told = lambent.client.get_function_configuration(FunctionName="shared")
        assert (told["Timeout"], told["MemorySize"]) == (9, 512), "a member that the manifest does not name stays"


def test_what_a_manifest_gets_wrong_takes_no_running_function_away(lambent: Installation) -> None:
    """Nor another's name, nor the concurrency of all others. What is wrong is told, and mended by applying what is right."""

    def told(name: str) -> str:
        return lambent.function(name)["status"].get("lastUpdateStatusReason", "")

    with lambent.applied(function("first")):
        assert lambent.invoke("first", 1) == 1
        lambent.apply(function("first", {"app.py": 7}))
        wait_for("that it is no text", lambda: "app.py is 7, which is not text" in told("first"))
        assert lambent.invoke("first", 2) == 2
        lambent.apply(function("first"))
        wait_for("that it is mended", lambda: lambent.function("first")["status"]["lastUpdateStatus"] == "Successful")

        try:
            lambent.apply(function("second", ECHO.replace("event\n", "'second'\n"), functionName="first"))
            wait_for("whose name it is", lambda: "first is the name of the Function first" in told("second"))
            assert lambent.invoke("first", 3) == 3
        finally:
            lambent.remove("second")
        assert lambent.invoke("first", 4) == 4
        assert lambent.client.get_function(FunctionName="first")["Configuration"]["State"] == "Active"

        lambent.apply(function("first", reservedConcurrentExecutions=5_000))
        wait_for("that there is less", lambda: "spec.reservedConcurrentExecutions: Specified" in told("first"))
        with lambent.applied(function("other")):
            assert lambent.invoke("other", 5) == 5


def test_new_code_comes_without_a_failed_call(lambent: Installation) -> None:
    """By kubectl and by boto3; all that is answered is right by either code, and in the end by the new one alone."""
    with lambent.applied(function("rolls")), traffic(lambent.endpoint, "rolls") as calls:
        for number in range(3):
            lambent.apply(function("rolls", f"{ECHO}# {number}\n"))
            generation = lambent.function("rolls")["metadata"]["generation"]
            wait_for(
                "the change is settled",
                lambda generation=generation: lambent.function("rolls")["status"]["observedGeneration"] == generation,
            )
            calls.flows()
        lambent.client.update_function_code(FunctionName="rolls", ZipFile=package(ECHO + "# boto3\n"))
        calls.flows()
        lambent.client.get_waiter("function_updated_v2").wait(FunctionName="rolls", WaiterConfig={"Delay": 1})
        calls.flows()
    assert calls.failed == {}, str(calls)
