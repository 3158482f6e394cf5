"""
Which of Lambda's runtimes a cluster offers: those of its RuntimePools. What a function gets, and from which pool its pods come.
"""

from __future__ import annotations

from collections.abc import Iterable

from lambent_core import images, limits
from lambent_core.dedicated_pools import DedicatedPool, revision_of
from lambent_core.function import LATEST, Function, ImageConfig
from lambent_core.runtime_pools import RuntimePool
from lambent_gateway.environments.runtimes import RuntimeChoice


class PoolRuntimes:
    """Follows the pools. Those of the functions' namespace come before the platform's own, then by name."""

    def __init__(self) -> None:
        self._pools: list[RuntimePool] = []

    def put(self, pools: Iterable[RuntimePool], *, functions_namespace: str) -> None:
        self._pools = sorted(
            pools, key=lambda pool: (pool.metadata.namespace != functions_namespace, pool.metadata.name)
        )

    @property
    def offered(self) -> list[str]:
        return sorted({runtime for pool in self._pools for runtime in pool.spec.runtimes})

    @property
    def where(self) -> str:
        return "cluster"

    @property
    def default_pools(self) -> list[str]:
        """None: pods cost, so a pool is filled once a function uses it."""
        return []

    def size(self, pool: str) -> int:
        """Pods to keep waiting."""
        return next((found.spec.size for found in self._pools if found.metadata.name == pool), 0)

    def size_max(self, pool: str) -> int:
        """The same after bursts, at most."""
        return next((found.spec.size_max for found in self._pools if found.metadata.name == pool), 0)

    def choose(self, function: Function, version: str = LATEST) -> RuntimeChoice | None:
        """How to run this function; None where no pool offers its runtime, or nobody has looked its image up."""
        revision = revision_of(version, function.status.code_revision)
        if images.is_image(function.spec):
            return _image(function, revision)
        runtime = function.spec.runtime or ""
        pool = next((pool for pool in self._pools if runtime in pool.spec.runtimes), None)
        if pool is None:
            return None
        return RuntimeChoice(
            pool=str(_dedicated(function, revision) or pool.metadata.name),
            version=f"{_colon(runtime)}.v1",
            protocol=pool.spec.protocol,
            command=pool.spec.command,
            environment=pool.spec.environment,
        )


def _image(function: Function, revision: str) -> RuntimeChoice | None:
    """In pods of its own, by AWS's runtime clients or whatever else the image brings."""
    spec = function.spec
    command = images.command(spec)
    if not command:
        return None
    return RuntimeChoice(
        pool=str(DedicatedPool(function.metadata.name, revision, images.to_pull(spec.code))),
        version=None,
        protocol="api",
        command=command,
        environment={},
        working_directory=(spec.image_config or ImageConfig()).working_directory,
    )


def _dedicated(function: Function, revision: str) -> DedicatedPool | None:
    """A pool of its own, for a function whose pods can't be a pool's."""
    if function.spec.pod is None and function.spec.ephemeral_storage.size <= limits.EPHEMERAL_STORAGE_MB_MIN:
        return None
    return DedicatedPool(function.metadata.name, revision)


def _colon(runtime: str) -> str:
    """`python3.11` as INIT_START tells it: `python:3.11`."""
    letters = runtime.rstrip("0123456789.x")
    return f"{letters}:{runtime[len(letters) :]}" if letters and letters != runtime else runtime
