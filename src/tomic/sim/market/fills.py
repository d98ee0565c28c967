"""
Executions of the day as TWS reports them: which of them a filter means, and how their time is read.

TWS has a setting for its times: in UTC, in the zone of the contract, or in that of the login.
Source: TWS API, "Executions and Commissions", and "Time zone" of its release notes for 10.18.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from tomic.sim.market import Listing, MarketFill
from tomic.wire.layout import UNSET
from tomic.wire.requests import ReqExecutions
from tomic.wire.statements import CommissionReport, ExecutionData

_ZONES = {
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
        zone: Of the login, as TWS writes it; the greeting names it too.
    """

    form: TimeForm = TimeForm.INSTRUMENT
    zone: str = "UTC"

    def greeting(self, now: datetime) -> str:
        """The time with which a connection begins."""
        return f"{now.astimezone(zone_named(self.zone)):%Y%m%d %H:%M:%S} {self.zone}"

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


def is_blank(request: ReqExecutions) -> bool:
    """Whether the filter of a request names nothing."""
    return not any((request.client_id, request.account, request.time, request.symbol,
                    request.sec_type, request.exchange, request.side))  # fmt: skip


def fits(fill: MarketFill, listing: Listing, request: ReqExecutions) -> bool:
    """Whether a request means this execution; an empty field of its filter means every one."""
    side = "BUY" if fill.quantity > 0 else "SELL"
    pairs = (
        (request.client_id or None, fill.client_id),
        (request.account, fill.account),
        (request.symbol, listing.symbol),
        (request.sec_type, listing.sec_type),
        (request.exchange, fill.exchange),
        (request.side, side),
    )
    return all(wanted in (None, "", value) for wanted, value in pairs)


def execution_row(req_id: int, fill: MarketFill, listing: Listing, times: Times) -> ExecutionData:
    """One execution on the wire."""
    return ExecutionData(
        req_id=req_id,
        order_id=fill.order_id,
        con_id=listing.con_id,
        symbol=listing.symbol,
        sec_type=listing.sec_type,
        expiry=f"{listing.expiry:%Y%m%d}" if listing.expiry else "",
        strike=listing.strike,
        right=listing.right or "?",
        multiplier=listing.multiplier,
        exchange=fill.exchange,
        currency=listing.currency,
        local_symbol=listing.local_symbol,
        trading_class=listing.trading_class,
        exec_id=fill.exec_id,
        time=fill.time_text or times.execution(fill.at, listing.time_zone_id),
        account=fill.account,
        executed_at=fill.exchange,
        side="BOT" if fill.quantity > 0 else "SLD",
        shares=abs(fill.quantity),
        price=fill.price,
        perm_id=fill.perm_id,
        client_id=fill.client_id,
        cumulative=abs(fill.quantity),
        average=fill.price,
    )


def commission_row(fill: MarketFill, listing: Listing) -> CommissionReport | None:
    """What TWS reports of its cost; None where this client is not told."""
    if fill.commission is None:
        return None
    currency = fill.commission_currency or listing.currency
    realized = UNSET if fill.realized is None else fill.realized
    return CommissionReport(fill.exec_id, fill.commission, currency, realized)
