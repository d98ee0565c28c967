"""Every exit rule on both sides of its threshold, and what cannot be judged."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from tomic.journal import exits
from tomic.journal.exits import Observed, ShortLeg
from tomic.models.journal import ExitRules, Verdict

DAY = dt.date(2025, 6, 10)
PUT = ShortLeg("560P 2025-06-20", 560.0, False, dt.date(2025, 6, 20), delta=-0.20, price=1.10)
CALL = ShortLeg("620C 2025-06-20", 620.0, True, dt.date(2025, 6, 20), delta=0.15, price=0.60)
SEEN = Observed(
    day=DAY,
    opened=dt.date(2025, 5, 19),
    dte=10,
    pnl=10.0,
    premium=240.0,
    spot=593.0,
    shorts=(PUT, CALL),
    iv=0.18,
    iv_at_entry=0.16,
    iv_rank=0.5,
    earnings=dt.date(2025, 7, 30),
    ex_dividend=dt.date(2025, 6, 13),
    dividend=1.7,
    ev=25.0,
)
NOTHING = ExitRules()


def check(seen: Observed = SEEN, **rules: object):
    return exits.evaluate(ExitRules(**rules), seen)


def fired(seen: Observed = SEEN, **rules: object):
    (signal,) = check(seen, **rules)
    assert signal.fired
    assert signal.rule in rules
    return signal


def unjudged(seen: Observed = SEEN, **rules: object):
    (signal,) = check(seen, **rules)
    assert not signal.fired
    assert signal.rule in rules
    assert signal.text.startswith(f"{signal.rule} not judged: ")
    assert signal.advice == ""
    return signal


def test_no_rule_means_no_signal():
    """Rules that are switched off say nothing, whatever is seen."""
    assert exits.evaluate(NOTHING, replace(SEEN, pnl=-1e6, ev=-5.0, dte=0)) == ()


# -- profit target and stop ------------------------------------------------------------------


def test_profit_target_counts_contracts():
    """Two contracts at 1.20 with a target of 50 % fire from 120 currency, not from 60."""
    assert check(replace(SEEN, pnl=119.99), profit_target=0.5) == ()
    signal = fired(replace(SEEN, pnl=120.0), profit_target=0.5)

    assert (signal.rule, signal.observed, signal.limit) == ("profit_target", 0.5, 0.5)
    assert signal.text == "profit 50% of the credit (target 50%)"
    assert signal.advice == "close: take the profit"


def test_profit_target_met_but_for_a_rounding():
    """A sum that is off by less than half a millionth meets the target, by more it does not."""
    assert fired(replace(SEEN, pnl=119.9999996), profit_target=0.5)
    assert check(replace(SEEN, pnl=119.9999994), profit_target=0.5) == ()


def test_profit_target_of_a_debit():
    """A trade that was paid for is measured against the debit."""
    bought = replace(SEEN, premium=-200.0)

    assert check(replace(bought, pnl=49.9), profit_target=0.25) == ()
    assert fired(replace(bought, pnl=50.0), profit_target=0.25).text == (
        "profit 25% of the debit (target 25%)"
    )


def test_a_premium_below_one_is_still_a_credit():
    """Half a dollar received is a credit, however small."""
    small = replace(SEEN, premium=0.5, pnl=0.5)

    assert fired(small, profit_target=1.0).text == "profit 100% of the credit (target 100%)"


def test_stop_fires_from_its_multiple():
    """A stop of 2x a credit of 240 fires from a loss of 480."""
    assert check(replace(SEEN, pnl=-479.99), stop=2.0) == ()
    signal = fired(replace(SEEN, pnl=-480.0), stop=2.0)

    assert (signal.rule, signal.observed, signal.limit) == ("stop", 2.0, 2.0)
    assert signal.text == "loss 2.00x credit (stop 2.00x)"
    assert signal.advice == "close: the stop is reached"


def test_a_profit_is_no_loss():
    """The stop looks at losses only, the target at profits only."""
    assert check(replace(SEEN, pnl=480.0), stop=2.0) == ()
    assert check(replace(SEEN, pnl=-480.0), profit_target=0.5) == ()


def test_without_marks_neither_is_judged():
    """A missing mark is named, for target and stop alike."""
    blind = replace(SEEN, pnl=None, missing=("560P 2025-06-20",))

    for rule in ("profit_target", "stop"):
        signal = unjudged(blind, **{rule: 0.5})
        assert (signal.rule, signal.limit) == (rule, 0.5)
        assert signal.text.endswith("no marks of 560P 2025-06-20")
    assert unjudged(replace(SEEN, pnl=None), stop=2.0).text.endswith("no marks of its legs")
    two = replace(SEEN, pnl=None, missing=("560P", "620C"))
    assert unjudged(two, stop=2.0).text == "stop not judged: no marks of 560P, 620C"


@pytest.mark.parametrize("premium", [None, 0.0])
def test_without_premium_there_is_nothing_to_measure(premium):
    """A trade that cost nothing has no share of its premium."""
    for rule in ("profit_target", "stop"):
        signal = unjudged(replace(SEEN, premium=premium), **{rule: 0.5})
        assert signal.text.endswith("no premium was received or paid to measure against")


@pytest.mark.parametrize(
    ("pnl", "premium", "share"),
    [(60.0, 240.0, 0.25), (-60.0, 240.0, -0.25), (60.0, -240.0, 0.25), (None, 240.0, None)],
)
def test_share_of_premium(pnl, premium, share):
    """P&L over what was received or paid, with the sign of the P&L."""
    assert exits.share_of_premium(replace(SEEN, pnl=pnl, premium=premium)) == share


# -- time ------------------------------------------------------------------------------------


def test_days_left():
    """With a limit of 10 the rule fires at 10 days left, not at 11."""
    assert check(replace(SEEN, dte=11), min_dte=10) == ()
    signal = fired(SEEN, min_dte=10)

    assert (signal.rule, signal.observed, signal.limit) == ("min_dte", 10.0, 10.0)
    assert signal.text == "10 days to expiry (rule: 10 or fewer)"
    assert signal.advice == "close or roll"


def test_an_expired_leg_is_to_be_recorded():
    """On the day itself one can still act; after it the outcome is to be written down."""
    assert fired(replace(SEEN, dte=0), min_dte=0).advice == "close or roll"
    assert fired(replace(SEEN, dte=-1), min_dte=0).advice == "expired: record what became of it"


def test_shares_have_no_days_left():
    """Without options there is no expiry to come near."""
    assert check(replace(SEEN, dte=None), min_dte=10, negative_ev=True) == ()


def test_days_in_trade():
    """22 days after opening, a limit of 22 fires and one of 23 does not."""
    assert check(max_days_in_trade=23) == ()
    signal = fired(max_days_in_trade=22)

    assert (signal.rule, signal.observed, signal.limit) == ("max_days_in_trade", 22.0, 22.0)
    assert signal.text == "22 days in the trade (rule: at most 22)"
    assert signal.advice == "close: the time set for it is over"


# -- price -----------------------------------------------------------------------------------


def test_short_delta():
    """The largest short delta, whatever its sign, fires from the limit."""
    assert check(short_delta=0.21) == ()
    signal = fired(short_delta=0.20)

    assert (signal.rule, signal.observed, signal.limit) == ("short_delta", 0.20, 0.20)
    assert signal.text == "short 560P 2025-06-20 has delta -0.20 (limit 0.20)"
    assert signal.advice == "roll or close the tested side"
    tested = replace(SEEN, shorts=(PUT, replace(CALL, delta=0.35)))
    assert fired(tested, short_delta=0.30).text.startswith("short 620C 2025-06-20 has delta +0.35")


def test_short_delta_needs_every_delta():
    """One unknown delta leaves the rule unjudged, unless another leg fires it anyway."""
    half = replace(SEEN, shorts=(PUT, replace(CALL, delta=None)))

    signal = unjudged(half, short_delta=0.30)
    assert signal.text.endswith("no delta of 620C 2025-06-20")
    assert signal.limit == 0.30
    assert fired(half, short_delta=0.15)
    none = replace(SEEN, shorts=(replace(PUT, delta=None), replace(CALL, delta=None)))
    text = unjudged(none, short_delta=0.3).text
    assert text.endswith("no delta of 560P 2025-06-20, 620C 2025-06-20")
    assert check(replace(SEEN, shorts=()), short_delta=0.3) == ()


def test_of_equal_deltas_the_first_is_named():
    """A strangle whose sides are tested alike names the leg that was listed first."""
    even = replace(SEEN, shorts=(replace(CALL, delta=0.3), replace(PUT, delta=-0.3)))

    assert fired(even, short_delta=0.3).text == "short 620C 2025-06-20 has delta +0.30 (limit 0.30)"


def test_short_strike_breached():
    """At the strike nothing is breached; a cent beyond it is."""
    rules = {"short_strike_breached": True}

    assert check(replace(SEEN, spot=560.0), **rules) == ()
    assert check(replace(SEEN, spot=620.0), **rules) == ()
    below = fired(replace(SEEN, spot=559.99), **rules)
    above = fired(replace(SEEN, spot=620.01), **rules)

    assert (below.rule, below.observed, below.limit) == ("short_strike_breached", 559.99, 560.0)
    assert below.text == "spot 559.99 is beyond the short 560P 2025-06-20"
    assert above.text == "spot 620.01 is beyond the short 620C 2025-06-20"
    assert above.advice == "roll or close the tested side"


def test_the_worst_breach_is_named():
    """Of several short strikes the one that is deepest in the money counts."""
    shorts = (PUT, replace(PUT, name="570P", strike=570.0), replace(PUT, name="565P", strike=565.0))

    signal = fired(replace(SEEN, spot=559.0, shorts=shorts), short_strike_breached=True)

    assert signal.limit == 570.0


def test_a_breach_needs_spot_and_short_legs():
    """Without a price of the underlying it is unjudged; without short legs there is no rule."""
    rules = {"short_strike_breached": True}

    assert unjudged(replace(SEEN, spot=None), **rules).text.endswith("no price of the underlying")
    assert check(replace(SEEN, spot=None, shorts=()), **rules) == ()


def test_spot_levels():
    """Below 580 fires at 579.99 and not at 580; above 600 at 600.01 and not at 600."""
    assert check(replace(SEEN, spot=580.0), spot_below=580.0) == ()
    assert check(replace(SEEN, spot=600.0), spot_above=600.0) == ()
    below = fired(replace(SEEN, spot=579.99), spot_below=580.0)
    above = fired(replace(SEEN, spot=600.01), spot_above=600.0)

    assert (below.rule, below.observed, below.limit) == ("spot_below", 579.99, 580.0)
    assert (above.rule, above.observed, above.limit) == ("spot_above", 600.01, 600.0)
    assert below.text == "spot 579.99 is below 580"
    assert above.text == "spot 600.01 is above 600"
    assert below.advice == above.advice == "close: the level is broken"


@pytest.mark.parametrize("rule", ["spot_below", "spot_above"])
def test_spot_levels_need_a_spot(rule):
    """Without a price of the underlying a level is not judged."""
    signal = unjudged(replace(SEEN, spot=None), **{rule: 580.0})

    assert (signal.rule, signal.limit) == (rule, 580.0)
    assert signal.text.endswith("no price of the underlying")


# -- volatility ------------------------------------------------------------------------------


def test_iv_rank_fallen():
    """A limit of 30 % fires at 29.9 % and not at 30 %."""
    assert check(replace(SEEN, iv_rank=0.30), iv_rank_below=0.30) == ()
    signal = fired(replace(SEEN, iv_rank=0.299), iv_rank_below=0.30)

    assert (signal.rule, signal.observed, signal.limit) == ("iv_rank_below", 0.299, 0.30)
    assert signal.text == "IV rank 30% is below 30%"
    assert signal.advice == "close: volatility is no longer rich"
    blind = unjudged(replace(SEEN, iv_rank=None), iv_rank_below=0.30)
    assert blind.text.endswith(": IV rank unknown; tomic vol brings it up to date")
    assert blind.limit == 0.30


def test_iv_up_since_entry():
    """A rise of two points fires a limit of two, and not one of 2.1."""
    assert check(iv_rise=0.021) == ()
    signal = fired(iv_rise=0.02)

    assert (signal.rule, signal.observed, signal.limit) == ("iv_rise", 0.02, 0.02)
    assert signal.text == "IV up 2.0 points since entry (limit 2.0)"
    assert signal.advice == "reduce or close: volatility moves against it"
    assert check(replace(SEEN, iv=0.10), iv_rise=0.02) == ()
    large = fired(replace(SEEN, iv=0.46, iv_at_entry=0.21), iv_rise=0.25)
    assert large.text == "IV up 25.0 points since entry (limit 25.0)"


def test_iv_up_but_for_a_rounding():
    """A rise that is short by less than half a billionth counts as whole."""
    assert fired(replace(SEEN, iv=0.1799999996), iv_rise=0.02)
    assert check(replace(SEEN, iv=0.1799999994), iv_rise=0.02) == ()


def test_iv_rise_needs_both_ends():
    """Which of the two volatilities is unknown is said."""
    now = unjudged(replace(SEEN, iv=None), iv_rise=0.02)
    then = unjudged(replace(SEEN, iv_at_entry=None), iv_rise=0.02)

    assert now.text.endswith("implied volatility now unknown")
    assert then.text.endswith("implied volatility at entry unknown")
    assert now.limit == then.limit == 0.02


# -- events ----------------------------------------------------------------------------------


def test_earnings_ahead():
    """Two days before fires a limit of two, three days before does not, nor does the day after."""
    assert check(replace(SEEN, earnings=dt.date(2025, 6, 13)), earnings_days=2) == ()
    assert check(replace(SEEN, earnings=dt.date(2025, 6, 9)), earnings_days=2) == ()
    signal = fired(replace(SEEN, earnings=dt.date(2025, 6, 12)), earnings_days=2)

    assert (signal.rule, signal.observed, signal.limit) == ("earnings_days", 2.0, 2.0)
    assert signal.text == "earnings on 2025-06-12, in 2 days (rule: 2 or fewer)"
    assert signal.advice == "close, or accept the jump"
    assert fired(replace(SEEN, earnings=DAY), earnings_days=0).observed == 0.0


def test_unknown_earnings_fire_nothing():
    """A fund has no earnings: an unknown date is a note elsewhere, not a rule unjudged."""
    assert check(replace(SEEN, earnings=None), earnings_days=2) == ()


def test_assignment_before_an_ex_day():
    """The holder exercises when the dividend exceeds the time value given up."""
    deep = replace(CALL, strike=590.0, price=4.70)
    near = replace(SEEN, shorts=(PUT, deep), spot=593.0)

    # Time value 4.70 - (593 - 590) = 1.70, not less than the dividend.
    assert check(near, dividend_days=3) == ()
    signal = fired(replace(near, dividend=1.71), dividend_days=3)

    assert signal.rule == "dividend_days"
    assert signal.observed == pytest.approx(1.70)
    assert signal.limit == 1.71
    assert signal.text.startswith("assignment risk on short 620C 2025-06-20: ex-day 2025-06-13")
    assert signal.text.endswith("dividend 1.71 > time value 1.70")
    assert signal.advice == "close or roll before the ex-day"


def test_a_dividend_equal_to_the_time_value_is_no_reason_to_exercise():
    """Giving up 1.50 for 1.50 gains nothing; a cent more does."""
    deep = replace(CALL, strike=590.0, price=4.5)
    near = replace(SEEN, shorts=(deep,), spot=593.0)

    assert check(replace(near, dividend=1.5), dividend_days=3) == ()
    assert fired(replace(near, dividend=1.51), dividend_days=3).observed == 1.5


def test_a_call_far_out_of_the_money_is_safe():
    """Cheap is not enough: exercising out of the money gives up the distance to the strike."""
    assert check(dividend_days=3) == ()


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"day": dt.date(2025, 6, 9)}, 3),
        ({"day": dt.date(2025, 6, 14)}, 3),
        ({"ex_dividend": None}, 3),
        ({"shorts": (PUT,)}, 3),
        ({"ex_dividend": dt.date(2025, 6, 21), "day": dt.date(2025, 6, 20)}, 3),
        ({}, 2),
    ],
)
def test_no_assignment_risk(change, rule):
    """Too early, past, no date, no short call, after the call's expiry, outside the days."""
    deep = replace(CALL, strike=590.0, price=3.10)
    seen = replace(SEEN, **{"shorts": (PUT, deep), **change})

    assert check(seen, dividend_days=rule) == ()
    assert fired(replace(SEEN, shorts=(deep,)), dividend_days=3)


def test_an_ex_day_on_the_day_of_expiry_counts():
    """A call that expires on the ex-day can still be exercised the day before."""
    deep = replace(CALL, strike=590.0, price=3.10)
    seen = replace(SEEN, shorts=(deep,), day=dt.date(2025, 6, 20), ex_dividend=deep.expiry)

    assert fired(seen, dividend_days=3)


def test_an_unknown_dividend_threatens_calls_in_the_money():
    """Without the amount a call in the money is named, one at or out of the money is not."""
    unknown = replace(SEEN, dividend=None, shorts=(CALL,))

    assert check(replace(unknown, spot=620.0), dividend_days=3) == ()
    signal = fired(replace(unknown, spot=620.01), dividend_days=3)
    assert signal.text == (
        "short 620C 2025-06-20 is in the money at ex-day 2025-06-13, amount unknown"
    )
    assert (signal.rule, signal.observed, signal.limit) == ("dividend_days", None, None)
    assert signal.advice == "close or roll before the ex-day"


def test_an_ex_day_without_prices_is_not_judged():
    """A call whose price, or whose underlying's, is missing may be assigned for all we know."""
    blind = replace(CALL, price=None)
    deep = replace(CALL, strike=590.0, price=3.10)

    for seen in (replace(SEEN, shorts=(blind,)), replace(SEEN, spot=None)):
        signal = unjudged(seen, dividend_days=3)
        assert (signal.rule, signal.limit) == ("dividend_days", 3.0)
        assert signal.text.endswith(
            ": no price of 620C 2025-06-20 or its underlying before ex-day 2025-06-13"
        )
    assert fired(replace(SEEN, shorts=(blind, deep)), dividend_days=3)


# -- expectation -----------------------------------------------------------------------------


def test_holding_that_no_longer_pays():
    """What is within the error of the model, 2 % of the premium, is still held."""
    assert check(replace(SEEN, ev=-4.80), negative_ev=True) == ()
    signal = fired(replace(SEEN, ev=-4.81), negative_ev=True)

    assert (signal.rule, signal.observed, signal.limit) == ("negative_ev", -4.81, -4.8)
    assert signal.text == (
        "expected value of holding is -4.81 beside closing now (model error 4.80)"
    )
    assert signal.advice == "close: holding no longer pays"
    blind = unjudged(replace(SEEN, ev=None), negative_ev=True)
    assert blind.text.endswith("no density of the next expiry: too few quotes")
    assert blind.limit == 0.0


def test_the_error_grows_with_what_is_at_stake():
    """A debit of 240 that has become worth 1,000 is valued to 20, not to 4.80."""
    seen = replace(SEEN, premium=-240.0, at_stake=1000.0)

    assert check(replace(seen, ev=-20.0), negative_ev=True) == ()
    assert fired(replace(seen, ev=-20.01), negative_ev=True).limit == -20.0


# -- all together ----------------------------------------------------------------------------


def test_the_most_urgent_comes_first():
    """A stop stands before everything else, an opportunity after every danger."""
    seen = replace(SEEN, pnl=-600.0, ev=-10.0, spot=550.0)

    signals = check(
        seen, stop=2.0, profit_target=0.5, min_dte=21, short_strike_breached=True, negative_ev=True
    )

    assert [signal.rule for signal in signals] == [
        "stop",
        "short_strike_breached",
        "min_dte",
        "negative_ev",
    ]


def test_verdicts():
    """To hold needs every rule judged, every mark present and all of them fresh."""
    quiet = check(profit_target=0.5)
    loud = check(min_dte=10)
    blind = check(replace(SEEN, ev=None), negative_ev=True)

    assert exits.verdict(quiet, SEEN) is Verdict.HOLD
    assert exits.verdict(quiet, replace(SEEN, stale="frozen since Friday")) is Verdict.STALE
    assert exits.verdict(quiet, replace(SEEN, missing=("560P",))) is Verdict.UNJUDGED
    assert exits.verdict(blind, SEEN) is Verdict.UNJUDGED
    assert exits.verdict(blind, replace(SEEN, stale="frozen")) is Verdict.UNJUDGED
    assert exits.verdict((*blind, *loud), SEEN) is Verdict.ACT
    assert exits.verdict(loud, replace(SEEN, stale="frozen", missing=("x",))) is Verdict.ACT
