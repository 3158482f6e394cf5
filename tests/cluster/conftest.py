from __future__ import annotations

import pytest

from tests.cluster.installation import Installation, installed


@pytest.fixture(scope="session")
def lambent() -> Installation:
    """Lambent in a cluster."""
    found = installed()
    if found is None:
        pytest.skip("no installation: run `python -m tests.cluster`")
    return found
