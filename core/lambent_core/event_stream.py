"""
Messages of `application/vnd.amazon.eventstream`, as InvokeWithResponseStream answers them.

A message is a prelude (total length, headers' length, CRC-32 of both), headers, payload and a CRC-32 of all before it;
integers are big-endian. Behaviour: AWS documentation, "InvokeWithResponseStream".
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from struct import Struct
from zlib import crc32

_PRELUDE = Struct(">II")
_U32 = Struct(">I")
_STRING = Struct(">BH")
_STRING_TYPE = 7
_AROUND_BYTES = _PRELUDE.size + 2 * _U32.size


def encode_message(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message with string headers."""
    return _message(_headers(headers), payload)


def payload_chunk(data: bytes) -> bytes:
    """A PayloadChunk event: the next bytes of the response."""
    return _message(_PAYLOAD_CHUNK, data)


def invoke_complete(error_code: str = "", error_details: str = "", log_tail: bytes | None = None) -> bytes:
    """The InvokeComplete event that ends the stream. `log_tail`: the end of the log, where asked for."""
    body = {
        **({"ErrorCode": error_code} if error_code else {}),
        **({"ErrorDetails": error_details} if error_details else {}),
        **({} if log_tail is None else {"LogResult": base64.b64encode(log_tail).decode()}),
    }
    return _message(_INVOKE_COMPLETE, json.dumps(body).encode())


def _message(headers: bytes, payload: bytes) -> bytes:
    prelude = _PRELUDE.pack(_AROUND_BYTES + len(headers) + len(payload), len(headers))
    start = prelude + _U32.pack(crc32(prelude)) + headers
    # The checksum runs over the prelude's own checksum too.
    return b"".join((start, payload, _U32.pack(crc32(payload, crc32(start)))))


def _headers(headers: Mapping[str, str]) -> bytes:
    encoded = bytearray()
    for name, value in headers.items():
        encoded += bytes((len(name.encode()),)) + name.encode()
        encoded += _STRING.pack(_STRING_TYPE, len(value.encode())) + value.encode()
    return bytes(encoded)


_PAYLOAD_CHUNK = _headers(
    {":event-type": "PayloadChunk", ":content-type": "application/octet-stream", ":message-type": "event"}
)
_INVOKE_COMPLETE = _headers(
    {":event-type": "InvokeComplete", ":content-type": "application/json", ":message-type": "event"}
)
