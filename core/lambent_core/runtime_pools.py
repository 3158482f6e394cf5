"""
The kind RuntimePool: which runtimes a cluster offers, in which image, and how many pods of it wait without code.

Pools are documents beside the functions. Those of the platform's own namespace are for everybody; one in a function's namespace that
offers the same runtime comes first.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from lambent_core.function import Condition, Metadata


class _Model(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Resources(_Model, frozen=True):
    """Kubernetes' own shape: quantities by resource name."""

    requests: dict[str, str] = {}
    """What a pod is sure to have, e.g. `memory: 160Mi`."""
    limits: dict[str, str] = {}
    """What a pod can have at most."""


class RuntimePoolSpec(_Model, frozen=True, kw_only=True):
    """What an administrator wants."""

    runtimes: list[str]
    """Lambda's names of the runtimes that run on this image, e.g. `python3.11`. The first pool by name that offers one has it."""
    image: str
    """Runtime image: the agent as its entry point, the runtime and its bootstrap beside it."""
    image_pull_policy: Literal["IfNotPresent", "Always", "Never"] = "IfNotPresent"
    """As in Kubernetes."""
    image_pull_secrets: list[str] = []
    """Names of Secrets with a registry's credentials, in the namespace of the pods."""
    command: list[str]
    """What the agent starts in an environment."""
    protocol: Literal["frames", "api"] = "frames"
    """How `command` speaks with the agent: `frames` is the built-in bootstraps' way, `api` is Lambda's Runtime API over HTTP."""
    prestart: bool = True
    """Whether `command` can be started before there is code, so that a waiting pod has its runtime up already."""
    environment: dict[str, str] = {}
    """Environment variables of every process of this image, e.g. `PATH`."""
    size: int = 4
    """Pods that wait without code, as long as a function uses the pool."""
    size_max: int = 10
    """
    Pods that wait at most, `size` if that is more: for each function that was deployed within two minutes and not called since, or for
    ten minutes after a burst of cold starts as many as it needed.
    """
    resources: Resources = Resources()
    """Of a waiting pod. A claimed one gets its function's memory, by resizing in place."""
    node_selector: dict[str, str] = {}
    """Labels that a node must have."""
    tolerations: list[dict[str, Any]] = []
    """As in a pod's spec."""
    runtime_class_name: str | None = None
    """RuntimeClass, for sandboxes such as gVisor or Kata."""


class RuntimePoolStatus(_Model, frozen=True):
    """What became of it. Written by the operator alone."""

    ready: int = 0
    """Pods that wait without code."""
    starting: int = 0
    """Pods on their way."""
    observed_generation: int = 0
    """The `metadata.generation` that the counts are about."""
    conditions: list[Condition] = []
    """`Ready`: its pods can be had."""


class RuntimePool(_Model, frozen=True, kw_only=True):
    """A runtime image, the runtimes that it offers, and how many pods of it wait for a function."""

    api_version: Literal["lambent.dev/v1"] = "lambent.dev/v1"
    kind: Literal["RuntimePool"] = "RuntimePool"
    metadata: Metadata
    spec: RuntimePoolSpec
    status: RuntimePoolStatus = RuntimePoolStatus()
