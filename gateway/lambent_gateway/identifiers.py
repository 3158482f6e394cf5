"""Random identifiers: request ids, agents, secrets."""

from __future__ import annotations

import os
import secrets

_DRAWN_BYTES = 4096
"""Random bytes are drawn so many at a time: a system call for each request id would take longer than all else about it."""


class RequestIds:
    """Version 4 UUIDs, as Lambda's request ids are."""

    def __init__(self) -> None:
        self._digits = ""
        self._at = 0

    def __call__(self) -> str:
        at = self._at
        if at == len(self._digits):
            self._digits, at = os.urandom(_DRAWN_BYTES).hex(), 0
        self._at = at + 32
        digits = self._digits[at : at + 32]
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def new_agent_id() -> str:
    return secrets.token_hex(8)


def new_object_name() -> str:
    """Of an object in a bucket that others write to as well."""
    return secrets.token_hex(16)


def new_secret() -> str:
    return secrets.token_hex(32)
