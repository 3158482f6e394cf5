"""
Is this agent the pod that it says it is? The API server knows: TokenReview, once per connection.

    I1  a connection speaks for the pod that its token is bound to, and for no other
    I2  a pod is let in without a secret once, when it was asked for and has not come yet: before any function code is in it.
        Whoever comes back must show the secret, which the agent alone knows
    I3  the secret follows from the pod's uid and a key that gateways share, so it outlives them
    I4  a further agent in the pod has the pod's token and a secret of its own (`OpenedAgents`, O1 and O2)

So function code that steals its pod's token can be nothing at all, and with a secret nothing but an environment of its own revision.
"""

from __future__ import annotations

import hmac
from typing import Protocol

import structlog

from lambent_core.errors import ServiceUnavailable
from lambent_core.pod_sharing import is_further, pod_of
from lambent_gateway.environments.link_bodies import Hello
from lambent_gateway.environments.opened_agents import OpenedAgents
from lambent_kube.client import KubernetesError, Object
from lambent_kube.resources import TOKEN_REVIEWS, Resource

log = structlog.get_logger(__name__)

AUDIENCE = "lambent-gateway"
_POD_NAME, _POD_UID = "authentication.kubernetes.io/pod-name", "authentication.kubernetes.io/pod-uid"


class Reviews(Protocol):
    """`lambent_kube.client.Kubernetes`."""

    async def create(self, resource: Resource, namespace: str | None, body: Object) -> Object: ...


class TokenReviewer:
    """Asks the API server whom a token belongs to."""

    def __init__(self, reviews: Reviews) -> None:
        self._reviews = reviews

    async def review(self, token: str) -> Object | None:
        """
        The `user` of a TokenReview; None for a token that is not good, or not meant for the gateway.

        Raises `ServiceUnavailable` while the API server can't say.
        """
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [AUDIENCE]},
        }
        try:
            status = (await self._reviews.create(TOKEN_REVIEWS, None, body))["status"]
        except KubernetesError as error:
            log.warning("a token could not be reviewed", error=str(error))
            raise ServiceUnavailable("Who asks can't be known while the Kubernetes API is out of reach.") from error
        if not status.get("authenticated") or AUDIENCE not in status.get("audiences", []):
            return None
        user: Object = status["user"]
        return user


class PodIdentities:
    """`key`: at least 32 random bytes, the same for all gateways. `namespace`: where function pods are."""

    def __init__(self, reviewer: TokenReviewer, *, key: bytes, namespace: str) -> None:
        self._reviewer = reviewer
        self._key = key
        self._prefix = f"system:serviceaccount:{namespace}:"
        self.opened = OpenedAgents(key)

    async def secret_of(self, hello: Hello, *, expected: bool) -> str | None:
        """
        The secret of the agent that greets, or None if it isn't let in. `expected`: its pod was asked for and has not come yet.

        Raises `ServiceUnavailable` as `TokenReviewer` does.
        """
        user = await self._reviewer.review(hello.token)
        if user is None or not user.get("username", "").startswith(self._prefix):
            return None
        extra = user.get("extra", {})
        name, uid = extra.get(_POD_NAME, [""])[0], extra.get(_POD_UID, [""])[0]
        if not uid or name != pod_of(hello.environment):
            return None
        if is_further(hello.environment):
            return self.opened.secret_of(hello)
        secret = hmac.new(self._key, uid.encode(), "sha256").hexdigest()
        if hello.secret:
            return secret if hmac.compare_digest(secret, hello.secret) else None
        return secret if expected and all(slot.state == "generic" for slot in hello.slots) else None
