"""A strategy is declared once: from its template it is searched, written and recognised."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest

from tomic import legs
from tomic.config import Settings
from tomic.models.book import Position
from tomic.portfolio import grouping
from tomic.strategies.catalogue.leg_rules import (
    CALL,
    PUT,
    Above,
    Below,
    DeltaBand,
    LegRule,
    Template,
    mirrored,
)
from tomic.strategies.catalogue.shapes import Shape, shape, shapes
from tomic.strategies.catalogue.tables import declared, written
from tomic.strategies.catalogue.templates import CATALOGUE, own, with_own
from tomic.workflows.journal import trades

NEAR, FAR = dt.date(2026, 12, 18), dt.date(2027, 1, 15)
HELD_AS = {"naked_put": "short_put"}
"""What a book calls a strategy whose legs have a plainer name; it does not know why they stand."""

REVERSE_LIZARD = Template(
    name="reverse_jade_lizard",
    outlook="bearish to neutral",
    side="bearish",
    legs=(
        LegRule("long_put", PUT, +1, Below("short_put", sigmas=(0.05, 0.75))),
        LegRule("short_put", PUT, -1, DeltaBand(-0.40, -0.15)),
        LegRule("short_call", CALL, -1, DeltaBand(0.15, 0.35)),
    ),
    dte=(25, 55),
)
"""A strategy that no pattern of the book makes: it is a short put spread beside a short call."""

LADDER = Template(
    name="ladder",
    outlook="a fall, and then no further",
    side="bearish",
    legs=(
        LegRule("long_put", PUT, +1, DeltaBand(-0.5, -0.3)),
        LegRule("short_put", PUT, -1, Below("long_put", strikes=(1, 5))),
        LegRule("low_put", PUT, -2, Below("short_put", strikes=(1, 5))),
    ),
    dte=(25, 55),
)
DOUBLE_CALENDAR = Template(
    name="double_calendar",
    outlook="between two strikes",
    side="neutral",
    legs=(
        LegRule("short_put", PUT, -1, DeltaBand(-0.4, -0.2)),
        LegRule("long_put", PUT, +1, DeltaBand(-0.4, -0.2), slot="far"),
        LegRule("short_call", CALL, -1, DeltaBand(0.2, 0.4)),
        LegRule("long_call", CALL, +1, Above("short_call", strikes=(1, 2)), slot="far"),
    ),
    dte=(20, 40),
    gap=(20, 40),
)
OWN = (REVERSE_LIZARD, LADDER, DOUBLE_CALENDAR)


def strike(name: str, place: int) -> float:
    """Unevenly spaced, but for what has to be even."""
    return 500.0 + 10 * place + (0 if name == "long_butterfly" else 5 * place**2)


def positions(name: str, form: Shape, lots: int = 1) -> list[Position]:
    """Lines of a book that hold *form*."""
    options = [
        Position(
            account="DU1", symbol="SPY", sec_type="OPT", right=leg.right, multiplier=100.0,
            quantity=float(leg.quantity * lots), strike=strike(name, leg.place),
            expiry=FAR if leg.slot == "far" else NEAR,
        )
        for leg in form.legs
    ]  # fmt: skip
    if form.stock:
        options.append(Position(account="DU1", symbol="SPY", sec_type="STK", quantity=100.0 * lots))
    return options


def as_text(name: str, form: Shape) -> str:
    """The trade as somebody would write it: name, strikes, expiries."""
    in_order = sorted(form.legs, key=lambda leg: leg.slot, reverse=True)
    places = [leg.place for leg in in_order] if form.has_far else range(form.strikes)
    strikes = dict.fromkeys(strike(name, place) for place in places)
    days = f"{NEAR}/{FAR}" if form.has_far else f"{NEAR}"
    return f"SPY {name} {'/'.join(f'{level:g}' for level in strikes)}{form.legs[0].right} {days}"


def names_in_book(held: list[Position], settings: Settings, cash: float = 0.0) -> list[str]:
    known = grouping.known_to(settings)
    grouped = grouping.group(held, own=known, cash={"DU1": cash})
    return [group.strategy for group in grouped.groups]


@pytest.mark.parametrize("lots", [1, 3])
@pytest.mark.parametrize("template", [*CATALOGUE.values(), *OWN], ids=lambda each: each.name)
def test_one_declaration_is_recognised_in_legs_text_and_book(template, lots):
    """Legs of every strategy get its name from the journal and the book, and its name its legs."""
    settings, _ = with_own(Settings(), [template] if template in OWN else None)
    cash = 1e9 if template.cash_secured else 0.0

    for form in shapes(template):
        held = positions(template.name, form, lots)
        read = legs.read(as_text(template.name, form), own=own(settings))
        entry = [trades.held_of(leg) for leg in read.legs]

        called = HELD_AS.get(template.name, template.name)
        by_legs = called if not template.cash_secured else "short_put"
        assert names_in_book(held, settings, cash) == [called]
        assert read.strategy == template.name
        assert trades.strategy_of("SPY", entry, settings) == by_legs


def test_the_text_of_each_strategy_means_its_own_legs():
    """The legs that a name stands for are those of its shape, at the strikes that are written."""
    for template in (*CATALOGUE.values(), *OWN):
        for form in shapes(template):
            read = legs.read(as_text(template.name, form), own={template.name: template})
            expected = {
                (leg.right, strike(template.name, leg.place), leg.quantity, leg.slot)
                for leg in form.legs
            }

            found = {
                (leg.right, leg.strike, leg.quantity, "far" if leg.expiry == FAR else "near")
                for leg in read.legs
                if not leg.is_stock
            }
            assert found == expected, template.name
            assert sum(leg.quantity for leg in read.legs if leg.is_stock) == 100 * form.stock


def test_a_mirrored_template_has_the_mirrored_shape():
    """Calls and puts exchanged, the strikes stand the other way round."""
    for template in (*CATALOGUE.values(), REVERSE_LIZARD, LADDER):
        there, back = shape(template), shape(mirrored(template))

        top = there.strikes - 1
        turned = {(top - leg.place, leg.quantity, leg.right != "C") for leg in there.legs}
        assert {(leg.place, leg.quantity, leg.right == "C") for leg in back.legs} == turned


def test_own_structures_come_out_of_a_mixed_book():
    """What a template of one's own says belongs together is taken before the known patterns."""
    settings, _ = with_own(Settings(), OWN)
    mixed = [
        *positions("", shape(REVERSE_LIZARD), 2),
        *(leg.model_copy(update={"symbol": "QQQ"}) for leg in positions("", shape(LADDER))),
        *(
            leg.model_copy(update={"expiry": FAR})
            for leg in positions("", shape(CATALOGUE["iron_condor"]))
        ),
    ]

    without = names_in_book(mixed, Settings())

    assert sorted(names_in_book(mixed, settings)) == [
        "iron_condor", "ladder", "reverse_jade_lizard",
    ]  # fmt: skip
    assert "reverse_jade_lizard" not in without
    assert len(without) > 3


@pytest.mark.parametrize("template", [*CATALOGUE.values(), *OWN], ids=lambda each: each.name)
def test_a_written_table_declares_the_template_again(template):
    """`written` and `declared` are inverse, with every way to choose a strike."""
    assert declared(template.name, written(template), {}) == template


def test_the_catalogue_needs_no_shape_of_its_own():
    """Every strategy of the catalogue is one that a pattern of the book knows."""
    assert grouping.UNPATTERNED == ()
    known = {name for name, _ in grouping.unpatterned(OWN)}
    assert known == {template.name for template in OWN}
    assert grouping.known_to(Settings(strategies={"iron_condor": {"dte": [30, 45]}})) == ()


def test_a_template_of_the_same_legs_keeps_the_books_name():
    """A strategy that only differs in its window is not told apart by its legs."""
    near = dataclasses.replace(CATALOGUE["iron_condor"], name="my_condor", dte=(5, 10))
    settings, names = with_own(Settings(), [near, "collar"])

    assert names == ["my_condor", "collar"]
    assert own(settings) == {"my_condor": near}
    assert names_in_book(positions("", shape(near)), settings) == ["iron_condor"]
