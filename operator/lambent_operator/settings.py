"""
What can be set: LAMBENT_* variables. Read once by `__main__`; nothing else looks at the environment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lambent_core import image_references

GATEWAY_PORT, LINK_PORT, HEALTH_PORT = 9000, 9001, 8080
PULL_POLICIES = ("IfNotPresent", "Always", "Never")
LOG_LEVELS = ("debug", "info", "warning", "error")
_LABEL = re.compile(r"([-a-zA-Z0-9.]+/)?[a-zA-Z0-9]([-_.a-zA-Z0-9]*[a-zA-Z0-9])?=[-_.a-zA-Z0-9]*")
_NAME = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class WrongSettings(Exception):
    """The message names each variable that is wrong, and says what it takes."""


@dataclass(frozen=True, slots=True)
class Settings:
    namespace: str
    """LAMBENT_NAMESPACE: where the functions and their pods live."""
    system_namespace: str
    """LAMBENT_SYSTEM_NAMESPACE: where the platform itself runs, with its RuntimePools and the operator's Lease."""
    pod_name: str
    """LAMBENT_POD_NAME: of this operator; its name in the Lease and in Events."""
    gateway_selector: str
    """LAMBENT_GATEWAY_SELECTOR: labels of the gateway's pods, `key=value` with commas between."""
    link_service: str
    """LAMBENT_LINK_SERVICE: host:port at which agents find a gateway when theirs is gone."""
    gateway_token_file: Path
    """LAMBENT_GATEWAY_TOKEN_FILE: service-account token with the audience `lambent-gateway`; the kubelet replaces it."""
    agent_image: str
    """LAMBENT_AGENT_IMAGE: Lambent's own image, from which pods of container-image functions take the agent."""
    agent_image_pull_policy: str = "IfNotPresent"
    """LAMBENT_AGENT_IMAGE_PULL_POLICY: as in Kubernetes."""
    image_pull_secrets: tuple[str, ...] = ()
    """LAMBENT_IMAGE_PULL_SECRETS: Secrets with registries' credentials for those pods, with commas between."""
    pod_labels: Mapping[str, str] = field(default_factory=dict)
    """LAMBENT_POD_LABELS: further ones of all functions' pods, `key=value` with commas between."""
    gateway_port: int = GATEWAY_PORT
    """LAMBENT_GATEWAY_PORT: of the gateway's HTTP routes."""
    link_port: int = LINK_PORT
    """LAMBENT_LINK_PORT: that agents dial."""
    health_port: int = HEALTH_PORT
    """LAMBENT_HEALTH_PORT: of /healthz and /metrics."""
    log_level: str = "info"
    """LAMBENT_LOG_LEVEL: debug, info, warning or error."""


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Raises `WrongSettings` with everything that is wrong at once."""
    reader = _Reader(environ)
    settings = Settings(
        namespace=reader.text("LAMBENT_NAMESPACE", _NAMESPACE, "the name of a namespace"),
        system_namespace=reader.text("LAMBENT_SYSTEM_NAMESPACE", _NAMESPACE, "the name of a namespace"),
        pod_name=reader.text("LAMBENT_POD_NAME", re.compile(r"[-a-z0-9.]{1,253}"), "the name of a pod"),
        gateway_selector=reader.selector("LAMBENT_GATEWAY_SELECTOR"),
        link_service=reader.text("LAMBENT_LINK_SERVICE", re.compile(r"[-a-z0-9.]+:\d{1,5}"), "host:port"),
        gateway_token_file=Path(reader.text("LAMBENT_GATEWAY_TOKEN_FILE", re.compile(r"/.+"), "the path of a file")),
        agent_image=reader.text("LAMBENT_AGENT_IMAGE", re.compile(image_references.PATTERN), "the name of an image"),
        agent_image_pull_policy=reader.one_of("LAMBENT_AGENT_IMAGE_PULL_POLICY", PULL_POLICIES, "IfNotPresent"),
        image_pull_secrets=reader.names("LAMBENT_IMAGE_PULL_SECRETS"),
        pod_labels=reader.labels("LAMBENT_POD_LABELS"),
        gateway_port=reader.port("LAMBENT_GATEWAY_PORT", GATEWAY_PORT),
        link_port=reader.port("LAMBENT_LINK_PORT", LINK_PORT),
        health_port=reader.port("LAMBENT_HEALTH_PORT", HEALTH_PORT),
        log_level=reader.one_of("LAMBENT_LOG_LEVEL", LOG_LEVELS, "info"),
    )
    if reader.wrong:
        raise WrongSettings("; ".join(reader.wrong))
    return settings


class _Reader:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.wrong: list[str] = []

    def text(self, name: str, pattern: re.Pattern[str], takes: str) -> str:
        value = self._environ.get(name, "")
        if not value:
            self.wrong.append(f"{name} is not set: it takes {takes}")
        elif not pattern.fullmatch(value):
            self.wrong.append(f"{name} is {value!r}: it takes {takes}")
        return value

    def selector(self, name: str) -> str:
        self.labels(name)
        return self.text(name, re.compile(r".+"), "labels, key=value with commas between")

    def labels(self, name: str) -> dict[str, str]:
        value = self._environ.get(name, "")
        found = value.split(",") if value else []
        if not all(_LABEL.fullmatch(label) for label in found):
            self.wrong.append(f"{name} is {value!r}: it takes labels, key=value with commas between")
            return {}
        return dict(label.split("=") for label in found)

    def names(self, name: str) -> tuple[str, ...]:
        value = self._environ.get(name, "")
        found = tuple(filter(None, value.split(",")))
        if not all(_NAME.fullmatch(one) for one in found):
            self.wrong.append(f"{name} is {value!r}: it takes names of Secrets, with commas between")
        return found

    def port(self, name: str, default: int) -> int:
        value = self._environ.get(name, str(default))
        if not value.isdecimal() or not 1 <= int(value) <= 65535:
            self.wrong.append(f"{name} is {value!r}: it takes a TCP port, 1 to 65535")
            return default
        return int(value)

    def one_of(self, name: str, values: tuple[str, ...], default: str) -> str:
        value = self._environ.get(name, default)
        if value not in values:
            self.wrong.append(f"{name} is {value!r}: it takes {', '.join(values)}")
        return value
