"""The journal as text, JSON, NDJSON and CSV."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tomic.journal import campaign, statistics
from tomic.journal.attribution import in_cents
from tomic.models.documents import to_document
from tomic.models.journal import (
    Attribution,
    Calibration,
    ExitCheck,
    Interval,
    JournalEntry,
    JournalReport,
    Statistics,
    Verdict,
)
from tomic.present.forms import NOT_ADVICE, Format, emit, emit_rows, to_csv, to_json, to_ndjson
from tomic.present.text import PlainTable, money, number, per_cent

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
    table = PlainTable(
        "id", "symbol", "strategy", "legs", "status", "opened", "days", "DTE", "credit",
        "P&L", "of prem", "PoS", "grade",
        left=(1, 2, 3, 4, 5),
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
            money(row["credit"]),
            money(row["pnl"]),
            per_cent(row["share"]),
            per_cent(row["pos"]),
            row["grade"],
        )
    return table.text()


def recorded(entry: JournalEntry, *, as_json: bool) -> str:
    """What an entry is after a change, in a line or as a document."""
    if as_json:
        return document(entry)
    result = campaign.result(entry)
    legs = statistics.legs_text(campaign.held(entry)) or "flat"
    state = f"result {money(result)}" if result is not None else entry.status.value
    premium = campaign.premium(entry)
    side = "" if premium is None else f" · {'credit' if premium >= 0 else 'debit'} {money(premium)}"
    name = entry.strategy.replace("_", " ")
    return f"{entry.id}  {entry.symbol} {name} · {legs}{side} · {state}\n"


def document(entry: JournalEntry) -> str:
    """The entry whole, with what is computed from it."""
    held = [to_document(leg, exclude_none=True) for leg in campaign.held(entry)]
    computed = {
        "premium": campaign.premium(entry),
        "commissions": campaign.commissions(entry),
        "result": campaign.result(entry),
        "slippage": campaign.slippage(entry),
        "held": held,
    }
    body = to_document(entry, exclude_none=True)
    return to_json({"schema": "tomic.journal.entry/1", **body, "computed": computed})


def whole(entry: JournalEntry, *, as_json: bool) -> str:
    """One entry with everything that was kept of it."""
    if as_json:
        return document(entry)
    lines = [recorded(entry, as_json=False).rstrip()]
    lines += _trade_lines(entry)
    lines += _figure_lines(entry)
    rules = {k: v for k, v in entry.rules.model_dump().items() if v is not None and v is not False}
    lines.append("rules    " + (", ".join(f"{k} {_value(v)}" for k, v in rules.items()) or "none"))
    for name in ("plan", "reason"):
        if text := getattr(entry, name):
            lines.append(f"{name:<8} {text}")
    if entry.tags:
        lines.append(f"tags     {' '.join(entry.tags)}")
    lines += [f"note     {one.at:%Y-%m-%d %H:%M}  {one.text}" for one in entry.notes]
    marked = [one for one in entry.snapshots if one.pnl is not None]
    if marked:
        last = marked[-1]
        lines.append(
            f"marks    {len(entry.snapshots)} kept; {last.at:%Y-%m-%d %H:%M} UTC spot "
            f"{number(last.spot, 2)}, P&L {money(last.pnl)}"
            + (", before the last trade" if entry.trades[-1].at > last.at else "")
        )
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    return "yes" if value is True else f"{value:g}" if isinstance(value, float) else str(value)


def _trade_lines(entry: JournalEntry) -> list[str]:
    lines = []
    for place, trade in enumerate(entry.trades, 1):
        net = f" for {trade.price:+.2f} each" if trade.price is not None else ""
        lines.append(
            f"trade {place}  {trade.at:%Y-%m-%d %H:%M} {trade.action.value:<7}"
            f"{money(campaign.cash(trade))}{net}" + (f"  {trade.note}" if trade.note else "")
        )
        for fill in trade.fills:
            at = "" if fill.price is None else f" @{fill.price:.2f}"
            mid = "" if fill.mid is None else f" (mid {fill.mid:.2f})"
            lines.append(f"         {fill.quantity:+g} {fill.name}{at}{mid}")
    return lines


def _figure_lines(entry: JournalEntry) -> list[str]:
    one = entry.context
    figures = {
        "spot": number(one.spot, 2),
        "IV": per_cent(one.iv, 1),
        "rank": per_cent(one.iv_rank),
        "percentile": per_cent(one.iv_percentile),
        "HV30": per_cent(one.hv30, 1),
        "VIX": number(one.vix, 1, 100.0),
        "ATR": number(one.atr14, 2),
        "skew": per_cent(one.skew, 1),
        "delta": money(one.delta, 1),
        "gamma": money(one.gamma),
        "vega": money(one.vega),
        "theta": money(one.theta),
        "margin": number(one.margin, 0),
        "max profit": money(one.max_profit, 0),
        "max loss": "" if one.max_loss is None else money(-one.max_loss, 0),
        "PoS": per_cent(one.pos),
        "EV": money(one.ev),
        "score": number(one.score, 1) + (f" {one.grade}" if one.grade else ""),
    }
    known = [f"{name} {text}" for name, text in figures.items() if text]
    lines = [f"entry    {' · '.join(known)}"] if known else []
    if one.missing:
        lines.append(f"missing  {', '.join(one.missing)}")
    if one.proposal:
        lines.append(f"from     proposal {one.proposal}")
    return lines


def history(changes: Iterable[Change], shape: Format) -> str:
    """Every change with the values it set."""
    rows: list[dict[str, Any]] = [
        {
            "revision": one.revision,
            "at": one.at.isoformat(),
            "event": one.event,
            "note": one.note,
            "set": one.values,
            "removed": list(one.removed),
        }
        for one in changes
    ]
    return emit_rows(
        shape, rows, lambda: _changes(rows), schema="tomic.journal.history/1", name="changes"
    )


def _changes(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = []
    for row in rows:
        head = f"{row['revision']:>3}  {str(row['at'])[:16].replace('T', ' ')} UTC  {row['event']}"
        lines.append(head + (f"  {row['note']}" if row["note"] else ""))
        lines += [f"       {key}: {_short(value)}" for key, value in row["set"].items()]
        lines += [f"       {key} taken away" for key in row["removed"]]
    return "\n".join(lines) + "\n"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 110 else f"{text[:107]}..."


def imports(
    found: Sequence[tuple[str, ImportedJournal]],
    shape: Format,
    refused: Sequence[tuple[str, Exception]] = (),
) -> str:
    """What each file or source brought, and why others brought nothing."""
    rows = [
        {
            "source": name,
            "kind": one.kind,
            "added": list(one.added),
            "changed": list(one.changed),
            "known": one.known,
            "aside": one.aside,
            "notes": list(one.notes),
        }
        for name, one in found
    ]
    text = "".join(
        f"{name}: {one.kind}: {len(one.added)} new, {len(one.changed)} changed, "
        f"{one.known} known already{f', {one.aside} kept aside' if one.aside else ''}\n"
        for name, one in found
    )
    errors = {name: str(error) for name, error in refused}
    more = {"errors": errors} if errors else {}
    return emit_rows(
        shape, rows, lambda: text, schema="tomic.journal.import/1", name="imports", **more
    )


def executions(found: Sequence[ExecutionRow], shape: Format) -> str:
    """Executions, and rows that are none, with what became of each."""
    return emit_rows(
        shape,
        [_execution(row) for row in found],
        lambda: _executed(found),
        schema="tomic.journal.executions/1",
        name="executions",
    )


def _executed(found: Sequence[ExecutionRow]) -> str:
    if not found:
        return ""
    table = PlainTable(
        "id", "time (UTC)", "symbol", "contract", "quantity", "price", "status", "entry", "why",
        left=(0, 1, 2, 3, 6, 8),
    )  # fmt: skip
    for one in found:
        where = f"{Path(one.source).name}:{one.line}: " if one.source else ""
        table.add_row(
            one.id,
            f"{one.at:%Y-%m-%d %H:%M}" if one.at else "",
            one.symbol,
            one.contract,
            "" if one.quantity is None else f"{one.quantity:+g}",
            number(one.price, 2),
            one.status,
            "" if one.entry is None else str(one.entry),
            where + one.reason,
        )
    return table.text()


def _execution(one: ExecutionRow) -> dict[str, Any]:
    return {
        **{name: getattr(one, name) for name in _EXECUTION_FIGURES},
        "at": one.at.isoformat() if one.at else None,
        "decisions": [
            {
                "at": each.at.isoformat(),
                "decision": each.decision,
                "who": each.who,
                "because": each.because,
            }
            for each in one.decisions
        ],
    }


_EXECUTION_FIGURES = (
    "id", "status", "at", "symbol", "contract", "quantity", "price", "commission", "order",
    "entry", "reason", "source", "line", "text",
)  # fmt: skip


# -- check -----------------------------------------------------------------------------------


def checks(found: CheckRun, shape: Format) -> str:
    """A line per entry, and below it each rule that fired or could not be judged."""
    return emit(
        shape,
        table=lambda: _checked(found),
        json=lambda: to_json(
            {
                "schema": "tomic.journal.check/1",
                "as_of": found.as_of.isoformat(),
                "errors": {name: str(error) for name, error in found.errors.items()},
                "checks": [to_document(check) for check in found.checks],
            }
        ),
        ndjson=lambda: to_ndjson(to_document(check) for check in found.checks),
        csv=lambda: to_csv([row for check in found.checks for row in _signal_rows(check)]),
    )


def _checked(found: CheckRun) -> str:
    if not found.checks:
        return ""
    table = PlainTable("id", "symbol", "strategy", "P&L", "of prem", "DTE", "", left=(1, 2))
    details: list[list[str]] = []
    for one in found.checks:
        table.add_row(
            str(one.entry_id),
            one.symbol,
            one.strategy.replace("_", " "),
            money(one.pnl) or "?",
            per_cent(one.share_of_premium) or "?",
            "" if one.dte is None else str(one.dte),
            _verdict(one),
        )
        details.append(_details(one))
    head, *lines = table.text().splitlines()
    blocks = ["\n".join([line, *below]) for line, below in zip(lines, details, strict=True)]
    return "\n".join([head, *blocks]) + "\n"


def _verdict(one: ExitCheck) -> str:
    words = {
        Verdict.ACT: "ACT",
        Verdict.HOLD: "hold",
        Verdict.STALE: "no signal, on old marks",
        Verdict.UNJUDGED: "NOT JUDGED",
    }
    return words[one.verdict]


def _details(one: ExitCheck) -> list[str]:
    fired = [f"      {signal.rule}: {signal.text} · {signal.advice}" for signal in one.signals]
    return [
        *fired,
        *(f"      ? {signal.text}" for signal in one.unjudged),
        *(f"      {text}" for text in one.notes),
    ]


def _signal_rows(one: ExitCheck) -> list[dict[str, Any]]:
    common = {
        "entry_id": one.entry_id,
        "symbol": one.symbol,
        "strategy": one.strategy,
        "verdict": one.verdict.value,
        "pnl": one.pnl,
        "share_of_premium": one.share_of_premium,
        "dte": one.dte,
    }
    empty = {"rule": "", "fired": "", "observed": "", "limit": "", "text": "", "advice": ""}
    signals = [to_document(signal) for signal in (*one.signals, *one.unjudged)]
    return [{**common, **empty, **signal} for signal in signals or [{}]]


def check_summary(found: CheckRun) -> str:
    """How many entries came to what, and when."""
    counts = {word: sum(one.verdict is word for one in found.checks) for word in Verdict}
    text = ", ".join(f"{n} {word.value}" for word, n in counts.items() if n) or "nothing open"
    return f"{found.as_of:%Y-%m-%d %H:%M} UTC · {text} · {NOT_ADVICE}"


def snapshots(taken: Sequence[Taken], shape: Format) -> str:
    """What was kept of each entry."""
    rows: list[dict[str, Any]] = [
        {
            "id": one.entry.id,
            "symbol": one.entry.symbol,
            "at": one.snapshot.at.isoformat() if one.snapshot else None,
            "spot": one.snapshot.spot if one.snapshot else None,
            "pnl": one.snapshot.pnl if one.snapshot else None,
            "delta": one.snapshot.delta if one.snapshot else None,
            "gamma": one.snapshot.gamma if one.snapshot else None,
            "vega": one.snapshot.vega if one.snapshot else None,
            "theta": one.snapshot.theta if one.snapshot else None,
            "problem": one.problem,
        }
        for one in taken
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


def attributions(found: Sequence[Attributed], shape: Format) -> str:
    """Two accounts of each P&L, each adding up to it to the cent."""
    rows = [
        {"id": one.entry.id, "symbol": one.entry.symbol, "line": line, **_cents(part)}
        for one in found
        for line, part in (
            ("since entry", one.since_entry),
            ("since yesterday", one.since_yesterday),
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
        left=(1, 2),
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


def _cents(part: Attribution) -> dict[str, Any]:
    """Parts in cents; both accounts add up to the total in cents."""
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


def report(found: JournalReport, shape: Format) -> str:
    """Statistics, calibration, and the test of the score."""
    rows = [found.overall, *found.groups]
    return emit(
        shape,
        table=lambda: _reported(found, rows),
        json=lambda: to_json({"schema": "tomic.journal.stats/1", **to_document(found)}),
        ndjson=lambda: to_ndjson(_flat(to_document(row)) for row in rows),
        csv=lambda: to_csv([_flat(to_document(row)) for row in rows]),
    )


def _reported(found: JournalReport, rows: Sequence[Statistics]) -> str:
    parts = [_totals(rows), _calibrations((found.trades, found.proposals))]
    if found.score.n:
        parts.append(_score(found))
    return "\n".join(part for part in parts if part)


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, dict):
            flat |= {f"{key}_{name}" if name != "value" else key: v for name, v in value.items()}
        else:
            flat[key] = value
    return flat


def _span(one: Interval, form: str) -> str:
    """A value with its interval: ``74 % (60 to 85)``."""
    if one.value is None:
        return ""
    text = format(one.value, form)
    if one.low is None or one.high is None:
        return text
    return f"{text} ({format(one.low, form)} to {format(one.high, form)})"


def _totals(rows: Sequence[Statistics]) -> str:
    table = PlainTable(
        "", "n", "win (95 %)", "expectancy (95 %)", "total", "PF", "max DD", "days", "ROM", "slip"
    )
    for one in rows:
        factor = one.profit_factor
        table.add_row(
            one.label,
            str(one.n),
            _span(one.win_rate, ".0%"),
            _span(one.expectancy, "+,.2f"),
            money(one.total),
            number(factor, 2),
            money(one.max_drawdown),
            number(one.average_days, 1),
            per_cent(one.rom, 1),
            money(one.slippage),
        )
    return table.text()


def _calibrations(found: Iterable[Calibration]) -> str:
    lines = []
    for one in found:
        if not one.n:
            lines.append(f"PoS of {one.what}: none yet")
            continue
        lines.append(
            f"PoS of {one.what}: n {one.n} in {one.clusters} outcomes · Brier "
            f"{_span(one.brier, '.3f')}"
            + ("" if one.skill is None else f" · skill {one.skill:+.2f}")
            + f" · forecast less outcome {_span(one.bias, '+.1%')}"
        )
        lines += [
            f"  {item.low:.0%}-{item.high:.0%}: forecast {item.forecast:.0%}, "
            f"came true {_span(item.hit, '.0%')}, n {item.n}"
            for item in one.bins
        ]
    return "\n".join(lines) + "\n"


def _score(found: JournalReport) -> str:
    one = found.score
    lines = [
        f"score against return on margin: rank correlation {_span(one.correlation, '+.2f')}, "
        f"n {one.n} in {one.clusters} outcomes"
    ]
    lines += [
        f"  {band.grade}: n {band.n} · came true {_span(band.hit, '.0%')} (forecast "
        f"{per_cent(band.forecast)}) · result {_span(band.result, '+,.2f')} (EV {money(band.ev)}) "
        f"· ROM {per_cent(band.rom, 1)}"
        for band in one.bands
    ]
    return "\n".join(lines) + "\n"
