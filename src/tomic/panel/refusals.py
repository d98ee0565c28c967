"""What a scan refused, and how near the nearest came."""

from __future__ import annotations

from rich.text import Text

from tomic.models import ScanResult


def refusals_text(result: ScanResult, *, symbol: str | None = None) -> Text:
    """
    Every rule with what it refused and its nearest miss, then the strategies that were gated.

    With *symbol* nearest misses and gates of that symbol only.
    """
    text = Text()
    text.append(f"{result.considered:,} considered, {result.passed:,} passed\n", "bold")
    misses = {
        one.rule: one for one in reversed(result.nearest_misses) if symbol in (None, one.symbol)
    }
    for count in result.rejected:
        kind = "" if count.kind == "rule" else " (no data)"
        text.append(f"{count.rule:<22}{count.count:>9,}{kind}\n")
        if count.rule in misses:
            miss = misses[count.rule]
            text.append(f"  nearest: {miss.symbol} {miss.trade}: {miss.message}\n", "dim")
    gated: dict[tuple[str, str], list[str]] = {}
    for one in result.gated:
        if symbol in (None, one.symbol):
            gated.setdefault((one.symbol, one.message), []).append(one.strategy)
    for (name, message), strategies in gated.items():
        text.append(f"gated {name}: {message} ({', '.join(strategies)})\n", "dim")
    for outcome in result.outcomes:
        if symbol in (None, outcome.symbol):
            for note in (*outcome.notes, outcome.error):
                if note:
                    text.append(f"{outcome.symbol}: {note}\n", "" if outcome.ok else "red")
    text.right_crop(1)
    return text
