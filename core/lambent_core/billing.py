"""
What an invocation costs: billed duration, metered memory x time, and money. Integers only.

Behaviour: AWS documentation, "AWS Lambda Pricing" (duration rounded up to the millisecond; since August 2025
initialisation is billed in every configuration).

    B1  billed is never less than ran, and less than 1 ms more
    B2  billed never shrinks when ran grows
    B3  what is free is never paid, what is paid is never free
"""

from __future__ import annotations

from dataclasses import dataclass

NS_PER_MS = 1_000_000
MB_MS_PER_GB_SECOND = 1_024 * 1_000
PICODOLLARS_PER_DOLLAR = 10**12


def billed_ms(duration_ns: int, init_ns: int = 0) -> int:
    """Initialisation and run together, rounded up to whole milliseconds."""
    return -(-(duration_ns + init_ns) // NS_PER_MS)


def metered_mb_ms(memory_mb: int, billed_ms: int) -> int:
    """Memory size times billed duration, MB-milliseconds: the unit that usage is added up in."""
    return memory_mb * billed_ms


@dataclass(frozen=True, slots=True)
class PriceList:
    """Prices in picodollars; what is free is free per month. The defaults are AWS's for us-east-1, x86."""

    request_picodollars: int = 200_000
    """$0.20 per million."""
    gb_second_picodollars: int = 16_666_700
    """$0.0000166667."""
    free_requests: int = 1_000_000
    free_gb_seconds: int = 400_000


@dataclass(frozen=True, slots=True)
class Cost:
    """Picodollars."""

    requests: int
    compute: int

    @property
    def total(self) -> int:
        return self.requests + self.compute


def monthly_cost(requests: int, mb_ms: int, prices: PriceList = PriceList()) -> Cost:
    """The price of a month after the free tier: `requests`, and metered `mb_ms`, rounded up to a picodollar."""
    paid_requests = max(0, requests - prices.free_requests)
    paid_mb_ms = max(0, mb_ms - prices.free_gb_seconds * MB_MS_PER_GB_SECOND)
    compute = -(-paid_mb_ms * prices.gb_second_picodollars // MB_MS_PER_GB_SECOND)
    return Cost(paid_requests * prices.request_picodollars, compute)


def format_dollars(picodollars: int) -> str:
    """`$0.60`: at least two decimals, more only as far as they are not zero."""
    dollars, rest = divmod(picodollars, PICODOLLARS_PER_DOLLAR)
    return f"${dollars}.{f'{rest:012d}'.rstrip('0'):0<2}"
