"""Who is awaited, let in once, and told of as gone; with the real link and a peer that answers TokenReviews."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from lambent_core.runtime_pool import AgentId
from lambent_gateway.environments.link_bodies import Hello, SlotState
from lambent_gateway.environments.pod_identities import PodIdentities, TokenReviewer
from lambent_gateway.environments.pod_provider import PodProvider
from tests.token_reviews import TokenReviews

POD = AgentId("pod-1")


@pytest.fixture
async def server() -> TokenReviews:
    made = TokenReviews()
    made.put_pod("token-1", "pod-1")
    return made


@pytest.fixture
async def provider(server: TokenReviews) -> AsyncIterator[PodProvider]:
    async with server.serving() as kubernetes:
        yield PodProvider(PodIdentities(TokenReviewer(kubernetes), key=b"k" * 32, namespace="default"))


async def greeted(provider: PodProvider, secret: str = "") -> str | None:
    """What a pod gets for its HELLO."""
    decided: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
    hello = Hello(1, POD, "token-1", "python3.11", 7, [SlotState(0, "generic")], secret=secret)
    provider.admit(hello, decided.set_result)
    return await decided


def ignored(_: str) -> None:
    pass


async def test_a_spawned_agent_is_let_in_and_comes_back_with_its_secret(provider: PodProvider) -> None:
    await provider.spawn(POD, "python3.11", ignored)
    secret = await greeted(provider)
    assert secret
    assert await greeted(provider, secret) == secret


async def test_it_is_let_in_without_a_secret_once(provider: PodProvider) -> None:
    """I2."""
    assert await greeted(provider) is None
    await provider.spawn(POD, "python3.11", ignored)
    assert await greeted(provider)
    assert await greeted(provider) is None


async def test_of_two_that_come_at_once_one_is_let_in(provider: PodProvider) -> None:
    """I2: both are checked while the pod is still awaited."""
    await provider.spawn(POD, "python3.11", ignored)
    answers = await asyncio.gather(greeted(provider), greeted(provider))
    assert sorted(answer is None for answer in answers) == [False, True]


async def test_a_pod_that_cannot_be_had_is_told_once_with_the_reason(provider: PodProvider) -> None:
    told: list[str] = []
    await provider.spawn(POD, "python3.11", told.append)
    assert provider.failed(POD, "Unschedulable: 0/1 nodes are available")
    assert not provider.failed(POD, "again")
    assert told == ["Unschedulable: 0/1 nodes are available"]
    assert await greeted(provider) is None


async def test_nobody_waits_for_one_that_has_come_or_ended(provider: PodProvider) -> None:
    await provider.spawn(POD, "python3.11", ignored)
    await greeted(provider)
    assert not provider.failed(POD, "late")
    await provider.spawn(POD, "python3.11", ignored)
    provider.end(POD)
    assert not provider.failed(POD, "late")
    assert await greeted(provider) is None


async def test_while_the_api_server_is_away_nothing_is_decided(provider: PodProvider, server: TokenReviews) -> None:
    """So the agent dials again; a refusal would end it, and what runs in it."""
    await provider.spawn(POD, "python3.11", ignored)
    server.failing = True
    decided: list[str | None] = []
    provider.admit(Hello(1, POD, "token-1", "python3.11", 7, [SlotState(0, "generic")]), decided.append)
    async with asyncio.timeout(10):
        while not server.asked:
            await asyncio.sleep(0.01)
    server.failing = False
    assert await greeted(provider)
    assert decided == []


async def test_the_agent_holds_the_memory_limit_until_its_pod_is_resized(provider: PodProvider) -> None:
    assert provider.size(POD, 512, 1) is False
