"""
Is this agent the pod that it says it is? The API server knows when it comes first: TokenReview. From then on its secret says so.

    I1  a connection speaks for the pod that its token is bound to, or that its secret was made for, and for no other
    I2  a pod is let in without a secret once, when it was asked for and has not come yet: before any function code is in it.
        Whoever comes back must show the secret, which the agent alone knows
    I3  the secret follows from the pod's name and uid and a key that gateways share, so it outlives them, and the API server need not
        be there to tell a good one from another
    I4  a further agent in the pod has a secret of its own (`OpenedAgents`, O1 and O2)

So function code that steals its pod's token can be nothing at all, and with a secret nothing but an environment of its own revision.
It can't have the API server asked for anything either: that is done for pods that are on their way.
"""

from __future__ import annotations

import hmac
from typing import Protocol

import structlog

from lambent_core.errors import ServiceUnavailable
from lambent_core.pod_sharing import is_further
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

    def shown(self, hello: Hello) -> str | None:
        """The secret that the agent shows, or None if it isn't let in by it."""
        if is_further(hello.environment):
            return self.opened.secret_of(hello)
        uid, _, _ = hello.secret.partition(".")
        secret = self._secret(hello.environment, uid)
        return secret if hmac.compare_digest(secret.encode(), hello.secret.encode()) else None

    async def first(self, hello: Hello) -> str | None:
        """
        The secret for an agent whose pod was asked for and has not come yet, or None if that is not who greets.

        Raises `ServiceUnavailable` as `TokenReviewer` does.
        """
        if any(slot.state != "generic" for slot in hello.slots):
            return None
        user = await self._reviewer.review(hello.token)
        if user is None or not user.get("username", "").startswith(self._prefix):
            return None
        extra = user.get("extra", {})
        name, uid = extra.get(_POD_NAME, [""])[0], extra.get(_POD_UID, [""])[0]
        return self._secret(name, uid) if uid and name == hello.environment else None

    def _secret(self, pod: str, uid: str) -> str:
        return f"{uid}.{hmac.new(self._key, f'pod {pod} {uid}'.encode(), 'sha256').hexdigest()}"
