"""
Follows the document store and keeps the invoker's routes, aliases and reservations in step with it.

    C1  versions and aliases can be invoked while the function that they belong to is there: one that is on its way out waits for the end of
        their environments, and Kubernetes deletes them after it
    C2  what claims the version or alias of a function without being given to it takes nothing from the one that is
"""

from __future__ import annotations

from typing import assert_never

import structlog

from lambent_core import images, reservations
from lambent_core.admission import Admission
from lambent_core.documents import Document
from lambent_core.errors import InvalidRuntime, LambdaError, ResourceConflict
from lambent_core.function import LATEST, Function
from lambent_core.function_names import FunctionNames
from lambent_core.versions import FunctionAlias, FunctionVersion, Owned
from lambent_gateway.drivers.invoker import Invoker
from lambent_gateway.environments.runtimes import OfferedRuntimes
from lambent_gateway.routes import route_key, route_of
from lambent_gateway.stores.logs import FunctionLogs
from lambent_gateway.telemetry import MetricsCollector

log = structlog.get_logger(__name__)

_Qualifier = tuple[str, str]
"""The kind, and a version's number or an alias's name."""


class Catalogue:
    """Told of every change of a function, a version or an alias; owns nothing."""

    def __init__(
        self,
        invoker: Invoker,
        *,
        admission: Admission,
        runtimes: OfferedRuntimes,
        metrics: MetricsCollector,
        logs: FunctionLogs,
        region: str,
        account: str,
    ) -> None:
        self._invoker = invoker
        self._shown: dict[str, tuple[Function, str]] = {}
        """Versions that can be invoked if their runtime is offered, by route key."""
        self._names = FunctionNames()
        self._uids: dict[str, str] = {}
        """Of functions that are there, by name."""
        self._owned: dict[str, dict[_Qualifier, dict[str, Owned]]] = {}
        """Versions and aliases by the name of the function and the qualifier that they claim, then by their own."""
        self._admission = admission
        self._runtimes = runtimes
        self._metrics = metrics
        self._logs = logs
        self._region = region
        self._account = account

    def refresh(self) -> None:
        """Other runtimes are offered now: which function runs on what is looked at again."""
        for function, version in list(self._shown.values()):
            self._put(function, version)

    def changed(self, earlier: Document | None, document: Document | None) -> None:
        self._names.changed(earlier, document)
        match document or earlier:
            case Function() as changed:
                self._function_changed(changed)
            case (FunctionVersion() | FunctionAlias()) as owned:
                self._note(owned, there=document is not None)
                self._show(owned)

    def _function_changed(self, changed: Function) -> None:
        """Whoever else claims its name, the one that has it counts."""
        name = changed.name
        function = self._names.get(name)
        if function is None:
            self._removed(name)
        elif function is changed or function.metadata.uid != self._uids.get(name):
            self._changed(function)
        self._note_owner(name, None if function is None else function.metadata.uid)

    def _note_owner(self, name: str, uid: str | None) -> None:
        if uid == self._uids.get(name):
            return
        if uid is None:
            del self._uids[name]
        else:
            self._uids[name] = uid
        for claimants in self._owned.get(name, {}).values():
            self._show(next(iter(claimants.values())))

    def _note(self, owned: Owned, *, there: bool) -> None:
        of_function = self._owned.setdefault(owned.function_name, {})
        claimants = of_function.setdefault(_qualifier(owned), {})
        claimants.pop(owned.metadata.name, None)
        if there:
            claimants[owned.metadata.name] = owned
        elif not claimants:
            del of_function[_qualifier(owned)]
        if not of_function:
            del self._owned[owned.function_name]

    def _show(self, claimant: Owned) -> None:
        """Whoever of those that claim the same is given to the function that is there, if anybody (C1, C2)."""
        name, uid = claimant.function_name, self._uids.get(claimant.function_name)
        claimants = self._owned.get(name, {}).get(_qualifier(claimant), {}).values()
        match next((each for each in claimants if each.function_uid == uid), None), claimant:
            case FunctionVersion() as version, _:
                self._put(version.function, version.version)
            case FunctionAlias() as alias, _:
                self._invoker.routing.put_alias(alias)
            case None, FunctionVersion(number=number):
                self._version_removed(name, str(number))
            case None, FunctionAlias(name=alias_name):
                self._invoker.routing.remove_alias(name, alias_name)

    def _changed(self, function: Function) -> None:
        self._admission.reserve(function.name, reservations.in_force(function))
        self._invoker.idle_for(function.name, function.spec.idle_seconds)
        self._invoker.share_pods(function.name, function.spec.environments_per_pod)
        status = function.status
        match status.state:
            case "Active" | "Inactive":
                settled = status.last_update_status not in ("InProgress", "Failed")
                if settled or function.name not in self._invoker.routing.by_key:
                    self._put(function, LATEST)
            case "Pending" | "Failed" | "Deleting":
                self._shown.pop(route_key(function.name, LATEST), None)
                self._invoker.remove_route(function.name, LATEST, _wrong_state(status.state))
            case _:
                assert_never(status.state)

    def _put(self, function: Function, version: str) -> None:
        self._shown[route_key(function.name, version)] = (function, version)
        choice = self._runtimes.choose(function, version)
        if choice is None:
            self._invoker.remove_route(function.name, version, _no_runtime(function, self._runtimes))
            return
        if choice.note:
            log.warning("runtime replaced", function=function.name, version=version, note=choice.note)
        metrics = self._metrics.of(function.name)
        route = route_of(function, choice, metrics, region=self._region, account=self._account, version=version)
        self._invoker.put_route(route)

    def _removed(self, name: str) -> None:
        self._shown.pop(route_key(name, LATEST), None)
        self._invoker.remove_route(name, LATEST)
        self._admission.reserve(name, None)
        self._invoker.idle_for(name, None)
        self._invoker.share_pods(name, 1)
        self._metrics.forget(name)
        self._logs.forget(name)

    def _version_removed(self, name: str, version: str) -> None:
        self._shown.pop(route_key(name, version), None)
        self._invoker.remove_route(name, version)


def _qualifier(owned: Owned) -> _Qualifier:
    return owned.kind, owned.version if isinstance(owned, FunctionVersion) else owned.name


def _wrong_state(state: str) -> LambdaError:
    return ResourceConflict(
        f"The operation cannot be performed at this time. The function is currently in the following state: {state}"
    )


def _no_runtime(function: Function, runtimes: OfferedRuntimes) -> LambdaError:
    if images.is_image(function.spec):
        return InvalidRuntime(
            f"The image {function.spec.code.image_uri} of function {function.name} can't run here: what it starts was not looked up."
        )
    return InvalidRuntime(
        f"Runtime {function.spec.runtime} of function {function.name} is not available here. "
        f"This {runtimes.where} runs {', '.join(runtimes.offered) or 'nothing yet: it has no RuntimePool'}."
    )
