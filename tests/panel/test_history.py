"""Pictures of stored days: volatility, rank, terms and expected moves."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math

import pytest

from support import panel_figures as figures
from tomic.panel.views import history
from tomic.panel.widgets.plot import ASCII, UNICODE
from tomic.workflows.volatility.stored import PastDay


def test_a_sparkline_ends_with_today():
    """A rank that rose to the top ends with the highest letter; unknown ones are blank."""
    days = [PastDay(dt.date(2026, 1, 1) + dt.timedelta(one), iv_rank=one / 23) for one in range(24)]
    some = [
        dataclasses.replace(day, iv_rank=None) if at < 12 else day for at, day in enumerate(days)
    ]

    assert history.sparkline(days, UNICODE)[-1] == "█"
    assert history.sparkline(some, UNICODE)[0] == " "
    assert history.sparkline([], UNICODE) == ""
    assert history.sparkline(days, ASCII).isascii()


@pytest.mark.parametrize("share", [-0.4, 0.0, 0.5, 1.0, 1.3, math.nan])
def test_a_rank_outside_its_window_is_drawn_at_its_edge(share):
    """Ranks may leave [0, 1]; a missing one is blank."""
    letter = UNICODE.spark(share)

    assert letter in UNICODE.heights
    assert (letter == " ") == math.isnan(share)


@pytest.mark.parametrize("size", [(10, 3), (36, 9), (80, 20)])
@pytest.mark.parametrize("glyphs", [UNICODE, ASCII], ids=["unicode", "ascii"])
def test_every_picture_fits_in_its_space(size, glyphs):
    """There are no more lines than asked for, and none of the plot is longer."""
    width, height = size
    for draw in history.pictures_of(figures.past_days()):
        lines = draw(width, height, glyphs).plain.split("\n")

        assert len(lines) <= max(height, 2)
        if width >= 20 and height >= 5 and len(lines) > 2:
            assert max(map(len, lines[1:])) <= width


def test_the_cone_says_what_is_expected():
    """Close, one standard deviation until thirty days on, and how often earlier ones held."""
    days = figures.past_days()
    text = history.cones_text(days, 80, 12, UNICODE).plain
    move = days[-1].close * days[-1].iv30 * math.sqrt(30 / 365)

    assert f"close {days[-1].close:,.2f} ±{move:,.2f} to 12-10" in text


def test_nothing_stored_is_no_picture():
    """Without days there is nothing to draw, and with one a sentence."""
    assert history.pictures_of([]) == []
    for draw in history.pictures_of([PastDay(dt.date(2026, 11, 20), close=590.0)]):
        assert "too few days" in draw(60, 12, UNICODE).plain
