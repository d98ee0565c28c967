"""The JSON document: schema, meta, rows."""

from __future__ import annotations

import json
from dataclasses import replace

from tomic import __version__, files
from tomic.chain import Fetch


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
    assert meta["gaps"] == {
        "delta_out_of_range": 1, "no_quote": 1, "timeout": 1, "unknown_contract": 1,
    }  # fmt: skip
    assert (meta["seconds"], meta["messages"], meta["messages_per_second"]) == (4.0, 30, 7.5)
    assert meta["version"] == __version__


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
