"""Several environments in one pod: a burst is served by pods that run already, whose size, loss and end are of all that is in them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.cluster.installation import GATEWAYS, Installation, Object, function, wait_for
from tests.cluster.traffic import traffic

pytestmark = pytest.mark.timeout(300)
MEETING = """
import os, socket, time

def handler(event, context):
    if event == 1:
        return event
    os.makedirs(f"/tmp/{event['name']}", exist_ok=True)
    open(f"/tmp/{event['name']}/{context.aws_request_id}", "w").close()
    while len(os.listdir(f"/tmp/{event['name']}")) < event["calls"]:
        time.sleep(0.02)
    return [socket.gethostname(), context.log_stream_name]
"""
"""Returns when so many invocations run at once in one pod: its environments have /tmp in common."""
BUSY = "import time\ndef handler(event, context):\n    time.sleep(0.2)\n    return event\n"
OWN_PODS = {"ephemeralStorage": {"size": 600}}
"""More /tmp than a pool's pods have, so that no pod waits: the first call starts one, and the others are opened in it."""
PER_POD = 4
NAMES = count(1)


@pytest.fixture
def meeting(lambent: Installation) -> Iterator[str]:
    with lambent.applied(
        function("meeting", MEETING, timeout=60, environmentsPerPod=PER_POD, idleSeconds=20, **OWN_PODS)
    ):
        yield "meeting"


def meet(lambent: Installation, name: str, calls: int) -> tuple[str, set[str]]:
    """The one pod that they all ran in, and the log streams of their environments."""
    payload = {"name": f"meeting-{next(NAMES)}", "calls": calls}
    with ThreadPoolExecutor(calls) as callers:
        answers = [one.result() for one in [callers.submit(lambent.invoke, name, payload) for _ in range(calls)]]
    (pod,) = {pod for pod, _ in answers}
    return pod, {stream for _, stream in answers}


def memory_limit(lambent: Installation, pod: str) -> str:
    """That the kubelet has in force."""
    found: str = lambent.get("pod", pod)["status"]["containerStatuses"][0]["resources"]["limits"]["memory"]
    return found


def test_a_burst_is_served_in_one_pod_which_grows_with_it_and_goes(lambent: Installation, meeting: str) -> None:
    pod, streams = meet(lambent, meeting, 1)
    wait_for("the size of one", lambda: memory_limit(lambent, pod) == "160Mi")
    again, more = meet(lambent, meeting, PER_POD)
    assert again == pod and len(more) == PER_POD and streams < more
    assert [one["metadata"]["name"] for one in lambent.pods_of(meeting)] == [pod]
    wait_for("the size of four", lambda: memory_limit(lambent, pod) == f"{PER_POD * 128 + 32}Mi")
    counted = {"ready": PER_POD, "busy": 0, "starting": 0, "updated": PER_POD}
    wait_for("the count of environments", lambda: lambent.function(meeting)["status"]["environments"] == counted)
    wait_for("zero, 20 s after the last call", lambda: not lambent.pods_of(meeting))
    counted = {"ready": 0, "busy": 0, "starting": 0, "updated": 0}
    wait_for("the count of environments", lambda: lambent.function(meeting)["status"]["environments"] == counted)


def test_a_burst_from_zero_asks_for_no_more_pods_than_it_needs(lambent: Installation, meeting: str) -> None:
    _, streams = meet(lambent, meeting, PER_POD)
    assert len(streams) == PER_POD
    assert len(wait_for("its pod's label", lambda: lambent.pods_of(meeting))) == 1
    made = lambent.pods(lambent.functions, "lambent.dev/pool")
    own = [pod for pod in made if pod["metadata"]["annotations"]["lambent.dev/pool"].startswith(f"function/{meeting}/")]
    assert len(own) == 1


def test_a_pod_is_evicted_under_traffic_without_a_failed_call(lambent: Installation) -> None:
    busy = function("busy", BUSY, timeout=30, environmentsPerPod=PER_POD, **OWN_PODS)
    with lambent.applied(busy), traffic(lambent.endpoint, "busy", callers=PER_POD) as calls:
        for _ in range(2):
            evicted: list[Object] = wait_for("its pods' label", lambda: lambent.pods_of("busy"))
            for pod in evicted:
                lambent.evict(pod)
            calls.flows(100)
            gone = {pod["metadata"]["uid"] for pod in evicted}
            wait_for(
                "the end of what was evicted",
                lambda gone=gone: not gone & {pod["metadata"]["uid"] for pod in lambent.pods_of("busy")},
            )
        calls.flows()
    assert calls.failed == {}, str(calls)


def test_environments_of_a_pod_outlive_the_gateway_and_their_pod_keeps_its_size(lambent: Installation) -> None:
    lasting = function("lasting", MEETING, timeout=60, environmentsPerPod=PER_POD, idleSeconds=120, **OWN_PODS)
    with lambent.applied(lasting):
        pod, streams = meet(lambent, "lasting", PER_POD - 1)
        size = f"{(PER_POD - 1) * 128 + 32}Mi"
        wait_for("the size of three", lambda: memory_limit(lambent, pod) == size)
        gateways = lambent.platform_pods("gateway")
        names = [gateway["metadata"]["name"] for gateway in gateways]
        lambent.kubectl("delete", "pod", *names, "--namespace", lambent.system, "--grace-period=0", "--force")
        before = {gateway["metadata"]["uid"] for gateway in gateways}
        wait_for("other gateways", lambda: all_serve(lambent, before))
        wait_for("all environments", lambda: idle(lambent, "lasting") == PER_POD - 1)
        assert memory_limit(lambent, pod) == size
        wait_for("the Service to lead to them", lambda: lambent.serves("lasting"))
        again, more = meet(lambent, "lasting", PER_POD)
        assert again == pod and streams < more
        wait_for("the size of four", lambda: memory_limit(lambent, pod) == f"{PER_POD * 128 + 32}Mi")


def idle(lambent: Installation, name: str) -> int:
    """Environments of a function that the gateways have free. Its status would still say what earlier gateways had."""
    found = 0
    for gateway in lambent.platform_pods("gateway"):
        address = f"/api/v1/namespaces/{lambent.system}/pods/{gateway['metadata']['name']}:9000/proxy/metrics"
        for family in text_string_to_metric_families(lambent.kubectl("get", "--raw", address)):
            for sample in family.samples:
                if sample.name == "lambent_environments" and sample.labels == {"function": name, "state": "idle"}:
                    found += int(sample.value)
    return found


def all_serve(lambent: Installation, before: set[str]) -> bool:
    now = lambent.platform_pods("gateway")
    ready = [
        one
        for one in now
        if one["metadata"]["uid"] not in before
        and any(each["type"] == "Ready" and each["status"] == "True" for each in one["status"].get("conditions", []))
    ]
    return len(ready) == len(now) == GATEWAYS
