"""The spot of an underlying: its own line, else its options: their models, else their parity."""

from __future__ import annotations

import asyncio
import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from tomic.errors import GatewayRefused, MissingSpot, NoMarketData
from tomic.ib import convert
from tomic.ib.callbacks import Interrupted, MarketDataLine
from tomic.ib.clocks import Farm, StoppableClock
from tomic.ib.contracts import describe
from tomic.ib.convert import Ticks
from tomic.ib.lines import NO_LINE, NO_LINE_PAUSE_S, LineRequest
from tomic.ib.option_quotes import OPTION_TICKS
from tomic.ib.pacing import Priority
from tomic.ib.session import Session
from tomic.models import DataType, OptionParams, Spot, SpotSource, Underlying
from tomic.quant import parity
from tomic.selection import Wanted

UNDERLYING_TICKS = "100,101,106,411,456"
"""30-day volatilities and dividends; 411 and not 104, which newer TWS refuses."""
_AHEAD_DAYS, _ROUNDS = 7, 2
_MODEL_S = 1.3
"""How long the model of an option is waited for beside its quote."""
_FORGOTTEN_S = 1.5
"""Silence of an underlying's line after which it is asked once more: the message may be lost."""


@dataclass(frozen=True, slots=True)
class UnderlyingTicks:
    """What the line of an underlying gave."""

    spot: Spot | None
    historical_volatility: float | None = None
    implied_volatility: float | None = None
    dividends: str | None = None
    currency: str = ""
    """Of the price; empty where there is none."""

    @property
    def dividend_yield(self) -> float | None:
        """Dividends of the next twelve months (tick 456) over the price; None if IB told none."""
        parts = self.dividends.split(",") if self.dividends else []
        try:
            amount = float(parts[1])
        except (IndexError, ValueError):
            return None
        if self.spot is None or not (0.0 <= amount < self.spot.price):
            return None
        return amount / self.spot.price


async def underlying_ticks(
    session: Session,
    underlying: Underlying,
    *,
    timeout_s: float,
    extras_s: float = 0.0,
    delayed: bool = True,
) -> UnderlyingTicks:
    """
    Subscribe the underlying until it has a price, and *extras_s* longer for its volatilities.

    Where live data are not subscribed, the session falls back to delayed ones, once, unless
    *delayed* is false.

    Raises:
        NoMarketData: Neither live nor delayed data may be had.
        SessionLost: The connection went away.
    """
    generic = UNDERLYING_TICKS if underlying.sec_type == "STK" else "106,411"
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
                return _underlying_ticks(session, line.ticks, underlying.currency)
        except Interrupted:
            until = clock.now() + timeout_s
        except NoMarketData as exc:
            # Another line may have made the session fall back meanwhile.
            if session.data_type == asked_as and not (
                delayed and await session.fall_back_to_delayed(exc, of=underlying.symbol)
            ):
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


def _underlying_ticks(session: Session, ticks: Ticks, currency: str) -> UnderlyingTicks:
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
        currency=currency,
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


@dataclass(frozen=True, slots=True)
class SpotOfOptions:
    """The price of an underlying as its options have it."""

    spot: Spot
    sigma: float | None
    """Volatility of the option nearest the money, a fraction; None where IB computes none."""


async def spot_from_options(
    session: Session,
    underlying: Underlying,
    params: OptionParams,
    today: dt.date,
    *,
    rate: float,
    timeout_s: float,
) -> SpotOfOptions | None:
    """
    The price inside an option's model computation, else that of parity; None when neither comes.

    Calls and puts of three strikes in the middle of the listed ones are asked, of the nearest
    expiry that is a week away: those are the most likely to be quoted. Where parity shows that the
    money is elsewhere, those around it are asked too, because early exercise costs less there. Over
    a week or two parity takes the forward for the spot, discounted at *rate*; dividends until then
    are not known.

    Raises:
        NoMarketData: The account may have none of these options.
        SessionLost: The connection went away.
    """
    ahead = [day for day in params.expiries if (day - today).days >= _AHEAD_DAYS]
    ahead = ahead or list(params.expiries)
    if not ahead or not params.strikes:
        return None
    tau = max((ahead[0] - today).days, 1) / 365.0
    seen: dict[Wanted, Ticks] = {}
    near = params.strikes[len(params.strikes) // 2]
    for _ in range(_ROUNDS):
        fresh = [
            pair
            for strike in _around(params.strikes, near)
            for right in ("C", "P")
            if (pair := Wanted(ahead[0], strike, right)) not in seen
        ]
        if not fresh:
            break
        ask = partial(_option_ticks, session, underlying, params, timeout_s)
        outcomes = await session.fan_out(fresh, ask)
        seen |= {outcome.item: outcome.value for outcome in outcomes if outcome.value is not None}
        refusals = [
            outcome.error for outcome in outcomes if isinstance(outcome.error, NoMarketData)
        ]
        if len(refusals) == len(outcomes):
            raise refusals[0]
        modelled = sorted(
            ticks.model.underlying for ticks in seen.values()
            if ticks.model is not None and ticks.model.underlying
        )  # fmt: skip
        if modelled:
            return _seen_by(session, modelled[len(modelled) // 2], SpotSource.MODEL, seen)
        near = _parity_spot(seen, rate, tau)
        if not math.isfinite(near):
            return None
    return _seen_by(session, near, SpotSource.PARITY, seen)


def _around(strikes: Sequence[float], near: float) -> list[float]:
    """The three of *strikes* nearest to a price, or all there are."""
    return sorted(sorted(strikes, key=lambda strike: abs(strike - near))[:3])


def _parity_spot(seen: Mapping[Wanted, Ticks], rate: float, tau: float) -> float:
    pairs = [
        (call.strike, ticks.mid, put.mid)
        for call, ticks in seen.items()
        if call.right == "C" and (put := seen.get(call._replace(right="P"))) is not None
    ]
    prices = [[math.nan if value is None else value for value in pair] for pair in pairs]
    if not prices:
        return math.nan
    strike, call_mid, put_mid = (list(column) for column in zip(*prices, strict=True))
    forward = parity.forward_from_parity(strike, call_mid, put_mid, rate, tau).forward
    return forward * math.exp(-rate * tau)


def _seen_by(
    session: Session, price: float, source: SpotSource, seen: Mapping[Wanted, Ticks]
) -> SpotOfOptions:
    types = [ticks.data_type for ticks in seen.values() if ticks.data_type is not None]
    nearest = sorted(seen.items(), key=lambda item: abs(item[0].strike - price))
    known = (ticks.model.iv for _, ticks in nearest if ticks.model is not None)
    spot = Spot(
        price=price,
        source=source,
        data_type=types[0] if types else session.data_type or DataType.LIVE,
        as_of=session.clock_now(),
    )
    return SpotOfOptions(spot, next((iv for iv in known if iv is not None), None))


async def _option_ticks(
    session: Session, underlying: Underlying, params: OptionParams, timeout_s: float, pair: Wanted
) -> Ticks:
    """
    What one option says until its model has come, or will hardly come beside its quote.

    Raises:
        GatewayRefused: The gateway gives no data of it.
    """
    what = f"price of {underlying.symbol} from {describe(underlying.symbol, pair)}"
    contract = convert.option_contract(underlying, params, pair)
    request = LineRequest(what, contract, OPTION_TICKS, Priority.URGENT)
    clock = session.clocks[Farm.MARKET]
    until = clock.now() + timeout_s
    while True:
        try:
            async with session.line(request) as line:
                await _until_modelled(line, clock, until)
                line.raise_verdict()
                session.refuse_delayed(what, line.ticks.data_type)
                return line.ticks
        except Interrupted:
            until = clock.now() + timeout_s
        except GatewayRefused as exc:
            reduced = request.without_refused(exc, session.cache)
            if reduced is None:
                raise
            request = reduced


async def _until_modelled(line: MarketDataLine, clock: StoppableClock, until: float) -> None:
    ticks = line.ticks
    while line.error is None:
        if ticks.model is not None and ticks.model.underlying:
            return
        if ticks.quoted:
            if line.no_greeks:
                return
            until = min(until, clock.now() + _MODEL_S)
        line.changed.clear()
        if not await clock.wait_for(line.changed, until):
            return


_SUBSCRIBE = (
    "subscribe to either in Client Portal > Settings > Market Data Subscriptions (OPRA for options)"
)


async def ticks_by_other_means(
    session: Session,
    underlying: Underlying,
    params: OptionParams,
    today: dt.date,
    refused: NoMarketData | None,
    *,
    rate: float,
    timeout_s: float,
    extras_s: float = 0.0,
) -> tuple[UnderlyingTicks, float | None]:
    """
    A spot where the underlying's own line gave none: its options as they are; then, if that line
    was *refused*, delayed data, of its own line and of its options.

    An account may have the options and not what they are on: OPRA does not bring an index. Nothing
    else becomes delayed for that.

    Returns:
        What is known, its spot missing where nothing gives one, and a volatility of the underlying.

    Raises:
        NoMarketData: It was refused, and nothing else gives a price either.
        SessionLost: The connection went away.
    """

    async def of_options() -> SpotOfOptions | None:
        return await spot_from_options(
            session, underlying, params, today, rate=rate, timeout_s=timeout_s
        )

    ticks, of = UnderlyingTicks(spot=None), underlying.symbol
    try:
        seen = await of_options()
    except NoMarketData:
        seen, of = None, ""
    is_live = session.data_type in (None, DataType.LIVE, DataType.FROZEN)
    if seen is None and refused is not None and is_live and not session.realtime_only:
        await session.fall_back_to_delayed(refused, of=of)
        try:
            ticks = await underlying_ticks(
                session, underlying, timeout_s=timeout_s, extras_s=extras_s
            )
            if ticks.spot is not None:
                return ticks, ticks.implied_volatility
            seen = await of_options()
        except NoMarketData as exc:
            refused = exc
    if seen is None:
        if refused is None:
            return ticks, None
        hint = f"{refused}; nor do its options give a price: {_SUBSCRIBE}"
        raise NoMarketData(refused.what, refused.error_code, refused.text, hint=hint)
    if refused is not None:
        session.note(
            f"live data of {underlying.symbol} are not subscribed ({refused.error_code}); its "
            f"price is taken from its options ({seen.spot.source.value})"
        )
    return replace(ticks, spot=seen.spot), seen.sigma
