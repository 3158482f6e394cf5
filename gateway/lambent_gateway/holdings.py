"""
What must be had before anything starts: the port, the data directory, and the socket that agents dial.

Each is had by one gateway at a time, and what is missing is told with the way out.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LINK_SOCKET = "link.sock"


class CannotStart(Exception):
    """Something about the machine or the set-up; the message says what to do."""


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens. Raises `CannotStart`."""
    try:
        listener = socket.create_server((host, port), backlog=4096)
    except OSError as error:
        raise CannotStart(
            f"can't listen on {host}:{port}: {error.strerror}. Take another port (--port 9001, or 0 for a free one), "
            f"or end what holds it (`ss -ltnp 'sport = :{port}'` names it)."
        ) from error
    with listener:
        yield listener


@contextmanager
def data_directory(folder: Path) -> Iterator[None]:
    """Makes the data directory and holds it for this process alone."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("a")
    except OSError as error:
        raise CannotStart(
            f"the data directory {folder} can't be used: {error.strerror}. Name another with --data-dir."
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotStart(
                f"the data directory {folder} is in use by another `lambent up`. Stop that one, or name another with --data-dir."
            ) from None
        yield


def link_socket(folder: Path) -> socket.socket:
    """A Unix socket in the data directory, for this user alone."""
    (folder / LINK_SOCKET).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    descriptor = os.open(folder, os.O_DIRECTORY)
    try:  # by way of the folder's descriptor: a socket's path may have 107 bytes, the data directory's may have more
        listener.bind(f"/proc/self/fd/{descriptor}/{LINK_SOCKET}")
    finally:
        os.close(descriptor)
    (folder / LINK_SOCKET).chmod(0o600)
    return listener
