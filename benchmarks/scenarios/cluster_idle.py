"""
What the idle platform takes in a cluster with one gateway, one operator and one waiting pod: memory (PSS) and processor time.

Memory that several processes share, such as a library's code, counts once, in equal parts for each.
"""

from __future__ import annotations

import time

from benchmarks.cluster import Cluster, processes_of
from benchmarks.figures import QUICK, Figure, Mode
from benchmarks.processes import cpu_seconds, pss_mib
from lambent_kube.resources import Resource

DEPLOYMENTS = Resource("apps", "v1", "deployments")
STATEFUL_SETS = Resource("apps", "v1", "statefulsets")
SETTLING_SECONDS = 5.0
SECONDS = 30.0
SECONDS_QUICK = 2.0


def run(mode: Mode) -> list[Figure]:
    seconds = SECONDS_QUICK if mode == QUICK else SECONDS
    with (
        Cluster() as cluster,
        cluster.replicas(STATEFUL_SETS, "lambent-gateway", 1),
        cluster.replicas(DEPLOYMENTS, "lambent-operator", 1),
        cluster.pool_of(1),
    ):
        time.sleep(SETTLING_SECONDS)
        found = {
            "gateway": processes_of(cluster.gateways()),
            "operator": processes_of(cluster.operators()),
            "waiting pod": processes_of(cluster.waiting_pods()),
        }
        before = {part: cpu_seconds(pids) for part, pids in found.items()}
        time.sleep(seconds)
        millicores = {part: (cpu_seconds(pids) - before[part]) / seconds * 1000 for part, pids in found.items()}
        memory = {part: pss_mib(pids) for part, pids in found.items()}
    return [
        Figure("memory (PSS) of the idle platform", sum(memory.values()), "MiB", 150, detail=memory),
        Figure("processor time of the idle platform", sum(millicores.values()), "m", 20, detail=millicores),
        *(Figure(f"memory (PSS), {part}", mib, "MiB") for part, mib in memory.items()),
        *(Figure(f"processor time, {part}", used, "m") for part, used in millicores.items()),
    ]
