"""
Looks images up in their registries: which digest a name stands for, and what its configuration says runs.

OCI distribution specification, sections "Pulling manifests" and "Pulling blobs"; how a registry asks who one is: CNCF Distribution,
"Token Authentication Specification".

    C1  what is found has the digest that was asked for: bytes are hashed, headers not believed
    C2  credentials go to the registry that they are for, and to where it sends for tokens, over TLS wherever the registry itself is
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec

from lambent_core import image_references, images
from lambent_core.function import FoundImage
from lambent_core.image_references import HUB, ImageReference
from lambent_core.images import INDEX_TYPES, MANIFEST_TYPES, ImageProblem
from lambent_gateway.registries.credentials import Credentials, Login, UnreadableCredentials

FIND_SECONDS_MAX = 20.0
"""All requests for one image. Clients of the API wait for it, and boto3 waits 60 s at most."""
CONNECT_SECONDS_MAX = 5.0
DOCUMENT_BYTES_MAX = 4 * 1024 * 1024
"""Of a manifest or a configuration; registries must take manifests up to 4 MiB."""
_HUB_HOST = f"registry-1.{HUB}"
_LOOPBACK = re.compile(r"(localhost|127\.[0-9.]+|\[::1\])(:[0-9]+)?")
_ACCEPTED = {"Accept": ", ".join((*INDEX_TYPES, *MANIFEST_TYPES))}
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


class Registries:
    """
    `Images` over HTTP. `open` it before it is asked, and `close` it.

    `plain_http` are registries, host:port, that speak no TLS; those on this machine are taken to.
    """

    def __init__(self, credentials: Credentials, *, plain_http: Collection[str] = ()) -> None:
        self._credentials = credentials
        self._plain_http = frozenset(plain_http)
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS_MAX)
        self._session = aiohttp.ClientSession(timeout=timeout, trust_env=True, auto_decompress=False)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def find(self, uri: str, architecture: str) -> FoundImage:
        assert self._session is not None, "open first"
        reference = image_references.parse(uri)
        try:
            login = self._credentials.of(reference)
        except UnreadableCredentials as error:
            raise ImageProblem(
                "ImageAccessDenied",
                f"The image {uri} can't be looked up: the registries' credentials can't be read: {error}",
            ) from error
        try:
            async with asyncio.timeout(FIND_SECONDS_MAX):
                return await _Pull(self._session, uri, reference, self._address(reference), login).find(architecture)
        except TimeoutError:
            why = f"it didn't answer within {FIND_SECONDS_MAX:.0f} s"
            raise images.unreachable_image(uri, reference.registry, why) from None
        except (aiohttp.ClientError, OSError) as error:
            raise images.unreachable_image(uri, reference.registry, str(error) or type(error).__name__) from error

    def _address(self, reference: ImageReference) -> str:
        registry = reference.registry
        plain = registry in self._plain_http or _LOOPBACK.fullmatch(registry)
        return f"{'http' if plain else 'https'}://{_HUB_HOST if registry == HUB else registry}"


@dataclass(slots=True)
class _Pull:
    """One image's documents. The registry says once what it wants to see, and then is shown it."""

    session: aiohttp.ClientSession
    uri: str
    image: ImageReference
    address: str
    login: Login | None
    shown: dict[str, str] = field(default_factory=dict)

    async def find(self, architecture: str) -> FoundImage:
        kind, manifest, digest = await self._manifest(self.image.digest or self.image.tag)
        if kind in INDEX_TYPES:
            kind, manifest, _ = await self._manifest(images.of_architecture(manifest, architecture, self.uri))
        if kind not in MANIFEST_TYPES or not isinstance(manifest, dict):
            raise images.unsupported_image(self.uri)
        config = manifest.get("config")
        if not isinstance(config, dict) or not isinstance(config.get("digest"), str):
            raise images.unsupported_image(self.uri)
        _, body = await self._get(f"blobs/{config['digest']}")
        self._check(body, config["digest"])
        return images.found(self._read(body), digest, architecture, self.uri)

    async def _manifest(self, name: str) -> tuple[str, Any, str]:
        """By tag or digest: its media type, itself, and its digest."""
        headers, body = await self._get(f"manifests/{name}")
        if ":" in name:
            self._check(body, name)
        document = self._read(body)
        told = headers.get("Content-Type", "").partition(";")[0].strip()
        kind = document.get("mediaType") or told if isinstance(document, dict) else told
        return str(kind), document, _digest(body)

    async def _get(self, path: str) -> tuple[Mapping[str, str], bytes]:
        url = f"{self.address}/v2/{self.image.repository}/{path}"
        for again in (True, False):
            async with self.session.get(url, headers={**_ACCEPTED, **self.shown}) as answer:
                if answer.status == 401 and again:
                    await self._authenticate(answer.headers.get("WWW-Authenticate", ""))
                    continue
                if answer.status != 200:
                    raise self._refused(answer)
                return answer.headers, await self._body(answer)
        raise AssertionError("the second answer was returned or raised")

    async def _authenticate(self, challenge: str) -> None:
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "basic" and self.login is not None:
            self.shown = {"Authorization": self.login.header}
        elif scheme.lower() == "bearer":
            self.shown = {"Authorization": f"Bearer {await self._token(dict(_PARAMETER.findall(rest)))}"}
        else:
            raise self._denied("401 Unauthorized")

    async def _token(self, asked: dict[str, str]) -> str:
        realm = asked.get("realm", "")
        if not realm.startswith("https://") and not self.address.startswith("http://"):
            raise self._denied("that tokens are handed out without TLS")
        parameters = {"scope": f"repository:{self.image.repository}:pull"}
        if "service" in asked:
            parameters["service"] = asked["service"]
        headers = {} if self.login is None else {"Authorization": self.login.header}
        async with self.session.get(realm, params=parameters, headers=headers) as answer:
            if answer.status != 200:
                raise self._refused(answer)
            told = self._read(await self._body(answer))
        token = (told.get("token") or told.get("access_token")) if isinstance(told, dict) else None
        if not isinstance(token, str):
            raise self._denied("without a token")
        return token

    async def _body(self, answer: aiohttp.ClientResponse) -> bytes:
        pieces, size = [], 0
        async for piece in answer.content.iter_chunked(65_536):
            pieces.append(piece)
            size += len(piece)
            if size > DOCUMENT_BYTES_MAX:
                raise images.unsupported_image(self.uri)
        return b"".join(pieces)

    def _read(self, body: bytes) -> Any:
        try:
            return msgspec.json.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise images.unsupported_image(self.uri) from None

    def _check(self, body: bytes, digest: str) -> None:
        if _digest(body) != digest:
            raise images.unreachable_image(self.uri, self.image.registry, f"what it sent is not {digest}")

    def _refused(self, answer: aiohttp.ClientResponse) -> ImageProblem:
        said = f"{answer.status} {answer.reason}"
        if answer.status == 404:
            return images.absent_image(self.uri, self.image.registry)
        if answer.status in (401, 403):
            return self._denied(said)
        return images.unreachable_image(self.uri, self.image.registry, f"it answered {said}")

    def _denied(self, said: str) -> ImageProblem:
        return images.denied_image(self.uri, self.image.registry, said)


def _digest(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"
