"""The meters, on clocks of their own, and the forms in which times are written."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st

from tomic.sim.server.limits import (
    HistoryMeter,
    Limits,
    MessageMeter,
    PeakMeter,
    TimeForm,
    Times,
    zone_named,
)

AT = datetime(2026, 11, 20, 19, 31, 2, tzinfo=UTC)
TIMES = st.lists(st.floats(0.0, 10.0, allow_nan=False), max_size=80).map(sorted)


@given(times=TIMES, window=st.sampled_from([0.98, 1.0, 2.0]))
def test_peak_is_the_fullest_half_open_window(times, window):
    """The peak equals counting from every arrival by hand."""
    meter = PeakMeter()
    for now in times:
        meter.arrive(now)

    by_hand = [sum(0.0 <= other - start < window for other in times) for start in times]

    assert meter.peak(window) == max(by_hand, default=0)


@given(times=TIMES)
def test_a_client_that_is_never_refused_never_exceeds_the_limit(times):
    """Messages are refused exactly when the sliding second is fuller than the limit."""
    meter, peak = MessageMeter(5, 3), PeakMeter()
    refused = 0
    for now in times:
        refused += meter.arrive(now) is not None
        peak.arrive(now)

    assert (refused == 0) == (peak.peak() <= 5)


def test_fifty_evenly_spread_messages_a_second_pass():
    """50 a second for three seconds is allowed, the 51st within one second is not."""
    meter = MessageMeter(50, 3)

    assert [meter.arrive(at * 0.020001) for at in range(150)] == [None] * 150
    assert meter.arrive(149 * 0.020001) == 51


def test_violations_within_one_second_are_one_strike():
    """Three bursts, a second apart, are three strikes, however many messages each lost."""
    meter = MessageMeter(1, 3)
    for second in range(3):
        assert not meter.out
        for part in range(5):
            meter.arrive(second * 1.5 + part / 100.0)

    assert meter.out


def _asked(meter: HistoryMeter, times: list[float], weight: int = 1) -> list[bool]:
    """Requests for a different contract each time."""
    return [
        meter.violates(now, (str(at), "end"), (str(at), "SMART", "TRADES"), weight)
        for at, now in enumerate(times)
    ]


def test_sixty_requests_for_bars_in_ten_minutes():
    """The 61st within ten minutes is refused; after ten minutes there is room again."""
    meter = HistoryMeter(Limits())
    times = [at * 3.0 for at in range(61)]

    assert _asked(meter, times) == [False] * 60 + [True]
    assert _asked(meter, [600.5]) == [False]


def test_bid_ask_counts_twice():
    """30 requests for BID_ASK fill ten minutes."""
    assert _asked(HistoryMeter(Limits()), [at * 3.0 for at in range(31)], 2).count(True) == 1


@pytest.mark.parametrize(("gap", "refused"), [(14.9, True), (15.0, False)])
def test_an_identical_request_within_fifteen_seconds(gap, refused):
    """The same request again is refused for fifteen seconds."""
    meter = HistoryMeter(Limits())
    same = (("1", "end"), ("1", "SMART", "TRADES"), 1)

    assert not meter.violates(0.0, *same)
    assert meter.violates(gap, *same) is refused


def test_six_requests_for_one_contract_in_two_seconds():
    """The sixth for the same contract, exchange and series within two seconds is refused."""
    meter, series = HistoryMeter(Limits()), ("1", "SMART", "TRADES")

    said = [meter.violates(at * 0.3, (str(at),), series, 1) for at in range(6)]

    assert said == [False] * 5 + [True]


def test_the_history_limit_can_be_lifted():
    """With None nothing is refused."""
    assert True not in _asked(HistoryMeter(Limits(history_per_10min=None)), [0.0] * 300)


@pytest.mark.parametrize("form", TimeForm)
def test_every_form_has_its_own_look(form):
    """As TWS writes them: with a dash, with a name, or with two blanks and none."""
    text = Times(form, "MET").execution(AT, "US/Eastern")

    assert (
        text
        == {
            "utc": "20261120-19:31:02",
            "instrument": "20261120 14:31:02 US/Eastern",
            "login": "20261120 20:31:02 MET",
            "bare": "20261120  20:31:02",
        }[form]
    )
    assert Times(form, "JST").greeting(AT) == "20261121 04:31:02 JST"
    assert zone_named("EST").key == "America/New_York"
