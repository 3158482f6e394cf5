"""A gateway of a world's own, as a process beside the cluster: its documents are in the API server, and no environment ever comes."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.cluster.operator_world import ROOT, World
from tests.lambda_client import lambda_client
from tests.ports import free_port


@dataclass(frozen=True)
class GatewayProcess:
    process: subprocess.Popen[bytes]
    endpoint: str
    folder: Path

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def client(self) -> Any:
        return lambda_client(self.endpoint)

    async def answers(self, path: str, token: str = "") -> bool:
        """Whether with 200. Only the head is read: the census, for one, has no end."""
        async with aiohttp.ClientSession() as session:
            try:
                headers = {"Authorization": f"Bearer {token}"}
                async with session.get(f"{self.endpoint}{path}", headers=headers) as answer:
                    return answer.status == 200
            except aiohttp.ClientError:
                return False


def start_gateway_process(
    here: World, *, kubeconfig: Path | None = None, name: str = "lambent-gateway-0", **settings: str
) -> GatewayProcess:
    """`settings` are further variables. The world ends it."""
    folder, port = here.folder / name, free_port()
    folder.mkdir(exist_ok=True)
    key = here.folder / "link-key"
    key.write_bytes(bytes(32))
    given = {
        "KUBECONFIG": str(kubeconfig or here.kubeconfig),
        "LAMBENT_DATA_DIR": str(folder / "data"),
        "LAMBENT_POD_NAME": name,
        "LAMBENT_NAMESPACE": here.namespace,
        "LAMBENT_SYSTEM_NAMESPACE": here.system,
        "LAMBENT_ENDPOINT": f"http://127.0.0.1:{port}",
        "LAMBENT_PORT": str(port),
        "LAMBENT_LINK_PORT": str(free_port()),
        "LAMBENT_PEER_PORT": str(free_port()),
        "LAMBENT_LINK_KEY_FILE": str(key),
        "LAMBENT_OPERATOR_ACCOUNT": f"system:serviceaccount:{here.system}:lambent-operator",
    } | settings
    folders = [str(ROOT / each) for each in ("core", "kube", "gateway")]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(folders)} | given
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen([sys.executable, "-m", "lambent_gateway"], env=environ, stderr=log, stdout=log)
    here.processes.append(process)
    return GatewayProcess(process, given["LAMBENT_ENDPOINT"], folder)
