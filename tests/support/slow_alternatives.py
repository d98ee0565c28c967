"""
Alternatives of a position worked out slowly: plain loops, textbook formulas, none of the kernels.

Only quotes, the parameters of fitted smiles, and what of a quote is taken for noise are given.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

LOT = 100.0
CELLS, REACH = 12_000, 14.0
"""Cells of a distribution, and how many standard deviations they reach."""


class Option(NamedTuple):
    """Contracts of one option, signed."""

    quantity: float
    strike: float
    right: str
    expiry: dt.date


class Quote(NamedTuple):
    """Of one option, currency per share."""

    bid: float
    ask: float
    noise: float

    @property
    def mid(self) -> float:
        return (self.bid + self.ask) / 2.0


def normal(score: float) -> float:
    """The standard normal distribution."""
    return 0.5 * math.erfc(-score / math.sqrt(2.0))


def black(forward: float, strike: float, total_vol: float, right: str) -> float:
    """Black (1976), not discounted."""
    up = math.log(forward / strike) / total_vol + total_vol / 2.0
    call = forward * normal(up) - strike * normal(up - total_vol)
    return call if right == "C" else call - forward + strike


def payoff(price: float, strike: float, right: str) -> float:
    """At expiry."""
    return max(price - strike if right == "C" else strike - price, 0.0)


@dataclass
class Expiry:
    """The smile of one expiry: raw SVI in w(k), Gatheral's letters."""

    day: dt.date
    forward: float
    discount: float
    tau: float
    a: float
    b: float
    rho: float
    m: float
    sigma: float
    _cells: list[tuple[float, float]] = field(default_factory=list)

    def total_vol(self, k: float) -> float:
        """Volatility times the root of time at a log-moneyness."""
        y = k - self.m
        bend = self.rho * y + math.sqrt(y * y + self.sigma * self.sigma)
        return math.sqrt(self.a + self.b * bend)

    def value(self, strike: float, right: str) -> float:
        """Of an option, not discounted."""
        return black(self.forward, strike, self.total_vol(math.log(strike / self.forward)), right)

    def below(self, price: float) -> float:
        """P(S < price), the slope of the put in its strike: Breeden and Litzenberger (1978)."""
        step = 1e-4 * price
        rise = self.value(price + step, "P") - self.value(price - step, "P")
        return rise / (2.0 * step)

    @property
    def cells(self) -> list[tuple[float, float]]:
        """Middles and probabilities of narrow cells."""
        if not self._cells:
            width = REACH * self.total_vol(0.0)
            edges = [
                self.forward * math.exp(width * (2.0 * n / CELLS - 1.0)) for n in range(CELLS + 1)
            ]
            under = [self.below(edge) for edge in edges]
            first, last = under[0], 1.0 - under[-1]
            self._cells = [
                # What lies outside, at its mean: a put there pays the rest of its strike.
                (edges[0] - self.value(edges[0], "P") / first, first),
                *(
                    (math.sqrt(low * high), more - less)
                    for (low, high), (less, more) in zip(
                        pairwise(edges), pairwise(under), strict=True
                    )
                ),
                (edges[-1] + self.value(edges[-1], "C") / last, last),
            ]
        return self._cells


@dataclass
class Later:
    """
    What options of a later expiry are worth when the first one ends.

    Black's time value at the volatility that today's smile has at the same log-moneyness, per
    strike by the factor that makes its mean today's price.
    """

    first: Expiry
    last: Expiry
    american: bool
    _factors: dict[float, float] = field(default_factory=dict)

    def _time_value(self, price: float, strike: float) -> float:
        forward = price * self.last.forward / self.first.forward
        k = math.log(strike / forward)
        share = math.sqrt((self.last.tau - self.first.tau) / self.last.tau)
        return black(forward, strike, self.last.total_vol(k) * share, "C" if k >= 0.0 else "P")

    def _factor(self, strike: float) -> float:
        if strike not in self._factors:
            growth = self.last.forward / self.first.forward
            mean = inner = 0.0
            for price, chance in self.first.cells:
                mean += chance * self._time_value(price, strike)
                inner += chance * payoff(price * growth, strike, "C")
            self._factors[strike] = (self.last.value(strike, "C") - inner) / mean
        return self._factors[strike]

    def value(self, price: float, strike: float, right: str) -> float:
        """At the first expiry, in its money."""
        growth = self.last.forward / self.first.forward
        extra = self._time_value(price, strike) * self._factor(strike)
        worth = payoff(price * growth, strike, right) + extra
        worth *= self.last.discount / self.first.discount
        return max(worth, payoff(price, strike, right)) if self.american else worth


@dataclass
class Campaign:
    """What is held after an alternative, and all cash so far, shares apart."""

    options: Sequence[Option]
    shares: float
    cash: float
    spot: float
    first: Expiry
    later: dict[dt.date, Later]

    @property
    def is_single(self) -> bool:
        """Whether its options end on one day."""
        return all(option.expiry == self.first.day for option in self.options)

    def pnl(self, price: float) -> float:
        """At the first expiry, in today's money."""
        return self._at(price, self.first.discount, self.first.forward)

    def printed(self, price: float) -> float:
        """The same as brokers draw it: not discounted, shares from the spot of now."""
        return self._at(price, 1.0, self.spot)

    def _at(self, price: float, discount: float, from_price: float) -> float:
        total = self.cash + self.shares * (self.spot + discount * (price - from_price))
        for option in self.options:
            if option.expiry == self.first.day:
                worth = payoff(price, option.strike, option.right)
            else:
                worth = self.later[option.expiry].value(price, option.strike, option.right)
            total += discount * LOT * option.quantity * worth
        return total

    def outcomes(self) -> list[tuple[float, float]]:
        """P&L and probability of every cell."""
        return [(self.pnl(price), chance) for price, chance in self.first.cells]

    def mean(self, outcomes: Sequence[tuple[float, float]]) -> float:
        """Expected P&L: from option prices where all ends on one day, else over the cells."""
        if not self.is_single:
            return sum(pnl * chance for pnl, chance in outcomes)
        total = self.cash + self.shares * self.spot
        for option in self.options:
            worth = self.first.value(option.strike, option.right)
            total += self.first.discount * LOT * option.quantity * worth
        return total

    def breakevens(self) -> Iterator[float]:
        """Prices where the printed P&L changes sign, by bisection."""
        prices = [self.spot * (0.3 + 0.0004 * n) for n in range(5_000)]
        yield from _roots(self.printed, prices)

    def success(self) -> float:
        """P(P&L > 0), from the roots of the P&L."""
        width = 10.0 * self.first.total_vol(0.0)
        prices = [self.first.forward * math.exp(width * (n / 1000.0 - 1.0)) for n in range(2_001)]
        edges = list(_roots(self.pnl, prices))
        chance, wins = 0.0, self.pnl(prices[-1]) > 0.0
        last = 1.0
        for edge in reversed(edges):
            below = self.first.below(edge)
            chance += (last - below) if wins else 0.0
            last, wins = below, not wins
        return chance + (last if wins else 0.0)


def _roots(function: Callable[[float], float], prices: Sequence[float]) -> Iterator[float]:
    values = [function(price) for price in prices]
    for (low, high), (left, right) in zip(pairwise(prices), pairwise(values), strict=True):
        if (left > 0.0) == (right > 0.0):
            continue
        for _ in range(60):
            middle = (low + high) / 2.0
            if (function(middle) > 0.0) == (left > 0.0):
                low = middle
            else:
                high = middle
        yield (low + high) / 2.0


def tail(outcomes: Sequence[tuple[float, float]], now: float) -> float:
    """Mean loss of the worst 5 %, beside *now*; outcomes without loss count as none."""
    left = 0.05
    total = 0.0
    for pnl, chance in sorted(outcomes):
        part = min(chance, left)
        total += part * max(now - pnl, 0.0)
        left -= part
        if left <= 0.0:
            break
    return total / 0.05


def margin(options: Sequence[Option], shares: float, spot: float, mid: Callable[[Option], float]):
    """
    Regulation T and Cboe's manual for what the demo's book can turn into, currency.

    Half of shares held, which cover calls; spreads at their width, condors of equal wings once;
    naked puts at premium plus 20 % less what they are out of the money, at least 10 % of strike.
    """
    sides: list[float] = []
    naked = 0.0
    covered = shares / LOT
    for right in "PC":
        longs = [o for o in options if o.right == right and o.quantity > 0.0]
        cost = 0.0
        for short in (o for o in options if o.right == right and o.quantity < 0.0):
            left = -short.quantity
            if right == "C":
                used = min(left, covered)
                covered, left = covered - used, left - used
            if longs and left:
                (cover,) = longs
                assert cover.quantity >= left and cover.expiry >= short.expiry
                worse = short.strike - cover.strike if right == "P" else cover.strike - short.strike
                cost += left * max(worse, 0.0)
                left = 0.0
            if left:
                assert right == "P"
                away = max(spot - short.strike, 0.0)
                beside = max(0.2 * spot - away, 0.1 * short.strike)
                naked += left * (mid(short) + beside)
        sides.append(cost)
    puts, calls = sides
    spreads = max(puts, calls) if math.isclose(puts, calls) else puts + calls
    return LOT * (spreads + naked) + 0.5 * max(shares, 0.0) * spot
