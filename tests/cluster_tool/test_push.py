"""`make push` for real: what `make images` has built, to a registry that asks for a password."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lambent_core.function import FoundImage
from lambent_gateway.registries.client import Registries
from lambent_gateway.registries.credentials import Credentials
from tests.image_registry.server import HTPASSWD, PASSWORD, USER, ImageRegistry
from tools.cluster import images
from tools.cluster.places import Places

pytestmark = pytest.mark.timeout(1200)
CHECKOUT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("LAMBENT_CACHE") or CHECKOUT / ".cache").absolute()


@pytest.fixture(scope="module")
def cache() -> Path:
    images.build(Places(CHECKOUT, CACHE))
    return CACHE


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[ImageRegistry]:
    (tmp_path / "htpasswd").write_text(HTPASSWD)
    asking = {"htpasswd": {"realm": "test", "path": str(tmp_path / "htpasswd")}}
    with ImageRegistry(tmp_path / "registry", asking) as made:
        yield made


@pytest.fixture
def credentials(registry: ImageRegistry, tmp_path: Path) -> Path:
    """The file that `docker login` and `buildah login` write."""
    token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {registry.address: {"auth": token}}}))
    return tmp_path / "config.json"


def push(cache: Path, registry: str, *options: str, credentials: Path) -> subprocess.CompletedProcess[str]:
    there = {"DOCKER_CONFIG": str(credentials.parent), "REGISTRY_AUTH_FILE": str(credentials)}
    return subprocess.run(
        [sys.executable, "-m", "tools.cluster", "push", registry, "0.1.0", *options],
        cwd=CHECKOUT,
        env={**os.environ, "LAMBENT_CACHE": str(cache), **there},
        capture_output=True,
        text=True,
        check=False,
    )


async def test_all_images_are_pushed_below_one_path(cache: Path, registry: ImageRegistry, credentials: Path) -> None:
    lambent, python = (f"{registry.address}/team/lambent/{name}:0.1.0" for name in ("lambent", "python"))
    done = push(cache, f"{registry.address}/team", "--plain-http", credentials=credentials)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[:-1] == [f"Pushing {lambent}", f"Pushing {python}"]

    registries = Registries(Credentials(credentials))
    await registries.open()
    found = [await registries.find(image, "x86_64") for image in (lambent, python)]
    await registries.close()
    assert found == [
        FoundImage(digest=found[0].digest, command=["python", "-m", "lambent_gateway"]),
        FoundImage(digest=found[1].digest, entry_point=["/usr/local/bin/lambent-agent"]),
    ]


def test_a_registry_refuses_in_its_own_words(cache: Path, registry: ImageRegistry, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    done = push(cache, registry.address, "--plain-http", credentials=tmp_path / "config.json")
    image = f"{registry.address}/lambent/lambent:0.1.0"
    assert (done.returncode, done.stdout) == (1, f"Pushing {image}\n")
    assert done.stderr.startswith(f"error: {image} can't be pushed: ")
    assert "authentication required" in done.stderr or "no basic auth credentials" in done.stderr


def test_what_is_not_built_is_not_pushed(tmp_path: Path) -> None:
    done = push(tmp_path, "registry.example.com", credentials=tmp_path / "none.json")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: localhost/lambent/lambent:dev is not built yet: make images\n"
