"""Layers on a cluster: what boto3 publishes is a resource, what kubectl applies is a layer, and functions have either below /opt."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from tests.cluster.installation import Installation, KubectlFailed, function, wait_for

pytestmark = pytest.mark.timeout(240)

SHARED = "import shared\n\ndef handler(event, context):\n    return shared.NAME\n"
BOTH = """
import os, subprocess
import shared

def handler(event, context):
    tool = subprocess.run(["tool"], capture_output=True, text=True)
    return [shared.NAME, tool.stdout, sorted(os.listdir("/opt"))]
"""


def package(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o755 << 16
            archive.writestr(entry, text)
    return buffer.getvalue()


def publish(lambent: Installation, name: str, files: Mapping[str, str]) -> str:
    published = lambent.client.publish_layer_version(LayerName=name, Content={"ZipFile": package(files)})
    arn: str = published["LayerVersionArn"]
    return arn


def layer_version(name: str, version: int, files: Mapping[str, str]) -> dict[str, Any]:
    spec = {"layerName": name, "version": version, "code": {"inline": dict(files)}}
    metadata = {"name": f"{name}.{version}"}
    return {"apiVersion": "lambent.dev/v1", "kind": "LayerVersion", "metadata": metadata, "spec": spec}


@contextmanager
def cleared(lambent: Installation, *layers: str) -> Iterator[None]:
    """Layers of these names are gone when the block ends, those too that were deleted by the API."""
    try:
        yield
    finally:
        for layer in layers:
            selector = f"spec.layerName={layer}"
            lambent.kubectl("delete", "lv", "--field-selector", selector, "--ignore-not-found")


def active(lambent: Installation, name: str) -> None:
    lambent.kubectl("wait", "--for=condition=Ready", f"lv/{name}", "--timeout=30s")


def test_what_boto3_publishes_is_a_resource_and_below_opt(lambent: Installation) -> None:
    with cleared(lambent, "published"):
        arn = publish(lambent, "published", {"python/shared.py": "NAME = 1\n", "bin/tool": "#!/bin/sh\necho tool\n"})
        active(lambent, "published.1")
        columns = lambent.kubectl("get", "lv", "published.1").splitlines()
        assert columns[0].split() == ["NAME", "LAYER", "VERSION", "STATE", "SIZE", "RUNTIMES", "AGE"]
        assert columns[1].split()[:4] == ["published.1", "published", "1", "Active"]
        with lambent.applied(function("layered", BOTH, layers=[arn])):
            assert lambent.invoke("layered") == [1, "tool\n", ["bin", "python"]]


def test_what_kubectl_applies_is_a_layer_in_any_order(lambent: Installation) -> None:
    """The function first: it says what it lacks, and goes on once that is there."""
    with cleared(lambent, "applied"):
        try:
            lambent.apply(function("waits", SHARED, layers=["applied:1"]))
            reason = "spec.layers: Layer version applied:1 does not exist."
            wait_for("the reason", lambda: lambent.function("waits").get("status", {}).get("stateReason") == reason)
            lambent.apply(layer_version("applied", 1, {"python/shared.py": "NAME = 'applied'\n"}))
            lambent.kubectl("wait", "--for=condition=Ready", "fn/waits", "--timeout=60s")
            assert lambent.invoke("waits") == "applied"
            shown = lambent.client.get_layer_version(LayerName="applied", VersionNumber=1)
            assert shown["Content"]["CodeSize"] == lambent.get("lv", "applied.1")["status"]["code"]["size"]
            (used,) = lambent.client.get_function_configuration(FunctionName="waits")["Layers"]
            assert used["Arn"] == shown["LayerVersionArn"]
        finally:
            lambent.remove("waits")


def test_layers_of_both_sides_are_merged_in_order(lambent: Installation) -> None:
    with cleared(lambent, "lower", "upper"):
        lower = publish(lambent, "lower", {"python/shared.py": "NAME = 'lower'\n", "bin/tool": "#!/bin/sh\necho low\n"})
        lambent.apply(layer_version("upper", 1, {"python/shared.py": "NAME = 'upper'\n", "data": "x"}))
        with lambent.applied(function("merged", BOTH, layers=[lower, "upper:1"])):
            assert lambent.invoke("merged") == ["upper", "low\n", ["bin", "data", "python"]]
            lambent.apply(function("merged", BOTH, layers=["upper:1", lower]))
            wait_for("the other order", lambda: lambent.invoke("merged")[0] == "lower")


def test_a_layer_version_never_changes_and_says_what_is_wrong(lambent: Installation) -> None:
    with cleared(lambent, "fixed", "wrong"):
        lambent.apply(layer_version("fixed", 1, {"a": "1"}))
        with pytest.raises(KubectlFailed, match=r"spec\.code never changes: publish another version of the layer"):
            lambent.apply(layer_version("fixed", 1, {"a": "2"}))
        lambent.apply(layer_version("wrong", 1, {"../a": "1"}))
        wait_for("what is wrong", lambda: lambent.get("lv", "wrong.1").get("status", {}).get("state") == "Failed")
        assert "spec.code.inline" in lambent.get("lv", "wrong.1")["status"]["stateReason"]


def test_who_uses_a_deleted_layer_goes_on(lambent: Installation) -> None:
    """Deleted by the API, then the resource too; a new environment still finds its files, and a version has them for good."""
    with cleared(lambent, "leaves"):
        arn = publish(lambent, "leaves", {"python/shared.py": "NAME = 'still there'\n"})
        with lambent.applied(function("keeps", SHARED, layers=[arn])):
            lambent.client.publish_version(FunctionName="keeps")
            lambent.client.delete_layer_version(LayerName="leaves", VersionNumber=1)
            assert lambent.get("lv", "leaves.1")["status"]["state"] == "Deleted"
            assert publish(lambent, "leaves", {"a": "b"}).endswith(":leaves:2"), "no number is used twice"
            lambent.kubectl("delete", "lv", "leaves.1", "--ignore-not-found")
            lambent.apply(function("keeps", SHARED, layers=[arn], timeout=9))
            wait_for(
                "the change",
                lambda: (
                    lambent.client.get_function_configuration(FunctionName="keeps")["Timeout"] == 9
                    and lambent.function("keeps")["status"]["lastUpdateStatus"] == "Successful"
                ),
            )
            assert lambent.invoke("keeps") == "still there"
            answer = lambent.client.invoke(FunctionName="keeps", Qualifier="1", Payload=b"{}")
            assert json.loads(answer["Payload"].read()) == "still there"
            (used,) = lambent.get("fnv", "keeps.1")["spec"]["layers"]
            assert used["layer"] == "leaves:1"
