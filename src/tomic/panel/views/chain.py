"""Chain: the options of one symbol, sortable, filtered by delta and days, with the smile beside."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, ClassVar

import numpy as np
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Input, Label

from tomic import figures
from tomic._typing import BoolArray, FloatArray
from tomic.chain import Chain
from tomic.config import Settings
from tomic.desk import Desk
from tomic.errors import UsageError
from tomic.models import OptionQuote, VolSnapshot
from tomic.panel.views.view import View
from tomic.panel.widgets.grid import Column, Grid, figure_column
from tomic.panel.widgets.lines import LineInput
from tomic.panel.widgets.plot import Canvas, Glyphs, framed, span_of
from tomic.present.text import points
from tomic.selection import parse_delta, parse_dte
from tomic.strategies.pricing.board import prepare

_POINTS = 121


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


class SmilePlot(Widget):
    """The smile of the expiry under the cursor."""

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(id="smile")
        self._glyphs = glyphs
        self._smiles: dict[dt.date, DrawnSmile] = {}
        self._day: dt.date | None = None

    def show(self, smiles: dict[dt.date, DrawnSmile], day: dt.date | None = None) -> None:
        """Take other smiles; show that of *day*, or of the nearest expiry."""
        self._smiles = smiles
        self._day = day if day in smiles else min(smiles, default=None)
        self.refresh()

    def choose(self, day: dt.date) -> None:
        """Show another expiry."""
        if day in self._smiles and day != self._day:
            self._day = day
            self.refresh()

    def render(self) -> Text:
        """The plot, as large as the space it has."""
        if self._day is None:
            return Text("")
        smile = self._smiles[self._day]
        return smile_text(smile, self.size.width, self.size.height, self._glyphs)


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
        dte, delta = chain["dte"], chain["delta"]
        keep = np.ones(len(chain), dtype=bool)
        if self.dte is not None:
            fewest, most = self.dte
            keep &= (dte >= fewest) & (dte <= (np.inf if most is None else most))
        if self.delta is not None:
            keep &= ~((delta < self.delta[0]) | (delta > self.delta[1]))
        return chain.where(keep)


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
    """The options of one symbol."""

    label = "Chain"
    name_of_body = "#options"
    waits_for_input = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("l", "live", "Live"),
        Binding("g", "smile", "Smile"),
    ]

    _chain: Chain | None = None
    live = False

    def body(self) -> ComposeResult:
        """Filters on top, the table, the smile beside."""
        symbol = (self.panel.symbols or ("SPY",))[0]
        with Horizontal(classes="filters"):
            yield Label("symbol")
            yield LineInput(symbol, id="symbol", width=10)
            yield Label("days")
            yield LineInput(id="dte", hint="15:60", width=10)
            yield Label("delta")
            yield LineInput(id="delta", hint="-0.8:0.8", width=14)
        with Horizontal():
            yield Grid(COLUMNS, key=key_of, id="options")
            yield SmilePlot(self.panel.glyphs)

    # -- what is asked for -----------------------------------------------------------------

    def _window(self) -> ChainFilter:
        texts = (self.query_one(f"#{name}", LineInput).value for name in ("symbol", "dte", "delta"))
        return window_of(*texts)

    def command(self) -> str:
        """The equivalent command."""
        try:
            words = self._window().words
        except UsageError:
            words = (self.query_one("#symbol", LineInput).value,)
        return self.panel.source.command("chain", *words)

    def open(self, symbol: str) -> None:
        """Fetch the chain of another symbol."""
        self.query_one("#symbol", LineInput).value = symbol
        self.appeared = True
        self.action_load()

    def action_load(self) -> None:
        """Fetch the chain that the filters name."""
        try:
            window = self._window()
        except UsageError as exc:
            self.show_status(str(exc), failed=True)
            return
        rules: dict[str, Any] = {} if window.dte is None else {"dte": window.dte}
        panel = self.panel

        async def ask(desk: Desk) -> tuple[Chain, dict[dt.date, DrawnSmile]]:
            chain = await desk.chain(window.symbol, **rules)
            return chain, await panel.background.compute(smiles_of, chain, desk.settings)

        self.request(f"{window.symbol}: asking for the chain", ask, lambda shown: self.show(*shown))

    # -- what is shown ---------------------------------------------------------------------

    def show(self, chain: Chain, smiles: dict[dt.date, DrawnSmile]) -> None:
        """Show a chain; in live mode the next one is asked for at once."""
        self._chain = chain
        self.query_one(SmilePlot).show(smiles)
        self._refill()
        if self.live and self.is_on_screen:
            self.action_load()

    def _refill(self) -> None:
        if self._chain is None:
            return
        try:
            chain = self._window().keep(self._chain)
        except UsageError as exc:
            self.show_status(str(exc), failed=True)
            return
        self.query_one("#options", Grid).fill(list(chain.rows()))
        self._tell(chain)

    def _tell(self, shown: Chain) -> None:
        chain = self._chain
        assert chain is not None
        gaps = ", ".join(f"{count} {name}" for name, count in chain.gaps.items())
        self.show_status(
            self.panel.joined(
                [
                    f"{chain.symbol} {chain.spot.price:,.2f} ({chain.spot.source.value})",
                    chain.data_type.value,
                    f"{chain.as_of:%H:%M:%S} UTC",
                    f"{len(shown)} of {len(chain)}",
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
        """Draw the smile of the expiry under the cursor."""
        self.query_one(SmilePlot).choose(message.row.expiry)

    def action_smile(self) -> None:
        """Show or hide the smile."""
        plot = self.query_one(SmilePlot)
        plot.display = not plot.display

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
