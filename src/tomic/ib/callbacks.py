"""
What ib_async's decoder calls: each message goes to the request or the line that asked for it.

``ib_async.Client`` takes any wrapper object with the callbacks of IB's EWrapper. Ours keeps one
entry per request id, so a late answer can never reach another request, a fresh subscription
never shows old values, and an error ends exactly what it belongs to.

Many codes of the gateway are advice, and TWS keeps adding some: data come all the same. So only
codes of which that is known end a line or a question at once; any other is a doubt, which the next
tick or part of the answer dispels, and which becomes the verdict when none comes.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import InitVar, dataclass, field
from typing import Any

import ib_async

from tomic import errors, outside
from tomic.ib.clocks import Farm
from tomic.ib.convert import Ticks
from tomic.masking import named_here

_log = logging.getLogger(__name__)

NOT_SUBSCRIBED = frozenset({354, 10089, 10168, 10186})
_MISSING_RIGHTS = ("not subscribed", "additional subscription", "no market data permissions")
"""How TWS says, with codes old and new, that an account may not have the data asked for."""
PARTLY_SUBSCRIBED = frozenset({10090, 10091})
_OTHER_LOGIN = "connected from a different ip address"
"""How TWS says, of bars with 162 and of ticks with 420, that another login holds the data."""
_TOO_OLD = ("upgraded", "desupported", "out of date")
"""How TWS says that it is too old, or will be soon, whatever the code (503, 2172)."""
NOTES = frozenset({300, 366, 2104, 2106, 2107, 2108, 2119, 2150, 2158, 2174, 10167})
"""Codes that end nothing."""
OF_THE_SESSION = frozenset({100, 101, 320, 502, 504, 505, 1100, 1101, 1102, 1300, 2110, 10197})
"""Codes that concern the whole session, whichever request they are said to."""
OF_NO_REQUEST = OF_THE_SESSION - {101, 320}
"""Those that say nothing about the request itself."""
NEVER_OPENED = frozenset({101, 102, 200, 300, 320, 321, 322})
"""Codes with which TWS says that it has no such line: they end it at once, and need no cancel."""
_ENDS_A_QUESTION = frozenset(
    {101, 102, 103, 162, 200, 201, 202, 203, 320, 321, 322, 354, 10147, 10148}
)
"""Codes after which no answer comes. Of an order, any other code is a warning (399, 404, 10349)."""

GRACE_S = 2.0
"""How long a tick, or a part of the answer, may take to follow an advisory code."""
_GREEKS_GRACE_S = 1.4
"""How long IB's model may take to follow a code about a part of the data: it comes within 1.2 s."""
_SHORT_GRACE_S = 0.5
"""What is left of that, at least, once it is known that nothing follows the code."""
_WHOLE_ANSWERS = frozenset({5, 17, 49, 52, 55, 62, 64, 76, 79, 96, 97, 98})
"""Messages without which no end comes: the whole of an answer, or its end."""
_OF_LINES = frozenset({1, 2, 21, 45, 46, 47, 57, 58, 81})
"""Messages of market data, which answer no question whatever id they name."""
MOST_PARTS = 10_000
"""Of an answer: all options of an expiry are a thousand, an account's week of trades as many."""
_LONGEST_TEXT = 1_000
"""Letters of what the gateway says; the longest known message has half of them."""
_CONFIRMED = 3
"""Lines that stayed without data after which a code is taken at its word sooner."""


def is_routine(code: int, text: str) -> bool:
    """Whether what TWS says with *code* of its own accord calls for nothing."""
    warns = any(words in text.lower() for words in _TOO_OLD)
    return (code in NOTES or 2100 <= code < 2200) and not warns


class Interrupted(Exception):
    """The request must be asked again: the gateway lost it, through no fault of its own."""


class Garbled(Interrupted):
    """Something that cannot be read at all arrived meanwhile, and may have been a part of it."""


@dataclass(slots=True, eq=False)
class Request:
    """
    One open question: parts arrive, then an end or an error.

    Attributes:
        patient: Whether an advisory code is only judged when the question's own time is over: the
            margins of an order take longer than the rest of any other answer.
        messages: Numbers of the messages that bring the answer, once the question has left.
        doubt: An advisory code, until a part of the answer shows that it ended nothing.
        spoiled: Why the answer cannot be whole any more, although parts of it still come.
    """

    req_id: int
    what: str
    on_part: Callable[[Any], None] | None = None
    farm: Farm | None = None
    patient: bool = False
    messages: frozenset[int] = frozenset()
    parts: list[Any] = field(default_factory=list)
    done: asyncio.Future[list[Any]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    sent_at: float | None = None
    doubt: errors.GatewayRefused | None = None
    spoiled: Exception | None = None
    _judging: asyncio.TimerHandle | None = None

    def part(self, item: Any) -> None:
        """Take one part of the answer; one that is longer than any can be fails."""
        self._dispel()
        if len(self.parts) >= MOST_PARTS:
            fault = f"it has more than {MOST_PARTS:,} parts"
            self.fail(errors.UnreadableAnswer(self.what, "the answer", fault))
            return
        self.parts.append(item)
        if self.on_part is not None:
            self.on_part(item)

    def end(self) -> None:
        """The answer is whole, unless a part of it could not be read."""
        self._dispel()
        if self.spoiled is not None:
            self.fail(self.spoiled)
        elif not self.done.done():
            self.done.set_result(self.parts)

    def fail(self, error: Exception) -> None:
        """The answer will not come."""
        self._dispel()
        if not self.done.done():
            self.done.set_exception(error)
            self.done.exception()  # nobody may be waiting any more

    def spoil(self, error: Exception) -> None:
        """A part was lost: the answer fails when it ends, and what can be read is still taken."""
        if self.spoiled is None or isinstance(self.spoiled, Garbled):
            self.spoiled = error

    def advise(self, error: errors.GatewayRefused) -> None:
        """Take a code that need not end anything; it does if nothing follows it."""
        self.doubt = error
        if not self.patient and self._judging is None:
            loop = asyncio.get_running_loop()
            self._judging = loop.call_later(GRACE_S, self._judge)

    @property
    def reason(self) -> Exception | None:
        """Why no whole answer came, as far as anything was said."""
        garbled = isinstance(self.spoiled, Garbled)
        return self.doubt if self.spoiled is None or garbled else self.spoiled

    def _judge(self) -> None:
        self._judging = None
        if self.doubt is not None:
            self.fail(self.doubt)

    def _dispel(self) -> None:
        self.doubt = None
        if self._judging is not None:
            self._judging.cancel()
            self._judging = None


@dataclass(slots=True, eq=False)
class MarketDataLine:
    """
    One market-data subscription and what it received.

    Attributes:
        ticked: Whether data came, and not only messages about them.
        doubt: An advisory code after which no tick has come yet.
        heard: Whether anything was said of it, be it after its end.
        parting: Nobody needs it any more, and its cancel waits for its turn: ticks still count.
        closed_at: When its cancel left, on the loop's clock.
        on_late_word: Called when the first that is said of it comes after its end.
    """

    req_id: int
    what: str
    right: InitVar[str] = ""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    ticks: Ticks = field(init=False)
    error: Exception | None = None
    no_greeks: bool = False
    sent_at: float | None = None
    ticked: bool = False
    doubt: errors.GatewayRefused | None = None
    heard: bool = False
    parting: bool = False
    gone: bool = False
    closed_at: float = math.inf
    on_late_word: Callable[[], None] = lambda: None
    greeks_doubted: int | None = None
    """The code that said that Greeks may be missing, until some come."""
    _judge: asyncio.TimerHandle | None = None
    _judge_greeks: asyncio.TimerHandle | None = None

    def __post_init__(self, right: str) -> None:
        self.ticks = Ticks(right=right, on_change=self.changed.set)

    @property
    def mute(self) -> bool:
        """Whether nothing at all was said about it: the gateway may never have heard of it."""
        return self.ticks.silent and self.doubt is None and self.error is None

    def leave(self) -> None:
        """Its cancel has left, or can no longer: nothing more counts."""
        self.gone = True
        self.changed.set()

    def fail(self, error: Exception) -> None:
        """The line is dead, or must be opened again."""
        self.dispel()
        self.error = error
        self.changed.set()

    def advise(
        self, error: errors.GatewayRefused, grace_s: float, judge: Callable[[], None]
    ) -> None:
        """
        Take a code after which data may come all the same; *judge* is called if none do.

        Of several, one about missing rights says most.
        """
        if not isinstance(self.doubt, errors.NoMarketData):
            self.doubt = error
        if self._judge is not None:
            self._judge.cancel()
        self._judge = asyncio.get_running_loop().call_later(grace_s, judge)
        self.changed.set()

    def raise_verdict(self) -> None:
        """
        Raise what ended the line, once nobody waits for it any longer.

        An advisory code counts as that when no tick has come; data that came are never given up.
        """
        if self.error is not None:
            raise self.error
        if self.doubt is not None and not self.ticked:
            raise self.doubt

    def doubt_greeks(self, code: int, grace_s: float, judge: Callable[[], None]) -> None:
        """Take a code after which Greeks may come all the same; *judge* is called if none do."""
        self.greeks_doubted = code
        if self._judge_greeks is not None:
            self._judge_greeks.cancel()
        self._judge_greeks = asyncio.get_running_loop().call_later(grace_s, judge)

    def drop_doubt(self) -> None:
        """A tick has come, or none has: the advisory code is judged."""
        self.doubt = None
        if self._judge is not None:
            self._judge.cancel()
            self._judge = None

    def trust_greeks(self) -> None:
        """Greeks have come."""
        self.greeks_doubted, self.no_greeks = None, False
        if self._judge_greeks is not None:
            self._judge_greeks.cancel()
            self._judge_greeks = None

    def dispel(self) -> None:
        """Nobody waits for any verdict any more."""
        self.drop_doubt()
        if self._judge_greeks is not None:
            self._judge_greeks.cancel()
            self._judge_greeks = None


class Advisories:
    """
    What this connection has learned of codes that may or may not end a line.

    While data have never followed a code, and several lines waited for them in vain, it is taken
    at its word sooner: of an account without rights nobody waits two seconds for each of hundreds
    of options. Sooner is twice the longest that this connection has taken to say anything.
    """

    def __init__(self) -> None:
        self._vain: Counter[int] = Counter()
        self._followed: set[int] = set()
        self._slowest_s = 0.0

    def grace_s(self, code: int) -> float:
        """Seconds for which a tick is waited for after *code*."""
        sure = code not in self._followed and self._vain[code] >= _CONFIRMED
        return min(GRACE_S, max(_SHORT_GRACE_S, 2.0 * self._slowest_s)) if sure else GRACE_S

    def hear(self, line: MarketDataLine) -> None:
        """Note how long the first that was said of *line* took."""
        if line.sent_at is not None and not line.ticked and line.doubt is None:
            waited_s = asyncio.get_running_loop().time() - line.sent_at
            self._slowest_s = max(self._slowest_s, waited_s)

    def confirm(self, code: int) -> None:
        """No tick followed *code*."""
        self._vain[code] += 1

    def disprove(self, code: int) -> None:
        """A tick followed *code*."""
        self._followed.add(code)

    def forget(self) -> None:
        """Other data are asked for from now on."""
        self._vain.clear()
        self._followed.clear()


def refusal(what: str, code: int, text: str) -> errors.GatewayRefused:
    """The exception for an error code of the gateway."""
    if code == 200:
        return errors.UnknownContract(what, code, text)
    lacking = any(words in text.lower() for words in _MISSING_RIGHTS)
    if code in NOT_SUBSCRIBED or code in PARTLY_SUBSCRIBED or (code >= 10000 and lacking):
        return errors.NoMarketData(what, code, text)
    if code == 162 and lacking:
        return errors.NoMarketData(
            what,
            code,
            text,
            hint=f"{what}: refused by the gateway with 162: {text}; subscribe to that exchange in "
            "Client Portal > Settings > Market Data Subscriptions",
        )
    if _OTHER_LOGIN in text.lower():
        return errors.GatewayRefused(
            what,
            code,
            text,
            hint=f"{what}: refused by the gateway with {code}: {text}; log out of Client Portal, "
            "the phone and any other TWS of this user, and switch off a VPN, then run again",
        )
    if code == 100 or (code == 162 and "pacing" in text.lower()):
        return errors.PacingViolation(what, code, text)
    return errors.GatewayRefused(what, code, text)


class LoginFacts:
    """What ib_async's decoder asks of its ``wrapper.ib``."""

    TimezoneTWS = ""
    """Name of the login's zone in the tz database; empty while it is not known."""


class _NotAsked:
    """Callbacks for what no question of ours brings; TWS may send some of it all the same."""

    def ignore(self, *_: Any) -> None:
        """Take the message without a word."""

    connectAck = bondContractDetails = ignore
    updateAccountValue = updateAccountTime = updatePortfolio = accountDownloadEnd = ignore
    positionMulti = positionMultiEnd = accountUpdateMulti = accountUpdateMultiEnd = ignore
    pnl = pnlSingle = nextValidId = receiveFA = replaceFAEnd = familyCodes = userInfo = ignore
    orderStatus = openOrderEnd = completedOrder = completedOrdersEnd = orderBound = ignore
    updateMktDepth = updateMktDepthL2 = mktDepthExchanges = smartComponents = ignore
    tickEFP = tickSnapshotEnd = tickNews = deltaNeutralValidation = ignore
    tickByTickAllLast = tickByTickBidAsk = tickByTickMidPoint = realtimeBar = ignore
    historicalDataUpdate = historicalSchedule = headTimestamp = histogramData = ignore
    rerouteMktDataReq = rerouteMktDepthReq = marketRule = softDollarTiers = ignore
    scannerParameters = scannerData = scannerDataEnd = fundamentalData = ignore
    updateNewsBulletin = newsProviders = newsArticle = historicalNews = historicalNewsEnd = ignore
    wshMetaData = wshEventData = displayGroupList = displayGroupUpdated = ignore
    verifyMessageAPI = verifyCompleted = verifyAndAuthMessageAPI = verifyAndAuthCompleted = ignore

    def is_asked(self, name: str) -> bool:
        """Whether the callback of that name does anything, so that its message is worth reading."""
        method = getattr(self, name, None)
        return getattr(method, "__func__", method) is not _NotAsked.ignore


def _taking(take: Callable[..., None]) -> Callable[..., None]:
    """The callback that hands a tick to the ticks of its line."""

    def callback(self: Callbacks, req_id: int, *tick: Any) -> None:
        if (line := self._ticking(req_id)) is not None:
            take(line.ticks, *tick)

    return callback


class Callbacks(_NotAsked):
    """
    The wrapper of one connection.

    Args:
        on_error: Called with (code, text) for every message that belongs to no single request,
            and for those that concern the session as well.
        on_packet: Called after the messages of each packet were handled.
    """

    defaultTimezone = dt.UTC
    """In which ib_async's decoder gives times."""

    def __init__(self, on_error: Callable[[int, str], None], on_packet: Callable[[], None]) -> None:
        self._on_error, self._on_packet = on_error, on_packet
        self.on_unreadable: Callable[[str, str], None] = lambda name, fault: None
        """Called with name and fault of every message that could not be decoded."""
        self.ib = LoginFacts()
        self.login_zone: dt.tzinfo | None = None
        """Of times that TWS sends without a zone; None while it is not known."""
        self.requests: dict[int, Request] = {}
        self.named: dict[str, Request] = {}
        self.time_requests: list[Request] = []
        self.lines: dict[int, MarketDataLine] = {}
        self.closed_lines: dict[int, MarketDataLine] = {}
        """Those whose cancel has left, by their id."""
        self.advisories = Advisories()
        self.commissions: dict[str, ib_async.CommissionReport] = {}
        """The last report on each execution, by its id: they carry no request id."""
        self.unreadable: Counter[str] = Counter()
        """Messages that could not be decoded, by their name."""
        self.is_serving: Callable[[], bool] = lambda: True
        """Whether market data can come now; no line is judged while they cannot."""
        self.on_late_tick: Callable[[MarketDataLine], None] = lambda line: None
        self.on_first_word: Callable[[float], None] = lambda sent_at: None
        """Told when the line left of which something is said for the first time."""
        self.on_reply: Callable[[float], None] = lambda sent_at: None
        """Told when the question left to which a part of the answer comes."""
        self.on_time: Callable[[], None] = lambda: None
        self.on_close: Callable[[], None] = lambda: None
        self.accounts: tuple[str, ...] = ()

    # -- the connection ------------------------------------------------------------------

    def tcpDataArrived(self) -> None:
        """Bytes came in; whether they hold a message is seen afterwards."""

    def tcpDataProcessed(self) -> None:
        """All messages of a packet are handled."""
        self._on_packet()

    def managedAccounts(self, accounts: str) -> None:
        """The accounts of this login, joined by commas."""
        self.accounts = tuple(name for name in accounts.split(",") if name)
        named_here.learn(self.accounts)

    def setEventsDone(self) -> None:
        """ib_async's client is about to report a closed socket."""

    def connectionClosed(self) -> None:
        """The socket went away."""
        self.on_close()

    def fail_all(self, error: Exception) -> None:
        """End every open request and line with *error*."""
        for request in self._open():
            request.fail(error)
        for line in list(self.lines.values()):
            line.fail(error)

    def error(self, req_id: int, code: int, text: str, _advanced: str = "") -> None:
        """An error, a warning or a note of the gateway."""
        text = outside.line(text, _LONGEST_TEXT)
        _log.debug("gateway says %s (request %s): %s", code, req_id, text)
        line, request = self.lines.get(req_id), self.requests.get(req_id)
        # An id that is not known any more is that of a question which has ended.
        unasked = line is None and request is None and req_id <= 0
        if line is not None:
            self._hear(line)
            line = None if line.parting else line
        if line is not None and code in NEVER_OPENED:
            line.fail(refusal(line.what, code, text))
        elif code not in NOTES and code not in OF_NO_REQUEST and not 2100 <= code < 2200:
            self._refuse(line, request, code, text)
        if unasked or code in OF_THE_SESSION:
            self._on_error(code, text)

    def _refuse(
        self, line: MarketDataLine | None, request: Request | None, code: int, text: str
    ) -> None:
        if line is not None and code in PARTLY_SUBSCRIBED:
            self._doubt_greeks(line, code)
        elif line is not None:
            self.advisories.hear(line)
            error, grace_s = refusal(line.what, code, text), self.advisories.grace_s(code)
            line.advise(error, grace_s, lambda: self._judge(line))
        elif request is not None:
            error = refusal(request.what, code, text)
            # 321 is only a "warning" to ib_async, and would leave the request open for ever.
            if code in _ENDS_A_QUESTION or code in NOT_SUBSCRIBED:
                request.fail(error)
            else:
                request.advise(error)

    def _doubt_greeks(self, line: MarketDataLine, code: int) -> None:
        """Quotes flow; the model may come all the same, or have come already."""
        if line.ticks.model is None or not line.ticks.model.complete:
            grace_s = min(self.advisories.grace_s(code), _GREEKS_GRACE_S)
            line.doubt_greeks(code, grace_s, lambda: self._judge_greeks(line, code))

    def _judge_greeks(self, line: MarketDataLine, code: int) -> None:
        """No model has followed the code: this line will have none."""
        if not self.is_serving():
            line.doubt_greeks(code, GRACE_S, lambda: self._judge_greeks(line, code))
            return
        self.advisories.confirm(code)
        line.no_greeks = True
        line.changed.set()

    def _judge(self, line: MarketDataLine) -> None:
        """No tick has followed the advisory code: it was the verdict on a line without data."""
        error = line.doubt
        line.drop_doubt()
        if error is None or line.error is not None:
            return
        if not self.is_serving():
            line.advise(error, GRACE_S, lambda: self._judge(line))
        elif not line.ticked:
            self.advisories.confirm(error.error_code)
            line.fail(error)

    def settle_doubts(self) -> None:
        """Lines that wait for data after an advisory code wait no longer: other data are asked."""
        for line in list(self.lines.values()):
            if line.doubt is not None and not line.ticked and not line.parting:
                line.fail(line.doubt)
        self.advisories.forget()

    # -- what could not be decoded -------------------------------------------------------

    def cannot_read(self, kind: int, req_id: int | None, name: str, fault: str) -> None:
        """
        Fail what a message belonged to: by its request id, else every question of its kind.

        A line goes on, because another tick comes. A message of which not even the kind can be
        read may have been a part of any answer, so every open question is asked again.
        """
        for account in self.accounts:
            # A field that is out of its place may be anything.
            fault = fault.replace(account, "***")
        self.unreadable[name] += 1
        _log.info("cannot read a message (%s): %s", name, fault)
        for request in self._owners(kind, req_id):
            if kind < 0:
                # An answer of one message is whole when it comes at all.
                if not request.messages or not request.messages <= _WHOLE_ANSWERS:
                    request.spoil(Garbled())
                continue
            unreadable = errors.UnreadableAnswer(request.what, name, fault)
            if kind in _WHOLE_ANSWERS:
                request.fail(unreadable)
            else:
                request.spoil(unreadable)
        self.on_unreadable(name, fault)

    def _owners(self, kind: int, req_id: int | None) -> Iterator[Request]:
        if req_id in self.lines or kind in _OF_LINES:
            return
        if req_id in self.requests:
            yield self.requests[req_id]
            return
        for request in self._open():
            # An id that nobody waits for is that of a question which has ended.
            if kind < 0 or (req_id is None and kind in request.messages):
                yield request

    def _open(self) -> list[Request]:
        return [*self.requests.values(), *self.named.values(), *self.time_requests]

    # -- answers to requests -------------------------------------------------------------

    def _part(self, req_id: int, *item: Any) -> None:
        """One part of an answer: a bar, a contract, or the fields of a row together."""
        if (request := self.requests.get(req_id)) is not None:
            self._reply(request)
            request.part(item[0] if len(item) == 1 else item)

    def _end(self, req_id: int, *_: Any) -> None:
        """The answer is complete."""
        if (request := self.requests.get(req_id)) is not None:
            self._reply(request)
            request.end()

    def _reply(self, request: Request) -> None:
        if request.sent_at is not None:
            self.on_reply(request.sent_at)

    contractDetails = historicalData = accountSummary = execDetails = _part
    contractDetailsEnd = historicalDataEnd = accountSummaryEnd = execDetailsEnd = _end
    securityDefinitionOptionParameterEnd = _end

    def securityDefinitionOptionParameter(self, req_id: int, *fields: Any) -> None:
        """Option parameters of one exchange and trading class."""
        self._part(req_id, ib_async.OptionChain(*fields))

    def currentTime(self, seconds: int) -> None:
        """The gateway's clock, epoch seconds."""
        self.on_time()
        waiting, self.time_requests = self.time_requests, []
        for request in waiting:
            request.part(seconds)
            request.end()

    def position(self, *row: Any) -> None:
        """One position: account, contract, quantity and average cost."""
        if "positions" in self.named:
            self.named["positions"].part(row)

    def positionEnd(self) -> None:
        """All positions have come."""
        if "positions" in self.named:
            self.named["positions"].end()

    def openOrder(
        self,
        order_id: int,
        contract: ib_async.Contract,
        order: ib_async.Order,
        state: ib_async.OrderState,
    ) -> None:
        """The answer to a what-if; IB sends it twice, the first without margins."""
        if order.whatIf and order_id in self.requests and _has_margins(state):
            self._part(order_id, state)
            self._end(order_id)

    def commissionReport(self, report: ib_async.CommissionReport) -> None:
        """What one execution cost; it comes before the execution, or seconds after it."""
        self.commissions[report.execId] = report

    def historicalTicks(self, req_id: int, ticks: list[Any], done: bool) -> None:
        """Ticks of the past, a thousand at a time."""
        for tick in ticks:
            self._part(req_id, tick)
        if done:
            self._end(req_id)

    historicalTicksBidAsk = historicalTicksLast = historicalTicks

    def symbolSamples(self, req_id: int, descriptions: list[ib_async.ContractDescription]) -> None:
        """Symbols that resemble the one asked for."""
        for description in descriptions:
            self._part(req_id, description)
        self._end(req_id)

    # -- ticks ---------------------------------------------------------------------------

    priceSizeTick = _taking(Ticks.price)
    tickSize = _taking(Ticks.size)
    tickGeneric = _taking(Ticks.generic)
    tickString = _taking(Ticks.text)

    def tickOptionComputation(
        self,
        req_id: int,
        tick_type: int,
        _attribute: int,
        iv: float,
        delta: float,
        _price: float,
        _pv_dividend: float,
        gamma: float,
        vega: float,
        theta: float,
        underlying: float,
    ) -> None:
        """IV and Greeks."""
        if (line := self._ticking(req_id)) is not None:
            line.ticks.computation(tick_type, iv, delta, gamma, vega, theta, underlying)
            model = line.ticks.model
            if line.greeks_doubted is not None and model is not None and model.complete:
                self.advisories.disprove(line.greeks_doubted)
                line.trust_greeks()

    def marketDataType(self, req_id: int, kind: int) -> None:
        """The data type of this line."""
        if (line := self._line(req_id)) is not None:
            line.ticks.kind(kind)

    def tickReqParams(self, req_id: int, _tick: float, _exchanges: str, _rights: int) -> None:
        """The line is served."""
        if (line := self._line(req_id)) is not None:
            line.ticks.alive()

    def _ticking(self, req_id: int) -> MarketDataLine | None:
        """The line of a tick, which shows that no advisory code ended it."""
        if (line := self._line(req_id)) is not None:
            self.advisories.hear(line)
            line.ticked = True
            if line.doubt is not None:
                self.advisories.disprove(line.doubt.error_code)
                line.drop_doubt()
        return line

    def _line(self, req_id: int) -> MarketDataLine | None:
        line = self.lines.get(req_id)
        if line is not None:
            self._hear(line)
        elif (closed := self.closed_lines.get(req_id)) is not None:
            self._hear(closed)
            self.on_late_tick(closed)
        return line

    def _hear(self, line: MarketDataLine) -> None:
        """Note that something is said of *line*."""
        if not line.heard and line.sent_at is not None:
            line.heard = True
            if line.parting:
                line.on_late_word()
            self.on_first_word(line.sent_at)


def _has_margins(state: ib_async.OrderState) -> bool:
    """Whether TWS has computed the margin: until then it is empty, or the largest number."""
    try:
        return abs(float(state.initMarginChange)) < 1e300
    except (TypeError, ValueError):
        return False
