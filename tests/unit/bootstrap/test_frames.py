"""Both Python ends of the env link against the vectors that the agent is tested with too."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lambent_runtime.frames import Link, parse_invoke

from lambent_core import link

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "link.json").read_text())
FRAMES = [pytest.param(row, id=row["name"]) for row in VECTORS["frames"]]


@pytest.fixture
def ends() -> Iterator[tuple[Link, socket.socket]]:
    own, other = socket.socketpair()
    bootstrap = Link(own.detach())
    with other:
        yield bootstrap, other
    bootstrap._socket.close()


@pytest.mark.parametrize("row", FRAMES)
def test_the_gateways_codec_means_the_same(row: dict[str, Any]) -> None:
    data = bytes.fromhex(row["hex"])
    (frame,) = link.FrameReader().feed(data)
    assert {"type": frame.type, "flags": frame.flags, "slot": frame.slot} == row["frame"]
    if "invoke" in row:
        deadline_ms, head, payload = link.decode_invoke(frame.body)
        fields = [
            head.request_id,
            head.invoked_function_arn,
            head.trace_id,
            head.client_context,
            head.cognito_identity,
            head.tenant_id,
        ]
        assert {"deadlineMs": deadline_ms, "fields": fields, "payload": payload.hex()} == row["invoke"]
        assert link.encode_invoke(deadline_ms, head, payload, stream=frame.flags == 1, slot=frame.slot) == data
    elif "error" in row:
        error_type, error = link.decode_error(frame.body)
        assert {"type": error_type, "object": error.hex()} == row["error"]
        assert link.encode_error(error_type, error, slot=frame.slot) == data
    elif "report" in row:
        report = link.decode_report(frame.body)
        want = row["report"]
        assert (report.duration_ns, report.init_ns, report.memory_max_bytes) == (
            int(want["durationNs"]),
            int(want["initNs"]),
            int(want["memoryMaxBytes"]),
        )
        assert (report.status, report.error_type) == (want["status"], want["errorType"])
        assert link.encode_report(report, slot=frame.slot) == data
    else:
        assert frame.body.hex() == row["body"]
        assert link.encode(frame.type, frame.body, flags=frame.flags, slot=frame.slot) == data


@pytest.mark.parametrize("row", [pytest.param(row, id=row["name"]) for row in VECTORS["refused"]])
def test_the_gateways_codec_refuses(row: dict[str, str]) -> None:
    with pytest.raises(link.ProtocolError):
        list(link.FrameReader().feed(bytes.fromhex(row["hex"])))


@pytest.mark.parametrize("row", [pytest.param(row, id=row["name"]) for row in VECTORS["incomplete"]])
def test_the_gateways_codec_waits(row: dict[str, str]) -> None:
    assert list(link.FrameReader().feed(bytes.fromhex(row["hex"]))) == []


@pytest.mark.parametrize("cut", [1, 7, 8, 9, 1000])
@pytest.mark.parametrize("row", FRAMES)
def test_the_bootstrap_reads_the_same(row: dict[str, Any], cut: int, ends: tuple[Link, socket.socket]) -> None:
    bootstrap, other = ends
    data = bytes.fromhex(row["hex"])
    other.sendall(data[:cut])
    other.sendall(data[cut:])
    kind, body = bootstrap.receive()
    assert (kind, bytes(body)) == (row["frame"]["type"], data[8:])
    if "invoke" in row:
        deadline_ms, fields, payload = parse_invoke(bytes(body))
        assert {"deadlineMs": deadline_ms, "fields": fields, "payload": payload.hex()} == row["invoke"]


def test_an_answer_goes_to_the_slot_that_asked(ends: tuple[Link, socket.socket]) -> None:
    bootstrap, other = ends
    other.sendall(link.encode(link.FrameType.INVOKE, b"x", slot=258))
    bootstrap.receive()
    bootstrap.send(link.FrameType.RESPONSE, b'{"a":1}')
    bootstrap.send_error("ValueError", b'{"errorMessage":"no"}')
    frames = list(link.FrameReader().feed(other.recv(1000)))
    assert [(frame.type, frame.slot) for frame in frames] == [
        (link.FrameType.RESPONSE, 258),
        (link.FrameType.ERROR, 258),
    ]
    assert link.decode_error(frames[1].body) == ("ValueError", b'{"errorMessage":"no"}')


@pytest.mark.parametrize(
    "sent", [b"", b"\x00\x00", b"\x00\x00\x00\x05\x07\x00\x00\x00ab"], ids=["nothing", "half a header", "half a body"]
)
def test_the_agent_goes_away(sent: bytes, ends: tuple[Link, socket.socket]) -> None:
    bootstrap, other = ends
    other.sendall(sent)
    other.close()
    with pytest.raises(EOFError):
        bootstrap.receive()


def test_the_socket_is_not_inherited(ends: tuple[Link, socket.socket]) -> None:
    assert not ends[0]._socket.get_inheritable()
