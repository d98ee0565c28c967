"""IB's ways of saying nothing become None, and nothing else does."""

from __future__ import annotations

import datetime as dt
import math

import ib_async
import pytest
from hypothesis import given, strategies as st

from tomic.config import MarketSettings
from tomic.errors import DataError
from tomic.ib import convert
from tomic.ib.convert import Ticks
from tomic.models import DataType, OptionParams, QuoteSource, RowStatus, Underlying
from tomic.selection import Wanted

JULY = dt.date(2025, 7, 18)
PAIR = Wanted(JULY, 600.0, "C")
MODEL = (0.18, 0.52, 0.02, 0.55, -0.21, 600.5)
UNSET = 1.7976931348623157e308
SPY = Underlying(symbol="SPY", con_id=756733)
CLASS = OptionParams(exchange="SMART", trading_class="SPY", multiplier=100, expiries=(), strikes=())


def quoted(**ticks: float) -> Ticks:
    """Ticks with bid 6.0 and ask 6.2, and more."""
    found = Ticks(right="C")
    found.price(1, ticks.get("bid", 6.0), 10)
    found.price(2, ticks.get("ask", 6.2), 12)
    return found


def to_quote(ticks: Ticks):
    return convert.to_quote(PAIR, ticks, con_id=1, source=QuoteSource.LIVE, quoted_at=None)


@pytest.mark.parametrize("value", [-1.0, UNSET, math.nan, math.inf, -5.0])
def test_no_quote_is_none(value):
    """Fact 13: a bid of -1 is missing, and IB has spoken about it."""
    ticks = quoted(bid=value)

    assert ticks.bid is None
    assert ticks.quoted
    assert to_quote(ticks).status == RowStatus.NO_QUOTE


def test_a_price_without_size_is_none():
    """Zero for zero contracts is how some feeds write that there is no bid."""
    ticks = Ticks(right="C")
    ticks.price(1, 0.0, 0)
    ticks.price(2, 0.05, 10)

    assert (ticks.bid, ticks.ask) == (None, 0.05)
    assert ticks.quoted


def test_a_bid_of_zero_is_a_bid():
    """Zero with a size is a price: the decoder of ib_async drops only the empty text."""
    ticks = Ticks(right="C")
    ticks.price(1, 0.0, 5)

    assert ticks.bid == 0.0


@pytest.mark.parametrize(("bid", "ask", "last", "close"), [(1, 2, 4, 9), (66, 67, 68, 75)])
def test_delayed_ticks_land_in_the_same_fields(bid, ask, last, close):
    """Ticks 66 to 68 and 75 are 1, 2, 4 and 9 of delayed data."""
    ticks = Ticks(right="C")
    for number, value in zip((bid, ask, last, close), (6.0, 6.2, 6.1, 5.9), strict=True):
        ticks.price(number, value, 1)

    assert (ticks.bid, ticks.ask, ticks.last, ticks.close) == (6.0, 6.2, 6.1, 5.9)
    assert ticks.mid == pytest.approx(6.1)


@pytest.mark.parametrize(("right", "interest", "volume"), [("C", 27, 29), ("P", 28, 30)])
def test_interest_and_volume_of_the_own_side(right, interest, volume):
    """Fact 16: open interest and option volume are sizes 27 to 30; the other side's are ignored."""
    ticks = Ticks(right=right)
    other = {27: 28, 28: 27, 29: 30, 30: 29}
    ticks.size(interest, 1234.0)
    ticks.size(other[interest], 9.0)
    ticks.size(volume, 55.0)
    ticks.size(other[volume], 8.0)

    assert (ticks.open_interest, ticks.volume) == (1234, 55)


@pytest.mark.parametrize("kind", [8, 74])
def test_traded_volume(kind):
    """Tick 8, or 74 delayed, is the volume of the day."""
    ticks = Ticks(right="C")
    ticks.size(kind, 345.0)

    assert ticks.volume == 345


@pytest.mark.parametrize("number", [13, 83])
def test_the_model_is_preferred(number):
    """Fact 15: the model's numbers win over those of bid, ask and last, whenever they come."""
    ticks = quoted()
    ticks.computation(number, *MODEL)
    ticks.computation(10, 0.5, 0.6, 0.03, 0.7, -0.4, 600.0)

    row = to_quote(ticks)

    assert (row.iv, row.delta, row.gamma, row.vega, row.theta) == MODEL[:5]
    assert (row.status, row.greeks_source) == (RowStatus.OK, "ib")


@pytest.mark.parametrize(("bid", "ask"), [(10, 11), (80, 81)])
def test_between_bid_and_ask_where_there_is_no_model(bid, ask):
    """Without a model, the mean of what IB computes from bid and ask stands in, live or not."""
    iv, *rest = MODEL
    ticks = quoted()
    ticks.computation(bid, iv - 0.02, *rest)
    one_sided = to_quote(ticks)
    ticks.computation(ask, iv + 0.01, *rest)

    assert (one_sided.iv, one_sided.status) == (None, RowStatus.NO_GREEKS)
    assert to_quote(ticks).iv == pytest.approx(iv - 0.005)
    assert to_quote(ticks).greeks_source == "ib"


def test_the_last_trade_gives_no_greeks():
    """What IB computes from the last trade is as old as that, and is not taken."""
    ticks = quoted()
    ticks.computation(12, *MODEL)

    assert to_quote(ticks).iv is None


def test_not_computed_is_none():
    """Fact 15: -1 and -2 are not computed; ib_async leaves -2 in vega and theta."""
    ticks = quoted()
    ticks.computation(13, -1.0, -2.0, -2.0, -2.0, -2.0, 600.5)

    row = to_quote(ticks)

    assert ticks.model is not None and not ticks.model.complete
    assert ticks.model.underlying == 600.5
    assert (row.iv, row.delta, row.vega, row.theta) == (None, None, None, None)
    assert (row.status, row.greeks_source) == (RowStatus.NO_GREEKS, "none")


def test_greeks_come_whole_or_not_at_all():
    """Half a model tick, with IV but without delta, is no model tick."""
    ticks = quoted()
    ticks.computation(13, 0.18, -2.0, 0.02, 0.55, -0.21, 600.5)

    row = to_quote(ticks)

    assert (row.iv, row.gamma, row.greeks_source) == (None, None, "none")


def test_a_whole_model_is_not_overwritten_by_half_of_one():
    """A later tick that could not be computed does not take away what was."""
    ticks = quoted()
    ticks.computation(13, *MODEL)
    ticks.computation(13, -1.0, -2.0, -2.0, -2.0, -2.0, 600.5)

    assert to_quote(ticks).iv == 0.18


def test_silence_is_a_timeout():
    """A row about whose bid or ask nothing was said is a timeout, without a source."""
    row = to_quote(Ticks(right="C"))

    assert (row.status, row.quote_source) == (RowStatus.TIMEOUT, None)


def test_a_message_without_numbers_breaks_the_silence():
    """The data type, or the parameters of the line, show that it is served."""
    for speak in (lambda ticks: ticks.alive(), lambda ticks: ticks.kind(2)):
        ticks = Ticks()
        assert ticks.silent
        speak(ticks)
        assert not ticks.silent


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (1, DataType.LIVE),
        (2, DataType.FROZEN),
        (3, DataType.DELAYED),
        (4, DataType.DELAYED_FROZEN),
        (9, None),
    ],
)
def test_data_types(number, kind):
    """IB numbers its data types 1 to 4; an unknown number is none of them."""
    ticks = Ticks()
    ticks.kind(number)

    assert ticks.data_type == kind
    if kind is not None:
        assert convert.data_type_number(kind) == number


def test_ticks_of_an_underlying():
    """Ticks 23 and 24 are its 30-day volatilities, text 59 its dividends."""
    ticks = Ticks()
    ticks.generic(23, 0.15)
    ticks.generic(24, 0.17)
    ticks.generic(99, 5.0)
    ticks.text(59, "6.9,7.1,20250620,1.75")
    ticks.text(45, "1750255200")

    assert (ticks.historical_volatility, ticks.implied_volatility) == (0.15, 0.17)
    assert ticks.dividends == "6.9,7.1,20250620,1.75"


@given(
    st.lists(
        st.tuples(st.integers(0, 90), st.floats(allow_nan=True, allow_infinity=True)), max_size=12
    )
)
def test_no_tick_makes_an_impossible_row(ticks):
    """Whatever prices, sizes and computations come, a row has positive prices and finite Greeks."""
    found = Ticks(right="C")
    for number, value in ticks:
        found.price(number, value, value)
        found.size(number, value)
        found.generic(number, value)
        found.computation(number, value, value, value, value, value, value)

    row = to_quote(found)

    for price in (row.bid, row.ask, row.last, row.close):
        assert price is None or 0.0 <= price < 1e300
    for greek in (row.iv, row.delta, row.gamma, row.vega, row.theta):
        assert greek is None or math.isfinite(greek)
    for count in (row.volume, row.open_interest):
        assert count is None or count >= 0
    assert row.iv is None or row.iv > 0.0


def details(**changes) -> ib_async.ContractDetails:
    contract = ib_async.Contract(
        secType="STK", conId=756733, symbol="SPY", exchange="SMART", primaryExchange="ARCA",
        currency="USD",
    )  # fmt: skip
    known = {
        "contract": contract,
        "longName": "SPDR S&P 500 ETF TRUST",
        "timeZoneId": "US/Eastern",
        "liquidHours": "20250618:0930-20250618:1600;20250619:CLOSED",
    }
    return ib_async.ContractDetails(**(known | changes))


def test_underlying_from_details():
    """Hours come with the exchange's zone; US/Eastern is New York."""
    found = convert.to_underlying(details(), "SPY")

    assert (found.con_id, found.primary_exchange, found.sec_type) == (756733, "ARCA", "STK")
    assert found.time_zone == "America/New_York"
    assert found.sessions[0].closes.isoformat() == "2025-06-18T16:00:00-04:00"


@pytest.mark.parametrize(
    ("told", "reports"),
    [("COMMON", True), ("ADR", True), ("NY REG SHRS", True), ("ETF", False), ("", None)],
)
def test_a_share_is_of_a_company_or_a_fund(told, reports):
    """IB's type of the stock says whether there are earnings; without one nobody knows."""
    found = convert.to_underlying(details(stockType=told, longName="SOME NAME"), "XYZ")

    assert found.stock_type == told
    assert found.reports_earnings is reports


def test_hours_may_be_missing():
    """No liquid hours: the trading hours; neither: hours are unknown, which is no session."""
    wide = "20250618:0400-20250618:2000"

    only_trading = convert.to_underlying(details(liquidHours="", tradingHours=wide), "SPY")
    neither = convert.to_underlying(details(liquidHours="", timeZoneId=""), "SPY")

    assert only_trading.sessions[0].opens.hour == 4
    assert neither.sessions == ()


def test_a_strange_zone_is_said():
    """A wrong zone would make wrong dates, so there is no guessing."""
    with pytest.raises(DataError, match="Mars/Olympus"):
        convert.to_underlying(details(timeZoneId="Mars/Olympus"), "SPY")


def test_option_parameters_are_sorted():
    """Strikes come shuffled, and the multiplier as text."""
    row = ib_async.OptionChain(
        "SMART", 756733, "SPY", "100", ["20250815", "20250718"], [600.0, 595.0]
    )

    found = convert.to_params(row)

    assert found is not None
    assert (found.expiries, found.strikes) == ((JULY, dt.date(2025, 8, 15)), (595.0, 600.0))
    assert convert.to_params(ib_async.OptionChain("SMART", 1, "X", "none", [], [])) is None


def test_share_classes_are_written_with_a_blank():
    """BRK.B is `BRK B` on the wire."""
    assert convert.stock_contract("BRK.B").symbol == "BRK B"
    (index,) = convert.listing_contracts(MarketSettings().listing("SPX"))
    assert (index.secType, index.exchange, index.currency) == ("IND", "CBOE", "")


def test_options_are_fully_described():
    """Without its id, an option names everything that makes it unique."""
    contract = convert.option_contract(SPY, CLASS, PAIR)

    assert (contract.symbol, contract.lastTradeDateOrContractMonth, contract.strike) == (
        "SPY",
        "20250718",
        600.0,
    )
    assert (contract.right, contract.multiplier, contract.exchange, contract.tradingClass) == (
        "C",
        "100",
        "SMART",
        "SPY",
    )
    assert convert.to_pair(contract) == PAIR


def test_a_known_option_is_asked_by_its_id():
    """Nothing stands beside the id that may contradict it."""
    contract = convert.option_contract(SPY, CLASS, PAIR, 7)

    assert (contract.conId, contract.exchange, contract.symbol) == (7, "SMART", "SPY")
    assert (contract.lastTradeDateOrContractMonth, contract.tradingClass) == ("", "")
    assert contract.right == "C"  # by which its open interest is told from that of the put
    assert (contract.strike, contract.multiplier) == (0.0, "")


@pytest.mark.parametrize(
    ("date", "local_symbol", "trading_class", "expected"),
    [
        ("20261217", "SPX   261218P05950000", "SPX", "2026-12-17"),
        ("20261217", "SPXW  261217P05950000", "SPXW", "2026-12-17"),
        ("20230620", "VIX   230621C00017000", "VIX", "2023-06-20"),
        # The day of the login in Asia, for a share and for an index.
        ("20240217", "ABNB  240216P00124000", "ABNB", "2024-02-16"),
        ("20261218", "SPX   261218P05950000", "SPX", "2026-12-17"),
        ("20230624 04:00:00 Asia/Shanghai", "", "SPY", "2023-06-23"),
        ("20240217", "", "ABNB", "2024-02-16"),
        ("20230623 16:00:00 US/Eastern", "", "SPY", "2023-06-23"),
        ("20231216", "C OESX 20231215 4325 M", "OESX", "2023-12-15"),
        ("20250718", "SPY", "SPY", "2025-07-18"),
    ],
)
def test_the_day_that_an_option_is_named_by(date, local_symbol, trading_class, expected):
    """Its local symbol tells it, else the date with its zone, else the date alone."""
    contract = ib_async.Contract(
        secType="OPT",
        lastTradeDateOrContractMonth=date,
        localSymbol=local_symbol,
        tradingClass=trading_class,
    )

    assert convert.expiry_of(contract) == dt.date.fromisoformat(expected)


def test_an_open_question_leaves_strikes_open():
    """All strikes of an expiry are asked for with strike 0."""
    assert convert.open_option_contract(SPY, CLASS, JULY).strike == 0.0
