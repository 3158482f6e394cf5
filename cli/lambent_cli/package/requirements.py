"""
Installs `requirements.txt` for the function's runtime, with pip, into a folder of its own.

What was installed for the same text, Python and machine is kept in the user's cache and taken again: a deployment on
every save must not ask a package index each time.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from lambent_cli.failures import Failure

REQUIREMENTS = "requirements.txt"
_PLATFORMS = {"x86_64": "x86_64", "arm64": "aarch64"}
"""Lambda's architectures, as pip names them."""
_LINES_SHOWN = 12


def has_requirements(folder: Path) -> bool:
    """Whether there is anything to install: comments alone are not."""
    file = folder / REQUIREMENTS
    return file.is_file() and any(
        line.strip() and not line.lstrip().startswith("#") for line in file.read_text().splitlines()
    )


def install(folder: Path, *, runtime: str, architecture: str, fresh: bool = False) -> Path:
    """The folder of installed packages. `fresh` installs again what the cache already has."""
    version = _version(runtime)
    key = "\0".join([(folder / REQUIREMENTS).read_text(), version, architecture, platform.machine()])
    target = _cache() / hashlib.sha256(key.encode()).hexdigest()[:32]
    if target.is_dir() and not fresh and not _refers_to_files(folder):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as made:
        site = Path(made) / "site"
        _pip(folder, [*_for_runtime(version, architecture), "--target", str(site)])
        site.mkdir(exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        site.rename(target)
    return target


def _refers_to_files(folder: Path) -> bool:
    """Other files' content (`-r more.txt`, `./library`) is no part of the cache's key."""
    lines = [line.strip() for line in (folder / REQUIREMENTS).read_text().splitlines()]
    return any(line.startswith(("-", ".", "/")) or "file:" in line for line in lines)


def _version(runtime: str) -> str:
    match = re.fullmatch(r"python(3\.\d+)", runtime)
    if match is None:
        raise Failure(
            f"{REQUIREMENTS} is for Python, the function's runtime is {runtime!r}.",
            fix=f"Remove {REQUIREMENTS}, or set runtime to e.g. python3.11.",
        )
    return match[1]


def _for_runtime(version: str, architecture: str) -> list[str]:
    """Options that make pip choose for another Python or machine than its own: then it takes only built packages."""
    machine = _PLATFORMS[architecture]
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    if version == own and platform.machine() == machine:
        return []
    kinds = [f"manylinux{kind}_{machine}" for kind in ("_2_28", "_2_17", "2014")]
    return [
        *(word for kind in kinds for word in ("--platform", kind)),
        *("--implementation", "cp", "--python-version", version, "--only-binary=:all:"),
    ]


def _pip(folder: Path, options: list[str]) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    done = subprocess.run(
        [*command, "--no-input", "--requirement", REQUIREMENTS, *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return
    said = done.stderr.strip() or done.stdout.strip()
    if "No module named pip" in said:
        raise Failure(
            f"{REQUIREMENTS} can't be installed: this Python has no pip.", fix=f"Run: {sys.executable} -m ensurepip"
        )
    last = "\n".join(said.splitlines()[-_LINES_SHOWN:])
    raise Failure(f"pip could not install {folder / REQUIREMENTS}:\n{last}", fix=_fix(options))


def _fix(options: list[str]) -> str:
    if "--only-binary=:all:" in options:
        return "For another Python or machine than this one only built packages (wheels) can be installed."
    return "Mend the line that pip names, then deploy again."


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "lambent" / "requirements"
