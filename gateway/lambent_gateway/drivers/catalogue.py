"""
Follows the document store and keeps the invoker's routes and reservations in step with it.
"""

from __future__ import annotations

from typing import assert_never

import structlog

from lambent_core.admission import Admission
from lambent_core.documents import Document
from lambent_core.errors import InvalidRuntime, LambdaError, ResourceConflict
from lambent_core.function import Function
from lambent_gateway.drivers.invoker import Invoker
from lambent_gateway.environments.runtimes import Runtimes
from lambent_gateway.routes import route_of
from lambent_gateway.stores.logs import FunctionLogs
from lambent_gateway.telemetry import MetricsCollector

log = structlog.get_logger(__name__)


class Catalogue:
    """Told of every change of a function; owns nothing."""

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
        if isinstance(document, Function):
            self._changed(document)
        elif isinstance(earlier, Function):
            self._removed(earlier.name)

    def _changed(self, function: Function) -> None:
        self._admission.reserve(function.name, function.spec.reserved_concurrent_executions)
        status = function.status
        match status.state:
            case "Active" | "Inactive":
                if status.last_update_status != "InProgress" or function.name not in self._invoker.routes:
                    self._put(function)
            case "Pending" | "Failed" | "Deleting":
                self._unavailable(function.name, _wrong_state(status.state))
            case _:
                assert_never(status.state)

    def _put(self, function: Function) -> None:
        choice = self._runtimes.choose(function)
        if choice is None:
            self._unavailable(function.name, _no_runtime(function, sorted(self._runtimes.pythons)))
            return
        if choice.note:
            log.warning("runtime replaced", function=function.name, note=choice.note)
        metrics = self._metrics.of(function.name)
        self._invoker.put_route(route_of(function, choice, metrics, region=self._region, account=self._account))

    def _unavailable(self, name: str, error: LambdaError) -> None:
        self._invoker.remove_route(name)
        self._invoker.unavailable[name] = error

    def _removed(self, name: str) -> None:
        self._invoker.remove_route(name)
        self._admission.reserve(name, None)
        self._metrics.forget(name)
        self._logs.forget(name)


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
