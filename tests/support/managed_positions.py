"""Positions on a small market, and their alternatives, without a session."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

from support.journal_entries import EXPIRY, LATER, at, condor, entry, option, shares, trade
from support.journal_market import Quotes
from tomic.config import Settings
from tomic.journal.manage import advice, judged, moves, standing
from tomic.models import VolSnapshot
from tomic.models.exits import ExitRules
from tomic.models.journal import ExitSignal, JournalEntry
from tomic.models.manage import Move, MoveRefusal
from tomic.models.moves import MoveKind
from tomic.selection import Selection
from tomic.strategies.pricing import board as boards
from tomic.strategies.pricing.board import Board

RULES = ExitRules(profit_target=0.5, stop=2.0)
BETWEEN = (EXPIRY + dt.timedelta(7), EXPIRY + dt.timedelta(14))


class Judged(NamedTuple):
    """A position with its alternatives."""

    entry: JournalEntry
    board: Board
    at: judged.PositionOnBoard
    moves: tuple[Move, ...]
    refused: tuple[MoveRefusal, ...]

    def move(self, kind: MoveKind) -> Move:
        """The best ranked alternative of a kind."""
        return next(move for move in self.moves if move.kind is kind)

    def why_not(self, kind: MoveKind) -> str:
        """The reasons why there is none of a kind."""
        return "; ".join(one.reason for one in self.refused if one.kind is kind)


def everything(params, spot, today, sigma):
    """All strikes within reach, of every expiry."""
    strikes = tuple(strike for strike in params.strikes if 510 <= strike <= 670)
    chosen = dict.fromkeys(params.expiries, strikes)
    return Selection(params.trading_class, params.multiplier, params.exchange, chosen, ("C", "P"))


def board_of(quotes: Quotes, *, symbol="SPY", earnings=None, **settings) -> Board:
    """The market as a board."""
    own = Settings(**settings)
    chain = asyncio.run(quotes.fetch(symbol, own, everything))
    vol = VolSnapshot(symbol=symbol, as_of=quotes.at, iv30=quotes.sigma, next_earnings=earnings)
    return boards.prepare(chain, vol, own)


def ground_of(board: Board) -> moves.Ground:
    """Every strike of a board."""
    strikes = {
        (day, right): board.strike[board.side(day, right)].tolist()
        for day in board.chain.expiries
        for right in "CP"
    }
    return moves.Ground(board, strikes, board.settings.manage)


def judge(
    one: JournalEntry, quotes: Quotes, *, signals: Sequence[ExitSignal] = (), **market
) -> Judged:
    """All alternatives of an entry, ranked."""
    targets, excess = market.pop("targets", False), market.pop("excess", None)
    board = board_of(quotes, symbol=one.symbol, **market)
    ground, held = ground_of(board), standing.of_entry(one)
    found = moves.drafts(held, ground)
    drafts = [draft for draft in found if isinstance(draft, moves.DraftMove)]
    refused = [draft for draft in found if isinstance(draft, MoveRefusal)]
    place = judged.place(held, board, next(iter(ground.targets), None))
    weighed = judged.weigh(place, drafts)
    (fits,) = judged.fits_of([weighed], None)
    shown = judged.described(weighed, fits, excess=excess, targets=targets)
    ranked = advice.ranked(shown, signals)
    return Judged(one, board, place, ranked, (*refused, *weighed.refused))


# -- scripted ----------------------------------------------------------------------------------


def attacked_put(quantity: int = 2) -> tuple[JournalEntry, Quotes]:
    """Puts sold for 5.00 that stand at the money, 20 days before expiry."""
    one = entry(trade("open", 0, option(-quantity, "590P", 5.0)), strategy="naked_put", rules=RULES)
    return one, Quotes(spot=589.0, at=at(12))


def deep_put() -> tuple[JournalEntry, Quotes]:
    """A put sold for 5.00 that is so deep in the money that nothing but exercise is left of it."""
    one = entry(trade("open", 0, option(-1, "590P", 5.0)), strategy="naked_put", rules=RULES)
    return one, Quotes(spot=545.0, sigma=0.13, at=at(12))


def winner() -> tuple[JournalEntry, Quotes]:
    """A spread sold for 1.50 that is worth 45 % of that, two days later, 30 before expiry."""
    fills = (option(-1, "560P", 3.8), option(1, "550P", 2.3))
    one = entry(trade("open", 0, *fills), strategy="short_put_spread", rules=RULES)
    return one, Quotes(spot=597.0, sigma=0.141, at=at(2))


def assigned() -> tuple[JournalEntry, Quotes]:
    """100 shares taken at 590 for a put that was sold for 5.00."""
    one = entry(
        trade("open", 0, option(-1, "590P", 5.0)),
        trade("assign", 3, option(1, "590P", 0.0), shares(100, 590.0)),
        strategy="naked_put",
        rules=RULES,
    )
    return one, Quotes(spot=575.0, at=at(12))


def calendar() -> tuple[JournalEntry, Quotes]:
    """A put calendar bought for 5.00, ten points away from the money."""
    fills = (option(-1, "595P", 8.0), option(1, "595P", 13.0, LATER))
    one = entry(trade("open", 0, *fills), strategy="calendar", rules=RULES)
    return one, Quotes(spot=590.0, at=at(12), expiries=(EXPIRY, *BETWEEN, LATER))


def past_its_front() -> tuple[JournalEntry, Quotes]:
    """A calendar whose front month was bought back: one long put is left."""
    fills = (option(-1, "595P", 8.0), option(1, "595P", 13.0, LATER))
    one = entry(
        trade("open", 0, *fills),
        trade("close", 3, option(1, "595P", 2.0)),
        strategy="calendar",
        rules=RULES,
    )
    return one, Quotes(spot=590.0, at=at(12), expiries=(EXPIRY, *BETWEEN, LATER))


def attacked_condor() -> tuple[JournalEntry, Quotes]:
    """A condor sold for 2.35 whose put is near the money."""
    return condor(rules=RULES), Quotes(spot=566.0, sigma=0.20, at=at(12))


def covered() -> tuple[JournalEntry, Quotes]:
    """100 shares bought at 593 with a call sold against them for 6.00."""
    one = entry(
        trade("open", 0, shares(100, 593.0), option(-1, "605C", 6.0)),
        strategy="covered_call",
        rules=RULES,
    )
    return one, Quotes(spot=600.0, at=at(12))


SCRIPTS = (
    attacked_put,
    deep_put,
    winner,
    assigned,
    calendar,
    past_its_front,
    attacked_condor,
    covered,
)
