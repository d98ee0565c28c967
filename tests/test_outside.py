"""Texts from outside: control codes, formulas and lengths end at the gate."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tracemalloc
import zlib

import pytest

from tomic import outside
from tomic.disk import parse_foreign_json, read_text
from tomic.present import forms
from tomic.present.text import PlainTable

ESCAPES = "\x1b]0;pwn\x07\x1b[31m\x9b2J\x00\x7f\u202e\u2066"


def is_harmless(text: str) -> bool:
    """Whether every sign is one to be seen, or a blank."""
    return text.isprintable()


def test_a_field_is_one_line_without_control_codes():
    """What a terminal would act upon becomes a blank, and a long text is cut short."""
    assert outside.line("SPY") == "SPY"
    assert outside.line("Café Ω 日本 💥") == "Café Ω 日本 💥"
    assert outside.line(f"a{ESCAPES}b\r\nc") == "a ]0;pwn [31m 2J b c"
    assert outside.line("x" * 99, 10) == "x" * 9 + "…"
    assert outside.line("\x1b" * 1_000_000, 10) == " "


def test_a_text_keeps_its_lines():
    """Tabs and line ends stay, the latter as line feeds; other control codes do not."""
    assert outside.lines("a,b\r\nc\td\re\u00a0f") == "a,b\nc\td\ne\u00a0f"
    assert outside.lines(f"a{ESCAPES}\nb") == "a ]0;pwn [31m 2J \nb"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=cmd|'/c calc'!A0", "'=cmd|'/c calc'!A0"),
        (" =1+1", "' =1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+cmd|'/c calc'!A0", "'+cmd|'/c calc'!A0"),
        ("-2+3+cmd|'/c calc'!A0", "'-2+3+cmd|'/c calc'!A0"),
        ("\t=1", "'\t=1"),
        ("-1.5", "-1.5"),
        ("+1 SPY 2026-12-18 550P, -1 SPY 2026-12-18 560P", None),
        ("SPY", None),
        (-1.5, None),
        (None, None),
    ],
)
def test_cells_that_a_spreadsheet_would_run_are_quoted(text, shown):
    """A formula gets an apostrophe; numbers and legs, which begin with a sign, stay as they are."""
    assert outside.cell(text) == (text if shown is None else shown)


def test_tables_and_csv_are_harmless():
    """Whatever a name holds, a table has no control code and a CSV file no formula."""
    table = PlainTable("symbol", "note")
    table.add_row("=A1", f"x{ESCAPES}\ny")
    rows = [{"symbol": "=CMD|CALC!A0", "n": -1.0}]

    assert all(map(is_harmless, table.text().splitlines()))
    (row,) = csv.DictReader(io.StringIO(forms.to_csv(rows)))
    assert row == {"symbol": "'=CMD|CALC!A0", "n": "-1.0"}


def test_files_are_read_without_control_codes(tmp_path):
    """Neither the bytes of a text nor the escapes of JSON bring a control code in."""
    path = tmp_path / "a.csv"
    path.write_text(f"symbol,sector\r\nSPY,{ESCAPES}x\r\n", encoding="utf-8", newline="")
    document = {"na\x1bme": [f"x{ESCAPES}", {"plan": "first\nsecond\x07"}], "n": 1.5}

    assert read_text(path) == "symbol,sector\nSPY, ]0;pwn [31m 2J x\n"
    assert parse_foreign_json(json.dumps(document)) == {
        "na me": ["x ]0;pwn [31m 2J ", {"plan": "first\nsecond "}],
        "n": 1.5,
    }


# -- packed answers ----------------------------------------------------------------------------


async def in_pieces(content, size=1000):
    for start in range(0, len(content), size):
        yield content[start : start + size]


@pytest.mark.parametrize(
    ("packing", "pack"),
    [
        ("", bytes),
        ("identity", bytes),
        ("gzip", gzip.compress),
        (" X-Gzip", gzip.compress),
        ("deflate", zlib.compress),
    ],
)
async def test_an_answer_is_unpacked(packing, pack):
    """Packed or not, it is what was sent."""
    sent = bytes(range(256)) * 40

    assert await outside.unpacked(in_pieces(pack(sent)), packing, len(sent)) == sent


async def test_a_bomb_is_not_unpacked():
    """A megabyte that unpacks to a gigabyte costs what was allowed, and no more."""
    bomb = gzip.compress(bytes(200 << 20), 9)
    tracemalloc.start()
    try:
        with pytest.raises(outside.TooLong):
            await outside.unpacked(in_pieces(bomb, len(bomb)), "gzip", 1 << 20)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 8 << 20


@pytest.mark.parametrize(
    ("packing", "sent", "why"),
    [
        ("gzip, gzip", gzip.compress(gzip.compress(b"x", mtime=0), mtime=0), "not asked for"),
        ("br", b"x", "not asked for"),
        ("gzip", b"no gzip", "damaged"),
        ("gzip", gzip.compress(b"whole" * 99, mtime=0)[:-9], "cut off"),
    ],
)
async def test_what_is_packed_badly_is_refused(packing, sent, why):
    """By a word for people."""
    with pytest.raises(ValueError, match=why):
        await outside.unpacked(in_pieces(sent), packing, 1 << 20)


def test_a_line_of_millions_of_cells_is_no_row():
    """Eight megabytes of commas would be two hundred of cells."""
    kept = list(csv.reader(outside.table_lines("a,b\r\n1,2\r\n")))

    assert kept == [["a", "b"], ["1", "2"]]
    with pytest.raises(csv.Error, match="a line of 8,388,608 letters"):
        list(csv.reader(outside.table_lines("," * (8 << 20))))
