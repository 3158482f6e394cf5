"""
Layers' names: what Lambda accepts for a layer or one of its versions, and the name of the document that holds a version.

Forms, from the AWS API reference (members LayerName, LayerVersionArn): `name` or a layer's ARN; a layer version's ARN. Manifests may also
write `name:version`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lambent_core.caller import Caller
from lambent_core.names import resource_name

_ARN = r"arn:(?:aws[a-zA-Z-]*)?:lambda:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):layer:"
_LAYER = re.compile(rf"(?:{_ARN})?(?P<name>[a-zA-Z0-9-_]{{1,140}})", re.ASCII)
_VERSION = re.compile(rf"(?:{_ARN})?(?P<name>[a-zA-Z0-9-_]{{1,140}}):(?P<version>\d{{1,10}})", re.ASCII)
REFERENCE_PATTERN = r"(arn:[a-zA-Z0-9-]*:lambda:[a-z0-9-]+:[0-9]{12}:layer:)?[a-zA-Z0-9-_]{1,140}:[0-9]{1,10}"
"""What a function's manifest may name a layer version by."""


@dataclass(frozen=True, slots=True)
class LayerReference:
    """A layer version as somebody named it."""

    name: str
    version: int
    region: str | None = None
    """None: the platform's own, as in `name:version`."""
    account: str | None = None

    @property
    def short(self) -> str:
        return f"{self.name}:{self.version}"

    def arn(self, caller: Caller) -> str:
        """In the caller's region."""
        return caller.layer_arn(self.name, self.version)


def parse_layer(text: str, caller: Caller) -> str | None:
    """The layer's name; None for a layer of another account or region, of which there is none here."""
    found = _LAYER.fullmatch(text)
    if found is None or found["account"] not in (None, caller.account) or found["region"] not in (None, caller.region):
        return None
    return found["name"]


def parse_layer_version(text: str) -> LayerReference | None:
    """None for what names no layer version."""
    found = _VERSION.fullmatch(text)
    return found and LayerReference(found["name"], int(found["version"]), found["region"], found["account"])


def document_name(layer: str, version: int) -> str:
    """What the document of a layer version is called; on Kubernetes, its resource."""
    return f"{resource_name(layer)}.{version}"
