"""
Alternatives with their figures: what each costs, and what the whole campaign is worth after it.

Every figure is that of the scan: prices and densities of the board, margin, CVaR, what quotes are
believed, and the score. Success and breakevens count all that the campaign has brought in; expected
value and CVaR are from here on, so that what is lost already speaks for nothing. In the score
expected value is taken per CVaR of the alternative or of holding, whichever is larger: closing has
no risk of its own to be measured by.

The error of a difference in expected value is that of the quotes traded, and of the density: by
`measures.MISS`, as realised volatility usually misses the implied one.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tomic._typing import FloatArray, IntArray
from tomic.journal import campaign, reading
from tomic.journal.manage import standing as positions, target
from tomic.journal.manage.moves import DraftMove
from tomic.journal.manage.standing import Standing
from tomic.journal.reading import Outline
from tomic.models import Leg
from tomic.models.documents import finite
from tomic.models.journal import Held
from tomic.models.manage import Move, MoveRefusal
from tomic.models.moves import MoveKind
from tomic.quant import probability
from tomic.quant.payoff import Segments
from tomic.strategies import measures, proposals, scoring
from tomic.strategies.pricing.board import Board
from tomic.strategies.pricing.outlooks import BUMP
from tomic.strategies.scoring import FitModel, Prospect
from tomic.strategies.ticks import PENNY, Tick, tick_of


class Unquoted(Exception):
    """Why an alternative has no figures."""


@dataclass(frozen=True, eq=False)
class PositionOnBoard:
    """A position on a board, and what judging its alternatives needs beside them."""

    held: Standing
    board: Board
    horizon: dt.date | None
    """Expiry at which shares alone are judged."""
    value: float
    """Of all that is held, at the middle of the market, currency."""

    @property
    def received(self) -> float:
        """Cash of the campaign; where it is not known, as if all were taken at the value of now."""
        return -self.value if self.held.received is None else self.held.received

    @property
    def pnl(self) -> float:
        """Of the campaign so far; 0 where its cash is not known."""
        return self.received + self.value

    @property
    def lot(self) -> float:
        """Shares per contract."""
        return float(self.board.chain.multiplier)


def place(held: Standing, board: Board, horizon: dt.date | None) -> PositionOnBoard:
    """
    The position on its board.

    Raises:
        Unquoted: An option that is held is not in the chain, or has no price.
    """
    rows, quantity = _rows(board, held.options)
    value = float(board.chain.multiplier) * float((quantity * board.price[rows]).sum())
    if not math.isfinite(value):
        lacking = [
            leg.name
            for leg, row in zip(held.options, rows.tolist(), strict=True)
            if not math.isfinite(board.price[row])
        ]
        raise Unquoted(f"no price of {', '.join(lacking)}")
    return PositionOnBoard(held, board, horizon, value + held.shares * board.spot)


def _rows(board: Board, legs: Sequence[Held]) -> tuple[IntArray, FloatArray]:
    """Rows of options in the chain, and their signed quantities; (k,) each."""
    options = [leg for leg in legs if not leg.is_stock]
    known = reading.rows_of(board, options)
    lacking = [leg.name for leg in options if leg.key not in known]
    if lacking:
        raise Unquoted(f"no quote of {', '.join(lacking)}")
    rows = np.array([known[leg.key] for leg in options], dtype=np.int64)
    return rows, np.array([leg.quantity for leg in options], dtype=np.float64)


def _shares(legs: Sequence[Held]) -> float:
    return math.fsum(leg.quantity * leg.multiplier for leg in legs if leg.is_stock)


class _Order(NamedTuple):
    """What trading costs; currency."""

    rows: IntArray
    quantity: FloatArray
    at_mid: float
    """Received, before costs."""
    half_spreads: float
    spread_cost: float
    commission: float
    paid: float
    """For what changes hands without an order."""
    legs: tuple[Leg, ...]
    tick: Tick | None
    limit: float
    """At mid on its tick, per share of one structure."""

    @property
    def net(self) -> float:
        """Received after costs, and after what is paid for what is given."""
        return self.at_mid - self.spread_cost - self.commission - self.paid


def _order(at: PositionOnBoard, draft: DraftMove) -> _Order:
    board, costs = at.board, at.board.settings.costs
    rows, quantity = _rows(board, draft.trade)
    contracts = np.abs(quantity)
    half = at.lot * float((contracts * board.prices.half_spread[rows]).sum())
    traded = at.lot * float((quantity * board.price[rows]).sum())
    at_mid = -traded - _shares(draft.trade) * board.spot
    if not math.isfinite(at_mid):
        raise Unquoted("no price of an option that it trades")
    commission = costs.commission_of(board.chain.underlying.currency) * float(contracts.sum())
    legs = _legs(board, draft.trade)
    tick = _tick(draft, legs)
    limit = 0.0 if tick is None else tick.nearest(at_mid / _size(at, draft))
    spread = costs.slippage * half
    return _Order(rows, quantity, at_mid, half, spread, commission, draft.paid, legs, tick, limit)


class _After(NamedTuple):
    """What holding brings after an alternative; currency."""

    rows: IntArray
    quantity: FloatArray
    shares: float
    outline: Outline | None
    """None where nothing is held."""
    credit: float
    pos: float
    ev: float
    ranked_ev: float
    tail: float
    """CVaR95 from here on; NaN until `_tails`."""
    slope: float
    """dEV / d ln sigma."""
    breakevens: tuple[float, ...]
    max_profit: float
    max_loss: float
    margin: float
    """Requirement; NaN until `_margins`."""


def _after(at: PositionOnBoard, legs: Sequence[Held], net: float) -> _After:
    board, shares = at.board, _shares(legs)
    rows, quantity = _rows(board, legs)
    credit = at.received + net + shares * board.spot
    if not legs:
        return _flat(at, net)
    outline = reading.outline(board, legs, credit, horizon=at.horizon)
    if outline is None:
        raise Unquoted(_why_blind(board, legs))
    first, form = outline.first, outline.form
    slope = _slope(at, outline, rows, quantity)
    at_quotes = float(probability.ev(first.ranked, form)) - at.pnl
    # What mids promise beyond the smile is taken for noise, as in a scan.
    ev = at_quotes + at.lot * float((quantity * board.doubted[rows]).sum())
    profile = outline.profile(credit, board.spot, board.chain.multiplier)
    edges = np.atleast_2d(profile.breakevens)[0]
    return _After(
        rows=rows,
        quantity=quantity,
        shares=shares,
        outline=outline,
        credit=credit,
        pos=float(probability.pos(first.ranked, form)),
        ev=ev,
        ranked_ev=ev - _robust(board, slope),
        tail=math.nan,
        slope=slope,
        breakevens=tuple(float(edge) for edge in edges if math.isfinite(edge)),
        max_profit=float(np.ravel(profile.max_profit)[0]),
        max_loss=float(np.ravel(profile.max_loss)[0]),
        margin=math.nan,
    )


def _flat(at: PositionOnBoard, net: float) -> _After:
    """Nothing is held any more: what is in is in."""
    total = at.received + net
    gained = total - at.pnl
    nothing = np.array([], dtype=np.int64)
    return _After(
        rows=nothing,
        quantity=np.array([]),
        shares=0.0,
        outline=None,
        credit=total,
        pos=1.0 if total > 0.0 else 0.0,
        ev=gained,
        ranked_ev=gained,
        tail=max(-gained, 0.0),
        slope=0.0,
        breakevens=(),
        max_profit=total,
        max_loss=max(-total, 0.0),
        margin=0.0,
    )


def _slope(at: PositionOnBoard, outline: Outline, rows: IntArray, quantity: FloatArray) -> float:
    """As `measures.volatility_slope`: of one expiry the sum of its legs' own."""
    board, form = at.board, outline.form
    if outline.is_single:
        return at.lot * float((quantity * board.volatility_slope[rows]).sum())
    low, high = (float(probability.ev(law, form)) for law in outline.first.bumped)
    return (high - low) / (2.0 * BUMP)


def _robust(board: Board, slope: float) -> float:
    return float(measures.robust_cost(np.array(slope))) if board.settings.score.robust else 0.0


def _why_blind(board: Board, legs: Sequence[Held]) -> str:
    days = sorted({leg.expiry for leg in legs if leg.expiry is not None})
    blind = [day for day in days if (board.chain.named(day) or day) not in board.outlooks]
    texts = [f"{day}: {board.blind.get(day, 'no density')}" for day in blind]
    return "; ".join(texts) or "no expiry to judge it at"


# -- all alternatives --------------------------------------------------------------------------


class _Alternative(NamedTuple):
    draft: DraftMove
    legs: tuple[Held, ...]
    order: _Order
    after: _After


class Weighed(NamedTuple):
    """The alternatives of a position that can be had, and why others cannot."""

    at: PositionOnBoard
    judged: tuple[_Alternative, ...]
    refused: tuple[MoveRefusal, ...]

    @property
    def hold(self) -> _Alternative:
        """What the others are compared with."""
        return next(
            alternative for alternative in self.judged if alternative.draft.kind is MoveKind.HOLD
        )


def weigh(at: PositionOnBoard, drafts: Sequence[DraftMove]) -> Weighed:
    """
    What every draft costs and leaves, holding among them; and why some have no figures.

    Raises:
        Unquoted: Holding itself has no figures.
    """
    (known,) = weigh_all([(at, drafts)])
    if isinstance(known, Unquoted):
        raise known
    return known


def weigh_all(
    positions: Sequence[tuple[PositionOnBoard, Sequence[DraftMove]]],
) -> list[Weighed | Unquoted]:
    """`weigh` of many positions, in their order; of several at once it takes far less time."""
    drawn: list[Weighed | Unquoted] = []
    for at, drafts in positions:
        try:
            drawn.append(_weighed(at, drafts))
        except Unquoted as exc:
            drawn.append(exc)
    known = [weighing for weighing in drawn if isinstance(weighing, Weighed)]
    held = [
        (weighing.at, alternative.after)
        for weighing in known
        for alternative in weighing.judged
        if alternative.after.outline is not None
    ]
    complete = zip(_margins(held), _tails(held), strict=True)

    def whole(alternative: _Alternative) -> _Alternative:
        if alternative.after.outline is None:
            return alternative
        needed, tail = next(complete)
        return alternative._replace(after=alternative.after._replace(margin=needed, tail=tail))

    return [
        weighing._replace(judged=tuple(map(whole, weighing.judged)))
        if isinstance(weighing, Weighed)
        else weighing
        for weighing in drawn
    ]


def _weighed(at: PositionOnBoard, drafts: Sequence[DraftMove]) -> Weighed:
    """`weigh`, but for what is worked out of many together."""
    judged: list[_Alternative] = []
    refused: list[MoveRefusal] = []
    for draft in drafts:
        try:
            order = _order(at, draft)
            if (reason := _too_expensive(at, draft, order)) is not None:
                refused.append(MoveRefusal(kind=draft.kind, reason=reason))
                continue
            judged.append(_one(at, draft, order))
        except Unquoted as exc:
            if draft.kind is MoveKind.HOLD:
                raise
            refused.append(MoveRefusal(kind=draft.kind, reason=f"{draft.text}: {exc}"))
    return Weighed(at, tuple(judged), tuple(refused))


def _margins(held: Sequence[tuple[PositionOnBoard, _After]]) -> list[float]:
    """The requirements of all of a board together, which take as long as that of one."""
    needed = [math.nan] * len(held)
    for numbers in _alike(id(at.board) for at, _ in held):
        board = held[numbers[0]][0].board
        outlines = [after.outline for _, after in (held[n] for n in numbers) if after.outline]
        credits = [held[n][1].credit for n in numbers]
        amounts: Any = reading.requirements(board, outlines, credits).requirement
        for number, amount in zip(numbers, np.asarray(amounts).tolist(), strict=True):
            needed[number] = amount
    return needed


def _tails(held: Sequence[tuple[PositionOnBoard, _After]]) -> list[float]:
    """CVaR95 from here on of each, those under one density together."""
    found = [math.nan] * len(held)
    outlines = [(at, after.outline) for at, after in held if after.outline is not None]
    shapes = [
        (id(outline.first), outline.form.node.size if not outline.is_single else 0)
        for _, outline in outlines
    ]
    for numbers in _alike(shapes):
        parts = [outlines[n] for n in numbers]
        law = parts[0][1].first.market
        tails = measures.tail_of(law, _stacked([(part.form, at.pnl) for at, part in parts]))
        for number, tail in zip(numbers, tails.tolist(), strict=True):
            found[number] = tail
    return found


def _alike(keys: Iterable[Hashable]) -> list[list[int]]:
    """Places of equal keys."""
    places: dict[Hashable, list[int]] = {}
    for place, key in enumerate(keys):
        places.setdefault(key, []).append(place)
    return list(places.values())


def _stacked(forms: Sequence[tuple[Segments, float]]) -> Segments:
    """Forms as rows, less the P&L so far of each; short ones end in nodes without width."""
    most = max(form.node.size for form, _ in forms)
    return Segments(
        np.array([np.pad(form.node, (0, most - form.node.size), mode="edge") for form, _ in forms]),
        np.array(
            [np.pad(form.value, (0, most - form.value.size), mode="edge") - p for form, p in forms]
        ),
        np.array([float(form.slope) for form, _ in forms]),
    )


def described(
    weighed: Weighed, fits: Sequence[float], *, excess: float | None = None, targets: bool = False
) -> list[Move]:
    """
    The alternatives with every figure, in their order.

    Args:
        fits: F of each, from `fits_of`.
        excess: Excess liquidity now, in the currency of the position; None where not known.
        targets: Whether to work out `Move.p_target`, which takes paths.
    """
    at, hold = weighed.at, weighed.hold
    moves = [
        _described(at, alternative, hold, fit, excess)
        for alternative, fit in zip(weighed.judged, fits, strict=True)
    ]
    return _with_targets(at, weighed.judged, moves) if targets else moves


def _one(at: PositionOnBoard, draft: DraftMove, order: _Order) -> _Alternative:
    legs = positions.after(at.held.legs, (*draft.given, *draft.trade))
    return _Alternative(draft, legs, order, _after(at, legs, order.net))


def _too_expensive(at: PositionOnBoard, draft: DraftMove, order: _Order) -> str | None:
    """Why a roll is refused that pays nothing."""
    if not draft.kind.is_roll or not at.board.settings.manage.only_credit:
        return None
    if order.limit > 0.0:
        return None
    debit = f"a debit of {-order.limit:.2f}" if order.limit else "nothing"
    return f"{draft.text}: only for {debit}"


def _legs(board: Board, legs: Sequence[Held]) -> tuple[Leg, ...]:
    rows, _ = _rows(board, legs)
    options = [leg for leg in legs if not leg.is_stock]
    made = [
        proposals.leg_of(board, row, round(leg.quantity), leg.name)
        for leg, row in zip(options, rows.tolist(), strict=True)
    ]
    if shares := _shares(legs):
        made.append(proposals.shares_of(board, round(shares)))
    return tuple(made)


def _structures(draft: DraftMove) -> int:
    return campaign.count_structures(draft.trade)


def _tick(draft: DraftMove, legs: Sequence[Leg]) -> Tick | None:
    """The step of the order."""
    if not legs:
        return None
    return Tick(PENNY, "of shares") if _shares(draft.trade) else tick_of(legs)


def _size(at: PositionOnBoard, draft: DraftMove) -> float:
    """By what a price per share of one structure is multiplied; of shares alone, their number."""
    if all(leg.is_stock for leg in draft.trade):
        return abs(_shares(draft.trade)) or 1.0
    return at.lot * _structures(draft)


def _described(
    at: PositionOnBoard,
    alternative: _Alternative,
    hold: _Alternative,
    fit: float,
    excess: float | None,
) -> Move:
    draft, order, after = alternative.draft, alternative.order, alternative.after
    board, outline = at.board, after.outline
    size = _size(at, draft)
    change = after.ev - hold.after.ev
    figures = scoring.ScoreFigures(
        pos=np.array([after.pos]),
        ev=np.array([after.ranked_ev]),
        tail_loss=np.array([max(after.tail, hold.after.tail)]),
        liquidity=np.array([_liquidity(at, alternative)]),
    )
    first = outline.first if outline is not None else None
    margin_change = after.margin - hold.after.margin
    return Move(
        kind=draft.kind,
        text=draft.text,
        trades=order.legs,
        structures=_structures(draft),
        mid=order.at_mid / size + 0.0,
        natural=(order.at_mid - order.half_spreads) / size + 0.0,
        limit=order.limit,
        tick=None if order.tick is None else order.tick.size,
        spread_cost=order.spread_cost,
        commission=order.commission,
        locked_in=_locked_in(at, alternative),
        legs=_legs(board, alternative.legs),
        net_credit=after.credit,
        expiry=first.expiry if first else None,
        dte=first.dte if first else None,
        tau=first.tau if first else 0.0,
        forward=first.forward if first else board.spot,
        rate=first.rate if first else 0.0,
        multiplier=board.chain.multiplier,
        spot=board.spot,
        market_volatility=first.market.volatility if first else 0.0,
        breakevens=after.breakevens,
        max_profit=after.max_profit,
        max_loss=after.max_loss,
        pos=after.pos,
        ev=after.ev,
        ev_change=change + 0.0,
        ev_error=_error(at, alternative, hold),
        cvar95=after.tail,
        margin=after.margin,
        margin_change=margin_change if math.isfinite(margin_change) else None,
        buying_power_after=None if excess is None else finite(excess - margin_change + order.net),
        **_greeks(at, alternative, hold),
        fit=fit,
        liquidity=float(figures.liquidity[0]),
        score=fit * float(scoring.total(figures, board.settings.score)[0]),
    )


def _error(at: PositionOnBoard, alternative: _Alternative, hold: _Alternative) -> float:
    """Standard error of an expected value beside that of holding, currency."""
    order = alternative.order
    of_quotes = at.lot * float(np.sqrt(((order.quantity * at.board.doubt[order.rows]) ** 2).sum()))
    of_density = measures.MISS * abs(alternative.after.slope - hold.after.slope)
    return math.hypot(of_quotes, of_density)


def _liquidity(at: PositionOnBoard, alternative: _Alternative) -> float:
    """Geometric mean over all contracts that are held before or after."""
    legs = {
        leg.key: leg for leg in (*at.held.options, *alternative.draft.trade) if not leg.is_stock
    }
    rows, quantity = _rows(at.board, list(legs.values()))
    contracts = np.abs(quantity)
    if not contracts.sum():
        return 1.0
    logs = contracts * np.log(at.board.liquidity[rows])
    return float(np.exp(logs.sum() / contracts.sum()))


def _greeks(at: PositionOnBoard, alternative: _Alternative, hold: _Alternative) -> dict[str, Any]:
    def of(after: _After) -> dict[str, float | None]:
        stock = after.shares / at.lot
        sums = proposals.greeks_of(at.board, after.rows, after.quantity, stock)
        return {name: finite(sums[name]) for name in ("delta", "vega", "theta")}

    now, before = of(alternative.after), of(hold.after)
    changes: dict[str, float | None] = {
        f"{name}_change": _difference(now[name], before[name]) for name in ("delta", "vega")
    }
    return {**now, **changes}


def _difference(now: float | None, before: float | None) -> float | None:
    return None if now is None or before is None else now - before


def _locked_in(at: PositionOnBoard, alternative: _Alternative) -> float | None:
    """What the campaign has come to if all that is left goes for what it was opened at."""
    if at.held.received is None:
        return None
    basis = dict(at.held.opened or {})
    board = at.board
    new = {leg.key for leg in at.held.legs}
    total = at.held.received + alternative.order.net
    for leg in alternative.legs:
        if leg.key not in new:
            (row,), _ = _rows(board, [leg]) if not leg.is_stock else ((-1,), None)
            paid = alternative.draft.paid / abs(leg.quantity * leg.multiplier)
            basis[leg.key] = paid if leg.is_stock else float(board.price[row])
        if leg.key not in basis:
            return None
        total += leg.quantity * leg.multiplier * basis[leg.key]
    return total


def _with_targets(
    at: PositionOnBoard, judged: Sequence[_Alternative], moves: Sequence[Move]
) -> list[Move]:
    campaigns = [_campaign(at, alternative) for alternative in judged]
    chances = target.chances(at.board, at.held.rules, campaigns)
    return [
        move.model_copy(update={"p_target": chance})
        for move, chance in zip(moves, chances, strict=True)
    ]


def _campaign(at: PositionOnBoard, alternative: _Alternative) -> target.Campaign:
    """Cash and premium of its options: what targets are measured against has no shares in it."""
    opened, received = dict(at.held.opened or {}), at.held.received
    premium, shares = at.held.premium, _shares(alternative.legs)
    stock = Held(multiplier=1, quantity=1.0).key
    if shares and alternative.draft.given:
        opened[stock] = alternative.draft.paid / shares
    if received is not None:
        paid = shares * opened.get(stock, math.nan) if shares else 0.0
        received = finite(received + alternative.order.net + paid)
    sells = alternative.draft.kind.is_roll or alternative.draft.kind in (
        MoveKind.ASSIGNMENT,
        MoveKind.WRITE,
    )
    if premium is not None and sells:
        premium += alternative.order.at_mid
    return target.Campaign(alternative.legs, received, premium)


# -- the book ----------------------------------------------------------------------------------


def fits_of(weighed: Sequence[Weighed], book: FitModel | None) -> list[list[float]]:
    """
    F of what each alternative trades, position by position.

    1 for holding, without a book, and where it cannot be valued.
    """
    factors = [[1.0] * len(position.judged) for position in weighed]
    places = [
        (position, number, prospect)
        for position, weighing in enumerate(weighed if book is not None else ())
        for number, judged in enumerate(weighing.judged)
        if judged.draft.trade
        and (prospect := _prospect(weighing.at, judged, weighing.hold)) is not None
    ]
    if book is not None:
        fits = book.fits([prospect for _, _, prospect in places])
        for (position, number, _), fit in zip(places, fits, strict=True):
            factors[position][number] = fit.factor
    return factors


def _prospect(
    at: PositionOnBoard, alternative: _Alternative, hold: _Alternative
) -> Prospect | None:
    rows, quantity = alternative.order.rows, alternative.order.quantity
    days = {at.board.chain["expiry"][row].item() for row in rows.tolist()}
    if not rows.size or not days <= set(at.board.outlooks):
        return None
    margin = alternative.after.margin - hold.after.margin - alternative.order.net
    return proposals.prospect_of(
        at.board,
        at.held.strategy,
        rows.tolist(),
        quantity,
        stock=_shares(alternative.draft.trade) / at.lot,
        margin=margin,
    )
