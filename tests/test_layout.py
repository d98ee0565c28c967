"""The tree of tests mirrors the tree of the package, and names say something."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import tomic

ROOT = Path(__file__).parents[1]
SOURCE, TESTS = ROOT / "src" / "tomic", ROOT / "tests"
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "core", "manager"}


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
    """`tomic.__all__` is sorted, and each name can be had."""
    assert list(tomic.__all__) == sorted(tomic.__all__)
    for name in tomic.__all__:
        assert getattr(tomic, name) is not None


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
    """No file of the repository holds the address of an index or a path of a machine."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    words = ("index-url", "/simple/", "/root/", "/home/runner")
    for name in listed:
        path = ROOT / name
        if path.suffix in {".py", ".toml", ".md", ".txt", ".cfg"} and path.name != "test_layout.py":
            text = path.read_text(encoding="utf-8")
            assert not [word for word in words if word in text], name
