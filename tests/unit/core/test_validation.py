"""Constraints of the service model, in AWS's words (V1)."""

from __future__ import annotations

from typing import Any

import pytest

from lambent_core.errors import ValidationFailed
from lambent_core.function_rules import SUPPORTED_RUNTIMES
from lambent_core.shapes import decode
from lambent_core.validation import check, enum_text
from lambent_gateway.api.service_model import load_service_model

MODEL = load_service_model()
ROLE = "arn:aws:iam::000000000000:role/any"
GOOD: dict[str, Any] = {"FunctionName": "fn", "Role": ROLE, "Code": {"ZipFile": b"zip"}}


def broken(changes: dict[str, Any], shape: str = "CreateFunctionRequest") -> list[str]:
    base = GOOD if shape == "CreateFunctionRequest" else {}
    with pytest.raises(ValidationFailed) as error:
        check(MODEL, shape, base | changes)
    count, _, sentences = error.value.message.partition(" detected: ")
    found = sentences.split("; Value ")
    assert count == f"{len(found)} validation error" + ("" if len(found) == 1 else "s")
    return [found[0].removeprefix("Value "), *found[1:]]


def failed(value: str, path: str, constraint: str) -> str:
    return f"{value} at '{path}' failed to satisfy constraint: {constraint}"


def test_good_input_passes() -> None:
    check(
        MODEL,
        "CreateFunctionRequest",
        GOOD
        | {
            "MemorySize": 10_240,
            "Timeout": 900,
            "EphemeralStorage": {"Size": 10_240},
            "Architectures": ["arm64"],
            "Tags": {"Straße 1": "größer = besser"},
            "Environment": {"Variables": {"NAME": "value"}},
            "Runtime": "of-the-future",
        },
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"Role": "r1"},
            failed(
                "'r1'", "role", f"Member must satisfy regular expression pattern: {MODEL.shapes['RoleArn'].pattern}"
            ),
        ),
        (
            {"Description": "d" * 257},
            failed(f"'{'d' * 257}'", "description", "Member must have length less than or equal to 256"),
        ),
        ({"MemorySize": 127}, failed("'127'", "memorySize", "Member must have value greater than or equal to 128")),
        ({"MemorySize": 10_241}, failed("'10241'", "memorySize", "Member must have value less than or equal to 10240")),
        ({"Timeout": 0}, failed("'0'", "timeout", "Member must have value greater than or equal to 1")),
        ({"Timeout": 901}, failed("'901'", "timeout", "Member must have value less than or equal to 900")),
        (
            {"EphemeralStorage": {"Size": 10_241}},
            failed("'10241'", "ephemeralStorage.size", "Member must have value less than or equal to 10240"),
        ),
        ({"EphemeralStorage": {}}, failed("null", "ephemeralStorage.size", "Member must not be null")),
        (
            {"PackageType": "Tar"},
            failed("'Tar'", "packageType", "Member must satisfy enum value set: [Zip, Image]"),
        ),
        (
            {"Architectures": ["mips"]},
            failed(
                "'[mips]'",
                "architectures",
                "Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]",
            ),
        ),
        (
            {"Architectures": ["x86_64", "arm64"]},
            failed("'[x86_64, arm64]'", "architectures", "Member must have length less than or equal to 1"),
        ),
        (
            {"VpcConfig": {"SecurityGroupIds": ["bad"]}},
            failed(
                "'[bad]'",
                "vpcConfig.securityGroupIds",
                "Member must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length "
                "greater than or equal to 0, Member must satisfy regular expression pattern: sg-[0-9a-zA-Z]*]",
            ),
        ),
        (
            {"Environment": {"Variables": {"1": "secret"}}},
            "at 'environment.variables' failed to satisfy constraint: Map keys must satisfy constraint: "
            "[Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+]",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_one_violation(changes: dict[str, Any], sentence: str) -> None:
    assert broken(changes) == [sentence]


def test_the_least_that_is_allowed_passes() -> None:
    least = {"MemorySize": 128, "Timeout": 1, "EphemeralStorage": {"Size": 512}, "Description": ""}
    check(MODEL, "CreateFunctionRequest", GOOD | least)


def test_all_violations_are_told_in_the_models_order() -> None:
    found = broken({"Role": None, "Timeout": 0, "FunctionName": ""})
    assert [sentence.split("'")[-2] if "null" in sentence else sentence.split("'")[3] for sentence in found] == [
        "functionName",
        "functionName",
        "role",
        "timeout",
    ]


def test_values_of_a_map() -> None:
    found = broken(
        {
            "FunctionName": "f",
            "Name": "a",
            "FunctionVersion": "1",
            "RoutingConfig": {"AdditionalVersionWeights": {"2": 2.0}},
        },
        "CreateAliasRequest",
    )
    assert found == [
        failed(
            "'{2=2.0}'",
            "routingConfig.additionalVersionWeights",
            "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, "
            "Member must have value greater than or equal to 0.0, Member must not be null]",
        )
    ]


def test_structures_in_a_list_are_numbered_from_one() -> None:
    found = broken({"FileSystemConfigs": [{"Arn": "x", "LocalMountPath": "/mnt/a"}]})
    assert [sentence.split("'")[3] for sentence in found] == ["fileSystemConfigs.1.member.arn"]


def test_enumerations_stand_in_the_order_of_a_java_hash_set() -> None:
    model = decode(
        b'{"operations": {}, "shapes": {"In": {"type": "structure", "members": {"E": {"shape": "E"}}},'
        b'"E": {"type": "string", "enum": ["Allow", "Terminate"]}}}'
    )
    with pytest.raises(ValidationFailed, match=r"enum value set: \[Terminate, Allow\]"):
        check(model, "In", {"E": "x"})


def test_a_long_enumeration_stands_in_the_order_that_aws_was_recorded_with() -> None:
    recorded = (
        "nodejs20.x, python3.14, provided.al2023, python3.12, python3.13, nodejs24.x, nodejs22.x, java25, python3.10, "
        "python3.11, java21, ruby3.3, ruby3.4, ruby3.2, python3.8, python3.9, java17, nodejs16.x, dotnet10, dotnet8, "
        "java11, dotnet6, nodejs18.x, provided.al2, java8.al2"
    )
    by_length = tuple(sorted(recorded.split(", "), key=len))
    assert enum_text(by_length) == f"Member must satisfy enum value set: [{recorded}]"


def test_a_table_grows_when_it_is_more_than_three_quarters_full() -> None:
    """`p` falls into the first of 16 buckets and the seventeenth of 32."""
    assert enum_text((*"abcdefghijk", "p")).endswith("[p, a, b, c, d, e, f, g, h, i, j, k]")
    assert enum_text((*"abcdefghijkl", "p")).endswith("[a, b, c, d, e, f, g, h, i, j, k, l, p]")


def test_a_digit_is_an_ascii_digit() -> None:
    with pytest.raises(ValidationFailed):
        check(MODEL, "GetFunctionRequest", {"FunctionName": "٣٣٣٣٣٣٣٣٣٣٣٣:fn"})


LAYER = {"LayerName": "deps", "Content": {}}


def test_runtimes_that_lambda_had_once_are_taken_for_layers() -> None:
    check(MODEL, "PublishLayerVersionRequest", LAYER | {"CompatibleRuntimes": ["nodejs12.x", "go1.x", "python3.14"]})


def test_what_is_no_runtime_is_told_for_the_whole_list() -> None:
    found = broken(LAYER | {"CompatibleRuntimes": ["cobol", "python3.12"]}, "PublishLayerVersionRequest")
    assert found == [failed("'[cobol, python3.12]'", "compatibleRuntimes", enum_text(SUPPORTED_RUNTIMES))]
    (found_too,) = broken({"CompatibleRuntime": "cobol"}, "ListLayersRequest")
    assert found_too.startswith(failed("'cobol'", "compatibleRuntime", "Member must satisfy enum value set: ["))
