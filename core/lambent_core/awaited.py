"""Codes of changes that could not be brought about, and are as soon as what they lacked is there: the gateway tries again by itself."""

from __future__ import annotations

from lambent_core.images import IMAGE_PROBLEMS

LAYER_NOT_FOUND, PACKAGE_NOT_FOUND, RESERVATION_TOO_LARGE = "LayerNotFound", "PackageNotFound", "ReservationTooLarge"
"""Only of what others than the API have changed: of that AWS has no such codes."""

AWAITED = IMAGE_PROBLEMS | {LAYER_NOT_FOUND, PACKAGE_NOT_FOUND, RESERVATION_TOO_LARGE}
