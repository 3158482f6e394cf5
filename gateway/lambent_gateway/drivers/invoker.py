"""
Runs invocations: asks the scheduler what to do, does it over the env link, and tells callers how it ended.

Callback style throughout, for the warm path's sake: no task, no future and no timer of its own per invocation.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import count
from math import inf

import structlog

from lambent_core import billing
from lambent_core.admission import ThrottleReason
from lambent_core.errors import LambdaError, ResourceNotFound, ServiceException, TooManyRequests
from lambent_core.invocation import LATEST, Invocation, Outcome
from lambent_core.link import InvokeHead, Report, ReportStatus, encode_invoke
from lambent_core.log_lines import LogTail
from lambent_core.placement import Effect, EnvironmentId, Fail, InvocationId, Refuse, Run, Start, Stop
from lambent_core.scheduling import Scheduler
from lambent_gateway.clock import Clock
from lambent_gateway.drivers.execution import Done, ExecutionEnvironment, Pending, Sink
from lambent_gateway.drivers.fleet import Fleet, Initialized, Specialization
from lambent_gateway.drivers.streaming import QueueSink
from lambent_gateway.environments.agents import Agent, SlotState
from lambent_gateway.routes import Route
from lambent_gateway.routing import Routing
from lambent_gateway.stores.logs import LogWriter

log = structlog.get_logger(__name__)

OVERDUE_SECONDS = 5.0
"""The agent enforces the time-out; a connection that has not reported this long after it is cut."""
SWEEP_SECONDS = 1.0
UNUSABLE = ("Runtime.InvalidZipFile", "Sandbox.Failure")
"""Errors after which an environment will never run anything: it is given up, and the next invocation gets another."""


class Invoker:
    """Owns the environments and the invocations under way."""

    def __init__(
        self,
        scheduler: Scheduler,
        routing: Routing,
        *,
        clock: Clock,
        write_log: LogWriter,
        specialize: Callable[[ExecutionEnvironment, bool], Specialization],
        new_log_stream: Callable[[str], str],
    ) -> None:
        self.scheduler = scheduler
        self.routing = routing
        self._clock = clock
        self._write_log = write_log
        self._specialize = specialize
        self._new_log_stream = new_log_stream
        self._ids = count(1)
        self._pending: dict[InvocationId, Pending] = {}
        self._environments: dict[EnvironmentId, ExecutionEnvironment] = {}
        self._wakeups: dict[str, tuple[float, asyncio.TimerHandle]] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._fleet: Fleet

    def attach(self, fleet: Fleet) -> None:
        """The fleet that environments come from; it needs `found`, so it is made after this."""
        self._fleet = fleet

    # --- for callers

    def begin(self, invocation: Invocation, done: Done, sink: Sink | None = None) -> None:
        """Starts an invocation; `done` is called once. Raises `LambdaError` where it can't begin (404, 409, 429, 502)."""
        routing = self.routing
        route = routing.direct.get((invocation.function_name, invocation.qualifier)) or routing.find(invocation)
        now = asyncio.get_running_loop().time()
        id = InvocationId(next(self._ids))
        pending = self._pending[id] = Pending(id, invocation, route, done, sink, now)
        if invocation.log_tail:
            pending.tail = LogTail()
        effects = self.scheduler.accept(route.name, route.key, id, now=now)
        if isinstance(effects, ThrottleReason):
            del self._pending[id]
            route.metrics.throttled(effects)
            raise throttled(effects, off=self.scheduler.admission.reserved.get(route.name) == 0)
        route.metrics.running += 1
        self._perform(route.key, effects)

    def check(self, invocation: Invocation) -> None:
        """Raises the `LambdaError` that `begin` would raise for the function's own sake."""
        self.routing.find(invocation)

    async def run(self, invocation: Invocation) -> Outcome:
        """The same, awaited. Raises `LambdaError`."""
        future: asyncio.Future[Outcome | LambdaError] = asyncio.get_running_loop().create_future()
        self.begin(invocation, lambda result: None if future.done() else future.set_result(result))
        result = await future
        if isinstance(result, LambdaError):
            raise result
        return result

    async def stream(
        self, invocation: Invocation, start: Callable[[str, str], None], chunk: Callable[[bytes], Awaitable[None]]
    ) -> Outcome:
        """Runs with a streamed response. Raises `LambdaError`. If the function answered whole, `start` is not called."""
        sink = QueueSink()
        self.begin(invocation, sink.finish, sink)
        return await sink.drain(start, chunk)

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

    # --- for the catalogue

    def put_route(self, route: Route) -> None:
        earlier = self.routing.put(route)
        if earlier is not None and earlier.revision != route.revision:
            self._perform(route.key, self.scheduler.revised(route.key, now=self._now()))

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
        return environment

    # --- told by environments

    def claimed(self, environment: ExecutionEnvironment, agent: Agent) -> Specialization:
        return self._specialize(environment, self._fleet.size(agent, environment.route.memory_mb))

    def initialized(self, environment: ExecutionEnvironment, outcome: Initialized) -> None:
        route, now = environment.route, self._clock.time()
        text = route.system_log.init_start(now)
        if outcome.status != "success":
            text += route.system_log.init_report(now, outcome.status, outcome.init_ns, "init", outcome.error_type or "")
        if text:
            self._write_log(route.name, int(now * 1000), environment.log_stream, None, text)
        if environment.counted:
            self._perform(route.key, self.scheduler.ready(environment.id, now=self._now()))
        else:
            self._adopt(environment)

    def logged(self, environment: ExecutionEnvironment, text: bytes) -> None:
        running, at_ms = environment.running, int(self._clock.time() * 1000)
        lines = environment.whole_lines(text)
        if running is None:
            if lines:
                self._write_log(environment.route.name, at_ms, environment.log_stream, None, lines)
            return
        running.log.append(lines)
        if running.tail is not None:
            running.tail.add(lines)
        self._flush(environment, running, at_ms)

    def reported(self, environment: ExecutionEnvironment, report: Report) -> None:
        running = environment.running
        if running is None:
            self._adopt(environment)
            return
        environment.running = None
        environment.overdue_at = inf
        now = self._now()
        self._end_log(environment, running, report)
        route, metrics = running.route, running.route.metrics
        metrics.invocations += 1
        metrics.errors += running.function_error
        metrics.duration.observe(now - running.accepted_at)
        metrics.billed_mb_ms += route.memory_mb * billing.billed_ms(report.duration_ns, environment.init_ns)
        environment.init_ns = 0
        self._settle(
            running.id,
            Outcome(
                payload=running.payload,
                function_error="Unhandled" if running.function_error else None,
                error_type=running.error_type or report.error_type,
                executed_version=route.version,
                report=report,
                log_tail=bytes(running.tail) if running.tail is not None else b"",
            ),
        )
        self._perform(route.key, self.scheduler.finished(environment.id, now=now))
        if report.error_type in UNUSABLE and environment.agent is not None:
            environment.agent.close(report.error_type)

    def lost(self, environment: ExecutionEnvironment) -> None:
        self._environments.pop(environment.id, None)
        self._perform(environment.route.key, self.scheduler.lost(environment.id, now=self._now()))

    # --- doing what the scheduler says

    def _perform(self, version: str, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Run(invocation, environment):
                    self._run(self._pending[invocation], self._environments[environment])
                case Start(environment):
                    self._start(environment)
                case Stop(environment):
                    self._stop(environment)
                case Refuse(invocation, reason):
                    self._pending[invocation].route.metrics.throttled(reason)
                    self._settle(invocation, throttled(reason))
                case Fail(invocation, removed):
                    self._settle(invocation, self._failure(self._pending[invocation], removed))
        self._arm(version)

    def _run(self, pending: Pending, environment: ExecutionEnvironment) -> None:
        agent, invocation = environment.agent, pending.invocation
        assert agent is not None
        environment.running = pending
        now = self._clock.time()
        environment.overdue_at = now + pending.route.timeout_ms / 1000 + OVERDUE_SECONDS
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)
        head = InvokeHead(
            request_id=invocation.request_id,
            invoked_function_arn=invocation.caller.function_arn(invocation.function_name, invocation.qualifier),
            trace_id=invocation.trace_id,
            client_context=invocation.client_context,
        )
        deadline_ms = int(now * 1000) + pending.route.timeout_ms
        agent.write(encode_invoke(deadline_ms, head, invocation.payload, stream=pending.sink is not None))
        text = pending.route.system_log.start(now, invocation.request_id)
        pending.log.append(text)
        if pending.tail is not None:
            pending.tail.add(text)

    def _start(self, id: EnvironmentId) -> None:
        route = self.routing.by_key[self.scheduler.homes[id]]
        self._fleet.want(id, route.runtime.pool, self._new_environment(id, route))

    def _stop(self, id: EnvironmentId) -> None:
        environment = self._environments.pop(id)
        if not self._fleet.give_up(id) and environment.agent is not None:
            self._fleet.shut_down(environment.agent)

    def _settle(self, id: InvocationId, result: Outcome | LambdaError) -> None:
        pending = self._pending.pop(id)
        pending.route.metrics.running -= 1
        self.scheduler.end(pending.route.name)
        pending.done(result)

    def _failure(self, pending: Pending, removed: bool) -> LambdaError:
        if removed:
            invocation = pending.invocation
            arn = invocation.caller.function_arn(invocation.function_name, invocation.qualifier or LATEST)
            return ResourceNotFound(f"Function not found: {arn}")
        log.error("execution environment lost", function=pending.route.name, request_id=pending.invocation.request_id)
        return ServiceException(
            f"The execution environment of {pending.route.name} could not be started or was lost. Try again; the gateway's log says why."
        )

    def _arm(self, version: str) -> None:
        placement = self.scheduler.placements.get(version)
        if placement is None or (version in self._wakeups and not placement.waiting):
            return  # gone, or idle ones alone: they expire no earlier than was armed for
        wakeup = placement.next_wakeup()
        if wakeup is None:
            return
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
                environment.agent.close("no report after the time-out")
        if busy:
            self._sweeper = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)

    # --- small change

    def _new_environment(self, id: EnvironmentId, route: Route) -> ExecutionEnvironment:
        environment = ExecutionEnvironment(id, self, route, self._new_log_stream(route.version), self._now())
        self._environments[id] = environment
        return environment

    def _adopt(self, environment: ExecutionEnvironment) -> None:
        environment.counted = True
        route = environment.route
        self._perform(route.key, self.scheduler.found(route.key, environment.id, now=self._now()))

    def _end_log(self, environment: ExecutionEnvironment, running: Pending, report: Report) -> None:
        now, lines, request_id = self._clock.time(), running.route.system_log, running.invocation.request_id
        text = lines.end(now, request_id, report) + lines.report(now, request_id, report, environment.init_ns)
        if report.status is ReportStatus.TIMEOUT:
            text = lines.timed_out(now, request_id, running.route.timeout_ms / 1000) + text
        text = environment.last_line() + text
        running.log.append(text)
        if running.tail is not None:
            running.tail.add(text)
        self._flush(environment, running, int(now * 1000))

    def _flush(self, environment: ExecutionEnvironment, running: Pending, at_ms: int) -> None:
        text = b"".join(running.log)
        running.log.clear()
        if text:
            self._write_log(running.route.name, at_ms, environment.log_stream, running.invocation.request_id, text)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def throttled(reason: ThrottleReason, *, off: bool = False) -> TooManyRequests:
    """
    AWS's 429: "Rate Exceeded.", the reason, and when to try again (one second, as its SDKs' back-off expects).

    Of a function that is switched `off` by a reservation of zero AWS says no time: trying again won't help.
    """
    headers = {} if off else {"Retry-After": "1"}
    return TooManyRequests("Rate Exceeded.", fields={"Reason": reason.value}, headers=headers)
