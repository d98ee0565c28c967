"""
Quotes of one expiry of one class, all strikes at once.

A fair value comes from the surface; around it stand a bid and an ask whose distance grows with
vega, with depth in the money and with thin trading. Every random number is a hash of the contract
id and the seed, so that an option's quote does not depend on who asked for what before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from tomic._typing import BoolArray, FloatArray, IntArray
from tomic.models.documents import finite
from tomic.quant import american, black_scholes
from tomic.sim.market import Computation, Quote, listings, smiles
from tomic.sim.market.instruments import Instrument, OptionClass

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
        bid, ask, last = finite(self.bid[i]), float(self.ask[i]), finite(self.last[i])
        size = int(self.size[i])
        return Quote(
            bid=bid,
            ask=ask,
            last=last,
            close=finite(self.close[i]),
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


def build(
    setting: MarketState, rule: OptionClass, expiry: datetime, strike: FloatArray, con_id: IntArray
) -> Slice:
    """
    Price one expiry.

    Args:
        expiry: The moment at which the options stop living.
        strike: Strikes ascending, n of them.
        con_id: 2n contract ids, calls first.
    """
    lot = _Lot.of(setting, expiry, strike, con_id)
    shown = lot.sigma + _side_gap(setting, lot)
    terms = (lot.tau, smiles.RATE, lot.carry.div_yield)
    # Index options are European; those of shares and funds may be exercised at any time.
    style = black_scholes if setting.instrument.is_index else american
    fair = style.price(setting.spot, lot.strike, *terms, lot.sigma, lot.is_call)
    greeks = style.greeks(setting.spot, lot.strike, *terms, shown, lot.is_call)
    premium = fair - _european(setting, lot)
    bid, ask = _around(setting, rule, lot, fair, greeks.vega)
    volume, open_interest, size = _activity(setting, rule, expiry, lot)
    return Slice(
        strike=lot.strike,
        is_call=lot.is_call,
        fair=fair,
        sigma=shown,
        delta=greeks.delta,
        gamma=greeks.gamma,
        vega=greeks.vega,
        theta=greeks.theta,
        bid=bid,
        ask=ask,
        last=_last(setting, lot, fair, bid, ask, volume),
        close=_close(setting, expiry, lot, premium),
        premium=premium,
        size=size,
        volume=volume,
        open_interest=open_interest,
        pv_dividend=lot.carry.pv_dividend,
        spot=setting.spot,
    )


def activity(
    setting: MarketState, rule: OptionClass, expiry: datetime, strike: FloatArray, con_id: IntArray
) -> tuple[IntArray, IntArray]:
    """Volume and open interest of one expiry, calls first; arguments as :func:`build`."""
    return _activity(setting, rule, expiry, _Lot.of(setting, expiry, strike, con_id))[:2]


def past_value(
    setting: MarketState, expiry: datetime, strike: float, right: str, premium: float
) -> float:
    """
    Fair value of one option at an earlier moment, currency per share.

    Args:
        setting: The moment.
        premium: What early exercise is worth today; it is taken to have been the same then.
    """
    lot = _Lot.of(setting, expiry, np.array([strike]), np.zeros(2, np.int64))
    values = _at_least_intrinsic(setting, lot, _european(setting, lot) + premium)
    return float(values[0 if right == "C" else 1])


@dataclass(frozen=True, slots=True)
class _Lot:
    """Calls and puts of one expiry with what they are priced on."""

    strike: FloatArray
    is_call: BoolArray
    con_id: IntArray
    tau: float
    carry: smiles.Carry
    sigma: FloatArray
    """The true volatility, the same for call and put."""

    @classmethod
    def of(
        cls, setting: MarketState, expiry: datetime, strike: FloatArray, con_id: IntArray
    ) -> _Lot:
        tau = max(smiles.years(setting.now, expiry), _MIN_TAU)
        carry = smiles.carry(setting.instrument, setting.spot, setting.now, expiry)
        surface = smiles.Surface.of(setting.instrument, setting.iv30, setting.now.date())
        sigma = surface.sigma(np.log(strike / carry.forward), tau)
        is_call = np.repeat([True, False], len(strike))
        return cls(np.tile(strike, 2), is_call, con_id, tau, carry, np.tile(sigma, 2))


def _european(setting: MarketState, lot: _Lot) -> FloatArray:
    terms = (lot.tau, smiles.RATE, lot.carry.div_yield)
    return black_scholes.price(setting.spot, lot.strike, *terms, lot.sigma, lot.is_call)


def _at_least_intrinsic(setting: MarketState, lot: _Lot, value: FloatArray) -> FloatArray:
    if setting.instrument.is_index:
        return value
    side = np.where(lot.is_call, 1.0, -1.0)
    return np.maximum(value, side * (setting.spot - lot.strike))


def _side_gap(setting: MarketState, lot: _Lot) -> FloatArray:
    """Calls a little below and puts a little above the true volatility while the market trades."""
    if not setting.live:
        return np.zeros(lot.con_id.shape)
    gap = 0.0005 + 0.002 * noise(lot.con_id, setting.seed, 1)
    return np.where(lot.is_call, -gap, gap)


def _tick(instrument: Instrument, price: FloatArray) -> FloatArray:
    """Smallest step of a price: finer below 3.00 where the class quotes in nickels or dimes."""
    fine = {0.01: 0.01, 0.05: 0.01, 0.10: 0.05}[instrument.price_step]
    return np.where(price < _FINE_BELOW, fine, instrument.price_step)


def _around(
    setting: MarketState, rule: OptionClass, lot: _Lot, fair: FloatArray, vega: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Bid and ask around the fair value; no bid where nobody would pay a tick."""
    instrument, seed = setting.instrument, setting.seed
    thin = (3.0 if rule.odd else 1.0) * float(max(instrument.liquidity, 0.05) ** -_THINNESS)
    side = np.where(lot.is_call, 1.0, -1.0)
    inside = np.maximum(side * (setting.spot - lot.strike), 0.0)
    width = thin * (0.035 * vega * (1.0 + lot.tau) + 0.004 * inside + 0.00001 * setting.spot)
    width *= 0.7 + 0.8 * noise(lot.con_id, seed, 2)
    middle = fair + 0.3 * (noise(lot.con_id, seed, 3) - 0.5) * width
    tick = _tick(instrument, fair)
    # The nudge keeps a price that already is on the tick from being moved by rounding error.
    bid = np.floor((middle - 0.5 * width) / tick + 1e-9) * tick
    ask = np.ceil((middle + 0.5 * width) / tick - 1e-9) * tick
    ask = np.maximum(ask, np.maximum(bid, 0.0) + tick)
    bid = np.where(bid > 0.5 * tick, bid, np.nan)
    return np.round(bid, 4), np.round(ask, 4)


def _activity(
    setting: MarketState, rule: OptionClass, expiry: datetime, lot: _Lot
) -> tuple[IntArray, IntArray, IntArray]:
    """Volume, open interest and quote size: most near the money, on round strikes, in monthlies."""
    instrument, seed = setting.instrument, setting.seed
    distance = np.log(lot.strike / lot.carry.forward) / (lot.sigma * np.sqrt(lot.tau) + 0.01)
    # Interest gathers a little out of the money: above the forward in calls, below it in puts.
    distance = np.where(lot.is_call, distance, -distance) - 0.4
    shape = np.exp(-0.5 * (distance / 1.3) ** 2)
    is_round = lot.strike % (10.0 * rule.near_step) == 0.0
    monthly = 4.0 if expiry.date() == listings.third_friday(expiry.year, expiry.month) else 1.0
    scale = 2500.0 * instrument.liquidity**2 * monthly * (0.02 if rule.odd else 1.0)
    base = scale * shape * np.where(is_round, 3.0, 1.0)
    interest = base * (0.4 + 1.2 * noise(lot.con_id, seed, 4))
    # Old positions stay where the money once was; today's trading does not.
    traded = base * shape * (0.2 + 1.6 * noise(lot.con_id, seed, 5)) * 0.5 / (1.0 + 8.0 * lot.tau)
    size = 5.0 + 120.0 * instrument.liquidity * shape * noise(lot.con_id, seed, 6)
    return _whole(traded), _whole(interest), _whole(size)


def _whole(values: FloatArray) -> IntArray:
    return np.floor(values).astype(np.int64)


def _last(
    setting: MarketState,
    lot: _Lot,
    fair: FloatArray,
    bid: FloatArray,
    ask: FloatArray,
    volume: IntArray,
) -> FloatArray:
    """The last trade, somewhere between bid and ask; NaN where nothing traded today."""
    low = np.where(np.isnan(bid), 0.0, bid)
    tick = _tick(setting.instrument, fair)
    price = low + noise(lot.con_id, setting.seed, 7) * (ask - low)
    price = np.round(np.round(price / tick) * tick, 4)
    return np.where((volume > 0) & (price > 0.0), price, np.nan)


def _close(setting: MarketState, expiry: datetime, lot: _Lot, premium: FloatArray) -> FloatArray:
    """Fair value at the close of the session before, on the tick."""
    before = replace(
        setting, spot=setting.previous_spot, iv30=setting.previous_iv30, now=setting.previous
    )
    was = _Lot.of(before, expiry, lot.strike[: len(lot.strike) // 2], lot.con_id)
    fair = _at_least_intrinsic(before, was, _european(before, was) + premium)
    tick = _tick(setting.instrument, fair)
    return np.asarray(np.maximum(np.round(np.round(fair / tick) * tick, 4), tick))
