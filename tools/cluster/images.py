"""Builds Lambent's images, and pushes them to registries."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lambent_core.image_references import InvalidReference, parse
from tools.cluster import debian_base, image_archives
from tools.cluster.commands import ClusterError, CommandFailed, locked, say
from tools.cluster.image_archives import Archive, Recipe, last_built
from tools.cluster.image_builders import Docker, ImageBuilder, image_builder
from tools.cluster.image_contexts import Contexts
from tools.cluster.places import Places


@dataclass(frozen=True)
class Base:
    image: str
    packages: tuple[str, ...]


@dataclass(frozen=True)
class Image:
    name: str
    dockerfile: str
    """Below the checkout."""
    base: Base
    context: Callable[[Contexts], Path]


PYTHON_BASE = Base("localhost/lambent/base-python:dev", ("ca-certificates", "python3"))
IMAGES = (
    Image("localhost/lambent/lambent:dev", "Dockerfile", PYTHON_BASE, Contexts.lambent),
    Image("localhost/lambent/python:dev", "runtime-images/python/Dockerfile", PYTHON_BASE, Contexts.python),
)


def build(places: Places, names: Sequence[str] = (), base: str | None = None) -> list[Archive]:
    """All, or those whose names are given. `base` is used in place of the usual one."""
    builder = image_builder(places)
    with locked(places.cache / "images" / ".lock"):  # a cache may be shared
        return _build(_named(names), builder, base, places)


def _build(wanted: Sequence[Image], builder: ImageBuilder, base: str | None, places: Places) -> list[Archive]:
    own = hashlib.sha256(str(places.checkout).encode()).hexdigest()[:12]  # checkouts that share a cache differ in this
    contexts = Contexts(places.checkout, places.cache / "images" / "contexts" / own)
    contexts.folder.mkdir(parents=True, exist_ok=True)
    archives = []
    for image in wanted:
        base_name = base or _usual_base(image, builder)
        arguments = {"BASE": base_name} if base_name else {}
        recipe = Recipe(image.name, places.checkout / image.dockerfile, image.context(contexts), arguments)
        archive = last_built(image.name, places)
        if archive is None or archive.identity != recipe.identity:
            if base_name == image.base.image:
                debian_base.build(builder, image.base.image, image.base.packages, contexts.folder)
            archive = image_archives.build(recipe, builder, places)
        archives.append(archive)
    return archives


def push(places: Places, registry: str, tag: str, *, plain_http: bool) -> None:
    """What was built last of each, under the names that the chart gives them with this registry and tag."""
    targets = pushed_names(registry, tag)
    archives = [_built(image, places) for image in targets]
    builder = image_builder(places)
    with locked(places.cache / "images" / ".lock"):
        for archive in archives:
            target = targets[archive.image]
            say(f"Pushing {target}")
            try:
                builder.push(archive.file, archive.image, target, plain_http=plain_http)
            except CommandFailed as failed:
                raise ClusterError(f"{target} can't be pushed: {failed.output.strip()}") from failed


def pushed_names(registry: str, tag: str) -> dict[str, str]:
    """By the names that they are built with."""
    names = {image.name: f"{registry}/{parse(image.name).repository}:{tag}" for image in IMAGES}
    try:
        for name in names.values():
            parse(name)
    except InvalidReference as invalid:
        raise ClusterError(
            f"registry {registry!r} and tag {tag!r} make no image's name: {invalid}. "
            "A registry is a host, with its port and a path if need be, without https://"
        ) from None
    return names


def _built(image: str, places: Places) -> Archive:
    archive = last_built(image, places)
    if archive is None:
        raise ClusterError(f"{image} is not built yet: make images")
    return archive


def _named(names: Sequence[str]) -> list[Image]:
    unknown = set(names) - {image.name for image in IMAGES}
    if unknown:
        known = ", ".join(image.name for image in IMAGES)
        raise ClusterError(f"no such image: {', '.join(sorted(unknown))}; there are {known}")
    return [image for image in IMAGES if not names or image.name in names]


def _usual_base(image: Image, builder: ImageBuilder) -> str | None:
    """With Docker the Dockerfile's own, from its registry."""
    return None if isinstance(builder, Docker) else image.base.image
