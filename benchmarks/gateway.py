"""A gateway under test: its process, its functions, and the processes below it."""

from __future__ import annotations

import base64
import io
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson

from benchmarks import processes
from benchmarks.client import INVOKE, Caller, load, must_succeed
from benchmarks.programs import CannotRun, Server
from lambent_gateway.runtime_images import agent_binary

FUNCTION = "/2015-03-31/functions/{}"
WAIT_SECONDS_MAX = 60.0
QUIET_SECONDS = 0.03
ROLE = "arn:aws:iam::000000000000:role/benchmark"


class Gateway:
    """Serves on a free port with a data directory of its own; both are gone after the block. Keywords are those of ScalingSettings."""

    def __init__(self, *, agent: str | None = None, **scaling: float) -> None:
        # Not below /tmp: functions have a /tmp of their own and could leave no evidence there.
        self.data_dir = Path(tempfile.mkdtemp(prefix="lambent-bench-", dir="/var/tmp"))
        self._agent = Path(agent) if agent else agent_binary().resolve()
        given = {"data_dir": str(self.data_dir), "agent": agent, "scaling": scaling}
        self._command = [sys.executable, "-m", "benchmarks.serve", orjson.dumps(given).decode()]
        try:
            self._start()
        except CannotRun:
            shutil.rmtree(self.data_dir, ignore_errors=True)
            raise

    def _start(self) -> None:
        self.server = Server(self._command)
        self.address = self.server.address
        self.caller = Caller(self.address)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.caller.close()
        self.server.end()
        shutil.rmtree(self.data_dir, ignore_errors=True)

    def crash_and_restart(self) -> None:
        """`kill -9` of the gateway alone, then another one on the same data directory."""
        self.caller.close()
        self.server.kill()
        self._start()

    @property
    def pid(self) -> int:
        return self.server.pid

    def agents(self) -> list[int]:
        return [pid for pid in processes.descendants(self.pid) if processes.runs(pid, self._agent)]

    def runtimes(self) -> list[int]:
        """What the agents started."""
        return [pid for pid in processes.descendants(self.pid) if not processes.runs(pid, self._agent)]

    def create(self, name: str, source: str, **members: object) -> None:
        """Creates a Python function and waits until it is Active. `members` are those of CreateFunction."""
        body = {
            "FunctionName": name,
            "Runtime": f"python3.{sys.version_info.minor}",
            "Role": ROLE,
            "Handler": "app.handler",
            "Timeout": 30,
            "Code": {"ZipFile": base64.b64encode(package(source)).decode()},
            **members,
        }
        self.caller.call("POST", "/2015-03-31/functions", body)
        wait_until(lambda: self._state(name) == "Active", f"function {name} to be Active")

    def delete(self, name: str) -> None:
        self.caller.call("DELETE", FUNCTION.format(name))

    def reserve(self, name: str, concurrency: int) -> None:
        """Reserved concurrency of a function."""
        body = {"ReservedConcurrentExecutions": concurrency}
        self.caller.call("PUT", f"/2017-10-31/functions/{name}/concurrency", body)

    def wait_for_pool(self, size: int) -> None:
        """Until so many pre-started runtimes wait for code, and nothing below the gateway computes any more."""
        wait_until(lambda: self.metric("lambent_pool_runtimes", state="ready") >= size, f"{size} pre-started runtimes")
        self.wait_until_quiet()

    def warm_up(self, name: str, environments: int) -> None:
        """Calls a function from as many connections until it has that many environments that serve, and no other is on its way."""

        def warm() -> bool:
            must_succeed(load(self.address, INVOKE.format(name), connections=environments, seconds=0.2))
            return self.metric("lambent_environments", function=name) >= environments

        wait_until(warm, f"{environments} environments of {name}")
        self.wait_until_quiet()

    def wait_until_quiet(self) -> None:
        """Until neither the gateway nor what it started has used processor time for a while."""
        before = -1.0

        def quiet() -> bool:
            nonlocal before
            time.sleep(QUIET_SECONDS)
            earlier, before = before, processes.cpu_seconds([self.pid, *processes.descendants(self.pid)])
            return before == earlier

        wait_until(quiet, "a quiet gateway")

    def metric(self, name: str, **labels: str) -> float:
        """Sum of a metric's samples that carry these labels."""
        return metric(self.caller.text("/metrics"), name, **labels)

    def _state(self, name: str) -> str:
        return str(self.caller.call("GET", FUNCTION.format(name) + "/configuration")["State"])


def metric(text: str, name: str, **labels: str) -> float:
    """Sum of a metric's samples that carry these labels, in what /metrics says."""
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    lines = (line for line in text.splitlines() if line.startswith((name + "{", name + " ")))
    return sum(float(line.rpartition(" ")[2]) for line in lines if all(label in line for label in wanted))


def wait_until(
    true: Callable[[], bool], what: str, *, seconds_max: float = WAIT_SECONDS_MAX, poll_seconds: float = 0.005
) -> None:
    """Raises `CannotRun` when it is in vain."""
    deadline = time.monotonic() + seconds_max
    while not true():
        if time.monotonic() > deadline:
            raise CannotRun(f"waited {seconds_max:.0f} s in vain for {what}")
        time.sleep(poll_seconds)


def package(source: str) -> bytes:
    """A ZIP file with the function's one module."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("app.py", source)
    return target.getvalue()
