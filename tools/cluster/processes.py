"""
Programs that go on when this one ends. A process is known by its pid and by when it started, so that a pid which the system has given
to somebody else is never taken for ours.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from tools.cluster import control_groups
from tools.cluster.commands import SYSTEM_PATH, ClusterError, wait_for
from tools.cluster.node import Daemon
from tools.cluster.places import Places

STOP_SECONDS = 15.0


def start(daemon: Daemon, places: Places) -> None:
    """Does nothing where it runs already."""
    if running(daemon.name, places) is not None:
        return
    places.logs.mkdir(parents=True, exist_ok=True)
    _records(places).mkdir(parents=True, exist_ok=True)
    with log_file(daemon.name, places).open("ab") as log:
        process = subprocess.Popen(
            daemon.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
            env={**os.environ, "PATH": SYSTEM_PATH},
        )
    control_groups.gather(process.pid)
    process.returncode = 0  # it is not waited for: whoever adopts it does that
    record = {"pid": process.pid, "started": started(process.pid)}
    (_records(places) / daemon.name).write_text(json.dumps(record))


def running(name: str, places: Places) -> int | None:
    """Its pid."""
    try:
        record = json.loads((_records(places) / name).read_text())
    except FileNotFoundError:
        return None
    pid: int = record["pid"]
    return pid if record["started"] is not None and started(pid) == record["started"] else None


def stop(name: str, places: Places, *, patience_seconds: float = STOP_SECONDS) -> None:
    pid = running(name, places)
    if pid is not None:
        end(pid, patience_seconds=patience_seconds)
    (_records(places) / name).unlink(missing_ok=True)


def end(pid: int, *, patience_seconds: float = STOP_SECONDS) -> None:
    """Asks, and after that time does not ask any more."""
    born = started(pid)
    if patience_seconds and _ended_by(signal.SIGTERM, pid, born, patience_seconds):
        return
    if not _ended_by(signal.SIGKILL, pid, born, STOP_SECONDS):
        raise ClusterError(f"process {pid} does not end")


def _ended_by(signal_number: int, pid: int, born: int | None, seconds: float) -> bool:
    if born is None or started(pid) != born:
        return True
    with suppress(ProcessLookupError):
        os.kill(pid, signal_number)
    try:
        return wait_for("", lambda: started(pid) != born, seconds=seconds, interval=0.02)
    except ClusterError:
        return False


def log_file(name: str, places: Places) -> Path:
    return places.logs / f"{name}.log"


def started(pid: int) -> int | None:
    """When, in the kernel's ticks since boot; None for one that has ended, also where nobody has asked how."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def _records(places: Places) -> Path:
    return places.run / "pids"
