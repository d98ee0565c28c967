"""Followed proposals counted by grade and month."""

from __future__ import annotations

import datetime as dt

import pytest

from support.made_followed import DAY, followed
from tomic.journal import track
from tomic.models.exits import ExitRules


def test_promised_and_realised_stand_side_by_side():
    """Rates have Wilson's interval, money per margin is a mean, open ones only count as such."""
    lost = followed(2, outcome="stop", pnl=-200.0, marks=())
    still = followed(3, outcome="open", pnl=33.0)
    gone = followed(4, outcome="void", pnl=None)

    (group,) = track.by_grade([followed(), lost, still, gone])

    assert (group.grade, group.n, group.ended) == ("A", 3, 2)
    # Wilson's 95 % interval of one of two.
    assert group.won.value == 0.5
    assert (group.won.low, group.won.high) == pytest.approx((0.0945, 0.9055), abs=1e-4)
    assert group.target.value == 0.5
    assert (group.pos, group.p_target) == (0.8, 0.7)
    assert group.per_margin.value == pytest.approx(-0.07)
    assert (group.ev, group.managed_ev) == (0.01, 0.005)
    assert group.by_quotes == 1.0
    assert group.few == "too few: 2 ended in 1 month"


def test_whole_months_are_drawn():
    """Two months that differ give an interval from the one to the other, however many trades."""
    good = [followed(n, pnl=100.0) for n in range(40)]
    bad = [followed(n, pnl=-100.0, made=dt.date(2026, 11, 3)) for n in range(40)]

    (group,) = track.by_grade([*good, *bad])
    months = track.by_month([*good, *bad])

    assert (group.per_margin.low, group.per_margin.high) == (-0.1, 0.1)
    assert group.few == "too few: 80 ended in 2 months"
    assert [(month.month, month.per_margin.value) for month in months] == [
        ("2026-11", -0.1), ("2026-10", 0.1),
    ]  # fmt: skip
    assert months[0].per_margin.low is None


def test_enough_is_enough():
    """Thirty that ended over three months are not called too few; none that ended is said."""
    days = [dt.date(2026, month, 6) for month in (8, 9, 10)]
    many = [followed(n, made=days[n % 3]) for n in range(30)]

    (group,) = track.by_grade(many)
    (waiting,) = track.by_grade([followed(outcome="open")])

    assert group.few == ""
    assert waiting.few == "none has ended"
    assert waiting.won.value is None


def test_a_trade_that_was_proposed_twice_counts_once():
    """The first of a day stays; the same trade of another day is another."""
    again = followed(1, id="20261006-9", pnl=-1.0)
    tomorrow = followed(1, made=DAY + dt.timedelta(days=1))

    assert track.distinct([followed(), again, tomorrow]) == [followed(), tomorrow]


def test_rules_that_do_not_follow_from_prices_are_left_out():
    """Those are the ones that the managed outcome of a scan leaves out too."""
    rules = ExitRules(stop=2.0, iv_rise=0.1, iv_rank_below=0.2, dividend_days=2, negative_ev=True)

    assert track.simulated(rules) == ExitRules(stop=2.0)


def test_nothing_is_divided_by_no_margin():
    """A trade without a margin has no return on it."""
    free = followed(margin=0.0)
    (group,) = track.by_grade([free])

    assert free.per_margin is None
    assert group.per_margin.value is None
    assert group.managed_ev is None


def test_shares_of_many_months_are_drawn_by_month():
    """Trades of one month share its market, so thirty trades of three months are three draws."""
    days = [dt.date(2026, month, 6) for month in (8, 9, 10)]
    results = [60.0, 60.0, -60.0]
    many = [followed(n, made=days[n % 3], pnl=results[n % 3]) for n in range(30)]

    (group,) = track.by_grade(many)

    assert (group.won.value, group.won.low, group.won.high) == (pytest.approx(2 / 3), 0.0, 1.0)
