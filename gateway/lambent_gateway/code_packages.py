"""
What code that others than the gateway have written comes to: files are packed and kept, a digest is looked up. And sizes of packages.
"""

from __future__ import annotations

import asyncio

import msgspec

from lambent_core.documents import PackageNotFound, PackageStore
from lambent_core.errors import InvalidParameterValue, RequestEntityTooLarge
from lambent_core.function import Code
from lambent_core.package import Package, inspect_package, pack, path_problems, unzipped_size


class UnusableCode(Exception):
    """The message names the member of `spec` and says what is wrong with it."""


class NotUploaded(UnusableCode):
    """It may be there a moment later."""


async def packed(packages: PackageStore, files: dict[str, str]) -> Package:
    """The package of inline files, kept. Raises UnusableCode."""
    for problem in path_problems(files):
        raise UnusableCode(f"spec.code.inline: {problem}.")
    data = await asyncio.to_thread(pack, files)
    try:
        package = await asyncio.to_thread(inspect_package, data)
    except (InvalidParameterValue, RequestEntityTooLarge) as error:
        raise UnusableCode(f"spec.code.inline: {error.message}") from None
    await packages.put(package.sha256, data)
    return package


async def found(packages: PackageStore, sha256: str) -> Package:
    """A package that was sent before. Raises UnusableCode."""
    try:
        data = await packages.read(sha256)
    except PackageNotFound:
        raise not_uploaded(sha256) from None
    return Package(sha256, len(data), await asyncio.to_thread(unzipped_size, data))


async def measured(packages: PackageStore, code: Code) -> Code:
    """The code with its unzipped size, which counts together with that of layers."""
    if code.sha256 is None or code.unzipped_size is not None:
        return code
    package = await found(packages, code.sha256)
    return msgspec.structs.replace(code, unzipped_size=package.unzipped_size)


def not_uploaded(sha256: str) -> NotUploaded:
    return NotUploaded(
        f"spec.code.sha256: there is no package {sha256}; PUT it to /lambent/v1/packages/{sha256}, "
        "or use `lambent apply`, which does so."
    )
