"""
Brings functions from Pending to Active, and updates from InProgress to Successful: the dull half of `lambent_core.deployment`, and
of `lambent_core.generations` for what was changed by others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from lambent_core import deployment, generations, images, layers, limits, reservations
from lambent_core.awaited import LAYER_NOT_FOUND, PACKAGE_NOT_FOUND, RESERVATION_TOO_LARGE
from lambent_core.caller import Caller
from lambent_core.documents import Document, DocumentConflict, DocumentStore, PackageStore
from lambent_core.errors import AccessDenied, InvalidParameterValue, ServiceUnavailable
from lambent_core.function import Code, Function, FunctionLayer, FunctionSpec
from lambent_core.function_names import FunctionNames
from lambent_core.generations import Problem
from lambent_core.images import ImageProblem, Images
from lambent_core.layer_names import LayerReference, document_name
from lambent_core.layers import LayerNotFound, LayerVersion
from lambent_core.package import inline_files
from lambent_gateway import code_packages
from lambent_gateway.clock import Clock
from lambent_gateway.code_packages import NotUploaded, UnusableCode
from lambent_gateway.drivers.code_looks import CodeLooks
from lambent_gateway.drivers.following import Following
from lambent_gateway.images import with_image

log = structlog.get_logger(__name__)

_STORE_PAUSE_SECONDS = 1.0
"""From a request that a store could not answer to the next try."""
_PATIENCE_SECONDS = 1.0
"""How long an answer to a change is held back for its settling. It takes milliseconds; a slow disk must not hold callers up."""


class Deployments:
    def __init__(
        self,
        documents: DocumentStore,
        packages: PackageStore,
        ids: Callable[[], str],
        *,
        clock: Clock,
        url_of: Callable[[Function], str | None],
        caller: Caller,
        account_concurrency: int = limits.ACCOUNT_CONCURRENCY,
        images: Images | None = None,
    ) -> None:
        """
        `caller` stands for whoever writes documents past the API: its account and region are the platform's.

        `images` None: there are no containers here, and so no functions that are images.
        """
        self._documents = documents
        self._packages = packages
        self._ids = ids
        self._clock = clock
        self._url_of = url_of
        self._caller = caller
        self._account_concurrency = account_concurrency
        self._images = images
        self._following = Following(documents, self._changed, self._settle)
        self._again: set[str] = set()
        """Functions whose last change is brought about anew if it failed: what it lacked can be had, as a layer, its name or its code."""
        self._names = FunctionNames()
        self._looks = CodeLooks(self._code_of, self._bring_about_anew)
        self._own: set[str] = set()
        """Revisions that are being written here."""

    def start(self) -> None:
        """On the running loop: takes up what is unsettled, then every change."""
        self._following.start(Function, LayerVersion)

    async def stop(self) -> None:
        await self._following.stop()
        await self._looks.stop()

    async def settled(self, function: Function) -> None:
        """Returns once the function's last change is settled, or after a second."""
        await self._following.idle(function.metadata.name, _PATIENCE_SECONDS)

    def _changed(self, old: Document | None, new: Document | None) -> None:
        self._names.changed(old, new)
        if isinstance(old, Function) and new is None and (heir := self._names.get(old.name)) is not None:
            self._bring_about_anew(heir.metadata.name)
        if isinstance(old, Function) and _reserves_less(old, new):
            for function in self._names.all():
                if generations.awaits_room(function):
                    self._bring_about_anew(function.metadata.name)
        self._looks.changed(old, new, soon=isinstance(new, Function) and new.status.revision_id in self._own)
        match new:
            case Function() if deployment.is_unsettled(new):
                self._following.take_up(new.metadata.name)
            case Function() if generations.awaits_room(new) and (
                not isinstance(old, Function) or _reserves_other(old, new)
            ):
                self._bring_about_anew(new.metadata.name)
            case LayerVersion() if new.status.state == "Active" and not _is_active(old):
                for function in self._documents.list(Function):
                    if generations.awaits_layer(function, new.reference):
                        self._bring_about_anew(function.metadata.name)

    def _bring_about_anew(self, name: str) -> None:
        self._again.add(name)
        self._following.take_up(name)

    async def _settle(self, name: str) -> None:
        while function := self._documents.get(Function, name):
            again = name in self._again
            self._again.discard(name)
            try:
                if deployment.is_unsettled(function):
                    await self._settle_once(function)
                elif again and generations.has_failed(function):
                    await self._documents.put(generations.once_more(function), function.metadata.resource_version)
                else:
                    return
            except (DocumentConflict, ServiceUnavailable) as error:
                if again:
                    self._again.add(name)
                if isinstance(error, ServiceUnavailable):
                    log.warning("a function could not be settled yet", function=name, error=error.message)
                    await asyncio.sleep(_STORE_PAUSE_SECONDS)

    async def _settle_once(self, function: Function) -> None:
        if generations.is_foreign(function):
            done = await self._brought_about(function)
        else:
            done = deployment.settled(function, await self._problem_of(function), revision_id=self._ids())
        self._own.add(done.status.revision_id)
        try:
            await self._documents.put(done, function.metadata.resource_version)
        finally:
            self._own.discard(done.status.revision_id)

    async def _problem_of(self, function: Function) -> str | None:
        """What is wrong with the packages of a change that the API was given; an image was looked up before it was taken."""
        if images.is_image(function.spec):
            return None
        stored_size = await self._packages.size(function.spec.code.sha256 or "")
        problem = deployment.package_problem(function, stored_size)
        for layer in function.status.layers:
            if problem is None and await self._packages.size(layer.sha256) is None:
                problem = f"The package of layer {layer.layer} is not in the package store: publish the layer again."
        return problem

    async def _brought_about(self, function: Function) -> Function:
        found: list[FunctionLayer] = []
        outcome: Code | Problem | None = self._problem_beside_others(function) or generations.problem_of(function.spec)
        if outcome is None:
            try:
                found = self._layers_of(function)
                outcome = await self._code_of(function.spec, function.status.code)
                if found:
                    outcome = await code_packages.measured(self._packages, outcome)
                    layers.check_size(outcome, found)
            except NotUploaded as error:
                outcome = Problem(PACKAGE_NOT_FOUND, str(error))
            except UnusableCode as error:
                outcome = Problem("InvalidZipFileException", str(error))
            except ImageProblem as problem:
                outcome = Problem(problem.code, problem.message)
            except LayerNotFound as error:
                outcome = Problem(LAYER_NOT_FOUND, f"spec.layers: {error.message}")
            except (InvalidParameterValue, AccessDenied) as error:
                outcome = Problem("InvalidConfiguration", f"spec.layers: {error.message}")
        return generations.brought_about(
            function,
            outcome,
            layers=found,
            url=self._url_of(function),
            revision_id=self._ids(),
            now=self._clock.time(),
        )

    def _problem_beside_others(self, function: Function) -> Problem | None:
        holder, wanted = self._names.get(function.name), function.spec.reserved_concurrent_executions
        if holder is not None and holder.metadata.name != function.metadata.name:  # U1 of FunctionNames
            taken = f"{function.name} is the name of the Function {holder.metadata.name}, which has it already."
            return Problem("InvalidConfiguration", f"spec.functionName: {taken}")
        if wanted is None:
            return None
        problem = reservations.problem(self._names.all(), function.name, wanted, self._account_concurrency)
        if problem is None:
            return None
        return Problem(RESERVATION_TOO_LARGE, f"spec.reservedConcurrentExecutions: {problem}")

    async def _code_of(self, spec: FunctionSpec, before: Code | None) -> Code:
        """
        What the code of a foreign change comes to, beside the code in force: inline code is packed and kept, an image looked up.

        Raises UnusableCode or ImageProblem.
        """
        code = spec.code
        if images.is_image(spec):
            return await self._image_of(spec, before)
        if code.sha256 is not None:
            size = await self._packages.size(code.sha256)
            if size is None:
                raise code_packages.not_uploaded(code.sha256)
            return Code(sha256=code.sha256, size=size)
        if code.inline is None:
            raise UnusableCode("spec.code: give the code as inline, or upload it and name its sha256.")
        files = code.inline
        if isinstance(files, str):
            files = inline_files(files, handler=spec.handler or "", runtime=spec.runtime or "")
        package = await code_packages.packed(self._packages, files)
        return Code(sha256=package.sha256, size=package.size, unzipped_size=package.unzipped_size)

    async def _image_of(self, spec: FunctionSpec, before: Code | None) -> Code:
        """Raises ImageProblem."""
        assert self._images is not None, "only on Kubernetes do others change functions"
        return (await with_image(images.still_known(spec, before), self._images)).code

    def _layers_of(self, function: Function) -> list[FunctionLayer]:
        wanted, kept = function.spec.layers, function.status.layers
        return layers.resolved(wanted, self._layer_version, kept=kept, caller=self._caller)

    def _layer_version(self, reference: LayerReference) -> LayerVersion | None:
        return self._documents.get(LayerVersion, document_name(reference.name, reference.version))


def _reserves_less(old: Function, new: Document | None) -> bool:
    now = reservations.in_force(new) if isinstance(new, Function) else None
    return (reservations.in_force(old) or 0) > (now or 0)


def _reserves_other(old: Function, new: Function) -> bool:
    """Of one that failed for it, the wish was changed: by the API, or there would be another change to bring about."""
    return old.spec.reserved_concurrent_executions != new.spec.reserved_concurrent_executions


def _is_active(layer: Document | None) -> bool:
    return isinstance(layer, LayerVersion) and layer.status.state == "Active"
