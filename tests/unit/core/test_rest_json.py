"""REST-JSON: requests into members, members into responses."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest

from lambent_core import rest_json
from lambent_core.errors import InvalidRequestContent, LambdaError, SerializationFailed
from lambent_core.operations import Match, OperationTable
from lambent_gateway.api.service_model import load_service_model

MODEL = load_service_model()
TABLE = OperationTable(MODEL)


def matched(method: str, path: str) -> Match:
    match = TABLE.match(method, path, {})
    assert match is not None
    return match


CREATE = matched("POST", "/2015-03-31/functions")
LIST = matched("GET", "/2015-03-31/functions")
UNTAG = matched("DELETE", "/2017-03-31/tags/arn%3Aaws")
INVOKE = matched("POST", "/2015-03-31/functions/fn/invocations")


def parse(
    match: Match, document: Any = None, *, body: bytes = b"", query: Any = (), headers: Any = None
) -> dict[str, Any]:
    body = json.dumps(document).encode() if document is not None else body
    return rest_json.parse(MODEL, match, query=query, headers=headers or {}, body=body)


def test_members_of_the_body_are_read_by_their_type() -> None:
    long_blob = bytes(range(256)) * 2000
    document = {
        "FunctionName": "fn",
        "Code": {"ZipFile": base64.b64encode(long_blob).decode()},
        "Timeout": 3,
        "Publish": False,
        "Layers": ["a", None],
        "Tags": {"k": "v", "n": None},
        "Role": None,
        "Unknown": 1,
    }
    assert parse(CREATE, document) == {
        "FunctionName": "fn",
        "Code": {"ZipFile": long_blob},
        "Timeout": 3,
        "Publish": False,
        "Layers": ["a"],
        "Tags": {"k": "v"},
    }


def test_members_of_path_query_and_headers() -> None:
    assert parse(UNTAG, query=[("tagKeys", "a"), ("tagKeys", "b"), ("other", "c")]) == {
        "Resource": "arn:aws",
        "TagKeys": ["a", "b"],
    }
    assert parse(LIST, query=[("MaxItems", "7")]) == {"MaxItems": 7}
    assert parse(INVOKE, body=b"\xff raw", headers={"x-amz-log-type": "Tail"}) == {
        "FunctionName": "fn",
        "LogType": "Tail",
        "Payload": b"\xff raw",
    }


def test_no_body_is_no_members() -> None:
    assert parse(CREATE, body=b" \n") == {}


def test_an_operation_without_input_has_no_members() -> None:
    inputless = Match(msgspec.structs.replace(CREATE.operation, input=None), {})
    assert parse(inputless, {"FunctionName": "fn"}) == {}


@pytest.mark.parametrize(("text", "value"), [("true", True), ("True", True), ("false", False), ("1", False)])
def test_a_flag_of_the_query(text: str, value: bool) -> None:
    match = matched("GET", "/2025-12-01/durable-executions/arn")
    assert parse(match, query=[("IncludeExecutionData", text)]) == {
        "DurableExecutionArn": "arn",
        "IncludeExecutionData": value,
    }


@pytest.mark.parametrize(
    ("body", "members"),
    [(b'{"ErrorType": "E"}', {"Error": {"ErrorType": "E"}}), (b"{}", {"Error": {}}), (b"\n", {})],
    ids=["with members", "empty", "no body"],
)
def test_a_structure_can_be_the_whole_body(body: bytes, members: dict[str, Any]) -> None:
    match = matched("POST", "/2025-12-01/durable-executions/arn/stop")
    assert parse(match, body=body) == {"DurableExecutionArn": "arn", **members}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"FunctionName": 7}, "NUMBER_VALUE can not be converted to String"),
        ({"Timeout": "3"}, "STRING_VALUE can not be converted to Integer"),
        ({"Timeout": True}, "BOOLEAN_VALUE can not be converted to Integer"),
        ({"Timeout": 3.5}, "NUMBER_VALUE can not be converted to Integer"),
        ({"Publish": 1}, "NUMBER_VALUE can not be converted to Boolean"),
        ({"Layers": "a"}, "STRING_VALUE can not be converted to List"),
        ({"Tags": ["a"]}, "LIST_VALUE can not be converted to Map"),
        ({"Code": "zip"}, "STRING_VALUE can not be converted to Structure"),
        ({"Description": {}}, "START_OBJECT can not be converted to String"),
        ({"Code": {"ZipFile": "é"}}, "A blob member is not valid Base64"),
        ({"Code": {"ZipFile": "YWJ"}}, "A blob member is not valid Base64"),
        ({"Code": {"ZipFile": "Y=WJ"}}, "A blob member is not valid Base64"),
        ({"Code": {"ZipFile": "YW*Jj"}}, "A blob member is not valid Base64"),
        (["FunctionName"], "LIST_VALUE can not be converted to a Structure"),
    ],
    ids=str,
)
def test_wrong_types_are_a_serialization_exception(document: Any, message: str) -> None:
    with pytest.raises(SerializationFailed) as error:
        parse(CREATE, document)
    assert error.value.message == message


MAPPING = matched("POST", "/2015-03-31/event-source-mappings")


@pytest.mark.parametrize("given", [1_795_486_086, 1_795_486_086.0])
def test_a_moment_is_epoch_seconds_with_a_fraction_or_without(given: float) -> None:
    moment = parse(MAPPING, {"StartingPositionTimestamp": given})["StartingPositionTimestamp"]
    assert (type(moment), moment) == (float, given)


@pytest.mark.parametrize(("given", "kind"), [("2026-11-24", "STRING_VALUE"), (True, "BOOLEAN_VALUE")])
def test_a_moment_is_nothing_but_a_number(given: object, kind: str) -> None:
    with pytest.raises(SerializationFailed, match=f"{kind} can not be converted to Timestamp"):
        parse(MAPPING, {"StartingPositionTimestamp": given})


def test_a_number_in_the_query_must_be_one() -> None:
    with pytest.raises(LambdaError, match="STRING_VALUE can not be converted to Integer"):
        parse(LIST, query=[("MaxItems", "many")])


def test_a_body_that_is_not_json() -> None:
    with pytest.raises(InvalidRequestContent, match="Could not parse request body into json: "):
        parse(CREATE, body=b"{")


def test_only_members_of_the_model_are_written() -> None:
    output = {
        "FunctionName": "fn",
        "Timeout": 3,
        "Role": None,
        "Secret": "x",
        "Environment": {"Variables": {"A": "b"}, "Own": 1},
    }
    status, headers, body = rest_json.serialise(MODEL, CREATE.operation, output)
    assert (status, headers) == (201, {})
    assert json.loads(body) == {"FunctionName": "fn", "Timeout": 3, "Environment": {"Variables": {"A": "b"}}}


def test_status_and_headers_can_be_members() -> None:
    delete = matched("DELETE", "/2015-03-31/functions/fn")
    assert rest_json.serialise(MODEL, delete.operation, {"StatusCode": 202}) == (202, {}, b"{}")
    output = {"StatusCode": 200, "ExecutedVersion": "1"}
    status, headers, _ = rest_json.serialise(MODEL, INVOKE.operation, output)
    assert (status, headers) == (200, {"X-Amz-Executed-Version": "1"})


def test_an_operation_without_output_has_no_body() -> None:
    assert rest_json.serialise(MODEL, UNTAG.operation, {"Tags": {}}) == (204, {}, b"")


def test_an_answer_without_content_has_no_body_though_its_operation_has_an_output() -> None:
    delete = matched("DELETE", "/2020-04-22/code-signing-configs/arn")
    assert rest_json.serialise(MODEL, delete.operation, {}) == (204, {}, b"")


def test_what_is_written_is_read_back() -> None:
    document = {"FunctionName": "fn", "Layers": ["a"], "Tags": {"k": "v"}, "Code": {"ZipFile": b"\x00\xff"}}
    written = rest_json._written(MODEL, MODEL.shapes["CreateFunctionRequest"], document)
    assert parse(CREATE, written) == document
