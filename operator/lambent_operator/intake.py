"""Where objects come in, whoever brings them: watches, whole lists, and the answers to the operator's own writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import structlog

from lambent_kube.resources import FUNCTIONS, PODS, RUNTIME_POOLS, Resource
from lambent_operator.observation import Observation
from lambent_operator.resources import GatewayPod, parse_function, parse_gateway_pod, parse_pod, parse_runtime_pool

log = structlog.get_logger(__name__)

Object = dict[str, Any]


class Gateways(Protocol):
    """Who follows gateways' censuses."""

    def put_gateway(self, pod: GatewayPod) -> None: ...
    def remove_gateway(self, name: str) -> None: ...


class Intake:
    """Parses once. An object that can't be parsed is said in the log and left as it was known before."""

    def __init__(
        self,
        observation: Observation,
        gateways: Gateways,
        *,
        pools_changed: Callable[[str], None],
        functions_changed: Callable[[str], None],
    ) -> None:
        """The callables get the name of a RuntimePool or a function that is new, gone, or specified otherwise."""
        self._observation = observation
        self._gateways = gateways
        self._pools_changed = pools_changed
        self._functions_changed = functions_changed

    def put(self, resource: Resource, thing: Object) -> None:
        try:
            if resource is PODS:
                self._observation.put_pod(parse_pod(thing))
            elif resource is FUNCTIONS and self._observation.put_function(parse_function(thing)):
                self._functions_changed(thing["metadata"]["name"])
            elif resource is RUNTIME_POOLS and self._observation.put_runtime_pool(parse_runtime_pool(thing)):
                self._pools_changed(thing["metadata"]["name"])
        except (LookupError, ValueError, TypeError, AttributeError) as error:
            _not_understood(resource, thing, error)

    def remove(self, resource: Resource, namespace: str, name: str, uid: str) -> None:
        if resource is PODS:
            self._observation.remove_pod(name, uid)
        elif resource is FUNCTIONS and self._observation.remove_function(name, uid):
            self._functions_changed(name)
        elif resource is RUNTIME_POOLS and self._observation.remove_runtime_pool(namespace, name, uid):
            self._pools_changed(name)

    def put_gateway(self, thing: Object) -> None:
        try:
            pod = parse_gateway_pod(thing)
        except (LookupError, ValueError, TypeError, AttributeError) as error:
            _not_understood(PODS, thing, error)
            return
        if self._observation.gateways.put(pod.name, pod):
            self._gateways.put_gateway(pod)

    def remove_gateway(self, name: str, uid: str) -> None:
        if self._observation.gateways.remove(name, uid) is not None:
            self._gateways.remove_gateway(name)

    def whole(self, resource: Resource, namespace: str, there: dict[str, str], version: int) -> None:
        """A list was made, and its objects were put: `there` has their uids by name. What isn't in it is gone."""
        if resource is PODS:
            for name, pod in self._observation.pods.absent(there, version):
                self._observation.remove_pod(name, pod.uid)
        elif resource is FUNCTIONS:
            for name, function in self._observation.functions.absent(there, version):
                self.remove(FUNCTIONS, namespace, name, function.uid)
        elif resource is RUNTIME_POOLS:
            pools = {(namespace, name): uid for name, uid in there.items()}
            for (own_namespace, name), pool in self._observation.runtime_pools.absent(pools, version):
                if own_namespace == namespace:
                    self.remove(RUNTIME_POOLS, namespace, name, pool.uid)

    def whole_gateways(self, there: dict[str, str], version: int) -> None:
        for name, pod in self._observation.gateways.absent(there, version):
            self.remove_gateway(name, pod.uid)


def _not_understood(resource: Resource, thing: Object, error: Exception) -> None:
    name = thing.get("metadata", {}).get("name")
    log.error("object not understood", resource=resource.plural, name=name, error=str(error), kind=type(error).__name__)
