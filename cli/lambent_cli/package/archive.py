"""
A folder as a ZIP that depends on its content alone: the same files make the same bytes, on any day and in any checkout.

    Z1  entries are sorted by path, carry one fixed time, and mode 0755 (executable) or 0644
    Z2  links are packed as what they point at; a link that leads back into its own folder is an error
    Z3  nothing above Lambda's limits is made: 52,428,800 bytes zipped, 262,144,000 unzipped ("Lambda quotas")
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import stat
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lambent_cli.failures import Failure
from lambent_cli.package.ignore import IGNORE_FILE, Ignore
from lambent_core import limits

_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest that a ZIP can say."""
_LEVEL = 6


@dataclass(frozen=True, slots=True)
class Package:
    content: bytes
    """The ZIP."""
    files: int
    unzipped: int
    """Bytes of all files."""

    @property
    def sha256(self) -> str:
        """Hex, as the package store names it."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def code_sha256(self) -> str:
        """Base64, as Lambda's API answers it."""
        return base64.b64encode(hashlib.sha256(self.content).digest()).decode()


def pack(folder: Path, *, further: Path | None = None, below: str = "") -> Package:
    """
    The folder without what it ignores, and over it nothing: files of `further` (installed packages) come first.

    `below` is the path of `further` within the package, with a slash at its end.
    """
    ignore_file = folder / IGNORE_FILE
    ignore = Ignore(ignore_file.read_text() if ignore_file.is_file() else "")
    files: dict[str, Path] = dict(_walk(further, Ignore(), below)) if further else {}
    files |= dict(_walk(folder, ignore))
    if not files:
        raise Failure(
            f"{folder} holds no file to deploy.", fix="Put the function's code there; `lambent init` writes one."
        )
    return _zip(sorted(files.items()))


def read_zip(path: Path) -> Package:
    """A ZIP that somebody else made, as it is."""
    content = path.read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
    except zipfile.BadZipFile as error:
        raise Failure(f"{path} is not a ZIP: {error}.") from error
    return _checked(Package(content, len(entries), sum(entry.file_size for entry in entries)))


def _walk(
    folder: Path, ignore: Ignore, below: str = "", above: frozenset[str] = frozenset()
) -> Iterator[tuple[str, Path]]:
    real = os.path.realpath(folder)
    if real in above:
        raise Failure(f"{folder} is a link back into its own folder.", fix=f"Name it in {IGNORE_FILE} or remove it.")
    for entry in sorted(folder.iterdir()):
        path = f"{below}{entry.name}"
        if ignore(path, is_folder=entry.is_dir()):
            continue
        if entry.is_dir():
            yield from _walk(entry, ignore, f"{path}/", above | {real})
        elif entry.is_file():
            yield path, entry
        elif entry.is_symlink():
            raise Failure(f"{entry} is a link to nothing.", fix=f"Name it in {IGNORE_FILE} or remove it.")


def _zip(files: Iterable[tuple[str, Path]]) -> Package:
    target = io.BytesIO()
    count = unzipped = 0
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for path, file in files:
            executable = file.stat().st_mode & stat.S_IXUSR
            entry = zipfile.ZipInfo(path, _TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (stat.S_IFREG | (0o755 if executable else 0o644)) << 16
            content = file.read_bytes()
            archive.writestr(entry, content)
            count += 1
            unzipped += len(content)
            if unzipped > limits.UNZIPPED_BYTES_MAX:
                break
    return _checked(Package(target.getvalue(), count, unzipped))


def _checked(package: Package) -> Package:
    for what, size, most in (
        ("unzipped", package.unzipped, limits.UNZIPPED_BYTES_MAX),
        ("zipped", len(package.content), limits.ZIP_BYTES_MAX),
    ):
        if size > most:
            raise Failure(
                f"the package is too large: {size:,} bytes {what}, at most {most:,} are allowed.",
                fix=f"Leave out what the function does not need at run time: name it in {IGNORE_FILE}.",
            )
    return package
