"""Who is awaited, let in once, and told of as gone; with the real link and a peer that answers TokenReviews."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from lambent_core.runtime_pool import AgentId
from lambent_gateway.environments.link_bodies import Hello, SlotState
from lambent_gateway.environments.pod_identities import PodIdentities, TokenReviewer
from lambent_gateway.environments.pod_provider import REVIEWS_MAX, PodProvider
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


def hello(secret: str = "", *, pod: str = POD, token: str = "token-1") -> Hello:
    return Hello(1, pod, token, "python3.11", 7, [SlotState(0, "generic")], secret=secret)


async def greeted(provider: PodProvider, secret: str = "", **of: str) -> str | None:
    """What a pod gets for its HELLO."""
    decided: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
    provider.admit(hello(secret, **of), lambda secret: decided.set_result(secret) is None)
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


async def test_of_two_that_come_at_once_the_later_is_let_in(provider: PodProvider) -> None:
    """I2: it is the same agent, whose first connection was cut."""
    await provider.spawn(POD, "python3.11", ignored)
    earlier: list[str | None] = []
    task = provider.admit(hello(), lambda secret: earlier.append(secret) is None)
    assert task is not None
    assert await greeted(provider)
    assert task.cancelled() and earlier == []


async def test_one_that_was_gone_when_it_was_let_in_is_still_awaited(provider: PodProvider) -> None:
    """As after a review that took long: else it could never come, and nobody would be told."""
    told: list[str] = []
    await provider.spawn(POD, "python3.11", told.append)
    await _over(provider.admit(hello(), lambda secret: False))
    assert await greeted(provider)
    await provider.spawn(POD, "python3.11", told.append)
    await _over(provider.admit(hello(), lambda secret: False))
    assert provider.failed(POD, "it ended") and told == ["it ended"]


async def _over(review: asyncio.Task[None] | None) -> None:
    assert review is not None
    await review


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


async def test_while_the_api_server_is_away_it_is_asked_again(provider: PodProvider, server: TokenReviews) -> None:
    """A refusal would end the agent."""
    await provider.spawn(POD, "python3.11", ignored)
    server.failing = True
    waiting = asyncio.create_task(greeted(provider))
    await _asked(server, 2)
    assert not waiting.done()
    server.failing = False
    assert await waiting


async def test_one_that_cannot_be_had_is_not_asked_about_any_more(provider: PodProvider, server: TokenReviews) -> None:
    await provider.spawn(POD, "python3.11", ignored)
    server.failing = True
    waiting = asyncio.create_task(greeted(provider))
    await _asked(server, 1)
    assert provider.failed(POD, "it ended")
    assert await waiting is None
    assert server.asked == ["token-1"]


async def test_who_comes_back_needs_no_api_server(provider: PodProvider, server: TokenReviews) -> None:
    await provider.spawn(POD, "python3.11", ignored)
    secret = await greeted(provider)
    assert secret
    server.failing = True
    assert await greeted(provider, secret) == secret
    assert server.asked == ["token-1"]


async def test_nobody_is_asked_about_who_is_not_awaited(provider: PodProvider, server: TokenReviews) -> None:
    """Function code can greet as whom it likes."""
    await provider.spawn(POD, "python3.11", ignored)
    for secret in ("guess", "uid-of-pod-1.guess", "\N{SNOWMAN}"):
        assert await greeted(provider, secret) is None
    provider.end(POD)
    assert await greeted(provider) is None
    assert server.asked == []


async def test_so_many_are_asked_about_at_once(provider: PodProvider, server: TokenReviews) -> None:
    server.answering.clear()
    names = [AgentId(f"pod-{number}") for number in range(2 * REVIEWS_MAX)]
    for name in names:
        server.put_pod(f"token of {name}", name)
        await provider.spawn(name, "python3.11", ignored)
    waiting = [asyncio.create_task(greeted(provider, pod=name, token=f"token of {name}")) for name in names]
    await _asked(server, REVIEWS_MAX)
    server.answering.set()
    assert all(await asyncio.gather(*waiting))
    assert server.most_at_once == REVIEWS_MAX


async def _asked(server: TokenReviews, times: int) -> None:
    async with asyncio.timeout(10):
        while len(server.asked) < times:
            await asyncio.sleep(0.01)


async def test_the_agent_holds_the_memory_limit_until_its_pod_is_resized(provider: PodProvider) -> None:
    assert provider.size(POD, 512, 1) is False
