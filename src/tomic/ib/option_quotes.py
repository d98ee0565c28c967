"""
Quotes of options: of each until its numbers are complete, of many as fast as IB allows.

A line has said enough when bid, ask, IV, Greeks, volume and open interest are there; one that is
silent longer than usual was forgotten, and is asked for again on a second line beside it. Of many
options, those wait for a line that are farthest down the list, and the pipe is kept busy while the
gateway is slow with their details. What a lost connection leaves unfinished goes on over a new one.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import ib_async

from tomic import errors
from tomic.config import ChainSettings
from tomic.ib import contracts, convert
from tomic.ib.callbacks import Interrupted, MarketDataLine
from tomic.ib.clocks import Farm, StoppableClock
from tomic.ib.convert import Ticks
from tomic.ib.fan_out import Outcome
from tomic.ib.lines import NO_LINE, NO_LINE_PAUSE_S, LineRequest
from tomic.ib.pacing import Priority
from tomic.ib.session import CUT_OFF, Session
from tomic.models import DataType, OptionParams, OptionQuote, QuoteSource, RowStatus, Underlying
from tomic.selection import Wanted

OPTION_TICKS = "100,101,106"
_EXTRAS_S = 0.6
"""Grace for volume and open interest once quotes and Greeks are there, where few options have
them."""
_EXTRAS = frozenset({"open_interest", "volume"})
_EXTRAS_MOST_S = 1.5
"""The same where they are to be expected."""
_MOSTLY, _DOUBTFUL = 4, 3
"""So many times more options must have them than lack them, a few that lack them left aside."""
_BURST_S = 0.06
"""Grace for the last trade and the close, which may follow in the same burst of messages."""
_HOPELESS, _GREEKS_S = 20, 1.3
"""After so many options without Greeks they are waited for no longer than they usually take."""
_LATE_ENOUGH = 3
"""After so many lines that spoke although they had been asked for again, they are given time."""
_LAST_MESSAGES = 12
"""A quarter of a second of messages."""
_LOOK_S = 0.05
"""How often to re-check whether waiting still pays, and what other lines have shown."""
_DIRECT = 64
"""Options of the first expiry that are subscribed by description, without waiting for their
details. The gateway answers open details requests one at a time, in 0.5 to 1.4 s each; asking
those of the first expiry last keeps them ahead of the subscriptions all the way. The nearest
expiry lists nearly every strike, so few of these are refused."""
_BORED_S, _AT_ONCE = 0.5, 24
"""After so many seconds without anything to send, so many more options are subscribed in that way:
half a second of messages."""
_PASSES = 2
"""How often what timed out is asked for again, once all others are done."""
_IDS_S = 3.0
"""How long the ids of an expiry that is quoted already are waited for at the end."""

Item = TypeVar("Item")


@dataclass(slots=True)
class Patience:
    """
    How long silence is normal on this session, and whether waiting costs anybody anything.

    A served line speaks within some 50 ms. After five times what nine in ten lines needed, but
    never under 0.6 s, a line without any message is taken for forgotten. Where some lines of the
    run did speak later than that, the last ones are given as long as the latest needed.

    All of that is the gateway's time: how long the link takes to bring an answer is left out, see
    `fence`, and silence only counts once everything said meanwhile has been read.
    """

    silent_s: float
    cap_s: float = 3.0
    latest_s: float = 0.0
    without_greeks: int = 0
    """Options whose Greeks were waited for in vain since the last that had some."""
    too_early: int = 0
    """Lines that spoke after they had been given up."""
    with_extras: int = 0
    without_extras: int = 0
    """Options for which volume and open interest came, and did not come while they were awaited."""
    parting: dict[int, tuple[OptionQuote, MarketDataLine]] = field(default_factory=dict)
    """Rows without volume or open interest, which may come while the cancel waits; by identity."""
    _first: deque[float] = field(default_factory=lambda: deque(maxlen=200))
    _late: int = 0
    _forgotten: int = 0

    @property
    def expects_no_greeks(self) -> bool:
        """Whether so many options in a row had none that the next will hardly have any."""
        return self.without_greeks >= _HOPELESS

    def learn(self, seconds: float) -> None:
        """Note how long a line was silent before its first message."""
        self._first.append(seconds)
        self.latest_s = max(self.latest_s, seconds)

    def learn_too_late(self, seconds: float) -> None:
        """Note how long a line was silent that had been given up."""
        self.learn(seconds)
        self.too_early += 1

    def note_second(self, *, spoke: bool) -> None:
        """Note which of two lines for one option spoke: the second, or the first after all."""
        if spoke:
            self._forgotten += 1
        else:
            self._late += 1

    def note_greeks(self, line: MarketDataLine) -> None:
        """Note whether a line that was quoted had Greeks."""
        if line.ticks.mid is not None and not line.no_greeks:
            self.without_greeks = 0 if _is_modelled(line) else self.without_greeks + 1

    def note_extras(self, line: MarketDataLine) -> None:
        """Note whether volume and open interest of a line that was quoted came."""
        if line.ticks.answered >= _EXTRAS:
            self.with_extras += 1
        elif line.ticks.mid is not None:
            self.without_extras += 1

    def part(self, row: OptionQuote, line: MarketDataLine) -> None:
        """Keep *line* in mind if *row* lacks what others have, and may get it yet."""
        if self.with_extras > 0 and row.bid is not None and not line.ticks.answered >= _EXTRAS:
            self.parting[id(row)] = row, line

    @property
    def extras_s(self) -> float:
        """Grace for volume and open interest: shorter once it has shown that they do not come."""
        come = self.with_extras >= _MOSTLY * (self.without_extras - _DOUBTFUL)
        return _EXTRAS_MOST_S if come else _EXTRAS_S

    @property
    def seconds(self) -> float:
        """Silence after which to ask again: longer once that has shown to be of no use."""
        if self._late >= _LATE_ENOUGH and not self._forgotten:
            return min(max(self._usual_s, 1.1 * self.latest_s), self.cap_s)
        return self._usual_s

    @property
    def _usual_s(self) -> float:
        if len(self._first) < 20:
            return self.silent_s
        slow = sorted(self._first)[int(0.9 * (len(self._first) - 1))]
        return min(max(0.6, 5.0 * slow), self.cap_s)

    @property
    def last_s(self) -> float:
        """Silence since the first attempt after which nothing more is expected."""
        return min(max(2.0 * self._usual_s, 1.1 * self.latest_s), self.cap_s)


@dataclass(frozen=True, slots=True)
class Waiting:
    """The waiting for one option's lines."""

    session: Session
    rules: ChainSettings
    patience: Patience

    @property
    def clock(self) -> StoppableClock:
        """The clock that stands still while nothing can be served."""
        return self.session.clocks[Farm.MARKET]

    async def patiently(
        self, line: MarketDataLine, request: LineRequest, retries: int
    ) -> MarketDataLine | None:
        """
        Wait on *line*, and on a second one beside it when it stays silent; return the better one.

        None when there is no room for a second line: then this one has to give way to it.
        """
        session, since = self.session, self.clock.now()
        line.on_late_word = partial(self._learn_too_late, line)
        if await self.first_words(line, since):
            return await self.all_words(line, since)
        gate = session.limits.second_lines
        for _ in range(retries):
            if gate.full:
                return None
            async with session.line(request.beside(), gate=gate) as second:
                session.retried += 1
                second.on_late_word = partial(self._learn_too_late, second)
                speaker = await self.last_words([line, second], since)
                if speaker is not None:
                    self.patience.note_second(spoke=speaker is second)
                    return await self.all_words(speaker, self.clock.now())
        if retries <= 0 and await self.last_words([line], since) is not None:
            return await self.all_words(line, self.clock.now())
        return line

    async def first_words(self, line: MarketDataLine, since: float) -> bool:
        """Whether *line*, open *since*, speaks in the usual time, or something is said of it."""
        while line.mute:
            line.changed.clear()
            until = since + self.patience.seconds
            if not await self._hears(line.changed, until) and line.mute:
                return False
        self._learn(line)
        return True

    async def _hears(self, event: asyncio.Event, until: float) -> bool:
        """
        Wait for *event*; False once all was read that had been said when the clock showed *until*.

        On a quick link that needs no proof: a mistake costs no more than asking once more.
        """
        if await self.clock.wait_for(event, until):
            return True
        if self.session.quick:
            return False
        return await self.session.hears(event, self.clock.now() - until)

    def _silent_s(self, line: MarketDataLine) -> float:
        """How long the gateway has let *line* wait, without the time of the link."""
        now, sent_at = asyncio.get_running_loop().time(), line.sent_at or 0.0
        return max(self.session.read_up_to - sent_at, now - sent_at - self.session.lag_s, 0.0)

    def _learn(self, line: MarketDataLine) -> None:
        if not line.ticks.silent:
            self.patience.learn(self._silent_s(line))

    def _learn_too_late(self, line: MarketDataLine) -> None:
        self.patience.learn_too_late(self._silent_s(line))

    async def last_words(
        self, lines: Sequence[MarketDataLine], since: float
    ) -> MarketDataLine | None:
        """
        The one of *lines* that speaks first; None when nothing more is expected of any.

        While other options wait to be asked, or cancels wait to be sent, waiting longer costs
        nobody anything, so it goes on up to the quote timeout.

        Raises:
            SessionLost: It is the whole connection that is silent.
        """
        either, asked_again = asyncio.Event(), self.clock.now()
        for line in lines:
            line.changed = either
            line.ticks.on_change = either.set
        while True:
            for line in lines:
                if not line.mute:
                    if line is lines[0]:
                        self._learn(line)
                    return line
            either.clear()
            if self._is_over(since, asked_again):
                overdue_s = self.clock.now() - asked_again - self.patience.seconds
                heard = await self.session.hears(either, max(overdue_s, 0.0))
                over = self._is_over(since, asked_again)
                if not heard and over and all(line.mute for line in lines):
                    return None
                continue
            await self.clock.wait_for(either, self.clock.now() + _LOOK_S)

    def _is_over(self, since: float, asked_again: float) -> bool:
        now, patience = self.clock.now(), self.patience
        limits = self.session.limits
        # Given up while some messages still wait, their own cancels follow those without a gap.
        others_wait = limits.lines.coming > 0 or limits.pacer.waiting > _LAST_MESSAGES
        usual = max(since + patience.last_s, asked_again + patience.seconds)
        most = asked_again + self.rules.quote_timeout_s
        return now >= (most if others_wait else min(usual, most))

    async def all_words(self, line: MarketDataLine, since: float) -> MarketDataLine:
        """
        Wait until the ticks of *line* are complete, or waiting longer has no point; return it.

        Raises:
            What ended the line, or what the gateway said of one that had no tick until the end.
        """
        ticks, patience_s = line.ticks, self.rules.quote_timeout_s
        if self.patience.expects_no_greeks:
            patience_s = min(patience_s, _GREEKS_S)
        until = since + patience_s
        modelled_at: float | None = None
        burst_until: float | None = None
        while line.error is None:
            limit = until
            if ticks.quoted and (line.no_greeks or ticks.model is not None):
                modelled_at = modelled_at or self.clock.now()
                limit = min(modelled_at + self.patience.extras_s, until)
                if ticks.answered >= _EXTRAS and _is_modelled(line):
                    if {"last", "close"} <= ticks.answered:
                        break
                    burst_until = burst_until or min(self.clock.now() + _BURST_S, until)
                    limit = burst_until
            elif ticks.quoted and ticks.bid is None and ticks.ask is None:
                # There is no quote to go with the Greeks, which then rarely come.
                limit = until = min(until, self.clock.now() + _GREEKS_S)
            line.changed.clear()
            if line.doubt is not None and not line.ticked:
                limit = since + self.rules.quote_timeout_s
            if not await self._hears(line.changed, limit):
                break
        line.raise_verdict()
        self.patience.note_greeks(line)
        self.patience.note_extras(line)
        return line


def _is_modelled(line: MarketDataLine) -> bool:
    return line.no_greeks or (line.ticks.model is not None and line.ticks.model.complete)


# -- one option ----------------------------------------------------------------------------


async def option_quote(
    session: Session,
    what: str,
    contract: ib_async.Contract,
    pair: Wanted,
    rules: ChainSettings,
    patience: Patience,
    on_asked: Callable[[], None] = lambda: None,
    rank: int = 0,
) -> OptionQuote:
    """
    One row for one option: subscribe, wait for what is needed, always cancel.

    *on_asked* is called once, when the option has been asked for; of several options that wait
    for a line, those of the lowest *rank* go first.

    Wanted are bid, ask, and IV and Greeks of IB's model, then volume and open interest for a
    short grace. A line that stays totally silent is asked once more with a fresh id; whichever
    of the two speaks first counts. Data that the account may not have live are asked delayed.

    Raises:
        UnknownContract: IB says 200.
        GatewayRefused: Any other refusal.
        SessionLost: The connection went away.
    """
    waiting, con_id = Waiting(session, rules, patience), contract.conId or None
    request = LineRequest(what, contract, OPTION_TICKS, rank=rank)
    attempts = 0
    while True:
        asked_as = session.data_type
        try:
            async with session.line(request) as line:
                if request.priority is Priority.SUBSCRIBE:
                    on_asked()
                    request = request.once_more()
                speaker = await waiting.patiently(line, request, rules.retries - attempts)
                if speaker is not None:
                    session.refuse_delayed(what, speaker.ticks.data_type)
                    _note_missing_greeks(session, patience)
                    session.rights.served += _is_served(speaker.ticks)
            if speaker is not None:
                row = _row(session, pair, speaker.ticks, con_id)
                patience.part(row, speaker)
                return row
            attempts += 1
            session.retried += 1
        except Interrupted:
            continue
        except errors.NoMarketData as exc:
            if not await _falls_back(session, exc, asked_as, rules.quote_timeout_s):
                return unfinished(pair, exc, con_id=con_id)
        except errors.UnknownContract:
            raise
        except errors.GatewayRefused as exc:
            reduced = request.without_refused(exc, session.cache)
            if reduced is not None:
                request = reduced
            elif exc.error_code == NO_LINE:
                # The session has made its gate smaller; the contract is not to blame.
                await asyncio.sleep(NO_LINE_PAUSE_S)
            else:
                session.note(str(exc).removeprefix(f"{what}: "))
                raise


def _is_served(ticks: Ticks) -> bool:
    """Whether *ticks* show that the account may have live data."""
    return ticks.quoted and ticks.data_type in (None, DataType.LIVE, DataType.FROZEN)


def _note_missing_greeks(session: Session, patience: Patience) -> None:
    if patience.expects_no_greeks:
        session.note(
            "IB sends quotes without Greeks, as when the main window of TWS is minimised; "
            "IV and Greeks are computed from the quotes"
        )


def _row(session: Session, pair: Wanted, ticks: Ticks, con_id: int | None) -> OptionQuote:
    data_type = ticks.data_type or session.data_type or DataType.LIVE
    return convert.to_quote(
        pair,
        ticks,
        con_id=con_id,
        source=quote_source(data_type),
        quoted_at=session.clock_now() if not ticks.silent else None,
    )


async def _falls_back(
    session: Session, error: errors.NoMarketData, asked_as: DataType | None, patience_s: float
) -> bool:
    """
    Whether an option that was refused is to be asked again, for delayed data.

    The data type is that of the whole session, so most options must have been refused, or all
    that were asked; *patience_s* at most is waited for what the others show.
    """
    if (
        session.data_type == asked_as in (None, DataType.LIVE, DataType.FROZEN)
        and not session.realtime_only
    ):
        session.rights.refused += 1
        until = asyncio.get_running_loop().time() + patience_s
        while (lacking := session.rights.lacking(session.lines_awaited)) is None:
            over = asyncio.get_running_loop().time() >= until
            if over or session.data_type != asked_as or not session.alive:
                lacking = session.rights.lacking(0)
                break
            await asyncio.sleep(_LOOK_S)
        if session.data_type == asked_as:
            return bool(lacking) and await session.fall_back_to_delayed(error)
    return session.data_type != asked_as


def quote_source(data_type: DataType) -> QuoteSource:
    """The label of quotes that came with *data_type*."""
    if data_type is DataType.LIVE:
        return QuoteSource.LIVE
    return QuoteSource.FROZEN if data_type is DataType.FROZEN else QuoteSource.DELAYED


def unfinished(pair: Wanted, error: Exception, *, con_id: int | None = None) -> OptionQuote:
    """The row of an option that gave nothing, with the status that says why."""
    if isinstance(error, errors.UnknownContract):
        status = RowStatus.UNKNOWN_CONTRACT
    elif isinstance(error, errors.NoMarketData):
        status = RowStatus.NOT_SUBSCRIBED
    elif isinstance(error, (errors.SessionError, errors.GatewayRefused)):
        # Refused for no fault of the market: there may be a quote, and it did not reach us.
        status = RowStatus.LOST
    else:
        status = RowStatus.TIMEOUT
    return convert.to_quote(
        pair, Ticks(), con_id=con_id, source=QuoteSource.LIVE, quoted_at=None, status=status
    )


# -- many options --------------------------------------------------------------------------


async def quote_all(
    session: Session,
    items: Sequence[Item],
    quote: Callable[[Item, Callable[[], None]], Awaitable[OptionQuote]],
    *,
    deadline: float | None = None,
    on_done: Callable[[Outcome[Item, OptionQuote]], None] | None = None,
    resume: bool = True,
) -> list[Outcome[Item, OptionQuote]]:
    """
    *quote* all items, of which each takes one line; return an outcome per item, in order.

    *quote* calls its second argument once the item has been asked for, or will not be.
    """
    coming = session.limits.lines.announce(len(items))
    try:
        return await session.fan_out(
            items,
            lambda item: quote(item, coming.settle_one),
            deadline=deadline,
            on_done=on_done,
            resume=resume,
        )
    finally:
        coming.settle_all()


@dataclass(slots=True, kw_only=True)
class OptionStream:
    """
    Options of one trading class, quoted as fast as IB allows.

    Each is subscribed as soon as it is known to exist. However slow the gateway is with telling
    that, or if it never does, quotes go on.

    Attributes:
        ids: Contract ids by option; what becomes known is added.
        complete: Expiries of which every listed option is in *ids*.
        eager: Whether options may be subscribed before it is known that they exist.
        rank: Place among those who share the session; lower ones are quoted first.
        deadline: Time of the running loop; quoting ends so early that what is open can still be
            cancelled before it.
        instead: Gives a row that needs no line, by option and contract id, or None.
        on_listed: Called when it is known which options exist, while the last are quoted.
        on_done: Called as each option is finished.
    """

    session: Session
    underlying: Underlying
    params: OptionParams
    rules: ChainSettings
    ids: dict[Wanted, int] = field(default_factory=dict)
    complete: set[dt.date] = field(default_factory=set)
    eager: bool = True
    rank: int = 0
    deadline: float | None = None
    instead: Callable[[Wanted, int], Awaitable[OptionQuote | None]] | None = None
    on_listed: Callable[[], Awaitable[None]] | None = None
    on_done: Callable[[Outcome[Wanted, OptionQuote]], None] | None = None
    _patience: Patience = field(init=False)
    _stop_at: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._patience = Patience(self.rules.silent_s)

    async def quote(self, pairs: Sequence[Wanted]) -> list[Outcome[Wanted, OptionQuote]]:
        """Quote *pairs*, the most urgent first; return an outcome for each, in order."""
        if self.deadline is not None:
            left = self.deadline - asyncio.get_running_loop().time()
            self._stop_at = self.deadline - min(self.session.closing_s, 0.1 * max(left, 0.0))
        outcomes = await self.session.resumed(pairs, self._quote_once, deadline=self._stop_at)
        outcomes = await self._once_more(outcomes)
        if self.session.cut_off:
            outcomes = [_cut_off(outcome) for outcome in outcomes]
        lost = (o.error for o in outcomes if isinstance(o.error, errors.SessionError))
        if (error := next(lost, None)) is not None:
            self.session.note(str(error))
        return outcomes

    async def _once_more(
        self, outcomes: list[Outcome[Wanted, OptionQuote]]
    ) -> list[Outcome[Wanted, OptionQuote]]:
        """
        Ask again for what timed out, while there is reason to believe that it was given up early.

        That is when lines spoke after their end, or the link is slow; elsewhere an option has been
        silent on two lines, and a third would only cost time.
        """
        for _ in range(_PASSES):
            again = [at for at, outcome in enumerate(outcomes) if _timed_out(outcome)]
            early, self._patience.too_early = self._patience.too_early, 0
            in_time = self._stop_at is None or asyncio.get_running_loop().time() < self._stop_at
            over = not in_time or self.session.interrupted or not self.session.alive
            if not again or over or not (early or self.session.slow):
                break
            self.on_done = None  # they have been counted
            pairs = [outcomes[at].item for at in again]
            got = await self.session.resumed(pairs, self._quote_once, deadline=self._stop_at)
            for at, outcome in zip(again, got, strict=True):
                if not cuts_short(outcome):
                    outcomes[at] = outcome
            if all(map(_timed_out, got)):
                break
        return outcomes

    def row(self, outcome: Outcome[Wanted, OptionQuote]) -> OptionQuote:
        """The row of an option, whatever became of it."""
        pair, con_id = outcome.item, self.ids.get(outcome.item)
        if outcome.value is None:
            what = contracts.describe(self.underlying.symbol, pair)
            error = outcome.error or errors.RequestTimeout(what, self.rules.quote_timeout_s)
            return unfinished(pair, error, con_id=con_id)
        if outcome.value.con_id is None and con_id is not None:
            return outcome.value.model_copy(update={"con_id": con_id})
        return outcome.value

    async def _quote_once(self, pairs: Sequence[Wanted]) -> list[Outcome[Wanted, OptionQuote]]:
        """Quote *pairs* over the connection that is up now; ids that become known are kept."""
        listings = contracts.Listings(
            self.session, self.underlying, self.params, pairs, self.rules, self.ids, self.complete
        )
        if listings.missing_expiries and self.eager:
            listings.release(_DIRECT, listings.missing_expiries[0])

        async def quote(pair: Wanted, on_asked: Callable[[], None]) -> OptionQuote:
            return await self._quote(listings, pair, on_asked)

        loading = asyncio.create_task(self._load(listings), name="tomic contract details")
        hurrying = asyncio.create_task(self._keep_busy(listings, loading), name="tomic hurry")
        try:
            outcomes = await quote_all(
                self.session,
                pairs,
                quote,
                deadline=self._stop_at,
                on_done=self.on_done,
                resume=False,
            )
            outcomes = await self._with_last_ticks(outcomes)
            if not any(map(cuts_short, outcomes)):
                # The details of an expiry that was subscribed directly may still be under way.
                await asyncio.wait({loading}, timeout=_IDS_S)
        finally:
            for task in (loading, hurrying):
                task.cancel()
            await asyncio.wait({loading, hurrying}, timeout=1.0)
            self._learn(listings)
        return outcomes

    async def _with_last_ticks(
        self, outcomes: list[Outcome[Wanted, OptionQuote]]
    ) -> list[Outcome[Wanted, OptionQuote]]:
        """The outcomes with what came while the cancels waited for their turn: it cost nothing."""
        parting, self._patience.parting = self._patience.parting, {}
        session, time = self.session, asyncio.get_running_loop().time
        while any(not line.gone and not line.ticks.answered >= _EXTRAS
                  for _, line in parting.values()):  # fmt: skip
            over = self._stop_at is not None and time() >= self._stop_at
            if over or session.interrupted or not session.alive or session.limits.pacer.held:
                break
            await asyncio.sleep(_LOOK_S)
        return [self._with_extras(outcome, parting) for outcome in outcomes]

    def _with_extras(
        self,
        outcome: Outcome[Wanted, OptionQuote],
        parting: dict[int, tuple[OptionQuote, MarketDataLine]],
    ) -> Outcome[Wanted, OptionQuote]:
        row, line = parting.get(id(outcome.value), (None, None))
        if row is None or line is None:
            return outcome
        extras = {name: getattr(line.ticks, name) for name in sorted(_EXTRAS)}
        return Outcome(outcome.item, row.model_copy(update=extras))

    async def _load(self, listings: contracts.Listings) -> None:
        await listings.load()
        self._learn(listings)
        if self.on_listed is not None:
            await self.on_listed()

    def _learn(self, listings: contracts.Listings) -> None:
        self.ids.update(listings.ids)
        self.complete |= listings.complete

    async def _keep_busy(self, listings: contracts.Listings, loading: asyncio.Task[None]) -> None:
        """Subscribe by description what waits for its details while there is nothing to send."""
        limits, clock = self.session.limits, self.session.clocks[Farm.MARKET]
        while not loading.done():
            await limits.pacer.wait_idle()
            await asyncio.wait({loading}, timeout=_BORED_S)
            idle = limits.pacer.idle and not limits.lines.full and clock.running
            if idle and self.eager:
                listings.release(_AT_ONCE)

    async def _quote(
        self, listings: contracts.Listings, pair: Wanted, on_asked: Callable[[], None]
    ) -> OptionQuote:
        try:
            con_id = await listings.con_id(pair)
        except errors.RequestFailed:
            on_asked()
            raise
        row = await self.instead(pair, con_id) if self.instead is not None else None
        if row is not None:
            on_asked()
            return row
        contract = convert.option_contract(self.underlying, self.params, pair, con_id)
        what = contracts.describe(self.underlying.symbol, pair)
        try:
            return await option_quote(
                self.session, what, contract, pair, self.rules, self._patience, on_asked, self.rank
            )
        except errors.UnknownContract:
            listings.unlisted(pair)
            raise


def cuts_short(outcome: Outcome[Wanted, OptionQuote]) -> bool:
    """Whether an option was not finished because all was over, and not for its own reasons."""
    return isinstance(outcome.error, (errors.DeadlineExceeded, errors.SessionError))


def _timed_out(outcome: Outcome[Wanted, OptionQuote]) -> bool:
    """Whether nothing was heard of an option, for no reason that anybody gave."""
    if outcome.value is None:
        return isinstance(outcome.error, errors.RequestTimeout)
    return outcome.value.status is RowStatus.TIMEOUT


def _cut_off(outcome: Outcome[Wanted, OptionQuote]) -> Outcome[Wanted, OptionQuote]:
    """What TWS lost its connection to IB for was not late, but lost."""
    if isinstance(outcome.error, (errors.DeadlineExceeded, errors.RequestTimeout)):
        return Outcome(outcome.item, error=errors.SessionLost(CUT_OFF))
    return outcome
