"""
What a broker wants put up for a structure: strategy margin after Cboe and Regulation T.

Spreads cost their largest loss at expiry; a naked short costs its premium plus a percentage of the
underlying less what it is out of the money; the two naked sides of a strangle share one
requirement. It is an estimate: brokers raise percentages as they like, and only a what-if order
gives the figure of an account.

Sources: Cboe "Margin Manual" and Rule 10.3, FINRA Rule 4210(f)(2), Regulation T 12 CFR 220.12;
for Interactive Brokers' condors with unequal wings, its knowledge base on iron condors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from tomic._typing import BoolArray, FloatArray, IntArray, Num
from tomic.quant import arguments


def cover(
    short: FloatArray, long: FloatArray, cost: FloatArray, naked: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """
    Cover as much as possible of the short amounts, at the least total cost.

    Args:
        short: (i,) amounts to cover, > 0.
        long: (j,) amounts that can cover, > 0.
        cost: (i, j) cost of covering one unit, >= 0; inf where the pair is not allowed.
        naked: (i,) cost of leaving one unit uncovered; inf where that is not allowed.

    Returns:
        Covered amounts (i, j), and what stays naked (i,). Ties are broken towards earlier legs, so
        sorted input gives one answer.
    """
    pairs = np.argwhere(np.isfinite(cost) & (long > 0.0))
    if pairs.size == 0:
        return np.zeros(cost.shape), short.copy()
    # Here and not above: the module costs 0.1 s to import and most structures never need it.
    from scipy.optimize import linprog

    saved = np.where(np.isfinite(naked), naked, 0.0)[pairs[:, 0]]
    price = cost[pairs[:, 0], pairs[:, 1]] - saved
    # A reward larger than any cost: covering comes before saving.
    reward = 2.0 * (np.abs(price).max() + 1.0) * (short.size + long.size)
    tie = 1e-9 * np.arange(price.size)
    rows = np.zeros((short.size + long.size, price.size))
    rows[pairs[:, 0], np.arange(price.size)] = 1.0
    rows[short.size + pairs[:, 1], np.arange(price.size)] = 1.0
    answer = linprog(
        price + tie - reward, A_ub=rows, b_ub=np.concatenate((short, long)), method="highs-ds"
    )
    flow = np.zeros(cost.shape)
    flow[pairs[:, 0], pairs[:, 1]] = np.round(np.asarray(answer.x, dtype=np.float64), 9)
    return flow, np.maximum(short - flow.sum(axis=1), 0.0)


_SAME = 1e-9
_BLOCK = 4096  # structures whose legs stay in the second-level cache


@dataclass(frozen=True, slots=True)
class MarginRules:
    """
    House percentages; the defaults are the exchange minimum.

    Attributes:
        equity: Share of the underlying for naked options on equities, ETFs and narrow indices.
        broad_index: The same for broad-based indices.
        minimum: Least share: of the strike for puts, of the underlying for calls.
        naked_floor: Least amount besides the premium, currency per share; 2.50 at some brokers.
        stock: Share of the value of shares held (Regulation T initial).
        stock_short: Share of the value of shares sold short, beside their proceeds.
        unequal_condor: ``two_spreads`` charges both sides of a condor with unequal wings, as
            Interactive Brokers does; ``wider`` charges the wider side only.
        cash_account: Short puts need their whole strike, shares their whole price; short calls
            and short shares that nothing covers cannot be held (inf).

    Raises:
        ValueError: A percentage is outside [0, 1] or the floor is negative.
    """

    equity: float = 0.20
    broad_index: float = 0.15
    minimum: float = 0.10
    naked_floor: float = 0.0
    stock: float = 0.50
    stock_short: float = 0.50
    unequal_condor: Literal["two_spreads", "wider"] = "two_spreads"
    cash_account: bool = False

    def __post_init__(self) -> None:
        for name in ("equity", "broad_index", "minimum", "stock", "stock_short"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"{name} must be in [0, 1], got {value:g}")
        if not self.naked_floor >= 0.0:
            raise ValueError(f"naked_floor must be >= 0, got {self.naked_floor:g}")
        if self.unequal_condor not in ("two_spreads", "wider"):
            raise ValueError(
                f"unequal_condor must be two_spreads or wider, got {self.unequal_condor!r}"
            )


class Margin(NamedTuple):
    """
    Margin of structures, currency per structure.

    Attributes:
        requirement: (...) as a broker prints it, proceeds not deducted; inf where it may not be
            held.
        net: (...) requirement less the credit received, plus the debit paid: what the trade takes
            from excess liquidity. Returns on margin are measured on this.
    """

    requirement: FloatArray
    net: FloatArray


def requirement(
    strike: Num,
    is_call: Num,
    quantity: Num,
    price: Num,
    *,
    spot: Num,
    tau: Num = 0.0,
    stock: Num = 0.0,
    multiplier: Num = 100.0,
    broad_index: Num = False,
    credit: Num | None = None,
    rules: MarginRules | None = None,
) -> Margin:
    """
    Margin of any structures: singles, spreads, condors, strangles, ratios, calendars, with shares.

    Legs of one right and expiry are margined together at their largest loss; a long leg covers a
    short one of an earlier expiry for the adverse difference of strikes, never one of a later
    expiry. Shares cover short calls, short shares short puts. What is left is naked.

    Args:
        strike, is_call, quantity: (..., k) legs; quantity signed, 0 for unused.
        price: (..., k) option prices, currency per share; of naked shorts they enter the
            requirement, of all legs the credit.
        spot: (...) price of the underlying.
        tau: (..., k) time to expiry in any unit; only order and equality matter.
        stock: (...) shares per share of multiplier, signed. Their cost is no debit: half of their
            value is the requirement (or what the rules say).
        multiplier: (...) shares per contract.
        broad_index: (...) whether the underlying is a broad-based index.
        credit: (...) option premium received, currency per structure; None takes it from *price*.
        rules: House rules; None for the exchange minimum.

    Returns:
        Margin; NaN where a figure that is needed is NaN, a strike or spot is not positive, or a
        price is negative.

    Raises:
        ValueError: The arguments do not broadcast to legs of one shape.
    """
    rules = rules or MarginRules()
    legs = arguments.legs(strike=strike, is_call=is_call, quantity=quantity, price=price, tau=tau)
    lead, count = legs[0].shape[:-1], legs[0].shape[-1]
    size = int(np.prod(lead, dtype=np.int64))
    legs = [leg.reshape(size, count) for leg in legs]
    flags = np.broadcast_to(arguments.as_flags(broad_index, "broad_index"), lead).reshape(-1)
    price_now, shares = arguments.per_structure(spot, lead), arguments.per_structure(stock, lead)
    needed, received = np.empty(size), np.empty(size)
    for first in range(0, size, _BLOCK):
        rows = slice(first, first + _BLOCK)
        part = [leg[rows] for leg in legs]
        book = _book(part, price_now[rows], shares[rows], flags[rows], rules)
        needed[rows], received[rows] = _needed(book, rules), _premium(book)
    contract = arguments.per_structure(multiplier, lead)
    needed *= contract
    received = received * contract if credit is None else arguments.per_structure(credit, lead)
    return Margin(needed.reshape(lead), (needed - received).reshape(lead))


class _MarginBook(NamedTuple):
    """
    Legs first, (k, n), the rest (n,): what is summed over the legs runs along whole rows.

    Illegal structures hold harmless numbers.
    """

    strike: FloatArray
    is_call: BoolArray
    quantity: FloatArray
    price: FloatArray
    tau: FloatArray
    naked: FloatArray
    """(k, n) requirement of one naked unit of each leg, premium included, per share."""
    spot: FloatArray
    stock: FloatArray
    legal: BoolArray

    def row(self, index: int) -> _MarginBook:
        """One structure, still as a batch of one."""
        return _MarginBook._make(part[..., [index]] for part in self)


class _Spreads(NamedTuple):
    """What of the calls or puts of every structure stands as spreads, per share."""

    covered: FloatArray
    """(k, n) signed quantities: all longs, the covered shorts."""
    cost: FloatArray
    """(n,) their requirement."""


class _Side(NamedTuple):
    """Calls or puts of every structure, per share."""

    spreads: _Spreads
    naked: FloatArray
    """(n,) uncovered units."""
    rate: FloatArray
    """(n,) requirement of one of them, premium included."""
    premium: FloatArray
    """(n,) premium of one of them."""
    plain: BoolArray
    """(n,) whether the closed form holds; the others are paired one by one."""


def _book(
    legs: list[arguments.AnyArray],
    spot: FloatArray,
    stock: FloatArray,
    broad_index: BoolArray,
    rules: MarginRules,
) -> _MarginBook:
    level, call, amount, paid, years = (np.ascontiguousarray(leg.T) for leg in legs)
    used = amount != 0.0
    fits = np.isfinite(amount) & np.isfinite(years) & np.isfinite(level) & (level > 0.0)
    fits &= ~(paid < 0.0)
    legal = (fits | ~used).all(axis=0) & (spot > 0.0) & np.isfinite(stock)
    good = used & legal
    level, amount = np.where(good, level, 1.0), np.where(good, amount, 0.0)
    years, stock = np.where(good, years, 0.0), np.where(legal, stock, 0.0)
    spot = np.where(legal, spot, 1.0)
    naked = _naked_rate(level, call, paid, spot, broad_index, rules)
    return _MarginBook(level, call, amount, paid, years, naked, spot, stock, legal)


def _needed(book: _MarginBook, rules: MarginRules) -> FloatArray:
    """Requirement per share, (n,); NaN for what is not legal."""
    calls, puts = _side(book, right=True), _side(book, right=False)
    total = _spreads(book, calls.spreads, puts.spreads, rules) + _naked(calls, puts, rules)
    for row in np.flatnonzero(~(calls.plain & puts.plain)):
        total[row] = _hard_case(book.row(int(row)), rules)
    return np.where(book.legal, total + _shares(book, rules), np.nan)


def _premium(book: _MarginBook) -> FloatArray:
    """Premium received per share, (n,)."""
    unit = np.where(book.quantity == 0.0, 0.0, book.price)
    return np.asarray(-(book.quantity * unit).sum(axis=0))


def _naked_rate(
    strike: FloatArray,
    is_call: BoolArray,
    premium: FloatArray,
    spot: FloatArray,
    broad_index: BoolArray,
    rules: MarginRules,
) -> FloatArray:
    """Requirement of one naked short unit, per share, premium included."""
    if rules.cash_account:
        return np.where(is_call, np.inf, strike)
    share = np.where(broad_index, rules.broad_index, rules.equity)
    away = np.where(is_call, np.maximum(strike - spot, 0.0), np.maximum(spot - strike, 0.0))
    least = rules.minimum * np.where(is_call, spot, strike)
    beside = np.maximum(np.maximum(share * spot - away, least), rules.naked_floor)
    return np.asarray(premium + beside, dtype=np.float64)


def _side(book: _MarginBook, *, right: bool) -> _Side:
    """
    One right of every structure in closed form.

    It holds for one expiry with at most one short leg, or with every short covered by a long; and
    for one short and one long leg of different expiries.
    """
    amount = np.where(book.is_call == right, book.quantity, 0.0)
    short, long = np.maximum(-amount, 0.0), np.maximum(amount, 0.0)
    total = short.sum(axis=0)
    by_stock = np.minimum(np.maximum(book.stock if right else -book.stock, 0.0), total)
    leg = short.argmax(axis=0)
    level, when = _at(book.strike, leg), _at(book.tau, leg)
    one_time = _one_expiry(book.tau, amount != 0.0)
    able = np.where(one_time | (book.tau >= when), long, 0.0).sum(axis=0)
    naked = np.maximum(total - by_stock - able, 0.0)
    kept = total - by_stock - naked
    part = kept / np.where(total > 0.0, total, 1.0)
    covered = np.where(amount < 0.0, amount * part, amount)
    partner = _at(book.strike, long.argmax(axis=0))
    adverse = np.maximum(partner - level if right else level - partner, 0.0)
    shorts, longs = np.count_nonzero(short, axis=0), np.count_nonzero(long, axis=0)
    spread = np.where(one_time, _worst(book.strike, right, covered), kept * adverse)
    plain = np.where(
        one_time, (shorts <= 1) | (kept == total), (shorts == 0) | ((shorts == 1) & (longs == 1))
    )
    spreads = _Spreads(covered, spread)
    return _Side(spreads, naked, _at(book.naked, leg), _at(book.price, leg), plain.astype(np.bool_))


def _spreads(book: _MarginBook, calls: _Spreads, puts: _Spreads, rules: MarginRules) -> FloatArray:
    """Requirement of covered legs per share: both sides, or one where a condor earns it."""
    both = calls.cost + puts.cost
    larger = np.maximum(calls.cost, puts.cost)
    one_time = _one_expiry(book.tau, book.quantity != 0.0)
    # With spreads on one side alone both ways give its cost.
    two = (calls.covered < 0.0).any(axis=0) & (puts.covered < 0.0).any(axis=0)
    worst = np.zeros(both.shape)
    if two.any():
        worst = _worst(book.strike, book.is_call, calls.covered + puts.covered)
    if rules.unequal_condor == "wider":
        return np.where(one_time, np.minimum(both, np.maximum(larger, worst)), both)
    per_call = calls.cost / _units(calls.covered)
    per_put = puts.cost / _units(puts.covered)
    equal = np.abs(per_call - per_put) <= _SAME * (1.0 + per_call)
    return np.where(one_time & equal & (worst <= larger + _SAME), larger, both)


def _naked(calls: _Side, puts: _Side, rules: MarginRules) -> FloatArray:
    """Naked shorts per share: of a strangle the larger side, plus the premium of the other."""
    pairs = (
        np.zeros_like(calls.naked) if rules.cash_account else np.minimum(calls.naked, puts.naked)
    )
    other = np.where(calls.rate >= puts.rate, puts.premium, calls.premium)
    shared = _times(pairs, np.maximum(calls.rate, puts.rate) + other)
    alone = _times(calls.naked - pairs, calls.rate) + _times(puts.naked - pairs, puts.rate)
    return shared + alone


def _shares(book: _MarginBook, rules: MarginRules) -> FloatArray:
    """Requirement of the shares per share of multiplier."""
    value = np.abs(book.stock) * book.spot
    if rules.cash_account:
        return np.where(book.stock < 0.0, np.inf, value)
    return np.where(book.stock < 0.0, rules.stock_short, rules.stock) * value


def _hard_case(book: _MarginBook, rules: MarginRules) -> float:
    """One structure whose legs must be paired, per share: spreads first, then the naked rest."""
    calls, naked_calls = _paired(book, right=True)
    puts, naked_puts = _paired(book, right=False)
    total = float(_spreads(book, calls, puts, rules)[0])
    return total + _naked_rest(book, naked_calls, naked_puts, rules)


def _naked_rest(
    book: _MarginBook, calls: FloatArray, puts: FloatArray, rules: MarginRules
) -> float:
    """Naked amounts per leg, (k,), of one structure: strangles first, what is left alone."""
    rate, premium = book.naked[:, 0], book.price[:, 0]
    left = calls + puts
    costliest = np.lexsort((premium, rate))[::-1]
    call_legs = [leg for leg in costliest if calls[leg] > 0.0]
    put_legs = [leg for leg in costliest if puts[leg] > 0.0]
    total = 0.0
    while call_legs and put_legs and not rules.cash_account:
        # The costliest of each side together: the smaller requirement is what falls away.
        call, put = call_legs[0], put_legs[0]
        pairs = min(left[call], left[put])
        other = premium[put] if rate[call] >= rate[put] else premium[call]
        total += float(pairs * (max(rate[call], rate[put]) + other))
        left[call] -= pairs
        left[put] -= pairs
        call_legs = [leg for leg in call_legs if left[leg] > 0.0]
        put_legs = [leg for leg in put_legs if left[leg] > 0.0]
    return total + float(_times(left, rate).sum())


def _paired(book: _MarginBook, *, right: bool) -> tuple[_Spreads, FloatArray]:
    """Calls or puts of one structure, shorts covered at least cost; naked amounts per leg (k,)."""
    amount, level, when = book.quantity[:, 0], book.strike[:, 0], book.tau[:, 0]
    order = np.lexsort((amount, book.price[:, 0], when, level))
    legs = order[book.is_call[order, 0] == right]
    short, long = legs[amount[legs] < 0.0], legs[amount[legs] > 0.0]
    gap = level[long][None, :] - level[short][:, None]
    cost = np.maximum(gap if right else -gap, 0.0)
    cost[when[long][None, :] < when[short][:, None]] = np.inf
    # Shares stand beside the long legs as one more cover, free of charge.
    shares = max(float(book.stock[0] if right else -book.stock[0]), 0.0)
    flow, rest = cover(
        -amount[short],
        np.append(amount[long], shares),
        np.hstack((cost, np.zeros((short.size, 1)))),
        book.naked[short, 0],
    )
    flow = flow[:, :-1]
    covered, naked = np.where(amount > 0.0, amount, 0.0), np.zeros_like(amount)
    covered[short], naked[short] = -flow.sum(axis=1), rest
    covered[book.is_call[:, 0] != right] = 0.0
    later = when[long][None, :] > when[short][:, None]
    spread = float((flow * np.where(later & (flow > 0.0), cost, 0.0)).sum())
    # Pairs of one expiry and spare longs are margined together: a butterfly is not two spreads.
    busy = np.zeros_like(amount)
    busy[short], busy[long] = -(flow * later).sum(axis=1), (flow * later).sum(axis=0)
    for moment in np.unique(when[legs]):
        group = np.where(when == moment, covered - busy, 0.0)
        spread += float(_worst(book.strike, right, group[:, None])[0])
    return _Spreads(covered[:, None], np.array([spread])), naked


def _worst(strike: FloatArray, is_call: BoolArray | bool, quantity: FloatArray) -> FloatArray:
    """
    Largest loss at expiry of legs whose longs cover their shorts, per share; (n,).

    The payoff is linear between the strikes and does not fall above them, so that it is least at a
    strike or at zero.
    """
    if isinstance(is_call, bool):
        sides = [(1.0 if is_call else -1.0, quantity)]
    else:
        sides = [(1.0, np.where(is_call, quantity, 0.0)), (-1.0, np.where(is_call, 0.0, quantity))]
    least = np.zeros(quantity.shape[1])
    for level in (0.0, *strike):
        worth = [(q * np.maximum(sign * (level - strike), 0.0)).sum(axis=0) for sign, q in sides]
        np.minimum(least, sum(worth), out=least)
    return np.asarray(-least)


def _one_expiry(tau: FloatArray, used: BoolArray) -> BoolArray:
    """Whether the used legs expire together; (n,)."""
    if (tau == tau[:1]).all():
        return np.ones(tau.shape[1], dtype=np.bool_)
    last = np.where(used, tau, -np.inf).max(axis=0)
    first = np.where(used, tau, np.inf).min(axis=0)
    return np.asarray(last <= first)


def _at(array: FloatArray, leg: IntArray) -> FloatArray:
    """The number of one leg of each structure, (n,)."""
    return np.asarray(array[leg, np.arange(leg.size)])


def _units(covered: FloatArray) -> FloatArray:
    short = np.maximum(-covered, 0.0).sum(axis=0)
    return np.where(short > 0.0, short, 1.0)


def _times(amount: FloatArray, rate: FloatArray) -> FloatArray:
    """Product in which zero of something impossible costs nothing."""
    return np.where(amount > 0.0, amount * np.where(amount > 0.0, rate, 0.0), 0.0)
