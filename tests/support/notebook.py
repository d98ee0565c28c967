"""
The notebook of the examples, run cell by cell, and stored with its outputs.

``python tests/support/notebook.py`` (`nox -s pictures`) runs it on the demo in an empty folder and
writes the outputs into it; a test keeps them current with the code. A notebook's server would do
the same with more packages than there are cells.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import hashlib
import inspect
import io
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from support.clean_home import make_clean_home

TOUR = Path(__file__).parents[2] / "examples" / "tour.ipynb"
COMMAND = "nox -s pictures"
_FORMS = {"text/html": "_repr_html_", "image/svg+xml": "_repr_svg_"}


def read() -> dict[str, Any]:
    """The notebook as it is stored."""
    document: dict[str, Any] = json.loads(TOUR.read_text(encoding="utf-8"))
    assert (document["nbformat"], document["nbformat_minor"]) == (4, 5)
    return document


def code_cells(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Its cells of code."""
    return [cell for cell in document["cells"] if cell["cell_type"] == "code"]


def source(cell: dict[str, Any]) -> str:
    """What is typed in a cell."""
    return "".join(cell["source"])


def digest(document: dict[str, Any]) -> str:
    """What changes when any of its code does."""
    text = "\0".join(map(source, code_cells(document)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


async def run_cell(text: str, names: dict[str, Any]) -> object:
    """Run a cell in the loop that runs, as a notebook does; return its last expression."""
    tree = ast.parse(text)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    value = eval(compile(tree, "cell", "exec", flags), names)
    if inspect.iscoroutine(value):
        await value
    if last is None:
        return None
    value = eval(compile(ast.Expression(last.value), "cell", "eval", flags), names)
    return await value if inspect.iscoroutine(value) else value


def outputs(value: object, printed: str, count: int) -> list[dict[str, Any]]:
    """What a notebook stores below a cell: what it printed, and its last expression."""
    kept: list[dict[str, Any]] = []
    if printed:
        kept.append({"output_type": "stream", "name": "stdout", "text": _lines(printed)})
    if value is not None:
        data = {
            form: _lines(getattr(value, method)())
            for form, method in _FORMS.items()
            if hasattr(value, method)
        }
        data["text/plain"] = _lines(
            repr(value) if len(repr(value)) < 2000 else type(value).__name__
        )
        kept.append(
            {
                "output_type": "execute_result",
                "execution_count": count,
                "data": data,
                "metadata": {},
            }
        )
    return kept


def _lines(text: str) -> list[str]:
    return [line.rstrip() + "\n" * line.endswith("\n") for line in text.splitlines(keepends=True)]


async def run_all(document: dict[str, Any]) -> None:
    """Run every cell of *document* in its order, and put the outputs into it."""
    names: dict[str, Any] = {}
    for count, cell in enumerate(code_cells(document), start=1):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            value = await run_cell(source(cell), names)
        cell["execution_count"] = count
        cell["outputs"] = outputs(value, printed.getvalue(), count)
    document["metadata"]["tomic"] = {"sources": digest(document)}


def write() -> None:
    """Run the notebook and store it."""
    document = read()
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        make_clean_home(Path(folder), patch)
        asyncio.run(run_all(document))
    text = json.dumps(document, indent=1, ensure_ascii=False)
    TOUR.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
