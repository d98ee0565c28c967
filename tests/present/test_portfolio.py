"""The review of a book as text: what is unknown is said, and what is not there leaves no trace."""

from __future__ import annotations

import datetime as dt

import pytest

from support import panel_figures as figures
from tomic.config.book import AlertsSettings
from tomic.models.book import SymbolMarket
from tomic.models.review import BetaDelta, Gap, Jump, SymbolBeta, TailRisk, WhatIfMargin
from tomic.portfolio import alerts
from tomic.present import portfolio
from tomic.present.forms import Format
from tomic.workflows.portfolio.review import PortfolioReview


def text(by="strategy", *, spots=(), every_alert=False, totals=None, **changes):
    """The text of the book of `panel_figures` with *changes*."""
    review = figures.book_review()
    if totals is not None:
        changes["totals"] = review.totals.model_copy(update=totals)
    view = PortfolioReview(book=None, review=review.model_copy(update=changes))
    return portfolio.shown(view, Format.TABLE, by, spots=spots, every_alert=every_alert, width=120)


def test_an_empty_book():
    """Nothing held is said; no line about stress, beta, tail or alerts is made up."""
    found = text(structures=(), alerts=(), stress=None, totals={"beta": None, "worst": None})

    assert "no positions that can be shown" in found
    assert not any(one in found for one in ("stress", "beta", "tail", "events", "warn", "ALARM"))


def test_by_symbol():
    """A row for each symbol instead of each strategy."""
    lines = text("symbol").splitlines()

    start = next(n for n, line in enumerate(lines) if line.startswith("symbol"))
    assert [line.split()[0] for line in lines[start + 1 : start + 3]] == ["IWM", "SPY"]
    assert "legs" not in lines[start]


def test_notes_without_a_decision_are_counted_unless_asked_for():
    """One of the three alerts is only information."""
    assert "and 1 note that needs no decision; -v shows it" in text()
    every = text(every_alert=True)
    assert "info   SPY-1: neutral" in every
    assert "no decision" not in every


@pytest.mark.parametrize(
    ("known", "rule", "limit"),
    [
        ({"delta_per_share": 0.2, "vega": 1.0, "iv_rank": 0.2}, "bullish and", "30%"),
        ({"delta_per_share": -0.2, "vega": -1.0, "iv_rank": 0.7}, "bearish and", "60%"),
        ({"delta_value": 20_000.0}, "moves like", "15,000"),
        ({"dte": 3}, "days to expiry", "10"),
    ],
)
def test_a_limit_is_printed_in_its_unit(known, rule, limit):
    """Fractions in per cent, whatever the rule is called; days and money as plain numbers."""
    market = SymbolMarket(symbol="SPY", iv_rank=known.pop("iv_rank", None))
    greeks = {name: known.pop(name) for name in ("vega", "delta_value") if name in known}
    first = figures.book_review().structures[0]
    structure = first.model_copy(update={**known, "greeks": first.greeks.model_copy(update=greeks)})
    fired = tuple(alerts.of_structure(structure, market, AlertsSettings()))

    line = next(one for one in text(alerts=fired, every_alert=True).splitlines() if rule in one)
    assert f"(limit {limit}) ->" in line


def test_the_limit_of_an_entry_is_a_percentage():
    """IV less HV is a fraction, as every volatility is."""
    market = SymbolMarket(symbol="SPY", hv30=0.20)
    fired = tuple(alerts.of_entry("SPY", 0.21, market, AlertsSettings()))

    assert "IV is hardly above HV (+1.0 points) (limit 3%)" in text(alerts=fired, every_alert=True)


def test_several_notes_are_counted():
    """More than one takes the plural."""
    note = figures.book_review().alerts[0]

    assert "and 2 notes that need no decision; -v shows them" in text(alerts=(note, note))


def test_a_beta_without_a_price_of_its_index():
    """The value is known, the number of shares is not; assumed betas are named."""
    assumed = SymbolBeta(symbol="GLD", beta=1.0, error=0.4, n=0)
    beta = BetaDelta(
        benchmark="SPY", delta=None, error=None, delta_value=8734.0, window=252, betas=(assumed,)
    )
    assert (
        "weighted delta +8,734 USD; no price of SPY · betas over 252 days, shrunk, "
        "assumed 1 ± 0.4 for GLD"
    ) in text(totals={"beta": beta})


def test_tail_and_events():
    """Loss of a day, and what earnings and a dividend would do."""
    tail = TailRisk(
        confidence=0.95, days=250, value_at_risk=900.0, cvar=1400.0, worst=2600.0,
        worst_day=dt.date(2026, 4, 3), diversification=0.6, symbols=2, without=("GLD",),
    )  # fmt: skip
    day = dt.date(2026, 12, 3)
    jumps = (
        Jump(symbol="IWM", kind="earnings", day=day, move=0.05, up=200.0, down=-900.0),
        Jump(symbol="SPY", kind="dividend", day=day, move=-0.003, up=None, down=-12.0, note="ex"),
    )
    found = text(spots=(-0.1, 0.0, 0.1), tail=tail, jumps=jumps)

    assert "one day, 95%: VaR 900, CVaR 1,400, worst 2,600 on 2026-04-03" in found
    assert "diversification 0.60; without GLD" in found
    assert "2026-12-03 IWM earnings: +5.0% +200, -5.0% -900" in found
    assert "2026-12-03 SPY dividend: -0.3% -12 (ex)" in found
    assert "stress of book, USD, from the live spot" in found
    assert "stress of" not in text(spots=(0.0,), stress=None)


def test_what_the_figures_lack():
    """Gaps say what they cost, notes follow."""
    gap = Gap(name="XYZ", account="DU1", quantity=-2.0, reason="no quote", missing="greeks")
    found = text(gaps=(gap,), notes=("one rate is of yesterday",))

    assert "  -2 XYZ: no quote (without Greeks and stress)" in found
    assert "notes\n  one rate is of yesterday" in found


def test_the_margin_of_the_broker_beside_ours():
    """Without a margin of our own there is nothing to compare; a warning of TWS is passed on."""
    structures = figures.book_review().structures
    margin = WhatIfMargin(
        account="DU1", order="BAG", initial_change=1500.0, maintenance_change=1200.0, warning="odd"
    )
    ours = sum(one.margin for one in structures)

    beside = portfolio._what_if(margin, structures)
    alone = portfolio._what_if(
        margin, [one.model_copy(update={"margin": None}) for one in structures]
    )

    assert f"ours {ours:,.0f} by itself, difference {1500.0 - ours:+,.0f}" in beside
    assert "ours" not in alone
    assert alone.endswith("; TWS warns: odd")
