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
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tomic import dates
from tomic._typing import BoolArray, FloatArray, IntArray
from tomic.chain import Chain
from tomic.config import Settings
from tomic.evidence.history import Dates
from tomic.evidence.managed import REASONS
from tomic.evidence.pool import Endings, Pool
from tomic.models import VolSnapshot, exits as firing
from tomic.models.backtest import TradeSource
from tomic.models.documents import finite
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
    delta: FloatArray
    """Of the option held long; NaN where it is not known."""

    def of(self, contract: IntArray) -> QuotedLegs:
        """Of contracts of any shape; NaN where they are not quoted."""
        if not self.contract.size:
            return QuotedLegs(*(np.full(contract.shape, np.nan) for _ in range(3)))
        place = np.minimum(np.searchsorted(self.contract, contract), self.contract.size - 1)
        there = self.contract[place] == contract
        columns = (self.mid, self.half_spread, self.delta)
        return QuotedLegs(*(np.where(there, column[place], np.nan) for column in columns))


class QuotedLegs(NamedTuple):
    """Of some contracts, any shape; NaN where one is not quoted."""

    mid: FloatArray
    half_spread: FloatArray
    delta: FloatArray


class StoredFigures(NamedTuple):
    """What the store knows of one symbol beside its chains, ascending by day."""

    ex_days: Dates
    dividends: FloatArray
    """Amounts on the ex-days, currency per share."""
    day: Dates
    iv30: FloatArray
    """(d,) of each *day*, fraction."""
    iv_rank: FloatArray
    """(d,) the same, as all that follows."""
    iv_percentile: FloatArray

    def on(self, day: dt.date) -> tuple[float | None, float | None, float | None]:
        """30-day volatility, its rank and percentile on a day; None where one is not known."""
        place = int(np.searchsorted(self.day, np.datetime64(day, "D")))
        if place == self.day.size or self.day[place] != np.datetime64(day, "D"):
            return None, None, None
        iv30, rank, percentile = (
            finite(float(column[place])) for column in (self.iv30, self.iv_rank, self.iv_percentile)
        )
        return iv30, rank, percentile


_DAYS = np.array([], dtype="datetime64[D]")
_BLANKS = np.array([])
NOTHING_KNOWN = StoredFigures(_DAYS, _BLANKS, _DAYS, _BLANKS, _BLANKS, _BLANKS)


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
    ranked = tuple(_found(day, each, ranks) for each in evaluations)
    considered = sum(each.considered for each in evaluations)
    return Day(day, ranked, quotes, not_built, refused, considered)


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
    spot, delta = float(chain.spot.price), chain["delta"][order]
    return DayQuotes(chain.symbol, day, spot, number[order], mid, half, delta)


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


def followed(
    ranked: Found, days: Iterable[Day], settings: Settings, known: StoredFigures = NOTHING_KNOWN
) -> Pool:
    """The trades found in one chain, and what came of them on the *days* after theirs."""
    following = Following(ranked, settings, known)
    for day in days:
        if following.is_over:
            break
        following.step(day)
    return following.pool()


class Following:
    """
    The trades found in one chain, followed a day at a time; only their latest marks are held.

    Exits are those of ``[journal]`` that prices, deltas and the calendar decide, and volatility
    where it is *known*; ``negative_ev`` is not judged, as a day of no entry has no density.

    Args:
        found: On one day.
        known: Of its symbol.
    """

    def __init__(
        self, ranked: Found, settings: Settings, known: StoredFigures = NOTHING_KNOWN
    ) -> None:
        count = ranked.rank.size
        self.found, self._settings, self._known = ranked, settings, known
        self._rules = [settings.journal.exits_for(name) for name in ranked.strategy.tolist()]
        self._held, self._run = _Ending.open(count), _Ending.open(count)
        self._last_day, self._final = _settlements(ranked)
        self._marks: dict[int, list[tuple[dt.date, float]]] = {}
        self._unmarked = np.zeros(count, dtype=np.int64)
        self._latest = [np.full(count, np.nan) for _ in range(4)]
        self._when, self._spot_before = np.full(count, _BLANK), ranked.spot

    @property
    def is_over(self) -> bool:
        """Whether nothing is held any more."""
        return bool((self._held.reason != "").all())

    def step(self, day: Day) -> None:
        """What the evening of a later day makes of them."""
        ranked, held, run = self.found, self._held, self._run
        own = [quotes for quotes in day.quotes if quotes.symbol == ranked.symbol]
        if not own:
            return
        spot, today = own[0].spot, np.datetime64(day.day, "D")
        self._settle(day.day, own, spot)
        live = held.reason == ""
        if not live.any():
            return
        quotes = _priced(ranked, own)
        gross, leaving, other = _marked(ranked, quotes, spot, self._settings)
        marked = live & ~np.isnan(gross)
        self._unmarked += live & (run.reason == "") & ~marked
        for column, value in zip(self._latest[:3], (gross, leaving, other), strict=True):
            column[marked] = value[marked]
        self._latest[3][marked], self._when[marked] = spot / ranked.spot - 1.0, today
        for row in np.flatnonzero(marked & (ranked.rank > 0) & (run.reason == "")).tolist():
            self._marks.setdefault(row, []).append((day.day, float(gross[row])))
        fired = _fired(ranked, gross, quotes, spot, day.day, self._rules, self._known)
        out = marked & (run.reason == "") & (fired != "")
        run.end(
            np.flatnonzero(out), (gross, leaving, other, spot / ranked.spot - 1.0), day.day, fired
        )
        self._spot_before = spot

    def _settle(self, day: dt.date, own: Sequence[DayQuotes], spot: float) -> None:
        """What the first expiry of some makes of them, if it is *day* or was before."""
        ranked, today = self.found, np.datetime64(day, "D")
        due = (self._held.reason == "") & (today >= self._last_day)
        if not due.any():
            return
        at = np.where(self._final | (today != self._last_day), self._spot_before, spot)
        worth, leaving, other = _settled(ranked, at, own, self._settings)
        values = (ranked.credit_mid + worth, leaving, other, at / ranked.spot - 1.0)
        self._held.end(np.flatnonzero(due), values, day, REASONS[0])
        self._run.end(np.flatnonzero(due & (self._run.reason == "")), values, day, REASONS[0])

    def pool(self) -> Pool:
        """All of them; what is still open is valued at its last marks."""
        for ending in (self._held, self._run):
            left = np.flatnonzero((ending.reason == "") & ~np.isnat(self._when))
            if left.size:
                ending.end(left, self._latest, self.found.day, END)
                ending.closed[left] = self._when[left]
        return _pool(self.found, self._held, self._run, self._marks, self._unmarked)


def _settlements(ranked: Found) -> tuple[NDArray[Any], BoolArray]:
    """(n,) day on which each trade is settled, and whether at the open."""
    is_index = ranked.trading_class in dates.AM_SETTLED
    named = {"trading_class": ranked.trading_class, "symbol": ranked.symbol if is_index else ""}
    days = {
        day: np.datetime64(dates.settlement_day(day.item(), **named), "D")
        for day in np.unique(ranked.expiry)
    }
    settled = np.array([days[day] for day in ranked.expiry], dtype="datetime64[D]")
    return settled, np.full(ranked.rank.size, is_index)


def _settled(
    ranked: Found, spot: FloatArray, quotes: Sequence[DayQuotes], settings: Settings
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """
    Worth of the legs at the first expiry, and what it costs at two levels to sell later ones then.

    Later legs count by their quotes; NaN where one has none.
    """
    price = np.broadcast_to(spot, (ranked.rank.size,))[:, None]
    gap = np.where(ranked.is_call, price - ranked.strike, ranked.strike - price)
    worth, costs = np.maximum(gap, 0.0), (np.zeros(ranked.rank.size),) * 2
    if ranked.is_far.any():
        market = _priced(ranked, quotes)
        worth = np.where(ranked.is_far, market.mid, worth)
        costs = _leaving(ranked, np.where(ranked.is_far, ranked.quantity, 0.0), market, settings)
    used = np.where(ranked.quantity == 0.0, 0.0, ranked.quantity * worth)
    shares = ranked.stock * (price[:, 0] - ranked.spot)
    total = ranked.lot * (used.sum(axis=1) + shares)
    return (total, *costs)


def _leaving(
    ranked: Found, quantity: FloatArray, market: QuotedLegs, settings: Settings
) -> tuple[FloatArray, FloatArray]:
    """What closing *quantity* (n, k) costs as set and at natural prices."""
    size = np.abs(quantity)
    wide = ranked.lot * np.where(size > 0.0, size * market.half_spread, 0.0).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        part = size.sum(axis=1) / np.abs(ranked.quantity).sum(axis=1)
    fee = ranked.commission * part
    return settings.costs.slippage * wide + fee, wide + fee


def _priced(ranked: Found, quotes: Sequence[DayQuotes]) -> QuotedLegs:
    """Every leg, from whichever class quotes it."""
    market = quotes[0].of(ranked.contract)
    for more in quotes[1:]:
        other = more.of(ranked.contract)
        pairs = zip(market, other, strict=True)
        market = QuotedLegs(*(np.where(np.isnan(ours), theirs, ours) for ours, theirs in pairs))
    return market


def _marked(
    ranked: Found, market: QuotedLegs, spot: float, settings: Settings
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """P&L at mid, and what closing costs as set and at natural prices; NaN without every leg."""
    worth = np.where(ranked.quantity != 0.0, ranked.quantity * market.mid, 0.0).sum(axis=1)
    shares = ranked.stock * (spot - ranked.spot)
    gross = ranked.credit_mid + ranked.lot * (worth + shares)
    return (gross, *_leaving(ranked, ranked.quantity, market, settings))


class _Seen(NamedTuple):
    """What one trade looks like on an evening; NaN or None where it is not known."""

    share: float
    """P&L of the options over the premium."""
    dte: int
    days: int
    """Held."""
    spot: float
    report: int | None = None
    """Days to it."""
    is_beyond: bool = False
    """A sold strike."""
    delta: float = math.nan
    """The largest of the sold legs, either sign."""
    is_exercised: Callable[[int], bool] = lambda limit: False
    """Whether a sold call pays to be exercised before an ex-day within some days."""
    iv_rise: float = math.nan
    iv_rank: float = math.nan


def _fired(
    ranked: Found, gross: FloatArray, market: QuotedLegs, spot: float, day: dt.date,
    rules: Sequence[ExitRules], known: StoredFigures,
) -> NDArray[Any]:  # fmt: skip
    """The most urgent exit of each trade on a day, empty where none fires; (n,)."""
    # Of the options, as in `tomic.journal.exits`; shares move with the underlying.
    options = gross - ranked.lot * ranked.stock * (spot - ranked.spot)
    premium = ranked.credit + ranked.commission
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.round(options - ranked.credit_mid + ranked.credit, 6) / np.abs(premium)
    dte = (ranked.expiry - np.datetime64(day, "D")).astype(np.int64)
    sold = ranked.quantity < 0.0
    inside = np.where(ranked.is_call, spot - ranked.strike, ranked.strike - spot) > 0.0
    beyond = np.any(inside & sold, axis=1).tolist()
    tested = np.where(sold & ~np.isnan(market.delta), np.abs(market.delta), -1.0).max(axis=1)
    report = None if ranked.earnings is None else (ranked.earnings - day).days
    (now, rank, _), (then, _, _) = known.on(day), known.on(ranked.day)
    rise = math.nan if now is None or then is None else round(now - then, 9)
    fired = np.full(ranked.rank.size, "", dtype=object)
    for row, rule in enumerate(rules):
        seen = _Seen(
            float(share[row]), int(dte[row]), (day - ranked.day).days, spot, report, beyond[row],
            float(tested[row]), partial(_is_exercised, ranked, market, spot, day, known, row),
            rise, math.nan if rank is None else rank,
        )  # fmt: skip
        fired[row] = _first(rule, seen)
    return fired


def _is_exercised(
    ranked: Found,
    market: QuotedLegs,
    spot: float,
    day: dt.date,
    known: StoredFigures,
    row: int,
    limit: int,
) -> bool:
    """Whether a sold call of one trade gives up less than the dividend of an ex-day at hand."""
    today = np.datetime64(day, "D")
    place = int(np.searchsorted(known.ex_days, today))
    if place == known.ex_days.size or (known.ex_days[place] - today).astype(int) > limit:
        return False
    last = (ranked.contract[row] // (2 * _STRIKES)).astype("datetime64[D]")
    calls = (ranked.quantity[row] < 0.0) & ranked.is_call[row] & (last >= known.ex_days[place])
    given_up = market.mid[row] - (spot - ranked.strike[row])
    return bool((calls & (given_up < known.dividends[place])).any())


def _first(rule: ExitRules, seen: _Seen) -> str:
    """The most urgent of the rules that fire, in the order of `tomic.journal.exits`."""

    def over(limit: float | None, value: float) -> bool:
        return limit is not None and value >= limit

    judged = (
        ("stop", rule.stop is not None and firing.is_stop(seen.share, rule.stop)),
        ("dividend_days", rule.dividend_days is not None and seen.is_exercised(rule.dividend_days)),
        ("short_strike_breached", rule.short_strike_breached and seen.is_beyond),
        ("spot_below", rule.spot_below is not None and seen.spot < rule.spot_below),
        ("spot_above", rule.spot_above is not None and seen.spot > rule.spot_above),
        ("short_delta", over(rule.short_delta, seen.delta)),
        ("earnings_days", firing.is_before_earnings(seen.report, rule.earnings_days)),
        ("min_dte", firing.is_near_expiry(seen.dte, rule.min_dte)),
        (
            "profit_target",
            rule.profit_target is not None and firing.is_target(seen.share, rule.profit_target),
        ),
        ("max_days_in_trade", firing.is_held_long(seen.days, rule.max_days_in_trade)),
        ("iv_rise", over(rule.iv_rise, seen.iv_rise)),
        ("iv_rank_below", rule.iv_rank_below is not None and seen.iv_rank < rule.iv_rank_below),
    )
    return next((name for name, fires in judged if fires), "")


def _pool(
    ranked: Found, held: _Ending, run: _Ending, marks: Mapping[int, list[tuple[dt.date, float]]],
    unmarked: IntArray,
) -> Pool:  # fmt: skip
    count = ranked.rank.size
    still = np.asarray(held.reason == END) | np.isnan(held.gross)
    report = _BLANK if ranked.earnings is None else np.datetime64(ranked.earnings, "D")
    return Pool(
        symbol=np.full(count, ranked.symbol, dtype=object),
        strategy=ranked.strategy,
        side=ranked.side,
        source=np.full(count, ranked.source, dtype=object),
        day=np.full(count, np.datetime64(ranked.day, "D")),
        expiry=ranked.expiry,
        rank=ranked.rank,
        passed=np.ones(count, dtype=np.bool_),
        score=ranked.score,
        credit=ranked.credit,
        costs=ranked.credit_mid - ranked.credit,
        other_costs=ranked.credit_mid - ranked.credit_natural + ranked.commission,
        margin=ranked.margin,
        cvar=ranked.cvar,
        pos=ranked.pos,
        ev=ranked.ev,
        ev_market=ranked.ev,
        iv30=np.full(count, ranked.iv30),
        iv_percentile=np.full(count, ranked.iv_percentile),
        earnings=np.full(count, report),
        unmarked=unmarked,
        unknown=np.where(still, _UNKNOWN, "").astype(object),
        held=Endings._make(held),
        managed=Endings._make(run),
        text=lambda row: ranked.text[row],
        marks=marks,
    )


# -- on disk -------------------------------------------------------------------------------------


def packed(day: Day) -> dict[str, NDArray[Any]]:
    """A searched day as arrays without objects, for a file."""
    arrays: dict[str, NDArray[Any]] = {}
    told: dict[str, Any] = {
        "day": day.day.isoformat(), "not_built": day.not_built, "refused": day.refused,
        "considered": day.considered,
    }  # fmt: skip
    for kind, items in (("found", day.found), ("quotes", day.quotes)):
        told[kind] = []
        for place, item in enumerate(items):
            plain: dict[str, Any] = {}
            for name in _names(item):
                value = getattr(item, name)
                if isinstance(value, np.ndarray):
                    text = value.dtype == object
                    arrays[f"{kind} {place} {name}"] = value.astype(str) if text else value
                else:
                    plain[name] = value.isoformat() if isinstance(value, dt.date) else value
            told[kind].append(plain)
    return arrays | {"told": np.array(json.dumps(told))}


def unpacked(arrays: Mapping[str, NDArray[Any]]) -> Day:
    """
    The day that was packed.

    Raises:
        ValueError, KeyError, TypeError: It is of another make, or damaged.
    """
    told = json.loads(str(arrays["told"]))
    parts: dict[str, list[dict[str, Any]]] = {kind: told[kind] for kind in ("found", "quotes")}
    for key, value in arrays.items():
        if key != "told":
            kind, place, name = key.split(" ")
            text = value.dtype.kind == "U"
            parts[kind][int(place)][name] = value.astype(object) if text else value
    for plain in (*parts["found"], *parts["quotes"]):
        for name in ("day", "earnings"):
            if plain.get(name) is not None:
                plain[name] = dt.date.fromisoformat(plain[name])
    return Day(
        dt.date.fromisoformat(told["day"]),
        tuple(Found(**plain) for plain in parts["found"]),
        tuple(DayQuotes(**plain) for plain in parts["quotes"]),
        Counter(told["not_built"]),
        Counter(told["refused"]),
        int(told["considered"]),
    )


def _names(item: Any) -> Sequence[str]:
    """Of the fields of what was found, or of quotes."""
    return [each.name for each in fields(item)] if isinstance(item, Found) else DayQuotes._fields
