from __future__ import annotations

import pytest

from lambent_core.billing import Cost, PriceList, billed_ms, format_dollars, metered_mb_ms, monthly_cost


@pytest.mark.parametrize(
    ("duration_ns", "init_ns", "billed"),
    [(0, 0, 0), (1, 0, 1), (1_000_000, 0, 1), (1_000_001, 0, 2), (3_010_000, 110_100_000, 114), (400_000, 600_000, 1)],
)
def test_init_and_run_are_rounded_up_together(duration_ns: int, init_ns: int, billed: int) -> None:
    assert billed_ms(duration_ns, init_ns) == billed


def test_a_warm_run_pays_for_no_init() -> None:
    assert billed_ms(3_010_000) == billed_ms(4_000_000) == 4


def test_the_documented_example_costs_sixty_cents() -> None:
    used = 4_000_000 * metered_mb_ms(512, billed_ms(150_000_000))
    cost = monthly_cost(4_000_000, used)
    assert cost == Cost(requests=600_000_000_000, compute=0)
    assert format_dollars(cost.total) == "$0.60"


def test_beyond_the_free_tier_each_gb_second_has_its_price() -> None:
    used = 400_001 * 1_024 * 1_000
    assert monthly_cost(0, used) == Cost(requests=0, compute=16_666_700)
    assert monthly_cost(1_000_001, 0) == Cost(requests=200_000, compute=0)


def test_without_a_free_tier_a_million_calls_of_a_gigabyte_second() -> None:
    prices = PriceList(free_requests=0, free_gb_seconds=0)
    cost = monthly_cost(1_000_000, 1_000_000 * metered_mb_ms(1_024, 1_000), prices)
    assert format_dollars(cost.total) == "$16.8667"


@pytest.mark.parametrize(
    ("picodollars", "text"),
    [
        (0, "$0.00"),
        (10**12, "$1.00"),
        (1, "$0.000000000001"),
        (1_500_000_000_000, "$1.50"),
        (16_666_700, "$0.0000166667"),
    ],
)
def test_dollars(picodollars: int, text: str) -> None:
    assert format_dollars(picodollars) == text
