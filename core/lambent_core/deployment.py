"""
The life of a function's document: made, changed, settled. Who makes it and from what door is not asked here.

AWS documentation: "Lambda function states".

    D1  a function that is being made or updated takes no second change of code or configuration
    D2  each change gives a new revision id; each change of code or configuration a higher code revision
    D3  settling ends Pending and InProgress, and changes nothing else of what the user wanted
"""

from __future__ import annotations

import hashlib

import msgspec

from lambent_core import names, timestamps
from lambent_core.errors import PreconditionFailed, ResourceConflict
from lambent_core.function import (
    Environment,
    EventInvokeConfig,
    Function,
    FunctionSpec,
    FunctionStatus,
    FunctionUrl,
    Metadata,
)

BESIDE_THE_CODE = (
    "tags", "reserved_concurrent_executions", "url", "event_invoke_config", "recursive_loop", "update_runtime_on",
    "replicas", "idle_seconds", "environments_per_pod",
)  # fmt: skip
"""What has operations of its own, and can change without new execution environments."""
STALE_REVISION = (
    "The Revision Id provided does not match the latest Revision Id. "
    "Call the GetFunction/GetAlias API to retrieve the latest Revision Id"
)
_BEING_CREATED = "The function is being created."


def created(
    name: str, spec: FunctionSpec, *, uid: str, revision_id: str, now: float, metadata: Metadata | None = None
) -> Function:
    """The document of a new function, Pending. `metadata` is what a manifest brings; else it follows from the name."""
    metadata = metadata or Metadata(name=names.resource_name(name))
    function = Function(
        metadata=msgspec.structs.replace(
            metadata, uid=uid, creation_timestamp=timestamps.url_time(now), resource_version=""
        ),
        spec=msgspec.structs.replace(spec, function_name=None if metadata.name == name else name),
        status=msgspec.structs.replace(
            pending(revision_id=revision_id, last_modified=timestamps.last_modified(now)), code_revision=1
        ),
    )
    # A manifest may bring settings that have operations of their own.
    return amended(msgspec.structs.replace(function, spec=_without_own(function.spec)), function.spec, now=now)


def pending(*, revision_id: str, last_modified: str) -> FunctionStatus:
    """Of what is being made."""
    return FunctionStatus(
        state="Pending",
        state_reason=_BEING_CREATED,
        state_reason_code="Creating",
        revision_id=revision_id,
        last_modified=last_modified,
    )


def _without_own(spec: FunctionSpec) -> FunctionSpec:
    plain = EventInvokeConfig()
    return msgspec.structs.replace(spec, url=None, event_invoke_config=plain, reserved_concurrent_executions=None)


def changed(function: Function, spec: FunctionSpec, *, arn: str, revision_id: str, now: float) -> Function:
    """The document with other code or configuration, InProgress. Raises ResourceConflict while another change is under way."""
    check_settled(function, arn)
    status = function.status
    return msgspec.structs.replace(
        function,
        spec=msgspec.structs.replace(spec, function_name=function.spec.function_name),
        status=msgspec.structs.replace(
            status,
            last_update_status="InProgress",
            last_update_status_reason=_BEING_CREATED,
            last_update_status_reason_code="Creating",
            revision_id=revision_id,
            last_modified=timestamps.last_modified(now),
            code_revision=status.code_revision + 1,
        ),
    )


def check_settled(function: Function, arn: str) -> None:
    """Raises ResourceConflict while the function is being made or updated (D1)."""
    status = function.status
    if status.state == "Pending":
        raise ResourceConflict(
            "The operation cannot be performed at this time. The function is currently in the following state: Pending"
        )
    if status.last_update_status == "InProgress":
        raise ResourceConflict(
            f"The operation cannot be performed at this time. An update is in progress for resource: {arn}"
        )


def applied(function: Function, spec: FunctionSpec, *, arn: str, revision_id: str, now: float) -> Function:
    """The document with all of another spec, as a manifest brings it; unchanged if there is nothing to change."""
    spec = msgspec.structs.replace(spec, function_name=function.spec.function_name)
    if spec.environment is None and function.spec.environment == Environment():
        # Lambda's API tells an empty environment from none, a manifest doesn't: that is no change.
        spec = msgspec.structs.replace(spec, environment=function.spec.environment)
    if spec == function.spec:
        return function
    as_before = msgspec.structs.replace(spec, **{field: getattr(function.spec, field) for field in BESIDE_THE_CODE})
    if as_before != function.spec:
        function = changed(function, as_before, arn=arn, revision_id=revision_id, now=now)
    return amended(function, spec, now=now)


def amended(function: Function, spec: FunctionSpec, *, now: float) -> Function:
    """The document with settings that running environments need not know, and what the platform notes beside them."""
    status, before = function.status, function.spec
    if spec.url != before.url:
        status = url_status(function, spec.url, now)
    if spec.event_invoke_config != before.event_invoke_config:
        status = msgspec.structs.replace(status, event_invoke_config_modified=now)
    if (reserved := spec.reserved_concurrent_executions) != before.reserved_concurrent_executions:
        status = msgspec.structs.replace(status, reserved_concurrent_executions=reserved)
    return msgspec.structs.replace(function, spec=spec, status=status)


def url_status(function: Function, url: FunctionUrl | None, now: float) -> FunctionStatus:
    """The status with what is noted of a function URL that is set, changed or taken away."""
    status, at = function.status, timestamps.url_time(now)
    if url is None:
        return msgspec.structs.replace(status, url_id=None, url_created=None, url_last_modified=None)
    if status.url_id is not None:
        return msgspec.structs.replace(status, url_last_modified=at)
    return msgspec.structs.replace(status, url_id=url_id(function.metadata.uid), url_created=at, url_last_modified=at)


def url_id(uid: str, alias: str = "") -> str:
    """Made of the function's uid, so that a URL that is taken away and made again is the same."""
    return hashlib.sha256(f"url {uid} {alias}".strip().encode()).hexdigest()[:32]


def check_revision(function: Function, revision_id: str | None) -> None:
    """Raises PreconditionFailed when the caller saw another revision than the latest."""
    if revision_id is not None and revision_id != function.status.revision_id:
        raise PreconditionFailed(STALE_REVISION)


def is_unsettled(function: Function) -> bool:
    """Is being made or updated; also after a restart, when nobody works on it."""
    return function.status.state == "Pending" or function.status.last_update_status == "InProgress"


def settled(function: Function, problem: str | None, *, revision_id: str) -> Function:
    """
    The document after its package was checked: Active and Successful, or what failed with `problem` as the reason.

    An update that failed leaves the function Active; a function that could not be made is Failed.
    """
    status = function.status
    if problem is None:
        state, outcome, reason, code = "Active", "Successful", None, None
    else:
        state, outcome, reason, code = "Failed", "Failed", problem, "InvalidZipFileException"
    new = status.state == "Pending"
    return msgspec.structs.replace(
        function,
        status=msgspec.structs.replace(
            status,
            state=state if new else status.state,
            state_reason=reason if new else status.state_reason,
            state_reason_code=code if new else status.state_reason_code,
            last_update_status=outcome,
            last_update_status_reason=reason,
            last_update_status_reason_code=code,
            revision_id=revision_id,
        ),
    )


def package_problem(function: Function, stored_size: int | None) -> str | None:
    """What is wrong with the package in the store, or None. `stored_size` in bytes; None if there is no such package."""
    code = function.spec.code
    if stored_size is None:
        return f"The deployment package {code.sha256} is not in the package store: upload the code again."
    if stored_size != code.size:
        return (
            f"The deployment package {code.sha256} has {stored_size} bytes in the package store, not {code.size}: "
            "upload the code again."
        )
    return None
