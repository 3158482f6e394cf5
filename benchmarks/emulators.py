"""
Emulators of Lambda that run a Python handler on AWS's own client: the plain one of this folder, and AWS's Runtime Interface Emulator.

AWS's is fetched and compiled on first use, at one version. It runs its runtimes as a user of its own, takes the command to start from a
few fixed paths alone, and refuses what comes while no runtime is free: it needs root, a Python that everybody may read, and more
runtimes than callers.
"""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import functions
from benchmarks.client import INVOKE, load
from benchmarks.gateway import wait_until
from benchmarks.programs import BUILD, CannotRun, Server, install, program

PATH = INVOKE.format("function")
RIE = "github.com/aws/aws-lambda-runtime-interface-emulator/cmd/aws-lambda-rie"
RIE_VERSION = "v0.0.0-20261030222936-bef5c4ba774d"
RIE_RUNTIMES = 64
"""Twice the callers: a runtime that has answered is not free yet, and fewer runtimes are no faster."""


@contextmanager
def plain(runtimes: int) -> Iterator[str]:
    """Its address."""
    with (
        _folder_of_handler() as folder,
        Server(
            [program("emulator"), "-runtimes", str(runtimes), sys.executable, "-m", "awslambdaric", "app.handler"],
            cwd=folder,
        ) as server,
    ):
        yield server.address


@contextmanager
def runtime_interface_emulator(*, may_fetch: bool) -> Iterator[str]:
    """Its address. Raises `CannotRun`."""
    binary = BUILD / "aws-lambda-rie"
    if not binary.exists():
        if not may_fetch:
            raise CannotRun("it was not fetched yet, and this run is a short one")
        install(f"{RIE}@{RIE_VERSION}")
    if os.geteuid() != 0:
        raise CannotRun("it takes root to run it: it starts its runtimes as another user")
    with _folder_of_handler() as folder:
        _write_bootstrap(folder)
        calls, runtime_api = (f"127.0.0.1:{port}" for port in _free_ports())
        command = [str(binary), "--log-level", "error"]
        command += ["--runtime-interface-emulator-address", calls, "--runtime-api-address", runtime_api]
        # /opt is one of the places where it looks for a bootstrap; nobody else shall see ours there.
        inside = 'mount --bind "$0" /opt && exec "$@"'
        apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", inside, str(folder)]
        environment = {**os.environ, "AWS_LAMBDA_MAX_CONCURRENCY": str(RIE_RUNTIMES)}
        child = subprocess.Popen([*apart, *command], env=environment, stdout=subprocess.DEVNULL)
        try:
            wait_until(lambda: _serves(calls, child), f"{RIE_RUNTIMES} runtimes of the Runtime Interface Emulator")
            yield calls
        finally:
            child.kill()  # and with it all that it started; it does not listen to anything less
            child.wait()


@contextmanager
def _folder_of_handler() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "app.py").write_text(functions.NO_OP)
        yield folder


def _write_bootstrap(folder: Path) -> None:
    bootstrap, libraries = folder / "bootstrap", sysconfig.get_path("purelib")
    bootstrap.write_text(
        f"#!/bin/sh\ncd /opt\nexport PYTHONPATH={shlex.quote(libraries)}\n"
        f"exec {shlex.quote(sys.executable)} -m awslambdaric app.handler\n"
    )
    bootstrap.chmod(0o755)


def _free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


def _serves(address: str, child: subprocess.Popen[bytes]) -> bool:
    """Whether it refuses nobody any more."""
    if child.poll() is not None:
        raise CannotRun(f"it ended by itself with status {child.returncode}; can user 993 run {sys.executable}?")
    try:
        return not load(address, PATH, connections=RIE_RUNTIMES // 2, seconds=0.3).errors
    except CannotRun:
        return False  # it does not listen yet
