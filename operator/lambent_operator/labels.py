"""Names that the operator puts on objects; users select by them, so they don't change."""

from __future__ import annotations

import hashlib
import re

MANAGER = "lambent-operator"
"""Field manager, label `app.kubernetes.io/managed-by`, and reporting controller of Events."""
MANAGED_BY = "app.kubernetes.io/managed-by"
POOL = "lambent.dev/pool"
"""Label and annotation of a pod. The label has the pool's name as far as a label can; the annotation has it as it is."""
FUNCTION = "lambent.dev/function"
"""Label of a pod that is an execution environment: the resource's name."""
REVISION = "lambent.dev/revision"
"""Annotation of such a pod."""
FINALIZER = "lambent.dev/drain"
PODS_SELECTOR = f"{MANAGED_BY}={MANAGER}"

_LABEL_CHARACTERS_MAX = 63
_NO_LABEL_CHARACTER = re.compile(r"[^-_.A-Za-z0-9]")


def label_value(name: str) -> str:
    """
    `function/hello/3` is no label's value: `function.hello.3`.

    What is too long for one, or has in it what else can't be in one, ends in a digest, so that it stays its own.
    """
    value = _NO_LABEL_CHARACTER.sub(".", name)
    if len(value) <= _LABEL_CHARACTERS_MAX and value == name.replace("/", "."):
        return value
    digest = hashlib.sha256(name.encode()).hexdigest()[:10]
    return f"{value[: _LABEL_CHARACTERS_MAX - 11].rstrip('-_.')}-{digest}"
