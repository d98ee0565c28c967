"""
The volatility of symbols: every figure with its source and age, or why it is absent.

Sources in order: the gateway's quote of this moment (``ib``), the chain of the day (``chain``),
what is stored (``store``), and the public page (``web``) for what is still missing.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tomic import dates
from tomic.chain import Chain
from tomic.config import Settings
from tomic.errors import DataError, DeadlineExceeded, RequestFailed, SessionError, ungrouped
from tomic.ib import contracts
from tomic.ib.session import Session
from tomic.ib.spot import UnderlyingTicks, underlying_ticks
from tomic.models import VolSnapshot
from tomic.models.market import impossible
from tomic.store import Database, Dividend, VolSeries
from tomic.workflows.chain.setup import wanted_data_type
from tomic.workflows.progress import Watcher, counting, ignore
from tomic.workflows.volatility.report import VIX, Now, Past, VolReport, measure, of_chain
from tomic.workflows.volatility.stored import BARS_NEEDED, PastDay, by_day, session_day

if TYPE_CHECKING:
    from tomic.web import Page, Visits


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
        symbol: of_chain(chain, term_window=settings.market.term_strike_window, smiles=smiles)
        for symbol, chain in now.chains.items()
    }
    reports = measure(unique, past, now, readings, settings, window)
    if visits is not None:
        reports = await _with_pages(reports, visits, deadline)
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
    await store.chains.save(chain)
    day = session_day(chain.as_of, chain.underlying.sessions)
    now = Now(chain.as_of, chains={chain.symbol: chain}, day=day)
    whole = chain.fetch.complete
    (report,) = await volatility(store, [chain.symbol], settings, now=now, keep=whole)
    if whole and report.own is not None and report.own.day == day:
        series = VolSeries.from_rows(chain.symbol, "chain30", [(day, report.own.value)])
        await store.history.save_iv(series)
    return report.snapshot


async def chain_of_the_day(store: Database, symbol: str, now: dt.datetime) -> Chain | None:
    """The last whole chain of *symbol* that is stored, when it is of the trading day at *now*."""
    chain = await store.chains.load(symbol, whole=True)
    if chain is None:
        return None
    sessions = chain.underlying.sessions
    return chain if session_day(chain.as_of, sessions) == session_day(now, sessions) else None


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
    except (RequestFailed, SessionError) as exc:
        return Now(dt.datetime.now(dt.UTC), errors=dict.fromkeys(wanted, exc))
    except TimeoutError:
        late = DeadlineExceeded("the deadline passed before the gateway told the time")
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
    outcomes = await session.fan_out(wanted, quote, deadline=deadline, on_done=count)
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
    except (IndexError, ValueError, DataError):
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
        bars=await store.history.many_bars(symbols, days=BARS_NEEDED),
        ib_iv=await store.history.many_iv(symbols, "ib30", days=window + 2),
        chain_iv=await store.history.many_iv(symbols, "chain30", days=window + 2),
        ib_hv=await store.history.many_iv(symbols, "ib_hv30", days=1),
        earnings=await store.calendar.earnings(symbols, since=today),
        dividends=await store.calendar.dividends(symbols, since=today),
        snapshots=await store.history.latest_snapshots(symbols),
    )


# -- the page ------------------------------------------------------------------------------


async def _with_pages(
    reports: Sequence[VolReport], visits: Visits, deadline: float | None
) -> list[VolReport]:
    """Fill what is missing from the page, one visit after the other, until the deadline."""
    improved = list(reports)
    if deadline is not None and asyncio.get_running_loop().time() >= deadline:
        return improved
    try:
        async with asyncio.timeout_at(deadline):
            for at, report in enumerate(improved):
                snapshot = report.snapshot
                if any(getattr(snapshot, name) is None for name in _WORTH_A_VISIT):
                    page = await visits.page(report.symbol)
                    improved[at] = replace(report, snapshot=_filled(snapshot, page))
            lacking = [report for report in improved if report.snapshot.vix is None]
            if lacking and (page := await visits.page(lacking[0].symbol)).vix is not None:
                for at, one in enumerate(improved):
                    improved[at] = replace(one, snapshot=_filled(one.snapshot, page, ("vix",)))
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


async def load_days(store: Database, symbol: str, days: int, settings: Settings) -> list[PastDay]:
    """What is stored of *symbol*, day by day, with its volatilities as they were then."""
    market = settings.market
    count = days + max(market.rank_days, BARS_NEEDED)
    return by_day(
        await store.history.bars(symbol, days=count),
        await store.history.iv(symbol, "ib30", days=count),
        await store.history.iv(symbol, "chain30", days=count),
        days,
        window=market.rank_days,
        least=market.rank_min_days,
    )


__all__ = [
    "VIX",
    "Now",
    "Past",
    "VolReport",
    "chain_of_the_day",
    "load_days",
    "load_past",
    "measure",
    "observe",
    "parse_dividends",
    "remember_chain",
    "volatility",
]
