"""
A real S3 server, versitygw, on a temporary folder; can be killed and started again at its port.

`python -m tests.object_store` builds it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from functools import cache
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

import botocore.session
from botocore.exceptions import BotoCoreError

from lambent_gateway.settings import BucketSettings
from tests.platform_process import wait_for
from tests.ports import free_port
from tools.cluster.binaries import Programs, build
from tools.cluster.places import Places

ROOT = Path(__file__).parents[1]
SERVER = Programs("object-store", ROOT / "tests" / "object-store", ("tool",), ("versitygw",))
KEY_ID, SECRET = "lambent", "not-a-secret"


@cache
def program() -> Path:
    places = Places(ROOT, Path(os.environ.get("LAMBENT_CACHE") or ROOT / ".cache").absolute())
    build(places, [SERVER])
    return places.binaries / "versitygw"


class ObjectStore:
    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="lambent-object-store-"))
        (self._folder / "buckets").mkdir()
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._names = count(1)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def new_bucket(self, prefix: str = "") -> BucketSettings:
        name = f"bucket-{next(self._names)}"
        self.client().create_bucket(Bucket=name)
        return BucketSettings(name, self.endpoint, prefix=prefix, access_key_id=KEY_ID, secret_access_key=SECRET)

    def files(self, bucket: BucketSettings) -> list[Path]:
        """As the server keeps its objects: their times are when they were last put."""
        folder = self._folder / "buckets" / bucket.name
        return [path for path in folder.rglob("*") if path.is_file() and ".sgwtmp" not in path.parts]

    def client(self) -> Any:
        return botocore.session.get_session().create_client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=KEY_ID,
            aws_secret_access_key=SECRET,
        )

    def start(self) -> ObjectStore:
        options = ["--access", KEY_ID, "--secret", SECRET, "--port", f"127.0.0.1:{self._port}", "--quiet"]
        backend = ["posix", "--sidecar", self._folder / "sidecar", self._folder / "buckets"]
        (self._folder / "sidecar").mkdir(exist_ok=True)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen([program(), *options, *backend], stdout=log, stderr=log)
        wait_for("the object store", self._answers)
        return self

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> ObjectStore:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()
        shutil.rmtree(self._folder)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "log").read_text()
        try:
            self.client().list_buckets()
        except BotoCoreError:
            return False
        return True


if __name__ == "__main__":
    program()
