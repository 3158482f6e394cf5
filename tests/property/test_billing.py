from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lambent_core.billing import NS_PER_MS, PriceList, billed_ms, monthly_cost

ns = st.integers(0, 900 * 10**9)
usage = st.integers(0, 10**18)


@given(ns, ns)
def test_billed_is_at_least_ran_and_less_than_a_millisecond_more(duration: int, init: int) -> None:
    assert 0 <= billed_ms(duration, init) * NS_PER_MS - (duration + init) < NS_PER_MS, "B1"


@given(ns, ns, ns)
def test_billed_never_shrinks_when_ran_grows(duration: int, init: int, more: int) -> None:
    assert billed_ms(duration + more, init) >= billed_ms(duration, init), "B2"
    assert billed_ms(duration, init + more) >= billed_ms(duration, init), "B2"


@given(usage, usage)
def test_what_is_free_is_free_and_what_is_not_is_paid_in_full(requests: int, mb_ms: int) -> None:
    prices = PriceList()
    all_paid = monthly_cost(requests, mb_ms, PriceList(free_requests=0, free_gb_seconds=0))
    cost = monthly_cost(requests, mb_ms, prices)
    free_requests = min(requests, prices.free_requests)
    assert all_paid.requests - cost.requests == free_requests * prices.request_picodollars, "B3"
    free_mb_ms = min(mb_ms, prices.free_gb_seconds * 1_024_000)
    assert abs((all_paid.compute - cost.compute) * 1_024_000 - free_mb_ms * prices.gb_second_picodollars) < 1_024_000
    assert cost.total == cost.requests + cost.compute
