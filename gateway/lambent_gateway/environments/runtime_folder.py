"""
The folder that functions see as /var/runtime: the bootstrap, and the libraries that Lambda's images bring beside the standard library.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

LIBRARIES = ("boto3", "awslambdaric")
"""What Lambda's Python images have (and the official client, for those who choose it)."""


def libraries() -> list[Path]:
    """Files and folders of `LIBRARIES` and of all they need; of nothing else that is installed here."""
    found: dict[Path, None] = {}
    for name in sorted(_with_requirements(LIBRARIES)):
        for file in importlib.metadata.files(name) or []:
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not top.endswith(".pth"):
                found[Path(str(importlib.metadata.distribution(name).locate_file(top))).resolve()] = None
    return list(found)


def fill(folder: Path, contents: Iterable[Path], *, hidden: Path | None) -> None:
    """
    Makes `folder` show these files and folders, and nothing else.

    By links, except for what is below `hidden`: an environment has a folder of its own there, and a link into it would lead nowhere.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {path.name: path for path in contents}
    for entry in folder.iterdir():
        source = wanted.get(entry.name)
        if (
            source is None
            or entry.is_symlink() != _can_link(source, hidden)
            or (entry.is_symlink() and entry.readlink() != source)
        ):
            _remove(entry)
    for name, source in wanted.items():
        entry = folder / name
        if entry.is_symlink():
            continue
        if _can_link(source, hidden):
            entry.symlink_to(source)
        elif source.is_dir():
            shutil.copytree(source, entry, copy_function=_copy, dirs_exist_ok=True)
        else:
            _copy(str(source), str(entry))


def _can_link(source: Path, hidden: Path | None) -> bool:
    return hidden is None or not source.is_relative_to(hidden)


def _copy(source: str, target: str) -> str:
    """A hard link where that is possible: it costs no room and takes no time."""
    Path(target).unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink()


def _with_requirements(names: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = re.split(r"[ ;<>=!~\[(]", waiting.pop(), maxsplit=1)[0].lower()
        try:
            requirements = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        if name not in found:
            found.add(name)
            waiting += [line for line in requirements if "extra ==" not in line]
    return found
