"""
A gateway of one agent for tests: starts the agent for real, speaks the env link with it, and collects what it answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import json
import os
import shutil
import sys
import time
import zipfile
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lambent_core import link
from lambent_core.link import Frame, FrameReader, FrameType, InvokeHead, Report

IMAGES = Path(__file__).parents[3] / "runtime-images"
PYTHON = str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}")
PATIENCE_SECONDS = 20.0
TOKEN = "secret of the test"
ARN = "arn:aws:lambda:us-east-1:000000000000:function:test"


@dataclass
class Answer:
    """All that an agent sent for one invocation."""

    payload: bytes = b""
    error_type: str = ""
    log: bytearray = field(default_factory=bytearray)
    content_type: str | None = None
    chunks: list[bytes] = field(default_factory=list)
    stream_error: tuple[str, bytes] | None = None
    report: Report | None = None

    @property
    def value(self) -> Any:
        return json.loads(self.payload)

    @property
    def ended(self) -> Report:
        assert self.report is not None
        return self.report


class Peer:
    """One connection of an agent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.frames: asyncio.Queue[Frame | None] = asyncio.Queue()
        self._task = asyncio.get_running_loop().create_task(self._read(reader))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        cut = FrameReader()
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                for frame in cut.feed(data):
                    self.frames.put_nowait(frame)
        self.frames.put_nowait(None)

    async def next(self, *types: FrameType) -> Frame:
        """The next frame, which must be one of these types."""
        frame = await asyncio.wait_for(self.frames.get(), PATIENCE_SECONDS)
        assert frame is not None, "the agent closed the connection"
        assert not types or frame.type in types, f"{FrameType(frame.type).name}: {frame.body[:500]!r}"
        return frame

    async def closed(self) -> None:
        while await asyncio.wait_for(self.frames.get(), PATIENCE_SECONDS) is not None:
            pass

    def send(self, type: FrameType, body: object = None, *, flags: int = 0) -> None:
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        self.writer.write(link.encode(type, data, flags=flags))

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()
        await self._task


@dataclass
class Gateway:
    """Listens, knows the packages, and has at most one agent; each environment that was opened beside it has a view of its own."""

    folder: Path
    address: str
    agent: asyncio.subprocess.Process | None = None
    peer: Peer | None = None
    hello: dict[str, Any] = field(default_factory=dict)
    outside_log: bytes = b""
    packages: dict[str, bytes] = field(default_factory=dict)
    specialization: dict[str, Any] = field(default_factory=dict)
    init: dict[str, Any] = field(default_factory=dict)
    requests: int = 0
    environment: str = "environment-1"
    _arrivals: dict[str, asyncio.Queue[tuple[Peer, dict[str, Any]]]] = field(
        default_factory=lambda: defaultdict(asyncio.Queue)
    )
    _peers: list[Peer] = field(default_factory=list)
    _server: asyncio.Server | None = None

    async def listen(self) -> None:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            peer = Peer(reader, writer)
            self._peers.append(peer)
            hello = json.loads((await peer.next(FrameType.HELLO)).body)
            self._arrivals[hello["environment"]].put_nowait((peer, hello))

        kind, _, path = self.address.partition(":")
        if kind == "unix":
            Path(path).unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(connected, path)
        else:
            self._server = await asyncio.start_server(connected, "127.0.0.1", int(path.rpartition(":")[2]))
            self.address = f"tcp:127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop_listening(self) -> None:
        assert self._server is not None
        self._server.close()

    async def welcome(self) -> Peer:
        """Takes the environment's next connection and its HELLO."""
        peer, self.hello = await asyncio.wait_for(self._arrivals[self.environment].get(), PATIENCE_SECONDS)
        peer.send(FrameType.WELCOME, {"secret": "known to both"})
        self.peer = peer
        return peer

    def ask_to_open(self, number: int = 1) -> Gateway:
        """OPEN; the further environment as its gateway sees it, before its first HELLO."""
        assert self.peer is not None
        name = f"{self.environment}/{number}"
        beside = replace(self, agent=None, peer=None, environment=name, hello={}, outside_log=b"")
        self.peer.send(FrameType.OPEN, {"environment": beside.environment, "secret": f"of {number}"})
        return beside

    async def open(self, number: int = 1) -> Gateway:
        beside = self.ask_to_open(number)
        await beside.welcome()
        return beside

    async def specialize(
        self,
        packages: list[tuple[bytes, str]],
        runtime: dict[str, Any],
        *,
        handler: str = "app.handler",
        variables: Mapping[str, str] | None = None,
        timeout_ms: int = 10_000,
        init_timeout_ms: int = 10_000,
        memory_limit_bytes: int = 0,
    ) -> dict[str, Any]:
        """SPECIALIZE, and INIT's answer."""
        listed = []
        for package, target in packages:
            digest = hashlib.sha256(package).hexdigest()
            self.packages[digest] = package
            listed.append({"sha256": digest, "size": len(package), "target": target})
        self.specialization = {
            "revision": "revision 1",
            "function": {
                "name": "test",
                "version": "$LATEST",
                "arn": ARN,
                "memoryMb": 128,
                "timeoutMs": timeout_ms,
            },
            "handler": handler,
            "runtime": runtime,
            "environment": dict(variables or {}),
            "packages": listed,
            "initTimeoutMs": init_timeout_ms,
            "memoryLimitBytes": memory_limit_bytes,
        }
        return await self.specialize_again()

    async def specialize_again(self) -> dict[str, Any]:
        """The same for an environment beside that one."""
        assert self.peer is not None
        self.peer.send(FrameType.SPECIALIZE, self.specialization)
        while True:
            frame = await self.peer.next(FrameType.INIT, FrameType.LOG, FrameType.FETCH)
            if frame.type == FrameType.INIT:
                self.init = json.loads(frame.body)
                return self.init
            if frame.type == FrameType.FETCH:
                self._send_package(json.loads(frame.body)["sha256"])
            else:
                self.outside_log += frame.body

    def _send_package(self, digest: str) -> None:
        assert self.peer is not None
        package = self.packages.get(digest)
        if package is None:
            self.peer.send(FrameType.BLOB, flags=link.BLOB_ABSENT | link.BLOB_LAST)
            return
        half = len(package) // 2
        self.peer.send(FrameType.BLOB, package[:half])
        self.peer.send(FrameType.BLOB, package[half:], flags=link.BLOB_LAST)

    def send_invoke(
        self, payload: object = None, *, head: InvokeHead | None = None, stream: bool = False, timeout_ms: int = 10_000
    ) -> str:
        """INVOKE; the answer is to be collected. Returns the request id."""
        assert self.peer is not None
        self.requests += 1
        head = head or InvokeHead(
            f"00000000-0000-0000-0000-{self.requests:012}", ARN, "Root=1-5759e988-bd862e3fe1be46a994272793"
        )
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        deadline_ms = int(time.time() * 1000) + timeout_ms
        self.peer.writer.write(link.encode_invoke(deadline_ms, head, data, stream=stream))
        return head.request_id

    async def collect(self) -> Answer:
        """Everything up to REPORT."""
        assert self.peer is not None
        answer = Answer()
        while True:
            frame = await self.peer.next()
            match frame.type:
                case FrameType.LOG if frame.flags & link.LOG_OUTSIDE:
                    self.outside_log += frame.body
                case FrameType.LOG:
                    answer.log += frame.body
                case FrameType.RESPONSE:
                    answer.payload = frame.body
                case FrameType.ERROR:
                    answer.error_type, answer.payload = link.decode_error(frame.body)
                case FrameType.STREAM_START:
                    answer.content_type = frame.body.decode()
                case FrameType.STREAM_CHUNK:
                    answer.chunks.append(frame.body)
                case FrameType.STREAM_END:
                    answer.stream_error = link.decode_error(frame.body) if frame.body else None
                case FrameType.REPORT:
                    answer.report = link.decode_report(frame.body)
                    return answer
                case _:
                    raise AssertionError(f"unexpected {FrameType(frame.type).name}")

    async def invoke(self, payload: object = None, **options: Any) -> Answer:
        self.send_invoke(payload, **options)
        return await self.collect()

    def bootstrap(self, *, mounts: bool) -> list[str]:
        """The command of our own runtime, at the place where the environment sees it."""
        folder = Path("/var/runtime") if mounts else self.folder / "runtime"
        return [PYTHON, str(folder / "bootstrap.py")]

    async def start_agent(
        self,
        binary: Path,
        *,
        prestart: list[str],
        mounts: bool,
        settings: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> None:
        """`directory` is where it starts; its own program's folder need not be that of the function."""
        root = self.folder / "environment"
        root.mkdir()
        environment = {
            "PATH": os.environ["PATH"],
            "LAMBENT_GATEWAY": self.address,
            "LAMBENT_ENVIRONMENT": self.environment,
            "LAMBENT_TOKEN": TOKEN,
            "LAMBENT_RUNTIME": "python",
            "LAMBENT_PRESTART": json.dumps(prestart),
            "LAMBENT_ROOT": str(root),
            "LAMBENT_TREES": str(self.folder / "trees"),
            "LAMBENT_RUNTIME_DIR": str(self.folder / "runtime"),
            "LAMBENT_PLACES": "bound" if mounts else "own",
            **(settings or {}),
        }
        shutil.copytree(IMAGES / "python", self.folder / "runtime", dirs_exist_ok=True)
        before = ["unshare", "--mount", "--propagation", "private"] if mounts else []
        self.agent = await asyncio.create_subprocess_exec(
            *before,
            str(binary),
            env=environment,
            cwd=directory,
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        await self.welcome()

    async def agent_ended(self) -> int:
        assert self.agent is not None
        return await asyncio.wait_for(self.agent.wait(), PATIENCE_SECONDS)

    async def close(self) -> None:
        if self.agent is not None and self.agent.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.agent.kill()
            await self.agent.wait()
        for peer in self._peers:
            await peer.close()
        if self._server is not None:
            self._server.close()


def zip_of(files: Mapping[str, str | bytes]) -> bytes:
    """A ZIP of files that everybody may read and run."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            entry.external_attr = 0o755 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return buffer.getvalue()


def children(pid: int) -> list[int]:
    return [int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]


def alive(pid: int) -> bool:
    path = Path(f"/proc/{pid}/stat")
    return path.exists() and path.read_text().rsplit(")", 1)[1].split()[0] != "Z"


async def gone(pid: int) -> None:
    async with asyncio.timeout(10):
        while alive(pid):
            await asyncio.sleep(0.01)


def can_mount() -> bool:
    return os.geteuid() == 0 and shutil.which("unshare") is not None and os.system("unshare -m true 2>/dev/null") == 0


Start = Callable[..., Awaitable[Gateway]]
"""What the fixture `start` is."""
