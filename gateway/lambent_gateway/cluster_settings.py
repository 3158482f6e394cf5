"""
What the chart tells a gateway, in variables of its environment. Read once, by `cluster`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lambent_core import limits
from lambent_gateway.holdings import CannotStart
from lambent_gateway.settings import BucketSettings, ScalingSettings, ServerSettings, Settings


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    gateway: Settings
    """What a gateway has anywhere."""
    pod_name: str
    """LAMBENT_POD_NAME: this gateway's own, by which it is known in censuses and in the queue."""
    namespace: str
    """LAMBENT_NAMESPACE: where functions and their pods are."""
    system_namespace: str
    """LAMBENT_SYSTEM_NAMESPACE: where the platform is."""
    endpoint: str
    """LAMBENT_ENDPOINT: URL at which clients and functions reach the platform."""
    link_port: int
    """LAMBENT_LINK_PORT: TCP port that agents dial (9001)."""
    link_service: str
    """LAMBENT_LINK_SERVICE: name of the Service whose ready endpoints are the gateways (lambent-gateway-link)."""
    peer_port: int
    """LAMBENT_PEER_PORT: TCP port at which gateways hand each other invocations (9002)."""
    linger_seconds: int
    """LAMBENT_LINGER_SECONDS: how long a gateway that is told to end goes on serving, so that nobody sends to one that is gone (5)."""
    link_key_file: Path
    """LAMBENT_LINK_KEY_FILE: at least 32 random bytes that all gateways share; agents' secrets are made with them."""
    operator_account: str
    """LAMBENT_OPERATOR_ACCOUNT: user name of the operator's service account, `system:serviceaccount:NAMESPACE:NAME`."""
    registry_credentials: Path | None = None
    """LAMBENT_REGISTRY_CREDENTIALS: file with credentials for registries of container images, as `docker login` writes it."""
    plain_http_registries: tuple[str, ...] = ()
    """LAMBENT_PLAIN_HTTP_REGISTRIES: registries that speak no TLS, host:port with commas between."""
    bucket: BucketSettings | None = None
    """LAMBENT_S3_BUCKET, _ENDPOINT, _REGION, _PREFIX, _ACCESS_KEY_ID, _SECRET_ACCESS_KEY: where packages are. None: on volumes."""


def from_environment(environ: Mapping[str, str]) -> ClusterSettings:
    """Raises `CannotStart` that names the variable."""
    read = _Reader(environ)
    gateway = Settings(
        data_dir=Path(read.text("LAMBENT_DATA_DIR")),
        server=ServerSettings(
            host="0.0.0.0",
            port=read.number("LAMBENT_PORT", 9000, 1, 65535),
            region=read.text("LAMBENT_REGION", "us-east-1"),
            account=read.text("LAMBENT_ACCOUNT", "000000000000"),
            drain_seconds=read.number("LAMBENT_DRAIN_SECONDS", 30, 1, 3600),
        ),
        scaling=ScalingSettings(
            account_concurrency=read.number("LAMBENT_ACCOUNT_CONCURRENCY", limits.ACCOUNT_CONCURRENCY, 1, 100_000),
            environments_max=read.number("LAMBENT_ENVIRONMENTS_MAX", 1_000, 1, 100_000),
            idle_seconds=read.number("LAMBENT_IDLE_SECONDS", 300, limits.IDLE_SECONDS_MIN, limits.IDLE_SECONDS_MAX),
            starting_max=read.number("LAMBENT_STARTING_MAX", 100, 1, 10_000),
        ),
        log_level=read.text("LAMBENT_LOG_LEVEL", "info"),
        postgres=read.text("LAMBENT_POSTGRES", "") or None,
    )
    return ClusterSettings(
        gateway=gateway,
        pod_name=read.text("LAMBENT_POD_NAME"),
        namespace=read.text("LAMBENT_NAMESPACE", "default"),
        system_namespace=read.text("LAMBENT_SYSTEM_NAMESPACE"),
        endpoint=read.text("LAMBENT_ENDPOINT").rstrip("/"),
        link_port=read.number("LAMBENT_LINK_PORT", 9001, 1, 65535),
        link_service=read.text("LAMBENT_LINK_SERVICE", "lambent-gateway-link").partition(".")[0],
        peer_port=read.number("LAMBENT_PEER_PORT", 9002, 1, 65535),
        linger_seconds=read.number("LAMBENT_LINGER_SECONDS", 5, 0, 300),
        link_key_file=Path(read.text("LAMBENT_LINK_KEY_FILE")),
        operator_account=read.text("LAMBENT_OPERATOR_ACCOUNT"),
        registry_credentials=Path(credentials)
        if (credentials := read.text("LAMBENT_REGISTRY_CREDENTIALS", ""))
        else None,
        plain_http_registries=tuple(filter(None, read.text("LAMBENT_PLAIN_HTTP_REGISTRIES", "").split(","))),
        bucket=_bucket(read),
    )


def _bucket(read: _Reader) -> BucketSettings | None:
    name = read.text("LAMBENT_S3_BUCKET", "")
    if not name:
        return None
    endpoint = read.text("LAMBENT_S3_ENDPOINT", "")
    if endpoint and not re.match(r"https?://[^/]", endpoint):
        raise CannotStart(f"LAMBENT_S3_ENDPOINT is {endpoint!r}, not a URL such as https://s3.example.com")
    key_id, secret = read.text("LAMBENT_S3_ACCESS_KEY_ID", ""), read.text("LAMBENT_S3_SECRET_ACCESS_KEY", "")
    if bool(key_id) != bool(secret):
        absent = "LAMBENT_S3_SECRET_ACCESS_KEY" if key_id else "LAMBENT_S3_ACCESS_KEY_ID"
        raise CannotStart(f"{absent} is not set: give both keys of the bucket, or none")
    return BucketSettings(
        name=name,
        endpoint=endpoint or None,
        region=read.text("LAMBENT_S3_REGION", "us-east-1"),
        prefix=read.text("LAMBENT_S3_PREFIX", ""),
        access_key_id=key_id or None,
        secret_access_key=secret or None,
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    environ: Mapping[str, str]

    def text(self, name: str, default: str | None = None) -> str:
        value = self.environ.get(name, "")
        if value:
            return value
        if default is None:
            raise CannotStart(f"{name} is not set; Lambent's chart sets it")
        return default

    def number(self, name: str, default: int, least: int, most: int) -> int:
        value = self.environ.get(name, "")
        if not value:
            return default
        if not value.isdecimal() or not least <= int(value) <= most:
            raise CannotStart(f"{name} is {value!r}, not a whole number from {least:,} to {most:,}")
        return int(value)
