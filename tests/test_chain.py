"""The chain: order, validation, counts, rows out and in."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, strategies as st

from tomic import dates
from tomic.chain import COLUMNS, Chain, Fetch
from tomic.models import DataType, OptionQuote, RowStatus, Spot, SpotSource, Underlying

# 22:00 in New York on the 17th is already the 18th in UTC: days count from the 17th.
AS_OF = dt.datetime(2025, 6, 18, 2, 0, tzinfo=dt.UTC)
SPY = Underlying(symbol="SPY", con_id=756733)
JULY, AUGUST = dt.date(2025, 7, 18), dt.date(2025, 8, 15)


def option(expiry=JULY, strike=600.0, right="C", status=RowStatus.OK, **fields) -> OptionQuote:
    """One row."""
    return OptionQuote(expiry=expiry, dte=0, strike=strike, right=right, status=status, **fields)


def chain_of(*rows: OptionQuote, **header) -> Chain:
    """A chain of SPY at 600.5."""
    spot = Spot(price=600.5, source=SpotSource.LAST, as_of=AS_OF)
    known = {"underlying": SPY, "spot": spot, "as_of": AS_OF, "rate": 0.045} | header
    return Chain.from_quotes(rows, **known)


def test_rows_are_ordered():
    """Rows stand by expiry, strike and right, whatever order they came in."""
    chain = chain_of(
        option(AUGUST, 590.0), option(JULY, 605.0, "P"), option(JULY, 605.0), option(JULY, 595.0)
    )

    assert chain.expiries == (JULY, AUGUST)
    assert chain["strike"].tolist() == [595.0, 605.0, 605.0, 590.0]
    assert chain["right"].tolist() == ["C", "C", "P", "C"]
    assert chain.is_call.tolist() == [True, True, False, True]


def test_days_count_from_the_exchange_date():
    """Days to expiry count from New York's date; tau to the minute of the close."""
    chain = chain_of(option())
    expected = dates.years_to_expiry(AS_OF, JULY, underlying=SPY)

    assert chain["dte"].tolist() == [31]
    assert chain["tau"].tolist() == [expected]
    assert expected * 365 == pytest.approx(30.75)


def test_an_expiry_that_is_unknown_as_a_whole_is_missing():
    """Strikes that an expiry does not list are left aside; an expiry without any is not."""
    some = chain_of(option(), option(strike=605.0, status=RowStatus.UNKNOWN_CONTRACT))
    none = chain_of(
        option(), option(AUGUST, status=RowStatus.UNKNOWN_CONTRACT),
        option(AUGUST, 605.0, status=RowStatus.UNKNOWN_CONTRACT),
    )  # fmt: skip

    assert (some.completeness, some.unknown_expiries) == (1.0, ())
    assert (none.completeness, none.unknown_expiries) == (pytest.approx(1 / 3), (AUGUST,))


@pytest.mark.parametrize(
    ("clock", "dte", "tau"), [("2026-12-16T15:00", 2, 1.7708), ("2026-12-17T11:00", 1, 0.9375)]
)
@pytest.mark.parametrize("day", ["2026-12-17", "2026-12-18"])
def test_an_am_class_ends_at_the_opening_of_its_settlement(clock, dte, tau, day):
    """Whether a file names the last trading day or that of settlement, both come to the same."""
    spx = Underlying(symbol="SPX", con_id=1, sec_type="IND", time_zone="America/Chicago")
    as_of = dt.datetime.fromisoformat(clock).replace(tzinfo=ZoneInfo("America/New_York"))

    chain = chain_of(
        option(dt.date.fromisoformat(day)), underlying=spx, as_of=as_of, trading_class="SPX"
    )

    assert chain["dte"].tolist() == [dte]
    assert chain["tau"][0] * 365.0 == pytest.approx(tau, abs=1e-4)


def test_either_day_names_an_expiry():
    """SPX of 17 December is that of the 18th as well; a share's expiry has one name."""
    spx = Underlying(symbol="SPX", con_id=1, sec_type="IND", time_zone="America/Chicago")
    thursday, friday = dt.date(2026, 12, 17), dt.date(2026, 12, 18)

    index = chain_of(option(thursday), underlying=spx, trading_class="SPX")
    weekly = chain_of(option(thursday), underlying=spx, trading_class="SPXW")

    assert [index.named(day) for day in (thursday, friday, JULY)] == [thursday, thursday, None]
    assert [weekly.named(day) for day in (thursday, friday)] == [thursday, None]
    assert chain_of(option(thursday)).named(friday) is None


def test_morning_settlement_is_nearer():
    """A class that settles at the opening has six and a half hours less."""
    spx = Underlying(symbol="SPX", con_id=1, sec_type="IND", time_zone="America/Chicago")
    evening = chain_of(option(), underlying=spx, trading_class="SPXW")
    morning = chain_of(option(), underlying=spx, trading_class="SPX")

    hours = (evening["tau"] - morning["tau"]) * 365 * 24
    np.testing.assert_allclose(hours, 6.5, rtol=1e-9)


def test_contract_may_occur_once():
    """The same contract twice is a mistake of the caller."""
    with pytest.raises(ValueError, match="contract occurs twice: 2025-07-18 600C"):
        chain_of(option(), option(right="P"), option())


def test_columns_are_complete():
    """A missing or an unknown column is named; so is a wrong length."""
    chain = chain_of(option(), option(right="P"))
    known = vars(chain)
    fewer = {name: array for name, array in chain.columns.items() if name != "bid"}

    with pytest.raises(ValueError, match="missing or unknown: bid, bidd"):
        Chain(**{**known, "columns": {**fewer, "bidd": chain["bid"]}})
    with pytest.raises(ValueError, match="differ in length"):
        chain.with_columns(bid=np.zeros(3))


def test_arrays_cannot_be_written():
    """A chain does not change after it was made."""
    chain = chain_of(option())

    with pytest.raises(ValueError, match="read-only"):
        chain["bid"][0] = 1.0


def test_counts_and_completeness():
    """Completeness is the share of ok among the contracts that exist and are wanted."""
    chain = chain_of(
        option(strike=590.0),
        option(strike=591.0, status=RowStatus.NO_QUOTE),
        option(strike=592.0, status=RowStatus.UNKNOWN_CONTRACT),
        option(strike=593.0),
        option(strike=594.0, status=RowStatus.DELTA_OUT_OF_RANGE),
    )

    aside = {"no_quote": 1, "unknown_contract": 1, "delta_out_of_range": 1}
    assert chain.counts == {"ok": 2, **aside}
    assert chain.gaps == aside
    assert chain.completeness == pytest.approx(2 / 3)
    assert chain.is_final


@pytest.mark.parametrize("status", [RowStatus.TIMEOUT, RowStatus.LOST, RowStatus.NOT_SUBSCRIBED])
def test_unfinished_rows(status):
    """A row that could still be had makes the chain not final."""
    assert not chain_of(option(), option(right="P", status=status)).is_final


@pytest.mark.parametrize(
    ("complete", "statuses", "said"),
    [
        (True, [RowStatus.NO_QUOTE, RowStatus.UNKNOWN_CONTRACT, RowStatus.NO_GREEKS], ""),
        (True, [RowStatus.TIMEOUT], "1 of 2 options missing: no answer"),
        (False, [RowStatus.TIMEOUT], "1 of 2 options missing: out of time"),
        (
            False,
            [RowStatus.LOST, RowStatus.TIMEOUT, RowStatus.TIMEOUT, RowStatus.NOT_SUBSCRIBED],
            "4 of 5 options missing: lost 1, not subscribed 1, out of time 2",
        ),
        (False, [], "out of time"),
    ],
)
def test_what_is_cut(complete, statuses, said):
    """Rows without an answer and a stopped run are a cut; what IB does not have is none."""
    rows = [option(strike=601.0 + n, status=status) for n, status in enumerate(statuses)]
    chain = replace(chain_of(option(), *rows), fetch=Fetch(complete=complete))

    assert chain.cut == said
    assert chain.is_cut is bool(said)


def test_empty_chain():
    """A chain without rows is no error: nothing is complete, nothing is open."""
    chain = chain_of()

    assert (len(chain), chain.completeness, chain.counts, chain.expiries) == (0, 0.0, {}, ())
    assert chain.is_final
    assert list(chain.rows()) == []
    assert len(chain.frame) == 0


def test_mid_needs_both_sides():
    """The mid is the mean of bid and ask, missing where either is; a bid of zero is a bid."""
    chain = chain_of(
        option(strike=590.0, bid=1.0, ask=2.0),
        option(strike=591.0, ask=2.0),
        option(strike=592.0, bid=0.0, ask=0.1),
    )

    np.testing.assert_array_equal(chain.mid, [1.5, math.nan, 0.05])


number = st.none() | st.floats(-1e6, 1e6)


@given(
    st.lists(
        st.builds(
            OptionQuote,
            con_id=st.none() | st.integers(1, 2**31),
            expiry=st.sampled_from([JULY, AUGUST]),
            dte=st.just(0),
            strike=st.floats(1.0, 1e4),
            right=st.sampled_from(["C", "P"]),
            bid=number,
            ask=number,
            iv=number,
            delta=number,
            volume=st.none() | st.integers(0, 10**9),
            open_interest=st.none() | st.integers(0, 10**9),
            status=st.sampled_from(RowStatus),
            greeks_source=st.sampled_from(["ib", "local", "none"]),
            quoted_at=st.none() | st.datetimes(timezones=st.just(dt.UTC)),
        ),
        unique_by=lambda row: (row.expiry, row.strike, row.right),
        max_size=20,
    )
)
def test_rows_come_back(rows):
    """Rows become columns and rows again without loss; missing stays None."""
    chain = chain_of(*rows)

    days = {JULY: 31, AUGUST: 59}
    expected = sorted(rows, key=lambda row: (row.expiry, row.strike, row.right))
    assert list(chain.rows()) == [
        row.model_copy(update={"dte": days[row.expiry]}) for row in expected
    ]


def test_where_keeps_the_header():
    """A filtered chain has fewer rows and the same header."""
    chain = chain_of(option(), option(right="P"), notes=("frozen",), trading_class="SPY")

    calls = chain.where(chain.is_call)

    assert calls["right"].tolist() == ["C"]
    assert (calls.notes, calls.trading_class, calls.spot) == (("frozen",), "SPY", chain.spot)


def test_with_columns_leaves_the_original():
    """Replacing a column gives a new chain."""
    chain = chain_of(option(bid=1.0))

    changed = chain.with_columns(bid=np.array([2.0]))

    assert (chain["bid"][0], changed["bid"][0]) == (1.0, 2.0)


def test_frame_has_every_column():
    """The frame has the columns in their order and times in UTC."""
    stamp = dt.datetime(2025, 6, 17, 22, 0, tzinfo=ZoneInfo("America/New_York"))
    chain = chain_of(option(bid=1.0, quoted_at=stamp), option(right="P"))

    frame = chain.frame

    assert list(frame.columns) == list(COLUMNS)
    assert frame["quoted_at"].iloc[0].isoformat() == "2025-06-18T02:00:00+00:00"
    assert frame["quoted_at"].isna().tolist() == [False, True]
    assert frame.query("right == 'C' and bid > 0")["strike"].tolist() == [600.0]


def test_data_type_follows_the_spot():
    """Unless said otherwise the chain's data type is the one that worked for the spot."""
    spot = Spot(price=1.0, source=SpotSource.CLOSE, data_type=DataType.FROZEN, as_of=AS_OF)

    assert chain_of(option(), spot=spot).data_type is DataType.FROZEN
    assert chain_of(option(), spot=spot, data_type=DataType.LIVE).data_type is DataType.LIVE


def test_notebook_view():
    """In a notebook a chain shows its symbol, market and completeness above the table."""
    html = chain_of(option(bid=1.0))._repr_html_()

    assert "<b>SPY</b> 600.5 · live" in html
    assert "100% complete" in html
    assert "<table" in html
