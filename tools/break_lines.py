"""
Breaks a module's lines one at a time and shows which breakages no test notices.

    python tools/break_lines.py core/lambent_core/placement.py tests/unit/core/test_placement.py tests/simulation

A statement is left out, a result or a condition lost or negated, a comparison moved by one, a number changed. Each broken module is run
against the tests in a copy of the tree; a breakage that survives is a missing test, or a line that is not needed. Assertions and
`_check` are left alone: they are what notices.

What the tests import from elsewhere is imported once, and each breakage gets a fork of that process: about three a second.
"""

from __future__ import annotations

import ast
import copy
import importlib
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from math import ceil
from multiprocessing.connection import Connection
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
LEFT_OUT = (ast.Expr, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Delete, ast.Break, ast.Continue, ast.Raise)
COPIED = ("core", "kube", "gateway", "operator", "cli", "tests", "tools", "pyproject.toml")
IMPORTED_EARLY = "ignore::pytest.PytestAssertRewriteWarning"
FORKS = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Limits:
    """What runs longer hangs, and so has been noticed."""

    seconds: float
    cpu_seconds: int
    """Of a loop that never ends, on a machine however busy."""


def breakages(tree: ast.Module) -> Iterator[tuple[int, str, ast.Module]]:
    """Line, what was done, and the broken tree."""
    for node, inside in _nodes(tree, inside=False):
        for what, broken in _broken(node, inside):
            # Nodes are found again by their turn: a deep copy is walked in the same order.
            turn = next(at for at, other in enumerate(ast.walk(tree)) if other is node)
            changed = copy.deepcopy(tree)
            twin = next(other for at, other in enumerate(ast.walk(changed)) if at == turn)
            _put(changed, twin, broken)
            line = next(part.lineno for part in ast.walk(node) if hasattr(part, "lineno"))
            yield line, what, ast.fix_missing_locations(changed)


def _nodes(node: ast.AST, inside: bool) -> Iterator[tuple[ast.AST, bool]]:
    """Each node that may be broken, in the order of the text, and whether it is inside a function."""
    declared = [*node.decorator_list, *node.keywords] if isinstance(node, ast.ClassDef) else []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom) or child in declared or _asserts(child):
            continue
        within = inside or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        yield child, inside
        yield from _nodes(child, within)


def _asserts(node: ast.AST) -> bool:
    match node:
        case ast.Assert() | ast.FunctionDef(name="_check") | ast.Expr(ast.Call(ast.Name("assert_never"))):
            return True
        case ast.Expr(ast.Call(ast.Attribute(attr="_check"))) | ast.Raise(ast.Call(ast.Name("AssertionError"))):
            return True
    return False


def _broken(node: ast.AST, inside: bool) -> Iterator[tuple[str, ast.AST]]:
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    bare = isinstance(node, ast.AnnAssign) and node.value is None
    if inside and isinstance(node, LEFT_OUT) and not docstring and not bare:
        yield f"left out: {ast.unparse(node)}", ast.Pass()
    if isinstance(node, ast.Return) and node.value is not None and not isinstance(node.value, ast.Constant):
        yield f"result lost: {ast.unparse(node)}", ast.Return(None)
    if isinstance(node, ast.ExceptHandler):
        handler = copy.deepcopy(node)
        handler.body = [ast.Raise()]
        yield f"not caught: {ast.unparse(node.type) if node.type else 'everything'}", handler
    if isinstance(node, ast.If | ast.IfExp):
        negated = copy.deepcopy(node)
        negated.test = ast.UnaryOp(ast.Not(), negated.test)
        yield f"negated: {ast.unparse(node.test)}", negated
    if isinstance(node, ast.match_case) and node.guard is not None:
        unguarded = copy.deepcopy(node)
        unguarded.guard = ast.UnaryOp(ast.Not(), node.guard)
        yield f"negated: {ast.unparse(node.guard)}", unguarded
    if isinstance(node, ast.comprehension):
        for at, condition in enumerate(node.ifs):
            unfiltered = copy.deepcopy(node)
            unfiltered.ifs[at] = ast.UnaryOp(ast.Not(), condition)
            yield f"negated: {ast.unparse(condition)}", unfiltered
    if isinstance(node, ast.BoolOp):
        other = copy.deepcopy(node)
        other.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield f"and/or: {ast.unparse(node)}", other
    if isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPPED:
        moved = copy.deepcopy(node)
        moved.ops[0] = SWAPPED[type(node.ops[0])]()
        yield f"swapped: {ast.unparse(node)}", moved
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        turned = copy.deepcopy(node)
        turned.op = OPERATORS[type(node.op)]()
        yield f"operator: {ast.unparse(node)}", turned
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        yield f"number: {node.value}", ast.Constant(node.value + 1)
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield f"turned: {node.value}", ast.Constant(not node.value)


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
    source = (root / module).read_text()
    survivors = total = 0
    with tempfile.TemporaryDirectory() as folder:
        _copy(root, Path(folder))
        os.chdir(folder)
        sys.dont_write_bytecode = False
        limits = _prepare(Path(folder), tests)
        shutil.rmtree(Path(module).parent / "__pycache__", ignore_errors=True)
        sys.dont_write_bytecode = True  # times of files are too coarse to tell one breakage from the next
        Path(module).write_text(ast.unparse(ast.parse(source)))
        if not _passes(tests, limits):
            sys.exit("the tests fail in a fork though nothing is broken")
        for line, what, broken in breakages(ast.parse(source)):
            total += 1
            Path(module).write_text(ast.unparse(broken))
            if _passes(tests, limits):
                survivors += 1
                print(f"{module}:{line}: survived, {what}", flush=True)
        os.chdir(root)
    print(f"{module}: {total} breakages, {survivors} survived")
    return 1 if survivors else 0


def _copy(root: Path, folder: Path) -> None:
    for entry in root.iterdir():
        if entry.name not in COPIED:
            (folder / entry.name).symlink_to(entry)
        elif entry.is_dir():
            shutil.copytree(entry, folder / entry.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(entry, folder / entry.name)


def _prepare(folder: Path, tests: tuple[str, ...]) -> Limits:
    """Runs the tests on what isn't broken, imports what they did from elsewhere; how long a run may take."""
    began = time.monotonic()
    ours, theirs = FORKS.Pipe()
    process = FORKS.Process(target=_run, args=(tests, None, theirs, folder))
    process.start()
    theirs.close()
    try:
        names = ours.recv()
    except EOFError:
        names = None
    process.join()
    if process.exitcode or names is None:
        sys.exit("the tests fail before anything is broken")
    for name in names:
        with suppress(Exception):
            importlib.import_module(name)
    return Limits(
        10 + 3 * (time.monotonic() - began), 3 + ceil(2 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime)
    )


def _passes(tests: tuple[str, ...], limits: Limits) -> bool:
    process = FORKS.Process(target=_run, args=(tests, limits))
    process.start()
    process.join(limits.seconds)
    if process.exitcode is None:
        assert process.pid is not None
        os.killpg(process.pid, signal.SIGKILL)
        process.join()
    return process.exitcode == 0


def _run(
    tests: tuple[str, ...], limits: Limits | None, imported: Connection | None = None, folder: Path | None = None
) -> None:
    os.setsid()
    import pytest
    from hypothesis import HealthCheck, Phase, settings

    # A first counterexample is enough, the same one each time, and a slow machine is none.
    settings.register_profile(
        "break_lines",
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    if limits is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds))
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
    code = pytest.main(
        ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-profile=break_lines", "-W", IMPORTED_EARLY, *tests]
    )
    if imported is not None and folder is not None:
        files = ((name, getattr(module, "__file__", None)) for name, module in list(sys.modules.items()))
        imported.send([name for name, file in files if file and not Path(file).is_relative_to(folder)])
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
