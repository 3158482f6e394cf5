"""Blueprints: what is written for a new function, and that each is whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest

from lambent_cli import blueprint, documents
from lambent_cli.commands.init import Blueprint
from lambent_cli.failures import Failure

FILES = [".lambentignore", "README.md", "app.py", "event.json", "function.yaml", "requirements.txt"]


@pytest.mark.parametrize("kind", blueprint.NAMES)
def test_a_blueprint_is_a_whole_function(kind: str, tmp_path: Path) -> None:
    files = blueprint.write(kind, tmp_path / "orders", name="orders", runtime="python3.12")
    assert [file.name for file in files] == FILES
    function = documents.settings(tmp_path / "orders")
    assert function is not None
    assert (function.name, function.spec.function_name, function.spec.runtime) == ("orders", None, "python3.12")
    json.loads((tmp_path / "orders" / "event.json").read_text())
    assert not [file for file in files if "{{" in file.read_text()]


def test_the_command_offers_exactly_the_blueprints_there_are() -> None:
    folders = {folder.name for folder in blueprint.FOLDER.iterdir() if folder.is_dir()}
    assert set(get_args(Blueprint)) == set(blueprint.NAMES) == folders


@pytest.mark.parametrize("name", ["My_Func", "123", "on", "a" * 64, "__", "null"])
def test_any_name_of_lambda_will_do(name: str, tmp_path: Path) -> None:
    blueprint.write("plain", tmp_path / "new", name=name, runtime="python3.12")
    function = documents.settings(tmp_path / "new")
    assert function is not None
    assert function.name == name


@pytest.mark.parametrize("name", ["my function", "", "a" * 65, "ä"])
def test_other_names_are_refused_before_anything_is_written(name: str, tmp_path: Path) -> None:
    with pytest.raises(Failure, match="can't be a function's name"):
        blueprint.write("plain", tmp_path / "new", name=name, runtime="python3.12")
    assert not (tmp_path / "new").exists()


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("mine")
    with pytest.raises(Failure, match="exists and is not empty"):
        blueprint.write("plain", tmp_path, name="f", runtime="python3.12")
    with pytest.raises(Failure, match="exists and is not empty"):
        blueprint.write("plain", tmp_path / "app.py", name="f", runtime="python3.12")


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    assert len(blueprint.write("plain", tmp_path, name="f", runtime="python3.12")) == len(FILES)
