"""Rules beyond the service model."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lambent_core import limits
from lambent_core.errors import InvalidParameterValue, NotImplementedYet
from lambent_core.function import (
    Code,
    Environment,
    FileSystemConfig,
    FunctionSpec,
    ImageConfig,
    LoggingConfig,
    SnapStart,
    VpcConfig,
)
from lambent_core.function_rules import SUPPORTED_RUNTIMES, check_spec, is_known_runtime, problems, unsupported
from lambent_gateway.api.service_model import load_service_model

SPEC = FunctionSpec(runtime="python3.11", handler="app.handler")
FORMER = (
    "nodejs", "nodejs4.3", "nodejs4.3-edge", "nodejs6.10", "nodejs8.10", "nodejs10.x", "nodejs12.x", "nodejs14.x", "java8",
    "python2.7", "python3.6", "python3.7", "dotnetcore1.0", "dotnetcore2.0", "dotnetcore2.1", "dotnetcore3.1", "go1.x",
    "ruby2.5", "ruby2.7", "provided",
)  # fmt: skip


def spec(**changes: object) -> FunctionSpec:
    return msgspec.structs.replace(SPEC, **changes)


def test_a_plain_function_has_no_problem() -> None:
    check_spec(SPEC)


@pytest.mark.parametrize(
    ("changed", "path", "message"),
    [
        (spec(runtime=None), "spec.runtime", "Runtime and Handler are mandatory parameters for functions"),
        (spec(handler=None), "spec.handler", "Runtime and Handler are mandatory parameters for functions"),
        (spec(runtime="cobol"), "spec.runtime", "Value cobol at 'runtime' failed to satisfy constraint"),
        (spec(runtime="nodejs14.x"), "spec.runtime", "The runtime parameter of nodejs14.x is no longer supported"),
        (
            spec(runtime="ruby3.4", snap_start=SnapStart(apply_on="PublishedVersions")),
            "spec.snapStart",
            "ruby3.4 is not supported for SnapStart enabled functions.",
        ),
        (
            spec(logging_config=LoggingConfig(system_log_level="INFO")),
            "spec.loggingConfig",
            "LogLevel is not supported when",
        ),
        (
            spec(logging_config=LoggingConfig(application_log_level="INFO")),
            "spec.loggingConfig",
            "LogLevel is not supported",
        ),
        (
            spec(layers=["deps:1", "tools:1", "deps:2"]),
            "spec.layers",
            "deps:1 and deps:2 are versions of the same layer.",
        ),
        (spec(tags={str(n): "" for n in range(51)}), "spec.tags", "Number of tags exceeds resource tag limit."),
        (
            spec(vpc_config=VpcConfig(security_group_ids=["sg-1"])),
            "spec.vpcConfig.securityGroupIds",
            "EC2 Error Message: The security group 'sg-1' does not exist",
        ),
        (
            spec(environment=Environment(variables={"AWS_REGION": "x", "MINE": "y"})),
            "spec.environment.variables",
            "Reserved keys used in this request: AWS_REGION",
        ),
    ],
)
def test_one_problem(changed: FunctionSpec, path: str, message: str) -> None:
    [(found_path, found)] = problems(changed)
    assert found_path == path
    assert message in found
    with pytest.raises(InvalidParameterValue) as error:
        check_spec(changed)
    assert error.value.message == found


def test_six_layers_are_one_too_many() -> None:
    found = list(problems(spec(layers=[f"a{number}:1" for number in range(6)])))
    assert found[0] == ("spec.layers", "Cannot reference more than 5 layers.")
    assert list(problems(spec(layers=[f"a{number}:1" for number in range(5)]))) == []


def test_fifty_tags_are_taken() -> None:
    assert not list(problems(spec(tags={str(number): "" for number in range(50)})))


def test_four_kilobytes_of_environment() -> None:
    frame = len('{"NAME":""}')
    assert not list(problems(spec(environment=Environment(variables={"NAME": "x" * (4096 - frame)}))))
    [(_, message)] = problems(spec(environment=Environment(variables={"NAME": "x" * (4097 - frame)})))
    assert message.endswith('exceeded the 4KB limit. String measured: {"NAME":"' + "x" * (4097 - frame) + '"}')
    assert list(problems(spec(environment=Environment(variables={"NAME": "é" * 2048})))), "bytes count, not characters"
    assert limits.ENVIRONMENT_BYTES_MAX == 4096


@pytest.mark.parametrize("runtime", SUPPORTED_RUNTIMES)
def test_supported_runtimes_are_taken(runtime: str) -> None:
    assert not list(problems(spec(runtime=runtime)))


@pytest.mark.parametrize("runtime", FORMER)
def test_former_runtimes_are_named_as_such(runtime: str) -> None:
    [(_, message)] = problems(spec(runtime=runtime))
    assert message.startswith(f"The runtime parameter of {runtime} is no longer supported")


def test_a_layer_may_be_for_every_runtime_that_lambda_has_or_had() -> None:
    known = {name for name in (*SUPPORTED_RUNTIMES, *FORMER) if is_known_runtime(name)}
    assert known == {*SUPPORTED_RUNTIMES, *FORMER}
    for name in ("cobol", "python3", "python3.11 ", "java8.al", ""):
        assert is_known_runtime(name) is False, name


def test_every_runtime_of_the_service_model_is_supported_or_former() -> None:
    assert set(load_service_model().shapes["Runtime"].enum) == {*SUPPORTED_RUNTIMES, *FORMER, "custom"}


@pytest.mark.parametrize(
    "runtime", ["java11", "java17.al2023", "java21", "java25", "python3.12", "python3.14", "dotnet8"]
)
def test_snapstart_is_taken_where_aws_has_it(runtime: str) -> None:
    assert not list(problems(spec(runtime=runtime, snap_start=SnapStart(apply_on="PublishedVersions"))))


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        (spec(file_system_configs=[FileSystemConfig(arn="a", local_mount_path="/mnt/a")]), "spec.fileSystemConfigs"),
        (spec(vpc_config=VpcConfig(subnet_ids=["subnet-1"])), "spec.vpcConfig.subnetIds"),
    ],
)
def test_what_lambent_has_not_yet_is_refused(changed: FunctionSpec, path: str) -> None:
    assert list(unsupported(changed)) == [path]
    with pytest.raises(NotImplementedYet, match=f"{path} is not implemented yet in Lambent."):
        check_spec(changed)


WITH_AN_IMAGE = "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image."
IMAGE = Code(image_uri="registry.example.com/team/fn:1")


def image(**members: Any) -> FunctionSpec:
    return spec(**{"package_type": "Image", "runtime": None, "handler": None, "code": IMAGE} | members)


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        (image(), []),
        (image(image_config=ImageConfig(command=["a"])), []),
        (image(runtime="python3.11"), [("spec.runtime", WITH_AN_IMAGE)]),
        (image(handler="a.b"), [("spec.handler", WITH_AN_IMAGE)]),
        (image(layers=["arn:x"]), [("spec.layers", WITH_AN_IMAGE)]),
        (
            image(code=Code()),
            [("spec.code.imageUri", "Please provide ImageUri when creating a function with packageType Image.")],
        ),
        (
            image(code=Code(image_uri="a b")),
            [("spec.code.imageUri", "Source image a b is not valid. Provide a valid source image.")],
        ),
        (
            spec(code=IMAGE),
            [("spec.code.imageUri", "Please don't provide ImageUri when the intended function PackageType is Zip.")],
        ),
        (
            spec(image_config=ImageConfig(command=["a"])),
            [("spec.imageConfig", "Please don't provide ImageConfig when the intended function PackageType is Zip.")],
        ),
        (spec(image_config=ImageConfig()), []),
    ],
)
def test_an_image_and_a_package_exclude_each_other(changed: FunctionSpec, found: list[tuple[str, str]]) -> None:
    assert list(problems(changed)) == found


def test_plain_functions_use_nothing_unsupported() -> None:
    assert not list(unsupported(spec(vpc_config=VpcConfig())))
