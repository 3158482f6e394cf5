"""Random identifiers: request ids, log streams, secrets."""

from __future__ import annotations

import os
import secrets


def new_request_id() -> str:
    """A version 4 UUID, as Lambda's request ids are; `uuid.uuid4` takes five times as long."""
    digits = os.urandom(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def new_agent_id() -> str:
    return secrets.token_hex(8)


def new_secret() -> str:
    return secrets.token_hex(32)
