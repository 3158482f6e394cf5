"""
A PostgreSQL of its own in a temporary folder, reached by a socket there or by TCP; can be killed and started again.

PostgreSQL refuses to run as root, so root starts it as `nobody`. `python -m tests.postgres_server` installs Debian's where there
is none.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import urllib.parse
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg
import pytest

from tests.platform_process import wait_for
from tests.ports import free_port
from tools.cluster import debian

PACKAGES = {"postgresql-15": "/usr/lib/postgresql/15/bin/postgres"}
"""Debian 12's."""
DATABASE = "postgres"


def installed() -> str | Path | None:
    """The newest PostgreSQL server on this machine."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    return debian[-1] if debian else shutil.which("postgres")


def programs() -> Path:
    """Its folder. Skips the test where there is none."""
    found = installed()
    if not found:
        pytest.skip("no PostgreSQL server: as root, `python -m tests.postgres_server` installs Debian's")
    return Path(found).parent


class PostgresServer:
    """
    `durable`: waits for the disk at each commit, as it must where somebody pulls the plug.

    `address`: it listens there, on a port of its own, for those who know its password; else on a socket alone.
    """

    def __init__(self, *, durable: bool, address: str | None = None) -> None:
        self._address = address
        self._port = free_port(address) if address else 0
        self._password = secrets.token_hex(16)
        self._programs = programs()
        self._user = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        # Not pytest's own folders: another user can't enter them, and a socket's path has at most 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="lambent-postgres-"))
        os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)
        self._options = () if durable else ("-c", "fsync=off")
        self._process: subprocess.Popen[bytes] | None = None
        self._schemas = count(1)
        self._run("initdb", "--pgdata", str(self._data), "--username=lambent", "--auth=trust", "--no-sync")
        if address:
            with (self._data / "pg_hba.conf").open("a") as access:
                access.write("host all lambent all scram-sha-256\n")

    @property
    def remote_connection_string(self) -> str:
        """For those who reach its address. It must have been started."""
        with psycopg.connect(self.connection_string, autocommit=True) as connection:
            connection.execute(f"ALTER USER lambent PASSWORD '{self._password}'".encode())
        host = f"[{self._address}]" if ":" in str(self._address) else self._address
        return f"postgresql://lambent:{self._password}@{host}:{self._port}/{DATABASE}?connect_timeout=5"

    @property
    def connection_string(self) -> str:
        port = f"&port={self._port}" if self._port else ""
        return f"postgresql://lambent@/{DATABASE}?host={urllib.parse.quote(str(self.folder), safe='')}{port}"

    def new_schema(self) -> str:
        """The connection string of an empty place in the database."""
        name = f"s{next(self._schemas)}"
        with psycopg.connect(self.connection_string, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}".encode())
        return f"{self.connection_string}&options={urllib.parse.quote(f'-c search_path={name}')}"

    def start(self) -> PostgresServer:
        """Returns when it takes connections, after whatever there is to recover."""
        wait_for("the children of a killed server end, and another starts", self._started, 60)
        return self

    def kill(self) -> None:
        """SIGKILL, to it and all its children: none of them can write a last word."""
        assert self._process is not None
        children = _children(self._process.pid)
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        self._process = None

    def __enter__(self) -> PostgresServer:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)  # "fast": ends the sessions
            self._process.wait(30)
        shutil.rmtree(self.folder)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _started(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            listens = [
                "-c",
                f"listen_addresses={self._address or ''}",
                *(["-p", str(self._port)] if self._port else []),
            ]
            command = [self._programs / "postgres", "-D", self._data, "-k", self.folder, *listens]
            with (self.folder / "log").open("ab") as log:
                self._process = subprocess.Popen([*command, *self._options], stdout=log, stderr=log, **self._as_user())
        try:
            psycopg.connect(self.connection_string, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run([self._programs / program, *arguments], capture_output=True, text=True, **self._as_user())
        assert done.returncode == 0, done.stderr

    def _as_user(self) -> dict[str, Any]:
        if os.geteuid() != 0:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": [], "cwd": "/"}


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


if __name__ == "__main__" and not installed():
    debian.install(PACKAGES)
