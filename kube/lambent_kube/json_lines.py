"""A stream of JSON documents, one a line: how the API server tells of changes, and others after its example."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import orjson


async def json_lines(chunks: AsyncIterable[bytes]) -> AsyncIterator[Any]:
    """Lines of any length: aiohttp's own reader of lines gives up on those beyond its buffer. An empty line says nothing."""
    parts: list[bytes] = []  # joined once a line is whole, so that long lines cost no more than their length
    async for chunk in chunks:
        first, *others = chunk.split(b"\n")
        parts.append(first)
        for other in others:
            if line := b"".join(parts):
                yield orjson.loads(line)
            parts = [other]
