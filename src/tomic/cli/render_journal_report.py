"""Attributions and statistics of the journal as text, JSON, NDJSON and CSV."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tomic.cli.machine_forms import to_json
from tomic.cli.numbers import money, number, per_cent
from tomic.cli.options import Format
from tomic.cli.plain_tables import PlainTable
from tomic.cli.render_journal import shaped
from tomic.models.documents import to_document
from tomic.models.journal import Attribution, Calibration, Interval, JournalReport, Statistics

if TYPE_CHECKING:
    from tomic.workflows.journal_review import Attributed

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
    if shape is not Format.TABLE:
        return shaped(shape, "tomic.journal.attribution/1", "attributions", rows)
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


def report(found: JournalReport, shape: Format) -> str:
    """Statistics, calibration, and the test of the score."""
    if shape is Format.JSON:
        return to_json({"schema": "tomic.journal.stats/1", **to_document(found)})
    rows = [found.overall, *found.groups]
    if shape is not Format.TABLE:
        return shaped(shape, "", "", [_flat(to_document(one)) for one in rows])
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
