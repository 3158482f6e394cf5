"""
Names of pools that one function has for itself, as censuses and pods tell them: `function/NAME/REVISION`, and for container images
`function/NAME/REVISION/IMAGE`.

Nothing waits in such a pool. The name says all that its pods must know beside the function's own settings, so that whoever makes
them need not know of versions, or of what the function was a moment ago.

    N1  parse(str(pool)) is the pool; the name of any other pool is none
"""

from __future__ import annotations

from dataclasses import dataclass

_KIND = "function"


@dataclass(frozen=True, slots=True)
class DedicatedPool:
    function: str
    """`metadata.name` of the function."""
    revision: str
    """Code revision."""
    image: str | None = None
    """That the pods run, as they pull it; None: that of a RuntimePool."""

    def __str__(self) -> str:
        return "/".join(filter(None, (_KIND, self.function, self.revision, self.image)))


def parse(pool: str) -> DedicatedPool | None:
    """None for a RuntimePool's name."""
    kind, *parts = pool.split("/", 3)
    if kind != _KIND or len(parts) not in (2, 3) or not all(parts):
        return None
    return DedicatedPool(*parts)
