"""
What becomes of messages that real gateways were seen to send: the second table of docs/faults.md.

``python tests/support/wire_messages.py`` lets the simulated gateway say every one of them, and
writes what came of it. The sources are public reports of users of other clients.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from support import virtual_time
from support.clean_home import make_clean_home
from support.command_line import inside_gateway, run
from support.simulated import Run, another_time, fetch, gateway_with, quote, running, settings
from tomic import dates
from tomic.errors import TomicError
from tomic.ib import account, contracts, history
from tomic.ib.session import Session
from tomic.sim.faults import (
    Advised,
    Announce,
    BlankFilterIgnored,
    Competing,
    Delayed,
    Fault,
    NotSubscribed,
    OrderWarned,
    Refuse,
    TurnedAway,
    Verbatim,
)
from tomic.sim.market import Listing, MarketFill
from tomic.wire.answers import BarRow, ContractData, HistoricalData
from tomic.wire.framing import MAX_VERSION, split_fields
from tomic.wire.protocol import ANSWERS

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
HEAD = "## Messages of real gateways"
ID = 987654321
"""Stands for the id of a request in a message that is made here."""

Fields = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """
    A message, and what becomes of it.

    Attributes:
        says: What the gateway says, shortened.
        source: Where it was seen.
        good: What must be in the outcome: that it was understood, or what the user is told to do.
        play: Lets the gateway say it, and returns what became of it.
    """

    says: str
    source: str
    good: str
    play: Callable[[], str]


# -- what is played ----------------------------------------------------------------------------


def _fields(answer: Any) -> Fields:
    """A message of ours as the fields of a `Verbatim` one."""
    parts = split_fields(ANSWERS.encode(answer, MAX_VERSION)[4:])
    return tuple("@" if part == str(ID) else part for part in parts)


def _error(code: int, text: str) -> Fields:
    return ("4", "2", "@", str(code), text, "")


def _price(tick: int, price: float, size: str = "1") -> Fields:
    return ("1", "6", "@", str(tick), str(price), size, "0")


def _size(tick: int, size: str) -> Fields:
    return ("2", "6", "@", str(tick), size)


def _text(tick: int, text: str) -> Fields:
    return ("46", "6", "@", str(tick), text)


def _model(tick: int, *, gamma: str = "0.01") -> Fields:
    # Basis, volatility, delta, price, dividends, gamma, vega, theta, underlying.
    return ("21", "@", str(tick), "1", "0.18", "0.5", "10.5", "0", gamma, "0.6", "-0.2", "590.16")


def _type(number: int) -> Fields:
    return ("58", "1", "@", str(number))


_COUNTS = (_size(29, "700"), _size(30, "0"), _size(27, "4000"), _size(28, "0"))
_LIVE = (_type(1), _price(1, 10.4), _price(2, 10.6), _price(4, 10.5), _price(9, 10.2))


def _ended(error: TomicError) -> str:
    return f"exit {error.exit_code}: {error}"


def _with_notes(text: str, notes: Iterable[str]) -> str:
    return "; ".join([text, *(f"told: {note}" for note in notes)])


def _chain(*faults: Fault | str, symbol: str = "SPY") -> str:
    """A chain: rows by status and source, where the spot comes from, and what is told."""
    got = fetch(*faults, symbols=(symbol,))
    assert got.gateway.leaked == 0
    if got.error is not None:
        return _with_notes(_ended(got.error), got.notes)
    rows = ", ".join(f"{n} {status}" for status, n in sorted(got.status.items()))
    sources = "+".join(sorted(filter(None, got.sources)))
    spot = got.chain.spot
    return _with_notes(
        f"{rows}, {sources}; spot {spot.source.value}, {spot.data_type.value}", got.notes
    )


def _option(*messages: Fields, closed: bool = False) -> str:
    """One option of which exactly *messages* are said."""
    row, _, gateway, notes = quote(Verbatim(symbol="SPY", right="C", messages=messages))
    assert gateway.lines_open == 0
    known = {
        "bid": row.bid, "ask": row.ask, "close": row.close, "IV": row.iv, "volume": row.volume,
        "open interest": row.open_interest,
    }  # fmt: skip
    values = ", ".join(f"{name} {value:g}" for name, value in known.items() if value is not None)
    source = row.quote_source.value if row.quote_source else "no quote"
    return _with_notes(f"row {row.status.value}, {source}: {values}", notes)


def _asking(
    question: Callable[[Run], Awaitable[str]], *faults: Fault, **options: Any
) -> Callable[[], str]:
    """What *question* finds out over a session with *faults*, and what is told meanwhile."""

    async def scenario() -> str:
        async with running(*faults, **options) as session:
            try:
                text = await question(session)
            except TomicError as exc:
                text = _ended(exc)
            return _with_notes(text, session.notes)

    return lambda: virtual_time.run(scenario)


def _executed(*times: str, exec_id: str = "00012ec5.69047f0f.01.01") -> Callable[[], str]:
    """Executions of a real gateway, whose times are written in these ways."""
    rows = [
        (
            "11", "@", "0", "168731675", "ZAL", "STK", "", "0.0", "", "", "IBIS", "EUR", "ZAL",
            "XETRA", exec_id.replace("f.01", f"f.{place:02}"), time, "DU1234567", "IBIS", "BOT",
            "12", "24.55", "1372389233", "100", "0", "12", "24.55", "", "", "", "", "2", "0",
        )
        for place, time in enumerate(times, start=1)
    ]  # fmt: skip
    answer = Verbatim(on="executions", messages=(*rows, ("55", "1", "@")))
    return _asking(_executions, answer)


_FILL = MarketFill(
    "0000e0d5.6553c9b2.01.01", "DU1234567", dt.datetime(2026, 11, 20, 19, 31, 2, tzinfo=dt.UTC),
    quantity=100.0, price=590.5, commission=1.05, contract=Listing(756733, "SPY", "STK", "ARCA"),
)  # fmt: skip


async def _executions(run: Run) -> str:
    trades, left_out = await account.executions(run.session, timeout_s=10.0)
    moments = sorted({f"{trade.at:%Y-%m-%d %H:%M:%S} UTC" for trade in trades})
    return f"{len(trades)} executions, {left_out} left out; {', '.join(moments)}".rstrip("; ")


_VALUES = [
    ("AccountType", "INDIVIDUAL", ""), ("NetLiquidation", "1000270.10", "EUR"),
    ("TotalCashValue", "1000000.00", "EUR"), ("SettledCash", "1000000.00", "EUR"),
    ("AccruedCash", "270.10", "EUR"), ("BuyingPower", "3333000.00", "EUR"),
    ("EquityWithLoanValue", "1000000.00", "EUR"),
    ("PreviousEquityWithLoanValue", "1000000.00", "EUR"), ("GrossPositionValue", "0.00", "EUR"),
    ("RegTMargin", "0.00", "EUR"), ("SMA", "1000270.10", "EUR"), ("InitMarginReq", "0.00", "EUR"),
    ("MaintMarginReq", "0.00", "EUR"), ("AvailableFunds", "1000000.00", "EUR"),
    ("ExcessLiquidity", "1000000.00", "EUR"), ("Cushion", "1", ""),
    ("FullInitMarginReq", "0.00", "EUR"), ("FullMaintMarginReq", "0.00", "EUR"),
    ("LookAheadNextChange", "0", ""), ("HighestSeverity", "0", ""), ("Leverage", "0.00", ""),
]  # fmt: skip
_LEDGER = [
    ("RealCurrency", "BASE", "BASE"), ("CashBalance", "1000000.00", "BASE"),
    ("ExchangeRate", "1.00", "BASE"), ("CashBalance", "1000000.00", "EUR"),
    ("ExchangeRate", "1.00", "EUR"), ("ExchangeRate", "0.8621", "USD"),
]  # fmt: skip


def _values(*rows: tuple[str, list[tuple[str, str, str]]]) -> Callable[[], str]:
    messages = [
        ("63", "1", "@", name, *value) for name, values in rows for value in values
    ]  # fmt: skip
    answer = Verbatim(on="account_summary", messages=(*messages, ("64", "1", "@")))
    return _asking(_accounts, answer)


async def _accounts(run: Run) -> str:
    summaries = await account.summaries(run.session, timeout_s=5.0)
    return "; ".join(
        f"{one.account}: {one.net_liquidation:,.2f} {one.currency}, "
        f"rates {', '.join(f'{name} {rate:g}' for name, rate in sorted(one.rates.items())) or '-'}"
        if one.net_liquidation is not None
        else f"{one.account}: nothing known"
        for one in summaries
    )


def _positions(*rows: Fields) -> Callable[[], str]:
    messages = tuple(("61", "3", "DU1234567", *row) for row in rows)
    return _asking(
        _book, Verbatim(on="positions", messages=(*messages, ("62", "1")))
    )  # fmt: skip


async def _book(run: Run) -> str:
    held = await account.positions(run.session, timeout_s=5.0)
    return ", ".join(f"{leg.sec_type} {leg.symbol} {leg.quantity:+g}" for leg in held)


def _bars(*faults: Fault, symbol: str = "SPY") -> Callable[[], str]:
    async def question(run: Run) -> str:
        found = await contracts.resolve_underlying(run.session, symbol, settings().market)
        bars = await history.daily_bars(run.session, found, 17)
        return f"{len(bars)} bars" + (f", the last {bars[-1].close:g}" if faults and bars else "")

    return _asking(question, *faults)


def _refused_bars(text: str, **options: Any) -> Callable[[], str]:
    return _bars(Refuse(on="history", code=162, text=text, **options))


def _what_if(*faults: Fault) -> Callable[[], str]:
    async def question(run: Run) -> str:
        held = await account.positions(run.session, timeout_s=5.0)
        leg = next(leg for leg in held if leg.is_option)
        details = await account.details_of(
            run.session, account.leg_contract(leg), leg.contract, timeout_s=5.0
        )
        assert details.contract is not None
        margin = await account.what_if(
            run.session,
            [account.OrderLeg(details.contract, -1.0, "SPY")],
            account="DU1234567",
            timeout_s=5.0,
        )
        known = margin.initial_change is not None and abs(margin.initial_change) < 1e9
        return f"the margin {'comes' if known else 'is missing'}"

    return _asking(question, *faults)


def _book_with_margin(*faults: Fault) -> Callable[[], str]:
    """The command itself: what it shows of the book, and how it ends."""

    def play() -> str:
        trade = "SPY short_put_spread 560/550 20261218"
        with inside_gateway(*faults) as gateway:
            done = run(
                "portfolio", "--port", gateway.port, "--with", trade, "--ib-margin"
            )  # fmt: skip
        shown = "the book is shown" if "fit 0." in done.stdout else "no book"
        told = next(line for line in done.stderr.splitlines() if "what-if" in line)
        return f"exit {done.exit_code}, {shown}; told: {re.sub(r'^tomic: ', '', told)}"

    return play


def _connecting(*faults: Fault) -> Callable[[], str]:
    async def scenario() -> str:
        async with gateway_with(*faults) as gateway:
            notes: list[str] = []
            ib = settings().ib.model_copy(
                update={"port": gateway.port, "reset_window": another_time()}
            )
            try:
                async with Session(ib, settings().limits, on_note=notes.append) as session:
                    await session.now()
                    await asyncio.sleep(0.5)
            except TomicError as exc:
                return _ended(exc).replace(f"127.0.0.1:{gateway.port}", "HOST:PORT")
            return _with_notes("connected", notes)

    return lambda: virtual_time.run(scenario)


def _hours(text: str, zone: str = "US/Eastern") -> Callable[[], str]:
    def play() -> str:
        sessions = dates.parse_hours(text, zone)
        spans = [f"{one.opens:%a %d %b %Y %H:%M} to {one.closes:%a %H:%M %Z}" for one in sessions]
        return ", ".join(spans[:2]) + (f", {len(spans)} in all" if len(spans) > 2 else "") or "none"

    return play


def _listed(zone: str, *, currency: str = "USD") -> Callable[[], str]:
    """A share whose contract details name this zone."""
    row = ContractData(
        ID, "SPY", "STK", "", 0.0, "", "SMART", currency, "SPY", "SPY", "SPY", 756733, 0.01,
        primary_exchange="ARCA", long_name="SPDR S&P 500 ETF TRUST", time_zone_id=zone,
        trading_hours="20261120:0400-20261120:2000", liquid_hours="20261120:0930-20261120:1600",
    )  # fmt: skip
    answer = Verbatim(on="contract_details", messages=(_fields(row), ("52", "1", "@")))

    async def question(run: Run) -> str:
        found = await contracts.resolve_underlying(run.session, "SPY", settings().market)
        opens = [f"opens {one.opens:%H:%M %Z}" for one in found.sessions] or ["hours unknown"]
        return ", ".join([found.time_zone, *opens])

    return _asking(question, answer)


def _night() -> str:
    """The restart of IB's servers, as it is told to a session that is open."""

    async def scenario() -> str:
        async with running() as session:
            client = next(iter(session.gateway.clients))
            said = [
                (2103, "Market data farm connection is broken:usfarm.nj"),
                (2103, "Market data farm connection is broken:usopt"),
                (2103, "Market data farm connection is broken:cashfarm"),
                (2105, "HMDS data farm connection is broken:ushmds"),
                (1100, "Connectivity between IBKR and Trader Workstation has been lost."),
                (1102, "Connectivity between IBKR and Trader Workstation has been restored - data "
                       "maintained. The following farms are connected: usfarm.nj; usopt."),
                (2104, "Market data farm connection is OK:usfarm.nj"),
                (2104, "Market data farm connection is OK:usopt"),
                (2106, "HMDS data farm connection is OK:ushmds"),
            ]  # fmt: skip
            for code, text in said:
                client.error(-1, code, text=text)
                await asyncio.sleep(0.1)
            found = await contracts.resolve_underlying(session.session, "SPY", settings().market)
            bars = await history.daily_bars(session.session, found, 5)
            return _with_notes(f"{len(bars)} bars afterwards", session.notes)

    return virtual_time.run(scenario)


def _many(codes: Iterable[int]) -> Callable[[], str]:
    return lambda: _chain(
        *(Announce(code=code, after=place) for place, code in enumerate(codes, 2))
    )


_MARGIN_CODES = (10311, 404, 110, 329, 383, 434)


# -- the messages ------------------------------------------------------------------------------

_LEGAL = (
    "Error validating request.-'bN' : cause - Incorrect generic tick list of 100,101,106. Legal "
    "ones for (OPT) are: 100(Option Volume),101(Option Open Interest),105(Average Opt Volume),"
    "165(Misc. Stats),221/220(Creditman, Mark Price)"
)
_HMDS = "Historical Market Data Service error message:"
_NIGHT = "2103, 2105, 1100, 1102, 2104 of usfarm.nj, usopt, cashfarm, ushmds"

MESSAGES: tuple[Message, ...] = (
    # executions
    Message(
        "execution at `20251104 15:13:24 MET`",
        "ib_async #188",
        "1 executions, 0 left out; 2025-11-04 14:13:24 UTC",
        _executed("20251104 15:13:24 MET"),
    ),
    Message(
        "execution at `20231214-20:57:37`",
        "ib_insync #671",
        "1 executions, 0 left out; 2023-12-14 20:57:37 UTC",
        _executed("20231214-20:57:37"),
    ),
    Message(
        "executions in `MET`, `US/Eastern`, `America/New_York` and `EST`, one moment",
        "vnpy_ib #27",
        "4 executions, 0 left out; 2023-09-28 15:17:24 UTC",
        _executed(
            "20230928 17:17:24 MET",
            "20230928 11:17:24 US/Eastern",
            "20230928 11:17:24 America/New_York",
            "20230928 11:17:24 EST",
        ),
    ),
    Message(
        "executions in `JST`, `HKT` and `IST`, one moment",
        "lbilli/rib #5",
        "3 executions, 0 left out; 2023-09-28 15:17:24 UTC",
        _executed("20230929 00:17:24 JST", "20230928 23:17:24 HKT", "20230928 20:47:24 IST"),
    ),
    Message(
        "no answer to a question for executions whose filter is blank",
        "ib_async #54, #82, #137",
        "1 executions, 0 left out",
        _asking(_executions, BlankFilterIgnored(), fills=[_FILL]),
    ),
    # accounts
    Message(
        "account values of an account `All`: `RealCurrency BASE`",
        "rust-ibapi #343",
        "DU1234567: 1,000,270.10 EUR, rates EUR 1, USD 0.8621",
        _values(("DU1234567", _VALUES), ("All", _LEDGER)),
    ),
    Message(
        "21 account values of a paper account in EUR",
        "public logs",
        "DU1234567: 1,000,270.10 EUR, rates EUR 1, USD 0.8621",
        _values(("DU1234567", _VALUES + _LEDGER)),
    ),
    # codes beside market data
    Message(
        "10089 `… additional subscription for API … Delayed … is available`, delayed data",
        "rust-ibapi #677",
        "24 ok, delayed; spot last, delayed",
        lambda: _chain(Advised(codes=(10089,))),
    ),
    Message(
        "354, then 10167 and delayed data",
        "public test",
        "24 ok, delayed; spot last, delayed",
        lambda: _chain(Advised(codes=(354, 10167))),
    ),
    Message(
        "type 3, 10167, 10091, tick 83",
        "rust-ibapi #804",
        "row ok, delayed: bid 10.4, ask 10.6, IV 0.18",
        lambda: _option(
            _type(3),
            _error(
                10167, "Requested market data is not subscribed. Displaying delayed market data."
            ),
            _error(
                10091, "Part of requested market data requires additional subscription for API."
            ),
            _model(83),
            _price(66, 10.4),
            _price(67, 10.6),
            *_COUNTS,
        ),
    ),
    Message(
        "10090 `Part of requested market data is not subscribed … XLV`",
        "public logs",
        "row no_greeks, live: bid 10.4, ask 10.6",
        lambda: _option(
            *_LIVE,
            _error(
                10090,
                "Part of requested market data is not subscribed. "
                "Subscription-independent ticks are still active."
                "Delayed market data is available.XLV/TOP/ALL",
            ),
            *_COUNTS,
        ),
    ),
    Message(
        "354 `… SPX S&P 500 Stock Index/TOP/ALL` for the index alone",
        "public logs",
        "ok, live; spot model, live",
        lambda: _chain(NotSubscribed(code=354, kinds="index", delayed=False), symbol="SPX"),
    ),
    Message(
        "10186 `… not subscribed. Delayed market data is not enabled.`",
        "public logs",
        "24 ok, delayed; spot last, delayed",
        lambda: _chain(NotSubscribed(code=10186)),
    ),
    Message(
        "10167 and delayed data",
        "public logs",
        "24 ok, delayed; spot last, delayed",
        lambda: _chain(Delayed()),
    ),
    Message(
        "10197 to one request", "Lean #140", "log out there", lambda: _chain(Competing(times=1))
    ),
    Message(
        "2188 `Up-to-the-second historical data requires …`, then bars",
        "rust-ibapi #764",
        "17 bars",
        _bars(
            Verbatim(
                on="history",
                first=True,
                messages=(
                    _error(2188, "Up-to-the-second historical data requires a live subscription."),
                ),
            )
        ),
    ),
    # orders
    Message(
        "10349 `Order TIF was set to DAY based on order preset.`",
        "ib_async #191, #217",
        "the margin comes",
        _what_if(OrderWarned(codes=(10349,))),
    ),
    Message(
        "399 `… your order will not be placed at the exchange until …`",
        "public logs",
        "the margin comes",
        _what_if(OrderWarned(codes=(399,))),
    ),
    Message(
        "10311, 404, 110, 329, 383, 434",
        "deephaven #106",
        "the margin comes",
        _what_if(OrderWarned(codes=_MARGIN_CODES)),
    ),
    Message(
        "2109, 2148, 2176, 2119, 2107, 2104, 2158",
        "Lean #1033",
        "24 ok, live; spot last, live",
        _many((2109, 2148, 2176, 2119, 2107, 2104, 2158)),
    ),
    Message(
        "a what-if answered twice, first with 1.79E308 and a warning",
        "ib_insync #380",
        "the margin comes",
        _what_if(),
    ),
    Message(
        "201 `… EQUITY WITH LOAN VALUE …` to a what-if",
        "ib_insync #704",
        "exit 3, the book is shown",
        _book_with_margin(
            Refuse(
                on="place_order",
                code=201,
                text=(
                    "Order rejected - reason:IN ORDER TO OBTAIN THE DESIRED POSITION YOUR EQUITY "
                    "WITH LOAN VALUE [4960.87 EUR] MUST EXCEED THE INITIAL MARGIN"
                ),
            )
        ),
    ),
    # the gateway of itself
    Message(
        "2172 `The version …, 1019.2, needs to be upgraded, … desupported on 20250320`",
        "Lean IB #143",
        "needs to be upgraded",
        _connecting(Announce(code=2172, after=1)),
    ),
    Message(
        "10141 `Paper trading disclaimer must first be accepted for API connection.`",
        "public logs",
        "accept the disclaimer",
        _connecting(TurnedAway(code=10141, in_use=True)),
    ),
    Message(
        "503 `The TWS is out of date and must be upgraded.`",
        "IB, message codes",
        "update TWS",
        _connecting(TurnedAway(code=503)),
    ),
    # bars
    Message(
        "162 `HMDS query returned no data: AAPL@SMART Trades`",
        "public logs",
        "0 bars",
        _refused_bars(_HMDS + "HMDS query returned no data: AAPL@SMART Trades"),
    ),
    Message(
        "162 `Historical data request pacing violation`, `API … pacing violation`",
        "public logs",
        "17 bars",
        _bars(
            Refuse(
                on="history",
                code=162,
                times=1,
                text=_HMDS + "Historical data request pacing violation",
            ),
            Refuse(
                on="history",
                code=162,
                times=1,
                text=_HMDS + "API historical data query pacing violation",
            ),
        ),
    ),
    Message(
        "162 `API historical data query cancelled: 5`",
        "public logs",
        "query cancelled",
        _refused_bars(_HMDS + "API historical data query cancelled: 5"),
    ),
    Message(
        "162 `No data of type EODChart is available for the exchange …`",
        "public logs",
        "0 bars",
        _refused_bars(
            _HMDS + "No data of type EODChart is available for the exchange 'BEST' and the "
            "security type 'Stock' and '1 m' and '1 day'"
        ),
    ),
    Message(
        "162 `Trading TWS session is connected from a different IP address`",
        "public logs",
        "log out of Client Portal",
        _refused_bars(_HMDS + "Trading TWS session is connected from a different IP address"),
    ),
    Message(
        "162 `No market data permissions for NYSE STK`; `No historical … for SPX/IND@CBOE`",
        "public logs",
        "subscribe to that exchange",
        lambda: " / ".join(
            (
                _refused_bars(_HMDS + "No market data permissions for NYSE STK")(),
                _bars(
                    Refuse(
                        on="history",
                        code=162,
                        text=_HMDS + "No historical market data for SPX/IND@CBOE Last 1800",
                    ),
                    symbol="SPX",
                )(),
            )
        ),
    ),
    Message(
        "321 `Incorrect generic tick list of 100,101,106. Legal ones for (OPT) are: …`",
        "deephaven #46",
        "24 ok, live",
        lambda: _chain(Refuse(code=321, right="C", times=2, text=_LEGAL)),
    ),
    # hours
    Message(
        "hours of AAPL",
        "public logs of 12/2025",
        "2025 09:30 to Fri 16:00 EST, Mon 08",
        _hours(
            "20251205:0930-20251205:1600;20251206:CLOSED;20251207:CLOSED;"
            "20251208:0930-20251208:1600"
        ),
    ),
    Message(
        "hours of MES, closing at 12:15",
        "public logs",
        "to Fri 12:15 CST, Sun 30",
        _hours(
            "20251127:1700-20251128:1215;20251129:CLOSED;20251130:1700-20251201:1600", "US/Central"
        ),
    ),
    Message(
        "hours of SPX, which go through the night",
        "public logs",
        "20:15 to Fri 09:15 EST, Fri 05 Dec 2025 09:30",
        _hours("20251204:2015-20251205:0915;20251205:0930-20251205:1700;20251206:CLOSED"),
    ),
    Message(
        "hours in the forms of 2009 and 2018",
        "public logs",
        "18:30 to Thu 23:30 EDT / Fri 23 Mar 2018 04:00 to Fri 20:00",
        lambda: (
            _hours("20090507:0700-1830,1830-2330;20090508:CLOSED")()
            + " / "
            + _hours("20180323:0400-20180323:2000;20180326:0400-20180326:2000")()
        ),
    ),
    Message(
        "hours of a currency pair, closing at 17:15",
        "public logs",
        "17:15 to Fri 17:00",
        _hours("20251204:1715-20251205:1700;20251206:CLOSED;20251207:1715-20251208:1700"),
    ),
    Message("no hours at all", "public logs", "none", _hours("")),
    # zones
    Message(
        "zone `America/New_York`",
        "pysystemtrade #1622",
        "America/New_York, opens 09:30 EST",
        _listed("America/New_York"),
    ),
    Message(
        "zones `EST5EDT`, `MET` and none",
        "public logs",
        "America/New_York, opens 09:30 EST / Europe/Amsterdam, opens",
        lambda: " / ".join(_listed(zone)() for zone in ("EST5EDT", "MET", "")),
    ),
    Message(
        "zones `Eastern Standard Time` and `Hora del Este`",
        "public logs",
        "America/New_York, opens 09:30 EST / America/New_York, hours unknown",
        lambda: " / ".join(_listed(zone)() for zone in ("Eastern Standard Time", "Hora del Este")),
    ),
    Message(
        "expiry `20260320 14:30:00 Europe/Zurich`",
        "ib_async #128",
        "20 Mar 2026",
        lambda: f"{dates.parse_expiry('20260320 14:30:00 Europe/Zurich'):%d %b %Y}",
    ),
    # ticks
    Message(
        "an option of a closed market: bid and ask -1, close 37.34",
        "ib_async #77",
        "row no_quote, no quote: close 37.34",
        lambda: _option(_type(2), _price(1, -1.0, "0"), _price(2, -1.0, "0"), _price(9, 37.34)),
    ),
    Message(
        "a model of INTC with gamma -4e-11",
        "IBrokers #7",
        "row ok, live",
        lambda: _option(*_LIVE, *_COUNTS, _model(13, gamma="-4e-11")),
    ),
    Message(
        "tick 88, odd-lot ticks 105 to 110, decimal sizes",
        "10.44 and 10.46",
        "row ok, live",
        lambda: _option(
            *_LIVE,
            _text(88, "1763667062"),
            _text(45, "1763667062"),
            *(_price(tick, 10.5, "0.5") for tick in range(105, 111)),
            _size(0, "3.5"),
            _size(8, "12.0"),
            *_COUNTS,
            _model(13),
        ),
    ),
    # books and bars
    Message(
        "positions of eight kinds of instrument",
        "public logs",
        "WAR XYZ +10",
        _positions(
            ("1", "QUBT", "STK", "", "0.0", "", "", "", "USD", "QUBT", "SCM", "100", "7.1"),
            ("2", "TME", "STK", "", "0.0", "", "", "", "USD", "TME", "TME", "0.5", "9.3"),
            ("3", "OGZD", "STK", "", "0.0", "", "", "", "USD", "OGZD", "OGZD", "10", "0"),
            (
                "4",
                "SPY",
                "OPT",
                "20261218",
                "560.0",
                "P",
                "100",
                "",
                "USD",
                "SPY   261218P00560000",
                "SPY",
                "-1",
                "235.1",
            ),
            ("5", "EUR", "CASH", "", "0.0", "", "", "", "USD", "EUR.USD", "EUR.USD", "1000", "1.1"),
            (
                "6",
                "ES",
                "FOP",
                "20261218",
                "5900.0",
                "P",
                "50",
                "",
                "USD",
                "ESZ6 P5900",
                "ES",
                "-1",
                "1000",
            ),
            (
                "7",
                "US-T",
                "BOND",
                "20300515",
                "0.0",
                "",
                "1",
                "",
                "USD",
                "US-T",
                "US-T",
                "1000",
                "99",
            ),
            ("8", "XYZ", "WAR", "20271217", "12.0", "C", "1", "", "EUR", "XYZ", "XYZ", "10", "1.2"),
        ),
    ),
    Message(
        "17 daily bars with volumes of -1",
        "ib_insync #555",
        "17 bars, the last 1.1",
        _bars(
            Verbatim(
                on="history",
                messages=(
                    _fields(
                        HistoricalData(
                            ID,
                            "20260228 00:00:00",
                            "20260320 00:00:00",
                            tuple(
                                BarRow(f"202603{day:02}", 1.0, 1.2, 0.9, 1.1, -1, -1.0, -1)
                                for day in range(2, 19)
                            ),
                        )
                    ),
                ),
            )
        ),
    ),
    Message(_NIGHT, "IBC #143, nautilus #4412", "5 bars afterwards", _night),
)


def page(outcomes: Iterable[str]) -> str:
    """docs/faults.md with the table of what became of each message."""
    above = PAGE.read_text(encoding="utf-8").partition(HEAD)[0].rstrip("\n")
    rows = [
        f"| {number} | {cell(message.says)} | {message.source} | {cell(outcome)} |"
        for number, (message, outcome) in enumerate(zip(MESSAGES, outcomes, strict=True), 1)
    ]
    table = [
        HEAD,
        "",
        "Made by `python tests/support/wire_messages.py`: each of these messages was seen by users",
        "of this or another client, and is said here by the simulated gateway.",
        "",
        "| | message | seen in | what becomes of it |",
        "| --- | --- | --- | --- |",
        *rows,
    ]
    return "\n".join([above, "", *table, ""])


def stated() -> list[str]:
    """What the page says that becomes of each message."""
    table = PAGE.read_text(encoding="utf-8").partition(HEAD)[2]
    rows = [line for line in table.splitlines() if re.match(r"\| \d", line)]
    return [row.rsplit(" | ", 1)[1].removesuffix(" |") for row in rows]


def cell(text: str) -> str:
    """A text as it stands in the table."""
    return text.replace("|", "/").replace("\n", " ")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        make_clean_home(Path(folder), patch)
        PAGE.write_text(page([message.play() for message in MESSAGES]), encoding="utf-8")
