"""The API on stores in memory, called in the way a server calls it."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from fastapi import APIRouter, FastAPI

from lambent_core.caller import Caller
from lambent_core.function import FoundImage
from lambent_core.images import ImageProblem, absent_image
from lambent_core.operations import OperationTable
from lambent_gateway.api.app import build_app
from lambent_gateway.api.calls import Functions, Parts
from lambent_gateway.api.layer_versions import LayerVersions
from lambent_gateway.api.qualified import Qualified
from lambent_gateway.api.service_model import load_service_model
from lambent_gateway.drivers.deployment import Deployments
from lambent_gateway.stores.memory import MemoryDocuments, MemoryPackages

MODEL = load_service_model()
NOW = 1_795_486_086.25
ROLE = "arn:aws:iam::000000000000:role/any"


class KnownImages:
    """A registry of what tests push into it."""

    def __init__(self) -> None:
        self.found: dict[str, FoundImage | ImageProblem] = {}
        self.asked: list[tuple[str, str]] = []

    async def find(self, uri: str, architecture: str) -> FoundImage:
        self.asked.append((uri, architecture))
        found = self.found.get(uri) or absent_image(uri, "registry.example.com")
        if isinstance(found, ImageProblem):
            raise found
        return msgspec.structs.replace(found, architecture=architecture)


class StoppedClock:
    def time(self) -> float:
        return NOW


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    """By lower-case name."""
    content: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.content)


@dataclass
class Api:
    documents: MemoryDocuments
    packages: MemoryPackages
    deployments: Deployments
    images: KnownImages
    app: FastAPI = field(init=False)

    async def request(
        self,
        method: str,
        path: str,
        document: Any = None,
        *,
        query: str = "",
        body: bytes = b"",
        region: str = "us-east-1",
    ) -> Answer:
        """`path` percent-encoded."""
        content = json.dumps(document).encode() if document is not None else body
        authorization = f"AWS4-HMAC-SHA256 Credential=AKID/20261124/{region}/lambda/aws4_request, Signature=0"
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(b"host", b"lambda.test:9000"), (b"authorization", authorization.encode())],
            "server": ("127.0.0.1", 1),
        }
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        headers = {key.decode().lower(): value.decode() for key, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:]))

    async def create(self, name: str = "fn", **members: Any) -> Answer:
        given = {"FunctionName": name, "Runtime": "python3.11", "Handler": "app.handler", "Role": ROLE} | members
        given.setdefault("Code", {"ZipFile": encoded(package())})
        return await self.request("POST", "/2015-03-31/functions", given)

    async def function(
        self, method: str, rest: str = "", document: Any = None, *, name: str = "fn", **more: Any
    ) -> Answer:
        return await self.request(method, f"/2015-03-31/functions/{quote(name, safe='')}{rest}", document, **more)


def package(text: str = "code") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("app.py"), text)
    return buffer.getvalue()


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def make_api(*routers: APIRouter, containers: bool = False, namespace: str = "default") -> Api:
    """`containers` and `namespace`: as on Kubernetes, where images can run and functions are in a namespace."""
    documents, packages, numbers, images = MemoryDocuments(), MemoryPackages(), count(), KnownImages()
    ids = lambda: f"id-{next(numbers)}"  # noqa: E731
    deployments = Deployments(
        documents, packages, ids, clock=StoppedClock(), url_of=lambda _: None, caller=Caller(), images=images
    )
    api = Api(documents, packages, deployments, images)
    parts = Parts(
        MODEL,
        OperationTable(MODEL),
        Functions(documents),
        Qualified(documents),
        LayerVersions(documents),
        packages,
        StoppedClock(),
        ids,
        api.deployments.settled,
        images if containers else None,
        namespace=namespace,
    )
    api.app = build_app(parts, *routers)
    return api


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    api = make_api()
    yield api
    await api.deployments.stop()


@pytest.fixture
async def live(api: Api) -> Api:
    """With functions settled as they come."""
    api.deployments.start()
    return api


@pytest.fixture
def other_zip() -> str:
    """Another package, in base64."""
    return encoded(package("other code"))
