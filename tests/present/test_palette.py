"""Colours by meaning, only where they are wanted, and never the only carrier."""

from __future__ import annotations

from tomic.present import palette
from tomic.present.palette import Tone, Toned, by_sign, painted
from tomic.present.text import PlainTable


def table() -> str:
    made = PlainTable("symbol", "P&L", "verdict", left=(0, 2))
    made.add_row("SPY", by_sign("-12.60"), Toned("ACT", Tone.WARNING))
    made.add_row("QQQ", by_sign("+3.90"), "hold")
    made.add_row("IWM", by_sign("0.00"), "hold")
    return made.text()


def test_text_is_plain_unless_colours_are_on():
    """What goes to a file, a page or a program has no codes in it."""
    assert "\x1b" not in table()


def test_colours_say_nothing_that_the_text_does_not():
    """Taking the colours away leaves the same table, columns straight."""
    with palette.on():
        coloured = table()

    assert palette.plain(coloured) == table()
    assert "\x1b[31m-12.60\x1b[0m" in coloured
    assert " \x1b[32m+3.90\x1b[0m" in coloured
    assert "\x1b[33mACT" in coloured
    assert coloured.count("\x1b[0m") == 4


def test_what_is_neither_gain_nor_loss_stays_plain():
    """Nothing, an unknown, and a range of strikes."""
    with palette.on():
        assert [type(by_sign(text)) for text in ("0.00", "?", "", "-", "-1.00")] == [
            str, str, str, str, Toned,
        ]  # fmt: skip
        assert painted("", Tone.LOSS) == ""
    with palette.on(False):
        assert painted("x", Tone.LOSS) == "x"
