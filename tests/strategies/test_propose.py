"""Proposals: pure, complete, explained."""

from __future__ import annotations

import dataclasses
import datetime as dt
import gc
import math
import random
import tracemalloc
import weakref
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.testing import assert_allclose

from support import random_chains, recorded_chains
from tomic.config import AccountSettings, CostsSettings, ScanSettings, ScoreWeights, Settings, View
from tomic.errors import ConfigError, UsageError
from tomic.files import load_chain
from tomic.models import PriceSource, VolSnapshot
from tomic.quant import density, payoff, probability
from tomic.strategies import candidates, measures, proposals, propose, search, thesis, why_not
from tomic.strategies.catalogue import templates
from tomic.strategies.catalogue.templates import CATALOGUE, choose
from tomic.strategies.measures import Batch
from tomic.strategies.pricing import board as boards, outlooks
from tomic.strategies.proposals import prospect
from tomic.strategies.propose import walk, walk_each_strategy
from tomic.strategies.scoring import PortfolioFit
from tomic.strategies.search import Contender, Hit

SPY = "tomic_ib_SPY_20250519_2026cest.csv"
INSIDE = {
    "cheap": {"iv_rank": 0.4, "skew": -0.02, "term_m1_m2": 0.0},
    "rich": {"iv_rank": 0.6, "skew": -0.02, "term_m1_m2": 0.0},
}
"""Snapshots that lie inside the gates of one or the other half of the catalogue."""


@pytest.fixture(scope="module")
def plain():
    """S = 100, volatility 40 %, strikes a point or two apart, 32 and 60 days."""
    return random_chains.chain(5, spot=100.0, sigma=0.40, strikes=41, gaps=False)


@pytest.fixture(scope="module")
def share():
    """The same of a share: strategies that hold shares cannot be had on an index."""
    return random_chains.chain(5, spot=100.0, sigma=0.40, strikes=41, gaps=False, sec_type="STK")


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_strategy_gives_proposals(plain, share, name):
    """With a snapshot inside its gate every strategy finds trades at S = 100, IV 40 %."""
    mood = "cheap" if any("<= 0.5" in gate for gate in CATALOGUE[name].gates) else "rich"
    chain = share if CATALOGUE[name].stock else plain
    vol = random_chains.snapshot(chain, iv30=0.40, hv30=0.38, **INSIDE[mood])

    found = propose.propose(chain, vol, strategies=[name])

    assert found.proposals
    assert not found.gated
    for one in found.proposals:
        assert one.strategy == name
        assert 0.0 < one.score < 100.0
        assert one.margin > 0.0


@pytest.mark.parametrize("name", ["covered_call", "collar"])
def test_no_shares_of_an_index(plain, name):
    """What holds shares is refused on an index, by the chain and before one is asked for."""
    vol = random_chains.snapshot(plain, iv30=0.40, hv30=0.38, **INSIDE["rich"])

    result = propose.propose(plain, vol, strategies=[name])
    gated = propose.open_gates(vol.model_copy(update={"symbol": "VIX"}), Settings(), [name])
    text = {"covered_call": "covered_call 105", "collar": "collar 95/105"}[name]
    judged = propose.explain_trade(plain, vol, f"{text} {plain.expiries[0]}")

    assert not result.proposals
    assert [refusal.rule for refusal in result.gated] == ["settled_in_cash"]
    assert gated.templates == ()
    assert [refusal.rule for refusal in gated.refused] == ["settled_in_cash"]
    assert not judged.accepted
    assert "settled_in_cash" in {refusal.rule for refusal in judged.refusals}


@pytest.mark.parametrize("symbol", ["VIX", "RUT", "SPX", "XSP", "NDX", "SPY"])
def test_who_has_shares(symbol):
    """Every index that is known, by its own name, has none; a fund on one of them has."""
    vol = VolSnapshot(symbol=symbol, as_of=dt.datetime(2026, 11, 20, 20, 0, tzinfo=dt.UTC))
    every = Settings(scan=ScanSettings(profile="all"))

    gated = propose.open_gates(vol, every)

    refused = {one.strategy for one in gated.refused if one.rule == "settled_in_cash"}
    with_shares = {name for name, template in CATALOGUE.items() if template.stock}
    assert refused == (set() if symbol == "SPY" else with_shares)


def test_same_input_same_bytes(plain):
    """Two runs give byte-identical JSON, and so do shuffled rows."""
    vol = random_chains.snapshot(plain, iv30=0.40, hv30=0.36)
    first = propose.propose(plain, vol).model_dump_json()

    again = propose.propose(plain, vol).model_dump_json()
    order = np.random.default_rng(0).permutation(len(plain))
    shuffled = dataclasses.replace(
        plain, columns={name: column[order] for name, column in plain.columns.items()}
    )

    assert again == first
    assert propose.propose(shuffled, vol).model_dump_json() == first


def test_at_most_five_over_all_candidates(plain):
    """Five, ranked, the best of everything that passed."""
    vol = random_chains.snapshot(plain, iv30=0.40, hv30=0.36)

    found = propose.propose(plain, vol)

    assert [one.rank for one in found.proposals] == [1, 2, 3, 4, 5]
    scores = [one.score for one in found.proposals]
    assert scores == sorted(scores, reverse=True)
    assert found.considered == found.passed + sum(one.count for one in found.rejected)
    assert "no portfolio known: fit counts 1" in found.notes


def test_parts_add_up_as_printed(plain):
    """Rounded parts sum to the rounded score, to the last digit."""
    vol = random_chains.snapshot(plain, iv30=0.40, hv30=0.36)

    for one in propose.propose(plain, vol, top=40).proposals:
        for digits in (0, 1, 2):
            total = sum(part.points for part in one.printed_parts(digits))
            assert round(total, digits) == round(one.score, digits)


def test_figures_hang_together(plain):
    """Credit, costs, margin and P&L curve of each proposal tell one story."""
    vol = random_chains.snapshot(plain, iv30=0.40, hv30=0.36)

    for one in propose.propose(plain, vol, top=40).proposals:
        options = [leg for leg in one.legs if leg.sec_type == "OPT"]
        contracts = sum(abs(leg.quantity) for leg in options)
        mid = -100.0 * sum(leg.quantity * leg.price for leg in options)
        assert one.credit_mid == pytest.approx(mid)
        assert one.commission == pytest.approx(0.65 * contracts)
        slipped = (one.credit_mid - one.credit_natural) / 2.0
        assert one.credit == pytest.approx(one.credit_mid - slipped)
        assert one.margin == pytest.approx(one.margin_requirement - one.net_credit)
        assert one.rom_30d == pytest.approx(one.rom * 30.0 / one.dte)
        profits = [point.profit for point in one.curve]
        assert max(profits) <= one.max_profit + 1e-6
        assert -min(profits) <= one.max_loss + 1e-6
        for price in one.breakevens:
            assert np.interp(price, [point.price for point in one.curve], profits) == pytest.approx(
                0.0, abs=1e-3 * max(profits)
            )


def test_margin_of_defined_risk(plain):
    """Net margin of a put spread is its largest loss, as a broker prints both."""
    vol = random_chains.snapshot(plain, iv30=0.40, hv30=0.36)

    (one, *_) = propose.propose(plain, vol, strategies=["short_put_spread"]).proposals

    short, long = one.legs
    assert one.margin_requirement == pytest.approx(100.0 * (short.strike - long.strike))
    assert one.max_loss == pytest.approx(one.margin)
    assert one.max_profit == pytest.approx(one.net_credit)
    assert one.breakevens == pytest.approx([short.strike - one.net_credit / 100.0])


@given(slippage=st.floats(0.0, 1.0), commission=st.floats(0.0, 5.0))
def test_credits_stand_on_one_footing(plain, slippage, commission):
    """Natural <= executable <= mid, whatever the commission, which is in none of them."""
    costs = CostsSettings(slippage=slippage, commission=commission)
    board = boards.prepare(plain, random_chains.snapshot(plain), Settings(costs=costs))
    pair = (plain.expiries[0], None)
    batch = Batch.of([candidates.build(CATALOGUE["short_put_spread"], board, pair)])

    made = measures.measure(batch, board)

    gross = made.credit + made.commission
    assert (made.credit_natural <= gross + 1e-9).all()
    assert (gross <= made.credit_mid + 1e-9).all()
    assert_allclose(made.commission, 2.0 * commission)


def test_market_density_gives_no_expected_value():
    """At mid, EV under the market density is the sum of mid-less-smile residuals: an identity."""
    chain = random_chains.chain(11, strikes=21, gaps=False, spread=0.2)
    board = boards.prepare(chain, random_chains.snapshot(chain), Settings())
    for template in CATALOGUE.values():
        for variant in template.variants:
            for pair in candidates.expiries(variant, board):
                built = candidates.build(variant, board, pair)
                if not len(built):
                    continue
                batch = Batch.of([built])
                _, at_mid, _ = measures.credits(batch, board)
                form = measures.shape(batch, board, at_mid)
                market = board.outlooks[pair[0]].market
                residual = batch.legs(board.price) - batch.legs(board.value)
                expected = -100.0 * (batch.quantity * residual).sum(axis=1)
                size = 100.0 * board.spot
                slack = 2e-7 * size if pair[1] is None else 1e-4 * size
                assert_allclose(probability.ev(market, form), expected, atol=slack)


@pytest.mark.parametrize(
    ("name", "mood"), [("iron_condor", "rich"), ("short_put_spread", "rich"), ("calendar", "cheap")]
)
def test_what_a_seller_looks_at_first(plain, name, mood):
    """The largest delta sold, and how many expected moves the nearest breakeven is away."""
    vol = random_chains.snapshot(plain, iv30=0.40, hv30=0.38, **INSIDE[mood])
    board = boards.prepare(plain, vol, Settings())

    found = propose.propose(plain, vol, strategies=[name]).proposals

    assert found
    for one in found:
        outlook = board.outlooks[one.expiry]
        move = outlook.forward * outlook.atm_iv * math.sqrt(one.tau)
        away = min(abs(price - one.spot) for price in one.breakevens)
        assert one.expected_move == pytest.approx(move, rel=1e-12)
        assert one.distance == pytest.approx(away / move, rel=1e-12)
        assert one.short_delta == max(abs(leg.delta) for leg in one.legs if leg.quantity < 0)


def test_no_breakeven_is_no_distance(plain):
    """A trade that cannot turn has no distance; one that turns at the spot has one of nothing."""
    board = boards.prepare(plain, random_chains.snapshot(plain), Settings())
    first = next(iter(board.outlooks.values()))

    assert proposals.distance([], board, first) is None
    assert proposals.distance([board.spot], board, first) == 0.0


def test_nan_leg_never_wins(plain):
    """Without quotes, close and greeks a row is in no proposal, and is counted as no data."""
    vol = random_chains.snapshot(plain, iv30=0.40, hv30=0.36)
    best = propose.propose(plain, vol, strategies=["iron_condor"]).proposals[0]
    gone = np.isin(plain["strike"], [leg.strike for leg in best.legs])
    empty = {
        name: np.where(gone, np.nan, plain[name])
        for name in ("bid", "ask", "close", "iv", "delta", "gamma", "vega", "theta")
    }

    found = propose.propose(plain.with_columns(**empty), vol)

    for one in found.proposals:
        assert math.isfinite(one.score)
        for leg in one.legs:
            assert leg.strike not in plain["strike"][gone] or leg.price_source is PriceSource.MODEL


def test_what_is_not_quoted_is_said(plain):
    """A leg without a bid is priced by parity, and its proposal says so; or it is refused."""
    vol = random_chains.snapshot(plain, iv30=0.40, hv30=0.36)
    missing = ~plain.is_call & (plain["strike"] < 97.0)
    without = plain.with_columns(bid=np.where(missing, np.nan, plain["bid"]))

    loose = Settings(scan=ScanSettings(max_spread_share=None, max_cost_share=None))
    some = propose.propose(without, vol, strategies=["short_put_spread"], settings=loose).proposals
    strict = Settings(scan=ScanSettings(true_quotes_only=True))
    none = propose.propose(without, vol, strategies=["short_put_spread"], settings=strict)

    assert some[0].legs[0].price_source is PriceSource.PARITY
    assert any("priced by parity, not quoted" in note for note in some[0].notes)
    assert "true_quotes" in {one.rule for one in none.rejected}
    for one in none.proposals:
        assert all(leg.price_source is PriceSource.TRUE for leg in one.legs)


def test_wider_spread_never_raises_a_score(plain):
    """Quotes half as wide again around the same mids: no group's best gains."""
    vol = random_chains.snapshot(plain, iv30=0.40, hv30=0.36)
    half = 0.5 * (plain["ask"] - plain["bid"])
    wide = plain.with_columns(bid=plain.mid - 1.5 * half, ask=plain.mid + 1.5 * half)
    board = boards.prepare(plain, vol, Settings())
    # The smiles are held fixed: only the quotes differ.
    other = boards.prepare(wide, vol, Settings())
    other = dataclasses.replace(other, outlooks=board.outlooks, delta=board.delta)
    templates = [CATALOGUE[name] for name in ("iron_condor", "short_put_spread", "collar")]

    scores = {hit.group: hit.score for hit in search.search(board, templates).hits}

    for hit in search.search(other, templates).hits:
        assert hit.score < scores[hit.group]


def test_mirrored_quotes_give_mirrored_trades():
    """K to 2F - K, calls to puts, a symmetric density: the same condor, seen in a mirror."""
    chain = random_chains.chain(2, spot=100.0, sigma=0.3, strikes=21, gaps=False, days=(32,))
    board = boards.prepare(chain, random_chains.snapshot(chain), Settings())
    centre = 100.0
    spread = np.linspace(-30.0, 30.0, 4001)
    bump = np.exp(-0.5 * (spread / 9.0) ** 2)
    cdf = np.cumsum(bump + bump[::-1]) - 0.5 * (bump + bump[::-1])
    law = density.from_arrays(centre + spread, cdf, tau=32 / 365, forward=centre, points=60_001)
    day = chain.expiries[0]
    outlook = dataclasses.replace(board.outlooks[day], forward=centre).knowing(law)
    strike = 2.0 * np.round(np.asarray(chain["strike"]) / 2.0)
    keep = np.unique(strike * 10 + chain.is_call, return_index=True)[1]
    trimmed = chain.where(np.isin(np.arange(len(chain)), keep))
    trimmed = trimmed.with_columns(strike=strike[np.sort(keep)])
    swapped = trimmed.with_columns(
        strike=2.0 * centre - trimmed["strike"],
        right=np.where(trimmed.is_call, "P", "C"),
        delta=-trimmed["delta"],
    )

    found = []
    for one in (trimmed, swapped):
        # What a robust score takes off is by a scaling of logarithms, which has no such mirror.
        settings = Settings(score={"robust": False})
        made = boards.prepare(one, random_chains.snapshot(one), settings)
        made = dataclasses.replace(
            made, outlooks={day: outlook}, liquidity=np.full(len(one), 0.9),
            # The smile that the quotes are held against is not mirrored.
            doubted=np.zeros(len(one)),
        )  # fmt: skip
        found.append(search.search(made, [CATALOGUE["iron_condor"]], keep=3).hits)

    for hit, image in zip(*found, strict=True):
        assert hit.score == pytest.approx(image.score, abs=1e-3)
        mirror = [
            (2.0 * centre - k, "P" if right == "C" else "C", q) for _, k, right, q in hit.legs
        ]
        assert mirror[::-1] == [(k, right, q) for _, k, right, q in image.legs]


def test_gates_refuse_before_any_candidate(plain):
    """A closed gate is typed data: rule, figure, limit."""
    vol = random_chains.snapshot(plain, iv30=0.40, iv_rank=0.2)
    rich = Settings(strategies={"iron_condor": {"gates": ["iv_rank >= 0.5"]}})

    found = propose.propose(plain, vol, strategies=["iron_condor"], settings=rich)

    assert not found.proposals
    assert found.considered == 0
    assert [(one.rule, one.observed, one.limit) for one in found.gated] == [
        ("gate:iv_rank", 0.2, 0.5)
    ]


def test_nearest_miss_of_a_rule(plain):
    """With a PoS nobody reaches the nearest miss is the trade with the highest PoS."""
    vol = random_chains.snapshot(plain, iv30=0.40, hv30=0.36)
    strict = Settings(scan=ScanSettings(min_pos=0.98))
    names = ["short_put_spread", "iron_condor"]

    found = propose.propose(plain, vol, strategies=names, settings=strict)

    assert not found.proposals
    (miss,) = [one for one in found.nearest_misses if one.rule == "min_pos"]
    assert miss.kind == "rule"
    assert miss.only_rule
    assert miss.limit == 0.98
    board = boards.prepare(plain, vol, Settings())
    hits = search.search(board, [CATALOGUE[name] for name in names], keep=search.ALL).hits
    best = max(float(hit.components[0]) for hit in hits)
    assert miss.observed == pytest.approx(best, abs=1e-6)
    assert "PoS" in miss.message


def test_cash_account(plain):
    """Short puts are ranked on their whole strike; strangles are refused with that reason."""
    vol = random_chains.snapshot(plain, iv30=0.40, hv30=0.36)
    cash = Settings(account=AccountSettings(margin="cash"))

    found = propose.propose(plain, vol, settings=cash, top=40)
    margin = propose.propose(plain, vol, strategies=["naked_put"]).proposals[0]

    assert "undefined_risk" in {one.rule for one in found.gated}
    secured = [one for one in found.proposals if one.strategy == "cash_secured_put"]
    for one in secured:
        assert one.margin_requirement == pytest.approx(100.0 * one.legs[0].strike)
    assert margin.margin_requirement < 30.0 * margin.legs[0].strike
    assert margin.margin_cash == pytest.approx(100.0 * margin.legs[0].strike - margin.net_credit)


def test_weights_change_the_ranking(plain):
    """With PoS as the only part the score is liquidity times PoS."""
    vol = random_chains.snapshot(plain, iv30=0.40, hv30=0.36)

    found = propose.propose(
        plain, vol, strategies=["short_put_spread"], weights=ScoreWeights(pos=1.0)
    )

    for one in found.proposals:
        assert one.score == pytest.approx(100.0 * one.liquidity * one.pos)


def test_unknown_strategy(plain):
    """It is named, with the nearest one there is."""
    with pytest.raises(ConfigError, match="did you mean iron_condor"):
        propose.propose(plain, random_chains.snapshot(plain), strategies=["iron_condors"])


def test_costs_are_entry_only(plain):
    """Without slippage and commission the executable credit is the mid."""
    vol = random_chains.snapshot(plain, iv30=0.40, hv30=0.36)
    free = Settings(costs=CostsSettings(slippage=0.0, commission=0.0))

    for one in propose.propose(plain, vol, settings=free).proposals:
        assert one.credit == pytest.approx(one.credit_mid)


def test_costs_and_margin_abroad_are_those_of_the_currency_or_say_so(plain):
    """A commission of its own for euros; without one the dollar's number counts, with a note."""
    underlying = plain.underlying.model_copy(update={"currency": "EUR"})
    chain = dataclasses.replace(plain, underlying=underlying)
    vol = random_chains.snapshot(chain, iv30=0.40, hv30=0.38, **INSIDE["rich"])
    costs = CostsSettings(commissions={"EUR": 2.0})

    (usual, *_) = propose.propose(chain, vol, strategies="iron_condor").proposals
    own = propose.propose(
        chain, vol, strategies="iron_condor", settings=Settings(costs=costs)
    ).proposals[0]

    assert usual.commission == pytest.approx(4 * 0.65)
    assert own.commission == pytest.approx(4 * 2.0)
    assert any("margin by American rules" in note for note in own.notes)
    assert any("set costs.commissions.EUR" in note for note in usual.notes)
    assert not any("costs.commissions" in note for note in own.notes)


def test_expiry_beyond_earnings(plain):
    """With that rule every trade that outlives the date is refused, and counted."""
    vol = random_chains.snapshot(plain, iv30=0.40, hv30=0.36).model_copy(
        update={"next_earnings": plain.as_of.date() + dt.timedelta(days=40)}
    )
    wary = Settings(scan=ScanSettings(expire_before_earnings=True))

    found = propose.propose(plain, vol, settings=wary, top=40)

    assert found.proposals
    assert all(one.last_expiry <= vol.next_earnings for one in found.proposals)
    assert "expire_before_earnings" in {one.rule for one in found.rejected}


class Picky:
    """A book that wants no condors and half of everything with a positive delta."""

    def fits(self, trades):
        return [
            PortfolioFit(0.1, "no condors")
            if one.strategy == "iron_condor"
            else PortfolioFit(0.5 + 0.5 * (one.delta < 0))
            for one in trades
        ]


def test_fit_is_exact(plain):
    """With a book the best of a group is the best with fit, not the fittest of a few."""
    vol = random_chains.snapshot(plain, iv30=0.40, hv30=0.36)
    name = "short_strangle"

    found = propose.propose(plain, vol, strategies=[name], book=Picky())

    board = boards.prepare(plain, vol, Settings())
    hits = search.search(board, templates.choose(Settings(), [name]), keep=search.ALL).hits
    fits = Picky().fits([prospect(hit) for hit in hits])
    best = max(hit.score * fit.factor for hit, fit in zip(hits, fits, strict=True))
    assert found.proposals[0].score == pytest.approx(best)
    assert found.proposals[0].fit in (0.5, 1.0)
    assert not found.notes


def test_recorded_spy_chain():
    """On the SPY chain of 2025-05-19 condors, put spreads and strangles hold their deltas."""
    if why := recorded_chains.missing(SPY):
        pytest.skip(why)
    chain = load_chain(recorded_chains.DATA / SPY)
    vol = VolSnapshot(
        symbol="SPY", as_of=chain.as_of, iv30=0.152, iv_rank=0.64, iv_percentile=0.71,
        skew=-0.0444, hv30=0.14,
    )  # fmt: skip

    for name, bands in {
        "iron_condor": {"short_put": (-0.30, -0.10), "short_call": (0.10, 0.30)},
        "short_put_spread": {"short_put": (-0.35, -0.15)},
        "short_strangle": {"short_put": (-0.30, -0.10), "short_call": (0.10, 0.30)},
    }.items():
        found = propose.propose(chain, vol, strategies=[name])
        assert found.proposals
        for leg in found.proposals[0].legs:
            if leg.name in bands:
                low, high = bands[leg.name]
                assert low <= leg.delta <= high
    best = propose.propose(chain, vol).proposals
    assert len(best) == 5
    assert all(math.isfinite(point.profit) for one in best for point in one.curve)


def test_proposal_survives_json(plain):
    """Every figure comes back, an unbounded loss as infinity."""
    vol = random_chains.snapshot(plain, iv30=0.40, hv30=0.36)

    found = propose.propose(plain, vol, strategies=["short_strangle"])

    again = type(found).model_validate_json(found.model_dump_json())
    assert again == found
    assert math.isinf(again.proposals[0].max_loss)
    assert '"max_loss":null,"loss_bounded":false' in found.model_dump_json()


def test_payoff_of_shares(share):
    """A covered call loses what was paid for the shares, less its premium, costs included."""
    vol = random_chains.snapshot(share, iv30=0.40, hv30=0.36)

    one = propose.propose(share, vol, strategies=["covered_call"]).proposals[0]

    shares = one.legs[-1]
    assert (shares.sec_type, shares.quantity) == ("STK", 100)
    assert one.max_loss == pytest.approx(100.0 * one.spot - one.net_credit)
    assert one.max_profit == pytest.approx(100.0 * (one.legs[0].strike - one.spot) + one.net_credit)
    assert one.delta == pytest.approx(100.0 * (1.0 - one.legs[0].delta))


# -- what is given -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        "iron_condor,short_put_spread",
        "iron-condor, short_put_spread",
        ("short_put_spread", "iron_condor"),
    ],
)
def test_strategies_as_one_text(plain, names):
    """One text is one strategy, or several by commas, as on the command line."""
    vol = random_chains.snapshot(plain, iv30=0.40, hv30=0.36)

    found = propose.propose(plain, vol, strategies=names)

    assert {one.strategy for one in found.proposals} == {"iron_condor", "short_put_spread"}
    only = propose.propose(plain, vol, strategies="iron_condor")
    assert {one.strategy for one in only.proposals} == {"iron_condor"}
    settings = Settings.model_validate({"scan": {"strategies": "iron_condor"}})
    assert propose.propose(plain, vol, settings=settings) == only


def test_unknown_strategy_in_a_text(plain):
    """The word that is no strategy is named whole, not by its first letter."""
    vol = random_chains.snapshot(plain)

    with pytest.raises(ConfigError, match=r"iron_condors is unknown; did you mean iron_condor"):
        propose.propose(plain, vol, strategies="iron_condors")


def test_volatility_of_another_symbol(plain):
    """A chain is not judged by the volatility of something else, nor by none at all."""
    own = random_chains.snapshot(plain, iv30=0.40)
    other = own.model_copy(update={"symbol": "QQQ"})
    trade = propose.propose(plain, own).proposals[0].trade

    for judge in (
        lambda vol: propose.propose(plain, vol),
        lambda vol: propose.evaluate(plain, vol),
        lambda vol: propose.explain_trade(plain, vol, trade),
    ):
        with pytest.raises(UsageError, match="the volatility is that of QQQ, the chain that of R5"):
            judge(other)
        with pytest.raises(UsageError, match="a VolSnapshot is needed, got NoneType"):
            judge(None)
        judge(own.model_copy(update={"symbol": " r5"}))


def test_weights_by_name(plain):
    """Weights may be given as they stand in the settings; those that cannot be are refused."""
    vol = random_chains.snapshot(plain, iv30=0.40, hv30=0.36)
    given = ScoreWeights(pos=0.5, ev=0.5)

    assert propose.propose(plain, vol, weights={"pos": 0.5, "ev": 0.5}) == propose.propose(
        plain, vol, weights=given
    )
    with pytest.raises(UsageError, match=r"weights: .*sum to 1"):
        propose.propose(plain, vol, weights={"pos": 0.5})


# -- the walk down the ranking, on made-up hits ---------------------------------------------------

MAY, JUNE = dt.date(2026, 5, 15), dt.date(2026, 6, 19)
SCAN = ScanSettings()


def contender(symbol, strategy, score, expiry=MAY, fit=1.0, row=0):
    """A hit on a chain of one row; only what the walk reads is real."""
    columns = {"expiry": np.array([expiry] * 9), "strike": np.arange(100.0, 109.0)}
    chain = type("Chain", (), {"symbol": symbol, "__getitem__": lambda _, name: columns[name]})()
    template = CATALOGUE[strategy]
    outlook = SimpleNamespace(sigma_points=4.0)
    hit = Hit(
        board=SimpleNamespace(
            chain=chain, strike=columns["strike"], outlooks={expiry: outlook}, forget=lambda: None
        ),
        template=template,
        expiries=(expiry, None),
        rows=tuple(range(row, row + len(template.legs))),
        score=score,
        components=np.zeros(4),
        liquidity=1.0,
        ev=1.0,
        margin=100.0,
        tail_loss=50.0,
    )
    return Contender(hit, PortfolioFit(fit))


def names(chosen):
    return [(one.hit.board.chain.symbol, one.hit.template.name) for one in chosen]


def test_one_proposal_a_thesis():
    """Of a symbol, side and week of expiry only the best, whatever the strategy."""
    some = [
        contender("SPY", "iron_condor", 70.0),
        contender("SPY", "short_strangle", 69.0, MAY - dt.timedelta(days=4)),
        contender("SPY", "short_strangle", 67.0, MAY - dt.timedelta(days=5)),
        contender("SPY", "naked_put", 66.0),
        contender("SPY", "cash_secured_put", 66.0),
        contender("SPY", "iron_condor", 60.0, JUNE),
    ]

    chosen = walk(some, SCAN, top=9, symbols=1)

    assert [one.score for one in chosen] == [70.0, 67.0, 66.0, 60.0]
    assert [one.hit.expiries[0].isocalendar().week for one in chosen] == [20, 19, 20, 25]


def test_two_of_a_symbol_when_three_are_scanned():
    """With fewer symbols there is no such limit."""
    strategies = ("iron_condor", "collar", "short_call_spread")
    some = [contender("SPY", name, 70.0 - n) for n, name in enumerate(strategies)]

    assert len(walk(some, SCAN, top=5, symbols=3)) == 2
    assert len(walk(some, SCAN, top=5, symbols=2)) == 3


def random_evaluations(rng):
    """Thirty symbols with some trades each, and how their returns correlate."""
    strategies = ("iron_condor", "short_put_spread", "naked_put", "short_call_spread", "collar")
    symbols = [f"S{number}" for number in range(30)]
    evaluations = {}
    for symbol in symbols:
        some = [
            contender(
                symbol,
                rng.choice(strategies),
                round(rng.uniform(40.0, 80.0) - 0.5 * len(evaluations), 1),
                rng.choice((MAY, JUNE, JUNE + dt.timedelta(days=7))),
                rng.uniform(0.8, 1.0),
                rng.randrange(5),
            )
            for _ in range(rng.randrange(12))
        ]
        evaluations[symbol] = propose.Evaluation(
            symbol=symbol,
            contenders=tuple(some),
            passed={},
            considered=0,
            rejected=(),
            nearest_misses=(),
            gated=propose.Gated((), (), {}),
            outcome=None,
        )
    pairs = ((a, b) for a in symbols for b in symbols if a < b)
    return evaluations, {frozenset(pair): rng.uniform(0.7, 1.0) for pair in pairs}


@pytest.mark.parametrize("by_strategy", [False, True])
@pytest.mark.parametrize("seed", range(25))
def test_what_is_let_go_would_not_have_been_shown(seed, by_strategy):
    """Of settled symbols, and of those that may still lead, the same are shown as of all."""
    rng = random.Random(seed)
    evaluations, correlations = random_evaluations(rng)
    top = rng.randrange(1, 8)
    settings = Settings(scan={"max_per_strategy": rng.randrange(1, 5)})
    everything = [one for each in evaluations.values() for one in each.contenders]
    chooser = partial(propose.chooser, settings, top, len(evaluations))
    wanted = chooser(correlations, by_strategy).walk(everything)

    few: dict[str, propose.Evaluation] = {}
    for symbol, evaluation in evaluations.items():
        few[symbol] = propose.settled(evaluation, settings.scan, symbols=len(evaluations))
        few = propose.contending(few, chooser(None, by_strategy), settings.scan)

    left = [one for each in few.values() for one in each.contenders]
    shown = chooser(correlations, by_strategy).walk(left)
    assert [(one.hit, one.penalty) for one in shown] == [(one.hit, one.penalty) for one in wanted]
    assert len(left) < len(everything)
    for one in shown:
        own = few[one.symbol].contenders, evaluations[one.symbol].contenders
        assert thesis.runners_up(one, own[0]) == thesis.runners_up(one, own[1])


def test_a_settled_symbol_is_ranked_as_before(plain):
    """Its proposals with their alternatives are the same, although its board has let go."""
    settings = Settings(scan={"profile": "all"})
    evaluation = propose.evaluate(plain, random_chains.snapshot(plain), settings)
    before = propose.rank([evaluation], settings, by_strategy=True)

    after = propose.settled(evaluation, settings.scan, symbols=20)

    assert len(after.contenders) < len(evaluation.contenders)
    shown = {one.trade: one for one in before.proposals}
    again = propose.rank([after], settings, by_strategy=True).proposals
    assert again
    assert all(shown[one.trade] == one.model_copy(update={"rank": shown[one.trade].rank})
               for one in again)  # fmt: skip


def test_a_settled_symbol_holds_no_density(plain):
    """Those of its market go with the rest; who asks again gets the same figures again."""
    evaluation = propose.evaluate(plain, random_chains.snapshot(plain), Settings())
    outlook = next(iter(evaluation.contenders[0].hit.board.outlooks.values()))
    before, cdf = weakref.ref(outlook.market.cdf), outlook.market.cdf.copy()

    after = propose.settled(evaluation, SCAN, symbols=20)
    del evaluation
    gc.collect()

    assert after.contenders
    assert before() is None
    assert np.array_equal(outlook.market.cdf, cdf)


def test_a_settled_symbol_keeps_little():
    """Of eight expiries less than 300 kB beside its chain, where densities alone are 1.3 MB."""
    days = (18, 25, 32, 39, 46, 60, 74, 102)
    chain = random_chains.chain(1, spot=100.0, sigma=0.40, strikes=41, gaps=False, days=days)

    def searched():
        evaluation = propose.evaluate(chain, random_chains.snapshot(chain), Settings())
        return propose.settled(evaluation, SCAN, symbols=20)

    assert searched().contenders  # tables that all symbols share are built by now
    gc.collect()
    tracemalloc.start()
    try:
        kept = searched()
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(kept.contenders[0].hit.board.outlooks) == len(days)
    assert size < 300_000


def test_a_symbol_that_is_out_holds_neither_chain_nor_board():
    """Of what can no longer be shown only counts and texts are left."""
    chain = random_chains.chain(5, spot=100.0, sigma=0.40, strikes=41, gaps=False)
    evaluation = propose.evaluate(chain, random_chains.snapshot(chain), Settings())
    board = evaluation.contenders[0].hit.board
    gone = [weakref.ref(one) for one in (chain, board, *board.outlooks.values())]
    best = [contender(f"S{place}", "iron_condor", 1e3) for place in range(4)]
    leaders = [dataclasses.replace(evaluation, symbol=one.symbol, contenders=(one,))
               for one in best]  # fmt: skip
    every = {one.symbol: one for one in (*leaders, propose.settled(evaluation, SCAN, symbols=5))}
    choose = propose.chooser(Settings(scan={"max_per_strategy": 9}), 2, 5, None, False)
    del evaluation, board, chain, leaders

    every = propose.contending(every, choose, SCAN)
    gc.collect()

    assert [symbol for symbol, one in every.items() if not one.contenders] == ["R5"]
    assert [one() for one in gone] == [None] * len(gone)


@pytest.mark.parametrize("by_strategy", [False, True])
def test_of_a_full_strategy_those_are_kept_that_a_correlation_may_bring(by_strategy):
    """As many symbols as are shown lead a strategy: others stay within a tenth of the last."""
    choose = propose.chooser(Settings(scan={"max_per_strategy": 3}), 5, 400, None, by_strategy)
    rng, every = random.Random(4), {}
    for number in range(400):
        strategy = ("iron_condor", "collar")[number % 2]
        one = contender(f"S{number}", strategy, rng.uniform(0.0, 80.0))
        every[one.symbol] = propose.Evaluation(
            symbol=one.symbol,
            contenders=(one,),
            passed={},
            considered=0,
            rejected=(),
            nearest_misses=(),
            gated=propose.Gated((), (), {}),
            outcome=None,
        )

    few = propose.contending(every, choose, SCAN)

    wanted = set()
    for first in (0, 1):
        score = {f"S{n}": every[f"S{n}"].contenders[0].score for n in range(first, 400, 2)}
        fifth = sorted(score.values())[-5]
        wanted |= {symbol for symbol, value in score.items() if value >= 0.9 * fifth}
    assert {symbol for symbol, each in few.items() if each.contenders} == wanted


def test_counts_of_many_symbols_do_not_overflow(plain):
    """Scores that a symbol counts in eight bits are summed over all of them in full."""
    evaluation = propose.evaluate(plain, random_chains.snapshot(plain), Settings())
    full = {name: np.full(1000, 200) for name in evaluation.standings}
    settled = propose.settled(
        dataclasses.replace(evaluation, standings=full), SCAN, symbols=propose.FEW_SYMBOLS
    )
    assert {counts.itemsize for counts in settled.standings.values()} == {1}
    others = [dataclasses.replace(settled, symbol=f"S{n}", contenders=()) for n in range(3)]
    wide = [dataclasses.replace(one, standings=full) for one in (settled, *others)]

    narrow_ranks = propose.rank([settled, *others]).proposals
    wide_ranks = propose.rank(wide).proposals

    assert narrow_ranks
    assert [one.percentile for one in narrow_ranks] == [one.percentile for one in wide_ranks]


def test_three_of_a_strategy():
    """The fourth condor is passed over for the next strategy."""
    some = [contender(symbol, "iron_condor", 70.0) for symbol in ("A", "B", "C", "D")]
    some.append(contender("E", "collar", 10.0))

    chosen = walk(some, SCAN, top=5, symbols=5)

    assert names(chosen) == [("A", "iron_condor"), ("B", "iron_condor"), ("C", "iron_condor"),
                             ("E", "collar")]  # fmt: skip


def test_correlation_costs_a_tenth():
    """QQQ runs with SPY on the same side: it is shown with its tenth taken, after what beats it."""
    some = [
        contender("SPY", "iron_condor", 70.0),
        contender("QQQ", "iron_condor", 69.0),
        contender("GLD", "iron_condor", 65.0),
        contender("QQQ", "short_put_spread", 60.0),
    ]
    correlations = {frozenset(("SPY", "QQQ")): 0.93, frozenset(("SPY", "GLD")): 0.1}

    chosen = walk(some, SCAN, top=5, symbols=3, correlations=correlations)

    assert [(one.hit.board.chain.symbol, one.score) for one in chosen] == [
        ("SPY", 70.0), ("GLD", 65.0), ("QQQ", pytest.approx(62.1)), ("QQQ", 60.0),
    ]  # fmt: skip
    assert [one.correlated for one in chosen] == ["", "", "SPY", ""]


class AskedFor(dict):
    """Correlations that are worked out when asked for: all of them at once would take minutes."""

    def __len__(self):
        raise AssertionError("every pair was asked for")

    def __iter__(self):
        raise AssertionError("every pair was asked for")


def test_correlations_of_few_pairs_are_asked_for():
    """The walk asks for those of what it compares, and never whether there are any at all."""
    some = [contender("SPY", "iron_condor", 70.0), contender("QQQ", "iron_condor", 69.0)]
    correlations = AskedFor({frozenset(("SPY", "QQQ")): 0.93})

    chosen = walk(some, SCAN, top=5, symbols=3, correlations=correlations)

    assert [one.correlated for one in chosen] == ["", "SPY"]


def test_fit_ranks():
    """A trade that does not fit the book falls behind one that does."""
    some = [contender("A", "iron_condor", 70.0, fit=0.5), contender("B", "iron_condor", 60.0)]
    assert [one.score for one in walk(some, SCAN, top=5, symbols=2)] == [60.0, 35.0]


def test_ties_stand_by_symbol_and_legs():
    """Equal in score, EV and margin: in the order of symbol, strategy and legs, however given."""
    some = [
        contender(symbol, "iron_condor", 70.0, row=row) for symbol in ("B", "A") for row in (1, 0)
    ]
    for order in (some, some[::-1]):
        chosen = walk(order, SCAN, top=5, symbols=2)
        assert [(one.hit.board.chain.symbol, one.hit.rows[0]) for one in chosen] == [
            ("A", 0), ("B", 0),
        ]  # fmt: skip


def test_by_strategy():
    """The best few of each strategy, strategies by their best trade."""
    some = [
        contender("A", "collar", 50.0),
        contender("A", "iron_condor", 70.0),
        contender("B", "iron_condor", 40.0),
        contender("C", "iron_condor", 30.0),
        contender("B", "collar", 60.0),
    ]

    chosen = walk_each_strategy(some, SCAN, top=2, symbols=3)

    assert [(one.hit.template.name, one.score) for one in chosen] == [
        ("iron_condor", 70.0), ("iron_condor", 40.0), ("collar", 60.0), ("collar", 50.0),
    ]  # fmt: skip


# -- the market's density, views, and how far quotes are believed ----------------------------------


def judged(chain, **settings):
    vol = random_chains.snapshot(chain, iv30=0.40, hv30=0.36)
    return vol, boards.prepare(chain, vol, Settings(**settings))


def every_hit(board, *names):
    return search.search(board, choose(Settings(), names), keep=search.ALL)


def test_a_view_stands_beside_the_market_and_moves_nothing(plain):
    """Its PoS and EV are the kernels' under its density; rank and score are as without it."""
    vol, board = judged(plain)
    view = View(volatility=0.8, drift=0.1)

    seen = propose.propose(plain, vol, view=view, top=20).proposals
    blind = propose.propose(plain, vol, top=20).proposals

    assert [(one.trade, one.score, one.ev) for one in seen] == [
        (one.trade, one.score, one.ev) for one in blind
    ]
    assert all(one.view is None for one in blind)
    for one in seen:
        law = density.viewed(board.outlooks[one.expiry].market, volatility=0.8, drift=0.1)
        if one.last_expiry > one.expiry or one.strategy in ("covered_call", "collar"):
            continue
        legs = [leg for leg in one.legs if leg.sec_type == "OPT"]
        form = payoff.segments(
            [leg.strike for leg in legs], [leg.right == "C" for leg in legs],
            [leg.quantity for leg in legs], credit=one.net_credit,
            discount=board.outlooks[one.expiry].discount, multiplier=100.0,
        )  # fmt: skip
        assert one.view.pos == pytest.approx(float(probability.pos(law, form)), abs=1e-9)
        trusted = one.ev - one.ev_quotes
        assert one.view.ev == pytest.approx(float(probability.ev(law, form)) + trusted, abs=1e-6)


@pytest.mark.parametrize("trust", [0.5, 1.0])
def test_a_trusted_view_ranks(plain, trust):
    """PoS and EV of the score are (1 - t) of the market's and t of the view's."""
    vol = random_chains.snapshot(plain, iv30=0.40, hv30=0.36)
    settings = Settings(
        view={"trust": trust, plain.symbol: {"volatility": 0.8, "drift": 0.1}},
        score={"robust": False},
    )

    found = propose.propose(plain, vol, settings=settings, top=20)

    for one in found.proposals:
        points = {part.name: part.points for part in one.parts}
        pos = (1.0 - trust) * one.pos + trust * one.view.pos
        ev = (1.0 - trust) * one.ev + trust * one.view.ev
        assert points["pos"] == pytest.approx(25.0 * pos, abs=2e-3)
        part = 75.0 / (1.0 + math.exp(-ev / one.cvar95 / 0.02))
        assert points["ev"] == pytest.approx(part, abs=2e-2)


def test_a_robust_score_takes_half_a_usual_miss_of_volatility(plain):
    """EV less .14 |dEV / d ln sigma|, here by densities a per mille wider and narrower."""
    _, board = judged(plain, score={"robust": True})

    hits = every_hit(board, "short_put_spread", "iron_condor").hits

    for hit in hits[:40]:
        batch = proposals.batch_of(hit)
        form = measures.shape(batch, board, measures.credits(batch, board)[0])
        market = board.outlooks[hit.expiries[0]].market
        wide, narrow = (
            probability.ev(density.viewed(market, volatility=ratio), form)[0]
            for ratio in (1.001, 0.999)
        )
        ev = hit.ev - 0.14 * abs(wide - narrow) / 0.002
        part = 1.0 / (1.0 + math.exp(-ev / hit.tail_loss / 0.02))
        assert hit.components[1] == pytest.approx(part, abs=2e-4)


def test_cvar_lies_between_its_bounds(plain):
    """Of every candidate of every strategy of one expiry."""
    _, board = judged(plain)

    for batch in search.batches(board, list(CATALOGUE.values())):
        figures = measures.measure(batch, board)
        known = np.flatnonzero(np.isfinite(figures.ev))
        figures, batch = figures.take(known), batch.take(known)
        below = np.stack((figures.loss_chance, figures.mean_loss))
        tail = measures.tail_loss(batch, board, figures.credit, below)
        least, most = measures.tail_loss_bounds(figures)
        slack = 1e-7 * (1.0 + np.abs(tail))
        assert np.all(least <= tail + slack)
        assert np.all(tail <= most + slack)


def test_mids_on_the_smile_cost_their_costs(plain):
    """A trade whose legs are quoted at the smile's values expects minus its costs, and no more."""
    _, board = judged(plain)
    half = board.prices.half_spread
    fair = plain.with_columns(bid=board.value - half, ask=board.value + half)
    fair_vol, again = judged(fair)

    for one in propose.propose(fair, fair_vol, top=20).proposals:
        costs = one.credit_mid - one.net_credit
        if one.last_expiry == one.expiry:
            assert one.ev == pytest.approx(-costs, abs=0.02 * costs + 2e-6 * 100 * again.spot)


def test_percentiles_are_over_all_symbols(plain):
    """Two symbols, one strategy: the share of both symbols' candidates that score lower."""
    other = random_chains.chain(6, spot=100.0, sigma=0.40, strikes=31, gaps=False)
    vols = [random_chains.snapshot(one, iv30=0.40, hv30=0.36) for one in (plain, other)]
    evaluations = [
        propose.evaluate(chain, vol, strategies=["short_put_spread"])
        for chain, vol in zip((plain, other), vols, strict=True)
    ]

    found = propose.rank(evaluations, top=4)

    scores = np.array(
        [
            hit.score
            for chain, vol in zip((plain, other), vols, strict=True)
            for hit in every_hit(boards.prepare(chain, vol, Settings()), "short_put_spread").hits
        ]
    )
    assert sum(sum(one.standings["short_put_spread"]) for one in evaluations) == scores.size
    for one in found.proposals:
        exact = (scores < one.score - 1e-9).sum() / (scores.size - 1)
        # Bins, and upper bounds of what cannot be among the best.
        assert exact - 0.03 <= one.percentile <= exact + 0.01


def test_what_cannot_lose_is_no_gift(plain):
    """A put spread quoted for more than its width is taken for a wrong price: C at best."""
    sold, bought, day = 95.8, 94.9, plain.expiries[0]
    fair = plain["strike"] == sold
    high = np.where(fair & ~plain.is_call, plain["bid"] + 1.3, plain["bid"])
    ask = np.where(fair & ~plain.is_call, plain["ask"] + 1.3, plain["ask"])
    wrong = plain.with_columns(bid=high, ask=ask)
    vol = random_chains.snapshot(wrong, iv30=0.40, hv30=0.36)

    review = why_not.explain_trade(
        wrong, vol, f"short_put_spread {sold:g}/{bought:g} {day}", Settings()
    )

    assert review.proposal.max_loss == 0.0
    assert review.proposal.grade in ("C", "D")
    assert any("mispriced or unfillable" in note for note in review.proposal.notes)


def test_history_far_from_what_options_say_is_a_note():
    """HV30 beyond what realised volatility usually is of IV30 is told, and changes no figure."""
    at = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
    near, far = (VolSnapshot(symbol="SPY", as_of=at, iv30=0.20, hv30=hv) for hv in (0.19, 0.30))

    assert outlooks.history_note(near, near.iv30) == ""
    assert outlooks.history_note(far, far.iv30).startswith("HV30 30.0% is far from IV30 20.0%")
    assert "expected is 18.8%, mostly 14.1% to 25.0%" in outlooks.history_note(far, far.iv30)
    assert outlooks.history_note(far, None) == ""
