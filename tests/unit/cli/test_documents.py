"""Manifests found in files, folders and on stdin."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from lambent_cli import documents
from lambent_cli.failures import Failure

TEXT = """\
apiVersion: lambent.dev/v1
kind: Function
metadata: {name: NAME}
spec: {runtime: python3.11, handler: app.handler, code: {path: .}}
"""


def text(name: str) -> str:
    return TEXT.replace("NAME", name)


def test_several_documents_of_a_file_are_told_apart(tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(f"{text('a')}---\n{text('b')}---\n")
    found = documents.read([str(file)])
    assert [(document.source, document.folder) for document in found] == [
        (f"{file}, document 1", tmp_path),
        (f"{file}, document 2", tmp_path),
    ]
    assert [resource.metadata.name for _, resource in documents.resources(found)] == ["a", "b"]


def test_a_folder_means_its_manifests_in_order_and_nothing_else_that_is_yaml_or_json(tmp_path: Path) -> None:
    (tmp_path / "b.yml").write_text(text("b"))
    (tmp_path / "a.yaml").write_text(text("a"))
    (tmp_path / "event.json").write_text('{"name": "Ann"}')
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "c.yaml").write_text(text("c"))
    assert [resource.metadata.name for _, resource in documents.resources(documents.read([str(tmp_path)]))] == [
        "a",
        "b",
    ]


def test_a_dash_is_stdin_with_paths_from_where_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text("a")))
    monkeypatch.chdir(tmp_path)
    (found,) = documents.read(["-"])
    assert (found.source, found.folder) == ("stdin", tmp_path)


def test_problems_of_all_documents_are_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(f"{text('a')}---\n{text('B')}---\n{text('c').replace('handler', 'handlr')}")
    with pytest.raises(Failure) as caught:
        documents.resources(documents.read([str(file)]))
    first, *told = caught.value.message.splitlines()
    assert first == "the manifest can't be applied."
    assert [line.split(": ")[:2] for line in told] == [
        [f"{file}, document 2", "metadata.name"],
        [f"{file}, document 3", "spec.handlr"],
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [("a: [", "is not YAML"), ("", "there is no YAML document"), ("---\n---\n", "there is no YAML document")],
)
def test_files_without_a_manifest(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(content)
    with pytest.raises(Failure, match=message):
        documents.read([str(file)])


def test_a_place_that_is_not_there() -> None:
    with pytest.raises(Failure, match=r"nowhere\.yaml: there is no such file or folder"):
        documents.read(["nowhere.yaml"])


def test_settings_of_a_folder_are_those_of_its_manifest(tmp_path: Path) -> None:
    assert documents.settings(tmp_path) is None
    (tmp_path / "function.yaml").write_text(text("a"))
    found = documents.settings(tmp_path)
    assert found is not None
    assert found.name == "a"


def test_a_folder_is_one_function(tmp_path: Path) -> None:
    (tmp_path / "function.yaml").write_text(f"{text('a')}---\n{text('b')}")
    with pytest.raises(Failure, match=r"function\.yaml holds 2 documents"):
        documents.settings(tmp_path)


def test_settings_with_problems_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "function.yaml").write_text(text("A"))
    with pytest.raises(Failure, match=r"function\.yaml: metadata\.name"):
        documents.settings(tmp_path)


def test_the_codes_path_is_relative_to_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    assert documents.code_place(tmp_path, "src", "f.yaml") == tmp_path / "src"
    with pytest.raises(Failure, match=r"f\.yaml: spec\.code\.path: .*lib does not exist"):
        documents.code_place(tmp_path, "lib", "f.yaml")


def test_what_is_written_is_read_back_in_the_same_order() -> None:
    assert documents.write({"b": "ä", "a": [1]}) == "b: ä\na:\n- 1\n"


@pytest.mark.parametrize(
    "text", ["y", "N", "1e3", "0o17", "08", "-.5", "12e456789", "yes", "null", "1:20", "2026-11-30"]
)
def test_text_that_other_readers_of_yaml_take_for_something_else_is_quoted(text: str) -> None:
    """kubectl's is YAML 1.1 with more numbers than the standard has."""
    assert documents.write({"a": text}) == f"a: '{text}'\n"


LAYER = """\
apiVersion: lambent.dev/v1
kind: LayerVersion
metadata: {name: deps.1}
spec: {layerName: deps, version: 1, code: {inline: {python/a.py: ""}}}
"""


def test_layer_versions_come_before_the_functions_that_may_use_them(tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(f"{text('b')}---\n{LAYER}---\n{text('a')}")
    found = documents.resources(documents.read([str(tmp_path)]))
    assert [resource.metadata.name for _, resource in found] == ["deps.1", "b", "a"]


def test_a_kind_that_is_not_ours_is_named(tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(text("a").replace("kind: Function", "kind: LayerVersoin"))
    with pytest.raises(Failure, match=r'kind: "Function" or "LayerVersion" is wanted, .*did you mean LayerVersion'):
        documents.resources(documents.read([str(tmp_path)]))
