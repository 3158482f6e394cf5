"""Parts die, go away or are replaced under constant traffic, and each answer is counted."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from lambent_core.ownership import Ownership
from tests.cluster.events import no_event_lost
from tests.cluster.installation import GATEWAYS, Installation, Object, function, wait_for
from tests.cluster.traffic import Traffic, first_calls, traffic
from tools.cluster import node, one_node, processes
from tools.cluster.places import Places

pytestmark = pytest.mark.timeout(400)
ROOT = Path(__file__).parents[2]
AWAY_SECONDS = 65.0
"""Longer than agents look for a gateway that lets them in."""
LONG_SECONDS = 40
"""A call's: longer than the 30 s that Kubernetes gives a pod to end in unless told otherwise."""
FRESH = tuple(f"fresh-{number}" for number in range(60))
"""Functions that nobody has called; enough for as long as two gateways take to be replaced."""
SLOW = "import time\ndef handler(event, context):\n    time.sleep(event)\n    return event\n"


def uids(pods: list[Object]) -> set[str]:
    return {pod["metadata"]["uid"] for pod in pods}


def all_ready(pods: list[Object]) -> bool:
    """And none on its way out."""
    return bool(pods) and all(
        "deletionTimestamp" not in pod["metadata"]
        and any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", []))
        for pod in pods
    )


def kill(lambent: Installation, namespace: str, *pods: Object) -> None:
    """At once, without a word to the processes in them."""
    names = [pod["metadata"]["name"] for pod in pods]
    lambent.kubectl("delete", "pod", *names, "--namespace", namespace, "--grace-period=0", "--force")


def no_call_failed(calls: Traffic) -> None:
    assert calls.failed == {}, str(calls)


def lost_with_the_process(calls: Traffic, most: int) -> None:
    """Calls that were in a process that was killed can't be answered; and while there is no gateway, none can be reached."""
    gone = {"ServerDisconnectedError", "ClientOSError", "ClientConnectorError", "ClientPayloadError", "500"}
    if GATEWAYS == 1:
        assert calls.failed.keys() <= gone | {"503", "TimeoutError"}, str(calls)
    else:
        assert calls.failed.keys() <= gone and sum(calls.failed.values()) <= most, str(calls)


def test_without_the_operator_what_is_warm_is_served_and_it_goes_on_where_it_was(lambent: Installation) -> None:
    with (
        lambent.applied(function("warm"), function("cold")),
        no_event_lost(lambent),
        traffic(lambent.endpoint, "warm") as calls,
    ):
        before = lambent.platform_pods("operator")
        kill(lambent, lambent.system, *before)
        calls.flows()
        wait_for(
            "another operator",
            lambda: all_ready(now := lambent.platform_pods("operator")) and not uids(now) & uids(before),
        )
        wait_for("its work", lambda: lambent.invoke("cold", 1) == 1 and lambent.pods_of("cold"))
        calls.flows()
    no_call_failed(calls)


def test_a_gateway_that_is_killed_loses_what_it_had_in_hand_alone(lambent: Installation) -> None:
    with lambent.applied(function("warm")), traffic(lambent.endpoint, "warm", callers=4) as calls:
        for gateway in lambent.platform_pods("gateway"):
            kill(lambent, lambent.system, gateway)
            calls.flows()
            wait_for(
                "all gateways",
                lambda: len(now := lambent.platform_pods("gateway")) == GATEWAYS and all_ready(now),
            )
            calls.flows()
        environments = lambent.pods_of("warm")
        assert environments, "the environments outlived the gateways"
    lost_with_the_process(calls, most=4 * GATEWAYS * 4)


def test_what_a_gateway_ran_for_another_is_answered_though_it_is_killed(lambent: Installation) -> None:
    """Its environment goes to the other one, and takes the answer along."""
    with lambent.applied(function("slow", SLOW, timeout=60)), ThreadPoolExecutor(1) as behind:
        lambent.invoke("slow", 0)
        gateways = {pod["metadata"]["name"]: pod for pod in lambent.platform_pods("gateway")}
        addresses = {name: pod["status"]["podIP"] for name, pod in gateways.items()}
        owner = Ownership("nobody", addresses).owner("slow")
        other = next(name for name in addresses if name != owner)
        door = replace(lambent, endpoint=f"http://{addresses[other]}:9000")
        running = behind.submit(door.invoke, "slow", 8)
        wait_for("it to run", lambda: lambent.function("slow")["status"]["environments"]["busy"] == 1)
        kill(lambent, lambent.system, gateways[owner])
        assert running.result() == 8
        door.client.close()
        wait_for(
            "all gateways",
            lambda: len(now := lambent.platform_pods("gateway")) == GATEWAYS and all_ready(now),
        )
        wait_for("the Service to lead to them", lambda: lambent.serves("slow"))


def test_asynchronous_events_survive_the_gateway(lambent: Installation) -> None:
    with no_event_lost(lambent):
        kill(lambent, lambent.system, *lambent.platform_pods("gateway"))
        wait_for(
            "all gateways",
            lambda: len(now := lambent.platform_pods("gateway")) == GATEWAYS and all_ready(now),
        )
        wait_for("the Service to lead to them", lambda: lambent.serves("later"))


def test_a_function_pod_that_is_killed_takes_its_own_call_with_it_alone(lambent: Installation) -> None:
    with (
        lambent.applied(function("warm")),
        no_event_lost(lambent),
        traffic(lambent.endpoint, "warm", callers=4) as calls,
    ):
        kill(lambent, lambent.functions, lambent.pods_of("warm")[0], *lambent.pods_of("later"))
        calls.flows(100)
    assert calls.failed.keys() <= {"500"} and sum(calls.failed.values()) <= 1, str(calls)


def test_a_node_drain_moves_environments_without_a_failed_call(lambent: Installation) -> None:
    """The eviction API, as `kubectl drain` uses it; on one node the others of its pods have nowhere else to go."""
    with (
        lambent.applied(function("warm"), function("slow", SLOW, timeout=60)),
        no_event_lost(lambent),
        traffic(lambent.endpoint, "warm", callers=4) as calls,
        ThreadPoolExecutor(1) as behind,
    ):
        running = behind.submit(lambent.invoke, "slow", LONG_SECONDS)
        wait_for("the slow one's pod", lambda: lambent.pods_of("slow"))
        evicted = [pod for name in ("warm", "slow", "later") for pod in lambent.pods_of(name)]
        for pod in evicted:
            lambent.evict(pod)
        calls.flows(100)
        assert running.result() == LONG_SECONDS, "what ran when its pod was evicted ran to its end"
        wait_for("the end of what was evicted", lambda: not uids(evicted) & uids(pods_here(lambent)))
        calls.flows()
    no_call_failed(calls)


def pods_here(lambent: Installation) -> list[Object]:
    return lambent.pods(lambent.functions, "lambent.dev/pool")


@pytest.mark.parametrize("component", ["operator", "gateway"])
def test_a_rolling_upgrade_fails_no_call(lambent: Installation, component: str) -> None:
    with (
        lambent.applied(function("warm"), function("fresh")),
        no_event_lost(lambent),
        traffic(lambent.endpoint, "warm", callers=4) as calls,
    ):
        before = uids(lambent.platform_pods(component))
        lambent.upgrade(**{component: {"podAnnotations": {"lambent.dev/test": f"{time.time()}"}}})
        wait_for(
            "the end of the old ones",
            lambda: all_ready(now := lambent.platform_pods(component)) and not uids(now) & before,
        )
        calls.flows()
        assert lambent.invoke("fresh", 1) == 1
    if component == "gateway" and GATEWAYS == 1:
        lost_with_the_process(calls, most=0)
    else:
        no_call_failed(calls)


def test_first_calls_do_not_fail_while_gateways_are_replaced(lambent: Installation) -> None:
    """They wait for a pod at one gateway or the other, also at that which is just told to end."""
    with lambent.applied(*(function(name, idleSeconds=1) for name in FRESH)):
        before = uids(lambent.platform_pods("gateway"))
        with first_calls(lambent.endpoint, FRESH) as calls:
            lambent.upgrade(gateway={"podAnnotations": {"lambent.dev/test": f"{time.time()}"}})
            wait_for(
                "the end of the old ones",
                lambda: all_ready(now := lambent.platform_pods("gateway")) and not uids(now) & before,
            )
        no_call_failed(calls)


def test_what_is_in_hand_when_gateways_are_told_to_end_is_answered(lambent: Installation) -> None:
    """Also what one of them runs for another."""
    with lambent.applied(function("slow", SLOW, timeout=60)), ThreadPoolExecutor(4) as behind:
        lambent.invoke("slow", 0)
        gateways = lambent.platform_pods("gateway")
        doors = [replace(lambent, endpoint=f"http://{pod['status']['podIP']}:9000") for pod in gateways]
        running = [behind.submit(doors[number % len(doors)].invoke, "slow", LONG_SECONDS) for number in range(4)]
        wait_for("four to run", lambda: lambent.function("slow")["status"]["environments"]["busy"] == 4)
        names = [pod["metadata"]["name"] for pod in gateways]
        lambent.kubectl("delete", "pod", *names, "--namespace", lambent.system, "--wait=false")
        assert [each.result() for each in running] == 4 * [LONG_SECONDS]
        for door in doors:
            door.client.close()
        wait_for(
            "all gateways",
            lambda: len(now := lambent.platform_pods("gateway")) == GATEWAYS and all_ready(now),
        )
        wait_for("the Service to lead to them", lambda: lambent.serves("slow"))


# The node's own programs


@pytest.fixture
def places() -> Places:
    """Whose programs can be stopped: those of a node that this machine carries."""
    made = Places(ROOT, Path(os.environ.get("LAMBENT_CACHE") or ROOT / ".cache").absolute())
    owner = one_node.owner(made)
    if owner is None or Path(os.environ["KUBECONFIG"]).resolve() != Places(owner, made.cache).kubeconfig.resolve():
        pytest.skip("the cluster's programs are not on this machine")
    return Places(owner, made.cache)


@contextmanager
def stopped(name: str, places: Places) -> Iterator[None]:
    (daemon,) = (one for one in node.daemons(places) if one.name == name)
    processes.stop(name, places)
    try:
        yield
    finally:
        processes.start(daemon, places)


def node_ready(lambent: Installation) -> bool:
    path = '{.items[*].status.conditions[?(@.type=="Ready")].status}'
    return lambent.kubectl("get", "nodes", f"--output=jsonpath={path}") == "True"


def restarts(pods: list[Object]) -> dict[str, int]:
    return {pod["metadata"]["uid"]: pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods}


def test_while_the_api_server_is_away_what_is_warm_is_served(lambent: Installation, places: Places) -> None:
    """
    K1, for a minute; then both processes go on where they were, and first calls are served: at once where a pod waits.

    Where none does, once Kubernetes starts pods again: after an outage its kubelet looks again for an API server only after up to a minute
    (client-go's back-off), and a caller waits for a minute.

    Controller manager and scheduler end with it, as they do where they can't renew a Lease: the one would take the node for lost.
    """
    # In pods of their own, of which none is kept ready.
    own, later = (function(name, ephemeralStorage={"size": 1024}) for name in ("own", "later"))
    with (
        lambent.applied(function("warm"), function("cold"), own, later),
        no_event_lost(lambent),
        traffic(lambent.endpoint, "warm") as calls,
        ThreadPoolExecutor(1) as behind,
    ):
        before = restarts(lambent.platform_pods("gateway"))
        with stopped("kube-controller-manager", places), stopped("kube-scheduler", places):
            behind.submit(lambent.serves, "own")
            with stopped("kube-apiserver", places):
                ends = time.monotonic() + AWAY_SECONDS
                while time.monotonic() < ends:
                    calls.flows(20)
            wait_for("the API server", lambda: lambent.kubectl("get", "--raw=/readyz") == "ok")
        lambent.apply(function("cold", timeout=9))
        wait_for("a change to be settled", lambda: lambent.function("cold")["status"]["observedGeneration"] == 2)
        assert lambent.invoke("cold", 1) == 1
        wait_for("the kubelet", lambda: lambent.serves("own"), seconds=180.0)
        assert lambent.invoke("later", 1) == 1
        calls.flows()
        assert restarts(lambent.platform_pods("gateway")) == before
    no_call_failed(calls)


def test_while_the_kubelet_is_away_its_pods_go_on(lambent: Installation, places: Places) -> None:
    """
    Kubernetes takes all pods of a node that it has lost for not ready, and leads no Service to them: on one node nobody can be reached
    that way. Whoever has the gateway's address is served.
    """
    with lambent.applied(function("warm")):
        gateways = lambent.platform_pods("gateway")
        address = f"http://{gateways[0]['status']['podIP']}:9000"
        with traffic(address, "warm") as calls:
            with stopped("kubelet", places):
                wait_for("the node to be lost", lambda: not node_ready(lambent))
                wait_for("its pods to be taken for lost", lambda: not all_ready(lambent.platform_pods("gateway")))
                calls.flows(100)
            wait_for("the node", lambda: node_ready(lambent))
            wait_for("its pods", lambda: all_ready(lambent.platform_pods("gateway")))
            calls.flows()
        assert restarts(lambent.platform_pods("gateway")) == restarts(gateways)
        wait_for("the Service", lambda: lambent.serves("warm"))
    no_call_failed(calls)
