from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lambent_core.function import (
    Code,
    EphemeralStorage,
    FoundImage,
    Function,
    FunctionSpec,
    FunctionStatus,
    ImageConfig,
    Metadata,
    PodSettings,
)
from lambent_core.runtime_pools import RuntimePool, RuntimePoolSpec
from lambent_gateway.environments.pool_runtimes import PoolRuntimes
from lambent_gateway.environments.runtimes import RuntimeChoice

COMMAND = ["/usr/bin/python3.11", "/var/runtime/bootstrap.py"]


def pool(name: str, *runtimes: str, namespace: str = "lambent-system", **members: Any) -> RuntimePool:
    spec = RuntimePoolSpec(runtimes=list(runtimes), image=f"image-of-{name}", command=COMMAND)
    return RuntimePool(metadata=Metadata(name=name, namespace=namespace), spec=msgspec.structs.replace(spec, **members))


def function(runtime: str | None = "python3.11", **members: Any) -> Function:
    return Function(
        metadata=Metadata(name="hello"),
        spec=FunctionSpec(runtime=runtime, **members),
        status=FunctionStatus(code_revision=4),
    )


def offering(*pools: RuntimePool) -> PoolRuntimes:
    made = PoolRuntimes()
    made.put(pools, functions_namespace="default")
    return made


def chosen(runtimes: PoolRuntimes, asked: Function | None = None) -> RuntimeChoice:
    choice = runtimes.choose(asked or function())
    assert choice is not None
    return choice


def test_without_pools_there_is_nothing() -> None:
    runtimes = offering()
    assert runtimes.offered == [] and runtimes.choose(function()) is None
    assert runtimes.where == "cluster" and runtimes.default_pools == []


def test_a_pool_gives_its_runtime_with_all_that_it_says() -> None:
    choice = chosen(offering(pool("python3.11", "python3.11", protocol="api", environment={"PATH": "/bin"})))
    assert choice == RuntimeChoice("python3.11", "python:3.11.v1", "api", COMMAND, {"PATH": "/bin"})


def test_another_runtime_is_not_replaced() -> None:
    runtimes = offering(pool("python3.11", "python3.11"))
    assert runtimes.choose(function("python3.12")) is None
    assert runtimes.choose(function(None)) is None


def test_offered_are_all_of_all_pools_once() -> None:
    runtimes = offering(pool("b", "python3.12", "python3.11"), pool("a", "python3.11", "provided.al2023"))
    assert runtimes.offered == ["provided.al2023", "python3.11", "python3.12"]


@pytest.mark.parametrize("turned", [False, True])
def test_the_functions_own_namespace_comes_first_then_the_name(turned: bool) -> None:
    pools = [
        pool("a", "python3.11"),
        pool("b", "python3.11"),
        pool("y", "python3.11", namespace="default"),
        pool("z", "python3.11", namespace="default"),
    ]
    found = []
    while pools:
        found.append(chosen(offering(*(pools[::-1] if turned else pools))).pool)
        pools = [one for one in pools if one.metadata.name != found[-1]]
    assert found == ["y", "z", "a", "b"]


def test_the_size_is_that_of_the_pool_that_functions_get() -> None:
    runtimes = offering(
        pool("python3.11", "python3.11", size=5), pool("python3.11", "python3.11", namespace="default", size=1)
    )
    assert runtimes.size("python3.11") == 1
    assert runtimes.size("another") == 0


@pytest.mark.parametrize(
    "members",
    [{"pod": PodSettings(service_account_name="own")}, {"ephemeral_storage": EphemeralStorage(size=513)}],
    ids=["pod", "/tmp"],
)
def test_a_function_that_no_waiting_pod_fits_gets_its_own(members: dict[str, Any]) -> None:
    runtimes = offering(pool("python3.11", "python3.11"))
    choice = chosen(runtimes, function(**members))
    assert choice.pool == "function/hello/4"
    assert runtimes.size(choice.pool) == 0
    assert choice.command == COMMAND


def test_a_published_version_has_pods_of_its_own_beside_those_of_others() -> None:
    runtimes = offering(pool("python3.11", "python3.11"))
    own = function(pod=PodSettings(service_account_name="own"))
    pools = [choice.pool for version in ("$LATEST", "1", "2") if (choice := runtimes.choose(own, version))]
    assert pools == ["function/hello/4", "function/hello/v1", "function/hello/v2"]
    images = [choice.pool for version in ("$LATEST", "1") if (choice := runtimes.choose(image(), version))]
    uri = f"registry.example.com/fn@{DIGEST}"
    assert images == [f"function/hello/4/{uri}", f"function/hello/v1/{uri}"]
    assert chosen(runtimes) == runtimes.choose(function(), "1"), "what a waiting pod fits has one, whatever its version"


@pytest.mark.parametrize(
    ("runtime", "version"),
    [
        ("python3.11", "python:3.11.v1"),
        ("nodejs22.x", "nodejs:22.x.v1"),
        ("provided.al2023", "provided.al:2023.v1"),
        ("custom", "custom.v1"),
    ],
)
def test_the_version_as_init_start_tells_it(runtime: str, version: str) -> None:
    assert chosen(offering(pool("p", runtime)), function(runtime)).version == version


def test_pools_that_change_are_taken_anew() -> None:
    runtimes = offering(pool("python3.11", "python3.11"))
    runtimes.put([pool("other", "python3.12")], functions_namespace="default")
    assert runtimes.offered == ["python3.12"] and runtimes.choose(function()) is None


DIGEST = "sha256:" + "ab" * 32
FOUND = FoundImage(digest=DIGEST, entry_point=["/entry"], command=["app.handler"])


def image(found: FoundImage | None = FOUND, **config: Any) -> Function:
    return function(
        None,
        package_type="Image",
        code=Code(image_uri="registry.example.com/fn:1", image=found),
        image_config=ImageConfig(**config) if config else None,
    )


def test_an_image_runs_in_pods_of_its_own_that_no_pool_offers() -> None:
    assert offering().choose(image()) == RuntimeChoice(
        pool=f"function/hello/4/registry.example.com/fn@{DIGEST}",
        version=None,
        protocol="api",
        command=["/entry", "app.handler"],
        environment={},
    )


def test_what_replaces_an_images_settings() -> None:
    choice = chosen(offering(), image(None, entry_point=["/own"], command=["a"], working_directory="/app"))
    assert (choice.command, choice.working_directory) == (["/own", "a"], "/app")
    assert choice.pool == "function/hello/4/registry.example.com/fn:1", "a tag that nobody looked up is used as it is"


def test_an_image_that_nobody_looked_up_can_not_run() -> None:
    assert offering().choose(image(None)) is None
