"""
Legs as people write them, read into one form and written back.

Three notations are understood and may be mixed::

    short_put_spread 560/550 2025-06-20 x2
    -1 SPY 2026-12-18 580P, +1 SPY 2026-12-18 570P          (or: -580P +570P 2026-12-18)
    -1 SPY261218P00580000 @1.25, +100 SPY

Signs are those of the holder: ``+`` or ``buy`` is long, ``-`` or ``sell`` is short.
"""

from __future__ import annotations

import datetime as dt
import difflib
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from tomic import dates
from tomic.errors import DataError, InvalidSymbol, UsageError
from tomic.models import normalize_symbol, settles_in_cash
from tomic.strategies.catalogue.leg_rules import Template
from tomic.strategies.catalogue.shapes import Shape, ShapeLeg, shapes
from tomic.strategies.catalogue.templates import CATALOGUE

Right = Literal["C", "P", ""]

SHARES_PER_CONTRACT = 100.0


@dataclass(frozen=True, slots=True)
class NamedLeg:
    """
    One leg as the user wrote it; it need not be listed.

    Attributes:
        symbol: Of the underlying, as TOMIC writes it.
        quantity: Signed contracts; shares where *right* is empty.
        right: ``C`` or ``P``; empty for shares.
        strike, expiry: None for shares.
        price: Currency per share that was written with it, None when none was.
    """

    symbol: str
    quantity: float
    right: Right = ""
    strike: float | None = None
    expiry: dt.date | None = None
    price: float | None = None

    @property
    def is_stock(self) -> bool:
        """Whether these are shares."""
        return not self.right


class NamedTrade(NamedTuple):
    """Legs, and the strategy when the text named one."""

    legs: tuple[NamedLeg, ...]
    strategy: str | None


OCC = re.compile(r"([A-Z]{1,6}\d?)\s*(\d{6})([CP])(\d{8})", re.ASCII)
TIMES = re.compile(r"X(\d+)|(\d+)X", re.ASCII)
DAY = re.compile(r"\d{4}-\d{2}-\d{2}|20\d{6}|\d{1,2}[A-Z]{3}(?:20)?\d{2}", re.ASCII)
_WORDED_DAY = re.compile(r"(\d{1,2})([A-Z]{3})(?:20)?(\d{2})", re.ASCII)
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
"""As options are written in English."""


def _parts_of(text: str) -> list[list[str]]:
    """Words in upper case, between commas or semicolons."""
    upper = OCC.sub(lambda match: "".join(match.groups()), text.upper())
    upper = _GLUED_PRICE.sub(" @", upper)
    parts = (part.split() for part in re.split("[,;]", upper))
    return [part for part in parts if part]


def strategy_name(word: str) -> str:
    """A word as names of strategies are written."""
    return word.lower().replace("-", "_")


def day_of(word: str) -> dt.date:
    """The expiry that a word means: ``2026-12-18``, ``20261218`` or ``18DEC26``."""
    worded = _WORDED_DAY.fullmatch(word)
    try:
        if worded is not None:
            day, month, year = worded.groups()
            return dt.date(2000 + int(year), MONTHS.index(month) + 1, int(day))
        return dates.parse_expiry(word)
    except (ValueError, DataError) as exc:
        raise UsageError(f"{word!r} is not an expiry; write it as 2026-12-18") from exc


def symbol_of(word: str) -> str:
    """The symbol that a word is, or a `UsageError` that suggests what was meant."""
    try:
        return normalize_symbol(word)
    except InvalidSymbol as exc:
        raise unreadable(word) from exc


def unreadable(word: str) -> UsageError:
    """The error for a word, with the strategy whose name it resembles."""
    near = difflib.get_close_matches(word.lower(), STRATEGIES, n=1)
    hint = f"; did you mean {near[0]}?" if near else ', as in "-1 SPY 2026-12-18 580P"'
    return UsageError(f"cannot read {word!r} in a list of legs{hint}")


Shapes = tuple[Shape, ...]
"""The shape of a strategy; of one that is written with calls or puts, one of each."""


def _puts_or_calls(*legs: tuple[int, int], mirrored: bool = False) -> Shapes:
    """Place and quantity of each leg, in calls and in puts; *mirrored* puts descend."""
    top = max(place for place, _ in legs)
    puts = sorted((top - place if mirrored else place, quantity) for place, quantity in legs)
    return (
        Shape(tuple(ShapeLeg(place, quantity, "C") for place, quantity in legs)),
        Shape(tuple(ShapeLeg(place, quantity, "P") for place, quantity in puts)),
    )


def _only(*legs: tuple[int, int, Literal["C", "P"]], stock: int = 0) -> Shapes:
    return (Shape(tuple(ShapeLeg(*leg) for leg in legs), stock),)


OTHERS: Mapping[str, Shapes] = {
    "short_put": _only((0, -1, "P")),
    "short_call": _only((0, -1, "C")),
    "naked_call": _only((0, -1, "C")),
    "long_put": _only((0, 1, "P")),
    "long_call": _only((0, 1, "C")),
    "protective_put": _only((0, 1, "P"), stock=1),
    "long_strangle": _only((0, 1, "P"), (1, 1, "C")),
    "long_straddle": _only((0, 1, "P"), (0, 1, "C")),
    "atm_iron_butterfly": _only((0, 1, "P"), (1, -1, "P"), (1, -1, "C"), (2, 1, "C")),
    "backspread": _puts_or_calls((0, -1), (1, 2), mirrored=True),
    "put_ratio_spread": _only((0, -2, "P"), (1, 1, "P")),
    "call_ratio_spread": _only((0, 1, "C"), (1, -2, "C")),
    "call_backspread": _only((0, -1, "C"), (1, 2, "C")),
}
"""Names that legs are written by, and that no strategy of the catalogue has."""

_KNOWN: Mapping[str, Shapes] = {
    **{name: shapes(template) for name, template in CATALOGUE.items()},
    **OTHERS,
}

STRATEGIES = tuple(_KNOWN)
"""Names with which a trade can be written."""


_STRIKE = re.compile(r"([+-]?)(?:(\d+(?:\.\d+)?)[xX*])?(\d+(?:\.\d+)?)([CP])(?:ALL|UT)?", re.ASCII)
_SIGNED = re.compile(r"[+-]\d+(?:\.\d+)?", re.ASCII)
_PRICE = re.compile(r"@(\d+(?:\.\d+)?|\.\d+)", re.ASCII)
_GLUED_PRICE = re.compile(r"(?<=[\dCPES])@(?=\.?\d)", re.ASCII)
"""Before a price that stands right behind strike and right: ``211P@3.05``, ``+100 SHARES@50``."""


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
        if (match := TIMES.fullmatch(word)) is not None and place == len(words) - 1:
            times = int(match[1] or match[2])
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
    common = symbol or next((draft.symbol for draft in drafts if draft.symbol), None)
    expiry = next((draft.expiry for draft in drafts if draft.expiry), None)
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
        if draft.right == "" or draft.strike is None or not 0.0 < draft.strike < math.inf:
            raise UsageError(f"{common}: an option needs a strike and C or P, as in 580P")
        if expiry is None:
            raise UsageError(f"{common} {draft.strike:g}{draft.right}: name the expiry")
        if draft.shares:
            raise UsageError(f"{common}: a leg is either shares or an option")
        yield NamedLeg(common, quantity, draft.right, draft.strike, expiry, draft.price)


_STRIKES = re.compile(r"\d+(?:\.\d+)?[CP]?(?:/\d+(?:\.\d+)?[CP]?)*", re.ASCII)


def read_strategy(
    strategy: str, words: Sequence[str], symbol: str | None, known: Mapping[str, Shapes] = _KNOWN
) -> tuple[NamedLeg, ...]:
    """
    Read the legs of *strategy* from the other words of its part; *symbol* if they name none.

    Raises:
        UsageError: A word cannot be read, or strikes, expiries or the symbol do not fit.
    """
    strikes: list[float] = []
    letters: set[str] = set()
    days: list[dt.date] = []
    count = 1
    for word in words:
        if _are_days(word):
            days += [day_of(day) for day in word.split("/")]
        elif (times := TIMES.fullmatch(word)) is not None:
            count = int(times[1] or times[2])
        elif _STRIKES.fullmatch(word):
            for strike in word.split("/"):
                letters |= set(strike) & {"C", "P"}
                strikes.append(float(strike.rstrip("CP")))
        elif word in ("CALL", "CALLS", "PUT", "PUTS"):
            letters.add(word[0])
        else:
            symbol = symbol_of(word)
    if symbol is None:
        raise UsageError(f"{strategy}: name the symbol, as in SPY {strategy} …")
    if count == 0:
        raise UsageError(f"{strategy}: x0 is no trade")
    if not all(0.0 < strike < math.inf for strike in strikes):
        raise UsageError(f"{strategy}: a strike must be a price above zero")
    written = _Written(strategy, symbol, strikes, letters, days, count)
    return _over_two(written, known) if known[strategy][0].has_far else _shaped(written, known)


class _Written(NamedTuple):
    """What was written of a named strategy."""

    strategy: str
    symbol: str
    strikes: Sequence[float]
    letters: set[str]
    days: Sequence[dt.date]
    times: int


def _shaped(written: _Written, known: Mapping[str, Shapes]) -> tuple[NamedLeg, ...]:
    strategy, days = written.strategy, written.days
    levels = sorted(set(written.strikes))
    needed = known[strategy][0].strikes
    if len(levels) != needed:
        raise UsageError(
            f"{strategy} needs {needed} different strikes joined by /, got {len(levels)}"
        )
    if len(set(days)) != 1:
        raise UsageError(f"{strategy} needs one expiry such as 2026-12-18, got {len(days)}")
    return _legs_of_shape(_variant(written, known), written, levels, days[0], days[0])


def _variant(written: _Written, known: Mapping[str, Shapes]) -> Shape:
    """The shape of the rights that were written; the only one where the strategy has but one."""
    variants = known[written.strategy]
    rights = [{leg.right for leg in variant.legs} for variant in variants]
    if len(variants) == 1 or any(len(sides) > 1 for sides in rights):
        return variants[0]
    letter = _letter(written.strategy, written.letters)
    return next(variant for variant in variants if variant.legs[0].right == letter)


def _legs_of_shape(
    shape: Shape, written: _Written, levels: Sequence[float], near: dt.date, far: dt.date
) -> tuple[NamedLeg, ...]:
    symbol, count = written.symbol, written.times
    shares = [NamedLeg(symbol, SHARES_PER_CONTRACT * shape.stock * count)] if shape.stock else []
    options = [
        NamedLeg(
            symbol,
            float(leg.quantity * count),
            leg.right,
            levels[leg.place],
            far if leg.slot == "far" else near,
        )
        for leg in shape.legs
    ]
    return (*shares, *options)


def _over_two(written: _Written, known: Mapping[str, Shapes]) -> tuple[NamedLeg, ...]:
    """Of a near and a far expiry; the strikes of two legs stand in the order of their expiries."""
    strategy, days, strikes = written.strategy, written.days, written.strikes
    if len(set(days)) != 2:
        raise UsageError(f"{strategy} needs two expiries such as 2026-11-20/2026-12-18")
    wanted = known[strategy][0].strikes
    if len(set(strikes)) != wanted:
        raise UsageError(f"{strategy} needs {wanted} different strikes, got {len(set(strikes))}")
    variant = _variant(written, known)
    near, far = min(days), max(days)
    if len(variant.legs) == 2:
        in_order = strikes if days[0] < days[-1] else strikes[::-1]
        places = {"near": in_order[0], "far": in_order[-1]}
        legs = sorted(variant.legs, key=lambda leg: leg.slot, reverse=True)
        return tuple(
            NamedLeg(
                written.symbol,
                float(leg.quantity * written.times),
                leg.right,
                places[leg.slot],
                far if leg.slot == "far" else near,
            )
            for leg in legs
        )
    return _legs_of_shape(variant, written, sorted(set(strikes)), near, far)


def _letter(strategy: str, letters: set[str]) -> Right:
    if letters == {"C"}:
        return "C"
    if letters == {"P"}:
        return "P"
    raise UsageError(f"{strategy}: say calls or puts behind the strikes, as in 560/550P")


def _are_days(word: str) -> bool:
    return all(DAY.fullmatch(part) for part in word.split("/"))


def parse(
    text: str, symbol: str | None = None, own: Mapping[str, Template] | None = None
) -> tuple[NamedLeg, ...]:
    """
    Read the legs of one trade; *symbol* is that of legs which name none.

    Args:
        own: Strategies beyond the catalogue's that the text may name.

    Raises:
        UsageError: A word cannot be read, or a sign, strike, expiry or symbol is missing; the
            message says which and how to write it.
    """
    return read(text, symbol, own).legs


def read(
    text: str, symbol: str | None = None, own: Mapping[str, Template] | None = None
) -> NamedTrade:
    """
    Read one trade: as `parse`, with the strategy that the text names.

    Raises:
        UsageError: See `parse`.
    """
    known = {**_KNOWN, **{name: shapes(template) for name, template in (own or {}).items()}}
    parts = _parts_of(text)
    if not parts:
        raise UsageError('no legs; write them as in "-1 SPY 2026-12-18 580P, +1 570P"')
    legs: list[NamedLeg] = []
    plain: list[str] = []
    names: list[str] = []
    for part in parts:
        named = next((word for word in part if strategy_name(word) in known), None)
        if named is None:
            plain += [*part, ","]
            continue
        names.append(strategy_name(named))
        rest = [word for word in part if word != named]
        legs += read_strategy(names[-1], rest, symbol, known)
    if plain:
        legs += read_listed(plain[:-1], symbol or (legs[0].symbol if legs else None))
    return NamedTrade(tuple(legs), names[0] if len(names) == 1 and not plain else None)


def refuse_index_shares(legs: Iterable[NamedLeg], indices: Collection[str] = ()) -> None:
    """
    Refuse shares of what is an index by its name.

    Args:
        indices: Symbols of further indices, as of ``[market.indices]``.

    Raises:
        UsageError: A leg is shares of an index.
    """
    for leg in legs:
        if leg.is_stock and settles_in_cash(leg.symbol, indices=indices):
            raise UsageError(
                f"{_written(leg)}: there are no shares of {leg.symbol}; it is an index, whose "
                "options settle in cash"
            )


def write(legs: Iterable[NamedLeg]) -> str:
    """Legs as text that `parse` reads back."""
    return ", ".join(_written(leg) for leg in legs)


def _written(leg: NamedLeg) -> str:
    price = "" if leg.price is None else f" @{leg.price:g}"
    if leg.strike is None or leg.expiry is None:
        return f"{leg.quantity:+.10g} {leg.symbol} shares{price}"
    option = f"{leg.expiry.isoformat()} {leg.strike:.10g}{leg.right}"
    return f"{leg.quantity:+.10g} {leg.symbol} {option}{price}"
