"""
What an operation is given: the parts of the gateway it may use, and the call it answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from lambent_core import names
from lambent_core.caller import DEFAULT_REGION, LOCAL_ACCOUNT, Caller
from lambent_core.documents import DocumentConflict, DocumentStore, PackageStore
from lambent_core.errors import ResourceNotFound
from lambent_core.function import LATEST, Function
from lambent_core.function_names import FunctionNames
from lambent_core.images import Images
from lambent_core.limits import ACCOUNT_CONCURRENCY
from lambent_core.names import Target
from lambent_core.operations import OperationTable
from lambent_core.shapes import ServiceModel
from lambent_gateway.api.layer_versions import LayerVersions
from lambent_gateway.api.qualified import Qualified


class Clock(Protocol):
    def time(self) -> float:
        """Unix time, seconds."""


class Functions:
    """All functions by Lambda's name, following the document store; and changes to them, computed again on conflict."""

    def __init__(self, documents: DocumentStore) -> None:
        self._documents = documents
        self._names = FunctionNames()
        documents.subscribe(self._names.changed)
        for function in documents.list(Function):
            self._names.changed(None, function)

    def get(self, name: str) -> Function | None:
        known = self._names.get(name)
        return None if known is None else self._documents.get(Function, known.metadata.name)

    def all(self) -> list[Function]:
        """By Lambda's name."""
        return self._names.all()

    async def add(self, function: Function) -> Function:
        """Raises DocumentConflict if there is one of that name."""
        return await self._documents.put(function, "")

    async def change(
        self, name: str, decide: Callable[[Function], Function], missing: Callable[[], Exception]
    ) -> Function:
        """Writes what `decide` makes of the latest document. `missing` gives the error when there is none (any more)."""
        while True:
            function = self.get(name)
            if function is None:
                raise missing()
            changed = decide(function)
            if changed == function:
                return function
            try:
                return await self._documents.put(changed, function.metadata.resource_version)
            except DocumentConflict:
                continue

    async def remove(self, name: str, missing: Callable[[], Exception]) -> None:
        while True:
            function = self.get(name)
            if function is None:
                raise missing()
            try:
                return await self._documents.delete(function, function.metadata.resource_version)
            except DocumentConflict:
                continue


@dataclass(frozen=True, slots=True)
class Parts:
    """What the composition root hands to `build_app`."""

    model: ServiceModel
    table: OperationTable
    functions: Functions
    qualified: Qualified
    layers: LayerVersions
    packages: PackageStore
    clock: Clock
    ids: Callable[[], str]
    """Fresh UUIDs, as text."""
    settled: Callable[[Function], Awaitable[None]]
    """Returns once the change just written is settled, or soon after."""
    images: Images | None = None
    """Where images are looked up; None where no containers can run."""
    account: str = LOCAL_ACCOUNT
    region: str = DEFAULT_REGION
    namespace: str = "default"
    """Where functions are on Kubernetes."""
    account_concurrency: int = ACCOUNT_CONCURRENCY
    reserving: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held from the look at what the account has left to the end of the write that reserves of it."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the Lambda API, parsed and within the constraints of the service model."""

    parts: Parts
    caller: Caller
    members: Mapping[str, Any]
    base_url: str
    """The endpoint as the caller addressed it, without a slash at the end."""

    @property
    def target(self) -> Target:
        return names.parse_target(self.members["FunctionName"], self.caller, self.members.get("Qualifier"))

    def package_url(self, sha256: str) -> str:
        """Where a package's ZIP can be had."""
        return f"{self.base_url}/lambent/v1/packages/{sha256}"

    def existing(self, target: Target) -> Function:
        """The function, where `target` means its moving state. Raises ResourceNotFound in AWS's words."""
        function = self.parts.functions.get(target.name)
        if function is None or not target.latest:
            raise self.not_found(target)
        return function

    def version(self, target: Target) -> tuple[Function, str]:
        """The version that `target` means, itself or by an alias, in the shape of a function. Raises ResourceNotFound."""
        function, qualified = self.parts.functions.get(target.name), self.parts.qualified
        if function is None:
            raise self.not_found(target)
        alias = qualified.alias(function, target.qualifier or LATEST)
        version = alias.version if alias else target.qualifier or LATEST
        if version == LATEST:
            return function, LATEST
        found = qualified.version(function, version)
        if found is None:
            raise self.not_found(target)
        return found.function, version

    def not_found(self, target: Target) -> ResourceNotFound:
        return ResourceNotFound(f"Function not found: {self.caller.function_arn(target.name, target.qualifier)}")

    async def change(self, target: Target, decide: Callable[[Function], Function]) -> Function:
        return await self.parts.functions.change(target.name, decide, lambda: self.not_found(target))


Handler = Callable[[Call], Awaitable[Mapping[str, Any]]]
