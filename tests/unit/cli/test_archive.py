"""Z1 to Z3: the same files make the same ZIP, links are followed safely, limits hold."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import stat
import zipfile
from pathlib import Path

import pytest

from lambent_cli.failures import Failure
from lambent_cli.package.archive import pack, read_zip
from lambent_core import limits


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def names(content: bytes) -> list[str]:
    return zipfile.ZipFile(io.BytesIO(content)).namelist()


def test_the_same_files_make_the_same_bytes_whatever_their_age_and_order(tmp_path: Path) -> None:
    one = write(tmp_path / "one", b="2", a="1")
    other = write(tmp_path / "other", a="1", b="2")
    os.utime(other / "a.py", (1, 1))
    assert pack(one).content == pack(other).content
    assert names(pack(one).content) == ["a.py", "b.py"]


def test_other_content_makes_other_bytes(tmp_path: Path) -> None:
    folder = write(tmp_path / "f", a="1")
    before = pack(folder)
    write(folder, a="2")
    assert pack(folder).sha256 != before.sha256


def test_the_mode_says_executable_or_not_and_nothing_else(tmp_path: Path) -> None:
    folder = write(tmp_path / "f", a="1", b="2")
    (folder / "a.py").chmod(0o600)
    (folder / "b.py").chmod(0o711)
    entries = zipfile.ZipFile(io.BytesIO(pack(folder).content)).infolist()
    assert [entry.external_attr >> 16 for entry in entries] == [stat.S_IFREG | 0o644, stat.S_IFREG | 0o755]
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}


def test_digests_are_those_of_the_zip(tmp_path: Path) -> None:
    package = pack(write(tmp_path / "f", a="1"))
    assert package.sha256 == hashlib.sha256(package.content).hexdigest()
    assert base64.b64decode(package.code_sha256).hex() == package.sha256
    assert (package.files, package.unzipped) == (1, 1)


def test_ignored_files_and_all_below_ignored_folders_stay_out(tmp_path: Path) -> None:
    folder = write(tmp_path / "f", a="1")
    write(folder / "__pycache__", b="2")
    (folder / ".lambentignore").write_text("docs/\n*.md\n")
    write(folder / "docs", c="3")
    (folder / "README.md").write_text("x")
    assert names(pack(folder).content) == ["a.py"]


def test_the_functions_own_files_win_over_installed_packages(tmp_path: Path) -> None:
    folder = write(tmp_path / "f", app="mine")
    further = write(tmp_path / "site", app="theirs", library="x")
    archive = zipfile.ZipFile(io.BytesIO(pack(folder, further=further).content))
    assert archive.namelist() == ["app.py", "library.py"]
    assert archive.read("app.py") == b"mine"


def test_the_folders_ignore_file_is_not_for_installed_packages(tmp_path: Path) -> None:
    folder = write(tmp_path / "f", app="x")
    (folder / ".lambentignore").write_text("library.py")
    further = write(tmp_path / "site", library="x")
    assert names(pack(folder, further=further).content) == ["app.py", "library.py"]


def test_links_are_packed_as_what_they_point_at(tmp_path: Path) -> None:
    folder = write(tmp_path / "f", a="1")
    shared = write(tmp_path / "shared", b="2")
    (folder / "link.py").symlink_to(folder / "a.py")
    (folder / "shared").symlink_to(shared)
    assert names(pack(folder).content) == ["a.py", "link.py", "shared/b.py"]


def test_a_link_back_into_its_own_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    folder = write(tmp_path / "f", a="1")
    (folder / "loop").symlink_to(folder)
    with pytest.raises(Failure, match=r"loop is a link back into its own folder") as caught:
        pack(folder)
    assert ".lambentignore" in caught.value.fix


def test_a_link_to_nothing_is_an_error_that_names_it(tmp_path: Path) -> None:
    folder = write(tmp_path / "f", a="1")
    (folder / "gone").symlink_to(tmp_path / "nowhere")
    with pytest.raises(Failure, match="gone is a link to nothing"):
        pack(folder)


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="holds no file to deploy"):
        pack(tmp_path)


def test_a_package_above_the_unzipped_limit_is_refused_with_size_and_limit(tmp_path: Path) -> None:
    with (tmp_path / "big.bin").open("wb") as file:
        file.truncate(limits.UNZIPPED_BYTES_MAX + 1)
    with pytest.raises(Failure, match="262,144,001 bytes unzipped, at most 262,144,000"):
        pack(tmp_path)


def test_a_package_above_the_zipped_limit_is_refused_with_size_and_limit(tmp_path: Path) -> None:
    file = tmp_path / "big.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("big.bin", bytes(limits.ZIP_BYTES_MAX))
    with pytest.raises(Failure, match=r"bytes zipped, at most 52,428,800"):
        read_zip(file)


def test_a_zip_is_taken_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "code.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("app.py", "x = 1")
    package = read_zip(file)
    assert (package.content, package.files, package.unzipped) == (file.read_bytes(), 1, 5)


def test_what_is_no_zip_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "code.zip"
    file.write_text("not a ZIP")
    with pytest.raises(Failure, match=r"code\.zip is not a ZIP"):
        read_zip(file)


def test_installed_packages_of_a_layer_have_a_folder_of_their_own(tmp_path: Path) -> None:
    """Files of the layer itself win over them."""
    installed = write(tmp_path / "installed", library="1", shared="2")
    folder = write(tmp_path / "layer", tool="3")
    write(folder / "python", shared="4")
    content = pack(folder, further=installed, below="python/").content
    assert names(content) == ["python/library.py", "python/shared.py", "tool.py"]
    assert zipfile.ZipFile(io.BytesIO(content)).read("python/shared.py") == b"4"
