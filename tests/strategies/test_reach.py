"""What a chain cannot hold says why, in strikes and days."""

from __future__ import annotations

import re

import numpy as np
import pytest

from support import random_chains, recorded_chains
from tomic.config import Settings
from tomic.files import load_chain
from tomic.models import ScanResult, SymbolOutcome, VolSnapshot
from tomic.present.scan import scan_summary
from tomic.strategies import candidates, propose, reach
from tomic.strategies.catalogue.templates import CATALOGUE, effective
from tomic.strategies.pricing import board as boards

SPY = "tomic_ib_SPY_20250519_2026cest.csv"
XLF = "tomic_ib_XLF_20250518_sunday_closed.csv"


@pytest.fixture(scope="module")
def chain():
    """S = 100, volatility 40 %, strikes a point or two apart, 32 and 60 days."""
    return random_chains.chain(5, spot=100.0, sigma=0.40, strikes=41, gaps=False)


@pytest.mark.parametrize("width", [3.0, 6.0, 12.0, 40.0])
def test_out_of_reach_is_what_has_no_candidates(chain, width):
    """Exactly the strategies of which nothing can be built, next to puts that lie above calls."""
    near = chain.where(np.abs(chain["strike"] - 100.0) <= width)
    board = boards.prepare(near, random_chains.snapshot(near), Settings())
    assert board.outlooks
    templates = list(effective(Settings()).values())

    refused = {one.strategy for one in reach.out_of_reach(board, templates)}

    for template in templates:
        built = sum(
            len(candidates.build(variant, board, pair))
            for variant in template.variants
            for pair in candidates.expiries(variant, board)
        )
        assert not (built and template.name in refused), template.name
        if not built and template.name not in refused:
            assert {leg.right for leg in template.legs} == {"P", "C"}, template.name
    assert bool(refused) is (width < 10.0)


def test_days_out_of_reach(chain):
    """A strategy none of whose days is listed names its days, and those there are."""
    settings = Settings.model_validate({"strategies": {"iron_condor": {"dte": [200, 300]}}})
    (template,) = (effective(settings)[name] for name in ["iron_condor"])
    board = boards.prepare(chain, random_chains.snapshot(chain), settings)

    (refusal,) = reach.out_of_reach(board, [template])

    first, second = chain.expiries
    assert (refusal.rule, refusal.kind) == ("out_of_reach", "no_data")
    assert refusal.message == (
        f"iron_condor: no expiry 200 to 300 days away; the chain has {first} (32 days), "
        f"{second} (60 days)"
    )


def test_a_narrow_recorded_chain_says_what_it_lacks():
    """Of SPY at ±10 points: a condor needs puts at about 545 to 580, of which none is listed."""
    if why := recorded_chains.missing(SPY):
        pytest.skip(why)
    whole = load_chain(recorded_chains.DATA / SPY)
    near = whole.where(np.abs(whole["strike"] - whole.spot.price) <= 10.0)
    vol = VolSnapshot(symbol="SPY", as_of=near.as_of)

    result = propose.propose(near, vol)

    (condor,) = [one for one in result.gated if one.strategy == "iron_condor"]
    said = re.search(r"holds puts at 584 to 603; .* about ([\d.]+) to ([\d.]+)", condor.message)
    # The deltas that IB printed for the strikes of the whole chain are the witness.
    puts = (whole["expiry"] == whole["expiry"][0]) & ~whole.is_call
    puts &= np.isfinite(whole["delta"])
    expected = np.interp([0.10, 0.30], -whole["delta"][puts], whole["strike"][puts])
    # A strike next door at most: a thirteenth of a deviation.
    assert [float(said[1]), float(said[2])] == pytest.approx(expected.tolist(), abs=2.0)
    assert any("SPY: its chain cannot hold iron_condor" in note for note in result.notes)


def test_nothing_today():
    """XLF on its closed Sunday: no trade, and what came nearest."""
    if why := recorded_chains.missing(XLF):
        pytest.skip(why)
    chain = load_chain(recorded_chains.DATA / XLF)

    result = propose.propose(chain, VolSnapshot(symbol="XLF", as_of=chain.as_of))

    assert not result.proposals
    assert result.considered > 0
    first, *_ = result.closest
    assert first.only_rule
    head, nothing, nearest, *_ = scan_summary(result).splitlines()
    assert head.startswith(f"considered {result.considered}")
    assert nothing == "nothing today"
    assert nearest == f"  nearest: XLF {first.trade}: {first.message}"


def test_nothing_today_says_why_a_symbol_was_not_searched():
    """Where nothing was considered there is no nearest trade; the symbol's own reason stands."""
    why = "VIX has no expiry in the days that the strategies want (iron_condor 30-60)"
    bare = SymbolOutcome(symbol="VIX", notes=(why,))
    searched = SymbolOutcome(symbol="SPY", considered=7, notes=("of no interest here",))

    text = scan_summary(ScanResult(outcomes=(bare, searched)))

    assert text.splitlines()[1:] == ["nothing today", f"  {why}"]


@pytest.mark.parametrize("name", CATALOGUE)
def test_each_strategy_can_say_where_its_legs_would_lie(chain, name):
    """With no strike at all near what they want, every kind of pick is said in words."""
    few = chain.where(np.abs(chain["strike"] - 100.0) <= 3.0)
    board = boards.prepare(few, random_chains.snapshot(few), Settings())

    for refusal in reach.out_of_reach(board, [effective(Settings())[name]]):
        assert refusal.message.startswith(f"{name}: ")
        assert "nan" not in refusal.message
