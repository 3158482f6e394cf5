"""The operations about layers, on stores in memory, and layers of functions."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from lambent_core.function import Function
from lambent_core.layers import LayerVersion, LayerVersionMetadata, LayerVersionSpec, LayerVersionStatus
from tests.unit.gateway.api.conftest import encoded, package

LAYERS = "/2018-10-31/layers"
ARN = "arn:aws:lambda:us-east-1:000000000000:layer"
MANIFEST: dict[str, Any] = {
    "apiVersion": "lambent.dev/v1",
    "kind": "LayerVersion",
    "metadata": {"name": "deps.1"},
    "spec": {"layerName": "deps", "version": 1, "code": {"inline": {"python/shared.py": "A = 1\n"}}},
}
PUT = "/lambent/v1/layers/deps/versions/1"


async def publish(live: Any, name: str = "deps", text: str = "one", **members: Any) -> Any:
    answer = await live.request(
        "POST", f"{LAYERS}/{name}/versions", {"Content": {"ZipFile": encoded(package(text))}, **members}
    )
    assert answer.status == 201, answer.content
    return answer.body


async def listed(live: Any, path: str, query: str = "") -> Any:
    return (await live.request("GET", f"{LAYERS}{path}", query=query)).body


async def numbers(live: Any, name: str = "deps") -> list[int]:
    return [version["Version"] for version in (await listed(live, f"/{name}/versions"))["LayerVersions"]]


async def test_what_is_published_can_be_had(live: Any) -> None:
    published = await publish(live, Description="shared", CompatibleRuntimes=["python3.11"], LicenseInfo="MIT")
    assert published["LayerVersionArn"] == f"{ARN}:deps:1"
    assert (await live.request("GET", f"{LAYERS}/deps/versions/1")).body == published
    by_arn = await live.request("GET", LAYERS, query=f"find=LayerVersion&Arn={ARN}:deps:1")
    assert by_arn.body == published
    path = published["Content"]["Location"].removeprefix("http://lambda.test:9000")
    assert (await live.request("GET", path)).content == package("one")


async def test_a_layer_may_be_named_by_its_arn(live: Any) -> None:
    await publish(live, f"{ARN}:deps")
    assert await numbers(live) == [1]
    elsewhere = await live.request("GET", f"{LAYERS}/{ARN}:deps/versions/1", region="eu-west-1")
    assert elsewhere.status == 404


async def test_layers_are_listed_by_name_with_their_latest_version(live: Any) -> None:
    for name in ("b", "a", "b"):
        await publish(live, name)
    found = (await listed(live, ""))["Layers"]
    assert [(one["LayerName"], one["LatestMatchingVersion"]["Version"]) for one in found] == [("a", 1), ("b", 2)]
    assert found[1]["LayerArn"] == f"{ARN}:b"


async def test_lists_are_narrowed_by_what_layers_say(live: Any) -> None:
    await publish(live, CompatibleRuntimes=["python3.11"], CompatibleArchitectures=["arm64"])
    await publish(live, CompatibleRuntimes=["nodejs20.x"])
    await publish(live, "plain")
    latest = (await listed(live, "", "CompatibleRuntime=python3.11"))["Layers"]
    assert [one["LatestMatchingVersion"]["Version"] for one in latest] == [1]
    assert (await listed(live, "", "CompatibleRuntime=nodejs20.x&CompatibleArchitecture=arm64"))["Layers"] == []
    versions = (await listed(live, "/deps/versions", "CompatibleArchitecture=arm64"))["LayerVersions"]
    assert [one["Version"] for one in versions] == [1]


async def test_versions_come_a_page_at_a_time_the_latest_first(live: Any) -> None:
    for _ in range(12):
        await publish(live)
    seen: list[int] = []
    query = "MaxItems=5"
    for pages in range(1, 4):
        answer = await listed(live, "/deps/versions", query)
        seen += [one["Version"] for one in answer["LayerVersions"]]
        query = f"MaxItems=5&Marker={answer.get('NextMarker')}"
        assert ("NextMarker" in answer) == (pages < 3)
    assert seen == [*range(12, 0, -1)]


async def test_a_number_is_never_given_twice(live: Any) -> None:
    for _ in range(3):
        await publish(live)
    assert (await live.request("DELETE", f"{LAYERS}/deps/versions/3")).status == 204
    assert (await live.request("DELETE", f"{LAYERS}/deps/versions/3")).status == 204
    assert await numbers(live) == [2, 1]
    assert (await live.request("GET", f"{LAYERS}/deps/versions/3")).status == 404
    for number in (1, 2):
        await live.request("DELETE", f"{LAYERS}/deps/versions/{number}")
    assert (await listed(live, ""))["Layers"] == []
    assert (await publish(live))["Version"] == 4
    assert [one.spec.version for one in live.documents.list(LayerVersion)] == [4], "only the highest is remembered"


async def test_versions_that_are_published_at_once_get_a_number_each(live: Any) -> None:
    published = await asyncio.gather(*(publish(live, text=str(number)) for number in range(5)))
    assert sorted(one["Version"] for one in published) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("name", "layer", "told"),
    [
        ("my-deps.1", "my_deps", "LayerVersion my-deps.1 exists and is of the layer my_deps, not my-deps: delete it."),
        (
            "my-deps.2",
            "my-deps",
            "LayerVersion my-deps.2 exists and can't be read as version 2 of the layer my-deps: "
            "try again in a moment, or delete it.",
        ),
    ],
)
async def test_what_is_in_the_place_of_a_layer_version_is_told(live: Any, name: str, layer: str, told: str) -> None:
    """Others may apply what the API never makes; nobody publishes in its place, takes it for his own, or tries for ever."""
    spec = LayerVersionSpec(layer_name=layer, version=1)
    applied = await live.documents.put(LayerVersion(metadata=LayerVersionMetadata(name=name), spec=spec), "")
    async with asyncio.timeout(10):
        refused = await live.request("POST", f"{LAYERS}/my-deps/versions", {"Content": {"ZipFile": encoded(package())}})
    assert (refused.status, refused.headers["x-amzn-errortype"], refused.body["message"]) == (
        409,
        "ResourceConflictException",
        told,
    )
    assert live.documents.list(LayerVersion) == [applied]


async def test_a_layer_version_goes_by_its_own_name_alone(live: Any) -> None:
    spec = LayerVersionSpec(layer_name="my_deps", version=1)
    applied = await live.documents.put(LayerVersion(metadata=LayerVersionMetadata(name="my-deps.1"), spec=spec), "")
    assert (await live.request("DELETE", f"{LAYERS}/my-deps/versions/1")).status == 204
    assert live.documents.list(LayerVersion) == [applied]


@pytest.mark.parametrize("content", [{}, {"S3Bucket": "bucket", "S3Key": "key"}, {"ZipFile": encoded(b"no zip")}])
async def test_content_that_is_no_zip(live: Any, content: Any) -> None:
    refused = await live.request("POST", f"{LAYERS}/deps/versions", {"Content": content})
    assert (refused.status, refused.headers["x-amzn-errortype"]) == (400, "InvalidParameterValueException")
    assert await numbers(live) == []


async def test_a_function_shows_its_layers(live: Any) -> None:
    size = (await publish(live))["Content"]["CodeSize"]
    await publish(live, "tools")
    created = await live.create(Layers=[f"{ARN}:tools:1", f"{ARN}:deps:1"])
    wanted = [{"Arn": f"{ARN}:tools:1", "CodeSize": size}, {"Arn": f"{ARN}:deps:1", "CodeSize": size}]
    assert created.body["Layers"] == wanted
    published = await live.function("POST", "/versions", {})
    assert published.body["Layers"] == wanted
    changed = await live.function("PUT", "/configuration", {"Layers": []})
    assert "Layers" not in changed.body
    assert (await live.function("GET", "/configuration", query="Qualifier=1")).body["Layers"] == wanted


async def test_a_layer_that_is_not_there_makes_no_function(live: Any) -> None:
    refused = await live.create(Layers=[f"{ARN}:deps:1"])
    assert refused.status == 400
    assert refused.body == {"Type": "User", "message": f"Layer version {ARN}:deps:1 does not exist."}
    assert live.documents.list(Function) == []


async def test_a_function_keeps_a_layer_that_is_deleted(live: Any) -> None:
    await publish(live)
    await live.create(Layers=[f"{ARN}:deps:1"])
    await live.request("DELETE", f"{LAYERS}/deps/versions/1")
    changed = await live.function("PUT", "/configuration", {"Timeout": 7, "Layers": [f"{ARN}:deps:1"]})
    assert changed.status == 200 and changed.body["Layers"][0]["Arn"] == f"{ARN}:deps:1"
    (function,) = live.documents.list(Function)
    assert function.status.last_update_status == "Successful"
    assert (await live.create("other", Layers=[f"{ARN}:deps:1"])).status == 400


async def test_a_manifest_publishes_once(live: Any) -> None:
    created = await live.request("PUT", PUT, MANIFEST)
    assert (created.status, created.headers["x-lambent-result"]) == (201, "created")
    assert created.body["status"]["state"] == "Active"
    again = await live.request("PUT", PUT, MANIFEST)
    assert (again.status, again.headers["x-lambent-result"]) == (200, "unchanged")
    assert (await live.request("GET", PUT)).body == created.body
    assert (await live.request("GET", "/lambent/v1/layers")).body["items"] == [created.body]
    assert await numbers(live) == [1]


async def test_a_manifest_that_says_something_else_is_refused(live: Any) -> None:
    await live.request("PUT", PUT, MANIFEST)
    other = {**MANIFEST, "spec": {**MANIFEST["spec"], "code": {"inline": {"python/shared.py": "A = 2\n"}}}}
    refused = await live.request("PUT", PUT, other)
    assert refused.status == 400
    assert refused.body["message"] == (
        "spec: version 1 of the layer deps is published with another content, and a version never changes: "
        "publish this as version 2"
    )
    assert (await live.request("DELETE", PUT)).status == 204
    assert (await live.request("DELETE", PUT)).status == 404
    refused = await live.request("PUT", PUT, MANIFEST)
    assert refused.status == 400 and refused.body["message"].endswith("publish this as version 2")


async def test_a_manifest_of_what_is_being_published_is_not_told_that_it_differs(live: Any) -> None:
    """Another gateway has not come to the status yet, or it was applied by kubectl just now."""
    made = (await live.request("PUT", PUT, MANIFEST)).body
    (published,) = live.documents.list(LayerVersion)
    half = msgspec.structs.replace(published, status=LayerVersionStatus())
    half = await live.documents.put(half, published.metadata.resource_version)
    refused = await live.request("PUT", PUT, MANIFEST)
    told = "spec.version: version 1 of the layer deps is being published: try again in a moment"
    assert (refused.status, refused.body["message"]) == (409, told)
    await live.documents.put(msgspec.structs.replace(half, status=published.status), half.metadata.resource_version)
    again = await live.request("PUT", PUT, MANIFEST)
    assert (again.headers["x-lambent-result"], again.body["status"]) == ("unchanged", made["status"])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"code": {}}, "spec.code: is missing"),
        ({"code": {"path": "."}}, "spec.code.path: only the lambent command reads folders"),
        ({"code": {"inline": {"../x": ""}}}, "spec.code.inline: ../x is no path of a file in the package"),
        ({"code": {"sha256": "ab" * 32}}, "spec.code.sha256: there is no package"),
        ({"version": 2}, "metadata.name: deps.2 is wanted"),
        ({"compatibleRuntimes": ["cobol"]}, "spec.compatibleRuntimes[0]: cobol is no runtime"),
        ({"code": {"inline": "text"}}, "spec.code.inline: a mapping is wanted"),
    ],
    ids=["no code", "path", "outside", "not uploaded", "name", "runtime", "text"],
)
async def test_a_manifest_that_cannot_be(live: Any, changes: dict[str, Any], text: str) -> None:
    refused = await live.request("PUT", PUT, {**MANIFEST, "spec": {**MANIFEST["spec"], **changes}})
    assert refused.status == 400
    assert text in refused.body["message"]


async def test_a_namespace_without_layer_versions_is_refused(live: Any) -> None:
    refused = await live.request("PUT", PUT, MANIFEST | {"metadata": {"name": "deps.1", "namespace": "other-ns"}})
    assert refused.status == 400
    assert refused.body["message"].startswith("metadata.namespace: ") and "not in other-ns" in refused.body["message"]


async def test_a_functions_manifest_names_layers_for_short(live: Any) -> None:
    await live.request("PUT", PUT, MANIFEST)
    function = {
        "apiVersion": "lambent.dev/v1",
        "kind": "Function",
        "metadata": {"name": "fn"},
        "spec": {
            "runtime": "python3.11",
            "handler": "app.handler",
            "code": {"inline": "def handler(event, context): return event\n"},
            "layers": ["deps:1"],
        },
    }
    created = await live.request("PUT", "/lambent/v1/functions/fn", function)
    assert created.status == 201
    assert (await live.function("GET", "/configuration")).body["Layers"][0]["Arn"] == f"{ARN}:deps:1"
    await live.request("DELETE", PUT)
    again = await live.request("PUT", "/lambent/v1/functions/fn", function)
    assert again.headers["x-lambent-result"] == "unchanged"


async def test_layers_count_as_code_of_the_account(live: Any) -> None:
    size = (await publish(live))["Content"]["CodeSize"]
    await publish(live)  # the same bytes are kept once
    settings = (await live.request("GET", "/2016-08-19/account-settings")).body
    assert settings["AccountUsage"] == {"TotalCodeSize": size, "FunctionCount": 0}
