"""Cases of a signal at a random moment: nothing acknowledged is lost, and the store stays sound."""

from __future__ import annotations

import random

from benchmarks.fuzz.cases import Case, Command

KIND = "signals"

_WRITES = (
    ("journal", "note", "1", "more"),
    ("journal", "set", "1", "plan=x"),
    ("prices", "QQQ", "--demo"),
    ("journal", "import", "flex.csv"),
    ("store", "import", "earnings.csv"),
    ("store", "backup", "copy.db"),
    ("portfolio", "--demo"),
    ("chain", "SPY", "--demo", "--monthlies", "1", "--weeklies", "0", "--strike-range", "3"),
    ("report", "journal", "--html", "out.html"),
    ("record", "out.jsonl", "portfolio", "--demo"),
    ("config", "set", "chain.min_dte", "20"),
    ("store", "restore", "copy.db"),
    ("journal", "add", "short_put QQQ 490 2026-12-18", "--price", "1.5", "--offline"),
    ("journal", "close", "1", "--price", "0.4", "--offline"),
    ("scan", "SPY", "--demo", "--strategy", "short_put", "--no-export"),
    ("store", "check"),
    ("config", "init", "new.toml"),
)
_AFTER = (
    Command(("journal", "list", "--all"), codes=(0,)),
    Command(("journal", "note", "1", "afterwards"), codes=(0,)),
)


def case(seed: int, number: int) -> Case:
    """Case *number* of *seed*: writing commands in turn, every other one killed."""
    draw = random.Random(f"{seed}/{KIND}/{number}")
    words = _WRITES[number % len(_WRITES)]
    kind = "KILL" if number % 2 else draw.choice(("INT", "TERM", "HUP"))
    # Early moments are the likelier: what is written takes milliseconds.
    moment = draw.choice((0.02, 0.1, 0.5, 3.0)) * draw.random() + 0.001
    return Case(
        kind=f"{KIND}: {'KILL' if kind == 'KILL' else 'others'}",
        name=f"{seed}/{KIND}/{number}: {kind} after {moment:.3f} s",
        commands=(Command(words, interrupt_after_s=moment, signal=kind), *_AFTER),
    )
