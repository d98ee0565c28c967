"""Figures of a modelled day are those of the kernels of the scan."""

from __future__ import annotations

import functools
from collections import Counter

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from support import made_surfaces, walked
from tomic.config import Settings
from tomic.evidence import candidates, trades, walk
from tomic.evidence.candidates import NOTHING_KNOWN, Calendar, WalkTerms
from tomic.evidence.history import clean, from_series
from tomic.evidence.managed import REASONS
from tomic.evidence.slices import slices
from tomic.evidence.structures import ALL, STRUCTURES
from tomic.quant import black_scholes
from tomic.strategies.catalogue.templates import CATALOGUE

TABLE = walked.table()


@functools.cache
def _plain(of):
    """What the default settings see, once; nobody can write into it."""
    found, opened = _looked_at(walked.SETTINGS, NOTHING_KNOWN, of)
    for column in found:
        if isinstance(column, np.ndarray):
            column.flags.writeable = False
    return found, opened


def looked_at(settings=walked.SETTINGS, calendar=NOTHING_KNOWN, structures=STRUCTURES):
    """The first symbol of the table, and the positions that the walk opens on the same days."""
    if settings is walked.SETTINGS and calendar is NOTHING_KNOWN:
        return _plain(structures)
    return _looked_at(settings, calendar, structures)


def _looked_at(settings, calendar, structures):
    history = clean(TABLE, etfs=("AAA",))[0]
    terms = WalkTerms.of(settings, structures)
    days = walk.entry_days([history])
    found = candidates.look(history, days, terms, Counter(), calendar)
    return found, walk.positions(history, days, terms.walk, Counter(), whole=False)


def test_figures_are_those_of_the_walk():
    """PoS, EV and CVaR agree with the walk's own to what a coarser grid costs."""
    found, opened = looked_at()
    told = trades.promises(opened.smiles, opened.trades, points=4001)

    margin = opened.trades.net_margin
    assert np.abs(found.pos - told.pos).max() < 1e-3
    assert np.abs((found.ev - told.ev) / margin).max() < 2e-4
    rare = told.pos >= 0.95
    assert_allclose(found.tail[~rare], np.maximum(told.cvar, 0.0)[~rare], rtol=2e-3)


def test_a_trusted_view_moves_the_ranking_alone():
    """The market's figures stay; what ranks goes by the view."""
    view = {"AAA": {"volatility": 0.8}, "trust": 1.0}
    plain, _ = looked_at()
    own, _ = looked_at(walked.SETTINGS.model_copy(
        update={"view": Settings(view=view).view}
    ))  # fmt: skip

    assert_array_equal(own.ev, plain.ev)
    assert_array_equal(plain.ranked_ev, plain.ev)
    assert (own.ranked_ev[:, 0] > own.ev[:, 0]).all()


def test_held_and_managed_agree_without_exits():
    """With every exit off nothing is closed early."""
    off = dict.fromkeys(("profit_target", "stop", "min_dte", "earnings_days"), "none")
    found, _ = looked_at(Settings(journal={"exits": off}, backtest={"warm_up": 40}))

    known = ~np.isnan(found.held)
    assert_array_equal(found.managed[known], found.held[known])
    assert (found.leaving == 0.0).all()
    assert (found.reason == 0).all()


def test_min_dte_closes_on_its_first_day():
    """At 21 days to expiry nothing is older than the first trading day from day 9 on."""
    rules = {"profit_target": "none", "stop": "none", "earnings_days": "none"}
    found, _ = looked_at(Settings(journal={"exits": rules}, backtest={"warm_up": 40}))

    closed = found.reason == REASONS.index("min_dte")
    assert closed.mean() > 0.7
    assert set(found.days[closed]) <= {9.0, 10.0, 11.0}


def test_a_report_closes_before_it():
    """Two days before earnings the exit fires, and the next report is known on the day."""
    day = looked_at()[0].day[3]
    reports = Calendar.of([day + 7])
    rules = {"profit_target": "none", "stop": "none", "min_dte": "none", "earnings_days": 2}
    found, _ = looked_at(Settings(journal={"exits": rules}, backtest={"warm_up": 40}), reports)

    assert found.earnings[3] == reports.earnings[0]
    assert set(found.reason[3]) == {REASONS.index("earnings_days")}
    assert set(found.days[3]) <= {5.0, 6.0, 7.0}
    assert np.isnat(found.earnings[-1])


def test_structures_stand_for_strategies():
    """A short put stands for either kind, and every strategy of the catalogue has one."""
    names = [each.name for each in candidates.chosen_structures(["cash_secured_put", "calendar"])]

    assert names == ["short put 20", "calendar"]
    assert len(candidates.chosen_structures([each.strategy for each in STRUCTURES])) == 13
    assert len(candidates.chosen_structures(list(CATALOGUE))) == len(CATALOGUE) - 1


def test_shares_count_beside_their_carry():
    """A covered call brings the call sold and the shares, less what financing them costs."""
    found, opened = looked_at(structures=ALL)
    place = [each.name for each in ALL].index("covered call")
    known = ~np.isnan(opened.terminal)
    strike, end = found.strike[known, place, 0], opened.terminal[known]
    smiles = opened.smiles
    forward, discount = smiles.forward[known], smiles.discount[known]

    exercised = np.maximum(end - strike, 0.0)
    expected = 100.0 * discount * (end - forward - exercised)
    mid = (found.credit + found.costs)[known, place]
    assert_allclose(found.held[known, place], mid + expected, rtol=1e-5)
    paid = 100.0 * found.spot[known] - mid + found.costs[known, place]
    most = 100.0 * strike - paid
    assert_allclose(found.max_profit[known, place], most, rtol=1e-4)
    assert_allclose(found.max_loss[known, place], paid, rtol=1e-6)


def test_a_jade_lizard_loses_nothing_above():
    """Its wing is nearer than what the premiums pay for on a smile that leans to the puts."""
    found, _ = looked_at(structures=ALL)
    place = [each.name for each in ALL].index("jade lizard")

    assert (found.upside[:, place] >= 0.0).mean() > 0.9
    assert_array_equal(np.isinf(found.upside[:, 0]), True)


def test_the_later_leg_is_sold_on_the_surface_of_the_exit_day():
    """A calendar ends at the value of its far option by that evening's volatility and skew."""
    found, opened = looked_at(structures=ALL)
    place = [each.name for each in ALL].index("calendar")
    rows = np.flatnonzero(~np.isnan(found.held[:, place]))
    history, surfaces = opened.history, opened.surfaces
    assert rows.size > 5
    for row in rows.tolist():
        end, strike = opened.end[row], float(opened.trades.legs.strike[row, place, 0])
        last = opened.terminal[row]
        left = (history.day[opened.at[row]] - history.day[end]).astype(float) + found.far_days[row]
        smile = slices(
            np.array([last]), np.array([left]), history.iv(np.array([end]), np.array([left])),
            surfaces.rho[[end]], surfaces.psi, rate=surfaces.rate[[end]], div_yield=0.01,
        )  # fmt: skip
        k = np.log(strike / smile.forward)
        worth = smile.discount * black_scholes.undiscounted(
            smile.forward, strike, smile.iv(k) * np.sqrt(smile.tau), True
        )
        gain = 100.0 * (worth[0] - max(last - strike, 0.0))
        mid = (found.credit + found.costs)[row, place]
        discount = opened.smiles.discount[row]
        assert_allclose(found.held[row, place], mid + discount * gain, rtol=1e-6)
        assert found.final[row, place] >= 2.65


def test_two_expiries_promise_their_costs():
    """What a model of later legs makes by itself is no expected value; the debit is the margin."""
    found, _ = looked_at(structures=ALL)
    names = [each.name for each in ALL]
    for name in ("calendar", "diagonal"):
        place = names.index(name)
        known = ~np.isnan(found.credit[:, place])
        assert known.mean() > 0.5
        assert_allclose(found.ev[known, place], -found.costs[known, place])
        assert (found.max_loss[known, place] <= found.margin[known, place] * 1.02).all()
        assert ((found.pos > 0.1) & (found.pos < 0.9))[known, place].all()


def test_a_history_without_terms_opens_no_calendar():
    """Closes and 30-day volatility say nothing of a second expiry, and the reason is counted."""
    rows = TABLE.symbol == "AAA"
    history = from_series(
        "AAA", TABLE.day[rows], TABLE.close[rows], TABLE.atm_iv[rows], skew=0.03, is_etf=False
    )
    missing = Counter()
    terms = WalkTerms.of(walked.SETTINGS, ALL)
    found = candidates.look(history, walk.entry_days([history]), terms, missing)

    two = np.array([each.has_far for each in ALL])
    assert np.isnan(found.credit[:, two]).all()
    assert not np.isnan(found.credit[:, ~two]).any()
    assert missing[walk.NO_TERM] == found.day.size


OFF = dict.fromkeys(
    ("profit_target", "stop", "min_dte", "earnings_days", "dividend_days"), "none"
) | {"negative_ev": False}  # fmt: skip


def exits_with(calendar=NOTHING_KNOWN, view=None, **rules):
    """What was closed by nothing but *rules*, the opened positions and the place of each name."""
    settings = Settings(
        journal={"exits": OFF | rules, "exits_of": {}}, backtest={"warm_up": 40}, view=view or {}
    )
    found, opened = looked_at(settings, calendar, structures=ALL)
    return found, opened, {each.name: place for place, each in enumerate(ALL)}


def test_a_tested_delta_closes():
    """A short put is left once its delta has grown to the limit, and not before."""
    found, opened, place = exits_with(short_delta=0.45)
    put = place["short put 20"]
    closed = found.reason[:, put] == REASONS.index("short_delta")

    assert 0.0 < closed.mean() < 1.0
    # Near the forward: .45 of delta is close to the money.
    spot = (1.0 + found.exit_move[closed, put]) * found.spot[closed]
    assert_allclose(spot, found.strike[closed, put, 0], rtol=0.03)
    assert opened is not None


def test_levels_of_the_price_close():
    """A trade is left on the first evening under the level."""
    level = float(np.median(TABLE.close[TABLE.symbol == "AAA"]))
    found, _, _ = exits_with(spot_below=level)
    closed = found.reason == REASONS.index("spot_below")
    spot = (1.0 + found.exit_move) * found.spot[:, None]

    assert closed.any()
    assert (spot[closed] < level).all()


def test_volatility_closes():
    """A rise of IV30 since entry by the limit, and an IV rank under its own."""
    found, opened, _ = exits_with(iv_rise=0.01)
    closed = found.reason == REASONS.index("iv_rise")
    iv30 = opened.history.iv30
    days = opened.history.day

    assert closed.any()
    for row, kind in np.argwhere(closed)[:20].tolist():
        at = opened.at[row]
        when = int(np.searchsorted(days, days[at] + int(found.days[row, kind])))
        assert iv30[when] - iv30[at] >= 0.01 - 1e-9
        assert (iv30[at + 1 : when] - iv30[at] < 0.01).all()


def test_an_iv_rank_under_the_limit_closes():
    """It is judged where a year came before; nobody is below 0."""
    table = made_surfaces.rows(("AAA",), 330, seed=4)
    history = clean(table)[0]
    for limit, closes in ((0.9, True), (0.0, False)):
        settings = Settings(
            journal={"exits": OFF | {"iv_rank_below": limit}}, backtest={"warm_up": 40}
        )
        terms = WalkTerms.of(settings, STRUCTURES[:1])
        found = candidates.look(history, walk.entry_days([history]), terms, Counter())
        closed = found.reason == REASONS.index("iv_rank_below")
        assert closed.any() == closes
        assert not closed[found.day < history.day[220]].any()


def test_a_dividend_closes_what_would_be_exercised():
    """Before a large dividend a sold call in the money is left; a put never is."""
    day = looked_at()[0].day[3]
    for amount, closes in ((25.0, True), (0.0, False)):
        calendar = Calendar.of([], [day + 7], [amount])
        found, _, place = exits_with(calendar, dividend_days=2)
        closed = found.reason == REASONS.index("dividend_days")
        assert closed[3, place["straddle"]] == closes
        assert not closed[:, place["short put 20"]].any()
        if closes:
            assert set(found.days[3, closed[3]]) <= {5.0, 6.0, 7.0}


def test_holding_what_a_view_expects_to_lose_closes():
    """Where more volatility is expected than is paid for, a straddle sold is left at once."""
    rules = {"negative_ev": True}
    found, _, place = exits_with(**rules)
    assert not (found.reason == REASONS.index("negative_ev")).any()

    wild = {"AAA": {"volatility": 2.0}, "trust": 1.0}
    found, _, place = exits_with(view=wild, **rules)
    closed = found.reason == REASONS.index("negative_ev")
    assert closed[:, place["straddle"]].all()
    assert not closed[:, place["calendar"]].any()
    assert (found.days[:, place["straddle"]] <= 4.0).all()
