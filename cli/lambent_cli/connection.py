"""
Ways to the platform: Lambda's own API through botocore, and Lambent's own routes through plain HTTP.

Neither looks at the user's AWS profiles: credentials of a real account are nothing that this endpoint needs to see.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from lambent_cli.failures import REFUSED, Failure, refused, unreachable
from lambent_cli.options import Options

CONNECT_SECONDS = 5
"""A platform that is there answers a connection at once, on this machine or near it."""
INVOKE_SECONDS = 930
"""Lambda's longest time-out and a cold start."""
_PREFIX = "/lambent/v1"
_CHUNK_BYTES = 64 * 1024

Progress = Callable[[int], None]
"""Told how many more bytes were sent."""


def lambda_client(options: Options) -> Any:
    """A botocore client of service `lambda` for the endpoint. One attempt a call: the user sees what happened."""
    import botocore.config
    import botocore.session

    session = botocore.session.Session()
    session.set_config_variable("profile", None)
    local = (urlsplit(options.endpoint).hostname or "") in ("127.0.0.1", "localhost", "::1")
    return session.create_client(
        "lambda",
        region_name=options.region,
        endpoint_url=options.endpoint,
        aws_access_key_id="lambent",
        aws_secret_access_key="lambent",  # noqa: S106
        config=botocore.config.Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=INVOKE_SECONDS,
            retries={"total_max_attempts": 1},
            # A proxy of the environment can't reach our own loopback.
            proxies={} if local else None,
        ),
    )


class NotThere(Failure):
    """What was asked for does not exist."""


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Platform:
    """Lambent's own routes, below `/lambent/v1`."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._parts = urlsplit(endpoint)
        if self._parts.scheme not in ("http", "https") or not self._parts.hostname:
            raise Failure(f"the endpoint {endpoint!r} is not an address such as http://127.0.0.1:9000.")

    def get(self, path: str) -> Any:
        """The document there."""
        return self._whole("GET", f"{_PREFIX}{path}").json()

    def description(self) -> Any:
        """What the platform says of itself: title and version. Fails where another server answers."""
        try:
            found = self._whole("GET", "/openapi.json").json()["info"]
        except (ValueError, TypeError, LookupError) as error:
            raise refused("not Lambent", "the answer is not a description of it") from error
        if found.get("title") != "Lambent":
            raise refused("not Lambent", f"it calls itself {found.get('title')!r}")
        return found

    def find(self, path: str) -> Any | None:
        """The document there, if there is one."""
        try:
            return self.get(path)
        except NotThere:
            return None

    def put(self, path: str, document: object) -> Answer:
        return self._whole("PUT", f"{_PREFIX}{path}", json.dumps(document).encode(), "application/json")

    def delete(self, path: str) -> Answer:
        return self._whole("DELETE", f"{_PREFIX}{path}")

    def upload(self, path: str, body: _Readable, size: int, progress: Progress) -> Answer:
        """Sends `size` bytes as they are read."""
        return self._whole("PUT", f"{_PREFIX}{path}", _Metered(body, progress), "application/zip", size)

    def lines(self, path: str) -> Iterator[Any]:
        """JSON objects, one a line, as they come; ends when the platform ends the answer."""
        connection = self._connect(read_seconds=None)
        try:
            answer = self._exchange(connection, "GET", f"{_PREFIX}{path}")
            if answer.status != http.HTTPStatus.OK:
                raise _refusal(answer, answer.read())
            while line := answer.readline():
                if line.strip():
                    yield json.loads(line)
        except (http.client.HTTPException, ConnectionError) as error:
            raise unreachable(self._endpoint, f"the connection ended: {error}") from error
        finally:
            connection.close()

    def _whole(
        self, method: str, path: str, body: bytes | _Readable | None = None, kind: str = "", size: int | None = None
    ) -> Answer:
        connection = self._connect(read_seconds=INVOKE_SECONDS)
        try:
            answer = self._exchange(connection, method, path, body, kind, size)
            content = answer.read()
        finally:
            connection.close()
        if answer.status == http.HTTPStatus.NOT_FOUND:
            refusal = _refusal(answer, content)
            raise NotThere(refusal.message, fix=refusal.fix, exit_code=REFUSED)
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            raise _refusal(answer, content)
        return Answer(answer.status, answer.headers, content)

    def _connect(self, read_seconds: float | None) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._parts.netloc, timeout=CONNECT_SECONDS)
        try:
            connection.connect()
        except OSError as error:
            raise unreachable(self._endpoint, error.strerror or str(error)) from error
        connection.sock.settimeout(read_seconds)
        return connection

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes | _Readable | None = None,
        kind: str = "",
        size: int | None = None,
    ) -> http.client.HTTPResponse:
        headers = {"content-type": kind} if kind else {}
        if size is not None:
            headers["content-length"] = str(size)
        try:
            connection.request(method, f"{self._parts.path}{path}", body, headers)
        except (BrokenPipeError, ConnectionResetError):
            # A platform that refuses early answers before it has read the whole body.
            pass
        except OSError as error:
            raise unreachable(self._endpoint, error.strerror or str(error)) from error
        try:
            return connection.getresponse()
        except (http.client.HTTPException, OSError) as error:
            raise unreachable(self._endpoint, str(error) or type(error).__name__) from error


class _Metered:
    """A file that tells how much of it was read."""

    def __init__(self, file: _Readable, progress: Progress) -> None:
        self._file = file
        self._progress = progress

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(min(size, _CHUNK_BYTES) if size > 0 else size)
        self._progress(len(chunk))
        return chunk


def _refusal(answer: http.client.HTTPResponse, body: bytes) -> Failure:
    """The platform's error answer, in the shape of Lambda's API or not."""
    status = f"HTTP {answer.status}"
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        return refused(status, body[:200].decode(errors="replace") or "no text")
    message = document.get("message") or document.get("Message") or str(document)
    return refused(answer.headers.get("x-amzn-errortype", status), message)
