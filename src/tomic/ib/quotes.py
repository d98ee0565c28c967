"""Quotes: the spot of an underlying, and one option until its numbers are complete."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Self

import ib_async

from tomic.config import ChainSettings
from tomic.errors import GatewayRefused, MissingSpot, NoMarketData, SessionError, UnknownContract
from tomic.ib import convert
from tomic.ib.callbacks import Interrupted, MarketDataLine
from tomic.ib.clocks import Farm, StoppableClock
from tomic.ib.convert import Ticks
from tomic.ib.pacing import LineGate, Priority
from tomic.ib.patience import Patience, Waiting, raise_verdict
from tomic.ib.session import Session
from tomic.models import (
    DataType,
    OptionParams,
    OptionQuote,
    QuoteSource,
    RowStatus,
    Spot,
    SpotSource,
    Underlying,
)
from tomic.selection import Wanted

OPTION_TICKS = "100,101,106"
UNDERLYING_TICKS = "100,101,104,106,456"
"""30-day historical and implied volatility, and dividends."""

_NO_LINE, _ILLEGAL, _DELAYED_SHOWN = 101, 321, 10167
_REFUSED_TICKS = re.compile(r"generic tick list of ([\d,]+)(.*)", re.IGNORECASE | re.DOTALL)
"""``… generic tick list of 100,106. Legal ones for (OPT) are: 100(Option Volume),221/220(…)``"""
_NO_LINE_PAUSE_S = 0.25
"""Pause before a contract that found no line free is asked for again."""
_LOOK_S = 0.05
"""How often is looked whether other lines have shown what the account may have."""
_FORGOTTEN_S = 1.5
"""Silence of an underlying's line after which it is asked once more: the message may be lost."""
_DELAYED = {
    DataType.LIVE: DataType.DELAYED,
    DataType.FROZEN: DataType.DELAYED_FROZEN,
}


@dataclass(frozen=True, slots=True)
class UnderlyingTicks:
    """What the line of an underlying gave."""

    spot: Spot | None
    historical_volatility: float | None = None
    implied_volatility: float | None = None
    dividends: str | None = None


# -- asking --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asking:
    """
    How one contract is asked for: the same on its first line, on a second one and on any later.

    Attributes:
        what: Its name in messages.
        generic_ticks: What is wanted beside quotes and Greeks. Those that the gateway is known to
            refuse when the message leaves are left out.
        rank: Of several who wait for a line, the lowest goes first.
    """

    what: str
    contract: ib_async.Contract
    generic_ticks: str
    priority: Priority = Priority.URGENT
    rank: int = 0

    def line(
        self, session: Session, gate: LineGate | None = None
    ) -> AbstractAsyncContextManager[MarketDataLine]:
        """A line of it, through the session's lines or another *gate*."""
        return session.line(
            self.what,
            self.contract,
            lambda: self._legal(session),
            gate=gate,
            priority=self.priority,
            rank=self.rank,
        )

    def once_more(self) -> Self:
        """The same, before everything that was not asked yet."""
        return replace(self, priority=Priority.URGENT)

    def beside(self) -> Self:
        """The same on a second line, while the first is silent."""
        return replace(self.once_more(), what=f"{self.what}, asked again")

    def without_refused(self, session: Session, error: GatewayRefused) -> Self | None:
        """
        The same with the generic ticks that are left after a 321; None when there is nothing left.

        One that is not legal refuses the whole line. The gateway names the legal ones; where it
        does not, none are asked, because quotes and Greeks need none.
        """
        if error.error_code != _ILLEGAL or not self.generic_ticks:
            return None
        match = _REFUSED_TICKS.search(error.text)
        if match is None:
            return replace(self, generic_ticks="")
        asked = match[1].split(",")
        # What stands in brackets are names, which hold commas and digits of their own.
        legal = set(re.findall(r"\d+", re.sub(r"\([^)]*\)", " ", match[2])))
        kept = [tick for tick in asked if tick in legal]
        left = ",".join(kept) if len(kept) < len(asked) else ""
        session.cache[self._key(match[1])] = left
        return replace(self, generic_ticks=left)

    def _legal(self, session: Session) -> str:
        ticks = self.generic_ticks
        while ticks and self._key(ticks) in session.cache:
            ticks = str(session.cache[self._key(ticks)])
        return ticks

    def _key(self, generic_ticks: str) -> tuple[str, str, str]:
        return "legal ticks", self.contract.secType, generic_ticks


# -- the underlying ------------------------------------------------------------------------


async def underlying_ticks(
    session: Session, underlying: Underlying, *, timeout_s: float, extras_s: float = 0.0
) -> UnderlyingTicks:
    """
    Subscribe the underlying until it has a price, and *extras_s* longer for its volatilities.

    Falls back to delayed data, once per session, when live data are not subscribed.

    Raises:
        NoMarketData: Neither live nor delayed data may be had.
        SessionLost: The connection went away.
    """
    generic = UNDERLYING_TICKS if underlying.sec_type == "STK" else "104,106"
    contract, what = convert.underlying_contract(underlying), f"quote of {underlying.symbol}"
    asking = Asking(what, contract, generic)
    clock = session.clocks[Farm.MARKET]
    until = clock.now() + timeout_s
    asked_again, no_line = False, None
    while True:
        asked_as = session.data_type
        try:
            async with asking.line(session) as line:
                spoke = await _speaks(line, clock, min(until, clock.now() + _FORGOTTEN_S))
                if not spoke and not asked_again and clock.now() < until:
                    asked_again = True
                    continue
                await _until_spot(line, clock, until, extras_s)
                raise_verdict(line)
                if no_line is not None and line.ticks.silent:
                    raise no_line
                _refuse_delayed(session, what, line.ticks)
                return _underlying_ticks(session, line.ticks)
        except Interrupted:
            until = clock.now() + timeout_s
        except NoMarketData as exc:
            # Another line may have made the session fall back meanwhile.
            if session.data_type == asked_as and not await fall_back_to_delayed(session, exc):
                raise
            until = clock.now() + timeout_s
        except GatewayRefused as exc:
            reduced = asking.without_refused(session, exc)
            if reduced is not None:
                asking = reduced
            elif exc.error_code == _NO_LINE:
                no_line = _without_line(exc)
                if clock.now() >= until:
                    raise no_line from exc
                await asyncio.sleep(_NO_LINE_PAUSE_S)
            else:
                raise


def _without_line(error: GatewayRefused) -> GatewayRefused:
    hint = (
        f"{error.what}: TWS has no market-data line free (101); close watchlists and option chains "
        "in TWS, or other programs that hold lines"
    )
    return GatewayRefused(error.what, error.error_code, error.text, hint=hint)


def _refuse_delayed(session: Session, what: str, ticks: Ticks) -> None:
    """Raise NoMarketData when the gateway gave other than live data and only those are wanted."""
    if session.realtime_only and ticks.data_type not in (None, DataType.LIVE):
        text = f"{ticks.data_type.value} data instead of live ones"
        raise NoMarketData(what, _DELAYED_SHOWN, text)


async def _speaks(line: MarketDataLine, clock: StoppableClock, until: float) -> bool:
    """Whether *line* says anything, or something is said of it, by *until*."""
    while line.mute:
        line.changed.clear()
        if not await clock.wait_for(line.changed, until):
            return False
    return True


async def _until_spot(
    line: MarketDataLine, clock: StoppableClock, until: float, extras_s: float
) -> None:
    ticks = line.ticks
    grace: float | None = None
    while line.error is None:
        if _best_price(ticks) is not None:
            # A trade may follow its quote by some milliseconds, and is the better spot.
            grace = grace or clock.now() + max(extras_s, 0.05)
            has_all = ticks.last is not None and (
                extras_s == 0.0 or ticks.implied_volatility is not None
            )
            if has_all:
                return
        line.changed.clear()
        if not await clock.wait_for(line.changed, min(until, grace or until)):
            return


def _best_price(ticks: Ticks) -> tuple[float, SpotSource] | None:
    """The spot ladder over one line: last, mid, close; never -1 or 0."""
    if ticks.last:
        return ticks.last, SpotSource.LAST
    if ticks.bid and ticks.ask and ticks.ask >= ticks.bid:
        return 0.5 * (ticks.bid + ticks.ask), SpotSource.MID
    if ticks.close:
        return ticks.close, SpotSource.CLOSE
    return None


def _underlying_ticks(session: Session, ticks: Ticks) -> UnderlyingTicks:
    best = _best_price(ticks)
    spot = None
    if best is not None:
        spot = Spot(
            price=best[0],
            source=best[1],
            data_type=ticks.data_type or session.data_type or DataType.LIVE,
            as_of=session.clock_now(),
        )
    return UnderlyingTicks(
        spot=spot,
        historical_volatility=ticks.historical_volatility,
        implied_volatility=ticks.implied_volatility,
        dividends=ticks.dividends,
    )


async def spot(session: Session, underlying: Underlying, *, timeout_s: float = 4.0) -> Spot:
    """
    The price of the underlying from its own line: last, else mid, else close.

    Raises:
        MissingSpot: The line gave no price in time.
        NoMarketData, SessionLost: See :func:`underlying_ticks`.
    """
    ticks = await underlying_ticks(session, underlying, timeout_s=timeout_s)
    if ticks.spot is None:
        raise MissingSpot(f"no price of {underlying.symbol} within {timeout_s:g} s")
    return ticks.spot


async def spot_from_options(
    session: Session,
    underlying: Underlying,
    params: OptionParams,
    today: dt.date,
    *,
    timeout_s: float,
) -> float | None:
    """
    The price of the underlying inside an option's model computation, None when none comes.

    Three strikes in the middle of the listed ones are asked, of the nearest expiry that is a
    week away: those are the most likely to be quoted.
    """
    ahead = [day for day in params.expiries if (day - today).days >= 7] or list(params.expiries)
    if not ahead or not params.strikes:
        return None
    middle = len(params.strikes) // 2
    strikes = params.strikes[max(middle - 1, 0) : middle + 2]
    wanted = [Wanted(ahead[0], strike, "C") for strike in strikes]

    async def ask(pair: Wanted) -> float | None:
        contract = convert.option_contract(underlying, params, pair)
        clock = session.clocks[Farm.MARKET]
        until = clock.now() + timeout_s
        what = f"model price of {underlying.symbol}"
        asking: Asking | None = Asking(what, contract, OPTION_TICKS)
        while asking is not None:
            async with asking.line(session) as line:
                while line.error is None:
                    model = line.ticks.model or line.ticks.at_bid or line.ticks.at_ask
                    if model is not None and model.underlying:
                        return model.underlying
                    line.changed.clear()
                    if not await clock.wait_for(line.changed, until):
                        return None
            if not isinstance(line.error, GatewayRefused):
                return None
            asking = asking.without_refused(session, line.error)
        return None

    found = [one.value for one in await session.fan_out(wanted, ask) if one.value is not None]
    return sorted(found)[len(found) // 2] if found else None


async def fall_back_to_delayed(session: Session, error: NoMarketData) -> bool:
    """Switch the session to delayed data once; False when that was done or is not allowed."""
    wanted = _DELAYED.get(session.data_type or DataType.LIVE)
    if wanted is None or session.realtime_only:
        return False
    session.note(
        f"live data are not subscribed ({error.error_code}); asking for delayed data. "
        "Subscribe in Client Portal > Settings > Market Data Subscriptions"
    )
    await session.fall_back_to(wanted)
    return True


async def _falls_back(
    session: Session, error: NoMarketData, asked_as: DataType | None, patience_s: float
) -> bool:
    """
    Whether an option that was refused is to be asked again, for delayed data.

    The data type is that of the whole session, so most options must have been refused, or all
    that were asked; *patience_s* at most is waited for what the others show.
    """
    if session.data_type == asked_as in (None, *_DELAYED) and not session.realtime_only:
        session.rights.refused += 1
        until = asyncio.get_running_loop().time() + patience_s
        while (lacking := session.rights.lacking(session.lines_awaited)) is None:
            over = asyncio.get_running_loop().time() >= until
            if over or session.data_type != asked_as or not session.alive:
                lacking = session.rights.lacking(0)
                break
            await asyncio.sleep(_LOOK_S)
        if session.data_type == asked_as:
            return bool(lacking) and await fall_back_to_delayed(session, error)
    return session.data_type != asked_as


# -- one option ----------------------------------------------------------------------------


async def option_quote(
    session: Session,
    what: str,
    contract: ib_async.Contract,
    pair: Wanted,
    rules: ChainSettings,
    patience: Patience,
    on_asked: Callable[[], None] = lambda: None,
    rank: int = 0,
) -> OptionQuote:
    """
    One row for one option: subscribe, wait for what is needed, always cancel.

    *on_asked* is called once, when the option has been asked for; of several options that wait
    for a line, those of the lowest *rank* go first.

    Wanted are bid, ask, and IV and Greeks of IB's model, then volume and open interest for a
    short grace. A line that stays totally silent is asked once more with a fresh id; whichever
    of the two speaks first counts. Data that the account may not have live are asked delayed.

    Raises:
        UnknownContract: IB says 200.
        GatewayRefused: Any other refusal.
        SessionLost: The connection went away.
    """
    waiting, con_id = Waiting(session, rules, patience), contract.conId or None
    asking = Asking(what, contract, OPTION_TICKS, Priority.SUBSCRIBE, rank)
    attempts = 0
    while True:
        asked_as = session.data_type
        try:
            async with asking.line(session) as line:
                if asking.priority is Priority.SUBSCRIBE:
                    on_asked()
                    asking = asking.once_more()
                ticks = await _patiently(waiting, line, asking, rules.retries - attempts)
                if ticks is not None:
                    _refuse_delayed(session, what, ticks)
                    _note_missing_greeks(session, patience)
                    session.rights.served += _is_served(ticks)
                    return _row(session, pair, ticks, con_id)
                attempts += 1
                session.retried += 1
        except Interrupted:
            continue
        except NoMarketData as exc:
            if not await _falls_back(session, exc, asked_as, rules.quote_timeout_s):
                return unfinished(pair, exc, con_id=con_id)
        except UnknownContract:
            raise
        except GatewayRefused as exc:
            reduced = asking.without_refused(session, exc)
            if reduced is not None:
                asking = reduced
            elif exc.error_code == _NO_LINE:
                # The session has made its gate smaller; the contract is not to blame.
                await asyncio.sleep(_NO_LINE_PAUSE_S)
            else:
                session.note(str(exc).removeprefix(f"{what}: "))
                raise


def _is_served(ticks: Ticks) -> bool:
    """Whether *ticks* show that the account may have live data."""
    return ticks.quoted and ticks.data_type in (None, DataType.LIVE, DataType.FROZEN)


def _note_missing_greeks(session: Session, patience: Patience) -> None:
    if patience.expects_no_greeks:
        session.note(
            "IB sends quotes without Greeks, as when the main window of TWS is minimised; "
            "IV and Greeks are computed from the quotes"
        )


async def _patiently(
    waiting: Waiting, line: MarketDataLine, asking: Asking, retries: int
) -> Ticks | None:
    """
    Wait on *line*, and on a second one beside it when it stays silent; return the better ticks.

    None when there is no room for a second line: then this one has to give way to it.
    """
    session, since = waiting.session, waiting.clock.now()
    if await waiting.first_words(line, since):
        return await waiting.all_words(line, since)
    gate = session.limits.second_lines
    for _ in range(retries):
        if gate.full:
            return None
        async with asking.beside().line(session, gate) as second:
            session.retried += 1
            speaker = await waiting.last_words([line, second], since)
            if speaker is not None:
                return await waiting.all_words(speaker, waiting.clock.now())
    if retries <= 0 and await waiting.last_words([line], since) is not None:
        return await waiting.all_words(line, waiting.clock.now())
    return line.ticks


def _row(session: Session, pair: Wanted, ticks: Ticks, con_id: int | None) -> OptionQuote:
    data_type = ticks.data_type or session.data_type or DataType.LIVE
    return convert.to_quote(
        pair,
        ticks,
        con_id=con_id,
        source=quote_source(data_type),
        quoted_at=session.clock_now() if not ticks.silent else None,
    )


def quote_source(data_type: DataType) -> QuoteSource:
    """The label of quotes that came with *data_type*."""
    if data_type is DataType.LIVE:
        return QuoteSource.LIVE
    return QuoteSource.FROZEN if data_type is DataType.FROZEN else QuoteSource.DELAYED


def unfinished(pair: Wanted, error: Exception, *, con_id: int | None = None) -> OptionQuote:
    """The row of an option that gave nothing, with the status that says why."""
    if isinstance(error, UnknownContract):
        status = RowStatus.UNKNOWN_CONTRACT
    elif isinstance(error, NoMarketData):
        status = RowStatus.NOT_SUBSCRIBED
    elif isinstance(error, (SessionError, GatewayRefused)):
        # Refused for no fault of the market: there may be a quote, and it did not reach us.
        status = RowStatus.LOST
    else:
        status = RowStatus.TIMEOUT
    return convert.to_quote(
        pair, Ticks(), con_id=con_id, source=QuoteSource.LIVE, quoted_at=None, status=status
    )


__all__ = [
    "OPTION_TICKS",
    "UNDERLYING_TICKS",
    "Patience",
    "UnderlyingTicks",
    "option_quote",
    "quote_source",
    "spot",
    "spot_from_options",
    "underlying_ticks",
    "unfinished",
]
