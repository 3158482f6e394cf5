"""
Names of container images, as everybody writes them: `[REGISTRY/]REPOSITORY[:TAG][@sha256:DIGEST]`.

The grammar is that of the OCI distribution specification ("Pulling manifests"); what a name without a registry or a tag means is Docker's.

    R1  what is pinned to a digest names the same repository, whatever its tag was
"""

from __future__ import annotations

import re
from dataclasses import dataclass

HUB = "docker.io"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = r"(?:[a-zA-Z0-9](?:[-a-zA-Z0-9.]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?"
_TAG = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
DIGEST = r"sha256:[0-9a-f]{64}"
PATTERN = rf"(?:{_HOST}/)?{_COMPONENT}(?:/{_COMPONENT})*(?::{_TAG})?(?:@{DIGEST})?"
"""Of a name that can be one. Which part is the registry is decided by `parse`."""
_PARTS = re.compile(
    rf"(?P<name>(?:{_HOST}/)?{_COMPONENT}(?:/{_COMPONENT})*)(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{DIGEST}))?"
)


class InvalidReference(ValueError):
    """The text can't be an image's name."""


@dataclass(frozen=True, slots=True)
class ImageReference:
    name: str
    """As it was written, without tag and digest."""
    registry: str
    """Host, with the port where one was written; `docker.io` where none was."""
    repository: str
    tag: str
    """`latest` where none was written."""
    digest: str | None
    """`sha256:` and 64 hexadecimal digits; it counts more than the tag."""

    def pinned(self, digest: str) -> str:
        """The name of exactly this content, wherever the tag points by then."""
        return f"{self.name}@{digest}"


def parse(text: str) -> ImageReference:
    """Raises InvalidReference."""
    parts = _PARTS.fullmatch(text)
    if parts is None:
        raise InvalidReference(text)
    name = parts["name"]
    first, slash, rest = name.partition("/")
    has_registry = bool(slash) and (first == "localhost" or first != first.lower() or bool(set(".:[") & set(first)))
    registry, repository = (first, rest) if has_registry else (HUB, name)
    if registry in (HUB, f"index.{HUB}"):
        registry = HUB
        repository = repository if "/" in repository else f"library/{repository}"
    return ImageReference(name, registry, repository, parts["tag"] or "latest", parts["digest"])
