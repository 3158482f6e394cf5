from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lambent_core import deployment, versions
from lambent_core.errors import InvalidParameterValue, LambdaError, ResourceNotFound
from lambent_core.function import (
    Code,
    EventInvokeConfig,
    Function,
    FunctionLayer,
    FunctionSpec,
    FunctionStatus,
    FunctionUrl,
    Metadata,
)
from lambent_core.versions import FunctionAlias, FunctionVersion

SAME = "Invalid function version 1. Function version 1 is already included in routing configuration."
NOW = 1_795_486_086.25
SPEC = FunctionSpec(code=Code(sha256="00" * 32, size=9), description="as it is", timeout=7)


def function(spec: FunctionSpec = SPEC, name: str = "My_Fn") -> Function:
    made = deployment.created(name, spec, uid="uid", revision_id="r", now=NOW)
    return deployment.settled(made, None, revision_id="r1")


def publish(of: Function, latest: FunctionVersion | None = None, description: str | None = None) -> FunctionVersion:
    return versions.published(of, latest, description=description, revision_id="v", now=NOW + 9)


def alias(**members: Any) -> FunctionAlias:
    made = versions.alias_of(function(), "Live_1", "1", now=NOW)
    return versions.altered(made, members, revision_id="a1")


def test_a_version_is_the_function_as_it_was() -> None:
    of = function()
    version = publish(of)
    assert (version.number, version.version, version.description) == (1, "1", "as it is")
    assert (version.function_name, version.function_uid) == ("My_Fn", "uid")
    assert version.metadata.name == f"{of.metadata.name}.1"
    assert version.metadata.creation_timestamp == "2026-11-24T02:08:15.250000Z"
    shown = version.function
    assert (shown.name, shown.metadata.uid) == ("My_Fn", "uid")
    assert (shown.spec.timeout, shown.spec.code, shown.spec.description) == (7, SPEC.code, "as it is")
    assert (shown.status.state, shown.status.state_reason, shown.status.state_reason_code) == ("Active", None, None)
    assert (shown.status.last_update_status, shown.status.revision_id) == ("Successful", "v")
    assert shown.status.last_modified == of.status.last_modified


def test_a_version_belongs_to_the_document_of_its_function_whatever_that_is_called() -> None:
    named = msgspec.structs.replace(function(), metadata=Metadata(name="other", namespace="team", uid="uid"))
    version = publish(named)
    assert (version.metadata.name, version.function_resource, version.function.metadata.name) == (
        "other.1",
        "other",
        "other",
    )
    assert version.function.metadata.namespace == "team"
    assert versions.alias_of(named, "Live_1", "1", now=NOW).function_resource == "other"


def test_what_belongs_to_the_whole_function_is_no_part_of_a_version() -> None:
    whole = msgspec.structs.replace(
        SPEC,
        tags={"a": "b"},
        reserved_concurrent_executions=5,
        url=FunctionUrl(),
        event_invoke_config=EventInvokeConfig(maximum_retry_attempts=0),
        recursive_loop="Allow",
        update_runtime_on="FunctionUpdate",
    )
    version = publish(function(whole))
    assert version.spec == publish(function()).spec
    own = msgspec.structs.replace(version, event_invoke_config=EventInvokeConfig(maximum_retry_attempts=1))
    assert own.function.spec.event_invoke_config.maximum_retry_attempts == 1


def test_numbers_go_up_and_come_once() -> None:
    of = function()
    first = publish(of)
    of = versions.with_published(of, first, revision_id="r2")
    assert (of.status.last_version, of.status.revision_id) == (1, "r2")
    assert versions.with_published(of, first, revision_id="r3") is of
    another = msgspec.structs.replace(first, number=2, function_uid="of an earlier function of the name")
    assert versions.with_published(of, another, revision_id="r3") is of
    assert publish(of).number == 2, "version 1 was deleted"
    altered = msgspec.structs.replace(of, spec=msgspec.structs.replace(of.spec, timeout=8))
    assert publish(altered, first).number == 2
    ahead = msgspec.structs.replace(first, number=4)
    assert publish(altered, ahead).number == 5, "a crash came before the function was told"


def test_what_was_not_changed_is_not_published_again() -> None:
    of = function()
    first = publish(of, description="first")
    assert first.description == "first"
    of = versions.with_published(of, first, revision_id="r2")
    assert publish(of, first, "another") is first
    later = versions.with_published(of, msgspec.structs.replace(first, number=2), revision_id="r3")
    assert publish(later, first).number == 3, "the last one is gone"
    other = msgspec.structs.replace(of, spec=msgspec.structs.replace(of.spec, description="other"))
    assert publish(other, first).number == 2


def test_a_version_without_a_status_is_published_all_the_same() -> None:
    """Who applied it wrote none, or a crash came first. Every gateway shows the same."""
    complete = publish(function())
    layers = [FunctionLayer(layer="deps:1", sha256="cd" * 32, size=5, unzipped_size=50)]
    metadata = msgspec.structs.replace(complete.metadata, uid="uid-of-the-version")
    half = msgspec.structs.replace(complete, metadata=metadata, status=FunctionStatus(layers=layers))
    assert versions.seen_version(half) == msgspec.structs.replace(
        half,
        status=FunctionStatus(
            state="Active",
            last_update_status="Successful",
            revision_id="26e29057-bf3d-5a0d-905b-2bf8e073a5de",
            last_modified="2026-11-24T02:08:15.250+0000",
            layers=layers,
        ),
    )
    assert versions.seen_version(complete) is complete


def test_only_the_code_that_the_caller_means() -> None:
    right = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    versions.check_code(function(), None)
    versions.check_code(function(), right)
    with pytest.raises(InvalidParameterValue) as error:
        versions.check_code(function(), "wrong")
    assert error.value.message == (
        f"CodeSHA256 (wrong) is different from current CodeSHA256 in $LATEST ({right}). "
        "Please try again with the CodeSHA256 in $LATEST."
    )


def test_an_alias_has_another_revision_when_its_spec_was_written_without_it() -> None:
    """By kubectl, or by a gateway that has not come to the status yet. Every gateway shows the same."""
    made = alias()
    assert versions.seen_alias(made) is made, "where there are no generations"
    metadata = msgspec.structs.replace(made.metadata, uid="uid-of-the-alias", generation=4)
    written = msgspec.structs.replace(made, metadata=metadata, observed_generation=3)
    seen = versions.seen_alias(written)
    assert seen == msgspec.structs.replace(
        written, revision_id="2fa328ec-9cba-5a23-a330-b5ee99339a72", observed_generation=4
    )
    assert versions.seen_alias(seen) is seen


def test_an_alias_is_what_was_said_of_it() -> None:
    made = alias(Description="mine", RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}})
    assert (made.name, made.version, made.description, made.revision_id) == ("Live_1", "1", "mine", "a1")
    assert made.additional_version_weights == {"2": 0.5}
    assert made.metadata.name.startswith(f"{function().metadata.name}.live-1-")
    moved = versions.altered(made, {"FunctionVersion": "3"}, revision_id="a2")
    assert (moved.version, moved.description, moved.revision_id) == ("3", "mine", "a2")
    assert moved.additional_version_weights == {"2": 0.5}
    emptied = versions.altered(moved, {"RoutingConfig": {"AdditionalVersionWeights": {}}}, revision_id="a3")
    assert emptied.additional_version_weights == {}


@pytest.mark.parametrize(("drawn", "version"), [(0.0, "2"), (0.24, "2"), (0.25, "1"), (0.99, "1")])
def test_weights_share_invocations_out(drawn: float, version: str) -> None:
    weighted = alias(RoutingConfig={"AdditionalVersionWeights": {"2": 0.25}})
    assert weighted.choose(lambda: drawn) == version
    assert alias().choose(lambda: drawn) == "1"


@pytest.mark.parametrize(
    ("version", "weights", "kind", "message"),
    [
        ("1", {"2": 0.1, "3": 0.1}, InvalidParameterValue, "Number of items in AdditionalVersionWeights cannot be greater than 1"),
        ("1", {"1": 0.1}, InvalidParameterValue, SAME),
        ("$LATEST", {"2": 0.1}, InvalidParameterValue, "$LATEST is not supported for an alias pointing to more than 1 version"),
        ("9", {}, ResourceNotFound, "Function not found: arn:9"),
        ("1", {"9": 0.1}, ResourceNotFound, "Function not found: arn:9"),
    ],
)  # fmt: skip
def test_an_alias_that_can_not_be(version: str, weights: Any, kind: type[LambdaError], message: str) -> None:
    made = alias(FunctionVersion=version, RoutingConfig={"AdditionalVersionWeights": weights})
    with pytest.raises(kind) as error:
        versions.check_alias(made, ("$LATEST", "1", "2", "3").__contains__, "arn:{}".format)
    assert error.value.message == message


@pytest.mark.parametrize(("version", "weights"), [("$LATEST", {}), ("1", {"2": 1.0})])
def test_an_alias_that_can_be(version: str, weights: Any) -> None:
    made = alias(FunctionVersion=version, RoutingConfig={"AdditionalVersionWeights": weights})
    versions.check_alias(made, ("$LATEST", "1", "2").__contains__, "arn:{}".format)


def test_the_url_of_an_alias() -> None:
    made = versions.with_url(alias(), FunctionUrl(), now=NOW)
    assert (made.url, made.url_id) == (FunctionUrl(), deployment.url_id("uid", "Live_1"))
    assert made.url_id != deployment.url_id("uid")
    assert made.url_created == made.url_last_modified == "2026-11-24T02:08:06.250000Z"
    later = versions.with_url(made, FunctionUrl(auth_type="AWS_IAM"), now=NOW + 1)
    assert (later.url, later.url_id, later.url_created) == (
        FunctionUrl(auth_type="AWS_IAM"),
        made.url_id,
        made.url_created,
    )
    assert later.url_last_modified == "2026-11-24T02:08:07.250000Z"
    gone = versions.with_url(later, None, now=NOW + 2)
    assert gone == alias()


def test_documents_are_read_as_they_were_written() -> None:
    for document in (publish(function()), versions.with_url(alias(), FunctionUrl(), now=NOW)):
        assert msgspec.json.decode(msgspec.json.encode(document), type=type(document)) == document
