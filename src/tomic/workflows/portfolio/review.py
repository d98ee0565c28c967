"""
The review of the portfolio: a book from the gateway or from a file, and what it says.

Each run saves the book it read, so that the same review can be had later without TWS.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tomic import legs
from tomic.config import Settings
from tomic.errors import BadFile, DataError, StoreError, TomicError, UsageError
from tomic.ib import account
from tomic.ib.session import Session
from tomic.journal import campaign
from tomic.legs import NamedLeg
from tomic.models import Proposal
from tomic.models.book import Book, Position
from tomic.models.review import Alert, BookReview, FitChange, Structure, WhatIfMargin
from tomic.portfolio import alerts, fit, overview
from tomic.portfolio.grouping import Claim
from tomic.store import Database
from tomic.workflows.journal.entries import from_document
from tomic.workflows.portfolio.book import Refresh, order_legs, read_book
from tomic.workflows.portfolio.files import (
    last_book,
    load_book,
    load_pins,
    load_sectors,
    save_book,
    snapshot_path,
)
from tomic.workflows.progress import Event, Watcher, ignore
from tomic.workflows.scan import load as load_proposal

_REFRESH_S = 15.0
PROPOSAL_ID = re.compile(r"\d{8}-\d+")
"""How the store numbers proposals: 20261120-3."""


@dataclass(frozen=True, slots=True)
class Considered:
    """A trade beside the book: what it would change, and what speaks for or against it now."""

    trade: str
    legs: tuple[NamedLeg, ...]
    after: BookReview
    change: FitChange
    structures: tuple[Structure, ...]
    """The trade by itself: what it would be called, its margin, largest profit and loss."""
    alerts: tuple[Alert, ...] = ()
    what_if: WhatIfMargin | None = None
    what_if_problem: str = ""
    """Why there is no margin of the broker's, where it was asked for."""


@dataclass(frozen=True, slots=True)
class PortfolioReview:
    """What `tomic portfolio` shows."""

    book: Book
    review: BookReview
    considered: Considered | None = None
    saved: Path | None = None
    """Where the book was written, or read from."""


@dataclass(frozen=True, slots=True)
class ReviewRequest:
    """
    What somebody wants to see.

    Attributes:
        trade: A proposal's id, or legs, to put beside the book; empty for none.
        each_symbol: Also a stress grid for every symbol by itself.
        ib_margin: Also the broker's own margin of that trade.
        file: A saved book instead of the gateway.
        last: The last saved book instead of the gateway.
    """

    trade: str = ""
    each_symbol: bool = False
    ib_margin: bool = False
    file: Path | None = None
    last: bool = False

    def check(self) -> None:
        """
        Refuse what cannot be, before anything is opened.

        Raises:
            UsageError: Options that exclude or need each other.
        """
        if self.file is not None and self.last:
            raise UsageError("--file and --last exclude each other; give one of them")
        if self.ib_margin and not self.trade:
            raise UsageError("--ib-margin asks about one trade; name it with --with")
        if self.ib_margin and (self.file is not None or self.last):
            raise UsageError("--ib-margin needs TWS; leave out --file and --last")


# -- the command's work ------------------------------------------------------------------------


async def portfolio(
    open_session: Callable[[], Awaitable[Session]],
    store: Database,
    settings: Settings,
    ask: ReviewRequest,
    *,
    simulated: bool = False,
    deadline: float | None = None,
    watch: Watcher = ignore,
) -> PortfolioReview:
    """
    Review the book of the gateway, which is then saved, or a saved one.

    Args:
        open_session: Gives the session, called only when the gateway is needed.
        simulated: Whether a demo or replay answers; its book is saved apart.
        deadline: Time of the running loop.

    Raises:
        UsageError: The trade, or what is asked, cannot be right.
        BadFile: No such saved book, or pins or sectors that cannot be read.
        RequestTimeout, SessionError: The account could not be read.
    """
    ask.check()
    trade_legs = await _trade_legs(ask.trade, store)
    if ask.ib_margin:
        _check_one_underlying(leg.symbol for leg in trade_legs)
    pins = load_pins(settings.portfolio.pins) if settings.portfolio.pins else []
    claims = [*pins, *await journal_claims(store, watch)]
    path = snapshot_path(settings, simulated=simulated)
    if ask.file is not None or ask.last:
        source = ask.file or path
        book = load_book(source)
        _check_known(book, trade_legs, source)
        return await asyncio.to_thread(
            look, book, settings, claims=claims, each_symbol=ask.each_symbol, trade=ask.trade,
            trade_legs=trade_legs, saved=source,
        )  # fmt: skip
    sectors = load_sectors(settings.portfolio.sectors) if settings.portfolio.sectors else {}
    session = await open_session()
    book, known = await read_book(
        session,
        settings,
        store,
        considered=trade_legs,
        before=last_book(path),
        sectors=sectors,
        refresh=_refresher(open_session, store, settings, deadline),
        deadline=deadline,
        watch=watch,
    )
    # Stress grids are pure and take a while, and the session must go on answering meanwhile.
    view = await asyncio.to_thread(
        look, book, settings, claims=claims, each_symbol=ask.each_symbol, trade=ask.trade,
        trade_legs=trade_legs, known=known, saved=_saved(book, path, watch),
    )  # fmt: skip
    if not ask.ib_margin or view.considered is None:
        return view
    asked = overview.with_legs(book, trade_legs, known=known)
    margin, problem = await _margin_or_reason(session, asked, settings, deadline)
    if problem:
        watch(Event("note", "", problem))
    considered = replace(view.considered, what_if=margin, what_if_problem=problem)
    return replace(view, considered=considered)


async def _margin_or_reason(
    session: Session, asked: Book, settings: Settings, deadline: float | None
) -> tuple[WhatIfMargin | None, str]:
    """The broker's margin, or why there is none: a book that was read is shown in any case."""
    try:
        async with asyncio.timeout_at(deadline):
            return await session.stoppable(broker_margin(session, asked, settings)), ""
    except TimeoutError:
        return None, "the deadline passed before TWS gave a what-if margin"
    except TomicError as exc:
        return None, str(exc)


def _check_one_underlying(symbols: Iterable[str]) -> None:
    if len(set(symbols)) > 1:
        raise UsageError("--ib-margin asks about one combination: name one underlying")


def _saved(book: Book, path: Path, watch: Watcher) -> Path | None:
    """Where the book was saved; a disk that is full costs the copy, not the review."""
    try:
        return save_book(book, path)
    except BadFile as exc:
        watch(Event("note", "", f"{exc}; the book was not saved"))
        return None


def _refresher(
    open_session: Callable[[], Awaitable[Session]],
    store: Database,
    settings: Settings,
    deadline: float | None,
) -> Refresh:
    """Brings bars up to date while it takes seconds; what IB's limit would delay stays old."""
    from tomic.workflows.volatility import history

    async def refresh(symbols: Sequence[str]) -> object:
        until = asyncio.get_running_loop().time() + _REFRESH_S
        if deadline is not None:
            until = min(until, deadline)
        return await history.update(
            open_session, store, symbols, settings, series=("bars",), deadline=until
        )

    return refresh


def _check_known(book: Book, trade_legs: Iterable[NamedLeg], source: Path) -> None:
    for leg in trade_legs:
        if leg.symbol not in book.markets:
            raise DataError(
                f"{source} knows no price of {leg.symbol}; ask without --file or --last"
            )


async def _trade_legs(trade: str, store: Database) -> tuple[NamedLeg, ...]:
    """The legs of a proposal by its id, or as they are written."""
    if not trade:
        return ()
    if PROPOSAL_ID.fullmatch(trade.strip()):
        return legs_of(await load_proposal(store, trade.strip()))
    return legs.parse(trade)


# -- looking at a book -------------------------------------------------------------------------


def look(
    book: Book,
    settings: Settings,
    *,
    claims: Sequence[Claim] = (),
    each_symbol: bool = False,
    trade: str = "",
    trade_legs: Sequence[NamedLeg] = (),
    known: Sequence[Position] = (),
    saved: Path | None = None,
) -> PortfolioReview:
    """
    Review *book*, and beside it the book with *trade_legs* where some are given.

    Args:
        claims: Your pins and the journal's entries.
        known: Contracts of the trade that are not held, as the gateway gave them.
    """
    before = overview.review(book, settings, claims=claims, each_symbol=each_symbol)
    considered = None
    if trade_legs:
        considered = _consider(book, before, settings, claims, trade, tuple(trade_legs), known)
    return PortfolioReview(book, before, considered, saved)


def _consider(
    book: Book,
    before: BookReview,
    settings: Settings,
    claims: Sequence[Claim],
    trade: str,
    trade_legs: tuple[NamedLeg, ...],
    known: Sequence[Position],
) -> Considered:
    with_it = overview.with_legs(book, trade_legs, known=known)
    after = overview.review(with_it, settings, claims=claims)
    added = tuple(position for position in with_it.positions if position.proposed)
    alone = overview.review(book.model_copy(update={"positions": added}), settings)
    told = [
        alert
        for symbol in sorted({leg.symbol for leg in trade_legs})
        for alert in alerts.of_entry(
            symbol,
            next(
                (structure.iv for structure in alone.structures if structure.symbol == symbol), None
            ),
            book.markets.get(symbol),
            settings.portfolio.alerts,
        )
    ]
    return Considered(
        trade=trade,
        legs=trade_legs,
        after=after,
        change=fit.change(trade, before, after),
        structures=alone.structures,
        alerts=tuple(told),
    )


async def broker_margin(
    session: Session, book: Book, settings: Settings, *, account_name: str = ""
) -> WhatIfMargin:
    """
    What TWS says the trade considered in *book* would take: one what-if order for all its legs.

    Raises:
        UsageError: Legs on several underlyings, which no combination can hold.
        GatewayRefused: TWS refuses, as it does in read-only mode.
        RequestTimeout, SessionLost: No answer.
    """
    order = order_legs(book)
    _check_one_underlying(leg.contract.symbol for leg in order)
    where = account_name or next(
        position.account for position in book.positions if position.proposed
    )
    return await account.what_if(
        session, order, account=where, timeout_s=settings.portfolio.account_timeout_s
    )


# -- which trade ---------------------------------------------------------------------------------


def legs_of(proposal: Proposal) -> tuple[NamedLeg, ...]:
    """The legs of a proposal, entered at their present marks."""
    return tuple(
        NamedLeg(proposal.symbol, float(leg.quantity), leg.right or "", leg.strike, leg.expiry)
        for leg in proposal.legs
    )


# -- who says what belongs together ----------------------------------------------------------------


async def journal_claims(store: Database, watch: Watcher = ignore) -> list[Claim]:
    """
    The open entries of the journal, by number: their legs form one structure each.

    An entry that cannot be read is told to *watch* and claims nothing.
    """
    found = []
    for document in await store.journal.load_all("open"):
        try:
            entry = from_document(document)
        except StoreError as exc:
            watch(Event("note", "", str(exc)))
            continue
        held = tuple(
            NamedLeg(entry.symbol, one.quantity, one.right or "", one.strike, one.expiry)
            for one in campaign.held(entry)
        )
        if held:
            found.append(
                Claim(
                    "journal",
                    f"{entry.id}",
                    held,
                    strategy=entry.strategy or None,
                    opened=entry.opened_at.date(),
                )
            )
    return found
