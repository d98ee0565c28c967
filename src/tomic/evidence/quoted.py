"""
A walk over recorded chains: the scan's own search of each day, and what later quotes make of it.

Nothing is modelled after entry: a trade is worth the middle of its legs' quotes on the evenings on
which all of them are quoted, and closing it gives away the same share of each half-spread as
opening it. At the expiry options are settled at the last price of the underlying, those of classes
that settle at the open at the one of the evening before. What is open when the data end is valued
at its last marks and said to be.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tomic import dates
from tomic._typing import BoolArray, FloatArray, IntArray
from tomic.chain import Chain
from tomic.config import Settings
from tomic.evidence.managed import REASONS
from tomic.evidence.pool import Endings, Pool
from tomic.models import VolSnapshot, exits as firing
from tomic.models.backtest import TradeSource
from tomic.models.exits import ExitRules
from tomic.strategies import measures, propose
from tomic.strategies.candidates import Candidates, Expiries
from tomic.strategies.measures import Batch
from tomic.strategies.propose import Evaluation
from tomic.strategies.rules import trade_text
from tomic.strategies.search import Hit

END = "end_of_data"
"""Why a trade ended that nothing closed: the data did."""
_UNKNOWN = "still open at the end of the data"
_BLANK = np.datetime64("NaT", "D")
_STRIKES = 2**30
"""Thousandths of currency that a strike may have, in the number of a contract."""


class DayQuotes(NamedTuple):
    """What is known on the evening of one day, of one symbol and trading class."""

    symbol: str
    day: dt.date
    spot: float
    contract: IntArray
    """(q,) numbers of contracts, ascending."""
    mid: FloatArray
    half_spread: FloatArray
    """Both NaN where a side is missing."""

    def of(self, contract: IntArray) -> tuple[FloatArray, FloatArray]:
        """Mid and half-spread of contracts of any shape; NaN where they are not quoted."""
        if not self.contract.size:
            return np.full(contract.shape, np.nan), np.full(contract.shape, np.nan)
        place = np.minimum(np.searchsorted(self.contract, contract), self.contract.size - 1)
        there = self.contract[place] == contract
        return (
            np.where(there, self.mid[place], np.nan),
            np.where(there, self.half_spread[place], np.nan),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What the scan found in one chain of one day: (n,) and (n, k) by leg."""

    symbol: str
    trading_class: str
    day: dt.date
    spot: float
    source: TradeSource
    strategy: NDArray[Any]
    side: NDArray[Any]
    expiry: NDArray[Any]
    text: list[str]
    contract: IntArray
    strike: FloatArray
    quantity: FloatArray
    is_call: BoolArray
    is_far: BoolArray
    stock: FloatArray
    lot: float
    commission: FloatArray
    """Of entry, and again of exit; currency per structure."""
    credit: FloatArray
    credit_mid: FloatArray
    credit_natural: FloatArray
    margin: FloatArray
    cvar: FloatArray
    pos: FloatArray
    ev: FloatArray
    score: FloatArray
    rank: IntArray
    iv30: float
    iv_percentile: float
    earnings: dt.date | None


@dataclass(frozen=True, slots=True)
class Day:
    """One day, searched."""

    day: dt.date
    found: tuple[Found, ...]
    quotes: tuple[DayQuotes, ...]
    not_built: Counter[str]
    refused: Counter[str]
    considered: int


def searched(
    day: dt.date, chains: Sequence[Chain], vols: Mapping[str, VolSnapshot], settings: Settings,
    strategies: Sequence[str] | None, opens: bool = True,
) -> Day:  # fmt: skip
    """
    What the scan makes of the chains of one day; it knows nothing of any other.

    Args:
        vols: By symbol; of others nothing is known but what their chains say.
        strategies: Names instead of those of the settings.
        opens: Whether it is a day of entry; of others only the quotes are kept.
    """
    quotes = tuple(_quotes(day, chain) for chain in chains)
    not_built: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    if not opens:
        return Day(day, (), quotes, not_built, refused, 0)
    evaluations = []
    for chain in chains:
        vol = vols.get(chain.symbol) or VolSnapshot(symbol=chain.symbol, as_of=chain.as_of)
        evaluation = propose.evaluate(chain, vol, settings, strategies=strategies)
        refused.update({count.rule: count.count for count in evaluation.rejected})
        refused.update(refusal.rule for refusal in evaluation.gated.refused)
        if evaluation.contenders:
            evaluations.append(evaluation)
        else:
            not_built[_why_none(evaluation)] += 1
    contenders = [one for each in evaluations for one in each.contenders]
    symbols = len({chain.symbol for chain in chains})
    chosen = propose.walk(contenders, settings.scan, top=settings.scan.top, symbols=symbols)
    ranks = {id(one.hit): place for place, one in enumerate(chosen, 1)}
    found = tuple(_found(day, each, ranks) for each in evaluations)
    considered = sum(each.considered for each in evaluations)
    return Day(day, found, quotes, not_built, refused, considered)


def _why_none(evaluation: Evaluation) -> str:
    """Why a chain gave no candidate, in one reason to count by."""
    if evaluation.considered:
        return "no candidate of the day passes the rules"
    unfit = {count.rule for count in evaluation.rejected if count.kind == "no_data"}
    if unfit & {"expiry_without_quotes", "expiry_without_smile"}:
        return "too few quotes for a smile of any expiry"
    return "no expiry or strike in the windows of the strategies"


def number_of(expiry: NDArray[Any], strike: FloatArray, is_call: BoolArray) -> IntArray:
    """A number for each contract of one symbol, the same on every day."""
    days = expiry.astype("datetime64[D]").astype(np.int64)
    thousandths = np.round(strike * 1000.0).astype(np.int64)
    return np.asarray((days * _STRIKES + thousandths) * 2 + is_call)


def _quotes(day: dt.date, chain: Chain) -> DayQuotes:
    number = number_of(chain["expiry"], chain["strike"], chain.is_call)
    bid, ask = chain["bid"], chain["ask"]
    good = (bid >= 0.0) & (ask > 0.0) & (ask >= bid)
    order = np.argsort(number)
    mid = np.where(good, 0.5 * (bid + ask), np.nan)[order]
    half = np.where(good, 0.5 * (ask - bid), np.nan)[order]
    return DayQuotes(chain.symbol, day, float(chain.spot.price), number[order], mid, half)


def _found(day: dt.date, evaluation: Evaluation, ranks: Mapping[int, int]) -> Found:
    """The contenders of one chain as columns."""
    contenders = sorted(evaluation.contenders, key=lambda one: one.hit.expiries[0])
    hits = [one.hit for one in contenders]
    board = hits[0].board
    chain, vol = board.chain, board.vol
    width = max(len(hit.rows) for hit in hits)
    rows, quantity = np.zeros((len(hits), width), np.int64), np.zeros((len(hits), width))
    is_far = np.zeros((len(hits), width), dtype=np.bool_)
    figures = {name: np.full(len(hits), np.nan) for name in _FIGURES}
    for place, hit in enumerate(hits):
        legs = slice(0, len(hit.rows))
        rows[place, legs] = hit.rows
        quantity[place, legs] = [leg.quantity for leg in hit.template.legs]
        is_far[place, legs] = [leg.slot == "far" for leg in hit.template.legs]
    for places, batch in _batches(hits):
        measured = measures.measure(batch, board)
        for name, values in figures.items():
            values[places] = getattr(measured, name)
    return Found(
        symbol=chain.symbol,
        trading_class=chain.trading_class,
        day=day,
        spot=float(chain.spot.price),
        source="quotes",
        strategy=np.array([hit.template.name for hit in hits], dtype=object),
        side=np.array([hit.template.side for hit in hits], dtype=object),
        expiry=np.array([hit.expiries[0] for hit in hits], dtype="datetime64[D]"),
        text=[trade_text(board, hit.template, hit.rows) for hit in hits],
        contract=number_of(chain["expiry"][rows], chain["strike"][rows], chain.is_call[rows]),
        strike=chain["strike"][rows],
        quantity=quantity,
        is_call=chain.is_call[rows],
        is_far=is_far,
        stock=np.array([float(hit.template.stock) for hit in hits]),
        lot=float(chain.multiplier),
        margin=np.array([hit.margin for hit in hits]),
        cvar=np.array([hit.tail_loss for hit in hits]),
        score=np.array([one.score for one in contenders]),
        rank=np.array([ranks.get(id(hit), 0) for hit in hits], dtype=np.int64),
        iv30=np.nan if vol.iv30 is None else vol.iv30,
        iv_percentile=np.nan if vol.iv_percentile is None else vol.iv_percentile,
        earnings=vol.next_earnings,
        **figures,
    )


_FIGURES = ("credit", "credit_mid", "credit_natural", "commission", "pos", "ev")


def _batches(hits: Sequence[Hit]) -> Iterator[tuple[list[int], Batch]]:
    """Hits of the same expiries and template together, with their places."""
    groups: dict[tuple[Expiries, int], list[int]] = {}
    for place, hit in enumerate(hits):
        groups.setdefault((hit.expiries, id(hit.template)), []).append(place)
    for (expiries, _), places in groups.items():
        rows = np.array([hits[place].rows for place in places], dtype=np.int64)
        yield places, Batch.of([Candidates(hits[places[0]].template, expiries, rows)])


# -- following -----------------------------------------------------------------------------------


class _Ending(NamedTuple):
    """How trades ended so far, (n,) each."""

    gross: FloatArray
    leaving: FloatArray
    other: FloatArray
    closed: NDArray[Any]
    reason: NDArray[Any]
    move: FloatArray

    @classmethod
    def open(cls, count: int) -> _Ending:
        """Nothing has ended."""
        blank = [np.full(count, np.nan) for _ in range(4)]
        closed, reason = np.full(count, _BLANK), np.full(count, "", dtype=object)
        return cls(blank[0], blank[1], blank[2], closed, reason, blank[3])

    def end(self, rows: NDArray[Any], values: Sequence[Any], day: dt.date, reason: Any) -> None:
        """Trades *rows* ended on a day, with gross, leaving at two levels, and return."""
        for column, value in zip(
            (self.gross, self.leaving, self.other, self.move), values, strict=True
        ):
            column[rows] = value if np.ndim(value) == 0 else value[rows]
        self.closed[rows] = np.datetime64(day, "D")
        self.reason[rows] = reason if np.ndim(reason) == 0 else reason[rows]


def followed(found: Found, days: Sequence[Day], settings: Settings) -> Pool:
    """
    The trades found in one chain, and what came of them on the *days* after theirs, ascending.

    Exits are those of ``[journal]`` that prices and the calendar alone decide.
    """
    count = found.rank.size
    rules = [settings.journal.exits_for(name) for name in found.strategy.tolist()]
    held, run = _Ending.open(count), _Ending.open(count)
    last_day, final = _settlements(found)
    marks: dict[int, list[tuple[dt.date, float]]] = {}
    unmarked = np.zeros(count, dtype=np.int64)
    latest = (np.full(count, np.nan), np.zeros(count), np.zeros(count), np.full(count, np.nan))
    when, spot_before = np.full(count, _BLANK), found.spot
    for day in days:
        own = [quotes for quotes in day.quotes if quotes.symbol == found.symbol]
        if not own:
            continue
        spot, today = own[0].spot, np.datetime64(day.day, "D")
        due = (held.reason == "") & (today >= last_day)
        if due.any():
            at = np.where(final, spot_before, np.where(today == last_day, spot, spot_before))
            worth, whole = _settled(found, at, own)
            move = at / found.spot - 1.0
            values = (np.where(whole, found.credit_mid + worth, np.nan), 0.0, 0.0, move)
            held.end(np.flatnonzero(due), values, day.day, REASONS[0])
            run.end(np.flatnonzero(due & (run.reason == "")), values, day.day, REASONS[0])
        live = held.reason == ""
        if not live.any():
            break
        gross, leaving, other = _marked(found, own, spot, settings)
        marked = live & ~np.isnan(gross)
        unmarked += live & (run.reason == "") & ~marked
        for column, value in zip(latest[:3], (gross, leaving, other), strict=True):
            column[marked] = value[marked]
        latest[3][marked], when[marked] = spot / found.spot - 1.0, today
        for row in np.flatnonzero(marked & (found.rank > 0) & (run.reason == "")).tolist():
            marks.setdefault(row, []).append((day.day, float(gross[row])))
        fired = _fired(found, gross, spot, day.day, rules)
        out = marked & (run.reason == "") & (fired != "")
        run.end(
            np.flatnonzero(out), (gross, leaving, other, spot / found.spot - 1.0), day.day, fired
        )
        spot_before = spot
    for ending in (held, run):
        left = np.flatnonzero((ending.reason == "") & ~np.isnat(when))
        if left.size:
            ending.end(left, latest, days[-1].day, END)
            ending.closed[left] = when[left]
    return _pool(found, held, run, marks, unmarked)


def _settlements(found: Found) -> tuple[NDArray[Any], BoolArray]:
    """(n,) day on which each trade is settled, and whether at the open."""
    is_index = found.trading_class in dates.AM_SETTLED
    named = {"trading_class": found.trading_class, "symbol": found.symbol if is_index else ""}
    days = {
        day: np.datetime64(dates.settlement_day(day.item(), **named), "D")
        for day in np.unique(found.expiry)
    }
    settled = np.array([days[day] for day in found.expiry], dtype="datetime64[D]")
    return settled, np.full(found.rank.size, is_index)


def _settled(
    found: Found, spot: FloatArray, quotes: Sequence[DayQuotes]
) -> tuple[FloatArray, BoolArray]:
    """Worth of the legs at the first expiry, later ones by their quotes; and where it is known."""
    price = np.broadcast_to(spot, (found.rank.size,))[:, None]
    gap = np.where(found.is_call, price - found.strike, found.strike - price)
    worth = np.maximum(gap, 0.0)
    if found.is_far.any():
        mid, _ = _priced(found, quotes)
        worth = np.where(found.is_far, mid, worth)
    used = np.where(found.quantity == 0.0, 0.0, found.quantity * worth)
    shares = found.stock * (price[:, 0] - found.spot)
    total = found.lot * (used.sum(axis=1) + shares)
    return total, ~np.isnan(total)


def _priced(found: Found, quotes: Sequence[DayQuotes]) -> tuple[FloatArray, FloatArray]:
    """Mid and half-spread of every leg, from whichever class quotes it."""
    mid, half = quotes[0].of(found.contract)
    for more in quotes[1:]:
        other, wide = more.of(found.contract)
        mid, half = np.where(np.isnan(mid), other, mid), np.where(np.isnan(half), wide, half)
    return mid, half


def _marked(
    found: Found, quotes: Sequence[DayQuotes], spot: float, settings: Settings
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """P&L at mid, and what closing costs as set and at natural prices; NaN without every leg."""
    mid, half = _priced(found, quotes)
    used = found.quantity != 0.0
    worth = np.where(used, found.quantity * mid, 0.0).sum(axis=1)
    wide = found.lot * np.where(used, np.abs(found.quantity) * half, 0.0).sum(axis=1)
    shares = found.stock * (spot - found.spot)
    gross = found.credit_mid + found.lot * (worth + shares)
    return gross, settings.costs.slippage * wide + found.commission, wide + found.commission


def _fired(
    found: Found, gross: FloatArray, spot: float, day: dt.date, rules: Sequence[ExitRules]
) -> NDArray[Any]:
    """The most urgent exit of each trade on a day, empty where none fires; (n,)."""
    # Of the options, as in `tomic.journal.exits`; shares move with the underlying.
    options = gross - found.lot * found.stock * (spot - found.spot)
    premium = found.credit + found.commission
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.round(options - found.credit_mid + found.credit, 6) / np.abs(premium)
    dte = (found.expiry - np.datetime64(day, "D")).astype(np.int64)
    inside = np.where(found.is_call, spot - found.strike, found.strike - spot) > 0.0
    beyond = np.any(inside & (found.quantity < 0.0), axis=1).tolist()
    held = (day - found.day).days
    report = None if found.earnings is None else (found.earnings - day).days
    fired = np.full(found.rank.size, "", dtype=object)
    for row, rule in enumerate(rules):
        fired[row] = _first(rule, float(share[row]), int(dte[row]), held, report, spot, beyond[row])
    return fired


def _first(
    rule: ExitRules, share: float, dte: int, held: int, report: int | None, spot: float,
    beyond: bool,
) -> str:  # fmt: skip
    """The most urgent of the rules that fire, in the order of `tomic.journal.exits`."""
    judged = (
        ("stop", rule.stop is not None and firing.is_stop(share, rule.stop)),
        ("short_strike_breached", rule.short_strike_breached and beyond),
        ("spot_below", rule.spot_below is not None and spot < rule.spot_below),
        ("spot_above", rule.spot_above is not None and spot > rule.spot_above),
        ("earnings_days", firing.is_before_earnings(report, rule.earnings_days)),
        ("min_dte", firing.is_near_expiry(dte, rule.min_dte)),
        (
            "profit_target",
            rule.profit_target is not None and firing.is_target(share, rule.profit_target),
        ),
        ("max_days_in_trade", firing.is_held_long(held, rule.max_days_in_trade)),
    )
    return next((name for name, fires in judged if fires), "")


def _pool(
    found: Found, held: _Ending, run: _Ending, marks: Mapping[int, list[tuple[dt.date, float]]],
    unmarked: IntArray,
) -> Pool:  # fmt: skip
    count = found.rank.size
    still = np.asarray(held.reason == END) | np.isnan(held.gross)
    report = _BLANK if found.earnings is None else np.datetime64(found.earnings, "D")
    return Pool(
        symbol=np.full(count, found.symbol, dtype=object),
        strategy=found.strategy,
        side=found.side,
        source=np.full(count, found.source, dtype=object),
        day=np.full(count, np.datetime64(found.day, "D")),
        expiry=found.expiry,
        rank=found.rank,
        passed=np.ones(count, dtype=np.bool_),
        score=found.score,
        credit=found.credit,
        costs=found.credit_mid - found.credit,
        other_costs=found.credit_mid - found.credit_natural + found.commission,
        margin=found.margin,
        cvar=found.cvar,
        pos=found.pos,
        ev=found.ev,
        ev_market=found.ev,
        iv30=np.full(count, found.iv30),
        iv_percentile=np.full(count, found.iv_percentile),
        earnings=np.full(count, report),
        unmarked=unmarked,
        unknown=np.where(still, _UNKNOWN, "").astype(object),
        held=Endings._make(held),
        managed=Endings._make(run),
        text=lambda row: found.text[row],
        marks=marks,
    )
