"""
Daily history of one underlying: prices and 30-day implied volatility, from a seed.

A path is fixed on the whole calendar and only *read* at a date, so that two markets that start on
different days agree on every day that both have seen. It passes through the declared level on the
anchor day and walks away from it in both directions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache

import numpy as np

from tomic._typing import FloatArray
from tomic.sim.market import Bar, listings
from tomic.sim.market.instruments import DEMO, Instrument
from tomic.sim.market.listings import generator

ANCHOR = date(2026, 11, 20)
"""The day on which every underlying stands at its declared level."""

_TRADING_DAYS = 252
_DRIFT = 0.06
# Realised volatility is on average a little lower than what options imply.
_PREMIUM = 0.88
# Log implied volatility reverts to its mean with a half-life of about 25 trading days.
_PERSISTENCE = 0.973
_LOG_IV_SD = 0.24
_LEVERAGE = -0.7
HV_RETURNS = 30
"""Daily returns behind one value of historical volatility."""

_PRICES = ("open", "high", "low", "close")
# The index counts the wings as well, and stands a little above at-the-money volatility.
_VIX_OVER_SPX = 1.05
_SPX = next(instrument for instrument in DEMO if instrument.symbol == "SPX")


@dataclass(frozen=True, slots=True)
class Path:
    """Whole-calendar daily series of one underlying; all arrays share one length."""

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    iv: FloatArray
    """30-day implied volatility at the close, a fraction."""
    iv_open: FloatArray
    hv: FloatArray
    """30-day realised volatility at the close, a fraction; NaN in the first thirty days."""


@lru_cache(maxsize=8)
def _market_shocks(seed: int) -> FloatArray:
    return generator(seed, "market").standard_normal(len(listings.trading_days()))


def level(instrument: Instrument, seed: int) -> tuple[float, float]:
    """Spot and 30-day volatility on the anchor day: as declared, moved a little by the seed."""
    common = float(generator(seed, "level").standard_normal())
    own = generator(seed, f"level {instrument.symbol}").standard_normal(2)
    share = instrument.market_share
    move = share * common + float(np.sqrt(1.0 - share * share)) * float(own[0])
    spot = instrument.spot * float(np.exp(0.12 * instrument.iv30 * np.clip(move, -2.0, 2.0)))
    if not instrument.is_index and instrument.spot > 100.0:
        # Kept off whole points, so that no strike sits exactly ten points away.
        spot = np.floor(spot) + round(float(np.clip(spot % 1.0, 0.11, 0.89)), 2)
    return round(float(spot), 2), instrument.iv30 * float(np.exp(0.03 * np.clip(own[1], -2.0, 2.0)))


def build(instrument: Instrument, seed: int) -> Path:
    """Generate the path of *instrument*."""
    rng = generator(seed, instrument.symbol)
    size = len(listings.trading_days())
    own, vol_shock, gap, up, down, volume, iv_open = rng.standard_normal((7, size))
    share = instrument.market_share
    shock = share * _market_shocks(seed) + np.sqrt(1.0 - share * share) * own
    direction = np.sign(share) if abs(share) > 0.2 else 1.0
    lean = _LEVERAGE * direction
    iv_shock = lean * shock + np.sqrt(1.0 - lean * lean) * vol_shock
    spot, iv_now = level(instrument, seed)
    anchor = listings.day_index(ANCHOR)
    iv = _volatility(iv_shock, anchor, iv_now, instrument.iv_stretch)
    daily = _PREMIUM * np.concatenate((iv[:1], iv[:-1])) / np.sqrt(_TRADING_DAYS)
    drift = _DRIFT * share / _TRADING_DAYS
    steps = drift - 0.5 * daily * daily + daily * shock
    if instrument.symbol == "VIX":
        close = np.round(_VIX_OVER_SPX * 100.0 * build(_SPX, seed).iv, 2)
    else:
        log_price = np.cumsum(steps)
        close = np.round(spot * np.exp(log_price - log_price[anchor]), 2)
        close = np.maximum(close, 0.05)
    before = np.concatenate((close[:1], close[:-1]))
    opened = np.round(before * np.exp(0.35 * daily * gap), 2)
    top, bottom = np.maximum(opened, close), np.minimum(opened, close)
    base = 6e7 * instrument.liquidity**2 * 100.0 / instrument.spot + 2e4
    return Path(
        open=opened,
        high=np.round(top * np.exp(0.4 * daily * np.abs(up)), 2),
        low=np.round(bottom * np.exp(-0.4 * daily * np.abs(down)), 2),
        close=close,
        volume=np.round(base * np.exp(0.3 * volume + 0.25 * np.abs(shock)), 0),
        iv=iv,
        iv_open=np.concatenate((iv[:1], iv[:-1])) * np.exp(0.02 * iv_open),
        hv=_rolling_volatility(close),
    )


def split(path: Path, ratio: float) -> Path:
    """The same history after a split into *ratio* new shares per old one, rewritten throughout."""
    prices = {name: np.round(getattr(path, name) / ratio, 4) for name in _PRICES}
    return replace(path, volume=np.round(path.volume * ratio), **prices)


def _volatility(shock: FloatArray, anchor: int, now: float, stretch: float) -> FloatArray:
    """Mean-reverting log volatility that equals *now* on the anchor day."""
    mean = float(np.log(now)) - stretch * _LOG_IV_SD
    scale = _LOG_IV_SD * float(np.sqrt(1.0 - _PERSISTENCE**2))
    moves: list[float] = (scale * shock).tolist()
    logs = [0.0] * len(moves)
    logs[anchor] = value = float(np.log(now))
    for i in range(anchor + 1, len(moves)):
        value = mean + _PERSISTENCE * (value - mean) + moves[i]
        logs[i] = value
    value = logs[anchor]
    # The process is reversible, so it may be run backwards; the sign keeps each day's change of
    # volatility opposed to that day's return.
    for i in range(anchor - 1, -1, -1):
        value = mean + _PERSISTENCE * (value - mean) - moves[i + 1]
        logs[i] = value
    return np.asarray(np.exp(np.array(logs)))


def _rolling_volatility(close: FloatArray) -> FloatArray:
    """Annualised standard deviation of the last thirty log returns, at every day."""
    returns = np.diff(np.log(close))
    windows = np.lib.stride_tricks.sliding_window_view(returns, HV_RETURNS)
    out = np.full(close.shape, np.nan)
    out[HV_RETURNS:] = windows.std(axis=1, ddof=1) * np.sqrt(_TRADING_DAYS)
    return out


def price_bars(path: Path, first: int, last: int) -> list[Bar]:
    """Daily price bars of the positions *first* to *last*, both included."""
    days = listings.trading_days()[first : last + 1].tolist()
    piece = slice(first, last + 1)
    columns = (path.open, path.high, path.low, path.close, path.volume)
    rows = zip(days, *(column[piece].tolist() for column in columns), strict=True)
    return [
        Bar(day, o, h, low, c, int(v), round((o + h + low + c) / 4.0, 3), int(v / 180) + 1)
        for day, o, h, low, c, v in rows
    ]


def volatility_bars(values: FloatArray, opened: FloatArray, first: int, last: int) -> list[Bar]:
    """Daily bars of a volatility series; days without a value are left out."""
    days = listings.trading_days()[first : last + 1].tolist()
    piece = slice(first, last + 1)
    closes, opens = values[piece].tolist(), opened[piece].tolist()
    return [
        Bar(day, o, max(o, c) * 1.004, min(o, c) * 0.996, c)
        for day, o, c in zip(days, opens, closes, strict=True)
        if c == c  # NaN where the window is not yet full
    ]
