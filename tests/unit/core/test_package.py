"""Deployment packages (Z1)."""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
from collections.abc import Callable

import pytest

from lambent_core import limits
from lambent_core.errors import InvalidParameterValue, RequestEntityTooLarge
from lambent_core.package import Package, inline_files, inspect_package, pack, path_problems

UNREADABLE = "Could not unzip uploaded file. Please check your file, then try to upload again."


def zipped(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_a_package_is_named_by_its_digest_and_measured() -> None:
    data = zipped({"app.py": b"x" * 1000, "lib/util.py": b"y"})
    assert inspect_package(data) == Package(hashlib.sha256(data).hexdigest(), len(data), 1001)


def test_what_is_packed_depends_on_the_files_alone() -> None:
    packed = pack({"b.py": "x" * 1000, "a/c.py": "y"})
    entries = zipfile.ZipFile(io.BytesIO(packed)).infolist()
    assert [(entry.filename, entry.date_time, entry.external_attr >> 16, entry.compress_type) for entry in entries] == [
        ("a/c.py", (1980, 1, 1, 0, 0, 0), 0o644, zipfile.ZIP_DEFLATED),
        ("b.py", (1980, 1, 1, 0, 0, 0), 0o644, zipfile.ZIP_DEFLATED),
    ]
    assert len(packed) < 1000


def lying_about_size(data: bytes) -> bytes:
    """The directory says that the first entry unpacks to one byte."""
    at = data.index(b"PK\x01\x02") + 24
    return data[:at] + struct.pack("<I", 1) + data[at + 4 :]


def damaged(data: bytes) -> bytes:
    at = data.index(b"app.py") + 10
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


def encrypted(data: bytes) -> bytes:
    at = data.index(b"PK\x01\x02") + 8
    return data[:at] + b"\x01" + data[at + 1 :]


def unknown_compression(data: bytes) -> bytes:
    at = data.index(b"PK\x01\x02") + 10
    return data[:at] + b"\x63" + data[at + 1 :]


@pytest.mark.parametrize(
    "spoil", [lying_about_size, damaged, encrypted, unknown_compression, lambda data: data[:-10], lambda _: b"text"]
)
def test_what_can_not_be_unpacked_is_refused(spoil: Callable[[bytes], bytes]) -> None:
    with pytest.raises(InvalidParameterValue) as error:
        inspect_package(spoil(zipped({"app.py": bytes(range(256)) * 40})))
    assert error.value.message == UNREADABLE


@pytest.mark.parametrize("name", ["../escape.py", "/etc/passwd", "a/../../b"])
def test_paths_out_of_the_folder_are_refused(name: str) -> None:
    with pytest.raises(InvalidParameterValue) as error:
        inspect_package(zipped({name: b""}))
    assert error.value.message == UNREADABLE


@pytest.mark.parametrize("name", ["../x.py", "/x.py", "a/../x.py", "a\x00.py", "a/", "."])
def test_what_names_no_file_of_the_package_is_no_path(name: str) -> None:
    assert list(path_problems(["app.py", name])) == [f"{name} is no path of a file in the package"]


def test_an_empty_text_is_no_path() -> None:
    assert list(path_problems([""])) == ["an empty text is no path of a file in the package"]


@pytest.mark.parametrize("names", [["a/b", "a"], ["a", "a/b/c"], ["./a/b", "a"]])
def test_a_file_is_no_folder_of_other_files(names: list[str]) -> None:
    assert list(path_problems(names)) == ["a is a file and a folder at once"]


def test_files_beside_one_another_and_in_folders_have_paths() -> None:
    assert list(path_problems(["a", "a.py", "b/a", "b/c/a", ".hidden", "b..c"])) == []


@pytest.mark.parametrize("data", [b"", zipped({})], ids=["no bytes", "no files"])
def test_an_empty_package_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidParameterValue, match="Uploaded file must be a non-empty zip"):
        inspect_package(data)


def test_a_package_over_the_limit_is_refused_unread() -> None:
    inspect_limit = b"\0" * (limits.ZIP_BYTES_MAX + 1)
    with pytest.raises(RequestEntityTooLarge, match="Zipped size must be smaller than 52428800 bytes"):
        inspect_package(inspect_limit)


def test_unpacked_sizes_add_up_to_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "UNZIPPED_BYTES_MAX", 100)
    assert inspect_package(zipped({"a": b"x" * 60, "b": b"x" * 40})).unzipped_size == 100
    with pytest.raises(InvalidParameterValue, match="Unzipped size must be smaller than 100 bytes"):
        inspect_package(zipped({"a": b"x" * 60, "b": b"x" * 41}))


def test_a_directory_that_lies_does_not_get_past_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    data = lying_about_size(zipped({"a": b"x" * 60, "b": b"x" * 60}))
    monkeypatch.setattr(limits, "UNZIPPED_BYTES_MAX", 100)
    with pytest.raises(InvalidParameterValue):
        inspect_package(data)


def test_packing_the_same_files_gives_the_same_bytes() -> None:
    one, other = pack({"a.py": "a", "b.py": "b"}), pack({"b.py": "b", "a.py": "a"})
    assert one == other
    with zipfile.ZipFile(io.BytesIO(one)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {"a.py": b"a", "b.py": b"b"}
        assert archive.getinfo("a.py").external_attr >> 16 == 0o644


@pytest.mark.parametrize(
    ("handler", "runtime", "file"),
    [
        ("app.handler", "python3.11", "app.py"),
        ("pkg.app.handler", "python3.11", "pkg/app.py"),
        ("index.handler", "nodejs22.x", "index.mjs"),
        ("function.handler", "ruby3.4", "function.rb"),
        ("bootstrap", "provided.al2023", "bootstrap"),
    ],
)
def test_inline_code_is_the_handlers_module(handler: str, runtime: str, file: str) -> None:
    assert inline_files("text", handler=handler, runtime=runtime) == {file: "text"}


def test_a_package_of_exactly_the_limit_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    data = zipped({"a": b"x"})
    monkeypatch.setattr(limits, "ZIP_BYTES_MAX", len(data))
    assert inspect_package(data).size == len(data)
