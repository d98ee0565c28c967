"""What candidates cost, earn and risk: figures for whole batches, currency per structure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from tomic._typing import BoolArray, FloatArray, IntArray
from tomic.config import Settings
from tomic.config.scan import CostsSettings
from tomic.quant import later_expiries, margin, payoff, probability
from tomic.quant.density import Density
from tomic.quant.payoff import Segments
from tomic.strategies.candidates import Candidates, Expiries
from tomic.strategies.catalogue.leg_rules import Template
from tomic.strategies.pricing.board import Board
from tomic.strategies.pricing.outlooks import BUMP, Outlook

TAIL = 0.05
"""Share of outcomes behind CVaR95 and the profit that stands in for an unbounded one."""


@dataclass(frozen=True, eq=False)
class Batch:
    """
    Candidates of several templates at the same expiries, legs padded to one width.

    Arrays are (n, k), with quantity 0 and row 0 for unused legs; ``group`` (n,) tells which of
    ``members`` a row belongs to.
    """

    members: Sequence[Candidates]
    expiries: Expiries
    group: IntArray
    row: IntArray
    quantity: FloatArray
    is_call: BoolArray
    is_far: BoolArray
    stock: FloatArray

    def __len__(self) -> int:
        return len(self.row)

    @classmethod
    def of(cls, members: Sequence[Candidates]) -> Batch:
        """Candidates of one pair of expiries, one below the other."""
        width = max((member.row.shape[1] for member in members), default=1)
        sizes = [len(member) for member in members]
        group = np.repeat(np.arange(len(members)), sizes)
        shape = (sum(sizes), width)
        row = np.zeros(shape, dtype=np.int64)
        quantity, is_call, is_far = np.zeros(shape), np.zeros(shape, bool), np.zeros(shape, bool)
        stock = np.array([float(member.template.stock) for member in members])
        first = 0
        for member in members:
            rows, legs = slice(first, first + len(member)), slice(0, member.row.shape[1])
            row[rows, legs], quantity[rows, legs] = member.row, member.quantity
            is_call[rows, legs], is_far[rows, legs] = member.is_call, member.is_far
            first += len(member)
        return cls(
            members, members[0].expiries, group, row, quantity, is_call, is_far, stock[group]
        )

    @classmethod
    def joined(cls, parts: Sequence[Batch]) -> Batch:
        """Parts of one batch, one below the other."""
        first = parts[0]
        names = ("group", "row", "quantity", "is_call", "is_far", "stock")
        columns = (np.concatenate([getattr(part, name) for part in parts]) for name in names)
        return cls(first.members, first.expiries, *columns)

    def take(self, rows: IntArray | BoolArray | slice) -> Batch:
        """The chosen rows, in their order."""
        return Batch(
            self.members, self.expiries, self.group[rows], self.row[rows], self.quantity[rows],
            self.is_call[rows], self.is_far[rows], self.stock[rows],
        )  # fmt: skip

    def trade(self, row: int) -> tuple[Template, tuple[int, ...]]:
        """The template of one row, and its rows of the chain in the order of its legs."""
        template = self.members[int(self.group[row])].template
        return template, tuple(self.row[row, : len(template.legs)].tolist())

    def legs(self, values: FloatArray, unused: float = 0.0) -> FloatArray:
        """Values of the chain's rows by leg, *unused* for unused legs."""
        return np.where(self.quantity == 0.0, unused, values[self.row])


@dataclass(frozen=True, eq=False)
class Measures:
    """Figures of a batch, (n,); NaN where something that is needed is missing."""

    credit: FloatArray
    """What is received after all costs of entry: at mid less slippage and commission."""
    credit_mid: FloatArray
    credit_natural: FloatArray
    """Sold at the bid, bought at the ask, without commission."""
    commission: FloatArray
    max_profit: FloatArray
    """After costs of entry, as a broker prints it: not discounted. So is `max_loss`."""
    max_loss: FloatArray
    loss_today: FloatArray
    """The largest loss in today's money, which no mean of losses exceeds; inf where unbounded."""
    profit: FloatArray
    """`max_profit`, or the 95 % quantile of P&L where profit has no bound."""
    requirement: FloatArray
    margin: FloatArray
    """Requirement less credit, plus debit."""
    pos: FloatArray
    """Under the market's density, as all that follows."""
    ev: FloatArray
    """With residuals of the legs believed as far as their quotes are sure; see `distrusted`."""
    ranked_pos: FloatArray
    """What the score takes for `pos`: with the user's view as far as it is trusted."""
    ranked_ev: FloatArray
    """What the score takes for `ev`, where it is set to be robust less that."""
    loss_chance: FloatArray
    """P(P&L < 0)."""
    mean_loss: FloatArray
    """E[max(-P&L, 0)]."""
    upside: FloatArray
    """Least P&L from the highest strike up: -inf where it falls without bound."""
    liquidity: FloatArray

    @classmethod
    def joined(cls, parts: Sequence[Measures]) -> Measures:
        """One below the other."""
        names = [field.name for field in fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def take(self, rows: IntArray | BoolArray) -> Measures:
        """The chosen rows, in their order."""
        return Measures(*(getattr(self, field.name)[rows] for field in fields(self)))


def margin_rules(settings: Settings, *, cash: bool) -> margin.MarginRules:
    """The kernel's rules from the settings."""
    given = settings.margin
    return margin.MarginRules(
        equity=given.naked_equity,
        broad_index=given.naked_index,
        minimum=given.naked_minimum,
        naked_floor=given.naked_floor,
        stock=given.stock_long,
        stock_short=given.stock_short,
        unequal_condor=given.unequal_condor,
        cash_account=cash,
    )


def foreign_margin(currency: str) -> str:
    """What the reader must know of a margin outside the United States."""
    return f"margin by American rules: what is traded in {currency} has those of its own exchange"


def foreign_commission(costs: CostsSettings, currency: str) -> list[str]:
    """What the reader must know of a commission that nobody set for its currency."""
    if costs.knows_commission(currency):
        return []
    return [
        f"commission taken as {costs.commission:g} {currency} a contract: "
        f"set costs.commissions.{currency}"
    ]


def credits(batch: Batch, board: Board) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Executable credit after commission, credit at mid, commission; (n,) each."""
    costs, lot = board.settings.costs, float(board.chain.multiplier)
    contracts = np.abs(batch.quantity)
    at_mid = -lot * (batch.quantity * batch.legs(board.price)).sum(axis=1)
    slippage = lot * costs.slippage * (contracts * batch.legs(board.prices.half_spread)).sum(axis=1)
    commission = costs.commission_of(board.chain.underlying.currency) * contracts.sum(axis=1)
    return at_mid - slippage - commission, at_mid, commission


def natural(batch: Batch, board: Board) -> FloatArray:
    """Credit with every half-spread given away, without commission; (n,) currency per structure."""
    taken = np.abs(batch.quantity) * batch.legs(board.prices.half_spread)
    given = batch.quantity * batch.legs(board.price) + taken
    return np.asarray(-float(board.chain.multiplier) * given.sum(axis=1))


def shape(batch: Batch, board: Board, credit: FloatArray) -> Segments:
    """P&L at the first expiry, in today's money."""
    near, far = batch.expiries
    first = board.outlooks[near]
    strike = batch.legs(board.strike)
    common: dict[str, Any] = {
        "credit": credit,
        "discount": first.discount,
        "stock": batch.stock,
        "stock_cost": float(payoff.stock_cost(first.forward, first.discount)),
        "multiplier": float(board.chain.multiplier),
    }
    if far is None:
        return payoff.segments(strike, batch.is_call, batch.quantity, **common)
    return later_expiries.segments(
        strike,
        batch.is_call,
        batch.quantity,
        np.where(batch.quantity == 0.0, 0, batch.is_far).astype(np.int64),
        [board.later(near, far)],
        grid=later_expiries.grid(first.market),
        **common,
    )


def as_printed(form: Segments, batch: Batch, board: Board, credit: FloatArray) -> Segments:
    """
    P&L at the first expiry as brokers print it: what *form* (`shape`) is before discounting.

    Shares count at the spot that is paid for them, without what is financed or received meanwhile.
    """
    first = board.outlooks[batch.expiries[0]]
    shares = float(board.chain.multiplier) * batch.stock
    return printed(form, credit, shares, first, board.spot)


def printed(
    form: Segments, credit: FloatArray, shares: FloatArray, first: Outlook, spot: float
) -> Segments:
    """`as_printed` of any P&L from *credit* and *shares* bought, (n,) each."""
    start = credit - shares * payoff.stock_cost(first.forward, first.discount)
    paid = (credit - shares * spot)[:, None]
    value = (form.value - start[:, None]) / first.discount + paid
    return Segments(form.node, value, form.slope / first.discount)


def measure(batch: Batch, board: Board) -> Measures:
    """All figures that rules and score need except CVaR, which is expensive: see `tail_loss`."""
    first = board.outlooks[batch.expiries[0]]
    credit, at_mid, commission = credits(batch, board)
    form = shape(batch, board, credit)
    most, worst = payoff.extremes(as_printed(form, batch, board, credit))
    below = probability.shortfall(first.market, form)
    pos, at_quotes = probability.pos(first.market, form), probability.ev(first.market, form)
    ev = at_quotes - made_by_revaluation(batch, board, credit, at_quotes)
    ev = ev - distrusted(batch, board)
    ranked_pos, ranked_ev = ranked(first, form, pos, ev)
    if board.settings.score.robust:
        ranked_ev = ranked_ev - robust_cost(volatility_slope(batch, board, form))
    requirement = _requirement(batch, board, credit, form)
    return Measures(
        credit=credit,
        credit_mid=at_mid,
        credit_natural=natural(batch, board),
        commission=commission,
        max_profit=most,
        max_loss=worst,
        loss_today=payoff.extremes(form)[1],
        profit=_profit(batch, first, form, most),
        requirement=requirement,
        # Discounted and back: what rounding leaves of nothing is no margin.
        margin=np.round(requirement - credit, 9) + 0.0,
        pos=pos,
        ev=ev,
        ranked_pos=ranked_pos,
        ranked_ev=ranked_ev,
        loss_chance=below.probability,
        mean_loss=below.mean,
        upside=_upside(batch, board, form),
        liquidity=geometric_liquidity(batch, board),
    )


def distrusted(batch: Batch, board: Board) -> FloatArray:
    """
    What the mids of the legs promise beyond the smile and is taken for noise, (n,) currency.

    A quote's distance from the smile is believed by its reliability (`Board.doubted`). An
    expected value that takes mids for true collects at the top of a ranking what is wrong in them.
    """
    doubted = batch.quantity * batch.legs(board.doubted)
    return np.asarray(-float(board.chain.multiplier) * doubted.sum(axis=1))


def made_by_revaluation(
    batch: Batch, board: Board, credit: FloatArray, at_quotes: FloatArray
) -> FloatArray:
    """
    What of a mean P&L the revaluation of later legs makes by itself, (n,) currency; 0 without any.

    At the first expiry an option is worth no less than its exercise, which lifts its mean above
    today's value by more than the right to exercise is worth, and the exercise premium of the leg
    sold counts as earned. Neither is: at the smile all legs are worth what they cost.
    """
    if batch.expiries[1] is None:
        return np.zeros(len(batch))
    worth = batch.quantity * batch.legs(board.value)
    at_smile = credit + float(board.chain.multiplier) * worth.sum(axis=1)
    return np.asarray(at_quotes - at_smile)


def ev_error(batch: Batch, board: Board) -> FloatArray:
    """Standard error of `Measures.ev` from the quotes of the legs, (n,) currency per structure."""
    errors = batch.quantity * batch.legs(board.doubt)
    return np.asarray(float(board.chain.multiplier) * np.sqrt((errors**2).sum(axis=1)))


MISS = 0.28
"""Standard deviation of the logarithm of realised per implied volatility; see docs/evidence.md."""


def ranked(
    first: Outlook, form: Segments, pos: FloatArray, ev: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """PoS and expected value with the user's view as far as it is trusted; (n,) each."""
    if first.ranked is not first.market:
        pos = probability.pos(first.ranked, form)
        ev = ev + probability.ev(first.ranked, form) - probability.ev(first.market, form)
    return pos, ev


def robust_cost(slope: FloatArray) -> FloatArray:
    """What a robust score takes off EV: half of what a usual miss of volatility moves it by."""
    return np.asarray(0.5 * MISS * np.abs(slope))


def volatility_slope(batch: Batch, board: Board, form: Segments) -> FloatArray:
    """
    dEV / d ln sigma, by widening and narrowing the whole density; (n,) currency per structure.

    It is the sum of the legs' own, except where later legs make it no sum of payoffs.
    """
    near, far = batch.expiries
    if far is None:
        return slope_of_legs(batch, board)
    low, high = (probability.ev(law, form) for law in board.outlooks[near].bumped)
    return np.asarray((high - low) / (2.0 * BUMP))


def slope_of_legs(batch: Batch, board: Board) -> FloatArray:
    """`volatility_slope` of trades of one expiry, (n,) currency per structure."""
    slope = batch.quantity * batch.legs(board.volatility_slope)
    return np.asarray(float(board.chain.multiplier) * slope.sum(axis=1))


def expected(batch: Batch, board: Board, credit: FloatArray) -> FloatArray:
    """Mean P&L of options of one expiry at *credit* under the market's density, (n,) currency."""
    worth = batch.quantity * batch.legs(board.expected)
    return np.asarray(credit + float(board.chain.multiplier) * worth.sum(axis=1))


def tail_loss(batch: Batch, board: Board, credit: FloatArray, below: FloatArray) -> FloatArray:
    """
    Mean loss of the worst 5 % of outcomes, those without loss counted as 0; (n,), >= 0.

    Where more than 5 % of outcomes lose this is CVaR at 95 %; else the mean loss over 5 %, which
    is min over a >= 0 of a + E[(loss - a)+] / 5 %: Rockafellar and Uryasev's formula for losses
    that are not negative.

    Args:
        batch, board: The candidates.
        credit: (n,) executable credit.
        below: (2, n) P(P&L < 0) and E[max(-P&L, 0)].
    """
    chance, mean = below
    result: FloatArray = mean / TAIL
    often = np.flatnonzero(chance > TAIL)
    if often.size:
        first = board.outlooks[batch.expiries[0]]
        form = shape(batch.take(often), board, credit[often])
        result[often] = probability.cvar(first.market, form, 1.0 - TAIL)
    return result


def tail_of(law: Density, form: Segments) -> FloatArray:
    """`tail_loss` of any P&L under any density; (n,), >= 0."""
    below = probability.shortfall(law, form)
    result: FloatArray = below.mean / TAIL
    often = below.probability > TAIL
    if often.any():
        part = Segments(form.node[often], form.value[often], form.slope[often])
        result[often] = probability.cvar(law, part, 1.0 - TAIL)
    return result


def tail_loss_bounds(measures: Measures) -> tuple[FloatArray, FloatArray]:
    """
    Between what `tail_loss` lies.

    Not below the mean loss of the outcomes that lose, or over 5 % of all: the worst 5 % are no
    better than the average of the losing outcomes when these are more than 5 %, and contain them
    all when they are fewer. Not above the largest loss, nor all losses on those 5 %.
    """
    least = measures.mean_loss / np.maximum(measures.loss_chance, TAIL)
    most = np.minimum(measures.mean_loss / TAIL, measures.loss_today)
    # Rounding must not put one bound beyond the other.
    return least, np.maximum(most, least)


def rises_without_bound(batch: Batch, form: Segments) -> BoolArray:
    """
    Where profit has no bound but the price itself: above, or on the way to nothing.

    A put held pays most when the underlying is worth nothing; that is no profit to plan with.
    """
    puts = np.where(batch.is_call, 0.0, batch.quantity).sum(axis=1)
    falling = (puts > batch.stock) & (form.value[:, 0] >= form.value.max(axis=1))
    return np.asarray((form.slope > 0.0) | falling, dtype=np.bool_)


def _profit(batch: Batch, first: Outlook, form: Segments, max_profit: FloatArray) -> FloatArray:
    open_ended = np.flatnonzero(rises_without_bound(batch, form))
    if open_ended.size == 0:
        return max_profit
    profit = max_profit.copy()
    part = Segments(form.node[open_ended], form.value[open_ended], form.slope[open_ended])
    profit[open_ended] = probability.profit_quantile(first.market, part, 1.0 - TAIL)
    return profit


def _upside(batch: Batch, board: Board, form: Segments) -> FloatArray:
    """Least P&L at or above the highest strike."""
    top = batch.legs(board.strike).max(axis=1)
    above = np.where(form.node >= top[:, None], form.value, np.inf).min(axis=1)
    return np.where(form.slope < 0.0, -np.inf, above)


def geometric_liquidity(batch: Batch, board: Board) -> FloatArray:
    """Geometric mean over the contracts: one bad leg is felt, and twice where it counts twice."""
    contracts = np.abs(batch.quantity)
    logs = contracts * np.log(batch.legs(board.liquidity, unused=1.0))
    return np.asarray(np.exp(logs.sum(axis=1) / contracts.sum(axis=1)))


def _requirement(batch: Batch, board: Board, credit: FloatArray, form: Segments) -> FloatArray:
    cash = board.settings.account.margin == "cash"
    members = batch.members
    secured = np.array([cash or member.template.cash_secured for member in members])[batch.group]
    covered = np.array([_is_one_sided(member) for member in members])[batch.group]
    needed = np.empty(len(batch))
    # Legs of one right and expiry whose longs cover their shorts need their largest loss.
    lowest = form.value[covered].min(axis=1) - credit[covered]
    needed[covered] = np.maximum(-lowest, 0.0) / board.outlooks[batch.expiries[0]].discount
    for in_cash in (False, True):
        rows = np.flatnonzero(~covered & (secured == in_cash))
        if rows.size:
            needed[rows] = requirement(batch.take(rows), board, cash=in_cash)
    return needed


def requirement(batch: Batch, board: Board, *, cash: bool) -> FloatArray:
    """Margin as a broker prints it, (n,) currency per structure; inf where it may not be held."""
    near, far = batch.expiries
    tau = np.full(batch.row.shape, board.outlooks[near].tau)
    if far is not None:
        tau = np.where(batch.is_far, board.outlooks[far].tau, tau)
    result = margin.requirement(
        batch.legs(board.strike, unused=1.0),
        batch.is_call,
        batch.quantity,
        batch.legs(board.price),
        spot=board.spot,
        tau=tau,
        stock=batch.stock,
        multiplier=float(board.chain.multiplier),
        broad_index=board.chain.symbol in board.settings.margin.broad_indices,
        rules=margin_rules(board.settings, cash=cash),
    )
    needed: FloatArray = result.requirement
    return needed


def _is_one_sided(member: Candidates) -> bool:
    """Whether all legs are of one right and expiry, and held ones cover those sold."""
    template = member.template
    rights = {leg.right for leg in template.legs}
    single_expiry = template.gap is None and template.stock == 0
    return single_expiry and len(rights) == 1 and sum(leg.quantity for leg in template.legs) >= 0
