"""
Pictures from plain numbers: payoff, smile, term structure, cone, stress, calibration.

Every function returns the axes it drew on, those of *ax* or its own. Volatilities and
probabilities are fractions, money is currency per structure, prices are currency per share.
Needs matplotlib: the extra ``plot``. The only module that imports it: figures are made
without pyplot, so drawing leaves no global state behind and needs no display.
"""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import ArrayLike

from tomic._typing import BoolArray
from tomic.disk import write_bytes, write_text
from tomic.errors import UsageError
from tomic.quant.arguments import as_calls
from tomic.quant.realized import Cones

try:
    import matplotlib
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, PercentFormatter
except ModuleNotFoundError as exc:
    raise UsageError(
        f"pictures need matplotlib ({exc.name} is not installed); "
        "in the clone: pip install '.[plot]'"
    ) from exc

ThemeName: TypeAlias = Literal["auto", "light", "dark"]

DayUnit: TypeAlias = Literal["share", "points", "price"]
"""Fractions in per cent, differences of fractions in points, or currency."""

WIDE = (7.2, 4.0)
"""Inches of a picture that is not asked to be another size."""

_SQUARE = (5.0, 4.6)
_MARGINS = {"left": 0.12, "right": 0.98, "top": 0.92, "bottom": 0.13}


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of a picture."""

    ink: str
    """Text and axes."""
    paper: str
    """Background of a file that is saved; SVG, and what a page holds, have none."""
    grid: str
    profit: str
    loss: str
    main: str
    second: str
    third: str
    density: str

    @property
    def lines(self) -> tuple[str, ...]:
        """Colours for several lines, in order."""
        return self.main, self.second, self.third, self.density


_THEMES = {
    # Each has a contrast of at least 3:1 on white and on black; the ink has 4.5:1 on both.
    "auto": Theme(
        ink="#777777", paper="#ffffff", grid="#8a8a8a", profit="#1f9d6b", loss="#d94a5a",
        main="#2f86d1", second="#cf7a14", third="#9a6fd0", density="#8a8f98",
    ),
    "light": Theme(
        ink="#24292f", paper="#ffffff", grid="#b6bcc4", profit="#14804a", loss="#c02c3c",
        main="#1563ad", second="#a85d00", third="#7345b0", density="#8a929c",
    ),
    "dark": Theme(
        ink="#dde3ea", paper="#12161b", grid="#5b6470", profit="#4cc38a", loss="#ff7583",
        main="#6cb6ff", second="#f0a24a", third="#c49bff", density="#8b949e",
    ),
}  # fmt: skip


class FigureSheet(Figure):
    """A figure without a background on a page, which gets one where it becomes a file."""

    paper = "#ffffff"

    def savefig(self, fname: Any, **options: Any) -> None:
        """
        As matplotlib's, on paper: what is half transparent is unreadable where a viewer has none.

        ``transparent=True`` or ``facecolor=`` leave it to the caller.
        """
        if not options.get("transparent"):
            options.setdefault("facecolor", self.paper)
        super().savefig(fname, **options)


class Picture(Axes):
    """Axes that a notebook shows when they are the last expression of a cell."""

    def _repr_svg_(self) -> str:
        return to_svg(self)


def theme_named(name: ThemeName) -> Theme:
    """
    The colours of that name; ``auto`` reads on light and dark pages alike.

    Raises:
        UsageError: There is no such theme.
    """
    if name not in _THEMES:
        raise UsageError(f"theme {name!r}: unknown; use {', '.join(_THEMES)}")
    return _THEMES[name]


def axes_for(
    ax: Axes | None, theme: ThemeName, *, title: str = "", size: tuple[float, float] = WIDE
) -> tuple[Axes, Theme]:
    """*ax*, or axes of a figure of their own, with the colours of *theme*; one grid for all."""
    colours = theme_named(theme)
    if ax is None:
        # Room for the widest labels; a layout engine would measure every letter, twice.
        figure = _sheet(colours, size)
        figure.subplots_adjust(**_MARGINS | {"left": _MARGINS["left"] * WIDE[0] / size[0]})
        ax = figure.add_subplot(axes_class=Picture)
    return _styled(ax, colours, title), colours


def _sheet(colours: Theme, size: tuple[float, float]) -> FigureSheet:
    sheet = FigureSheet(figsize=size, facecolor="none")
    sheet.paper = colours.paper
    return sheet


def _styled(ax: Axes, colours: Theme, title: str) -> Axes:
    """*ax* with the grid and the colours that all have."""
    ax.patch.set_alpha(0.0)
    for spine in ax.spines.values():
        spine.set_color(colours.ink)
        spine.set_linewidth(0.8)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    ax.tick_params(colors=colours.ink, labelsize=9)
    ax.xaxis.label.set_color(colours.ink)
    ax.yaxis.label.set_color(colours.ink)
    ax.grid(True, color=colours.grid, alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)
    if title:
        ax.set_title(title, color=colours.ink, fontsize=11, loc="left")
    return ax


def legend(ax: Axes, colours: Theme, **where: Any) -> None:
    """A legend without a box, in the colour of the text."""
    ax.legend(frameon=False, labelcolor=colours.ink, fontsize=9, **where)


def to_svg(ax: Axes) -> str:
    """
    The whole figure of *ax* as SVG text: same numbers, same text, byte for byte.

    Letters stay letters, so that they can be searched, copied and read aloud.
    """
    text = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "tomic"}):
        cast(Figure, ax.get_figure(root=True)).savefig(
            text, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
    return text.getvalue()


def save(path: Path, ax: Axes) -> None:
    """
    Write the whole figure of *ax*; the file is whole or not there.

    SVG has no background, so that it fits any page; the others have that of their theme.

    Raises:
        UsageError: The ending of *path* is not .svg, .png or .pdf.
        BadFile: It cannot be written.
    """
    form = path.suffix.lower().removeprefix(".")
    if form not in _FORMS:
        raise UsageError(f"{path}: end the name of a picture with .svg, .png or .pdf")
    if form == "svg":
        write_text(path, to_svg(ax))
        return
    data = io.BytesIO()
    cast(Figure, ax.get_figure(root=True)).savefig(data, format=form, dpi=_DPI)
    write_bytes(path, data.getvalue())


_FORMS = ("svg", "png", "pdf")
_DPI = 160
_MOST_PRINTED_CELLS = 120
_LIGHT_CELL = 0.55


def payoff(
    price: ArrayLike,
    expiry: ArrayLike,
    *,
    before: Mapping[str, ArrayLike] | None = None,
    breakevens: Sequence[float] = (),
    spot: float | None = None,
    density: ArrayLike | None = None,
    currency: str = "USD",
    title: str = "",
    ax: Axes | None = None,
    theme: ThemeName = "auto",
) -> Axes:
    """
    P&L of a structure over the price of the underlying.

    Args:
        price: Ascending prices, shape (n,).
        expiry: P&L at the first expiry, (n,).
        before: Label such as ``today`` to P&L at that moment, (n,).
        breakevens: Prices marked on the zero line.
        spot: Price now, a dashed line.
        density: Probability density of the price at expiry, (n,), drawn behind to no scale.
    """
    ax, colours = axes_for(ax, theme, title=title)
    x, at_expiry = np.asarray(price, dtype=float), np.asarray(expiry, dtype=float)
    if density is not None:
        _behind(ax, colours, x, np.asarray(density, dtype=float))
    ax.axhline(0.0, color=colours.ink, linewidth=0.8)
    for sign, colour in ((1.0, colours.profit), (-1.0, colours.loss)):
        ax.fill_between(
            x, at_expiry, 0.0, where=sign * at_expiry >= 0.0, interpolate=True,
            color=colour, alpha=0.16, linewidth=0,
        )  # fmt: skip
    ax.plot(x, at_expiry, color=colours.main, linewidth=1.8, label="at expiry")
    for (label, values), colour in zip((before or {}).items(), colours.lines[1:], strict=False):
        ax.plot(x, np.asarray(values, dtype=float), color=colour, linewidth=1.3, label=label)
    if spot is not None:
        ax.axvline(spot, color=colours.ink, linewidth=0.9, linestyle=(0, (4, 3)))
        _note(ax, colours, f"spot {spot:,.2f}", spot, 1.0)
    for level in breakevens:
        ax.plot([level], [0.0], marker="o", markersize=5, color=colours.ink, zorder=5)
        _note(ax, colours, f"{level:,.2f}", level, 0.0)
    ax.set_xlim(x[0], x[-1])
    ax.set_xlabel("price of the underlying")
    ax.set_ylabel(f"P&L, {currency}")
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    legend(ax, colours)
    return ax


def smile(
    strike: ArrayLike,
    iv: ArrayLike,
    *,
    is_call: ArrayLike | None = None,
    low: ArrayLike | None = None,
    high: ArrayLike | None = None,
    fit: tuple[ArrayLike, ArrayLike] | None = None,
    forward: float | None = None,
    title: str = "",
    ax: Axes | None = None,
    theme: ThemeName = "auto",
) -> Axes:
    """
    Implied volatility over strikes, quotes and fit.

    Args:
        strike, iv: Quotes, shape (n,); NaN is left out.
        is_call: Marks calls and puts apart, (n,).
        low, high: Volatility at bid and ask, (n,), drawn as a bar through the quote.
        fit: Strikes and volatilities of the fitted curve.
        forward: Forward of the expiry, a dashed line.
    """
    ax, colours = axes_for(ax, theme, title=title)
    k, sigma = np.asarray(strike, dtype=float), np.asarray(iv, dtype=float)
    call = np.zeros(k.shape, dtype=bool) if is_call is None else as_calls(is_call)
    kinds = ((~call, "quotes" if is_call is None else "puts", "v"), (call, "calls", "^"))
    for (rows, label, marker), colour in zip(kinds, (colours.second, colours.third), strict=True):
        rows = rows & np.isfinite(sigma)
        if not rows.any():
            continue
        if low is not None and high is not None:
            ends = np.asarray(low, dtype=float)[rows], np.asarray(high, dtype=float)[rows]
            ax.vlines(k[rows], *ends, color=colour, linewidth=1.0, alpha=0.45)
        ax.plot(
            k[rows], sigma[rows], linestyle="none", marker=marker, markersize=4.5, color=colour,
            label=label,
        )  # fmt: skip
    if fit is not None:
        ax.plot(np.asarray(fit[0]), np.asarray(fit[1]), color=colours.main, label="fit")
    if forward is not None:
        ax.axvline(forward, color=colours.ink, linewidth=0.9, linestyle=(0, (4, 3)))
        _note(ax, colours, f"forward {forward:,.2f}", forward, 1.0)
    ax.set_xlabel("strike")
    ax.set_ylabel("implied volatility")
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    legend(ax, colours)
    return ax


def term_structure(
    dte: ArrayLike,
    iv: ArrayLike,
    *,
    expiries: Sequence[dt.date] = (),
    iv30: float | None = None,
    title: str = "",
    ax: Axes | None = None,
    theme: ThemeName = "auto",
) -> Axes:
    """
    Volatility at the money over days to expiry.

    Args:
        dte, iv: A point per expiry, (n,); NaN is left out.
        expiries: Their days, written beside the points.
        iv30: Volatility at 30 days, a diamond.
    """
    ax, colours = axes_for(ax, theme, title=title)
    days, sigma = np.asarray(dte, dtype=float), np.asarray(iv, dtype=float)
    known = np.isfinite(sigma)
    ax.plot(days[known], sigma[known], color=colours.main, marker="o", markersize=5)
    for day, x, y in zip(expiries, days, sigma, strict=False):
        if np.isfinite(y):
            ax.annotate(
                f"{day:%d %b}", (x, y), xytext=(0, 7), textcoords="offset points", ha="center",
                fontsize=8, color=colours.ink,
            )  # fmt: skip
    if iv30 is not None:
        ax.plot(
            [30.0], [iv30], marker="D", markersize=6, linestyle="none", color=colours.second,
            label=f"IV30 {iv30:.1%}",
        )  # fmt: skip
        legend(ax, colours)
    ax.margins(y=0.15)
    ax.set_xlabel("days to expiry")
    ax.set_ylabel("volatility at the money")
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    return ax


def hv_cone(
    cones: Cones,
    *,
    iv: Mapping[int, float] | None = None,
    title: str = "",
    ax: Axes | None = None,
    theme: ThemeName = "auto",
) -> Axes:
    """
    Range of realised volatility by window, and where today's stands in it.

    Args:
        cones: Of one symbol: levels (windows, quantiles), today's (windows,).
        iv: Trading days to implied volatility of that horizon, to compare with.
    """
    ax, colours = axes_for(ax, theme, title=title)
    window, level = np.asarray(cones.window, dtype=float), np.asarray(cones.level)
    bands = len(cones.quantile) // 2
    for band in range(bands):
        low, high = level[:, band], level[:, -1 - band]
        label = f"{cones.quantile[band]:.0%} to {cones.quantile[-1 - band]:.0%}"
        ax.fill_between(
            window, low, high, color=colours.main, alpha=0.12 + 0.1 * band, linewidth=0, label=label
        )
    if len(cones.quantile) % 2:
        ax.plot(window, level[:, bands], color=colours.main, linewidth=1.2, label="median")
    ax.plot(window, cones.last, color=colours.second, marker="o", markersize=5, label="today")
    if iv:
        ax.plot(
            list(iv), list(iv.values()), color=colours.third, marker="D", linestyle="none",
            label="implied",
        )  # fmt: skip
    ax.set_xscale("log")
    ax.set_xticks(window, [f"{value:g}" for value in window])
    ax.minorticks_off()
    ax.set_ylim(bottom=0.0)
    ax.set_xlabel("window, trading days")
    ax.set_ylabel("realised volatility, yearly")
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    legend(ax, colours)
    return ax


def stress_heat_map(
    spot_moves: ArrayLike,
    vol_moves: ArrayLike,
    profit: ArrayLike,
    *,
    currency: str = "USD",
    title: str = "",
    ax: Axes | None = None,
    theme: ThemeName = "auto",
) -> Axes:
    """
    P&L over moves of spot and volatility; blue wins, red loses, white is nothing.

    Args:
        spot_moves: Relative moves of the spot, (a,), along x.
        vol_moves: Relative moves of the volatility, (b,), along y.
        profit: (a, b); cells that could not be valued (NaN) stay empty. Cells are printed when
            there are at most 120 of them.
    """
    ax, colours = axes_for(ax, theme, title=title)
    spots, vols = np.asarray(spot_moves, dtype=float), np.asarray(vol_moves, dtype=float)
    cells = np.asarray(profit, dtype=float).T
    known = np.abs(cells[np.isfinite(cells)])
    reach = float(known.max(initial=0.0)) or 1.0
    image = ax.imshow(
        cells, cmap="RdBu", vmin=-reach, vmax=reach, aspect="auto", origin="lower",
        interpolation="nearest",
    )  # fmt: skip
    ax.grid(False)
    _move_ticks(ax, spots, vols)
    if cells.size <= _MOST_PRINTED_CELLS:
        for (row, column), value in np.ndenumerate(cells):
            if np.isfinite(value):
                shade = "#111111" if abs(value) < _LIGHT_CELL * reach else "#ffffff"
                ax.text(
                    column,
                    row,
                    f"{round(float(value)) or 0:,}",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color=shade,
                )
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.9, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=colours.ink, labelsize=8)
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    bar.set_label(f"P&L, {currency}", color=colours.ink)
    ax.set_xlabel("move of the spot")
    ax.set_ylabel("change of volatility")
    return ax


def calibration(
    forecast: ArrayLike,
    observed: ArrayLike,
    *,
    low: ArrayLike | None = None,
    high: ArrayLike | None = None,
    n: Sequence[int] = (),
    title: str = "",
    ax: Axes | None = None,
    theme: ThemeName = "auto",
) -> Axes:
    """
    How often what was forecast came true; an honest forecaster lies on the diagonal.

    Args:
        forecast, observed: Mean probability and share of hits per bin, (n,); NaN is left out.
        low, high: Interval of the share, (n,).
        n: How many forecasts each bin holds, written beside the points.
    """
    ax, colours = axes_for(ax, theme, title=title, size=_SQUARE)
    p, hit = np.asarray(forecast, dtype=float), np.asarray(observed, dtype=float)
    known = np.isfinite(p) & np.isfinite(hit)
    ax.plot([0, 1], [0, 1], color=colours.ink, linewidth=0.9, linestyle=(0, (4, 3)))
    if low is not None and high is not None:
        ends = np.asarray(low, dtype=float)[known], np.asarray(high, dtype=float)[known]
        ax.vlines(p[known], *ends, color=colours.main, linewidth=1.2, alpha=0.5)
    ax.plot(p[known], hit[known], color=colours.main, marker="o", markersize=6)
    for count, x, y in zip(n, p, hit, strict=False):
        if np.isfinite(y) and np.isfinite(x):
            ax.annotate(
                f"{count}", (x, y), xytext=(7, -10), textcoords="offset points", fontsize=8,
                color=colours.ink,
            )  # fmt: skip
    ax.set_xlim(-0.02, 1.02)
    ax.set_ylim(-0.02, 1.02)
    ax.set_xlabel("forecast")
    ax.set_ylabel("came true")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0))
    return ax


def promised(
    said: ArrayLike,
    came: ArrayLike,
    *,
    low: ArrayLike | None = None,
    high: ArrayLike | None = None,
    n: Sequence[int] = (),
    what: str = "",
    title: str = "",
    ax: Axes | None = None,
    theme: ThemeName = "auto",
) -> Axes:
    """
    What was promised against what came, as fractions; an honest promise lies on the diagonal.

    Args:
        said, came: Mean of each group, (n,); NaN is left out.
        low, high: Interval of what came, (n,).
        n: How many each group holds, written beside the points.
        what: Of both axes.
    """
    ax, colours = axes_for(ax, theme, title=title, size=_SQUARE)
    x, y = np.asarray(said, dtype=float), np.asarray(came, dtype=float)
    known = np.isfinite(x) & np.isfinite(y)
    ends = np.array([low, high], dtype=float) if low is not None and high is not None else None
    if ends is not None:
        ax.vlines(x[known], *ends[:, known], color=colours.main, linewidth=1.2, alpha=0.5)
    ax.axline((0.0, 0.0), slope=1.0, color=colours.ink, linewidth=0.9, linestyle=(0, (4, 3)))
    ax.axhline(0.0, color=colours.ink, linewidth=0.6)
    ax.plot(x[known], y[known], color=colours.main, marker="o", markersize=6, linestyle="none")
    for count, at, value in zip(n, x, y, strict=False):
        if np.isfinite(at) and np.isfinite(value):
            ax.annotate(
                f"{count}", (at, value), xytext=(7, -10), textcoords="offset points", fontsize=8,
                color=colours.ink,
            )  # fmt: skip
    # What came spreads far more than what was promised.
    ax.margins(x=0.1)
    ax.set_xlabel(f"promised {what}".strip())
    ax.set_ylabel(f"came {what}".strip())
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0))
    return ax


def equity(
    days: Sequence[dt.date],
    total: ArrayLike,
    *,
    currency: str = "",
    title: str = "",
    ax: Axes | None = None,
    theme: ThemeName = "auto",
) -> Axes:
    """
    A running total over time, and below it how far it is under its highest point so far.

    Args:
        days: Ascending.
        total: Currency, (n,); it starts at nothing.
    """
    ax, colours = axes_for(ax, theme, title=title)
    sums = np.asarray(total, dtype=float)
    fallen = sums - np.maximum(np.maximum.accumulate(sums), 0.0) if sums.size else sums
    dates = np.array(days, dtype="datetime64[D]")
    ax.plot(dates, sums, color=colours.main, label="total")
    ax.fill_between(
        dates, fallen, 0.0, color=colours.loss, alpha=0.3, linewidth=0, label="below its peak"
    )
    ax.axhline(0.0, color=colours.ink, linewidth=0.8)
    ax.set_ylabel(f"P&L{f', {currency}' if currency else ''}")
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.tick_params(axis="x", labelsize=8)
    legend(ax, colours)
    return ax


_TALL = (7.2, 8.4)
_SECTIONS = {"left": 0.1, "right": 0.96, "top": 0.95, "bottom": 0.05, "hspace": 0.22}
_TWO_SIGMAS = 2.0


def sections(heights: Sequence[float], *, theme: ThemeName = "auto") -> tuple[list[Axes], Theme]:
    """Empty axes above each other that share days, as high as *heights* say beside each other."""
    colours = theme_named(theme)
    sheet = _sheet(colours, _TALL)
    sheet.subplots_adjust(**_SECTIONS)
    places = sheet.add_gridspec(len(heights), 1, height_ratios=heights)
    stacked: list[Axes] = []
    for row in range(len(heights)):
        first = stacked[0] if stacked else None
        ax = sheet.add_subplot(places[row, 0], axes_class=Picture, sharex=first)
        stacked.append(_styled(ax, colours, ""))
        ax.tick_params(axis="x", labelsize=8, labelbottom=len(stacked) == len(heights))
        ax.xaxis.set_major_formatter(FuncFormatter(_month))
    return stacked, colours


def _month(value: float, _: object) -> str:
    """The month of a place on an axis of days, which matplotlib counts from 1970."""
    return f"{dt.date(1970, 1, 1) + dt.timedelta(days=value):%b %Y}"


def by_day(
    days: Sequence[dt.date],
    lines: Mapping[str, ArrayLike],
    *,
    unit: DayUnit = "share",
    title: str = "",
    ax: Axes | None = None,
    theme: ThemeName = "auto",
) -> Axes:
    """
    Series over days. A day without a value breaks its line; a value alone is a dot.

    Args:
        days: Ascending, (n,); every trading day, as a line joins what stands side by side.
        lines: Label to values, (n,), NaN where unknown; one without any value is left out.
    """
    ax, colours = axes_for(ax, theme, title=title)
    x = np.array(days, dtype="datetime64[D]")
    for (label, values), colour in zip(lines.items(), colours.lines, strict=False):
        y = np.asarray(values, dtype=float)
        if not np.isfinite(y).any():
            continue
        ax.plot(x, y, color=colour, linewidth=1.3, label=label)
        alone = _alone(y)
        ax.plot(x[alone], y[alone], color=colour, linestyle="none", marker="o", markersize=3.5)
    ax.yaxis.set_major_formatter(FuncFormatter(_UNITS[unit]))
    if ax.lines:
        legend(ax, colours, loc="upper left", ncols=len(lines))
    return ax


_UNITS = {
    "share": lambda value, _: f"{100.0 * value:z.4g}%",
    "points": lambda value, _: f"{100.0 * value:+z.1f}",
    "price": lambda value, _: f"{value:,.6g}",
}


def _alone(values: np.ndarray) -> BoolArray:
    """Values between two gaps, which a line would not show."""
    gap = np.concatenate([[True], ~np.isfinite(values), [True]])
    return np.asarray(~gap[1:-1] & gap[:-2] & gap[2:], dtype=np.bool_)


def cones(
    starts: Sequence[dt.date],
    close: ArrayLike,
    reach: ArrayLike,
    offset: ArrayLike,
    *,
    ax: Axes | None = None,
    theme: ThemeName = "auto",
) -> Axes:
    """
    Expected moves from several days on, one and two standard deviations either way.

    Args:
        starts, close: Where each begins, (n,).
        reach: One standard deviation, (n, steps), currency per share.
        offset: Calendar days of the steps, (steps,).
    """
    ax, colours = axes_for(ax, theme)
    after = np.asarray(offset, dtype="timedelta64[D]")
    for start, middle, sigma in zip(
        starts, np.asarray(close, dtype=float), np.asarray(reach, dtype=float), strict=True
    ):
        days = np.datetime64(start, "D") + after
        for times, alpha in ((_TWO_SIGMAS, 0.12), (1.0, 0.2)):
            ax.fill_between(
                days, middle - times * sigma, middle + times * sigma,
                color=colours.second, alpha=alpha, linewidth=0,
            )  # fmt: skip
    return ax


def by_strike(
    strike: ArrayLike,
    puts: ArrayLike,
    calls: ArrayLike,
    *,
    spot: float | None = None,
    unit: str = "contracts",
    title: str = "",
    ax: Axes | None = None,
    theme: ThemeName = "auto",
) -> Axes:
    """
    A number of each strike, puts to the left and calls to the right of the middle.

    Args:
        strike: Ascending, (n,).
        puts, calls: (n,); NaN, which is unknown, has no bar.
    """
    ax, colours = axes_for(ax, theme, title=title, size=(7.2, 6.0))
    k = np.asarray(strike, dtype=float)
    thick = 0.8 * float(np.min(np.diff(k))) if k.size > 1 else 1.0
    sides = (("puts", -1.0, puts, colours.second), ("calls", 1.0, calls, colours.third))
    for label, sign, values, colour in sides:
        width = sign * np.nan_to_num(np.asarray(values, dtype=float))
        ax.barh(k, width, height=thick, color=colour, label=label)
    ax.axvline(0.0, color=colours.ink, linewidth=0.8)
    if spot is not None:
        ax.axhline(spot, color=colours.ink, linewidth=0.9, linestyle=(0, (4, 3)))
        ax.annotate(
            f"spot {spot:,.2f}", (1.0, spot), xycoords=("axes fraction", "data"), va="bottom",
            ha="right", fontsize=8, color=colours.ink,
        )  # fmt: skip
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{abs(value):,.0f}"))
    ax.set_xlabel(unit)
    ax.set_ylabel("strike")
    legend(ax, colours)
    return ax


def _move_ticks(ax: Axes, spots: np.ndarray, vols: np.ndarray) -> None:
    """Per cents along both axes, no more than fit."""
    step = max(1, -(-spots.size // 11))
    # Keep the move of nothing among the ticks of a symmetric axis.
    start = (spots.size // 2) % step
    columns = range(start, spots.size, step)
    ax.set_xticks(list(columns), [_move(spots[index]) for index in columns])
    ax.set_yticks(range(vols.size), [_move(value) for value in vols])


def _move(value: float) -> str:
    return "0%" if value == 0.0 else f"{value:+.0%}"


def _behind(ax: Axes, colours: Theme, price: np.ndarray, density: np.ndarray) -> None:
    """A density behind the picture, on an axis of its own that says nothing of its scale."""
    other = ax.twinx()
    other.fill_between(price, density, 0.0, color=colours.density, alpha=0.22, linewidth=0)
    other.set_ylim(0.0, 1.25 * float(np.nanmax(density, initial=1e-300)))
    other.set_axis_off()
    other.set_zorder(ax.get_zorder() - 1)


def _note(ax: Axes, colours: Theme, text: str, x: float, side: float) -> None:
    """A word at price *x*, at the top (1.0) or under the zero line (0.0)."""
    place = {"xy": (x, 1.0), "xycoords": ax.get_xaxis_transform()} if side else {"xy": (x, 0.0)}
    ax.annotate(
        text, xytext=(4, -3), textcoords="offset points", va="top", fontsize=8, color=colours.ink,
        **place,
    )  # fmt: skip
