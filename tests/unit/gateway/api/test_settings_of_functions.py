"""Concurrency, URLs, retries, tags, recursion and runtime updates over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from lambent_core import reservations
from lambent_core.function import Function

ARN = "arn:aws:lambda:us-east-1:000000000000:function:fn"
TAGS = f"/2017-03-31/tags/{ARN.replace(':', '%3A')}"
URL = "/2021-10-31/functions/fn/url"
RETRIES = "/2019-09-25/functions/fn/event-invoke-config"


async def reserve(api: Any, number: int, name: str = "fn") -> Any:
    document = {"ReservedConcurrentExecutions": number}
    return await api.request("PUT", f"/2017-10-31/functions/{name}/concurrency", document)


async def account(api: Any) -> Any:
    return (await api.request("GET", "/2016-08-19/account-settings")).body


async def test_reserved_concurrency_leaves_a_hundred(live: Any) -> None:
    await live.create()
    await live.create("other")
    assert (await reserve(live, 500)).body == {"ReservedConcurrentExecutions": 500}
    assert (await account(live))["AccountLimit"]["UnreservedConcurrentExecutions"] == 500
    refused = await reserve(live, 401, "other")
    assert refused.body["message"] == (
        "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "
        "below its minimum value of [100]."
    )
    assert (await reserve(live, 400, "other")).status == 200
    assert (await reserve(live, 500)).status == 200, "its own reservation does not count against it"
    assert (await live.function("GET")).body["Concurrency"] == {"ReservedConcurrentExecutions": 500}
    assert (await live.request("DELETE", "/2017-10-31/functions/fn/concurrency")).status == 204
    assert (await live.request("GET", "/2019-09-30/functions/fn/concurrency")).body == {}


@pytest.mark.parametrize(("asked", "in_force"), [(0, None), (None, 0)])
async def test_what_is_reserved_here_is_in_force_though_a_refused_manifest_asked_for_the_same(
    live: Any, asked: int | None, in_force: int | None
) -> None:
    await live.create()
    there = live.documents.get(Function, "fn")
    refused = msgspec.structs.replace(
        there,
        spec=msgspec.structs.replace(there.spec, reserved_concurrent_executions=asked),
        status=msgspec.structs.replace(
            there.status, last_update_status="Failed", reserved_concurrent_executions=in_force
        ),
    )
    await live.documents.put(refused, there.metadata.resource_version)
    if asked is None:
        await live.request("DELETE", "/2017-10-31/functions/fn/concurrency")
    else:
        await reserve(live, asked)
    assert reservations.in_force(live.documents.get(Function, "fn")) == asked


async def test_who_reserves_at_once_reserves_no_more_than_there_is(live: Any) -> None:
    await live.create()
    await live.create("other")
    manifest = {
        "apiVersion": "lambent.dev/v1",
        "kind": "Function",
        "metadata": {"name": "applied"},
        "spec": {
            "runtime": "python3.11",
            "handler": "app.handler",
            "code": {"inline": "def handler(event, context): return event\n"},
            "reservedConcurrentExecutions": 500,
        },
    }
    answers = await asyncio.gather(
        reserve(live, 500),
        reserve(live, 500, "other"),
        live.request("PUT", "/lambent/v1/functions/applied", manifest),
        live.request("PUT", "/lambent/v1/functions/again", {**manifest, "metadata": {"name": "again"}}),
    )
    assert sorted(answer.status for answer in answers)[1:] == [400, 400, 400]
    assert (await account(live))["AccountLimit"]["UnreservedConcurrentExecutions"] == 500


async def test_account_settings_count_each_package_once(live: Any) -> None:
    size = (await live.create()).body["CodeSize"]
    await live.create("other")
    assert await account(live) == {
        "AccountLimit": {
            "TotalCodeSize": 80_530_636_800,
            "CodeSizeUnzipped": 262_144_000,
            "CodeSizeZipped": 52_428_800,
            "ConcurrentExecutions": 1_000,
            "UnreservedConcurrentExecutions": 1_000,
        },
        "AccountUsage": {"TotalCodeSize": size, "FunctionCount": 2},
    }


async def test_a_settings_change_leaves_the_revision_alone(live: Any) -> None:
    await live.create()
    before = (await live.function("GET", "/configuration")).body
    await reserve(live, 5)
    await live.request("POST", TAGS, {"Tags": {"a": "b"}})
    await live.request("POST", URL, {"AuthType": "NONE"})
    assert (await live.function("GET", "/configuration")).body == before


async def test_function_url(live: Any) -> None:
    await live.create()
    cors = {"AllowOrigins": ["*"], "MaxAge": 60}
    created = await live.request("POST", URL, {"AuthType": "NONE", "Cors": cors})
    assert created.status == 201
    assert created.body == {
        "FunctionUrl": "http://lambda.test:9000/url/fn/",
        "FunctionArn": ARN,
        "AuthType": "NONE",
        "CreationTime": "2026-11-24T02:08:06.250000Z",
        "Cors": cors,
    }
    updated = await live.request("PUT", URL, {"InvokeMode": "RESPONSE_STREAM"})
    assert (updated.body["InvokeMode"], updated.body["Cors"]) == ("RESPONSE_STREAM", cors)
    found = (await live.request("GET", URL)).body
    assert found["InvokeMode"] == "RESPONSE_STREAM"
    listed = (await live.request("GET", "/2021-10-31/functions/fn/urls")).body
    assert listed == {"FunctionUrlConfigs": [found]}
    assert (await live.request("DELETE", URL)).status == 204
    assert (await live.request("GET", URL)).status == 404
    assert (await live.request("GET", "/2021-10-31/functions/fn/urls")).body == {"FunctionUrlConfigs": []}


async def test_retries(live: Any) -> None:
    await live.create()
    missing = await live.request("GET", RETRIES)
    assert missing.body["Message"] == f"The function {ARN}:$LATEST doesn't have an EventInvokeConfig"
    assert (await live.request("POST", RETRIES, {"MaximumRetryAttempts": 1})).status == 404
    nothing = await live.request("PUT", RETRIES, {})
    assert nothing.body["message"] == "You must specify at least one of error handling or destination setting."
    await live.request("PUT", RETRIES, {"MaximumRetryAttempts": 1, "MaximumEventAgeInSeconds": 100})
    updated = await live.request("POST", RETRIES, {"MaximumEventAgeInSeconds": 200})
    assert updated.body == {
        "LastModified": 1_795_486_086.25,
        "FunctionArn": f"{ARN}:$LATEST",
        "MaximumRetryAttempts": 1,
        "MaximumEventAgeInSeconds": 200,
        "DestinationConfig": {"OnSuccess": {}, "OnFailure": {}},
    }
    assert (await live.request("GET", RETRIES)).body == updated.body
    assert (await live.request("GET", f"{RETRIES}/list")).body == {"FunctionEventInvokeConfigs": [updated.body]}
    put = await live.request("PUT", RETRIES, {"MaximumRetryAttempts": 0})
    assert put.body["MaximumEventAgeInSeconds"] == 21_600, "put begins from the defaults"
    assert (await live.request("DELETE", RETRIES)).status == 204
    assert (await live.request("GET", f"{RETRIES}/list")).body == {"FunctionEventInvokeConfigs": []}


async def test_destinations_are_not_taken_yet(live: Any) -> None:
    await live.create()
    refused = await live.request(
        "PUT", RETRIES, {"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:000000000000:q"}}}
    )
    assert refused.status == 501


async def test_retries_of_no_function(live: Any) -> None:
    refused = await live.request("PUT", RETRIES, {"MaximumRetryAttempts": 1})
    assert (refused.status, refused.body["Message"]) == (404, "The function doesn't exist.")
    assert (await live.request("GET", f"{RETRIES}/list")).status == 404


async def test_tags_are_merged_and_taken_away(live: Any) -> None:
    await live.create(Tags={"a": "1"})
    assert (await live.request("POST", TAGS, {"Tags": {"a": "2", "b": "3"}})).status == 204
    assert (await live.request("GET", TAGS)).body == {"Tags": {"a": "2", "b": "3"}}
    assert (await live.request("DELETE", TAGS, query="tagKeys=a&tagKeys=none")).status == 204
    assert (await live.request("GET", TAGS)).body == {"Tags": {"b": "3"}}
    refused = await live.request("POST", TAGS, {"Tags": {str(number): "" for number in range(50)}})
    assert refused.body["message"] == "Number of tags exceeds resource tag limit."


async def test_recursion(live: Any) -> None:
    await live.create()
    path = "/2024-08-31/functions/fn/recursion-config"
    assert (await live.request("GET", path)).body == {"RecursiveLoop": "Terminate"}
    assert (await live.request("PUT", path, {"RecursiveLoop": "Allow"})).body == {"RecursiveLoop": "Allow"}
    assert (await live.request("GET", path)).body == {"RecursiveLoop": "Allow"}


async def test_runtime_updates(live: Any) -> None:
    await live.create()
    path = "/2021-07-20/functions/fn/runtime-management-config"
    assert (await live.request("GET", path)).body == {"FunctionArn": f"{ARN}:$LATEST", "UpdateRuntimeOn": "Auto"}
    await live.request("PUT", path, {"UpdateRuntimeOn": "FunctionUpdate"})
    assert (await live.request("GET", path)).body["UpdateRuntimeOn"] == "FunctionUpdate"
    assert (await live.request("PUT", path, {"UpdateRuntimeOn": "Manual"})).status == 400


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_no_function_is_signed(live: Any, method: str) -> None:
    path = "/2020-06-30/functions/fn/code-signing-config"
    assert (await live.request(method, path)).body["Message"] == f"Function not found: {ARN}"
    await live.create()
    assert (await live.request(method, path)).status in (200, 204)
