"""
What code that others than the gateway have written comes to: files are packed and kept, a digest is looked up. And sizes of packages.
"""

from __future__ import annotations

import asyncio

import msgspec

from lambent_core.documents import PackageNotFound, PackageStore
from lambent_core.errors import InvalidParameterValue, RequestEntityTooLarge
from lambent_core.function import Code
from lambent_core.package import Package, inspect_package, pack, stays_inside, unzipped_size


class UnusableCode(Exception):
    """The message names the member of `spec` and says what is wrong with it."""


async def packed(packages: PackageStore, files: dict[str, str]) -> Package:
    """The package of inline files, kept. Raises UnusableCode."""
    if outside := next((name for name in files if not stays_inside(name)), None):
        raise UnusableCode(f"spec.code.inline: {outside} is no path of a file in the package.")
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


def not_uploaded(sha256: str) -> UnusableCode:
    return UnusableCode(
        f"spec.code.sha256: there is no package {sha256}; PUT it to /lambent/v1/packages/{sha256} and apply it again, "
        "or use `lambent apply`, which does both."
    )
