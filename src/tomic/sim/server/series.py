"""Historical bars: IB's rules about what may be asked and how often."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tomic.sim import faults
from tomic.sim.market import Bar, Listing
from tomic.sim.server.limits import AMBIGUOUS
from tomic.sim.server.lookup import complaint, find, trades_at
from tomic.sim.server.state import Client
from tomic.wire.answers import BarRow, HistoricalData
from tomic.wire.requests import CancelHistory, ReqHistory

SERIES = frozenset(
    {
        "TRADES", "MIDPOINT", "BID", "ASK", "BID_ASK", "ADJUSTED_LAST",
        "HISTORICAL_VOLATILITY", "OPTION_IMPLIED_VOLATILITY",
    }
)  # fmt: skip
_BAR_SIZES = frozenset(
    {
        "1 secs", "5 secs", "10 secs", "15 secs", "30 secs", "1 min", "2 mins", "3 mins",
        "5 mins", "10 mins", "15 mins", "20 mins", "30 mins", "1 hour", "2 hours", "3 hours",
        "4 hours", "8 hours", "1 day", "1 week", "1 month",
    }
)  # fmt: skip
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

    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """What this part answers."""
        return {ReqHistory: self._history, CancelHistory: self._cancel}

    def _history(self, request: ReqHistory) -> None:
        client, gateway = self._client, self._gateway
        gateway.history_requests += 1
        if not client.begin(request.req_id, "history"):
            return
        listing = self._validated(request)
        if listing is None or self._too_fast(request, listing):
            client.end(request.req_id)
            return
        client.later(client.draw(gateway.profile.history_s), self._answer, request, listing)

    def _validated(self, request: ReqHistory) -> Listing | None:
        req_id, contract = request.req_id, request.contract
        refusal = complaint(contract) or self._complaint(request)
        if refusal:
            self._client.error(req_id, 321, refusal)
            return None
        listings = find(self._gateway.market, contract)
        listings = [listing for listing in listings if trades_at(listing, contract.exchange)]
        if len(listings) != 1:
            text = AMBIGUOUS.format(contract.symbol) if listings else ""
            self._client.error(req_id, 200, text=text)
            return None
        return listings[0]

    def _complaint(self, request: ReqHistory) -> str:
        bars = bars_of(request.duration)
        now = self._gateway.market.now()
        if not request.contract.exchange:
            return "Please enter exchange"
        if request.bar_size not in _BAR_SIZES:
            return f"Invalid bar size: {request.bar_size}"
        if request.what.upper() not in SERIES:
            return f"Invalid historical data type: {request.what}"
        if request.what.upper() == "ADJUSTED_LAST" and request.end.strip():
            return "End Date not supported with adjusted last"
        if request.keep_up_to_date and request.end.strip():
            return "End Date not supported with keepUpToDate"
        if request.date_format not in (1, 2):
            return f"Invalid date format: {request.date_format}"
        if isinstance(bars, str):
            return bars
        return "" if end_of(request.end, now, "UTC") else f"Invalid end date: {request.end}"

    def _too_fast(self, request: ReqHistory, listing: Listing) -> bool:
        gateway = self._gateway
        spurious = gateway.interference.of(faults.HistoryPacing)
        if any(gateway.interference.strike(fault, fault.times) for fault in spurious):
            self._client.error(request.req_id, 162, _PACING)
            return True
        if gateway.open("history") > gateway.limits.history_open:
            self._client.error(request.req_id, 162, _PACING)
            return True
        what = request.what.upper()
        series = (str(listing.con_id), request.contract.exchange, what)
        same = (
            *series,
            request.end,
            request.bar_size,
            request.duration,
            str(request.regular_hours),
        )
        weight = 2 if what == "BID_ASK" else 1
        if gateway.history_meter.violates(gateway.clock(), same, series, weight):
            self._client.error(request.req_id, 162, _PACING)
            return True
        return False

    def _answer(self, request: ReqHistory, listing: Listing) -> None:
        if request.req_id not in self._client.open:
            return
        market = self._gateway.market
        end = end_of(request.end, market.now(), listing.time_zone_id) or market.now()
        count, what = bars_of(request.duration), request.what.upper()
        bars = None
        if request.bar_size == "1 day" and isinstance(count, int):
            bars = market.bars(listing.con_id, what, count, end)
        self._client.end(request.req_id)
        if not bars:
            name = listing.local_symbol or listing.symbol
            text = f"HMDS query returned no data: {name}@{request.contract.exchange} {what}"
            self._client.error(request.req_id, 162, text)
            return
        rows = tuple(_row(bar) for bar in bars)
        first, last = bars[0].day, end
        head = f"{first:%Y%m%d} 00:00:00 {listing.time_zone_id}"
        tail = f"{last:%Y%m%d %H:%M:%S} {listing.time_zone_id}"
        self._client.send(HistoricalData(request.req_id, head, tail, rows))

    def _cancel(self, request: CancelHistory) -> None:
        if self._client.open.get(request.req_id) != "history":
            self._client.error(request.req_id, 366, request.req_id)
            return
        self._client.end(request.req_id)
        text = f"API historical data query cancelled: {request.req_id}"
        self._client.error(request.req_id, 162, text)


def _row(bar: Bar) -> BarRow:
    """A bar on the wire; daily ones carry their date in both date formats."""
    day = f"{bar.day:%Y%m%d}"
    return BarRow(day, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.average, bar.count)
