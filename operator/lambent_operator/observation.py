"""
What is known of the cluster: the newest state of each object that was seen. Handlers put, plans read.

Watches tell in order but may miss that an object went while they were broken; `replace` puts that right from a whole list. An object that
a write returned is put as well, so that the next plan knows of it before the watch does.

    O1  an older state never replaces a newer one
    O2  what went never comes back, however late an old list tells of it
    O3  `listed` is set once each kind was seen whole: before, what isn't there proves nothing
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from lambent_operator.resources import Function, GatewayPod, Pod, RuntimePool

GONE_MAX = 5_000
"""Uids that are remembered after their objects: more than go while a list is made."""

Kind = Literal["agent", "function", "runtime_pool"]


@dataclass(frozen=True, slots=True)
class Key:
    """What is worked on: an agent and its pod, a function, or a RuntimePool."""

    kind: Kind
    name: str
    namespace: str = ""
    """Of a RuntimePool: they are in two namespaces."""


class Versioned(Protocol):
    @property
    def uid(self) -> str: ...
    @property
    def version(self) -> int: ...


V = TypeVar("V", bound=Versioned)
I = TypeVar("I")  # noqa: E741


class Objects(Generic[I, V]):
    """Of one kind, by what names them. Says what a put or a removal replaced, or that it changed nothing."""

    def __init__(self) -> None:
        self._objects: dict[I, V] = {}
        self._gone: OrderedDict[str, None] = OrderedDict()
        """Uids, the latest at the end."""

    def get(self, id: I) -> V | None:
        return self._objects.get(id)

    def items(self) -> Iterable[tuple[I, V]]:
        return self._objects.items()

    def values(self) -> Iterable[V]:
        return self._objects.values()

    def __len__(self) -> int:
        return len(self._objects)

    def put(self, id: I, thing: V) -> bool:
        old = self._objects.get(id)
        if thing.uid in self._gone:
            return False  # O2
        if old is not None and old.version >= thing.version:
            return False  # O1; versions grow over all objects of a kind, also when one is made anew
        self._objects[id] = thing
        return True

    def remove(self, id: I, uid: str) -> V | None:
        """Nothing if another one has its name by now."""
        old = self._objects.get(id)
        if old is None or old.uid != uid:
            return None
        self._gone[uid] = None
        if len(self._gone) > GONE_MAX:
            self._gone.popitem(last=False)
        return self._objects.pop(id)

    def absent(self, there: dict[I, str], version: int) -> list[tuple[I, V]]:
        """What isn't in a list of names and uids, and wasn't written after the list was made."""
        return [(id, old) for id, old in self._objects.items() if there.get(id) != old.uid and old.version <= version]


@dataclass(slots=True)
class _Since:
    """When a pod was seen first, and has been in its trouble."""

    seen: float
    trouble: float


class Observation:
    """The one owner. `wake` is called with each key whose plan may have another answer now."""

    def __init__(self, wake: Callable[[Key], None], *, clock: Callable[[], float]) -> None:
        self._wake = wake
        self._clock = clock
        self.pods: Objects[str, Pod] = Objects()
        self.functions: Objects[str, Function] = Objects()
        self.runtime_pools: Objects[tuple[str, str], RuntimePool] = Objects()
        self.gateways: Objects[str, GatewayPod] = Objects()
        self._pods_of: defaultdict[str, set[str]] = defaultdict(set)
        """Pods by the function that their label names."""
        self._since: dict[str, _Since] = {}

    # What is asked

    def pods_of(self, function: str) -> list[Pod]:
        pods = (self.pods.get(name) for name in sorted(self._pods_of.get(function, ())))
        return [pod for pod in pods if pod is not None]

    def seen_since(self, pod: str) -> float:
        return self._since[pod].seen

    def trouble_since(self, pod: str) -> float:
        return self._since[pod].trouble

    def runtime_pool_named(self, name: str, namespace: str) -> RuntimePool | None:
        """One in the functions' namespace comes before the platform's."""
        found = [pool for pool in self.runtime_pools.values() if pool.name == name]
        return min(found, key=lambda pool: pool.namespace != namespace, default=None)

    def runtime_pool_for(self, runtime: str | None, namespace: str) -> RuntimePool | None:
        """The first by name that offers the runtime; those of the functions' namespace come before the platform's."""
        found = [pool for pool in self.runtime_pools.values() if runtime in pool.spec.runtimes]
        return min(found, key=lambda pool: (pool.namespace != namespace, pool.name), default=None)

    def runtimes(self) -> tuple[str, ...]:
        return tuple(sorted({runtime for pool in self.runtime_pools.values() for runtime in pool.spec.runtimes}))

    # What is seen

    def put_pod(self, pod: Pod) -> None:
        old, now = self.pods.get(pod.name), self._clock()
        if not self.pods.put(pod.name, pod):
            return
        since = self._since.get(pod.name)
        if old is None or since is None or old.uid != pod.uid:
            self._since[pod.name] = _Since(now, now)
        elif _reason(old) != _reason(pod):
            since.trouble = now
        self._index(old, pod)
        self._wake_of(old, pod)

    def remove_pod(self, name: str, uid: str) -> None:
        old = self.pods.remove(name, uid)
        if old is not None:
            del self._since[name]
            self._index(old, None)
            self._wake_of(old, None)

    def put_function(self, function: Function) -> bool:
        """Whether its spec is another than it was."""
        old = self.functions.get(function.name)
        if not self.functions.put(function.name, function):
            return False
        self._wake(Key("function", function.name))
        for pod in self._pods_of.get(function.name, ()):
            self._wake(Key("agent", pod))
        return _is_respecified(old, function)

    def remove_function(self, name: str, uid: str) -> bool:
        if self.functions.remove(name, uid) is None:
            return False
        self._wake(Key("function", name))
        return True

    def put_runtime_pool(self, pool: RuntimePool) -> bool:
        """Whether its spec is another than it was, so that functions must be looked at again."""
        old = self.runtime_pools.get((pool.namespace, pool.name))
        if not self.runtime_pools.put((pool.namespace, pool.name), pool):
            return False
        self._wake(Key("runtime_pool", pool.name, pool.namespace))
        return _is_respecified(old, pool)

    def remove_runtime_pool(self, namespace: str, name: str, uid: str) -> bool:
        return self.runtime_pools.remove((namespace, name), uid) is not None

    def _index(self, old: Pod | None, new: Pod | None) -> None:
        if old is not None and old.function is not None and (new is None or new.function != old.function):
            self._pods_of[old.function].discard(old.name)
            if not self._pods_of[old.function]:
                del self._pods_of[old.function]
        if new is not None and new.function is not None:
            self._pods_of[new.function].add(new.name)

    def _wake_of(self, old: Pod | None, new: Pod | None) -> None:
        for pod in (old, new):
            if pod is not None:
                self._wake(Key("agent", pod.name))
                if pod.function is not None:
                    self._wake(Key("function", pod.function))


def _reason(pod: Pod) -> str | None:
    if pod.deleting:
        return "PodDeleted"
    return pod.trouble.reason if pod.trouble is not None else None


def _is_respecified(old: Function | RuntimePool | None, new: Function | RuntimePool) -> bool:
    return old is None or old.uid != new.uid or old.generation != new.generation
