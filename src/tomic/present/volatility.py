"""Volatility and stored history as tables, JSON and CSV."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tomic import figures, files
from tomic.models.documents import to_document
from tomic.present.forms import Format, emit, emit_rows, to_csv, to_json, to_ndjson
from tomic.present.text import PlainTable, figure_text, number
from tomic.quant import realized
from tomic.quant.surface import THIRTY_DAYS
from tomic.workflows.progress import counted
from tomic.workflows.volatility import cones

if TYPE_CHECKING:
    from pathlib import Path

    from tomic.strategies.pricing.term import PricedEvent
    from tomic.workflows.volatility.history import HistoryRun
    from tomic.workflows.volatility.measure import VolReport
    from tomic.workflows.volatility.stored import PastDay


PRICES_SCHEMA = "tomic.prices/1"
VOL_SCHEMA = "tomic.vol/1"
HISTORY_SCHEMA = "tomic.vol_history/1"

_VOL_COLUMNS = figures.columns(
    "spot iv30 iv_rank iv_percentile iv_days hv20 hv30 hv60 hv90 hv252 iv_hv atr14 skew "
    "term_m1_m2 term_m1_m3"
)
_DROPPED_FIRST = (
    "HV90", "HV60", "HV252", "M1-M3", "HV20", "EM30", "ATR14", "M1-M2", "ex-div", "n", "earnings",
    "skew", "pct", "IV-HV",
)  # fmt: skip
"""Columns that make room on a narrow screen, the least important first."""
PAST_COLUMNS = figures.columns("close hv30 hv60 hv90 atr14 iv30 iv_rank iv_percentile chain_iv30")
HISTORY_COLUMNS = (*PAST_COLUMNS, *figures.columns("expected_move skew term_m1_m2 term_m1_m3"))
"""Those of a page that has room for more."""
_PAST_DROPPED_FIRST = ("HV90", "HV60", "ATR14", "M1-M3", "own IV30", "pct", "M1-M2")
_DETAIL = figures.columns(
    "spot iv30 iv_rank iv_percentile hv20 hv30 hv60 hv90 hv252 atr14 vix skew term_m1_m2 term_m1_m3"
)


# -- prices --------------------------------------------------------------------------------


def prices(run: HistoryRun, format: Format) -> str:
    """What a run of `prices` did, a row per symbol."""
    rows: list[dict[str, Any]] = [
        {
            "symbol": symbol.symbol,
            "bars": symbol.rows,
            "bars_added": symbol.added.get("bars", 0),
            "iv_days": symbol.iv_rows,
            "iv_days_added": symbol.added.get("ib30", 0),
            "ib_hv_days_added": symbol.added.get("ib_hv30"),
            "last": symbol.last,
            "requests": symbol.asked,
            "replaced": list(symbol.replaced),
            "error": str(symbol.error) if symbol.error is not None else None,
        }
        for symbol in run.symbols
    ]
    meta = {
        "requests": sum(symbol.asked for symbol in run.symbols),
        "seconds": round(run.seconds, 3),
    }
    return emit(
        format,
        table=lambda: _prices_table(rows),
        json=lambda: to_json({"schema": PRICES_SCHEMA, **meta, "symbols": rows}),
        ndjson=lambda: to_ndjson(rows),
        csv=lambda: to_csv([{**row, "replaced": "; ".join(row["replaced"])} for row in rows]),
    )


def _prices_table(rows: Sequence[Mapping[str, Any]]) -> str:
    with_hv = any(row["ib_hv_days_added"] is not None for row in rows)
    table = PlainTable(
        "symbol", "bars", "new", "IV days", "new", *(["IB HV new"] if with_hv else []), "last", ""
    )
    for row in rows:
        ib_hv = row["ib_hv_days_added"]
        note = row["error"] or "; ".join(row["replaced"]) or ("" if row["requests"] else "complete")
        table.add_row(
            row["symbol"],
            number(row["bars"], 0),
            f"+{row['bars_added']}",
            number(row["iv_days"], 0),
            f"+{row['iv_days_added']}",
            *([f"+{0 if ib_hv is None else ib_hv}"] if with_hv else []),
            _day(row["last"]),
            note,
        )
    return table.text()


def prices_summary(run: HistoryRun) -> str:
    """The last line on stderr."""
    if run.plan is None and not run.errors:
        return f"{counted(len(run.symbols), 'symbol')} complete; nothing was asked"
    added = sum(sum(symbol.added.values()) for symbol in run.symbols)
    asked = sum(symbol.asked for symbol in run.symbols)
    failed = len(run.errors)
    tail = f" · {failed} failed" if failed else ""
    return (
        f"{counted(len(run.symbols), 'symbol')} · {counted(asked, 'request')} · "
        f"{counted(added, 'day')} added · "
        f"{run.seconds:.1f} s{tail}"
    )


# -- vol -----------------------------------------------------------------------------------


def vol(reports: Sequence[VolReport], format: Format) -> str:
    """Volatility of symbols with every detail: a document, a row or a page each."""
    return emit(
        format,
        table=lambda: "\n".join(map(_detail, reports)),
        json=lambda: to_json({"schema": VOL_SCHEMA, "symbols": list(map(vol_document, reports))}),
        ndjson=lambda: to_ndjson(map(vol_document, reports)),
        csv=lambda: files.to_snapshots_csv((report.snapshot, None) for report in reports),
    )


def _expected(iv30: float | None) -> dict[str, float] | None:
    return None if iv30 is None else dict(realized.expected_from_iv(iv30)._asdict())


def vol_document(report: VolReport) -> dict[str, Any]:
    """One report as JSON: fractions, currency per share, absent numbers null."""
    snapshot = report.snapshot
    document = to_document(snapshot, exclude={"notes"})
    document |= {
        "iv_hv": snapshot.iv_hv,
        "expected_move_30d": report.expected_move,
        "hv": {
            name: {str(window): value for window, value in levels.items()}
            for name, levels in report.realised.hv.items()
        },
        "expected_moves": [_plain(asdict(move)) for move in report.moves],
        "iv30_ex_event": report.ex_event_iv30,
        "events": list(map(_event_document, report.events)),
        "own_iv": _plain(asdict(report.own)) if report.own is not None else None,
        "ib_hv30": report.ib_hv30[0] if report.ib_hv30 is not None else None,
        "expected_volatility": _expected(snapshot.iv30),
        "warnings": list(report.realised.warnings),
        "error": str(report.error) if report.error is not None else None,
    }
    return document


def _event_document(event: PricedEvent) -> dict[str, Any]:
    return {
        "kind": "earnings" if event.is_dated else "priced",
        "after": event.after.isoformat() if event.after is not None else None,
        "by": event.by.isoformat(),
        "move": event.jump.move if event.is_priced else None,
    }


def vol_summary(reports: Sequence[VolReport], paths: Sequence[Path]) -> str:
    """What the figures rest on, what is missing and why, and where files went."""
    lines = [_sources(reports), _ranked_over(reports), *_missing(reports)]
    if paths:
        lines.append(f"written to {', '.join(str(path) for path in paths)}")
    return "\n".join(line for line in lines if line)


def vol_table(reports: Sequence[VolReport], width: int | None = None) -> tuple[str, str]:
    """
    Volatility of symbols, a row each, and what does not fit on a screen of *width* columns.

    Without a width, everything fits.
    """
    vix = next((report.snapshot for report in reports if report.snapshot.vix is not None), None)
    abroad = any(report.snapshot.currency not in (None, "USD") for report in reports)
    table = PlainTable(
        "symbol", *(figure.narrow for figure in _VOL_COLUMNS), "EM30", "earnings", "ex-div"
    )
    for report in reports:
        snapshot = report.snapshot
        table.add_row(
            f"{report.symbol} {snapshot.currency or '?'}" if abroad else report.symbol,
            *(figure_text(figure, getattr(snapshot, figure.name)) for figure in _VOL_COLUMNS),
            _either_way(report.expected_move),
            _day(snapshot.next_earnings),
            _day(snapshot.next_dividend),
        )
    keep, hidden = table.fitting(width, _DROPPED_FIRST)
    head = ""
    if vix is not None and vix.vix is not None:
        head = (
            f"VIX {vix.vix * 100:.2f} ({_observed(vix, 'vix')}) · {vix.as_of:%Y-%m-%d %H:%M} UTC\n"
        )
    tail = f"{counted(hidden, 'column')} hidden; use a wider terminal\n" if hidden else ""
    return head + table.text(keep), tail


def _sources(reports: Sequence[VolReport]) -> str:
    """Which fields come from where and of what age, over all symbols."""
    names: dict[str, dict[str, None]] = {}
    days: dict[str, list[dt.date]] = {}
    for report in reports:
        for name, source in report.snapshot.sources.items():
            names.setdefault(source, {})[name] = None
            if source == "store" and name.startswith(("hv", "atr")):
                days.setdefault(source, []).append(report.snapshot.ages[name].date())
    parts = []
    for source, fields in sorted(names.items()):
        dates = days.get(source, [])
        closes = (
            " to ".join(day.isoformat() for day in sorted({min(dates), max(dates)}))
            if dates
            else ""
        )
        label = f"{source} (until {closes})" if closes else source
        parts.append(f"{label}: {', '.join(fields)}")
    return " · ".join(parts)


def extremes(ranks: Sequence[float]) -> list[str]:
    """What a rank outside its window means, where one is."""
    texts = {
        "rank above 100: a new high of its window": any(rank > 1.0 for rank in ranks),
        "rank below 0: a new low of its window": any(rank < 0.0 for rank in ranks),
    }
    return [text for text, applies in texts.items() if applies]


def _ranked_over(reports: Sequence[VolReport]) -> str:
    short = [
        f"{report.symbol} {report.snapshot.iv_days}"
        for report in reports
        if report.snapshot.iv_rank is not None
        and report.snapshot.iv_days is not None
        and report.snapshot.iv_window is not None
        and report.snapshot.iv_days < report.snapshot.iv_window
    ]
    windows = {report.snapshot.iv_window for report in reports if report.snapshot.iv_window}
    if not windows:
        return ""
    own = [report.symbol for report in reports if report.snapshot.iv_series == "chain30"]
    text = (
        f"rank and percentile of IV30 in its last {max(windows)} trading days, today excluded; "
        "percentile = share of days below today"
    )
    ranks = [each.snapshot.iv_rank for each in reports if each.snapshot.iv_rank is not None]
    text = "\n".join((text, *extremes(ranks)))
    text += f"\nfewer days: {', '.join(short)}" if short else ""
    return text + (f"\nIV30 of our own chains: {', '.join(own)}" if own else "")


def _missing(reports: Sequence[VolReport]) -> Iterable[str]:
    """Each reason once, with its fields and symbols."""
    reasons: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for report in reports:
        for name, reason in report.snapshot.missing.items():
            fields, symbols = reasons.setdefault(reason.replace(report.symbol, "SYMBOL"), ({}, {}))
            fields[name] = symbols[report.symbol] = None
    for reason, (fields, symbols) in reasons.items():
        who = ", ".join(symbols) if len(symbols) <= 5 else f"{len(symbols)} symbols"
        yield f"no {', '.join(fields)} ({who}): {reason}"


def _detail(report: VolReport) -> str:
    snapshot = report.snapshot
    table = PlainTable("figure", "value", "source", "age", "")
    for figure in _DETAIL:
        field = figure.name
        # What is printed in per cent has room for one more decimal here.
        decimals = figure.decimals + (figure.factor != 1.0)
        text = number(getattr(snapshot, field), decimals, figure.factor)
        note = snapshot.missing.get(field, "")
        if field in ("iv_rank", "iv_percentile") and text and snapshot.iv_days is not None:
            note = f"{snapshot.iv_days} of {snapshot.iv_window} days of {snapshot.iv_series}"
        source = snapshot.sources.get(field, "")
        unit = snapshot.currency if field in ("spot", "atr14") else figure.suffix
        shown = f"{text} {unit or ''}".strip() if text else ""
        table.add_row(figure.heading, shown, source, _age(snapshot, field), note)
    if snapshot.iv_hv is not None:
        table.add_row("IV30-HV30", f"{number(snapshot.iv_hv, 2, 100.0)} pt", "", "", "")
    for title, field in (("earnings", "next_earnings"), ("ex-dividend", "next_dividend")):
        value = getattr(snapshot, field)
        note = snapshot.missing.get(field, "")
        if field == "next_dividend" and snapshot.dividend_amount is not None:
            note = f"{snapshot.dividend_amount:g} per share"
        table.add_row(title, _day(value), snapshot.sources.get(field, ""), "", note)
    parts = [f"{report.symbol} · {snapshot.as_of:%Y-%m-%d %H:%M} UTC", table.text()]
    return "\n".join(parts) + "".join(
        part(report) for part in (_estimators, _moves, _events, _checks)
    )


def _estimators(report: VolReport) -> str:
    levels = report.realised.hv
    windows = sorted({window for by_window in levels.values() for window in by_window})
    if not windows:
        return ""
    table = PlainTable("realised, %", *(str(window) for window in windows))
    for name, by_window in levels.items():
        cells = (number(by_window.get(window), 2, 100.0) for window in windows)
        table.add_row(name.replace("_", " "), *cells)
    lines = [f"warning: {text}" for text in report.realised.warnings]
    if report.snapshot.iv30 is not None:
        expected = realized.expected_from_iv(report.snapshot.iv30)
        lines.append(
            f"expected of 30 days: {expected.volatility:.2%}, {realized.EXPECTED_SHARE:g} of IV30; "
            f"two times in three {expected.low:.2%} to {expected.high:.2%} (docs/evidence.md)"
        )
    return "\n" + table.text() + "".join(f"\n{line}" for line in lines)


def _moves(report: VolReport) -> str:
    if not report.moves:
        return ""
    table = PlainTable("expected move", "days", "ATM IV", "IV, 1σ", "straddle", "density, 1σ")
    for move in report.moves:
        table.add_row(
            move.expiry.isoformat(),
            str(move.dte),
            number(move.atm_iv, 2, 100.0),
            *(
                f"±{number(value, 2)}" if value else ""
                for value in (move.iv, move.straddle, move.density)
            ),
        )
    notes = (f"\nno density of {move.expiry}: {move.note}" for move in report.moves if move.note)
    return f"\n\n{table.text()}{_USED_MOVE}{''.join(notes)}\n"


_USED_MOVE = "tomic scan counts its sigmas in IV, 1σ; a straddle costs about 0.8 of it"


def _events(report: VolReport) -> str:
    """What the expiries price, and thirty days without it."""
    lines = [_event_text(event) for event in report.events]
    if report.ex_event_iv30 is not None:
        without = number(report.ex_event_iv30, 2, 100.0)
        lines.append(f"IV30 of this chain ex-event {without} %")
    return "".join(f"{line}\n" for line in lines)


def _event_text(event: PricedEvent) -> str:
    name = "earnings" if event.is_dated else "an event is priced"
    size = f"±{event.jump.move:.1%}" if event.is_priced else "no jump is priced"
    days = event.jump.after < THIRTY_DAYS < event.jump.by
    spread = "; IV30 counts the part of its days that lie within 30" if days else ""
    return f"{name} {event.when}: {size}{spread}"


def _checks(report: VolReport) -> str:
    lines = []
    own = report.own
    if own is not None:
        place = (
            f"rank {number(own.rank, 1, 100.0)}, percentile {number(own.percentile, 1, 100.0)} "
            f"over {own.n} of {own.window} days"
            if own.rank is not None
            else own.reason
        )
        level = number(own.value, 2, 100.0)
        lines.append(f"IV30 of our own chains {level} % on {own.day}: {place}")
    if report.ib_hv30 is not None:
        value, day = report.ib_hv30
        ours = number(report.snapshot.hv30, 2, 100.0)
        beside = f", ours {ours} %" if ours else ""
        lines.append(f"IB's own HV30 {number(value, 2, 100.0)} % on {day}{beside}")
    return "".join(f"{line}\n" for line in lines)


def _observed(snapshot: Any, field: str) -> str:
    age = _age(snapshot, field)
    return f"{snapshot.sources.get(field, '')}{', ' + age if age else ''}"


def _age(snapshot: Any, field: str) -> str:
    at = snapshot.ages.get(field)
    if at is None:
        return ""
    minutes = max((snapshot.as_of - at).total_seconds() / 60.0, 0.0)
    if minutes < 1.0:
        return "now"
    if minutes < 90.0:
        return f"{minutes:.0f} min"
    return f"{minutes / 60.0:.0f} h" if minutes < 36 * 60 else f"{minutes / 1440.0:.0f} d"


# -- history -------------------------------------------------------------------------------


def history(
    rows: Mapping[str, Sequence[PastDay]],
    format: Format,
    *,
    days: int | None = None,
    width: int | None = None,
) -> str:
    """
    Stored closes and volatilities, day by day, and the expected moves of months.

    Args:
        rows: Of each symbol its days, oldest first, from which the expected moves are taken.
        days: How many of them are listed; all by default.
        width: Columns of the screen; without one, everything fits.
    """
    listed = {symbol: past[-days:] if days else past for symbol, past in rows.items()}
    flat = [
        {"symbol": symbol, **_plain(asdict(day))} for symbol, past in listed.items() for day in past
    ]
    return emit_rows(
        format,
        flat,
        lambda: "\n".join(
            _history_table(symbol, past, width) + _cones_table(rows[symbol])
            for symbol, past in listed.items()
        ),
        schema=HISTORY_SCHEMA,
        name="rows",
        expected_moves=list(map(_cones_document, rows, rows.values())),
    )


def _history_table(symbol: str, days: Sequence[PastDay], width: int | None) -> str:
    if not days:
        return f"{symbol}: nothing stored; run tomic prices {symbol}\n"
    known = [
        figure
        for figure in HISTORY_COLUMNS
        if any(getattr(day, figure.name) is not None for day in days)
    ]
    table = PlainTable(symbol, *(figure.narrow for figure in known))
    for day in days:
        cells = (figure_text(figure, getattr(day, figure.name)) for figure in known)
        table.add_row(day.day.isoformat(), *cells)
    titles = {figure.narrow for figure in known}
    keep, _ = table.fitting(width, [title for title in _PAST_DROPPED_FIRST if title in titles])
    ranks = [day.iv_rank for day in days if day.iv_rank is not None]
    return table.text(keep) + "".join(f"{text}\n" for text in extremes(ranks))


CONES_KEY = f"move: one sigma, close x IV30 x √(days / 365), over {cones.HORIZON} calendar days"


def _cones_table(days: Sequence[PastDay]) -> str:
    """What was expected month by month, what came, and how often it held."""
    drawn, record = cones.move_cones(days), cones.move_record(days)
    if not drawn:
        return ""
    table = PlainTable("expected from", "close", "IV30", "move", "until", "closed at", "sigmas")
    for cone in drawn:
        table.add_row(
            cone.day.isoformat(),
            number(cone.close),
            number(cone.iv30, 1, 100.0),
            _either_way(cone.move),
            cone.ends.isoformat(),
            number(cone.outcome) or ("open" if cone.ends > days[-1].day else "?"),
            number(cone.sigmas, 1, signed=True),
        )
    return f"\n{table.text()}{CONES_KEY}\n{_held(record)}"


def _held(record: cones.ConeRecord) -> str:
    if record.share is None:
        return ""
    return (
        f"the price ended within it on {record.inside} of {record.n} days, {record.share:.0%} "
        f"(normal: {cones.NORMAL_SHARE:.0%}); only {record.apart} of them do not overlap\n"
    )


def _cones_document(symbol: str, days: Sequence[PastDay]) -> dict[str, Any]:
    record = cones.move_record(days)
    return {
        "symbol": symbol,
        "horizon": record.horizon,
        "inside": record.inside,
        "n": record.n,
        "without_overlap": record.apart,
        "cones": [
            {**_plain(asdict(cone)), "sigmas": cone.sigmas} for cone in cones.move_cones(days)
        ],
    }


# -- shared --------------------------------------------------------------------------------


def _either_way(move: float | None) -> str:
    return "" if move is None else f"±{number(move, 2)}"


def _day(day: dt.date | None) -> str:
    return day.isoformat() if day is not None else ""


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value.isoformat() if isinstance(value, dt.date) else value
        for key, value in values.items()
    }
