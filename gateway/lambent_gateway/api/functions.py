"""
Functions: CreateFunction to DeleteFunction. Behaviour: AWS API reference pages of those names, and recordings of AWS.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from lambent_core import configuration, deployment
from lambent_core.errors import InvalidParameterValue, NotImplementedYet
from lambent_core.function import FunctionSpec
from lambent_core.invocation import LATEST
from lambent_core.names import Target
from lambent_core.package import Package
from lambent_gateway.api import deploy
from lambent_gateway.api.calls import Call

T = TypeVar("T")
PAGE_MAX = 50
"""Items a page, whatever MaxItems says ("ListFunctions")."""
_NOT_LISTED = frozenset({
    "State", "StateReason", "StateReasonCode", "LastUpdateStatus", "LastUpdateStatusReason",
    "LastUpdateStatusReasonCode", "RuntimeVersionConfig",
})  # fmt: skip
"""Members that ListFunctions leaves out ("ListFunctions")."""


async def create_function(call: Call) -> Mapping[str, Any]:
    members, target = call.members, call.target
    if not target.latest:
        raise InvalidParameterValue(f"A new function is named without a qualifier, not {members['FunctionName']}")
    _no_versions_yet(members)
    spec = configuration.with_members(FunctionSpec(), members)
    package = await _uploaded(call, members["Code"])
    function = await deploy.create_function(
        call.parts, target.name, msgspec.structs.replace(spec, code=deploy.code_of(package))
    )
    return configuration.configuration(function, call.caller)


async def get_function(call: Call) -> Mapping[str, Any]:
    target = call.target
    function = call.existing(target)
    spec = function.spec
    answer: dict[str, Any] = {
        "Configuration": configuration.configuration(function, call.caller, target.qualifier),
        "Code": {
            "RepositoryType": "S3",
            "Location": f"{call.base_url}/lambent/v1/packages/{spec.code.sha256}",
        },
    }
    if spec.tags:
        answer["Tags"] = spec.tags
    if spec.reserved_concurrent_executions is not None:
        answer["Concurrency"] = {"ReservedConcurrentExecutions": spec.reserved_concurrent_executions}
    return answer


async def get_function_configuration(call: Call) -> Mapping[str, Any]:
    target = call.target
    return configuration.configuration(call.existing(target), call.caller, target.qualifier)


async def list_functions(call: Call) -> Mapping[str, Any]:
    functions, marker = page(call.parts.functions.all(), call.members, name=lambda function: function.name)
    every_version = call.members.get("FunctionVersion") == "ALL"
    listed = []
    for function in functions:
        shown = configuration.configuration(function, call.caller, LATEST if every_version else None)
        listed.append({name: value for name, value in shown.items() if name not in _NOT_LISTED})
    return {"Functions": listed, "NextMarker": marker}


async def update_function_code(call: Call) -> Mapping[str, Any]:
    members, target = call.members, call.target
    function = call.existing(target)
    if members.get("ImageUri"):
        raise InvalidParameterValue("Please don't provide ImageUri when updating a function with packageType Zip.")
    _no_versions_yet(members)
    deployment.check_revision(function, members.get("RevisionId"))
    package = await _uploaded(call, members)

    def wish(spec: FunctionSpec) -> FunctionSpec:
        architectures = members.get("Architectures", spec.architectures)
        return msgspec.structs.replace(deploy.with_code(package)(spec), architectures=architectures)

    if members.get("DryRun"):
        tried = msgspec.structs.replace(function, spec=wish(function.spec))
        return configuration.configuration(tried, call.caller)
    changed = await deploy.update_function(
        call.parts, target.name, wish, caller=call.caller, revision_id=members.get("RevisionId")
    )
    return configuration.configuration(changed, call.caller)


async def update_function_configuration(call: Call) -> Mapping[str, Any]:
    members, target = call.members, call.target
    call.existing(target)
    changed = await deploy.update_function(
        call.parts,
        target.name,
        lambda spec: configuration.with_members(spec, members),
        caller=call.caller,
        revision_id=members.get("RevisionId"),
    )
    return configuration.configuration(changed, call.caller)


async def delete_function(call: Call) -> Mapping[str, Any]:
    target = call.target
    if target.qualifier == LATEST:
        raise InvalidParameterValue("$LATEST version cannot be deleted without deleting the function.")
    unqualified = Target(target.name)
    if target.qualifier is None:
        await call.parts.functions.remove(target.name, lambda: call.not_found(unqualified))
    else:
        call.existing(unqualified)  # a version that does not exist is deleted already
    return {"StatusCode": 204}


def page(items: Sequence[T], members: Mapping[str, Any], *, name: Callable[[T], str]) -> tuple[list[T], str | None]:
    """The items after Marker, and the marker of the next page. `items` are sorted by `name`."""
    after = _read_marker(members["Marker"]) if members.get("Marker") else ""
    left = [item for item in items if name(item) > after]
    size = min(members.get("MaxItems") or PAGE_MAX, PAGE_MAX)
    if len(left) <= size:
        return left, None
    return left[:size], base64.urlsafe_b64encode(name(left[size - 1]).encode()).decode()


def _read_marker(marker: str) -> str:
    try:
        return base64.b64decode(marker, altchars=b"-_", validate=True).decode()
    except ValueError:
        raise InvalidParameterValue("Invalid marker: give back NextMarker as it was answered.") from None


async def _uploaded(call: Call, code: Mapping[str, Any]) -> Package:
    if code.get("ImageUri"):
        raise NotImplementedYet("Functions from container images are not implemented yet in Lambent.")
    if code.get("S3Bucket") or code.get("S3Key"):
        raise InvalidParameterValue("Lambent does not read packages from S3 yet: pass the package's bytes as ZipFile.")
    if "ZipFile" not in code:
        raise InvalidParameterValue("Please provide a source for function code.")
    return await deploy.store_package(call.parts, code["ZipFile"])


def _no_versions_yet(members: Mapping[str, Any]) -> None:
    if members.get("Publish"):
        raise NotImplementedYet("Publish: versions are not implemented yet in Lambent.")
