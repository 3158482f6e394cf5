"""A base image made from Debian's packages, where no registry can be asked for one."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tools.cluster import debian
from tools.cluster.commands import run, say
from tools.cluster.image_builders import ImageBuilder

SUITE = "bookworm"
DOCKERFILE = "FROM scratch\nADD root.tar /\nENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
UNNEEDED = (
    "dev/*",
    "tmp/*",
    "var/cache/apt/*",
    "var/cache/debconf/*-old",
    "var/lib/apt/lists/*",
    "var/lib/dpkg/*-old",
    "var/log/*",
    "usr/share/info/*",
    "usr/share/lintian/*",
    "usr/share/locale/*",
    "usr/share/man/*",
)
"""Of no use in a container, and half of what there is."""


def build(builder: ImageBuilder, image: str, packages: tuple[str, ...], folder: Path) -> None:
    """Once: to have newer packages, remove the cache. `folder` has room for some hundred MB."""
    if builder.exists(image):
        return
    say(f"Making {image} from Debian's packages")
    with tempfile.TemporaryDirectory(dir=folder) as made:
        root, context = Path(made) / "root", Path(made) / "context"
        context.mkdir()
        including = f"--include={','.join(packages)}"
        run("debootstrap", "--variant=minbase", including, SUITE, root, *debian.mirrors(SUITE)[:1])
        _strip(root)
        # Not COPY: it would give every file to root.
        run("tar", "--numeric-owner", "--directory", root, "--create", "--file", context / "root.tar", ".")
        shutil.rmtree(root)
        (context / "Dockerfile").write_text(DOCKERFILE)
        builder.build(image, context / "Dockerfile", context, {})


def _strip(root: Path) -> None:
    for pattern in UNNEEDED:
        for path in root.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    for path in (root / "usr/share/doc").rglob("*"):
        if path.name != "copyright" and not path.is_dir():  # licences stay with what they are about
            path.unlink()
