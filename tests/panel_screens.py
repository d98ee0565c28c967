"""Pictures of the panel, compared with those that were looked at and kept."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot

SNAPSHOTS = Path(__file__).parent / "panel" / "snapshots"
UPDATE = "TOMIC_UPDATE_SNAPSHOTS"
"""Environment variable; with any value the pictures are written instead of compared."""


PATIENCE_S = 20.0


def normalised(svg: str) -> str:
    """The picture without what differs from run to run: made-up ids, and the font's address."""
    svg = re.sub(r"terminal-\d+", "terminal", svg)
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.S)
    return "\n".join(line.rstrip() for line in svg.splitlines() if line.strip()) + "\n"


async def settle(pilot: Pilot[object]) -> None:
    """Wait until everything that was asked for is on the screen."""
    await pilot.pause()
    await pilot.pause()


async def check_snapshot(pilot: Pilot[object], name: str) -> None:
    """
    Compare the screen with the kept picture *name*; one that is missing is a failure too.

    Raises:
        AssertionError: They differ; the new picture is then beside the kept one.
    """
    await settle(pilot)
    picture = normalised(pilot.app.export_screenshot(title=name))
    kept = SNAPSHOTS / f"{name}.svg"
    if os.environ.get(UPDATE):
        kept.write_text(picture, encoding="utf-8")
        return
    same = kept.is_file() and kept.read_text(encoding="utf-8") == picture
    if not same:
        new = Path(os.environ.get("TMPDIR", "/tmp")) / f"{name}.new.svg"
        new.write_text(picture, encoding="utf-8")
        raise AssertionError(f"{name} looks different; see {new}; {UPDATE}=1 keeps it")


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
        await pilot.pause(0.05)
    await settle(pilot)
