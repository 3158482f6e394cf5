"""
Execution environments as child processes of the gateway: local mode, and the integration tests.

Each agent has a folder of its own, a secret, and where the machine allows it a mount namespace and cgroups. Agents outlive a gateway
that is killed: the next one finds their secrets and folders in the data directory and sweeps what nobody comes back for.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import structlog

from lambent_core.pod_sharing import is_further, pod_of
from lambent_core.runtime_pool import AgentId
from lambent_gateway.environments.agents import Decided
from lambent_gateway.environments.link_bodies import Hello
from lambent_gateway.environments.opened_agents import OpenedAgents
from lambent_gateway.environments.provider import Ended
from lambent_gateway.environments.runtimes import Runtimes
from lambent_gateway.environments.sandbox import Cgroups, Sandbox

log = structlog.get_logger(__name__)


LINK_KEY = "link.key"


class ProcessProvider:
    """Owns the agents' processes and folders: `<data_dir>/environments/<agent>/`."""

    def __init__(
        self,
        data_dir: Path,
        *,
        agent_binary: Path,
        runtimes: Runtimes,
        sandbox: Sandbox,
        gateway_address: str,
        new_secret: Callable[[], str],
    ) -> None:
        self._folder = data_dir / "environments"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._trees = data_dir / "trees"
        self._trees.mkdir(exist_ok=True)
        self._blobs = data_dir / "packages"
        self._binary = agent_binary
        self._runtimes = runtimes
        self._sandbox = sandbox
        self._address = gateway_address
        self._new_secret = new_secret
        self._tokens = self._tokens_left_behind()
        self._opened = OpenedAgents(_kept(data_dir / LINK_KEY, new_secret).encode())
        self._children: dict[AgentId, subprocess.Popen[bytes]] = {}
        # Starting a process blocks for a millisecond or two: not on the loop. One thread, so that starts queue up.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="spawn")
        self._cgroups = Cgroups(sandbox, f"lambent-{os.getpid()}")

    def admit(self, hello: Hello, decided: Decided) -> asyncio.Task[None] | None:
        token = self._tokens.get(pod_of(hello.environment))
        known = token is not None and hmac.compare_digest(token.encode(), hello.token.encode())
        if known and is_further(hello.environment):
            decided(self._opened.secret_of(hello))
        else:
            decided("" if known else None)
        return None

    async def spawn(self, agent: AgentId, runtime: str, ended: Ended) -> None:
        token = self._new_secret()
        self._tokens[agent] = token
        loop = asyncio.get_running_loop()
        try:
            child = await loop.run_in_executor(self._starter, self._start, agent, token, runtime)
        except OSError:
            self._forget(agent)
            raise
        self._children[agent] = child
        descriptor = os.pidfd_open(child.pid)

        def reap() -> None:
            loop.remove_reader(descriptor)
            os.close(descriptor)
            status = child.wait()
            log.debug("agent ended", agent=agent, status=status)
            self._children.pop(agent, None)
            self._forget(agent)
            ended("")

        loop.add_reader(descriptor, reap)

    def expect(self, agent: AgentId, revision: str) -> str:
        return self._opened.expect(agent, revision)

    def forget(self, agent: AgentId) -> None:
        self._opened.forget(agent)

    def size(self, agent: AgentId, memory_mb: int, environments: int) -> bool:
        try:
            return self._cgroups.size(agent, memory_mb, environments)
        except OSError as error:
            log.warning("memory limit not set", agent=agent, memory_mb=memory_mb, error=str(error))
            return False

    def end(self, agent: AgentId) -> None:
        child = self._children.get(agent)
        if child is None:
            self._forget(agent)
        else:
            child.send_signal(signal.SIGKILL)
        self._cgroups.end(agent)

    def sweep(self, connected: set[AgentId]) -> None:
        """Forgets agents of an earlier gateway that have not come back."""
        for agent in [AgentId(name) for name in self._tokens]:
            if agent not in connected and agent not in self._children:
                self._forget(agent)
        for unfinished in self._trees.glob(".*"):  # left by agents that were killed while they unpacked
            if unfinished.suffix.removeprefix(".") not in connected:
                shutil.rmtree(unfinished, ignore_errors=True)

    def close(self) -> None:
        """Ends every agent that is still there."""
        for child in list(self._children.values()):
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            child.wait()
        self._starter.shutdown()
        self._cgroups.close()

    def _start(self, agent: AgentId, token: str, runtime: str) -> subprocess.Popen[bytes]:
        folder = self._folder / agent
        folder.mkdir()
        (folder / "token").touch(mode=0o600)
        (folder / "token").write_text(token)
        groups = self._cgroups.make(agent)
        image = self._runtimes.pool(runtime)
        environment = {
            **image.environment,
            "LAMBENT_GATEWAY": self._address,
            "LAMBENT_ENVIRONMENT": agent,
            "LAMBENT_TOKEN": token,
            "LAMBENT_RUNTIME": runtime,
            "LAMBENT_PRESTART": json.dumps(image.prestart),
            "LAMBENT_ROOT": str(folder),
            "LAMBENT_TREES": str(self._trees),
            "LAMBENT_BLOBS": str(self._blobs),
            "LAMBENT_RUNTIME_DIR": str(image.folder),
            "LAMBENT_PLACES": "own" if self._sandbox.mount_namespace == "none" else "bound",
            "LAMBENT_CGROUPS": ":".join(map(str, groups)),
        }
        return subprocess.Popen(
            [*self._sandbox.command, str(self._binary)],
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the gateway, which ends its agents in order
        )

    def _forget(self, agent: AgentId) -> None:
        self._tokens.pop(agent, None)
        self._cgroups.end(agent)
        shutil.rmtree(self._folder / agent, ignore_errors=True)

    def _tokens_left_behind(self) -> dict[str, str]:
        tokens = {}
        for folder in self._folder.iterdir():
            with contextlib.suppress(OSError):
                tokens[folder.name] = (folder / "token").read_text()
        return tokens


def _kept(file: Path, new_secret: Callable[[], str]) -> str:
    """The secret in a file of this user's own, made the first time."""
    if not file.exists():
        new = file.with_suffix(".new")
        new.unlink(missing_ok=True)
        new.touch(mode=0o600)
        new.write_text(new_secret())
        new.rename(file)
    return file.read_text()
