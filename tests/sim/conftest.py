"""A market small enough to know by heart, and a gateway on it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tomic.sim import Gateway, Limits, Profile
from tomic.sim.market import AccountBook, Bar, Computation, Holding, Listing, Quote
from tomic.wire.answers import CurrentTime, Error, NextValidId, ParameterRow
from tomic.wire.framing import FrameReader, hello, split_fields
from tomic.wire.protocol import ANSWERS, REQUESTS
from tomic.wire.requests import ContractSpec, ReqCurrentTime, StartApi

SPY, SPX = 756733, 416904
EXPIRIES = (date(2025, 7, 18), date(2025, 8, 15))
STRIKES = tuple(float(strike) for strike in range(595, 606))
MODEL = Computation(0.18, 0.52, 6.1, 0.4, 0.02, 0.55, -0.21, 600.5)
QUOTE = Quote(
    bid=6.0,
    ask=6.2,
    last=6.1,
    close=5.9,
    open=5.8,
    high=6.5,
    low=5.5,
    bid_size=10,
    ask_size=12,
    last_size=1,
    volume=345,
    open_interest=1234,
    model=MODEL,
    bid_model=MODEL,
    ask_model=MODEL,
    historical_volatility=0.15,
    implied_volatility=0.17,
    call_open_interest=1000,
    put_open_interest=2000,
    call_volume=30,
    put_volume=40,
    dividends="6.9,7.1,20250620,1.75",
)
HOURS = "20250618:0930-20250618:1600;20250619:CLOSED"


def _listings() -> dict[int, Listing]:
    stock = Listing(
        SPY,
        "SPY",
        "STK",
        primary_exchange="ARCA",
        local_symbol="SPY",
        trading_class="SPY",
        long_name="SPDR S&P 500 ETF TRUST",
        valid_exchanges="SMART,ARCA,NYSE",
        trading_hours=HOURS,
        liquid_hours=HOURS,
        stock_type="ETF",
    )
    index = Listing(SPX, "SPX", "IND", exchange="CBOE", local_symbol="SPX", valid_exchanges="CBOE")
    found = {SPY: stock, SPX: index}
    for day in EXPIRIES:
        for strike in STRIKES:
            for right in "CP":
                con_id = 700000000 + len(found)
                found[con_id] = Listing(
                    con_id,
                    "SPY",
                    "OPT",
                    local_symbol=f"SPY   {day:%y%m%d}{right}{int(strike * 1000):08d}",
                    trading_class="SPY",
                    expiry=day,
                    strike=strike,
                    right=right,
                    multiplier="100",
                    valid_exchanges="SMART,CBOE,ISE",
                    liquid_hours=HOURS,
                    under_con_id=SPY,
                    last_trade_time="16:00:00",
                )
    return found


@dataclass
class PaperMarket:
    """SPY with two expiries of eleven strikes, an index and one account; open at first."""

    open: bool = True
    quote_now: Quote = QUOTE
    margin: tuple[float, float] | None = (500.0, 400.0)
    second_exchange: str = "SMART"
    """The exchange of the second row of option parameters."""

    def __post_init__(self) -> None:
        self.listings = _listings()

    def now(self) -> datetime:
        return datetime(2025, 6, 18, 15, 0, tzinfo=UTC)

    def is_open(self, con_id: int) -> bool:
        return self.open

    def find(self, wanted: ContractSpec) -> Sequence[Listing]:
        if wanted.con_id:
            return [self.listings[wanted.con_id]] if wanted.con_id in self.listings else []
        exact = {"strike", "right", "trading_class", "multiplier", "local_symbol", "currency"}
        asked = {key: getattr(wanted, key) for key in exact if getattr(wanted, key)}
        return [
            listing
            for listing in self.listings.values()
            if (listing.symbol, listing.sec_type) == (wanted.symbol, wanted.sec_type)
            and all(getattr(listing, key) == value for key, value in asked.items())
            and (not wanted.expiry or f"{listing.expiry:%Y%m%d}" == wanted.expiry)
        ]

    def parameters(self, symbol: str, under_con_id: int) -> Sequence[ParameterRow]:
        if under_con_id != SPY:
            return []
        days = tuple(f"{day:%Y%m%d}" for day in EXPIRIES)
        return [
            ParameterRow(exchange, SPY, "SPY", "100", days, STRIKES)
            for exchange in ("CBOE", self.second_exchange)
        ]

    def quote(self, con_id: int) -> Quote | None:
        return self.quote_now if con_id in self.listings else None

    def frozen_quote(self, con_id: int) -> Quote | None:
        return self.quote(con_id)

    def bars(self, con_id: int, what: str, days: int, end: datetime) -> Sequence[Bar] | None:
        listing = self.listings[con_id]
        if listing.sec_type == "OPT" and what.endswith("VOLATILITY"):
            return None
        first = end.date() - timedelta(days=days - 1)
        return [
            Bar(first + timedelta(days=at), 1.0, 2.0, 0.5, 1.5, 1000, 1.4, 10) for at in range(days)
        ]

    def accounts(self) -> Sequence[str]:
        return ("DU12345",)

    def book(self) -> AccountBook:
        values = {
            "NetLiquidation": ("100000.00", "USD"),
            "InitMarginReq": ("1000.00", "USD"),
            "MaintMarginReq": ("800.00", "USD"),
            "EquityWithLoanValue": ("99000.00", "USD"),
            "CashBalance": ("50000.00", "USD"),
        }
        option = next(one.con_id for one in self.listings.values() if one.sec_type == "OPT")
        holdings = (Holding("DU12345", SPY, 100.0, 590.0), Holding("DU12345", option, -2.0, 650.0))
        return AccountBook(("DU12345",), {"DU12345": values}, holdings)

    def whatif_margin(
        self, account: str, legs: Sequence[tuple[int, float]]
    ) -> tuple[float, float] | None:
        return self.margin

    def without(self, **missing: object) -> None:
        """Quote from now on with these fields changed."""
        self.quote_now = replace(self.quote_now, **missing)


class Probe:
    """A bare client: sends request dataclasses, keeps the answers that come back."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._frames = FrameReader()
        self.version = 178
        self.answers: list[Any] = []
        self.closed = False

    @classmethod
    async def open(cls, gateway: Gateway, client_id: int | None = 1) -> Probe:
        """Connect and, with a client id, start the session."""
        probe = cls(*await asyncio.open_connection("127.0.0.1", gateway.port))
        probe.raw(hello(157, 178))
        while not probe.closed and not (payloads := await probe._payloads()):
            pass
        if not probe.closed:
            probe.version = int(split_fields(payloads[0])[0])
        if client_id is not None:
            probe.ask(StartApi(client_id))
        return probe

    async def _payloads(self) -> list[bytes]:
        try:
            data = await asyncio.wait_for(self._reader.read(65536), 60.0)
        except ConnectionError:
            data = b""
        self.closed = not data
        return self._frames.feed(data)

    def raw(self, data: bytes) -> None:
        """Send bytes."""
        self._writer.write(data)

    def ask(self, *requests: object) -> None:
        """Send requests."""
        for request in requests:
            self.raw(REQUESTS.encode(request, self.version))

    async def until(self, cls: type, count: int = 1, **want: object) -> Any:
        """The *count*-th answer of a class with these fields, waiting for it."""
        while True:
            found = self.got(cls, **want)
            if len(found) >= count:
                return found[count - 1]
            if self.closed:
                raise AssertionError(f"closed before {cls.__name__} {want}: {self.answers[-3:]}")
            for payload in await self._payloads():
                self.answers.append(ANSWERS.decode(split_fields(payload), self.version))

    def got(self, cls: type, **want: object) -> list[Any]:
        """The answers so far of a class with these fields."""
        return [
            one
            for one in self.answers
            if type(one) is cls and all(getattr(one, k) == v for k, v in want.items())
        ]

    async def settle(self) -> None:
        """Wait until everything asked so far has been heard: the clock is read after it."""
        count = len(self.got(CurrentTime)) + 1
        self.ask(ReqCurrentTime())
        await self.until(CurrentTime, count)

    async def until_closed(self) -> None:
        """Wait until the gateway has closed the connection."""
        while not self.closed:
            for payload in await self._payloads():
                self.answers.append(ANSWERS.decode(split_fields(payload), self.version))

    def codes(self) -> list[int]:
        """Error codes so far, the farms' good news left out."""
        return [one.code for one in self.got(Error) if one.code not in (2104, 2106, 2158)]

    async def close(self) -> None:
        """Hang up and wait until the gateway has noticed."""
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()
        await asyncio.sleep(0.01)


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., Awaitable[Probe]]]:
    """Opens bare clients on a gateway; they hang up when the test is over."""
    opened: list[Probe] = []

    async def open_probe(gateway: Gateway, client_id: int | None = 1) -> Probe:
        opened.append(await Probe.open(gateway, client_id))
        return opened[-1]

    yield open_probe
    for probe in opened:
        await probe.close()


@pytest.fixture
async def probe(gateway: Gateway, connect: Callable[..., Awaitable[Probe]]) -> Probe:
    """A client of the gateway, its session started."""
    client = await connect(gateway)
    await client.until(NextValidId)
    return client


@pytest.fixture
def market() -> PaperMarket:
    return PaperMarket()


@pytest.fixture
async def gateway(market: PaperMarket) -> AsyncIterator[Gateway]:
    """A gateway that answers at once and lets 10,000 messages a second through."""
    limits = Limits(messages_per_s=10_000)
    async with Gateway(market, profile=Profile.instant(), limits=limits) as running:
        yield running
