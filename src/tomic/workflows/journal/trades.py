"""
Trades of an entry: opened, closed, rolled, adjusted, expired, assigned, at real prices.

An entry is opened from a saved proposal, from positions of the account, or from legs.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal, TypeAlias

from tomic import dates, legs as words
from tomic.config import Settings
from tomic.errors import TomicError, UsageError
from tomic.ib import account
from tomic.journal import campaign, reading
from tomic.legs import NamedLeg
from tomic.models import (
    ExerciseStyle,
    Leg,
    Proposal,
    Underlying,
    VolSnapshot,
    journal as nouns,
    settles_in_cash,
)
from tomic.models.book import Position
from tomic.portfolio import grouping
from tomic.selection import usual_multiplier
from tomic.store import Database
from tomic.strategies.catalogue.templates import own
from tomic.workflows import scan
from tomic.workflows.journal import entries
from tomic.workflows.journal.entries import Journal, Recorded
from tomic.workflows.journal.market import LegMarket, QuotedVix, read_market
from tomic.workflows.journal.statistics import close_on


@dataclass(frozen=True, slots=True)
class TradeTicket:
    """What the trader says of a trade besides its legs."""

    price: str | None = None
    """What one structure traded for; None takes what the market asks."""
    at: dt.datetime | None = None
    """When it was; None means now. Of the past nobody is asked."""
    offline: bool = False
    commission: float | None = None
    """For the whole trade; None takes that of the settings."""
    note: str = ""


async def look(
    journal: Journal,
    symbol: str,
    legs: Sequence[nouns.Held],
    owned: Sequence[nouns.Held],
    ticket: TradeTicket,
    *,
    needed: bool,
) -> tuple[nouns.Snapshot | None, LegMarket | None, str]:
    """
    The market for *legs*, or why it is not known.

    Raises:
        UsageError: The trade lies in the future.
        TomicError: Nobody answers, and the price is *needed*.
    """
    await entries.refuse_future(journal, ticket.at)
    options = [leg for leg in legs if not leg.is_stock]
    if journal.fetch is None or ticket.offline:
        return None, None, "nobody was asked (offline)"
    if ticket.at is not None:
        return None, None, "it lies in the past, so nobody was asked"
    if not options:
        return None, None, "shares alone are not quoted"
    try:
        market = await read_market(
            symbol,
            options,
            fetch=journal.fetch,
            store=journal.store,
            settings=journal.settings,
            vix=QuotedVix.of(journal),
        )
    except TomicError as exc:
        if needed:
            raise
        return None, None, str(exc)
    return reading.snapshot(market.board, options, owned, market.vol), market, ""


def make_trade(
    action: nouns.Action,
    at: dt.datetime,
    legs: Sequence[nouns.Held],
    ticket: TradeTicket,
    marks: nouns.Snapshot | None,
    prices: Mapping[Any, float],
    settings: Settings,
    currency: str = "",
) -> nouns.Trade:
    """
    A trade of *legs*: at the price of the ticket, at *prices*, or at what the market asks.

    Its commission is that of the ticket, else the settings' in *currency*.

    Raises:
        UsageError: No price was given and none is known.
    """
    fee = settings.costs.commission_of(currency)
    fills, net = _priced(_fills(legs, ticket, marks, prices, fee), ticket, marks, settings)
    return nouns.Trade(
        at=at,
        action=action,
        fills=fills,
        price=net,
        structures=campaign.count_structures(fills),
        spot=marks.spot if marks else None,
        note=ticket.note,
    )


def _fills(
    legs: Sequence[nouns.Held],
    ticket: TradeTicket,
    marks: nouns.Snapshot | None,
    prices: Mapping[Any, float],
    fee: float,
) -> tuple[nouns.Fill, ...]:
    mids = marks.prices if marks else {}
    contracts = sum(abs(leg.quantity) for leg in legs if not leg.is_stock)
    if ticket.commission is not None and contracts:
        fee = ticket.commission / contracts
    return tuple(
        nouns.Fill(
            **leg.model_dump(),
            price=prices.get(leg.key),
            mid=nouns.price_of(mids, leg.key),
            commission=0.0 if leg.is_stock else round(fee * abs(leg.quantity), 6),
        )
        for leg in legs
    )


def _priced(
    fills: tuple[nouns.Fill, ...],
    ticket: TradeTicket,
    marks: nouns.Snapshot | None,
    settings: Settings,
) -> tuple[tuple[nouns.Fill, ...], float | None]:
    """
    The fills with their prices, and the net price where only that is known.

    A single kind of contract has the net price itself; shares stand at the spot.
    """
    if ticket.price is not None:
        net = campaign.signed_price(ticket.price, fills, market=_middle(fills))
    elif all(fill.price is not None for fill in fills):
        return fills, None
    else:
        net = _asked(fills, marks, settings)
    if len(fills) == 1:
        return (fills[0].model_copy(update={"price": abs(net)}),), None
    spot = marks.spot if marks else None
    prices = [
        None if not fill.is_stock else spot if fill.price is None else fill.price for fill in fills
    ]
    priced = zip(fills, prices, strict=True)
    return tuple(fill.model_copy(update={"price": price}) for fill, price in priced), net


def _middle(fills: Sequence[nouns.Fill]) -> float | None:
    """What one structure would bring in at the middle of the market; None where unknown."""
    size = campaign.count_structures(fills) * campaign.structure_multiplier(fills)
    worth = [
        None if fill.mid is None else -fill.quantity * fill.multiplier * fill.mid for fill in fills
    ]
    known = [value for value in worth if value is not None]
    return sum(known) / size if len(known) == len(worth) else None


def _asked(fills: Sequence[nouns.Fill], marks: nouns.Snapshot | None, settings: Settings) -> float:
    """What the market asks for one structure, currency per share."""
    offered = reading.executable(fills, marks, settings.costs.slippage) if marks else None
    if offered is None:
        lacking = ", ".join(fill.name for fill in fills if _is_unquoted(marks, fill))
        raise UsageError(f"no price of {lacking or 'these legs'}; pass a price (--price)")
    size = campaign.count_structures(fills) * campaign.structure_multiplier(fills)
    return round(offered / size, 4)


def _is_unquoted(marks: nouns.Snapshot | None, fill: nouns.Fill) -> bool:
    mark = marks.mark(fill.key) if marks else None
    return not fill.is_stock and (mark is None or mark.ask is None or mark.source == reading.MODEL)


async def close(
    journal: Journal, entry_id: int, ticket: TradeTicket, *, structures: int | None = None
) -> Recorded:
    """
    Close an entry, or some structures of it, at a price or at what the market asks.

    Raises:
        UsageError: It is not open, no price is known, or so many are not held.
    """
    entry = await entries.load(journal, entry_id)
    owned = _held_of(entry)
    share = _share(owned, structures)
    campaign.closing_fills(owned, share=share)
    legs = [leg.model_copy(update={"quantity": -leg.quantity * share}) for leg in owned]
    return await _trade(journal, entry, nouns.Action.CLOSE, legs, {}, ticket)


async def roll(
    journal: Journal,
    entry_id: int,
    legs: Sequence[nouns.Held],
    prices: Mapping[Any, float],
    ticket: TradeTicket,
) -> Recorded:
    """
    Close legs of an entry and open others in one trade; the campaign goes on.

    Raises:
        UsageError: It is not open, nothing of it is closed, or no price is known.
    """
    entry = await entries.load(journal, entry_id)
    owned = _held_of(entry)
    closes = any(campaign.held_of(owned, leg) * leg.quantity < 0.0 for leg in legs)
    action = nouns.Action.ROLL if closes else nouns.Action.ADJUST
    return await _trade(journal, entry, action, legs, prices, ticket)


def written(entry: nouns.JournalEntry, text: str) -> Draft:
    """
    Legs as people write them, for an entry: with the multiplier and class of what it holds.

    Raises:
        UsageError: They cannot be read, or the entry holds nothing they could be like.
    """
    draft, owned = from_text(text, symbol=entry.symbol), _held_of(entry)
    legs = tuple(_as_held(leg, owned) for leg in draft.legs)
    prices = {
        own.key: draft.prices[leg.key]
        for leg, own in zip(draft.legs, legs, strict=True)
        if leg.key in draft.prices
    }
    return replace(draft, legs=legs, prices=prices)


def _as_held(leg: nouns.Held, owned: Sequence[nouns.Held]) -> nouns.Held:
    """
    A leg as people write it, with the multiplier and class of what the entry holds.

    Nobody writes a multiplier: options of one entry have the same.

    Raises:
        UsageError: The entry holds options of several multipliers, and none is this leg.
    """
    if leg.is_stock:
        return leg
    options = [own for own in owned if not own.is_stock]
    same = [
        own
        for own in options
        if campaign.is_same(own, leg.model_copy(update={"multiplier": own.multiplier}))
    ]
    multipliers = {own.multiplier for own in same or options}
    if len(multipliers) > 1:
        sizes = " and ".join(f"{size:g}" for size in sorted(multipliers))
        raise UsageError(
            f"{leg.name}: the entry holds options of {sizes} shares; roll to an expiry (--to)"
        )
    update: dict[str, Any] = {"multiplier": multipliers.pop()} if multipliers else {}
    if len(same) == 1:
        update |= {name: getattr(same[0], name) for name in ("con_id", "trading_class", "expiry")}
    return leg.model_copy(update=update)


async def _trade(
    journal: Journal,
    entry: nouns.JournalEntry,
    action: nouns.Action,
    legs: Sequence[nouns.Held],
    prices: Mapping[Any, float],
    ticket: TradeTicket,
) -> Recorded:
    owned = campaign.held(entry)
    contracts = list({leg.key: leg for leg in (*owned, *legs)}.values())
    needed = ticket.price is None and not prices
    marks, market, why = await look(journal, entry.symbol, contracts, owned, ticket, needed=needed)
    at = ticket.at or campaign.not_before(entry, marks.at if marks else await journal.clock())
    currency = entry.currency or _currency_of(market)
    trade = make_trade(action, at, legs, ticket, marks, prices, journal.settings, currency)
    return await _record(journal, entry, trade, marks, why)


def _currency_of(market: LegMarket | None) -> str:
    """Of what was quoted; empty where nobody was asked."""
    return market.chain.underlying.currency if market is not None else ""


def rolled_to(
    entry: nouns.JournalEntry, expiry: dt.date | None, strikes: Sequence[float | None] = ()
) -> tuple[nouns.Held, ...]:
    """
    The legs that roll every option held to another expiry, at its own strike or at given ones.

    Without an expiry each stays in its own and changes its strike; one whose strike stays is kept.

    Raises:
        UsageError: Nothing is held, or as many strikes as options are needed.
    """
    options = [leg for leg in _held_of(entry) if not leg.is_stock]
    if strikes and len(strikes) != len(options):
        names = ", ".join(leg.name for leg in options)
        raise UsageError(f"{len(options)} strikes are needed, for {names}; got {len(strikes)}")
    new_strikes = strikes or [leg.strike for leg in options]
    moved = [
        (leg, strike)
        for leg, strike in zip(options, new_strikes, strict=True)
        if expiry is not None or strike != leg.strike
    ]
    closing = [leg.model_copy(update={"quantity": -leg.quantity}) for leg, _ in moved]
    opening = [
        leg.model_copy(update={"expiry": expiry or leg.expiry, "strike": strike, "con_id": None})
        for leg, strike in moved
    ]
    same = [leg.name for (leg, _), new in zip(moved, opening, strict=True) if leg.key == new.key]
    same = same or [leg.name for leg in options if not moved]
    if same:
        raise UsageError(
            f"{', '.join(same)} would be rolled to itself; name another expiry (--to) or strike"
        )
    return (*closing, *opening)


async def settle(
    journal: Journal, entry_id: int, *, at: dt.datetime | None = None, spot: float | None = None
) -> Recorded:
    """
    Record what became of the expired options of an entry, at the price that settled them.

    That is the close of their last day. Options of an index that are settled at an opening (SPX,
    VIX) have a value of their own, which no price history holds: it must be given.

    Raises:
        UsageError: Nothing has expired, that price is not known, or the time is yet to come.
    """
    await entries.refuse_future(journal, at)
    if spot is not None and not math.isfinite(spot):
        raise UsageError(f"spot {spot:g}: write a price, such as 561.20")
    entry = await entries.load(journal, entry_id)
    now = at or await journal.clock()
    day = now.astimezone(dates.NEW_YORK).date()
    underlying = await journal.known_underlying(entry.symbol)
    ends_at = {
        leg: _settled_at(underlying, leg) for leg in _held_of(entry) if leg.expiry is not None
    }
    first = min(ends_at.values(), default=None)
    if first is None or first.date() > day:
        raise UsageError(f"entry {entry_id} holds nothing that has expired by {day}")
    due = [leg for leg, end in ends_at.items() if end == first]
    settled_on, moment = first.date(), at or first
    if moment > await journal.clock():
        raise UsageError(
            f"{settled_on} is not over; record what became of its options from "
            f"{first.astimezone(dates.NEW_YORK):%H:%M} New York on"
        )
    if spot is None:
        _check_price_is_a_close(entry.symbol, due, settled_on)
    price = spot if spot is not None else await _close_on(journal, entry.symbol, settled_on)
    ends = campaign.settlement(
        due, expired_by=settled_on, spot=price, in_cash=underlying.settles_in_cash
    )
    recorded, moment = Recorded(entry), max(moment, entry.opened_at)
    for action, fills in ends.items():
        count = campaign.count_structures(fills)
        trade = nouns.Trade(at=moment, action=action, fills=fills, structures=count, spot=price)
        recorded = await _record(journal, entry, trade)
    how = "settled" if _at_open(entry.symbol, due[0]) else "closed"
    return Recorded(recorded.entry, (f"{entry.symbol} {how} at {price:g} on {settled_on}",))


_OPENING_VALUES = {"SPX": "SET", "VIX": "VRO"}
"""Index to the symbol under which its settlement value at the open is published."""


def _at_open(symbol: str, leg: nouns.Held) -> bool:
    return dates.settles_at_open(leg.trading_class, symbol=symbol) and settles_in_cash(symbol)


def _settled_at(underlying: Underlying, leg: nouns.Held) -> dt.datetime:
    assert leg.expiry is not None
    if _at_open(underlying.symbol, leg) or not dates.keeps_new_york_hours(underlying):
        return dates.expiry_moment(
            leg.expiry, underlying=underlying, trading_class=leg.trading_class
        )
    return dt.datetime.combine(leg.expiry, dt.time(16), dates.NEW_YORK)


def _check_price_is_a_close(symbol: str, legs: Sequence[nouns.Held], day: dt.date) -> None:
    """Refuse to take a close for what is settled, or may be settled, at the open."""
    name = _OPENING_VALUES.get(symbol, "the special opening quotation")
    if _at_open(symbol, legs[0]):
        raise UsageError(
            f"options on {symbol} were settled at the open of {day}, at {name}, which is no price "
            f"of {symbol} and is not stored; pass it as spot (--spot)"
        )
    unnamed = any(not leg.trading_class for leg in legs)
    if unnamed and symbol in dates.AM_SETTLED and dates.is_monthly(day, (), trading_class=symbol):
        raise UsageError(
            f"options on {symbol} of {day} are settled at the open ({name}) in class {symbol} and "
            "at the close in the other, and the entry does not say which it holds; pass its value "
            "as spot (--spot)"
        )


async def _close_on(journal: Journal, symbol: str, day: dt.date) -> float:
    price = close_on(await journal.store.history.bars(symbol), day)
    if price is not None:
        return price
    raise UsageError(
        f"no price of {symbol} on {day} is stored; run tomic prices {symbol}, or pass "
        "the spot (--spot)"
    )


async def assign(
    journal: Journal,
    entry_id: int,
    leg: nouns.Held,
    *,
    at: dt.datetime | None = None,
    commission: float = 0.0,
    spot: float | None = None,
) -> Recorded:
    """
    Record the early exercise or assignment of contracts of one leg; *leg* says how many.

    Options of an index that may be exercised early (OEX) are settled in cash, at *spot* or at the
    stored close of the day.

    Raises:
        UsageError: Not so many of it are held, they cannot be exercised early, the price is not
            known, or the time is yet to come.
    """
    await entries.refuse_future(journal, at)
    entry = await entries.load(journal, entry_id)
    own = next((each for each in _held_of(entry) if campaign.is_same(each, leg)), None)
    if own is None:
        raise UsageError(f"entry {entry_id} holds no {leg.name}")
    moment = at or campaign.not_before(entry, await journal.clock())
    underlying, level = await journal.known_underlying(entry.symbol), None
    if underlying.settles_in_cash:
        style = underlying.exercise_style_of(own.trading_class)
        if style is ExerciseStyle.EUROPEAN:
            raise UsageError(
                f"options on {entry.symbol} are European and settled in cash: none is assigned "
                "early and no shares change hands; tomic journal close --expired records their "
                "settlement"
            )
        day = moment.astimezone(dates.NEW_YORK).date()
        level = spot if spot is not None else await _close_on(journal, entry.symbol, day)
    option, *shares = campaign.exercise(own, abs(leg.quantity), index_level=level)
    fills = (option.model_copy(update={"commission": commission}), *shares)
    trade = nouns.Trade(at=moment, action=nouns.Action.ASSIGN, fills=fills)
    return await _record(journal, entry, trade)


async def _record(
    journal: Journal,
    entry: nouns.JournalEntry,
    trade: nouns.Trade,
    marks: nouns.Snapshot | None = None,
    why_no_marks: str = "",
) -> Recorded:
    def work(current: nouns.JournalEntry) -> nouns.JournalEntry:
        changed = campaign.with_trade(current, trade)
        return entries.with_snapshot(changed, marks, at=trade.at) if marks else changed

    assert entry.id is not None
    changed = await entries.change(
        journal, entry.id, work, event=trade.action.value, note=trade.note
    )
    return Recorded(changed, (f"no marks were taken: {why_no_marks}",) if why_no_marks else ())


def _held_of(entry: nouns.JournalEntry) -> tuple[nouns.Held, ...]:
    owned = campaign.held(entry)
    if not entry.is_open or not owned:
        raise UsageError(f"journal entry {entry.id} is {entry.status.value}; it holds nothing")
    return owned


def _share(legs: Sequence[nouns.Held], structures: int | None) -> float:
    if structures is None:
        return 1.0
    sizes = [round(abs(leg.quantity)) for leg in legs if not leg.is_stock]
    size = math.gcd(*sizes) if sizes else 1
    if not 0 < structures <= size:
        raise UsageError(f"{structures} of {size} structures cannot be closed")
    return structures / size


_FROM_VOL = ("iv_rank", "iv_percentile", "hv30", "vix", "atr14", "skew", "term_m1_m2", "term_m1_m3")
_GREEKS = ("delta", "gamma", "vega", "theta")
_WANTED = ("spot", "iv", *_FROM_VOL, *_GREEKS, "margin", "pos", "ev")
_OF_LEG = ("expiry", "strike", "right", "con_id", "price", "bid", "ask", "iv", *_GREEKS)
"""What the legs of a proposal and the marks of an entry both have."""


@dataclass(frozen=True, slots=True)
class Draft:
    """Legs that are to become an entry."""

    symbol: str
    strategy: str
    legs: tuple[nouns.Held, ...]
    prices: Mapping[nouns.ContractKey, float] = field(default_factory=dict)
    """Currency per share, of legs that say one."""
    proposal: Proposal | None = None
    structures: int = 1


@dataclass(frozen=True, slots=True)
class EntryNotes:
    """What the trader writes beside the legs."""

    strategy: str = ""
    plan: str = ""
    reason: str = ""
    tags: tuple[str, ...] = ()
    rules: Mapping[str, Any] = field(default_factory=dict)
    continues: int | None = None


# -- drafts ----------------------------------------------------------------------------------


def from_text(
    text: str, *, symbol: str | None = None, quantity: int = 1, settings: Settings | None = None
) -> Draft:
    """
    Legs as people write them, *quantity* times.

    Args:
        settings: Their own strategies may be named in the text, too.

    Raises:
        UsageError: They cannot be read, or are of several symbols.
    """
    named = words.read(text, symbol, own(settings) if settings is not None else None)
    symbol = _common_symbol(named.legs)
    legs = tuple(held_of(leg, quantity) for leg in named.legs)
    prices = {
        leg.key: named_leg.price
        for leg, named_leg in zip(legs, named.legs, strict=True)
        if named_leg.price is not None
    }
    return Draft(symbol, named.strategy or strategy_of(symbol, legs, settings), legs, prices)


def _common_symbol(legs: Iterable[NamedLeg | Position]) -> str:
    symbols = sorted({leg.symbol for leg in legs})
    if len(symbols) > 1:
        raise UsageError(f"one entry is one symbol, got {', '.join(symbols)}")
    return symbols[0]


def held_of(leg: NamedLeg, quantity: float = 1) -> nouns.Held:
    """A named leg as a contract and how many of it."""
    if leg.is_stock:
        return nouns.Held(multiplier=1, quantity=leg.quantity * quantity)
    multiplier = usual_multiplier(leg.symbol)
    if multiplier is None:
        raise UsageError(
            f"the size of a contract on {leg.symbol} is not known by its name; take it from the "
            "position (tomic journal add --position) or import the execution"
        )
    return nouns.Held(
        multiplier=multiplier,
        expiry=leg.expiry,
        strike=leg.strike,
        right="C" if leg.right == "C" else "P",
        quantity=leg.quantity * quantity,
    )


_US_SIZE = 100


def strategy_of(symbol: str, legs: Sequence[nouns.Held], settings: Settings | None = None) -> str:
    """The name that the portfolio would give these legs; ``custom`` for several strategies."""
    known = grouping.UNPATTERNED if settings is None else grouping.known_to(settings)
    # Only distances matter, and thousands of trades have the same.
    low = min((leg.strike for leg in legs if leg.strike is not None), default=0.0)
    first = min((leg.expiry for leg in legs if leg.expiry is not None), default=dt.date.min)
    shape = tuple(
        (
            leg.right,
            None if leg.strike is None else round(leg.strike - low + 1.0, 6),
            None if leg.expiry is None else (leg.expiry - first).days,
            leg.quantity,
            leg.multiplier,
        )
        for leg in legs
    )
    return _strategy_of_shape(symbol, shape, known)


_Shape: TypeAlias = tuple[
    tuple[Literal["C", "P"] | None, float | None, int | None, float, int], ...
]


@lru_cache(maxsize=4096)
def _strategy_of_shape(symbol: str, shape: _Shape, known: grouping.Shapes) -> str:
    """Of legs by right, strike above the lowest plus 1, days after the first expiry, and size."""
    positions = [
        Position(
            account="",
            symbol=symbol,
            sec_type="STK" if right is None else "OPT",
            quantity=quantity,
            right=right,
            strike=strike,
            expiry=None if days is None else _ANY_DAY + dt.timedelta(days=days),
            multiplier=multiplier,
            # A size that is usual abroad is no sign of an adjusted American contract.
            currency="USD" if usual_multiplier(symbol) == _US_SIZE else "",
        )
        for right, strike, days, quantity, multiplier in shape
    ]
    groups = grouping.group(positions, own=known).groups
    return groups[0].strategy if len(groups) == 1 else "custom"


_ANY_DAY = dt.date(2000, 1, 21)


async def from_proposal(journal: Journal, proposal_id: str, *, quantity: int = 1) -> Draft:
    """
    The legs of a saved proposal, of a recording too, *quantity* times.

    Raises:
        DataError: There is none of that id.
    """
    replayed = journal.settings.store.replay_path
    return of_proposal(await scan.load(journal.store, proposal_id, replayed=replayed), quantity)


def of_proposal(proposal: Proposal, quantity: int = 1) -> Draft:
    """The legs of *proposal*, *quantity* times."""
    legs = tuple(
        nouns.Held(
            expiry=leg.expiry,
            strike=leg.strike,
            right=leg.right,
            multiplier=1 if leg.sec_type == "STK" else proposal.multiplier,
            con_id=leg.con_id,
            quantity=leg.quantity * quantity,
        )
        for leg in proposal.legs
    )
    return Draft(proposal.symbol, proposal.strategy, legs, proposal=proposal, structures=quantity)


async def from_positions(journal: Journal, con_ids: Sequence[int]) -> Draft:
    """
    Positions of the account by contract id, at their average cost (commission included).

    Raises:
        UsageError: Not held, or not of one symbol.
        SessionError: The gateway cannot be reached.
    """
    if journal.session is None:
        raise UsageError("positions need the gateway; leave out offline (--offline)")
    session = await journal.session()
    timeout_s = journal.settings.portfolio.account_timeout_s
    listed = await account.positions(session, timeout_s=timeout_s)
    rows = await account.named(session, listed, journal.settings.market, timeout_s=timeout_s)
    by_id = {position.con_id: position for position in grouping.merged(rows) if position.quantity}
    missing = [number for number in con_ids if number not in by_id]
    if missing:
        known = ", ".join(f"{position.con_id} ({position.contract})" for position in by_id.values())
        raise UsageError(f"no position with id {missing[0]}; there are {known or 'none'}")
    chosen = [by_id[number] for number in con_ids]
    symbol = _common_symbol(chosen)
    legs = tuple(
        nouns.Held(
            expiry=position.expiry,
            strike=position.strike,
            right=position.right,
            multiplier=1 if position.is_stock else int(position.multiplier),
            con_id=position.con_id,
            trading_class=position.trading_class if position.is_option else "",
            quantity=position.quantity,
        )
        for position in chosen
    )
    prices = {
        leg.key: position.average_cost
        for leg, position in zip(legs, chosen, strict=True)
        if position.average_cost is not None
    }
    return Draft(symbol, strategy_of(symbol, legs, journal.settings), legs, prices)


# -- entries -----------------------------------------------------------------------------------


async def add(journal: Journal, draft: Draft, ticket: TradeTicket, notes: EntryNotes) -> Recorded:
    """
    Open an entry, with its context and marks as far as they can be had.

    Raises:
        UsageError: No price was given and none can be had; a rule, or an entry that this one
            continues, that does not exist.
        TomicError: Nobody answers and no price was given.
    """
    await entries.refuse_future(journal, ticket.at)
    shares = [NamedLeg(draft.symbol, leg.quantity) for leg in draft.legs if leg.is_stock]
    words.refuse_index_shares(shares, journal.settings.market.indices)
    strategy = notes.strategy or draft.strategy
    rules = entries.rules_for(journal.settings, strategy, notes.rules)
    if notes.continues is not None:
        await entries.load(journal, notes.continues)
    proposal, market, why = draft.proposal, None, ""
    if proposal is not None and ticket.price is None:
        # Taken as it was scored: at that moment, at those marks.
        style = (await journal.known_underlying(proposal.symbol)).exercise_style
        european = style is ExerciseStyle.EUROPEAN
        marks: nouns.Snapshot | None = _proposed_marks(
            proposal, draft.structures, european=european
        )
        ticket = replace(ticket, price=_proposed_price(proposal), at=ticket.at or proposal.as_of)
    else:
        needed = ticket.price is None and not all(leg.key in draft.prices for leg in draft.legs)
        marks, market, why = await look(
            journal, draft.symbol, draft.legs, draft.legs, ticket, needed=needed
        )
    at = ticket.at or (market.chain.as_of if market else await journal.clock())
    currency = _currency_of(market) or (proposal.currency if proposal is not None else "")
    currency = currency or (await journal.known_underlying(draft.symbol)).currency
    trade = make_trade(
        nouns.Action.OPEN, at, draft.legs, ticket, marks, draft.prices, journal.settings, currency
    )
    vol = market.vol if market else await _vol_at(journal.store, draft.symbol, at)
    entry = nouns.JournalEntry(
        symbol=draft.symbol,
        strategy=strategy,
        opened_at=at,
        trades=(trade,),
        rules=rules,
        currency=currency,
        plan=notes.plan,
        reason=notes.reason,
        tags=notes.tags,
        continues=notes.continues,
    )
    context = _context(journal, draft, entry, marks, market, vol)
    entry = entry.model_copy(update={"context": context})
    if marks is not None:
        entry = entries.with_snapshot(entry, marks, at=at)
    saved = await entries.save(journal, entry, event="open", note=ticket.note)
    remarks = [f"no live marks: {why}"] if why else []
    if context.missing:
        remarks.append(f"not known at entry: {', '.join(context.missing)}")
    return Recorded(saved, tuple(remarks))


def _proposed_price(proposal: Proposal) -> str:
    """What the proposal was scored at: executable, its commission apart, shares at the spot."""
    premium = proposal.credit / proposal.multiplier
    shares = sum(leg.quantity for leg in proposal.legs if leg.sec_type == "STK")
    return f"{premium - shares / proposal.multiplier * proposal.spot:+.6f}"


def _proposed_marks(proposal: Proposal, structures: int, *, european: bool) -> nouns.Snapshot:
    marks = tuple(
        nouns.LegMark(
            **{name: getattr(leg, name) for name in _OF_LEG},
            multiplier=proposal.multiplier,
            div_yield=_div_yield(proposal, leg),
            tau=_tau(proposal, leg.expiry),
            source="stored",
        )
        for leg in proposal.legs
        if leg.sec_type == "OPT"
    )
    greeks: dict[str, Any] = {name: getattr(proposal, name) * structures for name in _GREEKS}
    return nouns.Snapshot(
        at=proposal.as_of,
        spot=proposal.spot,
        data_type=proposal.data_type.value,
        rate=proposal.rate,
        european=european,
        legs=marks,
        iv30=proposal.iv30,
        iv_rank=proposal.iv_rank,
        **greeks,
    )


def _div_yield(proposal: Proposal, leg: Leg) -> float:
    """What puts the forward where the leg's own expiry traded; the first's where it is not kept."""
    forward, tau = proposal.forward, proposal.tau
    if leg.forward is not None:
        forward, tau = leg.forward, _tau(proposal, leg.expiry)
    return proposal.rate - math.log(forward / proposal.spot) / tau if tau > 0.0 else 0.0


def _tau(proposal: Proposal, expiry: dt.date | None) -> float:
    later = (expiry - proposal.expiry).days if expiry is not None else 0
    return proposal.tau + later / 365.0


# -- context -----------------------------------------------------------------------------------


async def _vol_at(store: Database, symbol: str, at: dt.datetime) -> VolSnapshot:
    """The last stored snapshot not later than a moment; an empty one where there is none."""
    stored = await store.history.snapshots(symbol)
    earlier = [snapshot for snapshot in stored if snapshot.as_of.date() <= at.date()]
    return earlier[-1] if earlier else VolSnapshot(symbol=symbol, as_of=at)


def _context(
    journal: Journal,
    draft: Draft,
    entry: nouns.JournalEntry,
    marks: nouns.Snapshot | None,
    market: LegMarket | None,
    vol: VolSnapshot,
) -> nouns.Context:
    known: dict[str, Any] = {name: getattr(vol, name) for name in _FROM_VOL}
    known["iv"] = vol.iv30
    if marks is not None:
        known |= {name: getattr(marks, name) for name in ("spot", *_GREEKS)}
    else:
        known["spot"] = vol.spot if vol.as_of.date() == entry.opened_at.date() else None
    if draft.proposal is not None:
        known |= _proposed(draft.proposal, draft.structures, known)
    elif market is not None:
        known |= _expected(market, entry)
    missing = tuple(name for name in _WANTED if known.get(name) is None)
    live = journal.source if market else "stored"
    return nouns.Context(
        as_of=marks.at if marks is not None else vol.as_of,
        source="proposal" if draft.proposal is not None else live,
        missing=missing,
        **known,
    )


def _expected(market: LegMarket, entry: nouns.JournalEntry) -> dict[str, Any]:
    premium = campaign.option_cash(entry.trades[0])
    if premium is None:
        return {}
    credit = premium - campaign.commissions(entry)
    expected = reading.expect(market.board, campaign.held(entry), credit)
    return {} if expected is None else asdict(expected)


def _proposed(proposal: Proposal, structures: int, known: Mapping[str, Any]) -> dict[str, Any]:
    """Figures of the proposal, which is the forecast that will be judged."""
    money = {
        name: getattr(proposal, name) * structures
        for name in ("margin", "max_profit", "max_loss", "ev")
    }
    return {
        **money,
        "proposal": proposal.id,
        "pos": proposal.pos,
        "score": proposal.score,
        "grade": proposal.grade.value,
        "score_parts": {part.name: part.points for part in proposal.parts},
        "iv": known.get("iv") if known.get("iv") is not None else proposal.iv30,
        "iv_rank": proposal.iv_rank if known.get("iv_rank") is None else known["iv_rank"],
    }
