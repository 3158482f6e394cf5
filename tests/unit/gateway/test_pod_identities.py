"""I1-I3: who is let in, and as whom."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator
from typing import Literal

import pytest

from lambent_core.errors import ServiceUnavailable
from lambent_core.runtime_pool import AgentId
from lambent_gateway.environments.link_bodies import Hello, SlotState
from lambent_gateway.environments.pod_identities import PodIdentities, TokenReviewer
from tests.token_reviews import TokenReviews

KEY = b"k" * 32


def hello(
    pod: str = "pod-1",
    *,
    token: str = "token-1",
    secret: str = "",
    state: Literal["generic", "idle"] = "generic",
) -> Hello:
    return Hello(1, pod, token, "python3.11", 7, [SlotState(0, state)], secret=secret)


def secret_of(pod: str, key: bytes = KEY, *, uid: str | None = None) -> str:
    uid = uid or f"uid-of-{pod}"
    return f"{uid}.{hmac.new(key, f'pod {pod} {uid}'.encode(), hashlib.sha256).hexdigest()}"


@pytest.fixture
async def server() -> TokenReviews:
    made = TokenReviews()
    made.put_pod("token-1", "pod-1")
    made.put_pod("token-2", "pod-2")
    return made


@pytest.fixture
async def identities(server: TokenReviews) -> AsyncIterator[PodIdentities]:
    async with server.serving() as kubernetes:
        yield PodIdentities(TokenReviewer(kubernetes), key=KEY, namespace="default")


async def test_a_pod_that_was_asked_for_gets_its_secret(identities: PodIdentities, server: TokenReviews) -> None:
    assert await identities.first(hello()) == secret_of("pod-1")
    assert server.asked == ["token-1"]


async def test_a_token_speaks_for_its_own_pod_alone(identities: PodIdentities) -> None:
    """I1."""
    assert await identities.first(hello("pod-1", token="token-2")) is None


async def test_code_in_it_keeps_a_pod_from_coming_as_new(identities: PodIdentities) -> None:
    """I2."""
    assert await identities.first(hello(state="idle")) is None


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "guess",
        "\N{SNOWMAN}",
        secret_of("pod-2"),
        secret_of("pod-2", uid="uid-of-pod-1"),
        secret_of("pod-1").replace("uid-of-pod-1", "another"),
        secret_of("pod-1", b"x" * 32),
    ],
)
async def test_who_comes_back_must_show_the_secret(identities: PodIdentities, secret: str) -> None:
    """I1, I2."""
    assert identities.shown(hello(secret=secret, state="idle")) is None
    assert identities.shown(hello(secret=secret)) is None


async def test_the_secret_outlives_gateways_and_needs_no_api_server(
    identities: PodIdentities, server: TokenReviews
) -> None:
    """I3."""
    given = await identities.first(hello())
    assert given is not None
    server.failing = True
    async with server.serving() as kubernetes:
        another = PodIdentities(TokenReviewer(kubernetes), key=KEY, namespace="default")
        assert another.shown(hello(secret=given, state="idle")) == given


async def test_a_pod_of_that_name_made_anew_is_another(identities: PodIdentities, server: TokenReviews) -> None:
    """I3: the secret is of the uid too."""
    given = await identities.first(hello())
    server.put_pod("token-1", "pod-1", uid="another")
    assert await identities.first(hello()) == secret_of("pod-1", uid="another") != given


@pytest.mark.parametrize("account", ["other:lambent-function", "default-2:lambent-function"])
async def test_pods_of_other_namespaces_are_not_let_in(
    identities: PodIdentities, server: TokenReviews, account: str
) -> None:
    server.put_pod("token-1", "pod-1", account=account)
    assert await identities.first(hello()) is None


async def test_what_is_no_pods_token_is_not_let_in(identities: PodIdentities, server: TokenReviews) -> None:
    server.put("of a user", "pod-1")
    server.put("of an account", "system:serviceaccount:default:lambent-function")
    for token in ("", "unknown", "of a user", "of an account"):
        assert await identities.first(hello(token=token)) is None


async def test_a_token_for_another_audience_is_not_good(identities: PodIdentities, server: TokenReviews) -> None:
    user = server.users["token-1"]
    server.put("api", user["username"], extra=user["extra"], audience="https://kubernetes.default.svc")
    assert await identities.first(hello(token="api")) is None


async def test_while_the_api_server_is_away_nobody_is_let_in(identities: PodIdentities, server: TokenReviews) -> None:
    server.failing = True
    with pytest.raises(ServiceUnavailable):
        await identities.first(hello())
    server.failing = False
    assert await identities.first(hello()) is not None


def opened(secret: str, *, pod: str = "pod-1/1", revision: str | None = None) -> Hello:
    """The greeting of a further agent in a pod; with `revision` it has become an environment."""
    slot = SlotState(0, "generic" if revision is None else "idle", revision)
    return Hello(1, pod, "token-1", "python3.11", 7, [slot], secret=secret)


async def test_a_further_agent_is_let_in_once_with_the_secret_that_was_handed_to_it(
    identities: PodIdentities,
) -> None:
    """I4."""
    secret = identities.opened.expect(AgentId("pod-1/1"), "u/1")
    for refused in (opened(""), opened("guess"), opened(secret, pod="pod-1/2")):
        assert identities.shown(refused) is None
    assert identities.shown(opened(secret)) == secret
    assert identities.shown(opened(secret)) is None


async def test_a_further_agent_that_comes_too_late_is_not_let_in(identities: PodIdentities) -> None:
    secret = identities.opened.expect(AgentId("pod-1/1"), "u/1")
    identities.opened.forget(AgentId("pod-1/1"))
    assert identities.shown(opened(secret)) is None


async def test_a_further_agent_comes_back_to_any_gateway_as_what_it_was(
    identities: PodIdentities, server: TokenReviews
) -> None:
    secret = identities.opened.expect(AgentId("pod-1/1"), "u/1")
    async with server.serving() as kubernetes:
        another = PodIdentities(TokenReviewer(kubernetes), key=KEY, namespace="default")
        back = opened(secret, revision="u/1")
        assert another.shown(back) == secret
        assert another.shown(opened(secret)) is None, "it would be new there"


@pytest.mark.parametrize("pod", ["pod-1", "pod-1/1", "pod-1/2", "pod-2", "pod-2/1"])
@pytest.mark.parametrize("revision", [None, "u/1", "u/2", "other/1"])
async def test_who_steals_a_pods_token_and_a_secret_is_an_environment_of_that_revision_or_nothing(
    identities: PodIdentities, pod: str, revision: str | None
) -> None:
    """I4: the secret is of the agent that came with it, and of its revision."""
    secret = identities.opened.expect(AgentId("pod-1/1"), "u/1")
    assert identities.shown(opened(secret)) == secret
    identities.opened.expect(AgentId("pod-1/2"), "u/1")
    stolen = opened(secret, pod=pod, revision=revision)
    let_in = identities.shown(stolen) is not None
    assert let_in == ((pod, revision) == ("pod-1/1", "u/1"))
