"""Documents as Lambda's API shows them, and requests as documents (C1)."""

from __future__ import annotations

import base64
import hashlib

import msgspec
import pytest

from lambent_core import deployment
from lambent_core.caller import Caller
from lambent_core.configuration import configuration, with_members
from lambent_core.errors import NotImplementedYet
from lambent_core.function import Code, DeadLetterConfig, FunctionSpec, VpcConfig

CALLER = Caller("123456789012", "eu-west-1")
DIGEST = "ab" * 32
RUNTIME_DIGEST = hashlib.sha256(b"python3.11").hexdigest()
SPEC = FunctionSpec(runtime="python3.11", handler="app.handler", role="role", code=Code(sha256=DIGEST, size=7))
MEMBERS = {
    "Runtime": "python3.12",
    "Role": "another",
    "Handler": "app.other",
    "Description": "text",
    "Timeout": 9,
    "MemorySize": 256,
    "Architectures": ["arm64"],
    "KMSKeyArn": "arn:key",
    "EphemeralStorage": {"Size": 1024},
    "TracingConfig": {"Mode": "Active"},
    "Environment": {"Variables": {"A": "b"}},
    "DeadLetterConfig": {"TargetArn": "arn:queue"},
}


def test_defaults_on_read() -> None:
    function = deployment.created("fn", SPEC, uid="u", revision_id="r", now=0.0)
    assert configuration(function, CALLER) == {
        "FunctionName": "fn",
        "FunctionArn": "arn:aws:lambda:eu-west-1:123456789012:function:fn",
        "Runtime": "python3.11",
        "Role": "role",
        "Handler": "app.handler",
        "CodeSize": 7,
        "CodeSha256": base64.b64encode(bytes.fromhex(DIGEST)).decode(),
        "Description": "",
        "Timeout": 3,
        "MemorySize": 128,
        "LastModified": "1970-01-01T00:00:00.000+0000",
        "Version": "$LATEST",
        "TracingConfig": {"Mode": "PassThrough"},
        "RevisionId": "r",
        "State": "Pending",
        "StateReason": "The function is being created.",
        "StateReasonCode": "Creating",
        "PackageType": "Zip",
        "Architectures": ["x86_64"],
        "EphemeralStorage": {"Size": 512},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "RuntimeVersionConfig": {"RuntimeVersionArn": f"arn:aws:lambda:eu-west-1::runtime:{RUNTIME_DIGEST}"},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/fn"},
    }


def test_what_a_request_sets_is_what_is_shown() -> None:
    function = deployment.created("fn", with_members(SPEC, MEMBERS), uid="u", revision_id="r", now=0.0)
    shown = configuration(function, CALLER)
    assert {name: shown[name] for name in MEMBERS} == MEMBERS


def test_what_a_request_leaves_out_stays() -> None:
    before = with_members(SPEC, MEMBERS)
    assert with_members(before, {}) == before
    assert with_members(before, {"Timeout": 4}) == msgspec.structs.replace(before, timeout=4)


@pytest.mark.parametrize(
    ("logging", "shown"),
    [
        (
            {"LogFormat": "JSON"},
            {
                "LogFormat": "JSON",
                "LogGroup": "/aws/lambda/fn",
                "ApplicationLogLevel": "INFO",
                "SystemLogLevel": "INFO",
            },
        ),
        (
            {"LogFormat": "JSON", "ApplicationLogLevel": "DEBUG", "SystemLogLevel": "WARN", "LogGroup": "own"},
            {"LogFormat": "JSON", "LogGroup": "own", "ApplicationLogLevel": "DEBUG", "SystemLogLevel": "WARN"},
        ),
        ({"LogFormat": "Text"}, {"LogFormat": "Text", "LogGroup": "/aws/lambda/fn"}),
    ],
)
def test_logging(logging: dict[str, str], shown: dict[str, str]) -> None:
    function = deployment.created(
        "fn", with_members(SPEC, {"LoggingConfig": logging}), uid="u", revision_id="r", now=0.0
    )
    assert configuration(function, CALLER)["LoggingConfig"] == shown


def test_the_arn_has_the_qualifier_that_was_asked_for() -> None:
    function = deployment.created("fn", SPEC, uid="u", revision_id="r", now=0.0)
    assert configuration(function, CALLER, "$LATEST")["FunctionArn"].endswith(":function:fn:$LATEST")


def test_an_empty_environment_is_shown_and_none_is_not() -> None:
    shown = [
        configuration(deployment.created("fn", with_members(SPEC, members), uid="u", revision_id="r", now=0.0), CALLER)
        for members in ({"Environment": {}}, {"Environment": {"Variables": {}}}, {})
    ]
    assert [one.get("Environment") for one in shown] == [{"Variables": {}}, {"Variables": {}}, None]


def test_an_empty_target_takes_the_dead_letter_queue_away() -> None:
    before = msgspec.structs.replace(SPEC, dead_letter_config=DeadLetterConfig(target_arn="arn:queue"))
    assert with_members(before, {"DeadLetterConfig": {"TargetArn": ""}}).dead_letter_config is None
    assert with_members(before, {"DeadLetterConfig": {}}).dead_letter_config is None
    assert with_members(before, {}).dead_letter_config is not None


def test_an_empty_key_takes_the_key_away() -> None:
    assert with_members(msgspec.structs.replace(SPEC, kms_key_arn="arn:key"), {"KMSKeyArn": ""}).kms_key_arn is None


def test_a_vpc_without_anything_is_shown_empty() -> None:
    function = deployment.created(
        "fn", msgspec.structs.replace(SPEC, vpc_config=VpcConfig()), uid="u", revision_id="r", now=0.0
    )
    assert configuration(function, CALLER)["VpcConfig"] == {
        "SubnetIds": [],
        "SecurityGroupIds": [],
        "VpcId": "",
        "Ipv6AllowedForDualStack": False,
    }


@pytest.mark.parametrize(
    "name", ["DurableConfig", "TenancyConfig", "CapacityProviderConfig", "CodeSigningConfigArn", "PublishTo"]
)
def test_members_that_lambent_has_not_yet_are_named(name: str) -> None:
    with pytest.raises(NotImplementedYet, match=f"The member {name} is not implemented yet"):
        with_members(SPEC, {name: "something"})
