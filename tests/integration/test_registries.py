"""Images looked up in a real registry: open, with a password, with tokens; and what registries say or do wrong."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from lambent_core.function import FoundImage
from lambent_core.images import ImageProblem
from lambent_gateway.registries import client
from lambent_gateway.registries.client import Registries
from lambent_gateway.registries.credentials import Credentials
from tests.image_registry.server import HTPASSWD, INDEX, PASSWORD, USER, ImageRegistry, digest

pytestmark = pytest.mark.timeout(600)  # the first of them may have to build the registry
SETTINGS = {"Entrypoint": ["/entry"], "Cmd": ["app.handler"], "Env": ["A=b"], "WorkingDir": "/app"}
DOCKER = "application/vnd.docker"
DOCKER_TYPES = (
    f"{DOCKER}.distribution.manifest.v2+json",
    f"{DOCKER}.container.image.v1+json",
    f"{DOCKER}.image.rootfs.diff.tar.gzip",
)
DOCKER_LIST = f"{DOCKER}.distribution.manifest.list.v2+json"
CERTIFICATE = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=tokens"]
Find = Callable[..., Awaitable[FoundImage]]


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registry")


@pytest.fixture(scope="module")
def registry(storage: Path) -> Iterator[ImageRegistry]:
    with ImageRegistry(storage) as registry:
        yield registry


@pytest.fixture
async def find(tmp_path: Path) -> AsyncIterator[Find]:
    """Looks up an image; `auths` is what the Secret holds."""
    opened: list[Registries] = []

    async def find(uri: str, architecture: str = "x86_64", *, auths: Any = None, **options: Any) -> FoundImage:
        file = tmp_path / "config.json"
        if auths is not None:
            file.write_text(auths if isinstance(auths, str) else json.dumps({"auths": auths}))
        registries = Registries(Credentials(file), **options)
        await registries.open()
        opened.append(registries)
        return await registries.find(uri, architecture)

    yield find
    for registries in opened:
        await registries.close()


async def refused(found: Awaitable[FoundImage]) -> tuple[str, str]:
    with pytest.raises(ImageProblem) as caught:
        await found
    return caught.value.code, caught.value.message


async def test_a_tag_is_found_with_what_runs(registry: ImageRegistry, find: Find) -> None:
    pushed = registry.push("team/fn", "1", **SETTINGS)
    found = FoundImage(digest=pushed, entry_point=["/entry"], command=["app.handler"])
    assert await find(f"{registry.address}/team/fn:1") == found
    assert await find(f"{registry.address}/team/fn@{pushed}") == found
    assert await find(f"{registry.address}/team/fn:nonsense@{pushed}") == found


async def test_docker_s_own_formats(registry: ImageRegistry, find: Find) -> None:
    pushed = registry.push("docker", "latest", media_types=DOCKER_TYPES, Cmd=["/run"])
    assert await find(f"{registry.address}/docker") == FoundImage(digest=pushed, command=["/run"])


@pytest.mark.parametrize("media_type", [INDEX, DOCKER_LIST], ids=["OCI", "Docker"])
async def test_of_several_architectures_the_function_s(registry: ImageRegistry, find: Find, media_type: str) -> None:
    each = {name: registry.push("multi", name, architecture=name, Cmd=[f"/{name}"]) for name in ("amd64", "arm64")}
    whole = registry.push_index("multi", "all", each, media_type)
    uri = f"{registry.address}/multi:all"
    assert await find(uri, "x86_64") == FoundImage(digest=whole, command=["/amd64"])
    assert await find(uri, "arm64") == FoundImage(digest=whole, architecture="arm64", command=["/arm64"])
    code, message = await refused(find(f"{registry.address}/multi:amd64", "arm64"))
    assert code == "InvalidImage" and "it is for linux/amd64" in message


async def test_a_tag_that_is_moved_is_another_image(registry: ImageRegistry, find: Find) -> None:
    first = registry.push("moves", "latest", Cmd=["/1"])
    second = registry.push("moves", "latest", Cmd=["/2"])
    assert (await find(f"{registry.address}/moves")).digest == second
    assert await find(f"{registry.address}/moves@{first}") == FoundImage(digest=first, command=["/1"])


@pytest.mark.parametrize(
    "name", ["nothing:1", "there:other", f"there@sha256:{'0' * 64}"], ids=["repository", "tag", "digest"]
)
async def test_what_is_not_there(registry: ImageRegistry, find: Find, name: str) -> None:
    registry.push("there", "1", Cmd=["/run"])
    uri = f"{registry.address}/{name}"
    code, message = await refused(find(uri))
    assert code == "ImageDeleted"
    assert message.startswith(f"Source image {uri} does not exist. Provide a valid source image.")


async def test_what_is_no_image(registry: ImageRegistry, find: Find) -> None:
    """A chart, say, is in a registry too."""
    kind = "application/vnd.cncf.helm.config.v1+json"
    config = registry.put_blob("chart", b'{"config": []}', kind)
    document = {"schemaVersion": 2, "mediaType": client.MANIFEST_TYPES[0], "config": config, "layers": []}
    registry.put_manifest("chart", "1", document, client.MANIFEST_TYPES[0])
    assert await find(f"{registry.address}/chart:1") == FoundImage(digest=digest(json.dumps(document).encode())), (
        "it has nothing to run, which is told when a function is made of it"
    )


async def test_a_registry_with_a_password(storage: Path, registry: ImageRegistry, find: Find, tmp_path: Path) -> None:
    pushed = registry.push("private/fn", "1", **SETTINGS)
    (tmp_path / "htpasswd").write_text(HTPASSWD)
    with ImageRegistry(storage, {"htpasswd": {"realm": "test", "path": str(tmp_path / "htpasswd")}}) as private:
        host, uri = private.address, f"{private.address}/private/fn:1"
        for auths in ({}, {"other.example.com": login()}, {host: login("wrong")}, {f"{host}/elsewhere": login()}):
            code, message = await refused(find(uri, auths=auths))
            assert code == "ImageAccessDenied" and "gateway.registryCredentials.existingSecret" in message
        for auths in (
            {host: login()},
            {f"https://{host}/v2/": login()},
            {host: {"username": USER, "password": PASSWORD}},
            {host: login("wrong"), f"{host}/private": login()},
        ):
            assert (await find(uri, auths=auths)).digest == pushed
        code, message = await refused(find(f"{host}/private/fn:2", auths={host: login()}))
        assert code == "ImageDeleted"


@pytest.mark.parametrize(
    "text", ["{", '{"auths": []}', '{"auths": {"HOST": {"auth": "?"}}}', '{"auths": {"HOST": {"auth": ""}}}']
)
async def test_credentials_that_cannot_be_read_are_told(registry: ImageRegistry, find: Find, text: str) -> None:
    registry.push("there", "1", Cmd=["/run"])
    auths = text.replace("HOST", registry.address)
    code, message = await refused(find(f"{registry.address}/there:1", auths=auths))
    assert code == "ImageAccessDenied" and "config.json" in message


def login(password: str = PASSWORD) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{USER}:{password}".encode()).decode()}


@dataclass
class TokenServer:
    """Hands out tokens as registries' own servers do; the registry checks their signature."""

    folder: Path
    asked: list[tuple[dict[str, str], bool]] = field(default_factory=list)
    """Parameters, and whether with the right password."""
    address: str = ""

    async def start(self, stack: list[web.AppRunner]) -> TokenServer:
        key, certificate = self.folder / "token.key", self.folder / "token.crt"
        subprocess.run(
            [*CERTIFICATE, "-keyout", key, "-out", certificate],
            check=True,
            capture_output=True,
        )
        self.address = await serve(stack, self.answer)
        return self

    @property
    def auth(self) -> dict[str, Any]:
        bundle = str(self.folder / "token.crt")
        return {
            "token": {
                "realm": f"{self.address}/token",
                "service": "tests",
                "issuer": "tokens",
                "rootcertbundle": bundle,
            }
        }

    async def answer(self, request: web.Request) -> web.Response:
        known = request.headers.get("Authorization") == f"Basic {login()['auth']}"
        self.asked.append((dict(request.query), known))
        if "Authorization" in request.headers and not known:
            return web.json_response({"errors": [{"code": "UNAUTHORIZED"}]}, status=401)
        _, repository, actions = request.query["scope"].split(":")
        allowed = actions.split(",") if known or repository.startswith("public/") else []
        now = int(time.time())
        claims = {
            "iss": "tokens",
            "aud": "tests",
            "nbf": now - 10,
            "exp": now + 60,
            "access": [{"type": "repository", "name": repository, "actions": allowed}],
        }
        return web.json_response({"token": self.signed(claims)})

    def signed(self, claims: dict[str, Any]) -> str:
        certificate = "".join((self.folder / "token.crt").read_text().splitlines()[1:-1])
        parts = [{"typ": "JWT", "alg": "RS256", "x5c": [certificate]}, claims]
        text = ".".join(url_text(json.dumps(part).encode()) for part in parts)
        command = ["openssl", "dgst", "-sha256", "-sign", self.folder / "token.key"]
        return (
            f"{text}.{url_text(subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout)}"
        )


def url_text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.fixture
async def servers() -> AsyncIterator[list[web.AppRunner]]:
    runners: list[web.AppRunner] = []
    yield runners
    for runner in runners:
        await runner.cleanup()


async def serve(runners: list[web.AppRunner], answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> str:
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    runners.append(runner)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return "http://{}:{}".format(*runner.addresses[0][:2])


async def test_a_registry_that_wants_tokens(
    storage: Path, registry: ImageRegistry, find: Find, tmp_path: Path, servers: list[web.AppRunner]
) -> None:
    public, private = registry.push("public/fn", "1", Cmd=["/a"]), registry.push("private/fn", "1", Cmd=["/b"])
    tokens = await TokenServer(tmp_path).start(servers)
    with ExitStack() as stack:
        guarded = stack.enter_context(ImageRegistry(storage, tokens.auth))
        host = guarded.address
        assert (await find(f"{host}/public/fn:1")).digest == public
        assert tokens.asked == [({"scope": "repository:public/fn:pull", "service": "tests"}, False)]
        code, message = await refused(find(f"{host}/private/fn:1"))
        assert code == "ImageAccessDenied" and "401" in message
        assert (await refused(find(f"{host}/private/fn:1", auths={host: login("wrong")})))[0] == "ImageAccessDenied"
        assert (await find(f"{host}/private/fn:1", auths={host: login()})).digest == private
        assert tokens.asked[-1] == ({"scope": "repository:private/fn:pull", "service": "tests"}, True)


async def test_a_registry_that_is_out_of_reach(find: Find) -> None:
    code, message = await refused(find("127.0.0.1:1/fn:1"))
    assert code == "ImageAccessDenied" and "127.0.0.1:1" in message
    assert "give both imageConfig.entryPoint and imageConfig.command" in message


async def test_a_registry_elsewhere_is_asked_over_tls_unless_it_is_known_to_have_none(
    find: Find, servers: list[web.AppRunner]
) -> None:
    asked = []

    async def absent(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=404)

    port = (await serve(servers, absent)).rpartition(":")[2]
    host = f"0.0.0.0:{port}"  # reaches this machine, and is not a name of it
    assert (await refused(find(f"{host}/fn:1")))[0] == "ImageAccessDenied"
    assert not asked
    assert (await refused(find(f"{host}/fn:1", plain_http=[host])))[0] == "ImageDeleted"
    assert asked == ["/v2/fn/manifests/1"]


MANIFEST = json.dumps({"mediaType": client.MANIFEST_TYPES[0], "config": {"digest": digest(b"{}")}}).encode()


@pytest.mark.parametrize(
    ("manifest", "blob", "code", "words"),
    [
        ((503, b""), (200, b"{}"), "ImageAccessDenied", "it answered 503"),
        ((429, b""), (200, b"{}"), "ImageAccessDenied", "it answered 429"),
        ((403, b""), (200, b"{}"), "ImageAccessDenied", "answered 403"),
        ((401, b""), (200, b"{}"), "ImageAccessDenied", "answered 401"),
        ((200, b"<html>"), (200, b"{}"), "InvalidImage", "is not supported"),
        ((200, b"{}"), (200, b"{}"), "InvalidImage", "is not supported"),
        ((200, b"[]"), (200, b"{}"), "InvalidImage", "is not supported"),
        ((200, b"\xff"), (200, b"{}"), "InvalidImage", "is not supported"),
        ((200, b" " * (client.DOCUMENT_BYTES_MAX + 1)), (200, b"{}"), "InvalidImage", "is not supported"),
        ((200, MANIFEST), (200, b"other"), "ImageAccessDenied", "what it sent is not sha256:"),
        ((200, MANIFEST), (404, b""), "ImageDeleted", "does not exist"),
    ],
    ids=lambda value: str(value[0]) if isinstance(value, tuple) else None,
)
async def test_what_registries_do_wrong(
    find: Find,
    servers: list[web.AppRunner],
    manifest: tuple[int, bytes],
    blob: tuple[int, bytes],
    code: str,
    words: str,
) -> None:
    async def answer(request: web.Request) -> web.Response:
        status, body = blob if "/blobs/" in request.path else manifest
        return web.Response(status=status, body=body)

    host = (await serve(servers, answer)).removeprefix("http://")
    found, message = await refused(find(f"{host}/fn:1"))
    assert found == code and words in message


async def test_who_is_sent_elsewhere_for_a_blob_does_not_show_the_password_there(
    find: Find, servers: list[web.AppRunner]
) -> None:
    """Clouds keep blobs in their object store, by a signed address."""
    seen = []

    async def store(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.Response(body=b"{}")

    elsewhere = await serve(servers, store)

    async def answer(request: web.Request) -> web.Response:
        if "Authorization" not in request.headers:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="test"'})
        if "/blobs/" in request.path:
            return web.Response(status=307, headers={"Location": f"{elsewhere}/blob?signature=x"})
        return web.Response(body=MANIFEST)

    host = (await serve(servers, answer)).removeprefix("http://")
    assert await find(f"{host}/fn:1", auths={host: login()}) == FoundImage(digest=digest(MANIFEST))
    assert seen == [None]


async def test_a_registry_that_does_not_answer(find: Find, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "FIND_SECONDS_MAX", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel takes connections, and nobody reads
        code, message = await refused(find(f"127.0.0.1:{silent.getsockname()[1]}/fn:1"))
    assert code == "ImageAccessDenied" and "it didn't answer within" in message
