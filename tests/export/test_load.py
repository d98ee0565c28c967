"""Chains read back: our own, the original's, recorded ones, and damaged files."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from tomic import export
from tomic.chain import COLUMNS
from tomic.config.market import MarketSettings
from tomic.errors import BadFile, InvalidSymbol, MissingSpot, UsageError
from tomic.models import DataType, SpotSource

NEW_YORK_CLOSE = dt.datetime(2025, 6, 18, 20, 0, tzinfo=dt.UTC)
ORIGINAL = """\
Expiry,Type,Strike,Bid,Ask,Close,IV,Delta,Gamma,Vega,Theta,Volume,OpenInterest,ParityDeviation
20250718,C,600.0,6.05,6.15,,0.17,0.51,0.012,0.68,-0.17,,,1.9607
20250718,P,600.0,5.05,5.15,,0.17,-0.49,0.012,0.68,-0.17,,,1.9607
20250718,C,601.0,-1,0.2,,-1,-2,,,,,,
20250718,C,600.0,7.05,7.15,,0.18,0.52,0.012,0.68,-0.17,,,
"""


@pytest.fixture
def original(tmp_path):
    """A file as the original wrote it, one contract fetched twice."""
    path = tmp_path / "option_chain_SPY_20250618_160000_000000.csv"
    path.write_text(ORIGINAL)
    return path


def test_own_csv_round_trip(chain, tmp_path):
    """Our CSV gives back its rows to six digits, and everything about the run's market."""
    path = export.write_chain(chain, tmp_path, stamp=chain.as_of)
    kept = chain.where(~np.isin(chain["status"], list(export.left_out(chain))))

    loaded = export.load_chain(path)

    for name, kind in COLUMNS.items():
        if name == "parity_deviation":
            np.testing.assert_allclose(loaded[name], kept[name], atol=5e-5)
        elif kind == "float64":
            np.testing.assert_allclose(loaded[name], kept[name], rtol=5e-6)
        else:
            np.testing.assert_array_equal(loaded[name], kept[name])
    assert (loaded.spot, loaded.as_of, loaded.rate) == (chain.spot, chain.as_of, chain.rate)
    assert (loaded.div_yield, loaded.trading_class) == (chain.div_yield, chain.trading_class)
    assert loaded.underlying.con_id == chain.underlying.con_id
    assert loaded.symbol == "BRK.B"


def test_own_document_round_trip(chain, tmp_path):
    """The JSON document gives back the chain exactly."""
    path = export.write_text(tmp_path / "chain.json", export.to_json([chain]))

    loaded = export.load_chain(path)

    for name in COLUMNS:
        np.testing.assert_array_equal(loaded[name], chain[name])
    assert (loaded.spot, loaded.notes, loaded.underlying) == (
        chain.spot, chain.notes, chain.underlying,
    )  # fmt: skip
    assert export.to_document(loaded) == export.to_document(chain)


def test_index_options_stay_european(chain, tmp_path):
    """A reloaded index is still an index."""
    spx = chain.underlying.model_copy(update={"symbol": "SPX", "sec_type": "IND"})
    path = tmp_path / "spx.csv"
    path.write_text(export.to_csv_text(replace(chain, underlying=spx)))

    assert export.load_chain(path).underlying.exercise_style == "european"


def test_document_of_several_symbols(chain, tmp_path):
    """Of several symbols one must be named."""
    spy = chain.underlying.model_copy(update={"symbol": "SPY"})
    other = replace(chain, underlying=spy)
    path = export.write_text(tmp_path / "two.json", export.to_json([chain, other]))

    assert export.load_chain(path, symbol="spy").symbol == "SPY"
    with pytest.raises(BadFile, match=r"holds BRK\.B, SPY; pass a symbol"):
        export.load_chain(path)
    with pytest.raises(BadFile, match="not QQQ"):
        export.load_chain(path, symbol="QQQ")


def test_original_file(original):
    """Symbol and time come from the name, the spot from parity, the last of two rows wins."""
    as_of = dt.datetime(2025, 6, 18, 16, 0, tzinfo=ZoneInfo("Europe/Amsterdam"))

    chain = export.load_chain(original)

    assert (chain.symbol, chain.as_of, len(chain)) == ("SPY", as_of, 3)
    assert chain["bid"].tolist()[0] == 7.05
    assert chain.rate == MarketSettings().rate
    assert (chain.spot.source, chain.data_type) == (SpotSource.PARITY, DataType.LIVE)
    forward = 600.0 + np.exp(chain.rate * chain["tau"][0]) * (7.1 - 5.1)
    assert chain.spot.price == pytest.approx(forward * np.exp(-chain.rate * chain["tau"][0]))
    assert set(chain["quote_source"]) == {"replay"}


def test_absent_is_missing_not_zero(original):
    """-1, -2 and blanks are missing; what the file lacks is missing."""
    chain = export.load_chain(original)
    row = list(chain.rows())[2]

    assert (row.bid, row.ask, row.iv, row.delta, row.close) == (None, 0.2, None, None, None)
    assert (row.volume, row.open_interest, row.con_id) == (None, None, None)
    assert [one.status for one in chain.rows()] == ["ok", "ok", "no_quote"]


def test_greeks_beyond_their_bounds_by_rounding_are_at_them(tmp_path):
    """IB writes a delta of -1.000000000000001 far in the money; one of -1.5 is no delta."""
    file = tmp_path / "option_chain_XLF_20250518_160000_000000.csv"
    file.write_text(
        "Expiry,Type,Strike,Bid,Ask,IV,Delta,Gamma,Vega,Theta\n"
        "20250620,P,57,3.25,6.45,0.1333,-1.000000000000001,-6.8e-15,-2.2e-13,1e-14\n"
        "20250620,P,58,4.25,7.45,0.1333,-1.5,0.01,0.01,-0.01\n"
        "20250620,C,58,0.01,0.05,0.1333,0.02,0.01,0.01,-0.01\n",
        encoding="utf-8",
    )

    rounded, _, wrong = export.load_chain(file, spot=51.6).rows()

    assert (rounded.delta, rounded.gamma, rounded.vega, rounded.status) == (-1.0, 0.0, 0.0, "ok")
    assert (wrong.delta, wrong.status) == (None, "no_greeks")


def test_arguments_go_first(original):
    """What the caller knows goes before the name and before parity."""
    chain = export.load_chain(original, symbol="qqq", as_of=NEW_YORK_CLOSE, spot=601.0, rate=0.01)

    assert (chain.symbol, chain.as_of, chain.rate) == ("QQQ", NEW_YORK_CLOSE, 0.01)
    assert (chain.spot.price, chain.spot.source) == (601.0, SpotSource.CLOSE)


def test_arguments_override_own_files(chain, tmp_path):
    """Also in our own files time and spot can be overridden; another symbol is refused."""
    csv_path = export.write_chain(chain, tmp_path, stamp=chain.as_of)
    json_path = export.write_text(tmp_path / "chain.json", export.to_json([chain]))

    for path in (csv_path, json_path):
        loaded = export.load_chain(path, as_of=NEW_YORK_CLOSE, spot=1.0, rate=0.0)
        assert (loaded.as_of, loaded.spot.price, loaded.rate) == (NEW_YORK_CLOSE, 1.0, 0.0)
        with pytest.raises(BadFile, match=r"holds BRK\.B, not SPY"):
            export.load_chain(path, symbol="SPY")


def test_nothing_says_whose_or_when(original):
    """A name that says nothing asks for the symbol, then for the time."""
    path = original.rename(original.with_name("chain.csv"))

    with pytest.raises(BadFile, match="pass its symbol"):
        export.load_chain(path)
    with pytest.raises(BadFile, match="pass the time"):
        export.load_chain(path, symbol="SPY")
    assert export.load_chain(path, symbol="SPX", as_of=NEW_YORK_CLOSE).underlying.sec_type == "IND"


def test_no_pair_no_spot(original):
    """Without a quoted pair the spot must be given."""
    original.write_text("\n".join(ORIGINAL.splitlines()[:2]))

    with pytest.raises(MissingSpot, match="pass the spot"):
        export.load_chain(original)
    assert export.load_chain(original, spot=600.5).spot.price == 600.5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no column expiry or strike or right"),
        ("a,b\n1,2\n", "not an option chain"),
        ("\x00\x01\n", "not an option chain"),
        ("expiry,strike,right\n", "holds no options"),
        ("expiry,strike,right\n20250718,600,C\n2025", "line 3 has 1 cells where the header has 3"),
        ("expiry,strike,right\n2025,600,C\n", "line 2: '2025' is not an expiry"),
        ("expiry,strike,right\n20250718,-5,C\n", "line 2: strike '-5' is not a price"),
        ("expiry,strike,right\n20250718,600,X\n", "neither C nor P"),
        ("expiry,strike,right,bid\n20250718,600,C,6;05\n", "bid '6;05' is not a number"),
        ('expiry,strike,right\n20250718,600,"C\n', "is not CSV"),
        ("{", "not a tomic.chain/1 document"),
        ("[]", "holds no chain"),
        pytest.param("[" * 100_000, "nested too deep", id="deep"),
        ('{"schema": "tomic.chain/2"}', r"schema tomic\.chain/2; this version"),
        ("[1]", "schema None"),
        ('{"schema": "tomic.chain/1", "meta": {"symbol": "SPY"}}', "as_of is missing"),
        ('{"schema": "tomic.chain/1", "meta": 5}', "not a tomic.chain/1 document"),
    ],
)  # fmt: skip
def test_damaged_files(tmp_path, text, words):
    """What is no chain is said to be none, with the place."""
    path = tmp_path / "option_chain_SPY_20250618_160000_000000.csv"
    path.write_text(text)

    with pytest.raises(BadFile, match=words):
        export.load_chain(path)


def test_damaged_row_of_a_document(chain, tmp_path):
    """A field of the wrong kind in a document is named."""
    document = export.to_document(chain)
    document["rows"][0]["strike"] = "many"
    path = export.write_text(tmp_path / "chain.json", json.dumps(document))

    with pytest.raises(BadFile, match="strike: Input should be a valid number"):
        export.load_chain(path)


def test_damaged_label_in_our_csv(chain, tmp_path):
    """A status or a time that nobody wrote is refused with its line."""
    text = export.to_csv_text(chain)
    path = tmp_path / "chain.csv"

    wrong = {",no_quote,": ",splendid,", "2025-06-18T14": "2025-06-41T14", "-04:00": ""}
    for good, bad in wrong.items():
        path.write_text(text.replace(good, bad))
        with pytest.raises(BadFile, match="line"):
            export.load_chain(path)


def test_files_that_cannot_be_read(tmp_path):
    """A missing file, a folder and binary data are errors of the file."""
    binary = tmp_path / "chain.csv"
    binary.write_bytes(b"\xff\xfe\x00\x81")

    with pytest.raises(BadFile, match="cannot be read"):
        export.load_chain(tmp_path / "absent.csv")
    with pytest.raises(BadFile, match="cannot be read"):
        export.load_chain(tmp_path)
    with pytest.raises(BadFile, match="not a text file"):
        export.load_chain(binary)


def test_bad_arguments(original):
    """A time without zone and a symbol that is none are refused."""
    with pytest.raises(UsageError, match="needs a time zone"):
        export.load_chain(original, as_of=dt.datetime(2025, 6, 18))
    with pytest.raises(InvalidSymbol):
        export.load_chain(original, symbol="SP Y")


@pytest.mark.parametrize(
    ("name", "rows", "spot", "tolerance", "kind", "near", "without_bid"),
    [
        ("tomic_ib_SPY_20250519_2026cest.csv", 528, 593.6, 0.6, DataType.LIVE, 88, 0),
        ("tomic_ib_XLF_20250518_sunday_closed.csv", 256, 51.6, 0.3, DataType.FROZEN, 120, 23),
    ],
)
def test_recorded_by_the_original(real_data, name, rows, spot, tolerance, kind, near, without_bid):
    """The original's recorded chains: spot by parity, frozen told from live, gaps counted."""
    chain = export.load_chain(real_data / name)

    around = (np.abs(chain["strike"] - chain.spot.price) <= 10.0) & (chain["dte"] >= 15)
    assert len(chain) == rows
    assert chain.spot.price == pytest.approx(spot, abs=tolerance)
    assert (chain.spot.source, chain.data_type) == (SpotSource.PARITY, kind)
    assert (around.sum(), np.isnan(chain["bid"][around]).sum()) == (near, without_bid)
    assert np.isnan([chain["close"], chain["volume"], chain["open_interest"]]).all()


def test_recorded_end_of_day_chain(real_data):
    """GOOG on the half day of 24 December 2015: 2,016 rows, close at 13:00, spot near 748.40."""
    chain = export.load_chain(real_data / "lean_GOOG_20151224_eod_chain.csv")

    assert (chain.symbol, len(chain), len(chain.expiries)) == ("GOOG", 2016, 11)
    assert chain.as_of.hour == 13
    assert chain.spot.price == pytest.approx(748.40, abs=1.0)
    assert np.isfinite(chain.mid).sum() == 1779
    january = (chain["expiry"] == np.datetime64("2016-01-29")) & chain.is_call
    assert chain["close"][january & (chain["strike"] == 777.5)].tolist() == [19.15]
    assert np.isfinite(chain["open_interest"]).sum() == 1259


@pytest.mark.parametrize(
    ("path", "more", "text"),
    [
        (["a.csv", "b.csv"], {}, r"load_chain reads one file, got \['a\.csv', 'b\.csv'\]"),
        (None, {}, "load_chain reads one file, got None"),
        ("a.csv", {"as_of": "2026-11-20"}, "as_of needs a datetime with a time zone"),
    ],
)
def test_arguments_of_another_kind(path, more, text):
    """One file is read at a time, and a time is a datetime; the sentence says so."""
    with pytest.raises(UsageError, match=text):
        export.load_chain(path, **more)
