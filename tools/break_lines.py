"""
Breaks a module's lines one at a time and shows which breakages no test notices.

    python tools/break_lines.py core/lambent_core/placement.py tests/unit/core/test_placement.py tests/simulation

A statement is left out, a condition negated, a comparison moved by one, a number changed. Each broken module is run against the tests
in a copy of the tree; a breakage that survives is a missing test, or a line that is not needed.
"""

from __future__ import annotations

import ast
import copy
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

SWAPPED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv}


def breakages(tree: ast.Module) -> Iterator[tuple[int, str, ast.Module]]:
    """Line, what was done, and the broken tree."""
    inside = [node for function in _functions(tree) for node in ast.walk(function)]
    for node in inside:
        for what, broken in _broken(node):
            changed = copy.deepcopy(tree)
            twin = next(
                other for other in ast.walk(changed) if type(other) is type(node) and _place(other) == _place(node)
            )
            _put(changed, twin, broken)
            yield getattr(node, "lineno", 0), what, ast.fix_missing_locations(changed)


def _functions(tree: ast.Module) -> list[ast.AST]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name not in ("_check",)]


def _broken(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    if (
        isinstance(node, ast.Expr | ast.Assign | ast.AugAssign | ast.Delete | ast.Break | ast.Continue)
        and not docstring
    ):
        yield f"left out: {ast.unparse(node)}", ast.Pass()
    if isinstance(node, ast.If | ast.While | ast.IfExp):
        broken = copy.deepcopy(node)
        broken.test = ast.UnaryOp(ast.Not(), broken.test)
        if not isinstance(node, ast.While):
            yield f"negated: {ast.unparse(node.test)}", broken
    if isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPPED:
        moved = copy.deepcopy(node)
        moved.ops[0] = SWAPPED[type(node.ops[0])]()
        yield f"swapped: {ast.unparse(node)}", moved
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        other = copy.deepcopy(node)
        other.op = OPERATORS[type(node.op)]()
        yield f"operator: {ast.unparse(node)}", other
    if isinstance(node, ast.Constant) and type(node.value) is int:
        yield f"number: {node.value}", ast.Constant(node.value + 1)


def _place(node: ast.AST) -> tuple[int, ...]:
    return tuple(getattr(node, name, 0) or 0 for name in ("lineno", "col_offset", "end_lineno", "end_col_offset"))


def _put(tree: ast.Module, old: ast.AST, new: ast.AST) -> None:
    ast.copy_location(new, old)
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, name, new)
                return
            if isinstance(value, list) and any(item is old for item in value):
                value[next(at for at, item in enumerate(value) if item is old)] = new
                return
    raise LookupError(ast.unparse(old))


def main(module: str, *tests: str) -> int:
    root = Path(__file__).parent.parent
    tree = ast.parse((root / module).read_text())
    survivors = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in ("core", "gateway", "cli", "tests", "pyproject.toml"):
            source = root / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, Path(folder) / name)
        total = 0
        for line, what, broken in breakages(tree):
            total += 1
            (Path(folder) / module).write_text(ast.unparse(broken))
            if not _noticed(folder, tests):
                survivors += 1
                print(f"{module}:{line}: survived, {what}", flush=True)
    print(f"{module}: {total} breakages, {survivors} survived")
    return 1 if survivors else 0


def _noticed(folder: str, tests: tuple[str, ...]) -> bool:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    environment = {
        **os.environ,
        "PYTHONPATH": f"{folder}/core:{folder}/gateway:{folder}/cli",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=60, env=environment)
    except subprocess.TimeoutExpired:
        return True
    return done.returncode != 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
