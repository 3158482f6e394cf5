"""Where the runtime images are: inside the installed package, or beside it in a checkout."""

from __future__ import annotations

from pathlib import Path


class AgentMissing(Exception):
    """The agent was not built; the message says how."""


def images_folder() -> Path:
    packaged = Path(__file__).parent / "runtime_images"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "runtime-images"


def agent_binary() -> Path:
    """Raises `AgentMissing`."""
    binary = images_folder() / "agent" / "build" / "lambent-agent"
    if not binary.is_file():
        raise AgentMissing(f"{binary} is missing: install the package again (pip install), which builds it")
    return binary
