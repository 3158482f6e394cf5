"""The format of the env link, by example; more in `tests/vectors/link.json`, which the agent is tested with too."""

from __future__ import annotations

import pytest

from lambent_core import link
from lambent_core.link import (
    BODY_BYTES_MAX,
    FrameReader,
    FrameType,
    InvokeHead,
    ProtocolError,
    Report,
    ReportStatus,
    decode_invoke,
    decode_report,
    encode,
    encode_invoke,
    encode_report,
)

OK = Report(1, 2, 3, ReportStatus.SUCCESS, "")


def test_what_frames_are_called_by_number() -> None:
    """In the order of docs/decisions/0002-env-link.md: agents of another release go by it."""
    names = (
        "HELLO WELCOME SPECIALIZE FETCH BLOB INIT INVOKE RESPONSE ERROR STREAM_START STREAM_CHUNK STREAM_END LOG REPORT"
    )
    names += " SHUTDOWN PING PONG REDIRECT OPEN"
    assert {member.name: member.value for member in FrameType} == dict(zip(names.split(), range(1, 20), strict=True))
    assert [status.name for status in ReportStatus] == ["SUCCESS", "ERROR", "TIMEOUT", "FAILURE"]
    assert [ReportStatus(number) for number in range(4)] == list(ReportStatus)
    assert (link.INVOKE_STREAM, link.BLOB_LAST, link.BLOB_ABSENT, link.LOG_OUTSIDE) == (1, 1, 2, 1)


@pytest.mark.parametrize("type", FrameType, ids=lambda type: type.name)
def test_each_type_is_known(type: FrameType) -> None:
    assert list(FrameReader().feed(encode(type, b"body", flags=1, slot=2))) == [link.Frame(type, 1, 2, b"body")]


def test_a_frame_says_nothing_that_it_was_not_told() -> None:
    (frame,) = FrameReader().feed(encode(FrameType.PING))
    assert frame == link.Frame(16, 0, 0, b"")
    (frame,) = FrameReader().feed(encode_invoke(5, InvokeHead("id", "arn"), b"{}"))
    assert (frame.flags, frame.slot) == (0, 0)
    assert decode_invoke(frame.body) == (5, InvokeHead("id", "arn"), b"{}")
    for data in (encode_report(OK), link.encode_error("E", b"{}")):
        (frame,) = FrameReader().feed(data)
        assert (frame.flags, frame.slot) == (0, 0)


def test_the_largest_body() -> None:
    """L2."""
    largest = encode(FrameType.RESPONSE, bytes(BODY_BYTES_MAX))
    assert BODY_BYTES_MAX == 16_777_216
    assert [len(frame.body) for frame in FrameReader().feed(largest)] == [BODY_BYTES_MAX]
    assert FrameReader().answer(largest + encode_report(OK)) == (bytes(BODY_BYTES_MAX), OK)
    message = "frame body of 16777217 bytes is above the limit of 16777216"
    with pytest.raises(ProtocolError, match=message):
        encode(FrameType.RESPONSE, bytes(BODY_BYTES_MAX + 1))
    with pytest.raises(ProtocolError, match=message):
        list(FrameReader().feed((BODY_BYTES_MAX + 1).to_bytes(4, "big") + b"\x08\0\0\0"))


@pytest.mark.parametrize("fields", ["id\narn\n\n\n", "id\narn\n\n\n\n\n"], ids=["five", "seven"])
def test_a_head_has_six_fields(fields: str) -> None:
    body = bytes(8) + len(fields).to_bytes(2, "big") + fields.encode()
    with pytest.raises(ProtocolError, match=r"INVOKE head has [57] fields, not 6"):
        decode_invoke(body)


def test_a_status_that_is_none() -> None:
    with pytest.raises(ProtocolError, match="unknown status 4 in REPORT"):
        decode_report(bytes(24) + b"\x04")
    report = bytearray(encode_report(OK))
    report[-1] = 4
    with pytest.raises(ProtocolError, match="unknown status 4 in REPORT"):
        FrameReader().answer(encode(FrameType.RESPONSE, b"{}") + report)


@pytest.mark.parametrize(
    "data",
    [
        encode(FrameType.ERROR, b"{}") + encode_report(OK),
        encode(FrameType.RESPONSE, b"{}") + encode(FrameType.LOG, bytes(25)),
        encode(FrameType.RESPONSE, b"{}") + encode_report(OK, slot=1),
        encode(FrameType.RESPONSE, b"{}") + encode_report(OK) + b"\0",
        encode(FrameType.RESPONSE, b"{}") + encode_report(OK)[:-1],
        encode(FrameType.RESPONSE, b"{}"),
        encode(FrameType.RESPONSE, bytes(50)),
        b"",
    ],
    ids=["an error", "a log", "another slot", "more", "less", "no report", "a long one without a report", "nothing"],
)
def test_what_is_no_answer_is_not_taken(data: bytes) -> None:
    """L3."""
    reader = FrameReader()
    assert reader.answer(data) is None
    assert list(reader.feed(data)) == list(FrameReader().feed(data)), "nothing was taken"
