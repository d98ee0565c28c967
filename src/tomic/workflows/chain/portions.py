"""One chain, quoted a portion at a time: what is asked next hangs on what came."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from tomic import valuation
from tomic.chain import Chain, Fetch
from tomic.ib.option_quotes import OptionStream, cuts_short
from tomic.models import OptionQuote
from tomic.selection import Wanted
from tomic.workflows.chain import fetch, setup as preparing
from tomic.workflows.progress import counting


@dataclass(slots=True)
class Portions:
    """
    The options of one underlying that may be asked for, and what is known of their contracts.

    Attributes:
        ids: Contract ids by option.
        complete: Expiries of which every listed option is in *ids*.
        cut_short: Whether a deadline, a lost line or an interrupt ended a portion before its end.
    """

    request: preparing.ChainRequest
    setup: preparing.Setup
    ids: dict[Wanted, int]
    complete: set[dt.date]
    cut_short: bool = False
    seconds: float = 0.0
    """From the beginning to the end of the last portion."""
    _saved: set[dt.date] = field(default_factory=set)
    _asked: int = 0
    _began: float = 0.0

    @classmethod
    async def opened(cls, request: preparing.ChainRequest) -> Portions:
        """
        Do everything that comes before the first option.

        Raises:
            UnknownContract, EmptyChain, MissingSpot, NoMarketData, RequestTimeout,
            DeadlineExceeded, SessionError: See `setup.prepare`.
        """
        began = asyncio.get_running_loop().time()
        setup = await preparing.prepare(request)
        known = setup.known
        complete = set(known.complete)
        return cls(request, setup, dict(known.ids), complete, _saved=set(complete), _began=began)

    @property
    def options(self) -> tuple[Wanted, ...]:
        """Those of the windows that are listed, as far as that is known yet."""
        return tuple(
            option
            for option in self.setup.chosen
            if option.expiry not in self.complete or option in self.ids
        )

    def listed(self, expiries: Iterable[dt.date]) -> tuple[Wanted, ...]:
        """As `options`, of some expiries."""
        wanted = set(expiries)
        return tuple(option for option in self.options if option.expiry in wanted)

    async def quote(self, options: Sequence[Wanted]) -> dict[Wanted, OptionQuote]:
        """
        A row for each of *options*, whatever became of it; ids that become known are kept.

        Safe to cancel: what is subscribed is cancelled.
        """
        request, setup = self.request, self.setup
        keep = partial(fetch.remember, request, setup, self.ids, self.complete, self._saved)
        stream = OptionStream(
            session=request.session,
            underlying=setup.underlying,
            params=setup.params,
            rules=request.settings.chain,
            ids=self.ids,
            complete=self.complete,
            eager=request.eager,
            rank=request.rank,
            deadline=request.deadline,
            on_listed=keep,
            on_done=counting(request.watch, request.symbol, len(options)),
        )
        outcomes = await stream.quote(options)
        await keep()
        self._asked += len(options)
        self.seconds = asyncio.get_running_loop().time() - self._began
        self.cut_short = self.cut_short or any(map(cuts_short, outcomes))
        return {outcome.item: stream.row(outcome) for outcome in outcomes}

    def chain(self, rows: Sequence[OptionQuote]) -> Chain:
        """The chain of *rows*, with IV and Greeks where they can be computed."""
        session = self.request.session
        taken = Fetch(
            seconds=self.seconds,
            messages=2 * self._asked,
            peak_lines=session.limits.peak_lines,
            cut_short=self.cut_short,
            sampled=len(rows) < len(self.options),
        )
        chain = fetch.of_rows(self.request, self.setup, rows, taken)
        settings = self.request.settings
        return valuation.complete(chain, settings.market, settings.chain)
