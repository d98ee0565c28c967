"""Trades of an entry: closed, rolled, adjusted, expired, assigned, at real prices."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tomic import dates
from tomic.config import Settings
from tomic.errors import TomicError, UsageError
from tomic.journal import campaign, reading
from tomic.models.journal import Action, Fill, Held, JournalEntry, Snapshot, Trade
from tomic.workflows.journal.entries import (
    Journal,
    Recorded,
    change,
    load,
    refuse_future,
    with_snapshot,
)
from tomic.workflows.journal.market import LegMarket, read_market


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
    legs: Sequence[Held],
    held: Sequence[Held],
    wish: TradeTicket,
    *,
    needed: bool,
) -> tuple[Snapshot | None, LegMarket | None, str]:
    """
    The market for *legs*, or why it is not known.

    Raises:
        UsageError: The trade lies in the future.
        TomicError: Nobody answers, and the price is *needed*.
    """
    await refuse_future(journal, wish.at)
    options = [leg for leg in legs if not leg.is_stock]
    if journal.fetch is None or wish.offline:
        return None, None, "nobody was asked (--offline)"
    if wish.at is not None:
        return None, None, "it lies in the past, so nobody was asked"
    if not options:
        return None, None, "shares alone are not quoted"
    try:
        market = await read_market(
            symbol, options, fetch=journal.fetch, store=journal.store, settings=journal.settings
        )
    except TomicError as exc:
        if needed:
            raise
        return None, None, str(exc)
    seen = reading.snapshot(market.board, options, held, market.vol)
    return seen, market, ""


def price_fills(
    legs: Sequence[Held],
    wish: TradeTicket,
    seen: Snapshot | None,
    prices: Mapping[Any, float],
    settings: Settings,
) -> tuple[tuple[Fill, ...], float | None]:
    """
    Fills of *legs*, and the net price where only that is known.

    Raises:
        UsageError: No price was given and none is known.
    """
    marks = seen.prices if seen else {}
    contracts = sum(abs(leg.quantity) for leg in legs if not leg.is_stock)
    fee = (
        settings.costs.commission
        if wish.commission is None or not contracts
        else (wish.commission / contracts)
    )
    fills = tuple(
        Fill(
            **leg.model_dump(),
            price=prices.get(leg.key),
            mid=marks.get(leg.key),
            commission=0.0 if leg.is_stock else round(fee * abs(leg.quantity), 6),
        )
        for leg in legs
    )
    if wish.price is not None:
        quantities = [leg.quantity for leg in legs]
        return _at_net(fills, campaign.signed_price(wish.price, legs, quantities), seen)
    if all(fill.price is not None for fill in fills):
        return fills, None
    offered = reading.executable(legs, seen, settings.costs.slippage) if seen else None
    if offered is None:
        lacking = ", ".join(fill.name for fill in fills if _is_unquoted(seen, fill))
        raise UsageError(f"no price of {lacking or 'these legs'}; pass --price")
    size = campaign.count_structures(fills) * campaign.structure_multiplier(fills)
    return _at_net(fills, round(offered / size, 4), seen)


def _is_unquoted(seen: Snapshot | None, fill: Fill) -> bool:
    mark = seen.mark(fill.key) if seen else None
    return not fill.is_stock and (mark is None or mark.ask is None or mark.source == reading.MODEL)


def _at_net(
    fills: tuple[Fill, ...], price: float, seen: Snapshot | None
) -> tuple[tuple[Fill, ...], float | None]:
    """A single kind of contract has the net price itself; shares stand at the spot."""
    if len(fills) == 1:
        return (fills[0].model_copy(update={"price": abs(price)}),), None
    spot = seen.spot if seen else None
    known = tuple(
        fill.model_copy(update={"price": spot}) if fill.is_stock and fill.price is None else fill
        for fill in fills
    )
    return tuple(
        fill if fill.is_stock else fill.model_copy(update={"price": None}) for fill in known
    ), price


def make_trade(
    action: Action,
    at: dt.datetime,
    fills: tuple[Fill, ...],
    price: float | None,
    seen: Snapshot | None,
    note: str,
) -> Trade:
    """A trade of these fills."""
    return Trade(
        at=at,
        action=action,
        fills=fills,
        price=price,
        structures=campaign.count_structures(fills),
        spot=seen.spot if seen else None,
        note=note,
    )


async def close(
    journal: Journal, entry_id: int, wish: TradeTicket, *, structures: int | None = None
) -> Recorded:
    """
    Close an entry, or some structures of it, at a price or at what the market asks.

    Raises:
        UsageError: It is not open, no price is known, or so many are not held.
    """
    entry = await load(journal, entry_id)
    held = _held_of(entry)
    share = _share(held, structures)
    legs = [leg.model_copy(update={"quantity": -leg.quantity * share}) for leg in held]
    campaign.closing_fills(held, share=share)
    seen, _, why = await look(journal, entry.symbol, held, held, wish, needed=wish.price is None)
    at = wish.at or campaign.not_before(entry, seen.at if seen else await journal.clock())
    fills, price = price_fills(legs, wish, seen, {}, journal.settings)
    trade = make_trade(Action.CLOSE, at, fills, price, seen, wish.note)
    return await _record(journal, entry_id, trade, seen, why)


async def roll(
    journal: Journal,
    entry_id: int,
    legs: Sequence[Held],
    prices: Mapping[Any, float],
    wish: TradeTicket,
) -> Recorded:
    """
    Close legs of an entry and open others in one trade; the campaign goes on.

    Raises:
        UsageError: It is not open, nothing of it is closed, or no price is known.
    """
    entry = await load(journal, entry_id)
    held = _held_of(entry)
    owned = {leg.key: leg.quantity for leg in held}
    closes = any(owned.get(leg.key, 0.0) * leg.quantity < 0.0 for leg in legs)
    contracts = list({leg.key: leg for leg in (*held, *legs)}.values())
    seen, _, why = await look(
        journal, entry.symbol, contracts, held, wish, needed=wish.price is None and not prices
    )
    at = wish.at or campaign.not_before(entry, seen.at if seen else await journal.clock())
    fills, price = price_fills(legs, wish, seen, prices, journal.settings)
    action = Action.ROLL if closes else Action.ADJUST
    trade = make_trade(action, at, fills, price, seen, wish.note)
    return await _record(journal, entry_id, trade, seen, why)


def rolled_to(
    entry: JournalEntry, expiry: dt.date, strikes: Sequence[float] = ()
) -> tuple[Held, ...]:
    """
    The legs that roll every option held to another expiry, at its own strike or at given ones.

    Raises:
        UsageError: Nothing is held, or as many strikes as options are needed.
    """
    options = [leg for leg in _held_of(entry) if not leg.is_stock]
    if strikes and len(strikes) != len(options):
        names = ", ".join(leg.name for leg in options)
        raise UsageError(f"{len(options)} strikes are needed, for {names}; got {len(strikes)}")
    closing = [leg.model_copy(update={"quantity": -leg.quantity}) for leg in options]
    opening = [
        leg.model_copy(
            update={
                "expiry": expiry,
                "strike": strikes[place] if strikes else leg.strike,
                "con_id": None,
            }
        )
        for place, leg in enumerate(options)
    ]
    same = [leg.name for leg, new in zip(options, opening, strict=True) if leg.key == new.key]
    if same:
        raise UsageError(
            f"{', '.join(same)} would be rolled to itself; name another --to or strike"
        )
    return (*closing, *opening)


async def settle(
    journal: Journal, entry_id: int, *, at: dt.datetime | None = None, spot: float | None = None
) -> Recorded:
    """
    Record what became of the expired options of an entry, at the price of their last day.

    Raises:
        UsageError: Nothing has expired, that price is not known, or the time is yet to come.
    """
    await refuse_future(journal, at)
    if spot is not None and not math.isfinite(spot):
        raise UsageError(f"--spot {spot:g}: write a price, such as 561.20")
    entry = await load(journal, entry_id)
    now = at or await journal.clock()
    day = now.astimezone(dates.NEW_YORK).date()
    gone = [leg.expiry for leg in _held_of(entry) if leg.expiry is not None and leg.expiry <= day]
    if not gone:
        raise UsageError(f"entry {entry_id} holds nothing that has expired by {day}")
    expiry = min(gone)
    moment = at or dt.datetime.combine(expiry, dt.time(16), dates.NEW_YORK)
    if moment > await journal.clock():
        raise UsageError(
            f"{expiry} is not over; record what became of its options from 16:00 New York on"
        )
    price = spot if spot is not None else await _close_on(journal, entry.symbol, expiry)
    in_cash = entry.symbol in journal.settings.market.indices
    found = campaign.settlement(
        campaign.held(entry), expired_by=expiry, spot=price, in_cash=in_cash
    )
    recorded = Recorded(entry)
    for action, fills in found.items():
        trade = Trade(
            at=max(moment, entry.opened_at),
            action=action,
            fills=fills,
            structures=campaign.count_structures(fills),
            spot=price,
        )
        recorded = await _record(journal, entry_id, trade, None, "")
    return Recorded(recorded.entry, (f"{entry.symbol} closed at {price:g} on {expiry}",))


async def _close_on(journal: Journal, symbol: str, day: dt.date) -> float:
    bars = await journal.store.history.bars(symbol, days=5, until=day)
    if len(bars) and (day - bars.date[-1].item()).days <= 4:
        later = await journal.store.history.bars(symbol, days=1)
        # An older bar stands in for a holiday only when younger ones show that none is missing.
        if bars.date[-1].item() == day or later.date[-1].item() > day:
            return float(bars.close[-1])
    raise UsageError(
        f"no price of {symbol} on {day} is stored; run tomic prices {symbol}, or pass --spot"
    )


async def assign(
    journal: Journal,
    entry_id: int,
    leg: Held,
    *,
    at: dt.datetime | None = None,
    commission: float = 0.0,
) -> Recorded:
    """
    Record the early exercise or assignment of contracts of one leg; *leg* says how many.

    Raises:
        UsageError: Not so many of it are held, or the time is yet to come.
    """
    await refuse_future(journal, at)
    entry = await load(journal, entry_id)
    own = next((one for one in _held_of(entry) if one.key == leg.key), None)
    if own is None:
        raise UsageError(f"entry {entry_id} holds no {leg.name}")
    fills = campaign.exercise(own, abs(leg.quantity))
    fills = (fills[0].model_copy(update={"commission": commission}), fills[1])
    moment = at or campaign.not_before(entry, await journal.clock())
    trade = Trade(at=moment, action=Action.ASSIGN, fills=fills)
    return await _record(journal, entry_id, trade, None, "")


async def _record(
    journal: Journal, entry_id: int, trade: Trade, seen: Snapshot | None, why: str
) -> Recorded:
    def work(entry: JournalEntry) -> JournalEntry:
        changed = campaign.with_trade(entry, trade)
        return with_snapshot(changed, seen, at=trade.at) if seen else changed

    entry = await change(
        journal, entry_id, work, event=trade.action.value, note=trade.note, at=None
    )
    return Recorded(entry, (f"no marks were taken: {why}",) if why else ())


def _held_of(entry: JournalEntry) -> tuple[Held, ...]:
    held = campaign.held(entry)
    if not entry.is_open or not held:
        raise UsageError(f"journal entry {entry.id} is {entry.status.value}; it holds nothing")
    return held


def _share(held: Sequence[Held], structures: int | None) -> float:
    if structures is None:
        return 1.0
    sizes = [round(abs(leg.quantity)) for leg in held if not leg.is_stock]
    size = math.gcd(*sizes) if sizes else 1
    if not 0 < structures <= size:
        raise UsageError(f"{structures} of {size} structures cannot be closed")
    return structures / size
