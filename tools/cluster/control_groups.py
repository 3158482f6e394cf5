"""The node's control groups: those of its pods, which the kubelet makes, and one for the node's own programs."""

from __future__ import annotations

from pathlib import Path

from tools.cluster import leftovers
from tools.cluster.commands import wait_for

PODS, DAEMONS = "kubepods", "lambent-node"


def of_pods() -> list[Path]:
    return _existing(PODS)


def gather(pid: int) -> None:
    """
    Among the node's own programs, which together weigh as much as the pods do when processor time is scarce.

    Where systemd runs, system.slice is that group. Without one each process weighs as much as all the pods.
    """
    for root in _roots():
        if _shares_processor(root):
            group = root / DAEMONS
            group.mkdir(exist_ok=True)
            (group / "cgroup.procs").write_text(str(pid))


def remove() -> None:
    """Once their processes have been ended."""
    for group in [*_existing(PODS), *_existing(DAEMONS)]:
        for child in sorted(group.rglob("*"), key=lambda path: len(path.parts), reverse=True):
            if child.is_dir():
                _remove_when_empty(child)
        _remove_when_empty(group)


def _existing(name: str) -> list[Path]:
    return [group for root in _roots() if (group := root / name).is_dir()]


def _roots() -> list[Path]:
    return leftovers.cgroup_roots(Path("/proc/mounts").read_text())


def _shares_processor(root: Path) -> bool:
    controllers = root / "cgroup.controllers"  # of version 2
    return (root / "cpu.shares").exists() or (controllers.exists() and "cpu" in controllers.read_text().split())


def _remove_when_empty(group: Path) -> None:
    def removed() -> bool:
        try:
            group.rmdir()
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    wait_for(f"the end of the processes of {group}", removed, seconds=10, interval=0.02)
