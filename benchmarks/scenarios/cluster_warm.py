"""
Warm invocations of a Python no-op through Service and gateways of a cluster: calls/s and processor time per call, beside local mode's.

Function pods' processes are agents and runtimes; a gateway that does not own the function hands its calls to the one that does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median

from benchmarks import functions
from benchmarks.client import INVOKE, load, must_succeed
from benchmarks.cluster import AGENT_COMMAND, PAUSE_COMMAND, Cluster, processes_of
from benchmarks.figures import Figure, Mode, interleaved, ratio
from benchmarks.gateway import Gateway
from benchmarks.processes import command, cpu_seconds

CONNECTIONS = (1, 32)
SHORT = "warm"
WARM_UP_SECONDS = 1.0
WARM_UPS_MAX = 8
ROUNDS_MAX = 4
ENVIRONMENTS = "lambent_environments"


@dataclass(frozen=True, slots=True)
class Processes:
    gateways: list[int]
    agents: list[int]
    runtimes: list[int]


@dataclass(frozen=True, slots=True)
class Round:
    rate: float
    p50_us: float
    environments: int
    gateways_us: float
    """Processor time per call, as the following."""
    agents_us: float
    runtimes_us: float


def run(mode: Mode) -> list[Figure]:
    figures = []
    with Cluster() as cluster, Gateway(pool_size=0) as local:
        cluster.create(SHORT, functions.NO_OP)
        local.create(SHORT, functions.NO_OP)
        for connections in CONNECTIONS:
            _warm_up(cluster.address, cluster.name(SHORT), connections, cluster.metric)
            _warm_up(local.address, SHORT, connections, local.metric)
            ours, theirs = interleaved(
                partial(_round, cluster.address, cluster.name(SHORT), connections, _in_cluster(cluster), mode),
                partial(_round, local.address, SHORT, connections, _in_local_mode(local), mode),
                min(ROUNDS_MAX, mode.rounds),
            )
            figures += _figures(connections, ours, theirs)
    return figures


def _warm_up(address: str, function: str, connections: int, metric: Callable[..., float]) -> None:
    """Until these connections bring no new environments any more."""
    before = -1.0
    for _ in range(WARM_UPS_MAX):
        must_succeed(load(address, INVOKE.format(function), connections=connections, seconds=WARM_UP_SECONDS))
        found = metric(ENVIRONMENTS, function=SHORT)
        if found == before and not metric(ENVIRONMENTS, function=SHORT, state="starting"):
            return
        before = found


def _in_cluster(cluster: Cluster) -> Processes:
    pods = [pid for pid in processes_of(cluster.environments(SHORT)) if command(pid) != PAUSE_COMMAND]
    agents = [pid for pid in pods if command(pid) == AGENT_COMMAND]
    gateways = [pid for pid in processes_of(cluster.gateways()) if command(pid) != PAUSE_COMMAND]
    return Processes(gateways, agents, [pid for pid in pods if pid not in agents])


def _in_local_mode(gateway: Gateway) -> Processes:
    return Processes([gateway.pid], gateway.agents(), gateway.runtimes())


def _round(address: str, function: str, connections: int, processes: Processes, mode: Mode) -> Round:
    each = (processes.gateways, processes.agents, processes.runtimes)
    before = [cpu_seconds(pids) for pids in each]
    done = must_succeed(load(address, INVOKE.format(function), connections=connections, seconds=mode.seconds))
    used = [(cpu_seconds(pids) - earlier) / done.count * 1e6 for pids, earlier in zip(each, before, strict=True)]
    return Round(done.rate, done.ok.p50 * 1000, len(processes.agents), *used)


def _figures(connections: int, ours: list[Round], theirs: list[Round]) -> list[Figure]:
    where = "1 connection" if connections == 1 else f"{connections} connections"
    ratios = {
        "gateway CPU": ratio([round.gateways_us for round in ours], [round.gateways_us for round in theirs]),
        "agent CPU": ratio([round.agents_us for round in ours], [round.agents_us for round in theirs]),
    }
    return [
        Figure(f"calls in the cluster, {where}", median(round.rate for round in ours), "calls/s"),
        Figure(f"calls in local mode, {where}", median(round.rate for round in theirs), "calls/s"),
        Figure(f"environments in the cluster, {where}", ours[-1].environments, ""),
        Figure(f"environments in local mode, {where}", theirs[-1].environments, ""),
        Figure(f"p50 in the cluster, {where}", median(round.p50_us for round in ours), "µs"),
        *(Figure(f"{what} per call ÷ local mode, {where}", value, "×") for what, value in ratios.items()),
        *_processor_time("in the cluster", where, ours),
        *_processor_time("in local mode", where, theirs),
    ]


def _processor_time(how: str, where: str, rounds: list[Round]) -> list[Figure]:
    by_process = {
        "gateway": [round.gateways_us for round in rounds],
        "agent": [round.agents_us for round in rounds],
        "runtime": [round.runtimes_us for round in rounds],
    }
    return [
        Figure(f"{process} CPU per call {how}, {where}", median(used), "µs", detail={"rounds": used})
        for process, used in by_process.items()
    ]
