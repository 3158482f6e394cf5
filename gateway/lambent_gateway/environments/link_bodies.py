"""
The JSON bodies of the env link's frames, as a gateway reads and writes them: `docs/decisions/0002-env-link.md` explains their members.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from lambent_core import limits
from lambent_core.pod_sharing import Opened


class SlotState(msgspec.Struct, frozen=True, rename="camel"):
    slot: int
    state: Literal["generic", "initializing", "idle", "busy"]
    revision: str | None = None
    request_id: str | None = None


class Hello(msgspec.Struct, frozen=True, rename="camel"):
    """First frame of an agent. `environment` is the id it was started under."""

    protocol: int
    environment: str
    token: str
    runtime: str
    pid: int
    slots: Annotated[list[SlotState], msgspec.Meta(min_length=1)]
    agent_version: str = ""
    secret: str = ""
    """What the first WELCOME gave it, at every later greeting; of an agent that was opened beside another, what OPEN gave it."""
    opens: bool = False
    """It opens others beside itself."""
    opened: Opened | None = None
    """Those that it ever opened."""


class NotOpened(msgspec.Struct, frozen=True, rename="camel"):
    """Body of an agent's OPEN."""

    environment: str
    error: str


class Package(msgspec.Struct, frozen=True, rename="camel"):
    sha256: str
    size: int
    target: str


class RuntimeCommand(msgspec.Struct, frozen=True, rename="camel"):
    protocol: str
    command: list[str]
    working_directory: str = ""
    """Empty: where the code is, or where its image says."""


class FunctionFacts(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    version: str
    arn: str
    memory_mb: int
    timeout_ms: int


class Specialization(msgspec.Struct, frozen=True, rename="camel"):
    """Body of SPECIALIZE; `docs/decisions/0002-env-link.md` explains the members."""

    revision: str
    function: FunctionFacts
    handler: str
    runtime: RuntimeCommand
    environment: dict[str, str]
    packages: list[Package]
    init_timeout_ms: int = limits.INIT_SECONDS_MAX * 1000
    memory_limit_bytes: int = 0


class Initialized(msgspec.Struct, frozen=True, rename="camel"):
    """Body of INIT: how initialisation ended. Times in nanoseconds."""

    status: Literal["success", "error", "timeout"]
    init_ns: int = 0
    phases: dict[str, int] = {}
    error_type: str | None = None
