"""Chain: the options of one symbol, sortable, filtered by delta and days, with the smile beside."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, ClassVar

import numpy as np
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Label

from tomic.chain import Chain
from tomic.desk import Desk
from tomic.errors import UsageError
from tomic.models import OptionQuote
from tomic.panel.entry import Entry
from tomic.panel.glyphs import number
from tomic.panel.grid import Column, Grid
from tomic.panel.smile_plot import DrawnSmile, SmilePlot, smiles_of
from tomic.panel.view import View

_FIGURES = (
    ("bid", "bid", 2, 1.0),
    ("ask", "ask", 2, 1.0),
    ("IV%", "iv", 1, 100.0),
    ("delta", "delta", 2, 1.0),
    ("theta", "theta", 3, 1.0),
    ("vega", "vega", 3, 1.0),
    ("gamma", "gamma", 4, 1.0),
    ("OI", "open_interest", 0, 1.0),
    ("vol", "volume", 0, 1.0),
)


def _figure(title: str, field: str, decimals: int, factor: float) -> Column[Any]:
    read: Callable[[OptionQuote], Any] = attrgetter(field)
    return Column(title, read, lambda row: number(read(row), decimals, factor))


COLUMNS: list[Column[Any]] = [
    Column("expiry", attrgetter("expiry"), lambda row: f"{row.expiry:%y-%m-%d}", left=True),
    Column("dte", attrgetter("dte"), lambda row: f"{row.dte}"),
    Column("strike", attrgetter("strike"), lambda row: f"{row.strike:g}{row.right}"),
    *(_figure(*one) for one in _FIGURES),
    Column("status", attrgetter("status"), lambda row: row.status.value, left=True),
]


def key_of(row: OptionQuote) -> str:
    """The contract as a text."""
    return f"{row.expiry} {row.strike:g}{row.right}"


@dataclass(frozen=True, slots=True)
class ChainFilter:
    """What the filters ask for; None leaves an end open."""

    symbol: str
    least_dte: int | None = None
    most_dte: int | None = None
    least_delta: float | None = None
    most_delta: float | None = None

    @property
    def fewest_days(self) -> int:
        """Days to expiry at the near end."""
        return 0 if self.least_dte is None else self.least_dte

    @property
    def words(self) -> tuple[str, ...]:
        """As options of `tomic chain`."""
        found = [self.symbol]
        if self.least_dte is not None or self.most_dte is not None:
            most = "" if self.most_dte is None else f":{self.most_dte}"
            found += ["--dte", f"{self.fewest_days}{most}"]
        if self.least_delta is not None or self.most_delta is not None:
            least = -1.0 if self.least_delta is None else self.least_delta
            most_delta = 1.0 if self.most_delta is None else self.most_delta
            found += ["--delta", f"{least:g}:{most_delta:g}"]
        return tuple(found)

    def keep(self, chain: Chain) -> Chain:
        """The rows inside; those without a delta are kept, as they may be inside."""
        dte, delta = chain["dte"], chain["delta"]
        keep = np.ones(len(chain), dtype=bool)
        if self.least_dte is not None:
            keep &= dte >= self.least_dte
        if self.most_dte is not None:
            keep &= dte <= self.most_dte
        if self.least_delta is not None:
            keep &= ~(delta < self.least_delta)
        if self.most_delta is not None:
            keep &= ~(delta > self.most_delta)
        return chain.where(keep)


def window_of(symbol: str, dte: str, delta: str) -> ChainFilter:
    """
    Read the filters as they are typed: ``15`` or ``15:60``, and ``-0.5:0.5``.

    Raises:
        UsageError: One of them cannot be read.
    """
    try:
        least_dte, most_dte = (int(one) if one else None for one in _ends(dte))
    except ValueError:
        raise UsageError(f"days {dte!r}: write 15 (fewest days) or 15:60") from None
    try:
        least, most = (float(one) if one else None for one in _ends(delta))
    except ValueError:
        raise UsageError(f"delta {delta!r}: write a range such as -0.5:0.5") from None
    return ChainFilter(symbol.strip().upper(), least_dte, most_dte, least, most)


def _ends(text: str) -> tuple[str, str]:
    first, _, last = text.partition(":")
    return first.strip(), last.strip()


class ChainView(View):
    """The options of one symbol."""

    label = "Chain"
    name_of_body = "#options"
    loads_on_first_sight = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("l", "live", "Live"),
        Binding("g", "smile", "Smile"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._chain: Chain | None = None
        self.live = False

    def body(self) -> ComposeResult:
        """Filters on top, the table, the smile beside."""
        symbol = (self.panel.symbols or ("SPY",))[0]
        with Horizontal(classes="filters"):
            yield Label("symbol")
            yield Entry(symbol, id="symbol", width=10)
            yield Label("days")
            yield Entry(id="dte", hint="15:60", width=10)
            yield Label("delta")
            yield Entry(id="delta", hint="-0.8:0.8", width=14)
        with Horizontal():
            yield Grid(COLUMNS, key=key_of, id="options")
            yield SmilePlot(self.panel.glyphs)

    # -- what is asked for -----------------------------------------------------------------

    def _window(self) -> ChainFilter:
        texts = (self.query_one(f"#{name}", Entry).value for name in ("symbol", "dte", "delta"))
        return window_of(*texts)

    def typed(self) -> str:
        """The equivalent command."""
        try:
            return self.panel.typed("chain", *self._window().words)
        except UsageError:
            return self.panel.typed("chain", self.query_one("#symbol", Entry).value)

    def open(self, symbol: str) -> None:
        """Fetch the chain of another symbol."""
        self.query_one("#symbol", Entry).value = symbol
        self.seen = True
        self.action_load()

    def action_load(self) -> None:
        """Fetch the chain that the filters name."""
        try:
            window = self._window()
        except UsageError as exc:
            self.say(str(exc), failed=True)
            return
        rules: dict[str, Any] = {}
        if window.least_dte is not None or window.most_dte is not None:
            rules["dte"] = (window.fewest_days, window.most_dte)
        panel = self.panel

        async def ask(desk: Desk) -> tuple[Chain, dict[dt.date, DrawnSmile]]:
            chain = await desk.chain(window.symbol, **rules)
            return chain, await panel.background.compute(smiles_of, chain, desk.settings)

        self.work(f"{window.symbol}: asking for the chain", ask, lambda found: self.show(*found))

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
            self.say(str(exc), failed=True)
            return
        self.query_one("#options", Grid).fill(list(chain.rows()))
        self._tell(chain)

    def _tell(self, shown: Chain) -> None:
        chain = self._chain
        assert chain is not None
        gaps = ", ".join(f"{count} {name}" for name, count in chain.gaps.items())
        self.say(
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

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Fetch what the filters name."""
        event.stop()
        self.focus_body()
        self.action_load()

    def on_grid_pointed(self, message: Grid.Pointed) -> None:
        """Draw the smile of the expiry under the cursor."""
        self.query_one(SmilePlot).choose(message.row.expiry)

    def action_filter(self) -> None:
        """Go to the filters."""
        self.query_one("#symbol", Entry).focus()

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
            self.say("live mode is off")

    def action_cancel(self) -> None:
        """Stop the work and live mode with it."""
        self.live = False
        super().action_cancel()
