"""The examples run as they stand, and results show themselves in a notebook."""

from __future__ import annotations

import ast
import runpy
from pathlib import Path

import pytest

from support import notebook
from support.clean_home import make_clean_home, write

EXAMPLES = Path(__file__).parents[1] / "examples"
SMALL = (
    '[chain]\nmonthlies = 2\nweeklies = 0\n[market]\nsymbols = ["SPY", "QQQ"]\n'
    '[scan]\nstrategies = ["iron_condor", "short_put_spread"]\ntop = 3\n'
    'method = "thinned"\nmax_contracts = 60\n'
)
SHOWN = {
    "chain.py": "% complete",
    "scan.py": "trades looked at",
    "offline.py": "iron_condor",
    "kernels.py": "16.00%",
    "ib_async_alone.py": "no_quotes:strike=560.0",
    "low_level.py": "252 bars to 2026-11-",
    "recipes.py": "short_put_spread",
}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty home, and a working folder with small settings."""
    home = make_clean_home(tmp_path, monkeypatch)
    write("tomic.toml", SMALL)
    return home


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_example_prints_what_it_promises(name, capsys, monkeypatch):
    """Every example runs without arguments against the demo market."""
    monkeypatch.setattr("sys.argv", [name])

    runpy.run_path(str(EXAMPLES / name), run_name="__main__")

    assert SHOWN[name] in capsys.readouterr().out


def test_recipes_are_short():
    """A recipe is at most ten lines, and what the page says of it runs."""
    tree = ast.parse((EXAMPLES / "recipes.py").read_text(encoding="utf-8"))
    recipes = {
        node.name: node.end_lineno - node.body[0].lineno + 1
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name not in ("main", "fetch")
    }

    assert len(recipes) >= 14
    assert {name: lines for name, lines in recipes.items() if lines > 10} == {}


def size(name: str) -> int:
    return Path(name).stat().st_size


async def test_tour_runs_in_a_running_loop():
    """The notebook runs cell by cell with plain await, and its results show themselves."""
    names: dict = {}
    cells = notebook.code_cells(notebook.read())

    shown = [await notebook.run_cell(notebook.source(cell), names) for cell in cells]

    pages = [one._repr_html_() for one in shown if hasattr(one, "_repr_html_")]
    pictures = [one._repr_svg_() for one in shown if hasattr(one, "_repr_svg_")]
    assert any("SPY" in page and "<table" in page for page in pages)
    assert len(pages) >= 3
    assert len(pictures) == 3
    assert all("<svg" in picture for picture in pictures)
    assert size("day.html") > 10_000


def test_the_tour_is_stored_with_the_outputs_of_its_code():
    """On a page of the repository it shows what it shows; `nox -s pictures` runs it anew."""
    document = notebook.read()
    cells = notebook.code_cells(document)

    kept = document["metadata"].get("tomic", {}).get("sources")
    assert kept == notebook.digest(document), f"{notebook.COMMAND} runs it anew"
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    forms = [form for cell in cells for one in cell["outputs"] for form in one.get("data", ())]
    assert forms.count("image/svg+xml") == 3
    assert forms.count("text/html") >= 4


def test_every_example_is_named_in_the_readme():
    """The table of examples names each file, and no other."""
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")

    files = {path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".ipynb")}
    named = {word for word in files if f"]({word})" in text}
    assert named == files
    assert text.count("](") == len(files)
