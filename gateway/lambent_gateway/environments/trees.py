"""
Packages that agents have unpacked, by digest: `<data_dir>/trees/`. Agents make them; they are only looked at and taken away here.
"""

from __future__ import annotations

import shutil
from pathlib import Path


class UnpackedTrees:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def digests(self) -> set[str]:
        return {tree.name for tree in self._folder.glob("[!.]*")}

    def set_aside(self, digest: str) -> Path | None:
        """Takes a tree away from agents at once. It is to be deleted: what a crash leaves is swept as an unfinished one is."""
        aside = self._folder / f".{digest}.aside"
        try:
            (self._folder / digest).rename(aside)
        except FileNotFoundError:
            return None
        return aside


def delete(aside: Path) -> None:
    """Takes as long as there are files."""
    shutil.rmtree(aside, ignore_errors=True)
