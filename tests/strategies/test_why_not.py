"""What became of a given trade."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pytest

from support import random_chains
from tomic.config import CostsSettings, ScanSettings, Settings
from tomic.errors import ConfigError, UsageError
from tomic.strategies import propose
from tomic.strategies.why_not import explain_trade, parse_trade


@pytest.fixture(scope="module")
def chain():
    return random_chains.chain(5, spot=100.0, sigma=0.40, strikes=41, gaps=False)


@pytest.fixture(scope="module")
def vol(chain):
    return random_chains.snapshot(chain, iv30=0.40, hv30=0.36, iv_rank=0.4)


@pytest.mark.parametrize(
    ("text", "strikes", "days"),
    [
        ("short_put_spread 560/550 2025-06-20", ((560.0, ""), (550.0, "")), ["2025-06-20"]),
        ("Calendar 97.5p 20250620/2025-07-18", ((97.5, "P"),), ["2025-06-20", "2025-07-18"]),
    ],
)
def test_how_trades_are_written(text, strikes, days):
    """Strategy, strikes by leg with or without right, one or two days in either notation."""
    asked = parse_trade(text)
    assert asked.strikes == strikes
    assert asked.expiries == tuple(map(dt.date.fromisoformat, days))


@pytest.mark.parametrize(
    "text", ["", "iron_condor", "naked_put x 2025-06-20", "naked_put 95 soon", "a 1 2025-01-01 b"]
)
def test_what_is_no_trade(text):
    """It is refused with an example of how to write one."""
    with pytest.raises(UsageError, match="write it as in"):
        parse_trade(text)


def test_the_best_trade_has_the_first_place(chain, vol):
    """What propose finds is accepted, is first among its like, and has the same figures."""
    (best, *_) = propose.propose(chain, vol, strategies=["short_put_spread"]).proposals

    review = explain_trade(chain, vol, best.trade)

    assert review.accepted
    assert review.place == 1
    assert review.better is None
    assert review.proposal.score == best.score
    assert review.proposal.legs == best.legs


def test_a_worse_trade_is_shown_its_better(chain, vol):
    """An accepted trade that is not the best gets its place and the best one."""
    (best, *_) = propose.propose(chain, vol, strategies=["naked_put"]).proposals
    strikes = sorted(
        leg for leg in chain["strike"][(chain["dte"] == best.dte) & ~chain.is_call].tolist()
    )
    place = strikes.index(best.legs[0].strike)

    reviews = [
        explain_trade(chain, vol, f"naked_put {strikes[place + step]} {best.expiry}")
        for step in (-1, 1)
    ]

    accepted = [one for one in reviews if one.accepted]
    assert accepted
    for one in accepted:
        assert one.place > 1
        assert one.better.trade == best.trade


def test_gates_days_strikes_and_rules_are_all_named(chain):
    """Everything that refuses a trade is said, not only the first thing."""
    vol = random_chains.snapshot(chain, iv_rank=0.1)
    own = {"short_put_spread": {"gates": ["iv_rank >= 0.3"], "dte": [25, 50]}}
    strict = Settings(scan=ScanSettings(min_pos=0.99), strategies=own)
    day = chain.expiries[1]
    strikes = chain["strike"][(chain["expiry"] == chain["expiry"][-1]) & ~chain.is_call].tolist()
    low, high = strikes[4], strikes[12]

    review = explain_trade(chain, vol, f"short_put_spread {high}/{low} {day}", strict)

    assert not review.accepted
    assert {"gate:iv_rank", "dte", "min_pos"} <= {one.rule for one in review.refusals}
    assert review.proposal is not None
    assert review.place is None


def test_a_trade_that_its_exit_rule_would_close(chain, vol):
    """The days at which ``journal check`` closes a trade are named, beside its window."""
    late = Settings.model_validate({"journal": {"exits": {"min_dte": 32}}})
    puts = chain["strike"][(chain["dte"] == 32) & ~chain.is_call].tolist()
    trade = f"short_put_spread {puts[16]:g}/{puts[12]:g} {chain.expiries[0]}"

    review = explain_trade(chain, vol, trade, late)

    by_rule = {refusal.rule: refusal for refusal in review.refusals}
    assert by_rule["exit_min_dte"].observed == by_rule["exit_min_dte"].limit == 32.0
    assert "exit_min_dte" not in {one.rule for one in explain_trade(chain, vol, trade).refusals}


def test_a_trade_without_net_margin_is_refused_and_described(chain, vol):
    """A credit as large as the width leaves no margin: a return on nothing has no bound."""
    rows = np.flatnonzero((chain["dte"] == 32) & ~chain.is_call)[[14, 18]]
    (low, high), mids = chain["strike"][rows], np.array([2.0, 0.0])
    mids[1] = mids[0] + high - low
    bid, ask = chain["bid"].copy(), chain["ask"].copy()
    bid[rows], ask[rows] = mids - 0.25, mids + 0.25
    free = Settings(costs=CostsSettings(slippage=0.0, commission=0.0))
    trade = f"short_put_spread {high:g}/{low:g} {chain.expiries[0]}"

    review = explain_trade(chain.with_columns(bid=bid, ask=ask), vol, trade, free)

    assert "no_margin" in {refusal.rule for refusal in review.refusals}
    assert review.proposal.margin == 0.0
    assert review.proposal.rom == review.proposal.rom_30d == math.inf
    assert review.model_dump_json()


def test_legs_the_template_does_not_want(chain, vol):
    """The words say what each leg is and what the template wants of it."""
    day = chain.expiries[0]
    strikes = chain["strike"][(chain["dte"] == 32) & ~chain.is_call].tolist()

    review = explain_trade(chain, vol, f"short_put_spread {strikes[30]}/{strikes[2]} {day}")

    (fault,) = [one for one in review.refusals if one.rule == "template"]
    assert "delta -0.35 to -0.15" in fault.message
    assert "sigma" in fault.message


def test_options_that_are_not_in_the_chain(chain, vol):
    """They are no data, which is something else than failing a rule."""
    for text in (f"naked_put 12.5 {chain.expiries[0]}", "naked_put 95 2030-01-18"):
        review = explain_trade(chain, vol, text)
        (missing,) = review.refusals
        assert (missing.rule, missing.kind) == ("not_in_chain", "no_data")
        assert not review.accepted


def test_tied_strikes_may_be_left_out(chain, vol):
    """A butterfly can be written with three strikes or with four, a calendar with one."""
    for name in ("iron_butterfly", "calendar"):
        (best, *_) = propose.propose(
            chain, vol.model_copy(update={"iv_rank": None}), strategies=[name]
        ).proposals
        strikes = dict.fromkeys(leg.strike for leg in best.legs)
        right = "" if name == "iron_butterfly" else best.legs[0].right
        short = "/".join(f"{strike:g}{right}" for strike in strikes)
        days = "/".join(dict.fromkeys(str(leg.expiry) for leg in best.legs))

        review = explain_trade(chain, random_chains.snapshot(chain), f"{name} {short} {days}")

        assert [leg.strike for leg in review.proposal.legs] == [leg.strike for leg in best.legs]


def test_unknown_strategies_and_missing_strikes(chain, vol):
    """They are errors of the one who asks."""
    day = chain.expiries[0]
    with pytest.raises(ConfigError, match="did you mean"):
        explain_trade(chain, vol, f"short_put_spred 95/90 {day}")
    with pytest.raises(UsageError, match="2 strikes, short_put/long_put"):
        explain_trade(chain, vol, f"short_put_spread 95 {day}")
    with pytest.raises(UsageError, match="two expiries"):
        explain_trade(chain, vol, f"calendar 95 {day}")
