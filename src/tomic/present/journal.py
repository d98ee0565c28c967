"""The journal as text, JSON, NDJSON and CSV."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tomic import figures
from tomic.errors import UsageError
from tomic.journal import campaign, statistics
from tomic.models import journal as nouns
from tomic.models.documents import to_document
from tomic.models.moves import EndedMoves, MoveKind
from tomic.present.forms import (
    NOT_ADVICE,
    Format,
    emit,
    emit_rows,
    emit_single,
    to_csv,
    to_json,
    to_ndjson,
)
from tomic.present.palette import Tone, Toned, by_sign
from tomic.present.text import PlainTable, figure_text, fitted_to, folded, money, number, per_cent

if TYPE_CHECKING:
    from tomic.store import Change
    from tomic.workflows.journal.executions import ExecutionRow
    from tomic.workflows.journal.files import ImportedJournal
    from tomic.workflows.journal.review import Attributed, CheckRun, Taken


# -- entries ---------------------------------------------------------------------------------


def listing(rows: Sequence[Mapping[str, Any]], shape: Format) -> str:
    """Entries, one a line."""
    return emit_rows(
        shape, rows, lambda: _listed(rows), schema="tomic.journal.list/1", name="entries"
    )


def _listed(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    has_currency = any(row["currency"] for row in rows)
    table = PlainTable(
        "id", "symbol", "strategy", "legs", "status", "opened", "held", "DTE",
        *(["currency"] if has_currency else []), "premium", "P&L", "of prem", "PoS", "grade",
        left=(1, 2, 3, 4, 5, *([8] if has_currency else [])),
        drops=("opened", "grade", "of prem", "held", "status", "PoS"),
    )  # fmt: skip
    for row in rows:
        dte = row["dte"]
        table.add_row(
            str(row["id"]),
            row["symbol"],
            (row["strategy"] or "").replace("_", " "),
            row["legs"],
            row["status"],
            row["opened"],
            str(row["days"]),
            "" if dte is None else str(dte),
            *([row["currency"] or "?"] if has_currency else []),
            money(row["premium"]),
            by_sign(money(row["pnl"])),
            per_cent(row["share"]),
            per_cent(row["pos"]),
            row["grade"],
        )
    return table.text()


def listing_notes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The unit of a list's money, and why some of it is blank."""
    notes = ["premium and P&L: of the whole entry, in its currency"] if rows else []
    by_reason: dict[str, list[str]] = {}
    for row in rows:
        if row["unmarked"]:
            by_reason.setdefault(row["unmarked"], []).append(str(row["id"]))
    notes += [
        f"no P&L of {', '.join(ids)}: {reason}; tomic journal check takes marks"
        for reason, ids in by_reason.items()
    ]
    changed = [str(row["id"]) for row in rows if row["legs_changed"]]
    if changed:
        notes.append(f"no PoS of {', '.join(changed)}: other legs are held than it was made for")
    return notes


def recorded(entry: nouns.JournalEntry, format: Format = Format.TABLE) -> str:
    """What an entry is after a change, in a line or as a document."""
    return emit_single(format, lambda: _in_a_line(entry), lambda: document(entry))


def _in_a_line(entry: nouns.JournalEntry) -> str:
    result = campaign.result(entry)
    legs = statistics.legs_text(campaign.held(entry)) or "flat"
    unit = f" {entry.currency}" if entry.currency else ""
    state = f"result {money(result)}{unit}" if result is not None else entry.status.value
    premium = campaign.premium(entry)
    side = ""
    if premium is not None:
        side = f" · {'credit' if premium >= 0 else 'debit'} {money(premium)}{unit}"
    name = entry.strategy.replace("_", " ")
    return f"{entry.id}  {entry.symbol} {name} · {legs}{side} · {state}\n"


def document(entry: nouns.JournalEntry) -> dict[str, Any]:
    """The entry whole, with what is computed from it."""
    legs = [to_document(leg, exclude_none=True) for leg in campaign.held(entry)]
    computed = {
        "premium": campaign.premium(entry),
        "commissions": campaign.commissions(entry),
        "result": campaign.result(entry),
        "slippage": campaign.slippage(entry),
        "held": legs,
    }
    body = to_document(entry, exclude_none=True)
    return {"schema": "tomic.journal.entry/1", **body, "computed": computed}


def whole(entry: nouns.JournalEntry, format: Format = Format.TABLE) -> str:
    """One entry with everything that was kept of it."""
    return emit_single(format, lambda: _lines_of(entry), lambda: document(entry))


def _lines_of(entry: nouns.JournalEntry) -> str:
    lines = [_in_a_line(entry).rstrip()]
    lines += _trade_lines(entry)
    lines += _cost_lines(entry)
    lines += _figure_lines(entry)
    rules = {k: v for k, v in entry.rules.model_dump().items() if v is not None and v is not False}
    lines.append("rules    " + (" · ".join(_rule(k, v) for k, v in rules.items()) or "none"))
    for name in ("plan", "reason"):
        if text := getattr(entry, name):
            lines.append(f"{name:<8} {text}")
    if entry.tags:
        lines.append(f"tags     {' '.join(entry.tags)}")
    lines += [f"note     {note.at:%Y-%m-%d %H:%M}  {note.text}" for note in entry.notes]
    marked = [mark for mark in entry.snapshots if mark.pnl is not None]
    if marked:
        last = marked[-1]
        lines.append(
            f"marks    {len(entry.snapshots)} kept; {last.at:%Y-%m-%d %H:%M} UTC spot "
            f"{number(last.spot, 2)}, P&L {money(last.pnl)}"
            + (", before the last trade" if entry.trades[-1].at > last.at else "")
        )
    return folded("\n".join(lines)) + "\n"


_RULES: Mapping[str, Callable[[Any], str]] = {
    "profit_target": lambda share: f"take {share:.0%} of the premium",
    "stop": lambda times: f"stop at {times:g}x the credit",
    "min_dte": lambda days: f"close at {days} days to expiry",
    "earnings_days": lambda days: f"close {days} days before earnings",
    "dividend_days": lambda days: f"close {days} days before a dividend",
    "negative_ev": lambda _: "close where holding no longer pays",
}


def _rule(name: str, value: Any) -> str:
    """An exit rule as it would be said."""
    if name in _RULES:
        return _RULES[name](value)
    said = "" if value is True else f" {value:g}" if isinstance(value, float) else f" {value}"
    return f"{name.replace('_', ' ')}{said}"


def _trade_lines(entry: nouns.JournalEntry) -> list[str]:
    lines = []
    for place, trade in enumerate(entry.trades, 1):
        net = ""
        if trade.price is not None:
            net = f" @{abs(trade.price):.2f} {'credit' if trade.price >= 0.0 else 'debit'}"
        lines.append(
            f"trade {place}  {trade.at:%Y-%m-%d %H:%M} {trade.action.value:<7}"
            f"{money(campaign.cash(trade))}{net}" + (f"  {trade.note}" if trade.note else "")
        )
        for fill in trade.fills:
            at = "" if fill.price is None else f" @{fill.price:.2f}"
            mid = "" if fill.mid is None else f" (mid {fill.mid:.2f})"
            lines.append(f"         {fill.quantity:+g} {fill.name}{at}{mid}")
    return lines


def _cost_lines(entry: nouns.JournalEntry) -> list[str]:
    """What all trades have cost in commissions; nothing where they cost nothing."""
    paid = campaign.commissions(entry)
    if not paid:
        return []
    text = "not known of every fill" if math.isnan(paid) else number(paid, 2)
    return [f"costs    commissions {text} {entry.currency}".rstrip()]


def _figure_lines(entry: nouns.JournalEntry) -> list[str]:
    context = entry.context
    values = {
        "spot": number(context.spot, 2),
        "IV": per_cent(context.iv, 1),
        "rank": per_cent(context.iv_rank),
        "percentile": per_cent(context.iv_percentile),
        "HV30": per_cent(context.hv30, 1),
        "VIX": number(context.vix, 1, 100.0),
        "ATR": number(context.atr14, 2),
        "skew": per_cent(context.skew, 1),
        "delta": money(context.delta, 1),
        "gamma": money(context.gamma),
        "vega": money(context.vega),
        "theta": money(context.theta),
        "margin": number(context.margin, 0),
        "max profit": money(context.max_profit, 0),
        "max loss": "" if context.max_loss is None else money(-context.max_loss, 0),
        "PoS": per_cent(context.pos),
        "EV": money(context.ev),
        "score": number(context.score, 1) + (f" {context.grade}" if context.grade else ""),
    }
    known = [f"{name} {text}" for name, text in values.items() if text]
    lines = [f"entry    {' · '.join(known)}"] if known else []
    if context.missing:
        lines.append(f"missing  {', '.join(map(_figure_name, context.missing))}")
    if context.proposal:
        lines.append(f"from     proposal {context.proposal}")
    return lines


def _figure_name(name: str) -> str:
    """A figure as tables head it."""
    try:
        return figures.find(name).heading
    except UsageError:
        return name.replace("_", " ")


def history(changes: Iterable[Change], shape: Format) -> str:
    """Every change with the values it set."""
    rows: list[dict[str, Any]] = [
        {
            "revision": change.revision,
            "at": change.at.isoformat(),
            "event": change.event,
            "note": change.note,
            "set": change.values,
            "removed": list(change.removed),
        }
        for change in changes
    ]
    return emit_rows(
        shape, rows, lambda: _changes(rows), schema="tomic.journal.history/1", name="changes"
    )


def _changes(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = []
    for row in rows:
        head = f"{row['revision']:>3}  {str(row['at'])[:16].replace('T', ' ')} UTC  {row['event']}"
        lines.append(head + (f"  {row['note']}" if row["note"] else ""))
        lines += [
            folded(f"       {key.replace('_', ' ')}:  {_said(key, value)}")
            for key, value in row["set"].items()
        ]
        lines += [f"       {key} taken away" for key in row["removed"]]
    return "\n".join(lines) + "\n"


def _said(key: str, value: Any) -> str:
    """What was set, as it would be said; else as JSON, no longer than a line or two."""
    if key == "rules" and isinstance(value, dict):
        rules = {name: rule for name, rule in value.items() if rule not in (None, False)}
        return " · ".join(_rule(name, rule) for name, rule in rules.items())
    if key == "trades" and isinstance(value, list):
        return "; ".join(map(_trade_said, value))
    if isinstance(value, list):
        return "; ".join(_said("", part) for part in value)
    if isinstance(value, dict):
        return " · ".join(
            _figure_said(name, part)
            for name, part in value.items()
            if isinstance(part, str | int | float) and not isinstance(part, bool)
        )
    return _moment(value) if isinstance(value, str) else _short(value)


def _trade_said(trade: Mapping[str, Any]) -> str:
    legs = [
        f"{fill['quantity']:+g} {fill.get('strike') or 0:g}{fill.get('right') or ''} "
        f"{fill.get('expiry') or 'shares'}"
        + ("" if fill.get("price") is None else f" @{fill['price']:.2f}")
        for fill in trade.get("fills", ())
    ]
    return f"{trade.get('action', '')} {_moment(str(trade.get('at', '')))}: {', '.join(legs)}"


def _figure_said(name: str, value: str | float) -> str:
    """A figure as tables head and write it; what is none by its own name."""
    if isinstance(value, str):
        return f"{_figure_name(name)} {_moment(value)}"
    try:
        (figure,) = figures.columns(name)
    except KeyError:
        return f"{_figure_name(name)} {value:,.6g}"
    sign = "%" if figure.factor == _PER_CENT else ""
    return f"{figure.heading} {figure_text(figure, value)}{sign}"


_PER_CENT = 100.0


def _moment(text: str) -> str:
    """A time to the minute, as everywhere; any other text as it is."""
    if not _STAMP.match(text):
        return text
    return f"{dt.datetime.fromisoformat(text).astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"


_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 110 else f"{text[:107]}..."


def imports(
    imported: Sequence[tuple[str, ImportedJournal]],
    shape: Format,
    refused: Sequence[tuple[str, Exception]] = (),
) -> str:
    """What each file or source brought, and why others brought nothing."""
    rows = [
        {
            "source": name,
            "kind": result.kind,
            "added": list(result.added),
            "changed": list(result.changed),
            "known": result.known,
            "aside": result.aside,
            "notes": list(result.notes),
        }
        for name, result in imported
    ]
    text = "".join(
        f"{name}: {result.kind}: {len(result.added)} new, {len(result.changed)} changed, "
        f"{result.known} known already{f', {result.aside} kept aside' if result.aside else ''}\n"
        for name, result in imported
    )
    errors = {name: str(error) for name, error in refused}
    more = {"errors": errors} if errors else {}
    return emit_rows(
        shape, rows, lambda: text, schema="tomic.journal.import/1", name="imports", **more
    )


def executions(rows: Sequence[ExecutionRow], shape: Format) -> str:
    """Executions, and rows that are none, with what became of each."""
    return emit_rows(
        shape,
        [_execution(row) for row in rows],
        lambda: _executed(rows),
        schema="tomic.journal.executions/1",
        name="executions",
    )


def _executed(rows: Sequence[ExecutionRow]) -> str:
    if not rows:
        return ""
    table = PlainTable(
        "id", "time (UTC)", "symbol", "contract", "quantity", "price", "status", "entry", "why",
        left=(0, 1, 2, 3, 6, 8),
    )  # fmt: skip
    for row in rows:
        where = f"{Path(row.source).name}:{row.line}: " if row.source else ""
        table.add_row(
            row.id,
            f"{row.at:%Y-%m-%d %H:%M}" if row.at else "",
            row.symbol,
            row.contract,
            "" if row.quantity is None else f"{row.quantity:+g}",
            number(row.price, 2),
            row.status,
            "" if row.entry is None else str(row.entry),
            where + row.reason,
        )
    return table.text()


def _execution(row: ExecutionRow) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) for name in _EXECUTION_FIGURES},
        "at": row.at.isoformat() if row.at else None,
        "decisions": [
            {
                "at": each.at.isoformat(),
                "decision": each.decision,
                "who": each.who,
                "because": each.because,
            }
            for each in row.decisions
        ],
    }


_EXECUTION_FIGURES = (
    "id", "status", "at", "symbol", "contract", "quantity", "price", "commission", "order",
    "entry", "reason", "source", "line", "text",
)  # fmt: skip


# -- check -----------------------------------------------------------------------------------


def checks(run: CheckRun, shape: Format) -> str:
    """A line per entry, and below it each rule that fired or could not be judged."""
    return emit(
        shape,
        table=lambda: _checked(run),
        json=lambda: to_json(
            {
                "schema": "tomic.journal.check/1",
                "as_of": run.as_of.isoformat(),
                "errors": {name: str(error) for name, error in run.errors.items()},
                "lack_earnings": list(run.lack_earnings),
                "checks": [to_document(check) for check in run.checks],
            }
        ),
        ndjson=lambda: to_ndjson(to_document(check) for check in run.checks),
        csv=lambda: to_csv([row for check in run.checks for row in _signal_rows(check)]),
    )


def _checked(run: CheckRun) -> str:
    if not run.checks:
        return ""
    table = PlainTable("id", "symbol", "strategy", "P&L", "of prem", "DTE", "", left=(1, 2))
    details: list[list[str]] = []
    for check in run.checks:
        table.add_row(
            str(check.entry_id),
            check.symbol,
            check.strategy.replace("_", " "),
            by_sign(money(check.pnl) or "?"),
            per_cent(check.share_of_premium) or "?",
            "" if check.dte is None else str(check.dte),
            _verdict(check),
        )
        details.append(_details(check))
    with fitted_to(None):
        head, *lines = table.text().splitlines()
    blocks = ["\n".join([line, *below]) for line, below in zip(lines, details, strict=True)]
    return "\n".join([head, *blocks]) + "\n"


def _verdict(check: nouns.ExitCheck) -> str:
    words = {
        nouns.Verdict.ACT: "ACT",
        nouns.Verdict.HOLD: "hold",
        nouns.Verdict.STALE: "no signal, on old marks",
        nouns.Verdict.UNJUDGED: "NOT JUDGED",
    }
    text = words[check.verdict]
    return text if check.verdict is nouns.Verdict.HOLD else Toned(text, Tone.WARNING)


def _details(check: nouns.ExitCheck) -> list[str]:
    fired = [f"      {signal.rule}: {signal.text} · {signal.advice}" for signal in check.signals]
    levels = levels_text(check)
    lines = [
        *([f"      {levels}"] if levels else []),
        *fired,
        *(f"      ? {signal.text}" for signal in check.unjudged),
        *(f"      {text}" for text in check.notes),
    ]
    return list(map(folded, lines))


def levels_text(check: nouns.ExitCheck) -> str:
    """What to type as good till cancelled, and the day: ``take at 1.95 · stop at 11.70 · …``."""
    levels = check.levels
    if levels is None:
        return ""
    prices = {"take": levels.take, "stop": levels.stop}
    parts = [f"{word} at {abs(price):.2f}" for word, price in prices.items() if price is not None]
    if levels.last_day is not None:
        year = check.as_of.year if check.as_of else None
        form = "%b" if levels.last_day.year == year else "%b %Y"
        parts.append(f"{levels.days} days on {levels.last_day.day} {levels.last_day:{form}}")
    return " · ".join(parts)


def _signal_rows(check: nouns.ExitCheck) -> list[dict[str, Any]]:
    common = {
        "entry_id": check.entry_id,
        "symbol": check.symbol,
        "strategy": check.strategy,
        "verdict": check.verdict.value,
        "pnl": check.pnl,
        "share_of_premium": check.share_of_premium,
        "dte": check.dte,
        "take": check.levels.take if check.levels else None,
        "stop": check.levels.stop if check.levels else None,
        "last_day": check.levels.last_day if check.levels else None,
    }
    empty = {"rule": "", "fired": "", "observed": "", "limit": "", "text": "", "advice": ""}
    signals = [to_document(signal) for signal in (*check.signals, *check.unjudged)]
    return [{**common, **empty, **signal} for signal in signals or [{}]]


def check_notes(run: CheckRun) -> list[str]:
    """What concerns several entries and is said once."""
    if not run.lack_earnings:
        return []
    return [
        f"no earnings date known: {', '.join(run.lack_earnings)}; tomic store import takes a CSV"
    ]


def check_summary(run: CheckRun) -> str:
    """How many entries came to what, and when."""
    counts = {word: sum(check.verdict is word for check in run.checks) for word in nouns.Verdict}
    text = ", ".join(f"{n} {word.value}" for word, n in counts.items() if n) or "nothing open"
    return f"{run.as_of:%Y-%m-%d %H:%M} UTC · {text} · {NOT_ADVICE}"


def snapshots(taken: Sequence[Taken], shape: Format) -> str:
    """What was kept of each entry."""
    rows: list[dict[str, Any]] = [
        {
            "id": mark.entry.id,
            "symbol": mark.entry.symbol,
            "at": mark.snapshot.at.isoformat() if mark.snapshot else None,
            "spot": mark.snapshot.spot if mark.snapshot else None,
            "pnl": mark.snapshot.pnl if mark.snapshot else None,
            "delta": mark.snapshot.delta if mark.snapshot else None,
            "gamma": mark.snapshot.gamma if mark.snapshot else None,
            "vega": mark.snapshot.vega if mark.snapshot else None,
            "theta": mark.snapshot.theta if mark.snapshot else None,
            "problem": mark.problem,
        }
        for mark in taken
    ]
    return emit_rows(
        shape, rows, lambda: _kept(rows), schema="tomic.journal.snapshot/1", name="snapshots"
    )


def _kept(rows: Sequence[Mapping[str, Any]]) -> str:
    table = PlainTable("id", "symbol", "at", "spot", "P&L", "delta", "vega", "theta", left=(1, 2))
    for row in rows:
        table.add_row(
            str(row["id"]),
            str(row["symbol"]),
            str(row["at"] or "")[:16],
            number(row["spot"], 2),
            *(money(row[name]) for name in ("pnl", "delta", "vega", "theta")),
        )
    return table.text() if rows else ""


# -- attribution -------------------------------------------------------------------------------


def attributions(attributed: Sequence[Attributed], shape: Format) -> str:
    """Two accounts of each P&L, each adding up to it to the cent."""
    rows = [
        {"id": trade.entry.id, "symbol": trade.entry.symbol, "line": line, **_cents(part)}
        for trade in attributed
        for line, part in (
            ("since entry", trade.since_entry),
            ("since yesterday", trade.since_yesterday),
        )
        if part is not None
    ]
    return emit_rows(
        shape,
        rows,
        lambda: _attributed(rows),
        schema="tomic.journal.attribution/1",
        name="attributions",
    )


def _attributed(rows: Sequence[Mapping[str, Any]]) -> str:
    table = PlainTable(
        "id", "symbol", "line", "P&L", "delta", "gamma", "vega", "theta", "residual", "|", "time",
        "vol", "spot", "|", "fills", "fees",
        left=(1, 2), drops=("residual", "gamma"),
    )  # fmt: skip
    for row in rows:
        table.add_row(
            str(row["id"]),
            str(row["symbol"]),
            str(row["line"]),
            money(row["total"]),
            *(money(row[name]) for name in ("delta", "gamma", "vega", "theta", "residual")),
            "|",
            *(money(row[name]) for name in ("time", "volatility", "spot")),
            "|",
            *(money(row[name]) for name in ("traded", "costs")),
        )
    return table.text() if rows else ""


def _cents(part: nouns.Attribution) -> dict[str, Any]:
    """Parts in cents; both accounts add up to the total in cents."""
    # Here, as it brings scipy, which a list needs not wait for.
    from tomic.journal.attribution import in_cents

    outside = (part.traded, part.costs)
    stepwise = in_cents((*outside, part.time, part.volatility, part.spot), part.total)
    greeks = (part.delta, part.gamma, part.vega, part.theta, part.residual)
    by_greeks = in_cents((*outside, *greeks), part.total)
    names = ("delta", "gamma", "vega", "theta", "residual")
    return {
        "since": part.since.isoformat(),
        "until": part.until.isoformat(),
        "total": round(part.total, 2),
        **dict(zip(names, by_greeks[2:], strict=True)),
        **dict(zip(("traded", "costs", "time", "volatility", "spot"), stepwise, strict=True)),
        "notes": list(part.notes),
    }


# -- statistics --------------------------------------------------------------------------------


def report(results: nouns.JournalReport, shape: Format) -> str:
    """Statistics, calibration, and the test of the score."""
    rows = [results.overall, *results.groups]
    return emit(
        shape,
        table=lambda: _reported(results, rows),
        json=lambda: to_json({"schema": "tomic.journal.stats/1", **to_document(results)}),
        ndjson=lambda: to_ndjson(_flat(to_document(row)) for row in rows),
        csv=lambda: to_csv([_flat(to_document(row)) for row in rows]),
    )


def _reported(results: nouns.JournalReport, rows: Sequence[nouns.Statistics]) -> str:
    parts = [_totals(rows), _calibrations((results.trades, results.proposals))]
    if results.score.n:
        parts.append(_score(results))
    parts.append(_alternatives(results.alternatives))
    return "\n".join(part for part in parts if part)


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, dict):
            flat |= {f"{key}_{name}" if name != "value" else key: v for name, v in value.items()}
        else:
            flat[key] = value
    return flat


def _span(interval: nouns.Interval, form: str) -> str:
    """A value with its interval: ``74 % (60 to 85)``."""
    if interval.value is None:
        return ""
    text = format(interval.value, form)
    if interval.low is None or interval.high is None:
        return text
    return f"{text} ({format(interval.low, form)} to {format(interval.high, form)})"


def _totals(rows: Sequence[nouns.Statistics]) -> str:
    table = PlainTable(
        "", "n", "win (95 %)", "expectancy (95 %)", "total", "PF", "drawdown", "days", "ROM",
        "beyond mid", drops=("ROM", "days", "PF"),
    )  # fmt: skip
    for group in rows:
        factor = group.profit_factor
        table.add_row(
            group.label,
            str(group.n),
            _span(group.win_rate, ".0%"),
            _span(group.expectancy, "+,.2f"),
            money(group.total),
            "no loss" if factor == math.inf else number(factor, 2),
            number(group.max_drawdown, 2),
            number(group.average_days, 1),
            per_cent(group.rom, 1),
            number(group.slippage, 2),
        )
    return table.text()


def _calibrations(calibrations: Iterable[nouns.Calibration]) -> str:
    lines = []
    for calibration in calibrations:
        if not calibration.n:
            lines.append(f"PoS of {calibration.what}: none yet")
            continue
        lines.append(
            f"PoS of {calibration.what}: n {calibration.n} in {calibration.clusters} outcomes · "
            f"Brier {_span(calibration.brier, '.3f')}"
            + ("" if calibration.skill is None else f" · skill {calibration.skill:+.2f}")
            + f" · forecast less outcome {_span(calibration.bias, '+.1%')}"
        )
        lines += [
            f"  {band.low:.0%}-{band.high:.0%}: forecast {band.forecast:.0%}, "
            f"came true {_span(band.hit, '.0%')}, n {band.n}"
            for band in calibration.bins
        ]
    return "\n".join(lines) + "\n"


def _score(results: nouns.JournalReport) -> str:
    test = results.score
    lines = [
        f"score against return on margin: rank correlation {_span(test.correlation, '+.2f')}, "
        f"n {test.n} in {test.clusters} outcomes"
    ]
    lines += [
        f"  {band.grade}: n {band.n} · came true {_span(band.hit, '.0%')} (forecast "
        f"{per_cent(band.forecast)}) · result {_span(band.result, '+,.2f')} (EV {money(band.ev)}) "
        f"· ROM {per_cent(band.rom, 1)}"
        for band in test.bands
    ]
    return "\n".join(lines) + "\n"


def _alternatives(known: EndedMoves) -> str:
    """What holding brought, and what each other kind brought beside it; empty if none was shown."""
    waiting = f", {known.waiting} wait for their last expiry" if known.waiting else ""
    if not known.records:
        return f"alternatives shown: none has ended yet{waiting}\n" if waiting else ""
    lines = [f"alternatives shown: {known.settled} looks have ended{waiting}"]
    for record in known.records:
        held = record.kind is MoveKind.HOLD
        beside = (
            f"beside holding {money(record.change)} (expected {money(record.expected)}), "
            f"better in {per_cent(record.better)}, "
        )
        lines.append(
            f"  {record.kind.value}: result {money(record.result)} {record.currency}".rstrip()
            + f" · {'' if held else beside}first {record.chosen} times, n {record.n}"
        )
    return "\n".join(lines) + "\n"
