"""Both attributions account for the whole P&L, and each part is what it says."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from support.journal_entries import (
    CONDOR,
    EXPIRY,
    LATER,
    at,
    condor,
    entry,
    mark,
    option,
    shares,
    trade,
)
from support.properties import examples
from tomic.journal import attribution, campaign
from tomic.journal.attribution import Step
from tomic.models.journal import JournalEntry, LegMark, Snapshot
from tomic.quant import american, black_scholes

RATE, YIELD = 0.045, 0.012


def one_put(spot=(590.0, 585.0), days=(32.0, 25.0), sigma=(0.17, 0.19), *, european=True) -> Step:
    """A short put with marks made by the model."""
    price = black_scholes.price if european else american.price
    tau = [np.array([day / 365.0]) for day in days]
    strike = np.array([570.0])
    marks = [
        price(s, strike, t, RATE, YIELD, v, False) for s, t, v in zip(spot, tau, sigma, strict=True)
    ]
    return Step(
        strike=strike,
        is_call=np.array([False]),
        amount=np.array([-100.0]),
        tau=(tau[0], tau[1]),
        price=(marks[0], marks[1]),
        div_yield=(np.array([YIELD]), np.array([YIELD])),
        spot=spot,
        rate=(RATE, RATE),
        european=european,
    )


@pytest.mark.parametrize("european", [True, False])
def test_each_change_alone_is_its_own_part(european):
    """When only one thing changed, the whole P&L is its part and the others are nothing."""
    cases = {
        "time": one_put(spot=(590.0, 590.0), sigma=(0.17, 0.17), european=european),
        "volatility": one_put(spot=(590.0, 590.0), days=(32.0, 32.0), european=european),
        "spot": one_put(days=(32.0, 32.0), sigma=(0.17, 0.17), european=european),
    }

    for name, step in cases.items():
        parts = attribution.stepwise(step, attribution.volatilities(step))
        others = {"time", "volatility", "spot"} - {name}

        assert getattr(parts, name) == pytest.approx(step.total, abs=1e-4)
        assert abs(step.total) > 10.0
        for other in others:
            assert getattr(parts, other) == pytest.approx(0.0, abs=1e-4)


def test_volatilities_come_from_the_marks():
    """The volatilities that made the marks are found again, to 1e-9 European, 1e-6 American."""
    for european, tolerance in ((True, 1e-9), (False, 1e-6)):
        start, end = attribution.volatilities(one_put(european=european))

        assert start[0] == pytest.approx(0.17, abs=tolerance)
        assert end[0] == pytest.approx(0.19, abs=tolerance)


def test_the_order_is_time_then_volatility_then_spot():
    """Each part is the difference of two full revaluations in that order."""
    step = one_put()
    strike = step.strike

    def worth(spot, days, sigma):
        value = black_scholes.price(spot, strike, days / 365.0, RATE, YIELD, sigma, False)
        return -100.0 * float(value[0])

    parts = attribution.stepwise(step, attribution.volatilities(step))

    assert parts.time == pytest.approx(worth(590, 25, 0.17) - worth(590, 32, 0.17), abs=1e-6)
    assert parts.volatility == pytest.approx(worth(590, 25, 0.19) - worth(590, 25, 0.17), abs=1e-6)
    assert parts.spot == pytest.approx(worth(585, 25, 0.19) - worth(590, 25, 0.19), abs=1e-6)


def test_greeks_explain_a_small_move():
    """For small changes the residual is under a twentieth of the P&L."""
    step = one_put(spot=(590.0, 589.0), days=(32.0, 31.0), sigma=(0.17, 0.1705))
    sigma = attribution.volatilities(step)

    parts = attribution.by_greeks(
        step, attribution.start_greeks(step, sigma[0]), sigma[1] - sigma[0]
    )

    assert parts.delta < 0.0 < parts.theta
    assert parts.gamma < 0.0
    assert parts.vega < 0.0
    assert abs(parts.residual) < 0.05 * abs(parts.total)
    assert math.fsum(parts[:5]) == pytest.approx(parts.total, abs=1e-9)


def test_units_of_the_greek_parts():
    """Delta times points, half gamma times points squared, vega per point, theta per day."""
    step = one_put()
    greeks = black_scholes.Greeks(*(np.array([x]) for x in (3.0, -0.25, 0.01, 0.5, -0.1, 0.0)))

    parts = attribution.by_greeks(step, greeks, np.array([0.02]))

    assert parts.delta == pytest.approx(-100 * -0.25 * -5.0)
    assert parts.gamma == pytest.approx(-100 * 0.5 * 0.01 * 25.0)
    assert parts.vega == pytest.approx(-100 * 0.5 * 2.0)
    assert parts.theta == pytest.approx(-100 * -0.1 * 7.0)


def test_shares_are_all_spot():
    """A hundred shares that rise by two have earned two hundred, all of it spot and delta."""
    step = one_put(days=(32.0, 32.0), sigma=(0.17, 0.17), spot=(590.0, 592.0))
    held = step._replace(amount=np.array([0.0]), shares=100.0)
    sigma = attribution.volatilities(held)

    parts = attribution.stepwise(held, sigma)
    greeks = attribution.by_greeks(held, attribution.start_greeks(held, sigma[0]), sigma[1])

    assert parts == (0.0, 0.0, 200.0, 200.0)
    assert greeks.delta == 200.0


def test_a_mark_without_a_volatility_still_adds_up():
    """A price under intrinsic value has no volatility; the parts sum to the P&L all the same."""
    step = one_put(spot=(590.0, 540.0))
    step = step._replace(price=(step.price[0], np.array([20.0])))

    parts = attribution.stepwise(step, attribution.volatilities(step))

    assert sum(parts[:3]) == pytest.approx(step.total, abs=1e-9)
    assert attribution.volatilities(step)[1][0] == pytest.approx(0.17, abs=1e-9)


def test_an_expired_leg_is_its_payoff():
    """At expiry the value is intrinsic, so revaluation reaches the payoff without a jump."""
    step = one_put(spot=(590.0, 560.0), days=(10.0, 0.0), sigma=(0.17, 0.17))

    parts = attribution.stepwise(step, attribution.volatilities(step))

    assert step.price[1][0] == 10.0
    assert sum(parts[:3]) == pytest.approx(step.total, abs=1e-9)


def test_an_option_on_a_future_moves_with_it():
    """Where the spot of a volatility index stands still, its future explains the change."""
    strike, tau, sigma = np.array([18.0]), np.array([0.08]), np.array([0.9])
    futures = np.array([16.5]), np.array([17.0])
    rates = np.array([RATE]), np.array([RATE])
    marks = [black_scholes.price(level, strike, tau, RATE, RATE, sigma, True) for level in futures]
    step = Step(
        strike=strike, is_call=np.array([True]), amount=np.array([-100.0]), tau=(tau, tau),
        price=(marks[0], marks[1]), div_yield=rates, spot=(13.9, 13.9), rate=rates,
        european=True, forward=futures,
    )  # fmt: skip

    found = attribution.volatilities(step)
    greeks = attribution.by_greeks(step, attribution.start_greeks(step, found[0]), found[1] * 0.0)
    parts = attribution.stepwise(step, found)

    assert np.array(found) == pytest.approx(0.9, abs=1e-9)
    assert parts.spot == pytest.approx(step.total, abs=1e-9)
    assert greeks.delta + greeks.gamma == pytest.approx(step.total, rel=0.01)
    assert step.total < -15.0


# -- whole campaigns -------------------------------------------------------------------------


def seen(
    day: float, spot: float, sigma: float, names: list[tuple[str, dt.date]], **more: object
) -> Snapshot:
    """A snapshot with model marks of some contracts."""
    marks = []
    for name, expiry in names:
        strike, call = float(name[:-1]), name.endswith("C")
        settled = dt.datetime.combine(expiry, dt.time(20, 0), dt.UTC)
        tau = max((settled - at(day)).total_seconds(), 0.0) / (365 * 86400)
        price = float(black_scholes.price(spot, strike, tau, RATE, YIELD, sigma, call))
        marks.append(mark(name, price, tau, expiry, div_yield=YIELD))
    return Snapshot(at=at(day), spot=spot, rate=RATE, european=True, legs=tuple(marks), **more)


ALL = [(name, EXPIRY) for name, _ in CONDOR]


def total_by_cash(one: JournalEntry, last: Snapshot) -> float:
    """P&L of a campaign at the marks of its last snapshot, from cash alone."""
    marks = {leg.key: leg.price for leg in last.legs}
    marks[option(1, "1C").key._replace(expiry=None, strike=None, right=None)] = last.spot
    until = one.model_copy(update={"trades": tuple(t for t in one.trades if t.at <= last.at)})
    found = campaign.worth(until, marks).pnl
    assert found is not None
    return found


def check(one: JournalEntry, path: list[Snapshot]) -> None:
    found = attribution.attribute(one, path, from_start=True)
    assert found is not None
    rest = found.traded + found.costs
    expected = total_by_cash(one, path[-1])
    assert found.total == pytest.approx(expected, abs=1e-6)
    assert found.time + found.volatility + found.spot + rest == pytest.approx(expected, abs=1e-6)
    by_greeks = (found.delta, found.gamma, found.vega, found.theta, found.residual)
    assert math.fsum(by_greeks) + rest == pytest.approx(expected, abs=1e-6)


def test_a_condor_over_three_snapshots():
    """From its fill to the last mark, both accounts come to the P&L of the campaign."""
    one = condor(2)

    check(one, [seen(0, 593, 0.16, ALL), seen(5, 600, 0.15, ALL), seen(12, 588, 0.19, ALL)])


def test_between_two_snapshots_the_opening_does_not_count():
    """Since yesterday counts from yesterday's marks, without the opening's fill and commission."""
    opening = trade("open", 0, option(-1, "560P", 2.0, commission=0.65))
    one = entry(opening)
    names = [("560P", EXPIRY)]
    path = [seen(4, 590, 0.17, names), seen(5, 588, 0.18, names)]

    found = attribution.attribute(one, path)

    moved = path[1].legs[0].price - path[0].legs[0].price
    assert found.total == pytest.approx(-100 * moved)
    assert (found.traded, found.costs) == (0.0, 0.0)


def test_opening_fill_and_commission_are_named():
    """Sold 0.10 under the mark with 0.65 commission: -10 traded and -0.65 costs."""
    names = [("560P", EXPIRY)]
    first = seen(0, 590, 0.17, names)
    mid = first.legs[0].price
    one = entry(trade("open", 0, option(-1, "560P", mid - 0.10, commission=0.65)))

    found = attribution.attribute(one, [first, seen(3, 590, 0.17, names)], from_start=True)

    assert found.traded == pytest.approx(-10.0)
    assert found.costs == -0.65
    assert found.time > 0.0
    assert found.spot == pytest.approx(0.0, abs=1e-6)


def test_a_roll_between_snapshots():
    """A roll, with both legs marked or not, adulterates neither account."""
    one = entry(
        trade("open", 0, option(-2, "560P", 2.0, commission=1.3)),
        trade("roll", 9, option(2, "560P", 1.5, commission=1.3), option(-2, "560P", 3.3, LATER)),
    )
    both = [("560P", EXPIRY), ("560P", LATER)]

    check(one, [seen(0, 590, 0.17, both[:1]), seen(9, 585, 0.18, both), seen(20, 580, 0.2, both)])
    check(one, [seen(0, 590, 0.17, both[:1]), seen(14, 580, 0.2, both[1:])])


def test_a_partial_close_and_assigned_shares():
    """Half closed, half assigned, shares moving afterwards: everything is accounted for."""
    one = entry(
        trade("open", 0, option(-2, "595P", 6.0)),
        trade("close", 8, option(1, "595P", 4.0, commission=0.65)),
        trade("assign", 30, option(1, "595P", 0.0), shares(100, 595.0)),
    )
    names = [("595P", EXPIRY)]

    check(
        one,
        [
            seen(0, 593, 0.16, names),
            seen(6, 599, 0.15, names),
            seen(20, 590, 0.18, names),
            seen(31, 585, 0.2, []),
            seen(33, 591, 0.2, []),
        ],
    )


def test_a_snapshot_without_all_marks_is_left_out():
    """It cannot be used, and the attribution says so."""
    path = [seen(0, 593, 0.16, ALL), seen(3, 600, 0.15, ALL[:2]), seen(5, 600, 0.15, ALL)]

    found = attribution.attribute(condor(), path, from_start=True)

    assert found.notes == ("1 snapshots without all marks were left out",)
    assert attribution.attribute(condor(), path[:2]) is None


def test_a_leg_that_was_closed_between_snapshots_is_said():
    """What nobody marked counts as traded, with a note."""
    one = entry(
        trade("open", 0, option(-1, "560P", 2.0), option(1, "550P", 1.0)),
        trade("close", 3, option(1, "560P", 1.5)),
    )
    path = [
        seen(0, 590, 0.17, [("560P", EXPIRY), ("550P", EXPIRY)]),
        seen(5, 588, 0.17, [("550P", EXPIRY)]),
    ]

    found = attribution.attribute(one, path, from_start=True)

    assert "count as traded" in found.notes[0]
    check(one, path)


@examples(40)
@given(
    moves=st.lists(
        st.tuples(st.floats(0.5, 10.0), st.floats(480.0, 700.0), st.floats(0.06, 0.7)),
        min_size=1,
        max_size=4,
    ),
    fill=st.floats(0.0, 8.0),
    quantity=st.integers(1, 20),
)
def test_both_accounts_always_sum_to_the_result(moves, fill, quantity):
    """Whatever spot, volatility and time do, parts plus residual are the P&L."""
    path, day = [seen(0, 593, 0.16, ALL)], 0.0
    for days, spot, sigma in moves:
        day = min(day + days, 31.0)
        path.append(seen(day, spot, sigma, ALL))

    check(condor(quantity, round(fill, 2)), path)


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=6))
def test_printed_cents_add_up(parts):
    """Rounded to cents the parts sum to the rounded total, each at most a cent off."""
    total = math.fsum(parts)

    cents = attribution.in_cents(parts, total)

    assert round(math.fsum(cents), 2) == round(total, 2)
    assert all(abs(a - b) <= 0.0101 for a, b in zip(parts, cents, strict=True))


def test_snapshots_to_start_from():
    """Since entry starts at the opening's marks, since yesterday at the last of an earlier day."""
    one = condor().model_copy(
        update={
            "snapshots": (seen(0, 593, 0.16, ALL), seen(3, 593, 0.16, ALL), seen(4, 594, 0.16, ALL))
        }
    )

    assert attribution.entry_snapshot(one).at == at(0)
    assert attribution.since_yesterday(one, at(4).date()).at == at(3)
    assert attribution.since_yesterday(one, at(0).date()) is None
    assert attribution.entry_snapshot(condor()) is None


def test_marks_carry_what_an_attribution_needs():
    """A mark without price or time left cannot start or end a step."""
    bare = LegMark(expiry=EXPIRY, strike=560.0, right="P", price=2.0)
    one = entry(trade("open", 0, option(-1, "560P", 2.0)))
    path = [Snapshot(at=at(day), spot=590.0, legs=(bare,)) for day in (0, 1)]

    assert attribution.attribute(one, path) is None
