"""
The modules of the package, each with the first line of its docstring.

``python -m tests.tree`` prints all of them; ``python -m tests.tree ib`` those of one part.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import tomic

SOURCE = Path(tomic.__file__).parent


def tree(part: str = "") -> str:
    """Every module whose dotted name begins with *part*, by package."""
    lines: list[str] = []
    for path in sorted(SOURCE.rglob("*.py")):
        name = ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix("__init__")
        if not name.startswith(part):
            continue
        lines.append(f"{name.rstrip('.') or 'tomic':<36}{first_line(path)}".rstrip())
    return "\n".join(lines)


def first_line(path: Path) -> str:
    """What a module says it is; empty where it says nothing."""
    source = path.read_text(encoding="utf-8")
    # What follows a docstring need not be read to read it.
    quote = source[:3]
    end = source.find(quote, 3) + 3 if quote in ('"""', "'''") else len(source)
    text = ast.get_docstring(ast.parse(source[:end])) or ""
    return text.strip().partition("\n")[0]


if __name__ == "__main__":
    print(tree(*sys.argv[1:2]))
