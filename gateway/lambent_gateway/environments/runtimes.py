"""
Which of Lambda's runtimes this machine can run, and how: interpreters found, commands built, variables set.

A runtime that is asked for in a version that is not installed runs on the nearest interpreter there is, and `note` says so.
"""

from __future__ import annotations

import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from lambent_core.function import LATEST, Function
from lambent_gateway.environments.runtime_folder import fill, libraries

CLIENT_VARIABLE = "LAMBENT_RUNTIME_CLIENT"
"""Environment variable of a function: `lambent` (default) or `awslambdaric` runs it on AWS's own client."""


_VARIABLES = {
    "LANG": "en_US.UTF-8",
    "LC_CTYPE": "C.UTF-8",
    "TZ": ":UTC",
    "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
    "LD_LIBRARY_PATH": "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib",
    "SHLVL": "0",
}
"""What depends on the image alone ("Using Lambda environment variables", "Defined runtime environment variables")."""


@dataclass(frozen=True, slots=True)
class PoolImage:
    prestart: list[str]
    """Command of the bootstrap that waits for code; empty where nothing can be started before the code is there."""
    folder: Path
    """What stands at /var/runtime."""
    environment: dict[str, str]
    """What a process of this image is started with, pre-started ones too."""


@dataclass(frozen=True, slots=True)
class RuntimeChoice:
    pool: str
    version: str | None
    """As INIT_START tells it, e.g. `python:3.11.v1`; None for a container image, of which it tells none."""
    protocol: Literal["frames", "api"]
    command: list[str]
    environment: dict[str, str]
    note: str | None = None
    working_directory: str | None = None
    """Of a container image's command, where it isn't the image's own."""


class OfferedRuntimes(Protocol):
    """What functions can run on: `Runtimes` of a machine, `PoolRuntimes` of a cluster."""

    @property
    def offered(self) -> list[str]:
        """Lambda's names of the runtimes that there are."""

    @property
    def where(self) -> str:
        """`machine` or `cluster`."""

    @property
    def default_pools(self) -> list[str]:
        """Pools that are filled before any function uses them."""

    def choose(self, function: Function, version: str = LATEST) -> RuntimeChoice | None:
        """
        How to run this function here; None where no runtime of its kind is there.

        `function` is the version in the shape of a function.
        """


class Runtimes:
    """Looks once, at start-up. `mounted`: environments see the image's folder as /var/runtime."""

    def __init__(self, images: Path, data_dir: Path, *, mounted: bool) -> None:
        self._python = data_dir / "runtimes" / "python"
        self._empty = data_dir / "runtimes" / "provided"
        self._empty.mkdir(parents=True, exist_ok=True)
        self._pythons = find_pythons()
        self._seen_at = "/var/runtime" if mounted else str(self._python)
        ours = [images / "python" / name for name in ("bootstrap.py", "lambent_runtime")]
        fill(self._python, [*ours, *libraries()], hidden=Path("/tmp") if mounted else None)  # noqa: S108

    @property
    def offered(self) -> list[str]:
        return [*sorted(f"python{version}" for version in self._pythons), "provided.al2", "provided.al2023"]

    @property
    def where(self) -> str:
        return "machine"

    @property
    def default_pools(self) -> list[str]:
        return [f"python{_own_version()}"]  # newcomers deploy Python first

    def pool(self, name: str) -> PoolImage:
        if name == "provided":
            return PoolImage([], self._empty, _VARIABLES)
        environment = {**_VARIABLES, "PYTHONPATH": self._seen_at}
        return PoolImage(self._bootstrap_command(name.removeprefix("python")), self._python, environment)

    def choose(self, function: Function, version: str = LATEST) -> RuntimeChoice | None:
        runtime = function.spec.runtime or ""
        variables = function.spec.environment.variables if function.spec.environment else {}
        if runtime.startswith("provided"):
            return RuntimeChoice("provided", f"{runtime}.v1", "api", ["/var/task/bootstrap"], _VARIABLES)
        match = re.fullmatch(r"python(3\.\d+)", runtime)
        if match is None:
            return None
        version = match[1] if match[1] in self._pythons else _own_version()
        note = None if version == match[1] else f"{runtime} is not installed here: running on python{version}"
        environment = {**_VARIABLES, "PYTHONPATH": self._seen_at}
        if variables.get(CLIENT_VARIABLE, "lambent") == "awslambdaric":
            command = [self._pythons[version], "-m", "awslambdaric", function.spec.handler or ""]
            environment["PYTHONPATH"] = f"{_of_layers(version)}:{self._seen_at}"
            return RuntimeChoice(f"python{version}", f"python:{version}.v1", "api", command, environment, note)
        return RuntimeChoice(
            f"python{version}", f"python:{version}.v1", "frames", self._bootstrap_command(version), environment, note
        )

    def _bootstrap_command(self, version: str) -> list[str]:
        return [self._pythons[version], f"{self._seen_at}/bootstrap.py"]


def _of_layers(version: str) -> str:
    """Where a Python runtime looks for modules of layers ("Packaging your layer content", "Layer paths for each Lambda runtime")."""
    return f"/opt/python/lib/python{version}/site-packages:/opt/python"


def _own_version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def find_pythons() -> dict[str, str]:
    """Interpreters by version, this one's first."""
    own = _own_version()
    # The interpreter below the virtual environment: functions must not see what Lambent itself is made of.
    base = Path(sys.base_prefix) / "bin" / f"python{own}"
    found = {own: str(base if base.exists() else Path(sys.executable).resolve())}
    for minor in range(9, 20):
        version = f"3.{minor}"
        path = shutil.which(f"python{version}")
        if path and version not in found and "shims" not in path:
            found[version] = path
    return found
