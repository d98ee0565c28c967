"""Tables of surfaces are read by the names of their columns, or refused with the line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from tomic.errors import BadFile
from tomic.files.surfaces import is_surface, read_surface

GOOD = """symbol,date,close,atm_iv,skew,term_m1_m2,term_m1_m3
SPY,2025-05-20,592.85,0.158,13.1,-0.4,-0.7
spy,2025-05-19,594.85,0.157,13.27,,-0.8
QQQ,20250519,,nan,,,
"""


@pytest.fixture
def written(tmp_path):
    """A function that writes a text and returns its path."""

    def write(text, name="surface.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_table_is_read_as_it_stands(written):
    """Order is kept, symbols are capitals, blanks are NaN, both ways of writing a date are read."""
    rows = read_surface(written(GOOD))

    assert rows.symbol.tolist() == ["SPY", "SPY", "QQQ"]
    assert rows.day.astype(str).tolist() == ["2025-05-20", "2025-05-19", "2025-05-19"]
    assert_array_equal(rows.close, [592.85, 594.85, np.nan])
    assert_array_equal(rows.atm_iv, [0.158, 0.157, np.nan])
    assert_array_equal(rows.term_m1_m2, [-0.4, np.nan, np.nan])


def test_columns_may_stand_in_any_order(written):
    """Names decide, and what is not needed is left alone."""
    lines = [line.split(",")[::-1] for line in GOOD.splitlines()]
    turned = "\n".join(",".join([*line, "x"]) for line in lines)

    one, other = read_surface(written(GOOD)), read_surface(written(turned, "turned.csv"))

    for ours, theirs in zip(one, other, strict=True):
        assert_array_equal(ours, theirs)


def test_a_missing_column_is_named(written):
    """So are those that are needed."""
    text = "\n".join(",".join(line.split(",")[:4]) for line in GOOD.splitlines())

    with pytest.raises(BadFile, match=r"surface\.csv: no column skew, term_m1_m2; needed are"):
        read_surface(written(text))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("SPY,2025-13-01,1,1,1,1,1", r"csv:5: '2025-13-01' is no date"),
        ("SPY,yesterday,1,1,1,1,1", r"csv:5: 'yesterday' is no date"),
        ("SPY,2025-05-21,cheap,1,1,1,1", r"csv:5: 'cheap' is no number"),
        (",2025-05-21,1,1,1,1,1", r"csv:5: no symbol"),
        ("SPY,2025-05-21,1", r"csv:5: 3 cells where the header has 7"),
        ('SPY,"2025-05-21', r"no CSV"),
    ],
)
def test_a_bad_line_is_named(written, line, words):
    """A cell that is neither blank nor what its column holds is an error, not a hole."""
    with pytest.raises(BadFile, match=words):
        read_surface(written(GOOD + line + "\n"))


def test_a_row_without_a_date_is_kept_as_such(written):
    """It is for the cleaning to count."""
    rows = read_surface(written(GOOD + "SPY,,1,.2,1,1,1\n"))

    assert np.isnat(rows.day).tolist() == [False, False, False, True]


def test_an_empty_file_is_refused(written):
    """Also one with only a header."""
    with pytest.raises(BadFile, match="no column symbol"):
        read_surface(written(""))
    with pytest.raises(BadFile, match="no rows below the header"):
        read_surface(written(GOOD.splitlines()[0]))


def test_a_file_that_is_not_there_is_named(tmp_path):
    """Its path, and why."""
    with pytest.raises(BadFile, match=r"absent\.csv: no such file"):
        read_surface(tmp_path / "absent.csv")


SUMMARY = [
    {"date": "2025-06-26", "atm_iv": None, "term_m1_m2": None, "skew": None},
    {"date": "2025-06-27", "atm_iv": 0.1763, "iv_rank (HV)": 22.5, "term_m1_m2": -0.35,
     "term_m1_m3": -0.65, "skew": 1.55},
]  # fmt: skip
SPOTS = [
    {"symbol": "XLF", "date": "2025-06-26", "close": 51.1, "volume": 1.0},
    {"symbol": "XLF", "date": "2025-06-27", "close": 51.6, "atr": None},
]


def summaries(folder, summary=SUMMARY, spots=SPOTS):
    """The original's folders, with one symbol."""
    for name, rows in (("iv_daily_summary", summary), ("spot_prices", spots)):
        (folder / name).mkdir()
        (folder / name / "XLF.json").write_text(json.dumps(rows), encoding="utf-8")
    return folder / "iv_daily_summary"


def test_the_original_s_summaries_are_surfaces(tmp_path):
    """A file a symbol, the close from beside it; null is missing."""
    folder = summaries(tmp_path)

    for path in (folder, folder / "XLF.json"):
        rows = read_surface(path)
        assert rows.symbol.tolist() == ["XLF", "XLF"]
        assert rows.close.tolist() == [51.1, 51.6]
        assert np.isnan(rows.atm_iv[0])
        assert (rows.atm_iv[1], rows.skew[1], rows.term_m1_m2[1]) == (0.1763, 1.55, -0.35)


def test_summaries_without_closes_have_none(tmp_path):
    """They hold none themselves; what is not beside them is missing, not refused."""
    folder = summaries(tmp_path)
    (tmp_path / "spot_prices" / "XLF.json").unlink()

    assert np.isnan(read_surface(folder).close).all()


def test_volatilities_in_per_cent_are_refused(tmp_path):
    """25.3 is no fraction; the file is told apart from a wild one by its median."""
    path = tmp_path / "surface.csv"
    rows = [f"SPY,2024-01-{day:02d},470.5,{20 + day},3.1,-0.5" for day in range(2, 9)]
    path.write_text("\n".join(["symbol,date,close,atm_iv,skew,term_m1_m2", *rows]))

    with pytest.raises(BadFile, match="in per cent"):
        read_surface(path)


def test_surfaces_are_recognised_by_their_beginning(tmp_path):
    """A CSV, a summary and its folder are; a calendar of earnings and nothing are not."""
    folder = summaries(tmp_path)
    (tmp_path / "a.txt").write_text("symbol,date,close,ATM_IV,skew,term_m1_m2\n")
    (tmp_path / "b.csv").write_text("symbol,date\nSPY,2024-01-02\n")

    assert is_surface(folder)
    assert is_surface(folder / "XLF.json")
    assert is_surface(tmp_path / "a.txt")
    assert not is_surface(tmp_path / "b.csv")
    assert not is_surface(tmp_path / "spot_prices")
    assert not is_surface(tmp_path / "absent")


@pytest.mark.parametrize(
    ("summary", "words"),
    [
        ({}, "a list of days"),
        (["x"], "record 1 is no table"),
        ([{"date": "soon"}], "record 1: 'soon' is no date"),
        ([{"date": "2025-06-27", "atm_iv": [1]}], "atm_iv .* is no number"),
        ([], "no summaries"),
    ],
)
def test_damaged_summaries_are_named(tmp_path, summary, words):
    """File, record and reason."""
    with pytest.raises(BadFile, match=words):
        read_surface(summaries(tmp_path, summary))
