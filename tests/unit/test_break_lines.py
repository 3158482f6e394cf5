"""What the breaker of lines breaks."""

from __future__ import annotations

import ast

import pytest

from tools.break_lines import breakages


def broken(text: str) -> set[str]:
    return {ast.unparse(tree).strip() for _, _, tree in breakages(ast.parse(text))}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def f():\n    g()\n    h()", {"def f():\n    pass\n    h()", "def f():\n    g()\n    pass"}),
        ("async def f():\n    await g()", {"async def f():\n    pass"}),
        ("def f():\n    return g()", {"def f():\n    return"}),
        ("def f():\n    raise E", {"def f():\n    pass"}),
        ("x = a < b", {"x = a <= b"}),
        ("x = a and b", {"x = a or b"}),
        ("x = a + b", {"x = a - b"}),
        ("x = 3", {"x = 4"}),
        ("x = 0.5", {"x = 1.5"}),
        ("x = True", {"x = False"}),
        ("x = a if b else c", {"x = a if not b else c"}),
        ("x = [a for a in b if c]", {"x = [a for a in b if not c]"}),
        (
            "try:\n    f()\nexcept E:\n    g()",
            {"try:\n    f()\nexcept E:\n    raise"},
        ),
        (
            "match a:\n    case [b] if c:\n        d()",
            {"match a:\n    case [b] if not c:\n        d()"},
        ),
    ],
    ids=[
        "statement", "in a coroutine", "result", "raise", "comparison", "boolean", "arithmetic", "number", "fraction", "flag", "condition",
        "filter", "handler", "guard",
    ],
)  # fmt: skip
def test_each_kind_of_breakage(text: str, expected: set[str]) -> None:
    assert broken(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "import os",
        "def f():\n    'What it does.'",
        "def f():\n    assert a < 3",
        "def _check(self):\n    for a in self:\n        assert a < 3",
        "def f(self):\n    self._check()",
        "def f():\n    assert_never(a)",
        "def f():\n    raise AssertionError('never')",
        "@dataclass(frozen=True)\nclass A:\n    b: int",
        "class A(Struct, frozen=True):\n    b: int",
    ],
    ids=["import", "docstring", "assertion", "check", "checked", "never", "impossible", "dataclass", "struct"],
)
def test_what_is_left_alone(text: str) -> None:
    assert broken(text) == set()


def test_each_of_two_equal_lines_is_broken_at_its_own_place() -> None:
    told = [(line, what) for line, what, _ in breakages(ast.parse("def f():\n    g()\n    g()"))]
    assert told == [(2, "left out: g()"), (3, "left out: g()")]
