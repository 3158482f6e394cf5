"""Aliases. Behaviour: AWS API reference "CreateAlias" and its sisters, and recordings of AWS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lambent_core import versions
from lambent_core.deployment import STALE_REVISION
from lambent_core.documents import DocumentConflict
from lambent_core.errors import PreconditionFailed, ResourceConflict, ResourceNotFound
from lambent_core.function import Function
from lambent_core.names import Target
from lambent_core.versions import FunctionAlias
from lambent_gateway.api.calls import Call
from lambent_gateway.api.pages import page


async def create_alias(call: Call) -> Mapping[str, Any]:
    members, name = call.members, call.target.name
    function = call.parts.functions.get(name)
    if function is None:
        raise call.not_found(Target(name, members["FunctionVersion"]))
    alias = versions.alias_of(function, members["Name"], members["FunctionVersion"], now=call.parts.clock.time())
    alias = versions.altered(alias, members, revision_id=call.parts.ids())
    _check(alias, function, call)
    exists = ResourceConflict(f"Alias already exists: {_arn(call)}")
    if call.parts.qualified.alias(function, alias.name):
        raise exists
    try:
        return _shown(await call.parts.qualified.add(alias), call)
    except DocumentConflict:
        raise exists from None


async def get_alias(call: Call) -> Mapping[str, Any]:
    alias = _found(call)
    if alias is None:
        raise ResourceNotFound(f"Cannot find alias arn: {_arn(call)}")
    return _shown(alias, call)


async def update_alias(call: Call) -> Mapping[str, Any]:
    wanted = call.members.get("RevisionId")

    def decide(alias: FunctionAlias) -> FunctionAlias:
        if wanted is not None and wanted != alias.revision_id:
            raise PreconditionFailed(STALE_REVISION)
        after = versions.altered(alias, call.members, revision_id=call.parts.ids())
        _check(after, call.existing(Target(call.target.name)), call)
        return after

    missing = ResourceNotFound(f"Alias not found: {_arn(call)}")
    return _shown(await call.parts.qualified.change(lambda: _found(call), decide, lambda: missing), call)


async def delete_alias(call: Call) -> Mapping[str, Any]:
    call.existing(Target(call.target.name))
    alias = _found(call)
    if alias is not None:
        await call.parts.qualified.remove(alias)
    return {}


async def list_aliases(call: Call) -> Mapping[str, Any]:
    version = call.members.get("FunctionVersion")
    aliases = [
        alias
        for alias in call.parts.qualified.aliases(call.existing(Target(call.target.name)))
        if version is None or version == alias.version or version in alias.additional_version_weights
    ]
    found, marker = page(aliases, call.members, name=lambda alias: alias.name)
    return {"Aliases": [_shown(alias, call) for alias in found], "NextMarker": marker}


def _found(call: Call) -> FunctionAlias | None:
    function = call.parts.functions.get(call.target.name)
    return None if function is None else call.parts.qualified.alias(function, call.members["Name"])


def _check(alias: FunctionAlias, function: Function, call: Call) -> None:
    versions.check_alias(
        alias,
        lambda version: call.parts.qualified.has(function, version),
        lambda version: call.caller.function_arn(function.name, version),
    )


def _arn(call: Call) -> str:
    return call.caller.function_arn(call.target.name, call.members["Name"])


def _shown(alias: FunctionAlias, call: Call) -> Mapping[str, Any]:
    shown: dict[str, Any] = {
        "AliasArn": call.caller.function_arn(alias.function_name, alias.name),
        "Name": alias.name,
        "FunctionVersion": alias.version,
        "Description": alias.description,
        "RevisionId": alias.revision_id,
    }
    if alias.additional_version_weights:
        shown["RoutingConfig"] = {"AdditionalVersionWeights": alias.additional_version_weights}
    return shown
