from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.platform_process import Platform


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    """A platform of its own, started."""
    made = Platform(tmp_path / "data").start()
    yield made
    made.end()


@pytest.fixture(scope="module")
def shared_platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """One platform for the tests of a module that leave it as it was."""
    made = Platform(tmp_path_factory.mktemp("platform") / "data").start()
    yield made
    made.end()
