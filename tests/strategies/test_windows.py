"""What a scan asks for: enough for its strategies, and nothing that none of them can use."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pytest

from support import recorded_chains
from tomic.config import ScanSettings
from tomic.errors import EmptyChain
from tomic.files import load_chain
from tomic.models import OptionParams
from tomic.strategies import windows
from tomic.strategies.catalogue.leg_rules import DeltaBand
from tomic.strategies.catalogue.templates import CATALOGUE

TODAY = dt.date(2026, 11, 20)
FRIDAYS = tuple(TODAY + dt.timedelta(days=7 * week) for week in range(1, 20))
PARAMS = OptionParams(
    exchange="SMART",
    trading_class="SPY",
    multiplier=100,
    expiries=FRIDAYS,
    strikes=tuple(float(strike) for strike in range(300, 900)),
)
SPOT, SIGMA = 600.0, 0.16


def chosen(*names, **scan):
    templates = [CATALOGUE[name] for name in names]
    settings = ScanSettings(**{"max_contracts": 10_000, **scan})
    return windows.choose(templates, PARAMS, SPOT, TODAY, SIGMA, settings)


def reach(window, right):
    """Strikes of one right in standard deviations, per expiry."""
    return {
        expiry: [
            math.log(one.strike / SPOT) / (SIGMA * math.sqrt((expiry - TODAY).days / 365.0))
            for one in window.of_expiry(expiry)
            if one.right == right
        ]
        for expiry in window.expiries
    }


def test_only_expiries_in_the_window_of_days():
    """A condor wants 25 to 55 days and nothing else."""
    window = chosen("iron_condor")
    days = [(expiry - TODAY).days for expiry in window.expiries]
    assert days == [28, 35, 42, 49]


def test_out_of_the_money_to_three_sigma_and_two_strikes_in():
    """Puts reach 3 sigma below spot and two strikes above it, calls the other way round."""
    window = chosen("iron_condor")

    for values in reach(window, "P").values():
        assert -3.0 <= min(values) < -2.9
        assert sum(value > 0.0 for value in values) == 1  # 601; 600 itself is the other one
    for values in reach(window, "C").values():
        assert 2.9 < max(values) <= 3.0
        assert sum(value < 0.0 for value in values) == 1


def test_rights_that_no_leg_has_only_for_the_forward():
    """For put spreads two calls at the money and one beyond the forward, and no more."""
    window = chosen("short_put_spread")

    for expiry in window.expiries:
        calls = [one.strike for one in window.of_expiry(expiry) if one.right == "C"]
        deviation = SIGMA * math.sqrt((expiry - TODAY).days / 365.0)
        assert calls[:-1] == [599.0, 600.0]
        assert math.log(calls[-1] / SPOT) == pytest.approx(0.5 * deviation, abs=0.001)


def test_what_confirms_the_smile_is_never_thinned():
    """However few contracts are allowed, each expiry keeps its three calls beside its puts."""
    window = chosen("short_put_spread", max_contracts=60)

    assert len(window) <= 60
    for expiry in window.expiries:
        rights = [one.right for one in window.of_expiry(expiry)]
        assert rights.count("C") == 3
        assert rights.count("P") >= 4


def test_no_strike_in_the_money_when_none_is_wanted():
    """With itm_strikes 0 puts end at spot."""
    window = chosen("short_put_spread", itm_strikes=0)
    for values in reach(window, "P").values():
        assert max(values) <= 0.0


def test_far_expiries_of_calendars():
    """Near ones 20 to 40 days, far ones 20 to 65 days after them."""
    days = [(expiry - TODAY).days for expiry in chosen("calendar").expiries]
    assert days[0] == 21
    assert max(days) <= 40 + 65
    assert 70 in days


def test_thinning_keeps_round_strikes_and_says_so():
    """Above the limit strikes are thinned evenly; those divisible by ten stay."""
    window = chosen("iron_condor", max_contracts=120)

    assert len(window) <= 120
    assert any("thinned" in note for note in window.notes)
    for expiry in window.expiries:
        puts = [one.strike for one in window.of_expiry(expiry) if one.right == "P"]
        away = [strike for strike in puts if abs(strike - SPOT) > 10.0]
        assert sum(strike % 5.0 == 0.0 for strike in away) >= 0.8 * len(away)
        gaps = np.diff(np.log(puts))
        assert gaps.max() < 4.0 * np.median(gaps)


def test_nothing_in_the_window():
    """It is said which days the strategies wanted."""
    far = PARAMS.model_copy(update={"expiries": (TODAY + dt.timedelta(days=300),)})
    with pytest.raises(EmptyChain, match="iron_condor 25-55"):
        windows.choose([CATALOGUE["iron_condor"]], far, SPOT, TODAY, SIGMA, ScanSettings())


@pytest.mark.parametrize("name", ["iron_condor", "short_put_spread", "short_strangle"])
def test_windows_of_recorded_spy_hold_their_delta_bands(name):
    """Every option of 2025-05-19 whose delta is in a leg's band lies in that strategy's window."""
    file = "tomic_ib_SPY_20250519_2026cest.csv"
    if why := recorded_chains.missing(file):
        pytest.skip(why)
    chain = load_chain(recorded_chains.DATA / file)
    params = OptionParams(
        exchange="SMART",
        trading_class="SPY",
        multiplier=100,
        expiries=chain.expiries,
        strikes=tuple(np.unique(chain["strike"]).tolist()),
    )
    today, template = chain.as_of.date(), CATALOGUE[name]

    window = windows.choose([template], params, chain.spot.price, today, 0.152, ScanSettings())

    asked = set(window)
    held = 0
    for leg in template.legs:
        if not isinstance(leg.pick, DeltaBand):
            continue
        inside = (chain["delta"] >= leg.pick.low) & (chain["delta"] <= leg.pick.high)
        days = (chain["dte"] >= template.dte[0]) & (chain["dte"] <= template.dte[1])
        for row in np.flatnonzero(inside & days & (chain["right"] == leg.right)):
            option = (chain["expiry"][row].item(), float(chain["strike"][row]), leg.right)
            assert option in asked
            held += 1
    assert held > 5
