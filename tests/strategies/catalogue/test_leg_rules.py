"""Gates: how they are read, and what they make of a snapshot."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest

from tomic.config import AccountSettings, ScanSettings, Settings
from tomic.models import Underlying, VolSnapshot
from tomic.strategies import rules
from tomic.strategies.catalogue.leg_rules import GATE_FIGURES, days_to_earnings, figure, parse_gate
from tomic.strategies.catalogue.templates import CATALOGUE, choose

AS_OF = dt.datetime(2026, 3, 2, 15, 0, tzinfo=dt.UTC)


def snapshot(**figures):
    return VolSnapshot(symbol="SPY", as_of=AS_OF, **figures)


@pytest.mark.parametrize(
    ("text", "value", "holds"),
    [
        ("iv_rank >= 0.5", 0.5, True),
        ("iv_rank > .5", 0.5, False),
        ("term_m1_m2 >= -0.01", -0.02, False),
        ("iv_minus_hv > 0", 0.01, True),
        ("days_to_earnings >= 14", 13.0, False),
        ("skew<=1e-2", 0.01, True),
        ("vix < 30", 31.0, False),
    ],
)
def test_conditions(text, value, holds):
    """Four comparisons, numbers in any notation, blanks or none."""
    assert parse_gate(text).holds(value) is holds


def test_absolute_value():
    """A skew of -9 % does not satisfy abs(skew) <= 0.08."""
    gate = parse_gate("abs(skew) <= 0.08")

    assert gate.observed(snapshot(skew=-0.09)) == 0.09
    assert not gate.holds(0.09)
    assert str(gate) == "abs(skew) <= 0.08"


@pytest.mark.parametrize(
    "text", ["", "iv_rank", "iv_rank = 1", "rank > 1", "iv_rank >= x", "1 < 2"]
)
def test_no_gate(text):
    """What is no condition on a known figure is refused."""
    with pytest.raises(ValueError, match=r"unknown|no gate"):
        parse_gate(text)


@pytest.mark.parametrize("name", GATE_FIGURES)
def test_every_name_can_be_asked(name):
    """An empty snapshot knows nothing, whatever is asked."""
    assert figure(snapshot(), name) is None


def test_derived_figures():
    """IV less HV, and days to earnings that have not passed."""
    assert figure(snapshot(iv30=0.25, hv30=0.20), "iv_minus_hv") == pytest.approx(0.05)
    assert days_to_earnings(snapshot(next_earnings=dt.date(2026, 3, 16))) == 14.0
    assert days_to_earnings(snapshot(next_earnings=dt.date(2026, 3, 1))) is None


@pytest.mark.parametrize(("vix", "open_"), [(0.29, True), (0.31, False)])
def test_vix_is_asked_in_points(vix, open_):
    """Snapshots hold .31 for a VIX of 31; a gate is written in points."""
    condor = dataclasses.replace(CATALOGUE["iron_condor"], gates=("vix < 30",))

    result = rules.gate(condor, snapshot(vix=vix))

    assert result.passed is open_
    assert [refusal.observed for refusal in result.reasons] == ([] if open_ else [31.0])


RANKED = dataclasses.replace(
    CATALOGUE["iron_condor"], gates=("iv_rank >= 0.5", "abs(skew) <= 0.08")
)
"""A condor whose gates ask for a rich volatility, as the settings may say."""


def test_refusal_carries_numbers():
    """Which gate, what was observed, what the limit is."""
    result = rules.gate(RANKED, snapshot(iv_rank=0.31, skew=-0.10))

    assert not result.passed
    assert [(one.rule, one.observed, one.limit) for one in result.reasons] == [
        ("gate:iv_rank", 0.31, 0.5),
        ("gate:skew", 0.10, 0.08),
    ]
    assert all(one.kind == "rule" for one in result.reasons)


def test_unknown_does_not_refuse():
    """It is said instead."""
    result = rules.gate(RANKED, snapshot())

    assert result.passed
    assert result.unknown == ("IV rank unknown", "skew unknown")


def test_earnings():
    """Too near is refused; an unknown date is said where it would matter."""
    settings = Settings(scan=ScanSettings(min_days_to_earnings=14))
    soon = snapshot(iv_rank=0.6, skew=0.0, next_earnings=dt.date(2026, 3, 10))

    refused = rules.gate(CATALOGUE["iron_condor"], soon, settings)
    unknown = rules.gate(CATALOGUE["iron_condor"], snapshot(iv_rank=0.6, skew=0.0), settings)

    assert [one.rule for one in refused.reasons] == ["min_days_to_earnings"]
    assert unknown.passed
    assert unknown.unknown == ("earnings unknown",)


@pytest.mark.parametrize(
    ("underlying", "said"),
    [
        ({"sec_type": "STK", "stock_type": "ETF"}, ("skew unknown",)),
        ({"sec_type": "IND"}, ("skew unknown",)),
        ({"sec_type": "STK", "stock_type": "COMMON"}, ("earnings unknown", "skew unknown")),
        ({"sec_type": "STK"}, ("earnings unknown", "skew unknown")),
    ],
)
def test_what_reports_no_earnings_has_none_to_know(underlying, said):
    """The date of a fund or an index is not unknown, there is none."""
    own = Underlying(symbol="XYZ", con_id=1, **underlying)

    assert rules.of_interest(("earnings unknown", "skew unknown"), own) == said


@pytest.mark.parametrize(("days", "passes"), [(2, False), (3, True)])
def test_earnings_that_the_exit_rules_close_for(days, passes):
    """What ``journal check`` would close on its first day is not searched; by choice it is."""
    soon = snapshot(skew=0.0, next_earnings=dt.date(2026, 3, 2) + dt.timedelta(days=days))
    loose = Settings(scan=ScanSettings(keep_to_exits=False))

    result = rules.gate(CATALOGUE["iron_condor"], soon)

    assert result.passed is passes
    expected = [] if passes else [("exit_earnings_days", days, 2.0)]
    assert [(one.rule, one.observed, one.limit) for one in result.reasons] == expected
    assert rules.gate(CATALOGUE["iron_condor"], soon, loose).passed


def test_a_window_that_ends_before_the_exit_rule():
    """A strategy that is closed at 60 days cannot be opened within 30 to 60."""
    late = Settings.model_validate({"journal": {"exits": {"min_dte": 60}}})
    (condor,) = choose(late, "iron_condor")

    (refusal,) = rules.gate(condor, snapshot(skew=0.0), late).reasons

    assert (refusal.rule, refusal.limit) == ("exit_min_dte", 60.0)


def test_credits_and_widths():
    """Which strategies are entered to be paid, and which of all have a width to pay for."""
    paid = {name for name, template in CATALOGUE.items() if template.receives_credit}
    wide = {name for name, template in CATALOGUE.items() if template.has_width}

    assert paid == {
        "iron_condor", "iron_butterfly", "short_put_spread", "short_call_spread", "naked_put",
        "cash_secured_put", "covered_call", "short_strangle", "short_straddle", "jade_lizard",
    }, "of a new strategy say here whether it is entered to be paid"  # fmt: skip
    assert paid & wide == {
        "iron_condor", "iron_butterfly", "short_put_spread", "short_call_spread",
    }  # fmt: skip


def test_cash_account_refuses_undefined_risk():
    """Strangles have it; a naked put is a cash-secured one there; spreads stay."""
    cash = Settings(account=AccountSettings(margin="cash"))
    refused = {
        name
        for name, template in CATALOGUE.items()
        if not rules.gate(template, snapshot(), cash).passed
    }
    expected = {"short_strangle", "short_straddle", "ratio_spread", "naked_put"}
    assert refused == expected, "of a new strategy say here whether its risk is undefined"
