"""
What to do with each position: few quotes, every alternative judged, and what was shown is kept.

Per symbol a sparse sample of the expiries concerned gives smiles; from these the strikes of all
alternatives of all its positions are known, and only those are asked beside. At a closed market, of
a recording and without a gateway the chain that is there has to do: an alternative is then one of
its strikes.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, TypeVar

from tomic import dates
from tomic.chain import Chain
from tomic.config import Settings
from tomic.errors import DataError, EmptyChain, TomicError, UsageError, ungrouped
from tomic.journal.manage import advice as ranking, judged, moves, standing as positions, track
from tomic.journal.manage.standing import Standing
from tomic.models import OptionParams, Structure, VolSnapshot
from tomic.models.documents import to_document
from tomic.models.frames import Framed, row_of
from tomic.models.journal import Action, EntryStatus, ExitCheck, Fill, Held, JournalEntry, Trade
from tomic.models.manage import Advice, MoveRefusal
from tomic.portfolio.fit import BookFit
from tomic.selection import Selection, Wanted, as_listed, days_to_expiry
from tomic.store import NewAdvice
from tomic.strategies import sampling
from tomic.strategies.measures import foreign_commission, foreign_margin
from tomic.strategies.pricing import board as boards
from tomic.strategies.pricing.board import Board
from tomic.workflows.chain import fetch as chains
from tomic.workflows.chain.portions import Portions
from tomic.workflows.chain.setup import Chooser
from tomic.workflows.journal import review
from tomic.workflows.journal.entries import Journal, load_all
from tomic.workflows.journal.market import LegMarket, QuotedVix
from tomic.workflows.portfolio import files, review as portfolio
from tomic.workflows.resources import Resources
from tomic.workflows.volatility.measure import Now, volatility

T = TypeVar("T")

_FRESH = dt.timedelta(days=4)
"""Age up to which a saved book says what is held: over a long weekend."""
AT_ONCE = 8
"""Symbols worked on at the same time."""
_REACH_SIGMAS = 3.0
_USUAL_VOL = 0.25
"""Where IB gives no volatility of the underlying."""
_MOST_STRIKES = 24
"""Strikes of an expiry that are asked for where all have to be chosen beforehand."""

Opener = Callable[[str, Settings, Chooser], Awaitable[Portions]]
"""Begins a chain that is quoted a portion at a time."""


@dataclass(frozen=True, slots=True)
class ManageRun(Framed):
    """The alternatives of several positions, and the symbols of which none could be judged."""

    advice: tuple[Advice, ...]
    errors: Mapping[str, TomicError] = field(default_factory=dict)
    as_of: dt.datetime | None = None
    options: int = 0
    """Options that were asked for."""
    computing_s: float = 0.0
    """Processor time of smiles, alternatives and their figures, seconds."""
    notes: tuple[str, ...] = ()

    def _framed(self) -> Iterable[Any]:
        for advice in self.advice:
            for move in advice.moves:
                row = row_of(move)
                yield {"position": advice.id, "symbol": advice.symbol, **row}

    @property
    def fired(self) -> bool:
        """Whether an exit rule of any position fired."""
        return any(advice.signals for advice in self.advice)

    @property
    def is_partial(self) -> bool:
        """Whether a position could not be judged."""
        return any(advice.problem for advice in self.advice)


@dataclass(frozen=True, slots=True)
class Manager:
    """
    Where positions and quotes come from.

    Args:
        journal: The entries, and chains whose options are chosen beforehand.
        opener: Begins chains that are quoted in portions; None where only `journal` asks.
        book: What is held in all; None where it is not known.
    """

    journal: Journal
    opener: Opener | None = None
    book: BookFit | None = None

    @property
    def settings(self) -> Settings:
        """All settings."""
        return self.journal.settings


class _Position(NamedTuple):
    """One position, and the entry by which its exit rules are judged."""

    held: Standing
    entry: JournalEntry | None


class _Begun(NamedTuple):
    """A position with what is known of it before its alternatives are judged."""

    held: Standing
    advice: Advice
    market: _Market | TomicError | None
    """None where nothing had to be asked."""


@dataclass(slots=True)
class _Market:
    """One symbol, quoted for its positions."""

    quoted: LegMarket
    found: dict[str, list[moves.DraftMove | MoveRefusal]]
    """By position."""
    horizon: dt.date | None
    options: int = 0
    computing_s: float = 0.0


async def manager(resources: Resources, journal: Journal, *, offline: bool = False) -> Manager:
    """
    What a desk has for it: the last saved book, and chains in portions where TWS can be asked.

    A book older than four days says nothing of what is held. In a demo it is read where none is
    saved.
    """
    simulated = resources.origin.simulated
    path = files.snapshot_path(journal.settings, simulated=simulated)
    book = None if resources.origin.replay is not None else files.last_book(path)
    now = await journal.clock()
    if book is not None and abs(now - book.as_of) > _FRESH:
        book = None
    if book is None and resources.origin.demo and not offline:
        book, _ = await portfolio.read_book(
            await resources.session(), journal.settings, journal.store
        )
    claims = await portfolio.journal_claims(journal.store)
    fit = None
    if book is not None:
        fit = await asyncio.to_thread(BookFit, book, journal.settings, claims=claims)
    asks = not offline and resources.origin.replay is None
    return Manager(journal, partial(_opened, resources) if asks else None, fit)


async def _opened(
    resources: Resources, symbol: str, settings: Settings, choose: Chooser
) -> Portions:
    with resources.sharing_deadline(settings.chain.deadline_s) as deadline:
        request = await chains.request_for(resources, symbol, settings, deadline, choose)
        return await Portions.opened(request)


# -- positions -----------------------------------------------------------------------------------


async def open_positions(manager: Manager, which: str = "") -> list[_Position]:
    """
    Open entries of the journal, and structures of the book that no entry has.

    Args:
        which: The number of an entry, the name of a structure, a symbol, or "" for all.

    Raises:
        UsageError: Nothing that is open is called so.
    """
    entries = [entry for entry in await load_all(manager.journal, "open") if entry.is_open]
    found = [_Position(positions.of_entry(entry), entry) for entry in entries]
    found += _of_book(manager.book, manager.settings) if manager.book is not None else []
    found = [position for position in found if position.held.legs or position.held.problem]
    if not which:
        return found
    wanted = which.strip().upper()
    bare = wanted.removeprefix("J").removeprefix("-").lstrip("0") or wanted
    named = [position for position in found if position.held.id.upper() in (wanted, bare)]
    named = named or [position for position in found if position.held.symbol == wanted]
    if not named:
        raise UsageError(
            f"no open position {which}; tomic journal list shows entries, tomic portfolio the book"
        )
    return named


def _of_book(fit: BookFit, settings: Settings) -> list[_Position]:
    """The structures of a book that no entry has."""
    known = {position.contract: position for position in fit.book.positions}
    found = []
    for structure in fit.review.structures:
        if structure.source == "journal":
            continue
        rules = settings.journal.exits_for(structure.strategy)
        held = positions.of_structure(structure, rules, known)
        opened = structure.opened or fit.book.today
        found.append(_Position(held, _as_entry(structure, held, opened)))
    return found


def _as_entry(structure: Structure, held: Standing, day: dt.date) -> JournalEntry | None:
    """The structure as an entry opened at what it cost; None where that is not known."""
    opened = held.opened or {}
    if held.received is None or held.problem:
        return None
    fills = tuple(Fill(**leg.model_dump(), price=abs(opened[leg.key])) for leg in held.legs)
    at = dt.datetime.combine(day, dt.time(12), dates.NEW_YORK)
    return JournalEntry(
        symbol=held.symbol,
        strategy=held.strategy,
        status=EntryStatus.OPEN,
        opened_at=at,
        trades=(Trade(at=at, action=Action.OPEN, fills=fills),),
        rules=held.rules,
        currency=held.currency,
    )


# -- the work --------------------------------------------------------------------------------------


async def manage(manager: Manager, which: str = "", *, keep: bool = True) -> ManageRun:
    """
    The alternatives of every open position, or of those called *which*, best first.

    One symbol that cannot be quoted never stops the others. With *keep* what is shown stays in the
    store, so that `history` can say later what it would have brought; of a recording nothing is.

    Raises:
        UsageError: Nothing that is open is called so.
    """
    found = await open_positions(manager, which)
    groups = _grouped(found)
    markets = await _markets(manager, groups)
    known = [market for market in markets.values() if isinstance(market, _Market)]
    times = [market.quoted.chain.as_of for market in known]
    now = max(times) if times else await manager.journal.clock()
    checks: dict[str, ExitCheck] = {}
    for name, members in groups.items():
        checks |= await _checked(manager.journal, members, markets[name])
    detailed = len(found) == 1 or bool(which)
    names = {member.held.id: name for name, members in groups.items() for member in members}
    begun = [
        _begun(position, markets.get(names.get(held.id, "")), checks.get(held.id), now)
        for position in found
        for held in [position.held]
    ]
    # Kernels are pure, and the session must go on answering meanwhile.
    advice, seconds = await asyncio.to_thread(
        _timed, partial(_judged, manager, begun, targets=detailed)
    )
    if keep and manager.journal.source != "replay":
        await _keep(manager, [position.held for position in begun], advice)
    return ManageRun(
        advice=advice,
        errors={name: market for name, market in markets.items() if isinstance(market, TomicError)},
        as_of=now,
        options=sum(market.options for market in known),
        computing_s=seconds + sum(market.computing_s for market in known),
        notes=_notes(manager),
    )


def _notes(manager: Manager) -> tuple[str, ...]:
    if manager.book is None:
        return ("no portfolio known: no buying power, and fit counts 1",)
    review = manager.book.review
    grouped = {leg.contract for structure in review.structures for leg in structure.legs}
    return (
        f"the book is that of {manager.book.book.as_of:%Y-%m-%d %H:%M} UTC",
        *(
            f"in no position: {gap.quantity:+g} {gap.name}: {gap.reason}"
            for gap in review.gaps
            if gap.name not in grouped
        ),
    )


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    """What *work* gives, and the processor time of this thread that it took."""
    began = time.thread_time()
    return work(), time.thread_time() - began


def _grouped(found: Sequence[_Position]) -> dict[str, list[_Position]]:
    """
    Positions that one chain serves: those of a symbol, by class where several are held.

    Positions that cannot be judged need none.
    """
    classes: dict[str, set[str]] = {}
    sound = [position for position in found if not position.held.problem]
    for position in sound:
        own = classes.setdefault(position.held.symbol, set())
        own |= {leg.trading_class for leg in position.held.options} - {""}
    groups: dict[str, list[_Position]] = {}
    for position in sound:
        symbol = position.held.symbol
        name = symbol
        if len(classes[symbol]) > 1:
            own = {leg.trading_class for leg in position.held.options} - {""}
            name = f"{symbol} {'+'.join(sorted(own))}".rstrip()
        groups.setdefault(name, []).append(position)
    return groups


async def _checked(
    journal: Journal, members: Sequence[_Position], market: _Market | TomicError
) -> dict[str, ExitCheck]:
    """The exit rules of the positions of one chain, by position."""
    quoted = market.quoted if isinstance(market, _Market) else market
    judgeable = [member for member in members if member.entry is not None]
    entries = [member.entry for member in judgeable if member.entry is not None]
    symbols = {entry.symbol: quoted for entry in entries}
    run = await review.judged(journal, entries, symbols, keep=False)
    return {member.held.id: check for member, check in zip(judgeable, run.checks, strict=True)}


def _begun(
    position: _Position,
    market: _Market | TomicError | None,
    check: ExitCheck | None,
    now: dt.datetime,
) -> _Begun:
    held = position.held
    names = tuple(f"{leg.quantity:+g} {leg.name}" for leg in held.legs)
    blank = Advice(
        id=held.id,
        entry_id=held.entry_id,
        symbol=held.symbol,
        strategy=held.strategy,
        currency=held.currency,
        as_of=now,
        held=(held.contracts.partition(": ")[2],) if held.problem else names,
    )
    if market is None or isinstance(market, TomicError):
        known = {} if held.problem else _of_rules(check, held)
        problem = held.problem or str(market)
        return _Begun(held, blank.model_copy(update={**known, "problem": problem}), market)
    board = market.quoted.board
    problem = _mismatch(held, board)
    known = _of_rules(None if problem else check, held)
    if gone := positions.expired(held, board.today):
        expired = ", ".join(leg.name for leg in gone)
        problem = f"{expired} has expired: tomic journal close {held.id} --expired records it"
    known |= {
        "data_type": board.chain.data_type,
        "trading_class": board.chain.trading_class,
        "spot": board.spot,
        "currency": held.currency or board.chain.underlying.currency,
        "problem": problem,
        "notes": (*known.get("notes", ()), *_of_market(board)),
    }
    return _Begun(held, blank.model_copy(update=known), market)


def _of_rules(check: ExitCheck | None, held: Standing) -> dict[str, Any]:
    """What the exit rules say, and what of them could not be judged."""
    if check is not None:
        notes = (*check.notes, *(signal.text for signal in check.unjudged))
        return {"pnl": check.pnl, "dte": check.dte, "signals": check.signals, "notes": notes}
    if held.received is not None:
        return {}
    unknown = "its cost is not known: no exit rule was judged, and success counts from now"
    return {"notes": (unknown,)}


def _mismatch(held: Standing, board: Board) -> str:
    """Why a position is not what a chain quotes; empty where it is."""
    quoted = board.chain.underlying.currency
    if held.currency and held.currency != quoted:
        return f"held in {held.currency}, quoted in {quoted}: its money cannot be added"
    classes = {leg.trading_class for leg in held.options} - {""}
    if len(classes) > 1:
        return f"options of several classes are held: {', '.join(sorted(classes))}"
    return ""


def _of_market(board: Board) -> list[str]:
    """What a reader must know of margin and commission where they are not American."""
    underlying = board.chain.underlying
    if underlying.is_future:
        return ["margin of futures options is SPAN's, not ours: see TWS"]
    if underlying.currency == "USD":
        return []
    costs = board.settings.costs
    return [foreign_margin(underlying.currency), *foreign_commission(costs, underlying.currency)]


def _judged(manager: Manager, begun: Sequence[_Begun], *, targets: bool) -> tuple[Advice, ...]:
    """Every position with its alternatives; how they fit the book is worked out for all at once."""
    advice = [position.advice for position in begun]
    placed: dict[int, tuple[judged.PositionOnBoard, list[moves.DraftMove]]] = {}
    failed: dict[int, judged.Unquoted] = {}
    for number, (held, given, market) in enumerate(begun):
        if given.problem or not isinstance(market, _Market):
            continue
        drafts = [draft for draft in market.found[held.id] if isinstance(draft, moves.DraftMove)]
        try:
            placed[number] = judged.place(held, market.quoted.board, market.horizon), drafts
        except judged.Unquoted as exc:
            failed[number] = exc
    weighed: dict[int, judged.Weighed] = {}
    for number, known in zip(placed, judged.weigh_all(list(placed.values())), strict=True):
        if isinstance(known, judged.Weighed):
            weighed[number] = known
        else:
            failed[number] = known
    for number, problem in failed.items():
        advice[number] = begun[number].advice.model_copy(update={"problem": str(problem)})
    fits = judged.fits_of(list(weighed.values()), manager.book)
    for (number, known), factors in zip(weighed.items(), fits, strict=True):
        held, given, market = begun[number]
        excess = _excess(manager, held)
        shown = judged.described(known, factors, excess=excess, targets=targets)
        advice[number] = given.model_copy(
            update={
                "moves": ranking.ranked(shown, given.signals),
                "refused": _refused(market, held, known),
                "pnl": given.pnl if given.pnl is not None else _pnl(held, known.at),
            }
        )
    return tuple(advice)


def _refused(
    market: _Market | TomicError | None, held: Standing, known: judged.Weighed
) -> tuple[MoveRefusal, ...]:
    found = market.found[held.id] if isinstance(market, _Market) else ()
    never = [draft for draft in found if isinstance(draft, MoveRefusal)]
    return tuple(dict.fromkeys((*never, *known.refused)))


def _pnl(held: Standing, at: judged.PositionOnBoard) -> float | None:
    return None if held.received is None else at.pnl


def _excess(manager: Manager, held: Standing) -> float | None:
    """Excess liquidity of all accounts, in the currency of the position."""
    if manager.book is None:
        return None
    book = manager.book.book
    total = 0.0
    for account in book.accounts:
        rate = book.rate_of(account.currency)
        if account.excess_liquidity is None or rate is None:
            return None
        total += account.excess_liquidity * rate
    own = book.rate_of(held.currency or book.currency)
    return total / own if own and book.accounts else None


# -- quotes ----------------------------------------------------------------------------------------


async def _markets(
    manager: Manager, groups: Mapping[str, Sequence[_Position]]
) -> dict[str, _Market | TomicError]:
    """Quote a chain for each of *groups*, a few at once."""
    markets: dict[str, _Market | TomicError] = {}
    gate, vix = asyncio.Semaphore(AT_ONCE), QuotedVix.of(manager.journal)

    async def quote(name: str, held: Sequence[Standing]) -> None:
        async with gate:
            try:
                markets[name] = await _market(manager, held[0].symbol, held, vix)
            except TomicError as exc:
                markets[name] = exc

    with ungrouped():
        async with asyncio.TaskGroup() as group:
            for name, members in groups.items():
                held = [member.held for member in members]
                group.create_task(quote(name, held), name=f"tomic manage {name}")
    return markets


async def _market(
    manager: Manager, symbol: str, held: Sequence[Standing], vix: QuotedVix
) -> _Market:
    journal, settings = manager.journal, manager.settings
    classes = {
        leg.trading_class for position in held for leg in position.options if leg.trading_class
    }
    if len(classes) == 1:
        own = settings.chain.model_copy(update={"trading_class": classes.pop()})
        settings = settings.model_copy(update={"chain": own})
    if journal.fetch is None:
        chain = await journal.store.chains.load(symbol)
        if chain is None:
            raise DataError(f"{symbol}: no chain is stored; leave out offline (--offline)")
        return await _of_chain(manager, settings, chain, held, vix)
    if manager.opener is not None:
        portions = await manager.opener(symbol, settings, _choose_for(held, settings))
        if portions.setup.is_open:
            return await _in_portions(manager, settings, portions, held, vix)
    choose = _choose_for(held, settings, most=_MOST_STRIKES)
    chain = await journal.fetch(symbol, settings, choose)
    return await _of_chain(manager, settings, chain, held, vix)


async def _of_chain(
    manager: Manager, settings: Settings, chain: Chain, held: Sequence[Standing], vix: QuotedVix
) -> _Market:
    """A chain as it is: alternatives among its own strikes."""
    vol = await _volatility(manager, settings, chain, vix)

    def drawn() -> _Market:
        board = boards.prepare(chain, vol, settings)
        strikes = {
            (day, right): board.strike[rows].tolist()
            for day in chain.expiries
            for right in "CP"
            if (rows := board.side(day, right)).size
        }
        return _drawn(board, vol, strikes, held, options=len(chain))

    market, seconds = await asyncio.to_thread(_timed, drawn)
    market.computing_s = seconds
    return market


async def _in_portions(
    manager: Manager,
    settings: Settings,
    portions: Portions,
    held: Sequence[Standing],
    vix: QuotedVix,
) -> _Market:
    """A sample for the smiles, then what the alternatives trade."""
    quotes = dict(await portions.quote(_sample(portions, settings, held)))
    chain = await asyncio.to_thread(portions.chain, list(quotes.values()))
    vol = await _volatility(manager, settings, chain, vix)
    strikes: dict[tuple[dt.date, str], list[float]] = {}
    for option in sorted(portions.options):
        strikes.setdefault((option.expiry, option.right), []).append(option.strike)

    def drawn() -> _Market:
        board = boards.prepare(chain, vol, settings)
        return _drawn(board, vol, strikes, held, options=len(quotes))

    market, seconds = await asyncio.to_thread(_timed, drawn)
    missing = sorted(set().union(*map(moves.needed, market.found.values())) - set(quotes))
    if missing:
        quotes |= await portions.quote(missing)
        rows = [quotes[option] for option in sorted(quotes)]
        whole = await asyncio.to_thread(portions.chain, rows)
        sampled = market.quoted.board
        again = partial(boards.prepare, whole, vol, settings, earlier=sampled)
        board, more = await asyncio.to_thread(_timed, again)
        market.quoted, market.options = LegMarket(board, vol), len(quotes)
        seconds += more
    market.computing_s = seconds
    return market


def _drawn(
    board: Board,
    vol: VolSnapshot,
    strikes: moves.Strikes,
    held: Sequence[Standing],
    *,
    options: int,
) -> _Market:
    ground = moves.Ground(board, strikes, board.settings.manage)
    found = {
        position.id: moves.drafts(position, ground)
        for position in held
        if not _is_gone(position, board)
    }
    horizon = next(iter(ground.targets or ground.expiries), None)
    return _Market(LegMarket(board, vol), found, horizon, options)


def _is_gone(held: Standing, board: Board) -> bool:
    return bool(positions.expired(held, board.today))


async def _volatility(
    manager: Manager, settings: Settings, chain: Chain, vix: QuotedVix
) -> VolSnapshot:
    ticks = {} if manager.journal.fetch is None else await vix.ticks()
    now = Now(chain.as_of, ticks=ticks, chains={chain.symbol: chain})
    (report,) = await volatility(
        manager.journal.store, [chain.symbol], settings, now=now, keep=False
    )
    return report.snapshot


def _sample(portions: Portions, settings: Settings, held: Sequence[Standing]) -> list[Wanted]:
    """What gives every expiry a smile, and what is held."""
    setup = portions.setup
    sigma = setup.ticks.implied_volatility or _USUAL_VOL
    few = sampling.sample(
        portions.options, setup.spot.price, setup.today, sigma, settings.scan.sample, whole=1.0
    )
    options = {leg for position in held for leg in _wanted(setup.params, position.options)}
    return sorted({*few, *options})


def _wanted(params: OptionParams, legs: Iterable[Held]) -> list[Wanted]:
    """Options that are held, under the expiry by which they are listed."""
    found = []
    for leg in legs:
        day = as_listed(params, leg.expiry) if leg.expiry is not None else None
        if day is not None and leg.strike is not None:
            found.append(Wanted(day, leg.strike, "C" if leg.is_call else "P"))
    return found


def _choose_for(held: Sequence[Standing], settings: Settings, most: int | None = None) -> Chooser:
    """Pick the strikes of all expiries that alternatives may use, about *most* of each."""

    def choose(params: OptionParams, spot: float, today: dt.date, sigma: float | None) -> Selection:
        own = [leg for position in held for leg in _wanted(params, position.options)]
        days = _expiries(params, held, own, settings, today)
        if not days:
            raise EmptyChain(f"{params.trading_class} lists no expiry that a position could use")
        strikes = {}
        for day in days:
            left = max(days_to_expiry(params, day, today), 1)
            half = _REACH_SIGMAS * spot * (sigma or _USUAL_VOL) * (left / 365.0) ** 0.5
            near = [level for level in params.strikes if abs(level - spot) <= half]
            step = 1 if most is None else max(1, -(-len(near) // most))
            at_money = sorted(params.strikes, key=lambda level: abs(level - spot))[:2]
            held_there = {leg.strike for leg in own}
            strikes[day] = tuple(sorted({*near[::step], *at_money, *held_there}))
        return Selection(
            params.trading_class, params.multiplier, params.exchange, strikes, ("C", "P")
        )

    return choose


def _expiries(
    params: OptionParams,
    held: Sequence[Standing],
    own: Sequence[Wanted],
    settings: Settings,
    today: dt.date,
) -> list[dt.date]:
    """Those held, those rolled to, and those between the two of a calendar."""
    rules = settings.manage
    coming = sorted(day for day in params.expiries if days_to_expiry(params, day, today) > 0)
    days = {leg.expiry for leg in own if days_to_expiry(params, leg.expiry, today) >= 0}
    days |= set(moves.targets(coming, today, rules, params.trading_class))
    for position in held:
        listed = sorted({leg.expiry for leg in _wanted(params, position.options)})
        if len(listed) > 1:
            day = moves.between(coming, listed[0], listed[-1])
            days |= {day} if day else set()
        elif listed and all(leg.quantity > 0.0 for leg in position.options):
            days |= set(moves.before(coming, listed[0], today, rules))
    return sorted(days)


# -- what was shown --------------------------------------------------------------------------------


async def _keep(manager: Manager, held: Sequence[Standing], advice: Sequence[Advice]) -> None:
    shown = [
        NewAdvice(
            position.lasting, given.entry_id, given.symbol, last, given.as_of, to_document(given)
        )
        for position, given in zip(held, advice, strict=True)
        if (last := track.last_day(given)) is not None
    ]
    if shown:
        day = dates.local_date(shown[0].as_of, str(dates.NEW_YORK))
        await manager.journal.store.advice.save(shown, day=day)
