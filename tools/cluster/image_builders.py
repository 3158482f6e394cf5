"""Two programs that make images from Dockerfiles: Docker where its engine answers, else buildah, which needs root and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Protocol

from tools.cluster import debian
from tools.cluster.commands import run, succeeds
from tools.cluster.places import Places


class ImageBuilder(Protocol):
    def build(self, image: str, dockerfile: Path, context: Path, arguments: Mapping[str, str]) -> None: ...

    def save(self, image: str, archive: Path) -> None:
        """Writes a Docker archive."""

    def push(self, archive: Path, image: str, target: str, *, plain_http: bool) -> None:
        """Sends what `save` wrote of `image` to a registry, under the name `target`. `plain_http`: also without TLS."""

    def exists(self, image: str) -> bool: ...


@dataclass(frozen=True)
class Docker:
    def build(self, image: str, dockerfile: Path, context: Path, arguments: Mapping[str, str]) -> None:
        given = _build_arguments(arguments)
        run("docker", "build", "--quiet", "--tag", image, "--file", dockerfile, *given, context)

    def save(self, image: str, archive: Path) -> None:
        run("docker", "save", "--output", archive, image)

    def push(self, archive: Path, image: str, target: str, *, plain_http: bool) -> None:
        run("docker", "load", "--quiet", "--input", archive)
        run("docker", "tag", image, target)
        try:
            run("docker", "push", "--quiet", target)  # to whom without TLS is a setting of the engine
        finally:
            run("docker", "image", "rm", "--no-prune", target)  # the name alone

    def exists(self, image: str) -> bool:
        return succeeds("docker", "image", "inspect", image)


@dataclass(frozen=True)
class Buildah:
    storage: Path
    driver: str

    def build(self, image: str, dockerfile: Path, context: Path, arguments: Mapping[str, str]) -> None:
        given = _build_arguments(arguments)
        # chroot: no container engine, no network namespace; layers: what did not change is not done again.
        how = ("--isolation", "chroot", "--layers", "--pull-never", "--quiet")
        self._run("bud", *how, "--tag", image, "--file", dockerfile, *given, context)

    def save(self, image: str, archive: Path) -> None:
        archive.unlink(missing_ok=True)  # it would be added to
        self._run("push", "--quiet", image, f"docker-archive:{archive}:{image}")

    def push(self, archive: Path, image: str, target: str, *, plain_http: bool) -> None:
        found = self._run("pull", "--quiet", f"docker-archive:{archive}:{image}").strip()
        self._run("push", "--quiet", f"--tls-verify={not plain_http}".lower(), found, f"docker://{target}")

    def exists(self, image: str) -> bool:
        return succeeds(*self._command, "inspect", "--type", "image", image, environment=self._environment)

    def _run(self, *words: str | Path) -> str:
        return run(*self._command, *words, environment=self._environment)

    @property
    def _command(self) -> list[str | Path]:
        places = ("--root", self.storage / "root", "--runroot", self.storage / "run")
        return ["buildah", *places, "--storage-driver", self.driver]

    @property
    def _environment(self) -> dict[str, str]:
        return {"TMPDIR": str(self.storage / "tmp"), "BUILDAH_ISOLATION": "chroot"}


def _build_arguments(arguments: Mapping[str, str]) -> list[str]:
    return [word for name, value in sorted(arguments.items()) for word in ("--build-arg", f"{name}={value}")]


def image_builder(places: Places) -> ImageBuilder:
    if docker_engine():
        return Docker()
    debian.install(debian.IMAGE_PACKAGES)
    storage = places.cache / "images"
    (storage / "tmp").mkdir(parents=True, exist_ok=True)
    return Buildah(storage, storage_driver(run("stat", "--file-system", "--format=%T", storage).strip()))


def docker_engine() -> bool:
    return which("docker") is not None and succeeds("docker", "version", "--format", "{{.Server.Version}}")


def storage_driver(file_system: str) -> str:
    """An overlay can't lie on an overlay, which is what a container's own files are."""
    return "vfs" if file_system in ("overlayfs", "UNKNOWN (0x794c7630)") else "overlay"
