"""Reports as HTML: one file, its numbers those of its JSON, and readable in a real browser."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.html_reading import Read
from tomic.desk import Desk
from tomic.errors import BadFile, DataError, StoreError
from tomic.report import collect, html
from tomic.report.html import inline
from tomic.report.layout import (
    FORMATS,
    FigureColumn,
    FigureGrid,
    FigureTable,
    ReportPage,
    ReportSection,
    Sentences,
    Sliders,
    SvgPicture,
    resolve,
    written,
)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SMALL_SCAN = {
    "market": {"symbols": ["SPY"]},
    "scan": {"strategies": ["iron_condor"], "top": 2, "max_contracts": 60},
}


def page(document, *parts, head=()):
    return ReportPage("A title", document, head, (ReportSection("A section", parts),))


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """The page of a day of the demo market, with a scan of one symbol."""
    folder = tmp_path_factory.mktemp("day")
    sections = {
        **SMALL_SCAN,
        "store": {"path": folder / "store.db"},
        "portfolio": {"snapshot": folder / "portfolio.json"},
    }

    async def collected():
        async with Desk(demo=True, **sections) as desk:
            await desk.portfolio()
            return await collect.day(desk)

    return asyncio.run(collected())


def test_every_number_of_the_day_is_that_of_its_json(day):
    """Each cell holds the value its pointer leads to, written as its kind says."""
    read = Read(html.render(day))

    assert read.document == json.loads(json.dumps(day.document))
    assert len(read.cells) > 50
    for at, kind, value, text in read.cells:
        assert resolve(read.document, at) == value, at
        assert written(value, kind) == text, at


def test_shown_numbers_are_the_exact_ones_rounded(day):
    """What is printed differs from the JSON by no more than the digits that are left out."""
    half_digit = {"cents": 0.005, "pnl": 0.005, "money": 0.5, "number": 0.05, "ratio": 0.005,
                  "share": 0.0005, "share0": 0.005, "whole": 0.5}  # fmt: skip
    seen = set()

    for at, kind, value, text in Read(html.render(day)).cells:
        if kind in half_digit and isinstance(value, float):
            plain = text.replace(",", "").replace("−", "-").removesuffix(" %")
            number = float(plain) * (0.01 if "%" in text else 1.0)
            assert abs(number - value) <= half_digit[kind] * (1 + 1e-9) + 1e-12, at
            seen.add(kind)

    assert {"cents", "money", "share", "number"} <= seen


def test_data_time_source_and_quality_come_first(day):
    """Before anything else a report says of when, from where and how whole its data are."""
    read = Read(html.render(day))

    assert [at for at, *_ in read.cells[:4]] == [
        "/meta/as_of",
        "/meta/data_type",
        "/meta/source",
        "/meta/quality",
    ]
    assert read.cells[0][3].startswith("2026-11-20 ")
    assert read.cells[2][2] == "demo market"


def test_nothing_is_fetched(day):
    """No address, no foreign style, script or picture; the policy forbids them as well."""
    text = html.render(day)
    read = Read(text)

    assert not re.search(r"(?:https?:)?//\w", text)
    assert "url(http" not in text
    for tag, given in read.tags:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base"}
        assert not {"src", "srcset", "xmlns", "xlink:href"} & set(given)
        if "href" in given:
            assert given["href"].startswith("#")
    policies = [one["content"] for tag, one in read.tags if one.get("http-equiv")]
    assert policies[0].startswith("default-src 'none'")


def test_ids_are_unique_and_references_lead_somewhere(day):
    """Pictures on one page do not share ids, so none is clipped by another's frame."""
    text = html.render(day)
    ids = [given["id"] for _, given in Read(text).tags if "id" in given]

    assert len(ids) == len(set(ids))
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', text))
    assert used <= set(ids)


def test_pictures_say_what_they_show(day):
    """Every picture has a role and a label, and its words can be searched."""
    pictures = [given for tag, given in Read(html.render(day)).tags if tag == "svg"]

    assert len(pictures) >= 2
    assert all(one["role"] == "img" and one["aria-label"] for one in pictures)
    assert ">at expiry</text>" in html.render(day)


def test_the_same_page_is_the_same_file(day):
    """Writing it twice gives the same bytes."""
    assert html.render(day) == html.render(day)


def test_light_dark_and_print_are_styled(day):
    """The page follows the reader's light or dark, and prints dark on white."""
    text = html.render(day)

    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert "page-break-inside: avoid" in text
    assert "break-before" not in text  # which leaves the rest of a sheet white
    assert 'name="color-scheme" content="light dark"' in text


def test_text_cannot_leave_its_cell():
    """Markup in a value stays text, in the table and in the embedded document."""
    bad = "</script><script>alert(1)</script><b>&\"'"

    text = html.render(
        page({"rows": [{"name": bad}]}, FigureTable("/rows", (FigureColumn("name", "/name"),)))
    )

    assert Read(text).document["rows"][0]["name"] == bad
    assert Read(text).cells == [("/rows/0/name", "text", bad, bad)]
    assert text.count("<script") == 1


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (None, "cents", "–"),
        (math.inf, "money", "unlimited"),
        (-1234.5, "money", "−1,234"),
        (-0.004, "cents", "0.00"),
        (0.6412, "share", "64.1 %"),
        (0.6412, "share0", "64 %"),
        (1234567.891, "pnl", "1,234,567.89"),
        (557.5, "price", "557.5"),
        ("iron_condor", "words", "iron condor"),
        ([557.61, 612.4], "list", "557.61, 612.40"),
        ([], "list", "–"),
        ("2026-11-20T15:00:00-05:00", "time", "2026-11-20 20:00 UTC"),
        ("2026-11-20T00:00:00", "day", "2026-11-20"),
    ],
)
def test_values_are_written_as_their_kind(value, kind, text):
    """Fractions become per cents, infinity a word, nothing a dash."""
    assert written(value, kind) == text


def test_every_kind_has_a_format():
    """A column's kind is always one that can be written."""
    assert all(callable(one) for one in FORMATS.values())
    assert math.isclose(float(FORMATS["cents"](1.005)), 1.0, abs_tol=0.011)


def test_pointers_are_those_of_json():
    """Slashes and tildes in keys are escaped as RFC 6901 says; below nothing is nothing."""
    document = {"a/b": {"m~n": [1, 2]}, "none": None}

    assert resolve(document, "/a~1b/m~0n/1") == 2
    assert resolve(document, "/none/below") is None
    assert resolve(document, "") == document
    with pytest.raises(KeyError):
        resolve(document, "/absent")


def test_empty_lists_say_so_or_leave_nothing():
    """A table without rows is its sentence, lines without text are nothing."""
    text = html.render(
        page(
            {"rows": [], "notes": []},
            FigureTable("/rows", (), empty="Nothing today."),
            Sentences("/notes"),
        )
    )

    assert "<p>Nothing today.</p>" in text
    assert "<table>" not in text
    assert "<ul" not in text


def test_facts_and_lines_are_of_the_document():
    """Facts are read at their pointer, lines item by item."""
    document = {"one": {"ev": -12.5}, "notes": ["a < b"]}

    text = html.render(
        page(
            document,
            FigureGrid("/one", (FigureColumn("EV", "/ev", "pnl", "a hint"),)),
            Sentences("/notes"),
        )
    )

    assert Read(text).cells == [("/one/ev", "pnl", -12.5, "−12.50")]
    assert 'data-sign="loss"' in text
    assert '<li data-at="/notes/0">a &lt; b</li>' in text


def test_inlined_pictures_lose_what_belongs_to_files():
    """Prologue, metadata, namespaces and size go; ids get the prefix."""
    svg = (
        '<?xml version="1.0"?><!DOCTYPE svg><svg xmlns="x" width="9pt" viewBox="0 0 9 9">'
        '<metadata>who</metadata><g id="a" style="fill: #777777" clip-path="url(#a)"/></svg>'
    )

    found = inline(svg, prefix="p1-", label="A & B")

    assert found == (
        '<svg viewBox="0 0 9 9" role="img" aria-label="A &amp; B">'
        '<g id="p1-a" style="fill: var(--muted)" clip-path="url(#p1-a)"/></svg>'
    )


def test_a_page_needs_no_matplotlib():
    """Without it a report has no pictures, and all the rest."""
    code = "import sys; sys.modules['matplotlib'] = None; from tomic.report import collect, html"

    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_picture_stands_between_its_caption(proposal):
    """A figure's caption is text, and its picture is inline."""
    text = html.render(page({}, SvgPicture('<svg viewBox="0 0 1 1"></svg>', "Profit & loss")))

    assert "<figcaption>Profit &amp; loss</figcaption>" in text


def test_writing_into_a_file_that_is_a_folder_is_refused(tmp_path):
    """The error names the file."""
    with pytest.raises(BadFile, match=str(tmp_path)):
        html.write(page({}), tmp_path)


async def test_a_proposal_that_is_not_stored_is_named(settings):
    """The message says which proposals there are, or what makes one."""
    async with Desk(settings) as desk:
        with pytest.raises(DataError, match="run tomic scan"):
            await collect.proposal(desk, "20200101-1")


def test_the_day_shows_the_last_book(day):
    """A saved book gives the day its totals and what asks for attention, with its own time."""
    read = Read(html.render(day))
    cells = {at: value for at, _, value, _ in read.cells}

    assert cells["/book/totals/greeks/theta"] == read.document["book"]["totals"]["greeks"]["theta"]
    assert cells["/book/as_of"].startswith("2026-11-20T")
    assert "/book/alerts/0/message" in cells


async def test_a_scan_of_another_version_is_named(settings, store):
    """A stored scan that this version cannot read is an error with a remedy, not a traceback."""
    at = dt.datetime(2026, 11, 20, 20, 0, tzinfo=dt.UTC)
    await store.scans.save([], as_of=at, day=at.date(), document={"considered": "many"})

    async with Desk(settings) as desk:
        with pytest.raises(StoreError, match="run tomic scan again"):
            await collect.day(desk)


async def test_a_day_without_a_scan_says_so(settings):
    """An empty store gives a page that says what to run, not an error."""
    async with Desk(settings) as desk:
        text = html.render(await collect.day(desk))

    assert "no scan is stored; run tomic scan" in text
    assert "Nothing is stored yet." in text


def browsed(what: str, file: Path, folder: Path, *more: str) -> bytes:
    """What a headless browser prints of *file*."""
    return subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", "--hide-scrollbars", f"--user-data-dir={folder}", *more, what,
            file.as_uri(),
        ],
        check=True, capture_output=True, timeout=60,
    ).stdout  # fmt: skip


def screenshot(file: Path, image: Path, folder: Path, *, width: int, height: int) -> None:
    """Let a headless browser draw *file* into *image*."""
    browsed(f"--screenshot={image}", file, folder, f"--window-size={width},{height}")


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here; apt-get install chromium")
def test_a_browser_runs_the_sliders(tmp_path):
    """Under the page's own policy: the figure is the cell that the three sliders stand at."""
    moves, vols, horizons = [-0.1, 0.0, 0.1], [0.0, 0.25], ["now", "at expiry"]
    cells = [[[1000.0 * v + 10.0 * m - d for d in range(2)] for m in range(3)] for v in (-2, 1)]
    rows = [{"move": move, "pnl": pnl} for move, pnl in zip(moves, cells[0], strict=True)]
    item = {"title": "SPY-1", "moves": moves, "vols": vols, "horizons": horizons, "cells": cells}
    columns = (
        FigureColumn("price", "/move", "share"), FigureColumn("", "/move", "share"),
        *(FigureColumn(name, f"/pnl/{n}", "pnl") for n, name in enumerate(horizons)),
    )  # fmt: skip
    sliders = Sliders("/items/0", FigureTable("/items/0/rows", columns), is_open=True)
    text = html.render(page({"items": [item | {"rows": rows}]}, sliders))
    assert '<p class="sliders" hidden>' in text
    # Where a reader would have slid them: the fall, more volatility, the expiry.
    for most, start, there in ((2, 1, 0), (1, 0, 1)):
        text = text.replace(f'max="{most}" value="{start}"', f'max="{most}" value="{there}"')
    file = tmp_path / "page.html"
    file.write_text(text, encoding="utf-8")

    drawn = browsed("--dump-dom", file, tmp_path / "profile").decode()

    assert "price -10 %, volatility +25 %, at expiry: </span>" in drawn
    assert "<output>999.00</output>" in drawn
    assert '<p class="sliders">' in drawn
    assert drawn.count(' class="n at"') == 3 and drawn.count('<tr class="at"') == 1


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here; apt-get install chromium")
@pytest.mark.parametrize(("width", "height"), [(1280, 1600), (420, 1200)], ids=["desk", "phone"])
def test_a_browser_draws_the_page(day, tmp_path, width, height):
    """A headless browser draws ink over the whole width, and paper around it."""
    import numpy as np
    from matplotlib import image as images

    file, image = html.write(day, tmp_path / "day.html"), tmp_path / "day.png"

    screenshot(file, image, tmp_path / "profile", width=width, height=height)

    drawn = images.imread(image)[:, :, :3].mean(axis=2)
    assert drawn.shape == (height, width)
    ink = np.abs(drawn - drawn[2, 2]) > 0.2
    assert 0.01 < ink.mean() < 0.5
    columns = np.flatnonzero(ink.any(axis=0))
    assert columns[0] < 0.1 * width
    assert columns[-1] > 0.7 * width
