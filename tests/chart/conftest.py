from __future__ import annotations

import pytest

from tests.chart.rendering import AUTOSCALED, EVERYTHING, Rendered, render


@pytest.fixture(scope="session")
def default() -> Rendered:
    """What `helm install` without values makes."""
    return render()


@pytest.fixture(scope="session")
def everything() -> Rendered:
    return render(EVERYTHING)


@pytest.fixture(scope="session", params=["default", "everything", "autoscaled"])
def rendered(request: pytest.FixtureRequest) -> Rendered:
    """Each of the ways, for what must hold in all of them."""
    return render({"default": {}, "everything": EVERYTHING, "autoscaled": AUTOSCALED}[request.param])
