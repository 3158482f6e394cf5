"""
The service model of Lambda's API, as botocore publishes it (`service-2.json`), reduced to what decides anything.

Decoding drops the documentation, which is most of the text. Nothing here reads files: the gateway hands the bytes in.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Type = Literal[
    "structure", "list", "map", "string", "integer", "long", "double", "float", "boolean", "blob", "timestamp"
]


class _Part(msgspec.Struct, frozen=True, rename="camel", kw_only=True, gc=False):
    pass


class Reference(_Part, frozen=True):
    """Where a shape is used: as a member, an element, a key, an input or an output."""

    shape: str
    location: Literal["uri", "querystring", "header", "headers", "statusCode"] | None = None
    """None: in the body."""
    location_name: str | None = None


class Shape(_Part, frozen=True):
    type: Type
    members: dict[str, Reference] = {}
    required: tuple[str, ...] = ()
    member: Reference | None = None
    key: Reference | None = None
    value: Reference | None = None
    min: int | float | None = None
    max: int | float | None = None
    pattern: str | None = None
    enum: tuple[str, ...] = ()
    payload: str | None = None
    """The member that is the whole body."""
    sensitive: bool = False


class Http(_Part, frozen=True):
    method: str
    request_uri: str
    response_code: int = 200


class OperationModel(_Part, frozen=True):
    name: str
    http: Http
    input: Reference | None = None
    output: Reference | None = None


class ServiceModel(_Part, frozen=True):
    operations: dict[str, OperationModel]
    shapes: dict[str, Shape]

    def shape(self, reference: Reference) -> Shape:
        return self.shapes[reference.shape]


def decode(text: bytes) -> ServiceModel:
    """Reads the JSON of a `service-2.json`."""
    return msgspec.json.decode(text, type=ServiceModel)
