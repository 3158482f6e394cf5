"""Which packages may go (K1-K3)."""

from __future__ import annotations

import pytest

from lambent_core.retention import PackageRetention

OLD, NOW = 0.0, 10_000.0


def test_what_had_nobody_twice_goes() -> None:
    retention = PackageRetention()
    assert retention.look({"a": OLD, "b": OLD}, {"b"}, now=NOW) == set(), "K3"
    assert retention.look({"a": OLD, "b": OLD}, {"b"}, now=NOW) == {"a"}
    assert retention.look({"b": OLD}, {"b"}, now=NOW) == set()


def test_what_somebody_named_in_between_begins_anew() -> None:
    retention = PackageRetention()
    retention.look({"a": OLD}, set(), now=NOW)
    assert retention.look({"a": OLD}, {"a"}, now=NOW) == set(), "K1"
    assert retention.look({"a": OLD}, set(), now=NOW) == set(), "K3"
    assert retention.look({"a": OLD}, set(), now=NOW) == {"a"}


@pytest.mark.parametrize(
    ("sent_at", "goes"), [(NOW - 3_601, True), (NOW - 3_600, False), (NOW, False), (NOW + 60, False)]
)
def test_what_was_sent_lately_stays(sent_at: float, goes: bool) -> None:
    retention = PackageRetention()
    retention.look({"a": sent_at}, set(), now=NOW)
    assert (retention.look({"a": sent_at}, set(), now=NOW) == {"a"}) is goes, "K2"


def test_what_was_sent_again_in_between_stays() -> None:
    retention = PackageRetention()
    retention.look({"a": OLD}, set(), now=NOW)
    assert retention.look({"a": NOW}, set(), now=NOW) == set(), "K2"
