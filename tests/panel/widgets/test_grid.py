"""Sorting, and a cursor that stays with its row."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter

import pytest
from textual.app import App, ComposeResult

from support.panel_screens import settle
from tomic.panel.widgets.grid import Column, Grid


@dataclass(frozen=True)
class Fruit:
    name: str
    price: float | None


FRUIT = [Fruit("pear", 2.0), Fruit("fig", None), Fruit("apple", 1.0), Fruit("kiwi", 3.0)]
COLUMNS = [
    Column("name", attrgetter("name"), attrgetter("name"), left=True),
    Column("price", attrgetter("price"), lambda one: f"{one.price}"),
]


class Shop(App[None]):
    """One table, and what it said."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.pointed: list[str] = []

    def compose(self) -> ComposeResult:
        yield Grid(COLUMNS, key=attrgetter("name"), id="fruit")

    def on_grid_opened(self, message: Grid.Opened) -> None:
        self.opened.append(message.row.name)

    def on_grid_pointed(self, message: Grid.Pointed) -> None:
        self.pointed.append(message.row.name)


@pytest.fixture
async def pilot():
    async with Shop().run_test(size=(40, 10)) as pilot:
        pilot.app.query_one(Grid).fill(FRUIT)
        await settle(pilot)
        yield pilot


def shown(pilot) -> list[str]:
    return [one.name for one in pilot.app.query_one(Grid).rows_shown]


async def test_rows_come_as_given_and_then_by_column(pilot):
    """Each press sorts by the next column; missing values come last, either way round."""
    assert shown(pilot) == ["pear", "fig", "apple", "kiwi"]

    await pilot.press("s")
    assert shown(pilot) == ["apple", "fig", "kiwi", "pear"]
    await pilot.press("s")
    assert shown(pilot) == ["apple", "pear", "kiwi", "fig"]
    await pilot.press("o")
    assert shown(pilot) == ["kiwi", "pear", "apple", "fig"]
    await pilot.press("s")
    assert shown(pilot) == ["pear", "fig", "apple", "kiwi"]


async def test_a_click_on_a_title_sorts(pilot):
    """A second click turns the order round."""
    await pilot.click(Grid, offset=(2, 0))
    assert shown(pilot) == ["apple", "fig", "kiwi", "pear"]

    await pilot.click(Grid, offset=(2, 0))
    assert shown(pilot) == ["pear", "kiwi", "fig", "apple"]


async def test_the_cursor_stays_on_its_row(pilot):
    """Sorting and other rows leave it where it was."""
    grid = pilot.app.query_one(Grid)
    await pilot.press("down", "down")
    assert grid.pointed.name == "apple"

    await pilot.press("s")
    assert grid.pointed.name == "apple"
    grid.fill([Fruit("nut", 9.0), *FRUIT])
    await settle(pilot)
    assert grid.pointed.name == "apple"
    grid.fill([Fruit("nut", 9.0)])
    assert grid.pointed.name == "nut"


async def test_enter_opens_the_row_under_the_cursor(pilot):
    """The row itself is passed on, not its place."""
    await pilot.press("down", "enter")
    await settle(pilot)

    assert pilot.app.opened == ["fig"]
    assert pilot.app.pointed[-1] == "fig"


async def test_an_empty_table_is_no_trouble(pilot):
    """Keys on nothing do nothing."""
    pilot.app.query_one(Grid).fill([])
    await pilot.press("s", "o", "enter", "down")

    assert shown(pilot) == []
    assert pilot.app.query_one(Grid).pointed is None
