"""Whole chains of the model market and recorded ones, without a gateway between."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

import numpy as np

from tomic.chain import Chain
from tomic.config import Settings
from tomic.models import DataType, OptionParams, RowStatus, Spot, SpotSource, Underlying
from tomic.selection import Wanted
from tomic.sim.market.model import ModelMarket
from tomic.sim.market.prices import Slice
from tomic.strategies import windows
from tomic.strategies.catalogue.leg_rules import Template
from tomic.strategies.windows import Window


def listed(
    market: ModelMarket, symbol: str, templates: Sequence[Template], settings: Settings
) -> tuple[Chain, Window]:
    """Every option of the windows of *templates* with its quote, and the windows."""
    board, catalogue = market.board, market.board.catalogue
    instrument = catalogue.instrument(symbol)
    assert instrument is not None
    rule = instrument.classes[0]
    state, now = board.setting(instrument), market.now()
    expiries = catalogue.expiries(rule, instrument)
    strikes = {day: catalogue.strikes(instrument, rule, day) for day in expiries}
    params = OptionParams(
        exchange="SMART",
        trading_class=rule.name,
        multiplier=int(rule.multiplier),
        expiries=tuple(expiries),
        strikes=tuple(sorted(set().union(*strikes.values()))),
    )
    every, sigma = windows.unthinned(settings.scan), board.level(instrument)[1]
    window = windows.choose(templates, params, state.spot, now.date(), sigma, every)
    slices = {day: board.slice_of(instrument, rule, day)[0] for day in window.expiries}
    rows = [row for day, one in slices.items() for row in _rows(one, day, window.of_expiry(day))]
    underlying = Underlying(
        symbol=symbol,
        con_id=catalogue.underlying_id(symbol),
        sec_type="IND" if instrument.is_index else "STK",
    )
    return chain_of(rows, underlying, state.spot, now, rule.name), window


def chain_of(
    rows: Sequence[dict[str, object]],
    underlying: Underlying,
    spot: float,
    now: dt.datetime,
    trading_class: str,
) -> Chain:
    """A chain of *rows*, which hold columns by name."""
    empty = Chain.from_quotes(
        [],
        underlying=underlying,
        spot=Spot(price=spot, source=SpotSource.LAST, data_type=DataType.LIVE, as_of=now),
        as_of=now,
        rate=0.045,
        trading_class=trading_class,
    )
    from tomic.models import OptionQuote, QuoteSource

    quotes = [
        OptionQuote.model_construct(
            **{
                "con_id": None, "dte": 0, "bid": None, "ask": None, "last": None, "close": None,
                "iv": None, "delta": None, "gamma": None, "vega": None, "theta": None,
                "volume": None, "open_interest": None, "parity_deviation": None,
                "status": RowStatus.OK, "quote_source": QuoteSource.LIVE,
                "greeks_source": "ib", "quoted_at": now, **row,
            }
        )
        for row in rows
    ]  # fmt: skip
    return Chain.from_quotes(
        quotes,
        underlying=underlying,
        spot=empty.spot,
        as_of=now,
        rate=empty.rate,
        trading_class=trading_class,
    )


def _rows(one: Slice, day: dt.date, wanted: Iterator[Wanted]) -> Iterator[dict[str, object]]:
    place = {
        (float(strike), "C" if call else "P"): i
        for i, (strike, call) in enumerate(zip(one.strike, one.is_call, strict=True))
    }
    names = ("bid", "ask", "last", "close", "delta", "gamma", "vega", "theta", "volume")
    for option in wanted:
        i = place.get((option.strike, option.right))
        if i is None:
            continue
        figures = {name: float(getattr(one, name)[i]) for name in names}
        yield {
            "expiry": day,
            "strike": option.strike,
            "right": option.right,
            "iv": float(one.sigma[i]),
            "open_interest": float(one.open_interest[i]),
            **{name: None if np.isnan(value) else value for name, value in figures.items()},
        }
