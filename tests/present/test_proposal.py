"""One proposal as text: with everything, and with nothing that may be missing."""

from __future__ import annotations

import re

import pytest

from support.made_proposals import bare, calendar, condor_legs, leg, whole
from tomic.models import CurvePoint, PriceSource
from tomic.present.proposal import (
    figures_text,
    order_lines,
    order_text,
    payoff_rows,
    proposal_text,
    score_text,
)


def line(text: str, name: str) -> str:
    """What a figure's line says."""
    (found,) = re.findall(rf"^{re.escape(name)} +(.*)$", text, re.MULTILINE)
    return found


def test_costs_stand_apart_from_prices():
    """Mid, executable and natural are on one footing; commission is taken off once, at the end."""
    text = figures_text(whole())

    assert line(text, "prices") == "+54.50 at mid, +42.60 executable, +30.00 at natural"
    assert line(text, "commission") == "2.60, so +40.00 executable net"
    assert line(text, "costs") == ("14.50 to enter (slippage 11.90), 26.6% of the maximum profit")


def test_buying_power_says_what_it_is_made_of():
    """Margin less credit, or plus debit; cash-secured where that is another amount."""
    assert line(figures_text(whole()), "buying power") == (
        "1,460 (margin 1,500 less credit 40), 56,100 cash-secured"
    )
    assert line(figures_text(bare(margin_cash=1460.0)), "buying power") == (
        "1,460 (margin 1,500 less credit 40)"
    )
    assert line(figures_text(calendar()), "buying power") == "726 (margin 0 plus debit 726)"


def test_one_volatility_with_one_name():
    """The market's to the expiry and IV30 say what they are; no forecast stands beside them."""
    text = figures_text(whole())

    assert line(text, "volatility") == (
        "16.0% implied to 18 Dec over all strikes, IV30 15.8%, IV rank 44%, expected to come "
        "14.9%, two times in three 11.1% to 19.8%"
    )
    assert "forecast" not in text
    assert text.count("16.0%") == 1


@pytest.mark.parametrize(
    ("spot", "said"),
    [
        (590.0, "a short strike is touched: 41.2%"),
        (561.0, "a short strike is touched: 100%, 561P is in the money already"),
        (630.0, "a short strike is touched: 100%, 625C is in the money already"),
    ],
)
def test_a_touch_is_a_sentence(spot, said):
    """What has happened already has no probability."""
    assert line(figures_text(whole(spot=spot)), "touch") == said


def test_everything_known_is_shown():
    """Exits, view, events, size, others of the thesis and the place among its kind."""
    text = proposal_text(whole())

    assert line(text, "managed") == (
        "target +20 71.3%, stop 12.0%, last day 10.2%, expiry 6.5%; 11 days held"
    )
    assert "EV +2.20 ± 0.40 after exit costs, worst 5 % -310 over 4,000 paths" in text
    assert "it cuts the tail and costs its exits: it is no edge" in text.replace("managing ", "")
    assert line(text, "your view") == "volatility × 0.9, drift +2% a year: PoS 86.0%, EV +12.20"
    assert re.findall(r"^event +(.*)$", text, re.M) == [
        "earnings on 3 Dec",
        "ex-dividend on 18 Dec",
    ]
    assert line(text, "size") == (
        "2 structures (by risk 2, margin 5, Kelly 3), limited by risk per trade; buying power "
        "after it 40,321"
    )
    assert line(text, "EV") == "+3.40 ± 2.40, +5.10 at the mid quotes"
    assert line(text, "breakevens") == "560.60, 625.40, the nearest 1.1σ away"
    assert "better than 93% of the day's candidates for iron condor" in text
    assert "128 others of the same thesis passed too" in text
    assert re.search(r"^ 61\.0  short put spread 561P/546P 2026-12-18  2026-12-18 ", text, re.M)
    assert text.splitlines()[0].startswith("20261120-1 · SPY iron condor")


def test_what_is_unknown_makes_no_noise():
    """Nothing stands in for what is missing: no line, no None, no dash."""
    text = proposal_text(bare())

    for name in ("managed", "event", "size", "your view", "touch", "held to expiry"):
        assert not re.search(rf"^{name}", text, re.MULTILINE)
    assert not re.search(r"None|nan|same thesis|better than", text)
    assert "payoff: not available" in text


def test_the_payoff_has_its_kinks_and_two_expected_moves():
    """Strikes and breakevens always, and every half move up to two; nothing beyond."""
    rows = payoff_rows(whole())
    by_name = {row.name: row for row in rows}

    assert [row.price for row in rows] == sorted(row.price for row in rows)
    assert {"546P", "561P", "625C", "640C", "breakeven", "spot", "-2σ", "+2σ"} <= set(by_name)
    assert (rows[0].name, rows[-1].name) == ("-2σ", "+2σ")
    assert rows[-1].price == pytest.approx(590.0 + 2 * 26.2)
    assert by_name["561P"].profit == by_name["625C"].profit == 40.0
    assert by_name["546P"].profit == -1460.0
    assert by_name["breakeven"].profit == 0.0
    # Halfway down from 561 to 546 lies half a move: interpolated between the curve's kinks.
    assert by_name["-1σ"].profit == 40.0


def test_a_peak_between_two_moves_is_a_row():
    """The best of a broken wing butterfly is at one price, and that price is shown."""
    curve = ((241.0, 41.0), (315.0, 41.0), (325.0, 1037.0), (345.0, -956.0), (377.0, -956.0))
    points = tuple(CurvePoint(price=price, profit=profit) for price, profit in curve)
    legs = (leg(1, 315.0, "C"), leg(-2, 325.0, "C"), leg(1, 345.0, "C"))
    made = whole(curve=points, legs=legs, spot=309.1, breakevens=(335.4,), expected_move=34.0)

    assert max(row.profit for row in payoff_rows(made)) == 1037.0


def test_a_kept_proposal_without_its_move_has_one():
    """An older proposal's expected move is that of its volatility."""
    rows = payoff_rows(whole(expected_move=None))

    assert rows[-1].price == pytest.approx(590.0 * (1 + 2 * 0.16 * (28 / 365) ** 0.5), abs=0.01)


def test_a_price_is_from_a_quote():
    """What the program calls true is a quote to everybody else."""
    text = proposal_text(whole())

    assert " quote " in text
    assert "true" not in text
    modelled = condor_legs()[0].model_copy(update={"price_source": PriceSource.MODEL})
    assert " model " in proposal_text(whole(legs=(modelled, *condor_legs()[1:])))


def test_the_order_is_what_one_types():
    """A line per leg with its contract id, and a limit on the tick of the quotes."""
    assert order_lines(whole()) == (
        "BUY  1  SPY 18 Dec 2026 546 PUT  (contract id 1001)",
        "SELL 1  SPY 18 Dec 2026 561 PUT  (contract id 1002)",
        "SELL 1  SPY 18 Dec 2026 625 CALL  (contract id 1003)",
        "BUY  1  SPY 18 Dec 2026 640 CALL  (contract id 1004)",
        "limit 0.55 credit per share (mid 0.545 on a tick of 0.01, as its legs are quoted); "
        "at natural 0.30 credit",
    )


def test_a_limit_is_on_the_nickel_where_quotes_are():
    """0.545 in a class quoted in nickels is typed as 0.55; a calendar as a debit."""
    legs = (*condor_legs()[:3], leg(1, 640.0, "C", bid=0.80, ask=0.90))

    assert "limit 0.55 credit per share (mid 0.545 on a tick of 0.05" in order_text(
        whole(legs=legs)
    )
    assert "limit 7.20 debit per share" in order_text(calendar())


def test_parts_of_a_score_add_up_as_printed():
    """The parts are those of the score."""
    assert score_text(bare()) == "score 63.4 = pos +20.0 ev +43.4"


def test_shares_in_the_order_have_a_limit_of_their_own():
    """A covered call is typed as its call alone, or at a debit with the shares."""
    call = leg(-1, 600.0, "C", bid=4.0, ask=4.1)
    gone = {"sec_type": "STK", "quantity": 100, "right": None, "strike": None, "expiry": None}
    made = bare(legs=(call, call.model_copy(update=gone)), credit_mid=405.0, credit_natural=400.0)

    (*_, shares, limit) = order_lines(made)

    assert shares.startswith("BUY  100  SPY shares")
    assert limit.startswith("limit 4.10 credit per share (mid 4.05 on a tick of 0.10")
    assert limit.endswith("with the shares in one order 585.95 debit")


@pytest.mark.parametrize("width", [60, 80])
def test_figures_fit_the_terminal(width):
    """Long lines go on below their text, and nothing of them is lost."""
    folded, plain = figures_text(whole(), width=width), figures_text(whole())

    assert max(map(len, folded.splitlines())) <= width
    assert folded.split() == plain.split()
