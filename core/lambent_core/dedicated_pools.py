"""
Names of pools that one function has for itself, as censuses and pods tell them: `function/NAME/REVISION`, and for container images
`function/NAME/REVISION/IMAGE`. A published version never has another revision than `vNUMBER`.

Nothing waits in such a pool. The name says all that its pods must know beside the settings of the function or the version, so
that whoever makes them need not know what the function was a moment ago.

    N1  parse(str(pool)) is the pool; the name of any other pool is none
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lambent_core.function import LATEST

_KIND = "function"
_OF_VERSION = re.compile(r"v([0-9]+)")


@dataclass(frozen=True, slots=True)
class DedicatedPool:
    function: str
    """`metadata.name` of the function."""
    revision: str
    """See `revision_of`."""
    image: str | None = None
    """That the pods run, as they pull it; None: that of a RuntimePool."""

    @property
    def version(self) -> str | None:
        """The number of the published version whose pods they are; None: `$LATEST`'s."""
        found = _OF_VERSION.fullmatch(self.revision)
        return found[1] if found else None

    def __str__(self) -> str:
        return "/".join(filter(None, (_KIND, self.function, self.revision, self.image)))


def revision_of(version: str, code_revision: int) -> str:
    """`version` is `$LATEST`, which has pods anew with each code revision, or a number."""
    return str(code_revision) if version == LATEST else f"v{version}"


def parse(pool: str) -> DedicatedPool | None:
    """None for a RuntimePool's name."""
    kind, *parts = pool.split("/", 3)
    if kind != _KIND or len(parts) not in (2, 3) or not all(parts):
        return None
    return DedicatedPool(*parts)
