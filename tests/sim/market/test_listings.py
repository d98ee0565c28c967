"""The trading calendar against the published one; what is listed, and how requests narrow it."""

from __future__ import annotations

from datetime import date, time

import numpy as np
import pytest

from support.model_market import spot, underlying
from tomic.sim.market import instruments, listings
from tomic.sim.market.instruments import DEMO
from tomic.sim.market.model import ModelMarket
from tomic.wire.requests import ContractSpec

# The library's own deprecations are not ours to fail on.
library_warnings = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@library_warnings
def test_trading_days_are_the_exchanges_own():
    """Every session of 2012 to 2027 is that of exchange_calendars' XNYS, and no other."""
    xcals = pytest.importorskip("exchange_calendars")
    sessions = xcals.get_calendar("XNYS", start="2012-01-01", end="2027-12-31").sessions

    ours = listings.trading_days()
    ours = ours[(ours >= np.datetime64("2012-01-01")) & (ours <= np.datetime64("2027-12-31"))]

    assert set(ours.astype(str)) == {day.strftime("%Y-%m-%d") for day in sessions}


@library_warnings
def test_half_days_are_the_exchanges_own():
    """Early closes from 2014 on agree with exchange_calendars."""
    xcals = pytest.importorskip("exchange_calendars")
    theirs = xcals.get_calendar("XNYS", start="2014-01-01", end="2027-12-31").early_closes

    ours = {day for year in range(2014, 2028) for day in listings.half_days(year)}

    assert ours == {day.date() for day in theirs}


@pytest.mark.parametrize(
    ("month", "expected"),
    [
        ((2026, 12), date(2026, 12, 18)),
        ((2027, 6), date(2027, 6, 17)),
        ((2019, 4), date(2019, 4, 18)),
    ],
    ids=["a plain Friday", "Juneteenth observed", "Good Friday"],
)
def test_a_monthly_moves_before_a_holiday(month, expected):
    """The third Friday, or the Thursday before when the exchange is closed."""
    assert listings.third_friday(*month) == expected


def test_the_day_after_thanksgiving_ends_at_one():
    """27 November 2026 closes at 13:00."""
    assert listings.close_time(date(2026, 11, 27)) == time(13, 0)


def test_vix_expires_on_a_wednesday_thirty_days_before_the_next_monthly():
    """Cboe's list: 16 December 2026 and 20 January 2027."""
    assert listings.vix_expiry(2026, 12) == date(2026, 12, 16)
    assert listings.vix_expiry(2027, 1) == date(2027, 1, 20)


def test_days_outside_the_calendar_are_refused():
    """A market in 1999 says which years are known."""
    with pytest.raises(ValueError, match="2011 to 2032"):
        listings.day_index(date(1999, 5, 3))


SPY_EXPIRIES = ("20261211", "20261218", "20261224", "20261231", "20270108", "20270115", "20270219")


@pytest.fixture(scope="module")
def market():
    return ModelMarket(seed=1)


def test_ten_points_of_spy_hold_248_contracts(market):
    """Seven expiries from 15 days on: 248 of the 280 pairs that the parameters promise exist."""
    price = spot(market, "SPY")
    (row,) = [
        row
        for row in market.parameters("SPY", underlying(market, "SPY").con_id)
        if (row.exchange, row.trading_class) == ("SMART", "SPY")
    ]
    promised = [strike for strike in row.strikes if abs(strike - price) <= 10.0]
    real = [
        option
        for expiry in SPY_EXPIRIES
        for option in market.find(
            ContractSpec(symbol="SPY", sec_type="OPT", expiry=expiry, trading_class="SPY")
        )
        if abs(option.strike - price) <= 10.0
    ]

    assert set(SPY_EXPIRIES) <= set(row.expiries)
    assert 2 * len(SPY_EXPIRIES) * len(promised) == 280
    assert len(real) == 248
    assert len({option.con_id for option in real}) == 248


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_every_seed_has_the_same_number_of_spy_contracts(seed):
    """The spot stands off the whole points, so that 248 holds for any seed."""
    market = ModelMarket(seed)
    price = spot(market, "SPY")
    near = [
        option
        for expiry in SPY_EXPIRIES
        for option in market.find(
            ContractSpec(symbol="SPY", sec_type="OPT", expiry=expiry, trading_class="SPY")
        )
        if abs(option.strike - price) <= 10.0
    ]

    assert len(near) == 248


def test_parameters_come_shuffled_from_many_exchanges_with_adjusted_classes(market):
    """Dozens of rows; strikes and expiries in no order; an odd class and a small multiplier."""
    rows = market.parameters("SPY", underlying(market, "SPY").con_id)
    by_class = {row.trading_class: row for row in rows}

    assert len(rows) > 50
    assert len({row.exchange for row in rows}) == 20
    assert set(by_class) == {"SPY", "2SPY", "SPY7"}
    assert list(by_class["SPY"].strikes) != sorted(by_class["SPY"].strikes)
    assert list(by_class["SPY"].expiries) != sorted(by_class["SPY"].expiries)
    assert all(strike % 1.0 != 0.0 for strike in by_class["2SPY"].strikes)
    assert by_class["SPY7"].multiplier == "10"
    assert market.parameters("SPY", 4711) == ()
    assert not market.parameters("NONE", underlying(market, "SPY").con_id)


def test_a_monthly_before_a_holiday_is_a_thursday(market):
    """The June 2027 monthly of SPY is Thursday the 17th; no option expires on the 18th."""
    assert market.find(
        ContractSpec(
            symbol="SPY",
            sec_type="OPT",
            expiry="20270617",
            strike=600.0,
            right="P",
            trading_class="SPY",
        )
    )
    assert not market.find(ContractSpec(symbol="SPY", sec_type="OPT", expiry="20270618"))


def test_a_friday_that_is_christmas_is_listed_the_day_before(market):
    """Weeklies of 25 December 2026 and 1 January 2027 expire on the Thursdays."""
    row = market.parameters("AAPL", underlying(market, "AAPL").con_id)[0]

    assert {"20261224", "20261231"} <= set(row.expiries)
    assert not {"20261225", "20270101"} & set(row.expiries)


def test_funds_have_dailies_and_quarter_ends(market):
    """SPY lists every trading day of two weeks, without Thanksgiving, and 31 March 2027."""
    row = market.parameters("SPY", underlying(market, "SPY").con_id)
    listed = set(next(r for r in row if r.trading_class == "SPY").expiries)

    assert {"20261123", "20261124", "20261125", "20261127", "20261130", "20261201"} <= listed
    assert "20261126" not in listed
    assert "20270331" in listed


def test_spx_has_a_morning_and_an_afternoon_class(market):
    """SPX is listed under its last trading day, the OCC symbol holds the day of settlement."""
    listed = {
        day: market.find(
            ContractSpec(symbol="SPX", sec_type="OPT", expiry=day, strike=6000.0, right="C")
        )
        for day in ("20261217", "20261218")
    }

    symbols = {day: [o.local_symbol for o in options] for day, options in listed.items()}
    assert symbols == {"20261217": ["SPX   261218C06000000"], "20261218": ["SPXW  261218C06000000"]}
    assert {o.last_trade_time for o in listed["20261217"]} == {"16:15:00"}
    assert {o.last_trade_time for o in listed["20261218"]} == {"16:00:00"}
    assert underlying(market, "SPX").sec_type == "IND"
    assert underlying(market, "SPX").exchange == "CBOE"
    assert not market.find(ContractSpec(symbol="SPX", sec_type="STK"))
    assert not market.find(ContractSpec(symbol="SPX", sec_type="IND", exchange="SMART"))


def test_what_settled_this_morning_is_gone(market):
    """On the third Friday at 15:00 the morning class no longer lists that day, the other does."""
    today = market.find(ContractSpec(symbol="SPX", sec_type="OPT", expiry="20261120", right="C"))
    before = market.find(ContractSpec(symbol="SPX", sec_type="OPT", expiry="20261119", right="C"))

    assert {option.trading_class for option in today} == {"SPXW"}
    assert not before


@pytest.mark.parametrize(
    ("trading_class", "day", "symbol"),
    [
        ("VIX", "20261215", "VIX   261216"),
        # Christmas is the Friday thirty days after that Wednesday.
        ("VIXW", "20261123", "VIXW  261124"),
        ("NDX", "20261217", "NDX   261218"),
        ("RUT", "20270616", "RUT   270617"),
    ],
)
def test_morning_classes_are_listed_under_their_last_trading_day(
    market, trading_class, day, symbol
):
    """Tuesday for VIX, Thursday for the others, the trading day before where that is closed."""
    index = {"VIXW": "VIX"}.get(trading_class, trading_class)
    options = market.find(
        ContractSpec(symbol=index, sec_type="OPT", expiry=day, trading_class=trading_class)
    )
    (expiries,) = {
        row.expiries
        for row in market.parameters(index, underlying(market, index).con_id)
        if row.trading_class == trading_class
    }

    assert day in expiries
    assert {option.local_symbol[:12] for option in options} == {symbol}


def test_berkshire_has_a_space(market):
    """The share is ``BRK B``, its options are of class ``BRKB``."""
    share = underlying(market, "BRK B")
    option = market.find(
        ContractSpec(symbol="BRK B", sec_type="OPT", expiry="20261218", right="C")
    )[0]

    assert (share.symbol, share.local_symbol) == ("BRK B", "BRK B")
    assert (option.symbol, option.trading_class) == ("BRK B", "BRKB")
    assert option.local_symbol.startswith("BRKB  261218C")


def test_requests_narrow_by_every_field(market):
    """Exact, by id, by month, by local symbol; a wrong exchange or currency finds nothing."""
    exact = {"expiry": "20261218", "strike": 600.0, "right": "C", "trading_class": "SPY"}
    (one,) = market.find(
        ContractSpec(
            symbol="SPY",
            sec_type="OPT",
            exchange="SMART",
            currency="USD",
            multiplier="100",
            **exact,
        )
    )

    assert market.find(ContractSpec(con_id=one.con_id)) == [one]
    assert market.find(ContractSpec(sec_type="OPT", local_symbol="SPY   261218C00600000")) == [one]
    assert one in market.find(
        ContractSpec(symbol="SPY", sec_type="OPT", expiry="202612", trading_class="SPY")
    )
    both = market.find(
        ContractSpec(
            symbol="SPY", sec_type="OPT", expiry="20261218", strike=600.0, trading_class="SPY"
        )
    )
    assert {option.right for option in both} == {"C", "P"}
    assert not market.find(ContractSpec(symbol="SPY", sec_type="OPT", exchange="NYMEX", **exact))
    assert not market.find(ContractSpec(symbol="SPY", sec_type="OPT", currency="EUR", **exact))
    assert not market.find(ContractSpec(symbol="SPY", sec_type="OPT", **exact | {"strike": 600.5}))
    assert not market.find(ContractSpec(symbol="SPY", sec_type="STK", primary_exchange="NASDAQ"))
    assert not market.find(ContractSpec(con_id=12345))
    assert not market.find(ContractSpec(symbol="SPY", sec_type="STK", con_id=one.con_id))


def test_no_two_contracts_share_an_id():
    """Ids of all classes, expiries and strikes are unique over the universe and fit in 31 bits."""
    market = ModelMarket(universe=(*DEMO, *instruments.synthetic(20)))
    listed = market.board.catalogue
    ids = [listed.underlying_id(symbol) for symbol in market.symbols]
    for instrument in map(listed.instrument, market.symbols):
        for rule in instrument.classes:
            for expiry in listed.expiries(rule):
                strike = np.array(listed.strikes(instrument, rule, expiry))
                ids += listed.ids(instrument, rule, expiry, strike).tolist()

    assert len(ids) > 100_000
    assert len(set(ids)) == len(ids)
    assert max(ids) < 2**31
