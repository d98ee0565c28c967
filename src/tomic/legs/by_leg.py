"""Legs written one by one."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tomic.errors import UsageError
from tomic.legs.leg import NamedLeg, Right
from tomic.legs.words import DAY, OCC, TIMES, day_of, symbol_of, unreadable

_STRIKE = re.compile(r"([+-]?)(?:(\d+(?:\.\d+)?)[xX*])?(\d+(?:\.\d+)?)([CP])(?:ALL|UT)?", re.ASCII)
_SIGNED = re.compile(r"[+-]\d+(?:\.\d+)?", re.ASCII)
_PRICE = re.compile(r"@(\d+(?:\.\d+)?)", re.ASCII)


@dataclass(slots=True)
class _Draft:
    """One leg while it is being read."""

    symbol: str | None = None
    quantity: float | None = None
    sign: float | None = None
    right: Right = ""
    strike: float | None = None
    expiry: dt.date | None = None
    price: float | None = None
    shares: bool = False

    @property
    def has_quantity(self) -> bool:
        return self.quantity is not None or self.sign is not None


def read_listed(words: Sequence[str], symbol: str | None) -> tuple[NamedLeg, ...]:
    """
    Read legs word by word; *symbol* is that of legs which name none.

    Raises:
        UsageError: A word cannot be read, or a sign, strike, expiry or symbol is missing.
    """
    drafts: list[_Draft] = []
    current: _Draft | None = None
    times = 1
    for place, word in enumerate(words):
        if word == ",":
            current = None
            continue
        if (found := TIMES.fullmatch(word)) is not None and place == len(words) - 1:
            times = int(found[1] or found[2])
            continue
        if current is None or _begins_new(current, word):
            current = _Draft()
            drafts.append(current)
        _take(current, word)
    return tuple(_legs_of(drafts, symbol, times))


def _begins_new(draft: _Draft, word: str) -> bool:
    """Whether *word* cannot belong to the leg that was read so far, with no comma between them."""
    if _STRIKE.fullmatch(word) or OCC.fullmatch(word):
        return draft.strike is not None
    if _SIGNED.fullmatch(word) or word in ("BUY", "SELL"):
        return draft.has_quantity
    return False


def _take(draft: _Draft, word: str) -> None:
    if (occ := OCC.fullmatch(word)) is not None:
        draft.symbol, draft.expiry = occ[1], day_of(f"20{occ[2]}")
        draft.right, draft.strike = "C" if occ[3] == "C" else "P", int(occ[4]) / 1000.0
    elif (option := _STRIKE.fullmatch(word)) is not None:
        sign, count, strike, letter = option.groups()
        if sign:
            draft.sign = -1.0 if sign == "-" else 1.0
        if count:
            draft.quantity = float(count)
        draft.right, draft.strike = "C" if letter == "C" else "P", float(strike)
    elif DAY.fullmatch(word):
        draft.expiry = day_of(word)
    elif (price := _PRICE.fullmatch(word)) is not None:
        draft.price = float(price[1])
    elif _SIGNED.fullmatch(word):
        draft.quantity, draft.sign = abs(float(word)), -1.0 if word.startswith("-") else 1.0
    elif word in ("BUY", "SELL"):
        draft.sign = 1.0 if word == "BUY" else -1.0
    elif word in ("SHARES", "SHARE", "STOCK"):
        draft.shares = True
    elif word in ("C", "CALL", "CALLS", "P", "PUT", "PUTS"):
        draft.right = "C" if word.startswith("C") else "P"
    else:
        _take_bare(draft, word)


def _take_bare(draft: _Draft, word: str) -> None:
    """A number without a sign is the amount after buy or sell, and the strike before a right."""
    times = TIMES.fullmatch(word)
    text = (times[1] or times[2]) if times else word
    if not re.fullmatch(r"\d+(?:\.\d+)?", text, re.ASCII):
        draft.symbol = symbol_of(word)
    elif draft.quantity is None and (times or draft.sign is not None):
        draft.quantity = float(text)
    elif draft.strike is None:
        draft.strike = float(text)
    else:
        raise unreadable(word)


def _legs_of(drafts: Sequence[_Draft], symbol: str | None, times: int) -> Iterable[NamedLeg]:
    common = symbol or next((one.symbol for one in drafts if one.symbol), None)
    expiry = next((one.expiry for one in drafts if one.expiry), None)
    for draft in drafts:
        common = draft.symbol or common
        expiry = draft.expiry or expiry
        if common is None:
            raise UsageError('name the symbol of the legs, as in "-1 SPY 2026-12-18 580P"')
        if draft.sign is None:
            raise UsageError(f"{common}: write + or - (buy or sell) before each leg")
        quantity = draft.sign * (1.0 if draft.quantity is None else draft.quantity) * times
        if quantity == 0.0:
            raise UsageError(f"{common}: a leg of 0 contracts is no leg")
        if draft.right == "" and draft.strike is None:
            yield NamedLeg(common, quantity, price=draft.price)
            continue
        if draft.right == "" or draft.strike is None or not draft.strike > 0.0:
            raise UsageError(f"{common}: an option needs a strike and C or P, as in 580P")
        if expiry is None:
            raise UsageError(f"{common} {draft.strike:g}{draft.right}: name the expiry")
        if draft.shares:
            raise UsageError(f"{common}: a leg is either shares or an option")
        yield NamedLeg(common, quantity, draft.right, draft.strike, expiry, draft.price)
