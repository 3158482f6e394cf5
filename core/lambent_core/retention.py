"""
Which packages may go: those that nothing refers to any more.

    K1  a package that a function, a version of one or a layer version names, or that an environment was made of, is kept
    K2  one that was sent lately is kept: the function that names it may be on its way
    K3  what is deleted had nobody at the look before either: an environment that is being stopped still has its files
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field

from lambent_core.documents import Document
from lambent_core.function import Code, Function, FunctionLayer
from lambent_core.layers import LayerCode, LayerPackage, LayerVersion
from lambent_core.versions import FunctionVersion

GRACE_SECONDS = 3_600.0
"""Between sending a package and naming it: seconds for the API, as long as a pipeline takes for manifests."""


def named_packages(document: Document) -> set[str]:
    """Digests of the packages that a document refers to: a function's code and layers, a layer version's code."""
    match document:
        case Function(spec=spec, status=status) | FunctionVersion(spec=spec, status=status):
            return _digests([spec.code, status.code, *status.layers])
        case LayerVersion(spec=layer, status=status) if status.state != "Deleted":
            return _digests([layer.code, status.code])
    return set()


def _digests(packages: Iterable[Code | FunctionLayer | LayerCode | LayerPackage | None]) -> set[str]:
    return {package.sha256 for package in packages if package and package.sha256}


@dataclass(slots=True)
class PackageRetention:
    """Remembers from one look to the next what had nobody."""

    grace_seconds: float = GRACE_SECONDS
    unused: set[str] = field(default_factory=set)

    def look(self, stored: Mapping[str, float], used: Set[str], *, now: float) -> set[str]:
        """What to delete. `stored` is all that is there, by digest, with the time at which it was last sent."""
        unused = {
            digest for digest, sent_at in stored.items() if digest not in used and now - sent_at > self.grace_seconds
        }
        garbage = unused & self.unused
        self.unused = unused - garbage
        return garbage
