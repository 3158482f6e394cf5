"""What RBAC is asked for a request, as the tests on a cluster note it."""

from __future__ import annotations

import pytest

from tests.cluster.recorded_requests import grant_of

WHERE = {"functions": "functions", "lambent-system": "system", None: "cluster"}
FUNCTIONS = "/apis/lambent.dev/v1/namespaces/functions/functions"


@pytest.mark.parametrize(
    ("method", "path", "query", "granted"),
    [
        ("GET", FUNCTIONS, {"limit": "500"}, ("functions", "lambent.dev", "functions", "list")),
        ("GET", FUNCTIONS, {"watch": "true"}, ("functions", "lambent.dev", "functions", "watch")),
        ("GET", f"{FUNCTIONS}/watch", {}, ("functions", "lambent.dev", "functions", "get")),
        ("POST", FUNCTIONS, {}, ("functions", "lambent.dev", "functions", "create")),
        ("PATCH", f"{FUNCTIONS}/a/status", {}, ("functions", "lambent.dev", "functions/status", "patch")),
        ("DELETE", f"{FUNCTIONS}/a", {}, ("functions", "lambent.dev", "functions", "delete")),
        ("DELETE", "/api/v1/namespaces/functions/pods", {}, ("functions", "", "pods", "deletecollection")),
        ("PATCH", "/api/v1/namespaces/functions/pods/a/resize", {}, ("functions", "", "pods/resize", "patch")),
        (
            "PUT",
            "/apis/coordination.k8s.io/v1/namespaces/lambent-system/leases/a",
            {},
            ("system", "coordination.k8s.io", "leases", "update"),
        ),
        (
            "POST",
            "/apis/authentication.k8s.io/v1/tokenreviews",
            {},
            ("cluster", "authentication.k8s.io", "tokenreviews", "create"),
        ),
    ],
)
def test_a_request_about_a_resource(method: str, path: str, query: dict[str, str], granted: tuple[str, ...]) -> None:
    assert grant_of("somebody", method, path, query, where=WHERE) == ("somebody", *granted)


@pytest.mark.parametrize("path", ["/apis", "/api/v1", "/apis/lambent.dev/v1", "/readyz", "/version"])
def test_a_request_about_no_resource(path: str) -> None:
    assert grant_of("somebody", "GET", path, {}, where=WHERE) is None
