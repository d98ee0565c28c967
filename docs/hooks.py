"""
What mkdocs does beyond its plugins: pages from outside this folder, and pages that are made.

The README, the guide for contributors, the changelog, the page on security and the examples are
pages of the site, under their own links; the tables of settings and of the Python API are made of
`tomic.toml` and of what `tomic` exports, and the page of the notebook of its stored outputs. It
imports nothing of the program: it reads its text.
"""

from __future__ import annotations

import ast
import json
import posixpath
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
MOVED = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "examples/README.md": "examples/index.md",
    "examples/tour.ipynb": "examples/tour.md",
    "tomic.toml": "settings.md",
}
"""Files of the repository that are pages of the site; those of docs/ keep their names."""
_LINK = re.compile(r"(\]\()([^)\s]+)(\))|(<img [^>]*src=\")([^\"]+)(\")")
_KERNELS = (
    "black_scholes", "american", "implied", "smile", "surface", "density", "probability", "payoff",
    "realized", "margin", "parity", "events", "paths", "revaluation",
)  # fmt: skip
"""The modules of `tomic.quant` that are for everybody."""


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that do not lie in this folder, and the files that they link."""
    pages = {page: (ROOT / source).read_text(encoding="utf-8") for source, page in MOVED.items()}
    pages["examples/tour.md"] = notebook(json.loads(pages["examples/tour.md"]))
    pages["settings.md"] = settings(pages["settings.md"])
    pages["api.md"], pages["kernels.md"] = api(), kernels()
    pages |= {f"examples/{file.name}": file.read_text("utf-8") for file in _scripts()}
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Let every link lead to where its target is on the site."""
    at = page.file.src_uri
    source = next((path for path, name in MOVED.items() if name == at), f"docs/{at}")
    return _LINK.sub(lambda found: _on_the_site(found, source, at), markdown)


def _on_the_site(found: re.Match[str], source: str, at: str) -> str:
    before, target, after = (one for one in found.groups() if one is not None)
    if ":" in target or target.startswith(("#", "/")):
        return found.group()
    path, mark, anchor = target.partition("#")
    place = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    place = f"{place}/README.md" if f"{place}/README.md" in MOVED else place
    name = MOVED.get(place, place.removeprefix("docs/"))
    relative = posixpath.relpath(name, posixpath.dirname(at) or ".")
    return f"{before}{relative}{mark}{anchor}{after}"


def _scripts() -> Iterator[Path]:
    return (ROOT / "examples").glob("*.py")


# -- pages made from the program -----------------------------------------------------------


def settings(text: str) -> str:
    """`tomic.toml` as a page: a table of settings for each of its tables."""
    lines = [
        "# Settings",
        "",
        "Every key with its default, as `tomic config init` writes them. `tomic config set ib.port "
        "4001` changes one, `TOMIC_IB__PORT=4001` does so for a run, and `tomic config show "
        "--origin` says where each value comes from.",
        "",
    ]
    said: list[str] = []
    for line in text.splitlines():
        if match := re.fullmatch(r"\[(.+)\]", line):
            table = ["| key | default | meaning |", "| --- | --- | --- |"]
            lines += ["", f"## {match[1]}", "", " ".join(said), "", *table]
            said = []
        elif match := re.fullmatch(r"([\w-]+) = (.*)", line):
            cells = (f"`{match[1]}`", f"`{match[2]}`", " ".join(said))
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
            said = []
        elif line.startswith("#"):
            said.append(line.removeprefix("#").strip())
        else:
            said = []
    return "\n".join(lines) + "\n"


def api() -> str:
    """Every public name with its docstring, by the module that defines it."""
    tree = ast.parse((ROOT / "src" / "tomic" / "__init__.py").read_text(encoding="utf-8"))
    names: dict[str, str] = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "_NAMES"
    )
    lines = [
        "# Python API",
        "",
        "`import tomic` gives these names, each imported on first use; `tomic.quant` has the "
        "[kernels](kernels.md). Signatures and texts are those of the program.",
        "",
    ]
    order = sorted(names, key=lambda module: (module != "desk", module == "errors", module))
    for module in order:
        lines += [f"## tomic.{module}", ""]
        for name in names[module].split():
            lines += [f"::: {_home(f'tomic.{module}', name)}", ""]
    return "\n".join(lines)


def _home(module: str, name: str) -> str:
    """Where *name* is defined, when its package only hands it on."""
    folder = ROOT / "src" / Path(*module.split("."))
    init = folder / "__init__.py"
    if not init.exists() or re.search(rf"^(class|def|async def) {name}\b", init.read_text(), re.M):
        return f"{module}.{name}"
    for file in sorted(folder.rglob("*.py")):
        if re.search(rf"^(class|def|async def) {name}\b", file.read_text(encoding="utf-8"), re.M):
            inner = file.relative_to(folder).with_suffix("")
            return ".".join((module, *inner.parts, name))
    return f"{module}.{name}"


def kernels() -> str:
    """The public modules of numbers in, numbers out."""
    lines = [
        "# Kernels",
        "",
        "`tomic.quant`: arrays in, arrays out, no settings and no input or output. Arguments "
        "broadcast; what cannot be computed is NaN. `tomic explain METRIC` names the kernel of "
        "every figure.",
        "",
    ]
    for name in _KERNELS:
        lines += [
            f"## {name}",
            "",
            f"::: tomic.quant.{name}",
            "    options:",
            "      show_root_heading: false",
            "      show_root_toc_entry: false",
            "",
        ]
    return "\n".join(lines)


_TABLE = "overflow-x: auto; font-size: .6rem; white-space: nowrap"


def notebook(document: dict[str, Any]) -> str:
    """The notebook with its stored outputs."""
    return "\n\n".join(part for cell in document["cells"] for part in _cell(cell)) + "\n"


def _cell(cell: dict[str, Any]) -> Iterator[str]:
    text = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield text
        return
    yield f"```python\n{text}\n```"
    for output in cell["outputs"]:
        data = output.get("data", {})
        if picture := "".join(data.get("image/svg+xml", "")):
            # A blank line would end the block of HTML.
            inner = re.sub(r"\n\s*\n", "\n", picture[picture.index("<svg") :])
            yield f'<div markdown="0">{inner}</div>'
        elif table := "".join(data.get("text/html", "")):
            flat = re.sub(r"\n\s*\n", "\n", table)
            yield f'<div style="{_TABLE}" markdown="0">{flat}</div>'
        elif shown := "".join(output.get("text") or data.get("text/plain", "")):
            yield f"<pre>{escape(shown)}</pre>"
