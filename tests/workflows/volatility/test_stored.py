"""Realised volatility and IV's place in its past, from stored series with their gaps."""

from __future__ import annotations

import datetime as dt
import math
import statistics
from dataclasses import replace

import numpy as np
import pytest

from tomic import dates
from tomic.quant import realized
from tomic.store import Bars, Coverage, SmileDay, VolSeries
from tomic.workflows.volatility.stored import (
    Need,
    PastDay,
    by_day,
    first_day_of,
    last_complete_day,
    need_of,
    placed,
    realised,
    session_day,
    with_gaps,
)

FRIDAY = dt.date(2026, 11, 20)
THURSDAY, SATURDAY = FRIDAY - dt.timedelta(days=1), FRIDAY + dt.timedelta(days=1)
HOURS = "20261120:0930-20261120:1600;20261121:CLOSED;20261123:0930-20261123:1600"


def at(day: dt.date, hour: int, minute: int = 0) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(hour, minute), dates.NEW_YORK)


def known(**fields) -> Coverage:
    """A whole year of bars, up to Thursday."""
    usual = {
        "symbol": "SPY",
        "series": "bars",
        "rows": 253,
        "first": dt.date(2025, 11, 18),
        "last": THURSDAY,
        "fetched_at": at(THURSDAY, 17),
        "asked_from": dt.date(2025, 11, 18),
    }
    return Coverage(**{**usual, **fields})


def need(coverage: Coverage | None, last=THURSDAY, **options) -> Need | None:
    first = first_day_of(last, 252)
    return need_of("SPY", "bars", coverage, last_day=last, first_day=first, **options)


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (at(FRIDAY, 9), THURSDAY),
        (at(FRIDAY, 16), THURSDAY),
        (at(FRIDAY, 16, 1), FRIDAY),
        (at(SATURDAY, 12), FRIDAY),
        (at(dt.date(2026, 11, 26), 18), dt.date(2026, 11, 25)),
        (at(dt.date(2026, 11, 27), 13, 1), dt.date(2026, 11, 27)),
    ],
)
def test_the_calendar_says_which_day_is_over(moment, day):
    """Weekends, Thanksgiving and the half day after it; the close itself counts as open."""
    assert last_complete_day(moment) == day


@pytest.mark.parametrize("text", [HOURS, ""])
def test_ibs_hours_agree_with_the_calendar_on_usual_days(text):
    """At noon Thursday is the last whole day, in the evening Friday, whoever is asked."""
    sessions = dates.parse_hours(text, "US/Eastern")

    assert last_complete_day(at(FRIDAY, 12), sessions) == THURSDAY
    assert last_complete_day(at(FRIDAY, 17), sessions) == FRIDAY
    assert last_complete_day(at(SATURDAY, 12), sessions) == FRIDAY


def test_ibs_hours_win_over_the_calendar():
    """An early close and a closure that no calendar foresaw are IB's to tell."""
    early = dates.parse_hours("20261120:0930-20261120:1100", "US/Eastern")
    closed = dates.parse_hours("20261120:CLOSED;20261123:0930-20261123:1600", "US/Eastern")

    assert last_complete_day(at(FRIDAY, 11, 30), early) == FRIDAY
    assert last_complete_day(at(FRIDAY, 18), closed) == THURSDAY


def test_the_session_of_a_moment():
    """Before the opening and at weekends the last session is still the day before."""
    sessions = dates.parse_hours(HOURS, "US/Eastern")

    assert session_day(at(FRIDAY, 9)) == THURSDAY
    assert session_day(at(FRIDAY, 9, 30)) == FRIDAY
    assert session_day(at(FRIDAY, 9, 30), sessions) == FRIDAY
    assert session_day(at(SATURDAY, 12), sessions) == FRIDAY


def test_days_are_counted_back_over_holidays():
    """252 trading days before 19 November 2026 is 18 November 2025."""
    assert first_day_of(THURSDAY, 252) == dt.date(2025, 11, 18)
    assert len(dates.trading_days(first_day_of(THURSDAY, 252), THURSDAY)) == 253


def test_a_complete_series_needs_nothing():
    """Bars from the first to the last wanted day are enough."""
    assert need(known()) is None


def test_an_unknown_series_is_needed_whole():
    """Never asked for, imported, or not reaching far enough."""
    whole = Need("SPY", "bars", dt.date(2025, 11, 18), True)

    assert need(None) == whole
    assert need(known(asked_from=None)) == whole
    assert need(known(asked_from=dt.date(2026, 1, 2))) == whole
    assert need(known(), force=True) == whole


def test_a_missing_end_overlaps_one_day():
    """What follows the last stored day is asked for together with it."""
    assert need(known(), last=FRIDAY) == Need("SPY", "bars", THURSDAY, False)


def test_what_ib_does_not_have_is_not_asked_again_that_day():
    """An hour after the close IB's answer of nothing stands; within the hour it may still come."""
    answered = known(last=None, rows=0, fetched_at=at(THURSDAY, 17))
    too_early = known(last=None, rows=0, fetched_at=at(THURSDAY, 16, 30))

    assert need(answered) is None
    assert need(too_early) == Need("SPY", "bars", dt.date(2025, 11, 18), True)


LAST = dt.date(2026, 11, 19)
DAYS = dates.trading_days(LAST - dt.timedelta(days=400), LAST)[-253:]


def bars_of(symbol="SPY", days=DAYS, seed=7) -> Bars:
    """A random walk on these days, with a range around each close."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(0.01 * rng.standard_normal(len(days))))
    spread = 1.0 + 0.01 * rng.random(len(days))
    rows = zip(days, close, close * spread, close / spread, close, close * 1e4, strict=True)
    return Bars.from_rows(symbol, rows)


def iv_of(days, values, symbol="SPY") -> VolSeries:
    return VolSeries.from_rows(symbol, "ib30", zip(days, values, strict=True))


def test_every_estimator_and_window():
    """252 returns and the close before them fill every window; nothing is missing."""
    stored = bars_of()
    found = realised(["SPY"], {"SPY": stored})["SPY"]

    log_returns = np.diff(np.log(stored.close)).tolist()
    for window in (20, 30, 60, 90, 252):
        expected = statistics.stdev(log_returns[-window:]) * math.sqrt(252)
        assert found.hv["close_to_close"][window] == pytest.approx(expected, rel=1e-12)
    assert {len(levels) for levels in found.hv.values()} == {5}
    assert set(found.hv) == {
        "close_to_close", "ewma", "parkinson", "garman_klass", "rogers_satchell", "yang_zhang",
    }  # fmt: skip
    whole = realized.yang_zhang(stored.open, stored.high, stored.low, stored.close, 30)
    assert found.hv["yang_zhang"][30] == pytest.approx(whole[-1], rel=1e-12)
    atr = realized.atr_wilder(stored.high, stored.low, stored.close)
    assert found.atr14 == pytest.approx(atr[-1], rel=1e-12)
    assert found.missing == {}
    assert (found.last_day, found.close) == (LAST, stored.close[-1])


def test_a_bad_high_gives_way_to_closes():
    """A high of twice the price ten days ago: closes stand in over windows that it spoils."""
    sound = bars_of()
    high = sound.high.copy()
    high[-10] *= 2.0

    found = realised(["SPY"], {"SPY": replace(sound, high=high)})["SPY"]

    for name in ("parkinson", "garman_klass", "rogers_satchell", "yang_zhang"):
        assert found.hv[name][30] == found.hv["close_to_close"][30]
    assert any("yang zhang over 20, 30" in text for text in found.warnings)
    assert all("wrong high or low" in text for text in found.warnings)
    assert realised(["SPY"], {"SPY": sound})["SPY"].warnings == ()


def test_symbols_do_not_mix():
    """Series that end on different days give each symbol its own numbers."""
    late, early = bars_of("A", seed=1), bars_of("B", days=DAYS[:-40], seed=2)
    both = realised(["A", "B"], {"A": late, "B": early})

    assert both["A"] == realised(["A"], {"A": late})["A"]
    assert both["B"] == realised(["B"], {"B": early})["B"]


def test_an_empty_store_gives_reasons():
    """Nothing stored: no number, and what to do about it."""
    found = realised(["SPY"], {})["SPY"]

    assert found.hv == {}
    assert found.atr14 is None
    assert found.missing["hv30"] == "no bars stored; run tomic prices SPY"
    assert set(found.missing) == {"hv20", "hv30", "hv60", "hv90", "hv252", "atr14"}


def test_one_day_gives_a_close_and_nothing_else():
    """One bar is a price, no volatility."""
    found = realised(["SPY"], {"SPY": bars_of(days=DAYS[-1:])})["SPY"]

    assert found.close is not None
    assert found.hv["close_to_close"] == {}
    assert found.missing["hv20"] == "1 of 21 closes stored, since 2026-11-19"
    assert found.missing["atr14"] == "1 of 14 unbroken bars stored, since 2026-11-19"


def test_a_listing_of_thirty_days():
    """31 closes give HV30, and 60 days only a reason."""
    found = realised(["NEWC"], {"NEWC": bars_of("NEWC", days=DAYS[-31:])})["NEWC"]

    assert set(found.hv["close_to_close"]) == {20, 30}
    assert found.atr14 is not None
    assert found.missing["hv60"] == f"31 of 61 closes stored, since {DAYS[-31]}"


def test_a_gap_is_not_a_return():
    """A missing day takes the windows that hold it, names itself, and leaves the others."""
    days = [day for day in DAYS if day != DAYS[-40]]
    found = realised(["SPY"], {"SPY": bars_of(days=days)})["SPY"]

    assert set(found.hv["close_to_close"]) == {20, 30}
    assert found.missing["hv60"] == f"no bar stored for {DAYS[-40]}"
    assert found.atr14 is not None


def test_closes_alone_give_no_range():
    """Bars as the original kept them, without highs, give close-to-close and no ATR."""
    rows = [(day, None, None, None, 100.0 + at, None) for at, day in enumerate(DAYS)]
    found = realised(["SPY"], {"SPY": Bars.from_rows("SPY", rows)})["SPY"]

    assert set(found.hv["close_to_close"]) == {20, 30, 60, 90, 252}
    assert found.hv["parkinson"] == {}
    assert found.missing["atr14"] == "highs and lows are not stored for the last 14 days"


def test_rank_and_percentile_exclude_today():
    """Today's own close in the store is no history of itself."""
    values = np.linspace(0.10, 0.30, len(DAYS))
    stored = iv_of(DAYS, values)

    tick = placed({"SPY": (0.40, LAST)}, {"SPY": stored})["SPY"]
    last = placed({"SPY": (values[-1], LAST)}, {"SPY": stored})["SPY"]

    assert tick.n == last.n == 252
    assert not tick.is_short
    assert tick.rank == pytest.approx((0.40 - 0.10) / (values[-2] - 0.10))
    assert tick.rank > 1.0
    assert tick.percentile == 1.0
    assert last.rank == pytest.approx((values[-1] - 0.10) / (values[-2] - 0.10))


def test_the_window_is_trading_days_before_today():
    """A value of the next session sees all 252 days before it, and none older."""
    friday = dt.date(2026, 11, 20)
    values = np.full(len(DAYS), 0.2)
    values[0], values[1] = 9.9, 0.1

    found = placed({"SPY": (0.15, friday)}, {"SPY": iv_of(DAYS, values)})["SPY"]

    assert found.n == 252
    assert found.rank == pytest.approx(0.5)
    assert found.percentile == pytest.approx(1 / 252)


@pytest.mark.parametrize(("days", "shown"), [(59, False), (60, True), (251, True)])
def test_short_histories_are_absent_or_flagged(days, shown):
    """Under 60 days there is no rank; under 252 it says over how many."""
    values = np.linspace(0.1, 0.3, days)
    today = dt.date(2026, 11, 20)

    found = placed({"SPY": (0.2, today)}, {"SPY": iv_of(DAYS[-days:], values)})["SPY"]

    assert found.n == days
    assert found.is_short
    assert (found.rank is not None) == (found.percentile is not None) == shown
    assert found.reason == ("" if shown else "59 of at least 60 days stored")


def test_gaps_lessen_the_count():
    """Missing days are left out of the window, not replaced by older ones."""
    kept = DAYS[::2]
    found = placed(
        {"SPY": (0.2, dt.date(2026, 11, 20))},
        {"SPY": iv_of(kept, np.linspace(0.1, 0.3, len(kept)))},
    )["SPY"]

    assert found.n == 126


def test_a_volatility_that_never_moved_has_no_rank():
    """Lowest equals highest: a percentile exists, a rank does not."""
    found = placed({"SPY": (0.2, LAST)}, {"SPY": iv_of(DAYS, np.full(len(DAYS), 0.2))})["SPY"]

    assert found.rank is None
    assert found.percentile == 0.0
    assert found.reason == "IV did not move in the 252 days stored"


def test_nothing_stored_places_nothing():
    """A value without a past has no place in it."""
    found = placed({"SPY": (0.2, LAST)}, {})["SPY"]

    assert (found.rank, found.percentile, found.n) == (None, None, 0)
    assert placed({}, {}) == {}


def test_day_by_day_matches_today():
    """The last row of the history equals what is said of today."""
    stored, values = bars_of(), np.linspace(0.10, 0.30, len(DAYS))
    empty = VolSeries.from_rows("SPY", "chain30", ())

    rows = by_day(stored, iv_of(DAYS, values), empty, 5)

    now = realised(["SPY"], {"SPY": stored})["SPY"]
    assert [row.day for row in rows] == list(DAYS[-5:])
    assert rows[-1].hv30 == pytest.approx(now.hv["close_to_close"][30], rel=1e-12)
    assert rows[-1].close == now.close
    assert rows[-1].iv30 == 0.30
    assert rows[-1].iv_percentile == 1.0
    assert rows[-1].chain_iv30 is None


def test_day_by_day_of_nothing_is_nothing():
    """An empty store has no days."""
    empty = VolSeries.from_rows("SPY", "ib30", ())

    assert by_day(Bars.from_rows("SPY", ()), empty, empty, 5) == []


def test_skew_and_terms_stand_on_their_own_days():
    """A day without a chain has no skew: nothing is carried over and nothing interpolated."""
    empty = VolSeries.from_rows("SPY", "chain30", ())
    smiles = [SmileDay(DAYS[-4], -0.05, 0.01, None), SmileDay(DAYS[-1], -0.06, None, 0.02)]

    rows = by_day(bars_of(), iv_of(DAYS, np.full(len(DAYS), 0.2)), empty, 4, smiles=smiles)

    assert [row.skew for row in rows] == [-0.05, None, None, -0.06]
    assert [row.term_m1_m2 for row in rows] == [0.01, None, None, None]
    assert rows[-1].term_m1_m3 == 0.02


def test_expected_move_of_a_day_is_of_its_close_and_iv30():
    """close x IV30 x sqrt(30 / 365)."""
    empty = VolSeries.from_rows("SPY", "chain30", ())

    (row,) = by_day(bars_of(), iv_of(DAYS, np.full(len(DAYS), 0.2)), empty, 1)

    assert row.close is not None
    assert row.expected_move == pytest.approx(row.close * 0.2 * math.sqrt(30 / 365), rel=1e-12)


def test_a_trading_day_without_anything_is_a_gap():
    """Weekends and holidays are none; Thanksgiving 2026 is the 26th of November."""
    first, last = dt.date(2026, 11, 20), dt.date(2026, 11, 27)

    days = with_gaps([PastDay(first, 600.0), PastDay(last, 606.0)])

    assert [(past.day.day, past.close) for past in days] == [
        (20, 600.0), (23, None), (24, None), (25, None), (27, 606.0),
    ]  # fmt: skip
    assert with_gaps([]) == []
