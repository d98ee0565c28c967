"""What the store knows beside a book: returns, volatility, earnings and dividends."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomic.config import Settings
from tomic.ib.quotes import UnderlyingTicks
from tomic.models import Underlying, VolSnapshot
from tomic.models.book import SymbolMarket
from tomic.store import Database, Dividend, Earnings
from tomic.workflows.volatility import parse_dividends


@dataclass(frozen=True, slots=True)
class Known:
    """What is stored about the symbols of a book."""

    days: tuple[dt.date, ...] = ()
    returns: dict[str, tuple[float | None, ...]] = field(default_factory=dict)
    snapshots: dict[str, VolSnapshot] = field(default_factory=dict)
    earnings: dict[str, list[Earnings]] = field(default_factory=dict)
    dividends: dict[str, list[Dividend]] = field(default_factory=dict)


async def stored(
    store: Database | None, symbols: Sequence[str], settings: Settings, today: dt.date
) -> Known:
    """What is known from *today* on; nothing without a store."""
    if store is None:
        return Known()
    bars = await store.load_many_bars(symbols, days=settings.portfolio.beta_days + 1)
    days, returns = _returns({name: (one.date, one.close) for name, one in bars.items()})
    return Known(
        days,
        returns,
        await store.load_latest_snapshots(symbols),
        await store.load_earnings(symbols, since=today),
        await store.load_dividends(symbols, since=today),
    )


def _returns(
    series: Mapping[str, tuple[NDArray[Any], NDArray[Any]]],
) -> tuple[tuple[dt.date, ...], dict[str, tuple[float | None, ...]]]:
    """
    Daily log returns on the days of all symbols together; None where a symbol has none.

    A return spans two days that follow each other in that calendar, so a hole costs two of them.
    """
    if not series:
        return (), {}
    days = np.unique(np.concatenate([date for date, _ in series.values()]))
    found = {}
    for name, (date, close) in series.items():
        whole = np.full(days.size, np.nan)
        whole[np.searchsorted(days, date)] = np.log(close)
        steps = np.diff(whole)
        found[name] = tuple(None if math.isnan(x) else float(x) for x in steps)
    return tuple(days[1:].astype("datetime64[D]").tolist()), found


def market_of(
    symbol: str,
    underlying: Underlying | None,
    ticks: UnderlyingTicks | None,
    known: Known,
    *,
    sector: str | None,
    today: dt.date,
) -> SymbolMarket:
    """What the gateway and the store say of one symbol; a file's dates win over the gateway's."""
    snapshot = known.snapshots.get(symbol)
    spot = ticks.spot if ticks else None
    earnings = [one.day for one in known.earnings.get(symbol, ())]
    if snapshot is not None and snapshot.next_earnings and snapshot.next_earnings >= today:
        earnings = earnings or [snapshot.next_earnings]
    dividend = next(iter(known.dividends.get(symbol, ())), None)
    if dividend is None and ticks is not None and ticks.dividends:
        told = parse_dividends(symbol, ticks.dividends)
        dividend = told if told is not None and told.day >= today else None
    return SymbolMarket(
        symbol=symbol,
        underlying=underlying,
        spot=spot,
        div_yield=_yield(ticks, spot.price if spot else None),
        iv30=_first(
            ticks.implied_volatility if ticks else None, snapshot.iv30 if snapshot else None
        ),
        hv30=_first(
            snapshot.hv30 if snapshot else None, ticks.historical_volatility if ticks else None
        ),
        iv_rank=snapshot.iv_rank if snapshot else None,
        skew=snapshot.skew if snapshot else None,
        next_earnings=min(earnings, default=None),
        next_dividend=dividend.day if dividend else None,
        dividend_amount=dividend.amount if dividend else None,
        sector=sector,
    )


def _first(*values: float | None) -> float | None:
    return next((one for one in values if one is not None), None)


def _yield(ticks: UnderlyingTicks | None, price: float | None) -> float:
    """Dividends of the next twelve months over the price; 0 where IB tells none."""
    parts = ticks.dividends.split(",") if ticks is not None and ticks.dividends else []
    try:
        amount = float(parts[1])
    except (IndexError, ValueError):
        return 0.0
    return amount / price if price and math.isfinite(amount) and amount > 0.0 else 0.0
