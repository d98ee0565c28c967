"""Screens of the panel as text, compared with those that were looked at and kept."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from rich.color import Color, ColorType
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.pilot import Pilot
from textual.widgets import Footer

from tomic.panel.widgets.grid import Grid

SCREENS = Path(__file__).parents[1] / "panel" / "screens"
UPDATE = "TOMIC_UPDATE_SNAPSHOTS"
"""Environment variable; with any value the screens are written instead of compared."""

PATIENCE_S = 240.0

_TERMINAL = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")

COLOURED = "HeatMap"
"""The widget whose colours are its own; others take theirs, but for a few names, from a theme."""


def free_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


async def settle(pilot: Pilot[object]) -> None:
    """Wait until everything that was asked for is on the screen."""
    await pilot.pause()
    await pilot.pause()


async def check_screen(pilot: Pilot[object], name: str) -> None:
    """
    Compare the screen with the kept one *name*; one that is missing is a failure too.

    Raises:
        AssertionError: They differ; the new screen is then beside the kept one.
    """
    await settle(pilot)
    screen = described(pilot)
    kept = SCREENS / f"{name}.txt"
    if os.environ.get(UPDATE):
        kept.write_text(screen, encoding="utf-8")
        return
    same = kept.is_file() and kept.read_text(encoding="utf-8") == screen
    if not same:
        new = Path(os.environ.get("TMPDIR", "/tmp")) / f"{name}.new.txt"
        new.write_text(screen, encoding="utf-8")
        raise AssertionError(f"{name} looks different; see {new}; {UPDATE}=1 keeps it")


def described(pilot: Pilot[object]) -> str:
    """
    The screen as text: its rows, where the cursor is, and the styles that say something.

    Colours of the theme, the footer and the heads of tables are Textual's, and left out.
    """
    screen = pilot.app.screen
    rows = [line.rstrip() for line in lines(pilot)]
    focus = f"focus: {screen.focused.css_identifier if screen.focused else 'nothing'}"
    tables = [one for one in screen.query(Grid) if one.is_on_screen]
    cursors = [f"row {one.cursor_row} of {one.row_count} in #{one.id}" for one in tables]
    styles = [f"{at + 1:>3} {style}: {words}" for at, style, words in _styled(pilot)]
    return "\n".join([*rows, "", focus, *cursors, "", *styles, ""])


def _styled(pilot: Pilot[object]) -> Iterator[tuple[int, str, str]]:
    """Row, style and words of everything that stands out, from the top left on."""
    screen = pilot.app.screen
    without = [one.region for one in screen.query(Footer)]
    without += [Region(*one.region.offset, one.region.width, 1) for one in screen.query(Grid)]
    coloured = {one.region: one.rich_style.bgcolor for one in screen.query(COLOURED)}
    for row, strip in enumerate(screen._compositor.render_strips()):
        column, before, words = 0, "", ""
        for segment in strip:
            place = (column, row)
            column += segment.cell_length
            style = "" if any(place in one for one in without) else _name(segment, place, coloured)
            if style != before:
                if before and words.strip():
                    yield row, before, words.strip()
                before, words = style, ""
            words += segment.text
        if before and words.strip():
            yield row, before, words.strip()


def _name(segment: Segment, place: tuple[int, int], coloured: Mapping[Region, Color | None]) -> str:
    """What the program asked for: how bold, one of the terminal's own colours, or a cell's two."""
    style = segment.style or Style()
    words = [name for name in ("bold", "dim", "reverse") if getattr(style, name)]
    if any(place in one and style.bgcolor != theirs for one, theirs in coloured.items()):
        return " ".join([*words, f"{Style(color=style.color, bgcolor=style.bgcolor)}"])
    if style.color and style.color.type is ColorType.STANDARD:
        words.append(_TERMINAL[style.color.number or 0])
    return " ".join(words)


def lines(pilot: Pilot[object]) -> list[str]:
    """The text on the screen, a string for each of its lines."""
    # A picture would say the same, at ten times the cost; and tests wait by looking.
    return [strip.text for strip in pilot.app.screen._compositor.render_strips()]


def text(pilot: Pilot[object]) -> str:
    """All text on the screen."""
    return "\n".join(lines(pilot))


async def until(pilot: Pilot[object], reached: Callable[[], bool], *, what: str = "") -> None:
    """
    Let the panel work until *reached*.

    Raises:
        AssertionError: It never is.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + PATIENCE_S
    while not reached():
        assert loop.time() < end, f"{what or 'never reached'}:\n{text(pilot)}"
        # A pause of the pilot's asks every widget whether it is done, which costs more than the
        # work that is waited for.
        await asyncio.sleep(0.05)
    await settle(pilot)
