"""Fixtures: the agent built for real, and functions run on it by either client, with Lambda's own paths or without."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from agent_gateway import IMAGES, PYTHON, Gateway, Start, can_mount, zip_of


@pytest.fixture(scope="session")
def agent_binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    go = shutil.which("go")
    if go is None:
        pytest.skip("needs Go to build the agent")
    binary = tmp_path_factory.mktemp("agent") / "lambent-agent"
    subprocess.run(
        [go, "build", "-o", str(binary), "."], cwd=IMAGES / "agent", env={**os.environ, "CGO_ENABLED": "0"}, check=True
    )
    return binary


@pytest.fixture(scope="session")
def official_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with AWS's runtime interface client and what it needs, and nothing else."""
    awslambdaric = pytest.importorskip("awslambdaric")
    folder = tmp_path_factory.mktemp("client", numbered=False)
    installed = Path(awslambdaric.__file__).parents[1]
    for name in ("awslambdaric", "simplejson", "snapshot_restore_py"):
        if (installed / name).exists():
            shutil.copytree(installed / name, folder / name)
    for extension in installed.glob("runtime_client*.so"):
        shutil.copy(extension, folder)
    return folder


@pytest.fixture(params=["paths", "folders"])
def mounts(request: pytest.FixtureRequest) -> bool:
    """`paths`: the function sees /var/task, /opt and /tmp of its own. `folders`: it is told where they are."""
    if request.param == "paths" and not can_mount():
        pytest.skip("needs root and mount namespaces")
    return bool(request.param == "paths")


@pytest.fixture(params=["lambent", "awslambdaric"])
def client(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def start(
    agent_binary: Path, tmp_path: Path, mounts: bool, request: pytest.FixtureRequest
) -> AsyncIterator[Start]:
    """Starts an agent and, unless told otherwise, makes it a Python function of the client under test."""
    async with AsyncExitStack() as stack:
        counter = 0

        async def start(
            source: str | None = None,
            *,
            files: dict[str, str | bytes] | None = None,
            client: str = "lambent",
            prestart: bool = True,
            settings: dict[str, str] | None = None,
            variables: dict[str, str] | None = None,
            handler: str = "app.handler",
            layers: list[dict[str, str | bytes]] | None = None,
            tcp: bool = False,
            **options: Any,
        ) -> Gateway:
            nonlocal counter
            counter += 1
            folder = tmp_path / f"machine-{counter}"
            folder.mkdir()
            gateway = Gateway(folder, "tcp:127.0.0.1:0" if tcp else f"unix:{folder}/gateway.sock")
            await gateway.listen()
            stack.push_async_callback(gateway.close)
            command = gateway.bootstrap(mounts=mounts)
            frames = client == "lambent"
            await gateway.start_agent(
                agent_binary, prestart=command if frames and prestart else [], mounts=mounts, settings=settings
            )
            if source is None and files is None:
                return gateway
            runtime: dict[str, Any] = {"protocol": "frames", "command": command}
            extra: dict[str, str] = {}
            if not frames:
                library = request.getfixturevalue("official_client")
                shutil.copytree(library, folder / "runtime", dirs_exist_ok=True)
                runtime = {"protocol": "api", "command": [PYTHON, "-m", "awslambdaric", handler]}
                extra["PYTHONPATH"] = "/var/runtime"
            packages = [(zip_of({"app.py": source, **(files or {})} if source is not None else files or {}), "task")]
            packages += [(zip_of(layer), "opt") for layer in layers or []]
            await gateway.specialize(
                packages,
                options.pop("runtime", runtime),
                handler=handler,
                variables={**PLATFORM, **extra, **(variables or {})},
                **options,
            )
            return gateway

        yield start


PLATFORM = {
    "AWS_LAMBDA_FUNCTION_NAME": "test",
    "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
    "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/test",
    "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/01/[$LATEST]0123456789abcdef0123456789abcdef",
    "AWS_EXECUTION_ENV": "AWS_Lambda_python3.12",
    "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
    "AWS_REGION": "us-east-1",
    "PATH": "/usr/local/bin:/usr/bin:/bin:/opt/bin",
    "LANG": "en_US.UTF-8",
    "TZ": ":UTC",
}
