"""Gateways on a real API server with a real bucket for their packages: what they share, and what they say when it can't be used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from botocore.exceptions import ClientError

from lambent_gateway.settings import BucketSettings
from tests.cluster.gateway_process import GatewayProcess, start_gateway_process
from tests.cluster.operator_world import World, kubeconfig, until, world
from tests.object_store import ObjectStore
from tests.platform_process import ROLE, package

pytestmark = [
    pytest.mark.skipif(kubeconfig() is None, reason="no cluster: neither KUBECONFIG nor .cluster/kubeconfig"),
    pytest.mark.timeout(180),
]


@pytest_asyncio.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    config = kubeconfig()
    assert config is not None
    async with world(tmp_path, config) as made:
        yield made


@pytest.fixture
def server() -> Iterator[ObjectStore]:
    with ObjectStore() as started:
        yield started


def start(here: World, bucket: BucketSettings, *, name: str = "lambent-gateway-0", **settings: str) -> GatewayProcess:
    """As the chart tells a gateway of its bucket."""
    assert bucket.endpoint and bucket.access_key_id and bucket.secret_access_key
    told = {
        "LAMBENT_S3_BUCKET": bucket.name,
        "LAMBENT_S3_ENDPOINT": bucket.endpoint,
        "LAMBENT_S3_PREFIX": bucket.prefix,
        "LAMBENT_S3_REGION": bucket.region,
        "LAMBENT_S3_ACCESS_KEY_ID": bucket.access_key_id,
        "LAMBENT_S3_SECRET_ACCESS_KEY": bucket.secret_access_key,
    }
    return start_gateway_process(here, name=name, **(told | settings))


def create(gateway: GatewayProcess, name: str) -> Any:
    code = {"ZipFile": package({"app.py": f"# {name}\ndef handler(event, context):\n    return event\n"})}
    aws = gateway.client()
    aws.create_function(FunctionName=name, Runtime="python3.11", Handler="app.handler", Role=ROLE, Code=code)
    aws.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})


async def sha256_of(here: World, name: str) -> str:
    return str((await here.function(name))["status"]["code"]["sha256"])


async def test_gateways_share_it_and_bring_to_it_what_their_volumes_held(here: World, server: ObjectStore) -> None:
    before = start_gateway_process(here)
    await until(lambda: before.answers("/readyz"), "a gateway without a bucket serves")
    await asyncio.to_thread(create, before, "old")
    before.process.terminate()
    await asyncio.to_thread(before.process.wait, 60)

    bucket = server.new_bucket("lambent/")
    one, two = start(here, bucket), start(here, bucket, name="lambent-gateway-1")
    for gateway in (one, two):
        await until(lambda gateway=gateway: gateway.answers("/readyz"), "it serves")
    await asyncio.to_thread(create, one, "new")
    digests = {await sha256_of(here, name) for name in ("old", "new")}
    assert {path.parent.name for path in server.files(bucket) if path.name != "installation"} == digests
    for digest in digests:
        assert await two.answers(f"/lambent/v1/packages/{digest}"), "the other gateway has it"


async def test_a_gateway_starts_without_its_bucket_and_refuses_uploads_until_it_is_there(
    here: World, server: ObjectStore
) -> None:
    bucket = server.new_bucket()
    server.kill()
    gateway = start(here, bucket)
    await until(lambda: gateway.answers("/readyz"), "it serves")
    assert f"The bucket {bucket.name} at {server.endpoint} can't be used" in gateway.log
    with pytest.raises(ClientError, match="its bucket does not answer, or refuses") as refused:
        await asyncio.to_thread(create, gateway, "early")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    await asyncio.to_thread(server.start)
    await asyncio.to_thread(create, gateway, "later")


async def test_a_gateway_with_a_wrong_key_does_not_start_and_says_why(here: World, server: ObjectStore) -> None:
    gateway = start(here, server.new_bucket(), LAMBENT_S3_SECRET_ACCESS_KEY="guessed")
    assert await asyncio.to_thread(gateway.process.wait, 60) == 1
    assert "SignatureDoesNotMatch" in gateway.log
    assert "Check gateway.packages.s3" in gateway.log
