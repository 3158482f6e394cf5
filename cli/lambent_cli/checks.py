"""
The checks of `lambent doctor`: each looks at one thing and says what it found.

A check never raises for what it looks for, leaves nothing behind, and takes what it looks at as an argument.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from lambent_cli.connection import Platform
from lambent_cli.failures import UNREACHABLE, Failure
from lambent_cli.findings import Finding, Ok, Problem, Warning
from lambent_gateway.environments.sandbox import Sandbox

PYTHON_MIN = (3, 11)
DISK_BYTES_MIN = 1024 * 1024 * 1024
"""Below it a handful of large packages fills the disk: 250 MB unzipped each, and the ZIP."""
AGENT_SECONDS = 5.0
_LISTENING = "0A"


def python(version: tuple[int, int]) -> Finding:
    said = f"{version[0]}.{version[1]}"
    if version < PYTHON_MIN:
        wanted = ".".join(map(str, PYTHON_MIN))
        return Problem("Python", f"{said} is too old", f"Install Python {wanted} or later and Lambent with it.")
    return Ok("Python", said)


def port(host: str, number: int, *, serves: bool) -> Finding:
    """Whether `lambent up` could listen there. `serves`: a Lambent answers at that address already."""
    subject = f"Port {number}"
    if serves:
        return Ok(subject, f"Lambent serves on {host}:{number}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, number))
        except PermissionError:
            return Problem(subject, "only root may listen there", "Choose one above 1023: lambent up --port 9000")
        except OSError as error:
            holder = _holder(number)
            by = f" by {holder}" if holder else f" ({error.strerror})"
            return Problem(subject, f"taken{by}", "Stop that program, or choose another: lambent up --port 9001")
    return Ok(subject, "free")


def data_dir(folder: Path) -> Finding:
    """Whether it can be written, or made."""
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not existing.is_dir():
        return Problem("Data directory", f"{existing} is a file", "Choose another: lambent up --data-dir FOLDER")
    try:
        # Tried out, because rights are not all: a read-only or virtual file system refuses root as well.
        tempfile.TemporaryDirectory(dir=existing, prefix=".lambent-").cleanup()
    except OSError as error:
        return Problem(
            "Data directory",
            f"{existing} can't be written ({error.strerror})",
            f"sudo chown $USER {existing}, or choose another: lambent up --data-dir FOLDER (or $LAMBENT_HOME)",
        )
    return Ok("Data directory", f"{folder}" + ("" if folder.exists() else " (will be made)"))


def disk(folder: Path) -> Finding:
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    said = f"{free / 1024**3:.1f} GiB free"
    if free < DISK_BYTES_MIN:
        return Warning(
            "Disk space", said, f"Free some space on the disk of {existing}: 1 GiB is the least to work with."
        )
    return Ok("Disk space", said)


def mount_namespace(sandbox: Sandbox) -> Finding:
    subject = "Files of functions"
    if sandbox.mount_namespace == "none":
        return Warning(
            subject,
            f"folders only, no mount namespace: {sandbox.reasons.get('mount_namespace', 'no reason given')}",
            "Run as root, or allow user namespaces: sudo sysctl -w kernel.unprivileged_userns_clone=1 (Debian), "
            "kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu). Functions run without it too, with their folders "
            "named by LAMBDA_TASK_ROOT.",
        )
    return Ok(subject, f"a mount namespace each ({sandbox.mount_namespace})")


def memory(sandbox: Sandbox) -> Finding:
    if sandbox.memory == "watch":
        return Warning(
            "Memory limit",
            f"watched, not held by the kernel: {sandbox.reasons.get('memory', 'no reason given')}",
            "Run as root, or in a delegated cgroup: systemd-run --user --scope -p Delegate=yes lambent up",
        )
    return Ok("Memory limit", sandbox.memory)


def pids(sandbox: Sandbox) -> Finding:
    if sandbox.pids == "rlimit":
        return Warning(
            "Process limit",
            f"a limit per user, shared by all functions: {sandbox.reasons.get('pids', 'no reason given')}",
            "Run as root, or in a delegated cgroup: systemd-run --user --scope -p Delegate=yes lambent up",
        )
    return Ok("Process limit", sandbox.pids)


def agent(binary: Path | None) -> Finding:
    """Whether the agent is there and this machine can run it: without a gateway to dial it ends at once, and says so."""
    fix = "Install Lambent again: pip install --force-reinstall lambent (from a checkout: make run)."
    if binary is None:
        return Problem("Agent", "it was not built", fix)
    try:
        subprocess.run([binary], env={}, capture_output=True, timeout=AGENT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return Problem("Agent", f"{binary} does not end", fix)
    except OSError as error:
        return Problem("Agent", f"{binary} can't be run: {error.strerror}", fix)
    return Ok("Agent", str(binary))


def runtimes(pythons: Mapping[str, str]) -> Finding:
    """Interpreters by version. Functions of other versions run on the nearest."""
    if not pythons:
        return Problem("Runtimes", "no Python interpreter found", "Install one, e.g. apt install python3")
    return Ok("Runtimes", ", ".join(f"python{version} ({path})" for version, path in pythons.items()))


def endpoint(address: str, *, asked_for: bool) -> Finding:
    """Whether a Lambent answers. One that nobody named need not run yet."""
    try:
        found = Platform(address).description()
    except Failure as failure:
        if failure.exit_code != UNREACHABLE:
            return Problem("Endpoint", f"{address} answers, but is not Lambent", "Give the right one: --endpoint URL")
        kind = Problem if asked_for else Warning
        return kind("Endpoint", f"nothing answers at {address}", "Start the platform: lambent up")
    return Ok("Endpoint", f"{address}, version {found.get('version', 'unknown')}")


def _holder(number: int) -> str:
    """Name and process id of who listens on a TCP port; empty where that can't be seen."""
    inodes = {
        fields[9]
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for fields in _table(Path(table))
        if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == number
    }
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                target = str(descriptor.readlink())
                if target.startswith("socket:[") and target[8:-1] in inodes:
                    return f"{(process / 'comm').read_text().strip()} (process {process.name})"
    return ""


def _table(path: Path) -> list[list[str]]:
    with contextlib.suppress(OSError):
        return [line.split() for line in path.read_text().splitlines()[1:]]
    return []
