"""A platform whose packages are in a bucket, as a caller sees it while the bucket is there, away and back."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from lambent_gateway.settings import BucketSettings
from tests.object_store import ObjectStore
from tests.platform_process import ROLE, SERVE, Platform, package, wait_for

ECHO = "def handler(event, context):\n    return event\n"


def serve(bucket: BucketSettings) -> str:
    """Local mode with the package store of a gateway on Kubernetes."""
    return f"""
import time
from lambent_gateway import local
from lambent_gateway.identifiers import new_object_name
from lambent_gateway.settings import BucketSettings
from lambent_gateway.stores.blobs import DirectoryPackages
from lambent_gateway.stores.bucket import BucketPackages
from lambent_gateway.stores.package_cache import CachedPackages
bucket = BucketSettings(
    {bucket.name!r},
    {bucket.endpoint!r},
    access_key_id={bucket.access_key_id!r},
    secret_access_key={bucket.secret_access_key!r},
)
local.DirectoryPackages = lambda folder: CachedPackages(
    BucketPackages(bucket, installation="ours", now=time.time, new_name=new_object_name), DirectoryPackages(folder)
)
{SERVE}"""


@pytest.fixture
def server() -> Iterator[ObjectStore]:
    with ObjectStore() as started:
        yield started


@pytest.fixture
def gateways(server: ObjectStore, tmp_path: Path) -> Iterator[Callable[[str], Platform]]:
    bucket, made = server.new_bucket(), []

    def start(name: str) -> Platform:
        platform = Platform(tmp_path / name, serve=serve(bucket)).start()
        made.append(platform)
        return platform

    yield start
    for platform in made:
        platform.end()


def test_while_the_bucket_is_away_uploads_are_refused_and_the_rest_goes_on(
    server: ObjectStore, gateways: Callable[[str], Platform]
) -> None:
    platform = gateways("one")
    client = platform.client()
    for name in ("warm", "cold"):
        platform.function(name, f"# {name}\n{ECHO}")
    assert platform.invoke("warm", 1)["Payload"] == 1
    server.kill()
    with pytest.raises(ClientError, match="its bucket does not answer, or refuses") as refused:
        client.create_function(
            FunctionName="new", Runtime="python3.11", Handler="app.handler", Role=ROLE,
            Code={"ZipFile": package({"app.py": ECHO})},
        )  # fmt: skip
    assert refused.value.response["Error"]["Code"] == "ServiceException"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert platform.invoke("warm", 2)["Payload"] == 2
    assert platform.invoke("cold", 3)["Payload"] == 3, "its package is at hand"

    client.update_function_configuration(FunctionName="warm", Timeout=7)
    assert client.get_function_configuration(FunctionName="warm")["LastUpdateStatus"] == "InProgress"
    server.start()
    client.get_waiter("function_updated_v2").wait(FunctionName="warm", WaiterConfig={"Delay": 1})
    platform.function("new", ECHO)
    assert platform.invoke("new", 4)["Payload"] == 4


def test_a_package_that_one_gateway_was_sent_is_run_by_another(gateways: Callable[[str], Platform]) -> None:
    one, two = gateways("one"), gateways("two")
    one.function("made", ECHO)
    sha256 = one.get("/lambent/v1/functions/made")[1].partition('"sha256":"')[2][:64]
    two.apply("made", ECHO, code={"sha256": sha256})
    assert two.invoke("made", 5)["Payload"] == 5


def test_a_package_that_is_nowhere_to_be_had_fails_the_call_and_not_the_platform(
    server: ObjectStore, gateways: Callable[[str], Platform]
) -> None:
    platform = gateways("one")
    platform.function("lost", ECHO)
    shutil.rmtree(platform.data_dir / "packages")
    (platform.data_dir / "packages").mkdir()
    server.kill()
    failed = platform.invoke("lost", 1)
    assert (failed["FunctionError"], failed["Payload"]["errorType"]) == ("Unhandled", "Sandbox.Failure")
    server.start()
    wait_for("the function", lambda: _payload(platform, "lost") == 6)


def _payload(platform: Platform, name: str) -> object:
    try:
        return platform.invoke(name, 6)["Payload"]
    except ClientError:
        return None
