"""
Images of one static program and nothing else, as files that are loaded onto the node: no shell, no C library, no certificates.

`python -m tests.cluster` has built and loaded Lambent's own; these are the users'.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

from tests.chart.rendering import ROOT, places
from tests.image_registry.server import archive
from tools.cluster import providers
from tools.cluster.binaries import Programs, build

PROGRAM = Programs("function-image", Path(__file__).parent / "function_image", (".",), ("function-image",))
ENTRY_POINT = ["/function-image"]
SETTINGS = {"Entrypoint": ENTRY_POINT, "Cmd": ["from-the-image"], "WorkingDir": "/work"}


def settings(version: str) -> dict[str, object]:
    """Of its configuration: the version is a variable."""
    return {**SETTINGS, "Env": [f"IMAGE_VERSION={version}"]}


def files() -> dict[str, bytes]:
    build(places(), [PROGRAM])
    return {"function-image": (places().binaries / "function-image").read_bytes(), "work/.keep": b""}


def loaded(version: str, folder: Path) -> str:
    """The name of an image that the node has; other versions differ in a variable that the image sets."""
    name = f"localhost/lambent/function-image:{version}"
    file = folder / f"function-image-{version}.tar"
    file.write_bytes(docker_archive(name, version))
    provider = providers.current(places())
    assert provider is not None, f"no cluster is in use in {ROOT}"
    provider.load(file, None)
    return name


def docker_archive(name: str, version: str) -> bytes:
    """As `docker save` writes it."""
    unzipped = archive(files())
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": settings(version),
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(unzipped).hexdigest()}"]},
        }
    ).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, content in (("manifest.json", manifest), ("config.json", config), ("layer.tar", unzipped)):
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
