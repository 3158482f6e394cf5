"""
What this machine can hold an execution environment with: mount namespaces, and cgroups for memory and processes.

Looks, tries, and falls back; assumes nothing. `probe()` says what was found, `Cgroups` makes one group per environment.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lambent_core import limits

AGENT_MEMORY_BYTES = 24 * 1024 * 1024
"""Room for the agent beside the function, which shares its group: twice its resident memory."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """How environments are held on this machine. `reasons` says, per field, why it is not better."""

    mount_namespace: Literal["root", "user", "none"]
    memory: Literal["cgroup1", "cgroup2", "watch"]
    pids: Literal["cgroup1", "cgroup2", "rlimit"]
    reasons: dict[str, str] = field(default_factory=dict)

    @property
    def command(self) -> list[str]:
        """What comes before the agent's own command line."""
        match self.mount_namespace:
            case "root":
                return [_unshare(), "--mount", "--propagation", "private"]
            case "user":
                return [_unshare(), "--user", "--map-root-user", "--mount"]
            case _:
                return []


def probe() -> Sandbox:
    """What works here, tried out. Takes some milliseconds and leaves nothing behind."""
    reasons: dict[str, str] = {}
    namespace = _probe_mounts(reasons)
    version = _probe_cgroups(reasons)
    return Sandbox(
        mount_namespace=namespace,
        memory=version or "watch",
        pids=version or "rlimit",
        reasons=reasons,
    )


def _unshare() -> str:
    return shutil.which("unshare") or "/usr/bin/unshare"


def _probe_mounts(reasons: dict[str, str]) -> Literal["root", "user", "none"]:
    root = os.geteuid() == 0
    kind: Literal["root", "user"] = "root" if root else "user"
    for path in ("/var/task", "/var/runtime", "/opt"):
        try:
            Path(path).mkdir(exist_ok=True)
        except OSError as error:
            reasons["mount_namespace"] = (
                f"{path} is missing and can't be made ({error.strerror}); as root: mkdir {path}"
            )
            return "none"
    trial = Sandbox(kind, "watch", "rlimit").command
    done = subprocess.run([*trial, "mount", "--bind", "/opt", "/var/task"], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return kind
    reasons["mount_namespace"] = f"'{' '.join(trial)}' failed: {done.stderr.strip() or done.returncode}"
    return "none"


def _probe_cgroups(reasons: dict[str, str]) -> Literal["cgroup1", "cgroup2"] | None:
    for found in (_Version1, _Version2):
        try:
            trial = found.open("lambent-probe")
        except OSError as error:
            reasons["memory"] = reasons["pids"] = f"{found.name}: {error}"
            continue
        trial.close()
        return found.name
    return None


class _Version1:
    """Separate hierarchies for memory and pids, as on older machines."""

    name: Literal["cgroup1"] = "cgroup1"

    def __init__(self, parents: list[Path]) -> None:
        self.parents = parents

    @classmethod
    def open(cls, name: str) -> _Version1:
        parents = [_own(controller) / name for controller in ("memory", "pids")]
        for parent in parents:
            parent.mkdir(exist_ok=True)
            if not (parent / "cgroup.procs").exists():
                parent.rmdir()
                raise FileNotFoundError(f"{parent} is not in a cgroup hierarchy")
        return cls(parents)

    def make(self, name: str) -> list[Path]:
        groups = [parent / name for parent in self.parents]
        for group in groups:
            group.mkdir()
        (groups[1] / "pids.max").write_text(str(limits.PROCESSES_MAX))
        return groups

    def size(self, name: str, memory_bytes: int, processes: int) -> None:
        memory, pids = self.parents
        (_made(memory, name) / "memory.limit_in_bytes").write_text(str(memory_bytes))
        (_made(pids, name) / "pids.max").write_text(str(processes))

    def close(self) -> None:
        for parent in self.parents:
            _remove(parent)


class _Version2:
    """The unified hierarchy, at its root for root, else in a subtree delegated to us."""

    name: Literal["cgroup2"] = "cgroup2"

    def __init__(self, parent: Path) -> None:
        self.parents = [parent]

    @classmethod
    def open(cls, name: str) -> _Version2:
        base = Path("/sys/fs/cgroup")
        if os.geteuid() != 0:
            line = Path("/proc/self/cgroup").read_text().strip().rpartition("::")[2]
            base = base / line.lstrip("/")
        if not (base / "cgroup.subtree_control").exists():
            raise FileNotFoundError(f"{base} is not a cgroup2 hierarchy")
        (base / "cgroup.subtree_control").write_text("+memory +pids")
        parent = base / name
        parent.mkdir(exist_ok=True)
        (parent / "cgroup.subtree_control").write_text("+memory +pids")
        return cls(parent)

    def make(self, name: str) -> list[Path]:
        group = self.parents[0] / name
        group.mkdir()
        (group / "pids.max").write_text(str(limits.PROCESSES_MAX))
        return [group]

    def size(self, name: str, memory_bytes: int, processes: int) -> None:
        group = _made(self.parents[0], name)
        (group / "memory.max").write_text(str(memory_bytes))
        (group / "pids.max").write_text(str(processes))
        with contextlib.suppress(OSError):
            (group / "memory.swap.max").write_text("0")

    def close(self) -> None:
        _remove(self.parents[0])


class Cgroups:
    """One group per agent that a gateway starts, below a parent of that gateway's own. With memory `watch` there are none."""

    def __init__(self, sandbox: Sandbox, name: str) -> None:
        self._groups: _Version1 | _Version2 | None = None
        if sandbox.memory == "cgroup1":
            self._groups = _Version1.open(name)
        elif sandbox.memory == "cgroup2":
            self._groups = _Version2.open(name)

    def make(self, name: str) -> list[Path]:
        """Directories whose cgroup.procs the agent joins; empty where there are no cgroups."""
        return self._groups.make(name) if self._groups else []

    def size(self, name: str, memory_mb: int, environments: int) -> bool:
        """Sets the limits of a group with so many environments of so many megabytes. False: their agents must watch instead."""
        if self._groups is None:
            return False
        memory_bytes = memory_mb * 1024 * 1024 + AGENT_MEMORY_BYTES
        self._groups.size(name, environments * memory_bytes, environments * limits.PROCESSES_MAX)
        return True

    def end(self, name: str) -> None:
        """Kills whatever is left in the environment's groups and removes them."""
        for parent in self._groups.parents if self._groups else []:
            _end(parent / name)

    def close(self) -> None:
        if self._groups is None:
            return
        for parent in self._groups.parents:
            for group in parent.iterdir() if parent.is_dir() else ():
                if group.is_dir():
                    _end(group)
        self._groups.close()


def _made(parent: Path, name: str) -> Path:
    """A group that this gateway made, or an earlier one whose agent has outlived it."""
    return next(iter(parent.parent.glob(f"lambent-*/{name}")), parent / name)


def _own(controller: str) -> Path:
    """Our own group in a version 1 hierarchy; its root where that is hidden from us."""
    mount = Path("/sys/fs/cgroup") / controller
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            own = mount / path.lstrip("/")
            return own if own.is_dir() else mount
    raise FileNotFoundError(f"no cgroup hierarchy for {controller}")


def _end(group: Path) -> None:
    with contextlib.suppress(OSError):
        for pid in (group / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), 9)
    _remove(group)


def _remove(group: Path) -> None:
    # The kernel refuses while a killed process is not yet reaped; the next gateway's start sweeps what is left.
    with contextlib.suppress(OSError):
        group.rmdir()
