"""A platform in a process of its own, on a free port, with settings that a test chooses; can be stopped, killed and started again."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from tests.lambda_client import lambda_client

ROOT = Path(__file__).parents[1]
SERVE = """
import json, sys
from pathlib import Path
from lambent_gateway import local
from lambent_gateway.settings import AsyncSettings, ScalingSettings, ServerSettings, Settings
given = json.loads(sys.argv[1])
settings = Settings(
    data_dir=Path(given["data_dir"]),
    server=ServerSettings(**given["server"]),
    scaling=ScalingSettings(**given["scaling"]),
    log_level="info",
    postgres=given["postgres"],
)
local.up(settings, ready=lambda started: print(started.endpoint, flush=True))
"""
ROLE = "arn:aws:iam::000000000000:role/any"


def package(files: Mapping[str, str | bytes]) -> bytes:
    """A ZIP of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            entry.external_attr = 0o755 << 16
            archive.writestr(entry, text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def wait_for(what: str, condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """What `condition` answers, as soon as it is true."""
    deadline = monotonic() + seconds
    while monotonic() < deadline:
        found = condition()
        if found:
            return found
        sleep(0.02)
    raise AssertionError(f"{what}: not within {seconds} s")


class Platform:
    def __init__(self, data_dir: Path, *, postgres: str | None = None, serve: str = SERVE, **settings: Any) -> None:
        """`serve` is the program that makes a platform of the JSON in its argument, and prints the endpoint."""
        self.data_dir = data_dir
        self.serve = serve
        self.postgres = postgres
        self.server = {"port": 0, "drain_seconds": 10.0, **settings.pop("server", {})}
        self.scaling = {"pool_size": 2, **settings}
        self.log = data_dir.parent / f"{data_dir.name}.log"
        self.process: subprocess.Popen[str]
        self.endpoint = ""

    def start(self) -> Platform:
        given = {
            "data_dir": str(self.data_dir),
            "server": self.server,
            "scaling": self.scaling,
            "postgres": self.postgres,
        }
        folders = ":".join(str(ROOT / name) for name in ("core", "gateway", "cli"))
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", self.serve, json.dumps(given)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "PYTHONPATH": folders},
            )
        assert self.process.stdout is not None
        with self.process.stdout as output:
            self.endpoint = output.readline().strip()
        assert self.endpoint, self.log.read_text()[-3000:]
        # The next start takes the same port, so that clients and agents find it again.
        self.server["port"] = int(self.endpoint.rpartition(":")[2])
        wait_for("the platform", lambda: self.get("/readyz")[0] == 200)
        return self

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Whatever state it is in; agents that a killed gateway left behind find no other and are ended too."""
        if self.process.poll() is None:
            self.stop()
        for pid in self.agents():
            os.kill(pid, signal.SIGKILL)

    def client(self, **config: Any) -> Any:
        return lambda_client(self.endpoint, **{"read_timeout": 60, "max_pool_connections": 500, **config})

    def function(self, name: str, source: str | Mapping[str, str | bytes], **configuration: Any) -> str:
        """Makes a function of `app.handler` and waits until it is Active."""
        files = {"app.py": source} if isinstance(source, str) else source
        settings = {"Runtime": "python3.11", "Handler": "app.handler", "Role": ROLE, **configuration}
        client = self.client()
        client.create_function(FunctionName=name, Code={"ZipFile": package(files)}, **settings)
        client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
        return name

    def apply(self, name: str, source: str, **spec: Any) -> None:
        """A manifest with the source as inline code."""
        spec = {"runtime": "python3.11", "handler": "app.handler", "code": {"inline": source}, **spec}
        manifest = {"apiVersion": "lambent.dev/v1", "kind": "Function", "metadata": {"name": name}, "spec": spec}
        url = f"{self.endpoint}/lambent/v1/functions/{name}"
        request = urllib.request.Request(url, json.dumps(manifest).encode(), method="PUT")
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status in (200, 201)

    def invoke(self, name: str, payload: object = None, **parameters: Any) -> dict[str, Any]:
        """boto3's answer, with Payload read and parsed."""
        answer = self.client().invoke(FunctionName=name, Payload=json.dumps(payload or {}).encode(), **parameters)
        body = answer["Payload"].read()
        return {**answer, "Payload": json.loads(body) if body else None}

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(self.endpoint + path, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metric(self, name: str, **labels: str) -> float:
        """The sum over all series that have these labels."""
        total = 0.0
        for line in self.get("/metrics")[1].splitlines():
            found = re.fullmatch(rf"{name}(?:\{{(.*)\}})? ([-0-9.e+]+)", line)
            if found and all(f'{key}="{value}"' in (found[1] or "") for key, value in labels.items()):
                total += float(found[2])
        return total

    def logs(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.get(f"/lambent/v1/functions/{name}/logs")[1].splitlines()]

    def agents(self) -> list[int]:
        """Processes of agents that belong to this data directory."""
        return [pid for pid, environment in _processes() if f"LAMBENT_ROOT={self.data_dir}/" in environment]


def _processes() -> Iterator[tuple[int, str]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                yield int(folder.name), (folder / "environ").read_text(errors="replace")
            except OSError:
                continue
