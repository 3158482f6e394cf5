"""Platforms in processes of their own, for whichever suite asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.platform_process import Platform


def _started(folder: Path) -> Platform:
    from tests.platform_process import Platform  # boto3 takes its time: not for unit tests

    return Platform(folder / "data").start()


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    """A platform of its own, started."""
    made = _started(tmp_path)
    yield made
    made.end()


@pytest.fixture(scope="module")
def shared_platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """One platform for the tests of a module that leave it as it was."""
    made = _started(tmp_path_factory.mktemp("platform"))
    yield made
    made.end()
