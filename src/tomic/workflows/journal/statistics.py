"""
Statistics of the journal. Saved proposals, and alternatives that were shown for positions, are
followed to their expiry with stored prices.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args

import numpy as np
from pydantic import ValidationError

from tomic import dates
from tomic.journal import statistics
from tomic.journal.manage import track as advised
from tomic.journal.statistics import By, ProposalOutcome
from tomic.models import ExerciseStyle, Proposal
from tomic.models.documents import first_fault
from tomic.models.journal import JournalReport, Statistics
from tomic.models.manage import Advice, Move
from tomic.models.moves import EndedMoves, MoveKind
from tomic.store import Bars, StoredAdvice, StoredProposal, VolSeries
from tomic.workflows.journal.entries import Journal, as_written

BY: Mapping[str, By] = {name: name for name in get_args(By)}
"""What statistics can be grouped by."""

_HOLIDAYS = 4
"""Days by which the last trading day may come before an expiry."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of the proposals that have expired."""

    settled: int
    voided: int
    waiting: tuple[str, ...]
    """Symbols whose price at an expiry is not stored yet."""


async def report(
    journal: Journal, *, by: By | None = None, symbol: str | None = None
) -> JournalReport:
    """Everything that the journal, the saved proposals and the alternatives shown can tell."""
    settled = await settle(journal)
    shown = await alternatives(journal, symbol=symbol)
    rows = await journal.store.journal.summaries(symbol=symbol)
    with as_written("a summary of the journal"):
        closed = statistics.from_summaries(rows)
    draws = journal.settings.journal.bootstrap
    proposals = _known(await journal.store.scans.proposals(symbol=symbol, settled=True))
    notes = []
    if settled.waiting:
        names = " ".join(settled.waiting)
        notes.append(f"proposals wait for the price at their expiry; run tomic prices {names}")
    if shown.unpriced:
        names = " ".join(shown.unpriced)
        notes.append(f"alternatives wait for the price at their expiry; run tomic prices {names}")
    unknown = sum(outcome.closed is not None and outcome.result is None for outcome in closed)
    if unknown:
        notes.append(f"{unknown} closed entries without a result count nowhere")
    parts, silent = statistics.by_currency(closed)
    overall, *others = _totals(parts, draws)
    groups = [
        _named(group, currency, parts)
        for currency, campaigns in parts.items()
        for group in (statistics.by_group(campaigns, by, draws=draws) if by else ())
    ]
    if len(parts) > 1:
        notes.append(f"money of {' and '.join(filter(None, parts))} is counted apart, never added")
    if silent and (currency := next(iter(parts))):
        where = "counted apart" if len(parts) > 1 else f"counted as {currency} like the others"
        notes.append(f"{silent} entries do not say their currency: {where}")
    return JournalReport(
        overall=overall,
        groups=(*others, *groups),
        by=by or "",
        trades=statistics.of_trades(closed, draws=draws),
        proposals=statistics.of_proposals(proposals, draws=draws),
        score=statistics.score_test(proposals, draws=draws),
        alternatives=shown,
        notes=tuple(notes),
    )


def _totals(
    parts: Mapping[str, Sequence[statistics.CampaignOutcome]], draws: int
) -> list[Statistics]:
    """Statistics of all campaigns of each currency."""
    return [
        _named(statistics.statistics(campaigns, label="all", draws=draws), currency, parts)
        for currency, campaigns in parts.items()
    ]


def _named(row: Statistics, currency: str, parts: Mapping[str, object]) -> Statistics:
    """A row that says its currency, also in its label where there are several."""
    label = row.label
    if len(parts) > 1:
        label = f"{label} {currency}" if currency else f"{label}, currency not told"
    return row.model_copy(update={"label": label, "currency": currency})


# -- proposals ---------------------------------------------------------------------------------


SPLIT = "prices were replaced since (a split): strikes and prices do not compare"
"""Why a proposal counts nowhere whose symbol was split within its life."""


async def settle(journal: Journal) -> Settled:
    """Work out what every expired proposal came to, where its price is stored."""
    now = await journal.clock()
    today = now.astimezone(dates.NEW_YORK).date()
    # The bar of a day that is still running is not its close.
    awaiting = await journal.store.scans.awaiting(today - dt.timedelta(days=1))
    if not awaiting:
        return Settled(0, 0, ())
    symbols = sorted({proposal.symbol for proposal in awaiting})
    bars = await journal.store.history.many_bars(symbols)
    vols = await journal.store.history.many_iv(symbols, "ib30")
    replaced = await replaced_since(journal, symbols)
    outcomes: list[tuple[str, dict[str, Any]]] = []
    waiting: set[str] = set()
    for proposal in awaiting:
        outcome = _outcome(journal, proposal, bars, vols, replaced)
        if outcome is None:
            waiting.add(proposal.symbol)
        else:
            outcomes.append((proposal.id, outcome))
    await journal.store.scans.settle(outcomes, at=now)
    voided = sum("void" in outcome for _, outcome in outcomes)
    return Settled(len(outcomes) - voided, voided, tuple(sorted(waiting)))


async def replaced_since(journal: Journal, symbols: Sequence[str]) -> dict[str, list[dt.datetime]]:
    """By symbol when its bars were replaced as a whole, after a split."""
    tables = journal.store.history
    events = {symbol: await tables.events(symbol) for symbol in symbols}
    return {
        symbol: [at for at, _, kind, _ in known if kind == "replaced"]
        for symbol, known in events.items()
    }


def _outcome(
    journal: Journal,
    stored: StoredProposal,
    bars: Mapping[str, Bars],
    vols: Mapping[str, VolSeries],
    replaced: Mapping[str, Sequence[dt.datetime]],
) -> dict[str, Any] | None:
    if any(at > stored.as_of for at in replaced[stored.symbol]):
        return {"void": SPLIT}
    spot = close_on(bars.get(stored.symbol), stored.expiry)
    if spot is None:
        return None
    try:
        proposal = Proposal.model_validate(stored.document)
    except ValidationError as exc:
        return {"void": f"it cannot be read: {first_fault(exc)}"}
    ratio = vol_ratio(vols.get(stored.symbol), stored.as_of.date(), stored.expiry)
    settled = proposal.as_of + dt.timedelta(seconds=proposal.tau * dates.YEAR_SECONDS)
    if stored.symbol in dates.AM_SETTLED and settled.astimezone(dates.NEW_YORK).time() < _NOON:
        return {"void": "settled at an opening, whose value is no close and is not stored"}
    european = journal.underlying(stored.symbol).exercise_style is ExerciseStyle.EUROPEAN
    return statistics.settle_proposal(proposal, spot, vol_ratio=ratio, is_american=not european)


_NOON = dt.time(12)


def close_on(bars: Bars | None, day: dt.date) -> float | None:
    """
    Close of *day*, or of the trading day before it when it was none; None while neither is stored.

    A holiday is recognised by a later bar: without one the day's own may just be missing still.
    """
    if bars is None or not len(bars):
        return None
    days = bars.date.astype("datetime64[D]").tolist()
    earlier = [place for place, past in enumerate(days) if past <= day]
    if not earlier:
        return None
    last = days[earlier[-1]]
    is_known = last == day or (days[-1] > day and (day - last).days <= _HOLIDAYS)
    return float(bars.close[earlier[-1]]) if is_known else None


def vol_ratio(series: VolSeries | None, first: dt.date, last: dt.date) -> float:
    """How the 30-day volatility changed between two days; 1 where that is not stored."""
    if series is None or not len(series):
        return 1.0
    days = series.date.astype("datetime64[D]")
    ends = np.array([first, last], dtype="datetime64[D]")
    start, end = np.searchsorted(days, ends, side="right").tolist()
    if start == 0 or not series.value[start - 1] > 0.0:
        return 1.0
    return float(series.value[end - 1] / series.value[start - 1])


def _known(stored: Sequence[StoredProposal]) -> list[ProposalOutcome]:
    outcomes = []
    for proposal in stored:
        outcome, document = proposal.outcome or {}, proposal.document
        if "result" not in outcome:
            continue
        outcomes.append(
            ProposalOutcome(
                id=proposal.id,
                symbol=proposal.symbol,
                strategy=proposal.strategy,
                expiry=proposal.expiry,
                result=float(outcome["result"]),
                grade=str(document["grade"]),
                **{name: float(document[name]) for name in ("pos", "ev", "score", "margin")},
            )
        )
    return outcomes


# -- alternatives ------------------------------------------------------------------------------


async def alternatives(journal: Journal, *, symbol: str | None = None) -> EndedMoves:
    """What holding, closing and rolling would have brought, of all that was shown."""
    unpriced = await settle_alternatives(journal)
    known = await journal.store.advice.all(symbol=symbol, settled=True)
    waiting = await journal.store.advice.all(symbol=symbol, settled=False)
    ended = [outcome for stored in known for outcome in _ended(stored)]
    if symbol is not None:
        unpriced = tuple(name for name in unpriced if name == symbol)
    return EndedMoves(
        records=tuple(advised.compare(ended)),
        settled=len(known),
        waiting=len(waiting),
        unpriced=unpriced,
    )


def _ended(stored: StoredAdvice) -> list[advised.EndedAdvice]:
    day = dates.local_date(stored.as_of, str(dates.NEW_YORK))
    return [
        advised.EndedAdvice(
            stored.position,
            str(stored.document.get("currency", "")),
            day,
            MoveKind(move["kind"]),
            int(move["rank"]),
            float(move["expected"]),
            float(move["result"]),
            float(move["change"]),
        )
        for move in (stored.outcome or {}).get("moves", ())
    ]


async def settle_alternatives(journal: Journal) -> tuple[str, ...]:
    """Work out what alternatives came to that have all expired; symbols without a price."""
    now = await journal.clock()
    today = now.astimezone(dates.NEW_YORK).date()
    awaiting = await journal.store.advice.awaiting(today - dt.timedelta(days=1))
    if not awaiting:
        return ()
    symbols = sorted({stored.symbol for stored in awaiting})
    bars = await journal.store.history.many_bars(symbols)
    vols = await journal.store.history.many_iv(symbols, "ib30")
    replaced = await replaced_since(journal, symbols)
    outcomes: list[tuple[int, dict[str, Any]]] = []
    unpriced: set[str] = set()
    for stored in awaiting:
        symbol = stored.symbol
        split = any(at > stored.as_of for at in replaced[symbol])
        outcome = (
            {"void": SPLIT}
            if split
            else _outcome_of_moves(journal, stored, bars.get(symbol), vols.get(symbol))
        )
        if outcome is None:
            unpriced.add(symbol)
        else:
            outcomes.append((stored.id, outcome))
    await journal.store.advice.settle(outcomes, at=now)
    return tuple(sorted(unpriced))


def _outcome_of_moves(
    journal: Journal, stored: StoredAdvice, bars: Bars | None, series: VolSeries | None
) -> dict[str, Any] | None:
    """None while a price is missing."""
    try:
        shown = Advice.model_validate(stored.document)
    except ValidationError as exc:
        return {"void": f"it cannot be read: {first_fault(exc)}"}
    spots = _spots(shown.moves, bars)
    if spots is None:
        return None
    style = journal.underlying(stored.symbol).exercise_style
    return advised.settle(
        shown,
        spots,
        vol_ratio=partial(vol_ratio, series, stored.as_of.date()),
        is_american=style is not ExerciseStyle.EUROPEAN,
    )


def _spots(shown: Iterable[Move], bars: Bars | None) -> dict[dt.date, float] | None:
    """Closes at the expiries of all alternatives; None while one is not stored."""
    spots = {}
    for day in {move.expiry for move in shown if move.expiry is not None}:
        spot = close_on(bars, day)
        if spot is None:
            return None
        spots[day] = spot
    return spots
