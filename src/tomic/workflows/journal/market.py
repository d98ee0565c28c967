"""Marks for the legs of journal entries: their own quotes, and enough beside them for a density."""

from __future__ import annotations

import asyncio
import datetime as dt
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from tomic.chain import Chain
from tomic.config import Settings
from tomic.errors import EmptyChain, TomicError, ungrouped
from tomic.models import OptionParams, VolSnapshot
from tomic.models.journal import Contract
from tomic.selection import Selection, as_listed, days_to_expiry
from tomic.store import Database
from tomic.strategies.pricing import board as boards
from tomic.strategies.pricing.board import Board
from tomic.workflows.chain.setup import Chooser, Fetch
from tomic.workflows.volatility.measure import Now, observe, volatility

if TYPE_CHECKING:
    from tomic.ib.session import Session
    from tomic.ib.spot import UnderlyingTicks
    from tomic.workflows.journal.entries import Journal

_SMILE_STRIKES = 14
_REACH_SIGMAS = 2.0
_IV_DAYS = 30
_USUAL_VOL = 0.25
"""Where IB gives no volatility of the underlying."""


@dataclass(frozen=True, slots=True)
class LegMarket:
    """One symbol as it was quoted for its legs."""

    board: Board
    vol: VolSnapshot

    @property
    def chain(self) -> Chain:
        """The quotes behind it."""
        return self.board.chain


def choose_legs(contracts: Sequence[Contract]) -> Chooser:
    """
    Pick the options of *contracts* and, of their expiries, some more strikes for a smile.

    Expiries that have passed or are not listed any more are left out. Without contracts, where
    shares alone are held, the next expiry at the money is picked: a chain has a spot.
    """
    strikes_of: dict[dt.date, set[float]] = {}
    for contract in contracts:
        if contract.expiry is not None and contract.strike is not None:
            strikes_of.setdefault(contract.expiry, set()).add(contract.strike)

    def choose(params: OptionParams, spot: float, today: dt.date, sigma: float | None) -> Selection:
        if not strikes_of:
            coming = sorted(
                day for day in params.expiries if days_to_expiry(params, day, today) > 0
            )
            if not coming:
                raise EmptyChain(f"{params.trading_class} lists no expiry to come, so no spot")
            strikes_of[coming[0]] = set()
        listed: dict[dt.date, set[float]] = {}
        for day, held in sorted(strikes_of.items()):
            name = as_listed(params, day)
            if name is not None and days_to_expiry(params, name, today) >= 0:
                listed.setdefault(name, set()).update(held)
        if not listed:
            days = ", ".join(map(str, sorted(strikes_of)))
            raise EmptyChain(
                f"{params.trading_class} lists none of the expiries held ({days}); "
                "tomic journal close --expired records what became of them"
            )
        strikes = {
            day: tuple(
                sorted(held | _around(params, spot, days_to_expiry(params, day, today), sigma))
            )
            for day, held in sorted(listed.items())
        }
        return Selection(
            params.trading_class, params.multiplier, params.exchange, strikes, ("C", "P")
        )

    return choose


def _around(params: OptionParams, spot: float, days: int, sigma: float | None) -> set[float]:
    """Strikes evenly over two standard deviations either side, those at the money among them."""
    half = _REACH_SIGMAS * spot * (sigma or _USUAL_VOL) * math.sqrt(max(days, 1) / 365.0)
    near = sorted(strike for strike in params.strikes if abs(strike - spot) <= half)
    at_money = sorted(params.strikes, key=lambda strike: abs(strike - spot))[:2]
    step = max(1, math.ceil(len(near) / _SMILE_STRIKES))
    return {*near[::step], *at_money}


class QuotedVix:
    """
    The VIX as `tomic vol` has it, asked for once, behind the first chain of a run.

    Args:
        session: Opens the session; None to ask nobody: the last stored close is taken.
    """

    def __init__(
        self, session: Callable[[], Awaitable[Session]] | None, settings: Settings
    ) -> None:
        self._session, self._settings = session, settings
        self._asking = asyncio.Lock()
        self._ticks: Mapping[str, UnderlyingTicks] | None = None if session else {}

    @classmethod
    def of(cls, journal: Journal) -> Self:
        """For the marks of a journal; a recording of other symbols knows no VIX."""
        return cls(None if journal.source == "replay" else journal.session, journal.settings)

    async def ticks(self) -> Mapping[str, UnderlyingTicks]:
        """Its quote by its symbol; nothing where there is none."""
        async with self._asking:
            if self._ticks is None and self._session is not None:
                self._ticks = (await observe(self._session, (), self._settings)).ticks
            return self._ticks or {}


async def read_markets(
    wanted: Mapping[str, Sequence[Contract]],
    *,
    fetch: Fetch,
    store: Database,
    settings: Settings,
    vix: QuotedVix,
) -> dict[str, LegMarket | TomicError]:
    """Quote the legs of several symbols at once; one that fails never stops the others."""
    markets: dict[str, LegMarket | TomicError] = {}

    async def one(symbol: str, contracts: Sequence[Contract]) -> None:
        try:
            markets[symbol] = await read_market(
                symbol, contracts, fetch=fetch, store=store, settings=settings, vix=vix
            )
        except TomicError as exc:
            markets[symbol] = exc

    with ungrouped():
        async with asyncio.TaskGroup() as group:
            for symbol, contracts in wanted.items():
                group.create_task(one(symbol, contracts), name=f"tomic journal {symbol}")
    return {symbol: markets[symbol] for symbol in wanted}


async def read_market(
    symbol: str,
    contracts: Sequence[Contract],
    *,
    fetch: Fetch,
    store: Database,
    settings: Settings,
    vix: QuotedVix,
) -> LegMarket:
    """
    Quote the legs of one symbol and price what was quoted.

    Raises:
        TomicError: Nothing could be had.
    """
    classes = {contract.trading_class for contract in contracts if contract.trading_class}
    if len(classes) == 1:
        chain_settings = settings.chain.model_copy(update={"trading_class": classes.pop()})
        settings = settings.model_copy(update={"chain": chain_settings})
    chain = await fetch(symbol, settings, choose_legs(contracts))
    now = Now(chain.as_of, ticks=await vix.ticks(), chains={symbol: chain})
    (report,) = await volatility(store, [symbol], settings, now=now, keep=False)
    board = await asyncio.to_thread(boards.prepare, chain, report.snapshot, settings)
    return LegMarket(board, _with_iv(report.snapshot, board))


def _with_iv(vol: VolSnapshot, board: Board) -> VolSnapshot:
    """Where no 30-day volatility is known, that at the money of the expiry nearest 30 days."""
    if vol.iv30 is not None or not board.outlooks:
        return vol
    nearest = min(board.outlooks.values(), key=lambda outlook: abs(outlook.dte - _IV_DAYS))
    iv30 = board.iv30 if board.iv30 is not None else nearest.atm_iv
    return vol.model_copy(update={"iv30": iv30, "sources": {**vol.sources, "iv30": "chain"}})
