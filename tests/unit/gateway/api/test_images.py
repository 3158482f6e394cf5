"""Functions from container images through the API: looked up when they are given, shown as AWS shows them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from lambent_core.function import FoundImage, Function
from lambent_core.images import denied_image, unsupported_image
from tests.unit.gateway.api.conftest import ROLE, Answer, Api, encoded, make_api, package

URI = "registry.example.com/team/fn:1"
DIGESTS = {number: f"sha256:{number * 64}" for number in "123"}


def found(number: str = "1", **members: Any) -> FoundImage:
    return FoundImage(**{"digest": DIGESTS[number], "entry_point": ["/entry"], "command": ["app.handler"]} | members)


@pytest.fixture
async def cluster() -> AsyncIterator[Api]:
    """As on Kubernetes, with one image."""
    api = make_api(containers=True)
    api.deployments.start()
    api.images.found[URI] = found()
    yield api
    await api.deployments.stop()


async def create(api: Api, uri: str | None = URI, **members: Any) -> Answer:
    code = {} if uri is None else {"ImageUri": uri}
    given = {"FunctionName": "fn", "Role": ROLE, "PackageType": "Image", "Code": code} | members
    return await api.request("POST", "/2015-03-31/functions", given)


def stored(api: Api) -> Function:
    function = api.documents.get(Function, "fn")
    assert function is not None
    return function


async def test_created_it_is_what_its_tag_stood_for(cluster: Api) -> None:
    answer = await create(cluster)
    assert answer.status == 201, answer.body
    assert (answer.body["PackageType"], answer.body["CodeSha256"], answer.body["State"]) == (
        "Image",
        "1" * 64,
        "Pending",
    )
    shown = (await cluster.function("GET")).body
    assert shown["Code"] == {
        "RepositoryType": "ECR",
        "ImageUri": URI,
        "ResolvedImageUri": f"registry.example.com/team/fn@{DIGESTS['1']}",
    }
    configuration = shown["Configuration"]
    assert (configuration["State"], configuration["LastUpdateStatus"]) == ("Active", "Successful")
    assert not {"Runtime", "Handler", "ImageConfigResponse"} & configuration.keys()
    assert cluster.images.asked == [(URI, "x86_64")]


async def test_what_the_function_says_itself_is_not_looked_up(cluster: Api) -> None:
    config = {"EntryPoint": ["/own"], "Command": ["a"], "WorkingDirectory": "/app"}
    answer = await create(cluster, "fn:1", ImageConfig=config)
    assert answer.status == 201
    assert answer.body["ImageConfigResponse"] == {"ImageConfig": config} and "CodeSha256" not in answer.body
    assert (await cluster.function("GET")).body["Code"] == {"RepositoryType": "ECR", "ImageUri": "fn:1"}
    assert cluster.images.asked == []
    cluster.images.found["fn:1"] = found("2")
    answer = await cluster.function("PUT", "/configuration", {"ImageConfig": {"Command": ["a"]}})
    assert answer.body["CodeSha256"] == "2" * 64
    assert stored(cluster).spec.code.image == found("2")


@pytest.mark.parametrize(
    ("uri", "members", "status", "code", "words"),
    [
        (None, {}, 400, "InvalidParameterValueException", "Please provide ImageUri when creating a function"),
        (
            URI,
            {"Layers": ["arn:aws:lambda:us-east-1:000000000000:layer:a:1"]},
            400,
            "InvalidParameterValueException",
            "or Layer",
        ),
        (URI, {"Handler": "a.b"}, 400, "InvalidParameterValueException", "Please don't provide Handler or Runtime"),
        (
            "Fn",
            {},
            400,
            "InvalidParameterValueException",
            "Source image Fn is not valid. Provide a valid source image.",
        ),
        ("fn:9", {}, 400, "InvalidParameterValueException", "Source image fn:9 does not exist."),
        (
            "private:1",
            {},
            403,
            "AccessDeniedException",
            "Lambda does not have permission to access the image private:1",
        ),
        ("chart:1", {}, 400, "InvalidParameterValueException", "for the source image chart:1 is not supported."),
        ("empty:1", {}, 400, "InvalidParameterValueException", "has neither ENTRYPOINT nor CMD"),
        (URI, {"ImageConfig": {"Command": ["a"] * 1501}}, 400, "ValidationException", "less than or equal to 1500"),
        (
            URI,
            {"ImageConfig": {"WorkingDirectory": "a" * 1001}},
            400,
            "ValidationException",
            "less than or equal to 1000",
        ),
    ],
)
async def test_create_refuses(cluster: Api, uri: str | None, members: Any, status: int, code: str, words: str) -> None:
    cluster.images.found |= {
        "private:1": denied_image("private:1", "docker.io", "401 Unauthorized"),
        "chart:1": unsupported_image("chart:1"),
        "empty:1": found(entry_point=[], command=[]),
    }
    answer = await create(cluster, uri, **members)
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (status, code)
    assert words in (answer.body.get("message") or answer.body.get("Message"))
    assert cluster.documents.list(Function) == []


async def test_another_image_is_another_revision(cluster: Api) -> None:
    await create(cluster)
    cluster.images.found["fn:2"] = found("2")
    before = stored(cluster).status.code_revision
    answer = await cluster.function("PUT", "/code", {"ImageUri": "fn:2"})
    assert (answer.status, answer.body["CodeSha256"], answer.body["LastUpdateStatus"]) == (200, "2" * 64, "InProgress")
    assert stored(cluster).status.code_revision == before + 1
    assert (await cluster.function("GET")).body["Code"]["ResolvedImageUri"] == f"fn@{DIGESTS['2']}"


async def test_a_tag_that_moved_is_followed_when_it_is_given_again_and_not_before(cluster: Api) -> None:
    await create(cluster)
    cluster.images.found[URI] = found("3")
    answer = await cluster.function("PUT", "/configuration", {"Timeout": 9})
    assert answer.body["CodeSha256"] == "1" * 64
    answer = await cluster.function("PUT", "/code", {"ImageUri": URI})
    assert answer.body["CodeSha256"] == "3" * 64


async def test_an_image_for_another_architecture(cluster: Api) -> None:
    await create(cluster)
    answer = await cluster.function("PUT", "/code", {"ImageUri": URI, "Architectures": ["arm64"]})
    assert (answer.status, answer.body["Architectures"]) == (200, ["arm64"])
    assert cluster.images.asked[-1] == (URI, "arm64")


async def test_an_image_that_is_not_there_leaves_the_function_as_it_is(cluster: Api) -> None:
    await create(cluster)
    before = stored(cluster)
    answer = await cluster.function("PUT", "/code", {"ImageUri": "fn:9"})
    assert answer.status == 400 and "Source image fn:9 does not exist." in answer.body["message"]
    assert stored(cluster) == before


async def test_a_dry_run_looks_and_changes_nothing(cluster: Api) -> None:
    await create(cluster)
    before = stored(cluster)
    cluster.images.found["fn:2"] = found("2")
    answer = await cluster.function("PUT", "/code", {"ImageUri": "fn:2", "DryRun": True})
    assert (answer.status, answer.body["CodeSha256"]) == (200, "2" * 64)
    assert stored(cluster) == before


async def test_packages_and_images_are_not_exchanged(cluster: Api) -> None:
    await create(cluster)
    answer = await cluster.function("PUT", "/code", {"ZipFile": encoded(package())})
    assert answer.body["message"] == "Please provide ImageUri when updating a function with packageType Image."
    answer = await cluster.function("PUT", "/configuration", {"Runtime": "python3.11", "Handler": "a.b"})
    assert answer.status == 400 and "PackageType is Image" in answer.body["message"]


async def test_a_version_keeps_its_image(cluster: Api) -> None:
    await create(cluster, Publish=True)
    cluster.images.found[URI] = found("2")
    await cluster.function("PUT", "/code", {"ImageUri": URI})
    assert (await cluster.function("POST", "/versions", {})).body["Version"] == "2"
    digests = [
        (await cluster.function("GET", query=f"Qualifier={version}")).body["Configuration"]["CodeSha256"]
        for version in ("1", "2", "$LATEST")
    ]
    assert digests == ["1" * 64, "2" * 64, "2" * 64]
    refused = await cluster.function("POST", "/versions", {"CodeSha256": "1" * 64})
    assert (
        refused.status == 400
        and f"different from current CodeSHA256 in $LATEST ({'2' * 64})" in refused.body["message"]
    )


MANIFEST: dict[str, Any] = {
    "apiVersion": "lambent.dev/v1",
    "kind": "Function",
    "metadata": {"name": "fn"},
    "spec": {"packageType": "Image", "code": {"imageUri": URI}},
}


async def put(api: Api, **spec: Any) -> Answer:
    return await api.request("PUT", "/lambent/v1/functions/fn", MANIFEST | {"spec": MANIFEST["spec"] | spec})


async def test_a_manifest_names_an_image(cluster: Api) -> None:
    assert (await put(cluster)).headers["x-lambent-result"] == "created"
    assert stored(cluster).spec.code.image == found()
    cluster.images.found[URI] = found("2")
    assert (await put(cluster)).headers["x-lambent-result"] == "unchanged"
    assert (await put(cluster, timeout=9)).headers["x-lambent-result"] == "configured"
    assert stored(cluster).spec.code.image == found()
    refused = await put(cluster, code={"imageUri": "fn:9"})
    assert refused.status == 400 and refused.body["message"].startswith(
        "spec.code.imageUri: Source image fn:9 does not exist."
    )
    refused = await put(cluster, packageType="Zip", runtime="python3.11", handler="a.b", code={"inline": ""})
    assert (
        refused.status == 400
        and "spec.packageType: the function is Image, which never changes" in refused.body["message"]
    )


async def test_a_machine_without_containers_says_so(live: Api) -> None:
    for answer in (await create(live), await put(live)):
        assert (answer.status, answer.headers["x-amzn-errortype"]) == (501, "NotImplementedException")
        assert "container images run on Kubernetes only" in answer.body["Message"]
    answer = await create(live, None)
    assert answer.status == 400, "what is wrong anywhere is told first"
