"""What each report needs, collected from a desk: the document, the pictures, the page."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

from pydantic import ValidationError

from tomic._drawing import draw
from tomic._version import __version__
from tomic.config.text import fingerprint
from tomic.desk import Desk
from tomic.errors import BadFile, DataError, StoreError, UsageError
from tomic.masking import Masks
from tomic.models import Proposal, ScanResult, VolSnapshot, normalize_symbols
from tomic.models.backtest import BacktestResult, Comparison, Sweep
from tomic.models.documents import to_document
from tomic.models.journal import Verdict
from tomic.models.manage import Advice
from tomic.models.review import BookReview
from tomic.portfolio import what_if
from tomic.present import backtest as backtests, track as told
from tomic.present.manage import price_text, refused_lines
from tomic.present.proposal import NO_EDGE, legs_text, limit_per_share, order_lines
from tomic.present.scan import events_text, similar_count
from tomic.present.volatility import CONES_KEY
from tomic.report import pages, records
from tomic.report.layout import ReportPage, SvgPicture
from tomic.store import StoredScan
from tomic.workflows.journal import review as journal_review, statistics, track as track_record
from tomic.workflows.journal.entries import load_open
from tomic.workflows.journal.review import CheckRun
from tomic.workflows.portfolio.files import snapshot_path
from tomic.workflows.portfolio.review import PortfolioReview

SCHEMA = "tomic.report/1"

_HISTORY_DAYS = 252
_LEAST_CALIBRATED = 30
"""Outcomes below which a line of calibration would be noise; the table says how few there are."""
_MOST_MARKETS = 3
"""Symbols whose smile and cone are drawn in the report of a day."""


async def day(desk: Desk, symbols: str | Sequence[str] = ()) -> ReportPage:
    """
    The scan of the last day, the last volatility of each symbol, open trades and their signals.

    Of several scans the job's counts, and without one the widest: a question asked between does
    not replace them.

    Nobody is asked for data, except in a demo whose store is still empty: there a scan is made.
    """
    symbols = normalize_symbols(symbols)
    scan = await _scan_of_the_day(desk)
    if scan is None and desk.simulated:
        scan = await desk.scan(symbols)
    checked = await journal_review.check(await desk.journal(offline=_is_offline(desk)), keep=False)
    store = await desk.store()
    names = symbols or [*desk.settings.market.symbols]
    latest = await store.history.latest_snapshots(names)
    vols = [latest[name] for name in names if name in latest]
    document = {
        **_document("day", desk, _latest(scan, vols), _quality_of_scan(scan)),
        "scan": _scan_document(scan),
        "scanned": _scanned(scan),
        "volatility": [to_document(vol) for vol in vols],
        "signals": _signals(checked),
        "what_now": await _what_now(desk, checked),
        "book": await _last_book(desk),
        "missing": _missing(scan),
        "track": await _track(desk),
    }
    document["meta"]["data_type"] = _data_type(scan)
    proposals = scan.proposals if scan else ()
    return pages.day(
        _masked(document, desk),
        payoffs=_drawn(map(_payoff, proposals)),
        markets=await _markets(desk, list(dict.fromkeys(made.symbol for made in proposals))),
    )


async def proposal(desk: Desk, proposal_id: str) -> ReportPage:
    """
    One stored trade; in a demo with an empty store, a scan is made first.

    Raises:
        DataError: There is no such proposal.
    """
    if desk.simulated and not await (await desk.store()).scans.latest(limit=1):
        await desk.scan()
    shown = await desk.proposal(proposal_id)
    true = sum(leg.price_source in ("true", "spot") for leg in shown.legs) / len(shown.legs)
    document = {
        **_document("proposal", desk, shown.as_of, true),
        "proposal": _proposal_document(shown),
    }
    document["meta"]["data_type"] = shown.data_type.value
    return pages.proposal(_masked(document, desk), payoff=_drawn([_payoff(shown)]))


async def portfolio(desk: Desk, *, last: bool = False) -> ReportPage:
    """
    The review of what is held, read from the gateway or from the last saved book.

    Raises:
        BadFile: There is no saved book.
        RequestTimeout, SessionError: The account could not be read.
    """
    view = await desk.portfolio(last=last)
    review = view.review
    count = len(view.book.positions)
    whole = 1.0 - len(review.gaps) / count if count else 1.0
    document = {**_document("portfolio", desk, review.as_of, whole), **_with_urgency(review)}
    rows = document["review"]["structures"]
    for structure, row in zip(review.structures, rows, strict=True):
        row["held"] = [f"{leg.quantity:+g} {leg.contract}" for leg in structure.legs]
    items = await asyncio.to_thread(_what_if, view)
    document["what_if"] = items
    document["what_if_notes"] = [
        f"P&L from entry in {review.currency}, or against now where that is not known; the spot, "
        "every volatility and the days move as the sliders say, and each option is valued anew."
    ]
    document["meta"]["data_type"] = review.data_type.value if review.data_type else None
    if last:
        document["meta"]["source"] += ", saved"
    names = [position.account for position in view.book.positions]
    names += [account.account for account in view.book.accounts]
    page = pages.portfolio(_masked(document, desk, names), stress=_stress(desk, review))
    missing = view.book.unfinished
    return replace(page, partial=f"not all was quoted of {', '.join(missing)}" if missing else "")


async def journal(desk: Desk) -> ReportPage:
    """
    Open entries, the results of closed ones, and how honest the forecasts were.

    Open entries are judged on fresh marks in a demo or where a session is open, else on what is
    stored.
    """
    book = await desk.journal(offline=_is_offline(desk))
    checked = await journal_review.check(book, keep=False)
    results = await statistics.report(book, by="strategy")
    judged = [check.verdict is not Verdict.UNJUDGED for check in checked.checks]
    document = {
        **_document("journal", desk, checked.as_of, sum(judged) / len(judged) if judged else None),
        "signals": _signals(checked),
        "what_now": await _what_now(desk, checked),
        "open": [to_document(entry) for entry in await load_open(book)],
        "journal": to_document(results),
    }
    draws = [
        partial(_picture, "calibration", f"{measured.what}: forecast against outcome", measured)
        for measured in (results.trades, results.proposals)
        if measured.n >= _LEAST_CALIBRATED
    ]
    return pages.journal(_masked(document, desk), calibration=_drawn(draws))


async def backtest(desk: Desk, result: BacktestResult) -> ReportPage:
    """What a backtest came to; its trades are in the JSON of the command."""
    whole = {**_document("backtest", desk, None, None), "backtest": backtests.page_document(result)}
    whole["meta"]["data"] = [f"{result.start} to {result.end}", *result.data]
    draws: list[Draw] = [
        partial(_picture, "backtest_equity", "Weekly total; red is below its peak", result),
        partial(
            _picture, "backtest_calibration",
            "How often what was promised came: honest is on the diagonal", result,
        ),
        partial(
            _picture, "backtest_promises", "Expected value against what came, by decile", result
        ),
    ]  # fmt: skip
    page = records.backtest(_masked(whole, desk), pictures=[*map(_drawn_alone, draws)])
    return replace(page, partial=result.partial)


async def comparison(desk: Desk, compared: Comparison) -> ReportPage:
    """Two configurations over the same days, and how sure their difference is."""
    document = {
        **_document("backtest", desk, None, None),
        "comparison": backtests.comparison_document(compared),
    }
    document["meta"]["data"] = [f"{compared.base.start} to {compared.base.end}"]
    page = records.comparison(_masked(document, desk))
    return replace(page, partial=compared.base.partial or compared.other.partial)


async def track(desk: Desk) -> ReportPage:
    """What saved proposals came to, grade by grade, followed by what is stored."""
    record = await track_record.record(await desk.journal(offline=True))
    document = {**_document("track", desk, None, None), "track": told.page_document(record)}
    days = [each.made for each in record.proposals]
    document["meta"] |= {
        "data": [f"proposals of {min(days)} to {max(days)}"] if days else [],
        "last_month": record.last_month,
        "day": str(record.as_of),
    }
    return records.track(_masked(document, desk))


async def _track(desk: Desk) -> dict[str, Any] | None:
    """Last month's proposals by grade, and all of them; None before any is over."""
    record = await track_record.record(await desk.journal(offline=True))
    if not any(group.ended for group in record.groups):
        return None
    told_ = told.page_document(record)
    kept = {name: told_[name] for name in ("groups", "last_month", "notes")}
    return {"month": record.last_month, **kept}


async def sweep(desk: Desk, swept: Sweep) -> ReportPage:
    """One key at several values, corrected for the number of looks."""
    document = {**_document("backtest", desk, None, None), "sweep": backtests.sweep_document(swept)}
    document["meta"]["data"] = [f"{swept.base.start} to {swept.base.end}", *swept.base.data]
    page = records.sweep(_masked(document, desk))
    return replace(page, partial=swept.base.partial)


def _drawn_alone(drawing: Draw) -> tuple[SvgPicture, ...]:
    """One picture, or none where it cannot be drawn."""
    return _drawn([drawing])


def _masked(document: dict[str, Any], desk: Desk, accounts: Iterable[str] = ()) -> dict[str, Any]:
    """*document* with every account number shortened, in whatever text it stands."""
    masks = Masks()
    masks.learn([*accounts, desk.settings.ib.account])

    def shown(part: Any) -> Any:
        if isinstance(part, str):
            return masks.text(part)
        if isinstance(part, dict):
            return {shown(key): shown(value) for key, value in part.items()}
        return [*map(shown, part)] if isinstance(part, list | tuple) else part

    return {name: shown(part) for name, part in document.items()}


def _document(
    kind: str, desk: Desk, as_of: dt.datetime | None, quality: float | None
) -> dict[str, Any]:
    source = "demo market" if desk.demo else "replay" if desk.replay else "Interactive Brokers"
    return {
        "schema": SCHEMA,
        "meta": {
            "kind": kind,
            "as_of": as_of.isoformat() if as_of else None,
            "data_type": None,
            "source": source,
            "quality": quality,
            "made_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "version": __version__,
            "settings": fingerprint(desk.settings),
        },
    }


async def _scan_of_the_day(desk: Desk) -> ScanResult | None:
    store = await desk.store()
    scans = await store.scans.of_last_day()
    if not scans:
        return None
    last = max(scans, key=_weight)
    try:
        proposals = [await desk.proposal(proposal_id) for proposal_id in last.proposal_ids]
        return ScanResult.model_validate({**last.document, "proposals": proposals})
    except ValidationError as exc:
        where = ".".join(str(part) for part in exc.errors()[0]["loc"])
        raise StoreError(
            f"the last scan was saved by another version ({where}); run tomic scan again"
        ) from exc


def _weight(scan: StoredScan) -> tuple[bool, int, int, int]:
    """Before all others a job's scan, then the one of most symbols, strategies, and the newest."""
    scope = scan.document.get("scope") or {}
    symbols = scope.get("symbols") or scan.document.get("outcomes") or ()
    strategies = scope.get("strategies") or ()
    return bool(scope.get("job")), len(symbols), len(strategies), scan.id


def _scanned(scan: ScanResult | None) -> list[str]:
    """Of what and when the scan is, so that nobody takes a question for the whole market."""
    if scan is None:
        return []
    count = len(scan.outcomes)
    what = scan.scope.text if scan.scope else f"{count} symbol{'' if count == 1 else 's'}"
    when = f", {scan.as_of.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC" if scan.as_of else ""
    return [f"scanned: {what}{when}"]


def _with_urgency(review: BookReview) -> dict[str, Any]:
    """The review, its alerts parted into those that ask for something and those that do not."""
    whole = to_document(review)
    alerts = [alert for alert in whole["alerts"] if alert["severity"] != "info"]
    remarks = [alert for alert in whole["alerts"] if alert["severity"] == "info"]
    return {"review": whole, "alerts": alerts, "remarks": remarks}


async def _last_book(desk: Desk) -> dict[str, Any] | None:
    """Totals and alerts of the last saved book, None where none was saved."""
    path = snapshot_path(desk.settings, simulated=desk.simulated)
    try:
        if not path.exists():
            return None
    except OSError as exc:
        raise BadFile(f"{path} cannot be read: {exc.strerror or exc}") from exc
    book = _with_urgency((await desk.portfolio(last=True)).review)
    kept = ("as_of", "currency", "net_liquidation", "totals", "notes")
    return {"alerts": book["alerts"], **{name: book["review"][name] for name in kept}}


def _is_offline(desk: Desk) -> bool:
    return not (desk.simulated or desk.has_session)


def _signals(checked: CheckRun) -> list[dict[str, Any]]:
    """Each check with what fired in words; what could not be judged says why."""
    return [
        {
            **to_document(check),
            "fired": [signal.text for signal in check.signals] or list(check.notes),
        }
        for check in checked.checks
    ]


async def _what_now(desk: Desk, checked: CheckRun) -> list[dict[str, Any]]:
    """The alternatives of every entry of which a rule fired; what cannot be judged says why."""
    shown = []
    for check in checked.checks:
        if not check.signals or check.entry_id is None:
            continue
        run = await desk.manage(str(check.entry_id), offline=_is_offline(desk), keep=False)
        shown += [_advised(one) for one in run.advice]
    return shown


def _advised(advice: Advice) -> dict[str, Any]:
    moves = [
        {
            **to_document(move, exclude={"legs"}),
            "order": price_text(move),
            "costs": move.spread_cost + move.commission,
        }
        for move in advice.moves
    ]
    return {
        **to_document(advice, exclude={"moves", "refused"}),
        "title": f"{advice.id} {advice.symbol} {advice.strategy.replace('_', ' ')}",
        "moves": moves,
        "refused": refused_lines(advice.refused),
    }


def _stress(desk: Desk, review: BookReview) -> tuple[SvgPicture, ...]:
    grid = review.stress
    if grid is None:
        return ()
    shown = desk.settings.portfolio.stress.shown_spots
    days = [grid.days[0], grid.days[len(grid.days) // 2]]
    return _drawn(
        partial(
            _picture,
            "stress_heat_map",
            f"{grid.name}: every position revalued, {f'in {ahead} days' if ahead else 'now'}",
            grid,
            days=ahead,
            spots=shown,
            currency=review.currency,
        )
        for ahead in dict.fromkeys(days)
    )


_MOVES = tuple(round(-0.15 + 0.025 * step, 3) for step in range(13))
_VOLS = (-0.5, -0.25, -0.1, 0.0, 0.1, 0.25, 0.5)
_DAYS = (0.0, 1.0, 7.0, 14.0, 30.0)
"""Where the sliders of a structure stop."""


def _what_if(view: PortfolioReview) -> list[dict[str, Any]]:
    """Each structure that can be valued, over moves, volatilities and days."""
    subjects = what_if.subjects(view.book, view.claims, view.review.structures, view.own)
    items = (_sliders(subject) for subject in subjects)
    return [item for item in items if item is not None]


def _sliders(subject: what_if.HeldStructure) -> dict[str, Any] | None:
    last = subject.to_expiry
    days = [day for day in _DAYS if last is None or day < last]
    words = {0.0: "now", 1.0: "in 1 day"}
    names = [words.get(day, f"in {day:.0f} days") for day in days]
    if last is not None:
        days, names = [*days, last], [*names, "at expiry"]
    grid = what_if.grid(subject, _MOVES, _VOLS, days)
    if grid is None:
        return None
    base = subject.structure.pnl or 0.0
    cells = [
        [[round(base + value, 2) for value in grid.pnl[m][v]] for m in range(len(_MOVES))]
        for v in range(len(_VOLS))
    ]
    since = "from entry" if subject.structure.pnl is not None else "against now"
    strategy = subject.structure.strategy.replace("_", " ")
    return {
        "title": f"{subject.structure.id} {strategy}, P&L {since}",
        "moves": list(_MOVES),
        "vols": list(_VOLS),
        "horizons": names,
        "cells": cells,
        "rows": [
            {"move": move, "price": round(subject.spot * (1.0 + move), 4), "pnl": pnl}
            for move, pnl in zip(_MOVES, cells[_VOLS.index(0.0)], strict=True)
        ],
    }


def _scan_document(scan: ScanResult | None) -> dict[str, Any] | None:
    if scan is None:
        return None
    return {**to_document(scan), "proposals": [*map(_proposal_document, scan.proposals)]}


def _proposal_document(made: Proposal) -> dict[str, Any]:
    """The proposal as JSON has it, its trade in a line and in short, and the order to type."""
    return {
        **to_document(made),
        "trade": made.trade,
        "trade_text": legs_text(made),
        "limit": limit_per_share(made),
        "alike": similar_count(made),
        "flags": events_text(made),
        "event_texts": [event.text for event in made.events],
        "no_edge": [NO_EDGE] if made.managed else [],
        "order": [*order_lines(made)],
    }


def _missing(scan: ScanResult | None) -> list[str]:
    if scan is None:
        return ["no scan is stored; run tomic scan"]
    return [f"the scan is partial: {scan.partial_text}"] if scan.partial else []


def _latest(scan: ScanResult | None, vols: Iterable[VolSnapshot]) -> dt.datetime | None:
    if scan is not None and scan.as_of is not None:
        return scan.as_of
    return max((vol.as_of for vol in vols), default=None)


def _data_type(scan: ScanResult | None) -> str | None:
    kinds = {made.data_type.value for made in scan.proposals} if scan else set()
    return ", ".join(sorted(kinds)) or None


def _quality_of_scan(scan: ScanResult | None) -> float | None:
    """Share of the symbols that could be scanned whole."""
    if scan is None or not scan.outcomes:
        return None
    return sum(outcome.ok and not outcome.cut for outcome in scan.outcomes) / len(scan.outcomes)


Draw: TypeAlias = Callable[[], SvgPicture]


def _payoff(made: Proposal) -> Draw:
    name = f"{made.id} {made.symbol}".strip()
    caption = f"{name}: P&L; behind it the market's view of the price"
    return partial(_picture, "proposal_payoff", caption, made)


async def _markets(desk: Desk, symbols: Sequence[str]) -> tuple[SvgPicture, ...]:
    """Smile, open interest, cone and months of volatility as stored, of the first few symbols."""
    store = await desk.store()
    draws: list[Draw] = []
    for symbol in symbols[:_MOST_MARKETS]:
        if (chain := await store.chains.load(symbol)) is not None and len(chain):
            draws.append(partial(_picture, "chain_smile", f"{symbol}: quotes and smile", chain))
            caption = f"{symbol}: open interest by strike, of the options that were fetched"
            draws.append(partial(_picture, "chain_open_interest", caption, chain))
        if len(bars := await store.history.bars(symbol)):
            caption = f"{symbol}: how high realised volatility has been"
            draws.append(partial(_picture, "volatility_cone", caption, bars))
        if days := await desk.vol_history(symbol, _HISTORY_DAYS):
            caption = f"{symbol}: a year of prices and volatility; {CONES_KEY}"
            draws.append(partial(_picture, "volatility_history", caption, symbol, days))
    return _drawn(draws)


def _picture(name: str, caption: str, *subject: Any, **options: Any) -> SvgPicture:
    from tomic.report.figures import to_svg

    return SvgPicture(to_svg(draw(name, *subject, **options)), caption)


def _drawn(draws: Iterable[Draw]) -> tuple[SvgPicture, ...]:
    """The pictures that can be drawn: none without matplotlib, and none from too little data."""
    figures = []
    for drawing in draws:
        try:
            figures.append(drawing())
        except UsageError:
            return ()
        except DataError:
            continue
    return tuple(figures)
