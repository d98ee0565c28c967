"""
The scan written once more, slow and obvious: one trade at a time, every figure from its definition.

Taken as given are the prepared board's prices, deltas, smiles and densities (they have tests of
their own) and the value of an option that outlives the first expiry. Nothing is shared with the
search: combinations are plain loops, margins are written strategy by strategy, probabilities are
sums over the segments of each trade, and the walk sorts everything.
"""

from __future__ import annotations

import bisect
import itertools
import math
import statistics
from collections import Counter
from dataclasses import dataclass

import numpy as np

from tomic.models import ExerciseStyle
from tomic.quant import density, later_expiries
from tomic.strategies.catalogue.leg_rules import (
    Above,
    AtTheMoney,
    Below,
    DeltaBand,
    Mirror,
    Moneyness,
    SameStrike,
)

EDGE = 1e-9


@dataclass
class Trade:
    """One candidate with the figures that decide."""

    strategy: str
    side: str
    first: object
    legs: tuple
    rows: tuple
    score: float = math.nan
    ev: float = math.nan
    margin: float = math.nan
    refused: str = ""
    group: tuple = ()

    @property
    def key(self):
        return (-self.score, -self.ev, self.margin, "", self.strategy, self.legs)


def scan(board, templates):
    """(trades that passed, refusals by first rule, trades considered)."""
    trades = []
    for template in templates:
        for variant in template.variants:
            for pair in expiry_pairs(variant, board):
                for rows in combinations(variant, board, pair):
                    trades.append(figure(board, variant, pair, rows))
    refused = Counter(trade.refused for trade in trades if trade.refused)
    return [trade for trade in trades if not trade.refused], refused, len(trades)


def walk(trades, scan, top, symbols=1):
    """The choice from the top down, with how many more there are like each."""
    chosen = []
    for trade in sorted(trades, key=lambda one: one.key):
        alike = [one for one in chosen if thesis(one) == thesis(trade)]
        crowd = sum(one.strategy == trade.strategy for one in chosen)
        full = symbols >= 3 and len(chosen) >= scan.max_per_symbol
        if not alike and crowd < scan.max_per_strategy and not full and len(chosen) < top:
            chosen.append(trade)
    like = [sum(thesis(one) == thesis(trade) for one in trades) - 1 for trade in chosen]
    return chosen, like


def thesis(trade):
    """Which way, by which week; all trades are of one symbol."""
    return trade.side, trade.first.isocalendar()[:2]


def expiry_pairs(variant, board):
    listed = list(board.outlooks.values())
    low, high = variant.dte
    near = [one for one in listed if low <= one.dte <= high]
    if variant.gap is None:
        return [(one.expiry, None) for one in near]
    least, most = variant.gap
    return [
        (one.expiry, other.expiry)
        for one in near
        for other in listed
        if least <= other.dte - one.dte <= most and other.dte > one.dte
    ]


def combinations(variant, board, pair):
    """Every choice of one row per leg that satisfies the template."""
    choices = []
    for leg in variant.legs:
        expiry = pair[0] if leg.slot == "near" else pair[1]
        rows = board.side(expiry, leg.right).tolist()
        choices.append([row for row in rows if could_be(leg.pick, row, rows, board, expiry)])
    for rows in itertools.product(*choices):
        if fits(variant, board, pair, rows):
            yield rows


def could_be(pick, row, rows, board, expiry):
    strike, delta = board.strike[row], board.delta[row]
    if isinstance(pick, DeltaBand):
        return pick.low <= delta <= pick.high
    if isinstance(pick, Moneyness):
        return pick.low * board.spot - EDGE <= strike <= pick.high * board.spot + EDGE
    if isinstance(pick, AtTheMoney):
        forward = board.outlooks[expiry].forward
        order = sorted(rows, key=lambda one: (abs(board.strike[one] - forward), board.strike[one]))
        return row in order[: pick.nearest]
    return True


def fits(variant, board, pair, rows):
    strike = {
        leg.name: float(board.strike[row]) for leg, row in zip(variant.legs, rows, strict=True)
    }
    for leg in variant.legs:
        pick, here = leg.pick, strike[leg.name]
        if isinstance(pick, SameStrike) and abs(here - strike[pick.leg]) > EDGE:
            return False
        if isinstance(pick, Mirror) and abs(mirrored(strike, pick) - here) > EDGE:
            return False
        if isinstance(pick, (Below, Above)):
            away = here - strike[pick.leg]
            away = away if isinstance(pick, Above) else -away
            expiry = pair[0] if leg.slot == "near" else pair[1]
            unit = board.outlooks[expiry].sigma_points if pick.unit == "sigmas" else 1.0
            low, high = pick.range
            if pick.unit == "strikes":
                listed = sorted(board.strike[board.side(expiry, leg.right)])
                between = [k for k in listed if min(here, strike[pick.leg]) + EDGE < k]
                steps = sum(k <= max(here, strike[pick.leg]) + EDGE for k in between)
                away = math.copysign(steps, away)
            if away < EDGE or not low * unit - EDGE <= away <= high * unit + EDGE:
                return False
    puts = [strike[leg.name] for leg in variant.legs if leg.right == "P"]
    calls = [strike[leg.name] for leg in variant.legs if leg.right == "C"]
    if puts and calls:
        together = any(isinstance(leg.pick, SameStrike) for leg in variant.legs)
        gap = min(calls) - max(puts)
        if gap < -EDGE or (gap <= EDGE and not together):
            return False
    for rule in variant.wider:
        outer = abs(strike[rule.leg] - strike[rule.about])
        if not outer > abs(strike[rule.than] - strike[rule.about]) + EDGE:
            return False
    return True


def mirrored(strike, pick):
    return 2.0 * strike[pick.about] - strike[pick.leg]


def figure(board, variant, pair, rows):
    chain, settings = board.chain, board.settings
    legs = list(zip(variant.legs, rows, strict=True))
    trade = Trade(
        variant.name,
        variant.side,
        pair[0],
        tuple(
            (str(chain["expiry"][row]), float(chain["strike"][row]), leg.right, leg.quantity)
            for leg, row in legs
        ),
        rows,
        group=(variant.side, variant.legs[0].right, pair),
    )
    for row in rows:
        trade.refused = first_in_order(trade.refused, refuse_leg(board, row))
    if trade.refused:
        return trade
    lot, costs = float(chain.multiplier), settings.costs
    credit = 0.0
    for leg, row in legs:
        credit -= leg.quantity * lot * board.price[row]
        credit -= abs(leg.quantity) * lot * costs.slippage * board.prices.half_spread[row]
        credit -= abs(leg.quantity) * costs.commission
    outlook = board.outlooks[pair[0]]
    node, value, slope = profit_and_loss(board, variant, pair, legs, credit)
    law = laws(outlook.market)[0]
    trade.ev = law.mean(node, value, slope)
    if pair[1] is not None:
        # Of later legs the mean at the first expiry is what the smile says today.
        trade.ev = credit + sum(leg.quantity * lot * board.value[row] for leg, row in legs)
    for leg, row in legs:
        trade.ev += leg.quantity * lot * distrusted(board, row)
    success = law.chance_above(node, value, slope, 0.0)
    printed = as_printed(board, variant, outlook, credit, value)
    best = printed.max() if slope <= 0 else math.inf
    puts = sum(leg.quantity for leg in variant.legs if leg.right == "P")
    if slope > 0 or (puts > variant.stock and value[0] >= value.max()):
        best = law.quantile(node, value, slope, 0.95)
    secured = variant.cash_secured or settings.account.margin == "cash"
    trade.margin = requirement(board, variant, pair, legs, secured) - credit
    trade.refused = refuse_trade(board, variant, legs, trade, credit, best, node, value, slope)
    trade.refused = trade.refused or refuse_seller(board, variant, legs, credit, printed, slope)
    if trade.refused:
        return trade
    tail = law.tail_loss(node, value, slope)
    weights = settings.score.weights
    total = weights.pos * success
    ranked = trade.ev - (robust_cost(outlook, node, value, slope) if settings.score.robust else 0.0)
    total += weights.ev * part_of_ev(ranked, tail, settings.score.ev_scale)
    trade.score = 100.0 * liquidity(board, legs) * total
    return trade


_KEPT: dict[int, tuple[density.Density, tuple[Law, ...]]] = {}
"""By the identity of a density, which is kept so that no other one can have it."""


def laws(market):
    """The law of a density, and those 2 % narrower and wider, made once for all its trades."""
    if id(market) not in _KEPT:
        near = (density.viewed(market, volatility=ratio) for ratio in (0.98, 1.02))
        _KEPT[id(market)] = market, tuple(map(Law, (market, *near)))
    return _KEPT[id(market)][1]


def robust_cost(outlook, node, value, slope):
    """Half of what 28 % more or less volatility would cost, from densities 2 % wider, narrower."""
    means = [law.mean(node, value, slope) for law in laws(outlook.market)[1:]]
    return 0.5 * 0.28 * abs(means[1] - means[0]) / 0.04


def part_of_ev(ev, tail, scale):
    if tail == 0.0:
        return 0.5 if ev == 0.0 else float(ev > 0.0)
    return 1.0 / (1.0 + math.exp(min(-ev / tail / scale, 700.0)))


def distrusted(board, row):
    """What is not believed of a mid's distance from the smile: s^2 / (t^2 + s^2) of it."""
    expiry = board.chain["expiry"][row]
    true = []
    for other in np.flatnonzero((board.chain["expiry"] == expiry) & board.listed).tolist():
        call, strike = board.chain["right"][other] == "C", board.strike[other]
        apart = board.price[other] - board.value[other]
        quoted = board.prices.source[other] == 0 and math.isfinite(apart)
        if quoted and call == (strike >= board.forward[other]):
            true.append(apart**2 / 0.4549364 - board.prices.half_spread[other] ** 2 / 3.0)
    apart = board.price[row] - board.value[row]
    if not math.isfinite(apart):
        return 0.0
    scatter = statistics.median(true) if true else 0.0
    if board.prices.source[row] != 0 or scatter <= 0.0:
        return apart
    noise = board.prices.half_spread[row] ** 2 / 3.0
    return apart * noise / (scatter + noise)


ORDER = ("no_price", "spread", "volume", "open_interest")


def first_in_order(one, other):
    found = [name for name in (one, other) if name]
    return min(found, key=ORDER.index) if found else ""


def refuse_leg(board, row):
    scan, chain = board.settings.scan, board.chain
    price, bid, ask = board.price[row], chain["bid"][row], chain["ask"][row]
    if math.isnan(price):
        return "no_price"
    accepted = max(scan.max_spread * price, scan.max_spread_points)
    if bid >= 0 and ask >= bid and ask - bid > accepted:
        return "spread"
    if chain["volume"][row] < scan.min_volume:
        return "volume"
    if chain["open_interest"][row] < scan.min_open_interest:
        return "open_interest"
    return ""


def refuse_trade(board, variant, legs, trade, credit, best, node, value, slope):
    scan = board.settings.scan
    if variant.credit_required and credit <= 0.0:
        return "positive_credit"
    if best <= 0.0:
        return "cannot_win"
    if trade.margin <= 0.0:
        return "no_margin"
    if variant.no_upside_loss:
        top = max(board.strike[row] for _, row in legs)
        if slope < 0 or min(v for x, v in zip(node, value, strict=True) if x >= top) < 0.0:
            return "upside_loss"
    if scan.min_ev is not None and trade.ev < scan.min_ev:
        return "min_ev"
    return ""


def refuse_seller(board, variant, legs, net, printed, slope):
    """What a seller would not sign; *net* is the executable credit after commission."""
    scan, costs, lot = board.settings.scan, board.settings.costs, float(board.chain.multiplier)
    contracts = sum(abs(leg.quantity) for leg, _ in legs)
    credit = net + contracts * costs.commission
    mid = sum(-leg.quantity * lot * board.price[row] for leg, row in legs)
    half = sum(abs(leg.quantity) * lot * board.prices.half_spread[row] for leg, row in legs)
    pays = variant.credit_required or variant.name == "covered_call"
    if pays and variant.name in ("iron_condor", "iron_butterfly", *SPREADS):
        if credit < scan.min_credit_share * (max(-printed.min(), 0.0) + net):
            return "min_credit_share"
    elif pays and credit < scan.min_credit_commissions * contracts * costs.commission:
        return "min_credit_commissions"
    if slope <= 0.0 and mid - net > scan.max_cost_share * (printed.max() + mid - net):
        return "max_cost_share"
    if pays and 2.0 * half > scan.max_spread_share * mid:
        return "max_spread_share"
    if mid > 0.0 and mid - half <= 0.0:
        return "natural_sign"
    return ""


SPREADS = ("short_put_spread", "short_call_spread")


def liquidity(board, legs):
    scan, chain = board.settings.scan, board.chain
    total, contracts = 0.0, 0
    for leg, row in legs:
        price = board.price[row]
        spread = 2.0 * board.prices.half_spread[row]
        accepted = max(scan.max_spread * price, scan.max_spread_points)
        interest, volume = chain["open_interest"][row], chain["volume"][row]
        interest = 250.0 if math.isnan(interest) else interest
        volume = 50.0 if math.isnan(volume) else volume
        one = 1.0 / (1.0 + spread / accepted / 4.0)
        one *= math.sqrt((interest + 50.0) / (interest + 100.0))
        one *= ((volume + 10.0) / (volume + 20.0)) ** 0.25
        one *= 1.0 if board.prices.source[row] == 0 else 0.8
        total += abs(leg.quantity) * math.log(one)
        contracts += abs(leg.quantity)
    return math.exp(total / contracts)


def profit_and_loss(board, variant, pair, legs, credit):
    """Nodes, P&L at them, and slope above the last: at the first expiry, today's money."""
    chain, near = board.chain, board.outlooks[pair[0]]
    lot = float(chain.multiplier)
    here = [float(board.strike[row]) for leg, row in legs if leg.slot == "near"]
    later = None
    if pair[1] is None:
        node = np.array(sorted([0.0, *here]))
    else:
        american = chain.underlying.exercise_style is ExerciseStyle.AMERICAN
        later = later_expiries.from_smiles(
            near.smile, board.outlooks[pair[1]].smile, american=american, market=near.market
        )
        node = np.array(sorted([*later_expiries.grid(near.market), *here]))
    value = np.full(node.size, credit)
    slope = variant.stock * lot * near.discount
    value += variant.stock * lot * near.discount * (node - near.forward)
    for leg, row in legs:
        strike, call = float(board.strike[row]), leg.right == "C"
        if leg.slot == "near":
            worth = np.maximum(node - strike if call else strike - node, 0.0)
        else:
            worth = later.value(node, strike, call)
        value += leg.quantity * lot * near.discount * worth
        slope += leg.quantity * lot * near.discount * (1.0 if call else 0.0)
    return node, value, 0.0 if abs(slope) < 1e-9 else slope


def as_printed(board, variant, outlook, credit, value):
    """P&L without discounting, shares at the spot."""
    lot = variant.stock * board.chain.multiplier
    payoff = (value - credit + lot * outlook.discount * outlook.forward) / outlook.discount
    return payoff + credit - lot * board.spot


BOUNDED = (
    "short_put_spread", "short_call_spread", "long_call_spread", "long_put_spread",
    "put_backspread", "broken_wing_butterfly", "long_butterfly",
)  # fmt: skip
"""Strategies whose margin is their worst loss."""


def requirement(board, variant, pair, legs, cash):
    """Margin by strategy, currency per structure: Cboe's rules, one line each."""
    spot, given = board.spot, board.settings.margin
    strike = {leg.name: float(board.strike[row]) for leg, row in legs}
    price = {leg.name: float(board.price[row]) for leg, row in legs}
    broad = board.chain.symbol in given.broad_indices
    share = given.naked_index if broad else given.naked_equity

    def naked(name, call):
        k = strike[name]
        away = max(k - spot, 0.0) if call else max(spot - k, 0.0)
        least = given.naked_minimum * (spot if call else k)
        return price[name] + max(share * spot - away, least, given.naked_floor)

    def put(name):
        return strike[name] if cash else naked(name, False)

    def worst():
        points = [0.0, *strike.values(), 2.0 * max(strike.values())]
        losses = []
        for at in points:
            paid = sum(
                leg.quantity
                * max(at - strike[leg.name] if leg.right == "C" else strike[leg.name] - at, 0.0)
                for leg in variant.legs
            )
            losses.append(-paid)
        return max(*losses, 0.0)

    name = variant.name
    if name in ("iron_condor", "iron_butterfly"):
        left = strike["short_put"] - strike["long_put"]
        right = strike["long_call"] - strike["short_call"]
        equal = abs(left - right) <= 1e-9 * (1.0 + left)
        need = left if equal else left + right
    elif name in ("naked_put", "cash_secured_put"):
        need = put("short_put")
    elif name in ("short_strangle", "short_straddle"):
        one, other = naked("short_put", False), naked("short_call", True)
        need = one + price["short_call"] if one > other else other + price["short_put"]
    elif name == "jade_lizard":
        need = put("short_put") + strike["long_call"] - strike["short_call"]
    elif name == "calendar":
        need = 0.0
    elif name == "diagonal":
        call = variant.legs[0].right == "C"
        gap = strike["long_far"] - strike["short_near"]
        need = max(gap if call else -gap, 0.0)
    elif name == "ratio_spread":
        call = variant.legs[0].right == "C"
        need = naked("short_call" if call else "short_put", call)
    elif name in ("covered_call", "collar"):
        need = given.stock_long * spot
    elif name in BOUNDED:
        need = worst()
    else:
        raise NotImplementedError(
            f"{name} is new: say in `requirement` of tests/support/reference.py what Cboe's rules "
            "ask for it, or add it to BOUNDED where that is its worst loss"
        )
    return need * board.chain.multiplier


class Law:
    """The distribution of a density, read point by point: log-uniform inside a cell."""

    def __init__(self, density):
        self.price, self.cdf = density.price.tolist(), density.cdf.tolist()

    def moments(self, price):
        """P(S < price), E[S; S < price]."""
        xs, fs = self.price, self.cdf
        if price <= xs[0]:
            return 0.0, 0.0
        cell = min(bisect.bisect_right(xs, price), len(xs) - 1)
        part = min(price, xs[cell])
        if not hasattr(self, "partial"):
            self.partial = [0.0]
            for i in range(1, len(xs)):
                mass, width = fs[i] - fs[i - 1], math.log(xs[i] / xs[i - 1])
                self.partial.append(self.partial[-1] + mass * (xs[i] - xs[i - 1]) / width)
        low, mass = xs[cell - 1], fs[cell] - fs[cell - 1]
        width = math.log(xs[cell] / low)
        below = fs[cell - 1] + mass * math.log(part / low) / width
        return below, self.partial[cell - 1] + mass * (part - low) / width

    def pieces(self, node, value, slope):
        """(from, to, P&L at from, slope) of every segment, the last one as far as there is mass."""
        end = max(self.price[-1], node[-1]) + 1.0
        xs, ys = [*node.tolist(), end], [*value.tolist(), value[-1] + slope * (end - node[-1])]
        for x, y, far, other in zip(xs[:-1], ys[:-1], xs[1:], ys[1:], strict=True):
            if far > x:
                yield x, far, y, (other - y) / (far - x)

    def mean(self, node, value, slope):
        total = 0.0
        for x, far, y, rise in self.pieces(node, value, slope):
            (f0, m0), (f1, m1) = self.moments(x), self.moments(far)
            total += y * (f1 - f0) + rise * (m1 - m0 - x * (f1 - f0))
        return total

    def under(self, node, value, slope, level):
        """P(P&L < level), E[max(level - P&L, 0)]."""
        chance = short = 0.0
        for x, far, y, rise in self.pieces(node, value, slope):
            other = y + rise * (far - x)
            if min(y, other) >= level:
                continue
            cut = x + (level - y) / rise if rise and min(y, other) < level < max(y, other) else None
            low, high = x, far
            if cut is not None:
                low, high = (x, cut) if y < level else (cut, far)
            (f0, m0), (f1, m1) = self.moments(low), self.moments(high)
            chance += f1 - f0
            start = y + rise * (low - x)
            short += (level - start) * (f1 - f0) - rise * (m1 - m0 - low * (f1 - f0))
        return chance, short

    def chance_above(self, node, value, slope, level):
        """P(P&L > level); what makes exactly nothing over a range does not count."""
        return 1.0 - self.under(node, value, slope, level + 1e-8)[0]

    def quantile(self, node, value, slope, share):
        low = float(value.min())
        high = float(max(value.max(), value[-1] + slope * self.price[-1]))
        for _ in range(100):
            middle = 0.5 * (low + high)
            below = self.under(node, value, slope, middle)[0] < share
            low, high = (middle, high) if below else (low, middle)
        return high

    def tail_loss(self, node, value, slope):
        """Mean loss of the worst 5 %, gains counted as 0."""
        chance, mean = self.under(node, value, slope, 0.0)
        if chance <= 0.05:
            return mean / 0.05
        low = float(min(value.min(), value[-1] + slope * self.price[-1])) - 1.0
        high = 0.0
        for _ in range(60):
            middle = 0.5 * (low + high)
            below = self.under(node, value, slope, middle)[0] < 0.05
            low, high = (middle, high) if below else (low, middle)
        return self.under(node, value, slope, high)[1] / 0.05 - high
