"""A gateway that means harm: its texts stay text, its numbers cost a row, its floods end."""

from __future__ import annotations

import datetime as dt

import pytest

from support import virtual_time
from support.simulated import fetch, running, settings
from tomic.errors import UnreadableAnswer
from tomic.ib import account, callbacks, contracts, convert, history, link
from tomic.sim.faults import Announce, Verbatim

EVIL = "\x1b]0;pwn\x07\x9b\u202e"


def asked(question, *faults):
    """What a question gives, and the notes of the session, at a gateway with *faults*."""

    async def scenario():
        async with running(*faults) as run:
            return await question(run), run.notes

    return virtual_time.run(scenario)


def position(
    symbol="SPY", quantity="-1", strike="560", sec_type="OPT", local="SPY   261218P00560000"
):
    """A position as it travels."""
    expiry, right = ("20261218", "P") if sec_type == "OPT" else ("", "")
    return (
        *("61", "3", "DU1234567", "700", symbol, sec_type, expiry, strike, right, "100", ""),
        *("USD", local, symbol, quantity, "310.5"),
    )


def book(*rows):
    """The positions that come of *rows*, and what is said."""

    async def question(run):
        return await account.positions(run.session, timeout_s=5.0)

    return asked(question, Verbatim(on="positions", messages=(*rows, ("62", "1"))))


@pytest.mark.parametrize("quantity", ["inf", "-inf", "nan", "1e300", "1.7976931348623157E308"])
def test_a_quantity_that_nobody_holds_costs_its_row(quantity):
    """The others stay, and a note names the contract."""
    held, notes = book(position(quantity=quantity), position("QQQ", "2", local=""))

    assert [(one.symbol, one.quantity) for one in held] == [("QQQ", 2.0)]
    assert len(notes) == 1
    assert "SPY 2026-12-18 560P left out" in notes[0]


@pytest.mark.parametrize("strike", ["-560", "inf", "nan", "1e300"])
def test_an_option_without_a_strike_that_can_be_one_is_only_named(strike):
    """It is held, but nothing is reckoned with it."""
    held, _ = book(position(strike=strike))

    assert [(one.contract, one.strike, one.is_option) for one in held] == [
        ("SPY   261218P00560000 OPT 700", None, False)
    ]


@pytest.mark.parametrize(
    "symbol", ["[/red]", "[x]", f"A{EVIL}", "=cmd|calc!A0", "../../etc/passwd", "A" * 5_000, "-1"]
)
def test_symbols_of_positions_pass_the_check_of_typed_ones(symbol):
    """What is no ticker has question marks for what none has, and a note says so."""
    held, notes = book(position(symbol, sec_type="STK", strike="0", local=f"x{EVIL}"))

    (one,) = held
    assert set(one.symbol) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.?-")
    assert not one.symbol.startswith(("-", "."))
    assert len(one.symbol) <= 24
    assert one.local_symbol.isprintable()
    assert "?" not in one.symbol or "is not a ticker symbol" in notes[0]


def test_what_the_gateway_says_is_one_line_of_text():
    """No control code of it reaches a note, and a long text ends."""
    said = f"all is {EVIL} well\nnote: you are rich " + "x" * 5_000

    async def question(run):
        await account.positions(run.session, timeout_s=5.0)

    _, notes = asked(question, Announce(code=9999, text=said, after=1))

    (note,) = notes
    assert note.startswith("the gateway says: all is ]0;pwn well note: you are rich xxx")
    assert note.isprintable()
    assert len(note) <= 1_000


@pytest.mark.parametrize("clock", ["0", "-5", "99999999999999", "5000000000"])
def test_a_clock_that_tells_no_time_is_not_taken(clock):
    """The computer's own is used instead, with a note."""

    async def question(run):
        return abs(await run.session.now() - dt.datetime.now(dt.UTC))

    off, notes = asked(question, Verbatim(on="current_time", messages=(("49", "1", clock),)))

    assert off < dt.timedelta(minutes=1)
    assert notes == [
        f"the gateway's clock says {clock}, which is no time; that of this computer is used"
    ]


def test_bars_that_can_be_no_price_are_named():
    """They are left out, and how many a note says."""
    bars = [
        ("20261118", "1", "1", "1", "1", "1", "1", "1"),
        ("20261119", "1e308", "1e308", "1e308", "1e308", "1", "1", "1"),
        ("20261120", "nan", "nan", "nan", "nan", "1", "1", "1"),
        ("20261123", "1", "9e11", "1", "9e11", "1", "1", "1"),
    ]
    message = ("17", "@", "", "", "4", *(cell for bar in bars for cell in bar))

    async def question(run):
        under = await contracts.resolve_underlying(run.session, "SPY", settings().market)
        return await history.daily_bars(run.session, under, 5)

    kept, notes = asked(question, Verbatim(on="history", messages=(message,)))

    assert [bar.day for bar in kept] == [dt.date(2026, 11, 18)]
    assert notes == ["TRADES of SPY: 3 bars left out without a price that can be one"]


def test_a_whole_number_that_none_can_be_costs_its_row():
    """An id of 30 digits fits no array; the other answers are kept."""
    taken = []

    class Callbacks:
        """Takes down what cannot be read."""

        def is_asked(self, name):
            return True

        def cannot_read(self, kind, req_id, name, reason):
            taken.append((name, reason))

    link.StrictDecoder(Callbacks()).interpret(["9", "1", "9" * 30])

    assert taken == [("nextValidId", f"{'9' * 30} is no number that the gateway can send")]


def test_an_answer_without_end_is_given_up():
    """No question has so many parts; it fails, and its memory is bounded."""
    rows = (position(sec_type="STK", strike="0"),) * (callbacks.MOST_PARTS + 1)

    with pytest.raises(UnreadableAnswer, match="more than 10,000 parts"):
        book(*rows)


def test_notes_without_end_are_cut_short():
    """After two hundred of them one says that there are more."""

    async def scenario():
        async with running() as run:
            for number in range(1_000):
                run.session.note(f"note {number}")
            return run.notes

    notes = virtual_time.run(scenario)

    assert len(notes) == 201
    assert notes[-1] == "more than 200 notes; the others are left out"


@pytest.mark.parametrize("after", [1, 5, 12])
def test_a_flood_keeps_to_the_deadline(after):
    """A gateway that never stops talking is left in time, its lines closed or not."""
    got = fetch(f"flood:after={after},at_once=50", timeout=6.0)

    assert got.seconds <= 6.0 + 2.0
    assert len(got.notes) <= 201


@pytest.mark.parametrize("number", [1e9, 1e15, 1e308, -560.0, float("inf"), float("nan")])
def test_a_price_that_nothing_has_is_none(number):
    """Of quotes and of the underlying that a model computes from; volumes may be large."""
    ticks = convert.Ticks()

    ticks.price(1, number, 1.0)
    ticks.computation(13, 0.2, -0.3, 0.01, 0.1, -0.1, number)
    ticks.size(8, 5e9)

    assert ticks.bid is None
    assert ticks.model is not None and ticks.model.underlying is None
    assert ticks.volume == 5_000_000_000
