"""The table of operations, over every operation of the service model (O1)."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote

import pytest

from lambent_core.operations import OperationTable
from lambent_gateway.api.service_model import load_service_model

MODEL = load_service_model()
TABLE = OperationTable(MODEL)
ARN = "arn:aws:lambda:us-east-1:000000000000:function:a/b"


def filled(template: str) -> tuple[str, dict[str, str]]:
    path, _, query = template.partition("?")
    return re.sub(r"\{\w+\}", quote(ARN, safe=""), path), dict(parse_qsl(query))


@pytest.mark.parametrize("name", sorted(MODEL.operations))
def test_every_operation_is_reached_by_its_own_path(name: str) -> None:
    operation = MODEL.operations[name]
    path, query = filled(operation.http.request_uri)
    match = TABLE.match(operation.http.method, path, query)
    assert match is not None
    assert match.operation.name == name
    assert set(match.labels.values()) <= {ARN}
    assert set(match.labels) == set(re.findall(r"\{(\w+)\}", operation.http.request_uri))


@pytest.mark.parametrize("name", sorted(MODEL.operations))
def test_no_operation_is_reached_by_a_longer_path_or_another_method(name: str) -> None:
    operation = MODEL.operations[name]
    path, query = filled(operation.http.request_uri)
    assert TABLE.match("PATCH", path, query) is None
    assert TABLE.match(operation.http.method, f"{path}/further/further/further", query) is None


def test_query_chooses_between_operations_of_one_path() -> None:
    path = "/2019-09-30/functions/f/provisioned-concurrency"
    names = [
        match.operation.name
        for match in (TABLE.match("GET", path, {}), TABLE.match("GET", path, {"List": "ALL"}))
        if match
    ]
    assert names == ["GetProvisionedConcurrencyConfig", "ListProvisionedConcurrencyConfigs"]


def test_slash_at_the_end_is_ignored() -> None:
    match = TABLE.match("GET", "/2015-03-31/functions/", {})
    assert match is not None
    assert match.operation.name == "ListFunctions"


@pytest.mark.parametrize("path", ["/", "", "/2015-03-31/functions//configuration", "/2015-03-30/functions"])
def test_what_is_no_operation_is_not_matched(path: str) -> None:
    assert TABLE.match("GET", path, {}) is None
