"""What a manager has applied, as the API server notes it (recorded from Kubernetes 1.34)."""

from __future__ import annotations

from typing import Any

import pytest

from lambent_kube.client import Object
from lambent_kube.managed_fields import applied

ATOMIC = {"code"}
OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "u-2"}


def entry(fields: Object, manager: str = "us", operation: str = "Apply", **members: str) -> Object:
    return {"manager": manager, "operation": operation, "fieldsType": "FieldsV1", "fieldsV1": fields} | members


def thing(*entries: Object) -> Object:
    metadata: dict[str, Any] = {
        "name": "a",
        "labels": {"tier": "gold", "team": "x"},
        "finalizers": ["x/one", "x/two"],
        "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u-1"}, OWNER],
    }
    spec = {"code": {"sha256": "ab"}, "layers": ["one"], "environment": {"variables": {"AA": "1", "BB": "2"}}}
    return {"metadata": metadata | ({"managedFields": [*entries]} if entries else {}), "spec": spec}


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"f:spec": {"f:code": {}, "f:layers": {}}}, {"spec": {"code": {"sha256": "ab"}, "layers": ["one"]}}),
        (
            {"f:spec": {"f:environment": {"f:variables": {"f:BB": {}}}}},
            {"spec": {"environment": {"variables": {"BB": "2"}}}},
        ),
        ({"f:metadata": {"f:labels": {".": {}, "f:team": {}}}}, {"metadata": {"labels": {"team": "x"}}}),
        ({"f:metadata": {"f:finalizers": {".": {}, 'v:"x/two"': {}}}}, {"metadata": {"finalizers": ["x/two"]}}),
        ({"f:metadata": {"f:ownerReferences": {'k:{"uid":"u-2"}': {}}}}, {"metadata": {"ownerReferences": [OWNER]}}),
        (
            {"f:metadata": {"f:ownerReferences": {'k:{"uid":"u-2"}': {".": {}, "f:uid": {}, "f:name": {}}}}},
            {"metadata": {"ownerReferences": [{"name": "c", "uid": "u-2"}]}},
        ),
        ({"f:spec": {"f:timeout": {}}, "f:status": {"f:state": {}}}, {"spec": {}}),
        ({"f:spec": {"f:environment": {}}}, {"spec": {"environment": {}}}),
    ],
    ids=[
        "whole values",
        "a key of a map",
        "a label",
        "an element of a set",
        "an element",
        "fields of one",
        "gone since",
        "applied empty, filled by others",
    ],
)
def test_what_was_applied(fields: Object, found: Object) -> None:
    assert applied(thing(entry(fields)), "us", ATOMIC) == found


def test_what_others_applied_or_we_wrote_otherwise_is_not_ours() -> None:
    code = {"f:spec": {"f:code": {}}}
    others = [
        entry(code, manager="kubectl"),
        entry(code, operation="Update"),
        entry({"f:status": {"f:state": {}}}, subresource="status"),
    ]
    assert applied(thing(*others), "us", ATOMIC) == applied(thing(), "us", ATOMIC) == {}
    ours = entry({"f:spec": {"f:layers": {}}})
    assert applied(thing(*others, ours), "us", ATOMIC) == {"spec": {"layers": ["one"]}}
