"""When an image is built again, what of its folder is written again, and under which name it is pushed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tools.cluster.commands import ClusterError
from tools.cluster.image_archives import Recipe, tree_digest
from tools.cluster.image_builders import storage_driver
from tools.cluster.image_contexts import sync
from tools.cluster.images import pushed_names


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "file").write_text("1")
    return Recipe("localhost/x:dev", tmp_path / "Dockerfile", tmp_path / "context", {"BASE": "b"})


def test_a_recipe_is_the_same_when_nothing_but_time_passed(recipe: Recipe) -> None:
    before = recipe.identity
    os.utime(recipe.context / "file", (1, 1))
    assert recipe.identity == before


@pytest.mark.parametrize("changed", ["Dockerfile", "context/file", "context/another"])
def test_a_recipe_is_another_with_other_files(recipe: Recipe, changed: str) -> None:
    before = recipe.identity
    (recipe.dockerfile.parent / changed).write_text("2")
    assert recipe.identity != before


def test_a_recipe_is_another_on_another_base(recipe: Recipe) -> None:
    assert Recipe(recipe.image, recipe.dockerfile, recipe.context, {"BASE": "c"}).identity != recipe.identity


def test_what_was_built_from_sources_is_no_source(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    before = tree_digest([tmp_path])
    for folder in ("__pycache__", "build"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x").write_text("2")
    assert tree_digest([tmp_path]) == before


def test_sync_leaves_alone_what_is_the_same(tmp_path: Path) -> None:
    source, folder = tmp_path / "source", tmp_path / "folder"
    source.mkdir()
    for name in ("same", "changed"):
        (source / name).write_text("1")
    sync({"a/same": source / "same", "changed": source / "changed", "gone/x": source / "same"}, folder)
    os.utime(folder / "a" / "same", (1, 1))
    (source / "changed").write_text("2")
    sync({"a/same": source / "same", "changed": source / "changed"}, folder)
    assert {str(path.relative_to(folder)) for path in folder.rglob("*")} == {"a", "a/same", "changed"}
    assert (folder / "a" / "same").stat().st_mtime == 1
    assert (folder / "changed").read_text() == "2"


@pytest.mark.parametrize(
    ("file_system", "driver"),
    [("ext2/ext3", "overlay"), ("xfs", "overlay"), ("tmpfs", "overlay"), ("overlayfs", "vfs")],
)
def test_layers_lie_on_an_overlay_unless_the_folder_is_one(file_system: str, driver: str) -> None:
    assert storage_driver(file_system) == driver


@pytest.mark.parametrize("registry", ["registry.example.com", "127.0.0.1:5000", "registry.example.com/team/images"])
def test_images_are_pushed_below_a_host_or_path(registry: str) -> None:
    assert pushed_names(registry, "0.1.0") == {
        "localhost/lambent/lambent:dev": f"{registry}/lambent/lambent:0.1.0",
        "localhost/lambent/python:dev": f"{registry}/lambent/python:0.1.0",
    }


@pytest.mark.parametrize(
    ("registry", "tag"),
    [
        ("https://registry.example.com", "1"),
        ("registry.example.com/", "1"),
        ("registry.example.com/Team", "1"),
        ("", "1"),
        ("registry.example.com", ""),
        ("registry.example.com", "1+a"),
    ],
)
def test_what_makes_no_name_is_refused(registry: str, tag: str) -> None:
    with pytest.raises(ClusterError) as refused:
        pushed_names(registry, tag)
    assert str(refused.value) == (
        f"registry {registry!r} and tag {tag!r} make no image's name: {registry}/lambent/lambent:{tag}. "
        "A registry is a host, with its port and a path if need be, without https://"
    )
