"""
Which operation a request addresses: one table of method and path template, from the service model.

    O1  every operation of the model is reached by its own method and path, and only by them
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from lambent_core.shapes import OperationModel, ServiceModel


@dataclass(frozen=True, slots=True)
class Match:
    operation: OperationModel
    labels: Mapping[str, str]
    """What stood in the place of each `{Label}` of the path, percent-decoded."""


@dataclass(frozen=True, slots=True)
class _Template:
    operation: OperationModel
    segments: tuple[str, ...]
    query: tuple[tuple[str, str], ...]
    """Pairs that the query string must hold, e.g. `List=ALL`."""

    def match(self, segments: list[str], query: Mapping[str, str]) -> Match | None:
        labels: dict[str, str] = {}
        for wanted, given in zip(self.segments, segments, strict=True):
            if wanted.startswith("{"):
                if not given:
                    return None
                labels[wanted[1:-1]] = unquote(given)
            elif wanted != given:
                return None
        if any(query.get(name) != value for name, value in self.query):
            return None
        return Match(self.operation, labels)


class OperationTable:
    def __init__(self, model: ServiceModel) -> None:
        self._templates: dict[tuple[str, int], list[_Template]] = {}
        for operation in model.operations.values():
            path, _, query = operation.http.request_uri.partition("?")
            template = _Template(operation, tuple(path.split("/")), tuple(parse_qsl(query)))
            self._templates.setdefault((operation.http.method, len(template.segments)), []).append(template)
        for templates in self._templates.values():
            # A template that asks for more is tried first: `/layers?find=LayerVersion` before `/layers`.
            templates.sort(key=lambda one: (-len(one.query), sum(part.startswith("{") for part in one.segments)))

    def match(self, method: str, path: str, query: Mapping[str, str]) -> Match | None:
        """`path` as it was sent, percent-encoded; a slash at its end is ignored, as some clients send one."""
        segments = path.rstrip("/").split("/")
        for template in self._templates.get((method, len(segments)), ()):
            found = template.match(segments, query)
            if found:
                return found
        return None
