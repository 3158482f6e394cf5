"""
The composition root on Kubernetes: documents are custom resources, environments are pods that the operator makes.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import socket
import string
from contextlib import AsyncExitStack
from functools import partial

import structlog
import uvloop
from fastapi import APIRouter

from lambent_core import dedicated_pools
from lambent_core.census import Census
from lambent_core.documents import PackagesAtHand
from lambent_core.names import resource_name
from lambent_core.resources import UnreadableResource, from_resource
from lambent_core.runtime_pool import AgentId
from lambent_core.runtime_pools import RuntimePool
from lambent_gateway import identifiers, logging
from lambent_gateway.api.agents import AgentsDoor, router
from lambent_gateway.clock import SystemClock
from lambent_gateway.cluster_settings import ClusterSettings
from lambent_gateway.drivers.belongings import Adoptions
from lambent_gateway.drivers.fleet import PoolSize
from lambent_gateway.drivers.invoker import Invoker
from lambent_gateway.drivers.readiness import Readiness
from lambent_gateway.environments.agents import Agent
from lambent_gateway.environments.pod_identities import PodIdentities, TokenReviewer
from lambent_gateway.environments.pod_provider import PodProvider
from lambent_gateway.environments.pool_runtimes import PoolRuntimes
from lambent_gateway.holdings import CannotStart, data_directory, listening
from lambent_gateway.network import Network
from lambent_gateway.peers.packages import SharedPackages
from lambent_gateway.platform import Backing, Platform, Serving, assemble, url_of
from lambent_gateway.registries.client import Registries
from lambent_gateway.registries.credentials import Credentials
from lambent_gateway.serving import serve
from lambent_gateway.stores.blobs import DirectoryPackages
from lambent_gateway.stores.kubernetes_documents import KubernetesDocuments
from lambent_gateway.stores.package_cache import CachedPackages
from lambent_kube.client import Kubernetes, Object
from lambent_kube.config import NoCluster, cluster_access
from lambent_kube.mirror import Mirror
from lambent_kube.resources import RUNTIME_POOLS

log = structlog.get_logger(__name__)

FIELD_MANAGER = "lambent-api"
KEY_BYTES_MIN = 32
_LETTERS = string.ascii_lowercase + string.digits


def run(settings: ClusterSettings) -> None:
    """Serves until SIGINT or SIGTERM. Raises `CannotStart`."""
    logging.configure(settings.gateway.log_level)
    server = settings.gateway.server
    with (
        data_directory(settings.gateway.data_dir),
        listening(server.host, server.port) as listener,
        listening(server.host, settings.link_port) as link,
        listening(server.host, settings.peer_port) as peers,
    ):
        uvloop.run(_run(settings, listener, link, peers))


async def _run(settings: ClusterSettings, listener: socket.socket, link: socket.socket, peers: socket.socket) -> None:
    async with AsyncExitStack() as stack:
        try:
            kubernetes = Kubernetes(cluster_access(), field_manager=FIELD_MANAGER)
        except NoCluster as error:
            raise CannotStart(str(error)) from error
        stack.push_async_callback(kubernetes.close)
        key = _key(settings)
        own_packages = DirectoryPackages(settings.gateway.data_dir / "packages")
        network = Network(settings, kubernetes, key=key, open_package=own_packages.file)
        await network.open()
        stack.push_async_callback(network.close)
        documents = KubernetesDocuments(
            kubernetes, settings.namespace, partial(url_of, settings.endpoint), network.tell_others
        )
        packages = await _packages(settings, own_packages, documents, network, stack, key=key)
        await documents.open()
        stack.push_async_callback(documents.close)
        adoptions = Adoptions(documents)
        adoptions.start()
        stack.push_async_callback(adoptions.stop)
        readiness = Readiness(documents, SystemClock())
        readiness.start()
        stack.push_async_callback(readiness.stop)
        runtimes, pools = PoolRuntimes(), _Pools(settings, kubernetes)
        await pools.open()
        stack.push_async_callback(pools.close)
        runtimes.put(pools.found, functions_namespace=settings.namespace)
        registries = Registries(Credentials(settings.registry_credentials), plain_http=settings.plain_http_registries)
        await registries.open()
        stack.push_async_callback(registries.close)
        reviewer = TokenReviewer(kubernetes)
        provider = PodProvider(PodIdentities(reviewer, key=key, namespace=settings.namespace))
        backing = Backing(
            name=settings.pod_name,
            documents=documents,
            packages=packages,
            runtimes=runtimes,
            provider=provider,
            pool_size=lambda pool: PoolSize(network.share(runtimes.size(pool)), network.share(runtimes.size_max(pool))),
            new_agent_id=_new_agent_id,
            agents_outlive=True,
            gateway_of=network.gateway_of,
            forward=network.forward,
            dispatch=network.dispatch,
            logs_elsewhere=network.logs_elsewhere,
            images=registries,
            namespace=settings.namespace,
        )
        platform = await _assemble(settings, backing, provider, reviewer, stack)
        pools.follow(platform, runtimes)
        network.join(platform.fleet, platform.serving)
        loop = asyncio.get_running_loop()
        for server in (
            await loop.create_server(lambda: Agent(platform.fleet), sock=link),
            await loop.create_server(partial(network.accept, documents.heard), sock=peers),
        ):
            stack.callback(server.close)
        log.info("serving", endpoint=settings.endpoint, namespace=settings.namespace, runtimes=runtimes.offered)
        await serve(
            platform,
            listener,
            drain_seconds=settings.gateway.server.drain_seconds,
            linger_seconds=settings.linger_seconds,
            told_to_end=network.leave,
            drained=network.others_served,
        )


async def _packages(
    settings: ClusterSettings,
    own: DirectoryPackages,
    documents: KubernetesDocuments,
    network: Network,
    stack: AsyncExitStack,
    *,
    key: bytes,
) -> PackagesAtHand:
    """In a bucket that all gateways share, this one's volume being a cache; or on all their volumes."""
    if settings.bucket is None:
        shared = SharedPackages(own, others=network.with_packages)
        documents.subscribe(shared.changed)
        return shared
    from lambent_gateway.stores.bucket import (
        BucketPackages,
    )  # an S3 client takes 20 MB, so only where there is a bucket

    bucket = BucketPackages(
        settings.bucket,
        installation=hashlib.sha256(b"installation" + key).hexdigest(),
        now=SystemClock.time,
        new_name=identifiers.new_object_name,
    )
    stack.push_async_callback(bucket.close)
    packages = CachedPackages(bucket, own)
    if await bucket.open():
        await packages.bring()
    return packages


async def _assemble(
    settings: ClusterSettings, backing: Backing, provider: PodProvider, reviewer: TokenReviewer, stack: AsyncExitStack
) -> Platform:
    async def is_operator(token: str) -> bool:
        user = await reviewer.review(token)
        return user is not None and user.get("username") == settings.operator_account

    def doors(census: Census, invoker: Invoker, serving: Serving) -> list[APIRouter]:
        door = AgentsDoor(
            census=census,
            count=lambda: census.count(invoker.environments(), invoker.rollouts()),
            failed=lambda agent, reason: provider.failed(AgentId(agent), reason),
            is_operator=is_operator,
            ending=lambda: serving.ending,
        )
        return [router(door)]

    return await assemble(settings.gateway, backing, settings.endpoint, stack, doors)


class _Pools:
    """Follows the RuntimePools of the functions' namespace and of the platform's own."""

    def __init__(self, settings: ClusterSettings, kubernetes: Kubernetes) -> None:
        self._namespace = settings.namespace
        self._mirrors = [
            Mirror(kubernetes, RUNTIME_POOLS, namespace, self._told)
            for namespace in sorted({settings.namespace, settings.system_namespace})
        ]
        self._tasks: list[asyncio.Task[None]] = []
        self._follower: tuple[Platform, PoolRuntimes] | None = None

    async def open(self) -> None:
        self._tasks = [asyncio.create_task(mirror.follow()) for mirror in self._mirrors]
        for mirror in self._mirrors:
            await mirror.listed.wait()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def found(self) -> list[RuntimePool]:
        return [pool for mirror in self._mirrors for thing in mirror.objects.values() if (pool := _read(thing))]

    def follow(self, platform: Platform, runtimes: PoolRuntimes) -> None:
        """Brings every change of the pools to those who use them, from now on."""
        self._follower = (platform, runtimes)

    def _told(self, old: Object | None, new: Object | None) -> None:
        if self._follower is None or (old is not None and new is not None and old["spec"] == new["spec"]):
            return
        platform, runtimes = self._follower
        runtimes.put(self.found, functions_namespace=self._namespace)
        platform.catalogue.refresh()
        platform.fleet.resize()


def _read(thing: Object) -> RuntimePool | None:
    try:
        pool = from_resource(thing)
    except UnreadableResource as error:
        log.error("a resource can't be read", error=str(error))
        return None
    return pool if isinstance(pool, RuntimePool) else None


def _new_agent_id(pool: str) -> AgentId:
    """Names a pod: after its pool or its function, and never again."""
    own = dedicated_pools.parse(pool)
    base = resource_name(own.function if own else pool)[:40].rstrip("-")
    return AgentId(f"{base}-{''.join(secrets.choice(_LETTERS) for _ in range(12))}")


def _key(settings: ClusterSettings) -> bytes:
    try:
        key = settings.link_key_file.read_bytes()
    except OSError as error:
        raise CannotStart(f"LAMBENT_LINK_KEY_FILE {settings.link_key_file} can't be read: {error.strerror}") from error
    if len(key) < KEY_BYTES_MIN:
        raise CannotStart(
            f"LAMBENT_LINK_KEY_FILE {settings.link_key_file} has {len(key)} bytes: at least {KEY_BYTES_MIN} are wanted"
        )
    return key
