"""Contracts: the underlying, its option parameters, and which options are listed."""

from __future__ import annotations

import asyncio
import datetime as dt
import difflib
import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import ib_async

from tomic import dates, errors, selection
from tomic.config import ChainSettings, MarketSettings
from tomic.config.market import ListingName
from tomic.ib import convert
from tomic.ib.session import Session
from tomic.models import OptionParams, Underlying, split_symbol
from tomic.selection import Wanted

_SUGGEST_TIMEOUT_S = 3.0
_AFTER_A_TIMEOUT_S = 5.0
"""Patience with further open requests once one was not answered: asking one by one is sure."""

_TELLING_ROWS = 150
"""Rows of details, some 50 kB, after which a link that is too slow for the rest has shown it."""
_LEFT_OUT = (
    "the link to the gateway is slow; options are quoted by their description, without asking for "
    "contract ids"
)
_HOPELESS = 5
"""Unanswered questions about single options after which no further ones are asked."""


_LEAST_FUTURE_DAYS = 15
"""Days that a future must have left to be meant by its root alone: the usual shortest expiry."""


async def resolve_underlying(
    session: Session, symbol: str, market: MarketSettings, *, timeout_s: float = 10.0
) -> Underlying:
    """
    Find the stock, ETF, index or future behind *symbol*; asked once per session.

    A symbol with an exchange (``ASML@AEB``) is looked up there, in whatever currency it has. The
    root of a future (``ES@CME``) means the first month with at least 15 days left; another is
    called by its own name (``ESH7@CME``).

    Raises:
        UnknownContract: IB knows no such symbol; the message suggests similar ones.
        RequestTimeout, SessionLost: No answer.
    """
    key = ("underlying", symbol)
    if key in session.cache:
        known = session.cache[key]
        assert isinstance(known, Underlying)
        return known
    listing = market.listing(symbol)
    try:
        rows = await _listed_as(session, symbol, listing, timeout_s)
    except errors.UnknownContract as exc:
        raise await _unknown(session, symbol, market, exc) from exc
    row = _primary(rows, symbol, listing)
    if row.contract is not None and row.contract.secType == "FUT":
        row = await _front(session, rows, symbol, listing)
    underlying = read_underlying(session, row, symbol)
    session.cache[key] = underlying
    return underlying


async def _listed_as(
    session: Session, symbol: str, listing: ListingName, timeout_s: float
) -> list[ib_async.ContractDetails]:
    """What IB lists under a name, as the first of the kinds that it can be."""
    refusal = errors.UnknownContract(symbol, 200, "no security definition has been found")
    for contract in convert.listing_contracts(listing):
        try:
            rows = await details(session, f"contract details of {symbol}", contract, timeout_s)
        except errors.UnknownContract as exc:
            refusal = exc
            continue
        if rows:
            return rows
    raise refusal


async def _front(
    session: Session, rows: Sequence[ib_async.ContractDetails], symbol: str, listing: ListingName
) -> ib_async.ContractDetails:
    """The month of a future that is meant: the only one, else the first with enough days left."""
    if len(rows) == 1:
        return rows[0]
    try:
        today = (await session.now()).date()
    except (errors.RequestTimeout, errors.UnreadableAnswer):
        today = session.clock_now().date()
    by_day = sorted(rows, key=convert.last_day)
    later = [row for row in by_day if (convert.last_day(row) - today).days >= _LEAST_FUTURE_DAYS]
    front = later[0] if later else by_day[-1]
    others = [row.contract.localSymbol for row in by_day if row is not front and row.contract]
    named = f"{front.contract.localSymbol}, " if front.contract else ""
    session.note(
        f"{symbol}: {named}the first month with {_LEAST_FUTURE_DAYS} days left, is taken; others "
        f"are {', '.join(f'{name}@{listing.exchange}' for name in others[:4])}"
    )
    return front


def read_underlying(session: Session, details: ib_async.ContractDetails, symbol: str) -> Underlying:
    """
    The underlying of a row of contract details; of one in dollars also if its zone is unknown.

    Raises:
        DataError: The zone is unknown, and the day in New York may be another than its own.
    """
    try:
        return convert.to_underlying(details, symbol)
    except errors.DataError as exc:
        if details.contract is None or details.contract.currency != "USD":
            raise
        session.note(f"{symbol}: {exc}; its hours are left out, its days are those of New York")
        bare = replace(details, timeZoneId="", liquidHours="", tradingHours="")
        return convert.to_underlying(bare, symbol)


def remember(
    session: Session, symbol: str, underlying: Underlying | None, params: tuple[OptionParams, ...]
) -> None:
    """Spare *session* the questions whose answers are known from earlier today."""
    if underlying is not None:
        session.cache.setdefault(("underlying", symbol), underlying)
        if params:
            session.cache.setdefault(("params", underlying.con_id), params)


def _primary(
    details: Sequence[ib_async.ContractDetails], symbol: str, listing: ListingName
) -> ib_async.ContractDetails:
    """
    The oldest listing, which has the lowest id, of those that share a symbol.

    Raises:
        UnknownContract: One exchange lists it in several currencies, and none was named.
    """
    contracts = [row.contract for row in details if row.contract is not None]
    currencies = sorted({contract.currency for contract in contracts})
    if len(currencies) > 1 and not listing.currency:
        choices = ", ".join(f'"{listing.ticker}@{listing.exchange} {name}"' for name in currencies)
        raise errors.UnknownContract(
            symbol,
            200,
            "ambiguous",
            hint=f"{symbol} is listed in {', '.join(currencies)}; name one of {choices} in "
            "[market.listings]",
        )
    return min(details, key=lambda row: row.contract.conId if row.contract else 0)


async def _unknown(
    session: Session, symbol: str, market: MarketSettings, error: errors.UnknownContract
) -> errors.UnknownContract:
    """The error with what the user may have meant."""
    ticker, exchange = split_symbol(symbol)
    try:
        samples = await session.ask(
            f"symbols like {symbol}",
            lambda client, req_id: client.reqMatchingSymbols(
                req_id, convert.wire_symbol(_stem(ticker))
            ),
            timeout_s=_SUGGEST_TIMEOUT_S,
        )
        names = [_spelled(sample.contract, market) for sample in samples if sample.contract]
    except errors.RequestFailed:
        names = []
    exact = [name for name in names if split_symbol(name)[0] == _stem(ticker)]
    if exact and exact != [symbol]:
        hint = f"; did you mean {' or '.join(exact[:4])}?"
    else:
        pool = [*names, *market.symbols, *market.indices]
        near = difflib.get_close_matches(symbol, [n for n in pool if n != symbol], n=1, cutoff=0.55)
        hint = f"; did you mean {near[0]}?" if near else "; check the spelling"
    where = f" at {exchange}" if exchange else ""
    return errors.UnknownContract(
        symbol, error.error_code, error.text, hint=f"IB knows no symbol {ticker}{where}{hint}"
    )


_YAHOO = frozenset(
    {"AS", "BR", "CO", "DE", "HE", "HK", "L", "LS", "MC", "MI", "OL", "PA", "ST", "SW"}
)
"""Endings that other programs give the shares of an exchange, where IB has share classes."""


def _stem(ticker: str) -> str:
    name, _, ending = ticker.partition(".")
    return name if ending in _YAHOO else ticker


def _spelled(contract: ib_async.Contract, market: MarketSettings) -> str:
    """How a match is to be written: with its exchange, unless it is an American share."""
    ticker = contract.symbol.replace(" ", ".")
    if contract.secType in ("STK", "") and contract.currency in ("USD", ""):
        return ticker
    exchange = contract.primaryExchange or contract.exchange
    return market.name_of(ticker, exchange, contract.secType) if exchange else ticker


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
    clock, came = asyncio.get_running_loop().time, list[tuple[int, float]]()

    def take(row: ib_async.OptionChain) -> None:
        rows.append(row)
        came.append((session.received, clock()))

    asking = session.ask(
        what,
        lambda client, req_id: client.reqSecDefOptParams(
            req_id,
            convert.wire_symbol(underlying.ib_symbol),
            # A named exchange gives an empty answer but for futures, which need theirs.
            underlying.exchange if underlying.is_future else "",
            underlying.sec_type,
            underlying.con_id,
        ),
        timeout_s=timeout_s,
        on_part=take,
    )
    try:
        await asking
        # The gateway has all of it at hand, so that it comes as fast as the link is.
        if came:
            session.measure(came[-1][0] - came[0][0], came[-1][1] - came[0][1])
    except errors.RequestTimeout:
        if not rows:
            raise
        session.note(f"{what}: the answer has no end; what arrived of it is used")
    except errors.UnreadableAnswer as exc:
        if not rows:
            raise
        session.note(f"{exc}; what can be read of it is used")
    params = tuple(filter(None, map(convert.to_params, rows)))
    if len(params) < len(rows):
        lost = sorted({row.tradingClass for row in rows if convert.to_params(row) is None})
        session.note(f"{what}: {', '.join(lost)} left out: no multiplier that can be read")
    said = sum(len(row.expirations) + len(row.strikes) for row in rows if convert.to_params(row))
    if odd := said - sum(len(row.expiries) + len(row.strikes) for row in params):
        session.note(f"{what}: {odd} expiries or strikes left out that can be none")
    if not params:
        raise errors.DataError(f"IB lists no options on {underlying.symbol}")
    session.cache[key] = params
    return params


class Listings:
    """
    Which of the wanted options exist, and their ids, as the answers come in.

    One open request per expiry tells all of it; when that fails, the options of that expiry are
    asked one by one, and when that fails too they must be subscribed by description, which needs
    no id. So they are at once on a slow link, which the details of hundreds of options that nobody
    wants would keep busy for seconds. ``await listings.con_id(pair)`` returns as soon as it is
    known how.

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
        self._rows = 0
        self._pace_known = asyncio.Event()
        """Set once the first answer has shown what the link makes of so many rows."""
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
        if self._session.rate_known:
            self._pace_known.set()
        try:
            async with asyncio.TaskGroup() as group:
                missing = self.missing_expiries
                for place, expiry in enumerate(missing[1:] + missing[:1]):
                    group.create_task(self._load_expiry(expiry, is_first=place == 0))
        except* errors.SessionError as lost:
            for pair in self._futures:
                self._fail(pair, lost.exceptions[0])
        finally:
            self.release(len(self._futures))

    async def _load_expiry(self, expiry: dt.date, *, is_first: bool) -> None:
        if not is_first:
            await self._pace_known.wait()
        async with self._session.limits.open_details(self._underlying.symbol):
            if self._session.slow:
                self._pace_known.set()
                self._session.note(_LEFT_OUT)
                self.release(len(self._futures), expiry)
                return
            answered = await self._ask_for_all(expiry)
        self._pace_known.set()
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
        self._rows += 1
        if self._rows >= _TELLING_ROWS:
            self._pace_known.set()
        contract = details.contract
        # The question named the class, so that an answer without one is of it.
        if contract is None or contract.tradingClass not in ("", self._params.trading_class):
            return
        if not convert.is_strike(float(contract.strike)):
            self._session.note(
                f"options of {self._underlying.symbol} {asked}: a strike of {contract.strike:g} "
                "left out, which can be none"
            )
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
