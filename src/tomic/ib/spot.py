"""The spot of an underlying: its own line, else the price inside its options' models."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass

from tomic.errors import GatewayRefused, MissingSpot, NoMarketData
from tomic.ib import convert
from tomic.ib.callbacks import Interrupted, MarketDataLine
from tomic.ib.clocks import Farm, StoppableClock
from tomic.ib.convert import Ticks
from tomic.ib.lines import NO_LINE, NO_LINE_PAUSE_S, LineRequest
from tomic.ib.option_quotes import OPTION_TICKS
from tomic.ib.pacing import Priority
from tomic.ib.session import Session
from tomic.models import DataType, OptionParams, Spot, SpotSource, Underlying
from tomic.selection import Wanted

UNDERLYING_TICKS = "100,101,104,106,456"
"""30-day historical and implied volatility, and dividends."""
_FORGOTTEN_S = 1.5
"""Silence of an underlying's line after which it is asked once more: the message may be lost."""


@dataclass(frozen=True, slots=True)
class UnderlyingTicks:
    """What the line of an underlying gave."""

    spot: Spot | None
    historical_volatility: float | None = None
    implied_volatility: float | None = None
    dividends: str | None = None


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
    request = LineRequest(what, contract, generic, Priority.URGENT)
    clock = session.clocks[Farm.MARKET]
    until = clock.now() + timeout_s
    asked_again, no_line = False, None
    while True:
        asked_as = session.data_type
        try:
            async with session.line(request) as line:
                forgotten = min(until, clock.now() + _FORGOTTEN_S)
                spoke = await _speaks(session, line, clock, forgotten)
                if not spoke and not asked_again and clock.now() < until:
                    asked_again = True
                    continue
                await _until_spot(line, clock, until, extras_s)
                line.raise_verdict()
                if no_line is not None and line.ticks.silent:
                    raise no_line
                session.refuse_delayed(what, line.ticks.data_type)
                return _underlying_ticks(session, line.ticks)
        except Interrupted:
            until = clock.now() + timeout_s
        except NoMarketData as exc:
            # Another line may have made the session fall back meanwhile.
            if session.data_type == asked_as and not await session.fall_back_to_delayed(exc):
                raise
            until = clock.now() + timeout_s
        except GatewayRefused as exc:
            reduced = request.without_refused(exc, session.cache)
            if reduced is not None:
                request = reduced
            elif exc.error_code == NO_LINE:
                no_line = _without_line(exc)
                if clock.now() >= until:
                    raise no_line from exc
                await asyncio.sleep(NO_LINE_PAUSE_S)
            else:
                raise


def _without_line(error: GatewayRefused) -> GatewayRefused:
    hint = (
        f"{error.what}: TWS has no market-data line free (101); close watchlists and option chains "
        "in TWS, or other programs that hold lines"
    )
    return GatewayRefused(error.what, error.error_code, error.text, hint=hint)


async def _speaks(
    session: Session, line: MarketDataLine, clock: StoppableClock, until: float
) -> bool:
    """Whether *line* had said anything by *until*, or something was said of it."""
    while line.mute:
        line.changed.clear()
        if await clock.wait_for(line.changed, until):
            continue
        # On a slow link it may have, and be under way.
        if session.quick or not await session.hears(line.changed, clock.now() - until):
            return not line.mute
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


async def spot_of(session: Session, underlying: Underlying, *, timeout_s: float = 4.0) -> Spot:
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
        request: LineRequest | None = LineRequest(what, contract, OPTION_TICKS, Priority.URGENT)
        while request is not None:
            async with session.line(request) as line:
                while line.error is None:
                    model = line.ticks.model or line.ticks.at_bid or line.ticks.at_ask
                    if model is not None and model.underlying:
                        return model.underlying
                    line.changed.clear()
                    if not await clock.wait_for(line.changed, until):
                        return None
            if not isinstance(line.error, GatewayRefused):
                return None
            request = request.without_refused(line.error, session.cache)
        return None

    outcomes = await session.fan_out(wanted, ask)
    prices = sorted(outcome.value for outcome in outcomes if outcome.value is not None)
    return prices[len(prices) // 2] if prices else None
