"""A smaller case with the same cause: what a reproduction file is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.fuzz.cases import Case, Command, Conditions

MOST_TRIES = 40


def shrink(
    case: Case,
    fails: Callable[[Case], bool],
    *,
    prepared: Path | None = None,
    tries: int = MOST_TRIES,
) -> Case:
    """
    The smallest case that still *fails*, as far as so many tries can tell.

    A case that begins with the folder *prepared* brings what it needs of it itself, if that is
    enough: such a reproduction needs nothing made before it.
    """
    smaller = True
    while smaller:
        smaller = False
        for candidate in (*_on_its_own(case, prepared), *_simpler(case)):
            if tries <= 0:
                return case
            tries -= 1
            if fails(candidate):
                case, smaller = candidate, True
                break
    return case


def _on_its_own(case: Case, prepared: Path | None) -> Iterator[Case]:
    if case.bare or prepared is None:
        return
    words = {word for command in case.commands for word in command.words}
    for wanted in (("tomic.toml",), ("tomic.toml", "data/volatility.db", "data/demo.db")):
        names = [*wanted, *sorted(word for word in words if word and len(word) < 100)]
        needed = {
            name: (prepared / name).read_bytes()
            for name in names
            if "\x00" not in name and (prepared / name).is_file()
        }
        yield replace(case, bare=True, files={**needed, **case.files})


def _simpler(case: Case) -> Iterator[Case]:
    """Cases with something left out, the largest pieces first."""
    if case.conditions != Conditions():
        yield replace(case, conditions=Conditions())
    if case.own_process:
        yield replace(case, own_process=False)
    for at in range(len(case.commands)):
        if len(case.commands) > 1:
            yield replace(case, commands=case.commands[:at] + case.commands[at + 1 :])
    for at, command in enumerate(case.commands):
        for words in _fewer_words(command.words):
            shorter = replace(command, words=words)
            yield replace(case, commands=(*case.commands[:at], shorter, *case.commands[at + 1 :]))
    for name, content in case.files.items():
        rest = {other: kept for other, kept in case.files.items() if other != name}
        yield replace(case, files=rest)
        for less in _less_of(content):
            yield replace(case, files={**rest, name: less})


def _fewer_words(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for at, word in enumerate(words):
        if word.startswith("--") and at:
            with_value = at + 1 < len(words) and not words[at + 1].startswith("--")
            yield words[:at] + words[at + (2 if with_value else 1) :]
            if with_value:
                yield words[:at] + words[at + 1 :]


def _less_of(content: bytes) -> Iterator[bytes]:
    """Text without some of its lines; of anything else, and of a single line, nothing."""
    lines = content.splitlines(keepends=True)
    if b"\x00" in content or len(lines) < 2:
        return
    size = len(lines) // 2
    while size:
        for at in range(0, len(lines), size):
            yield b"".join(lines[:at] + lines[at + size :])
        size //= 2


def same_command(first: Command, second: Command) -> bool:
    """Whether two command lines name the same command."""
    return first.words[:1] == second.words[:1]
