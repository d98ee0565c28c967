"""Quotes: the spot of an underlying, and one option until its numbers are complete."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import ib_async

from tomic.config import ChainSettings
from tomic.errors import GatewayRefused, MissingSpot, NoMarketData, SessionError, UnknownContract
from tomic.ib import convert
from tomic.ib.callbacks import Interrupted, Line
from tomic.ib.clocks import Farm, StoppableClock
from tomic.ib.convert import Ticks
from tomic.ib.pacing import Priority
from tomic.ib.patience import Patience, Waiting
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
_NO_LINE_PAUSE_S = 0.25
"""Pause before a contract that found no line free is asked for again."""
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
    clock = session.clocks[Farm.MARKET]
    until = clock.now() + timeout_s
    asked_again, no_line = False, None
    while True:
        try:
            async with session.line(what, contract, generic, priority=Priority.URGENT) as line:
                spoke = await _speaks(line, clock, min(until, clock.now() + _FORGOTTEN_S))
                if not spoke and not asked_again and clock.now() < until:
                    asked_again = True
                    continue
                await _until_spot(line, clock, until, extras_s)
                if line.error is not None:
                    raise line.error
                if no_line is not None and line.ticks.silent:
                    raise no_line
                _refuse_delayed(session, what, line.ticks)
                return _underlying_ticks(session, line.ticks)
        except Interrupted:
            until = clock.now() + timeout_s
        except NoMarketData as exc:
            if not await fall_back_to_delayed(session, exc):
                raise
        except GatewayRefused as exc:
            if exc.error_code == _ILLEGAL and generic:
                # One generic tick that is not served refuses the whole line; a price needs none.
                generic = ""
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


async def _speaks(line: Line, clock: StoppableClock, until: float) -> bool:
    """Whether *line* says anything, or ends, by *until*."""
    while line.ticks.silent and line.error is None:
        line.changed.clear()
        if not await clock.wait_for(line.changed, until):
            return False
    return True


async def _until_spot(line: Line, clock: StoppableClock, until: float, extras_s: float) -> None:
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
        what = f"model price of {underlying.symbol}"
        clock = session.clocks[Farm.MARKET]
        until = clock.now() + timeout_s
        async with session.line(what, contract, OPTION_TICKS, priority=Priority.URGENT) as line:
            while line.error is None:
                model = line.ticks.model or line.ticks.at_bid or line.ticks.at_ask
                if model is not None and model.underlying:
                    return model.underlying
                line.changed.clear()
                if not await clock.wait_for(line.changed, until):
                    return None
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
    await session.use_data_type(wanted)
    return True


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
    attempts, priority, generic = 0, Priority.SUBSCRIBE, OPTION_TICKS
    while True:
        asked_as = session.data_type
        try:
            async with session.line(what, contract, generic, priority=priority, rank=rank) as line:
                if priority is Priority.SUBSCRIBE:
                    on_asked()
                    priority = Priority.URGENT
                ticks = await _patiently(waiting, line, contract, rules.retries - attempts)
                if ticks is not None:
                    _refuse_delayed(session, what, ticks)
                    _note_missing_greeks(session, patience)
                    return _row(session, pair, ticks, con_id)
                attempts += 1
                session.retried += 1
        except Interrupted:
            continue
        except NoMarketData as exc:
            switched = session.data_type != asked_as
            if not switched and not await fall_back_to_delayed(session, exc):
                return unfinished(pair, exc, con_id=con_id)
        except UnknownContract:
            raise
        except GatewayRefused as exc:
            if exc.error_code == _ILLEGAL and generic:
                # One generic tick that is not served refuses the line; quotes and Greeks need none.
                generic = ""
            elif exc.error_code == _NO_LINE:
                # The session has made its gate smaller; the contract is not to blame.
                await asyncio.sleep(_NO_LINE_PAUSE_S)
            else:
                session.note(str(exc).removeprefix(f"{what}: "))
                raise


def _note_missing_greeks(session: Session, patience: Patience) -> None:
    if patience.expects_no_greeks:
        session.note(
            "IB sends quotes without Greeks, as when the main window of TWS is minimised; "
            "IV and Greeks are computed from the quotes"
        )


async def _patiently(
    waiting: Waiting, line: Line, contract: ib_async.Contract, retries: int
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
        what = f"{line.what}, asked again"
        async with session.line(
            what, contract, OPTION_TICKS, gate=gate, priority=Priority.URGENT
        ) as second:
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
