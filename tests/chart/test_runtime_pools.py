"""The pools that the chart makes are RuntimePools of the core's model, and start runtimes as local mode does."""

from __future__ import annotations

import base64

import msgspec
import pytest

from lambent_core.runtime_pools import RuntimePool
from lambent_gateway.environments.runtimes import _VARIABLES
from tests.chart.rendering import Refused, Rendered, render


def pool_of(rendered: Rendered, name: str) -> RuntimePool:
    return msgspec.convert(rendered.one("RuntimePool", name), RuntimePool)


def test_python_runs_as_on_one_machine(default: Rendered) -> None:
    (resource,) = default.of("RuntimePool")
    assert resource["metadata"]["namespace"] == "lambent-system"
    spec = pool_of(default, "python").spec
    assert spec.runtimes == ["python3.11"]
    assert spec.image == "localhost/lambent/python:dev"
    assert spec.command == ["/usr/bin/python3.11", "/var/runtime/bootstrap.py"]
    assert (spec.protocol, spec.prestart, spec.size) == ("frames", True, 4)
    assert spec.environment == {**_VARIABLES, "PYTHONPATH": "/var/runtime"}


def test_a_pool_says_only_what_differs() -> None:
    node = {"runtimes": ["nodejs22.x"], "image": {"repository": "ours/node", "tag": "7"}, "command": ["/bootstrap"]}
    rendered = render({"runtimePools": {"nodejs": node}})
    assert {one["metadata"]["name"] for one in rendered.of("RuntimePool")} == {"nodejs", "python"}
    assert rendered.one("RuntimePool", "nodejs")["spec"] == {
        "runtimes": ["nodejs22.x"],
        "image": "localhost/ours/node:7",
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bootstrap"],
    }
    assert pool_of(rendered, "nodejs").spec.size == 4


def test_a_pool_can_say_everything() -> None:
    sandboxed = {
        "size": 0,
        "prestart": False,
        "imagePullSecrets": ["registry"],
        "nodeSelector": {"sandbox": "yes"},
        "tolerations": [{"key": "sandbox", "operator": "Exists"}],
        "runtimeClassName": "gvisor",
    }
    spec = pool_of(render({"runtimePools": {"python": sandboxed}}), "python").spec
    assert (spec.size, spec.prestart, spec.image_pull_secrets) == (0, False, ["registry"])
    assert (spec.node_selector, spec.runtime_class_name) == ({"sandbox": "yes"}, "gvisor")
    assert spec.tolerations == sandboxed["tolerations"]


def test_a_default_can_be_taken_away() -> None:
    assert render({"runtimePools": {"python": None}}).of("RuntimePool") == []


def test_what_is_no_member_of_a_pool_is_refused() -> None:
    with pytest.raises(Refused, match="additional properties 'replicas' not allowed"):
        render({"runtimePools": {"python": {"replicas": 2}}})


def test_the_link_key_is_32_bytes(default: Rendered) -> None:
    assert len(base64.b64decode(default.one("Secret", "lambent-link-key")["data"]["key"])) == 32
