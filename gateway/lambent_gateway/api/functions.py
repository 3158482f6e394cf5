"""
Functions: CreateFunction to DeleteFunction. Behaviour: AWS API reference pages of those names, and recordings of AWS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from lambent_core import configuration, deployment
from lambent_core.errors import InvalidParameterValue, NotImplementedYet
from lambent_core.function import Function, FunctionSpec, FunctionStatus
from lambent_core.invocation import LATEST
from lambent_core.names import Target
from lambent_core.package import Package
from lambent_gateway.api import deploy, versions
from lambent_gateway.api.calls import Call
from lambent_gateway.api.pages import listed, page


async def create_function(call: Call) -> Mapping[str, Any]:
    members, target = call.members, call.target
    if not target.latest:
        raise InvalidParameterValue(f"A new function is named without a qualifier, not {members['FunctionName']}")
    spec = configuration.with_members(FunctionSpec(), members)
    package = await _uploaded(call, members["Code"])
    function = await deploy.create_function(
        call.parts, target.name, msgspec.structs.replace(spec, code=deploy.code_of(package))
    )
    if not members.get("Publish"):
        return configuration.configuration(function, call.caller)
    version = await versions.publish(call, call.parts.functions.get(function.name) or function)
    return configuration.configuration(function, call.caller, version=version.version)


async def get_function(call: Call) -> Mapping[str, Any]:
    target = call.target
    function, version = call.version(target)
    spec = call.existing(Target(target.name)).spec
    answer: dict[str, Any] = {
        "Configuration": configuration.configuration(function, call.caller, target.qualifier, version=version),
        "Code": {
            "RepositoryType": "S3",
            "Location": f"{call.base_url}/lambent/v1/packages/{function.spec.code.sha256}",
        },
    }
    if spec.tags:
        answer["Tags"] = spec.tags
    if spec.reserved_concurrent_executions is not None:
        answer["Concurrency"] = {"ReservedConcurrentExecutions": spec.reserved_concurrent_executions}
    return answer


async def get_function_configuration(call: Call) -> Mapping[str, Any]:
    target = call.target
    function, version = call.version(target)
    return configuration.configuration(function, call.caller, target.qualifier, version=version)


async def list_functions(call: Call) -> Mapping[str, Any]:
    if call.members.get("FunctionVersion") == "ALL":
        every = [one for function in call.parts.functions.all() for one in versions.all_versions(function, call)]
        found, marker = page(sorted(every, key=lambda one: one[0]), call.members, name=lambda one: one[0])
        return {"Functions": [one[1] for one in found], "NextMarker": marker}
    functions, marker = page(call.parts.functions.all(), call.members, name=lambda function: function.name)
    shown = [listed(configuration.configuration(function, call.caller)) for function in functions]
    return {"Functions": shown, "NextMarker": marker}


async def update_function_code(call: Call) -> Mapping[str, Any]:
    members, target = call.members, call.target
    function = call.existing(target)
    if members.get("ImageUri"):
        raise InvalidParameterValue("Please don't provide ImageUri when updating a function with packageType Zip.")
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
    return (
        await _published(call, changed) if members.get("Publish") else configuration.configuration(changed, call.caller)
    )


async def _published(call: Call, changed: Function) -> Mapping[str, Any]:
    """The version of a change just made: as AWS answers it, still in the making where it is a new one."""
    version = await versions.publish(call, changed)
    if version.number > changed.status.last_version:
        status = version.status
        making = FunctionStatus(revision_id=status.revision_id, last_modified=status.last_modified)
        version = msgspec.structs.replace(version, status=making)
    return versions.shown(version, call)


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
        await deploy.delete_function(call.parts, target.name, lambda: call.not_found(unqualified))
    else:
        await versions.delete_version(call, call.existing(unqualified), target.qualifier)
    return {"StatusCode": 204}


async def _uploaded(call: Call, code: Mapping[str, Any]) -> Package:
    if code.get("ImageUri"):
        raise NotImplementedYet("Functions from container images are not implemented yet in Lambent.")
    if code.get("S3Bucket") or code.get("S3Key"):
        raise InvalidParameterValue("Lambent does not read packages from S3 yet: pass the package's bytes as ZipFile.")
    if "ZipFile" not in code:
        raise InvalidParameterValue("Please provide a source for function code.")
    return await deploy.store_package(call.parts, code["ZipFile"])
