"""
Who calls, and the names that depend on it. An argument of every operation, even while everybody is allowed everything.
"""

from __future__ import annotations

from dataclasses import dataclass

from lambent_core.function import LATEST

DEFAULT_REGION = "us-east-1"
LOCAL_ACCOUNT = "000000000000"


@dataclass(frozen=True, slots=True)
class Caller:
    account: str = LOCAL_ACCOUNT
    """Twelve digits."""
    region: str = DEFAULT_REGION
    """The region that the caller addressed; it stands in the ARNs of the answer."""
    principal: str = ""
    """Access key id, or empty for an unsigned call."""

    def function_arn(self, name: str, qualifier: str | None = None) -> str:
        arn = f"arn:aws:lambda:{self.region}:{self.account}:function:{name}"
        return f"{arn}:{qualifier}" if qualifier else arn

    def layer_arn(self, name: str, version: int | None = None) -> str:
        arn = f"arn:aws:lambda:{self.region}:{self.account}:layer:{name}"
        return f"{arn}:{version}" if version else arn

    def latest_arn(self, name: str) -> str:
        return self.function_arn(name, LATEST)


def caller_of(authorization: str, *, account: str = LOCAL_ACCOUNT, region: str = DEFAULT_REGION) -> Caller:
    """
    The caller as the credential scope of a Signature Version 4 `Authorization` header names it; the signature is not checked.

    `AWS4-HMAC-SHA256 Credential=<access key>/<date>/<region>/<service>/aws4_request, …` (AWS documentation, "Signature
    Version 4 signing process"). Anything else is a caller without a name in the default region.
    """
    _, found, credential = authorization.partition("Credential=")
    parts = credential.partition(",")[0].strip().split("/")
    if not found or len(parts) != 5 or not parts[2]:
        return Caller(account, region)
    return Caller(account, parts[2], parts[0])
