"""
The folders in which images are built. A file that is the same as before is left alone, time stamp and all: so layers made of it are
taken from the cache, and only what really changed is built.
"""

from __future__ import annotations

import filecmp
import platform
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tools.cluster.commands import run, say
from tools.cluster.image_archives import tree_digest

PYTHON_VERSION = "3.11"
"""Debian 12's."""
GLIBC_MINOR = 36
"""Debian 12's, for the choice among binary wheels."""
RUNTIME_LIBRARIES = ("boto3", "awslambdaric")
"""What Lambda's Python images have, and the official client for those who choose it."""
SOURCES = (
    "core",
    "kube",
    "gateway",
    "operator",
    "cli",
    "runtime-images",
    "pyproject.toml",
    "hatch_build.py",
    "README.md",
)


@dataclass(frozen=True)
class Contexts:
    checkout: Path
    folder: Path
    """Has one folder per image."""

    def lambent(self) -> Path:
        context = self.folder / "lambent"
        project = tomllib.loads((self.checkout / "pyproject.toml").read_text())["project"]
        self._wheels(context / "wheels", [*project["dependencies"], *project["optional-dependencies"]["postgres"]])
        sync({self._own_wheel().name: self._own_wheel()}, context / "lambent")
        return context

    def python(self) -> Path:
        context = self.folder / "python"
        self._wheels(context / "wheels", RUNTIME_LIBRARIES)
        self._own_wheel()  # builds the agent on its way
        runtime = self.checkout / "runtime-images" / "python"
        modules = {f"lambent_runtime/{file.name}": file for file in (runtime / "lambent_runtime").glob("*.py")}
        sync({"bootstrap.py": runtime / "bootstrap.py", **modules}, context / "runtime")
        agent = self.checkout / "runtime-images" / "agent" / "build" / "lambent-agent"
        copy_if_different(agent, context / "lambent-agent")
        return context

    def _own_wheel(self) -> Path:
        """Made by the project's own build."""
        made = self.folder / "wheel"
        stamp = made / "sources"
        digest = tree_digest(self.checkout / name for name in SOURCES)
        if not (stamp.exists() and stamp.read_text() == digest):
            say("Building the wheel of Lambent")
            shutil.rmtree(made, ignore_errors=True)
            _pip("wheel", "--no-deps", "--wheel-dir", made, self.checkout)
            stamp.write_text(digest)
        return next(made.glob("*.whl"))

    def _wheels(self, folder: Path, requirements: Iterable[str]) -> None:
        """Downloads what an image installs, and pip to install it with: the build itself needs no network."""
        constraints = (self.checkout / "constraints.txt").read_text()
        text = "".join(f"{line}\n" for line in sorted(requirements))
        stamp = folder.with_suffix(".asked")
        asked = f"{platform.machine()}\n{text}{constraints}"
        if stamp.exists() and stamp.read_text() == asked:
            return
        say(f"Downloading what {', '.join(text.split())} need")
        with tempfile.TemporaryDirectory(dir=self.folder) as fresh:
            given = (
                "--constraint",
                self.checkout / "constraints.txt",
                "--requirement",
                Path(fresh) / "requirements.txt",
            )
            (Path(fresh) / "requirements.txt").write_text(text)
            _pip("download", "--only-binary=:all:", *_target(), *given, "--dest", fresh, "pip")
            sync({file.name: file for file in Path(fresh).iterdir()}, folder)
        stamp.write_text(asked)


def _target() -> list[str]:
    """Whatever Python runs this, the wheels are for the image's."""
    machine = platform.machine()
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(GLIBC_MINOR, 4, -1)]
    platforms += [f"manylinux2014_{machine}", f"manylinux2010_{machine}", f"manylinux1_{machine}", f"linux_{machine}"]
    abis = (f"cp{PYTHON_VERSION.replace('.', '')}", "abi3", "none")
    python = ["--python-version", PYTHON_VERSION, "--implementation", "cp"]
    return [*python, *(f"--abi={abi}" for abi in abis), *(f"--platform={name}" for name in platforms)]


def _pip(command: str, *words: str | Path) -> None:
    run(sys.executable, "-m", "pip", command, "--quiet", "--disable-pip-version-check", *words)


def sync(files: dict[str, Path], folder: Path) -> None:
    """Makes `folder` hold these files, by their paths in it, and no others."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif str(path.relative_to(folder)) not in files:
            path.unlink()
    for name, source in files.items():
        copy_if_different(source, folder / name)


def copy_if_different(source: Path, target: Path) -> None:
    if not (target.exists() and filecmp.cmp(source, target, shallow=False)):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
