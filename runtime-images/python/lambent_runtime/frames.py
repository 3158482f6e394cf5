"""
The bootstrap's end of the env link: frames in, frames out, over a stream socket.

The format is `docs/decisions/0002-env-link.md`.
"""

import os
import socket
from struct import Struct

INIT = 6
INVOKE = 7
RESPONSE = 8
ERROR = 9
SHUTDOWN = 15

HEADER = Struct(">IBBH")
INVOKE_HEAD = Struct(">QH")
READ_BYTES = 64 * 1024


class Link:
    """One connection to the agent. A forked child of the process has none: it can neither read nor answer."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._socket.set_inheritable(False)
        self._slot = 0
        self.forked = False
        os.register_at_fork(after_in_child=self._leave_to_parent)

    def receive(self) -> "tuple[int, bytes]":
        """Type and body of the next frame. Raises `EOFError` when the agent is gone."""
        data = self._socket.recv(READ_BYTES)
        while len(data) < 8:
            more = self._socket.recv(READ_BYTES)
            if not more:
                raise EOFError
            data += more
        length, kind, _, self._slot = HEADER.unpack_from(data)
        if len(data) == length + 8:
            return kind, data[8:]
        body = bytearray(length)
        filled = len(data) - 8
        body[:filled] = data[8:]
        view = memoryview(body)
        while filled < length:
            count = self._socket.recv_into(view[filled:])
            if not count:
                raise EOFError
            filled += count
        return kind, bytes(body)

    def send(self, kind: int, body: bytes) -> None:
        """One frame, whole. Does not come back in a forked child: it is not the child's to answer."""
        if self.forked:
            os._exit(0)
        self._socket.sendall(HEADER.pack(len(body), kind, 0, self._slot) + body)

    def send_error(self, error_type: str, error: bytes) -> None:
        """An ERROR frame: during init that init failed, else the answer to the invocation."""
        name = error_type.encode("utf-8", "replace")
        self.send(ERROR, len(name).to_bytes(2, "big") + name + error)

    def _leave_to_parent(self) -> None:
        self.forked = True
        self._socket.close()


def parse_invoke(body: bytes) -> "tuple[int, list[str], bytes]":
    """
    Deadline (Unix time, milliseconds), the head's fields and the payload of an INVOKE.

    The fields are request id, function ARN, trace id, client context, Cognito identity, tenant id; each may be empty.
    """
    deadline_ms, size = INVOKE_HEAD.unpack_from(body)
    end = 10 + size
    return deadline_ms, body[10:end].decode().split("\n"), body[end:]
