"""Functions from container images on a cluster: applied and created, invoked, changed, gone to zero; and what can't be had."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cluster.function_images import ENTRY_POINT, files, loaded, settings
from tests.cluster.installation import IDLE_SECONDS, Installation, Object, wait_for
from tests.image_registry.server import ImageRegistry

pytestmark = pytest.mark.timeout(300)
ROLE = "arn:aws:iam::000000000000:role/any"


@pytest.fixture(scope="module")
def images(lambent: Installation, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Names of images that the node has, by version."""
    folder = tmp_path_factory.mktemp("images")
    return {version: loaded(version, folder) for version in ("1", "2")}


def picture(name: str, uri: str, **spec: Any) -> Object:
    """A function that says itself what runs: no registry has these images."""
    config = {"entryPoint": ENTRY_POINT, "command": ["a", "b"]}
    return {
        "apiVersion": "lambent.dev/v1",
        "kind": "Function",
        "metadata": {"name": name},
        "spec": {"packageType": "Image", "code": {"imageUri": uri}, "imageConfig": config} | spec,
    }


def test_an_image_is_applied_invoked_changed_and_goes_to_zero(lambent: Installation, images: dict[str, str]) -> None:
    with lambent.applied(picture("pictured", images["1"], memorySize=256)):
        assert lambent.invoke("pictured", {"n": 1}) == {
            "event": {"n": 1},
            "arguments": ["a", "b"],
            "version": "1",
            "function": "pictured",
            "directory": "/work",
            "user": 993,
            "tmp": True,
            "root": False,
        }
        (pod,) = wait_for("the pod's label", lambda: lambent.pods_of("pictured"))
        assert pod["spec"]["containers"][0]["image"] == images["1"]
        assert lambent.condition("fn", "pictured", "EnvironmentsReady") == ("True", "Available")

        lambent.apply(picture("pictured", images["2"], memorySize=256))
        wait_for("the other image", lambda: lambent.invoke("pictured")["version"] == "2")
        wait_for(
            "the end of the first environment",
            lambda: {one["spec"]["containers"][0]["image"] for one in lambent.pods_of("pictured")} == {images["2"]},
        )
        other = {"entryPoint": ENTRY_POINT, "command": ["c"], "workingDirectory": "/tmp"}
        lambent.apply(picture("pictured", images["2"], memorySize=256, imageConfig=other))
        wait_for("the other command", lambda: lambent.invoke("pictured")["arguments"] == ["c"])
        assert lambent.invoke("pictured")["directory"] == "/tmp"
        wait_for(f"zero, {IDLE_SECONDS} s after the last call", lambda: not lambent.pods_of("pictured"))
        assert lambent.invoke("pictured", 2)["event"] == 2


def test_an_image_of_boto3(lambent: Installation, images: dict[str, str]) -> None:
    config = {"EntryPoint": ENTRY_POINT, "Command": ["a"]}
    try:
        made = lambent.client.create_function(
            FunctionName="painted",
            PackageType="Image",
            Role=ROLE,
            Code={"ImageUri": images["1"]},
            ImageConfig=config,
            Environment={"Variables": {"IMAGE_VERSION": "the function's"}},
        )
        assert made["ImageConfigResponse"] == {"ImageConfig": config}
        lambent.client.get_waiter("function_active_v2").wait(FunctionName="painted", WaiterConfig={"Delay": 1})
        assert lambent.invoke("painted")["version"] == "the function's"
        assert lambent.client.get_function(FunctionName="painted")["Code"] == {
            "RepositoryType": "ECR",
            "ImageUri": images["1"],
        }
        assert lambent.client.publish_version(FunctionName="painted")["Version"] == "1"
        lambent.client.update_function_configuration(FunctionName="painted", Environment={})
        lambent.client.get_waiter("function_updated_v2").wait(FunctionName="painted", WaiterConfig={"Delay": 1})
        lambent.client.update_function_code(FunctionName="painted", ImageUri=images["2"])
        lambent.client.get_waiter("function_updated_v2").wait(FunctionName="painted", WaiterConfig={"Delay": 1})
        assert lambent.function("painted")["spec"]["code"] == {"imageUri": images["2"]}
        assert lambent.invoke("painted")["version"] == "2"
        answer = lambent.client.invoke(FunctionName="painted", Qualifier="1")
        assert json.loads(answer["Payload"].read())["version"] == "the function's", "a version keeps what it was"
        with pytest.raises(
            ClientError, match="Please provide ImageUri when updating a function with packageType Image"
        ):
            lambent.client.update_function_code(FunctionName="painted", ZipFile=b"zip")
    finally:
        lambent.client.delete_function(FunctionName="painted")
        wait_for("the end of its pods", lambda: not lambent.pods_of("painted"))


@contextmanager
def registry(lambent: Installation, folder: Path) -> Iterator[ImageRegistry]:
    """
    On this machine, which is the node: under one name for both who ask it. The node pulls from 127.0.0.1; the gateway, which has a
    127.0.0.1 of its own, takes the registry for its proxy, and it answers requests in a proxy's form too.
    """
    node = json.loads(lambent.kubectl("get", "nodes", "--output", "json"))["items"][0]
    (address,) = (one["address"] for one in node["status"]["addresses"] if one["type"] == "InternalIP")
    with ImageRegistry(folder, host="0.0.0.0") as registry:
        proxy = {"name": "HTTP_PROXY", "value": f"http://{address}:{registry.address.rpartition(':')[2]}"}
        lambent.upgrade(gateway={"extraEnv": [proxy]})
        try:
            yield registry
        finally:
            lambent.upgrade(gateway={"extraEnv": []})


@pytest.mark.skipif(not Path("/run/lambent-cluster/owner").exists(), reason="the node is another machine")
def test_an_image_of_a_registry_is_run_by_its_digest(lambent: Installation, tmp_path: Path) -> None:
    with registry(lambent, tmp_path) as images:
        first = images.push("fn", "latest", files=files(), **settings("1"))
        uri = f"{images.address}/fn"
        document = picture("pulled", uri)
        del document["spec"]["imageConfig"]
        with lambent.applied(document):
            answer = lambent.invoke("pulled")
            assert (answer["arguments"], answer["version"], answer["directory"]) == (["from-the-image"], "1", "/work")
            (pod,) = wait_for("the pod's label", lambda: lambent.pods_of("pulled"))
            assert pod["spec"]["containers"][0]["image"] == f"{uri}@{first}"
            thing = lambent.function("pulled")
            assert thing["spec"]["code"] == {"imageUri": uri}
            assert thing["status"]["code"]["image"]["digest"] == first
            client = lambent.client
            assert client.publish_version(FunctionName="pulled")["CodeSha256"] == first.removeprefix("sha256:")

            second = images.push("fn", "latest", files=files(), **settings("2"))
            client.update_function_configuration(FunctionName="pulled", Timeout=9)
            client.get_waiter("function_updated_v2").wait(FunctionName="pulled", WaiterConfig={"Delay": 1})
            assert lambent.invoke("pulled")["version"] == "1", "a tag is followed when it is given, not before"
            client.update_function_code(FunctionName="pulled", ImageUri=uri)
            client.get_waiter("function_updated_v2").wait(FunctionName="pulled", WaiterConfig={"Delay": 1})
            assert lambent.invoke("pulled")["version"] == "2"
            assert client.get_function(FunctionName="pulled")["Code"]["ResolvedImageUri"] == f"{uri}@{second}"
            answer = client.invoke(FunctionName="pulled", Qualifier="1")
            assert json.loads(answer["Payload"].read())["version"] == "1", "a version keeps its image"
            with pytest.raises(ClientError, match="Provide a valid source image"):
                client.update_function_code(FunctionName="pulled", ImageUri=f"{uri}:absent")


def test_a_registry_that_the_gateway_can_not_reach_is_told_to_both(lambent: Installation) -> None:
    away = "127.0.0.1:1/nobody/listens:1"
    with pytest.raises(ClientError) as refused:
        lambent.client.create_function(
            FunctionName="unreached", PackageType="Image", Role=ROLE, Code={"ImageUri": away}
        )
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
    assert "127.0.0.1:1" in str(refused.value)
    document = picture("unreached", away)
    del document["spec"]["imageConfig"]
    try:
        lambent.apply(document)
        lambent.kubectl("wait", "--for=jsonpath={.status.state}=Failed", "fn/unreached", "--timeout=60s")
        status = lambent.function("unreached")["status"]
        assert status["stateReasonCode"] == "ImageAccessDenied" and "127.0.0.1:1" in status["stateReason"]
        wait_for("the condition", lambda: lambent.condition("fn", "unreached", "CodeReady") == ("False", "CodeInvalid"))
    finally:
        lambent.remove("unreached")


def test_an_image_that_nodes_can_not_pull_is_told_of_the_function(lambent: Installation) -> None:
    with lambent.applied(picture("unpulled", "127.0.0.1:1/nobody/listens:1")):
        with pytest.raises(ClientError, match=r"spec\.code\.imageUri"):
            lambent.invoke("unpulled")
        wait_for(
            "the condition",
            lambda: lambent.condition("fn", "unpulled", "EnvironmentsReady") == ("False", "ImagePullFailed"),
        )
        wait_for("the event", lambda: lambent.events("unpulled").get("ImagePullFailed") == 1)
