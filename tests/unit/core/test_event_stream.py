"""Decoded by botocore, which is what reads these messages in the field."""

from __future__ import annotations

import base64
import json

import pytest
from botocore.eventstream import EventStreamBuffer, EventStreamMessage
from hypothesis import given
from hypothesis import strategies as st

from lambent_core.event_stream import encode_message, invoke_complete, payload_chunk


def decode(data: bytes) -> list[EventStreamMessage]:
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return list(buffer)


def test_a_chunk() -> None:
    (message,) = decode(payload_chunk(b"\x00hello"))
    assert message.headers == {
        ":event-type": "PayloadChunk",
        ":content-type": "application/octet-stream",
        ":message-type": "event",
    }
    assert message.payload == b"\x00hello"


@pytest.mark.parametrize(
    ("message", "body"),
    [
        (invoke_complete(), {}),
        (invoke_complete("Unhandled", "{}"), {"ErrorCode": "Unhandled", "ErrorDetails": "{}"}),
        (invoke_complete(log_tail=b"START\n"), {"LogResult": base64.b64encode(b"START\n").decode()}),
        (invoke_complete(log_tail=b""), {"LogResult": ""}),
    ],
    ids=["success", "error", "with log", "with an empty log"],
)
def test_the_end(message: bytes, body: dict[str, str]) -> None:
    (decoded,) = decode(message)
    assert decoded.headers == {
        ":event-type": "InvokeComplete",
        ":content-type": "application/json",
        ":message-type": "event",
    }
    assert json.loads(decoded.payload) == body


@given(
    st.dictionaries(st.text(min_size=1, max_size=30), st.text(max_size=300), max_size=5),
    st.binary(max_size=1_000),
    st.binary(),
)
def test_what_is_encoded_is_decoded(headers: dict[str, str], payload: bytes, next_payload: bytes) -> None:
    messages = decode(encode_message(headers, payload) + payload_chunk(next_payload))
    assert [message.payload for message in messages] == [payload, next_payload]
    assert messages[0].headers == headers
