"""What managing a proposal brings: the journal's exits over simulated paths."""

from __future__ import annotations

import dataclasses
import datetime as dt
from itertools import groupby

import numpy as np
import pytest

from support import random_chains, recorded_chains
from tomic.config import Settings
from tomic.config.book import ExitSettings
from tomic.files import load_chain
from tomic.journal import exits
from tomic.quant import paths
from tomic.strategies import managed, propose, search
from tomic.strategies.catalogue.templates import CATALOGUE
from tomic.strategies.pricing import board as boards

SPY = "tomic_ib_SPY_20250519_2026cest.csv"
SELLERS = (
    "short_put_spread", "short_call_spread", "iron_condor", "short_strangle", "naked_put",
    "cash_secured_put", "covered_call", "jade_lizard",
)  # fmt: skip
NEVER = {
    "profit_target": None,
    "stop": None,
    "min_dte": None,
    "earnings_days": None,
    "dividend_days": None,
    "negative_ev": False,
}


def hits(chain, names=SELLERS, **figures):
    vol = random_chains.snapshot(chain, iv30=0.4, hv30=0.38, iv_rank=0.5)
    board = boards.prepare(chain, vol.model_copy(update=figures), Settings())
    return search.search(board, [CATALOGUE[name] for name in names]).hits


def ruled(found, **rules):
    """The same trades where every strategy has these exits and no others."""
    board = found[0].board
    journal = board.settings.journal.model_copy(
        update={"exits": ExitSettings(**(NEVER | rules)), "exits_of": {}}
    )
    settings = board.settings.model_copy(update={"journal": journal})
    changed = dataclasses.replace(board, settings=settings)
    return [dataclasses.replace(hit, board=changed) for hit in found]


def by_expiry(found):
    """Trades with the plans and paths of their first expiry."""
    ordered = sorted(found, key=lambda hit: hit.expiries[0])
    for _, members in groupby(ordered, key=lambda hit: hit.expiries[0]):
        group = list(members)
        yield group, managed.prepare(group, [0.0] * len(group))


@pytest.fixture(scope="module")
def share():
    """A share at 100 with 40 % volatility, expiries of 32 and 60 days, quotes a cent or two."""
    return random_chains.chain(5, spot=100.0, sigma=0.40, strikes=41, gaps=False, sec_type="STK")


@pytest.fixture(scope="module")
def found(share):
    """Its best trade of every seller's strategy and expiry."""
    return hits(share)


@pytest.fixture(scope="module")
def spy():
    if not (recorded_chains.DATA / SPY).exists():
        pytest.skip("recorded chains are not here")
    return hits(load_chain(recorded_chains.DATA / SPY))


def test_without_exits_it_is_held_to_expiry(share):
    """With every exit off nothing is closed, and EV is that of holding under the market."""
    everything = ruled(hits(share, tuple(CATALOGUE)))

    for group, ready in by_expiry(everything):
        for hit, plan, result in zip(group, ready.plans, managed.outcomes(group), strict=True):
            assert result.p_expiry == 1.0
            assert result.days == hit.board.outlooks[hit.expiries[0]].dte
            mean = ready.paths.at(plan.gain, plan.last, np.arange(paths.PATHS)).mean()
            assert mean == pytest.approx(plan.hold, abs=0.005 * hit.margin)
            assert result.ev == pytest.approx(plan.hold)
            assert result.target is None


def test_exits_cost_what_closing_costs(found):
    """Managed EV is that of holding less closing costs: an exit is no edge."""
    for group, ready in by_expiry(found):
        for plan, result in zip(ready.plans, managed.outcomes(group), strict=True):
            paid = (plan.hold - result.ev) / (1.0 - result.p_expiry)

            assert plan.cost.min() - 0.01 <= paid <= plan.cost.max() + 0.01


def test_closing_costs_what_entering_costs(found):
    """Closing gives away the same share of the half-spreads, and the same commission."""
    for group, ready in by_expiry(found):
        for hit, plan in zip(group, ready.plans, strict=True):
            proposal = propose.proposals.describe(search.Contender(hit))

            entering = proposal.credit_mid - proposal.net_credit
            assert plan.cost[0] == pytest.approx(entering, rel=1e-3)


def test_what_is_simulated_is_what_the_journal_checks(found):
    """On every day and at every price the plan closes exactly where `journal check` says ACT."""
    rules = {
        "profit_target": 0.4, "stop": 1.5, "min_dte": 12, "max_days_in_trade": 18,
        "spot_below": 88.0, "spot_above": 115.0, "short_strike_breached": True, "earnings_days": 2,
    }  # fmt: skip
    board = found[0].board
    report = board.chain.as_of.date() + dt.timedelta(days=14)
    vol = board.vol.model_copy(update={"next_earnings": report})
    board = dataclasses.replace(board, vol=vol)
    trades = ruled([dataclasses.replace(hit, board=board) for hit in found], **rules)
    reasons = set()

    for group, ready in by_expiry(trades):
        law = paths.law(
            board.spot,
            [board.outlooks[day].market for day in board.outlooks if day <= group[0].expiries[0]],
            np.array([*ready.elapsed[: ready.plans[0].last + 1] / 365.0]),
        )
        for hit, plan in zip(group, ready.plans, strict=True):
            for day in range(plan.last + 1):
                for node in range(60, 200, 4):
                    seen = _observed(hit, plan, report, int(ready.elapsed[day]), day, node, law)
                    fired = {
                        signal.rule
                        for signal in exits.evaluate(
                            hit.board.settings.journal.exits_for(hit.template.name), seen
                        )
                        if signal.fired
                    }
                    watched = plan.watched[day, node]
                    closes = (
                        watched >= plan.target
                        or watched <= plan.stop
                        or plan.breach[day, node] >= 0.0
                        or day == plan.last
                    )
                    assert closes == bool(fired), (hit.template.name, day, node, fired)
                    reasons |= fired

    # Whichever day is reached first ends them all.
    assert reasons >= {"profit_target", "stop", "spot_below", "spot_above", "earnings_days"}


def _observed(hit, plan, report, number, day, node, law):
    """What the journal would see of the trade on that day."""
    board, first = hit.board, hit.board.outlooks[hit.expiries[0]]
    today = board.chain.as_of.date()
    shorts = tuple(
        exits.ShortLeg(leg.name, float(board.strike[row]), leg.right == "C", hit.expiries[0])
        for row, leg in zip(hit.rows, hit.template.legs, strict=True)
        if leg.quantity < 0
    )
    credit, _, commission = managed.measures.credits(managed.batch_of(hit), board)
    return exits.Observed(
        day=today + dt.timedelta(days=number),
        opened=today,
        dte=first.dte - number,
        pnl=float(plan.watched[day, node]),
        premium=float(credit[0] + commission[0]),
        spot=float(law.price[day, node]),
        shorts=shorts,
        earnings=report,
    )


def test_only_trading_days_close_a_trade(found):
    """Days are those on which New York trades: no weekend, no Good Friday."""
    for _, ready in by_expiry(ruled(found, min_dte=None)):
        days = [
            found[0].board.chain.as_of.date() + dt.timedelta(days=int(number))
            for number in ready.elapsed[:-1]
        ]

        assert all(day.weekday() < 5 for day in days)
        assert dt.date(2026, 4, 3) not in days
        assert days[0] == dt.date(2026, 3, 3)


def test_credit_that_is_not_trusted_is_taken_off(found):
    """What EV takes off the quotes' credit comes off managed EV and tail, not off the target."""
    plain, less = managed.outcomes(found), managed.outcomes(found, [-5.0] * len(found))

    for before, after in zip(plain, less, strict=True):
        assert after.ev == pytest.approx(before.ev - 5.0)
        assert after.tail == pytest.approx(before.tail - 5.0)
        assert after.target == before.target
        assert after.p_target == before.p_target


@pytest.mark.parametrize("where", ["found", "spy"])
def test_within_half_a_point_of_many_plain_paths(where, request):
    """Within .5 points of 200,000 pseudo-random paths, EV within .5 % of margin."""
    rng = np.random.default_rng(11)

    for group, ready in by_expiry(request.getfixturevalue(where)):
        cells = _plain_paths(group[0], ready, rng)
        for hit, plan, result in zip(group, ready.plans, managed.outcomes(group), strict=True):
            target, stop, ev = _plainly(plan, *cells)
            assert result.p_target == pytest.approx(target, abs=0.005), hit.template.name
            assert result.p_stop == pytest.approx(stop, abs=0.005), hit.template.name
            assert abs(result.ev - ev) / hit.margin <= 0.005, hit.template.name


def _plain_paths(hit, ready, rng, count=200_000):
    """Scores of paths, day by day from independent normal moves."""
    board, near = hit.board, hit.expiries[0]
    earlier = [outlook for day, outlook in board.outlooks.items() if day <= near]
    tau = np.minimum(ready.elapsed / 365.0, earlier[-1].tau)
    time = [0.0, *(outlook.tau for outlook in earlier)]
    spread = [0.0, *(outlook.market.std_log**2 for outlook in earlier)]
    variance = np.interp(tau, time, spread)
    moves = rng.standard_normal((count, tau.size)) * np.sqrt(np.diff(variance, prepend=0.0))
    return np.cumsum(moves, axis=1) / np.sqrt(variance), count


def _plainly(plan, scores, count):
    """P(target), P(stop) and EV, path by path in the plainest way."""
    grid, day = paths.score(), np.full(count, plan.last)
    state = np.zeros(count, dtype=int)
    for today in range(plan.last + (not plan.expires)):
        value = np.interp(scores[:, today], grid, plan.watched[today])
        open_ = state == 0
        stopped, won = open_ & (value <= plan.stop), open_ & (value >= plan.target)
        state[won], state[stopped] = 1, 2
        day[won | stopped] = today
    gain = np.zeros(count)
    for today in np.unique(day):
        at = day == today
        gain[at] = np.interp(scores[at, today], grid, plan.gain[today])
    closed = (state != 0) | (not plan.expires)
    ev = plan.hold - (plan.cost[day] * closed).mean()
    return (state == 1).mean(), (state == 2).mean(), ev


def test_shown_proposals_are_managed(share):
    """Every proposal of a scan, and a trade that is asked about, says what managing it brings."""
    vol = random_chains.snapshot(share, iv30=0.4, hv30=0.38, iv_rank=0.5, skew=-0.02)

    result = propose.propose(share, vol, strategies=SELLERS, top=4)
    judged = propose.explain_trade(share, vol, result.proposals[0].trade)

    for proposal in result.proposals:
        outcome = proposal.managed
        assert outcome.target == pytest.approx(0.5 * proposal.credit, 1e-6)
        assert outcome.paths == paths.PATHS
    assert judged.proposal.managed == result.proposals[0].managed
