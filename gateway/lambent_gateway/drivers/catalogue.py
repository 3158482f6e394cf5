"""
Follows the document store and keeps the invoker's routes, aliases and reservations in step with it.
"""

from __future__ import annotations

from typing import assert_never

import structlog

from lambent_core.admission import Admission
from lambent_core.documents import Document
from lambent_core.errors import InvalidRuntime, LambdaError, ResourceConflict
from lambent_core.function import LATEST, Function
from lambent_core.versions import FunctionAlias, FunctionVersion
from lambent_gateway.drivers.invoker import Invoker
from lambent_gateway.environments.runtimes import Runtimes
from lambent_gateway.routes import route_of
from lambent_gateway.stores.logs import FunctionLogs
from lambent_gateway.telemetry import MetricsCollector

log = structlog.get_logger(__name__)


class Catalogue:
    """Told of every change of a function, a version or an alias; owns nothing."""

    def __init__(
        self,
        invoker: Invoker,
        *,
        admission: Admission,
        runtimes: Runtimes,
        metrics: MetricsCollector,
        logs: FunctionLogs,
        region: str,
        account: str,
    ) -> None:
        self._invoker = invoker
        self._admission = admission
        self._runtimes = runtimes
        self._metrics = metrics
        self._logs = logs
        self._region = region
        self._account = account

    def changed(self, earlier: Document | None, document: Document | None) -> None:
        match document or earlier:
            case Function() as function:
                self._changed(function) if document else self._removed(function.name)
            case FunctionVersion() as version:
                self._put(version.function, version.version) if document else self._version_removed(version)
            case FunctionAlias() as alias:
                routing = self._invoker.routing
                routing.put_alias(alias) if document else routing.remove_alias(alias.function_name, alias.name)

    def _changed(self, function: Function) -> None:
        self._admission.reserve(function.name, function.spec.reserved_concurrent_executions)
        status = function.status
        match status.state:
            case "Active" | "Inactive":
                if status.last_update_status != "InProgress" or (function.name not in self._invoker.routing.by_key):
                    self._put(function, LATEST)
            case "Pending" | "Failed" | "Deleting":
                self._invoker.remove_route(function.name, LATEST, _wrong_state(status.state))
            case _:
                assert_never(status.state)

    def _put(self, function: Function, version: str) -> None:
        choice = self._runtimes.choose(function)
        if choice is None:
            self._invoker.remove_route(function.name, version, _no_runtime(function, sorted(self._runtimes.pythons)))
            return
        if choice.note:
            log.warning("runtime replaced", function=function.name, version=version, note=choice.note)
        metrics = self._metrics.of(function.name)
        route = route_of(function, choice, metrics, region=self._region, account=self._account, version=version)
        self._invoker.put_route(route)

    def _removed(self, name: str) -> None:
        """Of its versions and aliases each is told by itself, a moment later."""
        self._invoker.remove_route(name, LATEST)
        self._admission.reserve(name, None)
        self._metrics.forget(name)
        self._logs.forget(name)

    def _version_removed(self, version: FunctionVersion) -> None:
        self._invoker.remove_route(version.function_name, version.version)


def _wrong_state(state: str) -> LambdaError:
    return ResourceConflict(
        f"The operation cannot be performed at this time. The function is currently in the following state: {state}"
    )


def _no_runtime(function: Function, pythons: list[str]) -> LambdaError:
    installed = ", ".join(f"python{version}" for version in pythons)
    return InvalidRuntime(
        f"Runtime {function.spec.runtime} of function {function.name} is not available here. "
        f"This machine runs {installed}, provided.al2 and provided.al2023."
    )
