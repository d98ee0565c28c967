"""
The track record: saved proposals followed by the exits of their strategy, from the store alone.

Each day that is over is judged once, on the quotes kept of it where every leg has them, else by a
model on its close. A day whose prices may still come is waited for, so that what was judged does
not depend on when anybody looked.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import ValidationError

from tomic import dates
from tomic.chain import Chain
from tomic.errors import StoreError
from tomic.journal import track
from tomic.journal.track import DayMarket, LegName, LegQuote
from tomic.models import Proposal
from tomic.models.documents import first_fault, to_text
from tomic.models.track import FollowedProposal, TrackRecord
from tomic.store import Bars, FollowedRow, KeptDay, StoredProposal, VolSeries
from tomic.workflows.journal.entries import Journal
from tomic.workflows.journal.statistics import SPLIT, replaced_at, settle, vol_ratio


@dataclass(frozen=True, slots=True)
class _Past:
    """What is stored of one symbol."""

    bars: Bars | None
    vols: VolSeries | None
    kept: Mapping[dt.date, Sequence[str]]
    """Trading classes of the chains that are kept of each day, the largest first."""
    last: dt.date
    """The last day that is over."""
    last_bar: dt.date
    """Of the stored bars; before every day where there are none."""


async def record(journal: Journal, *, symbol: str | None = None) -> TrackRecord:
    """
    Follow the proposals as far as prices are stored, and count them by grade.

    Raises:
        StoreError: The store cannot be used, or a kept chain is damaged.
    """
    followed = await follow(journal)
    if symbol is not None:
        followed = [each for each in followed if each.symbol == symbol]
    today = (await journal.clock()).astimezone(dates.NEW_YORK).date()
    counted = track.distinct(followed)
    draws = journal.settings.journal.bootstrap
    last_month = f"{today.replace(day=1) - dt.timedelta(days=1):%Y-%m}"
    return TrackRecord(
        as_of=today,
        last_month=last_month,
        groups=track.by_grade(counted, draws=draws),
        months=track.by_month(counted, draws=draws),
        proposals=tuple(reversed(counted)),
        repeated=len(followed) - len(counted),
        notes=tuple(_notes(counted)),
    )


def _notes(followed: Sequence[FollowedProposal]) -> Iterable[str]:
    waiting = sorted({each.symbol for each in followed if not each.is_over and each.note})
    if waiting:
        yield f"prices of {len(waiting)} symbols are missing; run tomic prices {' '.join(waiting)}"
    gone = sum(each.outcome == "void" for each in followed)
    if gone:
        yield f"{gone} proposals count nowhere: see their notes in JSON"


async def follow(journal: Journal) -> list[FollowedProposal]:
    """
    Bring every saved proposal up to the last day whose prices are stored; oldest first.

    Doing it again changes nothing until more prices are stored.
    """
    await settle(journal)
    stored = await journal.store.scans.proposals()
    documents = await journal.store.followed.documents()
    before = {name: _followed(name, document) for name, document in documents.items()}
    over = {name for name, each in before.items() if each.is_over}
    unfinished: dict[str, list[StoredProposal]] = {}
    for proposal in stored:
        if proposal.id not in over:
            unfinished.setdefault(proposal.symbol, []).append(proposal)
    after = dict(before)
    for symbol, proposals in unfinished.items():
        grown = await _of_symbol(journal, symbol, proposals, before)
        await journal.store.followed.save(
            _row(each) for each in grown if each != before.get(each.id)
        )
        after |= {each.id: each for each in grown}
    return [after[proposal.id] for proposal in stored if proposal.id in after]


def _followed(name: str, document: Mapping[str, object]) -> FollowedProposal:
    try:
        return FollowedProposal.model_validate(document)
    except ValidationError as exc:
        raise StoreError(f"what became of {name} cannot be read: {first_fault(exc)}") from exc


def _row(each: FollowedProposal) -> FollowedRow:
    until = each.marks[-1].day if each.marks else each.made
    ended = (each.day or each.expiry) if each.is_over else None
    return FollowedRow(each.id, until, ended, to_text(each, exclude_defaults=True))


async def _of_symbol(
    journal: Journal,
    symbol: str,
    proposals: Sequence[StoredProposal],
    before: Mapping[str, FollowedProposal],
) -> list[FollowedProposal]:
    tables = journal.store.history
    replaced = (await replaced_at(journal, [symbol]))[symbol]
    today = (await journal.clock()).astimezone(dates.NEW_YORK).date()
    bars = (await tables.many_bars([symbol])).get(symbol)
    past = _Past(
        bars=bars,
        vols=(await tables.many_iv([symbol], "ib30")).get(symbol),
        kept=_classes(await journal.store.kept.days(symbol)),
        last=today - dt.timedelta(days=1),
        last_bar=max(_days_of(bars), default=dt.date.min) if bars else dt.date.min,
    )
    runs: list[_Run] = []
    for stored in proposals:
        run = _run(journal, stored, before.get(stored.id))
        if run is None:
            continue
        if any(at > stored.as_of for at in replaced):
            run.followed = track.void(run.followed, SPLIT)
        runs.append(run)
    await _walk(journal, symbol, past, runs)
    return [run.followed for run in runs]


def _classes(kept: Iterable[KeptDay]) -> dict[dt.date, list[str]]:
    classes: dict[dt.date, list[str]] = {}
    for each in sorted(kept, key=lambda one: -one.options):
        classes.setdefault(each.day, []).append(each.trading_class)
    return classes


@dataclass(slots=True)
class _Run:
    """One proposal on its way."""

    stored: StoredProposal
    proposal: Proposal
    followed: FollowedProposal
    waits: bool = False

    @property
    def is_alive(self) -> bool:
        """Whether another day may change it."""
        return not self.waits and not self.followed.is_over

    @property
    def seen(self) -> dt.date:
        """The last day that was judged, or its own."""
        return self.followed.marks[-1].day if self.followed.marks else self.followed.made

    def wants(self, day: dt.date) -> bool:
        """Whether *day* is one that it has not seen, before its expiry."""
        return self.is_alive and self.seen < day < self.followed.expiry


def _run(journal: Journal, stored: StoredProposal, before: FollowedProposal | None) -> _Run | None:
    """None where the proposal cannot be read."""
    try:
        proposal = Proposal.model_validate({**stored.document, "id": stored.id})
    except ValidationError:
        return None
    made = stored.as_of.astimezone(dates.NEW_YORK).date()
    rules = journal.settings.journal.exits_for(stored.strategy)
    followed = before or track.begin(proposal, made, rules)
    return _Run(stored, proposal, followed.model_copy(update={"note": ""}))


async def _walk(journal: Journal, symbol: str, past: _Past, runs: Sequence[_Run]) -> None:
    """Every day since the first proposal, the chain of each loaded once and only if needed."""
    slippage = journal.settings.costs.slippage
    alive = [run for run in runs if run.is_alive]
    first = min((run.followed.made for run in alive), default=past.last)
    for day in _days(past, first + dt.timedelta(days=1)):
        wanting = [run for run in alive if run.wants(day)]
        if not wanting:
            continue
        chains = [
            chain
            for name in past.kept.get(day, ())
            if (chain := await journal.store.kept.load(symbol, day, trading_class=name))
        ]
        await asyncio.to_thread(_judge, wanting, past, day, chains, slippage)
    for run in runs:
        _end(run, past)


def _judge(
    runs: Sequence[_Run], past: _Past, day: dt.date, chains: Sequence[Chain], slippage: float
) -> None:
    """One day of all that want it."""
    names = {name for run in runs for name in track.leg_names(run.proposal)}
    quotes: dict[LegName, LegQuote] = {}
    for chain in chains:
        quotes = _quotes(chain, names) | quotes
    spot = chains[0].spot.price if chains else None
    close = _close(past.bars, day)
    for run in runs:
        ratio = vol_ratio(past.vols, run.followed.made, day)
        market = DayMarket(day, close, ratio, spot, quotes)
        grown = track.advanced(run.followed, run.proposal, market, slippage=slippage)
        if grown is not None:
            run.followed = grown
        elif past.last_bar < day:
            run.waits = True


def _end(run: _Run, past: _Past) -> None:
    """Settle a proposal that nothing closed before its expiry, or say what it waits for."""
    if run.followed.is_over:
        return
    outcome = run.stored.outcome or {}
    if not run.waits and "result" in outcome:
        run.followed = track.expired(run.followed, float(outcome["result"]))
    elif "void" in outcome and not run.waits:
        run.followed = track.void(run.followed, str(outcome["void"]))
    elif run.seen < min(run.followed.expiry, _last_trading_day(past.last)):
        run.followed = run.followed.model_copy(
            update={"note": f"prices after {run.seen} are missing"}
        )


def _last_trading_day(day: dt.date) -> dt.date:
    return dates.trading_days(day - dt.timedelta(days=14), day)[-1]


def _days(past: _Past, first: dt.date) -> list[dt.date]:
    """Days from *first* on that are over: trading days, and others with prices of their own."""
    if first > past.last:
        return []
    every = {*dates.trading_days(first, past.last), *past.kept}
    if past.bars is not None:
        every.update(_days_of(past.bars))
    return sorted(day for day in every if first <= day <= past.last)


def _days_of(bars: Bars) -> list[dt.date]:
    days: list[dt.date] = bars.date.astype("datetime64[D]").tolist()
    return days


def _close(bars: Bars | None, day: dt.date) -> float | None:
    if bars is None:
        return None
    days, at = bars.date.astype("datetime64[D]"), np.datetime64(day)
    place = int(np.searchsorted(days, at))
    return float(bars.close[place]) if place < len(days) and days[place] == at else None


def _quotes(chain: Chain, names: Iterable[LegName]) -> dict[LegName, LegQuote]:
    """The quotes of some options."""
    quotes = {}
    for expiry, strike, right in names:
        rows = np.flatnonzero(
            (chain["expiry"] == np.datetime64(expiry))
            & (chain["strike"] == strike)
            & (chain["right"] == right)
        )
        if rows.size:
            cells = (float(chain[name][rows[0]]) for name in ("bid", "ask", "delta"))
            quotes[expiry, strike, right] = LegQuote(*cells)
    return quotes
