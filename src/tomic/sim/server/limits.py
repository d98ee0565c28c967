"""
What the simulated gateway allows, how fast it answers, how it writes times, and its meters.

The limits are IB's own and strict by default: a simulator that forgives teaches its clients to be
forgiven. Only :meth:`Limits.unpaced` lifts the message limit, and only when somebody asks for it.

TWS has a setting for its times: in UTC, in the zone of the contract, or in that of the login.

Source: "Order limitations", "Historical data limitations" and "Market data lines" of the TWS API
documentation; "Time zone" of its release notes for 10.18.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Any, Self
from zoneinfo import ZoneInfo

from tomic.sim.market import Listing

TEXTS: dict[int, str] = {
    100: "Max rate of messages per second has been exceeded:max={} rec={} ({})",
    101: "Max number of tickers has been reached",
    105: "Order being modified does not match original order",
    110: "The price does not conform to the minimum price variation for this contract.",
    162: "Historical Market Data Service error message:{}",
    165: "Historical Market Data Service query message:{}",
    200: "No security definition has been found for the request",
    201: "Order rejected - reason:{}",
    300: "Can't find EId with tickerId:{}",
    320: "Error reading request:{}",
    321: "Error validating request.-'bN' : cause - {}",
    322: "Error processing request.-'bE' : cause - {}",
    326: "Unable to connect as the client id is already in use. Retry with a unique client id.",
    329: "Order modify failed. Cannot change to the new order type.",
    354: "Requested market data is not subscribed.{}",
    366: "No historical data query found for ticker id:{}",
    383: "The following order '{}' size exceeds the size limit of 500. Restriction is specified in "
    "Precautionary Settings of Global Configuration/Presets.",
    399: "Order Message:\nWarning: your order will not be placed at the exchange until "
    "2026-11-23 09:30:00 US/Eastern",
    404: "Order held while securities are located.",
    434: "The order size cannot be zero.",
    492: "You must enter a valid price.",
    501: "Already connected.",
    503: "The TWS is out of date and must be upgraded.",
    504: "Not connected",
    505: "Fatal Error: Unknown message id.",
    1100: "Connectivity between IBKR and Trader Workstation has been lost.",
    1101: "Connectivity between IBKR and Trader Workstation has been restored - data lost.",
    1102: "Connectivity between IBKR and Trader Workstation has been restored - data maintained. "
    "All data farms are connected: usfarm; ushmds; secdefil.",
    1300: "TWS socket port has been reset and this connection is being dropped. Please reconnect "
    "on the new port - {}",
    2103: "Market data farm connection is broken:usfarm",
    2104: "Market data farm connection is OK:usfarm",
    2105: "HMDS data farm connection is broken:ushmds",
    2106: "HMDS data farm connection is OK:ushmds",
    2107: "HMDS data farm connection is inactive but should be available upon demand.ushmds",
    2108: "Market data farm connection is inactive but should be available upon demand.usfarm",
    2110: "Connectivity between Trader Workstation and server is broken. It will be restored "
    "automatically.",
    2119: "Market data farm is connecting:usfarm",
    2150: "Invalid position trade derived value",
    2157: "Sec-def data farm connection is broken:secdefil",
    2158: "Sec-def data farm connection is OK:secdefil",
    2172: "The version of the application you are running, 1019.2, needs to be upgraded, as it "
    "will be desupported on 20250320. The minimum supported version at that time will be 1030.1. ",
    2188: "Up-to-the-second historical data requires additional subscription for API. See link in "
    "'Market Data Connections' dialog for more details.{}",
    10089: "Requested market data requires additional subscription for API. See link in 'Market "
    "Data Connections' dialog for more details.{}",
    10090: "Part of requested market data is not subscribed. Subscription-independent ticks are "
    "still active.{}",
    10091: "Part of requested market data requires additional subscription for API. "
    "Subscription-independent ticks are still active.{}",
    10141: "Paper trading disclaimer must first be accepted for API connection.",
    10147: "OrderId {} that needs to be cancelled is not found.",
    10167: "Requested market data is not subscribed. Displaying delayed market data.{}",
    10168: "Requested market data is not subscribed. Delayed market data is not enabled.{}",
    10186: "Requested market data is not subscribed. Delayed market data is not enabled.{}",
    10190: "Max number of tick-by-tick requests has been reached.",
    10197: "No market data during competing live session",
    10225: "Bust event occurred, current subscription is deactivated. Please resubscribe real-time "
    "bars immediately.",
    10276: "News feed is not allowed.",
    10311: "This order will be directly routed to {}. Direct routed orders may result in higher "
    "trade fees.",
    10349: "Order TIF was set to DAY based on order preset.",
}
AMBIGUOUS = (
    "The contract description specified for {} is ambiguous; you must specify the multiplier or "
    "currency."
)
"""The other thing that code 200 can mean."""


def text_of(code: int, *details: object) -> str:
    """What TWS says with *code*; details that the sentence has no room for are left out."""
    template = TEXTS.get(code, f"Error {code}")
    room = template.count("{}")
    filled = [str(detail) for detail in details[:room]] + [""] * (room - len(details))
    return template.format(*filled)


Range = tuple[float, float]
_KEPT = 20_000


@dataclass(frozen=True, slots=True)
class Limits:
    """IB's limits; None lifts one."""

    messages_per_s: int | None = 50
    """Messages of one client in any exact second; each one over it is lost."""
    strikes: int = 3
    """Seconds with lost messages after which the connection is closed."""
    lines: int | None = 100
    """Market-data lines of all clients and of TWS together."""
    clients: int = 32
    history_per_10min: int | None = 60
    """Requests for bars in ten minutes; BID_ASK counts twice."""
    history_open: int = 50
    """Requests for bars open at once, of all clients together."""
    history_identical_s: float = 15.0
    history_same_contract: int = 6
    """Requests for one contract, exchange and series within two seconds that are too many."""
    summaries: int = 2
    """Account summaries open at once."""

    def unpaced(self) -> Self:
        """The same limits without a limit on messages per second."""
        return replace(self, messages_per_s=None)


class Manner(StrEnum):
    """How the gateway speaks."""

    REALITY = "reality"
    """As TWS does, warts included: advisory codes beside data, rows that name no account of the
    login, ticks that nobody asked for, times in the zone of the login."""
    TIDY = "tidy"
    """The same numbers without the warts, for what must be the same to the byte."""


@dataclass(frozen=True, slots=True)
class Profile:
    """How the gateway speaks, and how fast, in seconds; a pair is drawn from evenly."""

    latency_s: float = 0.02
    """Round trip of every message."""
    jitter_s: Range = (0.0, 0.02)
    """Further delay of the first answer to a subscription."""
    quotes_s: Range = (0.05, 0.25)
    greeks_s: Range = (0.3, 1.2)
    generic_s: Range = (0.2, 1.2)
    """Open interest, volumes and volatilities of generic ticks."""
    details_open_s: Range = (0.3, 1.0)
    """Before the first row of a request that is open in expiry, strike or right."""
    details_rows_per_s: float = 800.0
    params_s: Range = (0.2, 0.4)
    history_s: Range = (0.1, 0.4)
    account_s: Range = (0.02, 0.1)
    snapshot_s: float = 11.0
    """When a snapshot that stays incomplete ends."""
    update_s: float = 1.0
    """Between two updates of one streaming line."""
    manner: Manner = Manner.REALITY

    @property
    def is_real(self) -> bool:
        """Whether the gateway speaks as TWS does, warts included."""
        return self.manner == Manner.REALITY

    def tidied(self) -> Self:
        """The same speed without the warts."""
        return replace(self, manner=Manner.TIDY)

    @classmethod
    def named(cls, manner: str) -> Self:
        """
        The profile of that name, ``reality`` or ``tidy``, at the usual speed.

        Raises:
            ValueError: There is no such profile.
        """
        return cls(manner=Manner(manner))

    @classmethod
    def instant(cls) -> Self:
        """No waiting at all, for tests that are not about time."""
        drawn: dict[str, Any] = {
            item.name: (0.0, 0.0) for item in fields(cls) if isinstance(item.default, tuple)
        }
        return cls(
            latency_s=0.0, details_rows_per_s=math.inf, snapshot_s=0.05, update_s=0.25, **drawn
        )

    @classmethod
    def demo(cls) -> Self:
        """Quick enough to watch."""
        return cls(
            latency_s=0.002,
            jitter_s=(0.0, 0.005),
            quotes_s=(0.01, 0.05),
            greeks_s=(0.03, 0.12),
            generic_s=(0.02, 0.1),
            details_open_s=(0.03, 0.1),
            details_rows_per_s=8000.0,
            params_s=(0.02, 0.05),
            history_s=(0.01, 0.05),
            account_s=(0.0, 0.01),
            snapshot_s=1.0,
        )


class MessageMeter:
    """Counts messages in a sliding, exact second; the ones that were lost count too."""

    def __init__(self, limit: int | None, strikes: int) -> None:
        self.limit, self._allowed_strikes = limit, strikes
        self._recent: deque[float] = deque()
        self._last_strike = -math.inf
        self.strikes = 0

    def arrive(self, now: float) -> int | None:
        """Count a message; how many the second holds when that is too many, else None."""
        recent = self._recent
        while recent and now - recent[0] >= 1.0:
            recent.popleft()
        recent.append(now)
        if self.limit is None or len(recent) <= self.limit:
            return None
        self.strike(now)
        return len(recent)

    def strike(self, now: float) -> None:
        """Note a violation; those within one second are one."""
        if now - self._last_strike >= 1.0:
            self._last_strike = now
            self.strikes += 1

    @property
    def out(self) -> bool:
        """Whether the connection has had its last warning."""
        return self.strikes >= self._allowed_strikes


class PeakMeter:
    """Tells the most messages that any exact second held."""

    def __init__(self) -> None:
        self._second: deque[float] = deque()
        self._times: deque[float] = deque(maxlen=_KEPT)
        self._best = 0

    def arrive(self, now: float) -> None:
        """Count a message."""
        second = self._second
        while second and now - second[0] >= 1.0:
            second.popleft()
        second.append(now)
        self._times.append(now)
        self._best = max(self._best, len(second))

    def peak(self, window_s: float = 1.0) -> int:
        """
        The most messages in any half-open window of that length.

        A second is watched from the beginning, other lengths over the last 20,000 messages.
        """
        if window_s == 1.0:
            return self._best
        best, window = 0, deque[float]()
        for now in self._times:
            while window and now - window[0] >= window_s:
                window.popleft()
            window.append(now)
            best = max(best, len(window))
        return best


class HistoryMeter:
    """IB's pacing rules for bars; the clock is whatever the caller passes in."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._window: deque[tuple[float, int]] = deque()
        self._identical: dict[tuple[str, ...], float] = {}
        self._bursts: dict[tuple[str, ...], deque[float]] = {}

    def violates(
        self, now: float, request: tuple[str, ...], series: tuple[str, ...], weight: int
    ) -> bool:
        """
        Count one request and say whether it came too fast.

        Args:
            now: Seconds on any clock that runs forward.
            request: What makes two requests identical.
            series: Contract, exchange and what to show.
            weight: 2 for BID_ASK, 1 for the others.
        """
        limits = self._limits
        if limits.history_per_10min is None:
            return False
        while self._window and now - self._window[0][0] >= 600.0:
            self._window.popleft()
        self._forget(now)
        spent = sum(part for _, part in self._window) + weight
        repeated = now - self._identical.get(request, -math.inf) < limits.history_identical_s
        burst = self._bursts.setdefault(series, deque())
        while burst and now - burst[0] >= 2.0:
            burst.popleft()
        burst.append(now)
        crowded = len(burst) >= limits.history_same_contract
        if spent > limits.history_per_10min or repeated or crowded:
            return True
        self._window.append((now, weight))
        self._identical[request] = now
        return False

    def _forget(self, now: float) -> None:
        """Drop what can no longer matter, so that a long run stays small."""
        if len(self._identical) > 200:
            horizon = self._limits.history_identical_s
            self._identical = {k: t for k, t in self._identical.items() if now - t < horizon}
            self._bursts = {k: d for k, d in self._bursts.items() if d and now - d[-1] < 2.0}


_ZONES = {
    "US/Eastern": "America/New_York",
    "US/Central": "America/Chicago",
    "EST": "America/New_York",
    "CST": "America/Chicago",
    "PST": "America/Los_Angeles",
    "MET": "Europe/Berlin",
    "JST": "Asia/Tokyo",
    "HKT": "Asia/Hong_Kong",
    "IST": "Asia/Kolkata",
    "Eastern Standard Time": "America/New_York",
    "Central European Standard Time": "Europe/Berlin",
    "Japan Standard Time": "Asia/Tokyo",
}
"""What Java calls zones that the tz database does not know, or means otherwise."""


_NEAR_DAYS = 31
"""How soon an option's last trade is written with its time."""


class TimeForm(StrEnum):
    """How the times of executions are written."""

    UTC = "utc"
    """``20231214-20:57:37``"""
    INSTRUMENT = "instrument"
    """``20251104 15:13:24 MET``, in the zone that the contract's details name."""
    LOGIN = "login"
    """The same in the zone of the login."""
    BARE = "bare"
    """``20201125  10:00:00``, as before 2022: in the zone of the login, which it does not name."""


@dataclass(frozen=True, slots=True)
class Times:
    """
    In which form a gateway writes times.

    Args:
        form: Of executions.
        zone: Of the login, as TWS writes it; the greeting and the last trade of options name it.
    """

    form: TimeForm = TimeForm.INSTRUMENT
    zone: str = "UTC"

    def greeting(self, now: datetime) -> str:
        """The time with which a connection begins."""
        return f"{now.astimezone(zone_named(self.zone)):%Y%m%d %H:%M:%S} {self.zone}"

    def last_trade(self, listing: Listing, today: date, zone: str = "") -> str:
        """
        When an option last trades: ``20261217``, with time and zone where that is soon.

        The time is in the zone of the login, unless a *zone* is given: in Asia a Friday's close
        reads as Saturday.

        Source: ib_insync #605 and #693, ib_async #203.
        """
        if listing.expiry is None or not listing.last_trade_time:
            return listing.expiry_text
        if (listing.expiry - today).days > _NEAR_DAYS:
            return listing.expiry_text
        close = datetime.combine(listing.expiry, time.fromisoformat(listing.last_trade_time))
        at = close.replace(tzinfo=zone_named(listing.time_zone_id))
        name = zone or self.zone
        return f"{at.astimezone(zone_named(name)):%Y%m%d %H:%M:%S} {name}"

    def execution(self, at: datetime, contract_zone: str) -> str:
        """The time of an execution."""
        if self.form == TimeForm.UTC:
            return f"{at.astimezone(UTC):%Y%m%d-%H:%M:%S}"
        if self.form == TimeForm.BARE:
            return f"{at.astimezone(zone_named(self.zone)):%Y%m%d  %H:%M:%S}"
        name = contract_zone if self.form == TimeForm.INSTRUMENT else self.zone
        return f"{at.astimezone(zone_named(name)):%Y%m%d %H:%M:%S} {name}"


def zone_named(name: str) -> ZoneInfo:
    """The zone behind a name as TWS writes it."""
    return ZoneInfo(_ZONES.get(name, name))
