"""Which expiries and strikes to ask for: classes, monthlies and weeklies, windows, order."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Literal, NamedTuple

from tomic import dates
from tomic.config import ChainSettings
from tomic.errors import EmptyChain, MissingSpot, UsageError
from tomic.models import INDEX_CLASSES, OptionParams, split_symbol

DEFAULT_CLASS: Mapping[str, str] = {
    "SPX": "SPXW", "NDX": "NDXP", "RUT": "RUTW", "ESTX50": "OESX", "DAX": "ODAX",
}  # fmt: skip
"""Index to the class that is usually meant, where that is not the one of its own name: in the
United States the one that settles on closing prices."""

_US_MULTIPLIER = 100
"""Shares per contract in the United States, unless a corporate action changed it."""
Right = Literal["C", "P"]
_SIDES: Mapping[str, tuple[Right, ...]] = {"both": ("C", "P"), "calls": ("C",), "puts": ("P",)}
_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)"
_STRIKE_RANGE = re.compile(rf"({_NUMBER})\s*(%|s)?", re.ASCII)
# Strikes and spot are decimal fractions: 0.1 + 0.2 must not push a strike out of the window.
_EDGE = 1e-9


class ExpiryKind(StrEnum):
    """What an expiry is among the listed ones."""

    MONTHLY = "monthly"
    WEEKLY = "weekly"
    QUARTER_END = "quarter_end"
    DAILY = "daily"


class Wanted(NamedTuple):
    """One option to ask for."""

    expiry: dt.date
    strike: float
    right: Right


@dataclass(frozen=True, slots=True)
class StrikeRange:
    """How far strikes may lie from spot, both ends included."""

    size: float
    """Points, a fraction of spot, or standard deviations; positive."""
    unit: Literal["points", "fraction", "sigmas"]

    def half_width(self, spot: float, tau: float, sigma: float | None) -> float:
        """
        Return the distance in currency per share.

        Raises:
            UsageError: Sigmas without a known volatility.
        """
        if self.unit == "points":
            return self.size
        if self.unit == "fraction":
            return self.size * spot
        if sigma is None or not math.isfinite(sigma) or sigma <= 0.0:
            raise UsageError(
                f"strike range {self.size:g}s needs a volatility and none is known; "
                "use points or per cent, as in strike_range 10 or 5% (--strike-range)"
            )
        return self.size * spot * sigma * math.sqrt(tau)


@dataclass(frozen=True, slots=True)
class Selection:
    """The options to ask for: every expiry with its strikes, in each of the rights."""

    trading_class: str
    multiplier: int
    exchange: str
    strikes: Mapping[dt.date, tuple[float, ...]]
    """Expiry to its strikes, both ascending."""
    rights: tuple[Right, ...]
    notes: tuple[str, ...] = ()
    """What the reader must know about how it was chosen."""

    @property
    def expiries(self) -> tuple[dt.date, ...]:
        """Selected expiries, ascending."""
        return tuple(self.strikes)

    @property
    def pairs(self) -> int:
        """Number of expiry and strike combinations."""
        return sum(map(len, self.strikes.values()))

    def __len__(self) -> int:
        return self.pairs * len(self.rights)

    def __iter__(self) -> Iterator[Wanted]:
        for expiry in self.strikes:
            yield from self.of_expiry(expiry)

    def of_expiry(self, expiry: dt.date) -> Iterator[Wanted]:
        """Yield the options of one expiry, by strike and right."""
        for strike in self.strikes[expiry]:
            for right in self.rights:
                yield Wanted(expiry, strike, right)


def parse_strike_range(text: str) -> StrikeRange:
    """
    Read ``10`` (points), ``5%`` or ``2s`` (standard deviations).

    Raises:
        UsageError: Anything else, or not positive.
    """
    match = _STRIKE_RANGE.fullmatch(str(text).strip().lower())
    size = float(match[1]) if match else math.nan
    if match is None or not size > 0.0:
        raise UsageError(
            f"strike range {text!r} is not a positive distance; "
            "write 10 (points), 5% or 2s (sigmas)"
        )
    if match[2] == "%":
        return StrikeRange(size / 100.0, "fraction")
    return StrikeRange(size, "sigmas" if match[2] else "points")


def parse_dte(text: str) -> tuple[int, int | None]:
    """
    Read ``15`` (fewest days), ``15:60`` or ``:60`` into fewest and most days to expiry.

    Raises:
        UsageError: Negative, not whole, or the wrong way round.
    """
    low, colon, high = text.strip().partition(":")
    if not (low or high) or any(part and not part.strip().isdecimal() for part in (low, high)):
        raise UsageError(f"days to expiry {text!r} are not whole days >= 0; write 15 or 15:60")
    fewest, most = int(low or 0), int(high) if colon and high else None
    if most is not None and most < fewest:
        raise UsageError(f"days to expiry {text!r} are the wrong way round; write {most}:{fewest}")
    return fewest, most


def parse_delta(text: str) -> tuple[float, float]:
    """
    Read ``-0.8:0.8`` into the lowest and highest delta; an open end is -1 or 1.

    Raises:
        UsageError: Not two numbers from -1 to 1, or the wrong way round.
    """
    low, colon, high = text.strip().partition(":")
    parts = (low.strip() or "-1", high.strip() or "1")
    numbers = all(re.fullmatch(_NUMBER, part, re.ASCII) for part in parts)
    if not colon or not numbers or text.strip() == ":":
        raise UsageError(f"delta range {text!r} is not a range; write -0.8:0.8")
    lowest, highest = float(parts[0]), float(parts[1])
    if not -1.0 <= lowest < highest <= 1.0:
        raise UsageError(f"delta range {text!r} must ascend and stay from -1 to 1; write -0.8:0.8")
    return lowest, highest


def choose_params(
    rows: Sequence[OptionParams], symbol: str, trading_class: str = "", *, ticker: str = ""
) -> OptionParams:
    """
    Pick exactly one class and exchange, the same whatever the order of *rows*.

    The class asked for (with its multiplier after a colon, where several share it), else the
    symbol's own (for SPX, NDX and RUT the one that settles on the close), else, in the United
    States, the one with multiplier 100 and most expiries; of its exchanges SMART. Elsewhere it is
    the one with most monthly expiries, and where several have them somebody must choose. Classes
    are never merged: an adjusted class such as ``2SPY`` delivers something else.

    Args:
        ticker: What IB calls the underlying, where that is not *symbol* up to its ``@``.

    Raises:
        EmptyChain: No options are listed, or not of the class asked for.
        UsageError: Several classes could be meant; the message names them.
    """
    if not rows:
        raise EmptyChain(f"no options are listed on {symbol}")
    ticker = ticker or split_symbol(symbol)[0]
    own = re.sub(r"[^A-Z0-9]", "", ticker)
    asked, _, multiplier = trading_class.strip().upper().partition(":")
    if asked:
        of_class = [
            row
            for row in rows
            if row.trading_class.upper() == asked and multiplier in ("", f"{row.multiplier}")
        ]
        if not of_class:
            named = f"class {asked}" + (f" with multiplier {multiplier}" if multiplier else "")
            raise EmptyChain(f"{symbol} has no {named}; it has {describe_classes(rows)}")
        rows = of_class
    classes = (asked or DEFAULT_CLASS.get(ticker, own), own)
    if not any(row.trading_class.upper() in classes or row.exchange == "SMART" for row in rows):
        rows = _with_most_monthlies(rows, symbol)
    if not any(row.exchange == "SMART" for row in rows):
        _check_one_multiplier(rows, symbol, classes)

    def rank(row: OptionParams) -> tuple[object, ...]:
        name = row.trading_class
        return (
            classes.index(name) if name in classes else len(classes),
            row.multiplier != _US_MULTIPLIER,
            name[:1].isdigit(),
            row.exchange != "SMART",
            -len(row.expiries),
            name,
            row.exchange,
            row.expiries,
            row.strikes,
        )

    return min(rows, key=rank)


def usual_multiplier(symbol: str) -> int | None:
    """
    Shares per contract of the class that is usually meant; None where only its exchange tells.

    That is 100 in the United States; abroad only for the indices that are known by name.
    """
    ticker, exchange = split_symbol(symbol)
    terms = INDEX_CLASSES.get(DEFAULT_CLASS.get(ticker, ticker))
    if terms is not None and terms.settles is not None:
        return terms.multiplier
    return None if exchange else _US_MULTIPLIER


def describe_classes(rows: Iterable[OptionParams]) -> str:
    """The classes of an underlying as a choice: ``ASM (x100, EUREX), ASM2 (x10, EUREX)``."""
    exchanges: dict[tuple[str, int], set[str]] = {}
    for row in rows:
        exchanges.setdefault((row.trading_class, row.multiplier), set()).add(row.exchange)
    return ", ".join(
        name if "SMART" in where and size == _US_MULTIPLIER
        else f"{name} (x{size}{'' if 'SMART' in where else ', ' + ' and '.join(sorted(where))})"
        for (name, size), where in sorted(exchanges.items())
    )  # fmt: skip


def _with_most_monthlies(rows: Sequence[OptionParams], symbol: str) -> list[OptionParams]:
    """The rows of the class with most monthly expiries; weeklies have classes of their own."""
    monthlies: dict[str, int] = {}
    for row in rows:
        count = sum(dates.is_monthly(day, row.expiries) for day in row.expiries)
        monthlies[row.trading_class] = max(count, monthlies.get(row.trading_class, 0))
    most = max(monthlies.values())
    best = [row for row in rows if monthlies[row.trading_class] == most]
    if len({row.trading_class for row in best}) > 1:
        raise UsageError(
            f"{symbol} has several classes of options: {describe_classes(best)}; choose one with "
            f'trading_class (--trading-class), or for good in [market.classes], as in "{symbol}" = '
            f'"{min(row.trading_class for row in best)}"'
        )
    return best


def _check_one_multiplier(
    rows: Sequence[OptionParams], symbol: str, classes: Sequence[str]
) -> None:
    """
    Refuse a class that is listed with several multipliers where no rule says which is the usual.

    Raises:
        UsageError: It is; the message names them.
    """
    for name in classes:
        of_class = [row for row in rows if row.trading_class == name]
        sizes = sorted({row.multiplier for row in of_class})
        if len(sizes) > 1:
            raise UsageError(
                f"{symbol} has several multipliers of class {name}: {describe_classes(of_class)}; "
                f"choose one with trading_class {name}:{sizes[-1]} (--trading-class)"
            )
        if sizes:
            return


def classify(expiries: Iterable[dt.date], trading_class: str = "") -> dict[dt.date, ExpiryKind]:
    """
    Say of every listed expiry what it is, ascending.

    Monthly: the third Friday or, where the exchange is closed then, the day before. Weekly: the
    last expiry of any other week, if no trading day is left between it and Friday; a class that
    never expires on a Friday (VIX, on Wednesdays) has its own monthlies, 30 days before a third
    Friday. The rest are quarter ends and dailies. What counts is the day of settlement, which for
    some classes is not the one by which IB names the expiry; see `dates.settlement_day`.
    """
    settled = {
        day: dates.settlement_day(day, trading_class=trading_class) for day in sorted(set(expiries))
    }
    kinds = _kinds(sorted(set(settled.values())))
    return {day: kinds[settled[day]] for day in settled}


def _kinds(listed: Sequence[dt.date]) -> dict[dt.date, ExpiryKind]:
    on_fridays = any(day.weekday() == 4 for day in listed)
    monthly = {day for day in listed if _is_monthly(day, listed, on_fridays=on_fridays)}
    last_of_week = {_week(day): day for day in listed}
    taken = {_week(day) for day in monthly}
    kinds = {}
    for day in listed:
        if day in monthly:
            kinds[day] = ExpiryKind.MONTHLY
        elif (
            last_of_week[_week(day)] == day
            and _week(day) not in taken
            and (_ends_week(day) or not on_fridays)
        ):
            kinds[day] = ExpiryKind.WEEKLY
        else:
            kinds[day] = ExpiryKind.QUARTER_END if _ends_quarter(day) else ExpiryKind.DAILY
    return kinds


def _is_monthly(day: dt.date, listed: Sequence[dt.date], *, on_fridays: bool) -> bool:
    if on_fridays or dates.is_monthly(day, listed):
        return dates.is_monthly(day, listed)
    return dates.is_monthly(day, listed, trading_class="VIX")


def _week(day: dt.date) -> tuple[int, int]:
    return day.isocalendar()[:2]


def _ends_week(day: dt.date) -> bool:
    """Whether Friday is *day*, or is a holiday right after it: a far quarter end is neither."""
    friday = day + dt.timedelta(days=4 - day.weekday())
    return day >= friday or ((friday - day).days == 1 and dates.is_holiday(friday))


def _ends_quarter(day: dt.date) -> bool:
    weekday = day.weekday()
    following = day + dt.timedelta(days=7 - weekday if weekday >= 4 else 1)
    return day.month % 3 == 0 and following.month != day.month


def choose(
    params: OptionParams,
    spot: float,
    today: dt.date,
    rules: ChainSettings,
    *,
    sigma: float | None = None,
) -> Selection:
    """
    Choose expiries and strikes of one trading class.

    Args:
        params: The class, from `choose_params`.
        spot: Currency per share.
        today: The exchange's date; days to expiry are counted from it to the day of settlement.
        rules: Days, numbers of monthlies and weeklies, strike range and side.
        sigma: Volatility for a range in sigmas, a fraction; the range of an expiry is
            ``size * spot * sigma * sqrt(days / 365)``.

    An expiry that has no strike in its own, narrower range is left out.

    Raises:
        EmptyChain: The window holds nothing; the message names what lies nearest.
        MissingSpot: *spot* is not a positive number.
        UsageError: The range is in sigmas and *sigma* is unknown.
    """
    if not (math.isfinite(spot) and spot > 0.0):
        raise MissingSpot(f"spot must be positive to choose strikes, got {spot:g}")
    width = parse_strike_range(rules.strike_range)
    expiries = _choose_expiries(params, today, rules)
    widths = {
        day: width.half_width(spot, max(days_to_expiry(params, day, today), 0) / 365.0, sigma)
        for day in expiries
    }
    listed = sorted(set(params.strikes))
    within = {
        day: tuple(strike for strike in listed if abs(strike - spot) <= half + _EDGE)
        for day, half in widths.items()
    }
    strikes = {day: chosen for day, chosen in within.items() if chosen}
    if not strikes:
        raise EmptyChain(_nearest_strikes(params, spot, max(widths.values())))
    return Selection(
        trading_class=params.trading_class,
        multiplier=params.multiplier,
        exchange=params.exchange,
        strikes=strikes,
        rights=_SIDES[rules.side],
    )


def _choose_expiries(
    params: OptionParams, today: dt.date, rules: ChainSettings
) -> tuple[dt.date, ...]:
    most = math.inf if rules.max_dte is None else rules.max_dte
    kinds = classify(params.expiries, params.trading_class)
    dtes = {day: days_to_expiry(params, day, today) for day in kinds}
    window = [day for day in kinds if rules.min_dte <= dtes[day] <= most]
    if rules.expiries == "all":
        chosen = window
    else:
        monthlies = [day for day in window if kinds[day] is ExpiryKind.MONTHLY]
        weeklies = [day for day in window if kinds[day] is ExpiryKind.WEEKLY]
        chosen = sorted(monthlies[: rules.monthlies] + weeklies[: rules.weeklies])
    if chosen:
        return tuple(chosen)
    if window:
        days = ", ".join(f"{day} ({dtes[day]} days, {kinds[day]})" for day in window[:3])
        raise EmptyChain(
            f"{params.trading_class} has no monthly or weekly expiry as asked; there are {days}; "
            "use expiries all (--expiries all)"
        )
    raise EmptyChain(_nearest_expiries(params, today, rules))


def _nearest_expiries(params: OptionParams, today: dt.date, rules: ChainSettings) -> str:
    span = f"from {rules.min_dte} days" + ("" if rules.max_dte is None else f" to {rules.max_dte}")
    text = f"{params.trading_class} has no expiry {span}"
    dtes = {day: days_to_expiry(params, day, today) for day in params.expiries}
    ahead = [day for day in params.expiries if dtes[day] >= 0]
    if not ahead:
        return f"{text}, nor any other from {today}"

    def distance(day: dt.date) -> tuple[float, dt.date]:
        dte = dtes[day]
        over = 0 if rules.max_dte is None else dte - rules.max_dte
        return max(rules.min_dte - dte, over), day

    near = sorted(sorted(set(ahead), key=distance)[:3])
    listed = ", ".join(f"{day} ({dtes[day]} days)" for day in near)
    return f"{text}; the nearest are {listed}; use another dte (--dte)"


def days_to_expiry(params: OptionParams, expiry: dt.date, today: dt.date) -> int:
    """Return the calendar days from *today* until an expiry of a class is settled."""
    return dates.days_to_expiry(today, expiry, trading_class=params.trading_class)


def as_listed(params: OptionParams, expiry: dt.date) -> dt.date | None:
    """
    Return the listed expiry of a class that *expiry* names, by whichever of its days; else None.

    SPX (AM) is listed under its last trading day, and written down by the day of its settlement.
    """
    if expiry in params.expiries:
        return expiry
    settled = partial(dates.settlement_day, trading_class=params.trading_class)
    return next((day for day in params.expiries if settled(day) == settled(expiry)), None)


def _nearest_strikes(params: OptionParams, spot: float, half: float) -> str:
    text = f"{params.trading_class} has no strike within {half:g} of {spot:g}"
    if not params.strikes:
        return f"{text}, nor any other"
    near = sorted(sorted(set(params.strikes), key=lambda strike: abs(strike - spot))[:2])
    listed = " and ".join(f"{strike:g}" for strike in near)
    return f"{text}; the nearest are {listed}; use a wider strike_range (--strike-range)"


def by_moneyness(options: Iterable[Wanted], spot: float) -> list[Wanted]:
    """Order options nearest to the money first; ties by expiry, strike and right."""
    return sorted(options, key=lambda option: (abs(option.strike - spot), option))
