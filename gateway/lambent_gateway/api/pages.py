"""Lists, a page at a time, and what items of lists do not show."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from lambent_core.errors import InvalidParameterValue

T = TypeVar("T")
PAGE_MAX = 50
"""Items a page, whatever MaxItems says ("ListFunctions")."""
_NOT_LISTED = frozenset({
    "State", "StateReason", "StateReasonCode", "LastUpdateStatus", "LastUpdateStatusReason",
    "LastUpdateStatusReasonCode", "RuntimeVersionConfig",
})  # fmt: skip
"""Members that ListFunctions leaves out ("ListFunctions")."""


def page(items: Sequence[T], members: Mapping[str, Any], *, name: Callable[[T], str]) -> tuple[list[T], str | None]:
    """The items after Marker, and the marker of the next page. `items` are sorted by `name`."""
    after = _read_marker(members["Marker"]) if members.get("Marker") else ""
    left = [item for item in items if name(item) > after]
    size = min(members.get("MaxItems") or PAGE_MAX, PAGE_MAX)
    if len(left) <= size:
        return left, None
    return left[:size], base64.urlsafe_b64encode(name(left[size - 1]).encode()).decode()


def _read_marker(marker: str) -> str:
    try:
        return base64.b64decode(marker, altchars=b"-_", validate=True).decode()
    except ValueError:
        raise InvalidParameterValue("Invalid marker: give back NextMarker as it was answered.") from None


def listed(shown: Mapping[str, Any]) -> dict[str, Any]:
    """A FunctionConfiguration as lists show it."""
    return {name: value for name, value in shown.items() if name not in _NOT_LISTED}
