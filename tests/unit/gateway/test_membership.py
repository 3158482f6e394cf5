"""Which gateways are ready, by the API server's own word: EndpointSlices that are listed and watched over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lambent_gateway.peers.membership import Membership, ending_members, ready_members
from tests.api_server import ApiServer

SERVICE_LABEL, PLURAL = "kubernetes.io/service-name", "endpointslices"
Members = dict[str, str]


def endpoint(name: str, *addresses: str, **conditions: bool) -> dict[str, Any]:
    """Ready and not ending, unless it is said otherwise."""
    return {
        "addresses": list(addresses),
        "conditions": {"ready": True, "serving": True, "terminating": False} | conditions,
        "targetRef": {"kind": "Pod", "name": name, "namespace": "lambent-system"},
    }


def endpoints(*there: dict[str, Any]) -> dict[str, Any]:
    return {"endpoints": list(there)}


ZERO, ONE = endpoint("gateway-0", "10.0.0.1"), endpoint("gateway-1", "10.0.0.2")


@pytest.mark.parametrize(
    ("slices", "members"),
    [
        ([], {}),
        ([endpoints(ZERO, ONE)], {"gateway-0": "10.0.0.1", "gateway-1": "10.0.0.2"}),
        ([endpoints(ZERO), endpoints(ONE)], {"gateway-0": "10.0.0.1", "gateway-1": "10.0.0.2"}),
        ([endpoints(endpoint("gateway-0", "fd00::1", "fd00::2"))], {"gateway-0": "fd00::1"}),
        ([endpoints(endpoint("gateway-0", "10.0.0.1", ready=False), ONE)], {"gateway-1": "10.0.0.2"}),
        ([endpoints(endpoint("gateway-0", "10.0.0.1", terminating=True), ONE)], {"gateway-1": "10.0.0.2"}),
        ([endpoints(ZERO | {"conditions": {"ready": True}})], {"gateway-0": "10.0.0.1"}),
        ([endpoints(ZERO | {"targetRef": {"kind": "Node", "name": "n"}}, ONE)], {"gateway-1": "10.0.0.2"}),
        ([endpoints({"addresses": ["10.0.0.1"], "conditions": {"ready": True}}, ONE)], {"gateway-1": "10.0.0.2"}),
        ([{"endpoints": None}, {}, endpoints(ONE)], {"gateway-1": "10.0.0.2"}),
    ],
    ids=[
        "none",
        "one slice",
        "two slices",
        "several addresses",
        "not ready",
        "ready still, and ending",
        "nothing said of ending",
        "no pod",
        "of nothing",
        "a slice without endpoints",
    ],
)
def test_who_is_ready(slices: list[dict[str, Any]], members: Members) -> None:
    assert ready_members(slices) == members


def test_who_ends() -> None:
    ending = endpoint("gateway-0", "10.0.0.1", ready=False, terminating=True)
    not_ready = endpoint("gateway-2", "10.0.0.3", ready=False)
    console = endpoint("console-0", "10.0.0.9", terminating=True) | {"targetRef": {"kind": "Node", "name": "n"}}
    assert ending_members([endpoints(ending, not_ready), endpoints(ONE, console), {}]) == {"gateway-0": "10.0.0.1"}


class Slices(ApiServer):
    """Kubernetes, with the EndpointSlices of Services."""

    def place(self, name: str, *there: dict[str, Any], service: str = "lambent-gateway-link") -> None:
        labels = {SERVICE_LABEL: service}
        self.put(PLURAL, name, endpoints(*there), namespace="lambent-system", labels=labels)


async def test_members_are_followed_from_the_moment_they_are_known() -> None:
    server, told = Slices(), asyncio.Queue[Members]()
    server.place("link-a", ZERO)
    server.place("others", endpoint("console-0", "10.0.0.9"), service="lambent-console")
    async with server.serving() as kubernetes:
        membership = Membership(kubernetes, "lambent-system", "lambent-gateway-link", told.put_nowait)
        assert membership.members == {}
        await membership.open()
        assert membership.members == {"gateway-0": "10.0.0.1"}
        assert await told.get() == {"gateway-0": "10.0.0.1"}
        await server.watched(PLURAL)
        server.place("link-b", ONE)
        assert await told.get() == {"gateway-0": "10.0.0.1", "gateway-1": "10.0.0.2"}
        server.place("link-a", endpoint("gateway-0", "10.0.0.1", ready=False))
        assert await told.get() == {"gateway-1": "10.0.0.2"}
        assert membership.ending == {}
        server.place("link-a", endpoint("gateway-0", "10.0.0.1", ready=False, terminating=True))
        assert await told.get() == {"gateway-1": "10.0.0.2"}
        assert membership.ending == {"gateway-0": "10.0.0.1"}
        server.remove(PLURAL, "link-b")
        assert await told.get() == {}
        assert "Mirror.follow" in _running()
        await membership.close()
        assert "Mirror.follow" not in _running()
        assert told.empty()


def _running() -> set[str]:
    return {task.get_coro().__qualname__ for task in asyncio.all_tasks()}


async def test_one_that_was_never_opened_is_closed() -> None:
    async with ApiServer().serving() as kubernetes:
        await Membership(kubernetes, "lambent-system", "lambent-gateway-link", lambda members: None).close()
