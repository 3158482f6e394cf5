"""What a request to invoke says. Texts as recorded on AWS."""

from __future__ import annotations

import base64

import pytest

from lambent_core.caller import Caller
from lambent_core.errors import InvalidParameterValue, InvalidRequestContent, RequestTooLarge, ValidationFailed
from lambent_core.invocation import Invocation
from lambent_core.invoke_request import INVOKE, INVOKE_ASYNC, INVOKE_STREAM, Operation, read_invocation

ID = "01234567-89ab-4def-a123-456789abcdef"
TRACE = "Root=1-01234567-89ab4defa123456789abcdef;Parent=a123456789abcdef;Sampled=0"
ACCOUNT, REGION = "123456789012", "eu-west-1"
SIGNED = b"AWS4-HMAC-SHA256 Credential=AKIA/20261124/eu-central-1/lambda/aws4_request, SignedHeaders=host, Signature=ab"


def read(
    operation: Operation = INVOKE,
    name: bytes = b"hello",
    query: bytes = b"",
    body: bytes = b'{"a": 1}',
    **headers: bytes,
) -> tuple[bytes, Invocation]:
    return read_invocation(
        operation,
        name,
        query,
        {header.replace("_", "-").encode(): value for header, value in headers.items()},
        body,
        request_id=ID,
        account=ACCOUNT,
        region=REGION,
    )


def invocation(**members: object) -> Invocation:
    told: dict[str, object] = {
        "request_id": ID,
        "function_name": "hello",
        "payload": b'{"a": 1}',
        "trace_id": TRACE,
        "caller": Caller(ACCOUNT, REGION),
    }
    return Invocation(**(told | members))  # type: ignore[arg-type]


def test_a_request_that_says_no_more_than_it_must() -> None:
    assert read() == (b"RequestResponse", invocation())


def test_a_request_that_says_all_it_can() -> None:
    context = base64.b64encode(b'{"custom": {"a": "b"}}')
    kind, told = read(
        name=b"he%6Clo",
        query=b"Qualifier=live",
        authorization=SIGNED,
        x_amz_invocation_type=b"DryRun",
        x_amz_log_type=b"Tail",
        x_amzn_trace_id=b"Root=1-2",
        x_amz_client_context=context,
    )
    assert kind == b"DryRun"
    assert told == invocation(
        qualifier="live",
        log_tail=True,
        trace_id="Root=1-2",
        client_context='{"custom":{"a":"b"}}',
        caller=Caller(ACCOUNT, "eu-central-1", "AKIA"),
    )


def test_no_payload_is_an_empty_object() -> None:
    assert read(body=b"")[1].payload == b"{}"


@pytest.mark.parametrize(
    ("operation", "asked", "kind", "told"),
    [
        (INVOKE, b"Event", b"Event", invocation(kind="Event")),
        (INVOKE, b"DryRun", b"DryRun", invocation()),
        (INVOKE_ASYNC, b"RequestResponse", b"Event", invocation(kind="Event")),
        (INVOKE_STREAM, b"RequestResponse", b"RequestResponse", invocation(stream=True)),
        (INVOKE_STREAM, b"DryRun", b"DryRun", invocation(stream=True)),
    ],
    ids=["event", "dry run", "InvokeAsync", "stream", "dry run of a stream"],
)
def test_ways_to_invoke(operation: Operation, asked: bytes, kind: bytes, told: Invocation) -> None:
    assert read(operation, x_amz_invocation_type=asked) == (kind, told)


@pytest.mark.parametrize(
    ("operation", "headers", "message"),
    [
        (
            INVOKE,
            {"x_amz_invocation_type": b"Often"},
            "Value 'Often' at 'invocationType' failed to satisfy constraint: "
            "Member must satisfy enum value set: [Event, RequestResponse, DryRun]",
        ),
        (
            INVOKE_STREAM,
            {"x_amz_invocation_type": b"Event"},
            "Value 'Event' at 'invocationType' failed to satisfy constraint: "
            "Member must satisfy enum value set: [RequestResponse, DryRun]",
        ),
        (
            INVOKE,
            {"x_amz_log_type": b"\xff"},
            "Value '\ufffd' at 'logType' failed to satisfy constraint: Member must satisfy enum value set: [None, Tail]",
        ),
    ],
    ids=["type", "type of a stream", "log type"],
)
def test_what_is_none_of_the_values(operation: Operation, headers: dict[str, bytes], message: str) -> None:
    with pytest.raises(ValidationFailed) as error:
        read(operation, **headers)
    assert error.value.message == f"1 validation error detected: {message}"


@pytest.mark.parametrize(
    ("kind", "bytes_max"), [(b"RequestResponse", 6_291_556), (b"DryRun", 6_291_556), (b"Event", 1_048_576)]
)
def test_the_largest_payload(kind: bytes, bytes_max: int) -> None:
    largest = b'"' + b"x" * (bytes_max - 2) + b'"'
    assert read(body=largest, x_amz_invocation_type=kind)[1].payload == largest
    with pytest.raises(RequestTooLarge) as error:
        read(body=largest + b" ", x_amz_invocation_type=kind)
    assert error.value.message == f"Request must be smaller than {bytes_max} bytes for the InvokeFunction operation"


@pytest.mark.parametrize(
    "body",
    [b"null", b" [1] ", '"é"'.encode(), b'{"a": 1e400}'],
    ids=["null", "with spaces", "not ASCII", "a large number"],
)
def test_json_is_taken_as_it_is(body: bytes) -> None:
    """N1."""
    assert read(body=body)[1].payload == body


@pytest.mark.parametrize(
    ("body", "what", "line", "column"),
    [
        (b"{", "unexpected end of data", 1, 2),
        (b'{\n "a": 1,\n b}', "unexpected character, expected a string key", 3, 2),
        (b'{"a": \n\n  nul}', "invalid literal, expected 'null'", 3, 3),
        (b'"\xe9"', "Invalid UTF-8 start byte 0xe9", 1, 2),
        (b'"\\ud800"', "no low surrogate in string", 1, 2),
    ],
    ids=["half an object", "a name without quotes", "half a word", "not UTF-8", "half a pair"],
)
def test_what_is_not_json(body: bytes, what: str, line: int, column: int) -> None:
    with pytest.raises(InvalidRequestContent) as error:
        read(body=body)
    assert error.value.message == (
        f"Could not parse request body into json: Could not parse payload into json: {what}\n at [line: {line}, column: {column}]"
    )


def test_the_client_context_has_a_limit_and_a_form() -> None:
    largest = base64.b64encode(b'"' + b"x" * 2683 + b'"')
    assert len(largest) == 3_580
    assert read(x_amz_client_context=largest)[1].client_context
    with pytest.raises(InvalidRequestContent) as error:
        read(x_amz_client_context=b"x" * 3_584)
    assert error.value.message == "Client context must be no more than 3583 bytes, got 3584."
    for odd in (b"no base64!", base64.b64encode(b"no json"), b"x" * 3_583, b"e30=*"):
        with pytest.raises(InvalidRequestContent, match="Client context must be a valid Base64-encoded JSON object"):
            read(x_amz_client_context=odd)


def test_two_qualifiers_that_differ() -> None:
    assert read(name=b"hello:live", query=b"Qualifier=live")[1].qualifier == "live"
    with pytest.raises(InvalidParameterValue):
        read(name=b"hello:live", query=b"Qualifier=other")
