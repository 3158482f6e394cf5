"""Published versions. Behaviour: AWS API reference "PublishVersion", "ListVersionsByFunction", and recordings of AWS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lambent_core import configuration, deployment, versions
from lambent_core.documents import DocumentConflict
from lambent_core.errors import InvalidParameterValue, ResourceConflict
from lambent_core.function import LATEST, Function
from lambent_core.names import Target
from lambent_core.versions import FunctionVersion
from lambent_gateway.api.calls import Call
from lambent_gateway.api.pages import listed, page


async def publish_version(call: Call) -> Mapping[str, Any]:
    members, target = call.members, Target(call.target.name)
    function = call.existing(target)
    deployment.check_settled(function, call.caller.function_arn(function.name))
    deployment.check_revision(function, members.get("RevisionId"))
    versions.check_code(function, members.get("CodeSha256"))
    return shown(await publish(call, function, members.get("Description")), call)


async def list_versions_by_function(call: Call) -> Mapping[str, Any]:
    target = Target(call.target.name)
    every = all_versions(call.existing(target), call)
    found, marker = page(every, call.members, name=lambda one: one[0])
    return {"Versions": [one[1] for one in found], "NextMarker": marker}


def all_versions(function: Function, call: Call) -> list[tuple[str, dict[str, Any]]]:
    """`$LATEST` and every published version as lists show them, each with the name that it is sorted by."""
    shown_latest = configuration.configuration(function, call.caller, LATEST)
    every = [(f"{function.name} {LATEST}", listed(shown_latest))]
    for version in call.parts.qualified.versions(function):
        every.append((f"{function.name} {version.number:020}", listed(shown(version, call))))
    return every


async def publish(call: Call, function: Function, description: str | None = None) -> FunctionVersion:
    """The version that holds what `function` is now: a new one, or the last one where nothing was changed since."""
    parts, tried = call.parts, 0
    while True:
        last = parts.qualified.versions(function)[-1:]
        before = last[0] if last else None
        version = versions.published(
            function, before, description=description, revision_id=parts.ids(), now=parts.clock.time()
        )
        if version is not before:
            if version.number == tried:
                raise ResourceConflict(
                    f"FunctionVersion {version.metadata.name} exists and can't be read as version {tried} of the function "
                    f"{function.name}: try again in a moment, or delete it."
                )
            tried = version.number
            try:
                version = await parts.qualified.add(version)
            except DocumentConflict:
                continue
        await _noted(call, version)
        return version


async def _noted(call: Call, version: FunctionVersion) -> None:
    """Tells the function, if it does not know yet. Was it deleted meanwhile, its version goes after it."""
    revision_id = call.parts.ids()
    target = Target(version.function_name)
    try:
        await call.change(target, lambda function: versions.with_published(function, version, revision_id=revision_id))
    finally:
        latest = call.parts.functions.get(target.name)
        if latest is None or latest.metadata.uid != version.function_uid:
            await call.parts.qualified.remove(version)


async def delete_version(call: Call, function: Function, version: str) -> None:
    """Nothing happens if there is no such version. Raises ResourceConflict while an alias names it."""
    qualified = call.parts.qualified
    if qualified.alias(function, version):
        raise InvalidParameterValue("Deletion of aliases is not currently supported.")
    aliases = [
        alias.name
        for alias in qualified.aliases(function)
        if version == alias.version or version in alias.additional_version_weights
    ]
    if aliases:
        raise ResourceConflict(
            f"Unable to delete version because the following aliases reference it: [{', '.join(aliases)}]"
        )
    found = qualified.version(function, version)
    if found is not None:
        await _noted(call, found)  # its number is not given again, though a crash came before the function was told
        await qualified.remove(found)


def shown(version: FunctionVersion, call: Call) -> dict[str, Any]:
    """FunctionConfiguration of a published version, by its number."""
    return configuration.configuration(version.function, call.caller, version.version, version=version.version)
