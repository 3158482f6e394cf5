"""
What operators count: plain numbers on the hot path, turned into Prometheus' form only when somebody asks.

Names follow Prometheus' conventions and stay near Lambda's metrics ("Types of metrics for Lambda functions").
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

DURATION_BUCKETS = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    300.0,
    900.0,
)
"""Seconds: from a no-op to the longest time-out."""
COLD_START_PHASES = ("agent", "fetch", "unpack", "runtime", "function")


@dataclass(slots=True)
class Histogram:
    """Counts per bucket; `counts` has one more entry than `DURATION_BUCKETS`, for what is above them all."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(DURATION_BUCKETS) + 1))
    sum: float = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(DURATION_BUCKETS, seconds)] += 1
        self.sum += seconds

    def buckets(self) -> list[tuple[str, float]]:
        total, rows = 0, []
        for bound, count in zip((*map(str, DURATION_BUCKETS), "+Inf"), self.counts, strict=True):
            total += count
            rows.append((bound, float(total)))
        return rows


@dataclass(slots=True)
class FunctionMetrics:
    """One function's numbers, kept over its revisions."""

    invocations: int = 0
    errors: int = 0
    throttles: dict[str, int] = field(default_factory=dict)
    running: int = 0
    duration: Histogram = field(default_factory=Histogram)
    billed_mb_ms: int = 0
    cold_starts: dict[str, Histogram] = field(default_factory=dict)
    """By phase."""
    async_dropped: dict[str, int] = field(default_factory=dict)
    """Events given up, by condition."""

    def ended(self, seconds: float, billed_mb_ms: int, *, error: bool) -> None:
        """An invocation that reached the function is over."""
        self.invocations += 1
        if error:
            self.errors += 1
        self.billed_mb_ms += billed_mb_ms
        self.duration.observe(seconds)

    def throttled(self, reason: str) -> None:
        self.throttles[reason] = self.throttles.get(reason, 0) + 1

    def dropped(self, condition: str) -> None:
        self.async_dropped[condition] = self.async_dropped.get(condition, 0) + 1

    def cold_start(self, phase: str, seconds: float) -> None:
        self.cold_starts.setdefault(phase, Histogram()).observe(seconds)


@dataclass(frozen=True, slots=True)
class Gauges:
    """What is asked for when metrics are read."""

    environments: Callable[[], dict[tuple[str, str], int]]
    """By function and state."""
    pool: Callable[[], dict[tuple[str, str], int]]
    """Pre-started runtimes by runtime and state."""
    queue_depth: Callable[[], int]
    queue_age_seconds: Callable[[], float]


class MetricsCollector(Collector):
    """The owner of all functions' numbers."""

    def __init__(self) -> None:
        self.functions: dict[str, FunctionMetrics] = {}
        self.gauges: Gauges | None = None

    def of(self, function: str) -> FunctionMetrics:
        return self.functions.setdefault(function, FunctionMetrics())

    def forget(self, function: str) -> None:
        self.functions.pop(function, None)

    def collect(self) -> Iterator[Metric]:
        yield from self._counters()
        yield from self._histograms()
        if self.gauges is not None:
            yield from self._gauges(self.gauges)

    def _counters(self) -> Iterator[Metric]:
        invocations = CounterMetricFamily(
            "lambent_invocations", "Invocations that reached the function.", labels=["function"]
        )
        errors = CounterMetricFamily(
            "lambent_errors", "Invocations that ended in a function error.", labels=["function"]
        )
        throttles = CounterMetricFamily(
            "lambent_throttles", "Invocations refused with 429.", labels=["function", "reason"]
        )
        billed = CounterMetricFamily(
            "lambent_billed_megabyte_milliseconds", "Memory size times billed duration.", labels=["function"]
        )
        dropped = CounterMetricFamily(
            "lambent_async_events_dropped", "Asynchronous events given up.", labels=["function", "condition"]
        )
        running = GaugeMetricFamily("lambent_concurrent_executions", "Invocations under way.", labels=["function"])
        for name, metrics in self.functions.items():
            invocations.add_metric([name], metrics.invocations)
            errors.add_metric([name], metrics.errors)
            billed.add_metric([name], metrics.billed_mb_ms)
            running.add_metric([name], metrics.running)
            for reason, count in metrics.throttles.items():
                throttles.add_metric([name, reason], count)
            for condition, count in metrics.async_dropped.items():
                dropped.add_metric([name, condition], count)
        yield from (invocations, errors, throttles, billed, dropped, running)

    def _histograms(self) -> Iterator[Metric]:
        duration = HistogramMetricFamily(
            "lambent_duration_seconds", "Time from accepting an invocation to its answer.", labels=["function"]
        )
        cold = HistogramMetricFamily(
            "lambent_cold_start_seconds", "Time a new environment took, by phase.", labels=["function", "phase"]
        )
        for name, metrics in self.functions.items():
            duration.add_metric([name], metrics.duration.buckets(), metrics.duration.sum)
            for phase, histogram in metrics.cold_starts.items():
                cold.add_metric([name, phase], histogram.buckets(), histogram.sum)
        yield from (duration, cold)

    def _gauges(self, gauges: Gauges) -> Iterator[Metric]:
        environments = GaugeMetricFamily(
            "lambent_environments", "Execution environments.", labels=["function", "state"]
        )
        for (function, state), count in gauges.environments().items():
            environments.add_metric([function, state], count)
        pool = GaugeMetricFamily("lambent_pool_runtimes", "Pre-started runtimes.", labels=["runtime", "state"])
        for (runtime, state), count in gauges.pool().items():
            pool.add_metric([runtime, state], count)
        depth = GaugeMetricFamily(
            "lambent_async_queue_depth", "Asynchronous events waiting.", value=gauges.queue_depth()
        )
        age = GaugeMetricFamily(
            "lambent_async_queue_oldest_age_seconds",
            "Age of the oldest event waiting.",
            value=gauges.queue_age_seconds(),
        )
        yield from (environments, pool, depth, age)
