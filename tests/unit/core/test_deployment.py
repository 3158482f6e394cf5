"""The life of a function's document (D1-D3)."""

from __future__ import annotations

import msgspec
import pytest

from lambent_core import deployment
from lambent_core.errors import PreconditionFailed, ResourceConflict
from lambent_core.function import (
    Code,
    Environment,
    EventInvokeConfig,
    Function,
    FunctionSpec,
    FunctionStatus,
    FunctionUrl,
    Metadata,
)

NOW = 1_795_486_086.25
ARN = "arn:aws:lambda:us-east-1:000000000000:function:fn"
SPEC = FunctionSpec(runtime="python3.11", handler="app.handler", code=Code(sha256="ab", size=7))


def made(spec: FunctionSpec = SPEC, name: str = "fn", metadata: Metadata | None = None) -> Function:
    return deployment.created(name, spec, uid="uid", revision_id="r1", now=NOW, metadata=metadata)


def active(spec: FunctionSpec = SPEC) -> Function:
    return deployment.settled(made(spec), None, revision_id="r2")


def with_spec(function: Function, **changes: object) -> FunctionSpec:
    return msgspec.structs.replace(function.spec, **changes)


def test_a_new_function_is_pending() -> None:
    assert made() == Function(
        metadata=Metadata(name="fn", uid="uid", creation_timestamp="2026-11-24T02:08:06.250000Z"),
        spec=SPEC,
        status=FunctionStatus(
            state="Pending",
            state_reason="The function is being created.",
            state_reason_code="Creating",
            revision_id="r1",
            last_modified="2026-11-24T02:08:06.250+0000",
            code_revision=1,
        ),
    )


def test_lambdas_name_is_kept_where_it_is_no_label() -> None:
    function = made(name="My_Fn")
    assert (function.name, function.spec.function_name) == ("My_Fn", "My_Fn")
    assert function.metadata.name.startswith("my-fn-")


def test_a_manifests_metadata_is_kept_but_for_what_the_platform_writes() -> None:
    metadata = Metadata(name="own", labels={"a": "b"}, resource_version="7", uid="theirs")
    function = made(name="My_Fn", metadata=metadata)
    assert function.metadata == Metadata(
        name="own", labels={"a": "b"}, uid="uid", creation_timestamp="2026-11-24T02:08:06.250000Z"
    )
    assert function.name == "My_Fn"


def test_settling_makes_it_active() -> None:
    status = active().status
    assert (status.state, status.state_reason, status.state_reason_code) == ("Active", None, None)
    assert (status.last_update_status, status.last_update_status_reason, status.revision_id) == (
        "Successful",
        None,
        "r2",
    )
    assert active().spec == SPEC


def test_a_function_whose_package_is_missing_fails_with_the_reason() -> None:
    status = deployment.settled(made(), "gone", revision_id="r2").status
    assert (status.state, status.state_reason, status.state_reason_code) == (
        "Failed",
        "gone",
        "InvalidZipFileException",
    )
    assert status.last_update_status == "Failed"


def test_an_update_is_in_progress_until_it_is_settled() -> None:
    function = active()
    changed = deployment.changed(function, with_spec(function, timeout=9), arn=ARN, revision_id="r3", now=NOW + 60)
    status = changed.status
    assert changed.spec.timeout == 9
    assert (status.state, status.last_update_status, status.code_revision, status.revision_id) == (
        "Active",
        "InProgress",
        2,
        "r3",
    )
    assert (status.last_update_status_reason, status.last_update_status_reason_code) == (
        "The function is being created.",
        "Creating",
    )
    assert status.last_modified == "2026-11-24T02:09:06.250+0000"
    done = deployment.settled(changed, None, revision_id="r4").status
    assert (done.state, done.last_update_status, done.last_update_status_reason_code) == ("Active", "Successful", None)


def test_an_update_that_fails_leaves_the_function_active() -> None:
    changed = deployment.changed(active(), SPEC, arn=ARN, revision_id="r3", now=NOW)
    status = deployment.settled(changed, "gone", revision_id="r4").status
    assert (status.state, status.state_reason) == ("Active", None)
    assert (status.last_update_status, status.last_update_status_reason) == ("Failed", "gone")
    assert status.last_update_status_reason_code == "InvalidZipFileException"


def test_nothing_is_changed_while_another_change_is_under_way() -> None:
    with pytest.raises(ResourceConflict) as error:
        deployment.changed(made(), SPEC, arn=ARN, revision_id="r", now=NOW)
    assert error.value.message.endswith("The function is currently in the following state: Pending")
    changed = deployment.changed(active(), SPEC, arn=ARN, revision_id="r3", now=NOW)
    with pytest.raises(ResourceConflict) as error:
        deployment.changed(changed, SPEC, arn=ARN, revision_id="r4", now=NOW)
    assert error.value.message == (
        f"The operation cannot be performed at this time. An update is in progress for resource: {ARN}"
    )


def test_lambdas_name_survives_a_change() -> None:
    function = deployment.settled(made(name="My_Fn"), None, revision_id="r2")
    changed = deployment.changed(function, SPEC, arn=ARN, revision_id="r3", now=NOW)
    assert changed.name == "My_Fn"


def test_unsettled_is_pending_or_in_progress() -> None:
    changed = deployment.changed(active(), SPEC, arn=ARN, revision_id="r3", now=NOW)
    assert [deployment.is_unsettled(one) for one in (made(), active(), changed)] == [True, False, True]


def test_revision_id_must_be_the_latest_if_given() -> None:
    deployment.check_revision(active(), None)
    deployment.check_revision(active(), "r2")
    with pytest.raises(PreconditionFailed, match="The Revision Id provided does not match the latest Revision Id"):
        deployment.check_revision(active(), "r1")


def apply(function: Function, spec: FunctionSpec) -> Function:
    return deployment.applied(function, spec, arn=ARN, revision_id="r3", now=NOW + 60)


def test_an_empty_environment_and_none_are_the_same_to_a_manifest() -> None:
    function = active(with_spec(active(), environment=Environment()))
    assert apply(function, SPEC) == function


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Environment({"A": "1"}), None),
        (Environment(), Environment({"A": "1"})),
        (None, Environment({"A": "1"})),
        (Environment({"A": "1"}), Environment({"A": "2"})),
    ],
    ids=["taken away", "where an empty one was", "where none was", "changed"],
)
def test_variables_are_those_of_the_manifest(before: Environment | None, after: Environment | None) -> None:
    function = active(with_spec(active(), environment=before))
    assert apply(function, with_spec(active(), environment=after)).spec.environment == after


def test_applying_what_is_there_changes_nothing() -> None:
    function = active()
    assert apply(function, SPEC) is function
    named = deployment.settled(made(name="My_Fn"), None, revision_id="r2")
    assert apply(named, SPEC) is named, "what Lambda calls it is not the manifest's to say"


@pytest.mark.parametrize(
    "changes",
    [
        {"tags": {"a": "b"}},
        {"reserved_concurrent_executions": 5},
        {"recursive_loop": "Allow"},
        {"update_runtime_on": "FunctionUpdate"},
        {"event_invoke_config": EventInvokeConfig(maximum_retry_attempts=1)},
        {"url": FunctionUrl()},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_settings_beside_the_code_need_no_new_environments(changes: dict[str, object]) -> None:
    function = active()
    applied = apply(function, with_spec(function, **changes))
    assert applied.spec == with_spec(function, **changes)
    assert (applied.status.code_revision, applied.status.last_update_status) == (1, "Successful")


@pytest.mark.parametrize("changes", [{"timeout": 9}, {"description": "new"}, {"code": Code(sha256="cd", size=8)}])
def test_other_settings_are_an_update(changes: dict[str, object]) -> None:
    function = active()
    applied = apply(function, with_spec(function, tags={"a": "b"}, **changes))
    assert applied.spec == with_spec(function, tags={"a": "b"}, **changes)
    assert (applied.status.code_revision, applied.status.last_update_status) == (2, "InProgress")


def test_what_is_changed_beside_the_code_is_noted_when_code_changes_too() -> None:
    function = active()
    spec = with_spec(function, timeout=9, url=FunctionUrl(), reserved_concurrent_executions=5)
    status = apply(function, spec).status
    assert (status.last_update_status, status.reserved_concurrent_executions) == ("InProgress", 5)
    assert status.url_id and status.url_created


def test_only_a_reservation_that_is_changed_is_in_force_by_that() -> None:
    function = made(msgspec.structs.replace(SPEC, reserved_concurrent_executions=5))
    assert function.status.reserved_concurrent_executions == 5
    refused = with_spec(function, reserved_concurrent_executions=901)
    asked = msgspec.structs.replace(function, spec=refused)
    assert (
        deployment.amended(
            asked, msgspec.structs.replace(refused, tags={"a": "b"}), now=NOW
        ).status.reserved_concurrent_executions
        == 5
    )
    smaller = msgspec.structs.replace(refused, reserved_concurrent_executions=7)
    assert deployment.amended(asked, smaller, now=NOW).status.reserved_concurrent_executions == 7


def test_a_url_is_dated_and_keeps_its_id() -> None:
    first = apply(active(), msgspec.structs.replace(SPEC, url=FunctionUrl())).status
    assert first.url_created == first.url_last_modified == "2026-11-24T02:09:06.250000Z"
    assert first.url_id is not None
    assert first.url_id.isalnum()
    assert len(first.url_id) == 32
    function = apply(active(), msgspec.structs.replace(SPEC, url=FunctionUrl()))
    later = deployment.amended(
        function, with_spec(function, url=FunctionUrl(auth_type="AWS_IAM")), now=NOW + 120
    ).status
    assert (later.url_id, later.url_created, later.url_last_modified) == (
        first.url_id,
        first.url_created,
        "2026-11-24T02:10:06.250000Z",
    )
    gone = deployment.amended(function, with_spec(function, url=None), now=NOW)
    assert (gone.status.url_id, gone.status.url_created, gone.status.url_last_modified) == (None, None, None)
    again = deployment.amended(gone, with_spec(gone, url=FunctionUrl()), now=NOW)
    assert again.status.url_id == first.url_id


def test_two_functions_have_two_url_ids() -> None:
    spec = msgspec.structs.replace(SPEC, url=FunctionUrl())
    one = deployment.created("a", spec, uid="u1", revision_id="r", now=NOW)
    other = deployment.created("b", spec, uid="u2", revision_id="r", now=NOW)
    assert one.status.url_id != other.status.url_id


def test_a_function_can_be_made_with_a_url_and_retries() -> None:
    spec = msgspec.structs.replace(
        SPEC, url=FunctionUrl(), event_invoke_config=EventInvokeConfig(maximum_retry_attempts=0)
    )
    function = made(spec)
    assert function.spec == spec
    assert function.status.url_created is not None
    assert function.status.event_invoke_config_modified == NOW
    assert made().status.event_invoke_config_modified is None


@pytest.mark.parametrize(
    ("size", "problem"),
    [(7, None), (None, "is not in the package store: upload"), (6, "has 6 bytes in the package store, not 7: upload")],
)
def test_the_package_must_be_there_and_whole(size: int | None, problem: str | None) -> None:
    found = deployment.package_problem(made(), size)
    assert (found is None) if problem is None else (found is not None and f"package ab {problem}" in found)
