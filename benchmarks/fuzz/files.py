"""Cases of mutated files, each with the commands that read it."""

from __future__ import annotations

import random
from pathlib import Path

from benchmarks.fuzz import mutations
from benchmarks.fuzz.cases import Case, Command
from benchmarks.fuzz.specimens import SPECIMENS, Specimen

KIND = "files"


def case(seed: int, number: int, prepared: Path, proposals: list[str]) -> Case:
    """Case *number* of *seed*: kinds of files in turn, everything else drawn."""
    draw = random.Random(f"{seed}/{KIND}/{number}")
    specimen = SPECIMENS[number % len(SPECIMENS)]
    content = (prepared / specimen.path).read_bytes()
    damaged, how = mutations.mutate(specimen.path, content, draw)
    reader = draw.choice(specimen.readers)
    return Case(
        kind=f"{KIND}: {specimen.kind}",
        name=f"{seed}/{KIND}/{number}: {how}",
        commands=commands(specimen, reader, proposals),
        files={specimen.path: damaged},
    )


def commands(
    specimen: Specimen, reader: tuple[str, ...], proposals: list[str]
) -> tuple[Command, ...]:
    """The command that reads a specimen, and those that must go well after it."""
    filled = {"{}": specimen.path, "{proposal}": proposals[0] if proposals else "none"}
    return (Command(tuple(filled.get(word, word) for word in reader)), *specimen.then)
