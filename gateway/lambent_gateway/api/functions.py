"""
Functions: CreateFunction to DeleteFunction. Behaviour: AWS API reference pages of those names, and recordings of AWS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from lambent_core import configuration, deployment, reservations
from lambent_core.errors import InvalidParameterValue
from lambent_core.function import Code, Function, FunctionSpec
from lambent_core.function_rules import NOT_WITH_A_ZIP
from lambent_core.images import is_image
from lambent_core.invocation import LATEST
from lambent_core.names import Target
from lambent_gateway.api import deploy, images, versions
from lambent_gateway.api.calls import Call
from lambent_gateway.api.pages import listed, page


async def create_function(call: Call) -> Mapping[str, Any]:
    members, target = call.members, call.target
    if not target.latest:
        raise InvalidParameterValue(f"A new function is named without a qualifier, not {members['FunctionName']}")
    spec = configuration.with_members(FunctionSpec(), members)
    if not is_image(spec) and members["Code"].get("ImageUri"):
        raise InvalidParameterValue(NOT_WITH_A_ZIP.format(member="ImageUri"))
    spec = await _with_code(call, spec, members["Code"])
    function = await deploy.create_function(call.parts, target.name, spec, caller=call.caller)
    if not members.get("Publish"):
        return configuration.configuration(function, call.caller)
    version = await versions.publish(call, call.parts.functions.get(function.name) or function)
    return configuration.configuration(function, call.caller, version=version.version)


async def get_function(call: Call) -> Mapping[str, Any]:
    target = call.target
    function, version = call.version(target)
    latest = call.existing(Target(target.name))
    answer: dict[str, Any] = {
        "Configuration": configuration.configuration(function, call.caller, target.qualifier, version=version),
        "Code": configuration.code_location(function.spec.code, call.package_url),
    }
    if latest.spec.tags:
        answer["Tags"] = latest.spec.tags
    if (reserved := reservations.in_force(latest)) is not None:
        answer["Concurrency"] = {"ReservedConcurrentExecutions": reserved}
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
    if is_image(function.spec) and not members.get("ImageUri"):
        raise InvalidParameterValue("Please provide ImageUri when updating a function with packageType Image.")
    if not is_image(function.spec) and members.get("ImageUri"):
        raise InvalidParameterValue("Please don't provide ImageUri when updating a function with packageType Zip.")
    deployment.check_revision(function, members.get("RevisionId"))
    architectures = members.get("Architectures")

    def for_architectures(spec: FunctionSpec) -> FunctionSpec:
        return msgspec.structs.replace(spec, architectures=architectures or spec.architectures)

    code = (await _with_code(call, for_architectures(function.spec), members)).code

    def wish(spec: FunctionSpec) -> FunctionSpec:
        return msgspec.structs.replace(for_architectures(spec), code=code)

    if members.get("DryRun"):
        wanted = msgspec.structs.replace(function, spec=wish(function.spec))
        tried = deploy.with_layers(call.parts, wanted, caller=call.caller)
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
        making = deployment.pending(revision_id=status.revision_id, last_modified=status.last_modified)
        version = msgspec.structs.replace(version, status=making)
    return versions.shown(version, call)


async def update_function_configuration(call: Call) -> Mapping[str, Any]:
    members, target = call.members, call.target
    seen = call.existing(target).spec
    wanted = configuration.with_members(seen, members)
    found = await images.looked_up(call.parts, wanted) if is_image(wanted) else wanted
    changed = await deploy.update_function(
        call.parts,
        target.name,
        lambda spec: images.with_looked_up(configuration.with_members(spec, members), seen, found),
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


async def _with_code(call: Call, spec: FunctionSpec, code: Mapping[str, Any]) -> FunctionSpec:
    """The spec with the code that a request brings: a package, which is kept, or an image, which is looked up."""
    if is_image(spec):
        named = Code(image_uri=code.get("ImageUri"))
        return await images.looked_up(call.parts, msgspec.structs.replace(spec, code=named))
    return msgspec.structs.replace(spec, code=await _uploaded(call, code))


async def _uploaded(call: Call, code: Mapping[str, Any]) -> Code:
    if code.get("S3Bucket") or code.get("S3Key"):
        raise InvalidParameterValue("Lambent does not read packages from S3 yet: pass the package's bytes as ZipFile.")
    if "ZipFile" not in code:
        raise InvalidParameterValue("Please provide a source for function code.")
    return deploy.code_of(await deploy.store_package(call.parts, code["ZipFile"]))
