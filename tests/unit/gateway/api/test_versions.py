"""Versions and aliases through the API: lists, pages, and the settings that each has of its own."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from lambent_core import versions
from lambent_core.errors import ResourceNotFound
from lambent_core.function import EventInvokeConfig, Function
from lambent_core.versions import FunctionAlias, FunctionVersion
from lambent_gateway.api.qualified import Qualified

FUNCTIONS = "/2015-03-31/functions"
EVENTS = "/2019-09-25/functions"


@pytest.fixture
async def published(live: Any) -> Any:
    """`fn` with versions 1 to 3 and the aliases `a` to 1, `b` to 2 and by half to 3."""
    await live.create("fn")
    for number in (1, 2, 3):
        await live.request("PUT", f"{FUNCTIONS}/fn/configuration", {"Timeout": number})
        assert (await live.request("POST", f"{FUNCTIONS}/fn/versions", {})).body["Version"] == str(number)
    await live.request("POST", f"{FUNCTIONS}/fn/aliases", {"Name": "a", "FunctionVersion": "1"})
    weights = {"AdditionalVersionWeights": {"3": 0.5}}
    await live.request(
        "POST", f"{FUNCTIONS}/fn/aliases", {"Name": "b", "FunctionVersion": "2", "RoutingConfig": weights}
    )
    return live


async def listed(api: Any, path: str, member: str, name: str, **query: str) -> tuple[list[Any], str | None]:
    answer = await api.request("GET", path, query="&".join(f"{key}={value}" for key, value in query.items()))
    return [one[name] for one in answer.body[member]], answer.body.get("NextMarker")


async def test_versions_in_pages(published: Any) -> None:
    path = f"{FUNCTIONS}/fn/versions"
    first, marker = await listed(published, path, "Versions", "Version", MaxItems="3")
    assert (first, await listed(published, path, "Versions", "Version", Marker=marker or "")) == (
        ["$LATEST", "1", "2"],
        (["3"], None),
    )


async def test_all_versions_of_all_functions(published: Any) -> None:
    await published.create("fn-2")
    every, _ = await listed(published, f"{FUNCTIONS}/", "Functions", "FunctionArn", FunctionVersion="ALL")
    ends = [arn.partition("function:")[2] for arn in every]
    assert sorted(ends) == ["fn-2:$LATEST", "fn:$LATEST", "fn:1", "fn:2", "fn:3"]
    found, marker = await listed(
        published, f"{FUNCTIONS}/", "Functions", "FunctionArn", FunctionVersion="ALL", MaxItems="2"
    )
    while marker:
        more, marker = await listed(
            published, f"{FUNCTIONS}/", "Functions", "FunctionArn", FunctionVersion="ALL", MaxItems="2", Marker=marker
        )
        found += more
    assert found == every


async def test_aliases_of_a_version(published: Any) -> None:
    path = f"{FUNCTIONS}/fn/aliases"
    assert (await listed(published, path, "Aliases", "Name"))[0] == ["a", "b"]
    for version, names in (("1", ["a"]), ("2", ["b"]), ("3", ["b"]), ("$LATEST", [])):
        assert (await listed(published, path, "Aliases", "Name", FunctionVersion=version))[0] == names


async def test_what_a_qualifier_means(published: Any) -> None:
    for qualifier, version in (("2", "2"), ("a", "1"), ("b", "2"), ("$LATEST", "$LATEST")):
        shown = await published.request("GET", f"{FUNCTIONS}/fn", query=f"Qualifier={qualifier}")
        found = shown.body["Configuration"]
        assert (found["Version"], found["FunctionArn"].rpartition(":")[2]) == (version, qualifier)
    missing = await published.request("GET", f"{FUNCTIONS}/fn/configuration", query="Qualifier=c")
    assert (missing.status, missing.body["Message"].rpartition(":")[2]) == (404, "c")


async def test_a_version_that_an_alias_names_stays(published: Any) -> None:
    for version, alias in (("1", "a"), ("2", "b"), ("3", "b")):
        refused = await published.request("DELETE", f"{FUNCTIONS}/fn", query=f"Qualifier={version}")
        assert (refused.status, refused.headers["x-amzn-errortype"]) == (409, "ResourceConflictException")
        assert refused.body["message"].endswith(f"[{alias}]")
    refused = await published.request("DELETE", f"{FUNCTIONS}/fn", query="Qualifier=a")
    assert (refused.status, refused.body["message"]) == (400, "Deletion of aliases is not currently supported.")


@pytest.mark.parametrize("qualifier", ["1", "a"])
async def test_events_of_a_qualifier_have_settings_of_their_own(published: Any, qualifier: str) -> None:
    path, query = f"{EVENTS}/fn/event-invoke-config", f"Qualifier={qualifier}"
    assert (await published.request("GET", path, query=query)).status == 404
    put = await published.request("PUT", path, {"MaximumRetryAttempts": 0}, query=query)
    assert (put.body["MaximumRetryAttempts"], put.body["FunctionArn"].rpartition(":")[2]) == (0, qualifier)
    updated = await published.request("POST", path, {"MaximumEventAgeInSeconds": 60}, query=query)
    assert (updated.body["MaximumRetryAttempts"], updated.body["MaximumEventAgeInSeconds"]) == (0, 60)
    assert (await published.request("GET", path)).status == 404, "the function has none"
    await published.request("PUT", path, {"MaximumRetryAttempts": 1})
    assert (await listed(published, f"{path}/list", "FunctionEventInvokeConfigs", "MaximumRetryAttempts"))[0] == [1, 0]
    await published.request("DELETE", path, query=query)
    assert (await published.request("GET", path, query=query)).status == 404
    missing = await published.request("PUT", path, {"MaximumRetryAttempts": 0}, query="Qualifier=9")
    assert (missing.status, missing.body["Message"]) == (404, "The function doesn't exist.")


async def test_what_is_published_while_the_function_goes_goes_with_it(published: Any) -> None:
    documents = published.documents
    assert (len(documents.list(FunctionVersion)), len(documents.list(FunctionAlias))) == (3, 2)
    await published.request("DELETE", f"{FUNCTIONS}/fn")
    assert (documents.list(FunctionVersion), documents.list(FunctionAlias)) == ([], [])


async def test_an_earlier_function_of_the_name_leaves_nothing_in_the_way(published: Any) -> None:
    left = published.documents.list(FunctionVersion)[0]
    await published.request("DELETE", f"{FUNCTIONS}/fn")
    await published.documents.put(left, "")  # as a crash between the two would leave it
    await published.create("fn")
    assert (await listed(published, f"{FUNCTIONS}/fn/versions", "Versions", "Version"))[0] == ["$LATEST"]
    assert (await published.request("POST", f"{FUNCTIONS}/fn/versions", {})).body["Version"] == "1"
    assert [one.function_uid for one in published.documents.list(FunctionVersion)] != [left.function_uid]


async def test_a_version_that_its_function_was_not_told_of_is_told_when_it_is_published_again(live: Any) -> None:
    """As a crash between the two leaves it, or who applies it. Its number is given to no other once it is deleted."""
    await live.create("fn")
    for number, published_again in ((1, True), (2, False)):
        (function,) = live.documents.list(Function)
        await live.documents.put(versions.published(function, None, description=None, revision_id="r", now=0.0), "")
        if published_again:
            assert (await live.request("POST", f"{FUNCTIONS}/fn/versions", {})).body["Version"] == str(number)
            assert live.documents.list(Function)[0].status.last_version == number
        assert (await live.request("DELETE", f"{FUNCTIONS}/fn", query=f"Qualifier={number}")).status == 204
    assert (await live.request("POST", f"{FUNCTIONS}/fn/versions", {})).body["Version"] == "3"


async def test_who_removes_late_leaves_what_the_next_function_of_the_name_has(live: Any) -> None:
    await live.create("fn")
    (function,) = live.documents.list(Function)
    earlier = await live.documents.put(
        versions.published(function, None, description=None, revision_id="r", now=0.0), ""
    )
    changed = msgspec.structs.replace(earlier, event_invoke_config=EventInvokeConfig())
    await live.documents.put(changed, earlier.metadata.resource_version)
    qualified = Qualified(live.documents)
    await qualified.remove(earlier)
    assert live.documents.list(FunctionVersion) == [], "what was changed meanwhile goes all the same"
    of_the_next = await live.documents.put(msgspec.structs.replace(earlier, function_uid="another"), "")
    await qualified.remove(earlier)
    assert live.documents.list(FunctionVersion) == [of_the_next]


async def test_what_was_applied_past_the_api_is_not_written_over(live: Any) -> None:
    """It belongs to no function for a moment: nobody publishes in its place, or asks for ever."""
    created = (await live.create("fn")).body
    function = live.documents.list(Function)[0]
    nobodys = msgspec.structs.replace(function, metadata=msgspec.structs.replace(function.metadata, uid=""))
    applied = [
        await live.documents.put(versions.published(nobodys, None, description=None, revision_id="r", now=0.0), ""),
        await live.documents.put(versions.alias_of(nobodys, "a", "$LATEST", now=0.0), ""),
    ]
    for path, members, kind in (
        ("versions", {}, "FunctionVersion fn.1"),
        ("aliases", {"Name": "a", "FunctionVersion": "$LATEST"}, "FunctionAlias fn.a"),
    ):
        refused = await live.request("POST", f"{FUNCTIONS}/fn/{path}", members)
        told = f"{kind} exists and belongs to no function yet: try again in a moment, or delete it."
        assert (refused.status, refused.body["message"]) == (409, told), created
    assert [*live.documents.list(FunctionVersion), *live.documents.list(FunctionAlias)] == applied


async def test_what_is_in_the_place_of_a_version_is_told(live: Any) -> None:
    await live.create("fn")
    (function,) = live.documents.list(Function)
    first = versions.published(function, None, description=None, revision_id="r", now=0.0)
    metadata = msgspec.structs.replace(first.metadata, name="fn.2")
    applied = await live.documents.put(msgspec.structs.replace(first, metadata=metadata, description="old"), "")
    await live.request("PUT", f"{FUNCTIONS}/fn/configuration", {"Timeout": 9})
    async with asyncio.timeout(10):
        refused = await live.request("POST", f"{FUNCTIONS}/fn/versions", {})
    told = (
        "FunctionVersion fn.2 exists and can't be read as version 2 of the function fn: "
        "try again in a moment, or delete it."
    )
    assert (refused.status, refused.body["message"]) == (409, told)
    assert live.documents.list(FunctionVersion) == [applied]


@pytest.mark.parametrize(("method", "path"), [("GET", "versions"), ("GET", "aliases"), ("POST", "versions")])
async def test_of_no_function(live: Any, method: str, path: str) -> None:
    answer = await live.request(method, f"{FUNCTIONS}/none/{path}", {} if method == "POST" else None)
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (ResourceNotFound.status, ResourceNotFound.code)
