"""What Linux knows about running processes: processor time, resident memory, who started whom."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path

_TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of the processes' threads so far. A process that is gone counts as nothing."""
    ticks = 0
    for pid in pids:
        fields = _stat(pid)
        if fields:
            ticks += int(fields[11]) + int(fields[12])
    return ticks * _TICK_SECONDS


def rss_mb(pid: int) -> float:
    """Resident memory of one process, megabytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(f"process {pid} has no memory")


def pss_mib(pids: Iterable[int]) -> float:
    """Memory of processes, MiB, where what several share counts for each in equal parts. Those of others need root."""
    kib = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                kib += int(line.split()[1])
    return kib / 1024


def command(pid: int) -> str:
    """The first 15 characters of its executable's name; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def of_pods(uids: Collection[str]) -> list[int]:
    """Processes of Kubernetes' pods, as far as they run on this machine: the kubelet names their cgroups after the pods' uids."""
    # The systemd driver writes `_` for `-`.
    names = [f"pod{spelled}" for uid in uids for spelled in (uid, uid.replace("-", "_"))]
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            cgroup = _cgroup(folder)
            if any(name in cgroup for name in names):
                found.append(int(folder.name))
    return found


def descendants(pid: int) -> list[int]:
    """Every process that `pid` started, and those they started."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (fields := _stat(int(folder.name))):
            children.setdefault(int(fields[1]), []).append(int(folder.name))
    found, waiting = [], [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            found.append(child)
            waiting.append(child)
    return found


def runs(pid: int, binary: Path) -> bool:
    """Whether the process is an instance of this executable file."""
    try:
        return Path(f"/proc/{pid}/exe").readlink() == binary
    except OSError:
        return False


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat after the command's name: state, parent, …"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _cgroup(folder: Path) -> str:
    try:
        return (folder / "cgroup").read_text()
    except OSError:
        return ""
