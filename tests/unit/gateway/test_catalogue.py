"""Which functions can be invoked, as documents and pools come and change: with the real routing, and nothing to run on."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import pytest

from lambent_core import timestamps
from lambent_core.admission import Admission
from lambent_core.census import Census, Rollout
from lambent_core.documents import PackageNotFound
from lambent_core.errors import InvalidRuntime, LambdaError, ResourceConflict, ResourceNotFound
from lambent_core.function import (
    Code,
    EnvironmentCounts,
    Function,
    FunctionSpec,
    FunctionStatus,
    Metadata,
    PodSettings,
)
from lambent_core.invocation import Invocation
from lambent_core.placement import EnvironmentId, InvocationId
from lambent_core.runtime_pool import EXPECTED_SECONDS, AgentId
from lambent_core.runtime_pools import RuntimePool, RuntimePoolSpec
from lambent_core.scheduling import Scheduler, SchedulingLimits
from lambent_core.versions import alias_of, published
from lambent_gateway.clock import SystemClock
from lambent_gateway.drivers.catalogue import Catalogue
from lambent_gateway.drivers.fleet import Fleet, PoolSize
from lambent_gateway.drivers.invoker import Invoker
from lambent_gateway.environments.agents import Agent
from lambent_gateway.environments.link_bodies import SlotState
from lambent_gateway.environments.pod_identities import PodIdentities, TokenReviewer
from lambent_gateway.environments.pod_provider import PodProvider
from lambent_gateway.environments.pool_runtimes import PoolRuntimes
from lambent_gateway.routes import Route
from lambent_gateway.routing import Routing
from lambent_gateway.stores.logs import FunctionLogs
from lambent_gateway.telemetry import MetricsCollector
from tests.token_reviews import TokenReviews

PYTHON = RuntimePool(
    metadata=Metadata(name="python3.11", namespace="lambent-system"),
    spec=RuntimePoolSpec(runtimes=["python3.11"], image="i", command=["python3"], size=2),
)
ACTIVE = FunctionStatus(state="Active", last_update_status="Successful", code_revision=1)


def function(status: FunctionStatus = ACTIVE, **members: Any) -> Function:
    spec = FunctionSpec(runtime="python3.11", handler="app.handler", code=Code(sha256="ab" * 32, size=1))
    return Function(metadata=Metadata(name="fn", uid="u"), spec=msgspec.structs.replace(spec, **members), status=status)


class World:
    def __init__(self, folder: Path, provider: PodProvider) -> None:
        self.runtimes, self.admission = PoolRuntimes(), Admission(100)
        limits = SchedulingLimits(environments_max=10, idle_seconds_max=10, patience_seconds=10, starting_max=5)
        logs = FunctionLogs(folder)
        self.invoker = Invoker(
            Scheduler(limits, self.admission, count(1)),
            Routing(lambda: 0.5),
            now=lambda: 0.0,
            clock=SystemClock(),
            write_log=logs.write,
            specialize=_nothing_to_run_on,
            new_log_stream=lambda version: "stream",
        )
        self.census = Census("gateway-0")
        numbers = count(1)
        self.fleet = Fleet(
            provider,
            new_agent_id=lambda pool: AgentId(f"{pool}-{next(numbers)}"),
            pool_size=lambda pool: PoolSize(self.runtimes.size(pool), self.runtimes.size_max(pool)),
            spawning_max=10,
            open_package=_no_package,
            census=self.census,
            found=self.invoker.found,
        )
        self.invoker.attach(self.fleet)
        self.catalogue = Catalogue(
            self.invoker,
            admission=self.admission,
            runtimes=self.runtimes,
            metrics=MetricsCollector(),
            logs=logs,
            region="us-east-1",
            account="000000000000",
        )
        self.offer(PYTHON)

    def offer(self, *pools: RuntimePool) -> None:
        self.runtimes.put(pools, functions_namespace="default")
        self.catalogue.refresh()

    @property
    def route(self) -> tuple[int, str] | LambdaError:
        """Memory and revision of what is invoked, or the error that a caller gets."""
        try:
            found = self.invoker.routing.find(Invocation("r", "fn", payload=b""))
        except LambdaError as error:
            return error
        return found.memory_mb, found.revision

    @property
    def pods(self) -> int:
        """That are on their way."""
        return self.fleet.states()["python3.11", "starting"]


def just_deployed(name: str, *, code_revision: int = 1, seconds_ago: float = 0.0) -> Function:
    at = timestamps.last_modified(time.time() - seconds_ago)
    status = msgspec.structs.replace(ACTIVE, last_modified=at, code_revision=code_revision)
    return msgspec.structs.replace(function(status), metadata=Metadata(name=name, uid=name))


def _nothing_to_run_on(*_: object) -> Any:
    raise AssertionError("no agent ever comes")


async def _no_package(sha256: str) -> BinaryIO:
    raise PackageNotFound(sha256)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with TokenReviews().serving() as kubernetes:
        yield World(tmp_path, PodProvider(PodIdentities(TokenReviewer(kubernetes), key=b"k" * 32, namespace="default")))


async def test_an_active_function_can_be_invoked(world: World) -> None:
    world.catalogue.changed(None, function())
    assert world.route == (128, "u/1")


async def test_a_published_version_runs_in_pods_of_its_own(world: World) -> None:
    own = function(pod=PodSettings(service_account_name="own"))
    world.catalogue.changed(None, own)
    version = published(own, None, description=None, revision_id="r", now=0.0)
    world.catalogue.changed(None, version)
    pools = {key: route.runtime.pool for key, route in world.invoker.routing.by_key.items() if isinstance(route, Route)}
    assert pools == {"fn": "function/fn/1", "fn:1": "function/fn/v1"}


@pytest.mark.parametrize("late", [False, True], ids=["the older first", "the older last"])
async def test_whoever_else_claims_a_functions_name_the_older_is_invoked(world: World, late: bool) -> None:
    """U1 of FunctionNames. Both have run: gateways saw them in another order."""
    older = msgspec.structs.replace(function(), metadata=Metadata(name="fn", uid="u", creation_timestamp="2026-01-01"))
    metadata = Metadata(name="copy", uid="u-2", creation_timestamp="2026-01-02")
    younger = msgspec.structs.replace(function(function_name="fn", memory_size=512), metadata=metadata)
    for document in (younger, older) if late else (older, younger):
        world.catalogue.changed(None, document)
    assert world.route == (128, "u/1")
    failed = msgspec.structs.replace(younger, status=FunctionStatus(state="Failed"))
    world.catalogue.changed(younger, failed)
    assert world.route == (128, "u/1")
    world.catalogue.changed(older, None)
    assert isinstance(world.route, LambdaError)
    world.catalogue.changed(failed, younger)
    assert world.route == (512, "u-2/1")
    world.catalogue.changed(younger, None)
    assert isinstance(world.route, LambdaError)


@pytest.mark.parametrize("late", [False, True], ids=["the function first", "the function last"])
async def test_versions_and_aliases_are_there_as_long_as_their_function(world: World, late: bool) -> None:
    """C1: of a function that is on its way out Kubernetes deletes them after it, and one of its name is another."""
    owner = function()
    version = published(owner, None, description=None, revision_id="r", now=0.0)
    documents = [owner, version, alias_of(owner, "live", "1", now=0.0)]
    for document in reversed(documents) if late else documents:
        world.catalogue.changed(None, document)
    qualifiers = {("fn", qualifier) for qualifier in (None, "$LATEST", "1", "live")}
    assert world.invoker.routing.direct.keys() == qualifiers
    world.catalogue.changed(owner, None)
    assert world.invoker.routing.direct.keys() == set()
    another = msgspec.structs.replace(function(), metadata=Metadata(name="fn", uid="another"))
    world.catalogue.changed(None, another)
    assert world.invoker.routing.direct.keys() == {("fn", None), ("fn", "$LATEST")}
    world.catalogue.changed(version, None)
    world.catalogue.changed(None, published(another, None, description=None, revision_id="r", now=0.0))
    assert world.invoker.routing.direct.keys() == {("fn", None), ("fn", "$LATEST"), ("fn", "1")}


@pytest.mark.parametrize("late", [False, True], ids=["the claimant first", "the claimant last"])
async def test_what_is_not_given_to_a_function_takes_no_qualifier_of_its_away(world: World, late: bool) -> None:
    """C2: as of a manifest that was copied, and only its `metadata.name` changed."""
    owner = function()
    version = published(owner, None, description=None, revision_id="r", now=0.0)
    own = [version, alias_of(owner, "live", "1", now=0.0)]
    copies = [
        msgspec.structs.replace(each, function_uid="", metadata=Metadata(name=f"copy.{number}"))
        for number, each in enumerate(own)
    ]
    world.catalogue.changed(None, owner)
    for document in (*own, *copies) if late else (*copies, *own):
        world.catalogue.changed(None, document)
    qualifiers = {("fn", qualifier) for qualifier in (None, "$LATEST", "1", "live")}
    assert world.invoker.routing.direct.keys() == qualifiers
    for copy in copies:
        world.catalogue.changed(copy, None)
    assert world.invoker.routing.direct.keys() == qualifiers
    for document in own:
        world.catalogue.changed(document, None)
    assert world.invoker.routing.direct.keys() == {("fn", None), ("fn", "$LATEST")}


@pytest.mark.parametrize("outcome", ["InProgress", "Failed"])
async def test_an_update_that_is_under_way_or_failed_leaves_the_last_one_in_force(world: World, outcome: Any) -> None:
    first = function()
    world.catalogue.changed(None, first)
    updated = function(msgspec.structs.replace(ACTIVE, last_update_status=outcome), memory_size=512)
    world.catalogue.changed(first, updated)
    assert world.route == (128, "u/1")
    settled = function(msgspec.structs.replace(ACTIVE, code_revision=2), memory_size=512)
    world.catalogue.changed(updated, settled)
    assert world.route == (512, "u/2")


@pytest.mark.parametrize("outcome", ["InProgress", "Failed"])
async def test_a_gateway_that_starts_then_serves_what_there_is(world: World, outcome: Any) -> None:
    world.catalogue.changed(None, function(msgspec.structs.replace(ACTIVE, last_update_status=outcome)))
    assert world.route == (128, "u/1")


@pytest.mark.parametrize("state", ["Pending", "Failed"])
async def test_one_that_is_not_active_says_its_state(world: World, state: Any) -> None:
    world.catalogue.changed(None, function(FunctionStatus(state=state)))
    assert isinstance(world.route, ResourceConflict) and str(world.route).endswith(f"state: {state}")
    world.offer()
    assert isinstance(world.route, ResourceConflict), "pools that come and go don't matter to it"


async def test_one_whose_runtime_is_not_offered_waits_for_its_pool(world: World) -> None:
    world.offer()
    world.catalogue.changed(None, function())
    error = world.route
    assert isinstance(error, InvalidRuntime)
    assert str(error) == (
        "Runtime python3.11 of function fn is not available here. This cluster runs nothing yet: it has no RuntimePool."
    )
    world.offer(PYTHON)
    assert world.route == (128, "u/1")
    world.offer()
    assert isinstance(world.route, InvalidRuntime)


async def test_one_that_is_gone_is_not_brought_back_by_a_pool(world: World) -> None:
    first = function()
    world.catalogue.changed(None, first)
    world.catalogue.changed(first, None)
    world.offer(PYTHON)
    assert isinstance(world.route, ResourceNotFound)


async def test_a_pool_is_filled_once_a_function_uses_it(world: World) -> None:
    """Two pods wait: that is the pool's size."""
    assert world.census.agents == {}
    world.catalogue.changed(None, function())
    assert [(one.pool, one.state) for one in world.census.agents.values()] == [("python3.11", "wanted")] * 2


async def test_how_long_environments_idle_is_the_functions(world: World) -> None:
    world.catalogue.changed(None, function(idle_seconds=30))
    assert world.invoker.scheduler.idle_seconds == {"fn": 30}
    world.catalogue.changed(function(idle_seconds=30), None)
    assert world.invoker.scheduler.idle_seconds == {}


async def test_how_many_environments_are_in_a_pod_is_the_functions(world: World) -> None:
    """Of whichever version, and whatever it said when it was published."""
    shared = function(environments_per_pod=4)
    world.catalogue.changed(None, shared)
    environment = world.invoker.found(Agent(world.fleet), SlotState(0, "busy", "u/1"))
    assert environment is not None and environment.environments_per_pod == 4
    world.catalogue.changed(shared, function())
    assert environment.environments_per_pod == 1
    world.catalogue.changed(function(), shared)
    world.catalogue.changed(shared, None)
    assert environment.environments_per_pod == 1


async def test_replicas_are_started_before_those_that_wait_are_made_up(world: World) -> None:
    world.catalogue.changed(None, function(replicas=3))
    assert len(world.census.agents) == 3


async def test_how_far_new_code_has_come_is_counted(world: World) -> None:
    """A version's environments are no part of it: their code is what it was."""
    scheduler, told = world.invoker.scheduler, world.invoker.rollouts
    assert told() == {}
    second = msgspec.structs.replace(ACTIVE, code_revision=2)
    world.catalogue.changed(None, function(replicas=2))
    assert told() == {"fn": Rollout("u/1", updated=0, old=0)}
    scheduler.ready(EnvironmentId(1), now=0.0)
    scheduler.ready(EnvironmentId(2), now=0.0)
    scheduler.found("fn:7", EnvironmentId(100), now=0.0)
    assert world.invoker.environments() == {"fn": EnvironmentCounts(ready=3)}
    assert told() == {"fn": Rollout("u/1", updated=2, old=0)}
    assert scheduler.take("fn", "fn", InvocationId(1)) == 2
    world.catalogue.changed(function(replicas=2), function())
    scheduler.leaving(EnvironmentId(2), now=0.0)
    assert told() == {"fn": Rollout("u/1", updated=2, old=0)}, "its node is drained, its code the current one"
    world.catalogue.changed(function(), function(second, replicas=1))
    assert told() == {"fn": Rollout("u/2", updated=0, old=1)}, "who is free goes at once"
    scheduler.ready(EnvironmentId(3), now=0.0)
    assert told() == {"fn": Rollout("u/2", updated=1, old=1)}
    scheduler.finished(EnvironmentId(2), now=0.0)
    assert told() == {"fn": Rollout("u/2", updated=1, old=0)}
    scheduler.take("fn", "fn", InvocationId(2))
    world.offer()
    assert told() == {"fn": Rollout("", updated=0, old=1)}, "no runtime for it is left"
    scheduler.lost(EnvironmentId(3), now=0.0)
    assert told() == {"fn": Rollout("", updated=0, old=0)}


async def test_reserved_concurrency_is_followed(world: World) -> None:
    first = function(reserved_concurrent_executions=7)
    world.catalogue.changed(None, first)
    assert world.admission.reserved == {"fn": 7}
    refused = msgspec.structs.replace(ACTIVE, last_update_status="Failed", reserved_concurrent_executions=7)
    second = function(refused, reserved_concurrent_executions=901)
    world.catalogue.changed(first, second)
    assert world.admission.reserved == {"fn": 7}, "what was refused is not in force"
    world.catalogue.changed(second, None)
    assert world.admission.reserved == {}


async def test_for_what_was_just_deployed_pods_are_started_ahead(world: World) -> None:
    for name in ("a", "b", "c"):
        world.catalogue.changed(None, just_deployed(name))
    assert world.pods == 3, "of a pool of two"


async def test_a_gateway_that_starts_expects_no_calls_of_what_was_deployed_long_ago(world: World) -> None:
    for name in ("a", "b", "c"):
        world.catalogue.changed(None, just_deployed(name, seconds_ago=EXPECTED_SECONDS))
    assert world.pods == 2


async def test_new_code_is_expected_to_be_called_and_the_same_code_is_not(world: World) -> None:
    for name in ("a", "b", "c"):
        world.catalogue.changed(None, just_deployed(name, seconds_ago=EXPECTED_SECONDS))
        world.catalogue.changed(None, just_deployed(name))
    assert world.pods == 2
    for name in ("a", "b", "c"):
        world.catalogue.changed(None, just_deployed(name, code_revision=2))
    assert world.pods == 3


async def test_of_a_function_one_call_is_expected_whatever_versions_it_has(world: World) -> None:
    for name in ("a", "b"):
        made = just_deployed(name)
        world.catalogue.changed(None, made)
        world.catalogue.changed(None, published(made, None, description=None, revision_id="r", now=time.time()))
    assert world.pods == 2
