"""Platforms and databases in processes of their own, for whichever suite asks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from _pytest.terminal import TerminalReporter
from hypothesis import settings

settings.register_profile("lambent", deadline=None)  # no test is about time
settings.load_profile("lambent")

if TYPE_CHECKING:
    from tests.object_store import ObjectStore
    from tests.platform_process import Platform
    from tests.postgres_server import PostgresServer


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI nothing may be skipped: what is skipped there would be skipped for ever."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") == "true" and isinstance(reporter, TerminalReporter) and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


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


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL for all whom a schema of it is enough. It is quick: it does not wait for the disk."""
    from tests.postgres_server import PostgresServer

    with PostgresServer(durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    """An S3 server for all whom a bucket of it is enough."""
    from tests.object_store import ObjectStore

    with ObjectStore() as server:
        yield server
