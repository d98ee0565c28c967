"""The tree of tests mirrors the tree of the package, and names say something."""

from __future__ import annotations

import ast
import builtins
import collections.abc
import importlib
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
SUBJECTS = {
    "cli/chain_command",
    "cli/executions_import",
    "cli/flex_import",
    "cli/journal_executions",
    "config/refusals",
    "desk/desk",
    "desk/kept",
    "desk/manage",
    "desk/manage_slowly",
    "desk/notebook",
    "desk/opening",
    "desk/recording",
    "desk/scan",
    "desk/shared",
    "desk/web_spot",
    "docs",
    "documents",
    "evidence/benchmark",
    "evidence/findings",
    "examples",
    "fuzz",
    "ib/advisories",
    "ib/executions_wire",
    "ib/fuzz",
    "ib/hostile",
    "layers",
    "layout",
    "misuses",
    "no_orders",
    "pages",
    "panel/connection",
    "panel/history",
    "panel/keys",
    "panel/screens",
    "portfolio/unknown_figures",
    "quant/margin_pairing",
    "quant/published_structures",
    "quant/published_vectors",
    "quant/published_volatility",
    "repository",
    "security",
    "sim/fuzz",
    "sim/manners",
    "sim/server/ledger_executions",
    "sim/witness",
    "site",
    "soak",
    "wire_messages",
    "workflows/delayed_accounts",
    "workflows/other_markets",
}
"""Tests of what no single module does."""
TESTED_IN = {
    "_drawing": "report/test_figures",
    "_keywords": "test_misuses",
    "_lazy": "test_layout",
    "_typing": "test_layers",
    "workflows/journal/verbs": "desk/test_notebook",
    "_version": "test_layout",
    "cli/options": "cli/test_config",
    "config/book": "config/test_loading",
    "config/notify": "config/test_refusals",
    "config/scan": "config/test_loading",
    "config/section": "config/test_refusals",
    "config/settings": "config/test_loading",
    "desk": "desk/test_desk",
    "ib/callbacks": "ib/test_lines",
    "ib/link": "ib/test_executions_wire",
    "journal/broker/rows": "journal/test_broker",
    "models/backtest": "workflows/test_backtest",
    "journal/manage/advice": "journal/manage/test_judged",
    "journal/manage/orders": "journal/manage/test_judged",
    "journal/manage/standing": "journal/manage/test_moves",
    "journal/manage/target": "journal/manage/test_judged",
    "models/book": "test_models",
    "models/documents": "test_documents",
    "models/exits": "test_models",
    "models/frames": "desk/test_notebook",
    "models/journal": "test_models",
    "models/manage": "journal/manage/test_track",
    "models/market": "test_models",
    "models/moves": "journal/manage/test_track",
    "models/notices": "test_notices",
    "models/review": "test_documents",
    "models/ticket": "strategies/test_tickets",
    "models/track": "workflows/journal/test_track",
    "models/trade": "test_models",
    "models/what_if": "portfolio/test_what_if",
    "panel/views/chain": "panel/test_views",
    "panel/views/data": "panel/test_screens",
    "panel/views/history": "panel/test_history",
    "panel/views/journal": "panel/test_screens",
    "panel/views/market": "panel/test_screens",
    "panel/views/portfolio": "panel/test_screens",
    "panel/views/scan": "panel/test_views",
    "panel/views/settings": "panel/test_screens",
    "panel/views/view": "panel/test_screens",
    "panel/views/what_if": "panel/test_keys",
    "panel/views/what_now": "panel/test_keys",
    "panel/widgets/lines": "panel/test_connection",
    "portfolio/lines": "portfolio/test_exposure",
    "present/journal": "cli/test_journal",
    "present/manage": "cli/test_manage",
    "present/store": "cli/test_store",
    "quant/american_boundary": "quant/test_american",
    "report/collect": "report/test_pages",
    "report/layout": "report/test_html",
    "report/pictures": "report/test_figures",
    "sim/market/instruments": "sim/market/test_model",
    "sim/server/state": "sim/server/test_gateway",
    "store/names": "cli/test_completion",
    "strategies/candidates": "strategies/test_search",
    "strategies/measures": "strategies/test_propose",
    "strategies/proposals": "strategies/test_propose",
    "wire/answers": "wire/test_framing",
    "wire/layout": "wire/test_framing",
    "wire/orders": "wire/test_framing",
    "wire/requests": "wire/test_framing",
    "workflows/journal/market": "workflows/journal/test_review",
    "workflows/journal/trades": "workflows/journal/test_entries",
    "workflows/portfolio/files": "workflows/portfolio/test_review",
    "workflows/progress": "panel/test_background",
    "workflows/recording": "desk/test_recording",
    "workflows/resources": "desk/test_opening",
    "workflows/chain/portions": "desk/test_scan",
    "workflows/sampled": "desk/test_scan",
    "workflows/scan": "desk/test_scan",
    "workflows/stand_in": "files/test_reading",
    "workflows/volatility/today": "desk/test_desk",
}
"""Modules that are tested through others, and the file that does."""
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "core", "manager"}


def modules() -> set[str]:
    """Every module of the package, as a path without its ending."""
    special = ("__init__", "__main__")
    paths = (path for path in SOURCE.rglob("*.py") if path.stem not in special)
    return {str(path.relative_to(SOURCE).with_suffix("")) for path in paths}


def files_of_tests() -> set[str]:
    """Every test file, as the path of what it would mirror."""
    paths = (path.relative_to(TESTS) for path in TESTS.rglob("test_*.py"))
    return {str(path.parent / path.stem.removeprefix("test_")) for path in paths}


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


def test_every_test_file_mirrors_a_module():
    """A test file is named after the module or package beside it, or is a subject of its own."""
    rooms = modules() | {
        str(path.parent.relative_to(SOURCE)) for path in SOURCE.rglob("__init__.py")
    }

    mend = "name it after the module it tests, or write it down in SUBJECTS of this file"
    assert files_of_tests() - rooms == SUBJECTS, mend


def test_every_module_is_mirrored_by_a_test_file():
    """A module has a test file of its name, or stands in the table of those tested elsewhere."""
    mend = "write tests/…/test_NAME.py beside it, or in TESTED_IN of this file who else tests it"
    assert modules() - files_of_tests() == TESTED_IN.keys(), mend
    assert [name for name in TESTED_IN.values() if not (TESTS / f"{name}.py").exists()] == []


def test_no_test_file_is_named_after_nothing():
    """You can guess what it tests."""
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
    seen = [alias.asname for node in block.body for alias in node.names if alias.name != "*"]
    stars = [node.module for node in block.body if node.names[0].name == "*"]
    seen += [name for module in stars for name in importlib.import_module(module).__all__]
    assert sorted(seen) == tomic.__all__


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

    assert {"Chain", "DeskJournal", "Session"} <= named
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


def test_a_desk_loads_what_every_command_needs_and_no_more():
    """A chain waits for neither backtests nor what they compute with."""
    code = (
        "import sys, tomic.cli.chain, tomic.desk\n"
        "print(*sorted(m for m in sys.modules if m.startswith(('tomic.evidence', 'scipy',"
        " 'pandas', 'tomic.strategies.search', 'tomic.workflows.backtest'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == []


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


def test_a_package_offers_without_importing():
    """A submodule that is imported from a package is loaded at its first use, a wrong one never."""
    code = (
        "import sys\nfrom tomic import models\nfrom tomic.present import scan\n"
        "print('tomic.present.scan' in sys.modules, 'tomic.models.trade' in sys.modules)\n"
        "print(scan.scan_summary.__module__, models.Leg.__module__, 'Alert' in dir(models))\n"
        "try:\n    from tomic.present import nothing\n"
        "except ImportError as exc:\n    print(exc.name)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    first, second, third = done.stdout.splitlines()
    assert first == "False False"
    assert second == "tomic.present.scan tomic.models.trade True"
    assert third == "tomic.present"
