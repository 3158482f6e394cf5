"""
Images as files. An image is known by what it was made of: where that is the same, nothing is built, saved or loaded again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tools.cluster.commands import say
from tools.cluster.image_builders import ImageBuilder
from tools.cluster.places import Places


@dataclass(frozen=True)
class Recipe:
    image: str
    dockerfile: Path
    context: Path
    arguments: Mapping[str, str] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        digest = hashlib.sha256(self.dockerfile.read_bytes())
        digest.update(repr(sorted(self.arguments.items())).encode())
        digest.update(tree_digest([self.context]).encode())
        return digest.hexdigest()


@dataclass(frozen=True)
class Archive:
    image: str
    identity: str
    """Of the recipe."""
    file: Path


def last_built(image: str, places: Places) -> Archive | None:
    file = _file(image, places)
    if not (file.exists() and _stamp(file).exists()):
        return None
    return Archive(image, _stamp(file).read_text(), file)


def build(recipe: Recipe, builder: ImageBuilder, places: Places) -> Archive:
    say(f"Building {recipe.image}")
    builder.build(recipe.image, recipe.dockerfile, recipe.context, recipe.arguments)
    file = _file(recipe.image, places)
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(f".{os.getpid()}")
    builder.save(recipe.image, fresh)
    _stamp(file).unlink(missing_ok=True)
    fresh.rename(file)
    _stamp(file).write_text(recipe.identity)
    return Archive(recipe.image, recipe.identity, file)


def _file(image: str, places: Places) -> Path:
    return places.archives / f"{image.replace('/', '_').replace(':', '_')}.tar"


def _stamp(file: Path) -> Path:
    return file.with_suffix(".made-of")


def tree_digest(paths: Iterable[Path]) -> str:
    """Of all files there, but what was built from them."""
    digest = hashlib.sha256()
    for top in paths:
        files = sorted(top.rglob("*")) if top.is_dir() else [top]
        for file in files:
            if file.is_file() and not {"build", "__pycache__"} & set(file.parts[len(top.parts) :]):
                digest.update(f"{file.relative_to(top.parent)}\0".encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()
