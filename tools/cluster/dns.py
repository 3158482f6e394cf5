"""One DNS question over UDP: whether the cluster's names resolve is asked of the real Service. Reads A records, and nothing else."""

from __future__ import annotations

import socket
import struct

TYPE_A = 1
CLASS_IN = 1


def question(name: str, identifier: int) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split("."))
    header = struct.pack("!6H", identifier, 0x0100, 1, 0, 0, 0)  # recursion desired, one question
    return header + labels + b"\0" + struct.pack("!2H", TYPE_A, CLASS_IN)


def addresses(answer: bytes) -> list[str]:
    """IPv4 addresses in an answer; empty where the name has none."""
    questions, answers = struct.unpack_from("!2H", answer, 4)
    at = 12
    for _ in range(questions):
        at = _after_name(answer, at) + 4
    found = []
    for _ in range(answers):
        at = _after_name(answer, at)
        kind, _, _, length = struct.unpack_from("!2HIH", answer, at)
        at += 10
        if kind == TYPE_A:
            found.append(socket.inet_ntoa(answer[at : at + 4]))
        at += length
    return found


def _after_name(answer: bytes, at: int) -> int:
    while answer[at]:
        if answer[at] & 0xC0:  # the rest stands elsewhere in the message
            return at + 2
        at += 1 + answer[at]
    return at + 1


def resolve(name: str, server: str, *, seconds: float = 1.0) -> list[str]:
    """What `server` answers; empty where it doesn't."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(seconds)
        try:
            client.connect((server, 53))
            client.send(question(name, 1))
            return addresses(client.recv(4096))
        except OSError:
            return []
