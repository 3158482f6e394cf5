"""Documents as Lambda's API shows them, and requests as documents (C1)."""

from __future__ import annotations

import base64
import hashlib

import msgspec
import pytest

from lambent_core import deployment
from lambent_core.caller import Caller
from lambent_core.configuration import code_location, configuration, with_members
from lambent_core.errors import NotImplementedYet
from lambent_core.function import (
    Code,
    DeadLetterConfig,
    FoundImage,
    FunctionLayer,
    FunctionSpec,
    ImageConfig,
    VpcConfig,
)

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


def test_a_function_whose_package_is_not_there_yet_has_no_size_and_no_digest() -> None:
    inline = msgspec.structs.replace(SPEC, code=Code(inline="def handler(event, context): ..."))
    shown = configuration(deployment.created("fn", inline, uid="u", revision_id="r", now=0.0), CALLER)
    assert (shown["CodeSize"], shown["CodeSha256"]) == (0, "")


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


def test_layers_are_shown_in_their_order_with_their_sizes() -> None:
    """A manifest may name a layer version that is not there yet: its size is not known."""
    layer_arn = "arn:aws:lambda:eu-west-1:123456789012:layer"
    spec = with_members(SPEC, {"Layers": ["tools:12", f"{layer_arn}:deps:1", "later:3"]})
    function = deployment.created("fn", spec, uid="u", revision_id="r", now=0.0)
    used = [
        FunctionLayer(layer=name, sha256=DIGEST, size=size, unzipped_size=10 * size)
        for name, size in (("tools:12", 55), ("deps:1", 100))
    ]
    function = msgspec.structs.replace(function, status=msgspec.structs.replace(function.status, layers=used))
    assert configuration(function, CALLER)["Layers"] == [
        {"Arn": f"{layer_arn}:tools:12", "CodeSize": 55},
        {"Arn": f"{layer_arn}:deps:1", "CodeSize": 100},
        {"Arn": f"{layer_arn}:later:3", "CodeSize": 0},
    ]


@pytest.mark.parametrize(
    "name", ["DurableConfig", "TenancyConfig", "CapacityProviderConfig", "CodeSigningConfigArn", "PublishTo"]
)
def test_members_that_lambent_has_not_yet_are_named(name: str) -> None:
    with pytest.raises(NotImplementedYet, match=f"The member {name} is not implemented yet"):
        with_members(SPEC, {name: "something"})


IMAGE_DIGEST = "sha256:" + "cd" * 32
IMAGE = Code(image_uri="registry.example.com/fn:1", image=FoundImage(digest=IMAGE_DIGEST))


def test_an_image_is_shown_as_aws_shows_one() -> None:
    members = {
        "PackageType": "Image",
        "ImageConfig": {"EntryPoint": ["sh"], "Command": ["-c"], "WorkingDirectory": "/app"},
    }
    spec = msgspec.structs.replace(with_members(FunctionSpec(), members), code=IMAGE)
    shown = configuration(deployment.created("fn", spec, uid="u", revision_id="r", now=0.0), CALLER)
    assert (shown["PackageType"], shown["CodeSha256"], shown["CodeSize"]) == ("Image", "cd" * 32, 0)
    assert shown["ImageConfigResponse"] == {"ImageConfig": members["ImageConfig"]}
    assert not {"Runtime", "Handler", "RuntimeVersionConfig"} & shown.keys()


def test_what_an_image_config_leaves_out_is_not_shown() -> None:
    spec = FunctionSpec(package_type="Image", code=IMAGE, image_config=ImageConfig(command=["a.handler"]))
    shown = configuration(deployment.created("fn", spec, uid="u", revision_id="r", now=0.0), CALLER)
    assert shown["ImageConfigResponse"] == {"ImageConfig": {"Command": ["a.handler"]}}


def test_an_empty_image_config_takes_it_away() -> None:
    spec = FunctionSpec(package_type="Image", image_config=ImageConfig(command=["a"]))
    assert with_members(spec, {"ImageConfig": {}}).image_config is None
    assert with_members(spec, {"Timeout": 5}).image_config == spec.image_config


@pytest.mark.parametrize(
    ("code", "location"),
    [
        (Code(sha256=DIGEST), {"RepositoryType": "S3", "Location": f"http://l/lambent/v1/packages/{DIGEST}"}),
        (
            IMAGE,
            {
                "RepositoryType": "ECR",
                "ImageUri": "registry.example.com/fn:1",
                "ResolvedImageUri": f"registry.example.com/fn@{IMAGE_DIGEST}",
            },
        ),
        (Code(image_uri="fn:1"), {"RepositoryType": "ECR", "ImageUri": "fn:1"}),
    ],
    ids=["package", "image", "tag as it is"],
)
def test_where_the_code_is(code: Code, location: dict[str, str]) -> None:
    assert code_location(code, lambda sha256: f"http://l/lambent/v1/packages/{sha256}") == location


def test_an_image_whose_tag_is_used_as_it_is_has_no_digest() -> None:
    spec = FunctionSpec(package_type="Image", code=Code(image_uri="fn:1"))
    assert "CodeSha256" not in configuration(deployment.created("fn", spec, uid="u", revision_id="r", now=0.0), CALLER)
