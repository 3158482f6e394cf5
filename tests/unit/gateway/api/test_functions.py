"""CreateFunction to DeleteFunction over HTTP."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from lambent_core import limits

ARN = "arn:aws:lambda:us-east-1:000000000000:function:fn"


async def test_create_answers_pending_and_is_active_right_after(live: Any) -> None:
    created = await live.create(Environment={"Variables": {"NAME": "b"}}, Tags={"t": "u"})
    assert created.status == 201
    assert (created.body["State"], created.body["StateReasonCode"]) == ("Pending", "Creating")
    assert created.headers["content-type"] == "application/json"
    assert created.headers["x-amzn-requestid"]
    found = (await live.function("GET")).body
    assert (found["Configuration"]["State"], found["Configuration"]["LastUpdateStatus"]) == ("Active", "Successful")
    assert found["Configuration"]["RevisionId"] != created.body["RevisionId"]
    assert found["Tags"] == {"t": "u"}
    assert found["Configuration"] == (await live.function("GET", "/configuration")).body


async def test_the_codes_location_serves_the_package(live: Any) -> None:
    await live.create()
    found = (await live.function("GET")).body
    location = found["Code"]["Location"]
    assert location.startswith("http://lambda.test:9000/lambent/v1/packages/")
    served = await live.request("GET", location.removeprefix("http://lambda.test:9000"))
    assert (served.status, served.headers["content-type"]) == (200, "application/zip")
    digest = base64.b64encode(hashlib.sha256(served.content).digest()).decode()
    assert digest == found["Configuration"]["CodeSha256"]
    assert len(served.content) == found["Configuration"]["CodeSize"]


async def test_the_callers_region_stands_in_arns(live: Any) -> None:
    await live.create()
    found = await live.function("GET", region="eu-central-1")
    assert found.body["Configuration"]["FunctionArn"] == ARN.replace("us-east-1", "eu-central-1")


async def test_a_name_is_taken_once(live: Any) -> None:
    await live.create()
    again = await live.create()
    assert (again.status, again.headers["x-amzn-errortype"]) == (409, "ResourceConflictException")
    assert again.body == {"Type": "User", "message": "Function already exist: fn"}


@pytest.mark.parametrize(
    ("members", "status", "code", "message"),
    [
        (
            {"FunctionName": "f" * 65},
            400,
            "InvalidParameterValueException",
            "Member must have length less than or equal to 64",
        ),
        ({"FunctionName": "fn:1"}, 400, "InvalidParameterValueException", "named without a qualifier"),
        ({"Code": {}}, 400, "InvalidParameterValueException", "Please provide a source for function code."),
        ({"Code": {"ZipFile": "bm8="}}, 400, "InvalidParameterValueException", "Could not unzip uploaded file."),
        ({"Code": {"ZipFile": ""}}, 400, "InvalidParameterValueException", "Uploaded file must be a non-empty zip"),
        (
            {"Code": {"S3Bucket": "b3b", "S3Key": "k"}},
            400,
            "InvalidParameterValueException",
            "does not read packages from S3 yet",
        ),
        (
            {"Code": {"ImageUri": "image"}, "PackageType": "Image"},
            400,
            "InvalidParameterValueException",
            "Please don't provide Handler or Runtime or Layer",
        ),
        (
            {"Code": {"ImageUri": "image"}},
            400,
            "InvalidParameterValueException",
            "Please don't provide ImageUri when the intended function PackageType is Zip.",
        ),
        ({"Runtime": "cobol"}, 400, "InvalidParameterValueException", "Value cobol at 'runtime'"),
        ({"Handler": "no spaces"}, 400, "ValidationException", "at 'handler' failed to satisfy constraint"),
        ({"Timeout": "3"}, 400, "SerializationException", "STRING_VALUE can not be converted to Integer"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
async def test_create_refuses(live: Any, members: dict[str, Any], status: int, code: str, message: str) -> None:
    refused = await live.create(**{"name": members.pop("FunctionName", "fn"), **members})
    assert (refused.status, refused.headers["x-amzn-errortype"]) == (status, code)
    assert message in refused.body.get("message", refused.body.get("Message"))
    assert (await live.request("GET", "/2015-03-31/functions")).body == {"Functions": []}


async def test_a_second_update_conflicts_while_one_is_in_progress(api: Any) -> None:
    created = await api.create()
    early = await api.function("PUT", "/configuration", {"Timeout": 4})
    assert early.status == 409
    assert early.body["message"].endswith("in the following state: Pending")
    api.deployments.start()
    await api.deployments.settled(api.documents.list(_function())[0])
    await api.deployments.stop()
    assert created.status == 201
    first = await api.function("PUT", "/configuration", {"Timeout": 4})
    assert (first.status, first.body["LastUpdateStatus"]) == (200, "InProgress")
    second = await api.function("PUT", "/configuration", {"Timeout": 5})
    assert (second.status, second.headers["x-amzn-errortype"]) == (409, "ResourceConflictException")
    assert second.body["message"] == (
        f"The operation cannot be performed at this time. An update is in progress for resource: {ARN}"
    )


def _function() -> Any:
    from lambent_core.function import Function  # here, for the one test that reads the store

    return Function


async def test_update_configuration_changes_what_is_given(live: Any) -> None:
    await live.create(Description="before", Timeout=7)
    updated = await live.function("PUT", "/configuration", {"Description": "after"})
    assert (updated.body["Description"], updated.body["Timeout"]) == ("after", 7)
    found = (await live.function("GET", "/configuration")).body
    assert (found["Description"], found["LastUpdateStatus"]) == ("after", "Successful")


async def test_update_code(live: Any, other_zip: str) -> None:
    created = (await live.create()).body
    updated = await live.function("PUT", "/code", {"ZipFile": other_zip, "Architectures": ["arm64"]})
    assert updated.status == 200
    assert updated.body["CodeSha256"] != created["CodeSha256"]
    found = (await live.function("GET", "/configuration")).body
    assert (found["CodeSha256"], found["Architectures"]) == (updated.body["CodeSha256"], ["arm64"])


async def test_a_dry_run_changes_nothing(live: Any, other_zip: str) -> None:
    await live.create()
    before = (await live.function("GET", "/configuration")).body
    tried = await live.function("PUT", "/code", {"ZipFile": other_zip, "DryRun": True})
    assert tried.body["CodeSha256"] != before["CodeSha256"]
    assert (await live.function("GET", "/configuration")).body == before


@pytest.mark.parametrize("way", ["/code", "/configuration"])
async def test_an_old_revision_id_is_refused(live: Any, other_zip: str, way: str) -> None:
    await live.create()
    refused = await live.function("PUT", way, {"ZipFile": other_zip, "RevisionId": "old"})
    assert (refused.status, refused.headers["x-amzn-errortype"]) == (412, "PreconditionFailedException")
    latest = (await live.function("GET", "/configuration")).body["RevisionId"]
    assert (await live.function("PUT", way, {"ZipFile": other_zip, "RevisionId": latest})).status == 200


async def test_a_zip_function_takes_no_image(live: Any) -> None:
    await live.create()
    refused = await live.function("PUT", "/code", {"ImageUri": "image"})
    assert refused.body["message"] == "Please don't provide ImageUri when updating a function with packageType Zip."


async def test_delete(live: Any) -> None:
    await live.create()
    assert (await live.function("DELETE", query="Qualifier=$LATEST")).body["message"] == (
        "$LATEST version cannot be deleted without deleting the function."
    )
    assert (await live.function("DELETE", query="Qualifier=7")).status == 204, (
        "a version that is not there is gone already"
    )
    assert (await live.function("DELETE")).status == 204
    gone = await live.function("DELETE", query="Qualifier=7")
    assert (gone.status, gone.body["Message"]) == (404, f"Function not found: {ARN}")
    assert (await live.function("GET")).status == 404


async def test_list_is_paged_by_name(live: Any) -> None:
    names = [f"fn-{number:02}" for number in range(5)]
    for name in reversed(names):
        await live.create(name)
    found, marker = [], ""
    while marker is not None:
        answer = (await live.request("GET", "/2015-03-31/functions", query=f"MaxItems=2&Marker={marker}")).body
        assert len(answer["Functions"]) <= 2
        found += [function["FunctionName"] for function in answer["Functions"]]
        marker = answer.get("NextMarker")
    assert found == names


async def test_list_leaves_out_what_aws_leaves_out(live: Any) -> None:
    await live.create()
    [listed] = (await live.request("GET", "/2015-03-31/functions", query="FunctionVersion=ALL")).body["Functions"]
    assert listed["FunctionArn"] == f"{ARN}:$LATEST"
    assert not {"State", "LastUpdateStatus", "RuntimeVersionConfig"} & set(listed)


async def test_a_marker_must_be_ours(live: Any) -> None:
    refused = await live.request("GET", "/2015-03-31/functions", query="Marker=%C3%A9")
    assert (refused.status, refused.body["message"][:14]) == (400, "Invalid marker")


async def test_a_request_over_the_limit_is_refused(live: Any) -> None:
    refused = await live.request("POST", "/2015-03-31/functions", body=b" " * (limits.REQUEST_BODY_BYTES_MAX + 1))
    assert (refused.status, refused.headers["x-amzn-errortype"]) == (413, "RequestEntityTooLargeException")
    assert refused.body["message"] == "Request must be smaller than 70167211 bytes for the CreateFunction operation"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/2015-03-31/nothing"), ("PATCH", "/2015-03-31/functions"), ("GET", "/")]
)
async def test_no_operation(live: Any, method: str, path: str) -> None:
    refused = await live.request(method, path)
    assert (refused.status, refused.headers["x-amzn-errortype"]) == (404, "UnknownOperationException")


async def test_an_operation_that_is_not_there_yet_names_itself(live: Any) -> None:
    refused = await live.request("GET", "/2018-10-31/layers/deps/versions/1/policy")
    assert (refused.status, refused.headers["x-amzn-errortype"]) == (501, "NotImplementedException")
    assert refused.body == {"Type": "Service", "Message": "GetLayerVersionPolicy is not implemented yet in Lambent."}
