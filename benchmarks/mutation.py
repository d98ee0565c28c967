"""
Mutants of the modules that judge money: how many their tests kill, and why the others live.

``python -m benchmarks.mutation`` lets mutmut change one thing at a time in the modules that
pyproject.toml names, in a copy of the tree, and holds the survivors against docs/mutation.md. It
fails where a survivor is not explained there, an explained one is killed, or the figures differ;
``--write`` writes the figures. Tests that draw examples take no part: a mutant that only one lucky
draw kills would come and go.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

TREE = Path(__file__).parents[1]
PAGE = TREE / "docs" / "mutation.md"
NEEDED = ("src", "tests", "pyproject.toml")
FIGURES = re.compile(r"(?<=<!-- figures -->\n).*?(?=<!-- /figures -->)", re.DOTALL)
KILLED = ("killed", "timeout", "segfault")
"""A mutant that never ends, or takes the interpreter down, does not pass its tests either."""


class Change(NamedTuple):
    """What a mutant changes, as the page tells it; free of the numbers that mutmut gives."""

    where: str
    removed: tuple[str, ...]
    added: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"-{line}" for line in self.removed] + [f"+{line}" for line in self.added]
        return "\n".join([self.where, *lines])


def mutmut(tree: Path, *words: str) -> str:
    """Output of a command of mutmut in *tree*; a command that fails ends the program."""
    done = subprocess.run(
        [Path(sys.executable).with_name("mutmut"), *words],
        cwd=tree,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"mutmut {' '.join(words)} failed:\n{done.stdout[-3000:]}")
    return done.stdout


def statuses_in(tree: Path) -> dict[str, str]:
    """What became of each mutant, by mutmut's names and words."""
    lines = mutmut(tree, "results", "--all", "1").splitlines()
    return dict(line.strip().split(": ") for line in lines)


def function_of(mutant: str) -> str:
    """`margin._side` of mutmut's `tomic.quant.margin.x__side__mutmut_12`."""
    module, _, mangled = mutant.rpartition(".")
    name = mangled.rpartition("__mutmut_")[0]
    bare = ".".join(name.removeprefix("xǁ").split("ǁ")) if "ǁ" in name else name.removeprefix("x_")
    return f"{module.rpartition('.')[2]}.{bare}"


def change_of(mutant: str, diff: str) -> Change:
    """The lines of a unified diff that differ."""
    lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++", "#"))]
    removed = tuple(line[1:].strip() for line in lines if line.startswith("-"))
    added = tuple(line[1:].strip() for line in lines if line.startswith("+"))
    return Change(function_of(mutant), removed, added)


def explained(page: str) -> Counter[Change]:
    """Changes listed in the page's diff blocks: a line with the function, then its lines."""
    found: Counter[Change] = Counter()
    for block in re.findall(r"^```diff\n(.*?)^```$", page, re.DOTALL | re.MULTILINE):
        for one in re.split(r"^(?=[^-+\n])", block, flags=re.MULTILINE):
            if one.strip():
                head, *lines = one.strip().splitlines()
                removed = tuple(line[1:].strip() for line in lines if line.startswith("-"))
                added = tuple(line[1:].strip() for line in lines if line.startswith("+"))
                found[Change(head.strip(), removed, added)] += 1
    return found


def figures(statuses: dict[str, str]) -> str:
    """Mutants, killed, survived and score of each module and of all, as a table."""
    by_module: dict[str, Counter[str]] = {}
    for mutant, status in sorted(statuses.items()):
        module = mutant.rpartition(".")[0].removeprefix("tomic.").replace(".", "/")
        by_module.setdefault(module, Counter())[status] += 1
    by_module["all"] = sum(by_module.values(), Counter())
    lines = ["| module | mutants | killed | survived | score |", "| --- | --- | --- | --- | --- |"]
    for module, counted in by_module.items():
        killed, mutants = sum(counted[status] for status in KILLED), counted.total()
        name = f"`{module}`" if module != "all" else "all"
        lines.append(
            f"| {name} | {mutants} | {killed} | {mutants - killed} | {killed / mutants:.1%} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run, print the figures, and tell where they and the page differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the figures into the page")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        for name in NEEDED:
            source = TREE / name
            (shutil.copytree if source.is_dir() else shutil.copy2)(source, tree / name)
        print("trying mutants; this takes some minutes", flush=True)
        mutmut(tree, "run")
        statuses = statuses_in(tree)
        # A busy machine can stop a mutant that only waited; what never ends does so twice.
        if late := [name for name, status in statuses.items() if status == "timeout"]:
            mutmut(tree, "run", *late)
            statuses = statuses_in(tree)
        alive = [name for name, status in statuses.items() if status not in KILLED]
        survived = Counter(change_of(name, mutmut(tree, "show", name)) for name in alive)
    table = figures(statuses)
    print(table)
    page = PAGE.read_text(encoding="utf-8")
    if wanted.write:
        page = FIGURES.sub(table, page)
        PAGE.write_text(page, encoding="utf-8")
    known = explained(page)
    complaints = [f"survives, not explained in {PAGE.name}:\n{one}" for one in survived - known]
    complaints += [f"explained in {PAGE.name}, but killed:\n{one}" for one in known - survived]
    if FIGURES.findall(page) != [table]:
        complaints.append(f"{PAGE.name} has other figures; --write writes these")
    print("\n\n".join(complaints) or f"all {survived.total()} survivors are explained")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
