"""Which version an invocation runs."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from lambent_core import versions
from lambent_core.errors import ResourceConflict, ResourceNotFound
from lambent_core.function import EventInvokeConfig, Function, FunctionSpec, FunctionStatus, Metadata
from lambent_core.invocation import Invocation
from lambent_core.versions import FunctionAlias
from lambent_gateway.environments.runtimes import RuntimeChoice
from lambent_gateway.routes import Route, route_of
from lambent_gateway.routing import Routing
from lambent_gateway.telemetry import FunctionMetrics

ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"
RETRY_ONCE = EventInvokeConfig(maximum_retry_attempts=1)
FUNCTION = Function(
    metadata=Metadata(name="f", uid="uid"),
    spec=FunctionSpec(runtime="provided.al2023", event_invoke_config=RETRY_ONCE),
    status=FunctionStatus(code_revision=3),
)


@pytest.fixture
def routes() -> dict[str, Route]:
    choice = RuntimeChoice("pool", "provided:al2023.v1", "api", [], {})
    return {
        version: route_of(FUNCTION, choice, FunctionMetrics(), region="r", account="a", version=version)
        for version in ("$LATEST", "1", "2")
    }


def alias(version: str, weights: dict[str, float] | None = None) -> FunctionAlias:
    made = versions.alias_of(FUNCTION, "live", version, now=0)
    return msgspec.structs.replace(made, additional_version_weights=weights or {})


def found(routing: Routing, qualifier: str | None) -> str | None:
    """The version that runs; None where it is not found."""
    try:
        return routing.find(Invocation("id", "f", b"{}", qualifier)).version
    except ResourceNotFound as error:
        return None if error.message == f"Function not found: {ARN}:{qualifier or '$LATEST'}" else error.message


def test_a_route_is_of_one_version(routes: dict[str, Route]) -> None:
    latest, first = routes["$LATEST"], routes["1"]
    assert (latest.key, first.key) == ("f", "f:1")
    assert (latest.name, first.name) == ("f", "f")
    assert (latest.version, first.version) == ("$LATEST", "1")
    assert (latest.arn, first.arn) == ("arn:aws:lambda:r:a:function:f", "arn:aws:lambda:r:a:function:f:1")
    assert len({route.revision for route in routes.values()}) == 3
    assert latest.revision == "uid/3"


def test_every_qualifier_leads_to_its_version(routes: dict[str, Route]) -> None:
    routing = Routing(lambda: 1 / 0)
    for route in routes.values():
        assert routing.put(route) is None
    routing.put_alias(alias("1"))
    assert [found(routing, each) for each in (None, "$LATEST", "1", "2", "live")] == [
        "$LATEST",
        "$LATEST",
        "1",
        "2",
        "1",
    ]
    assert set(routing.direct) == {("f", None), ("f", "$LATEST"), ("f", "1"), ("f", "2"), ("f", "live")}
    assert [found(routing, each) for each in ("3", "other", "Live")] == [None, None, None]


def test_an_alias_may_come_before_its_version_and_outlive_it(routes: dict[str, Route]) -> None:
    routing = Routing(lambda: 1 / 0)
    routing.put_alias(alias("1"))
    assert found(routing, "live") == f"Function not found: {ARN}:1", "that is what isn't there"
    routing.put(routes["1"])
    assert found(routing, "live") == "1"
    newer = replace(routes["1"], revision="newer")
    assert routing.put(newer) is routes["1"]
    assert routing.direct["f", "live"] is newer
    routing.put(routes["2"])
    routing.put_alias(alias("2"))
    assert found(routing, "live") == "2"
    assert routing.remove("f", "1") is newer
    assert (found(routing, "1"), found(routing, "live")) == (None, "2")
    assert routing.remove("f", "2") is routes["2"]
    assert found(routing, "live") == f"Function not found: {ARN}:2"
    routing.put(routes["2"])
    routing.remove_alias("f", "live")
    assert (found(routing, "live"), found(routing, "2")) == (None, "2")
    routing.remove_alias("f", "live")


def test_weights_are_drawn_for_each_invocation(routes: dict[str, Route]) -> None:
    drawn = iter([0.1, 0.3, 0.2, 0.1])
    routing = Routing(lambda: next(drawn))
    routing.put_alias(alias("1"))
    for route in routes.values():
        routing.put(route)
    routing.put_alias(alias("1", {"2": 0.25}))
    assert ("f", "live") not in routing.direct
    routing.put(replace(routes["1"]))
    assert [found(routing, "live") for _ in range(3)] == ["2", "1", "2"]
    routing.remove("f", "2")
    assert found(routing, "live") == f"Function not found: {ARN}:2"
    routing.put_alias(alias("1"))
    assert found(routing, "live") == "1"


def test_what_can_not_run_says_why(routes: dict[str, Route]) -> None:
    routing, why = Routing(lambda: 1 / 0), ResourceConflict("Pending")
    routing.put_alias(alias("$LATEST"))
    routing.put(routes["$LATEST"])
    assert routing.remove("f", "$LATEST", why) is routes["$LATEST"]
    for qualifier in (None, "$LATEST", "live"):
        with pytest.raises(ResourceConflict, match="Pending"):
            found(routing, qualifier)
    assert routing.event_invoke_config("f", None) == EventInvokeConfig()
    assert routing.remove("f", "$LATEST") is None
    assert found(routing, None) is None
    routing.remove("f", "$LATEST", why)
    routing.put(routes["$LATEST"])
    assert routing.remove("f", "$LATEST") is not None
    assert found(routing, None) is None, "the reason went when the route came"


def test_how_events_are_retried_is_the_qualifiers(routes: dict[str, Route]) -> None:
    routing = Routing(lambda: 1 / 0)
    routing.put_alias(alias("1"))
    assert [routing.event_invoke_config("f", each) for each in (None, "1", "live")] == [None, None, None]
    routing.put(routes["1"])
    assert routing.event_invoke_config("f", "1") == RETRY_ONCE
    assert routing.event_invoke_config("f", "live") == EventInvokeConfig()
    routing.put_alias(msgspec.structs.replace(alias("1", {"2": 0.5}), event_invoke_config=RETRY_ONCE))
    assert routing.event_invoke_config("f", "live") == RETRY_ONCE
    assert routing.event_invoke_config("f", None) is None
