"""
What stands in for live quotes while the market is closed.

Frozen quotes come first, over the usual lines. On request the options nearest the money take their
last daily bar instead. What then has no quote takes it from the last stored chain, and what is in
none of these gets IV and Greeks of the local model. Each row says which it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from tomic import selection, substitutes, valuation
from tomic.chain import Chain
from tomic.errors import DataError, RequestFailed
from tomic.ib import history
from tomic.ib.history import DailyBar, Series
from tomic.models import OptionQuote, QuoteSource, RowStatus
from tomic.selection import Wanted
from tomic.workflows.chain_setup import ChainRequest, Setup
from tomic.workflows.missing_days import usual_close

_OPTION_IV = "options have IV history"


@dataclass(frozen=True, slots=True)
class LastBars:
    """The options of one chain whose last daily bar is taken instead of a quote."""

    order: ChainRequest
    setup: Setup
    pairs: frozenset[Wanted]

    async def row(self, pair: Wanted, con_id: int) -> OptionQuote | None:
        """
        The row of *pair* from its bar; None when it is not one of these, or has no bar.

        Raises:
            SessionLost: The connection went away.
        """
        if pair not in self.pairs:
            return None
        try:
            async with asyncio.timeout(self.order.settings.ib.request_timeout_s):
                series, bars = await self._bars(pair, con_id)
        except (RequestFailed, DataError, TimeoutError):
            return None
        return _row(pair, con_id, series, bars[-1]) if bars else None

    async def _bars(self, pair: Wanted, con_id: int) -> tuple[Series, Sequence[DailyBar]]:
        """IB's IV of the option if it has any, which it says once, else the middle of its quote."""
        session = self.order.session
        async with session.limits.named(_OPTION_IV):
            if _OPTION_IV not in session.cache:
                bars = await self._ask(pair, con_id, Series.IMPLIED)
                session.cache[_OPTION_IV] = bool(bars)
                if bars:
                    return Series.IMPLIED, bars
        series = Series.IMPLIED if session.cache[_OPTION_IV] else Series.MIDPOINT
        return series, await self._ask(pair, con_id, series)

    async def _ask(self, pair: Wanted, con_id: int, series: Series) -> Sequence[DailyBar]:
        order, setup = self.order, self.setup
        return await history.option_bars(
            order.session, setup.underlying, setup.params, pair, series, con_id=con_id
        )


def history_of(order: ChainRequest, setup: Setup) -> LastBars:
    """
    The options to ask bars for: none unless the market is closed and the settings want it.

    At most `market.historical_contracts`, and no more than IB's limit lets through at once; those
    nearest the money of each expiry.
    """
    market = order.settings.market
    wanted = market.use_historical_iv_when_closed and not setup.is_open
    if not wanted or order.recorded_spot is not None:
        return LastBars(order, setup, frozenset())
    turns = history.turns_of(order.session)
    most = market.historical_contracts
    # One more than that: the question whether options have an IV history at all.
    free = next((n for n in range(most, 0, -1) if turns.seconds_for(n + 1) <= 0.0), 0)
    ranked = sorted(
        (rank, pair.expiry, pair)
        for expiry in setup.chosen.expiries
        for rank, pair in enumerate(
            selection.by_moneyness(setup.chosen.of_expiry(expiry), setup.spot.price)
        )
    )
    return LastBars(order, setup, frozenset(pair for _, _, pair in ranked[:free]))


def _row(pair: Wanted, con_id: int, series: Series, bar: DailyBar) -> OptionQuote:
    is_iv = series is Series.IMPLIED
    return OptionQuote(
        con_id=con_id or None,
        expiry=pair.expiry,
        dte=0,
        strike=pair.strike,
        right=pair.right,
        close=None if is_iv else bar.close,
        iv=bar.close if is_iv else None,
        status=RowStatus.NO_GREEKS,
        quote_source=QuoteSource.HISTORY,
        quoted_at=usual_close(bar.day),
    )


async def filled(chain: Chain, order: ChainRequest, setup: Setup) -> Chain:
    """*chain* with IV from bars, then stored quotes, then the local model where there is none."""
    chain = substitutes.with_historical_iv(chain)
    if order.memory is not None and substitutes.lacks_quotes(chain).any():
        stored = await order.memory.last_chain(chain.symbol, chain.trading_class)
        if stored is not None:
            chain = substitutes.with_stored(chain, stored)
    chain = valuation.with_local_greeks(chain)
    return substitutes.with_model(chain, setup.ticks.implied_volatility)
