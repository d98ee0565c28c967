"""A chain made ready for the search: prices, Greeks, liquidity, and what each expiry expects."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tomic import valuation
from tomic._typing import BoolArray, FloatArray, IntArray
from tomic.chain import Chain
from tomic.config import Settings, ViewSettings
from tomic.errors import UsageError
from tomic.models import Carry, PriceSource, RowStatus, VolSnapshot, normalize_symbol
from tomic.quant import (
    black_scholes,
    density,
    exercise_table,
    implied,
    later_expiries,
    parity,
    smile,
)
from tomic.quant.later_expiries import LaterExpiry
from tomic.quant.smile import Smile
from tomic.strategies import ticks
from tomic.strategies.pricing import outlooks, term
from tomic.strategies.pricing.outlooks import Densities, NearMoney, Outlook
from tomic.strategies.pricing.term import PricedEvent

SOURCES = (PriceSource.TRUE, PriceSource.PARITY, PriceSource.MODEL, PriceSource.CLOSE)
"""The ladder; codes in arrays are places in it, -1 where there is no price."""

_TICK = 1e-9


class Prices(NamedTuple):
    """Prices of all rows, (m,), currency per share."""

    price: FloatArray
    """NaN where nothing on the ladder gives one."""
    source: NDArray[np.int8]
    """Place in `SOURCES`, -1 without a price."""
    half_spread: FloatArray
    """Half of ask less bid; where a side is missing, the widest that the rules would accept."""


def is_quoted(bid: FloatArray, ask: FloatArray) -> BoolArray:
    """Whether bid and ask make a market: both there, the bid positive, not crossed."""
    return np.asarray((bid > 0.0) & (ask >= bid) & np.isfinite(ask), dtype=np.bool_)


def ladder(
    bid: FloatArray,
    ask: FloatArray,
    close: FloatArray,
    parity: FloatArray,
    model: FloatArray,
    *,
    max_spread: float,
    max_spread_points: float,
) -> Prices:
    """
    Price every row on the first rung that holds: mid, put-call parity, the smile, the close.

    Args:
        bid, ask, close: As quoted; NaN where missing.
        parity: What the other right at the same strike implies; NaN without its own quotes.
        model: Value at the smile; NaN where its expiry has none.
        max_spread, max_spread_points: Widest spread accepted, as a share of the price and in
            points; charged where bid or ask is missing.
    """
    rungs = (
        np.where(is_quoted(bid, ask), 0.5 * (bid + ask), np.nan),
        np.where(parity > _TICK, parity, np.nan),
        np.where(model > _TICK, model, np.nan),
        np.where(close > 0.0, close, np.nan),
    )
    price = np.full(bid.shape, np.nan)
    source = np.full(bid.shape, -1, dtype=np.int8)
    for place, rung in enumerate(rungs):
        fills = np.isnan(price) & np.isfinite(rung)
        price[fills], source[fills] = rung[fills], place
    known = (bid >= 0.0) & (ask >= bid) & np.isfinite(ask)
    widest = np.maximum(max_spread * price, max_spread_points)
    half = 0.5 * np.where(known, ask - bid, widest)
    return Prices(price, source, half)


PREMIUM_YIELD_STEP = 0.0025
PREMIUM_TAU = (2.0 / 365.0, 2.5)
PREMIUM_SIGMA = (0.05, 2.0)
"""What the tables of early-exercise premiums span; beyond it their edges hold."""


def premiums(
    spot: float,
    strike: FloatArray,
    tau: FloatArray,
    rate: float,
    div_yield: float,
    sigma: FloatArray,
    is_call: BoolArray,
) -> FloatArray:
    """
    Early-exercise premiums of American options by interpolation, currency per share, (n,).

    One table a side serves all expiries; yields are rounded to a quarter of a per cent, so that
    symbols share tables. Good to a tenth of a cent at a spot of 500, next to that rounding.
    """
    near = round(div_yield / PREMIUM_YIELD_STEP) * PREMIUM_YIELD_STEP
    premium = np.zeros(strike.shape)
    for call in (False, True):
        side = np.flatnonzero(is_call == call)
        # A call is the put with rate and yield, price and strike exchanged.
        early, late = (near, rate) if call else (rate, near)
        table = exercise_table.build(PREMIUM_TAU, early, late, PREMIUM_SIGMA) if side.size else None
        if table is None:
            continue
        k, years, vol = strike[side], tau[side], sigma[side]
        terms = table.terms(years[:, None], vol[:, None])
        log_ratio = np.log(spot / k)
        place = (-log_ratio if call else log_ratio) * terms.rise[:, 0, 0] + terms.shift[:, 0, 0]
        power, value = np.clip(place, -1.0, 1.0), np.zeros(side.size)
        for coefficient in terms.coefficient[::-1, :, 0, 0]:
            value = value * power + coefficient
        value *= spot if call else k
        due = np.flatnonzero(place <= -1.0)
        if due.size:
            european = black_scholes.price(spot, k[due], years[due], rate, near, vol[due], call)
            value[due] = np.maximum(spot - k[due] if call else k[due] - spot, 0.0) - european
        premium[side] = np.maximum(value, 0.0)
    return premium


@dataclass(frozen=True, eq=False)
class Board:
    """
    One chain, priced. Arrays are one element a chain row, (m,); ``outlooks`` by expiry.

    Expiries without an outlook are in ``blind`` with the reason; those that have quotes but no
    smile that fits them, in ``unfit`` too.
    """

    chain: Chain
    vol: VolSnapshot
    settings: Settings
    prices: Prices
    listed: BoolArray
    """Rows that exist and have time left."""
    delta: FloatArray
    gamma: FloatArray
    vega: FloatArray
    theta: FloatArray
    iv: FloatArray
    forward: FloatArray
    """Of each row's expiry, currency per share; NaN where nothing implies it."""
    rate: FloatArray
    """To each row's expiry, as the options imply it or the settings say, fraction per year."""
    div_yield: FloatArray
    """What carries spot to the forward of each row's expiry, fraction per year; NaN without one."""
    on_forward: bool
    """Whether Greeks are per 1.00 of the forward; see `tomic.valuation.is_on_forward`."""
    value: FloatArray
    """At the smile, early exercise included."""
    value_error: FloatArray
    doubted: FloatArray
    """What an expected value leaves of price less value, currency per share; 0 without a value."""
    doubt: FloatArray
    """Standard error of what it keeps, from the quote's own, currency per share."""
    liquidity: FloatArray
    """Of each row, in (0, 1]."""
    outlooks: Mapping[dt.date, Outlook]
    blind: Mapping[dt.date, str]
    unfit: Mapping[dt.date, str]
    notes: tuple[str, ...] = ()
    _sides: dict[tuple[dt.date, str], IntArray] = field(default_factory=dict, repr=False)
    _later: dict[tuple[dt.date, dt.date], LaterExpiry] = field(default_factory=dict, repr=False)

    @property
    def price(self) -> FloatArray:
        """Price of each row by the ladder, currency per share."""
        return self.prices.price

    @property
    def spot(self) -> float:
        """Price of the underlying."""
        return self.chain.spot.price

    @cached_property
    def strike(self) -> FloatArray:
        """Strikes, currency per share."""
        return np.asarray(self.chain["strike"], dtype=np.float64)

    @cached_property
    def row_of(self) -> Mapping[tuple[dt.date, float, str], int]:
        """Row by expiry, strike and right."""
        chain = self.chain
        days = chain["expiry"].astype("datetime64[D]").tolist()
        keys = zip(days, self.strike.tolist(), chain["right"].tolist(), strict=True)
        return {key: row for row, key in enumerate(keys)}

    @cached_property
    def tick(self) -> float:
        """The smallest step in which this chain is quoted, currency per share."""
        quoted = np.concatenate((self.chain["bid"], self.chain["ask"]))
        return ticks.step_of(quoted[np.isfinite(quoted) & (quoted > 0.0)])

    @cached_property
    def volatility_slope(self) -> FloatArray:
        """
        By row d value / d ln sigma, by `Outlook.bumped`, currency per share.

        Of values in today's money at the row's own expiry; NaN where nothing is known of that.
        """
        slope, expiry = np.full(len(self.chain), np.nan), self.chain["expiry"]
        for day, outlook in self.outlooks.items():
            rows = np.flatnonzero(expiry == np.datetime64(day))
            strike, is_call = self.strike[rows], self.chain.is_call[rows]
            low, high = (
                np.where(is_call, law.call_value(strike), law.put_value(strike))
                for law in outlook.bumped
            )
            slope[rows] = outlook.discount * (high - low) / (2.0 * outlooks.BUMP)
        return slope

    @cached_property
    def expected(self) -> FloatArray:
        """By row the value under the market's density, today's money per share; NaN without one."""
        value, expiry = np.full(len(self.chain), np.nan), self.chain["expiry"]
        for day, outlook in self.outlooks.items():
            rows = np.flatnonzero(expiry == np.datetime64(day))
            strike, law = self.strike[rows], outlook.market
            ends = np.where(self.chain.is_call[rows], law.call_value(strike), law.put_value(strike))
            value[rows] = outlook.discount * ends
        return value

    @cached_property
    def events(self) -> tuple[PricedEvent, ...]:
        """The events that its smiles price, those of known dates first."""
        levels = {
            day: term.Level(outlook.tau, outlook.atm_iv) for day, outlook in self.outlooks.items()
        }
        earnings = self.vol.next_earnings
        return term.priced_events(
            self.today,
            levels,
            dates=[] if earnings is None else [earnings],
            is_expected=self.chain.underlying.reports_earnings is True,
        )

    @cached_property
    def iv30(self) -> float | None:
        """The snapshot's, or drawn from the smiles with each event on its day; fraction."""
        if self.vol.iv30 is not None:
            return self.vol.iv30
        jumps = [event.jump for event in self.events]
        return outlooks.thirty_day_iv(self.outlooks.values(), jumps)

    @property
    def today(self) -> dt.date:
        """The day that days to expiry are counted from."""
        return self.chain.expiries[0] - dt.timedelta(days=int(self.chain["dte"].min()))

    def side(self, expiry: dt.date, right: str) -> IntArray:
        """Rows of one expiry and right, by ascending strike."""
        key = (expiry, right)
        if key not in self._sides:
            chosen = (self.chain["expiry"] == np.datetime64(expiry, "D")) & self.listed
            self._sides[key] = np.flatnonzero(chosen & (self.chain["right"] == right))
        return self._sides[key]

    def forget(self) -> None:
        """Let go what can be computed again; whoever asks for it computes it."""
        self._sides.clear()
        self._later.clear()
        names = ("strike", "row_of", "tick", "volatility_slope", "expected", "events", "iv30")
        for name in names:
            self.__dict__.pop(name, None)
        for outlook in self.outlooks.values():
            outlook.forget()

    def without_outlooks(self) -> Board:
        """The same without what its expiries expect: for names and counts, not for figures."""
        return replace(self, outlooks={}, _sides={}, _later={})

    def later(self, near: dt.date, far: dt.date) -> LaterExpiry:
        """What options of *far* are worth at *near*, whose market density is their mean."""
        if (near, far) not in self._later:
            first = self.outlooks[near]
            self._later[near, far] = later_expiries.from_smiles(
                first.smile,
                self.outlooks[far].smile,
                american=self.chain.is_american,
                market=first.market,
            )
        return self._later[near, far]


def check_volatility(vol: VolSnapshot, chain: Chain) -> None:
    """
    Refuse to judge a chain by the volatility of something else.

    Raises:
        UsageError: *vol* is not a snapshot, or belongs to another symbol.
    """
    if not isinstance(chain, Chain):
        raise UsageError(f"a Chain is needed before the VolSnapshot, got {type(chain).__name__}")
    own = f"VolSnapshot(symbol={chain.symbol!r}, as_of=...)"
    if not isinstance(vol, VolSnapshot):
        raise UsageError(
            f"a VolSnapshot is needed, got {type(vol).__name__}; {own} knows no figure, and "
            "gates on what is unknown are passed with a note"
        )
    if normalize_symbol(vol.symbol) != chain.symbol:
        raise UsageError(
            f"the volatility is that of {vol.symbol}, the chain that of {chain.symbol}; give {own}"
        )


def prepare(
    chain: Chain,
    vol: VolSnapshot,
    settings: Settings,
    densities: Densities | None = None,
    *,
    earlier: Board | None = None,
) -> Board:
    """
    Price every row of *chain*, fit its smiles, and set up the densities of every expiry.

    Implied volatilities are taken from out-of-the-money quotes with the early-exercise premium of
    American options taken off; forwards and discount factors are those of `valuation.carries`. An
    expiry without a forward is blind. Pure: no clock, no network.

    Args:
        densities: Your own by expiry, in place of the views of the settings; ranked by wholly
            where these trust no view.
        earlier: Of the same options with fewer quotes or older ones: smiles are sought from its.
    """
    by_expiry = valuation.carries(chain)
    rows = _Rows.of(chain, by_expiry)
    forward, _ = valuation.by_row(chain, by_expiry)
    yields = valuation.yields(chain, forward, rows.rate)
    premium, iv = _volatilities(chain, rows, forward, yields)
    forward, yields = _parity_after_exercise(chain, rows, forward, yields, premium, by_expiry)
    european = rows.mid - premium
    iv = implied.implied_vol(
        european, chain.spot.price, rows.strike, rows.tau, rows.rate, yields, rows.is_call
    )
    on_forward = valuation.is_on_forward(chain, by_expiry)
    known = {} if earlier is None else earlier.outlooks
    fitted, unfit = _smiles(chain, rows, iv, forward, premium, known)
    smiles = {place: fit.smile for place, fit in fitted.items()}
    value, error = _model(chain, rows, smiles, premium, european)
    prices = ladder(
        chain["bid"],
        chain["ask"],
        chain["close"],
        _by_parity(rows, forward, premium),
        value,
        max_spread=settings.scan.max_spread,
        max_spread_points=settings.scan.max_spread_points,
    )
    outlook_of = _outlooks(chain, rows, fitted, forward, yields, settings.view)
    outlook_of |= outlooks.with_own(outlook_of, densities or {}, settings.view.trust or 1.0)
    outside = rows.listed & (rows.is_call == (rows.strike >= forward))
    doubted, doubt = doubts(rows.expiry, rows.listed, outside, prices, value)
    priced_on = (
        valuation.PricingTerms(forward, rows.rate, rows.rate)
        if on_forward
        else valuation.PricingTerms(np.full(len(chain), chain.spot.price), rows.rate, yields)
    )
    greeks: dict[str, Any] = {**_greeks(chain, rows, smiles, iv, priced_on)}
    days = chain.expiries
    return Board(
        chain=chain,
        vol=vol,
        settings=settings,
        prices=prices,
        listed=rows.listed,
        **greeks,
        forward=forward,
        rate=rows.rate,
        div_yield=yields,
        on_forward=on_forward,
        value=value,
        value_error=error,
        doubted=doubted,
        doubt=doubt,
        liquidity=liquidity(chain, prices, settings),
        outlooks=outlook_of,
        blind=_blind(chain, rows, outlook_of, unfit, forward),
        unfit={days[place]: why for place, why in unfit.items()},
        notes=tuple(chain.notes),
    )


class _Rows(NamedTuple):
    """Chain columns under short names."""

    strike: FloatArray
    tau: FloatArray
    is_call: BoolArray
    mid: FloatArray
    """NaN where bid and ask do not make a market."""
    listed: BoolArray
    expiry: IntArray
    """Place of the row's expiry in ``chain.expiries``."""
    other: IntArray
    """Row of the same expiry and strike with the other right, -1 where there is none."""
    rate: FloatArray
    """To the row's expiry, fraction per year."""

    @classmethod
    def of(cls, chain: Chain, by_expiry: Mapping[dt.date, Carry]) -> _Rows:
        mid = np.where(is_quoted(chain["bid"], chain["ask"]), chain.mid, np.nan)
        listed = (chain["status"] != RowStatus.UNKNOWN_CONTRACT.value) & (chain["tau"] > 0.0)
        _, place = np.unique(chain["expiry"], return_inverse=True)
        other = np.full(len(chain), -1)
        same = (place[1:] == place[:-1]) & (chain["strike"][1:] == chain["strike"][:-1])
        first = np.flatnonzero(same)
        other[first], other[first + 1] = first + 1, first
        _, rate = valuation.by_row(chain, by_expiry)
        return cls(chain["strike"], chain["tau"], chain.is_call, mid, listed, place, other, rate)


def _parity(rows: _Rows, european: FloatArray, place: int, rate: float) -> float:
    call = np.flatnonzero((rows.expiry == place) & rows.is_call & rows.listed & (rows.other >= 0))
    if call.size == 0:
        return math.nan
    put, tau = rows.other[call], float(rows.tau[call[0]])
    from_pairs = parity.forward_from_parity(
        rows.strike[call], european[call], european[put], rate, tau
    )
    return from_pairs.forward if from_pairs.forward > 0.0 else math.nan


def _volatilities(
    chain: Chain, rows: _Rows, forward: FloatArray, yields: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Early-exercise premium per row (0 for European options), and volatility per strike."""
    spot = chain.spot.price
    iv = implied.implied_vol(rows.mid, spot, rows.strike, rows.tau, rows.rate, yields, rows.is_call)
    nothing = np.zeros(len(chain))
    if not chain.is_american:
        return nothing, iv
    outside = rows.is_call == (rows.strike >= forward)
    partner = np.where(rows.other >= 0, iv[rows.other], np.nan)
    strike_iv = np.where(outside | np.isnan(partner), iv, partner)
    usable = rows.listed & np.isfinite(strike_iv)
    if not usable.any():
        return nothing, iv
    nothing[usable] = premiums(
        spot,
        rows.strike[usable],
        rows.tau[usable],
        chain.rate,
        float(np.median(yields[usable])),
        strike_iv[usable],
        rows.is_call[usable],
    )
    return nothing, iv


def _parity_after_exercise(
    chain: Chain,
    rows: _Rows,
    forward: FloatArray,
    yields: FloatArray,
    premium: FloatArray,
    by_expiry: Mapping[dt.date, Carry],
) -> tuple[FloatArray, FloatArray]:
    """Forwards again, from prices without their early-exercise premium."""
    if not premium.any():
        return forward, yields
    better = forward.copy()
    for place, expiry in enumerate(chain.expiries):
        carry = by_expiry.get(expiry)
        if carry is not None and carry.forward_source == "parity":
            again = _parity(rows, rows.mid - premium, place, carry.rate)
            if math.isfinite(again):
                better[rows.expiry == place] = again
    return better, valuation.yields(chain, better, rows.rate)


class _Fitted(NamedTuple):
    """The smile of one expiry, which the market confirms, and its density."""

    smile: Smile
    law: density.Density


def _smiles(
    chain: Chain,
    rows: _Rows,
    iv: FloatArray,
    forward: FloatArray,
    premium: FloatArray,
    known: Mapping[dt.date, Outlook],
) -> tuple[dict[int, _Fitted], dict[int, str]]:
    """By place of an expiry its smile, and why others with quotes have none."""
    outside = rows.listed & (rows.is_call == (rows.strike >= forward)) & (iv > 0.0)
    discount = np.exp(-rows.rate * rows.tau)
    peak = (
        forward * discount * np.sqrt(np.where(rows.tau > 0.0, rows.tau, np.nan) / (2.0 * math.pi))
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        total = iv * np.sqrt(rows.tau)
        d1 = np.log(forward / rows.strike) / total + 0.5 * total
    vega = 0.01 * peak * np.exp(-0.5 * d1 * d1)
    weight = smile.quote_weights(rows.strike, chain["bid"], chain["ask"], vega)
    chosen = outside & (weight > 0.0)
    fitted: dict[int, _Fitted] = {}
    unfit: dict[int, str] = {}
    floor: Smile | None = None
    for place in range(len(chain.expiries)):
        at = np.flatnonzero(chosen & (rows.expiry == place))
        if at.size == 0:
            continue
        if (strikes := int(np.unique(rows.strike[at]).size)) < smile.LEAST_STRIKES:
            unfit[place] = smile.too_few(strikes)
            continue
        first = at[0]
        fit = partial(
            smile.fit,
            rows.strike[at],
            iv[at],
            forward=float(forward[first]),
            tau=float(rows.tau[first]),
            weight=weight[at],
            discount=float(discount[first]),
            previous=known[day].smile if (day := chain.expiries[place]) in known else None,
        )
        market = NearMoney(
            rows.strike[at],
            iv[at],
            # vega over half the spread, per .01
            0.01 / weight[at],
            *_straddle(chain, rows, rows.mid - premium, place, float(forward[first])),
        )
        confirmed, why = _confirmed(fit(floor=floor), market)
        if why and floor is not None:
            # The quotes take precedence over what the previous expiry allows.
            alone, still = _confirmed(smile.beside(fit(), floor), market)
            confirmed, why = (alone, "") if not still else (confirmed, why)
        if why:
            unfit[place] = f"{why}; {confirmed.smile.note}" if confirmed.smile.note else why
            continue
        # A smile that the market contradicts must not hold up the next one.
        floor = confirmed.smile
        fitted[place] = confirmed
    return fitted, unfit


def _confirmed(fitted: Smile, market: NearMoney) -> tuple[_Fitted, str]:
    """A smile with its density, and where the market contradicts them."""
    law = density.from_smile(fitted)
    return _Fitted(fitted, law), outlooks.disagreement(fitted, law, market)


def _straddle(
    chain: Chain, rows: _Rows, european: FloatArray, place: int, forward: float
) -> tuple[float, float, float]:
    """Strike, mid and spread of the straddle nearest the forward; NaN where none is quoted."""
    call = np.flatnonzero((rows.expiry == place) & rows.is_call & rows.listed & (rows.other >= 0))
    put = rows.other[call]
    quoted = np.isfinite(rows.mid[call] + rows.mid[put])
    call, put = call[quoted], put[quoted]
    if call.size == 0:
        return math.nan, math.nan, math.nan
    nearest = int(np.argmin(np.abs(rows.strike[call] - forward)))
    pair = [call[nearest], put[nearest]]
    spread = float((chain["ask"][pair] - chain["bid"][pair]).sum())
    return float(rows.strike[pair[0]]), float(european[pair].sum()), spread


def _model(
    chain: Chain,
    rows: _Rows,
    smiles: Mapping[int, Smile],
    premium: FloatArray,
    european: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Value at the smile with early exercise, and the error of price less value."""
    value, error = np.full(len(chain), np.nan), np.full(len(chain), np.nan)
    for place, fitted in smiles.items():
        of_expiry = rows.expiry == place
        residuals = smile.residuals(
            fitted, rows.strike[of_expiry], european[of_expiry], rows.is_call[of_expiry]
        )
        value[of_expiry], error[of_expiry] = residuals.value + premium[of_expiry], residuals.error
    return value, error


UNIFORM = 1.0 / math.sqrt(3.0)
"""Standard deviation, in half-spreads, of a true value that may be anywhere between bid and ask."""


def doubts(
    expiry: IntArray, listed: BoolArray, outside: BoolArray, prices: Prices, value: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """
    By row what of price less smile is taken for noise, and the error of what is left.

    A share t^2 / (t^2 + s^2) is believed, s the quote's error and t what the distances of its
    expiry's quotes out of the money show to be true (`smile.true_scatter`); those in the money
    repeat them with wider spreads. What is not quoted itself is worth what the smile says.

    Args:
        expiry: Place of each row's expiry among all.
        listed, outside: Rows that exist, and those of them out of the money.
        prices, value: By the ladder, and at the smile.
    """
    residual, error = prices.price - value, UNIFORM * prices.half_spread
    quoted = listed & (prices.source == 0)
    learnt = quoted & outside
    true = np.zeros(residual.shape)
    for place in np.unique(expiry).tolist():
        at = expiry == place
        true[at] = smile.true_scatter(residual[at & learnt], error[at & learnt])
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(quoted & (true > 0.0), true**2 / (true**2 + error**2), 0.0)
    known = np.isfinite(residual)
    doubted = np.where(known, (1.0 - share) * residual, 0.0)
    return doubted, np.where(known, true * np.sqrt(1.0 - share), np.nan)


def _by_parity(rows: _Rows, forward: FloatArray, premium: FloatArray) -> FloatArray:
    """Price of each option from its partner's mid, early exercise taken off and put on."""
    partner = np.where(rows.other >= 0, (rows.mid - premium)[rows.other], np.nan)
    sign = np.where(rows.is_call, 1.0, -1.0)
    carried = np.exp(-rows.rate * rows.tau) * (forward - rows.strike)
    return np.asarray(partner + sign * carried + premium)


def _outlooks(
    chain: Chain,
    rows: _Rows,
    fitted: Mapping[int, _Fitted],
    forward: FloatArray,
    yields: FloatArray,
    views: ViewSettings,
) -> dict[dt.date, Outlook]:
    view = views.of(chain.symbol)
    outlooks: dict[dt.date, Outlook] = {}
    for place, fit in fitted.items():
        first = int(np.flatnonzero(rows.expiry == place)[0])
        expiry, tau = chain.expiries[place], float(rows.tau[first])
        outlooks[expiry] = Outlook(
            expiry=expiry,
            dte=int(chain["dte"][first]),
            tau=tau,
            forward=float(forward[first]),
            discount=math.exp(-float(rows.rate[first]) * tau),
            rate=float(rows.rate[first]),
            div_yield=float(yields[first]),
            smile=fit.smile,
            view=None if view is None else density.viewed(fit.law, **view.model_dump()),
            trust=views.trust,
        ).knowing(fit.law)
    return outlooks


def _blind(
    chain: Chain,
    rows: _Rows,
    outlooks: Mapping[dt.date, Outlook],
    unfit: Mapping[int, str],
    forward: FloatArray,
) -> dict[dt.date, str]:
    """Why an expiry has no outlook."""
    blind: dict[dt.date, str] = {}
    for place, expiry in enumerate(chain.expiries):
        if expiry in outlooks:
            continue
        of_expiry = rows.expiry == place
        if not (rows.tau[of_expiry] > 0.0).any():
            why = "expired"
        elif not np.isfinite(forward[of_expiry]).any():
            why = "no forward: no strike has bid and ask on both sides"
        else:
            why = "no out-of-the-money option with bid and ask"
        blind[expiry] = unfit.get(place, why)
    return blind


def _greeks(
    chain: Chain,
    rows: _Rows,
    smiles: Mapping[int, Smile],
    own: FloatArray,
    terms: valuation.PricingTerms,
) -> dict[str, FloatArray]:
    """
    IV and Greeks as the chain has them, from the smile where it lacks them.

    Where an expiry has no smile, those of an option's own mid. Per 1.00 of what *terms* price on.
    """
    columns = {
        name: np.array(chain[name], dtype=np.float64)
        for name in ("iv", "delta", "gamma", "vega", "theta")
    }
    lacking = rows.listed & np.isnan(columns["delta"])
    for place in np.unique(rows.expiry[lacking]).tolist():
        at = np.flatnonzero(lacking & (rows.expiry == place))
        fitted = smiles.get(place)
        if fitted is None:
            at = at[np.isfinite(own[at])]
        sigma = own[at] if fitted is None else fitted.iv(rows.strike[at])
        underlying, rate, div_yield = terms.of(at)
        greeks = black_scholes.greeks(
            underlying, rows.strike[at], rows.tau[at], rate, div_yield, sigma, rows.is_call[at]
        )
        columns["iv"][at] = sigma
        for name in ("delta", "gamma", "vega", "theta"):
            columns[name][at] = getattr(greeks, name)
    return columns


def liquidity(chain: Chain, prices: Prices, settings: Settings) -> FloatArray:
    """
    Liquidity of each row in (0, 1]: spread against what is accepted, open interest, volume.

    The product of 1 / (1 + x/4), x the spread per accepted spread; the root of
    (oi + 50) / (oi + 100); the fourth root of (volume + 10) / (volume + 20). An unknown open
    interest counts as 250, an unknown volume as 50; a price that is not a quote costs a fifth.
    """
    scan = settings.scan
    accepted = np.maximum(scan.max_spread * prices.price, scan.max_spread_points)
    accepted = np.where(accepted > 0.0, accepted, 1.0)
    tight = 1.0 / (1.0 + 0.25 * 2.0 * prices.half_spread / accepted)
    interest = np.where(np.isnan(chain["open_interest"]), 250.0, chain["open_interest"])
    volume = np.where(np.isnan(chain["volume"]), 50.0, chain["volume"])
    deep = np.sqrt((interest + 50.0) / (interest + 100.0))
    lively = ((volume + 10.0) / (volume + 20.0)) ** 0.25
    return np.asarray(tight * deep * lively * np.where(prices.source == 0, 1.0, 0.8))
