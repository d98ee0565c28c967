"""
What the house measures: its modules, imports, circles, repeated names and lengths of functions.

``python -m tests.house`` prints the table; `test_layout` holds its bounds. Lines that two places
share are not counted here.
"""

from __future__ import annotations

import ast
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import tomic

SOURCE = Path(tomic.__file__).parent
UPWARD = ("_drawing", "report.figures")
"""The one import by name that points up: `plot()` of a result."""

type_of_function = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Module:
    """A module of the package: its dotted name below `tomic`, its text and its tree."""

    name: str
    text: str
    tree: ast.Module

    @property
    def package(self) -> str:
        """The package of the top floor it belongs to, or its own name."""
        return self.name.partition(".")[0]


@cache
def modules() -> dict[str, Module]:
    """Every module by its dotted name; a package has the name of its folder."""
    known = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        text = path.read_text(encoding="utf-8")
        known[name] = Module(name, text, ast.parse(text))
    return known


def imports(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Every import statement, wherever it stands."""
    return (node for node in statements(tree) if isinstance(node, ast.Import | ast.ImportFrom))


def statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Every statement below *tree*, without the expressions, of which there are ten times more."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        for name in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner = getattr(node, name, None)
            if isinstance(inner, list):
                yield from inner
                waiting += inner


def imported(module: Module) -> set[str]:
    """Modules of the package that *module* imports, type-only and late imports included."""
    names = set()
    for node in imports(module.tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    ours = {name.removeprefix("tomic.") for name in names if name.startswith("tomic.")}
    return (ours & modules().keys()) - {module.name, ""}


def arrows() -> dict[str, set[str]]:
    """Which modules each module imports; a package counts where only it itself is meant."""
    return {
        module.name: {
            name
            for name in imported(module)
            if (module.name, name) != UPWARD
            and not any(other.startswith(f"{name}.") for other in imported(module))
        }
        for module in modules().values()
    }


def imported_by_one() -> list[str]:
    """Modules that exactly one other imports."""
    users: Counter[str] = Counter()
    for targets in arrows().values():
        users.update(targets)
    return sorted(name for name, count in users.items() if count == 1)


def circles() -> list[list[str]]:
    """Groups of modules that reach each other by imports (Tarjan's components of two or more)."""
    graph = arrows()
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for target in graph[name]:
            if target not in index:
                visit(target)
                low[name] = min(low[name], low[target])
            elif target in stack:
                low[name] = min(low[name], index[target])
        if low[name] == index[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                groups.append(sorted(group))

    for name in graph:
        if name not in index:
            visit(name)
    return groups


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function, nested ones and methods included."""
    return (node for node in ast.walk(tree) if isinstance(node, type_of_function))


def imports_in_functions() -> list[str]:
    """Imports that stand in a function, as module and line."""
    return sorted(
        {
            f"{module.name}:{node.lineno}"
            for module in modules().values()
            for function in functions(module.tree)
            for node in imports(function)
        }
    )


def repeated_classes() -> dict[str, list[str]]:
    """Names of classes that two or more packages define."""
    homes: dict[str, set[str]] = defaultdict(set)
    for module in modules().values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                homes[node.name].add(module.package)
    return {name: sorted(where) for name, where in sorted(homes.items()) if len(where) > 1}


def variables(names: Iterable[str]) -> list[str]:
    """Where a variable or parameter of one of these *names* is bound, as module and line."""
    wanted = set(names)
    places = set()
    for module in modules().values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                name, line = node.id, node.lineno
            elif isinstance(node, ast.arg):
                name, line = node.arg, node.lineno
            else:
                continue
            if name in wanted:
                places.add(f"{module.name}:{line}")
    return sorted(places)


def bodies() -> dict[str, int]:
    """Lines of each function's body without its docstring, by module, name and line."""
    lengths = {}
    for module in modules().values():
        for function in functions(module.tree):
            body = function.body
            if ast.get_docstring(function) is not None:
                body = body[1:]
            if body:
                length = (body[-1].end_lineno or 0) - body[0].lineno + 1
                lengths[f"{module.name}.{function.name}:{function.lineno}"] = length
    return lengths


def import_share() -> float:
    """Lines of import statements as a share of all lines."""
    total = sum(module.text.count("\n") for module in modules().values())
    lines = sum(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for module in modules().values()
        for node in imports(module.tree)
    )
    return lines / total


def table() -> str:
    """All figures, a line each."""
    lengths = sorted(bodies().values())
    rows = {
        "modules": f"{len(modules())}",
        "lines": f"{sum(module.text.count(chr(10)) for module in modules().values()):,}",
        "import lines": f"{import_share():.2%}",
        "imported by exactly one other": f"{len(imported_by_one())}",
        "class names in two or more packages": f"{len(repeated_classes())}",
        "circles": f"{len(circles())}",
        "imports inside functions": f"{len(imports_in_functions())}",
        "variables `one`, `found`": f"{len(variables(['one']))}, {len(variables(['found']))}",
        "body median, p90, longest": (
            f"{statistics.median(lengths):.0f}, {lengths[int(0.9 * len(lengths))]}, {lengths[-1]}"
        ),
    }
    return "\n".join(f"{name:<38}{value}" for name, value in rows.items())


if __name__ == "__main__":
    print(table())
