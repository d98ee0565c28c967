"""
What a market-data line sends, as pure functions from a quote to messages.

The wire's own way of saying "nothing" lives here and nowhere else: price -1 with size 0 for a
missing quote, -1 and -2 for numbers that were not computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tomic.sim.answers import TickComputation, TickGeneric, TickPrice, TickSize, TickString
from tomic.sim.market import Computation, Quote

Tick = TickPrice | TickSize | TickGeneric | TickString | TickComputation

_DELAYED = {
    0: 69, 1: 66, 2: 67, 3: 70, 4: 68, 5: 71, 6: 72, 7: 73, 8: 74, 9: 75, 14: 76,
    10: 80, 11: 81, 12: 82, 13: 83,
}  # fmt: skip

_SHARES = frozenset(
    {
        100, 101, 104, 105, 106, 165, 220, 221, 225, 232, 233, 236, 258, 47, 293, 294, 295, 318,
        375, 411, 456, 59, 460, 576, 577, 578, 586, 587, 588, 595, 614, 619, 623,
    }
)  # fmt: skip
LEGAL_GENERIC: dict[str, frozenset[int]] = {
    "STK": _SHARES,
    "IND": (_SHARES | {162}) - {236, 258, 47},
    "OPT": _SHARES - {104, 411, 456, 59, 258, 47, 576, 578},
}
"""
Generic tick ids per security type; one illegal id refuses the whole subscription.

Those from 576 on are what a TWS listed in a 321 of 2022 (deephaven-ib, issue 46).
"""


def number_of(tick: int, *, delayed: bool) -> int:
    """The tick number, live or delayed."""
    return _DELAYED.get(tick, tick) if delayed else tick


def blinded(quote: Quote) -> Quote:
    """The quote of a closed market as type 1 shows it: no bid, no ask, nothing computed."""
    return replace(
        without_greeks(quote), bid=None, ask=None, bid_size=None, ask_size=None, last_size=None
    )


def without_greeks(quote: Quote) -> Quote:
    """The same quote without computations."""
    return replace(quote, model=None, bid_model=None, ask_model=None, last_model=None)


def quote_ticks(req_id: int, quote: Quote, *, delayed: bool) -> Iterator[Tick]:
    """Bid, ask and last with their sizes; a missing bid or ask is -1 with size 0."""
    triples = ((1, 0, quote.bid, quote.bid_size), (2, 3, quote.ask, quote.ask_size))
    for price_tick, size_tick, price, size in triples:
        amount = 0 if price is None else (size or 0)
        value = -1.0 if price is None else price
        yield TickPrice(req_id, number_of(price_tick, delayed=delayed), value, amount)
        yield TickSize(req_id, number_of(size_tick, delayed=delayed), amount)
    if quote.last is not None:
        size = quote.last_size or 0
        yield TickPrice(req_id, number_of(4, delayed=delayed), quote.last, size)
        yield TickSize(req_id, number_of(5, delayed=delayed), size)


def day_ticks(req_id: int, quote: Quote, *, delayed: bool) -> Iterator[Tick]:
    """Volume, high, low, open and close of the day, as far as they are known."""
    if quote.volume is not None:
        yield TickSize(req_id, number_of(8, delayed=delayed), quote.volume)
    for tick, price in ((6, quote.high), (7, quote.low), (9, quote.close), (14, quote.open)):
        if price is not None:
            yield TickPrice(req_id, number_of(tick, delayed=delayed), price)


def greek_ticks(req_id: int, quote: Quote, *, delayed: bool) -> Iterator[Tick]:
    """Computations on bid, ask, last and model; a missing one of a live quote is sentinels."""
    pairs = ((10, quote.bid_model), (11, quote.ask_model), (12, quote.last_model))
    for tick, computed in pairs:
        if computed is not None:
            yield computation(req_id, number_of(tick, delayed=delayed), computed)
    model = quote.model or Computation()
    yield computation(req_id, number_of(13, delayed=delayed), model)


def computation(req_id: int, tick: int, computed: Computation) -> TickComputation:
    """One computation with the wire's sentinels for what is missing."""

    def known(value: float | None, sentinel: float) -> float:
        return sentinel if value is None else value

    return TickComputation(
        req_id,
        tick,
        1,
        known(computed.iv, -1.0),
        known(computed.delta, -2.0),
        known(computed.price, -1.0),
        known(computed.pv_dividend, -1.0),
        known(computed.gamma, -2.0),
        known(computed.vega, -2.0),
        known(computed.theta, -2.0),
        known(computed.underlying, -1.0),
    )


def generic_ticks(
    req_id: int, quote: Quote, wanted: frozenset[int], *, sec_type: str, right: str
) -> Iterator[Tick]:
    """The ticks of generic ids; of an option's calls and puts the other one is zero."""
    if sec_type == "OPT":
        yield from _option_generics(req_id, quote, wanted, right)
    else:
        yield from _underlying_generics(req_id, quote, wanted)
    if {221, 220, 232} & wanted and quote.bid is not None and quote.ask is not None:
        yield TickPrice(req_id, 37, (quote.bid + quote.ask) / 2.0)
    if 233 in wanted and quote.last is not None:
        yield TickString(req_id, 48, f"{quote.last};{quote.last_size or 0};0;0;{quote.last};true")


def _option_generics(
    req_id: int, quote: Quote, wanted: frozenset[int], right: str
) -> Iterator[Tick]:
    for generic, call, put, amount in (
        (100, 29, 30, quote.volume),
        (101, 27, 28, quote.open_interest),
    ):
        if generic in wanted and amount is not None:
            yield TickSize(req_id, call, amount if right == "C" else 0)
            yield TickSize(req_id, put, amount if right == "P" else 0)


def _underlying_generics(req_id: int, quote: Quote, wanted: frozenset[int]) -> Iterator[Tick]:
    sizes = (
        (100, 29, quote.call_volume),
        (100, 30, quote.put_volume),
        (101, 27, quote.call_open_interest),
        (101, 28, quote.put_open_interest),
    )
    for generic, tick, amount in sizes:
        if generic in wanted and amount is not None:
            yield TickSize(req_id, tick, amount)
    fractions = ((104, 23, quote.historical_volatility), (106, 24, quote.implied_volatility))
    for generic, tick, value in fractions:
        if generic in wanted and value is not None:
            yield TickGeneric(req_id, tick, value)
    if {456, 59} & wanted and quote.dividends is not None:
        yield TickString(req_id, 59, quote.dividends)
