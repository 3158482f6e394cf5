"""The load generator `load/` from Python, and single calls whose time is taken here."""

from __future__ import annotations

import http.client
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from benchmarks.programs import CannotRun, program

INVOKE = "/2015-03-31/functions/{}/invocations"


@dataclass(frozen=True, slots=True)
class Spread:
    """Latencies, milliseconds."""

    count: int
    p50: float
    p90: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class Load:
    count: int
    errors: dict[str, int]
    """By outcome: a status, `function error` or `broken connection`."""
    wall_seconds: float
    rate: float
    """Answers of status 2xx per second."""
    ok: Spread
    by_outcome: dict[str, Spread]

    @property
    def p50_us(self) -> float:
        return self.ok.p50 * 1000


NOTHING = Spread(0, 0.0, 0.0, 0.0, 0.0)


def load(address: str, path: str, *, connections: int, **options: object) -> Load:
    """
    One run of the generator; further options by the names of its flags, `_` for `-`.

    Raises `CannotRun` where it can't go on.
    """
    command = [program("load"), "-address", address, "-path", path, "-connections", str(connections)]
    for name, value in options.items():
        for each in value if isinstance(value, list) else [value]:
            command += [f"-{name.replace('_', '-')}", str(each)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotRun(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
    return _parsed(orjson.loads(done.stdout))


def must_succeed(run: Load) -> Load:
    """A figure over calls of which some failed is none. Raises `CannotRun`."""
    if run.errors or not run.ok.count:
        raise CannotRun(f"calls failed (outcome: count): {run.errors or 'no call was answered'}")
    return run


class Caller:
    """One keep-alive connection for calls that are timed one by one."""

    def __init__(self, address: str) -> None:
        self._connection = http.client.HTTPConnection(address, timeout=60)
        self._connection.connect()

    def call(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Any:
        """The answer's JSON. Raises `CannotRun` for any status but 2xx, and for a function's error."""
        data = b"" if body is None else orjson.dumps(body)
        self._connection.request(method, path, data, {"Content-Type": "application/json", **(headers or {})})
        response = self._connection.getresponse()
        text = response.read()
        if response.status // 100 != 2 or response.getheader("X-Amz-Function-Error"):
            raise CannotRun(f"{method} {path}: {response.status} {text.decode(errors='replace')}")
        return orjson.loads(text) if text else None

    def timed_ms(self, function: str, event: object) -> float:
        """How long an invocation took, from request to answer."""
        began = time.perf_counter()
        self.call("POST", INVOKE.format(function), event)
        return (time.perf_counter() - began) * 1000

    def text(self, path: str) -> str:
        self._connection.request("GET", path)
        return self._connection.getresponse().read().decode()

    def close(self) -> None:
        self._connection.close()


def _parsed(printed: dict[str, Any]) -> Load:
    return Load(
        count=printed["count"],
        errors=printed["errors"],
        wall_seconds=printed["wallSeconds"],
        rate=printed["rate"],
        ok=Spread(**printed["ok"]) if printed["ok"] else NOTHING,
        by_outcome={outcome: Spread(**spread) for outcome, spread in printed["byOutcome"].items()},
    )
