"""Runs against the strict simulated gateway in virtual time: what came of them, and how long."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from support import virtual_time
from tomic import dates
from tomic.chain import Chain
from tomic.config import Settings
from tomic.errors import TomicError
from tomic.ib import contracts, convert
from tomic.ib.option_quotes import Patience, option_quote
from tomic.ib.session import Session
from tomic.models import DataType
from tomic.selection import Wanted
from tomic.sim import Gateway, Limits, faults
from tomic.sim.market.model import ModelMarket
from tomic.workflows.chain.fetch import fetch_chain
from tomic.workflows.chain.setup import ChainRequest

SMALL = {"monthlies": 1, "weeklies": 1, "strike_range": "3"}
"""Two expiries of SPY, six or seven strikes each."""


@dataclass
class Run:
    """One scenario, its gateway, and what the session said meanwhile."""

    gateway: Gateway
    session: Session
    notes: list[str] = field(default_factory=list)

    @property
    def time(self) -> Callable[[], float]:
        return asyncio.get_running_loop().time


def another_time() -> str:
    """
    A nightly reset that is not now.

    Scenarios run in virtual time, but whether IB restarts its servers is told by the real clock.
    """
    later = dt.datetime.now(dates.NEW_YORK) + dt.timedelta(hours=12)
    return f"{later:%H:%M}-{later:%H:%M}"


def settings(**sections: dict[str, Any]) -> Settings:
    """The defaults with changed keys; nothing is read from files or the environment."""
    return Settings.model_validate(sections)


@asynccontextmanager
async def gateway_with(*broken: str | faults.Fault, **options: Any) -> AsyncIterator[Gateway]:
    """A strict gateway on the demo market; keyword arguments are its own or the market's."""
    market = {
        "closed",
        "start",
        "symbols",
        "splits",
        "fills",
        "planned",
        "currency",
    } & options.keys()
    clock = asyncio.get_running_loop().time
    seed = options.pop("seed", 1)
    behind = ModelMarket(seed, monotonic=clock, **{key: options.pop(key) for key in market})
    found = [faults.parse(one) if isinstance(one, str) else one for one in broken]
    async with Gateway(behind, faults=found, seed=seed, **options) as gateway:
        yield gateway


@asynccontextmanager
async def running(
    *broken: str | faults.Fault,
    given: Settings | None = None,
    session: dict[str, Any] | None = None,
    **options: Any,
) -> AsyncIterator[Run]:
    """A session on such a gateway."""
    given = given or settings()
    async with gateway_with(*broken, **options) as gateway:
        notes: list[str] = []
        ib = given.ib.model_copy(update={"port": gateway.port})
        opened = Session(ib, given.limits, on_note=notes.append, **(session or {}))
        async with opened:
            yield Run(gateway, opened, notes)


@dataclass
class Fetched:
    """What came of fetching one chain after the other over one session."""

    chains: list[Chain]
    error: TomicError | None
    gateway: Gateway
    notes: list[str]
    seconds: float
    """From connecting to closed."""

    @property
    def chain(self) -> Chain:
        assert self.error is None, self.error
        return self.chains[-1]

    @property
    def status(self) -> Counter[str]:
        """Rows by status."""
        return Counter(self.chain["status"].tolist())

    @property
    def sources(self) -> Counter[str]:
        """Rows by quote source."""
        return Counter(self.chain["quote_source"].tolist())

    def row(self, strike: float, right: str, expiry: int = 0) -> Any:
        """One row; *expiry* counts from the nearest."""
        day = self.chain.expiries[expiry]
        return next(
            row
            for row in self.chain.rows()
            if (row.expiry, row.strike, row.right) == (day, strike, right)
        )


def fetch(
    *broken: str | faults.Fault,
    symbols: tuple[str, ...] = ("SPY",),
    rules: dict[str, Any] | None = None,
    timeout: float = 120.0,
    before: Callable[[Run], Coroutine[Any, Any, None]] | None = None,
    memory: Any = None,
    realtime_only: bool = False,
    sections: dict[str, dict[str, Any]] | None = None,
    **options: Any,
) -> Fetched:
    """Fetch chains in virtual time; the deadline counts from connecting, as for a command."""
    given = settings(chain=SMALL | (rules or {}), **(sections or {}))

    async def scenario() -> Fetched:
        clock = asyncio.get_running_loop().time
        async with gateway_with(*broken, **options) as gateway:
            result = Fetched([], None, gateway, [], 0.0)
            began, deadline = clock(), clock() + timeout
            ib = given.ib.model_copy(update={"port": gateway.port})
            opened = Session(
                ib,
                given.limits,
                on_note=result.notes.append,
                deadline=deadline,
                realtime_only=realtime_only,
            )
            try:
                async with opened as session:
                    if before is not None:
                        await before(Run(gateway, session, result.notes))
                    for symbol in symbols:
                        request = ChainRequest(
                            session, symbol, given, deadline=deadline, memory=memory
                        )
                        result.chains.append(await fetch_chain(request))
            except TomicError as exc:
                result.error = exc
            result.seconds = clock() - began
            await asyncio.sleep(0.2)  # the gateway hears that the client has gone
        return result

    return virtual_time.run(scenario)


WANTED = Wanted(dt.date(2026, 12, 18), 590.0, "C")
"""One option of SPY."""
OPTION = {"symbol": "SPY", "right": "C"}
"""It, as faults aim at it."""


async def spy(session):
    """SPY and its own class."""
    found = await contracts.resolve_underlying(session, "SPY", settings().market)
    listed = await contracts.option_params(session, found)
    return found, next(p for p in listed if p.trading_class == "SPY" and p.exchange == "SMART")


def quote(*faults, rules=None, market_type=DataType.LIVE, pair=WANTED, patience=None, **options):
    """The row of one option, the seconds it took, and the gateway."""

    async def scenario():
        given = settings(chain=rules or {})
        async with running(*faults, given=given, **options) as run:
            underlying, params = await spy(run.session)
            await run.session.use_data_type(market_type)
            contract = convert.option_contract(underlying, params, pair)
            began = run.time()
            row = await option_quote(
                run.session, "one option", contract, pair, given.chain, patience or Patience(1.0)
            )
            seconds = run.time() - began
            await run.session.limits.pacer.wait_idle()
            await asyncio.sleep(0.3)
            assert run.gateway.lines_open == 0
            return row, seconds, run.gateway, run.notes

    return virtual_time.run(scenario)


STRICT = Limits()
