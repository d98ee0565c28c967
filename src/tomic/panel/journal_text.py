"""A journal entry and the statistics of all of them as pages of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from tomic.models.journal import (
    Calibration,
    Interval,
    JournalEntry,
    JournalReport,
    Statistics,
    Trade,
)
from tomic.panel.glyphs import Glyphs, amount, number, per_cent

if TYPE_CHECKING:
    from tomic.store import Change

_BAR = 20


def entry_text(entry: JournalEntry, changes: Sequence[Change] = ()) -> Text:
    """Trades, rules, context, notes and history of one entry."""
    text = Text(f"{entry.symbol} {entry.strategy.replace('_', ' ')}", style="bold")
    text.append(f"  {entry.status.value}, opened {entry.opened_at:%Y-%m-%d %H:%M}\n")
    for trade in entry.trades:
        text.append_text(_trade(trade))
    rules = {name: value for name, value in entry.rules if value not in (None, False)}
    text.append("\nrules    ", "dim").append(
        ", ".join(f"{name} {value}" for name, value in rules.items()) or "none"
    )
    for name, value in (("plan", entry.plan), ("reason", entry.reason)):
        if value:
            text.append(f"\n{name:<9}", "dim").append(value)
    if entry.tags:
        text.append("\ntags     ", "dim").append(", ".join(entry.tags))
    text.append_text(_context(entry))
    for note in entry.notes:
        text.append(f"\n{note.at:%Y-%m-%d %H:%M} ", "dim").append(note.text)
    for one in entry.snapshots[-5:]:
        text.append(f"\n{one.at:%Y-%m-%d %H:%M} ", "dim")
        text.append(f"mark: P&L {number(one.pnl, 2, signed=True)} at {number(one.spot)} {one.note}")
    text.append("\n\nhistory", "bold")
    for change in changes:
        text.append(f"\n{change.revision:>3} {change.at:%Y-%m-%d %H:%M} ", "dim")
        text.append(f"{change.event} {change.note}".rstrip())
    return text


def _trade(trade: Trade) -> Text:
    text = Text(f"\n{trade.at:%Y-%m-%d %H:%M} ", "dim").append(trade.action.value, "bold")
    if trade.price is not None:
        text.append(f" {trade.structures}x at {number(trade.price, 2, signed=True)}")
    for fill in trade.fills:
        text.append(f"\n  {fill.quantity:+g} {fill.name} {number(fill.price)}")
        if fill.commission:
            text.append(f" commission {number(fill.commission)}", "dim")
    return text


def _context(entry: JournalEntry) -> Text:
    one = entry.context
    figures = [
        ("spot", number(one.spot)),
        ("IV%", per_cent(one.iv)),
        ("rank", per_cent(one.iv_rank, 0)),
        ("HV30%", per_cent(one.hv30)),
        ("VIX", number(one.vix, 2, 100.0)),
        ("PoS%", per_cent(one.pos)),
        ("EV", number(one.ev, 2, signed=True)),
        ("margin", number(one.margin, 0)),
        ("score", f"{number(one.score, 1)} {one.grade}".strip()),
    ]
    known = [f"{name} {value}" for name, value in figures if value]
    return Text("\nat entry ", "dim").append(", ".join(known) or "nothing is known")


# -- statistics ------------------------------------------------------------------------------


def report_text(report: JournalReport, glyphs: Glyphs) -> Text:
    """Results, groups, calibration and the test of the score."""
    text = Text(
        f"{'':<20}{'n':>5}{'win%':>7}{'mean':>10}{'total':>11}{'PF':>7}{'ROM%':>8}\n", "dim"
    )
    for one in (report.overall, *report.groups):
        text.append(_row(one))
    overall = report.overall
    text.append(f"\nwin rate 95 %: {_span(overall.win_rate, 100.0, 0)}")
    text.append(f"\nexpectancy 95 %: {_span(overall.expectancy, 1.0, 0)}")
    text.append(f"\ndeepest fall: {number(overall.max_drawdown, 0, signed=True)}")
    for found in (report.trades, report.proposals):
        text.append("\n\n").append_text(_calibration(found, glyphs))
    test = report.score
    if test.n:
        text.append(f"\n\nscore against outcome, {test.n} proposals: ", "bold")
        text.append(f"correlation {_span(test.correlation, 1.0, 2)}")
        for band in test.bands:
            text.append(
                f"\n{band.grade:>3} {band.n:>5}  came true {_span(band.hit, 100.0, 0)} %, forecast "
                f"{per_cent(band.forecast, 0)} %, result {_span(band.result, 1.0, 0)}"
            )
    for note in report.notes:
        text.append(f"\nnote: {note}", "dim")
    return text


def _row(one: Statistics) -> str:
    return (
        f"{one.label.replace('_', ' '):<20.20}{one.n:>5}{per_cent(one.win_rate.value, 0):>7}"
        f"{number(one.expectancy.value, 0, signed=True):>10}"
        f"{number(one.total, 0, signed=True):>11}{' ' + amount(one.profit_factor, 2):>7}"
        f"{per_cent(one.rom):>8}\n"
    )


def _calibration(found: Calibration, glyphs: Glyphs) -> Text:
    text = Text(f"{found.what}: {found.n} forecasts, {found.clusters} independent", style="bold")
    if not found.n:
        return text
    text.append(
        f"\nBrier {_span(found.brier, 1.0, 3)}, skill {number(found.skill, 2, signed=True)}, bias "
        f"{_span(found.bias, 100.0, 1)} points"
    )
    for one in found.bins:
        if one.n:
            hit = 0.0 if one.hit.value is None else one.hit.value
            bar = glyphs.shades[-1] * round(_BAR * hit)
            text.append(
                f"\n{per_cent(one.low, 0):>4}-{per_cent(one.high, 0):<4}{one.n:>5}  said "
                f"{per_cent(one.forecast, 0):>3}%  came {per_cent(one.hit.value, 0):>3}%  {bar}"
            )
    return text


def _span(one: Interval, factor: float, decimals: int) -> str:
    if one.value is None:
        return "too few"
    low, high = (number(value, decimals, factor) for value in (one.low, one.high))
    around = f" ({low} to {high})" if low and high else ""
    return f"{number(one.value, decimals, factor)}{around}"
