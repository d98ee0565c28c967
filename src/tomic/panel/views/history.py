"""Stored days of one symbol as pictures: volatility, rank, skew, terms and expected moves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from rich.text import Text
from textual.app import ComposeResult

from tomic import figures
from tomic.desk import Desk
from tomic.panel.views.view import Sheet
from tomic.panel.widgets.grid import Column, Grid, figure_column, text_column
from tomic.panel.widgets.pictures import Picture, Pictures
from tomic.panel.widgets.plot import Canvas, Glyphs, Span, framed, span_of
from tomic.present.text import number, per_cent
from tomic.present.volatility import PAST_COLUMNS
from tomic.workflows.volatility import cones
from tomic.workflows.volatility.stored import PastDay, with_gaps

DAYS = 126
"""Trading days of half a year."""
_LINES = ("cyan", "yellow", "green")
_CONE_POINTS = 16
_SPARKS = 12


def pictures_of(days: Sequence[PastDay]) -> list[Picture]:
    """What there is to see of stored days, oldest first; the first ones matter most."""
    whole = with_gaps(days)
    lines: list[Picture] = [
        partial(series_text, whole, "iv30 hv30"),
        partial(cones_text, days),
        partial(series_text, whole, "iv_rank iv_percentile"),
        partial(series_text, whole, "skew"),
        partial(series_text, whole, "term_m1_m2 term_m1_m3"),
    ]
    return lines if days else []


def series_text(
    days: Sequence[PastDay], names: str, width: int, height: int, glyphs: Glyphs
) -> Text:
    """Figures over time, a line each, under their last values; *days* have no gaps."""
    title, known = Text(no_wrap=True), []
    for figure, style in zip(figures.columns(names), _LINES, strict=False):
        line = [_or_nan(getattr(day, figure.name)) for day in days]
        last = next((value for value in reversed(line) if math.isfinite(value)), None)
        shown = number(last, figure.decimals, figure.factor, signed=figure.is_signed) or "none"
        title.append(f"{figure.narrow} {shown}  ", style if glyphs.braille else "")
        known.append((style, [value * figure.factor for value in line]))
    values = [value for _, line in known for value in line if math.isfinite(value)]
    if width < 20 or height < 5 or len(values) < 2:
        return title.append("\ntoo few days are stored", "dim")
    y = span_of(values)
    ticks = f"{y.high:.1f}", f"{y.low:.1f}"
    canvas = Canvas(
        width - len(max(ticks, key=len)) - 2, height - 3, Span(0.0, len(days) - 1.0), y, glyphs
    )
    if y.low < 0.0 < y.high:
        canvas.level(0.0, "dim")
    for style, line in known:
        _draw(canvas, line, style)
    feet = (f"{days[0].day:%y-%m-%d}", f"{days[-1].day:%y-%m-%d}")
    return title.append("\n").append_text(framed(canvas, ticks=ticks, feet=feet))


def _draw(canvas: Canvas, line: Sequence[float], style: str) -> None:
    """A line; a value without neighbours is a point, as those of single chains are."""
    canvas.curve([float(at) for at in range(len(line))], line, style)
    for at, value in enumerate(line):
        beside = [*line[max(at - 1, 0) : at], *line[at + 1 : at + 2]]
        if math.isfinite(value) and not any(map(math.isfinite, beside)):
            canvas.sign(float(at), value, canvas.glyphs.point, style)


def cones_text(days: Sequence[PastDay], width: int, height: int, glyphs: Glyphs) -> Text:
    """Closes, the expected move of one standard deviation from now, and what earlier ones did."""
    drawn = cones.move_cones(days)
    closes = [day for day in days if day.close is not None]
    if width < 20 or height < 5 or not drawn or len(closes) < 2:
        return Text("expected move\ntoo few days are stored", "dim", no_wrap=True)
    last, record = drawn[-1], cones.move_record(days)
    title = Text(no_wrap=True).append(f"close {last.close:,.2f} ", "cyan" if glyphs.braille else "")
    title.append(f"{glyphs.either_way}{last.move:,.2f} to {last.ends:%m-%d}", "yellow")
    title.append(f"  inside {per_cent(record.share)} of {record.n}" if record.n else "", "dim")
    edges = [edge for cone in drawn for edge in (cone.close - cone.move, cone.close + cone.move)]
    y = span_of([*(_or_nan(day.close) for day in closes), *edges])
    x = Span(closes[0].day.toordinal(), last.ends.toordinal())
    ticks = f"{y.high:,.0f}", f"{y.low:,.0f}"
    canvas = Canvas(width - len(max(ticks, key=len)) - 2, height - 3, x, y, glyphs)
    for cone in drawn:
        after = np.linspace(0.0, (cone.ends - cone.day).days, _CONE_POINTS)
        reach = cone.reach(after)
        at = (after + cone.day.toordinal()).tolist()
        style = "yellow" if cone is last else "dim"
        canvas.curve(at, (cone.close + reach).tolist(), style)
        canvas.curve(at, (cone.close - reach).tolist(), style)
    at = [float(day.day.toordinal()) for day in closes]
    canvas.curve(at, [_or_nan(day.close) for day in closes], "cyan")
    feet = (f"{closes[0].day:%y-%m-%d}", f"{last.ends:%y-%m-%d}")
    return title.append("\n").append_text(framed(canvas, ticks=ticks, feet=feet))


def sparkline(days: Sequence[PastDay], glyphs: Glyphs) -> str:
    """IV rank over the stored days in a few letters, the last day at the right."""
    ranks = [_or_nan(day.iv_rank) for day in days]
    if not any(map(math.isfinite, ranks)):
        return ""
    step = max(len(ranks) / _SPARKS, 1.0)
    picked = [ranks[max(round(len(ranks) - 1 - step * back), 0)] for back in range(_SPARKS)]
    return "".join(glyphs.spark(value) for value in reversed(picked[: len(ranks)]))


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


DAY_COLUMNS: list[Column[PastDay]] = [
    text_column("day", "day"),
    *map(figure_column, (*PAST_COLUMNS, *figures.columns("skew term_m1_m2 term_m1_m3"))),
]


class HistorySheet(Sheet):
    """Stored days: pictures, and a table with the last one on top."""

    def __init__(self, symbol: str, days: Sequence[PastDay] | None = None) -> None:
        super().__init__(f"{symbol}: stored days")
        self._words = ("vol", symbol, "--history", "--days", DAYS)
        self._symbol, self._given = symbol, days
        self.pictures = Pictures(id="days-plot")
        self.table = Grid(DAY_COLUMNS, key=lambda row: f"{row.day}", id="days")

    def body(self) -> ComposeResult:
        """Pictures and table."""
        yield self.pictures
        yield self.table

    def on_mount(self) -> None:
        """Show the days that were given, or read them."""
        if self._given is not None:
            self.show(self._given)
            return

        async def ask(desk: Desk) -> list[PastDay]:
            return await desk.vol_history(self._symbol, DAYS)

        self.request("", ask, self.show, online=False)

    def show(self, days: Sequence[PastDay]) -> None:
        """Fill table and pictures."""
        self.pictures.show(pictures_of(days), self.panel.glyphs)
        self.table.fill(list(reversed(days)))
        self.table.focus()
        if not days:
            self.show_status(f"nothing stored; tomic prices {self._symbol} fetches it")


async def histories(desk: Desk, symbols: Sequence[str]) -> dict[str, list[PastDay]]:
    """The stored days of several symbols."""
    return {symbol: await desk.vol_history(symbol, DAYS) for symbol in symbols}
