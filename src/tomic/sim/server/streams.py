"""
Streams other than market-data lines, and what TWS computes on request.

Tick-by-tick data and real-time bars go on until they are cancelled; a calculated volatility or
price of an option comes once, as tick 53.

Source: TWS API documentation, "Tick-by-tick data", "5 second real time bars" and "Calculating
option prices and historical volatility".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tomic.sim.market import Calculating, Computation, Listing, Quote
from tomic.sim.server.lookup import resolve
from tomic.sim.server.market_data import computation
from tomic.sim.server.state import ANSWERLESS, Client, Handlers
from tomic.wire import answers, requests

_TRADES, _ALL_TRADES, _QUOTES, _MIDPOINTS = 1, 2, 3, 4
_TICK_KINDS = {
    "Last": _TRADES, "AllLast": _ALL_TRADES, "BidAsk": _QUOTES, "MidPoint": _MIDPOINTS,
}  # fmt: skip
_MOST_STREAMS = 5
"""Tick-by-tick requests of one client that TWS allows with a hundred lines."""
_BAR_S = 5.0
_BAR_SERIES = frozenset({"TRADES", "MIDPOINT", "BID", "ASK"})
_CALCULATED = 53
_VENUE = "ARCA"


@dataclass(frozen=True, slots=True)
class _Stream:
    req_id: int
    listing: Listing
    what: str


class Streams:
    """Answers requests for streams and calculations, for one connection."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._gateway = client.gateway
        self._open: dict[int, _Stream] = {}

    def handlers(self) -> Handlers:
        """What this part answers."""
        return {
            requests.ReqTickByTick: ("tick_by_tick", self._tick_by_tick),
            requests.CancelTickByTick: (ANSWERLESS, self._cancel),
            requests.ReqRealTimeBars: ("real_time_bars", self._real_time_bars),
            requests.CancelRealTimeBars: (ANSWERLESS, self._cancel),
            requests.ReqImpliedVolatility: ("calculation", self._volatility),
            requests.ReqOptionPrice: ("calculation", self._price),
            requests.CancelImpliedVolatility: (ANSWERLESS, self._forget),
            requests.CancelOptionPrice: (ANSWERLESS, self._forget),
        }

    # streams

    def _tick_by_tick(self, request: requests.ReqTickByTick) -> None:
        objection = "" if request.kind in _TICK_KINDS else "Invalid tick type"
        stream = self._stream("tick_by_tick", request, request.kind, objection)
        if stream is None:
            return
        if self._gateway.open("tick_by_tick") > _MOST_STREAMS:
            self._end(stream.req_id)
            self._client.error(stream.req_id, 10190)
            return
        self._soon(0.0, self._tick, stream)

    def _real_time_bars(self, request: requests.ReqRealTimeBars) -> None:
        what = request.what.upper()
        objection = "" if what in _BAR_SERIES else f"Invalid real-time query: {request.what}"
        stream = self._stream("real_time_bars", request, what, objection)
        if stream is not None:
            now = self._gateway.market.now().timestamp()
            self._soon(_BAR_S - now % _BAR_S, self._bar, stream)

    def _stream(
        self,
        kind: str,
        request: requests.ReqTickByTick | requests.ReqRealTimeBars,
        what: str,
        objection: str,
    ) -> _Stream | None:
        if not self._client.begin(request.req_id, kind):
            return None
        listing = resolve(self._client, request.req_id, request.contract, objection)
        if listing is None:
            self._client.end(request.req_id)
            return None
        stream = _Stream(request.req_id, listing, what)
        self._open[request.req_id] = stream
        return stream

    def _soon(self, delay_s: float, send: Callable[[_Stream], None], stream: _Stream) -> None:
        def fire() -> None:
            if self._open.get(stream.req_id) is stream:
                if self._gateway.market.is_open(stream.listing.con_id):
                    send(stream)
                every_s = _BAR_S if send == self._bar else self._gateway.profile.update_s
                self._soon(every_s, send, stream)

        self._client.later(delay_s, fire)

    def _tick(self, stream: _Stream) -> None:
        market, kind = self._gateway.market, _TICK_KINDS[stream.what]
        quote = market.quote(stream.listing.con_id) or Quote()
        epoch, send = int(market.now().timestamp()), self._client.send
        answer = partial(answers.TickByTick, stream.req_id, kind, epoch)
        if kind in (_TRADES, _ALL_TRADES):
            if quote.last is not None:
                size = quote.last_size or 1
                send(answer(price=quote.last, size=size, exchange=_VENUE))
        elif quote.bid is None or quote.ask is None:
            return
        elif kind == _QUOTES:
            bid_size, ask_size = quote.bid_size or 0, quote.ask_size or 0
            send(answer(bid=quote.bid, ask=quote.ask, bid_size=bid_size, ask_size=ask_size))
        else:
            send(answer(midpoint=(quote.bid + quote.ask) / 2.0))

    def _bar(self, stream: _Stream) -> None:
        """The market stands still between two seconds of it, so a bar has one price."""
        market = self._gateway.market
        quote = market.quote(stream.listing.con_id) or Quote()
        price = _price_of(quote, stream.what)
        if price is None:
            return
        began = int(market.now().timestamp() - _BAR_S)
        amounts = (quote.last_size or 0, price, 1) if stream.what == "TRADES" else (-1, -1.0, -1)
        bar = answers.RealTimeBar(stream.req_id, began, price, price, price, price, *amounts)
        self._client.send(bar)

    def _cancel(self, request: requests.CancelTickByTick | requests.CancelRealTimeBars) -> None:
        if request.req_id not in self._open:
            self._client.error(request.req_id, 300, request.req_id)
            return
        self._end(request.req_id)

    def _end(self, req_id: int) -> None:
        self._open.pop(req_id, None)
        self._client.end(req_id)

    # calculations

    def _volatility(self, request: requests.ReqImpliedVolatility) -> None:
        self._calculate(request, price=request.option_price)

    def _price(self, request: requests.ReqOptionPrice) -> None:
        self._calculate(request, volatility=request.volatility)

    def _calculate(
        self,
        request: requests.ReqImpliedVolatility | requests.ReqOptionPrice,
        *,
        price: float | None = None,
        volatility: float | None = None,
    ) -> None:
        client, market = self._client, self._gateway.market
        if not client.begin(request.req_id, "calculation"):
            return
        given = (price if volatility is None else volatility, request.under_price)
        positive = all(number is not None and 0.0 < number < math.inf for number in given)
        objection = "" if positive else "Price, volatility and price of underlying must be positive"
        listing = resolve(client, request.req_id, request.contract, objection)
        computed: Computation | None = None
        if listing is not None and isinstance(market, Calculating):
            computed = market.calculate(
                listing.con_id, request.under_price, price=price, volatility=volatility
            )
        if computed is None:
            client.end(request.req_id)
            if listing is not None:
                client.error(request.req_id, 321, "The option cannot be calculated")
            return
        client.later(client.draw(self._gateway.profile.account_s), self._answer, request, computed)

    def _answer(
        self,
        request: requests.ReqImpliedVolatility | requests.ReqOptionPrice,
        computed: Computation,
    ) -> None:
        """The id stays in use until the calculation is cancelled."""
        if self._client.open.get(request.req_id) == "calculation":
            self._client.send(computation(request.req_id, _CALCULATED, computed))

    def _forget(
        self, request: requests.CancelImpliedVolatility | requests.CancelOptionPrice
    ) -> None:
        if self._client.open.get(request.req_id) == "calculation":
            self._client.end(request.req_id)


def _price_of(quote: Quote, what: str) -> float | None:
    if what == "TRADES":
        return quote.last
    if what == "MIDPOINT":
        return None if quote.bid is None or quote.ask is None else (quote.bid + quote.ask) / 2.0
    return quote.bid if what == "BID" else quote.ask
