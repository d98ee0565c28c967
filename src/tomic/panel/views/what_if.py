"""What if, of one structure: three sliders, and its P&L by price and day below them."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from tomic.panel.views.view import Sheet
from tomic.portfolio import what_if as work
from tomic.present import what_if as present

_TRACK = 40
"""Cells of a slider."""
_REACH = {"move": 0.30, "vol": 1.0, "days": 60.0}
"""Where the sliders end; the price and the volatility have two ends."""
_STEP = {"move": 0.01, "vol": 0.05, "days": 1.0}


class WhatIfSheet(Sheet):
    """
    The sliders of one structure; every step values it anew.

    Args:
        subject: The structure, which can be valued.
        last: Whether it is of the book that was saved last.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right", "slide('move', 1)", "Price +1%"),
        Binding("left", "slide('move', -1)", "-1%"),
        Binding("plus,equals_sign", "slide('vol', 1)", "Vol +5%", key_display="+"),
        Binding("minus", "slide('vol', -1)", "-5%", key_display="-"),
        Binding("d", "slide('days', 1)", "Day"),
        Binding("D", "slide('days', -1)", "Back"),
        Binding("w", "slide('days', 7)", "Week"),
        Binding("0", "reset", "As now"),
    ]

    def __init__(self, subject: work.HeldStructure, *, last: bool = False) -> None:
        super().__init__(f"What if: {subject.structure.id}")
        self._subject = subject
        self._book = ("portfolio", *(("--last",) if last else ()))
        self._at = {"move": 0, "vol": 0, "days": 0}
        days = subject.to_expiry
        self._most_days = round(_REACH["days"] if days is None else max(days, 1.0))

    def body(self) -> ComposeResult:
        """The sliders above what they say."""
        yield Static("", markup=False, id="sliders")
        with VerticalScroll(id="page"):
            yield Static("", markup=False, id="what-if")

    def on_mount(self) -> None:
        """As it is now."""
        self._show()

    def action_slide(self, name: str, steps: int) -> None:
        """Move one slider, as far as it goes."""
        least, most = self._ends(name)
        self._at[name] = min(max(self._at[name] + steps, least), most)
        self._show()

    def action_reset(self) -> None:
        """Put all of them where they began."""
        self._at = dict.fromkeys(self._at, 0)
        self._show()

    def _ends(self, name: str) -> tuple[int, int]:
        if name == "days":
            return 0, self._most_days
        most = round(_REACH[name] / _STEP[name])
        # All of a price or of a volatility is never lost.
        return max(-most, 1 - round(1.0 / _STEP[name])), most

    def _value(self, name: str) -> float:
        return self._at[name] * _STEP[name]

    def _text(self, name: str) -> str:
        return f"{self._at[name]}" if name == "days" else f"{self._value(name):+.0%}"

    def _show(self) -> None:
        asked = work.what_if(
            self._subject,
            move=round(self._value("move"), 2),
            vol=round(self._value("vol"), 2),
            days=self._at["days"],
        )
        glyphs = self.panel.glyphs
        self.query_one("#sliders", Static).update(
            Text("\n").join(self._track(name) for name in self._at)
        )
        page = f"{present.headline(asked)}\n\n{present.table(asked)}"
        self.query_one("#what-if", Static).update(glyphs.shown(page))
        given = [f"--{name}={self._text(name)}" for name in self._at if self._at[name]]
        self._words = (*self._book, "--what-if", self._subject.structure.id, *given)
        self.show_command()

    def _track(self, name: str) -> Text:
        """A slider: its name, its track with the knob, and what it says."""
        glyphs = self.panel.glyphs
        least, most = self._ends(name)
        knob = round((self._at[name] - least) / (most - least) * (_TRACK - 1))
        text = Text(f"{name:<7}", "dim")
        text.append(glyphs.horizontal * knob, "dim").append(glyphs.point, "bold")
        text.append(glyphs.horizontal * (_TRACK - 1 - knob), "dim")
        return text.append(f"  {self._text(name)}{' days' if name == 'days' else ''}")
