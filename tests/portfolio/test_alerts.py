"""Alerts at their thresholds."""

from __future__ import annotations

import datetime as dt

import pytest

from support.made_books import made_book, market
from tomic.config import Settings
from tomic.config.book import AlertsSettings
from tomic.models.review import (
    BookTotals,
    Concentration,
    HeldLeg,
    PortfolioGreeks,
    Severity,
    Structure,
)
from tomic.portfolio import alerts, overview

LIMITS = AlertsSettings()
NEAR = "2026-12-18"


def structure(**more):
    greeks = {
        name: more.pop(name)
        for name in ("vega", "theta", "delta_value", "gamma", "delta")
        if name in more
    }
    return Structure(
        **{
            "id": "SPY-1", "strategy": "short_put", "symbol": "SPY", "account": "U1",
            "source": "match", "quantity": 1.0,
            "legs": (HeldLeg(contract="SPY", quantity=-1.0),),
            "greeks": PortfolioGreeks(**greeks), "dte": 30, **more,
        }
    )  # fmt: skip


def fired(one, **known):
    info = market("SPY", 600.0, **known) if known else None
    return {alert.rule: alert for alert in alerts.of_structure(one, info, LIMITS)}


def test_how_far_a_structure_may_lean_depends_on_the_account():
    """A covered call of 19,047 is 15 % of 123,724 and no alarm there; of 50,000 it is 38 %."""
    covered = structure(delta_value=19_047.0)

    large = [a.rule for a in alerts.of_structure(covered, None, LIMITS, net_liquidation=123_724.0)]
    small = list(alerts.of_structure(covered, None, LIMITS, net_liquidation=50_000.0))
    unknown = [a.rule for a in alerts.of_structure(covered, None, LIMITS)]

    assert large == []
    (alarm,) = small
    assert (alarm.rule, alarm.severity.value, alarm.limit_text) == (
        "delta_share",
        "alarm",
        "limit 25%",
    )
    assert "38% of net liquidation" in alarm.message
    assert unknown == ["delta_dollars_high"]


@pytest.mark.parametrize(
    ("figures", "rule"),
    [
        ({"delta_per_share": 0.30}, "delta_strong"),
        ({"delta_per_share": -0.30}, "delta_strong"),
        ({"delta_per_share": 0.15}, "delta_light"),
        ({"delta_value": 15_001.0}, "delta_dollars_high"),
        ({"delta_value": 2_999.0, "delta_per_share": 0.0}, "delta_dollars_low"),
        ({"vega": 51.0}, "vega"),
        ({"vega": -51.0}, "vega"),
        ({"dte": 9}, "dte"),
        ({"rom": 0.20}, "rom_high"),
        ({"rom": 0.10}, "rom_good"),
        ({"rom": 0.049}, "rom_low"),
        ({"pnl": 71.0, "cost": -100.0, "theta": 1.0}, "take_profit"),
        ({"pnl": -100.01, "theta": 1.0}, "loss"),
    ],
)
def test_fires_at_its_threshold(figures, rule):
    """The original program's thresholds, each with its number and its limit."""
    found = fired(structure(**figures))

    assert rule in found
    one = found[rule]
    assert one.scope == "SPY-1" and one.message and one.advice


@pytest.mark.parametrize(
    ("figures", "rule"),
    [
        ({"delta_per_share": 0.29}, "delta_strong"),
        ({"delta_per_share": 0.14}, "delta_light"),
        ({"delta_value": 15_000.0}, "delta_dollars_high"),
        ({"vega": 50.0}, "vega"),
        ({"dte": 10}, "dte"),
        ({"dte": -1}, "dte"),
        ({"rom": 0.19}, "rom_high"),
        ({"pnl": 70.0, "cost": -100.0, "theta": 1.0}, "take_profit"),
        ({"pnl": 71.0, "cost": -100.0, "theta": -1.0}, "take_profit"),
        ({"pnl": -100.0, "theta": 1.0}, "loss"),
    ],
)
def test_stays_silent_below(figures, rule):
    """One step on the other side of each threshold."""
    assert rule not in fired(structure(**figures))


@pytest.mark.parametrize(
    ("figures", "known", "rule"),
    [
        ({"vega": -31.0}, {"iv_rank": 0.61}, "vega_short_dear"),
        ({"vega": -31.0}, {"iv_rank": 0.29}, "vega_short_cheap"),
        ({"vega": 31.0}, {"iv_rank": 0.29}, "vega_long_cheap"),
        ({"vega": 1.0, "delta_per_share": 0.2}, {"iv_rank": 0.2}, "bullish_long_cheap"),
        ({"vega": -1.0, "delta_per_share": -0.2}, {"iv_rank": 0.7}, "bearish_short_dear"),
        ({"iv": 0.26}, {"hv30": 0.20}, "iv_hv"),
        ({"iv": 0.14}, {"hv30": 0.20}, "iv_hv"),
        ({"iv": 0.20}, {"skew": -0.051}, "skew"),
    ],
)
def test_with_the_market_beside_it(figures, known, rule):
    """What needs IV rank, HV or skew fires with them, and is silent without."""
    one = structure(**figures)

    assert rule in fired(one, **known)
    assert rule not in fired(one)


@pytest.mark.parametrize(
    ("pay", "words"),
    [(0.004, "hardly pays"), (0.014, "pays little"), (0.024, "pays fairly"), (0.025, "pays well")],
)
def test_theta_per_margin_in_four_steps(pay, words):
    """Half, one and a half, and two and a half per cent of margin a day."""
    found = fired(structure(theta_margin=pay, delta_per_share=0.0))

    assert any(words in one.message for one in found.values())


def book_alerts(greeks=None, by_symbol=None, structures=(), shares=(), **totals):
    found = alerts.of_book(
        BookTotals(greeks=greeks or PortfolioGreeks(), **totals),
        by_symbol or {},
        structures,
        shares,
        LIMITS,
    )
    return {one.rule for one in found}


@pytest.mark.parametrize(
    ("more", "rule"),
    [
        ({"greeks": PortfolioGreeks(delta=2501.0)}, "book_delta"),
        ({"greeks": PortfolioGreeks(theta=-0.01)}, "book_theta"),
        ({"greeks": PortfolioGreeks(vega=-100.1)}, "book_vega_short"),
        ({"greeks": PortfolioGreeks(vega=50.1)}, "book_vega_long"),
        ({"greeks": PortfolioGreeks(vega=-5001.0)}, "book_vega_high"),
        ({"greeks": PortfolioGreeks(vega=10_001.0)}, "book_vega_extreme"),
        ({"margin_share": 0.51}, "margin_share"),
        ({"worst_share": 0.101}, "stress_loss"),
        ({"structures": [structure(), structure()]}, "same_strategy"),
    ],
)
def test_book_thresholds(more, rule):
    """Each book threshold fires just beyond its number, and nothing fires for an empty book."""
    assert rule in book_alerts(**more)
    assert book_alerts() == set()


def test_gamma_needs_two_symbols():
    """One symbol with high gamma is no alert, two are; a total is never counted as one."""
    high, low = PortfolioGreeks(gamma=-11.0), PortfolioGreeks(gamma=9.0)

    assert "book_gamma" not in book_alerts(by_symbol={"SPY": high, "QQQ": low})
    assert "book_gamma" in book_alerts(by_symbol={"SPY": high, "QQQ": high})


def share(kind, name, value):
    return Concentration(
        kind=kind, name=name, structures=1, margin=1.0, share=value, delta_value=0.0
    )


def test_concentration_needs_something_to_spread_over():
    """A quarter of the margin in one symbol or sector; a book of one symbol is not told."""
    rest = [share("symbol", "QQQ", 0.1), share("sector", "unknown", 0.9)]

    found = book_alerts(shares=[share("symbol", "SPY", 0.26), *rest])
    assert found == {"symbol_share"}
    assert book_alerts(shares=[share("symbol", "SPY", 1.0)]) == set()


def test_events_within_a_week():
    """Earnings and dividends ahead are named, those later or past are not."""
    rules = {}
    for days in (-1, 0, 7, 8):
        day = dt.date(2026, 11, 20) + dt.timedelta(days=days)
        info = market("SPY", 600.0, next_earnings=day)
        book = made_book(f"-1 SPY 560P {NEAR}", markets={"SPY": info})
        found = overview.review(book, Settings()).alerts
        rules[days] = "earnings" in {one.rule for one in found}

    assert rules == {-1: False, 0: True, 7: True, 8: False}


def assignment(text, symbol="SPY", sec_type="STK", price=600.0, **known):
    info = market(symbol, price, sec_type=sec_type, **known)
    book = made_book(text, markets={symbol: info})
    found = overview.review(book, Settings())
    told = [one.rule for one in found.alerts if one.rule.startswith("assignment")]
    return [one.reason for one in found.assignments], told


def test_short_call_before_its_dividend():
    """In the money with less time value than the dividend: its holder would exercise."""
    dividend = {"next_dividend": dt.date(2026, 12, 10), "dividend_amount": 1.8}

    reasons, told = assignment(f"-1 SPY 500C {NEAR}", **dividend)
    assert reasons == ["dividend"] and told == ["assignment_dividend"]
    assert assignment(f"-1 SPY 640C {NEAR}", **dividend) == ([], [])
    assert assignment(f"+1 SPY 500C {NEAR}", **dividend) == ([], [])
    late = {"next_dividend": dt.date(2026, 12, 21), "dividend_amount": 1.8}
    assert assignment(f"-1 SPY 595C {NEAR}", **late) == ([], [])


def test_deep_in_the_money_and_at_the_end():
    """Five per cent in the money is deep; near the strike on the last days either may happen."""
    assert assignment(f"-1 SPY 640P {NEAR}")[0] == ["deep_in_the_money"]
    assert assignment(f"-1 SPY 620P {NEAR}")[0] == []
    assert assignment("-1 SPY 602P 2026-11-21")[0] == ["expiry"]
    assert assignment("-1 SPY 580P 2026-11-21")[0] == []


def test_index_options_are_not_exercised_early():
    """The same depth in an index option is no assignment risk."""
    text = f"-1 SPX 6600P {NEAR}"

    assert assignment(text, symbol="SPX", sec_type="IND", price=6000.0)[0] == []


def test_american_index_options_are_exercised_for_cash():
    """OEX may be exercised early; what its holder takes is cash, and no shares change hands."""
    info = market("OEX", 3000.0, sec_type="IND")
    book = made_book(f"-1 OEX 3300P {NEAR}", markets={"OEX": info})

    result = overview.review(book, Settings())

    assert [(one.reason, one.in_cash) for one in result.assignments] == [
        ("deep_in_the_money", True)
    ]
    (alert,) = [one for one in result.alerts if one.rule == "assignment_deep_in_the_money"]
    assert "shares" not in alert.advice and "cash" in alert.advice


def test_entry_checks():
    """Selling below HV is advised against, hardly above it is thin."""
    said = {}
    for iv in (0.19, 0.22, 0.24):
        (one,) = alerts.of_entry("SPY", iv, market("SPY", 600.0, hv30=0.20), LIMITS)
        said[iv] = (one.severity, one.advice)

    assert said == {
        0.19: (Severity.WARNING, "do not sell volatility here"),
        0.22: (Severity.INFO, "thin"),
        0.24: (Severity.INFO, "fine"),
    }
    low = market("SPY", 600.0, iv_rank=0.29)
    assert [one.rule for one in alerts.of_entry("SPY", None, low, LIMITS)] == ["entry_iv_rank"]


def test_alarms_come_first():
    """Sorted by what needs a decision, the book before its structures."""
    book = made_book(f"-20 SPY 590P {NEAR}, -20 SPY 610C {NEAR}", net=100_000.0)
    found = overview.review(book, Settings()).alerts
    ranks = [[Severity.ALARM, Severity.WARNING, Severity.INFO].index(x.severity) for x in found]

    assert ranks == sorted(ranks) and found[0].scope == "book"
