"""The endpoint that the suites of this folder talk to: a platform of its own, in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.platform_process import Platform


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    platform = Platform(tmp_path_factory.mktemp("platform") / "data").start()
    yield platform.endpoint
    platform.end()
