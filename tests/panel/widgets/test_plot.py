"""Plots made of characters."""

from __future__ import annotations

import dataclasses
import math

import pytest

from support import panel_figures as figures
from tomic.panel.views import chain, portfolio, scan
from tomic.panel.widgets.plot import ASCII, UNICODE, Canvas, Span, framed, glyphs_for, span_of


def rows(text) -> list[str]:
    return text.plain.split("\n")


def test_a_rising_line_goes_from_corner_to_corner():
    """With plain letters each point takes a cell of its own."""
    canvas = Canvas(5, 5, Span(0.0, 1.0), Span(0.0, 1.0), ASCII)
    canvas.curve([0.0, 1.0], [0.0, 1.0], "")

    assert rows(canvas.text()) == ["    *", "   * ", "  *  ", " *   ", "*    "]


def test_a_cell_holds_eight_dots():
    """A line in Braille: two dots across and four down in each cell."""
    canvas = Canvas(2, 1, Span(0.0, 1.0), Span(0.0, 1.0), UNICODE)
    canvas.curve([0.0, 1.0], [1.0, 0.0], "")

    # Dots 1, 5 and 3, 6 of a cell: columns left and right, one dot lower each.
    assert rows(canvas.text()) == ["⠑⢄"]


def test_missing_values_leave_a_gap():
    """A line with a NaN in it is drawn in two parts."""
    canvas = Canvas(5, 1, Span(0.0, 4.0), Span(-1.0, 1.0), ASCII)
    canvas.curve([0.0, 1.0, 2.0, 3.0, 4.0], [0.0, 0.0, math.nan, 0.0, 0.0], "")

    assert rows(canvas.text()) == ["** **"]


def test_points_outside_are_left_out():
    """Nothing is drawn beyond the axes."""
    canvas = Canvas(3, 3, Span(0.0, 1.0), Span(0.0, 1.0), ASCII)
    canvas.sign(2.0, 0.5, "o", "")
    canvas.sign(0.5, math.inf, "o", "")

    assert rows(canvas.text()) == ["   ", "   ", "   "]


def test_axes_carry_their_labels():
    """The mark stands under its place, and gives way where there is no room."""
    canvas = Canvas(20, 3, Span(0.0, 10.0), Span(0.0, 1.0), ASCII)
    text = rows(framed(canvas, ticks=("1", "0"), feet=("0", "10"), mark=(5.0, "five")))

    assert text[0].startswith("1|")
    assert text[2].startswith("0|")
    assert text[-1] == "  0       five      10"

    narrow = Canvas(6, 3, Span(0.0, 10.0), Span(0.0, 1.0), ASCII)
    assert rows(framed(narrow, ticks=("1", "0"), feet=("0", "10"), mark=(5.0, "five")))[-1] == (
        "  0   10"
    )


@pytest.mark.parametrize("values", [[], [math.nan], [3.0], [0.0, 0.0], [1.0, 2.0]])
def test_a_span_is_never_empty(values):
    """Whatever there is to show, the axis has two ends."""
    span = span_of(values)

    assert span.low < span.high


@pytest.mark.parametrize("size", [(0, 0), (10, 3), (16, 6), (40, 12), (200, 60)])
@pytest.mark.parametrize("glyphs", [UNICODE, ASCII], ids=["unicode", "ascii"])
def test_every_plot_fits_in_its_space(size, glyphs):
    """No line is longer and there are no more of them than asked for."""
    width, height = size
    smile = next(iter(figures.smiles().values()))
    drawings = [
        chain.smile_text(smile, width, height, glyphs),
        scan.payoff_text(figures.proposal(), width, height, glyphs),
    ]

    for text in drawings:
        if width >= 40:
            assert len(rows(text)) <= height
            assert max(map(len, rows(text))) <= width


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_smile_that_was_not_fitted_says_why_in_its_space(width):
    """The reason stands behind the key, cut where the line ends."""
    smile = next(iter(figures.smiles().values()))
    lacking = dataclasses.replace(smile, lack="the quotes at the money are missed, " * 8)

    drawn = rows(chain.smile_text(lacking, width, 12, UNICODE))

    assert "not fitted" in drawn[-1]
    assert max(map(len, drawn)) <= width


def test_a_payoff_without_points_says_so():
    """A proposal without a curve is no trouble."""
    text = scan.payoff_text(figures.proposal(curve=()), 60, 12, UNICODE)

    assert "no payoff" in text.plain


def test_heat_map_keeps_the_moves_that_fit():
    """On a narrow screen the outer moves go first, and every change of volatility stays."""
    grid = figures.book_review().stress
    shown = (-0.2, -0.1, 0.0, 0.1, 0.2)

    wide = rows(portfolio.stress_text(grid, 0, shown, 60))
    narrow = rows(portfolio.stress_text(grid, 0, shown, 26))

    assert wide[1].split() == ["vol", "-20%", "-10%", "+0%", "+10%", "+20%"]
    assert narrow[1].split() == ["vol", "-10%", "+0%", "+10%"]
    assert [line.split()[0] for line in wide[2:]] == ["+50%", "+0%", "-25%"]
    assert wide[2].split()[1:] == ["-4.5k", "-2.5k", "-450", "+1.6k", "+3.5k"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.3, "0"),
        (-85.4, "-85"),
        (999.4, "+999"),
        (999.6, "+1.0k"),
        (-14_353.6, "-14.4k"),
        (251_000.0, "+251k"),
        (1_234_567.0, "+1.2M"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
    ],
)
def test_amounts_fit_in_six_letters(value, text):
    """The sign is always there, except for nothing."""
    assert portfolio.short(value) == text
    assert len(text) <= 6


@pytest.mark.parametrize(
    ("encoding", "glyphs"),
    [("utf-8", UNICODE), ("UTF8", UNICODE), ("iso8859-1", ASCII), ("ascii", ASCII), (None, ASCII)],
)
def test_letters_follow_the_terminal(encoding, glyphs):
    """Anything but UTF-8 gets plain letters."""
    assert glyphs_for(encoding) is glyphs
