"""Several pictures in one space."""

from __future__ import annotations

import pytest
from rich.text import Text

from tomic.panel.widgets.pictures import arranged
from tomic.panel.widgets.plot import UNICODE


def drawn(letter):
    """A picture that fills its space with one letter."""
    return lambda width, height, glyphs: Text("\n".join([letter * width] * height))


PICTURES = [drawn(letter) for letter in "abcde"]


def rows(width, height, count=5):
    text = arranged(PICTURES[:count], width, height, UNICODE)
    return text.plain.split("\n") if text.plain else []


@pytest.mark.parametrize("size", [(1, 1), (36, 9), (80, 9), (80, 30), (200, 40), (400, 100)])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_pictures_fill_their_space_and_no_more(size, count):
    """No line is longer and there are as many of them as there is room for."""
    width, height = size
    shown = rows(width, height, count)

    assert len(shown) == height
    assert max(map(len, shown)) <= width


def test_those_without_room_are_left_out():
    """The first ones stay; one alone has all of the space."""
    assert set("".join(rows(36, 9))) == {"a"}
    assert set("".join(rows(80, 9))) == {"a", "b", " "}
    assert set("".join(rows(400, 60))) == {"a", "b", "c", "d", "e", " "}


def test_a_tall_space_takes_rows():
    """Five pictures in a space that is as high as wide stand in rows, not in one of slivers."""
    first = rows(200, 33)[0]

    assert len(set(first) - {" "}) == 3


def test_nothing_is_drawn_of_nothing():
    """Without pictures or without space there is an empty text."""
    assert arranged([], 80, 24, UNICODE).plain == ""
    assert arranged(PICTURES, 0, 0, UNICODE).plain == ""
