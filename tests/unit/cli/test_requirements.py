"""Packages of requirements.txt: what is installed, for which Python, and when it is taken from the cache."""

from __future__ import annotations

import platform
import sys
import zipfile
from pathlib import Path

import pytest

from lambent_cli.failures import Failure
from lambent_cli.package.requirements import has_requirements, install

OWN = f"python{sys.version_info.major}.{sys.version_info.minor}"
ARCHITECTURE = {"x86_64": "x86_64", "aarch64": "arm64"}[platform.machine()]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    return tmp_path / "cache"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A package `greetings` of one module, for any Python and for 3.12 on another."""
    (tmp_path / "index").mkdir()
    return make_wheel(tmp_path / "index", "hello")


def make_wheel(index: Path, text: str, tag: str = "py3-none-any") -> Path:
    file = index / f"greetings-1.0-{tag}.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("greetings.py", f"TEXT = {text!r}\n")
        archive.writestr("greetings-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: greetings\nVersion: 1.0\n")
        archive.writestr("greetings-1.0.dist-info/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        archive.writestr("greetings-1.0.dist-info/RECORD", "")
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "function"
    made.mkdir()
    (made / "requirements.txt").write_text("greetings\n")
    return made


@pytest.mark.parametrize(
    ("text", "any_there"), [("", False), ("# nothing\n\n", False), ("requests\n", True), ("# why\nrequests\n", True)]
)
def test_comments_are_no_requirements(tmp_path: Path, text: str, any_there: bool) -> None:
    (tmp_path / "requirements.txt").write_text(text)
    assert has_requirements(tmp_path) is any_there


def test_a_folder_without_the_file_has_none(tmp_path: Path) -> None:
    assert not has_requirements(tmp_path)


@pytest.mark.usefixtures("wheel")
def test_packages_are_installed_for_the_functions_runtime(folder: Path) -> None:
    site = install(folder, runtime=OWN, architecture=ARCHITECTURE)
    assert (site / "greetings.py").read_text() == "TEXT = 'hello'\n"
    assert not list(site.rglob("*.pyc"))


def test_the_same_requirements_come_from_the_cache_until_asked_anew(folder: Path, wheel: Path) -> None:
    first = install(folder, runtime=OWN, architecture=ARCHITECTURE)
    make_wheel(wheel.parent, "changed")
    assert install(folder, runtime=OWN, architecture=ARCHITECTURE) == first
    assert "hello" in (first / "greetings.py").read_text()
    again = install(folder, runtime=OWN, architecture=ARCHITECTURE, fresh=True)
    assert "changed" in (again / "greetings.py").read_text()


def test_what_names_other_files_is_not_taken_from_the_cache(folder: Path, wheel: Path) -> None:
    (folder / "requirements.txt").write_text("-r more.txt\n")
    (folder / "more.txt").write_text("greetings\n")
    install(folder, runtime=OWN, architecture=ARCHITECTURE)
    make_wheel(wheel.parent, "changed")
    site = install(folder, runtime=OWN, architecture=ARCHITECTURE)
    assert "changed" in (site / "greetings.py").read_text()


def test_another_python_gets_its_own_packages(folder: Path, wheel: Path) -> None:
    wheel.unlink()
    make_wheel(wheel.parent, "for 3.9 on arm64", "cp39-cp39-manylinux2014_aarch64")
    site = install(folder, runtime="python3.9", architecture="arm64")
    assert "for 3.9 on arm64" in (site / "greetings.py").read_text()


@pytest.mark.usefixtures("wheel")
def test_what_pip_says_is_told_with_the_file(folder: Path) -> None:
    (folder / "requirements.txt").write_text("nonexistent\n")
    with pytest.raises(Failure, match=r"pip could not install .*requirements\.txt") as caught:
        install(folder, runtime=OWN, architecture=ARCHITECTURE)
    assert "nonexistent" in caught.value.message


def test_a_failed_installation_leaves_nothing_in_the_cache(folder: Path, cache: Path) -> None:
    with pytest.raises(Failure):
        install(folder, runtime=OWN, architecture=ARCHITECTURE)
    assert list((cache / "lambent" / "requirements").iterdir()) == []


def test_requirements_are_for_python_alone(folder: Path) -> None:
    with pytest.raises(Failure, match=r"for Python, the function's runtime is 'nodejs22\.x'"):
        install(folder, runtime="nodejs22.x", architecture="x86_64")
