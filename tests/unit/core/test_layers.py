"""What publishing, deleting and using a layer version decide. Y1 to Y3 are in the module's docstring."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lambent_core import deployment, layers, limits, versions
from lambent_core.caller import Caller
from lambent_core.errors import AccessDenied, InvalidParameterValue
from lambent_core.function import Code, FunctionLayer, FunctionSpec
from lambent_core.layer_names import LayerReference
from lambent_core.layers import LayerCode, LayerPackage, LayerVersion
from lambent_core.package import Package
from lambent_core.resources import from_resource, to_resource
from lambent_core.retention import named_packages

NOW = 1_795_486_086.25
CALLER = Caller()
PACKAGE = Package("ab" * 32, 100, 1_000)
USED = FunctionLayer(layer="deps:1", sha256="ab" * 32, size=100, unzipped_size=1_000)
ARN = CALLER.layer_arn("deps", 1)


def version(number: int = 1, name: str = "deps", package: Package = PACKAGE, **members: Any) -> LayerVersion:
    return layers.version_of(name, number, members, package, uid="u", now=NOW)


def store(*there: LayerVersion) -> layers.Find:
    return lambda reference: {one.reference: one for one in there}.get(
        LayerReference(reference.name, reference.version)
    )


def test_what_is_published_is_there_at_once() -> None:
    published = version(Description="shared", CompatibleRuntimes=[], LicenseInfo="MIT")
    assert published.metadata.name == "deps.1"
    assert published.spec.code == LayerCode(sha256=PACKAGE.sha256)
    assert published.status.state == "Active"
    assert published.status.code == LayerPackage(sha256=PACKAGE.sha256, size=100, unzipped_size=1_000)
    assert list(layers.problems(published)) == []


def test_what_lambdas_api_shows() -> None:
    published = version(Description="shared", CompatibleRuntimes=[])
    assert layers.shown(published, CALLER, location="http://there") == {
        "Content": {
            "Location": "http://there",
            "CodeSha256": "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=",
            "CodeSize": 100,
        },
        "LayerArn": "arn:aws:lambda:us-east-1:000000000000:layer:deps",
        "LayerVersionArn": "arn:aws:lambda:us-east-1:000000000000:layer:deps:1",
        "Version": 1,
        "Description": "shared",
        "CreatedDate": "2026-11-24T02:08:06.250+0000",
        "CompatibleRuntimes": [],
    }


def test_numbers_go_up_and_never_back() -> None:
    first, second = version(1), version(2)
    assert layers.next_number([]) == 1
    assert layers.next_number([first, second]) == 3
    assert layers.next_number([first, layers.deleted(second)]) == 3, "Y1"


def test_a_deleted_version_names_no_package() -> None:
    assert named_packages(version()) == {PACKAGE.sha256}
    assert named_packages(layers.deleted(version())) == set()


def test_layers_are_found_in_their_order() -> None:
    other = Package("cd" * 32, 5, 50)
    find = store(version(), version(7, "tools", other))
    found = layers.resolved(["tools:7", ARN], find, caller=CALLER)
    assert found == [FunctionLayer(layer="tools:7", sha256=other.sha256, size=5, unzipped_size=50), USED]


def test_a_function_keeps_a_layer_that_is_gone() -> None:
    assert layers.resolved([ARN], store(), kept=[USED], caller=CALLER) == [USED], "Y2"
    assert layers.resolved([ARN], store(layers.deleted(version())), kept=[USED], caller=CALLER) == [USED], "Y2"
    elsewhere = Caller(region="eu-west-1")
    assert layers.resolved([ARN], store(), kept=[USED], caller=elsewhere) == [USED], "whoever changes something else"
    published = versions.published(
        msgspec.structs.replace(
            deployment.created("fn", FunctionSpec(layers=[ARN]), uid="u", revision_id="r", now=NOW),
            status=msgspec.structs.replace(deployment.pending(revision_id="r", last_modified=""), layers=[USED]),
        ),
        None,
        description=None,
        revision_id="r",
        now=NOW,
    )
    assert published.status.layers == [USED]
    assert named_packages(published) == {USED.sha256}
    resource = to_resource(published)
    assert resource["spec"]["layers"] == [msgspec.to_builtins(USED)], "in what never changes, not in status"
    assert "layers" not in resource["status"]
    assert from_resource(resource) == published


FAILED = layers.settled(version(), "spec.code.inline: no")


@pytest.mark.parametrize(
    ("named", "there"),
    [
        (CALLER.layer_arn("deps", 2), version()),
        ("deps:2", version()),
        (ARN, layers.deleted(version())),
        (ARN, FAILED),
        ("arn:aws:lambda:::awslayer:AmazonLinux1703", version()),
    ],
    ids=["another version", "for short", "deleted", "failed", "one of AWS's own"],
)
def test_a_layer_that_is_not_there(named: str, there: LayerVersion) -> None:
    with pytest.raises(InvalidParameterValue) as error:
        layers.resolved([named], store(there), caller=CALLER)
    assert error.value.message == f"Layer version {named} does not exist."


def test_a_layer_of_another_region() -> None:
    with pytest.raises(InvalidParameterValue) as error:
        layers.resolved([ARN], store(version()), caller=Caller(region="eu-west-1"))
    assert error.value.message == (
        "Layers are not in the same region as the function. Layers are expected to be in region eu-west-1."
    )


def test_a_layer_of_another_account() -> None:
    arn = "arn:aws:lambda:us-east-1:999999999999:layer:deps:1"
    with pytest.raises(AccessDenied, match=f"GetLayerVersion on resource: {arn} because no resource-based policy"):
        layers.resolved([arn], store(version()), caller=CALLER)


def test_code_and_layers_count_together() -> None:
    most = limits.UNZIPPED_BYTES_MAX - 1_000
    layers.check_size(Code(unzipped_size=most), [USED])
    with pytest.raises(InvalidParameterValue) as error:
        layers.check_size(Code(unzipped_size=most + 1), [USED])
    assert error.value.message == (
        "Function code combined with layers exceeds the maximum allowed size of 262144000 bytes. "
        "The actual size is 262144001 bytes."
    )


@pytest.mark.parametrize(
    ("runtime", "architecture", "found"),
    [
        (None, None, True),
        ("python3.11", None, True),
        ("python3.12", None, False),
        (None, "arm64", True),
        (None, "x86_64", False),
        ("python3.11", "x86_64", False),
    ],
)
def test_what_a_layer_is_meant_for(runtime: str | None, architecture: str | None, found: bool) -> None:
    meant = version(CompatibleRuntimes=["python3.11"], CompatibleArchitectures=["arm64"])
    assert layers.is_compatible(meant, runtime=runtime, architecture=architecture) == found


def test_one_that_says_nothing_is_found_by_nothing() -> None:
    assert not layers.is_compatible(version(), runtime="python3.11", architecture=None)
    assert layers.is_compatible(version(), runtime=None, architecture=None)


def test_what_a_manifest_cannot_be() -> None:
    wrong = msgspec.structs.replace(
        version(CompatibleRuntimes=["nodejs12.x", "cobol"]), metadata=layers.LayerVersionMetadata(name="deps.2")
    )
    assert list(layers.problems(wrong)) == [
        ("metadata.name", "deps.1 is wanted for version 1 of the layer deps"),
        ("spec.compatibleRuntimes[1]", "cobol is no runtime of Lambda's"),
    ]


def test_files_of_a_layer_have_paths_of_their_own() -> None:
    published = version()
    files = LayerCode(inline={"../x.py": "", "a/b": "", "a": ""})
    wrong = msgspec.structs.replace(published, spec=msgspec.structs.replace(published.spec, code=files))
    assert list(layers.problems(wrong)) == [
        ("spec.code.inline", "../x.py is no path of a file in the package"),
        ("spec.code.inline", "a is a file and a folder at once"),
    ]


def test_a_manifest_says_the_same_as_what_is_published() -> None:
    published = version(Description="shared")
    assert layers.unchanged(published, msgspec.structs.replace(published.spec, code=LayerCode(path=".")), PACKAGE)
    assert not layers.unchanged(published, published.spec, Package("cd" * 32, 100, 1_000))
    assert not layers.unchanged(published, version().spec, PACKAGE)
    assert not layers.unchanged(layers.deleted(published), published.spec, PACKAGE)
