"""
What can be set, by concern. Read once by `local` or `cluster`; nothing else looks at the environment or at a command line.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from lambent_core import limits


@dataclass(frozen=True, slots=True)
class ServerSettings:
    host: str = "127.0.0.1"
    """Address to listen on. Local mode runs code one trusts: anything but loopback opens it to the network."""
    port: int = 9000
    """TCP port; 0 takes a free one."""
    region: str = "us-east-1"
    """Region in ARNs and in AWS_REGION where a call does not name one."""
    account: str = "000000000000"
    """Account in ARNs: twelve digits."""
    drain_seconds: float = 30.0
    """How long a graceful shutdown waits for running invocations. Longer than most time-outs, short enough for a terminal."""


@dataclass(frozen=True, slots=True)
class ScalingSettings:
    account_concurrency: int = limits.ACCOUNT_CONCURRENCY
    """Invocations at once over all functions. AWS: 1,000 unless raised ("Lambda quotas")."""
    environments_max: int = field(default_factory=lambda: _environments_max(_memory_bytes()))
    """Execution environments at once on this machine: half its memory at 24 MB each, a bare Python with its agent, at most 1,000."""
    idle_seconds: float = 300.0
    """An environment that ran nothing for so long is stopped."""
    patience_seconds: float = 60.0
    """How long an invocation waits for an environment when the machine is full, before its 429."""
    starting_max: int = 2 * (os.cpu_count() or 1)
    """Environments of one function that start at once. Starting is processor work: more at a time only slows those that run."""
    pool_size: int = 2 * (os.cpu_count() or 1)
    """Pre-started runtimes kept per runtime in use, waiting for code."""


@dataclass(frozen=True, slots=True)
class AsyncSettings:
    concurrency_max: int = 500
    """Asynchronous invocations run at once: half the account's concurrency, so that synchronous callers keep theirs."""
    concurrency_per_function_max: int = 100
    """Of these, one function's: five such functions before any of them keeps the others waiting."""


@dataclass(frozen=True, slots=True)
class BucketSettings:
    name: str
    """Of the bucket. It must be there."""
    endpoint: str | None = None
    """URL of the S3-compatible server; None: AWS's own of the region."""
    region: str = "us-east-1"
    """What requests are signed for. Many servers take any."""
    prefix: str = ""
    """Put before each key, so that several installations may share a bucket: `lambent/`, say."""
    access_key_id: str | None = None
    """None: the credentials that botocore finds, such as a cloud's identity of the pod."""
    secret_access_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Settings:
    data_dir: Path
    """Functions, packages, events and logs. A second run goes on with it; one gateway at a time."""
    server: ServerSettings = ServerSettings()
    scaling: ScalingSettings = field(default_factory=ScalingSettings)
    asynchronous: AsyncSettings = AsyncSettings()
    agent: Path | None = None
    """Program that is started for an execution environment; None: the agent that was built with the package."""
    log_level: str = "info"
    """debug, info, warning or error."""
    postgres: str | None = field(default=None, repr=False)
    """Connection string of the PostgreSQL that keeps asynchronous events; it may hold a password. None: a file in `data_dir`."""


def _environments_max(memory_bytes: int) -> int:
    return max(8, min(1_000, memory_bytes // 2 // (24 * 1024 * 1024)))


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
