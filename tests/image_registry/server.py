"""
A registry of container images: the CNCF's own, built from its Go module, on a free port of 127.0.0.1. Images are made and pushed here too.

`python -m tests.image_registry.server` builds it.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import tarfile
import urllib.request
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urljoin

import yaml

from tests.chart.rendering import places
from tests.platform_process import wait_for
from tools.cluster.binaries import Programs, build

OCI = "application/vnd.oci.image"
MANIFEST, INDEX, CONFIG, LAYER = (
    f"{OCI}.manifest.v1+json",
    f"{OCI}.index.v1+json",
    f"{OCI}.config.v1+json",
    f"{OCI}.layer.v1.tar+gzip",
)
PROGRAM = Programs("image-registry", Path(__file__).parent, (".",), ("image-registry",))
USER, PASSWORD = "robot", "secret of the test"
HTPASSWD = f"{USER}:$2y$05$abcdefghijklmnopqrstuu95LyQGGdoCER4eJcdZ.L7qa./QGnnUu\n"
"""The password as bcrypt has it."""


@cache
def program() -> Path:
    build(places(), [PROGRAM])
    return places().binaries / "image-registry"


class ImageRegistry:
    """
    Keeps images in `folder`. Another one on the same folder has the same images, and may ask who one is: `auth` of its configuration.

    `host` is where it listens; it is reached at 127.0.0.1 in any case.
    """

    def __init__(self, folder: Path, auth: Mapping[str, Any] | None = None, *, host: str = "127.0.0.1") -> None:
        self._folder = folder
        self._host = host
        self._auth = dict(auth or {})
        self._process: subprocess.Popen[bytes] | None = None
        self.address = ""
        """host:port"""

    def __enter__(self) -> ImageRegistry:
        self._folder.mkdir(parents=True, exist_ok=True)
        kind = "-".join(self._auth) or "open"
        configuration, self._log = self._folder / f"{kind}.yaml", self._folder / f"{kind}.log"
        configuration.write_text(
            yaml.safe_dump(
                {
                    "version": 0.1,
                    "log": {"accesslog": {"disabled": True}},
                    "storage": {"filesystem": {"rootdirectory": str(self._folder)}},
                    "http": {"addr": f"{self._host}:0", "secret": "of the test"},
                    **({"auth": self._auth} if self._auth else {}),
                }
            )
        )
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [program(), "serve", configuration],
                stdout=log,
                stderr=log,
                env={**os.environ, "OTEL_TRACES_EXPORTER": "none"},
            )
        self.address = wait_for("the registry listens", self._listens, 20)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def push(
        self,
        repository: str,
        tag: str,
        *,
        files: Mapping[str, bytes] | None = None,
        architecture: str = "amd64",
        media_types: Sequence[str] = (MANIFEST, CONFIG, LAYER),
        **settings: Any,
    ) -> str:
        """Its digest. `settings` are of the image's configuration: Entrypoint, Cmd, Env, WorkingDir."""
        manifest, config, layer = media_types
        unzipped = archive(files or {})
        configuration = {
            "architecture": architecture,
            "os": "linux",
            "config": settings,
            "rootfs": {"type": "layers", "diff_ids": [digest(unzipped)]},
        }
        document = {
            "schemaVersion": 2,
            "mediaType": manifest,
            "config": self.put_blob(repository, json.dumps(configuration).encode(), config),
            "layers": [self.put_blob(repository, gzip.compress(unzipped, mtime=0), layer)],
        }
        return self.put_manifest(repository, tag, document, manifest)

    def push_index(self, repository: str, tag: str, images: Mapping[str, str], media_type: str = INDEX) -> str:
        """Its digest. `images` are digests by architecture."""
        manifests = []
        for architecture, found in images.items():
            size = len(self._request("GET", f"/v2/{repository}/manifests/{found}", accept=MANIFEST).read())
            platform = {"os": "linux", "architecture": architecture}
            manifests.append({"mediaType": MANIFEST, "digest": found, "size": size, "platform": platform})
        return self.put_manifest(
            repository, tag, {"schemaVersion": 2, "mediaType": media_type, "manifests": manifests}, media_type
        )

    def put_blob(self, repository: str, data: bytes, media_type: str) -> dict[str, Any]:
        place = self._request("POST", f"/v2/{repository}/blobs/uploads/").headers["Location"]
        self._request("PUT", f"{place}&digest={digest(data)}", data, "application/octet-stream")
        return {"mediaType": media_type, "digest": digest(data), "size": len(data)}

    def put_manifest(self, repository: str, tag: str, document: Any, media_type: str) -> str:
        data = json.dumps(document).encode()
        self._request("PUT", f"/v2/{repository}/manifests/{tag}", data, media_type)
        return digest(data)

    def _request(self, method: str, path: str, data: bytes = b"", kind: str = "", accept: str = "*/*") -> Any:
        headers = {"Accept": accept} | ({"Content-Type": kind} if kind else {})
        url = urljoin(f"http://{self.address}", path)
        return urllib.request.urlopen(urllib.request.Request(url, data or None, headers, method=method), timeout=20)

    def _listens(self) -> str:
        assert self._process is not None
        told = self._log.read_text()
        assert self._process.poll() is None, told
        found = re.search(r"listening on .*?:(\d+)[\"\s]", told)
        return f"127.0.0.1:{found[1]}" if found else ""


def archive(files: Mapping[str, bytes]) -> bytes:
    """A layer of files that everybody may read and run."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


if __name__ == "__main__":
    program()
