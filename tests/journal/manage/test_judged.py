"""Each figure of an alternative equals a slow computation that shares none of its code."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from support.journal_entries import EXPIRY, LATER, at, entry, option, trade
from support.journal_market import Quotes
from support.managed_positions import SCRIPTS, attacked_put, calendar, covered, judge, winner
from support.properties import examples
from tomic.journal.manage import advice, orders
from tomic.models.journal import ExitSignal
from tomic.models.moves import MoveKind
from tomic.quant import margin
from tomic.strategies.measures import margin_rules

NODES = 400_000
CENT = 0.01
LOT = 100.0


def fired(rule: str) -> ExitSignal:
    return ExitSignal(rule=rule, fired=True, text="seen")


def _spent(entry) -> float:
    """Cash of the entry's own trades, by hand."""
    net = sum(LOT * one.price for one in entry.trades if one.price is not None)
    fills = [fill for one in entry.trades for fill in one.fills if fill.price is not None]
    return net - sum(fill.quantity * fill.multiplier * fill.price for fill in fills)


def _quote(board, leg):
    """Bid and ask of a leg in the chain."""
    chain = board.chain
    row = np.flatnonzero(
        (chain["expiry"] == np.datetime64(leg.expiry))
        & (chain["strike"] == leg.strike)
        & (chain["right"] == leg.right)
    )
    (row,) = row
    return row, chain["bid"][row], chain["ask"][row]


def _traded(case, move) -> tuple[float, float, float]:
    """Cash at mid, half spreads, contracts."""
    at_mid = half = count = 0.0
    for leg in move.trades:
        if leg.sec_type == "STK":
            at_mid -= leg.quantity * case.board.spot
            continue
        _, bid, ask = _quote(case.board, leg)
        at_mid -= LOT * leg.quantity * (bid + ask) / 2.0
        half += LOT * abs(leg.quantity) * (ask - bid) / 2.0
        count += abs(leg.quantity)
    return at_mid, half, count


def _value(case, legs) -> tuple[float, float]:
    """At mid, and what of it is taken for noise; currency."""
    value = noise = 0.0
    for leg in legs:
        if leg.sec_type == "STK":
            value += leg.quantity * case.board.spot
            continue
        row, bid, ask = _quote(case.board, leg)
        value += LOT * leg.quantity * (bid + ask) / 2.0
        noise += LOT * leg.quantity * case.board.doubted[row]
    return value, noise


def _outcomes(case, move, cash):
    """P&L of the campaign at equally likely prices of the first expiry; in today's money."""
    outlook = case.board.outlooks[move.expiry]
    price = outlook.market.quantile((np.arange(NODES) + 0.5) / NODES)
    return _pnl(case, move, cash, price, outlook), price


def _pnl(case, move, cash, price, outlook, *, discounted=True):
    discount = outlook.discount if discounted else 1.0
    total = np.full(price.shape, cash)
    for leg in move.legs:
        if leg.sec_type == "STK":
            paid = discount * (price - outlook.forward) if discounted else price - case.board.spot
            total += leg.quantity * (paid + case.board.spot)
        elif leg.expiry == move.expiry:
            sign = 1.0 if leg.right == "C" else -1.0
            total += discount * LOT * leg.quantity * np.maximum(sign * (price - leg.strike), 0.0)
        else:
            later = case.board.later(move.expiry, leg.expiry)
            worth = later.value(price, leg.strike, leg.right == "C")
            total += discount * LOT * leg.quantity * worth
    return total


def _assignment_cash(case, move) -> float:
    """What an assignment pays for its shares beside the order."""
    if move.kind is not MoveKind.ASSIGNMENT:
        return 0.0
    return -sum(
        fill.strike * LOT * -fill.quantity for one in case.entry.trades for fill in one.fills
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda one: one.__name__)
def test_every_figure_equals_a_slow_computation(script):
    """Costs, cash, EV, CVaR to the cent; success to .1 points; breakevens and margin exactly."""
    case = judge(*script())
    received = _spent(case.entry)
    held = case.move(MoveKind.HOLD)
    value, _ = _value(case, held.legs)
    now = received + value

    for move in case.moves:
        at_mid, half, count = _traded(case, move)
        cash = received + at_mid - 0.5 * half - 0.65 * count + _assignment_cash(case, move)
        size = LOT * move.structures
        if move.trades and any(leg.sec_type == "OPT" for leg in move.trades):
            assert move.mid == pytest.approx(at_mid / size, abs=1e-9)
            assert move.natural == pytest.approx((at_mid - half) / size, abs=1e-9)
        assert move.spread_cost == pytest.approx(0.5 * half, abs=1e-9)
        assert move.commission == pytest.approx(0.65 * count, abs=1e-9)
        if move.expiry is None:
            assert move.ev == pytest.approx(cash - now, abs=CENT)
            assert move.pos == float(cash > 0.0)
            assert move.cvar95 == pytest.approx(max(now - cash, 0.0), abs=CENT)
            assert move.margin == 0.0
            continue
        pnl, price = _outcomes(case, move, cash)
        _, noise = _value(case, move.legs)
        # Of several expiries P&L is drawn straight between prices: .1 in 1,300.
        is_single = len({leg.expiry for leg in move.legs if leg.expiry}) < 2
        exact = CENT if is_single else 0.1
        assert move.ev == pytest.approx(pnl.mean() - now + noise, abs=exact), move.text
        assert move.pos == pytest.approx((pnl > 0.0).mean(), abs=0.001), move.text
        worst = np.maximum(np.sort(now - pnl)[-NODES // 20 :], 0.0).mean()
        # The slow sum ends where its last price does.
        assert move.cvar95 == pytest.approx(worst, abs=exact, rel=2e-6), move.text
        assert move.ev_change == pytest.approx(move.ev - held.ev, abs=1e-9)
        _check_breakevens(case, move, cash, price)
        _check_margin(case, move)


def _check_breakevens(case, move, cash, price):
    grid = np.linspace(0.25 * case.board.spot, 2.0 * case.board.spot, 700_001)
    outlook = case.board.outlooks[move.expiry]
    pnl = _pnl(case, move, cash, grid, outlook, discounted=False)
    crossing = np.flatnonzero(np.diff(np.sign(pnl)))
    assert len(crossing) == len(move.breakevens), move.text
    assert grid[crossing] == pytest.approx(move.breakevens, abs=0.05), move.text


def _check_margin(case, move):
    """The margin of the alternative is that of the structure it leaves."""
    options = [leg for leg in move.legs if leg.sec_type == "OPT"]
    stock = sum(leg.quantity for leg in move.legs if leg.sec_type == "STK") / LOT
    quotes = [_quote(case.board, leg) for leg in options]
    needed = margin.requirement(
        [leg.strike for leg in options] or [1.0],
        [leg.right == "C" for leg in options] or [True],
        [float(leg.quantity) for leg in options] or [0.0],
        [(bid + ask) / 2.0 for _, bid, ask in quotes] or [0.0],
        spot=case.board.spot,
        tau=[(leg.expiry - move.expiry).days for leg in options] or [0.0],
        stock=stock,
        broad_index=case.board.chain.symbol in case.board.settings.margin.broad_indices,
        rules=margin_rules(case.board.settings, cash=False),
    )
    assert move.margin == pytest.approx(float(needed.requirement), abs=1e-6), move.text


@given(
    quantity=st.integers(1, 5),
    strike=st.sampled_from([570, 580, 590, 600]),
    spot=st.floats(560.0, 610.0),
    spread=st.sampled_from([0.02, 0.10, 0.30]),
)
@examples(12)
def test_closing_and_opening_again_costs_both_sides(quantity, strike, spot, spread):
    """What closing gives away, opening the same again gives away once more: no more, no less."""
    quotes = Quotes(spot=spot, spread=spread, at=at(12))
    one = entry(trade("open", 0, option(-quantity, f"{strike}P", 5.0)), strategy="naked_put")
    case = judge(one, quotes)
    close = case.move(MoveKind.CLOSE)
    (leg,) = close.trades

    again = entry(trade("open", 12, option(-quantity, f"{strike}P", leg.price)))
    other = judge(again, quotes).move(MoveKind.CLOSE)

    there = LOT * close.structures * close.mid - close.spread_cost - close.commission
    back = -LOT * close.structures * close.mid - close.spread_cost - close.commission
    both = 2.0 * (0.5 * LOT * quantity * spread / 2.0 + 0.65 * quantity)
    assert -(there + back) == pytest.approx(both, abs=1e-9)
    assert other.locked_in == pytest.approx(-both / 2.0, abs=1e-9)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda one: one.__name__)
def test_holding_is_the_position_unchanged(script):
    """Nothing is traded, nothing costs, and what is held is what was held."""
    case = judge(*script(), excess=10_000.0)

    hold = case.move(MoveKind.HOLD)

    assert hold.trades == ()
    assert (hold.mid, hold.spread_cost, hold.commission) == (0.0, 0.0, 0.0)
    assert (hold.ev_change, hold.ev_error, hold.fit) == (0.0, 0.0, 1.0)
    assert (hold.delta_change, hold.vega_change, hold.margin_change) == (0.0, 0.0, 0.0)
    assert hold.buying_power_after == 10_000.0
    assert {(leg.quantity, leg.strike, leg.right, leg.expiry) for leg in hold.legs} == {
        (round(leg.quantity), leg.strike, leg.right, leg.expiry) for leg in case.at.held.legs
    }


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda one: one.__name__)
def test_the_error_of_a_difference_is_that_of_the_pair(script):
    """One miss of volatility hits both: the slope is of the difference, the quotes of the order."""
    case = judge(*script(), manage={"only_credit": False})
    received, hold = _spent(case.entry), case.move(MoveKind.HOLD)

    def bumped(move) -> float:
        """d EV per 1 % of volatility, by the slow mean over moved densities."""
        if move.expiry is None:
            return 0.0
        outlook = case.board.outlooks[move.expiry]
        means = []
        for law in outlook.bumped:
            price = law.quantile((np.arange(NODES // 4) + 0.5) / (NODES // 4))
            means.append(_pnl(case, move, received, price, outlook).mean())
        return (means[1] - means[0]) / 4.0

    for move in case.moves:
        traded = [leg for leg in move.trades if leg.sec_type == "OPT"]
        rows = [(leg.quantity, _quote(case.board, leg)[0]) for leg in traded]
        of_quotes = LOT * math.hypot(*(q * case.board.doubt[row] for q, row in rows), 0.0)
        of_density = 28.0 * abs(bumped(move) - bumped(hold))
        expected = math.hypot(of_quotes, of_density)
        assert move.ev_error == pytest.approx(expected, rel=0.01, abs=0.5), move.text
        if move.kind is MoveKind.ROLL:
            apart = 28.0 * math.hypot(bumped(move), bumped(hold))
            assert move.ev_error < 0.5 * apart


def test_buying_power_after_a_close_is_the_margin_less_what_closing_costs():
    """Margin comes back, the debit goes."""
    case = judge(*attacked_put(), excess=1_000.0)

    hold, close = case.move(MoveKind.HOLD), case.move(MoveKind.CLOSE)

    cash = LOT * 2 * close.mid - close.spread_cost - close.commission
    assert close.buying_power_after == pytest.approx(1_000.0 + hold.margin + cash)


def test_locked_in():
    """Closing locks in the whole result, a roll what the campaign has come to on what is closed."""
    case = judge(*attacked_put(), manage={"only_credit": False})
    close, roll = case.move(MoveKind.CLOSE), case.move(MoveKind.ROLL)

    assert close.locked_in == pytest.approx(close.net_credit)
    paid = -2 * LOT * close.mid
    costs = roll.spread_cost + roll.commission
    assert roll.locked_in == pytest.approx(1000.0 - paid - costs)


def test_a_roll_for_a_debit_is_refused_with_its_price():
    """The reason names the debit, unless debits are allowed."""
    one, quotes = attacked_put()

    refused = judge(one, quotes).why_not(MoveKind.TESTED_AWAY)
    allowed = judge(one, quotes, manage={"only_credit": False}).move(MoveKind.TESTED_AWAY)

    assert f"only for a debit of {-allowed.limit:.2f}" in refused
    assert allowed.limit < 0.0


def test_what_has_no_quote_is_refused_and_named():
    """An alternative whose option nobody quotes does not stop the others."""
    one, quotes = attacked_put()
    quotes.missing = frozenset({590.0})

    case = judge(one, quotes)

    assert case.move(MoveKind.HOLD).trades == ()
    assert case.board.chain.multiplier == 100


def test_chance_of_the_target_of_a_winner_is_larger_than_of_a_tested_one():
    """It is that of the campaign: of a debit that was lost already nothing is left to reach."""
    won = judge(*winner(), targets=True).move(MoveKind.HOLD)
    tested = judge(*attacked_put(), targets=True).move(MoveKind.HOLD)

    assert won.p_target is not None and tested.p_target is not None
    assert 0.0 < tested.p_target < won.p_target <= 1.0
    assert judge(*covered(), targets=True).move(MoveKind.HOLD).p_target is not None


# -- which is best -----------------------------------------------------------------------------


def test_holding_wins_ties():
    """No rule fired, every difference lies within its error: holding stands first."""
    for script in SCRIPTS:
        case = judge(*script())
        first = case.moves[0]
        better = [move for move in case.moves if not advice.is_tie(move) and move.ev_change > 0]
        assert first.kind is MoveKind.HOLD or first in better
        assert [move.rank for move in case.moves] == list(range(1, len(case.moves) + 1))


@pytest.mark.parametrize(
    ("rule", "kinds"),
    [
        ("profit_target", {MoveKind.CLOSE}),
        ("stop", {MoveKind.CLOSE}),
        ("min_dte", {MoveKind.CLOSE, MoveKind.ROLL}),
        ("short_strike_breached", {MoveKind.CLOSE, MoveKind.ROLL, MoveKind.TESTED_AWAY}),
    ],
)
def test_what_a_rule_asks_for_comes_first(rule, kinds):
    """The best scored of them, with the rule in its reason; holding is against the rule."""
    case = judge(*attacked_put(), signals=(fired(rule),))

    best = case.moves[0]

    assert best.kind in kinds
    assert best.by_rule
    assert f"{rule}: seen; by your rule" in best.reason
    assert case.move(MoveKind.HOLD).reason == f"against your rule {rule}"
    answering = [move for move in case.moves if move.by_rule]
    assert best.score == max(move.score for move in answering)


def test_of_several_rules_what_all_allow():
    """Few days left and a target reached: a winner is closed, not rolled."""
    case = judge(*attacked_put(), signals=(fired("min_dte"), fired("profit_target")))

    assert [move.kind for move in case.moves if move.by_rule] == [MoveKind.CLOSE]


def test_score_is_that_of_a_scan_per_the_larger_of_both_risks():
    """100 L (w_pos PoS + w_ev n_ev), EV less the robust cost, per CVaR of it or of holding."""
    case = judge(*attacked_put())
    hold, close = case.move(MoveKind.HOLD), case.move(MoveKind.CLOSE)
    score = case.board.settings.score

    n_ev = 1.0 / (1.0 + math.exp(-close.ev / hold.cvar95 / score.ev_scale))
    gross = score.weights.pos * close.pos + score.weights.ev * n_ev

    assert close.score == pytest.approx(100.0 * close.liquidity * gross)


# -- as an order -------------------------------------------------------------------------------


def test_ticket_of_a_roll():
    """Both legs in one order, for the credit of the roll on its tick, as many times as held."""
    case = judge(*attacked_put())
    roll = case.move(MoveKind.ROLL)

    made = orders.ticket(_advice(case), roll)

    assert (made.kind, made.quantity, made.price) == ("roll", 2, roll.limit)
    assert [(leg.quantity, leg.expiry) for leg in made.legs] == [(1, EXPIRY), (-1, LATER)]
    assert made.mid == pytest.approx(roll.mid)
    assert made.natural == pytest.approx(roll.natural)


def test_ticket_of_a_close_with_shares():
    """Its prices are of the options alone."""
    case = judge(*covered())
    close = case.move(MoveKind.CLOSE)

    made = orders.ticket(_advice(case), close)

    assert made.kind == "close"
    assert made.shares == -100
    assert made.with_shares == pytest.approx(close.mid)


def _advice(case):
    from tomic.models.manage import Advice

    return Advice(id="1", symbol="SPY", strategy=case.entry.strategy, as_of=case.board.chain.as_of)


def test_calendar_is_rolled_between_its_expiries():
    """The new front lies before the back, and the back stays."""
    case = judge(*calendar())

    roll = case.move(MoveKind.ROLL)

    assert {leg.expiry for leg in roll.trades if leg.quantity < 0} < {roll.expiry, LATER}
    assert EXPIRY < roll.expiry < LATER
    assert LATER in {leg.expiry for leg in roll.legs}
