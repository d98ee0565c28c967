"""New journal entries: from a saved proposal, from positions of the account, or from legs."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tomic import legs as words
from tomic.errors import UsageError
from tomic.ib import account
from tomic.journal import campaign, reading
from tomic.legs import NamedLeg
from tomic.models import Proposal, VolSnapshot
from tomic.models.book import Position
from tomic.models.journal import Action, Context, ContractKey, Held, JournalEntry, LegMark, Snapshot
from tomic.portfolio import grouping
from tomic.store import Database
from tomic.workflows import scan
from tomic.workflows.journal.entries import (
    Journal,
    Recorded,
    load,
    refuse_future,
    rules_for,
    save,
    with_snapshot,
)
from tomic.workflows.journal.market import LegMarket
from tomic.workflows.journal.trades import TradeTicket, look, make_trade, price_fills

_FROM_VOL = ("iv_rank", "iv_percentile", "hv30", "vix", "atr14", "skew", "term_m1_m2", "term_m1_m3")
_WANTED = ("spot", "iv", *_FROM_VOL, "delta", "gamma", "vega", "theta", "margin", "pos", "ev")


@dataclass(frozen=True, slots=True)
class Draft:
    """Legs that are to become an entry."""

    symbol: str
    strategy: str
    legs: tuple[Held, ...]
    prices: Mapping[ContractKey, float] = field(default_factory=dict)
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


def from_text(text: str, *, symbol: str | None = None, quantity: int = 1) -> Draft:
    """
    Legs as people write them, *quantity* times.

    Raises:
        UsageError: They cannot be read, or are of several symbols.
    """
    named = words.read(text, symbol)
    symbols = {leg.symbol for leg in named.legs}
    if len(symbols) > 1:
        raise UsageError(f"one entry is one symbol, got {', '.join(sorted(symbols))}")
    legs = tuple(held_of(leg, quantity) for leg in named.legs)
    prices = {
        leg.key: one.price
        for leg, one in zip(legs, named.legs, strict=True)
        if one.price is not None
    }
    strategy = named.strategy or strategy_of(symbols.pop(), legs)
    return Draft(named.legs[0].symbol, strategy, legs, prices)


def held_of(leg: NamedLeg, quantity: float = 1) -> Held:
    """A named leg as a contract and how many of it."""
    if leg.is_stock:
        return Held(multiplier=1, quantity=leg.quantity * quantity)
    return Held(
        expiry=leg.expiry,
        strike=leg.strike,
        right="C" if leg.right == "C" else "P",
        quantity=leg.quantity * quantity,
    )


def strategy_of(symbol: str, legs: Sequence[Held]) -> str:
    """The name that the portfolio would give these legs; ``custom`` for several strategies."""
    positions = [
        Position(
            account="",
            symbol=symbol,
            sec_type="STK" if leg.is_stock else "OPT",
            quantity=leg.quantity,
            right=leg.right,
            strike=leg.strike,
            expiry=leg.expiry,
            multiplier=leg.multiplier,
        )
        for leg in legs
    ]
    groups = grouping.group(positions).groups
    return groups[0].strategy if len(groups) == 1 else "custom"


async def from_proposal(store: Database, proposal_id: str, *, quantity: int = 1) -> Draft:
    """
    The legs of a saved proposal, *quantity* times.

    Raises:
        DataError: There is none of that id.
    """
    proposal = await scan.load(store, proposal_id)
    legs = tuple(
        Held(
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
        raise UsageError("--position needs the gateway; leave out --offline")
    session = await journal.session()
    timeout_s = journal.settings.portfolio.account_timeout_s
    rows = await account.positions(session, timeout_s=timeout_s)
    by_id = {position.con_id: position for position in grouping.merged(rows) if position.quantity}
    missing = [number for number in con_ids if number not in by_id]
    if missing:
        known = ", ".join(f"{position.con_id} ({position.contract})" for position in by_id.values())
        raise UsageError(f"no position with id {missing[0]}; there are {known or 'none'}")
    chosen = [by_id[number] for number in con_ids]
    symbols = {position.symbol for position in chosen}
    if len(symbols) > 1:
        raise UsageError(f"one entry is one symbol, got {', '.join(sorted(symbols))}")
    return from_book(chosen)


def from_book(chosen: Sequence[Position]) -> Draft:
    """Positions of one symbol as a draft, at their average cost."""
    legs = tuple(
        Held(
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
    symbol = chosen[0].symbol
    return Draft(symbol, strategy_of(symbol, legs), legs, prices)


# -- entries -----------------------------------------------------------------------------------


async def add(journal: Journal, draft: Draft, wish: TradeTicket, say: EntryNotes) -> Recorded:
    """
    Open an entry, with its context and marks as far as they can be had.

    Raises:
        UsageError: No price was given and none can be had; a rule, or an entry that this one
            continues, that does not exist.
        TomicError: Nobody answers and no price was given.
    """
    await refuse_future(journal, wish.at)
    strategy = say.strategy or draft.strategy
    rules = rules_for(journal.settings, strategy, say.rules)
    if say.continues is not None:
        await load(journal, say.continues)
    proposal, market, why = draft.proposal, None, ""
    if proposal is not None and wish.price is None:
        # Taken as it was scored: at that moment, at those marks.
        european = proposal.symbol in journal.settings.market.indices
        seen: Snapshot | None = _proposed_marks(proposal, draft.structures, european=european)
        wish = replace(wish, price=_proposed_price(proposal), at=wish.at or proposal.as_of)
    else:
        needed = wish.price is None and not all(leg.key in draft.prices for leg in draft.legs)
        seen, market, why = await look(
            journal, draft.symbol, draft.legs, draft.legs, wish, needed=needed
        )
    at = wish.at or (market.chain.as_of if market else await journal.clock())
    fills, net = price_fills(draft.legs, wish, seen, draft.prices, journal.settings)
    trade = make_trade(Action.OPEN, at, fills, net, seen, wish.note)
    vol = market.vol if market else await _vol_at(journal.store, draft.symbol, at)
    entry = JournalEntry(
        symbol=draft.symbol,
        strategy=strategy,
        opened_at=at,
        trades=(trade,),
        rules=rules,
        plan=say.plan,
        reason=say.reason,
        tags=say.tags,
        continues=say.continues,
    )
    context = _context(journal, draft, entry, seen, market, vol)
    entry = entry.model_copy(update={"context": context})
    if seen is not None:
        entry = with_snapshot(entry, seen, at=at)
    saved = await save(journal, entry, event="open", note=wish.note)
    return Recorded(saved, _notes(saved, why))


def _notes(entry: JournalEntry, why: str) -> tuple[str, ...]:
    notes = [f"no live marks: {why}"] if why else []
    if entry.context.missing:
        notes.append(f"not known at entry: {', '.join(entry.context.missing)}")
    return tuple(notes)


def _proposed_price(proposal: Proposal) -> str:
    """What the proposal was scored at: executable, its commission apart, shares at the spot."""
    premium = (proposal.credit + proposal.commission) / proposal.multiplier
    shares = sum(leg.quantity for leg in proposal.legs if leg.sec_type == "STK")
    return f"{premium - shares / proposal.multiplier * proposal.spot:+.6f}"


def _proposed_marks(proposal: Proposal, structures: int, *, european: bool) -> Snapshot:
    marks = tuple(
        LegMark(
            expiry=leg.expiry,
            strike=leg.strike,
            right=leg.right,
            multiplier=proposal.multiplier,
            con_id=leg.con_id,
            price=leg.price,
            bid=leg.bid,
            ask=leg.ask,
            iv=leg.iv,
            delta=leg.delta,
            gamma=leg.gamma,
            vega=leg.vega,
            theta=leg.theta,
            div_yield=_carry(proposal),
            tau=_tau(proposal, leg.expiry),
            source="stored",
        )
        for leg in proposal.legs
        if leg.sec_type == "OPT"
    )
    return Snapshot(
        at=proposal.as_of,
        spot=proposal.spot,
        data_type=proposal.data_type.value,
        rate=proposal.rate,
        european=european,
        legs=marks,
        iv30=proposal.iv30,
        iv_rank=proposal.iv_rank,
        delta=proposal.delta * structures,
        gamma=proposal.gamma * structures,
        vega=proposal.vega * structures,
        theta=proposal.theta * structures,
    )


def _carry(proposal: Proposal) -> float:
    if not proposal.tau > 0.0:
        return 0.0
    return proposal.rate - math.log(proposal.forward / proposal.spot) / proposal.tau


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
    entry: JournalEntry,
    seen: Snapshot | None,
    market: LegMarket | None,
    vol: VolSnapshot,
) -> Context:
    known: dict[str, Any] = {name: getattr(vol, name) for name in _FROM_VOL}
    known["iv"] = vol.iv30
    if seen is not None:
        known |= {"spot": seen.spot, "delta": seen.delta, "gamma": seen.gamma}
        known |= {"vega": seen.vega, "theta": seen.theta}
    else:
        known["spot"] = vol.spot if vol.as_of.date() == entry.opened_at.date() else None
    if draft.proposal is not None:
        known |= _proposed(draft.proposal, draft.structures, known)
    elif market is not None:
        known |= _expected(market, entry)
    missing = tuple(name for name in _WANTED if known.get(name) is None)
    live = journal.source if market else "stored"
    return Context(
        as_of=seen.at if seen is not None else vol.as_of,
        source="proposal" if draft.proposal is not None else live,
        missing=missing,
        **known,
    )


def _expected(market: LegMarket, entry: JournalEntry) -> dict[str, Any]:
    premium = campaign.option_cash(entry.trades[0])
    held = campaign.held(entry)
    if premium is None:
        return {}
    found = reading.expect(market.board, held, premium - campaign.commissions(entry))
    if found is None:
        return {}
    return {
        "pos": found.pos,
        "pos_market": found.pos_market,
        "ev": found.ev,
        "margin": found.margin,
        "max_profit": found.max_profit,
        "max_loss": found.max_loss,
    }


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
        "pos_market": proposal.pos_market,
        "score": proposal.score,
        "grade": proposal.grade.value,
        "score_parts": {part.name: part.points for part in proposal.parts},
        "iv": known.get("iv") if known.get("iv") is not None else proposal.iv30,
        "iv_rank": proposal.iv_rank if known.get("iv_rank") is None else known["iv_rank"],
    }
