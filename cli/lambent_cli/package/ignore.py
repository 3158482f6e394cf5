"""
Which files of a folder belong in its package: all but what no package needs, and what `.lambentignore` names.

The patterns are those of .gitignore, without escapes: one a line, `#` comments, `/` at the start ties a pattern to the
folder, at the end to folders; `*`, `?`, `[...]` do not cross a `/`, `**` does; `!` brings back what an earlier line
took out. The last matching line decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

IGNORE_FILE = ".lambentignore"

DEFAULTS = (
    ".git/",
    ".hg/",
    ".svn/",
    ".venv/",
    "venv/",
    "__pycache__/",
    "*.pyc",
    ".DS_Store",
    ".idea/",
    ".vscode/",
    ".mypy_cache/",
    ".pytest_cache/",
    ".ruff_cache/",
    f"/{IGNORE_FILE}",
    "/function.yaml",
)
"""Never part of a package unless `.lambentignore` brings it back."""


@dataclass(frozen=True, slots=True)
class _Rule:
    matches: re.Pattern[str]
    folders_only: bool
    takes_out: bool


class Ignore:
    """Rules, first to last."""

    def __init__(self, lines: str = "") -> None:
        texts = [line.strip() for line in (*DEFAULTS, *lines.splitlines())]
        self._rules = [_rule(text) for text in texts if text and not text.startswith("#")]

    def __call__(self, path: str, *, is_folder: bool) -> bool:
        """Whether the file or folder at `path` (relative, with `/`) stays out, and with a folder all below it."""
        out = False
        for rule in self._rules:
            if (is_folder or not rule.folders_only) and rule.matches.fullmatch(path):
                out = rule.takes_out
        return out


def _rule(text: str) -> _Rule:
    takes_out = not text.startswith("!")
    text = text.removeprefix("!")
    folders_only = text.endswith("/")
    text = text.rstrip("/")
    # A pattern with a slash before its end is tied to the folder; one without matches at any depth.
    prefix = "" if "/" in text else "(?:.*/)?"
    return _Rule(re.compile(prefix + _expression(text.removeprefix("/"))), folders_only, takes_out)


def _expression(glob: str) -> str:
    pieces = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    found = re.split(r"(\*\*/|\*\*|\*|\?|\[!?[^\]]+\])", glob)
    return "".join(
        pieces.get(piece) or (_set(piece) if piece.startswith("[") and piece.endswith("]") else re.escape(piece))
        for piece in found
    )


def _set(piece: str) -> str:
    inner = piece[1:-1].replace("\\", "\\\\")
    return f"[^/{inner[1:]}]" if inner.startswith("!") else f"[{inner}]"
