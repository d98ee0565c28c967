"""
What a priced chain says about the legs of an entry: their marks and what to expect of them.

Success and expected value are at the first expiry held, in today's money, under the market's
density, as everywhere in TOMIC; a view of the user's own counts as far as the ranking trusts it.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tomic.config import CostsSettings
from tomic.journal import campaign
from tomic.models import VolSnapshot
from tomic.models.documents import finite
from tomic.models.journal import Contract, ContractKey, Fill, Held, LegMark, Snapshot
from tomic.quant import later_expiries, margin, payoff, probability
from tomic.quant.payoff import Segments
from tomic.strategies.measures import margin_rules, printed
from tomic.strategies.pricing.board import Board
from tomic.strategies.pricing.outlooks import Outlook

MODEL = "model"
"""Source of marks that are not quotes: parity with the other right, the smile, the last close."""
_FRESH = frozenset({"live", "delayed", "replay"})
_GREEKS = ("delta", "gamma", "vega", "theta")
_AROUND = ("iv30", "iv_rank", "iv_percentile", "hv30", "vix", "atr14", "skew")
"""Figures of the volatility around an entry."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What holding to the first expiry is expected to bring; currency for the whole position."""

    pos: float
    ev: float
    max_profit: float
    max_loss: float
    margin: float | None
    """Requirement less credit, plus debit; None where unknown."""


# -- marks -----------------------------------------------------------------------------------


def marks(board: Board, contracts: Sequence[Contract]) -> tuple[LegMark, ...]:
    """The mark of each option among *contracts*; those missing from the chain have no price."""
    rows = rows_of(board, contracts)
    return tuple(
        _mark(board, contract, rows.get(contract.key))
        for contract in contracts
        if not contract.is_stock
    )


def rows_of(board: Board, contracts: Sequence[Contract]) -> dict[ContractKey, int]:
    """Row of the chain of each option among *contracts* that is in it."""
    rows = {}
    for contract in contracts:
        if contract.expiry is None or contract.strike is None or contract.right is None:
            continue
        if contract.multiplier != board.chain.multiplier:
            continue
        key = (contract.expiry, contract.strike, contract.right)
        row = board.row_of.get(key)
        if row is None and (named := board.chain.named(contract.expiry)) is not None:
            row = board.row_of.get((named, contract.strike, contract.right))
        if row is not None:
            rows[contract.key] = row
    return rows


def _mark(board: Board, contract: Contract, row: int | None) -> LegMark:
    plain = contract.model_dump(include=set(Contract.model_fields))
    if row is None:
        return LegMark(**plain)
    chain = board.chain
    bid, ask = (finite(chain[name][row]) for name in ("bid", "ask"))
    price, source = _price(bid, ask), str(chain["quote_source"][row])
    if price is None:
        price, source = finite(board.price[row]), MODEL
    stamp = chain["quoted_at"][row].item()
    plain |= {name: finite(getattr(board, name)[row]) for name in ("iv", *_GREEKS)}
    return LegMark(
        **plain,
        price=price,
        bid=bid,
        ask=ask,
        div_yield=finite(board.div_yield[row]),
        rate=float(board.rate[row]),
        forward=finite(board.forward[row]) if board.on_forward else None,
        tau=float(chain["tau"][row]),
        source=source if price is not None else "",
        quoted_at=stamp.replace(tzinfo=dt.UTC) if stamp is not None else None,
    )


def _price(bid: float | None, ask: float | None) -> float | None:
    """The middle; half of the ask where nobody bids; None without an ask or a crossed market."""
    if ask is None or not ask > 0.0:
        return None
    if bid is None or bid == 0.0:
        return 0.5 * ask
    return 0.5 * (bid + ask) if ask >= bid else None


def snapshot(
    board: Board, contracts: Sequence[Contract], legs: Sequence[Held], vol: VolSnapshot
) -> Snapshot:
    """Marks of *contracts* and the Greeks of *legs*, with the volatility around them."""
    marked = marks(board, contracts)
    by_key = {mark.key: mark for mark in marked}
    chain = board.chain
    figures: dict[str, Any] = {name: getattr(vol, name) for name in _AROUND}
    figures |= {name: _total(name, legs, by_key) for name in _GREEKS}
    return Snapshot(
        at=chain.as_of,
        spot=chain.spot.price,
        data_type=chain.data_type.value,
        rate=chain.rate,
        european=not chain.is_american,
        legs=marked,
        **figures,
    )


def _total(
    name: str, legs: Sequence[Held], marks_by_key: Mapping[ContractKey, LegMark]
) -> float | None:
    total = 0.0
    for leg in legs:
        if leg.is_stock:
            total += leg.quantity * leg.multiplier if name == "delta" else 0.0
            continue
        mark = marks_by_key.get(leg.key)
        value: float | None = None if mark is None else getattr(mark, name)
        if value is None:
            return None
        total += leg.quantity * leg.multiplier * value
    return total


def staleness(snap: Snapshot, legs: Sequence[Held]) -> str:
    """Why the marks of a snapshot may have moved since; empty when they are fresh."""
    known = [mark for leg in legs if (mark := snap.mark(leg.key)) is not None]
    valued = [mark.name for mark in known if mark.source == MODEL]
    old = sorted({mark.source for mark in known if mark.source} - {*_FRESH, MODEL})
    texts = [f"no quote of {', '.join(valued)}, valued by the smile"] if valued else []
    if old:
        texts.append(f"marks are {' and '.join(old)}, not live")
    return "; ".join(texts)


def delay(snap: Snapshot) -> str:
    """A note on delayed data; empty otherwise."""
    is_delayed = any(mark.source == "delayed" for mark in snap.legs)
    return "marks are delayed by some 15 minutes" if is_delayed else ""


# -- expectation -------------------------------------------------------------------------------


def _as_listed(board: Board, leg: Held) -> Held:
    """The leg under the expiry by which the chain lists it."""
    if leg.expiry is None or leg.expiry in board.outlooks:
        return leg
    named = board.chain.named(leg.expiry)
    return leg if named is None else leg.model_copy(update={"expiry": named})


class Outline(NamedTuple):
    """P&L of what is held, at its first expiry and in today's money."""

    form: Segments
    first: Outlook
    """Of that expiry."""
    options: tuple[Held, ...]
    """Under the expiries by which the chain lists them."""
    rows: tuple[int, ...]
    """Rows of the chain, of each of *options*."""
    shares: float
    """Per share of a contract's multiplier."""
    is_single: bool
    """Whether its options share one expiry."""

    def profile(self, credit: float, spot: float, multiplier: int) -> payoff.PayoffProfile:
        """Extremes and breakevens as a broker prints them, not discounted."""
        held = np.array([self.shares * multiplier])
        return payoff.profile(printed(self.form, np.array([credit]), held, self.first, spot))


def outline(
    board: Board, legs: Sequence[Held], credit: float, *, horizon: dt.date | None = None
) -> Outline | None:
    """
    P&L of *legs* at their first expiry, from having received *credit* in currency for the options.

    Shares count as bought at the spot of now.

    Args:
        horizon: Expiry to look at where there are only shares.

    Returns:
        None where an expiry has no density, or an option is not in the chain.
    """
    options = [_as_listed(board, leg) for leg in legs if not leg.is_stock]
    days = sorted({leg.expiry for leg in options if leg.expiry is not None})
    days = days or ([horizon] if horizon is not None else [])
    if not days or any(day not in board.outlooks for day in days):
        return None
    rows = rows_of(board, options)
    if len(rows) < len(options):
        return None
    # Shares held per share of a contract's multiplier.
    shares = sum(leg.quantity * leg.multiplier for leg in legs if leg.is_stock)
    shares /= board.chain.multiplier
    return Outline(
        form=_shape(board, options, days, shares, credit),
        first=board.outlooks[days[0]],
        options=tuple(options),
        rows=tuple(rows[leg.key] for leg in options),
        shares=shares,
        is_single=len(days) == 1,
    )


def expect(board: Board, legs: Sequence[Held], credit: float) -> Expectation | None:
    """
    What holding to the first expiry brings, from having received *credit* in currency for it.

    To judge holding from here on, *credit* is what taking the position again would bring now.
    None where an expiry has no density, or a leg no price.
    """
    held = outline(board, legs, credit)
    if held is None:
        return None
    profile = held.profile(credit, board.spot, board.chain.multiplier)
    law = held.first.ranked
    expectation = Expectation(
        pos=float(probability.pos(law, held.form)),
        ev=float(probability.ev(law, held.form)),
        max_profit=float(profile.max_profit[0]),
        max_loss=float(profile.max_loss[0]),
        margin=finite(float(requirements(board, [held], [credit]).net[0])),
    )
    return expectation if math.isfinite(expectation.ev) else None


def _shape(
    board: Board, options: Sequence[Held], days: Sequence[dt.date], shares: float, credit: float
) -> Segments:
    first = board.outlooks[days[0]]
    legs = (
        np.array([leg.strike for leg in options], dtype=np.float64),
        np.array([leg.is_call for leg in options]),
        np.array([leg.quantity for leg in options], dtype=np.float64),
    )
    terms: dict[str, Any] = {
        "credit": credit,
        "discount": first.discount,
        "stock": shares,
        "stock_cost": float(payoff.stock_cost(first.forward, first.discount)),
        "multiplier": float(board.chain.multiplier),
    }
    if len(days) == 1:
        return payoff.segments(*legs, **terms)
    later = [board.later(days[0], day) for day in days[1:]]
    slot = np.array([days.index(leg.expiry) if leg.expiry else 0 for leg in options])
    grid = later_expiries.grid(first.market)
    return later_expiries.segments(*legs, slot, later, grid=grid, **terms)


def requirements(board: Board, held: Sequence[Outline], credit: Sequence[float]) -> margin.Margin:
    """Margin of each of *held*, from *credit* received for its options; (n,) currency."""
    settings = board.settings
    # Shares alone have no leg, and the rules want one: none of a contract at the money.
    shape = len(held), max([1, *(len(one.rows) for one in held)])
    strike, quantity = np.full(shape, board.spot), np.zeros(shape)
    is_call, price, tau = np.zeros(shape, dtype=np.bool_), np.zeros(shape), np.zeros(shape)
    for number, one in enumerate(held):
        rows, legs = list(one.rows), slice(0, len(one.rows))
        strike[number, legs], is_call[number, legs] = board.strike[rows], board.chain.is_call[rows]
        quantity[number, legs] = [leg.quantity for leg in one.options]
        price[number, legs], tau[number, legs] = board.price[rows], board.chain["tau"][rows]
    return margin.requirement(
        strike,
        is_call,
        quantity,
        price,
        spot=board.spot,
        tau=tau,
        stock=[one.shares for one in held],
        multiplier=float(board.chain.multiplier),
        broad_index=board.chain.symbol in settings.margin.broad_indices,
        credit=credit,
        rules=margin_rules(settings, cash=settings.account.margin == "cash"),
    )


def value_now(legs: Iterable[Held | Fill], snap: Snapshot) -> float | None:
    """What the options held are worth at the marks, currency; None where one is missing."""
    return campaign.value_at([leg for leg in legs if not leg.is_stock], snap.prices)


def executable(legs: Sequence[Held | Fill], snap: Snapshot, slippage: float) -> float | None:
    """
    What buying *legs* at the market would bring in (negative: cost), currency, options and shares.

    Each option gives away *slippage* of its half-spread. None where a quote is missing.
    """
    worth = value_now(legs, snap)
    shares = sum(leg.quantity * leg.multiplier for leg in legs if leg.is_stock)
    if worth is None or (shares and snap.spot is None):
        return None
    given = 0.0
    for leg in legs:
        mark = snap.mark(leg.key)
        if mark is None:
            continue
        if mark.ask is None or mark.source == MODEL:
            return None
        # Without a bid nobody pays anything for it.
        spread = mark.ask if mark.bid is None else mark.ask - mark.bid
        given += abs(leg.quantity) * leg.multiplier * 0.5 * spread * slippage
    return -worth - given - (shares * snap.spot if snap.spot is not None else 0.0)


def closing(
    legs: Sequence[Held], snap: Snapshot, costs: CostsSettings, currency: str = ""
) -> float | None:
    """
    What closing the options of *legs* would bring now (negative: cost), after its own costs.

    In *currency*, whose commission of the settings is taken.

    Where a leg has no quote of its own they are valued at the marks; None where one has no mark.
    """
    options = [leg for leg in legs if not leg.is_stock]
    other_way = [leg.model_copy(update={"quantity": -leg.quantity}) for leg in options]
    brought = executable(other_way, snap, costs.slippage)
    worth = value_now(options, snap) if brought is None else brought
    if worth is None:
        return None
    fee = costs.commission_of(currency)
    return worth - fee * sum(abs(leg.quantity) for leg in options)
