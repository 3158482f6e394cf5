"""apply, export and delete: what manifests say comes to be, and the same again changes nothing."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import yaml

from tests.integration.cli.conftest import Lambent

INLINE = """\
apiVersion: lambent.dev/v1
kind: Function
metadata: {name: NAME}
spec:
  runtime: python3.11
  handler: index.handler
  code: {inline: "def handler(event, context):\\n    return event\\n"}
"""


def manifest(name: str, **spec: object) -> str:
    document = yaml.safe_load(INLINE.replace("NAME", name))
    document["spec"] |= spec
    return yaml.safe_dump(document)


def test_several_documents_are_created_configured_and_left(lambent: Lambent) -> None:
    both = f"{manifest('m-one')}---\n{manifest('m-two')}"
    assert lambent("apply", "-f", "-", stdin=both).stdout == "m-one created\nm-two created\n"
    assert lambent("apply", "-f", "-", stdin=both).stdout == "m-one unchanged\nm-two unchanged\n"
    changed = f"{manifest('m-one', timeout=9)}---\n{manifest('m-two')}"
    assert lambent("apply", "-f", "-", stdin=changed).stdout == "m-one configured\nm-two unchanged\n"
    assert lambent("invoke", "m-one", '{"a": 1}').stdout == '{"a": 1}'
    assert lambent("delete", "-f", "-", stdin=both).stdout == "m-one deleted\nm-two deleted\n"
    assert lambent("delete", "-f", "-", stdin=both).stdout == "m-one not there\nm-two not there\n"


def test_nothing_is_applied_where_one_document_is_wrong(lambent: Lambent) -> None:
    done = lambent("apply", "-f", "-", stdin=f"{manifest('m-good')}---\n{manifest('m-bad', timeout=0)}")
    assert (done.returncode, done.stdout) == (2, "")
    assert "stdin, document 2: spec.timeout: 0 is outside 1 to 900 seconds" in done.stderr
    assert lambent("describe", "m-good").returncode == 3


def test_nothing_is_applied_where_inline_code_has_a_wrong_path(lambent: Lambent) -> None:
    outside = manifest("m-bad", code={"inline": {"../x.py": ""}})
    done = lambent("apply", "-f", "-", stdin=f"{manifest('m-good')}---\n{outside}")
    assert (done.returncode, done.stdout) == (2, "")
    assert "stdin, document 2: spec.code.inline: ../x.py is no path of a file in the package" in done.stderr
    assert lambent("describe", "m-good").returncode == 3


def test_a_folder_and_a_zip_are_code_and_sent_once(lambent: Lambent, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "app.py").write_text("def handler(event, context):\n    return 'folder'\n")
    with zipfile.ZipFile(tmp_path / "code.zip", "w") as archive:
        archive.writestr("app.py", "def handler(event, context):\n    return 'zip'\n")
    file = tmp_path / "m.yaml"
    file.write_text(manifest("m-code", handler="app.handler", code={"path": "src"}))
    assert lambent("apply", "-f", str(file)).stdout == "m-code created\n"
    assert lambent("invoke", "m-code").stdout == '"folder"'
    assert lambent("apply", "-f", str(file)).stdout == "m-code unchanged\n"
    file.write_text(manifest("m-code", handler="app.handler", code={"path": "code.zip"}))
    assert lambent("apply", "-f", str(file)).stdout == "m-code configured\n"
    assert lambent("invoke", "m-code").stdout == '"zip"'
    lambent("rm", "m-code")


def test_what_deploy_made_of_a_manifest_is_what_apply_makes_of_it(lambent: Lambent, tmp_path: Path) -> None:
    (tmp_path / "m-both").mkdir()
    (tmp_path / "m-both" / "app.py").write_text("def handler(event, context):\n    return 1\n")
    (tmp_path / "m-both" / "function.yaml").write_text(manifest("m-both", handler="app.handler", code={"path": "."}))
    assert lambent("deploy", "m-both").stdout.startswith("m-both created")
    assert lambent("apply", "-f", "m-both/function.yaml").stdout == "m-both unchanged\n"
    assert lambent("deploy", "m-both").stdout.startswith("m-both unchanged")
    lambent("rm", "m-both")


def test_a_package_that_is_not_there_is_named(lambent: Lambent) -> None:
    done = lambent("apply", "-f", "-", stdin=manifest("m-none", code={"sha256": "0" * 64}))
    assert done.returncode == 3
    assert "0" * 64 in done.stderr


def test_an_export_applies_to_the_same_function_also_after_its_deletion(lambent: Lambent) -> None:
    text = manifest("m-export", timeout=7, tags={"team": "a"}, url={"authType": "NONE"})
    lambent("apply", "-f", "-", stdin=text)
    exported = lambent("export", "m-export").stdout
    assert yaml.safe_load(exported)["spec"] | {"code": None} == yaml.safe_load(text)["spec"] | {"code": None, "url": {}}
    assert lambent("apply", "-f", "-", stdin=exported).stdout == "m-export unchanged\n"
    lambent("rm", "m-export")
    assert lambent("apply", "-f", "-", stdin=exported).stdout == "m-export created\n"
    assert lambent("invoke", "m-export", "[1]").stdout == "[1]"
    lambent("rm", "m-export")


def test_two_exports_are_two_documents(lambent: Lambent) -> None:
    lambent("apply", "-f", "-", stdin=f"{manifest('m-a')}---\n{manifest('m-b')}")
    found = list(yaml.safe_load_all(io.StringIO(lambent("export", "m-a", "m-b").stdout)))
    assert [document["metadata"]["name"] for document in found] == ["m-a", "m-b"]
    assert len(json.loads(lambent("export", "m-a", "m-b", "-o", "json").stdout)) == 2
    lambent("rm", "m-a", "m-b")


def test_json_lists_what_was_done(lambent: Lambent) -> None:
    text = manifest("m-json")
    applied = json.loads(lambent("apply", "-f", "-", "-o", "json", stdin=text).stdout)
    deleted = json.loads(lambent("delete", "-f", "-", "-o", "json", stdin=text).stdout)
    assert applied == [{"function": "m-json", "result": "created"}]
    assert deleted == [{"function": "m-json", "result": "deleted"}]


def test_a_name_that_is_no_dns_label_keeps_its_own(lambent: Lambent) -> None:
    text = manifest("my-func", functionName="My_Func")
    assert lambent("apply", "-f", "-", stdin=text).stdout == "My_Func created\n"
    assert lambent("invoke", "My_Func", "1").stdout == "1"
    assert lambent("delete", "-f", "-", stdin=text).stdout == "My_Func deleted\n"
