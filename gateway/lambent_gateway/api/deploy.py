"""
The one way in which a function is made or altered, whichever door the wish came through.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from lambent_core import deployment, function_rules, layers, reservations
from lambent_core.caller import Caller
from lambent_core.documents import DocumentConflict
from lambent_core.errors import InvalidParameterValue, ResourceConflict, ResourceNotFound
from lambent_core.function import Code, Function, FunctionSpec, Metadata
from lambent_core.names import NAME_LENGTH_MAX
from lambent_core.package import Package, inspect_package
from lambent_core.validation import failed, told
from lambent_gateway import code_packages
from lambent_gateway.api.calls import Parts
from lambent_gateway.code_packages import UnusableCode


async def store_package(parts: Parts, data: bytes) -> Package:
    """Checks a ZIP and keeps it. What fails the check is not kept."""
    package = await asyncio.to_thread(inspect_package, data)
    await parts.packages.put(package.sha256, data)
    return package


async def find_package(parts: Parts, sha256: str) -> Package:
    """A package that was sent before. Raises InvalidParameterValue."""
    try:
        return await code_packages.found(parts.packages, sha256)
    except UnusableCode as error:
        raise InvalidParameterValue(str(error)) from None


def code_of(package: Package) -> Code:
    return Code(sha256=package.sha256, size=package.size, unzipped_size=package.unzipped_size)


def with_layers(parts: Parts, function: Function, *, caller: Caller) -> Function:
    """The function with the packages of the layers that it names. Raises InvalidParameterValue or AccessDenied."""
    found = layers.resolved(function.spec.layers, parts.layers.find, kept=function.status.layers, caller=caller)
    layers.check_size(function.spec.code, found)
    return msgspec.structs.replace(function, status=msgspec.structs.replace(function.status, layers=found))


async def create_function(
    parts: Parts, name: str, spec: FunctionSpec, *, caller: Caller, metadata: Metadata | None = None
) -> Function:
    """The function as it was accepted, Pending; by the time of the return it is usually settled."""
    if len(name) > NAME_LENGTH_MAX:
        constraint = f"Member must have length less than or equal to {NAME_LENGTH_MAX}"
        raise InvalidParameterValue(told([failed(name, "functionName", constraint)]))
    function_rules.check_spec(spec)
    exists = ResourceConflict(f"Function already exist: {name}")
    if parts.functions.get(name):
        raise exists
    function = deployment.created(
        name, spec, uid=parts.ids(), revision_id=parts.ids(), now=parts.clock.time(), metadata=metadata
    )
    try:
        stored = await parts.functions.add(with_layers(parts, function, caller=caller))
    except DocumentConflict:
        raise exists from None
    await parts.settled(stored)
    return stored


async def update_function(
    parts: Parts,
    name: str,
    wish: Callable[[FunctionSpec], FunctionSpec],
    *,
    caller: Caller,
    revision_id: str | None = None,
) -> Function:
    """The function as the change was accepted, InProgress; by the time of the return it is usually settled."""
    arn = caller.function_arn(name)

    def decide(function: Function) -> Function:
        deployment.check_revision(function, revision_id)
        spec = wish(function.spec)
        function_rules.check_spec(spec)
        changed = deployment.changed(function, spec, arn=arn, revision_id=parts.ids(), now=parts.clock.time())
        return with_layers(parts, changed, caller=caller)

    changed = await parts.functions.change(name, decide, lambda: ResourceNotFound(f"Function not found: {arn}"))
    await parts.settled(changed)
    return changed


async def delete_function(parts: Parts, name: str, missing: Callable[[], Exception]) -> None:
    """With its versions and aliases, those too that are made meanwhile."""
    function = parts.functions.get(name)
    if function is None:
        raise missing()
    await parts.qualified.remove_all(function.metadata.uid)
    await parts.functions.remove(name, missing)
    await parts.qualified.remove_all(function.metadata.uid)


def check_reservation(parts: Parts, name: str, wanted: int) -> None:
    """
    Raises InvalidParameterValue when too little would be left for functions without a reservation.

    Within `parts.reserving`, so that nobody else at this gateway reserves the same.
    """
    if problem := reservations.problem(parts.functions.all(), name, wanted, parts.account_concurrency):
        raise InvalidParameterValue(problem)
