"""Market data of one connection: lines that tick until they are cancelled, and historical bars."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, time
from typing import TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tomic.sim import faults
from tomic.sim.faults import Subject
from tomic.sim.market import Bar, Computation, Intraday, Listing, Quote
from tomic.sim.market.intraday import merged
from tomic.sim.server.lookup import resolve, subject_of_listing
from tomic.sim.server.state import Client, Handlers
from tomic.wire import answers
from tomic.wire.answers import TickComputation, TickGeneric, TickPrice, TickSize, TickString
from tomic.wire.requests import CancelHistory, CancelMarketData, ReqHistory, ReqMarketData

Tick = TickPrice | TickSize | TickGeneric | TickString | TickComputation

_DELAYED = {
    0: 69, 1: 66, 2: 67, 3: 70, 4: 68, 5: 71, 6: 72, 7: 73, 8: 74, 9: 75, 14: 76,
    10: 80, 11: 81, 12: 82, 13: 83,
}  # fmt: skip

_GENERIC_NAMES: dict[str, str] = {
    "100": "Option Volume", "101": "Option Open Interest", "104": "histvolat",
    "105": "Average Opt Volume", "106": "impvolat", "162": "Index Future Premium",
    "165": "Misc. Stats",
    "221/220": "Creditman Mark Price", "225": "Auction", "232/221": "Pl Price",
    "233": "RTVolume", "236": "inventory", "258/47": "Fundamentals", "293": "TradeCount",
    "294": "TradeRate", "295": "VolumeRate", "318": "LastRTHTrade", "375": "RTTrdVolume",
    "411": "rthistvol", "456/59": "IBDividends", "460": "Bond Factor Multiplier",
    "576": "EtfNavBidAsk(navbidask)", "577": "EtfNavLast(navlast)",
    "578": "EtfNavClose(navclose)", "586": "IPOHLMPRC", "587": "Pl Price Delayed",
    "588": "Futures Open Interest", "595": "Short-Term Volume X Mins",
    "614": "EtfNavMisc(high/low)", "619": "Creditman Slow Mark Price",
    "623": "EtfFrozenNavLast(fznavlast)", "787": "Odd Lot",
}  # fmt: skip
"""
Generic ticks as the list in a 321 writes them; two numbers are two names of one tick.

Those but for 104 and 787 are what a TWS listed in 2022 (deephaven-ib, issue 46).
"""
_OLD = 104
"""What newer TWS no longer serves: 30-day historical volatility comes with 411."""
_NOT_OF_INDICES = frozenset({"236", "258/47", "787"})
_NOT_OF_OPTIONS = frozenset({"104", "411", "456/59", "258/47", "576", "578", "787"})


def _numbers(names: Iterable[str]) -> frozenset[int]:
    return frozenset(int(number) for name in names for number in name.split("/"))


_SHARES = tuple(name for name in _GENERIC_NAMES if name != "162")
_LEGAL_NAMES: dict[str, tuple[str, ...]] = {
    "STK": _SHARES,
    "IND": tuple(name for name in _SHARES if name not in _NOT_OF_INDICES),
    "OPT": tuple(name for name in _SHARES if name not in _NOT_OF_OPTIONS),
    "FUT": (*(name for name in _SHARES if name not in _NOT_OF_INDICES), "162"),
    "FOP": tuple(name for name in _SHARES if name not in _NOT_OF_OPTIONS),
    "CASH": ("100", "101", "106", "165", "221/220", "232/221", "233", "411"),
}
LEGAL_GENERIC = {kind: _numbers(names) for kind, names in _LEGAL_NAMES.items()}
"""Generic tick ids per security type; one illegal id refuses the whole subscription."""


def legal_generic(
    sec_type: str, *, real: bool, without: Collection[int] = ()
) -> tuple[frozenset[int], str]:
    """The legal ids of a security type but some, and the list of them in an error 321."""
    legal = LEGAL_GENERIC.get(sec_type, frozenset()) - ({_OLD} if real else set()) - {*without}
    named = {name: text for name, text in _GENERIC_NAMES.items() if _numbers((name,)) <= legal}
    return legal, ",".join(f"{name}({text})" for name, text in named.items())


_VENUES = (
    ("AMEX", "A"), ("NASDAQ", "Q"), ("CHX", "M"), ("BATS", "Z"), ("ARCA", "P"), ("NYSE", "N"),
    ("ISE", "I"), ("CBOE", "W"), ("PHLX", "X"), ("EDGEA", "J"), ("BYX", "Y"), ("DRCTEDGE", "K"),
    ("IEX", "V"), ("MEMX", "U"), ("PEARL", "H"), ("LTSE", "L"),
)  # fmt: skip
VENUE_LETTERS = dict(_VENUES)
"""Letter of an exchange in ticks 32, 33 and 84."""


_COMPUTED = tuple(item.name for item in fields(Computation))


def number_of(tick: int, *, delayed: bool) -> int:
    """The tick number, live or delayed."""
    return _DELAYED.get(tick, tick) if delayed else tick


def quote_ticks(req_id: int, quote: Quote, *, delayed: bool, magnifier: int = 1) -> Iterator[Tick]:
    """
    Bid, ask and last with their sizes; a missing bid or ask is -1 with size 0.

    Of shares in pence it is -100 (bankroll, issue 31): the sentinel is magnified too.
    """
    triples = ((1, 0, quote.bid, quote.bid_size), (2, 3, quote.ask, quote.ask_size))
    for price_tick, size_tick, price, size in triples:
        amount = 0 if price is None else (size or 0)
        value = -1.0 * magnifier if price is None else price
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
    """One computation; what is missing keeps the sentinels that the message begins with."""
    values = {name: getattr(computed, name) for name in _COMPUTED}
    known = {name: value for name, value in values.items() if value is not None}
    return TickComputation(req_id, tick, **known)


def generic_ticks(
    req_id: int, quote: Quote, wanted: frozenset[int], *, sec_type: str, right: str
) -> Iterator[Tick]:
    """The ticks of generic ids; of an option's calls and puts the other one is zero."""
    if sec_type in ("OPT", "FOP"):
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
    fractions = (
        (104, 23, quote.historical_volatility),
        (411, 58, quote.historical_volatility),
        (106, 24, quote.implied_volatility),
    )
    for generic, tick, value in fractions:
        if generic in wanted and value is not None:
            yield TickGeneric(req_id, tick, value)
    if {456, 59} & wanted and quote.dividends is not None:
        yield TickString(req_id, 59, quote.dividends)
    if 787 in wanted:
        yield from odd_lot_ticks(req_id, quote)


def venue_ticks(
    req_id: int, quote: Quote, *, option: bool, now: datetime, delayed: bool
) -> Iterator[Tick]:
    """Where bid, ask and last come from, when the last was, and whether trading is halted."""
    letters = "WXI" if option else "PQZ"
    if not delayed:
        pairs = ((32, quote.bid, letters), (33, quote.ask, letters[::-1]))
        for tick, price, where in pairs:
            if price is not None:
                yield TickString(req_id, tick, where)
        if quote.last is not None:
            yield TickString(req_id, 84, letters[0])
    if quote.last is not None:
        yield TickString(req_id, 88 if delayed else 45, str(int(now.timestamp())))
    yield TickGeneric(req_id, 90 if delayed else 49, 0.0)


def odd_lot_ticks(req_id: int, quote: Quote) -> Iterator[Tick]:
    """The best bid and ask of fewer than a round lot: a cent better, where there are any."""
    sides = ((105, 107, 109, quote.bid, 0.01), (106, 108, 110, quote.ask, -0.01))
    for price_tick, size_tick, venue_tick, price, better in sides:
        if price is not None:
            yield TickPrice(req_id, price_tick, round(price + better, 4), 7)
            yield TickSize(req_id, size_tick, 7)
            yield TickString(req_id, venue_tick, "K")


_SLOTS = 4
_SEC_TYPES = {"stock": "STK", "option": "OPT", "index": "IND"}
_ON = "market_data"

OfKind = TypeVar("OfKind", faults.NotSubscribed, faults.Advised)


@dataclass(slots=True)
class Subscription:
    """One open subscription."""

    req_id: int
    listing: Listing
    subject: Subject
    generics: frozenset[int]
    snapshot: bool
    data_type: int
    """What the line gets, not what was asked for."""
    greeks: bool = True
    sentinel: bool = False
    no_quotes: bool = False
    quoting: bool = False
    """The first quotes have been sent."""
    computed: bool = False
    """The first Greeks have been sent."""
    owed: bool = False
    """Generic ticks fell into an outage and are sent with the next update."""
    over: bool = False

    @property
    def delayed(self) -> bool:
        """Whether its ticks carry the numbers of delayed data."""
        return self.data_type in (3, 4)


class Subscriptions:
    """Answers requests for market data, for one connection."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._gateway = client.gateway
        self._lines: dict[int, Subscription] = {}
        self._slot = 0
        self._pulsing = False

    def __len__(self) -> int:
        return len(self._lines)

    def handlers(self) -> Handlers:
        """What this part answers."""
        return {
            ReqMarketData: ("market_data", self._subscribe),
            CancelMarketData: ("cancel_market_data", self._cancel),
        }

    def lose_all(self) -> None:
        """Drop every line without telling the client, as TWS does when it has lost its data."""
        for req_id in list(self._lines):
            self._close(req_id)

    # subscribing

    def _subscribe(self, request: ReqMarketData) -> None:
        if not self._client.begin(request.req_id, _ON):
            return
        line = self._accept(request)
        if line is None:
            self._client.end(request.req_id)
            return
        self._lines[line.req_id] = line
        gateway = self._gateway
        gateway.lines_open += 1
        gateway.peak_lines = max(gateway.peak_lines, gateway.lines_open)
        if not self._advise(line):
            return
        if self._gateway.interference.aimed(faults.Silent, _ON, line.subject):
            return
        verbatim = self._gateway.interference.aimed(faults.Verbatim, _ON, line.subject)
        if verbatim is not None and not self._client.repeat(line.req_id, verbatim):
            return
        late = self._gateway.interference.aimed(faults.Late, _ON, line.subject)
        delay = self._client.draw(self._gateway.profile.jitter_s) + (late.seconds if late else 0.0)
        self._client.later(delay, self._first, line)

    def _advise(self, line: Subscription) -> bool:
        """Say codes that need not mean anything; tell whether data follow."""
        fault = self._of_kind(faults.Advised, line.listing, line.subject)
        if fault is None:
            return True
        for code in fault.codes:
            if fault.after_s > 0.0:
                self._client.later(fault.after_s, self._say, line, code, fault.text)
            else:
                self._say(line, code, fault.text)
        if fault.data == "delayed":
            is_frozen = self._client.data_type in (2, 4) and line.data_type in (2, 4)
            line.data_type = 4 if is_frozen else 3
        return fault.data != "none"

    def _say(self, line: Subscription, code: int, text: str) -> None:
        if not line.over:
            self._client.error(line.req_id, code, f" {line.listing.symbol}", text=text)

    def _accept(self, request: ReqMarketData) -> Subscription | None:
        """The line that a request opens; None after an error when it was refused."""
        generics = self._generics(request)
        if generics is None:
            return None
        listing = resolve(self._client, request.req_id, request.contract)
        if listing is None:
            return None
        unknown = self._gateway.interference.of(faults.IllegalTicks)
        refused = {tick for fault in unknown for tick in fault.ids}
        legal, named = legal_generic(
            listing.sec_type, real=self._gateway.profile.is_real, without=refused
        )
        if generics - legal:
            complaint = f"Incorrect generic tick list of {request.generic_ticks}."
            if all(fault.listed for fault in unknown):
                complaint += f"  Legal ones for ({listing.sec_type}) are: {named}"
            self._client.error(request.req_id, 321, complaint)
            return None
        subject = subject_of_listing(listing)
        if not self._has_room(request.req_id) or self._refused(request.req_id, subject):
            return None
        data_type = self._entitled(request.req_id, listing, subject)
        if data_type is None:
            return None
        line = Subscription(request.req_id, listing, subject, generics, request.snapshot, data_type)
        self._impair(line)
        return line

    def _generics(self, request: ReqMarketData) -> frozenset[int] | None:
        parts = [part.strip() for part in request.generic_ticks.split(",") if part.strip()]
        if request.regulatory:
            self._client.error(request.req_id, 321, "Regulatory snapshots are not permitted")
            return None
        if request.snapshot and parts:
            self._client.error(
                request.req_id,
                321,
                "Snapshot market data subscription is not applicable to generic ticks",
            )
            return None
        names = [part.partition(":")[0].partition("/")[0] for part in parts]
        if not all(name.isdecimal() for name in names):
            self._client.error(
                request.req_id, 321, f"Incorrect generic tick list of {request.generic_ticks}"
            )
            return None
        return frozenset(int(name) for name in names)

    def _has_room(self, req_id: int) -> bool:
        limit = self._gateway.limits.lines
        taken = sum(fault.lines for fault in self._gateway.interference.of(faults.LinesTaken))
        if limit is None or self._gateway.lines_open + taken < limit:
            return True
        if self._gateway.lines_open >= limit:
            self._gateway.violated(self._client, "lines", f"more than {limit} market-data lines")
        self._client.error(req_id, 101)
        return False

    def _refused(self, req_id: int, subject: Subject) -> bool:
        interference = self._gateway.interference
        if interference.aimed(faults.Competing, _ON, subject):
            self._client.error(req_id, 10197)
            return True
        fault = interference.aimed(faults.Refuse, _ON, subject)
        if fault is not None:
            self._client.refuse(req_id, fault)
        return fault is not None

    def _entitled(self, req_id: int, listing: Listing, subject: Subject) -> int | None:
        """The data type the line gets: live data win over delayed ones, frozen while closed."""
        asked = self._client.data_type
        is_open = self._gateway.market.is_open(listing.con_id)
        missing = self._of_kind(faults.NotSubscribed, listing, subject)
        if missing is not None:
            if asked in (1, 2) or not missing.delayed:
                self._client.error(req_id, missing.code, f" {listing.symbol}")
                return None
            if missing.repeated:
                self._client.error(req_id, missing.code, f" {listing.symbol}")
            self._client.error(req_id, 10167, f" {listing.symbol}")
            return 4 if asked == 4 and not is_open else 3
        if self._gateway.interference.aimed(faults.Delayed, _ON, subject):
            self._client.error(req_id, 10167, f" {listing.symbol}")
            return 3
        return 2 if asked in (2, 4) and not is_open else 1

    def _of_kind(self, kind: type[OfKind], listing: Listing, subject: Subject) -> OfKind | None:
        """The fault that hits this line, if it is one of the kinds of contract that it names."""
        fault = self._gateway.interference.aimed(kind, _ON, subject)
        if fault is None or not fault.kinds:
            return fault
        named = {_SEC_TYPES.get(name.strip()) for name in fault.kinds.split("+")}
        return fault if listing.sec_type in named else None

    def _impair(self, line: Subscription) -> None:
        interference = self._gateway.interference
        partly = interference.aimed(faults.PartiallySubscribed, _ON, line.subject)
        if partly is not None:
            self._client.error(line.req_id, partly.code, f" {line.subject.symbol}")
        none = interference.aimed(faults.NoGreeks, _ON, line.subject)
        line.greeks = partly is None and none is None
        line.sentinel = none is not None and none.sentinel
        line.no_quotes = interference.aimed(faults.NoQuotes, _ON, line.subject) is not None

    # ticking

    def _first(self, line: Subscription) -> None:
        if line.over:
            return
        client, profile = self._client, self._gateway.profile
        client.send(answers.MarketDataType(line.req_id, line.data_type))
        client.send(answers.TickParams(line.req_id, line.listing.min_tick, "9c0001", 3))
        client.later(client.draw(profile.quotes_s), self._quotes, line)
        if line.generics:
            client.later(client.draw(profile.generic_s), self._generic, line)
        if line.listing.is_option:
            client.later(client.draw(profile.greeks_s), self._greeks, line)
        if line.snapshot:
            client.later(profile.snapshot_s, self._snapshot_end, line)

    def _quote(self, line: Subscription) -> Quote:
        """What the line shows now: the market's numbers, less what type and faults take away."""
        market, con_id = self._gateway.market, line.listing.con_id
        frozen = line.data_type in (2, 4)
        quote = (market.frozen_quote(con_id) if frozen else market.quote(con_id)) or Quote()
        if not frozen and not market.is_open(con_id):
            quote = quote.blinded()
        if not line.greeks:
            quote = quote.without_greeks()
        if line.no_quotes:
            quote = quote.blinded()
        return quote

    def _quotes(self, line: Subscription) -> None:
        if line.over:
            return
        quote = self._quote(line)
        if not self._dark():
            ticks = quote_ticks(
                line.req_id, quote, delayed=line.delayed, magnifier=line.listing.magnifier
            )
            self._client.send_all(ticks)
            self._client.send_all(day_ticks(line.req_id, quote, delayed=line.delayed))
            if self._gateway.profile.is_real:
                self._client.send_all(
                    venue_ticks(
                        line.req_id,
                        quote,
                        option=line.listing.sec_type == "OPT",
                        now=self._gateway.market.now(),
                        delayed=line.delayed,
                    )
                )
        line.quoting = True
        self._settle(line, quote)
        if not line.snapshot:
            self._pulse_soon()

    def _greeks(self, line: Subscription) -> None:
        if line.over:
            return
        quote = self._quote(line)
        line.computed = True
        if not self._dark():
            self._client.send_all(self._greek_ticks(line, quote))
            self._client.row_done("quotes")
        self._settle(line, quote)

    def _greek_ticks(self, line: Subscription, quote: Quote) -> Iterator[Tick]:
        live = line.data_type in (2, 4) or self._gateway.market.is_open(line.listing.con_id)
        if line.sentinel or (line.greeks and not line.no_quotes and live):
            yield from greek_ticks(line.req_id, quote, delayed=line.delayed)

    def _dark(self) -> bool:
        """Whether an outage keeps ticks from flowing."""
        return self._client.trouble.mute or self._client.trouble.holds(_ON)

    def _generic(self, line: Subscription) -> None:
        line.owed = self._dark()
        if not line.over and not line.owed:
            ticks = generic_ticks(
                line.req_id,
                self._quote(line),
                line.generics,
                sec_type=line.listing.sec_type,
                right=line.listing.right,
            )
            self._client.send_all(ticks)

    def _settle(self, line: Subscription, quote: Quote) -> None:
        """End a snapshot that has everything it can ask for."""
        complete = None not in (quote.bid, quote.ask, quote.last)
        computed = line.computed or not line.listing.is_option
        if line.snapshot and complete and computed and line.quoting:
            self._snapshot_end(line)

    def _snapshot_end(self, line: Subscription) -> None:
        if not line.over:
            self._close(line.req_id)
            self._client.send(answers.SnapshotEnd(line.req_id))

    def _pulse_soon(self) -> None:
        if not self._pulsing:
            self._pulsing = True
            self._client.later(self._gateway.profile.update_s / _SLOTS, self._pulse)

    def _pulse(self) -> None:
        """Update a quarter of the lines, so that each is updated once per turn of four."""
        self._pulsing = False
        self._slot = (self._slot + 1) % _SLOTS
        for line in list(self._lines.values()):
            if line.req_id % _SLOTS == self._slot and line.quoting and not line.snapshot:
                self._update(line)
        if self._lines:
            self._pulse_soon()

    def _update(self, line: Subscription) -> None:
        if self._dark() or self._client.jammed:
            return
        if line.owed:
            self._generic(line)
        quote = self._quote(line)
        self._client.send_all(quote_ticks(line.req_id, quote, delayed=line.delayed))
        if line.computed:
            self._client.send_all(self._greek_ticks(line, quote))

    # ending

    def _cancel(self, request: CancelMarketData) -> None:
        line = self._lines.get(request.req_id)
        if line is None:
            self._client.error(request.req_id, 300, request.req_id)
            return
        self._close(request.req_id)
        after = self._gateway.interference.aimed(faults.LateTicks, _ON, line.subject)
        if after is not None:
            for step in range(5):
                self._client.later(after.seconds * step / 4.0, self._update, line)

    def _close(self, req_id: int) -> None:
        line = self._lines.pop(req_id, None)
        if line is not None:
            line.over = True
            self._client.end(req_id)
            self._gateway.lines_open -= 1


SERIES = frozenset(
    {
        "TRADES", "MIDPOINT", "BID", "ASK", "BID_ASK", "ADJUSTED_LAST",
        "HISTORICAL_VOLATILITY", "OPTION_IMPLIED_VOLATILITY",
    }
)  # fmt: skip
_BAR_SIZES = {
    "1 secs": 1, "5 secs": 5, "10 secs": 10, "15 secs": 15, "30 secs": 30, "1 min": 60,
    "2 mins": 120, "3 mins": 180, "5 mins": 300, "10 mins": 600, "15 mins": 900, "20 mins": 1200,
    "30 mins": 1800, "1 hour": 3600, "2 hours": 7200, "3 hours": 10_800, "4 hours": 14_400,
    "8 hours": 28_800, "1 day": 86_400, "1 week": 0, "1 month": 0,
}  # fmt: skip
"""Seconds of a bar; weeks and months have no fixed length."""
_DAY_S = 86_400
_UPDATED = frozenset({"TRADES", "MIDPOINT", "BID", "ASK"})
_SHORTEST_UPDATED_S = 5
_UPDATE_S = 5.0
"""Bars that are kept up to date grow by the real-time bars of five seconds."""
_UPDATED_SPANS = {"1 week": "1 W", "1 month": "2 M"}
"""What holds the bar that is being made and the one before; a day does for shorter ones."""
_BARS_PER_UNIT = {"D": 1, "W": 5, "M": 21, "Y": 252}
_PACING = "Historical data request pacing violation"


def bars_of(duration: str) -> int | str:
    """The number of daily bars that a duration asks for, or IB's objection to it."""
    match = re.fullmatch(r"\s*(\d{1,6})\s+([SDWMY])\s*", duration.upper())
    if match is None or int(match[1]) == 0:
        return f"Invalid duration: {duration}"
    count, unit = int(match[1]), match[2]
    if unit == "S":
        return max(1, count // 86400) if count <= 86400 else f"Invalid duration: {duration}"
    if unit == "D" and count > 365:
        return "Historical data requests for durations longer than 365 days must be made in years."
    return count * _BARS_PER_UNIT[unit]


def end_of(text: str, now: datetime, zone: str) -> datetime | None:
    """The end of a request; empty is now, None is unreadable."""
    if not text.strip():
        return now
    match = re.fullmatch(r"\s*(\d{8})(?:(-|\s+)(\d\d:\d\d:\d\d))?(?:\s+(\S+))?\s*", text)
    if match is None:
        return None
    try:
        day = datetime.strptime(match[1], "%Y%m%d").date()
        clock = time.fromisoformat(match[3]) if match[3] else time(23, 59, 59)
        named = UTC if match[2] == "-" and not match[4] else ZoneInfo(match[4] or _modern(zone))
    except (ValueError, ZoneInfoNotFoundError):
        return None
    return datetime.combine(day, clock, named)


def _modern(zone: str) -> str:
    """Names that a slim time-zone database may lack."""
    return {"US/Eastern": "America/New_York", "US/Central": "America/Chicago"}.get(zone, zone)


class BarAnswers:
    """Answers requests for bars, for one connection."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._gateway = client.gateway
        self._kept: dict[int, ReqHistory] = {}
        """What is kept up to date, by request id."""

    def handlers(self) -> Handlers:
        """What this part answers."""
        return {
            ReqHistory: ("history", self._history),
            CancelHistory: ("cancel_history", self._cancel),
        }

    def _history(self, request: ReqHistory) -> None:
        client, gateway = self._client, self._gateway
        gateway.history_requests += 1
        if not client.begin(request.req_id, "history"):
            return
        listing = resolve(client, request.req_id, request.contract, self._complaint(request))
        if listing is None or self._too_fast(request, listing):
            client.end(request.req_id)
            return
        subject = subject_of_listing(listing)
        advised = gateway.interference.aimed(faults.Advised, "history", subject)
        for code in advised.codes if advised is not None else ():
            client.error(request.req_id, code, f" {listing.symbol}")
        if advised is None or advised.data != "none":
            client.later(client.draw(gateway.profile.history_s), self._answer, request, listing)

    def _complaint(self, request: ReqHistory) -> str:
        bars = bars_of(request.duration)
        now = self._gateway.market.now()
        if request.bar_size not in _BAR_SIZES:
            return f"Invalid bar size: {request.bar_size}"
        if request.what.upper() not in SERIES:
            return f"Invalid historical data type: {request.what}"
        if request.what.upper() == "ADJUSTED_LAST" and request.end.strip():
            return "End Date not supported with adjusted last"
        if request.keep_up_to_date and (objection := _not_updated(request)):
            return objection
        if request.date_format not in (1, 2):
            return f"Invalid date format: {request.date_format}"
        if isinstance(bars, str):
            return bars
        return "" if end_of(request.end, now, "UTC") else f"Invalid end date: {request.end}"

    def _too_fast(self, request: ReqHistory, listing: Listing) -> bool:
        gateway = self._gateway
        spurious = gateway.interference.of(faults.HistoryPacing)
        what = request.what.upper()
        series = (str(listing.con_id), request.contract.exchange, what)
        span = (request.end, request.bar_size, request.duration, str(request.regular_hours))
        weight = 2 if what == "BID_ASK" else 1
        struck = any(gateway.interference.strike(fault, fault.times) for fault in spurious)
        over = not struck and (
            gateway.open("history") > gateway.limits.history_open
            or gateway.history_meter.violates(gateway.clock(), (*series, *span), series, weight)
        )
        if over:
            asked = f"bars of {listing.symbol} ({what}, {request.duration})"
            gateway.violated(self._client, "history", f"{asked} were asked for too soon")
        if struck or over:
            self._client.error(request.req_id, 162, _PACING)
        return struck or over

    def _answer(self, request: ReqHistory, listing: Listing) -> None:
        if request.req_id not in self._client.open:
            return
        market = self._gateway.market
        end = end_of(request.end, market.now(), listing.time_zone_id) or market.now()
        bars = self._bars(request, listing, end)
        if not bars:
            self._client.end(request.req_id)
            self._client.error(request.req_id, 162, _no_bars(request, listing))
            return
        if not request.keep_up_to_date:
            self._client.end(request.req_id)
        rows = tuple(self._row(bar, request, listing) for bar in bars)
        first, last = bars[0].day, end
        head = f"{first:%Y%m%d} 00:00:00 {listing.time_zone_id}"
        tail = f"{last:%Y%m%d %H:%M:%S} {listing.time_zone_id}"
        self._client.send(answers.HistoricalData(request.req_id, head, tail, rows))
        if request.keep_up_to_date:
            self._kept[request.req_id] = request
            self._update_soon(request, listing, rows[-1])

    def _update_soon(self, request: ReqHistory, listing: Listing, last: answers.BarRow) -> None:
        until_s = _UPDATE_S - self._gateway.market.now().timestamp() % _UPDATE_S
        self._client.later(until_s, self._update, request, listing, last)

    def _update(self, request: ReqHistory, listing: Listing, last: answers.BarRow) -> None:
        """Send the last bar as it has become, and those that have begun since."""
        if self._kept.get(request.req_id) is not request:
            return
        span = _UPDATED_SPANS.get(request.bar_size, "1 D")
        bars = self._bars(replace(request, duration=span), listing, self._gateway.market.now())
        rows = [self._row(bar, request, listing) for bar in bars or ()]
        days = [row.day for row in rows]
        # Where the last bar is none of them a new session has begun.
        rows = rows[days.index(last.day) if last.day in days else 0 :]
        # A market that stands still, a closed one too, has nothing to tell.
        for row in rows if rows[:1] != [last] else rows[1:]:
            self._client.send(_update_of(request.req_id, row))
        self._update_soon(request, listing, rows[-1] if rows else last)

    def _bars(self, request: ReqHistory, listing: Listing, end: datetime) -> Sequence[Bar] | None:
        market, what = self._gateway.market, request.what.upper()
        count, size_s = bars_of(request.duration), _BAR_SIZES[request.bar_size]
        if not isinstance(count, int):
            return None
        if size_s == 0 or size_s == _DAY_S:
            daily = market.bars(listing.con_id, what, count, end)
            if request.keep_up_to_date and daily:
                daily = self._so_far(daily, listing, what, end)
            return daily if size_s or not daily else merged(daily, request.bar_size)
        if not isinstance(market, Intraday):
            return None
        bars = market.intraday(listing.con_id, what, size_s, count, end)
        seconds = seconds_of(request.duration)
        return bars if bars is None or seconds is None else bars[-max(seconds // size_s, 1) :]

    def _so_far(
        self, daily: Sequence[Bar], listing: Listing, what: str, now: datetime
    ) -> Sequence[Bar]:
        """Daily bars of which the last has not seen the rest of its day."""
        market = self._gateway.market
        if not isinstance(market, Intraday):
            return daily
        made = market.intraday(listing.con_id, what, _DAY_S, 1, now)
        if not made or made[-1].day != daily[-1].day:
            return daily
        return [*daily[:-1], replace(made[-1], at=None)]

    def _row(self, bar: Bar, request: ReqHistory, listing: Listing) -> answers.BarRow:
        """A bar on the wire; daily ones carry their date in both date formats."""
        day = f"{bar.day:%Y%m%d}"
        if bar.at is not None:
            day = self._gateway.times.execution(bar.at, listing.time_zone_id)
            if request.date_format == 2:
                day = str(round(bar.at.timestamp()))
        return answers.BarRow(
            day, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.average, bar.count
        )

    def _cancel(self, request: CancelHistory) -> None:
        if self._client.open.get(request.req_id) != "history":
            self._client.error(request.req_id, 366, request.req_id)
            return
        self._kept.pop(request.req_id, None)
        self._client.end(request.req_id)
        text = f"API historical data query cancelled: {request.req_id}"
        self._client.error(request.req_id, 162, text)


def _not_updated(request: ReqHistory) -> str:
    """Why bars cannot be kept up to date; empty where they can."""
    if request.end.strip():
        return "End Date not supported with keepUpToDate"
    if request.what.upper() not in _UPDATED:
        return f"Real-time updates of {request.what} are not supported"
    if 0 < _BAR_SIZES[request.bar_size] < _SHORTEST_UPDATED_S:
        return f"Real-time updates of {request.bar_size} are not supported"
    return ""


def _update_of(req_id: int, row: answers.BarRow) -> answers.HistoricalUpdate:
    return answers.HistoricalUpdate(
        req_id, row.count, row.day, row.open, row.close, row.high, row.low, row.average, row.volume
    )


def seconds_of(duration: str) -> int | None:
    """The seconds that a duration in seconds asks for; None for one in days or longer."""
    match = re.fullmatch(r"\s*(\d{1,6})\s+S\s*", duration.upper())
    return int(match[1]) if match else None


def _no_bars(request: ReqHistory, listing: Listing) -> str:
    """How TWS says that there are none: of currencies there never are trades."""
    exchange = request.contract.exchange
    if listing.sec_type == "CASH" and request.what.upper() == "TRADES":
        return f"No historical market data for {listing.symbol}/CASH@{exchange} Last 1d"
    name = listing.local_symbol or listing.symbol
    series = "_".join(word.capitalize() for word in request.what.split("_"))
    return f"HMDS query returned no data: {name}@{exchange} {series}"
