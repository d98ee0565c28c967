"""
What each fault means and what to do about it, in the words of a person at the screen.

Source of the codes: IB, "Message Codes" of the TWS API; see also `tomic.ib.connection`.
"""

from __future__ import annotations

from dataclasses import dataclass

from tomic.errors import (
    ClientIdInUse,
    CompetingSession,
    DataError,
    GatewayRefused,
    MissingSpot,
    NoMarketData,
    RequestTimeout,
    SessionLost,
    TomicError,
)


@dataclass(frozen=True, slots=True)
class Remedy:
    """Why something fails, and the next step."""

    cause: str
    fix: str


START_TWS = Remedy(
    "TWS or IB Gateway does not run, or its API is off, or it uses another port",
    "start it; in TWS: File > Global Configuration > API > Settings, tick 'Enable ActiveX and "
    "Socket Clients'; ports: TWS 7497 paper, 7496 live; IB Gateway 4002, 4001 (--port); or try "
    "--demo",
)
NOT_TRUSTED = Remedy(
    "TWS closes connections from this computer",
    "API > Settings > Trusted IPs: add this computer, or untick 'Allow connections from localhost "
    "only'",
)
NO_HANDSHAKE = Remedy(
    "something listens, but it does not speak the API protocol, or TWS hangs",
    "check the port; if it is the right one, restart TWS",
)
NOT_READY = Remedy(
    "TWS is not logged in yet, or one of its dialogs waits for an answer",
    "finish the login and close every dialog, then run doctor again",
)
NOT_SUBSCRIBED = Remedy(
    "the account has no live market data for this; delayed data are used meanwhile",
    "Client Portal > Settings > Market Data Subscriptions: 'US Securities Snapshot and Futures "
    "Value Bundle' for stocks, 'OPRA (US Options Exchanges)' for options; for a paper account, "
    "share the live account's data",
)
PARTLY_SUBSCRIBED = Remedy(
    "a part of the data is not subscribed: quotes come, IB's Greeks do not",
    "subscribe to the underlying as well as to OPRA; own IV and Greeks are used meanwhile",
)
MINIMISED = Remedy(
    "TWS computes no Greeks while its main window is minimised",
    "restore the main window of TWS; own IV and Greeks are used meanwhile",
)
_COMPETING = Remedy(
    "another login of this user holds the live market data",
    "log out on the phone, the web or the other TWS, or run TOMIC against that one",
)
_IDS_TAKEN = Remedy(
    "other programs use every client id that may be tried",
    "close one of them, or pass another --client-id",
)
_LOST = Remedy("the connection to TWS broke", "see whether TWS restarts; then run doctor again")
_NO_ANSWER = Remedy(
    "TWS accepts connections but does not answer",
    "see whether TWS shows its data farms as connected (lower right); else restart it",
)
_NO_PRICE = Remedy(
    "the underlying has no quote now", "run doctor again while the market is open, or check in TWS"
)
_NO_OPTIONS = Remedy(
    "TWS lists no options: it may still be loading, or the account may not trade options",
    "look whether TWS itself shows an option chain of SPY; then run doctor again",
)
_AGAIN = Remedy("not known", "run doctor again with -vv, or send a recording: tomic record")
_CONNECTIVITY = Remedy(
    "TWS has lost its connection to IB's servers",
    "check the internet connection of TWS and wait; IB restarts its servers between 00:15 and "
    "01:45 New York time",
)
_PACING = Remedy(
    "messages came faster than IB's 50 a second; perhaps another program uses this TWS too",
    "lower limits.messages_per_s, or stop the other program",
)
_LINES = Remedy(
    "all market-data lines are taken, by the windows of TWS or by other programs",
    "close watchlists and option chains in TWS, or lower limits.lines",
)


def _farm(kind: str) -> Remedy:
    return Remedy(
        f"IB's {kind} farm is broken; the connection itself is fine",
        "wait: such requests are held until IB says that it is back, for 20 s at most",
    )


BY_CODE: dict[int, Remedy] = {
    100: _PACING,
    101: _LINES,
    162: Remedy("IB has no bars for this, or they were asked too fast", "wait a minute"),
    321: Remedy("TWS refuses the request as it is written", "update TWS or IB Gateway"),
    326: _IDS_TAKEN,
    354: NOT_SUBSCRIBED,
    502: START_TWS,
    504: START_TWS,
    1100: _CONNECTIVITY,
    1300: Remedy("the port of TWS was changed", "set ib.port to the new one"),
    2103: _farm("market data"),
    2105: _farm("historical data"),
    2110: _CONNECTIVITY,
    2157: _farm("contract details"),
    10089: NOT_SUBSCRIBED,
    10090: PARTLY_SUBSCRIBED,
    10091: PARTLY_SUBSCRIBED,
    10167: NOT_SUBSCRIBED,
    10168: NOT_SUBSCRIBED,
    10186: NOT_SUBSCRIBED,
    10197: _COMPETING,
}
"""Codes that concern more than one request."""

CURED_BY: dict[int, frozenset[int]] = {
    1100: frozenset({1101, 1102}),
    2103: frozenset({2104, 2108}),
    2105: frozenset({2106, 2107}),
    2110: frozenset({1101, 1102}),
    2157: frozenset({2158}),
}
"""Codes that say that a fault is over."""


def remedy(error: TomicError) -> Remedy:
    """What to do about *error*."""
    if isinstance(error, GatewayRefused) and error.error_code in BY_CODE:
        return BY_CODE[error.error_code]
    kinds: tuple[tuple[type[TomicError], Remedy], ...] = (
        (CompetingSession, _COMPETING),
        (ClientIdInUse, _IDS_TAKEN),
        (NoMarketData, NOT_SUBSCRIBED),
        (SessionLost, _LOST),
        (RequestTimeout, _NO_ANSWER),
        (MissingSpot, _NO_PRICE),
        (DataError, _NO_OPTIONS),
    )
    return next((fix for kind, fix in kinds if isinstance(error, kind)), _AGAIN)
