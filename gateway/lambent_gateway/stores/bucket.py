"""
Packages as objects of an S3-compatible bucket, which all gateways share.

A package is an object `PREFIX SHA256 / NAME`, with another name each time that it is put. So whoever removes what nobody names can't
take away what somebody else puts at the same moment, and S3's plain operations are enough: no lock, no condition, no version.

The object `PREFIX installation` says whose the place is: each installation deletes what its own functions don't name.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import botocore.session
import structlog
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError, SSLError

from lambent_core.documents import PackageNotFound, StoreFull, StoreUnusable
from lambent_gateway.settings import BucketSettings

log = structlog.get_logger(__name__)

T = TypeVar("T")

LATELY_SECONDS = 60.0
"""What was put so lately is not sent again: functions that are made of one package often come together."""
REQUESTS_MAX = 8
"""At once. Packages pass through memory whole, 50 MB each at most."""
CONNECT_SECONDS, READ_SECONDS, TRIES = 3, 20, 2
"""A bucket that does not answer is given up after 6 s, one that is silent in the middle after 40."""
_DIGEST = re.compile(r"[0-9a-f]{64}")
_BUSY = (
    "The package store can't be used now: its bucket does not answer, or refuses. Nothing was changed. Try again; packages are taken "
    "as soon as it does."
)


@dataclass(frozen=True, slots=True)
class _Object:
    key: str
    sha256: str
    size: int
    put_at: float
    """Unix time, by the bucket's clock."""


class BucketPackages:
    """`installation` is the same for all gateways that share functions. `now` is Unix time, `new_name` a name that nobody else draws."""

    def __init__(
        self, settings: BucketSettings, *, installation: str, now: Callable[[], float], new_name: Callable[[], str]
    ) -> None:
        """Raises `StoreUnusable` for settings with which no client can be made."""
        self._settings = settings
        self._installation = installation
        self._is_ours = False
        self._now = now
        self._new_name = new_name
        try:
            self._client = _client(settings)
        except (BotoCoreError, ValueError) as error:
            raise StoreUnusable(f"The bucket {settings.name} can't be used: {error}") from error
        self._threads = ThreadPoolExecutor(REQUESTS_MAX, "bucket")

    async def open(self) -> bool:
        """Whether the bucket answers now. Raises `StoreUnusable` for what no waiting mends: no such bucket, a wrong key."""
        try:
            await self._in_thread(self._client.list_objects_v2, MaxKeys=1, Prefix=self._settings.prefix)
        except (BotoCoreError, ClientError) as error:
            told = f"The bucket {self._settings.name} at {self._settings.endpoint or 'AWS'} can't be used: {error}"
            if not _may_pass(error):
                raise StoreUnusable(
                    f"{told} Check gateway.packages.s3: its endpoint, bucket and region, and the keys in the Secret."
                ) from error
            log.error("packages are neither taken nor had from the bucket until it answers", error=told)
            return False
        await self._claim()
        return True

    async def close(self) -> None:
        """Gives up what has not begun; what has ends in its own time."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    async def put(self, sha256: str, data: bytes) -> None:
        earlier = await self._objects(sha256)
        if earlier and self._now() - earlier[-1].put_at < LATELY_SECONDS:
            return
        await self._ask(self._client.put_object, Key=f"{self._settings.prefix}{sha256}/{self._new_name()}", Body=data)
        await self._delete(earlier)

    async def read(self, sha256: str) -> bytes:
        while objects := await self._objects(sha256):
            data = await self._ask(self._read, Key=objects[-1].key)
            if data is None:
                continue  # somebody has put it again since
            if await asyncio.to_thread(_sha256, data) != sha256:
                raise StoreUnusable(
                    f"The package {sha256} was damaged in its bucket: upload the code again, or bring back {objects[-1].key}."
                )
            return data
        raise PackageNotFound(sha256)

    async def size(self, sha256: str) -> int | None:
        objects = await self._objects(sha256)
        return objects[-1].size if objects else None

    async def stored(self) -> dict[str, float]:
        return {each.sha256: each.put_at for each in await self._ask(self._list, Prefix=self._settings.prefix)}

    async def remove(self, sha256: str, told: float) -> None:
        await self._claim()
        await self._delete([each for each in await self._objects(sha256) if each.put_at <= told])

    async def _claim(self) -> None:
        """Raises `StoreUnusable` where another installation has the place."""
        key = f"{self._settings.prefix}installation"
        while not self._is_ours:
            found = await self._ask(self._read, Key=key)
            if found is None:
                await self._ask(self._client.put_object, Key=key, Body=self._installation.encode())
            elif found.decode(errors="replace") != self._installation:
                raise StoreUnusable(
                    f"{key!r} in the bucket {self._settings.name} says that packages of another installation are there, and gateways "
                    "delete what their own functions don't name. Give this one a gateway.packages.s3.prefix of its own; or delete "
                    "that object, if the other installation is no more."
                )
            else:
                self._is_ours = True

    async def _objects(self, sha256: str) -> list[_Object]:
        """Those of one package, the latest last."""
        if not _DIGEST.fullmatch(sha256):
            return []
        return await self._ask(self._list, Prefix=f"{self._settings.prefix}{sha256}/")

    async def _delete(self, objects: list[_Object]) -> None:
        for each in objects:
            await self._ask(self._delete_object, Key=each.key)

    def _delete_object(self, **request: Any) -> None:
        with suppress(
            self._client.exceptions.NoSuchKey
        ):  # another gateway was quicker: S3 does not mind, servers of others may
            self._client.delete_object(**request)

    def _list(self, **request: Any) -> list[_Object]:
        pages = self._client.get_paginator("list_objects_v2").paginate(**request)
        found = [each for page in pages for each in page.get("Contents", ())]
        return sorted(filter(None, map(self._object, found)), key=lambda each: each.put_at)

    def _object(self, listed: dict[str, Any]) -> _Object | None:
        sha256, _, name = listed["Key"].removeprefix(self._settings.prefix).partition("/")
        if not name or not _DIGEST.fullmatch(sha256):
            return None  # not ours
        return _Object(listed["Key"], sha256, listed["Size"], listed["LastModified"].timestamp())

    def _read(self, **request: Any) -> bytes | None:
        try:
            answer = self._client.get_object(**request)
        except self._client.exceptions.NoSuchKey:
            return None
        with answer["Body"] as body:
            return bytes(body.read())

    async def _ask(self, operation: Callable[..., T], **request: Any) -> T:
        try:
            return await self._in_thread(operation, **request)
        except (BotoCoreError, ClientError) as error:
            # Where the bucket is and what it says is the operator's business: it is logged, callers are not told.
            log.warning("the bucket of packages failed", bucket=self._settings.name, error=str(error))
            raise (StoreFull if _status(error) == 507 else StoreUnusable)(_BUSY) from error

    async def _in_thread(self, operation: Callable[..., T], **request: Any) -> T:
        request["Bucket"] = self._settings.name
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: operation(**request))


def _client(settings: BucketSettings) -> Any:
    """Without keys of its own it takes those that botocore finds: a cloud's identity of the pod, say."""
    return botocore.session.get_session().create_client(
        "s3",
        endpoint_url=settings.endpoint,
        region_name=settings.region,
        aws_access_key_id=settings.access_key_id,
        aws_secret_access_key=settings.secret_access_key,
        config=Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": TRIES},
            max_pool_connections=REQUESTS_MAX,
            # The body's SHA-256 is in the signature. Checksums of S3's own are what many servers of others refuse.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path" if settings.endpoint else "auto", "payload_signing_enabled": True},
        ),
    )


def _may_pass(error: Exception) -> bool:
    """The bucket can't be reached, or its server is not well."""
    unreached = isinstance(error, ConnectionError | HTTPClientError) and not isinstance(error, SSLError)
    return unreached or _status(error) >= 500


def _status(error: Exception) -> int:
    """HTTP status of a refusal; 0 if there was no answer."""
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"]) if isinstance(error, ClientError) else 0


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
