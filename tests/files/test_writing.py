"""CSV files: names, columns, rounding, what stays out; the JSON document: schema, meta, rows."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from dataclasses import replace

import numpy as np
import pytest

from support.made_chains import chain_of, row
from tomic import __version__, files
from tomic.chain import Fetch
from tomic.models import RowStatus, VolSnapshot

STAMP = dt.datetime(2025, 6, 18, 14, 26, 3, 250000)
ORIGINAL_CHAIN = (
    "Expiry,Type,Strike,Bid,Ask,Close,IV,Delta,Gamma,Vega,Theta,Volume,OpenInterest,ParityDeviation"
)
ORIGINAL_OTHER = (
    "Symbol,SpotPrice,HV_30,ATR_14,VIX,Skew,Term_M1_M2,Term_M1_M3,IV_Rank,Implied_Volatility,"
    "IV_Percentile,Avg_Parity_Deviation"
)


def table(text: str) -> list[dict[str, str]]:
    """A CSV text as rows by column name."""
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
def snapshot() -> VolSnapshot:
    """Volatility as the house keeps it: fractions."""
    return VolSnapshot(
        symbol="BRK.B",
        as_of=dt.datetime(2025, 6, 18, 18, 26, tzinfo=dt.UTC),
        hv30=0.4397, atr14=10.41, vix=0.1805, skew=-0.0444, term_m1_m2=-0.02, iv_rank=0.64,
        iv30=0.152, iv_percentile=0.71, iv_days=248, next_earnings=dt.date(2025, 8, 4),
        sources={"iv30": "ib", "hv30": "store"},
    )  # fmt: skip


def test_file_name_and_folder(chain, tmp_path):
    """A chain goes into the day's folder, symbol and stamp in its name."""
    path = files.write_chain(chain, tmp_path, stamp=STAMP)

    expected = "20250618/option_chain_BRK.B_20250618_142603_250000.csv"
    assert path.relative_to(tmp_path).as_posix() == expected
    assert path.read_text(encoding="utf-8") == files.to_csv_text(chain)
    assert list(path.parent.iterdir()) == [path]


def test_original_columns_come_first(chain):
    """The original's header stands at the start, byte for byte; ours follow."""
    header = files.to_csv_text(chain).splitlines()[0]

    assert header.startswith(ORIGINAL_CHAIN + ",Status,QuoteSource,GreeksSource,Spot,SpotSource,")
    assert ",".join(files.CHAIN_HEADER) == ORIGINAL_CHAIN


def test_cells_of_a_complete_row(chain):
    """Prices keep their decimals, IV and Greeks six digits, Expiry is written without dashes."""
    row = table(files.to_csv_text(chain))[0]

    assert row["Expiry"] == "20250718"
    assert (row["Type"], row["Strike"], row["Bid"], row["Ask"]) == ("C", "600.0", "6.05", "6.15")
    assert (row["IV"], row["Delta"], row["Gamma"]) == ("0.172346", "0.512346", "0.0123457")
    assert (row["Volume"], row["OpenInterest"], row["ParityDeviation"]) == ("310", "1234", "0.0312")
    assert (row["Spot"], row["SpotSource"], row["DataType"]) == ("600.5", "last", "live")
    assert row["AsOf"] == "2025-06-18T14:26:01.000005-04:00"
    assert row["QuotedAt"] == "2025-06-18T18:25:59.000005+00:00"


def test_invalid_rows_stay_out_and_are_counted(chain):
    """Rows out of the delta range or not listed are left out; gaps stay, with empty cells."""
    rows = table(files.to_csv_text(chain))

    assert [row["Status"] for row in rows] == ["ok", "ok", "no_quote", "ok", "timeout"]
    assert files.left_out(chain) == {"delta_out_of_range": 1, "unknown_contract": 1}
    assert rows[2]["Bid"] == ""
    assert rows[4]["Volume"] == rows[4]["IV"] == rows[4]["ConId"] == rows[4]["QuoteSource"] == ""


def test_other_data_in_per_cent(chain, snapshot, tmp_path):
    """Volatilities and ranks are written as the original did, 18.05 for a VIX of 0.1805."""
    path = files.write_snapshot(snapshot, chain, tmp_path, stamp=STAMP)
    text = path.read_text(encoding="utf-8")
    (row,) = table(text)

    assert path.name == "other_data_BRK.B_20250618_142603_250000.csv"
    assert text.startswith(ORIGINAL_OTHER + ",")
    assert [row[name] for name in ORIGINAL_OTHER.split(",")] == [
        "BRK.B", "600.5", "43.97", "10.41", "18.05", "-4.44", "-2.0", "", "64.0", "15.2", "71.0",
        "0.0312",
    ]  # fmt: skip
    assert (row["IV_Days"], row["Next_Earnings"]) == ("248", "2025-08-04")
    assert row["Sources"] == "hv30=store iv30=ib"


def test_parity_averages_the_first_expiry(chain, tmp_path):
    """Each strike of the first expiry counts once, later expiries not at all."""
    deviation = np.where(chain["strike"] == 602.5, 0.05, 0.01)
    deviation[chain["expiry"] > chain["expiry"].min()] = 9.0
    deviation[chain["strike"] == 605.0] = np.nan

    path = files.write_snapshot(
        None, chain.with_columns(parity_deviation=deviation), tmp_path, stamp=STAMP
    )

    assert table(path.read_text())[0]["Avg_Parity_Deviation"] == "0.03"


def test_known_spot_is_kept_without_metrics(chain, tmp_path):
    """Without a snapshot the row still has the spot."""
    (row,) = table(files.write_snapshot(None, chain, tmp_path, stamp=STAMP).read_text())

    assert (row["SpotPrice"], row["HV_30"], row["IV_Rank"]) == ("600.5", "", "")


def test_snapshot_without_chain(snapshot, tmp_path):
    """A snapshot alone writes its own spot, or none; nothing at all is a mistake."""
    (row,) = table(files.write_snapshot(snapshot, None, tmp_path, stamp=STAMP).read_text())
    assert (row["Symbol"], row["SpotPrice"], row["Avg_Parity_Deviation"]) == ("BRK.B", "", "")

    with pytest.raises(ValueError, match="got neither"):
        files.write_snapshot(None, None, tmp_path, stamp=STAMP)


def test_empty_chain_writes_headers(chain, tmp_path):
    """A chain without rows gives a file with its header, and no parity."""
    empty = chain.where(np.zeros(len(chain), dtype=bool))

    assert len(files.to_csv_text(empty).splitlines()) == 1
    (row,) = table(files.write_snapshot(None, empty, tmp_path, stamp=STAMP).read_text())
    assert row["Avg_Parity_Deviation"] == ""


def test_overview_of_several_symbols(chain, snapshot, tmp_path):
    """Two symbols give an overview with a row each; one symbol, even twice, gives none."""
    other = snapshot.model_copy(update={"symbol": "SPY", "spot": 593.77})

    assert files.write_overview([(snapshot, chain)] * 2, tmp_path, stamp=STAMP) is None
    path = files.write_overview([(snapshot, chain), (other, None)], tmp_path, stamp=STAMP)

    assert path == tmp_path / "20250618" / "Overzicht_Marktkenmerken.csv"
    rows = table(path.read_text())
    assert [(row["Symbol"], row["SpotPrice"]) for row in rows] == [
        ("BRK.B", "600.5"), ("SPY", "593.77"),
    ]  # fmt: skip


# -- documents -----------------------------------------------------------------------------


def test_meta_of_a_chain(chain):
    """Meta says what was asked, what came, what it took."""
    document = files.to_document(chain)
    meta = document["meta"]

    assert list(document) == ["schema", "meta", "rows"]
    assert document["schema"] == "tomic.chain/1"
    assert (meta["symbol"], meta["rate"], meta["data_type"]) == ("BRK.B", 0.045, "live")
    assert (meta["spot"], meta["spot_source"]) == (600.5, "last")
    assert meta["as_of"] == "2025-06-18T14:26:01.000005-04:00"
    assert meta["expiries"] == ["2025-07-18", "2025-08-15"]
    assert (meta["requested"], meta["ok"], meta["complete"]) == (7, 3, False)
    assert meta["cut_short"]
    assert meta["gaps"] == {
        "delta_out_of_range": 1, "no_quote": 1, "timeout": 1, "unknown_contract": 1,
    }  # fmt: skip
    assert (meta["seconds"], meta["messages"], meta["messages_per_second"]) == (4.0, 30, 7.5)
    assert meta["version"] == __version__


@pytest.mark.parametrize("gap", ["timeout", "lost", "no_quote", "not_subscribed"])
def test_complete_means_what_it_says(gap):
    """A run that came to its end is no complete chain while one of its options has no numbers."""
    rows = {"whole": (RowStatus.OK, RowStatus.OK), "gappy": (RowStatus.OK, RowStatus(gap))}

    metas = [
        files.to_document(chain_of(row(600.0, "C", call), row(600.0, "P", put)))["meta"]
        for call, put in rows.values()
    ]

    assert [meta["completeness"] for meta in metas] == [1.0, 0.5]
    assert [meta["complete"] for meta in metas] == [True, False]
    assert [meta["cut_short"] for meta in metas] == [False, False]


def test_rows_of_a_chain(chain):
    """Every row is there, by expiry, strike and right, absent numbers null."""
    rows = files.to_document(chain)["rows"]

    assert list(rows[0]) == [
        "con_id", "expiry", "dte", "strike", "right", "bid", "ask", "last", "close", "iv", "delta",
        "gamma", "vega", "theta", "volume", "open_interest", "parity_deviation", "status",
        "quote_source", "greeks_source", "quoted_at",
    ]  # fmt: skip
    assert [(row["expiry"], row["strike"], row["right"]) for row in rows] == sorted(
        (row["expiry"], row["strike"], row["right"]) for row in rows
    )
    assert rows[0]["expiry"] == "2025-07-18"
    assert (rows[0]["dte"], rows[0]["open_interest"]) == (30, 1234)
    assert [rows[-1][name] for name in ("con_id", "bid", "volume", "quote_source")] == [None] * 4


def test_text_is_strict_json(chain):
    """One chain is an object, several an array, none an empty array; never NaN."""
    one, two, none = (files.to_json([chain] * count) for count in (1, 2, 0))

    assert json.loads(one)["meta"]["symbol"] == "BRK.B"
    assert len(json.loads(two)) == 2
    assert json.loads(none) == []
    assert "NaN" not in one


def test_ndjson_has_the_symbol_in_every_row(chain):
    """Each line is a row that says whose it is."""
    lines = files.to_ndjson(chain).splitlines()

    assert len(lines) == len(chain)
    assert {json.loads(line)["symbol"] for line in lines} == {"BRK.B"}
    assert json.loads(lines[0]) == next(files.ndjson_rows(chain))


def test_chain_from_a_file(chain):
    """A chain that no run fetched has no message rate, and still its underlying."""
    meta = files.to_document(replace(chain, fetch=Fetch()))["meta"]

    assert (meta["seconds"], meta["messages"], meta["messages_per_second"]) == (0.0, 0, None)
    assert meta["underlying"]["con_id"] == 72063691
