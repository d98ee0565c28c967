"""Exit rules of the original: a table in later versions, Dutch free text in earlier ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tomic.journal.legacy_cells import number_of, text_of
from tomic.models.journal import ExitRules

_NUMBER = r"(\d+(?:[.,]\d+)?)"
_BELOW = re.compile(rf"\bonder\s*~?\s*\$?\s*{_NUMBER}", re.IGNORECASE)
_ABOVE = re.compile(rf"\bboven\s*~?\s*\$?\s*{_NUMBER}", re.IGNORECASE)
_DOLLARS = re.compile(rf"\$\s*{_NUMBER}")
_DAYS = re.compile(r"\b(\d+)\s*dagen\b", re.IGNORECASE)


def exit_rules(document: Mapping[str, Any]) -> tuple[ExitRules, list[str]]:
    """
    Exit rules from the table ``ExitRules``, the Dutch text ``Exitstrategie`` and ``StopPct``.

    ``onder ~N`` and ``boven ~N`` are levels of the underlying, ``$N`` the price to close at, ``N
    dagen`` the days left. The table wins over the text.

    Returns:
        The rules, and what in the text says something that no rule was made of.
    """
    text = text_of(document, "Exitstrategie")
    values, notes = _from_text(text, number_of(document.get("Premium")))
    stop = number_of(document.get("StopPct"))
    if stop:
        values["stop"] = stop / 100.0
    table = document.get("ExitRules") or {}
    target = number_of(table.get("target_profit_pct"))
    days, longest = (
        number_of(table.get("days_before_expiry")),
        number_of(table.get("max_days_in_trade")),
    )
    named = {
        "spot_below": number_of(table.get("spot_below")),
        "spot_above": number_of(table.get("spot_above")),
        "profit_target": None if target is None else target / 100.0,
        "min_dte": None if days is None else int(days),
        "max_days_in_trade": None if longest is None else int(longest),
    }
    values |= {name: value for name, value in named.items() if value is not None}
    return ExitRules.model_validate(values), notes


def _from_text(text: str, premium: float | None) -> tuple[dict[str, Any], list[str]]:
    values: dict[str, Any] = {}
    notes: list[str] = []
    rest = text

    def take(pattern: re.Pattern[str]) -> float | None:
        nonlocal rest
        found = pattern.search(rest)
        if found is None:
            return None
        rest = rest[: found.start()] + " " + rest[found.end() :]
        return float(found[1].replace(",", "."))

    if (below := take(_BELOW)) is not None:
        values["spot_below"] = below
    if (above := take(_ABOVE)) is not None:
        values["spot_above"] = above
    if (target := take(_DOLLARS)) is not None:
        if premium and abs(premium) > target:
            values["profit_target"] = round((abs(premium) - target) / abs(premium), 6)
        else:
            notes.append(f"exit at ${target:g} needs a premium above it; no profit target was set")
    if (days := take(_DAYS)) is not None:
        values["min_dte"] = int(days)
    if text and (not values or re.search(r"\d", rest)):
        notes.append(f"exit text not fully understood: {text!r}")
    return values, notes
