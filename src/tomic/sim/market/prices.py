"""
What the contracts of the model market cost: histories, volatility surfaces, quotes and bars.

The history of an underlying is fixed on the whole calendar and only *read* at a date, so that two
markets that start on different days agree on every day that both have seen. It passes through the
declared level on the anchor day and walks away from it in both directions.

The surface is free of static arbitrage: surface SVI with a power-law slope, Gatheral and Jacquier
(2014), "Arbitrage-free SVI volatility surfaces": no butterfly arbitrage while
``eta * (1 + |rho|) <= 2``, no calendar arbitrage while the at-the-money variance rises with time.
Total variance is a mean-reverting short variance integrated, plus the variance of an earnings move
once its day has passed.

Around a fair value of the surface stand a bid and an ask whose distance grows with vega, with depth
in the money and with thin trading. Every random number is a hash of the contract id and the seed,
so that an option's quote does not depend on who asked for what before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise

import numpy as np

from tomic._typing import BoolArray, FloatArray, IntArray
from tomic.quant import american, black_scholes, implied
from tomic.sim.market import Bar, Computation, Quote, listings
from tomic.sim.market.instruments import DEMO, Instrument, OptionClass
from tomic.sim.market.listings import Catalogue, generator

RATE = 0.045
"""Continuously compounded, all maturities."""
YEAR_DAYS = 365.0
_REVERSION = 4.0
_THIRTY_DAYS = 30.0 / YEAR_DAYS
_STEEPNESS = 0.75
# Far volatility leans towards its usual level: a stretched one slopes down.
_PULL = 0.1


def years(start: datetime, end: datetime) -> float:
    """Years from *start* to *end*, act/365, never negative."""
    return max((end - start).total_seconds() / 86_400.0, 0.0) / YEAR_DAYS


@dataclass(frozen=True, slots=True)
class CashDividend:
    """One cash dividend."""

    ex_day: date
    amount: float


def dividends(instrument: Instrument, spot: float, first: date, last: date) -> list[CashDividend]:
    """Cash dividends with an ex-day in (*first*, *last*], oldest first."""
    if not instrument.div_yield:
        return []
    amount = round(spot * instrument.div_yield / len(instrument.ex_months), 3)
    dividends_paid = []
    months = (last.year - first.year) * 12 + last.month - first.month + 1
    for year, month in listings.months_ahead(first, months):
        if month not in instrument.ex_months:
            continue
        # Funds that pay quarterly go ex on the third Friday, monthly ones on the first day.
        if len(instrument.ex_months) == 12:
            day = listings.on_or_after(date(year, month, 1))
        elif instrument.stock_type == "ETF":
            day = listings.on_or_after(listings.nth_weekday(year, month, 4, 3))
        else:
            day = listings.on_or_after(date(year, month, 9))
        if first < day <= last:
            dividends_paid.append(CashDividend(day, amount))
    return dividends_paid


@dataclass(frozen=True, slots=True)
class MarketCarry:
    """Forward and what it is made of, for one expiry."""

    forward: float
    div_yield: float
    """The continuous yield that gives the forward from `underlying`."""
    pv_dividend: float
    underlying: float
    """What the options are priced and hedged on: the spot, for a volatility index its future."""


def carry(instrument: Instrument, spot: float, now: datetime, expiry: datetime) -> MarketCarry:
    """Forward of *expiry* with the cash dividends in between; an index pays continuously."""
    tau = years(now, expiry)
    if instrument.is_future:
        # A future has no carry: what it costs to hold is in its price.
        return MarketCarry(spot, RATE, 0.0, spot)
    if instrument.is_index:
        if instrument.symbol == "VIX":
            future = volatility_future(spot, tau)
            return MarketCarry(future, RATE, 0.0, future)
        return MarketCarry(
            spot * float(np.exp((RATE - _INDEX_YIELD) * tau)), _INDEX_YIELD, 0.0, spot
        )
    paid = dividends(instrument, spot, now.date(), expiry.date())
    present = sum(
        d.amount * float(np.exp(-RATE * (d.ex_day - now.date()).days / YEAR_DAYS)) for d in paid
    )
    forward = (spot - present) * float(np.exp(RATE * tau))
    div_yield = RATE - float(np.log(forward / spot)) / tau if tau > 0.0 else 0.0
    return MarketCarry(forward, div_yield, present, spot)


def volatility_future(index: float, tau: float) -> float:
    """
    Future on a volatility index: its logarithm reverts to that of its usual level.

    Nobody can hold the index itself, so that no interest carries it to the future.

    Source: Gruenbichler and Longstaff (1996), of mean-reverting volatility; the half-life of two
    months and the level are about those of VIX futures.
    """
    weight = float(np.exp(-_VOLATILITY_REVERSION * tau))
    return float(_USUAL_VIX * (index / _USUAL_VIX) ** weight)


@dataclass(frozen=True, slots=True)
class Surface:
    """Total variance of one underlying over log moneyness and time."""

    short_variance: float
    long_variance: float
    rho: float
    eta: float
    event_day: date | None
    event_variance: float
    today: date

    @classmethod
    def of(cls, instrument: Instrument, iv30: float, today: date) -> Surface:
        """The surface whose 30-day at-the-money volatility is *iv30*."""
        usual = iv30 * float(np.exp(-_PULL * instrument.iv_stretch))
        long_vol = max(usual + instrument.slope * min(1.0, iv30 / 0.2), 0.35 * iv30)
        eta = min(_STEEPNESS, 1.98 / (1.0 + abs(instrument.skew)))
        event = instrument.earnings
        ahead = event is not None and event >= today
        jump = instrument.earnings_move**2 if ahead else 0.0
        target, far = iv30 * iv30 * _THIRTY_DAYS, long_vol * long_vol
        soon = ahead and event is not None and event < today + timedelta(days=30)
        calm = max(target - jump, 0.3 * target) if soon else target
        short = far + (calm - far * _THIRTY_DAYS) / _ramp(_THIRTY_DAYS)
        return cls(max(short, 0.05 * far), far, instrument.skew, eta, event, jump, today)

    def at_the_money(self, tau: float) -> float:
        """Total variance at the forward; rises with *tau*, zero at zero."""
        theta = self.long_variance * tau + (self.short_variance - self.long_variance) * _ramp(tau)
        end = self.today + timedelta(days=tau * YEAR_DAYS)
        passed = self.event_day is not None and end > self.event_day
        return theta + (self.event_variance if passed else 0.0)

    def sigma(self, log_moneyness: FloatArray, tau: float) -> FloatArray:
        """
        Implied volatility, a fraction.

        Args:
            log_moneyness: log(strike / forward).
            tau: Years to expiry, positive.
        """
        theta = self.at_the_money(tau)
        phi = self.eta / np.sqrt(theta * (1.0 + theta))
        scaled = phi * log_moneyness
        root = np.sqrt((scaled + self.rho) ** 2 + 1.0 - self.rho**2)
        variance = 0.5 * theta * (1.0 + self.rho * scaled + root)
        return np.asarray(np.sqrt(variance / tau))


def _ramp(tau: float) -> float:
    """Integral of exp(-reversion * t) from 0 to *tau*."""
    return (1.0 - float(np.exp(-_REVERSION * tau))) / _REVERSION


_INDEX_YIELD = 0.0125
_USUAL_VIX, _VOLATILITY_REVERSION = 20.0, 4.2

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
class History:
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
    if instrument.sec_type == "STK" and instrument.spot > 100.0:
        # Kept off whole points, so that no strike sits exactly ten points away.
        spot = np.floor(spot) + round(float(np.clip(spot % 1.0, 0.11, 0.89)), 2)
    return round(float(spot), 2), instrument.iv30 * float(np.exp(0.03 * np.clip(own[1], -2.0, 2.0)))


def history(instrument: Instrument, seed: int) -> History:
    """The daily series of *instrument*, from its name and the seed."""
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
        close = np.round(_VIX_OVER_SPX * 100.0 * history(_SPX, seed).iv, 2)
    else:
        log_price = np.cumsum(steps)
        close = np.round(spot * np.exp(log_price - log_price[anchor]), 2)
        close = np.maximum(close, 0.05)
    before = np.concatenate((close[:1], close[:-1]))
    opened = np.round(before * np.exp(0.35 * daily * gap), 2)
    top, bottom = np.maximum(opened, close), np.minimum(opened, close)
    base = 6e7 * instrument.liquidity**2 * 100.0 / instrument.spot + 2e4
    return History(
        open=opened,
        high=np.round(top * np.exp(0.4 * daily * np.abs(up)), 2),
        low=np.round(bottom * np.exp(-0.4 * daily * np.abs(down)), 2),
        close=close,
        volume=np.round(base * np.exp(0.3 * volume + 0.25 * np.abs(shock)), 0),
        iv=iv,
        iv_open=np.concatenate((iv[:1], iv[:-1])) * np.exp(0.02 * iv_open),
        hv=_rolling_volatility(close),
    )


def split(path: History, ratio: float) -> History:
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


def price_bars(path: History, first: int, last: int) -> list[Bar]:
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


_MIN_TAU = 1.0 / (365.0 * 24.0)
_FINE_BELOW = 3.0
_THINNESS = 1.5


@dataclass(frozen=True, slots=True)
class MarketState:
    """What all expiries of an underlying share at one moment."""

    instrument: Instrument
    spot: float
    previous_spot: float
    """Close of the session before."""
    iv30: float
    previous_iv30: float
    now: datetime
    previous: datetime
    """Close of the session before."""
    seed: int
    live: bool
    """Whether the market trades; calls and puts then carry slightly different volatility."""


@dataclass(frozen=True, slots=True)
class Slice:
    """
    One expiry: calls first, then puts, strikes ascending; every array has one element per option.

    Prices are currency per share, NaN where there is none.
    """

    strike: FloatArray
    is_call: BoolArray
    fair: FloatArray
    sigma: FloatArray
    """The volatility that IB's model would show."""
    delta: FloatArray
    gamma: FloatArray
    vega: FloatArray
    theta: FloatArray
    bid: FloatArray
    ask: FloatArray
    last: FloatArray
    close: FloatArray
    size: IntArray
    volume: IntArray
    open_interest: IntArray
    premium: FloatArray
    """What early exercise is worth."""
    pv_dividend: float
    spot: float

    def quote(self, i: int) -> Quote:
        """The quote of the *i*-th option."""
        bid, ask, last = _number(self.bid[i]), float(self.ask[i]), _number(self.last[i])
        size = int(self.size[i])
        return Quote(
            bid=bid,
            ask=ask,
            last=last,
            close=_number(self.close[i]),
            bid_size=size if bid is not None else None,
            ask_size=size + size % 7 + 1,
            last_size=1 + size % 5 if last is not None else None,
            volume=int(self.volume[i]),
            open_interest=int(self.open_interest[i]),
            model=self.computation(i, float(self.fair[i])),
            bid_model=None if bid is None else self.computation(i, bid),
            ask_model=self.computation(i, ask),
            last_model=None if last is None else self.computation(i, last),
        )

    def computation(self, i: int, price: float) -> Computation:
        """The Greeks tick that belongs to *price*: volatility moved by what the price is off."""
        vega = float(self.vega[i])
        off = (price - float(self.fair[i])) / vega * 0.01 if vega > 1e-3 else 0.0
        return Computation(
            iv=max(float(self.sigma[i]) + off, 0.001),
            delta=float(self.delta[i]),
            price=price,
            pv_dividend=self.pv_dividend,
            gamma=float(self.gamma[i]),
            vega=vega,
            theta=float(self.theta[i]),
            underlying=self.spot,
        )


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def noise(con_id: IntArray, seed: int, stream: int) -> FloatArray:
    """
    Uniform numbers in [0, 1), one per contract, the same on every call.

    Source: the finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
    """
    offset = (seed * 1009 + stream) * 0x9E3779B97F4A7C15 % (1 << 64)
    with np.errstate(over="ignore"):
        z = con_id.astype(np.uint64) + np.uint64(offset)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return np.asarray((z >> np.uint64(11)).astype(np.float64) / float(1 << 53))


@dataclass(frozen=True, slots=True)
class Strip:
    """Calls and puts of one expiry with what they are priced on; arrays as in :class:`Slice`."""

    setting: MarketState
    rule: OptionClass
    expiry: datetime
    strike: FloatArray
    is_call: BoolArray
    con_id: IntArray
    tau: float
    carry: MarketCarry
    sigma: FloatArray
    """The true volatility, the same for call and put."""

    @classmethod
    def of(
        cls,
        setting: MarketState,
        rule: OptionClass,
        expiry: datetime,
        strike: FloatArray,
        con_id: IntArray,
    ) -> Strip:
        """
        Options of one expiry at one moment.

        Args:
            expiry: The moment at which the options stop living.
            strike: Strikes ascending, n of them.
            con_id: 2n contract ids, calls first.
        """
        tau = max(years(setting.now, expiry), _MIN_TAU)
        forward = carry(setting.instrument, setting.spot, setting.now, expiry)
        surface = Surface.of(setting.instrument, setting.iv30, setting.now.date())
        sigma = np.tile(surface.sigma(np.log(strike / forward.forward), tau), 2)
        is_call = np.repeat([True, False], len(strike))
        both = np.tile(strike, 2)
        return cls(setting, rule, expiry, both, is_call, con_id, tau, forward, sigma)


def price_slice(strip: Strip) -> Slice:
    """Price one expiry."""
    setting = strip.setting
    shown = strip.sigma + _side_gap(strip)
    terms = (strip.tau, RATE, strip.carry.div_yield)
    # Index options are European; those of shares and funds may be exercised at any time.
    is_european = setting.instrument.is_index or setting.instrument.is_future
    style = black_scholes if is_european else american
    under = strip.carry.underlying
    fair = style.price(under, strip.strike, *terms, strip.sigma, strip.is_call)
    greeks = style.greeks(under, strip.strike, *terms, shown, strip.is_call)
    premium = fair - _european(strip)
    bid, ask = _around(strip, fair, greeks.vega)
    volume, open_interest, size = activity(strip)
    return Slice(
        strike=strip.strike,
        is_call=strip.is_call,
        fair=fair,
        sigma=shown,
        delta=greeks.delta,
        gamma=greeks.gamma,
        vega=greeks.vega,
        theta=greeks.theta,
        bid=bid,
        ask=ask,
        last=_last(strip, fair, bid, ask, volume),
        close=_close(strip, premium),
        premium=premium,
        size=size,
        volume=volume,
        open_interest=open_interest,
        pv_dividend=strip.carry.pv_dividend,
        spot=under,
    )


def past_value(
    setting: MarketState,
    rule: OptionClass,
    expiry: datetime,
    strike: float,
    right: str,
    premium: float,
) -> float:
    """
    Fair value of one option at an earlier moment, currency per share.

    Args:
        setting: The moment.
        premium: What early exercise is worth today; it is taken to have been the same then.
    """
    strip = Strip.of(setting, rule, expiry, np.array([strike]), np.zeros(2, np.int64))
    values = _at_least_intrinsic(strip, _european(strip) + premium)
    return float(values[0 if right == "C" else 1])


def _european(strip: Strip) -> FloatArray:
    terms = (strip.tau, RATE, strip.carry.div_yield)
    under = strip.carry.underlying
    return black_scholes.price(under, strip.strike, *terms, strip.sigma, strip.is_call)


def _at_least_intrinsic(strip: Strip, value: FloatArray) -> FloatArray:
    if strip.setting.instrument.is_index or strip.setting.instrument.is_future:
        return value
    side = np.where(strip.is_call, 1.0, -1.0)
    return np.maximum(value, side * (strip.setting.spot - strip.strike))


def _side_gap(strip: Strip) -> FloatArray:
    """Calls a little below and puts a little above the true volatility while the market trades."""
    if not strip.setting.live:
        return np.zeros(strip.con_id.shape)
    gap = 0.0005 + 0.002 * noise(strip.con_id, strip.setting.seed, 1)
    return np.where(strip.is_call, -gap, gap)


def _tick(instrument: Instrument, price: FloatArray) -> FloatArray:
    """Smallest step of a price: finer below 3.00 where the class quotes in nickels or dimes."""
    fine = {0.01: 0.01, 0.05: 0.01, 0.10: 0.05}[instrument.price_step]
    return np.where(price < _FINE_BELOW, fine, instrument.price_step)


def _around(strip: Strip, fair: FloatArray, vega: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Bid and ask around the fair value; no bid where nobody would pay a tick."""
    setting, instrument, seed = strip.setting, strip.setting.instrument, strip.setting.seed
    thin = (3.0 if strip.rule.odd else 1.0) * float(max(instrument.liquidity, 0.05) ** -_THINNESS)
    side = np.where(strip.is_call, 1.0, -1.0)
    inside = np.maximum(side * (strip.carry.underlying - strip.strike), 0.0)
    width = thin * (0.035 * vega * (1.0 + strip.tau) + 0.004 * inside + 0.00001 * setting.spot)
    width *= 0.7 + 0.8 * noise(strip.con_id, seed, 2)
    middle = fair + 0.3 * (noise(strip.con_id, seed, 3) - 0.5) * width
    tick = _tick(instrument, fair)
    # The nudge keeps a price that already is on the tick from being moved by rounding error.
    bid = np.floor((middle - 0.5 * width) / tick + 1e-9) * tick
    ask = np.ceil((middle + 0.5 * width) / tick - 1e-9) * tick
    ask = np.maximum(ask, np.maximum(bid, 0.0) + tick)
    bid = np.where(bid > 0.5 * tick, bid, np.nan)
    return np.round(bid, 4), np.round(ask, 4)


def activity(strip: Strip) -> tuple[IntArray, IntArray, IntArray]:
    """Volume, open interest and quote size: most near the money, on round strikes, in monthlies."""
    instrument, seed = strip.setting.instrument, strip.setting.seed
    rule, expiry, tau = strip.rule, strip.expiry, strip.tau
    distance = np.log(strip.strike / strip.carry.forward) / (strip.sigma * np.sqrt(tau) + 0.01)
    # Interest gathers a little out of the money: above the forward in calls, below it in puts.
    distance = np.where(strip.is_call, distance, -distance) - 0.4
    shape = np.exp(-0.5 * (distance / 1.3) ** 2)
    is_round = strip.strike % (10.0 * rule.near_step) == 0.0
    monthly = 4.0 if expiry.date() == listings.third_friday(expiry.year, expiry.month) else 1.0
    scale = 2500.0 * instrument.liquidity**2 * monthly * (0.02 if rule.odd else 1.0)
    base = scale * shape * np.where(is_round, 3.0, 1.0)
    interest = base * (0.4 + 1.2 * noise(strip.con_id, seed, 4))
    # Old positions stay where the money once was; today's trading does not.
    traded = base * shape * (0.2 + 1.6 * noise(strip.con_id, seed, 5)) * 0.5 / (1.0 + 8.0 * tau)
    size = 5.0 + 120.0 * instrument.liquidity * shape * noise(strip.con_id, seed, 6)
    return _whole(traded), _whole(interest), _whole(size)


def _whole(values: FloatArray) -> IntArray:
    return np.floor(values).astype(np.int64)


def _last(
    strip: Strip, fair: FloatArray, bid: FloatArray, ask: FloatArray, volume: IntArray
) -> FloatArray:
    """The last trade, somewhere between bid and ask; NaN where nothing traded today."""
    low = np.where(np.isnan(bid), 0.0, bid)
    tick = _tick(strip.setting.instrument, fair)
    price = low + noise(strip.con_id, strip.setting.seed, 7) * (ask - low)
    price = np.round(np.round(price / tick) * tick, 4)
    return np.where((volume > 0) & (price > 0.0), price, np.nan)


def _close(strip: Strip, premium: FloatArray) -> FloatArray:
    """Fair value at the close of the session before, on the tick."""
    setting = strip.setting
    before = replace(
        setting, spot=setting.previous_spot, iv30=setting.previous_iv30, now=setting.previous
    )
    half = strip.strike[: len(strip.strike) // 2]
    was = Strip.of(before, strip.rule, strip.expiry, half, strip.con_id)
    fair = _at_least_intrinsic(was, _european(was) + premium)
    tick = _tick(setting.instrument, fair)
    return np.asarray(np.maximum(np.round(np.round(fair / tick) * tick, 4), tick))


_PRICE_SERIES = frozenset({"TRADES", "MIDPOINT", "BID", "ASK", "ADJUSTED_LAST", "BID_ASK"})
_OPTION_HISTORY_DAYS = 60


class QuoteBoard:
    """
    Quotes and bars, fixed at one moment.

    Args:
        start: Aware. Outside a session everything stands at the last session's close.
        splits: New shares per old one, by symbol.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        seed: int,
        start: datetime,
        splits: Mapping[str, float],
    ) -> None:
        self._seed, self._splits = seed, splits
        local = start.astimezone(listings.NEW_YORK)
        self.day = _last_session(local)
        self._session = _day(self.day)
        end = listings.moment(self._session, listings.close_time(self._session))
        self.live = local < end
        self.quoted_at = min(local, end)
        self._tape: dict[str, History] = {}
        self._slices: dict[tuple[str, str, date], tuple[Slice, dict[int, int]]] = {}
        self._quotes: dict[str, Quote] = {}
        self.catalogue = Catalogue(instruments, local, self.level, seed)

    @property
    def built(self) -> tuple[str, ...]:
        """Underlyings whose history has been generated."""
        return tuple(self._tape)

    def path(self, instrument: Instrument) -> History:
        """The daily history of an underlying."""
        path = self._tape.get(instrument.symbol)
        if path is None:
            path = history(instrument, self._seed)
            ratio = self._splits.get(instrument.symbol, 1.0)
            if ratio != 1.0:
                path = split(path, ratio)
            self._tape[instrument.symbol] = path
        return path

    def level(self, instrument: Instrument) -> tuple[float, float]:
        """Spot and 30-day implied volatility."""
        path = self.path(instrument)
        return float(path.close[self.day]), float(path.iv[self.day])

    def setting(self, instrument: Instrument, day: int | None = None) -> MarketState:
        """What options are priced on, now or at the close of an earlier day."""
        now = self.quoted_at
        if instrument.venue is not None:
            # Where the session was over before New York's, everything stands at its close.
            now = min(now, listings.venue_session(instrument.venue, self._session)[1])
        if day is not None and day != self.day:
            now = _close_of(day)
        at = self.day if day is None else day
        path = self.path(instrument)
        return MarketState(
            instrument=instrument,
            spot=float(path.close[at]),
            previous_spot=float(path.close[at - 1]),
            iv30=float(path.iv[at]),
            previous_iv30=float(path.iv[at - 1]),
            now=now,
            previous=_close_of(at - 1),
            seed=self._seed,
            live=self.live,
        )

    def slice_of(
        self, instrument: Instrument, rule: OptionClass, expiry: date
    ) -> tuple[Slice, dict[int, int]]:
        """All quotes of one class and expiry, and where each contract id stands in them."""
        key = (instrument.symbol, rule.name, expiry)
        known = self._slices.get(key)
        if known is None:
            strip = self._strip(self.setting(instrument), rule, expiry)
            places = {con_id: i for i, con_id in enumerate(strip.con_id.tolist())}
            known = price_slice(strip), places
            self._slices[key] = known
        return known

    def _strip(self, setting: MarketState, rule: OptionClass, expiry: date) -> Strip:
        instrument = setting.instrument
        strike = np.array(self.catalogue.strikes(instrument, rule, expiry))
        ids = self.catalogue.ids(instrument, rule, expiry, strike)
        end = listings.settlement(rule, expiry, instrument.venue)
        return Strip.of(setting, rule, end, strike, ids)

    def price_ahead(self, instrument: Instrument) -> Iterator[date]:
        """Price and describe every option of *instrument* now, yielding each expiry when done."""
        self.underlying_quote(instrument)
        for rule in instrument.classes:
            for expiry in self.catalogue.expiries(rule, instrument):
                self.slice_of(instrument, rule, expiry)
                self.catalogue.options(instrument, rule, expiry)
                yield expiry

    def option_quote(self, con_id: int) -> Quote | None:
        """Quote of an option, None when there is no such contract."""
        kind = self.catalogue.option_class(con_id)
        if kind is None:
            return None
        built, position = self.slice_of(*kind)
        return built.quote(position[con_id])

    def fair(self, con_id: int) -> float:
        """Model value of any contract, currency per share."""
        instrument = self.catalogue.underlying_of(con_id)
        if instrument is not None:
            return self.level(instrument)[0]
        kind = self.catalogue.option_class(con_id)
        if kind is None:
            raise ValueError(f"no contract {con_id} in this market")
        built, position = self.slice_of(*kind)
        return float(built.fair[position[con_id]])

    def calculate(
        self,
        con_id: int,
        now: datetime,
        under_price: float,
        *,
        price: float | None,
        volatility: float | None,
    ) -> Computation | None:
        """
        An option's price at a volatility, or the volatility behind its price, and its Greeks.

        None where no volatility gives that price.
        """
        kind = self.catalogue.option_class(con_id)
        if kind is None or (price is None) == (volatility is None):
            return None
        instrument, rule, expiry = kind
        listing = self.catalogue.listing(con_id)
        if listing is None:
            return None
        end = listings.settlement(rule, expiry, instrument.venue)
        paid = carry(instrument, under_price, now, end)
        model = black_scholes if instrument.is_index else american
        solve = implied.implied_vol if instrument.is_index else american.implied_vol
        terms = (under_price, listing.strike, years(now, end), RATE, paid.div_yield)
        is_call = listing.right == "C"
        sigma = volatility
        if price is not None:
            sigma = float(solve(price, *terms, is_call))
        if sigma is None or not 0.0 < sigma < 100.0:
            return None
        greeks = model.greeks(*terms, sigma, is_call)
        return Computation(
            iv=sigma,
            delta=float(greeks.delta),
            price=float(greeks.price),
            pv_dividend=paid.pv_dividend,
            gamma=float(greeks.gamma),
            vega=float(greeks.vega),
            theta=float(greeks.theta),
            underlying=under_price,
        )

    def underlying_quote(self, instrument: Instrument) -> Quote:
        """Quote of a share, fund or index."""
        quote = self._quotes.get(instrument.symbol)
        if quote is None:
            quote = self._underlying_quote(instrument)
            self._quotes[instrument.symbol] = quote
        return quote

    def _underlying_quote(self, instrument: Instrument) -> Quote:
        path, day = self.path(instrument), self.day
        spot, iv30 = self.level(instrument)
        half = max(0.01, round(spot * 0.00002 / instrument.liquidity, 2))
        sums = self._option_activity(instrument)
        seasoned = day >= self._first_day(instrument) + HV_RETURNS
        quote = Quote(
            last=spot,
            close=float(path.close[day - 1]),
            open=float(path.open[day]),
            high=float(path.high[day]),
            low=float(path.low[day]),
            historical_volatility=float(path.hv[day]) if seasoned else None,
            implied_volatility=iv30,
            call_volume=sums[0],
            put_volume=sums[1],
            call_open_interest=sums[2],
            put_open_interest=sums[3],
        )
        if instrument.is_index:
            return quote
        return replace(
            quote,
            bid=round(spot - half, 2),
            ask=round(spot + half, 2),
            bid_size=int(200 + 900 * instrument.liquidity),
            ask_size=int(300 + 700 * instrument.liquidity),
            last_size=100,
            volume=int(path.volume[day]),
            dividends=self._dividends(instrument, spot),
        )

    def _option_activity(self, instrument: Instrument) -> tuple[int, int, int, int]:
        """Call and put volume, call and put open interest, over all options of an underlying."""
        totals = np.zeros(4, np.int64)
        setting = self.setting(instrument)
        for rule in instrument.classes:
            for expiry in self.catalogue.expiries(rule, instrument):
                volume, interest, _ = activity(self._strip(setting, rule, expiry))
                n = len(volume) // 2
                parts = (volume[:n], volume[n:], interest[:n], interest[n:])
                totals += np.array([part.sum() for part in parts])
        calls, puts, call_interest, put_interest = totals.tolist()
        return calls, puts, call_interest, put_interest

    def _dividends(self, instrument: Instrument, spot: float) -> str | None:
        """Past and next twelve months, next ex-day and amount; None where nothing is paid."""
        today = self._session
        year = timedelta(days=365)
        ahead = dividends(instrument, spot, today, today + year)
        past = dividends(instrument, spot, today - year, today)
        if not ahead:
            return None
        sums = [round(sum(d.amount for d in paid), 3) for paid in (past, ahead)]
        return f"{sums[0]},{sums[1]},{ahead[0].ex_day:%Y%m%d},{ahead[0].amount}"

    def bars(self, con_id: int, what: str, days: int, end: datetime) -> list[Bar] | None:
        """Daily bars up to *end*, None where IB has no such series."""
        last = min(self.day, _last_session(end.astimezone(listings.NEW_YORK)))
        first = last - days + 1
        instrument = self.catalogue.underlying_of(con_id)
        if instrument is None:
            return self._option_bars(con_id, what, max(first, last - _OPTION_HISTORY_DAYS), last)
        first = max(first, self._first_day(instrument))
        path = self.path(instrument)
        if what == "OPTION_IMPLIED_VOLATILITY":
            return volatility_bars(path.iv, path.iv_open, first, last)
        if what == "HISTORICAL_VOLATILITY":
            first = max(first, self._first_day(instrument) + HV_RETURNS)
            return volatility_bars(path.hv, path.hv, first, last)
        if what not in _PRICE_SERIES:
            return None
        bars = price_bars(path, first, last)
        if what not in ("TRADES", "ADJUSTED_LAST") or instrument.is_index:
            return [replace(bar, volume=-1, average=-1.0, count=-1) for bar in bars]
        return bars

    @staticmethod
    def _first_day(instrument: Instrument) -> int:
        return 0 if instrument.listed is None else listings.day_index(instrument.listed)

    def _option_bars(self, con_id: int, what: str, first: int, last: int) -> list[Bar] | None:
        """Fair values at the close of each day; trades only where the option trades at all."""
        kind = self.catalogue.option_class(con_id)
        if kind is None or what not in _PRICE_SERIES:
            return None
        instrument, rule, expiry = kind
        listing = self.catalogue.options(instrument, rule, expiry)[con_id]
        built, position = self.slice_of(instrument, rule, expiry)
        i = position[con_id]
        if what == "TRADES" and not built.volume[i]:
            return []
        end = listings.settlement(rule, expiry, instrument.venue)
        premium = float(built.premium[i])
        settings = (self.setting(instrument, day) for day in range(first - 1, last + 1))
        values = [
            past_value(setting, rule, end, listing.strike, listing.right, premium)
            for setting in settings
        ]
        bars = []
        for day, (before, value) in enumerate(pairwise(values), start=first):
            high, low = max(before, value) * 1.02, min(before, value) * 0.98
            opened, top, bottom, closed = (round(x, 4) for x in (before, high, low, value))
            bars.append(Bar(_day(day), opened, top, bottom, closed))
        return bars


def shared_board(
    instruments: Sequence[Instrument], seed: int, start: datetime, splits: Mapping[str, float]
) -> QuoteBoard:
    """
    The board of these arguments: of one moment everybody sees the same prices, computed once.

    A board only remembers what follows from its arguments, so markets may stand on the same one.
    """
    return _remembered(tuple(instruments), seed, start, tuple(sorted(splits.items())))


@lru_cache(maxsize=8)
def _remembered(
    instruments: tuple[Instrument, ...],
    seed: int,
    start: datetime,
    splits: tuple[tuple[str, float], ...],
) -> QuoteBoard:
    return QuoteBoard(instruments, seed, start, dict(splits))


def _day(index: int) -> date:
    day: date = listings.trading_days()[index].item()
    return day


def _close_of(index: int) -> datetime:
    day = _day(index)
    return listings.moment(day, listings.close_time(day))


def _last_session(local: datetime) -> int:
    """Position of the last trading day whose session has begun at *local*."""
    index = listings.day_index(local.date())
    day = _day(index)
    if day == local.date() and local < listings.moment(day, listings.STOCK_LIQUID.opens):
        return index - 1
    return index
