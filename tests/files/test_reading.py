"""Chains read back: our own, the original's, recorded ones, and damaged files."""

from __future__ import annotations

import base64
import datetime as dt
import gzip
import json
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tomic import dates, files
from tomic.chain import COLUMNS, Chain
from tomic.config.market import MarketSettings
from tomic.errors import BadFile, InvalidSymbol, MissingSpot, UsageError
from tomic.files import reading
from tomic.models import Carry, DataType, OptionQuote, RowStatus, Spot, SpotSource, Underlying
from tomic.quant import black_scholes
from tomic.wire.requests import ContractSpec
from tomic.workflows import stand_in

CORPUS = Path(__file__).parents[1] / "corpus"
DAY = dt.date(2025, 5, 19)
JULY, AUGUST = dt.date(2025, 7, 18), dt.date(2025, 8, 15)
SPX = Underlying(symbol="SPX", con_id=1, sec_type="IND")
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
    path = files.write_chain(chain, tmp_path, stamp=chain.as_of)
    kept = chain.where(~np.isin(chain["status"], list(files.left_out(chain))))

    loaded = files.load_chain(path)

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
    path = files.write_text(tmp_path / "chain.json", files.to_json([chain]))

    loaded = files.load_chain(path)

    for name in COLUMNS:
        np.testing.assert_array_equal(loaded[name], chain[name])
    assert (loaded.spot, loaded.notes, loaded.underlying) == (
        chain.spot, chain.notes, chain.underlying,
    )  # fmt: skip
    assert files.to_document(loaded) == files.to_document(chain)


@pytest.mark.parametrize("cut_short", [False, True])
def test_a_document_of_an_earlier_version(chain, tmp_path, cut_short):
    """There ``complete`` said that the run was not cut short, whatever its rows were."""
    chain = replace(chain, fetch=replace(chain.fetch, cut_short=cut_short))
    document = files.to_document(chain)
    del document["meta"]["cut_short"]
    document["meta"]["complete"] = not cut_short
    path = files.write_text(tmp_path / "chain.json", json.dumps(document))

    assert files.load_chain(path).fetch.cut_short is cut_short


def test_index_options_stay_european(chain, tmp_path):
    """A reloaded index is still an index."""
    spx = chain.underlying.model_copy(update={"symbol": "SPX", "sec_type": "IND"})
    path = tmp_path / "spx.csv"
    path.write_text(files.to_csv_text(replace(chain, underlying=spx)))

    assert files.load_chain(path).underlying.exercise_style == "european"


def test_document_of_several_symbols(chain, tmp_path):
    """Of several symbols one must be named."""
    spy = chain.underlying.model_copy(update={"symbol": "SPY"})
    other = replace(chain, underlying=spy)
    path = files.write_text(tmp_path / "two.json", files.to_json([chain, other]))

    assert files.load_chain(path, symbol="spy").symbol == "SPY"
    with pytest.raises(BadFile, match=r"holds BRK\.B, SPY; pass a symbol"):
        files.load_chain(path)
    with pytest.raises(BadFile, match="not QQQ"):
        files.load_chain(path, symbol="QQQ")


def test_original_file(original):
    """Symbol and time come from the name, the spot from parity, the last of two rows wins."""
    as_of = dt.datetime(2025, 6, 18, 16, 0, tzinfo=ZoneInfo("Europe/Amsterdam"))

    chain = files.load_chain(original)

    assert (chain.symbol, chain.as_of, len(chain)) == ("SPY", as_of, 3)
    assert chain["bid"].tolist()[0] == 7.05
    assert chain.rate == MarketSettings().rate
    assert (chain.spot.source, chain.data_type) == (SpotSource.PARITY, DataType.LIVE)
    forward = 600.0 + np.exp(chain.rate * chain["tau"][0]) * (7.1 - 5.1)
    assert chain.spot.price == pytest.approx(forward * np.exp(-chain.rate * chain["tau"][0]))
    assert set(chain["quote_source"]) == {"replay"}


def test_absent_is_missing_not_zero(original):
    """-1, -2 and blanks are missing; what the file lacks is missing."""
    chain = files.load_chain(original)
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

    rounded, _, wrong = files.load_chain(file, spot=51.6).rows()

    assert (rounded.delta, rounded.gamma, rounded.vega, rounded.status) == (-1.0, 0.0, 0.0, "ok")
    assert (wrong.delta, wrong.status) == (None, "no_greeks")


def test_arguments_go_first(original):
    """What the caller knows goes before the name and before parity."""
    chain = files.load_chain(original, symbol="qqq", as_of=NEW_YORK_CLOSE, spot=601.0, rate=0.01)

    assert (chain.symbol, chain.as_of, chain.rate) == ("QQQ", NEW_YORK_CLOSE, 0.01)
    assert (chain.spot.price, chain.spot.source) == (601.0, SpotSource.CLOSE)


def test_arguments_override_own_files(chain, tmp_path):
    """Also in our own files time and spot can be overridden; another symbol is refused."""
    csv_path = files.write_chain(chain, tmp_path, stamp=chain.as_of)
    json_path = files.write_text(tmp_path / "chain.json", files.to_json([chain]))

    for path in (csv_path, json_path):
        loaded = files.load_chain(path, as_of=NEW_YORK_CLOSE, spot=1.0, rate=0.0)
        assert (loaded.as_of, loaded.spot.price, loaded.rate) == (NEW_YORK_CLOSE, 1.0, 0.0)
        with pytest.raises(BadFile, match=r"holds BRK\.B, not SPY"):
            files.load_chain(path, symbol="SPY")


def test_a_file_tells_a_company_from_a_fund(chain, tmp_path):
    """IB's type of the share is in both forms; files that do not say it leave it open."""
    csv_path = files.write_chain(chain, tmp_path, stamp=chain.as_of)
    json_path = files.write_text(tmp_path / "chain.json", files.to_json([chain]))
    bare = chain.underlying.model_copy(update={"stock_type": ""})
    open_path = files.write_text(
        tmp_path / "bare.json", files.to_json([replace(chain, underlying=bare)])
    )

    types = [files.load_chain(path).underlying.stock_type for path in (csv_path, json_path)]

    assert types == ["COMMON", "COMMON"]
    assert files.load_chain(open_path).underlying.reports_earnings is None


def test_nothing_says_whose_or_when(original):
    """A name that says nothing asks for the symbol, then for the time."""
    path = original.rename(original.with_name("chain.csv"))

    with pytest.raises(BadFile, match="pass its symbol"):
        files.load_chain(path)
    with pytest.raises(BadFile, match="pass the time"):
        files.load_chain(path, symbol="SPY")
    assert files.load_chain(path, symbol="SPX", as_of=NEW_YORK_CLOSE).underlying.sec_type == "IND"


def test_no_pair_no_spot(original):
    """Without a quoted pair the spot must be given."""
    original.write_text("\n".join(ORIGINAL.splitlines()[:2]))

    with pytest.raises(MissingSpot, match="pass the spot"):
        files.load_chain(original)
    assert files.load_chain(original, spot=600.5).spot.price == 600.5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no column expiry or strike or right"),
        ("a,b\n1,2\n", "not an option chain"),
        ("\x00\x01\n", "not an option chain"),
        ("expiry,strike,right\n", "holds no options"),
        ("expiry,strike,right\n20250718,600,C\n2025", "line 3 has 1 cells where the header has 3"),
        ("expiry,strike,right\n2025,600,C\n", "line 2: '2025' is not an expiry"),
        ("expiry,strike,right\nsoon,600,C\n", "line 2: 'soon' is not an expiry"),
        ("expiry,strike,right\n20250718,-5,C\n", "line 2: strike '-5' is not a price"),
        ("expiry,strike,right\n20250718,abc,C\n", "line 2: strike 'abc' is not a number"),
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
        files.load_chain(path)


def test_damaged_row_of_a_document(chain, tmp_path):
    """A field of the wrong kind in a document is named."""
    document = files.to_document(chain)
    document["rows"][0]["strike"] = "many"
    path = files.write_text(tmp_path / "chain.json", json.dumps(document))

    with pytest.raises(BadFile, match="strike: Input should be a valid number"):
        files.load_chain(path)


def test_damaged_label_in_our_csv(chain, tmp_path):
    """A status or a time that nobody wrote is refused with its line."""
    text = files.to_csv_text(chain)
    path = tmp_path / "chain.csv"

    wrong = {",no_quote,": ",splendid,", "2025-06-18T14": "2025-06-41T14", "-04:00": ""}
    for good, bad in wrong.items():
        path.write_text(text.replace(good, bad))
        with pytest.raises(BadFile, match="line"):
            files.load_chain(path)


def test_files_that_cannot_be_read(tmp_path):
    """A missing file, a folder and binary data are errors of the file."""
    binary = tmp_path / "chain.csv"
    binary.write_bytes(b"\xff\xfe\x00\x81")

    with pytest.raises(BadFile, match="cannot be read"):
        files.load_chain(tmp_path / "absent.csv")
    with pytest.raises(BadFile, match="cannot be read"):
        files.load_chain(tmp_path)
    with pytest.raises(BadFile, match="not a text file"):
        files.load_chain(binary)


def test_a_time_without_zone_is_this_computers(original):
    """It is taken as local time, and a note says so; one with a zone needs no note."""
    local = dt.datetime(2025, 6, 18, 16, 0)

    chain = files.load_chain(original, as_of=local)

    assert chain.as_of == local.astimezone()
    assert chain.as_of.tzinfo is not None
    assert any("2025-06-18 16:00:00 has no time zone" in note for note in chain.notes)
    assert not files.load_chain(original, as_of=NEW_YORK_CLOSE).notes


def test_a_replay_takes_a_time_without_zone_alike(original):
    """The replay's clock stands at the loaded chain's time, and its note says the same."""
    local = dt.datetime(2025, 6, 18, 16, 0)

    chain, replay = files.load_chain(original, as_of=local), stand_in.replay(original, as_of=local)

    assert replay.recorded_spot == chain.spot
    assert replay.notes == chain.notes


def test_bad_arguments(original):
    """A time that no computer knows and a symbol that is none are refused."""
    with pytest.raises(UsageError, match="is not a time that this computer knows"):
        files.load_chain(original, as_of=dt.datetime.min)
    with pytest.raises(InvalidSymbol):
        files.load_chain(original, symbol="SP Y")


@pytest.mark.parametrize(
    ("name", "rows", "spot", "tolerance", "kind", "near", "without_bid"),
    [
        ("tomic_ib_SPY_20250519_2026cest.csv", 528, 593.6, 0.6, DataType.LIVE, 88, 0),
        ("tomic_ib_XLF_20250518_sunday_closed.csv", 256, 51.6, 0.3, DataType.FROZEN, 120, 23),
    ],
)
def test_recorded_by_the_original(real_data, name, rows, spot, tolerance, kind, near, without_bid):
    """The original's recorded chains: spot by parity, frozen told from live, gaps counted."""
    chain = files.load_chain(real_data / name)

    around = (np.abs(chain["strike"] - chain.spot.price) <= 10.0) & (chain["dte"] >= 15)
    assert len(chain) == rows
    assert chain.spot.price == pytest.approx(spot, abs=tolerance)
    assert (chain.spot.source, chain.data_type) == (SpotSource.PARITY, kind)
    assert (around.sum(), np.isnan(chain["bid"][around]).sum()) == (near, without_bid)
    assert np.isnan([chain["close"], chain["volume"], chain["open_interest"]]).all()


def test_recorded_end_of_day_chain(real_data):
    """GOOG on the half day of 24 December 2015: 2,016 rows, close at 13:00, spot near 748.40."""
    chain = files.load_chain(real_data / "lean_GOOG_20151224_eod_chain.csv")

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
        ("a.csv", {"as_of": "2026-11-20"}, "as_of needs a datetime, got '2026-11-20'"),
    ],
)
def test_arguments_of_another_kind(path, more, text):
    """One file is read at a time, and a time is a datetime; the sentence says so."""
    with pytest.raises(UsageError, match=text):
        files.load_chain(path, **more)


@pytest.mark.parametrize(
    ("name", "symbol", "moment"),
    [
        ("option_chain_SPY_20250519_202601.csv", "SPY", dt.datetime(2025, 5, 19, 20, 26, 1)),
        ("a/option_chain_BRK.B_20250519_202601_000250.csv", "BRK.B",
         dt.datetime(2025, 5, 19, 20, 26, 1, 250)),
        ("option_chain_BULK_SPY_20250519_2026.csv", "SPY", dt.datetime(2025, 5, 19, 20, 26)),
        ("option_chain_BRK B_20250519_202601.csv", "BRK.B", dt.datetime(2025, 5, 19, 20, 26, 1)),
        ("SPY_20250519_sunday.csv", "SPY", None),
        ("spy_20250519.csv", None, None),
        ("chain_20250519_2026.csv", None, dt.datetime(2025, 5, 19, 20, 26)),
        ("SPY_20250519_2599.csv", "SPY", None),
        ("SPY_20250519_2026xyz.csv", "SPY", None),
    ],
)  # fmt: skip
def test_names(name, symbol, moment):
    """The symbol stands before the day; the time may follow."""
    if moment is not None:
        moment = moment.replace(tzinfo=ZoneInfo("Europe/Amsterdam"))

    assert reading.parse_file_name(name) == reading.FileName(symbol, DAY, moment)


def test_zone_in_the_name():
    """20:26 in Amsterdam in May is 18:26 UTC and 14:26 in New York."""
    moments = {
        reading.parse_file_name(f"SPY_20250519_{text}.csv").moment
        for text in ("2026cest", "2026CEST", "1826utc", "1826gmt", "1826Z", "1426et", "2026")
    }

    assert moments == {dt.datetime(2025, 5, 19, 18, 26, tzinfo=dt.UTC)}


@pytest.mark.parametrize("name", ["chain.csv", "", "SPY.csv", "chain_20251345.csv"])
def test_names_that_say_nothing(name):
    """Other names say nothing."""
    assert reading.parse_file_name(name) == reading.FileName()


def test_impossible_day():
    """An impossible day leaves the symbol."""
    assert reading.parse_file_name("SPY_20259999.csv") == reading.FileName("SPY")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("option_chain_SPY_20250519_202601.csv", "2025-05-19T18:26:01"),
        ("tomic_ib_SPY_20250519_2026cest.csv", "2025-05-19T18:26"),
        ("chain_20250519_1426et.csv", "2025-05-19T18:26"),
        ("chain_20250519_2026gmt.csv", "2025-05-19T20:26"),
        ("chain_20250519_2026Z.csv", "2025-05-19T20:26"),
        ("option_chain_SPY_20251120_160500_000000.csv", "2025-11-20T15:05"),
        ("lean_GOOG_20151224_eod_chain.csv", "2015-12-24T18:00"),
        ("tomic_ib_XLF_20250518_sunday_closed.csv", "2025-05-18T20:00"),
        ("chain_20250519.csv", "2025-05-19T20:00"),
    ],
)
def test_the_name_says_when(original, name, expected):
    """A time without zone is Dutch; a date alone is the close, 16:00 where nothing trades."""
    chain = files.load_chain(original.rename(original.with_name(name)), symbol="SPY", spot=600.0)

    assert chain.as_of == dt.datetime.fromisoformat(f"{expected}+00:00")


@settings(max_examples=40)
@given(
    spot=st.floats(5.0, 5000.0),
    rate=st.floats(0.0, 0.08),
    div_yield=st.floats(0.0, 0.05),
    sigma=st.floats(0.08, 0.6),
)
def test_spot_of_european_prices(tmp_path_factory, spot, rate, div_yield, sigma):
    """From prices without arbitrage parity gives back spot and yield."""
    rows = [
        quoted(spot, expiry, strike, right, rate, div_yield, sigma)
        for expiry in (JULY, AUGUST)
        for strike in spot * np.linspace(0.9, 1.1, 9)
        for right in "CP"
    ]
    path = tmp_path_factory.mktemp("parity") / "chain.json"
    path.write_text(files.to_json([without_spot(rows, rate)]))

    chain = files.load_chain(path)

    assert chain.spot.source is SpotSource.PARITY
    assert chain.spot.price == pytest.approx(spot, rel=1e-9)
    assert chain.div_yield == pytest.approx(div_yield, abs=1e-7)


def quoted(spot, expiry, strike, right, rate, div_yield, sigma):
    """An option without a spread at its Black-Scholes price."""
    tau = dates.years_to_expiry(NEW_YORK_CLOSE, expiry, underlying=SPX)
    market = (spot, float(strike), tau, rate, div_yield, sigma)
    mid = float(black_scholes.price(*market, right == "C"))
    known = {"bid": mid, "ask": mid, "greeks_source": "none", "status": RowStatus.NO_GREEKS}
    return OptionQuote(expiry=expiry, dte=0, strike=float(strike), right=right, **known)


def without_spot(rows, rate):
    """A chain of which nobody noted the spot."""
    spot = Spot(price=np.nan, source=SpotSource.LAST, as_of=NEW_YORK_CLOSE)
    return Chain.from_quotes(rows, underlying=SPX, spot=spot, as_of=NEW_YORK_CLOSE, rate=rate)


def test_one_expiry_has_no_yield(original):
    """With one expiry the forward is drawn back at the rate alone."""
    assert files.load_chain(original).div_yield == 0.0


def test_a_chain_without_iv_is_computed(original):
    """A file with bid and ask alone gets IV and Greeks of our own, marked local."""
    rows = [line.split(",")[:5] for line in ORIGINAL.splitlines()]
    original.write_text("\n".join(map(",".join, rows)))

    chain = files.load_chain(original)

    quoted = np.isfinite(chain.mid)
    assert quoted.sum() == 2
    assert set(chain["status"][quoted]) == {"ok"}
    assert set(chain["greeks_source"][quoted]) == {"local"}
    for name in ("iv", "delta", "gamma", "vega", "theta"):
        assert np.isfinite(chain[name][quoted]).all()
    assert not np.isfinite(chain["iv"][~quoted]).any()


READ = ("bid", "ask", "last", "close", "volume", "open_interest")


def served(replay):
    """What a replay has of each contract: the numbers that a file holds."""
    found = {}
    for listing in replay.find(ContractSpec(symbol=replay.symbol, sec_type="OPT")):
        quote = replay.frozen_quote(listing.con_id)
        numbers = tuple(getattr(quote, name) for name in READ)
        found[listing.expiry, listing.strike, listing.right] = numbers
    return found


def assert_replay_agrees(path):
    """Time, spot, rows and notes of a loaded chain are those of its replay."""
    chain = files.load_chain(path)
    replay, _ = stand_in.recorded_chain(path, None, None)

    assert replay.now() == chain.as_of
    assert replay.spot == chain.spot.price
    assert stand_in.replay(path).recorded_spot.price == chain.spot.price
    assert served(replay) == {
        (row.expiry, row.strike, row.right): tuple(getattr(row, name) for name in READ)
        for row in chain.rows()
        if row.status != "unknown_contract"
    }


def test_load_chain_and_replay_agree_on_every_shared_file(real_data):
    """Of each recorded chain both read the same; what is no chain both refuse alike."""
    chains = 0
    for path in sorted(one for one in real_data.iterdir() if one.is_file()):
        try:
            files.load_chain(path)
        except BadFile as exc:
            with pytest.raises(BadFile) as refusal:
                stand_in.recorded_chain(path, None, None)
            assert str(refusal.value) == str(exc)
        else:
            assert_replay_agrees(path)
            chains += 1

    assert chains == 3


@pytest.mark.parametrize("name", ["chain.csv", "chain.json"])
def test_load_chain_and_replay_agree_on_our_own_files(chain, tmp_path, name):
    """What we exported is replayed as it is loaded."""
    text = files.to_csv_text(chain) if name.endswith("csv") else files.to_json([chain])
    path = files.write_text(tmp_path / name, text)

    assert_replay_agrees(path)


def test_load_chain_and_replay_agree_on_the_corpus(tmp_path):
    """A recorded chain without a spot, which once failed, is replayed as it is loaded."""
    case = json.loads((CORPUS / "replay_as_of_without_zone.json").read_text())
    path = tmp_path / "chain.json"
    path.write_bytes(gzip.decompress(base64.b64decode(case["files"]["chain.json"]["gzip"])))

    assert_replay_agrees(path)


def with_carry(chain):
    """The chain with what two expiries were carried at: from pairs, and from nothing."""
    known = Carry(
        expiry=chain.expiries[0], forward=601.25, forward_source="parity", forward_error=0.0125,
        pairs=11, rate=0.0431, rate_source="curve", rate_error=0.0004, discount=0.9965,
    )  # fmt: skip
    return replace(
        chain, carries=(known, Carry(expiry=chain.expiries[1], rate=0.045, discount=0.99))
    )


def test_forwards_and_discounts_come_back(chain, tmp_path):
    """Both kinds of file state each expiry's forward and discount factor, and how sure they are."""
    stated = with_carry(chain)

    csv_file = files.write_chain(stated, tmp_path, stamp=chain.as_of)
    document = files.write_text(tmp_path / "chain.json", files.to_json([stated]))

    assert files.load_chain(csv_file).carries == stated.carries
    assert files.load_chain(document).carries == stated.carries
    # At another rate or time they would be others.
    assert files.load_chain(document, rate=0.01).carries == ()
    assert files.load_chain(csv_file, as_of=chain.as_of).carries == ()


def test_an_unknown_yield_stays_unknown(chain, tmp_path):
    """It is null, never 0; in files from before it was, 0 meant unknown too."""
    unknown = replace(chain, div_yield=None)
    path = files.write_text(tmp_path / "chain.json", files.to_json([unknown]))
    assert files.load_chain(path).div_yield is None

    document = json.loads(path.read_text())
    del document["meta"]["carries"]
    for written, read in ((0.0, None), (0.0123, 0.0123)):
        document["meta"]["div_yield"] = written
        path.write_text(json.dumps(document))
        assert files.load_chain(path).div_yield == read


@pytest.mark.parametrize("value", [-1.0, 0.0, "x"])
def test_impossible_discounts_are_refused(chain, tmp_path, value):
    """A discount factor is above zero; the message names it."""
    path = files.write_text(tmp_path / "chain.json", files.to_json([with_carry(chain)]))
    document = json.loads(path.read_text())
    document["meta"]["carries"][0]["discount"] = value
    path.write_text(json.dumps(document))

    with pytest.raises(BadFile, match="discount"):
        files.load_chain(path)


def test_a_chain_of_another_market_comes_back(chain, tmp_path):
    """Symbol with its exchange, currency and size survive CSV and JSON."""
    abroad = replace(
        chain,
        underlying=chain.underlying.model_copy(
            update={"symbol": "ASML@AEB", "currency": "EUR", "time_zone": "Europe/Amsterdam"}
        ),
        multiplier=10,
        trading_class="ASM2",
    )

    document = files.write_text(tmp_path / "chain.json", files.to_json([abroad]))
    for path in (files.write_chain(abroad, tmp_path, stamp=abroad.as_of), document):
        back = files.load_chain(path)
        assert (back.symbol, back.underlying.currency) == ("ASML@AEB", "EUR")
        assert (back.multiplier, back.trading_class) == (10, "ASM2")


@pytest.mark.parametrize("name", ["ASML@AEB", "ESTX50"])
def test_another_market_is_not_taken_for_american(tmp_path, name):
    """A file that does not say the currency of such a symbol is refused, never read as dollars."""
    path = tmp_path / f"option_chain_{name}_20260102_150000.csv"
    path.write_text(
        "Expiry,Type,Strike,Bid,Ask,IV,Delta\n2026-02-20,C,900,10,11,.2,.5\n", encoding="utf-8"
    )

    with pytest.raises(BadFile, match=f"does not say the Currency of {name}"):
        files.load_chain(path)
