"""Recorded chains behind the gateway: quotes as in the file, time from its name, spot by parity."""

from __future__ import annotations

import csv
import math
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from tomic.config.market import MarketSettings
from tomic.files.reading import read_chain
from tomic.models import RowStatus, SpotSource
from tomic.sim.replay.chain import Replay
from tomic.wire.requests import ContractSpec

DATA = Path(
    os.environ.get("TOMIC_REAL_DATA", Path(__file__).resolve().parents[4] / "shared" / "data")
)
SPY = DATA / "tomic_ib_SPY_20250519_2026cest.csv"
XLF = DATA / "tomic_ib_XLF_20250518_sunday_closed.csv"
GOOG = DATA / "lean_GOOG_20151224_eod_chain.csv"
recorded_data = pytest.mark.skipif(not SPY.exists(), reason=f"recorded chains absent from {DATA}")

HEADER = "Expiry,Type,Strike,Bid,Ask,IV,Delta,Gamma,Vega,Theta"
NOON = datetime(2025, 5, 19, 16, 0, tzinfo=UTC)


def write(tmp_path, *lines, header=HEADER, name="chain_20250519_180000.csv"):
    path = tmp_path / name
    path.write_text("\n".join((header, *lines)) + "\n", encoding="utf-8")
    return path


def replayed(path, symbol=None, *, as_of=None):
    return Replay(read_chain(path, symbol=symbol, as_of=as_of))


def parity_lines(expiry, forward, *, strikes=(98, 99, 100, 101, 102), discount=1.0):
    """Call and put quotes whose difference is exactly forward minus strike, discounted."""
    lines = []
    for strike in strikes:
        put = 3.0 + 0.5 * (strike - 100)
        for right, mid in (("C", put + discount * (forward - strike)), ("P", put)):
            lines.append(f"{expiry},{right},{strike},{mid - 0.05:.6f},{mid + 0.05:.6f},,,,,")
    return lines


def near_money(replay, points=10.0):
    options = replay.find(ContractSpec(symbol=replay.symbol, sec_type="OPT"))
    return [option for option in options if abs(option.strike - replay.spot) <= points]


@recorded_data
def test_the_recorded_spy_chain_is_whole_near_the_money():
    """Monday 19 May 2025, 14:26 in New York: 88 contracts within ten points, all quoted."""
    replay = replayed(SPY, "SPY")
    quotes = [replay.quote(option.con_id) for option in near_money(replay)]

    assert replay.now() == datetime(2025, 5, 19, 18, 26, tzinfo=UTC)
    assert (replay.spot, replay.chain.spot.source) == (pytest.approx(593.6, abs=0.6), "parity")
    assert replay.is_open(replay.find(ContractSpec(symbol="SPY", sec_type="STK"))[0].con_id)
    assert len(quotes) == 88
    assert all(quote.bid is not None and quote.ask is not None for quote in quotes)


@recorded_data
def test_the_recorded_sunday_has_gaps_and_no_live_quotes():
    """XLF, Sunday 18 May 2025: 120 contracts within ten points, 23 without a bid, market closed."""
    replay = replayed(XLF, "XLF")
    options = near_money(replay)
    frozen = [replay.frozen_quote(option.con_id) for option in options]
    live = [replay.quote(option.con_id) for option in options]

    assert replay.spot == pytest.approx(51.6, abs=0.3)
    assert not any(replay.is_open(option.con_id) for option in options)
    assert len(frozen) == 120
    assert sum(quote.bid is None for quote in frozen) == 23
    assert all(quote.bid is None and quote.model is None for quote in live)


@recorded_data
@pytest.mark.parametrize(("path", "symbol"), [(SPY, "SPY"), (XLF, "XLF")])
def test_quotes_are_the_files_own(path, symbol):
    """Every quote equals the contract's last row; what the file has no column for is absent."""
    replay = replayed(path, symbol)
    with path.open(newline="") as file:
        last = {(r["Expiry"], float(r["Strike"]), r["Type"]): r for r in csv.DictReader(file)}

    options = replay.find(ContractSpec(symbol=symbol, sec_type="OPT"))

    assert len(options) == len(last)
    for option in options:
        row = last[f"{option.expiry:%Y%m%d}", option.strike, option.right]
        quote = replay.frozen_quote(option.con_id)
        for name, got in (("Bid", quote.bid), ("Ask", quote.ask)):
            assert got == (None if row[name] in ("", "-1.0") else float(row[name]))
        iv = quote.model.iv if quote.model else None
        assert iv == (float(row["IV"]) if row["IV"] else None)
        assert (quote.last, quote.close, quote.volume, quote.open_interest) == (None,) * 4


@recorded_data
def test_another_sources_columns_are_understood():
    """An end-of-day chain with lower-case columns: 2,016 options, spot within 0.5 of 748.40."""
    replay = replayed(GOOG, "GOOG")

    assert len(replay.find(ContractSpec(symbol="GOOG", sec_type="OPT"))) == 2016
    assert replay.spot == pytest.approx(748.40, abs=0.5)
    assert replay.now() == datetime(2015, 12, 24, 18, 0, tzinfo=UTC)


def test_the_last_of_repeated_rows_counts(tmp_path):
    """A contract fetched three times has the quote of its last row."""
    path = write(
        tmp_path, "20250620,C,100,1,2,.2,,,,", "20250620,C,100,,,,,,,", "20250620,C,100,3,4,.3,,,,"
    )
    replay = replayed(path, "ABC")
    (option,) = replay.find(ContractSpec(symbol="ABC", sec_type="OPT"))

    quote = replay.frozen_quote(option.con_id)

    assert (quote.bid, quote.ask, quote.model.iv) == (3.0, 4.0, 0.3)


def test_minus_one_and_blank_are_absent_and_zero_is_zero(tmp_path):
    """A bid of -1 or nothing is no bid; a bid of 0 stays 0; a row without Greeks has no model."""
    path = write(
        tmp_path,
        "20250620,C,100,-1,0.05,,,,,",
        "20250620,C,105,,0.05,nan,,,,",
        "20250620,C,110,0,0.05,0,,,,",
    )
    replay = replayed(path, "ABC")

    quotes = [
        replay.frozen_quote(option.con_id)
        for option in replay.find(ContractSpec(symbol="ABC", sec_type="OPT"))
    ]

    assert [quote.bid for quote in quotes] == [None, None, 0.0]
    assert [quote.model for quote in quotes] == [None, None, None]


def test_two_forwards_are_drawn_back_to_the_day(tmp_path):
    """Forwards that grow by 0.05 a year in logarithm lead back to a spot of exactly 100."""
    expiries = (date(2025, 6, 20), date(2025, 9, 19))
    lines = []
    for expiry in expiries:
        close = datetime(expiry.year, expiry.month, expiry.day, 20, 0, tzinfo=UTC)
        tau = (close - NOON) / timedelta(days=365)
        forward, discount = 100.0 * math.exp(0.05 * tau), math.exp(-MarketSettings().rate * tau)
        lines += parity_lines(f"{expiry:%Y%m%d}", forward, discount=discount)

    replay = replayed(write(tmp_path, *lines), "ABC", as_of=NOON)

    assert replay.spot == pytest.approx(100.0, abs=1e-4)
    assert replay.chain.spot.source is SpotSource.PARITY


def test_one_wrong_pair_does_not_move_the_spot(tmp_path):
    """The median over the pairs shrugs off a stale quote."""
    lines = parity_lines("20250620", 100.4) + parity_lines("20250718", 100.8)
    lines[0] = "20250620,C,98,9,9.1,,,,,"

    spot = replayed(write(tmp_path, *lines), "ABC", as_of=NOON).spot

    assert spot == pytest.approx(99.95, abs=0.1)


def test_one_expiry_is_discounted_and_no_pair_gives_no_spot(tmp_path):
    """One forward of 101 a month away implies about 100.6; calls alone imply nothing."""
    one = replayed(write(tmp_path, *parity_lines("20250620", 101.0)), "ABC", as_of=NOON)
    none = replayed(write(tmp_path, "20250620,C,100,1,2,,,,,"), "ABC", as_of=NOON)

    assert one.spot == pytest.approx(101.0 * 2.718281828 ** (-0.045 * 32.17 / 365), abs=0.01)
    assert none.spot is None


def test_our_own_exports_carry_spot_time_and_activity(tmp_path):
    """Further columns are used: spot and time from the file, volume and open interest as given."""
    header = f"{HEADER},Close,Volume,OpenInterest,ParityDeviation,Status,Spot,AsOf,Symbol"
    path = write(
        tmp_path,
        "2025-06-20,C,100,3,4,.2,.5,.01,.1,-.02,3.4,12,1234,,ok,100.5,2025-05-19T16:00:00+00:00,ABC",
        header=header,
        name="export.csv",
    )
    replay = replayed(path)
    (option,) = replay.find(ContractSpec(symbol="ABC", sec_type="OPT"))
    quote = replay.quote(option.con_id)
    (share,) = replay.find(ContractSpec(symbol="ABC", sec_type="STK"))

    assert (replay.spot, replay.chain.spot.source, replay.now()) == (100.5, "close", NOON)
    assert (quote.close, quote.volume, quote.open_interest) == (3.4, 12, 1234)
    assert replay.quote(share.con_id).last == 100.5


def test_the_underlying_of_an_original_file_is_silent(tmp_path):
    """The file has no quote of the share, so the share ticks nothing."""
    replay = replayed(write(tmp_path, *parity_lines("20250620", 100.4)), "ABC", as_of=NOON)
    (share,) = replay.find(ContractSpec(symbol="ABC", sec_type="STK"))
    quote = replay.quote(share.con_id)

    assert (quote.bid, quote.ask, quote.last, quote.close) == (None,) * 4
    assert replay.bars(share.con_id, "TRADES", 5, NOON) == []
    assert replay.quote(1) is None


def test_parameters_are_the_union_of_the_file(tmp_path):
    """Expiries and strikes of the rows, for the underlying's own id only."""
    lines = ["20250620,C,100,1,2,,,,,", "20250718,P,105,1,2,,,,,"]
    replay = replayed(write(tmp_path, *lines), "ABC", as_of=NOON)
    (share,) = replay.find(ContractSpec(symbol="ABC", sec_type="STK"))

    rows = replay.parameters("ABC", share.con_id)

    assert {row.exchange for row in rows} >= {"SMART"}
    assert rows[0].expiries == ("20250620", "20250718")
    assert rows[0].strikes == (100.0, 105.0)
    assert replay.parameters("ABC", 1) == ()


def test_requests_narrow_by_every_field(tmp_path):
    """Expiry, strike and right choose among the rows; a wrong class or currency finds nothing."""
    lines = parity_lines("20250620", 100.4) + parity_lines("20250718", 100.8)
    replay = replayed(write(tmp_path, *lines), "ABC", as_of=NOON)

    assert len(replay.find(ContractSpec(symbol="ABC", sec_type="OPT", expiry="20250620"))) == 10
    assert (
        len(replay.find(ContractSpec(symbol="ABC", sec_type="OPT", expiry="202507", right="P")))
        == 5
    )
    (one,) = replay.find(
        ContractSpec(
            symbol="ABC",
            sec_type="OPT",
            expiry="20250620",
            strike=99.0,
            right="C",
            exchange="SMART",
        )
    )
    assert replay.find(ContractSpec(con_id=one.con_id)) == [one]
    assert replay.find(ContractSpec(sec_type="OPT", local_symbol="ABC   250620C00099000")) == [one]
    assert not replay.find(ContractSpec(symbol="ABC", sec_type="OPT", trading_class="2ABC"))
    assert not replay.find(ContractSpec(symbol="ABC", sec_type="OPT", currency="EUR"))
    assert not replay.find(ContractSpec(symbol="XYZ", sec_type="OPT"))


@pytest.mark.parametrize(
    ("symbol", "told", "kind"),
    [("ABC", "ETF", "ETF"), ("ABC", "COMMON", "COMMON"), ("SPY", "", "ETF"), ("AAPL", "", "COMMON"),
     ("ABC", "", "")],
)  # fmt: skip
def test_a_fund_is_a_fund_where_that_is_known(tmp_path, symbol, told, kind):
    """By the file, else by what the symbol is known for; nobody is called a company unasked."""
    path = write(
        tmp_path, f"2025-06-20,C,100,3,4,.2,.5,.01,.1,-.02,{told}", header=f"{HEADER},StockType"
    )

    (share,) = replayed(path, symbol, as_of=NOON).find(ContractSpec(symbol=symbol, sec_type="STK"))

    assert share.stock_type == kind


def test_an_index_is_an_index(tmp_path):
    """SPX replays as an index at Cboe with its PM-settled class."""
    replay = replayed(write(tmp_path, "20250620,C,6000,1,2,,,,,"), "SPX", as_of=NOON)

    (index,) = replay.find(ContractSpec(symbol="SPX", sec_type="IND", exchange="CBOE"))
    (option,) = replay.find(ContractSpec(symbol="SPX", sec_type="OPT"))

    assert index.sec_type == "IND"
    assert option.trading_class == "SPXW"


def test_the_gateway_spells_a_class_of_shares_with_a_space(tmp_path):
    """BRK.B is BRK B behind the gateway, and its class of options BRKB."""
    path = write(tmp_path, *parity_lines("20250620", 100.4), name="BRK.B_20250519.csv")
    replay = replayed(path)

    assert replay.symbol == "BRK B"
    assert {
        option.trading_class for option in replay.find(ContractSpec(symbol="BRK B", sec_type="OPT"))
    } == {"BRKB"}


def test_contracts_that_do_not_exist_are_not_served(tmp_path):
    """A row that IB called unknown is no contract of the replay either."""
    chain = read_chain(write(tmp_path, *parity_lines("20250620", 100.4)), symbol="ABC")
    status = chain["status"].copy()
    status[0] = RowStatus.UNKNOWN_CONTRACT

    assert (
        len(
            Replay(chain.with_columns(status=status)).find(
                ContractSpec(symbol="ABC", sec_type="OPT")
            )
        )
        == len(chain) - 1
    )
