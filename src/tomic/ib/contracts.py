"""Contracts: the underlying, its option parameters, and which options are listed."""

from __future__ import annotations

import asyncio
import datetime as dt
import difflib
import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import ib_async

from tomic import dates, errors, selection
from tomic.config import ChainSettings, MarketSettings
from tomic.ib import convert
from tomic.ib.session import Session
from tomic.models import OptionParams, Underlying
from tomic.selection import Wanted

_SUGGEST_TIMEOUT_S = 3.0
_AFTER_A_TIMEOUT_S = 5.0
"""Patience with further open requests once one was not answered: asking one by one is sure."""

_HOPELESS = 5
"""Unanswered questions about single options after which no further ones are asked."""


async def resolve_underlying(
    session: Session, symbol: str, market: MarketSettings, *, timeout_s: float = 10.0
) -> Underlying:
    """
    Find the stock, ETF or index behind *symbol*; asked once per session.

    Raises:
        UnknownContract: IB knows no such symbol; the message suggests similar ones.
        RequestTimeout, SessionLost: No answer.
    """
    key = ("underlying", symbol)
    if key in session.cache:
        known = session.cache[key]
        assert isinstance(known, Underlying)
        return known
    exchange = market.indices.get(symbol)
    contract = (
        convert.index_contract(symbol, exchange) if exchange else convert.stock_contract(symbol)
    )
    try:
        rows = await details(session, f"contract details of {symbol}", contract, timeout_s)
    except errors.UnknownContract as exc:
        raise await _unknown(session, symbol, market, exc) from exc
    if not rows:
        raise errors.UnknownContract(symbol, 200, "no security definition has been found")
    underlying = convert.to_underlying(_primary(rows), symbol)
    session.cache[key] = underlying
    return underlying


def remember(
    session: Session, symbol: str, underlying: Underlying | None, params: tuple[OptionParams, ...]
) -> None:
    """Spare *session* the questions whose answers are known from earlier today."""
    if underlying is not None:
        session.cache.setdefault(("underlying", symbol), underlying)
        if params:
            session.cache.setdefault(("params", underlying.con_id), params)


def _primary(details: Sequence[ib_async.ContractDetails]) -> ib_async.ContractDetails:
    # Several listings can share a symbol; the one in dollars with the lowest id is the oldest.
    return min(
        details,
        key=lambda row: (
            (row.contract.currency != "USD", row.contract.conId) if row.contract else (True, 0)
        ),
    )


async def _unknown(
    session: Session, symbol: str, market: MarketSettings, error: errors.UnknownContract
) -> errors.UnknownContract:
    """The error with what the user may have meant."""
    try:
        samples = await session.ask(
            f"symbols like {symbol}",
            lambda client, req_id: client.reqMatchingSymbols(req_id, convert.wire_symbol(symbol)),
            timeout_s=_SUGGEST_TIMEOUT_S,
        )
        names = [sample.contract.symbol.replace(" ", ".") for sample in samples if sample.contract]
    except errors.RequestFailed:
        names = []
    pool = [*names, *market.symbols, *market.indices]
    near = difflib.get_close_matches(symbol, [n for n in pool if n != symbol], n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else "; check the spelling"
    return errors.UnknownContract(
        symbol, error.error_code, error.text, hint=f"IB knows no symbol {symbol}{hint}"
    )


async def details(
    session: Session, what: str, contract: ib_async.Contract, timeout_s: float
) -> list[ib_async.ContractDetails]:
    """Everything that IB lists as *contract*; see `Session.ask` for what is raised."""
    return await session.ask(
        what,
        lambda client, req_id: client.reqContractDetails(req_id, contract),
        timeout_s=timeout_s,
        gates=(session.limits.details,),
    )


async def option_params(
    session: Session, underlying: Underlying, *, timeout_s: float = 10.0
) -> tuple[OptionParams, ...]:
    """
    Every row of option parameters of *underlying*, in the gateway's order; asked once per session.

    Raises:
        DataError: IB lists no options.
        RequestTimeout, SessionLost: No answer.
    """
    key = ("params", underlying.con_id)
    if key in session.cache:
        known = session.cache[key]
        assert isinstance(known, tuple)
        return known
    what, rows = f"option parameters of {underlying.symbol}", list[ib_async.OptionChain]()
    asking = session.ask(
        what,
        lambda client, req_id: client.reqSecDefOptParams(
            req_id,
            convert.wire_symbol(underlying.symbol),
            "",  # a named exchange gives an empty answer
            underlying.sec_type,
            underlying.con_id,
        ),
        timeout_s=timeout_s,
        on_part=rows.append,
    )
    try:
        await asking
    except errors.RequestTimeout:
        if not rows:
            raise
        session.note(f"{what}: the answer has no end; what arrived of it is used")
    except errors.UnreadableAnswer as exc:
        if not rows:
            raise
        session.note(f"{exc}; what can be read of it is used")
    params = tuple(filter(None, map(convert.to_params, rows)))
    if not params:
        raise errors.DataError(f"IB lists no options on {underlying.symbol}")
    session.cache[key] = params
    return params


class Listings:
    """
    Which of the wanted options exist, and their ids, as the answers come in.

    One open request per expiry tells all of it; when that fails, the options of that expiry are
    asked one by one, and when that fails too they must be subscribed by description, which needs
    no id. ``await listings.con_id(pair)`` returns as soon as it is known how.

    Args:
        pairs: What is wanted, the most urgent first.
        known: Ids that are known already.
        complete: Expiries of which every listed option is in *known*; they are not asked for.
    """

    def __init__(
        self,
        session: Session,
        underlying: Underlying,
        params: OptionParams,
        pairs: Sequence[Wanted],
        rules: ChainSettings,
        known: Mapping[Wanted, int] | None = None,
        complete: Collection[dt.date] = (),
    ) -> None:
        self._session, self._underlying, self._params = session, underlying, params
        self._rules = rules
        self._futures: dict[Wanted, asyncio.Future[int]] = {
            pair: asyncio.get_running_loop().create_future() for pair in pairs
        }
        self.ids: dict[Wanted, int] = {}
        self.complete: set[dt.date] = set()
        self._open_timeout_s = rules.open_details_timeout_s
        self._unanswered = 0
        self._renamed: set[dt.date] = set()
        for pair, con_id in (known or {}).items():
            self._learn(pair, con_id)
        for expiry in complete:
            self._finish(expiry)

    @property
    def missing_expiries(self) -> list[dt.date]:
        """Expiries that must still be asked for, ascending."""
        return sorted({pair.expiry for pair in self._futures} - self.complete)

    def is_known(self, pair: Wanted) -> bool:
        """Whether it is settled if *pair* is listed."""
        return self._futures[pair].done()

    async def con_id(self, pair: Wanted) -> int:
        """
        The contract id of *pair*; 0 when it is not worth waiting for. Safe to cancel.

        Raises:
            UnknownContract: Not listed.
            SessionLost: The connection went away.
        """
        return await asyncio.shield(self._futures[pair])

    def release(self, count: int, expiry: dt.date | None = None) -> None:
        """Let the next *count* waiting options, of one expiry if given, do without their ids."""
        waiting = (
            pair
            for pair, future in self._futures.items()
            if not future.done() and expiry in (None, pair.expiry)
        )
        for pair in list(itertools.islice(waiting, count)):
            self._futures[pair].set_result(0)

    async def load(self) -> None:
        """
        Ask for every missing expiry, the first one last; return when all are settled.

        The options of the first expiry need not wait for its details: they can be subscribed by
        description meanwhile.

        A lost connection ends whoever waits for an id with that error.
        """
        try:
            async with asyncio.TaskGroup() as group:
                missing = self.missing_expiries
                for expiry in missing[1:] + missing[:1]:
                    group.create_task(self._load_expiry(expiry))
        except* errors.SessionError as lost:
            for pair in self._futures:
                self._fail(pair, lost.exceptions[0])
        finally:
            self.release(len(self._futures))

    async def _load_expiry(self, expiry: dt.date) -> None:
        async with self._session.limits.open_details(self._underlying.symbol):
            answered = await self._ask_for_all(expiry)
        if answered:
            self._finish(expiry)
        else:
            await self._load_one_by_one(expiry)

    async def _ask_for_all(self, expiry: dt.date) -> bool:
        """Ask for every option of an expiry; False when the gateway did not tell."""
        contract = convert.open_option_contract(self._underlying, self._params, expiry)
        try:
            await self._session.ask(
                f"options of {self._underlying.symbol} {expiry:%Y-%m-%d}",
                lambda client, req_id: client.reqContractDetails(req_id, contract),
                timeout_s=self._open_timeout_s,
                on_part=lambda details: self._on_row(details, expiry),
            )
        except errors.UnknownContract:
            return True  # nothing listed for that expiry: every pair of it is unknown
        except errors.RequestTimeout:
            self._open_timeout_s = min(self._open_timeout_s, _AFTER_A_TIMEOUT_S)
            return False
        except errors.RequestFailed:
            return False
        return True

    async def _load_one_by_one(self, expiry: dt.date) -> None:
        pairs = [
            pair for pair in self._futures if pair.expiry == expiry and not self.is_known(pair)
        ]
        with errors.ungrouped():
            async with asyncio.TaskGroup() as group:
                for pair in pairs:
                    group.create_task(self._load_pair(pair))
        for pair in pairs:
            self._settle(pair, 0)

    async def _load_pair(self, pair: Wanted) -> None:
        if self._unanswered >= _HOPELESS:
            return
        contract = convert.option_contract(self._underlying, self._params, pair)
        what = f"contract details of {describe(self._underlying.symbol, pair)}"
        try:
            rows = await details(self._session, what, contract, self._rules.details_timeout_s)
        except errors.UnknownContract:
            self.unlisted(pair)
            return
        except errors.RequestFailed:
            self._unanswered += 1
            self._settle(pair, 0)
            return
        for row in rows:
            self._on_row(row, pair.expiry)

    def _on_row(self, details: Any, asked: dt.date) -> None:
        contract = details.contract
        # The question named the class, so that an answer without one is of it.
        if contract is None or contract.tradingClass not in ("", self._params.trading_class):
            return
        pair = convert.to_pair(contract)
        if pair.expiry != asked and self._is_of(contract, pair.expiry, asked):
            if self._settled(pair.expiry) != self._settled(asked) and asked not in self._renamed:
                self._renamed.add(asked)
                self._session.note(
                    f"options of {self._underlying.symbol} {asked}: the gateway's answer names "
                    f"{pair.expiry}; they are matched by the request"
                )
            pair = pair._replace(expiry=asked)
        self._learn(pair, contract.conId)

    def _settled(self, expiry: dt.date) -> dt.date:
        return dates.settlement_day(expiry, trading_class=self._params.trading_class)

    def _is_of(self, contract: ib_async.Contract, named: dt.date, asked: dt.date) -> bool:
        """
        Whether an option that names another day than was asked for is of the expiry asked.

        One day was asked, so what is answered is of that day, whatever it is called; unless its
        OCC symbol says that it belongs to another expiry that is listed too.
        """
        if dates.occ_expiry(contract.localSymbol) is None:
            return True
        other = selection.as_listed(self._params, named)
        return other is None or other == selection.as_listed(self._params, asked)

    def _learn(self, pair: Wanted, con_id: int) -> None:
        self.ids[pair] = con_id
        self._settle(pair, con_id)

    def _settle(self, pair: Wanted, con_id: int) -> None:
        future = self._futures.get(pair)
        if future is not None and not future.done():
            future.set_result(con_id)

    def _finish(self, expiry: dt.date) -> None:
        self.complete.add(expiry)
        for pair in self._futures:
            if pair.expiry == expiry:
                self.unlisted(pair)

    def unlisted(self, pair: Wanted) -> None:
        """Settle that *pair* does not exist, unless it is known to."""
        self._fail(
            pair, errors.UnknownContract(describe(self._underlying.symbol, pair), 200, "not listed")
        )

    def _fail(self, pair: Wanted, error: Exception) -> None:
        future = self._futures[pair]
        if not future.done():
            future.set_exception(error)
            future.exception()


def describe(symbol: str, pair: Wanted) -> str:
    """An option as people write it."""
    return f"{symbol} {pair.expiry:%Y-%m-%d} {pair.strike:g}{pair.right}"
