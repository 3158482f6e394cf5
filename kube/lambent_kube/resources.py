"""The kinds that are asked for, and the paths at which the API server has them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Resource:
    group: str
    """Empty for the core group."""
    version: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """Of a collection, an object or a subresource. `namespace` None: of all namespaces."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        parts = [root]
        if self.namespaced and namespace is not None:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part is not None]
        return "/".join(parts)


PODS = Resource("", "v1", "pods")
EVENTS = Resource("events.k8s.io", "v1", "events")
ENDPOINT_SLICES = Resource("discovery.k8s.io", "v1", "endpointslices")
LEASES = Resource("coordination.k8s.io", "v1", "leases")
TOKEN_REVIEWS = Resource("authentication.k8s.io", "v1", "tokenreviews", namespaced=False)
FUNCTIONS = Resource("lambent.dev", "v1", "functions")
FUNCTION_VERSIONS = Resource("lambent.dev", "v1", "functionversions")
FUNCTION_ALIASES = Resource("lambent.dev", "v1", "functionaliases")
LAYER_VERSIONS = Resource("lambent.dev", "v1", "layerversions")
RUNTIME_POOLS = Resource("lambent.dev", "v1", "runtimepools")
