"""The tree of tests mirrors the tree of the package, and names say something."""

from __future__ import annotations

import ast
import builtins
import collections.abc
import pathlib
import re
import subprocess
import sys
import sysconfig
import typing
from pathlib import Path

import tomic
from tomic import errors

ROOT = Path(__file__).parents[1]
SOURCE, TESTS = Path(tomic.__file__).parent, ROOT / "tests"
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "core", "manager"}


def test_the_package_is_not_some_other():
    """The suite tests the package of its own tree, or where that has none the installed one."""
    own, installed = ROOT / "src" / "tomic", Path(sysconfig.get_path("purelib")) / "tomic"

    assert SOURCE.resolve() == (own if own.exists() else installed).resolve()


def test_every_package_is_tested():
    """Each sub-package has a folder of the same name with tests in it."""
    packages = [path.parent.name for path in SOURCE.glob("*/__init__.py")]
    packages.remove("models")

    untested = [name for name in packages if not list((TESTS / name).glob("test_*.py"))]

    assert untested == []


def test_every_test_file_has_its_subject():
    """A test file under a sub-package is named after a module there, or after a subject."""
    assert [p for p in TESTS.rglob("*.py") if p.stem in EMPTY_NAMES] == []


def test_no_module_is_named_after_nothing():
    """You can guess what a file holds."""
    assert [p for p in SOURCE.rglob("*.py") if p.stem in EMPTY_NAMES] == []


def test_public_names_exist_and_are_sorted():
    """`tomic.__all__` is sorted, each name can be had, and type checkers see the same ones."""
    assert list(tomic.__all__) == sorted(tomic.__all__)
    for name in tomic.__all__:
        assert getattr(tomic, name).__name__ == name
    tree = ast.parse((SOURCE / "__init__.py").read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    assert sorted(alias.asname for node in block.body for alias in node.names) == tomic.__all__


def test_every_error_is_public():
    """Whoever uses the library can name, and so catch, all that it raises."""
    raised = {
        name
        for name, member in vars(errors).items()
        if isinstance(member, type) and issubclass(member, errors.TomicError)
    }

    assert raised <= set(tomic.__all__)


def test_whatever_a_desk_returns_is_public():
    """Each type of ours in what a public method of `Desk` returns is a name of `tomic`."""
    elsewhere = {*dir(builtins), *dir(typing), *dir(collections.abc), *dir(pathlib)}
    methods = [
        member.fget if isinstance(member, property) else member
        for name, member in vars(tomic.Desk).items()
        if not name.startswith("_")
    ]

    named = {
        word
        for method in methods
        for word in re.findall(r"\w+", method.__annotations__["return"])
        if word not in elsewhere
    }

    assert {"Chain", "Journal", "Session"} <= named
    assert named <= set(tomic.__all__)


def test_importing_the_package_loads_nothing_heavy():
    """`import tomic`, and the command line up to its help, load neither numpy nor pandas."""
    code = (
        "import sys, tomic, tomic.cli.app;"
        "heavy = {'numpy', 'pandas', 'scipy', 'ib_async', 'pydantic', 'rich'};"
        "print(sorted(heavy & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_nothing_names_this_machine():
    """No text of the repository, or of an unpacked sdist, holds an index or a machine's path."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    paths = [ROOT / name for name in listed] or list(ROOT.rglob("*"))
    words = ("index-url", "pypi.org", "/simple/", "/root/", "/home/", "/work/", "/opt/", "/tmp/")
    texts = {".py", ".toml", ".md", ".txt", ".cfg", ".ipynb", ".svg", ".css", ".tcss", ""}

    named = {
        str(path): [word for word in words if word in path.read_text(encoding="utf-8")]
        for path in paths
        if path.is_file() and path.suffix in texts and path.name != "test_layout.py"
    }

    assert paths
    assert {name: found for name, found in named.items() if found} == {}
