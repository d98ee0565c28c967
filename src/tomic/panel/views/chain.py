"""
Chain: the options of one symbol, sortable, filtered by delta and days.

Beside them the smile of the expiry under the cursor, and the open interest by strike.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from typing import Any, ClassVar

import numpy as np
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Label

from tomic import figures
from tomic._typing import BoolArray, FloatArray
from tomic.chain import Chain
from tomic.config import Settings
from tomic.desk import Desk
from tomic.errors import UsageError
from tomic.models import OptionQuote, VolSnapshot
from tomic.panel.views.view import Panel, View
from tomic.panel.widgets.grid import Column, Grid, figure_column
from tomic.panel.widgets.lines import LineInput
from tomic.panel.widgets.pictures import Picture, Pictures
from tomic.panel.widgets.plot import Canvas, Glyphs, framed, span_of
from tomic.panel.widgets.quick import QuickRow
from tomic.present.text import number, points
from tomic.selection import parse_delta, parse_dte
from tomic.strategies.pricing.board import prepare

_POINTS = 121
_LEAST = (29, 12)
"""Fewest cells across and down of a picture that is not alone."""


@dataclass(frozen=True, slots=True)
class OpenInterest:
    """Contracts that are open at each strike of one expiry; NaN where nobody said how many."""

    strike: FloatArray = field(default_factory=lambda: np.array([]))
    calls: FloatArray = field(default_factory=lambda: np.array([]))
    puts: FloatArray = field(default_factory=lambda: np.array([]))


def interest_of(chain: Chain, rows: BoolArray) -> OpenInterest:
    """The open interest of some rows by strike."""
    strike = np.unique(chain["strike"][rows])
    sides = []
    for side in (rows & chain.is_call, rows & ~chain.is_call):
        open_at = np.full(strike.size, np.nan)
        open_at[np.searchsorted(strike, chain["strike"][side])] = chain["open_interest"][side]
        sides.append(open_at)
    return OpenInterest(strike, *sides)


@dataclass(frozen=True, slots=True)
class DrawnSmile:
    """What is drawn of one expiry; volatilities are fractions."""

    expiry: dt.date
    dte: int
    strike: FloatArray
    iv: FloatArray
    is_call: BoolArray
    forward: float
    across: FloatArray
    fitted: FloatArray
    """At *across*; both empty where no smile could be fitted."""
    lack: str = ""
    """Why none could be."""
    interest: OpenInterest = field(default_factory=OpenInterest)


def smiles_of(chain: Chain, settings: Settings) -> dict[dt.date, DrawnSmile]:
    """The smile of every expiry of a chain."""
    nothing = VolSnapshot(symbol=chain.symbol, as_of=chain.as_of)
    board = prepare(chain, nothing, settings)
    outlooks = board.outlooks
    smiles = {}
    for day in chain.expiries:
        outlook = outlooks.get(day)
        forward = outlook.forward if outlook else chain.spot.price
        own = chain["expiry"] == np.datetime64(day, "D")
        rows = own & (chain.is_call == (chain["strike"] >= forward)) & np.isfinite(chain["iv"])
        strike = chain["strike"][rows]
        across = np.array([])
        if outlook is not None and strike.size:
            across = np.linspace(strike.min(), strike.max(), _POINTS)
        smiles[day] = DrawnSmile(
            expiry=day,
            dte=int(chain["dte"][own][0]),
            strike=strike,
            iv=chain["iv"][rows],
            is_call=chain.is_call[rows],
            forward=forward,
            across=across,
            fitted=outlook.smile.iv(across) if outlook is not None and across.size else across,
            lack=board.blind.get(day, ""),
            interest=interest_of(chain, own),
        )
    return smiles


def smile_text(smile: DrawnSmile, width: int, height: int, glyphs: Glyphs) -> Text:
    """The plot as text of *width* x *height* cells; too small a space gives nothing."""
    title = Text(no_wrap=True).append(f"{smile.expiry}  {smile.dte} days", "bold")
    if width < 16 or height < 6 or not smile.strike.size:
        return title.append("\nno volatilities", "dim")
    y = span_of([*smile.iv.tolist(), *smile.fitted.tolist()])
    ticks = points(y.high), points(y.low)
    x = span_of(smile.strike.tolist(), margin=0.02)
    canvas = Canvas(width - len(max(ticks, key=len)) - 2, height - 4, x, y, glyphs)
    if x.low <= smile.forward <= x.high:
        canvas.upright(smile.forward, "dim")
    canvas.curve(smile.across.tolist(), smile.fitted.tolist(), "cyan")
    for strike, iv, is_call in zip(smile.strike, smile.iv, smile.is_call, strict=True):
        canvas.sign(strike, iv, glyphs.point if is_call else glyphs.cross, "yellow")
    feet = (f"{smile.strike.min():g}", f"{smile.strike.max():g}")
    forward = (smile.forward, f"fwd {smile.forward:.1f}")
    key = f"\nIV%  {glyphs.cross} puts {glyphs.point} calls"
    if smile.lack:
        # One line, as the plot leaves no more.
        key += f"; not fitted: {smile.lack}"[: max(0, width - len(key) + 1)]
    return (
        title.append("\n")
        .append_text(framed(canvas, ticks=ticks, feet=feet, mark=forward))
        .append(key, "dim")
    )


@dataclass(frozen=True, slots=True)
class ReadChain:
    """A chain with all that is slow to make of it."""

    chain: Chain
    smiles: dict[dt.date, DrawnSmile]
    rows: list[OptionQuote]


def read(chain: Chain, settings: Settings) -> ReadChain:
    """What the view shows of a chain; takes a while, so not on the panel's loop."""
    return ReadChain(chain, smiles_of(chain, settings), list(chain.rows()))


def interest_text(smile: DrawnSmile, width: int, height: int, glyphs: Glyphs) -> Text:
    """Open interest by strike, calls upwards and puts downwards, and where most of it is."""
    interest = smile.interest
    calls, puts = np.nan_to_num(interest.calls), np.nan_to_num(interest.puts)
    title = Text(no_wrap=True).append("open interest", "bold")
    if width < 16 or height < 6 or not (calls.any() or puts.any()):
        return title.append("\nnone is known", "dim")
    for letter, side, style in (("C", calls, "green"), ("P", puts, "red")):
        most = int(side.argmax())
        if side[most] > 0.0:
            title.append(f"  {interest.strike[most]:g}{letter} {number(side[most], 0)}", style)
    y = span_of([*calls.tolist(), *(-puts).tolist(), 0.0])
    ticks = number(float(calls.max()), 0), number(float(puts.max()), 0)
    x = span_of(interest.strike.tolist(), margin=0.02)
    canvas = Canvas(width - len(max(ticks, key=len)) - 2, height - 3, x, y, glyphs)
    if x.low <= smile.forward <= x.high:
        canvas.upright(smile.forward, "dim")
    canvas.level(0.0, "dim")
    for strike, up, down in zip(interest.strike, calls, puts, strict=True):
        canvas.curve([strike, strike], [0.0, up], "green")
        canvas.curve([strike, strike], [0.0, -down], "red")
    feet = (f"{interest.strike[0]:g}", f"{interest.strike[-1]:g}")
    return title.append("\n").append_text(framed(canvas, ticks=ticks, feet=feet))


def pictures_of(smile: DrawnSmile) -> list[Picture]:
    """What there is to see of one expiry."""
    return [partial(smile_text, smile), partial(interest_text, smile)]


_FIGURES = figures.columns("bid ask iv delta theta vega gamma open_interest volume")
_SPELLED = ("delta", "theta", "vega", "gamma")
"""Not every terminal has Greek letters."""


COLUMNS: list[Column[Any]] = [
    Column("expiry", attrgetter("expiry"), lambda row: f"{row.expiry:%y-%m-%d}", left=True),
    Column("dte", attrgetter("dte"), lambda row: f"{row.dte}"),
    Column("strike", attrgetter("strike"), lambda row: f"{row.strike:g}{row.right}"),
    *(
        figure_column(figure, title=figure.name if figure.name in _SPELLED else "")
        for figure in _FIGURES
    ),
    Column("status", attrgetter("status"), lambda row: row.status.value, left=True),
]


def key_of(row: OptionQuote) -> str:
    """The contract as a text."""
    return f"{row.expiry} {row.strike:g}{row.right}"


@dataclass(frozen=True, slots=True)
class ChainFilter:
    """What the filters ask for; None where nothing is said."""

    symbol: str
    dte: tuple[int, int | None] | None = None
    """Fewest days to expiry, and most if there is an end."""
    delta: tuple[float, float] | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """As options of `tomic chain`."""
        words = [self.symbol]
        if self.dte is not None:
            fewest, most = self.dte
            words += ["--dte", f"{fewest}" if most is None else f"{fewest}:{most}"]
        if self.delta is not None:
            words += ["--delta", "{:g}:{:g}".format(*self.delta)]
        return tuple(words)

    def keep(self, chain: Chain) -> Chain:
        """The rows inside; those without a delta are kept, as they may be inside."""
        return chain.where(self.inside(chain))

    def inside(self, chain: Chain) -> BoolArray:
        """Which rows are kept."""
        dte, delta = chain["dte"], chain["delta"]
        keep = np.ones(len(chain), dtype=bool)
        if self.dte is not None:
            fewest, most = self.dte
            keep &= (dte >= fewest) & (dte <= (np.inf if most is None else most))
        if self.delta is not None:
            keep &= ~((delta < self.delta[0]) | (delta > self.delta[1]))
        return keep


def window_of(symbol: str, dte: str, delta: str) -> ChainFilter:
    """
    Read the filters as they are typed: ``15`` or ``15:60``, and ``-0.5:0.5``.

    Raises:
        UsageError: One of them cannot be read.
    """
    return ChainFilter(
        symbol.strip().upper(),
        parse_dte(dte) if dte.strip() else None,
        parse_delta(delta) if delta.strip() else None,
    )


class ChainView(View):
    """The options of one symbol, its smiles and open interest."""

    label = "Chain"
    waits_for_input = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("l", "live", "Live"),
        Binding("g", "pictures", "Pictures"),
    ]

    _chain: Chain | None = None
    live = False

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self.symbol = LineInput(panel.first_symbol, id="symbol", width=10)
        self.dte = LineInput(id="dte", hint="15:60", width=10)
        self.delta = LineInput(id="delta", hint="-0.8:0.8", width=14)
        self.table = Grid(COLUMNS, key=key_of, id="options")
        self.pictures = Pictures(id="smile", least=_LEAST)
        self._smiles: dict[dt.date, DrawnSmile] = {}
        self._rows: Sequence[OptionQuote] = ()
        self._day: dt.date | None = None

    def body(self) -> ComposeResult:
        """Filters on top, the table, the pictures beside."""
        with QuickRow(classes="filters"):
            yield Label("symbol")
            yield self.symbol
            yield Label("days")
            yield self.dte
            yield Label("delta")
            yield self.delta
        with QuickRow():
            yield self.table
            yield self.pictures

    # -- what is asked for -----------------------------------------------------------------

    def _window(self) -> ChainFilter:
        return window_of(self.symbol.value, self.dte.value, self.delta.value)

    def command(self) -> str:
        """The equivalent command."""
        try:
            words = self._window().words
        except UsageError:
            words = (self.symbol.value,)
        return self.panel.source.command("chain", *words)

    def open(self, symbol: str) -> None:
        """Fetch the chain of another symbol."""
        self.symbol.value = symbol
        self.appeared = True
        self._recall(self.action_load)

    def first_look(self) -> None:
        """Show the chain that was stored last; another is fetched when it is asked for."""
        self._recall(lambda: None if self._chain else View.first_look(self))

    def _recall(self, then: Callable[[], Any]) -> None:
        symbol = self.symbol.value.strip().upper()
        background = self.panel.background

        async def ask(desk: Desk) -> ReadChain | None:
            chain = await (await desk.store()).chains.load(symbol)
            if chain is None:
                return None
            return await background.compute(read, chain, desk.settings)

        def show(found: ReadChain) -> None:
            self.show(found.chain, found.smiles, rows=found.rows, stored=True)

        self.recall(ask, show, then)

    def action_load(self) -> None:
        """Fetch the chain that the filters name."""
        try:
            window = self._window()
        except UsageError as exc:
            self.show_status(str(exc), failed=True)
            return
        rules: dict[str, Any] = {} if window.dte is None else {"dte": window.dte}
        panel = self.panel

        async def ask(desk: Desk) -> ReadChain:
            chain = await desk.chain(window.symbol, **rules)
            return await panel.background.compute(read, chain, desk.settings)

        def show(found: ReadChain) -> None:
            self.show(found.chain, found.smiles, rows=found.rows)

        self.request(f"{window.symbol}: asking for the chain", ask, show)

    # -- what is shown ---------------------------------------------------------------------

    def show(
        self,
        chain: Chain,
        smiles: dict[dt.date, DrawnSmile],
        *,
        rows: Sequence[OptionQuote] | None = None,
        stored: bool = False,
    ) -> None:
        """Show a chain; in live mode the next one is asked for at once."""
        self._chain, self._smiles = chain, smiles
        self.mark_age(chain.as_of, stored=stored)
        self._rows = list(chain.rows()) if rows is None else rows
        self._draw(self._day if self._day in smiles else min(smiles, default=None))
        self._refill()
        if self.live and self.is_on_screen:
            self.action_load()

    def _draw(self, day: dt.date | None) -> None:
        """The pictures of an expiry."""
        self._day = day
        pictures = [] if day is None else pictures_of(self._smiles[day])
        self.pictures.show(pictures, self.panel.glyphs)

    def _refill(self) -> None:
        if self._chain is None:
            return
        try:
            inside = self._window().inside(self._chain)
        except UsageError as exc:
            self.show_status(str(exc), failed=True)
            return
        self.table.fill([row for row, is_in in zip(self._rows, inside, strict=True) if is_in])
        self._tell(int(inside.sum()))

    def _tell(self, shown: int) -> None:
        chain = self._chain
        assert chain is not None
        gaps = ", ".join(f"{count} {name}" for name, count in chain.gaps.items())
        self.show_status(
            self.panel.joined(
                [
                    f"{chain.symbol} {chain.spot.price:,.2f} ({chain.spot.source.value})",
                    chain.data_type.value,
                    self._age or f"{chain.as_of:%H:%M:%S} UTC",
                    f"{shown} of {len(chain)}",
                    f"{chain.completeness:.0%} complete",
                    gaps,
                    "live" if self.live else "",
                ]
            )
        )

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter what is there while typing."""
        event.stop()
        self.show_command()
        if event.input.id != "symbol" and not self.working:
            self._refill()

    def on_grid_pointed(self, message: Grid.Pointed) -> None:
        """Draw the expiry under the cursor."""
        day = message.row.expiry
        if day != self._day and day in self._smiles:
            self._draw(day)

    def action_pictures(self) -> None:
        """Show or hide the pictures."""
        self.pictures.display = not self.pictures.display

    def action_live(self) -> None:
        """Fetch again and again, or stop doing so."""
        self.live = not self.live
        if self.live:
            self.action_load()
        else:
            self.show_status("live mode is off")

    def action_cancel(self) -> None:
        """Stop the work and live mode with it."""
        self.live = False
        super().action_cancel()
