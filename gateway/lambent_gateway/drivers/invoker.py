"""
Runs invocations: asks the scheduler what to do, does it over the env link, and tells callers how it ended.

Callback style throughout, for the warm path's sake: no task, no future and no timer of its own per invocation.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from typing import cast

import structlog

from lambent_core import billing, timestamps
from lambent_core.admission import ThrottleReason
from lambent_core.census import NONE_AT_ALL, Rollout
from lambent_core.errors import LambdaError, ResourceNotFound, ServiceException, TooManyRequests
from lambent_core.function import EnvironmentCounts
from lambent_core.invocation import LATEST, Invocation, Outcome
from lambent_core.link import InvokeHead, Report, ReportStatus, encode_invoke
from lambent_core.log_lines import LogTail
from lambent_core.names import resource_name
from lambent_core.placement import Effect, EnvironmentId, Fail, Forward, InvocationId, Refuse, Run, Spare, Start, Stop
from lambent_core.retention import named_packages
from lambent_core.runtime_pool import EXPECTED_SECONDS
from lambent_core.scheduling import Scheduler
from lambent_gateway.clock import Clock
from lambent_gateway.drivers.execution import ExecutionEnvironment, Pending
from lambent_gateway.drivers.fleet import Fleet
from lambent_gateway.drivers.invocation_logs import InvocationLogs
from lambent_gateway.drivers.orphans import Orphan, Orphans
from lambent_gateway.drivers.runner import Done, Runner
from lambent_gateway.environments.agents import Agent
from lambent_gateway.environments.link_bodies import Initialized, SlotState, Specialization
from lambent_gateway.peers.client import Handed
from lambent_gateway.routes import Route
from lambent_gateway.routing import Routing
from lambent_gateway.sinks import Sink
from lambent_gateway.stores.logs import LogWriter

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 1.0
UNUSABLE = ("Runtime.InvalidZipFile", "Sandbox.Failure")
"""Errors after which an environment will never run anything: it is given up, and the next invocation gets another."""


class Invoker(Runner):
    """Owns the environments and the invocations under way."""

    def __init__(
        self,
        scheduler: Scheduler,
        routing: Routing,
        *,
        now: Callable[[], float],
        clock: Clock,
        write_log: LogWriter,
        specialize: Callable[[ExecutionEnvironment, bool], Specialization],
        new_log_stream: Callable[[str], str],
        gateway_of: Callable[[str], str | None] = lambda function: None,
        forward: Callable[[Handed], None] = lambda handed: None,
    ) -> None:
        """
        `gateway_of` is the address that agents of a function dial, where another gateway owns it; `forward` begins there what waits
        here. Of a gateway that has no others nothing is another's.
        """
        self.scheduler = scheduler
        self.routing = routing
        self._now = now
        """The event loop's time: `asyncio.get_running_loop` is a system call in Python 3.11."""
        self._clock = clock
        self._logs = InvocationLogs(write_log, clock)
        self._specialize = specialize
        self._new_log_stream = new_log_stream
        self._gateway_of = gateway_of
        self._forward_to_owner = forward
        self._ids = cast(Iterator[InvocationId], count(1))
        self._pending: dict[InvocationId, Pending] = {}
        self._environments: dict[EnvironmentId, ExecutionEnvironment] = {}
        self._per_pod: dict[str, int] = {}
        """By function, where it may be more than one environment."""
        self._wakeups: dict[str, tuple[float, asyncio.TimerHandle]] = {}
        self._orphans = Orphans()
        self._sweeper: asyncio.TimerHandle | None = None
        self._fleet: Fleet

    def attach(self, fleet: Fleet) -> None:
        """The fleet that environments come from; it needs `found`, so it is made after this."""
        self._fleet = fleet

    # --- for callers

    def begin(self, invocation: Invocation, done: Done, sink: Sink | None = None) -> None:
        routing = self.routing
        route = routing.direct.get((invocation.function_name, invocation.qualifier)) or routing.find(invocation)
        id, now = next(self._ids), self._now()
        pending = Pending(id, invocation, route, done, sink, now)
        if invocation.log_tail:
            pending.tail = LogTail()
        warm = self.scheduler.take(route.name, route.key, id)
        if warm is not None:
            self._pending[id] = pending
            route.metrics.running += 1
            self._run(pending, self._environments[warm])
            return
        effects = self.scheduler.accept(route.name, route.key, id, now=now)
        if isinstance(effects, ThrottleReason):
            route.metrics.throttled(effects)
            raise throttled(effects, off=self.scheduler.admission.reserved.get(route.name) == 0)
        self._pending[id] = pending
        route.metrics.running += 1
        self._perform(route.key, effects)

    def resume(self, orphan: Orphan) -> None:
        """The gateway that ran an invocation is lost: its environment comes here, or has come."""
        request_id = orphan.invocation.request_id
        for environment in self._environments.values():
            if environment.unknown == request_id and not environment.counted:
                environment.orphan = orphan
                return
        self._orphans.put(orphan)

    def check(self, invocation: Invocation) -> None:
        self.routing.find(invocation)

    def dropped(self, name: str, condition: str) -> None:
        """Counts an event that was given up."""
        route = self.routing.direct.get((name, None))
        if route is not None:
            route.metrics.dropped(condition)

    def states(self) -> dict[tuple[str, str], int]:
        """Environments by function and state."""
        counts = Counter[tuple[str, str]]()
        for key, placement in self.scheduler.placements.items():
            name = key.partition(":")[0]
            counts[name, "starting"] += len(placement.starting)
            counts[name, "idle"] += len(placement.idle)
            counts[name, "busy"] += len(placement.busy)
        return counts

    def environments(self) -> dict[str, EnvironmentCounts]:
        """The same by the name of the function's resource."""
        counts: dict[str, EnvironmentCounts] = {}
        for key, placement in self.scheduler.placements.items():
            name = resource_name(key.partition(":")[0])
            so_far = counts.get(name, NONE_AT_ALL)
            counts[name] = EnvironmentCounts(
                ready=so_far.ready + len(placement.idle) + len(placement.busy),
                busy=so_far.busy + len(placement.busy),
                starting=so_far.starting + len(placement.starting),
            )
        return counts

    def rollouts(self) -> dict[str, Rollout]:
        """How far the current code of the same functions has come."""
        return {
            resource_name(name): self._rollout(name)
            for name in {key.partition(":")[0] for key in self.scheduler.placements}
        }

    def packages(self) -> set[str]:
        """Digests of what environments were made of."""
        made_of = (named_packages(environment.route.function) for environment in self._environments.values())
        return set[str]().union(*made_of)

    # --- for the catalogue

    def put_route(self, route: Route) -> None:
        earlier = self.routing.put(route)
        is_changed = earlier is not None and earlier.revision != route.revision
        self._fleet.prepare(route.runtime.pool)
        if (earlier is None or is_changed) and self._is_expected(route):
            self._fleet.expect(route.runtime.pool, route.key)
        if is_changed:
            self._perform(route.key, self.scheduler.revised(route.key, now=self._now()))
        self._keep(route)

    def hand_over(self) -> None:
        """
        Other functions are this gateway's own now: what waits for the rest goes to where they belong, and so do their environments, as
        they come free.
        """
        for environment in self._environments.values():
            environment.redirected = self._gateway_of(environment.route.name)
        for key in list(self.scheduler.placements):
            if self._gateway_of(key.partition(":")[0]) is not None:
                self._perform(key, self.scheduler.moved(key, now=self._now()))
        for route in list(self.routing.by_key.values()):
            self._keep(route)

    def _keep(self, route: Route) -> None:
        """`replicas` are of the function's moving state, and for its owner to keep."""
        if route.version == LATEST:
            count = 0 if self._gateway_of(route.name) else route.function.spec.replicas
            self._perform(route.key, self.scheduler.keep(route.key, count, now=self._now()))

    def _is_expected(self, route: Route) -> bool:
        """Whether it was deployed just now, rather than shown to a gateway that starts, and is for this one to run."""
        since = timestamps.last_modified(
            self._clock.time() - EXPECTED_SECONDS
        )  # such texts are in the order of their times
        return (
            route.version == LATEST
            and route.function.status.last_modified > since
            and self._gateway_of(route.name) is None
        )

    def idle_for(self, name: str, seconds: float | None) -> None:
        for version, effects in self.scheduler.idle_for(name, seconds, now=self._now()).items():
            self._perform(version, effects)

    def share_pods(self, name: str, environments: int) -> None:
        """So many environments of the function's versions may be in one pod from now on."""
        if environments > 1:
            self._per_pod[name] = environments
        else:
            self._per_pod.pop(name, None)

    def remove_route(self, name: str, version: str, error: LambdaError | None = None) -> None:
        """With `error` the version is still there, and that is what its callers get."""
        route = self.routing.remove(name, version, error)
        if route is not None:
            self._perform(route.key, self.scheduler.removed(route.key, now=self._now()))

    def found(self, agent: Agent, slot: SlotState) -> ExecutionEnvironment | None:
        """An agent that has outlived the last gateway: its environment, if its revision is still the current one."""
        route = next((route for route in self.routing.by_key.values() if route.revision == slot.revision), None)
        if route is None:
            return None
        environment = self._new_environment(EnvironmentId(next(self.scheduler.ids)), route)
        environment.agent = agent
        environment.counted = False
        if slot.state == "idle":
            self._adopt(environment)
        else:
            environment.unknown = slot.request_id
            environment.orphan = self._orphans.take(slot.request_id)
        return environment

    # --- told by environments

    def per_pod(self, environment: ExecutionEnvironment) -> int:
        return self._per_pod.get(environment.route.name, 1)

    def leaving(self, environment: ExecutionEnvironment) -> None:
        """Its agent was told to end: it gets no further invocation, and is shut down once it is free."""
        self._perform(environment.route.key, self.scheduler.leaving(environment.id, now=self._now()))

    def claimed(self, environment: ExecutionEnvironment, agent: Agent) -> Specialization:
        return self._specialize(environment, self._fleet.size(agent, environment))

    def initialized(self, environment: ExecutionEnvironment, outcome: Initialized) -> None:
        self._logs.initialized(environment, outcome)
        failed = {"success": None, "timeout": "Sandbox.Timedout"}.get(outcome.status, outcome.error_type or "Unknown")
        self._note_init_error(environment, failed)
        if environment.counted:
            self._perform(environment.route.key, self.scheduler.ready(environment.id, now=self._now()))
        else:
            self._adopt(environment)

    def logged(self, environment: ExecutionEnvironment, text: bytes) -> None:
        self._logs.said(environment, text)

    def reported(self, environment: ExecutionEnvironment, report: Report) -> None:
        running = environment.running
        if running is None:
            self._adopt(environment)
            if (orphan := environment.orphan) is not None:
                environment.orphan = None
                orphan.reported(report, environment.route.version)
            return
        environment.running = None
        now, route, init_ns = self._now(), running.route, environment.init_ns
        environment.init_ns = 0
        self._logs.ended(environment, running, report, init_ns)
        billed_ms = billing.billed_ms(report.duration_ns, init_ns)
        route.metrics.ended(now - running.accepted_at, route.memory_mb * billed_ms, error=running.function_error)
        self._settle(
            running,
            Outcome(
                payload=running.payload,
                function_error="Unhandled" if running.function_error else None,
                error_type=running.error_type or report.error_type,
                executed_version=route.version,
                report=report,
                log_tail=bytes(running.tail) if running.tail is not None else b"",
            ),
        )
        if not self.scheduler.give_back(environment.id, now=now):
            self._perform(route.key, self.scheduler.finished(environment.id, now=now))
        elif route.key not in self._wakeups:
            self._arm(route.key)
        if environment.init_error is not None and report.status is ReportStatus.SUCCESS:
            self._note_init_error(environment, None)  # it was initialised anew for this invocation
        if environment.redirected is not None:
            self.leaving(environment)
        if report.error_type in UNUSABLE and environment.agent is not None:
            environment.agent.close(report.error_type)

    def lost(self, environment: ExecutionEnvironment, reason: str) -> None:
        self._environments.pop(environment.id, None)
        self._perform(environment.route.key, self.scheduler.lost(environment.id, now=self._now()), reason)

    # --- doing what the scheduler says

    def _perform(self, version: str, effects: list[Effect], reason: str = "") -> None:
        for effect in effects:
            match effect:
                case Run(invocation, environment):
                    self._run(self._pending[invocation], self._environments[environment])
                case Start(environment):
                    self._start(environment)
                case Stop(environment):
                    self._stop(environment)
                case Spare(environment, useless):
                    self._spare(environment, useless)
                case Refuse(invocation, reason):
                    pending = self._pending[invocation]
                    pending.route.metrics.throttled(reason)
                    self._settle(pending, throttled(reason))
                case Fail(invocation, removed):
                    pending = self._pending[invocation]
                    self._settle(pending, self._failure(pending, removed, reason))
                case Forward(invocation):
                    self._forward(self._pending[invocation])
        self._arm(version)

    def _run(self, pending: Pending, environment: ExecutionEnvironment) -> None:
        agent, invocation = environment.agent, pending.invocation
        assert agent is not None
        environment.running = pending
        pending.began = now = self._clock.time()
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)
        head = InvokeHead(
            invocation.request_id,
            invocation.caller.function_arn(invocation.function_name, invocation.qualifier),
            invocation.trace_id,
            invocation.client_context,
        )
        deadline_ms = int(now * 1000) + pending.route.timeout_ms
        agent.write(encode_invoke(deadline_ms, head, invocation.payload, stream=pending.sink is not None))

    def _start(self, id: EnvironmentId) -> None:
        route = self.routing.by_key[self.scheduler.homes[id]]
        self._fleet.want(id, route.runtime.pool, route.key, self._new_environment(id, route))

    def _stop(self, id: EnvironmentId) -> None:
        environment = self._environments.pop(id)
        if self._fleet.give_up(id) or environment.agent is None:
            return
        if environment.redirected is not None:
            self._fleet.redirect(environment.agent, environment.redirected)
        else:
            self._fleet.shut_down(environment.agent)

    def _spare(self, id: EnvironmentId, useless: bool) -> None:
        if self._fleet.give_up(id) if useless else self._fleet.spare(id):
            environment = self._environments.pop(id)
            self._perform(environment.route.key, self.scheduler.withdrawn(id, now=self._now()))

    def _settle(self, pending: Pending, result: Outcome | LambdaError) -> None:
        self._end(pending)
        pending.done(result)

    def _forward(self, pending: Pending) -> None:
        self._end(pending)
        self._forward_to_owner(Handed(pending.invocation, pending.done, pending.sink))

    def _end(self, pending: Pending) -> None:
        del self._pending[pending.id]
        pending.route.metrics.running -= 1
        self.scheduler.end(pending.route.name)

    def _failure(self, pending: Pending, removed: bool, reason: str) -> LambdaError:
        if removed:
            invocation = pending.invocation
            arn = invocation.caller.function_arn(invocation.function_name, invocation.qualifier or LATEST)
            return ResourceNotFound(f"Function not found: {arn}")
        log.error("execution environment lost", function=pending.route.name, request_id=pending.invocation.request_id)
        why = reason or "Try again; the gateway's log says why."
        return ServiceException(
            f"The execution environment of {pending.route.name} could not be started or was lost. {why}"
        )

    def _arm(self, version: str) -> None:
        placement = self.scheduler.placements.get(version)
        if placement is None or (wakeup := placement.next_wakeup()) is None:
            return
        wakeup = min(wakeup, self._now() + placement.idle_seconds_max)  # whoever waits may be patient for longer
        armed = self._wakeups.get(version)
        if armed is not None:
            if armed[0] <= wakeup + 1.0:
                return
            armed[1].cancel()
        timer = asyncio.get_running_loop().call_at(wakeup, self._wake, version)
        self._wakeups[version] = (wakeup, timer)

    def _wake(self, version: str) -> None:
        del self._wakeups[version]
        if version in self.scheduler.placements:
            self._perform(version, self.scheduler.time_passed(version, now=self._now()))

    def _sweep(self) -> None:
        """Cuts agents that should have reported long ago; their loss is then handled like any other."""
        self._sweeper = None
        now, busy = self._clock.time(), False
        for environment in self._environments.values():
            busy = busy or environment.running is not None
            if environment.overdue_at < now and environment.agent is not None:
                environment.agent.cut("no report after the time-out")
        if busy:
            self._sweeper = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)

    # --- small change

    def _rollout(self, name: str) -> Rollout:
        route, placement = self.routing.by_key.get(name), self.scheduler.placements.get(name)
        revision = route.revision if route is not None else ""
        if placement is None:
            return Rollout(revision, updated=0, old=0)
        # Of the current revision is also who leaves because its node is drained.
        old = {id for id in placement.stale if self._environments[id].revision != revision}
        ready = len(placement.idle) + len(placement.busy)
        return Rollout(revision, updated=ready - len(old - placement.starting), old=len(old))

    def _new_environment(self, id: EnvironmentId, route: Route) -> ExecutionEnvironment:
        environment = ExecutionEnvironment(id, self, route, self._new_log_stream(route.version), self._now())
        self._environments[id] = environment
        environment.redirected = self._gateway_of(route.name)
        return environment

    def _note_init_error(self, environment: ExecutionEnvironment, error: str | None) -> None:
        if environment.init_error != error and environment.agent is not None:
            environment.init_error = error
            self._fleet.tell(environment.agent.id)

    def _adopt(self, environment: ExecutionEnvironment) -> None:
        environment.counted = True
        route = environment.route
        self._perform(route.key, self.scheduler.found(route.key, environment.id, now=self._now()))
        if environment.redirected is not None:
            self.leaving(environment)


def throttled(reason: ThrottleReason, *, off: bool = False) -> TooManyRequests:
    """
    AWS's 429: "Rate Exceeded.", the reason, and when to try again (one second, as its SDKs' back-off expects).

    Of a function that is switched `off` by a reservation of zero AWS says no time: trying again won't help.
    """
    headers = {} if off else {"Retry-After": "1"}
    return TooManyRequests("Rate Exceeded.", fields={"Reason": reason.value}, headers=headers)
