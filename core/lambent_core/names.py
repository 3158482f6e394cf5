"""
Functions' names: what Lambda accepts for one, and the name of the resource that holds it.

Forms, from the AWS API reference (member FunctionName): `name`, `name:qualifier`, `account:function:name`, a full ARN.
Texts of errors as recorded on AWS.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from lambent_core.caller import Caller
from lambent_core.errors import InvalidParameterValue, ResourceNotFound, ValidationFailed
from lambent_core.invocation import LATEST
from lambent_core.validation import failed, told

NAME_LENGTH_MAX = 64
NAMESPACED_PATTERN = (
    r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?"
    r"([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?"
)
NAMESPACED_LENGTH_MAX = 256
QUALIFIER_PATTERN = r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+"
QUALIFIER_LENGTH_MAX = 128
"""NamespacedFunctionName and its qualifier as the service model has them, for the invoke path, which does not load it."""

_FORMS = re.compile(
    r"(?:arn:(?:aws[a-zA-Z-]*)?:lambda:)?"
    r"(?:(?P<region>(?:eusc-)?[a-z]{2}(?:-gov|-iso[a-z]?)?-[a-z]+-\d):)?"
    r"(?:(?P<account>\d{12}):)?(?:function:)?"
    r"(?P<name>[a-zA-Z0-9-_.]+)(?::(?P<qualifier>\$LATEST(?:\.PUBLISHED)?|[a-zA-Z0-9-_]+))?",
    re.ASCII,
)
_QUALIFIER = re.compile(QUALIFIER_PATTERN, re.ASCII)
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_NOT_IN_LABEL = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Target:
    """A function, or one version of it, as a caller named it."""

    name: str
    qualifier: str | None = None

    @property
    def latest(self) -> bool:
        """Means the function's moving state: no qualifier, or `$LATEST`."""
        return self.qualifier in (None, LATEST)


def parse_target(text: str, caller: Caller, qualifier: str | None = None) -> Target:
    """
    The function that `text` names, with the qualifier from the text or from the parameter of that name.

    Raises ValidationFailed for what can't be a name or qualifier, ResourceNotFound for another region's ARN, and
    InvalidParameterValue when the two qualifiers differ.
    """
    found = _FORMS.fullmatch(text)
    violations = list(_violations(text, qualifier))
    if found is None or violations:
        raise ValidationFailed(told(violations))
    region, account, derived = found["region"], found["account"], found["qualifier"]
    if region and region != caller.region:
        raise ResourceNotFound(f"Functions from '{region}' are not reachable in this region ('{caller.region}')")
    if derived and qualifier and derived != qualifier:
        raise InvalidParameterValue(
            "The derived qualifier from the function name does not match the specified qualifier."
        )
    if account and account != caller.account:
        raise ResourceNotFound(
            f"Function not found: arn:aws:lambda:{caller.region}:{account}:function:{found['name']}"
            + (f":{derived or qualifier}" if derived or qualifier else "")
        )
    return Target(found["name"], derived or qualifier or None)


def _violations(text: str, qualifier: str | None) -> Iterator[str]:
    if len(text) > NAMESPACED_LENGTH_MAX:
        yield failed(text, "functionName", f"Member must have length less than or equal to {NAMESPACED_LENGTH_MAX}")
    if not _FORMS.fullmatch(text):
        yield failed(text, "functionName", f"Member must satisfy regular expression pattern: {NAMESPACED_PATTERN}")
    if qualifier is not None and len(qualifier) > QUALIFIER_LENGTH_MAX:
        yield failed(qualifier, "qualifier", f"Member must have length less than or equal to {QUALIFIER_LENGTH_MAX}")
    if qualifier is not None and not _QUALIFIER.fullmatch(qualifier):
        yield failed(qualifier, "qualifier", f"Member must satisfy regular expression pattern: {QUALIFIER_PATTERN}")


def resource_name(function_name: str) -> str:
    """
    The name of the resource for a function: its own name where that is a DNS label, else one derived from it.

    A derived name ends in eight digits of a hash, so that `my_fn` and `My-Fn` stay apart.
    """
    if _DNS_LABEL.fullmatch(function_name):
        return function_name
    readable = _NOT_IN_LABEL.sub("-", function_name.lower()).strip("-")[:54].rstrip("-")
    digest = hashlib.sha256(function_name.encode()).hexdigest()[:8]
    return f"{readable}-{digest}" if readable else f"f-{digest}"
