"""Which paths stay out of a package."""

from __future__ import annotations

import pytest

from lambent_cli.package.ignore import Ignore


@pytest.mark.parametrize(
    ("lines", "path", "out"),
    [
        pytest.param("", "app.py", False, id="code stays in"),
        pytest.param("", "function.yaml", True, id="the manifest is no code"),
        pytest.param("", "sub/function.yaml", False, id="only the folder's own manifest"),
        pytest.param("", "lib/x.pyc", True, id="bytecode at any depth"),
        pytest.param("", ".lambentignore", True, id="the ignore file itself"),
        pytest.param("!function.yaml", "function.yaml", False, id="a default brought back"),
        pytest.param("*.md", "docs/a.md", True, id="without a slash: any depth"),
        pytest.param("/a.md", "docs/a.md", False, id="with a slash in front: the folder itself"),
        pytest.param("/a.md", "a.md", True, id="with a slash in front, at the top"),
        pytest.param("docs/*.md", "docs/a.md", True, id="with a slash inside: from the top"),
        pytest.param("docs/*.md", "x/docs/a.md", False, id="with a slash inside: not deeper"),
        pytest.param("docs/*.md", "docs/x/a.md", False, id="a star does not cross a slash"),
        pytest.param("docs/**/a.md", "docs/x/y/a.md", True, id="two stars cross slashes"),
        pytest.param("docs/**/a.md", "docs/a.md", True, id="two stars may stand for nothing"),
        pytest.param("docs/**", "docs/x/a.md", True, id="two stars at the end"),
        pytest.param("a?.py", "ab.py", True, id="one character"),
        pytest.param("a?.py", "a/.py", False, id="one character, but no slash"),
        pytest.param("[ab].py", "b.py", True, id="one of a set"),
        pytest.param("[!ab].py", "b.py", False, id="none of a set"),
        pytest.param("[!ab].py", "c.py", True, id="other than a set"),
        pytest.param("# *.py", "app.py", False, id="a comment"),
        pytest.param("#app.py", "#app.py", False, id="a comment, not a name with a number sign"),
        pytest.param("[ab", "[ab", True, id="a bracket that is not closed stands for itself"),
        pytest.param("ab]", "ab]", True, id="a bracket that was not opened stands for itself"),
        pytest.param("[!ab].py", "a.py", False, id="none of a set, its first"),
        pytest.param("  \n\n*.py  ", "app.py", True, id="blanks around"),
        pytest.param("*.py\n!app.py", "app.py", False, id="the last line decides"),
        pytest.param("!app.py\n*.py", "app.py", True, id="the last line decides, the other way"),
        pytest.param("a.b", "axb", False, id="a dot is a dot"),
        pytest.param("data/", "data", False, id="a folder's pattern does not match a file"),
    ],
)
def test_files(lines: str, path: str, out: bool) -> None:
    assert Ignore(lines)(path, is_folder=False) is out


@pytest.mark.parametrize(
    ("lines", "path", "out"),
    [
        pytest.param("", "sub/.git", True, id="version control at any depth"),
        pytest.param("", "__pycache__", True, id="bytecode folders"),
        pytest.param("", "node_modules", False, id="packages of Node stay in"),
        pytest.param("data/", "data", True, id="a folder's pattern"),
        pytest.param("data", "data", True, id="a pattern for both"),
    ],
)
def test_folders(lines: str, path: str, out: bool) -> None:
    assert Ignore(lines)(path, is_folder=True) is out
