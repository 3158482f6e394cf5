"""
Credentials for registries, from the file that `docker login` writes and a Secret of the type `kubernetes.io/dockerconfigjson` holds.

Docker documentation, "docker login", section "Credential stores"; which entry fits an image is as for the kubelet's image pulls
(Kubernetes documentation, "Images", section "Interpretation of config.json"), but for its wildcards.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lambent_core.image_references import HUB, ImageReference


class UnreadableCredentials(Exception):
    """The message names the file and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Login:
    user: str
    password: str

    @property
    def header(self) -> str:
        """Value of Authorization (RFC 7617)."""
        return f"Basic {base64.b64encode(f'{self.user}:{self.password}'.encode()).decode()}"


class _Entry(msgspec.Struct):
    auth: str = ""
    """`user:password` in base64."""
    username: str = ""
    password: str = ""


class _Config(msgspec.Struct):
    auths: dict[str, _Entry] = {}


class Credentials:
    """Reads the file anew each time: the kubelet replaces it when the Secret changes. `file` None: there are none."""

    def __init__(self, file: Path | None) -> None:
        self._file = file

    def of(self, image: ImageReference) -> Login | None:
        """Those of the registry, or of the longest part of the repository's path. Raises UnreadableCredentials."""
        if self._file is None:
            return None
        try:
            config = msgspec.json.decode(self._file.read_bytes(), type=_Config)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            raise UnreadableCredentials(f"{self._file}: {error}") from error
        wanted = f"{image.registry}/{image.repository}/"
        fitting = [key for key in config.auths if wanted.startswith(f"{_place(key)}/")]
        if not fitting:
            return None
        key = max(fitting, key=lambda key: len(_place(key)))
        return self._login(key, config.auths[key])

    def _login(self, key: str, entry: _Entry) -> Login:
        if entry.username:
            return Login(entry.username, entry.password)
        try:
            user, colon, password = base64.b64decode(entry.auth, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise UnreadableCredentials(f"{self._file}: auths.{key}.auth is no base64 text: {error}") from error
        if not colon:
            raise UnreadableCredentials(
                f"{self._file}: auths.{key} has neither auth, user:password in base64, nor username"
            )
        return Login(user, password)


def _place(key: str) -> str:
    """`https://index.docker.io/v1/`, as Docker writes it, is `docker.io`."""
    host, _, path = key.partition("://")[2].partition("/") if "://" in key else key.partition("/")
    path = path.strip("/")
    registry = HUB if host == f"index.{HUB}" else host
    return f"{registry}/{path}" if path and path not in ("v1", "v2") else registry
