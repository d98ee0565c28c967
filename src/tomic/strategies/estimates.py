"""
What every listed option of a chain is worth, from the quotes of a few: price, spread, interest.

A smile through the sampled strikes of an expiry, what they differ from it drawn on between them,
and early exercise give prices; half-spreads follow vega and price, volume and open interest the
place of a strike. An estimate chooses what to ask for next. It is shown to nobody.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.interpolate import PchipInterpolator

from tomic import valuation
from tomic._typing import BoolArray, FloatArray, IntArray
from tomic.chain import Chain
from tomic.config import Settings
from tomic.models import Carry, PriceSource, VolSnapshot
from tomic.quant import black_scholes, implied
from tomic.selection import ExpiryKind, classify
from tomic.strategies.pricing import board as boards
from tomic.strategies.pricing.board import SOURCES, Board, Prices
from tomic.strategies.windows import roundness

SPREAD_SHARE = 0.7
"""Share of an estimated spread at which the rule on spreads looks: the others are fetched."""
_PSEUDO_QUOTES = 2
"""Quotes as wide as the symbol's that each expiry's own width is drawn to."""
_RIDGE = 1.0
HOPE = 1.0
"""Standard deviations by which volume and open interest are estimated above what is expected."""
_LEAST_WIDTH = 0.005
"""Half of a tick: no half-spread is estimated narrower, currency per share."""
_SAME = 1e-6
_TRUE = SOURCES.index(PriceSource.TRUE)


class Estimated(NamedTuple):
    """A chain of which some options were asked, priced in full."""

    board: Board
    """With every listed option priced: by its quote where it was *asked*, else by an estimate."""
    asked: BoolArray
    """Rows that were asked for, (m,)."""
    chain: Chain
    """As it was given: the others have no quote."""

    @property
    def quoted(self) -> BoolArray:
        """Rows with a true bid and ask of their own, (m,)."""
        return np.asarray(self.asked & (self.board.prices.source == _TRUE), dtype=np.bool_)

    def of_asked(self) -> Board:
        """
        The same board with the options that were not asked still listed, but without a price.

        So strikes counted from the money are the same, and every trade found has its own quotes.
        """
        price = np.where(self.asked, self.board.price, np.nan)
        source = np.where(self.asked, self.board.prices.source, -1).astype(np.int8)
        prices = Prices(price, source, self.board.prices.half_spread)
        return replace(self.board, chain=self.chain, prices=prices)


def complete(chain: Chain, asked: BoolArray, vol: VolSnapshot, settings: Settings) -> Estimated:
    """
    Price every option of *chain* from those that were *asked*.

    Smiles are fitted again through quotes and estimates, these only between the outermost strikes
    that were quoted: an extrapolation given as a quote would hold up the expiry after it. An expiry
    whose own quotes give no smile is left as it is.

    Args:
        chain: Every listed option of some windows; those not asked have no quote.
        asked: (m,).
    """
    first = boards.prepare(chain, vol, settings)
    if bool(asked.all()) or not first.outlooks:
        return Estimated(first, asked, chain)
    figures = _figures(first, asked)
    inside = figures.between & figures.known
    fitted = replace(_filled(chain, figures, inside), carries=first_carries(chain))
    again = boards.prepare(fitted, vol, settings)
    return Estimated(_priced(again, chain, figures, settings), asked, chain)


def first_carries(chain: Chain) -> tuple[Carry, ...]:
    """Forwards as the quotes imply them, which estimates made from them must not move."""
    return chain.carries or valuation.implied_carries(chain)


class _Figures(NamedTuple):
    """Estimates of all rows, (m,); NaN where the expiry has no smile."""

    price: FloatArray
    half_spread: FloatArray
    volume: FloatArray
    open_interest: FloatArray
    delta: FloatArray
    known: BoolArray
    """Not asked, and estimated."""
    between: BoolArray
    """Between the outermost strikes of its expiry that were quoted."""


def _figures(board: Board, asked: BoolArray) -> _Figures:
    chain = board.chain
    curve = _curve(board, asked)
    price = curve.price
    known = ~asked & board.listed & np.isfinite(price) & (price > 0.0)
    quoted = asked & (board.prices.source == _TRUE)
    half = _half_spreads(board, price, curve.vega, quoted, known)
    passing = quoted & _passes(board)
    scan = board.settings.scan
    traits = _traits(board, curve.sigmas)
    # What is not known refuses nothing: of the strikes that pass one may be asked for in vain.
    least = {"volume": scan.min_volume, "open_interest": scan.min_open_interest}
    volume, interest = (
        np.maximum(_interest(chain[name], traits, passing), limit) for name, limit in least.items()
    )
    delta = _deltas(board, curve.sigmas, quoted)
    return _Figures(price, half, volume, interest, delta, known, curve.between)


# -- prices -----------------------------------------------------------------------------------


class _Curve(NamedTuple):
    """Prices at the smile with what the quotes differ from it drawn on, (m,)."""

    price: FloatArray
    vega: FloatArray
    """Per .01 of volatility, currency per share."""
    sigmas: FloatArray
    """ln(strike / forward) in at-the-money standard deviations."""
    between: BoolArray


def _curve(board: Board, asked: BoolArray) -> _Curve:
    chain, count = board.chain, len(board.chain)
    sigma, sigmas = np.full(count, np.nan), np.full(count, np.nan)
    between = np.zeros(count, dtype=np.bool_)
    own = _own_volatility(board, asked)
    days = chain["expiry"]
    for expiry, outlook in board.outlooks.items():
        at = np.flatnonzero(days == np.datetime64(expiry, "D"))
        unit = outlook.atm_iv * np.sqrt(outlook.tau)
        sigmas[at] = np.log(board.strike[at] / outlook.forward) / unit
        sigma[at] = outlook.smile.iv(board.strike[at])
        seen = at[np.isfinite(own[at])]
        if not seen.size:
            continue
        x, y = _averaged(sigmas[seen], own[seen] - sigma[seen])
        between[at] = (sigmas[at] >= x[0] - _SAME) & (sigmas[at] <= x[-1] + _SAME)
        sigma[at] = np.maximum(sigma[at] + _between(x, y, sigmas[at]), 1e-3)
    has = np.isfinite(sigma)
    price, vega = np.full(count, np.nan), np.full(count, np.nan)
    price[has], vega[has] = _value(board, np.flatnonzero(has), sigma[has])
    return _Curve(price, vega, sigmas, between)


def _between(x: FloatArray, y: FloatArray, at: FloatArray) -> FloatArray:
    """The curve through (x, y) that overshoots no point; beyond the ends the value of the end."""
    place = np.clip(at, x[0], x[-1])
    if x.size < 3:
        return np.asarray(np.interp(place, x, y))
    return np.asarray(PchipInterpolator(x, y)(place))


def _averaged(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Points by ascending x, those of one x made one."""
    places, inverse = np.unique(np.round(x, 9), return_inverse=True)
    return places, np.bincount(inverse, y) / np.bincount(inverse)


def _own_volatility(board: Board, asked: BoolArray) -> FloatArray:
    """Volatility of each out-of-the-money quote, early exercise taken off; NaN of all others."""
    strike, is_call = board.strike, board.chain.is_call
    outside = is_call == (strike >= board.forward)
    rows = np.flatnonzero(asked & outside & board.listed & (board.prices.source == _TRUE))
    own = np.full(strike.size, np.nan)
    at_smile = np.full(strike.size, np.nan)
    for expiry, outlook in board.outlooks.items():
        of_expiry = rows[board.chain["expiry"][rows] == np.datetime64(expiry, "D")]
        at_smile[of_expiry] = outlook.smile.iv(strike[of_expiry])
    rows = rows[np.isfinite(at_smile[rows])]
    premium = _premium(board, rows, at_smile[rows])
    tau = board.chain["tau"][rows]
    own[rows] = implied.implied_vol(
        board.price[rows] - premium, board.spot, strike[rows], tau, board.rate[rows],
        board.div_yield[rows], is_call[rows],
    )  # fmt: skip
    return own


def _value(board: Board, rows: IntArray, sigma: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Value and vega of *rows* at *sigma*, (n,) each; early exercise included."""
    terms = (
        board.spot, board.strike[rows], board.chain["tau"][rows], board.rate[rows],
        board.div_yield[rows], sigma, board.chain.is_call[rows],
    )  # fmt: skip
    european = black_scholes.price(*terms)
    return european + _premium(board, rows, sigma), black_scholes.greeks(*terms).vega


def _premium(board: Board, rows: IntArray, sigma: FloatArray) -> FloatArray:
    chain = board.chain
    if not chain.is_american or not rows.size:
        return np.zeros(rows.size)
    return boards.premiums(
        board.spot, board.strike[rows], chain["tau"][rows], chain.rate,
        float(np.median(board.div_yield[rows])), sigma, chain.is_call[rows],
    )  # fmt: skip


def _deltas(board: Board, sigmas: FloatArray, quoted: BoolArray) -> FloatArray:
    """Deltas at the smile, and what those that came with quotes differ from it drawn on; (m,)."""
    chain, delta = board.chain, np.full(sigmas.size, np.nan)
    has = np.flatnonzero(np.isfinite(sigmas))
    for expiry, outlook in board.outlooks.items():
        of_expiry = has[chain["expiry"][has] == np.datetime64(expiry, "D")]
        greeks = black_scholes.greeks(
            board.spot, board.strike[of_expiry], outlook.tau, outlook.rate, outlook.div_yield,
            outlook.smile.iv(board.strike[of_expiry]), chain.is_call[of_expiry],
        )  # fmt: skip
        delta[of_expiry] = greeks.delta
        for right in (True, False):
            at = of_expiry[chain.is_call[of_expiry] == right]
            seen = at[quoted[at] & np.isfinite(board.delta[at])]
            if seen.size:
                x, y = _averaged(sigmas[seen], board.delta[seen] - delta[seen])
                delta[at] += np.interp(sigmas[at], x, y)
    return delta


# -- spreads ----------------------------------------------------------------------------------


def _half_spreads(
    board: Board, price: FloatArray, vega: FloatArray, quoted: BoolArray, known: BoolArray
) -> FloatArray:
    """Half of ask less bid of every row, (m,), currency per share."""
    basis = np.stack((np.ones(price.size), vega, price), axis=1)
    usable = quoted & np.isfinite(basis).all(axis=1)
    if not usable.any():
        return np.full(price.size, np.nan)
    own = np.maximum(board.prices.half_spread, _LEAST_WIDTH)
    half = basis @ nonnegative(basis[usable] / own[usable, None], np.ones(int(usable.sum())))
    days = board.chain["expiry"]
    for day in np.unique(days[usable]):
        of_day = days == day
        ratio = own[usable & of_day] / np.maximum(half[usable & of_day], _LEAST_WIDTH)
        half[of_day] *= np.median(np.append(ratio, np.ones(_PSEUDO_QUOTES)))
    half = np.maximum(half, _LEAST_WIDTH)
    scan = board.settings.scan
    accepted = 0.5 * np.maximum(scan.max_spread * price, scan.max_spread_points)
    doubtful = known & (half > accepted) & (SPREAD_SHARE * half <= accepted)
    return np.where(doubtful, accepted * (1.0 - 1e-9), half)


def nonnegative(basis: FloatArray, goal: FloatArray) -> FloatArray:
    """
    Least squares with coefficients >= 0, (k,), for few columns: the best of all subsets of them.

    Source: Lawson and Hanson (1974), "Solving Least Squares Problems", chapter 23: the solution is
    the unconstrained one of some subset of the columns.
    """
    best, least = np.zeros(basis.shape[1]), float(goal @ goal)
    for subset in range(1, 1 << basis.shape[1]):
        columns = [place for place in range(basis.shape[1]) if subset >> place & 1]
        solved = np.linalg.lstsq(basis[:, columns], goal, rcond=None)[0]
        rest = goal - basis[:, columns] @ solved
        if (solved >= 0.0).all() and float(rest @ rest) < least:
            best, least = np.zeros(basis.shape[1]), float(rest @ rest)
            best[columns] = solved
    return best


# -- volume and open interest -------------------------------------------------------------------


def _passes(board: Board) -> BoolArray:
    """Rows whose volume and open interest keep the rules; unknown ones do."""
    chain, scan = board.chain, board.settings.scan
    few = (chain["volume"] < scan.min_volume) | (chain["open_interest"] < scan.min_open_interest)
    return np.asarray(~few, dtype=np.bool_)


def _traits(board: Board, sigmas: FloatArray) -> FloatArray:
    """What interest in an option hangs on, (m, 6)."""
    chain = board.chain
    outside = np.where(chain.is_call, sigmas, -sigmas)
    kinds = classify(chain.expiries, chain.trading_class)
    days, place = np.unique(chain["expiry"], return_inverse=True)
    monthly = np.array([kinds[day.item()] is ExpiryKind.MONTHLY for day in days], dtype=float)
    strikes, of_strike = np.unique(board.strike, return_inverse=True)
    rounds = np.array([roundness(strike) for strike in strikes.tolist()], dtype=float)
    tau = np.maximum(chain["tau"], 1.0 / 365.0)
    columns = (
        outside, outside**2, chain.is_call.astype(float), rounds[of_strike], monthly[place],
        np.log(tau),
    )  # fmt: skip
    return np.stack(columns, axis=1)


def _interest(values: FloatArray, traits: FloatArray, passing: BoolArray) -> FloatArray:
    """Volume or open interest of every row by ridge on its logarithm, (m,); NaN where unknown."""
    usable = passing & np.isfinite(values) & np.isfinite(traits).all(axis=1)
    if not usable.any():
        return np.full(values.size, np.nan)
    goal = np.log1p(values[usable])
    centre, scale = traits[usable].mean(axis=0), traits[usable].std(axis=0)
    scale = np.where(scale > _SAME, scale, 1.0)
    x = (traits - centre) / scale
    normal = x[usable].T @ x[usable] + _RIDGE * np.eye(x.shape[1])
    slope = np.linalg.solve(normal, x[usable].T @ (goal - goal.mean()))
    expected = goal.mean() + x @ slope
    # Interest differs between neighbours by more than can be known, and the best have the most.
    scatter = float(np.std(goal - expected[usable]))
    low, high = float(goal.min()), float(goal.max())
    return np.asarray(np.expm1(np.clip(expected + HOPE * scatter, low, high)))


# -- the chain and its board --------------------------------------------------------------------


def _filled(chain: Chain, figures: _Figures, rows: BoolArray) -> Chain:
    """*chain* with estimates as the bid, ask, volume and open interest of *rows*."""
    bid = figures.price - figures.half_spread
    estimate = {
        "bid": np.where(bid > 0.0, bid, np.nan),
        "ask": figures.price + figures.half_spread,
        "volume": figures.volume,
        "open_interest": figures.open_interest,
    }
    return chain.with_columns(
        **{name: np.where(rows, values, chain[name]) for name, values in estimate.items()}
    )


def _priced(board: Board, chain: Chain, figures: _Figures, settings: Settings) -> Board:
    """*board* with the estimates of all rows, those beyond the outermost quotes too."""
    known = figures.known
    price = np.where(known, figures.price, board.price)
    source = np.where(known, _TRUE, board.prices.source).astype(np.int8)
    half = np.where(known, figures.half_spread, board.prices.half_spread)
    prices = Prices(price, source, half)
    filled = replace(_filled(chain, figures, known), carries=board.chain.carries)
    _, expiry = np.unique(chain["expiry"], return_inverse=True)
    outside = board.listed & (chain.is_call == (board.strike >= board.forward))
    doubted, doubt = boards.doubts(expiry, board.listed, outside, prices, board.value)
    return replace(
        board,
        chain=filled,
        prices=prices,
        doubted=doubted,
        doubt=doubt,
        delta=np.where(known, figures.delta, board.delta),
        liquidity=boards.liquidity(filled, prices, settings),
    )
