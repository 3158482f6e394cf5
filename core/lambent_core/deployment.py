"""
The life of a function's document: made, changed, settled. Who makes it and from what door is not asked here.

AWS documentation: "Lambda function states".

    D1  a function that is being made or updated takes no second change of code or configuration
    D2  each change gives a new revision id; each change of code or configuration a higher code revision
    D3  settling ends Pending and InProgress, and changes nothing else of what the user wanted
"""

from __future__ import annotations

import msgspec

from lambent_core import names, timestamps
from lambent_core.errors import PreconditionFailed, ResourceConflict
from lambent_core.function import Function, FunctionSpec, FunctionStatus, Metadata

_BEING_CREATED = "The function is being created."


def created(name: str, spec: FunctionSpec, *, uid: str, revision_id: str, now: float) -> Function:
    """The document of a new function, Pending."""
    resource = names.resource_name(name)
    return Function(
        metadata=Metadata(name=resource, uid=uid, creation_timestamp=timestamps.url_time(now)),
        spec=msgspec.structs.replace(spec, function_name=None if resource == name else name),
        status=FunctionStatus(revision_id=revision_id, last_modified=timestamps.last_modified(now), code_revision=1),
    )


def changed(function: Function, spec: FunctionSpec, *, arn: str, revision_id: str, now: float) -> Function:
    """The document with other code or configuration, InProgress. Raises ResourceConflict while another change is under way."""
    status = function.status
    if status.state == "Pending":
        raise ResourceConflict(
            "The operation cannot be performed at this time. The function is currently in the following state: Pending"
        )
    if status.last_update_status == "InProgress":
        raise ResourceConflict(
            f"The operation cannot be performed at this time. An update is in progress for resource: {arn}"
        )
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


def check_revision(function: Function, revision_id: str | None) -> None:
    """Raises PreconditionFailed when the caller saw another revision than the latest."""
    if revision_id is not None and revision_id != function.status.revision_id:
        raise PreconditionFailed(
            "The Revision Id provided does not match the latest Revision Id. "
            "Call the GetFunction/GetAlias API to retrieve the latest Revision Id"
        )


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
