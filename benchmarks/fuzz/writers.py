"""Cases of ten writers at once: what each was told is written is there, and nothing is lost."""

from __future__ import annotations

import random

from benchmarks.fuzz.cases import Case, Command

KIND = "writers"
_AT_ONCE = 10
_PUT = "short_put_spread SPY 560/550 2026-12-18"
_LISTS = ("journal", "list", "--all")
_SHARED = (
    ("journal", "add", _PUT, "--price", "1.5", "--offline"),
    ("journal", "set", "1", "plan=x"),
    ("journal", "import", "flex.csv"),
    ("journal", "import", "activity.csv"),
    ("store", "import", "earnings.csv"),
    ("store", "backup", "copy.db"),
    ("store", "restore", "copy.db"),
    ("store", "check"),
    ("prices", "QQQ", "--demo"),
    _LISTS,
)


def case(seed: int, number: int) -> Case:
    """Case *number* of *seed*: ten commands at one moment, half of them notes of their own."""
    draw = random.Random(f"{seed}/{KIND}/{number}")
    notes = [("journal", "note", "1", f"note {number} {turn}") for turn in range(_AT_ONCE)]
    # What puts a former store back takes back what was written since, as it is told to.
    others = [words for words in _SHARED if number % 4 == 3 or words[1] != "restore"]
    chosen = [*draw.sample(notes, 5), *(draw.choice(others) for _ in range(5))]
    draw.shuffle(chosen)
    together = tuple(Command(words) for words in chosen)
    after = (Command(_LISTS, codes=(0,)), Command(("store", "check"), codes=(0,)))
    return Case(KIND, f"{seed}/{KIND}/{number}", (*together, *after), together=len(together))
