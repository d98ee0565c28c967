"""The smile of one expiry: quotes out of the money, and the curve that TOMIC fits to them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
from rich.text import Text
from textual.widget import Widget

from tomic._typing import BoolArray, FloatArray
from tomic.chain import Chain
from tomic.config import Settings
from tomic.models import VolSnapshot
from tomic.panel.glyphs import Glyphs, per_cent
from tomic.panel.plot import Canvas, Span, framed, span_of
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
    found = {}
    for day in chain.expiries:
        outlook = outlooks.get(day)
        forward = outlook.forward if outlook else chain.spot.price
        own = chain["expiry"] == np.datetime64(day, "D")
        rows = own & (chain.is_call == (chain["strike"] >= forward)) & np.isfinite(chain["iv"])
        strike = chain["strike"][rows]
        across = np.array([])
        if outlook is not None and strike.size:
            across = np.linspace(strike.min(), strike.max(), _POINTS)
        found[day] = DrawnSmile(
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
    return found


def drawn(smile: DrawnSmile, width: int, height: int, glyphs: Glyphs) -> Text:
    """The plot as text of *width* x *height* cells; too small a space gives nothing."""
    title = Text(f"{smile.expiry}  {smile.dte} days", style="bold", no_wrap=True)
    if width < 16 or height < 6 or not smile.strike.size:
        return title.append("\nno volatilities", "dim")
    y = span_of([*smile.iv.tolist(), *smile.fitted.tolist()])
    ticks = per_cent(y.high), per_cent(y.low)
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
        return drawn(smile, self.size.width, self.size.height, self._glyphs)


__all__ = ["DrawnSmile", "SmilePlot", "Span", "drawn", "smiles_of"]
