"""
Is this ZIP a deployment package? Its digest and sizes, or Lambda's error. And packages made of a manifest's inline code.

Sizes come from the ZIP's directory and are proved by unpacking each entry in memory, a piece at a time, because a
directory can lie. The agent holds the same limits again when it unpacks to disk.
Limits: AWS documentation, "Lambda quotas"; texts of errors as recorded on AWS.

    Z1  what is accepted unpacks to at most UNZIPPED_BYTES_MAX bytes, none of them outside the package's folder
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from lambent_core import limits
from lambent_core.errors import InvalidParameterValue, RequestEntityTooLarge

_PIECE_BYTES = 1 << 20
_ENDINGS = {"python": ".py", "nodejs": ".mjs", "ruby": ".rb"}
_UNREADABLE = "Could not unzip uploaded file. Please check your file, then try to upload again."


@dataclass(frozen=True, slots=True)
class Package:
    sha256: str
    """Hex; the name of the blob."""
    size: int
    """Bytes of the ZIP."""
    unzipped_size: int
    """Bytes of all files in it."""


def inspect_package(data: bytes) -> Package:
    """Raises InvalidParameterValue or RequestEntityTooLarge. Takes up to a second for the largest package."""
    if not data:
        raise InvalidParameterValue("Uploaded file must be a non-empty zip")
    if len(data) > limits.ZIP_BYTES_MAX:
        raise RequestEntityTooLarge(f"Zipped size must be smaller than {limits.ZIP_BYTES_MAX} bytes")
    try:
        unzipped = _proved(data)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError):
        # NotImplementedError: a compression we don't know. RuntimeError: encrypted. OSError and ValueError: nonsense offsets.
        raise InvalidParameterValue(_UNREADABLE) from None
    return Package(hashlib.sha256(data).hexdigest(), len(data), unzipped)


def unzipped_size(data: bytes) -> int:
    """Bytes of all files in a package that was inspected before: its directory does not lie."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return sum(entry.file_size for entry in archive.infolist())


def _proved(data: bytes) -> int:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        if not entries:
            raise InvalidParameterValue("Uploaded file must be a non-empty zip")
        if sum(entry.file_size for entry in entries) > limits.UNZIPPED_BYTES_MAX:
            raise InvalidParameterValue(f"Unzipped size must be smaller than {limits.UNZIPPED_BYTES_MAX} bytes")
        total = 0
        for entry in entries:
            if not stays_inside(entry.filename):
                raise InvalidParameterValue(_UNREADABLE)
            total += _proved_size(archive, entry)
        return total


def _proved_size(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> int:
    """What the entry really unpacks to. zipfile never gives more than the directory says, and then finds the checksum wrong."""
    size = 0
    with archive.open(entry) as file:
        while piece := file.read(_PIECE_BYTES):
            size += len(piece)
    return size


def stays_inside(name: str) -> bool:
    """Whether a file of this name is unpacked into the folder that it is unpacked in."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\x00" not in name


def path_problems(names: Collection[str]) -> Iterator[str]:
    """What is wrong with the paths of a manifest's inline files, if they are to be one package."""
    folders = {folder for name in names for folder in PurePosixPath(name).parents}
    for name in names:
        if not stays_inside(name) or not PurePosixPath(name).name or name.endswith("/"):
            yield f"{name or 'an empty text'} is no path of a file in the package"
        elif PurePosixPath(name) in folders:
            yield f"{name} is a file and a folder at once"


def pack(files: dict[str, str]) -> bytes:
    """A package of text files; the same files give the same bytes, and so the same digest."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[name])
    return packed.getvalue()


def inline_files(source: str, *, handler: str, runtime: str) -> dict[str, str]:
    """The file that a manifest's inline text is: the handler's module, with the ending of the runtime's language."""
    module = handler.rpartition(".")[0] or handler
    ending = next((end for language, end in _ENDINGS.items() if runtime.startswith(language)), "")
    return {(module.replace(".", "/") if ending == ".py" else module) + ending: source}
