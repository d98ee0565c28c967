"""
The volatility of symbols: every figure with its source and age, or why it is absent.

Sources in order: the gateway's quote of this moment (``ib``), the chain of the day (``chain``),
what is stored (``store``), and the public page (``web``) for what is still missing. The first
source of a field counts, and a field without any says why.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tomic import dates, errors, valuation
from tomic.chain import Chain
from tomic.config import MarketSettings, Settings
from tomic.errors import TomicError, ungrouped
from tomic.ib import contracts
from tomic.ib.session import Session
from tomic.ib.spot import UnderlyingTicks, underlying_ticks
from tomic.models import Carry, RowStatus, VolSnapshot
from tomic.models.documents import finite
from tomic.models.frames import OneRow, frame_of, row_of, to_html
from tomic.models.market import impossible
from tomic.quant import smile, surface
from tomic.store import Bars, Database, Dividend, Earnings, VolSeries
from tomic.strategies.pricing.outlooks import smile_missed
from tomic.strategies.pricing.term import Level, PricedEvent, priced_events
from tomic.workflows.chain.setup import wanted_data_type
from tomic.workflows.progress import Watcher, counting, ignore
from tomic.workflows.volatility import stored

if TYPE_CHECKING:
    import pandas as pd

    from tomic.web import Page, Visits


@dataclass(frozen=True, slots=True)
class ExpiryMove:
    """What the options of one expiry expect the underlying to move; currency per share."""

    expiry: dt.date
    dte: int
    tau: float
    atm_iv: float | None
    iv: float | None
    """One standard deviation from the at-the-money volatility."""
    straddle: float | None
    """Price of the straddle at the forward: the mean absolute move."""
    density: float | None
    """One standard deviation of the fitted smile's density; None when it was not asked for."""
    forward: float | None = None
    """From put-call parity, currency per share."""
    note: str = ""
    """Why there is no density although it was asked for."""


@dataclass(frozen=True, slots=True)
class ChainVolatility:
    """Volatility of one chain; fractions, None where the quotes do not determine a number."""

    as_of: dt.datetime
    day: dt.date
    """The trading day it belongs to."""
    iv30: float | None
    skew: float | None
    term_m1_m2: float | None
    term_m1_m3: float | None
    moves: tuple[ExpiryMove, ...]
    missing: dict[str, str]
    ex_event_iv30: float | None = None
    """IV30 without the variance of `events`; None where they add none to thirty days."""
    events: tuple[PricedEvent, ...] = ()
    """What the at-the-money volatilities price: of known dates, and recognised."""


def of_chain(
    chain: Chain,
    *,
    term_window: float = 5.0,
    smiles: bool = False,
    earnings: Iterable[dt.date] = (),
) -> ChainVolatility:
    """
    Read a chain; only rows with a volatility count.

    IV30 holds the jump of an event within thirty days whole, and of a later one nothing.

    Args:
        earnings: Days to come on which the company reports.
        term_window: Options within this many points of spot give an expiry's level in the term
            structure, as in the original program.
        smiles: Also fit a smile to every expiry, for the third kind of expected move.
    """
    iv, strike = chain["iv"], chain["strike"]
    usable = np.isfinite(iv) & (chain["status"] != RowStatus.UNKNOWN_CONTRACT.value)
    moves = tuple(_moves(chain, smiles=smiles))
    atm = {move.tau: move.atm_iv for move in moves if move.atm_iv is not None}
    levels = [
        surface.mean_atm_iv(strike[rows], iv[rows], chain.spot.price, term_window)
        for expiry in chain.expiries
        if (rows := usable & (chain["expiry"] == np.datetime64(expiry, "D"))).any()
    ]
    slope = surface.term_structure(levels)
    skew = surface.skew(chain["dte"][usable], chain["delta"][usable], iv[usable])
    priced = _priced_events(chain, moves, earnings)
    jumps = [event.jump for event in priced]
    iv30, ex_event = math.nan, math.nan
    if atm:
        term_of = partial(surface.constant_maturity_iv, list(atm), list(atm.values()), jumps=jumps)
        iv30, ex_event = term_of(), term_of(ex_event=True)
    figures = {"iv30": iv30, "skew": skew, "term_m1_m2": slope.m1_m2, "term_m1_m3": slope.m1_m3}
    reasons = {
        "iv30": "no expiry near 30 days has volatilities around its forward",
        "skew": "no expiry's strikes reach deltas of 0.25 on both sides",
        "term_m1_m2": f"fewer than two expiries with options within {term_window:g} of spot",
        "term_m1_m3": f"fewer than three expiries with options within {term_window:g} of spot",
    }
    return ChainVolatility(
        as_of=chain.as_of,
        day=stored.session_day(chain.as_of, chain.underlying.sessions),
        **{name: finite(value) for name, value in figures.items()},
        moves=moves,
        missing={
            name: reasons[name] for name, value in figures.items() if not math.isfinite(value)
        },
        ex_event_iv30=finite(ex_event) if ex_event < iv30 else None,
        events=priced,
    )


def _priced_events(
    chain: Chain, moves: Sequence[ExpiryMove], earnings: Iterable[dt.date]
) -> tuple[PricedEvent, ...]:
    levels = {
        move.expiry: Level(move.tau, move.atm_iv) for move in moves if move.atm_iv is not None
    }
    if not levels:
        return ()
    return priced_events(
        moves[0].expiry - dt.timedelta(days=moves[0].dte),
        levels,
        dates=earnings,
        is_expected=chain.underlying.reports_earnings is True,
    )


def _moves(chain: Chain, *, smiles: bool) -> list[ExpiryMove]:
    by_expiry, forwards = valuation.carries(chain), valuation.forwards(chain)
    on_forward = valuation.is_on_forward(chain, by_expiry)
    call, put = valuation.counterpart(chain) if len(chain) > 1 else (np.zeros(0, int),) * 2
    mid, parities = chain.mid, []
    densities, unfit = _densities(chain, by_expiry, forwards) if smiles else ({}, {})
    for expiry, (forward, tau) in forwards.items():
        rows = chain["expiry"] == np.datetime64(expiry, "D")
        atm = surface.atm_iv(chain["strike"][rows], chain["iv"][rows], forward)
        pair = rows[call]
        straddle = surface.expected_move_straddle(
            chain["strike"][call[pair]], mid[call[pair]], mid[put[pair]], forward
        )
        dte = int(chain["dte"][rows][0])
        price = forward if on_forward else chain.spot.price
        parities.append(
            ExpiryMove(
                expiry=expiry,
                dte=dte,
                tau=tau,
                atm_iv=finite(atm),
                iv=finite(float(surface.expected_move_iv(price, atm, dte))),
                straddle=finite(straddle),
                density=finite(densities.get(expiry, math.nan)),
                forward=forward,
                note=unfit.get(expiry, ""),
            )
        )
    return parities


def _densities(
    chain: Chain, by_expiry: Mapping[dt.date, Carry], forwards: dict[dt.date, tuple[float, float]]
) -> tuple[dict[dt.date, float], dict[dt.date, str]]:
    """Standard deviation of each expiry's density, and why others have none."""
    sigmas: dict[dt.date, float] = {}
    unfit: dict[dt.date, str] = {}
    floor = None
    half_spread = 0.01 * 0.5 * (chain["ask"] - chain["bid"]) / chain["vega"]
    for expiry, (forward, tau) in forwards.items():
        # In the money the volatility of an American option is not well determined.
        outside = np.where(chain.is_call, chain["strike"] >= forward, chain["strike"] <= forward)
        rows = (chain["expiry"] == np.datetime64(expiry, "D")) & np.isfinite(chain["iv"]) & outside
        strike, iv = chain["strike"][rows], chain["iv"][rows]
        if (strikes := int(np.unique(strike).size)) < smile.LEAST_STRIKES_SVI:
            unfit[expiry] = f"{strikes} strikes with a volatility, a density takes 5"
            continue
        discount = by_expiry[expiry].discount
        fitted = smile.fit(strike, iv, forward=forward, tau=tau, discount=discount, floor=floor)
        if why := smile_missed(fitted, strike, iv, half_spread[rows]):
            unfit[expiry] = why
            continue
        floor = fitted
        sigmas[expiry] = surface.expected_move_density(fitted).sigma
    return sigmas, unfit


VIX = "VIX"

_FROM_CHAIN = ("skew", "term_m1_m2", "term_m1_m3")


@dataclass(frozen=True, slots=True)
class VolReport(OneRow):
    """Everything known about the volatility of one symbol."""

    snapshot: VolSnapshot
    realised: stored.Realised
    moves: tuple[ExpiryMove, ...] = ()
    """Expected moves by expiry, when a chain was taken."""
    ex_event_iv30: float | None = None
    """IV30 of the chain without its `events`; None where they add nothing to thirty days."""
    events: tuple[PricedEvent, ...] = ()
    """What the expiries of the chain price."""
    expected_move: float | None = None
    """One standard deviation over 30 days, from IV30; currency per share."""
    own: stored.WindowStanding | None = None
    """IV30 of our own chains in its own past."""
    ib_hv30: tuple[float, dt.date] | None = None
    """IB's own 30-day historical volatility and its day, to compare ours with."""
    error: TomicError | None = None
    """Why the gateway gave nothing."""

    @property
    def symbol(self) -> str:
        """Symbol of the underlying."""
        return self.snapshot.symbol

    def _row(self) -> Mapping[str, Any]:
        return {
            **row_of(self.snapshot),
            "close": self.realised.close,
            "expected_move": self.expected_move,
            "ex_event_iv30": self.ex_event_iv30,
            "error": None if self.error is None else str(self.error),
        }

    def moves_frame(self) -> pd.DataFrame:
        """Expected moves, a row an expiry, currency per share; empty where no chain was taken."""
        return frame_of(self.moves)

    def _repr_html_(self) -> str:
        known = {name: value for name, value in self._row().items() if value not in (None, "")}
        figures = [{"figure": name, "value": _shown(value)} for name, value in known.items()]
        return to_html(frame_of(figures), f"{self.symbol}: volatilities and ranks are fractions")


def _shown(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True, slots=True)
class Past:
    """What is stored of some symbols."""

    bars: Mapping[str, Bars]
    ib_iv: Mapping[str, VolSeries]
    chain_iv: Mapping[str, VolSeries]
    ib_hv: Mapping[str, VolSeries]
    earnings: Mapping[str, Sequence[Earnings]]
    dividends: Mapping[str, Sequence[Dividend]]
    snapshots: Mapping[str, VolSnapshot]


@dataclass(frozen=True, slots=True)
class Now:
    """What was observed at this moment."""

    at: dt.datetime
    ticks: Mapping[str, UnderlyingTicks] = field(default_factory=dict)
    errors: Mapping[str, TomicError] = field(default_factory=dict)
    chains: Mapping[str, Chain] = field(default_factory=dict)
    day: dt.date | None = None
    """The trading day of *at*, by the calendar when not given."""

    @property
    def trading_day(self) -> dt.date:
        """The last day on which trading has begun."""
        return self.day or stored.session_day(self.at)


def measure(
    symbols: Sequence[str],
    past: Past,
    now: Now,
    readings: Mapping[str, ChainVolatility],
    settings: Settings,
    window: int,
) -> list[VolReport]:
    """Put together what was observed and what is stored. Pure."""
    least = settings.market.rank_min_days
    day = now.trading_day
    bars = stored.realised([*symbols, VIX], past.bars)
    ib = stored.placed(_ib_values(symbols, past, now, day), past.ib_iv, window=window, least=least)
    own = stored.placed(
        _own_values(symbols, past, readings, day), past.chain_iv, window=window, least=least
    )
    vix = _vix(past, now)
    reports = []
    for symbol in symbols:
        draft = _SnapshotDraft()
        draft.extra["currency"] = _currency(symbol, now, settings)
        _put_spot(draft, symbol, bars[symbol], now)
        _put_iv(draft, symbol, ib.get(symbol), own.get(symbol), now, readings)
        _put_realised(draft, bars[symbol])
        _put_chain(draft, readings.get(symbol), past.snapshots.get(symbol))
        _put_events(draft, symbol, past, now)
        draft.put("vix", *vix) if vix else draft.lack("vix", "neither quoted nor stored")
        reports.append(
            VolReport(
                snapshot=draft.snapshot(symbol, now.at),
                realised=bars[symbol],
                moves=readings[symbol].moves if symbol in readings else (),
                ex_event_iv30=readings[symbol].ex_event_iv30 if symbol in readings else None,
                events=readings[symbol].events if symbol in readings else (),
                expected_move=_expected_move(draft),
                own=own.get(symbol),
                ib_hv30=_last(past.ib_hv.get(symbol)),
                error=now.errors.get(symbol),
            )
        )
    return reports


class _SnapshotDraft:
    """A snapshot while it is put together: the first source of a field counts."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.sources: dict[str, str] = {}
        self.ages: dict[str, dt.datetime] = {}
        self.missing: dict[str, str] = {}
        self.extra: dict[str, Any] = {}

    def put(self, name: str, value: Any, source: str, at: dt.datetime) -> None:
        """Take a value unless there is none, or a better source gave one."""
        if value is None or name in self.values:
            return
        if isinstance(value, float) and (fault := impossible(name, value)):
            self.lack(name, f"{source}: {fault}")
            return
        self.values[name], self.sources[name], self.ages[name] = value, source, at
        self.missing.pop(name, None)

    def lack(self, name: str, reason: str) -> None:
        """Note why there is no value, unless there is one."""
        if name not in self.values:
            self.missing.setdefault(name, reason)

    def snapshot(self, symbol: str, at: dt.datetime) -> VolSnapshot:
        """What was found."""
        return VolSnapshot(
            symbol=symbol,
            as_of=at,
            **self.values,
            **self.extra,
            sources=self.sources,
            ages=self.ages,
            missing=self.missing,
        )


def _currency(symbol: str, now: Now, settings: Settings) -> str | None:
    """What prices of *symbol* are in: as it was observed, else as its listing tells it."""
    if symbol in now.chains:
        return now.chains[symbol].underlying.currency
    ticks = now.ticks.get(symbol)
    told = ticks.currency if ticks is not None else ""
    if told:
        return told
    market = settings.market
    return "USD" if market.is_american(symbol) else market.listing(symbol).currency or None


def _put_spot(draft: _SnapshotDraft, symbol: str, bars: stored.Realised, now: Now) -> None:
    ticks = now.ticks.get(symbol)
    chain = now.chains.get(symbol)
    if ticks is not None and ticks.spot is not None:
        draft.put("spot", ticks.spot.price, "ib", ticks.spot.as_of)
    if chain is not None:
        draft.put("spot", chain.spot.price, "chain", chain.spot.as_of)
    if bars.close is not None and bars.last_day is not None:
        draft.put("spot", bars.close, "store", stored.usual_close(bars.last_day))
    draft.lack("spot", "neither quoted nor stored")


def _ib_values(
    symbols: Sequence[str], past: Past, now: Now, day: dt.date
) -> dict[str, tuple[float, dt.date]]:
    """The last value of IB's series: its tick now, else one seen earlier, else a stored close."""
    values = {}
    for symbol in symbols:
        ticks = now.ticks.get(symbol)
        known = [_last(past.ib_iv.get(symbol)), _seen(past.snapshots.get(symbol))]
        if ticks is not None and ticks.implied_volatility is not None:
            values[symbol] = (ticks.implied_volatility, day)
        elif earlier := [pair for pair in known if pair is not None]:
            values[symbol] = max(earlier, key=lambda pair: pair[1])
    return values


def _seen(earlier: VolSnapshot | None) -> tuple[float, dt.date] | None:
    """IB's IV30 as an earlier run saw it quoted."""
    if earlier is None or earlier.iv30 is None or earlier.sources.get("iv30") != "ib":
        return None
    return earlier.iv30, stored.session_day(earlier.ages["iv30"])


def _own_values(
    symbols: Sequence[str], past: Past, readings: Mapping[str, ChainVolatility], day: dt.date
) -> dict[str, tuple[float, dt.date]]:
    """Today's value of our own series: that of the chain, else the last stored day."""
    values = {}
    for symbol in symbols:
        reading = readings.get(symbol)
        if reading is not None and reading.iv30 is not None:
            values[symbol] = (reading.iv30, min(reading.day, day))
        elif (last := _last(past.chain_iv.get(symbol))) is not None:
            values[symbol] = last
    return values


def _last(series: VolSeries | None) -> tuple[float, dt.date] | None:
    if series is None or not len(series):
        return None
    return float(series.value[-1]), series.date[-1].item()


def _put_iv(
    draft: _SnapshotDraft,
    symbol: str,
    ib: stored.WindowStanding | None,
    own: stored.WindowStanding | None,
    now: Now,
    readings: Mapping[str, ChainVolatility],
) -> None:
    """Value, rank and percentile of one and the same series: IB's unless only ours has a past."""
    ours = own is not None and own.rank is not None and (ib is None or ib.rank is None)
    chosen = own if ours or ib is None else ib
    if chosen is None:
        text = f"IB sent none (tick 106) and none is stored; run tomic prices {symbol}"
        for name in ("iv30", "iv_rank", "iv_percentile"):
            draft.lack(name, text)
        return
    is_own = chosen is own
    if is_own and symbol in readings and readings[symbol].iv30 is not None:
        source, at = "chain", readings[symbol].as_of
    elif not is_own and symbol in now.ticks and now.ticks[symbol].implied_volatility is not None:
        source, at = "ib", now.at
    else:
        source, at = "store", stored.usual_close(chosen.day)
    draft.put("iv30", chosen.value, source, at)
    draft.put("iv_rank", chosen.rank, "store", at)
    draft.put("iv_percentile", chosen.percentile, "store", at)
    draft.lack("iv_rank", chosen.reason)
    draft.lack("iv_percentile", chosen.reason)
    draft.extra |= {
        "iv_days": chosen.n,
        "iv_window": chosen.window,
        "iv_series": "chain30" if is_own else "ib30",
    }


def _put_realised(draft: _SnapshotDraft, bars: stored.Realised) -> None:
    for name, reason in bars.missing.items():
        draft.lack(name, reason)
    if bars.last_day is None:
        return
    at = stored.usual_close(bars.last_day)
    for window, value in bars.hv.get("close_to_close", {}).items():
        draft.put(f"hv{window}", value, "store", at)
    draft.put("atr14", bars.atr14, "store", at)


def _put_chain(
    draft: _SnapshotDraft, reading: ChainVolatility | None, earlier: VolSnapshot | None
) -> None:
    """Skew and term structure: of the chain at hand, else of the last one that was seen."""
    for name in _FROM_CHAIN:
        if reading is not None:
            draft.put(name, getattr(reading, name), "chain", reading.as_of)
        if earlier is not None and name in earlier.ages and earlier.sources.get(name) != "web":
            draft.put(name, getattr(earlier, name), "store", earlier.ages[name])
        known = reading.missing if reading is not None else earlier.missing if earlier else {}
        draft.lack(name, known.get(name) or "no chain was taken yet; add --chain")


def _put_events(draft: _SnapshotDraft, symbol: str, past: Past, now: Now) -> None:
    earnings = past.earnings.get(symbol, ())
    if earnings:
        draft.put("next_earnings", earnings[0].day, "store", now.at)
    draft.lack("next_earnings", "no date is stored; import a CSV with tomic store import")
    dividends = past.dividends.get(symbol, ())
    if dividends:
        first = dividends[0]
        ticked = symbol in now.ticks and now.ticks[symbol].dividends is not None
        source = "ib" if first.source == "tick456" and ticked else "store"
        draft.put("next_dividend", first.day, source, now.at)
        draft.put("dividend_amount", first.amount, source, now.at)
    draft.lack("next_dividend", "none announced by IB, none stored")


def _vix(past: Past, now: Now) -> tuple[float, str, dt.datetime] | None:
    """The index as a fraction: quoted, live or delayed, else its last stored close."""
    ticks = now.ticks.get(VIX)
    if ticks is not None and ticks.spot is not None:
        return ticks.spot.price / 100.0, "ib", ticks.spot.as_of
    bars = past.bars.get(VIX)
    if bars is not None and len(bars):
        return float(bars.close[-1]) / 100.0, "store", stored.usual_close(bars.date[-1].item())
    return None


def _expected_move(draft: _SnapshotDraft) -> float | None:
    spot, iv30 = draft.values.get("spot"), draft.values.get("iv30")
    if spot is None or iv30 is None:
        return None
    return float(surface.expected_move_iv(spot, iv30, 30))


EXTRAS_S = 1.5
"""How long the volatilities of a quote may come after its price."""

_MANY = 50
_FROM_PAGE = {
    "spot": "spot_price",
    "iv30": "implied_volatility",
    "iv_rank": "iv_rank",
    "iv_percentile": "iv_percentile",
    "hv30": "hv30",
    "skew": "skew",
    "atr14": "atr14",
    "vix": "vix",
    "term_m1_m2": "term_m1_m2",
    "term_m1_m3": "term_m1_m3",
}
_WORTH_A_VISIT = ("spot", "iv_rank")
"""Fields whose absence makes the page worth reading."""


async def volatility(
    store: Database,
    symbols: Sequence[str],
    settings: Settings,
    *,
    now: Now,
    days: int | None = None,
    visits: Visits | None = None,
    smiles: bool = False,
    keep: bool = True,
    deadline: float | None = None,
) -> list[VolReport]:
    """
    Measure *symbols*, in order, and keep a snapshot of each.

    Args:
        now: What the gateway said just now; nothing of it may be there.
        days: Window of rank and percentile in trading days.
        visits: The public page, for symbols without a spot or an IV rank.
        smiles: Fit smiles to the chains, for the expected move under their density.
        keep: Store the snapshots.
        deadline: Time of the running loop after which no page is visited.

    Raises:
        StoreError: The store cannot be used.
    """
    unique = list(dict.fromkeys(symbols))
    window = days or settings.market.rank_days
    await _keep_dividends(store, now)
    past = await _load_and_warm(store, [*unique, VIX], now.at, window)
    readings = {
        symbol: of_chain(
            chain,
            term_window=settings.market.term_strike_window,
            smiles=smiles,
            earnings=[event.day for event in past.earnings.get(symbol, ())],
        )
        for symbol, chain in now.chains.items()
    }
    reports = measure(unique, past, now, readings, settings, window)
    if visits is not None:
        reports = await _with_pages(reports, visits, deadline, settings.market)
    if keep:
        snapshots = [report.snapshot for report in reports]
        await store.history.save_snapshots(*snapshots, day=now.trading_day)
    return reports


async def remember_chain(store: Database, chain: Chain, settings: Settings) -> VolSnapshot:
    """
    Keep *chain* and its own 30-day IV; return the figures that belong beside it.

    They come from the chain itself and from the store: nobody is asked. Of a chain that was cut
    short nothing enters the history: its figures are those of the part that came.

    Raises:
        StoreError: The store cannot be used.
    """
    day = await keep_chain(store, chain, settings)
    now = Now(chain.as_of, chains={chain.symbol: chain}, day=day)
    whole = not chain.fetch.cut_short
    (report,) = await volatility(store, [chain.symbol], settings, now=now, keep=whole)
    if whole and report.own is not None and report.own.day == day:
        series = VolSeries.from_rows(chain.symbol, "chain30", [(day, report.own.value)])
        await store.history.save_iv(series)
    return report.snapshot


async def keep_chain(store: Database, chain: Chain, settings: Settings) -> dt.date:
    """
    Store *chain* for today, and its quotes for `store.keep_chains`; its trading day.

    Raises:
        StoreError: The store cannot be used.
    """
    await store.chains.save(chain)
    day = stored.session_day(chain.as_of, chain.underlying.sessions)
    await store.kept.save(chain, day=day, keep=settings.store.keep_chains)
    return day


async def chain_of_the_day(store: Database, symbol: str, now: dt.datetime) -> Chain | None:
    """The last whole chain of *symbol* that is stored, when it is of the trading day at *now*."""
    chain = await store.chains.load(symbol, whole=True)
    if chain is None:
        return None
    sessions = chain.underlying.sessions
    return (
        chain
        if stored.session_day(chain.as_of, sessions) == stored.session_day(now, sessions)
        else None
    )


# -- observing -----------------------------------------------------------------------------


async def observe(
    open_session: Callable[[], Awaitable[Session]],
    symbols: Iterable[str],
    settings: Settings,
    *,
    deadline: float | None = None,
    watch: Watcher = ignore,
) -> Now:
    """
    Quote every symbol and the VIX: spot, IB's 30-day volatilities, dividends.

    A symbol that fails is in ``errors`` and does not affect the others; without a gateway all of
    them are, and the time is the local clock's.
    """
    wanted = list(dict.fromkeys([*symbols, VIX]))
    try:
        async with asyncio.timeout_at(deadline):
            session = await open_session()
            at = await session.now()
    except (errors.RequestFailed, errors.SessionError) as exc:
        return Now(dt.datetime.now(dt.UTC), errors=dict.fromkeys(wanted, exc))
    except TimeoutError:
        late = errors.DeadlineExceeded("the deadline passed before the gateway told the time")
        return Now(dt.datetime.now(dt.UTC), errors=dict.fromkeys(wanted, late))

    async def quote(symbol: str) -> UnderlyingTicks:
        underlying = await contracts.resolve_underlying(
            session, symbol, settings.market, timeout_s=settings.ib.request_timeout_s
        )
        # The index has hours of its own; live or frozen is for the symbols to say.
        if session.data_type is None and (symbol != VIX or wanted == [VIX]):
            await session.use_data_type(wanted_data_type(session, underlying, at))
        return await underlying_ticks(
            session, underlying, timeout_s=settings.market.spot_timeout_s, extras_s=EXTRAS_S
        )

    count = counting(watch, "quotes", len(wanted), "symbols")
    outcomes = await session.fan_out(wanted, quote, deadline=deadline, on_done=count, resume=True)
    return Now(
        at=session.clock_now(),
        ticks={outcome.item: outcome.value for outcome in outcomes if outcome.value is not None},
        errors={outcome.item: outcome.error for outcome in outcomes if outcome.error is not None},
    )


def parse_dividends(symbol: str, text: str) -> Dividend | None:
    """
    The next dividend in IB's tick 456: past and next 12 months, next ex-day and its amount.

    None where nothing is announced or the text is not that.
    """
    parts = text.split(",")
    try:
        day, amount = dates.parse_expiry(parts[2]), float(parts[3])
    except (IndexError, ValueError, errors.DataError):
        return None
    if not (math.isfinite(amount) and amount > 0.0):
        return None
    return Dividend(symbol, day, amount, "tick456")


async def _keep_dividends(store: Database, now: Now) -> None:
    dividends = [
        dividend
        for symbol, ticks in now.ticks.items()
        if ticks.dividends and (dividend := parse_dividends(symbol, ticks.dividends))
    ]
    if dividends:
        await store.calendar.save_dividends(dividends)


# -- the past ------------------------------------------------------------------------------


async def _load_and_warm(
    store: Database, symbols: Sequence[str], at: dt.datetime, window: int
) -> Past:
    """Load the past; for many symbols the calendar, which takes as long, is built meanwhile."""
    if len(symbols) < _MANY:
        return await load_past(store, symbols, at, window)
    with ungrouped():
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.to_thread(dates.is_trading_day, at.date()))
            loading = group.create_task(load_past(store, symbols, at, window))
    return loading.result()


async def load_past(store: Database, symbols: Sequence[str], at: dt.datetime, window: int) -> Past:
    """Everything stored that figures are computed from, in a few queries for all *symbols*."""
    today = at.astimezone(dates.NEW_YORK).date()
    return Past(
        bars=await store.history.many_bars(symbols, days=stored.BARS_NEEDED),
        ib_iv=await store.history.many_iv(symbols, "ib30", days=window + 2),
        chain_iv=await store.history.many_iv(symbols, "chain30", days=window + 2),
        ib_hv=await store.history.many_iv(symbols, "ib_hv30", days=1),
        earnings=await store.calendar.earnings(symbols, since=today),
        dividends=await store.calendar.dividends(symbols, since=today),
        snapshots=await store.history.latest_snapshots(symbols),
    )


# -- the page ------------------------------------------------------------------------------


async def _with_pages(
    reports: Sequence[VolReport], visits: Visits, deadline: float | None, market: MarketSettings
) -> list[VolReport]:
    """
    Fill what is missing from the page, one visit after the other, until the deadline.

    The page of a symbol is that of the American share, whatever else is called so.
    """
    abroad = {
        report.symbol
        for report in reports
        if "@" in report.symbol or not market.is_american(report.symbol)
    }
    improved = list(reports)
    if deadline is not None and asyncio.get_running_loop().time() >= deadline:
        return improved
    try:
        async with asyncio.timeout_at(deadline):
            for at, report in enumerate(improved):
                snapshot = report.snapshot
                lacks = any(getattr(snapshot, name) is None for name in _WORTH_A_VISIT)
                if lacks and report.symbol not in abroad:
                    page = await visits.page(report.symbol)
                    improved[at] = replace(report, snapshot=_filled(snapshot, page))
            lacking = [
                report
                for report in improved
                if report.snapshot.vix is None and report.symbol not in abroad
            ]
            if lacking and (page := await visits.page(lacking[0].symbol)).vix is not None:
                for at, report in enumerate(improved):
                    improved[at] = replace(
                        report, snapshot=_filled(report.snapshot, page, ("vix",))
                    )
    except TimeoutError:
        # The gateway's figures are there; what only a page has stays missing, as it says.
        pass
    return improved


def _filled(
    snapshot: VolSnapshot, page: Page, names: Iterable[str] = tuple(_FROM_PAGE)
) -> VolSnapshot:
    """The snapshot with the page's figures where it had none."""
    values: dict[str, Any] = {
        name: getattr(page, _FROM_PAGE[name])
        for name in names
        if getattr(snapshot, name) is None and _usable(name, getattr(page, _FROM_PAGE[name]))
    }
    missing = {name: text for name, text in snapshot.missing.items() if name not in values}
    if page.problem:
        hoped = {name: f"{text}; {page.problem}" for name, text in missing.items()}
        missing |= {name: text for name, text in hoped.items() if name in _FROM_PAGE}
    changes: dict[str, Any] = {
        **values,
        "sources": snapshot.sources | dict.fromkeys(values, "web"),
        "ages": snapshot.ages | dict.fromkeys(values, page.fetched_at),
        "missing": missing,
    }
    if "iv_rank" in values:
        # The page does not say over how many days.
        changes |= {"iv_days": None, "iv_window": None, "iv_series": None}
    return snapshot.model_copy(update=changes)


def _usable(name: str, value: float | None) -> bool:
    return value is not None and not impossible(name, value)


async def load_days(
    store: Database, symbol: str, days: int, settings: Settings
) -> list[stored.PastDay]:
    """What is stored of *symbol*, day by day, with its volatilities as they were then."""
    market = settings.market
    count = days + max(market.rank_days, stored.BARS_NEEDED)
    return stored.by_day(
        await store.history.bars(symbol, days=count),
        await store.history.iv(symbol, "ib30", days=count),
        await store.history.iv(symbol, "chain30", days=count),
        days,
        smiles=await store.history.smiles(symbol, days=days),
        window=market.rank_days,
        least=market.rank_min_days,
    )
