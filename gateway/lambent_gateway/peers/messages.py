"""
What gateways say to each other: length-prefixed msgpack, any number of invocations at once on one connection.

The listening end begins with a `Challenge`; the dialling end proves that it knows the gateways' key and then begins invocations.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from typing import Any

import msgspec

from lambent_core import errors
from lambent_core.errors import LambdaError
from lambent_core.invocation import Invocation, Outcome

MESSAGE_BYTES_MAX = 16 * 1024 * 1024
EDITION = 2
"""Of the messages that this gateway takes. 0: those of a gateway that does not say; 1: `Written` too; 2: `Alive` too."""
_LENGTH_BYTES = 4


class BrokenMessage(Exception):
    """The peer does not keep to the protocol; its connection must be closed."""


class _Message(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    pass


class Challenge(_Message, frozen=True):
    nonce: bytes
    edition: int = 0


class Greeting(_Message, frozen=True):
    gateway: str
    proof: bytes
    """HMAC over the nonce and the name."""


class Begin(_Message, frozen=True):
    id: int
    """The dialling end's own; never used twice on a connection."""
    invocation: Invocation
    sink: bool
    """The caller takes the response as it is written."""


class Ended(_Message, frozen=True):
    id: int
    outcome: Outcome


class Refused(_Message, frozen=True):
    id: int
    error: str
    """Name of the class in `lambent_core.errors`."""
    message: str
    fields: dict[str, str]
    headers: dict[str, str]


class Started(_Message, frozen=True):
    """A streamed response begins."""

    id: int
    content_type: str
    version: str


class Chunk(_Message, frozen=True):
    id: int
    data: bytes


class Flow(_Message, frozen=True):
    """Whoever reads a streamed response can't follow, or can again."""

    id: int
    paused: bool


class Wanted(_Message, frozen=True):
    """A package that the other gateway may have."""

    id: int
    sha256: str


class Piece(_Message, frozen=True):
    """Part of a package that was wanted."""

    id: int
    data: bytes
    last: bool


class Absent(_Message, frozen=True):
    """The package is not here."""

    id: int


class Written(_Message, frozen=True):
    """A resource as it is now that the sender has written it, or as it was before it went."""

    id: int
    kind: str
    resource: dict[str, Any]
    gone: bool


class Seen(_Message, frozen=True):
    """What was written is what this gateway goes by."""

    id: int


class Alive(_Message, frozen=True):
    """The sender is there. Both ends say so as long as the connection lasts, the dialling one first."""


Message = (
    Challenge
    | Greeting
    | Begin
    | Ended
    | Refused
    | Started
    | Chunk
    | Flow
    | Wanted
    | Piece
    | Absent
    | Written
    | Seen
    | Alive
)

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Message)


def encode(message: Message) -> bytes:
    body = _encoder.encode(message)
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


class MessageReader:
    """Cuts a stream into messages. Raises `BrokenMessage`."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Message]:
        self._rest += data
        start = 0
        try:
            while len(self._rest) - start >= _LENGTH_BYTES:
                length = int.from_bytes(self._rest[start : start + _LENGTH_BYTES], "big")
                if length > MESSAGE_BYTES_MAX:
                    raise BrokenMessage(f"a message of {length} bytes is above the limit of {MESSAGE_BYTES_MAX}")
                end = start + _LENGTH_BYTES + length
                if len(self._rest) < end:
                    break
                message = self._rest[start + _LENGTH_BYTES : end]
                start = end
                yield _decoder.decode(message)
        except msgspec.MsgspecError as error:
            raise BrokenMessage(str(error)) from error
        finally:
            self._rest = self._rest[start:]


def proof(key: bytes, nonce: bytes, gateway: str) -> bytes:
    return hmac.digest(key, b"peer " + nonce + gateway.encode(), "sha256")


def refused(id: int, error: LambdaError) -> Refused:
    return Refused(id, type(error).__name__, error.message, error.fields, error.headers)


def error_of(refusal: Refused) -> LambdaError:
    kind = getattr(errors, refusal.error, errors.ServiceException)
    error: LambdaError = kind(refusal.message, fields=refusal.fields, headers=refusal.headers)
    return error
