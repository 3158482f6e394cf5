"""Manifests and packages by Lambent's own routes."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from typing import Any

import msgspec

from lambent_core import manifest
from lambent_core.function import Function
from lambent_core.layers import LayerVersion
from lambent_core.schema import manifest_schema
from tests.unit.gateway.api.conftest import make_api

FN = "/lambent/v1/functions/fn"


def document(**spec: Any) -> dict[str, Any]:
    wanted = {"runtime": "python3.11", "handler": "app.handler", "code": {"inline": "def handler(e, c): return e"}}
    return {"apiVersion": "lambent.dev/v1", "kind": "Function", "metadata": {"name": "fn"}, "spec": wanted | spec}


async def test_a_manifest_makes_a_function_and_then_nothing_more(live: Any) -> None:
    created = await live.request("PUT", FN, document(url={}, tags={"a": "b"}))
    assert (created.status, created.headers["x-lambent-result"]) == (201, "created")
    assert created.body["status"]["state"] == "Active"
    again = await live.request("PUT", FN, document(url={}, tags={"a": "b"}))
    assert (again.status, again.headers["x-lambent-result"]) == (200, "unchanged")
    assert again.body == created.body == (await live.request("GET", FN)).body
    assert (await live.request("GET", "/2021-10-31/functions/fn/url")).status == 200


async def test_inline_code_is_packed(live: Any) -> None:
    created = (await live.request("PUT", FN, document())).body
    packed = await live.packages.read(created["spec"]["code"]["sha256"])
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.read("app.py") == b"def handler(e, c): return e"


async def test_files_given_inline_are_packed(live: Any) -> None:
    created = (await live.request("PUT", FN, document(code={"inline": {"a/b.py": "x"}}))).body
    with zipfile.ZipFile(io.BytesIO(await live.packages.read(created["spec"]["code"]["sha256"]))) as archive:
        assert archive.namelist() == ["a/b.py"]


async def test_a_changed_manifest_is_an_update(live: Any) -> None:
    await live.request("PUT", FN, document(timeout=3))
    changed = await live.request("PUT", FN, document(timeout=9))
    assert (changed.status, changed.headers["x-lambent-result"]) == (200, "configured")
    assert changed.body["status"]["lastUpdateStatus"] == "Successful"
    assert (await live.function("GET", "/configuration")).body["Timeout"] == 9


async def test_what_the_api_made_the_manifest_can_take_over(live: Any) -> None:
    await live.create("My_Fn")
    found = (await live.request("GET", "/lambent/v1/functions/My_Fn")).body
    from_export = manifest.export(manifest.parse(found, source="test"))
    applied = await live.request("PUT", "/lambent/v1/functions/My_Fn", from_export)
    assert applied.headers["x-lambent-result"] == "unchanged"


async def test_a_name_that_is_no_label(live: Any) -> None:
    wanted = document(functionName="My_Fn")
    created = await live.request("PUT", "/lambent/v1/functions/My_Fn", wanted)
    assert (created.status, created.body["metadata"]["name"]) == (201, "fn")
    assert (await live.function("GET", "/configuration", name="My_Fn")).body["FunctionName"] == "My_Fn"
    assert (await live.request("PUT", "/lambent/v1/functions/My_Fn", wanted)).headers["x-lambent-result"] == "unchanged"


async def test_code_that_was_sent_before(live: Any, other_zip: str) -> None:
    data = base64.b64decode(other_zip)
    digest = hashlib.sha256(data).hexdigest()
    early = await live.request("PUT", FN, document(code={"sha256": digest}))
    assert early.status == 400
    assert f"spec.code.sha256: there is no package {digest}" in early.body["message"]
    assert (await live.request("PUT", f"/lambent/v1/packages/{digest}", body=data)).status == 201
    created = await live.request("PUT", FN, document(code={"sha256": digest}))
    assert created.body["spec"]["code"] == {"sha256": digest, "size": len(data), "unzippedSize": 10}


async def test_code_in_base64(live: Any, other_zip: str) -> None:
    created = await live.request("PUT", FN, document(code={"zip": other_zip}))
    assert created.body["spec"]["code"]["sha256"] == hashlib.sha256(base64.b64decode(other_zip)).hexdigest()


async def test_a_package_must_have_its_digest(live: Any, other_zip: str) -> None:
    refused = await live.request("PUT", f"/lambent/v1/packages/{'0' * 64}", body=base64.b64decode(other_zip))
    assert refused.status == 400
    assert "it was damaged on its way" in refused.body["message"]
    refused = await live.request("PUT", "/lambent/v1/packages/short", body=b"")
    assert (refused.status, refused.headers["x-amzn-errortype"]) == (400, "InvalidParameterValueException")
    assert refused.body["message"].startswith("sha256: ")
    assert (await live.request("GET", f"/lambent/v1/packages/{'0' * 64}")).status == 404


async def test_errors_name_the_members(live: Any) -> None:
    refused = await live.request("PUT", FN, document(memorySize=1, runtime="cobol"))
    assert (refused.status, refused.headers["x-amzn-errortype"]) == (400, "InvalidParameterValueException")
    assert "spec.memorySize: 1 is outside 128 to 10,240 MB" in refused.body["message"]
    refused = await live.request("PUT", FN, document(runtime="cobol"))
    assert "spec.runtime: Value cobol at 'runtime' failed" in refused.body["message"]
    refused = await live.request("PUT", FN, document(reservedConcurrentExecutions=901))
    assert "spec.reservedConcurrentExecutions" in refused.body["message"]
    refused = await live.request("PUT", FN, document(code={"path": "folder"}))
    assert refused.body["message"].startswith("spec.code.path: only the lambent command reads folders")
    refused = await live.request("PUT", FN, document(code={"inline": {"../x.py": ""}}))
    assert refused.body["message"] == "spec.code.inline: ../x.py is no path of a file in the package"
    refused = await live.request("PUT", FN, document(code={"zip": "bm8="}))
    assert refused.body["message"].startswith("spec.code: Could not unzip uploaded file.")


async def test_a_reservation_counts_what_others_hold(live: Any) -> None:
    await live.create("other")
    await live.request("PUT", "/2017-10-31/functions/other/concurrency", {"ReservedConcurrentExecutions": 500})
    refused = await live.request("PUT", FN, document(reservedConcurrentExecutions=401))
    assert refused.body["message"].startswith(
        "spec.reservedConcurrentExecutions: Specified ReservedConcurrentExecutions"
    )
    assert (await live.request("PUT", FN, document(reservedConcurrentExecutions=400))).status == 201


async def test_the_address_must_be_the_manifests(live: Any) -> None:
    refused = await live.request("PUT", "/lambent/v1/functions/another", document())
    assert refused.body["message"] == "metadata.name: the manifest is of fn, the address of another"


async def test_a_namespace_without_functions_is_refused(live: Any) -> None:
    wanted = document()
    wanted["metadata"]["namespace"] = "other-ns"
    refused = await live.request("PUT", FN, wanted)
    assert (refused.status, refused.body["message"]) == (
        400,
        "metadata.namespace: functions and layer versions are in default here, not in other-ns: leave it out",
    )
    elsewhere = await make_api(namespace="apps").request("PUT", FN, wanted)
    assert "are in apps here, not in other-ns" in elsewhere.body["message"]
    wanted["metadata"]["namespace"] = "default"
    assert (await live.request("PUT", FN, wanted)).status == 201


async def test_a_manifest_may_name_the_functions_namespace() -> None:
    wanted = document()
    wanted["metadata"]["namespace"] = "apps"
    created = await make_api(namespace="apps").request("PUT", FN, wanted)
    assert (created.status, created.body["metadata"]["namespace"]) == (201, "apps")


async def test_a_body_that_is_not_json(live: Any) -> None:
    refused = await live.request("PUT", FN, body=b"{")
    assert (refused.status, refused.headers["x-amzn-errortype"]) == (400, "InvalidRequestContentException")


async def test_list_and_delete(live: Any) -> None:
    await live.request("PUT", FN, document())
    listed = (await live.request("GET", "/lambent/v1/functions")).body
    assert [item["metadata"]["name"] for item in listed["items"]] == ["fn"]
    assert (await live.request("DELETE", FN)).status == 204
    for method in ("GET", "DELETE"):
        gone = await live.request(method, FN)
        assert (gone.status, gone.headers["x-amzn-errortype"]) == (404, "ResourceNotFoundException")


async def test_labels_of_the_manifest_are_kept(live: Any) -> None:
    wanted = document()
    wanted["metadata"]["labels"] = {"team": "a"}
    await live.request("PUT", FN, wanted)
    wanted["metadata"]["labels"] = {"team": "b"}
    changed = await live.request("PUT", FN, wanted)
    assert changed.headers["x-lambent-result"] == "configured"
    assert changed.body["metadata"]["labels"] == {"team": "b"}
    assert changed.body["status"]["codeRevision"] == 1


async def test_labels_and_annotations_of_others_stay(live: Any) -> None:
    applied = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
    wanted = document()
    wanted["metadata"] |= {"labels": {"team": "a"}, "annotations": {"note": "a"}}
    await live.request("PUT", FN, wanted)
    (function,) = live.documents.list(Function)
    theirs = msgspec.structs.replace(
        function.metadata,
        labels=function.metadata.labels | {"argocd.argoproj.io/instance": "b"},
        annotations=function.metadata.annotations | applied,
    )
    await live.documents.put(msgspec.structs.replace(function, metadata=theirs), theirs.resource_version)
    assert (await live.request("PUT", FN, wanted)).headers["x-lambent-result"] == "unchanged"
    stale = {"kubectl.kubernetes.io/last-applied-configuration": "stale"}
    wanted["metadata"] |= {"labels": {"more": "c"}, "annotations": {"note": "d"} | stale}
    changed = await live.request("PUT", FN, wanted)
    assert changed.headers["x-lambent-result"] == "configured"
    assert changed.body["metadata"]["labels"] == {"team": "a", "argocd.argoproj.io/instance": "b", "more": "c"}
    assert changed.body["metadata"]["annotations"] == {"note": "d"} | applied


async def test_the_schema_is_served_and_the_routes_are_described(live: Any) -> None:
    assert (await live.request("GET", "/lambent/v1/schemas/function")).body == manifest_schema()
    layers = (await live.request("GET", "/lambent/v1/schemas/layerversion")).body
    assert layers == manifest_schema(LayerVersion) and layers["title"] == "LayerVersion"
    described = (await live.request("GET", "/openapi.json")).body
    assert described["info"]["title"] == "Lambent"
    assert "/lambent/v1/functions/{name}" in described["paths"]
