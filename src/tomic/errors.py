"""
Every error TOMIC raises, with the exit code its command ends with.

    TomicError [1]
     ├ ConfigError [2]            file, table, key
     ├ UsageError [2]             an option or argument that cannot be right
     ├ InvalidSymbol [2]
     ├ SessionError [4]
     │  ├ GatewayUnreachable      nothing listens, or it never says it is ready
     │  │  └ IncompatibleVersion  it speaks no version of the protocol that is known here
     │  ├ ClientIdInUse
     │  ├ CompetingSession
     │  └ SessionLost
     ├ RequestFailed [5]
     │  ├ RequestTimeout [6]
     │  ├ DeadlineExceeded [6]
     │  ├ UnreadableAnswer        a message of the answer makes no sense
     │  └ GatewayRefused          code and text of the gateway
     │     ├ UnknownContract
     │     ├ NoMarketData
     │     └ PacingViolation
     ├ FlexError [5]
     │  ├ FlexRefused             token, account or query: somebody has to act
     │  └ FlexUnavailable [6]     no report yet; the same command may give it later
     ├ DataError [5]
     │  ├ EmptyChain
     │  │  └ EmptyWindow          options are listed, none where a strategy looks
     │  ├ MarketClosed            and only live data are wanted
     │  ├ MissingSpot
     │  └ BadFile
     └ StoreError [1]
        ├ SchemaTooNew
        └ StoreBusy [7]

Messages are lower case, without full stop, facts first and the remedy last.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import ClassVar

__all__ = [
    "BadFile",
    "ClientIdInUse",
    "CompetingSession",
    "ConfigError",
    "DataError",
    "DeadlineExceeded",
    "EmptyChain",
    "EmptyWindow",
    "FlexError",
    "FlexRefused",
    "FlexUnavailable",
    "GatewayRefused",
    "GatewayUnreachable",
    "IncompatibleVersion",
    "InvalidSymbol",
    "MarketClosed",
    "MissingSpot",
    "NoMarketData",
    "PacingViolation",
    "RequestFailed",
    "RequestTimeout",
    "SchemaTooNew",
    "SessionError",
    "SessionLost",
    "StoreBusy",
    "StoreError",
    "TomicError",
    "UnknownContract",
    "UnreadableAnswer",
    "UsageError",
]


class TomicError(Exception):
    """Base of everything TOMIC raises on purpose."""

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "tomic"
    """Machine-readable name, printed with ``--json``."""
    retryable: ClassVar[bool] = False


class ConfigError(TomicError):
    """A configuration file or environment variable cannot be used."""

    exit_code = 2
    code = "config"

    def __init__(self, message: str, *, file: str = "", key: str = "") -> None:
        super().__init__(message)
        self.file, self.key = file, key


class UsageError(TomicError):
    """An option or argument cannot be right, whatever the market says."""

    exit_code = 2
    code = "usage"


class InvalidSymbol(TomicError):
    """The text is not a ticker symbol."""

    exit_code = 2
    code = "invalid_symbol"


class SessionError(TomicError):
    """The connection to the gateway cannot be made or kept."""

    exit_code = 4
    code = "ib.session"
    retryable = True


class GatewayUnreachable(SessionError):
    """Nothing answers at host and port, or it never says that it is ready."""

    code = "ib.unreachable"


class IncompatibleVersion(GatewayUnreachable):
    """The gateway speaks no version of the protocol that is known here; one of the two is old."""

    code = "ib.version"
    retryable = False


class ClientIdInUse(SessionError):
    """Every client id that may be used is taken."""

    code = "ib.client_id_in_use"


class CompetingSession(SessionError):
    """Another login of the same user holds the market data."""

    code = "ib.competing_session"


class SessionLost(SessionError):
    """The connection went away while requests were open."""

    code = "ib.lost"


class RequestFailed(TomicError):
    """One request did not give what it was sent for."""

    exit_code = 5
    code = "ib.request"


class RequestTimeout(RequestFailed):
    """The gateway did not answer in time."""

    exit_code = 6
    code = "ib.timeout"
    retryable = True

    def __init__(self, what: str, timeout_s: float, *, hint: str = "") -> None:
        more = f"; {hint}" if hint else ""
        super().__init__(f"{what}: no answer within {timeout_s:g} s{more}")
        self.what, self.timeout_s = what, timeout_s


class DeadlineExceeded(RequestFailed):
    """The command's own deadline passed before this request was answered."""

    exit_code = 6
    code = "deadline"
    retryable = True


class UnreadableAnswer(RequestFailed):
    """A message of the answer could not be read, so the answer is not whole."""

    code = "ib.unreadable"

    def __init__(self, what: str, message: str, fault: str) -> None:
        super().__init__(f"{what}: the gateway's answer cannot be read: {message}: {fault}")
        self.what, self.message = what, message


class GatewayRefused(RequestFailed):
    """The gateway answered with an error code."""

    code = "ib.refused"

    def __init__(self, what: str, error_code: int, text: str, *, hint: str = "") -> None:
        super().__init__(hint or f"{what}: refused by the gateway with {error_code}: {text}")
        self.what, self.error_code, self.text = what, error_code, text


class UnknownContract(GatewayRefused):
    """No such contract (200)."""

    code = "ib.unknown_contract"


class NoMarketData(GatewayRefused):
    """The account is not subscribed to these data (354, 10089, 10168, 10186)."""

    code = "ib.not_subscribed"


class PacingViolation(GatewayRefused):
    """The gateway says that we asked too fast (100, 162 pacing)."""

    code = "ib.pacing"
    retryable = True


class FlexError(TomicError):
    """The Flex Web Service of Interactive Brokers gave no report."""

    exit_code = 5
    code = "flex"

    def __init__(self, message: str, *, error_code: int | None = None) -> None:
        super().__init__(message)
        self.error_code = error_code


class FlexRefused(FlexError):
    """The service does not take the token, the account or the query."""

    code = "flex.refused"


class FlexUnavailable(FlexError):
    """The service had no report within the time given, or could not be reached."""

    exit_code = 6
    code = "flex.unavailable"
    retryable = True


class DataError(TomicError):
    """What arrived cannot be used."""

    exit_code = 5
    code = "data"


class EmptyChain(DataError):
    """No expiry or strike is left inside the window asked for."""

    code = "data.empty_chain"


class EmptyWindow(EmptyChain):
    """Options are listed, but none with the days or strikes that a strategy takes."""

    code = "data.empty_window"


class MarketClosed(DataError):
    """Only live data are wanted, and the underlying does not trade now."""

    code = "data.market_closed"


class MissingSpot(DataError):
    """No source gave a price of the underlying."""

    code = "data.missing_spot"


class BadFile(DataError):
    """A file is missing, or is not what its name says."""

    code = "data.bad_file"


class StoreError(TomicError):
    """The store cannot be used."""

    code = "store"


class SchemaTooNew(StoreError):
    """The store was written by a newer version of TOMIC."""

    code = "store.schema_too_new"


class StoreBusy(StoreError):
    """Another run holds the store."""

    exit_code = 7
    code = "store.busy"
    retryable = True


@contextlib.contextmanager
def ungrouped() -> Iterator[None]:
    """
    Raise the first error of tasks that ran together as it is, where all of theirs are ours.

    A group with a mistake of the program in it is raised whole.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        # Not `except*`: Python 3.11.2, Debian's, wraps what is raised inside it in a group again.
        expected, bugs = group.split(TomicError)
        if expected is None or bugs is not None:
            raise
        raise next(leaves(expected)) from None


def leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """The errors of a group of groups, first ones first."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error
