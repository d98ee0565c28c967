"""
The tree in docs/architecture.md, made from the first line of each module.

``python tests/architecture_page.py`` writes it anew between its two marks; a test keeps it true.
"""

from __future__ import annotations

import ast
from pathlib import Path

import tomic

SOURCE = Path(tomic.__file__).parent
PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"
BEGIN, END = "<!-- tree -->\n", "<!-- /tree -->\n"


def tree() -> str:
    """Every module with the first line of its docstring, by part."""
    parts: dict[str, list[str]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        inside = path.relative_to(SOURCE)
        part = str(inside.parent) if inside.parent != Path() else ""
        words = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        first = words.strip().splitlines()[0] if words.strip() else ""
        if path.stem == "__init__" and part:
            parts.setdefault(part, []).insert(0, f"{part}/  {first}".rstrip())
        else:
            indent = "  " if part else ""
            parts.setdefault(part, []).append(f"{indent}{path.stem:<24}{first}".rstrip())
    return "```\n" + "\n\n".join("\n".join(lines) for lines in parts.values()) + "\n```\n"


def current() -> str:
    """What the page holds between its marks."""
    return PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


if __name__ == "__main__":
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(before + BEGIN + tree() + END + after, encoding="utf-8")
