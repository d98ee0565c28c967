"""The condor search: all of a hundred strikes, exactly, and optionlab beside it."""

from __future__ import annotations

import subprocess
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
from benchmarks.figures import (
    Limit,
    Peer,
    Row,
    asked_here,
    clocked,
    elementary,
    elementary_ns,
    fact,
    figure,
    in_turns,
)
from benchmarks.peers import foreign

from tomic.config import ScoreSettings
from tomic.quant import density, payoff, probability, smile
from tomic.strategies.search import CondorSearch, CondorTerms, Spreads, Top

LOT, DISCOUNT, SPOT, DAYS, STRIKES = 100.0, 0.9963, 500.0, 30, 100
RATE, SIGMA = 0.045, 0.18
SMILE = smile.Smile(SPOT, DAYS / 365, DISCOUNT, a=0.0012, b=0.03, rho=-0.6, m=0.01, sigma=0.06)
TRADES = 20
"""Condors given to optionlab."""
WORKS = """
from optionlab import run_strategy
SIDES = ("put", "put", "call", "call")

def evaluate(strike, premium, spot, rate, sigma, days):
    found = []
    for strikes, premiums in zip(strike.tolist(), premium.tolist()):
        legs = zip(SIDES, strikes, premiums, ("buy", "sell", "sell", "buy"))
        out = run_strategy({
            "stock_price": spot, "volatility": sigma, "interest_rate": rate,
            "min_stock": spot / 2, "max_stock": spot * 2,
            "discard_nonbusiness_days": False, "days_to_target_date": days,
            "strategy": [
                {"type": kind, "strike": k, "premium": p, "n": 100, "action": action}
                for kind, k, p, action in legs
            ],
        })
        found.append([out.probability_of_profit, out.minimum_return_in_the_domain,
                      out.maximum_return_in_the_domain])
    return found

WORKS = {"evaluate": evaluate}
"""


def run() -> list[Row]:
    """Measure everything once; each row names what is asked and what was measured."""
    search = condors(STRIKES)
    whole = search.best(5)
    (whole_s,) = in_turns(clocked(lambda: search.best(5)))
    name = f"condors: {len(search):,} of {STRIKES} strikes"
    return [
        figure(
            f"{name}, all scored exactly",
            whole_s,
            "s",
            asked=asked_here(0.3, "s"),
            limit=all_ranked(search, scale=1e-9),
            scored=whole.scored,
        ),
        fact("condors: memory of the exact search", f"{_peak_mb(search):.0f} MB", "< 300 MB"),
        *_optionlab(whole_s.median / len(search)),
        fact("condors: np.exp on this core", f"{elementary_ns()['exp']:.2f} ns"),
    ]


def condors(count: int, seed: int = 0) -> CondorSearch:
    """All vertical spreads of *count* strikes, a point apart, around the money."""
    rng = np.random.default_rng(seed)
    strike = SPOT + np.arange(count) - count // 2.0
    market = density.from_smile(SMILE)
    law = density.viewed(market, volatility=0.9)
    sides = []
    for call in (False, True):
        price = SMILE.value(strike, call) + rng.normal(0.0, 0.01, count)
        half, liquidity = rng.uniform(0.01, 0.03, count), rng.uniform(0.7, 0.98, count)
        low, high = np.triu_indices(count, 1)
        sold, bought = (low, high) if call else (high, low)
        credit = LOT * (price[sold] - price[bought] - 0.5 * (half[sold] + half[bought])) - 1.3
        owed = LOT * DISCOUNT * (law.call_value(strike) if call else law.put_value(strike))
        sides.append(
            Spreads(
                short=strike[sold],
                width=np.abs(strike[sold] - strike[bought]),
                credit=credit,
                mean=credit - owed[sold] + owed[bought],
                ev=credit - owed[sold] + owed[bought],
                slope=np.zeros(sold.size),
                liquidity=(liquidity[sold] * liquidity[bought]) ** 0.25,
                row=np.stack((sold, bought), axis=1),
                is_call=call,
            )
        )
    return CondorSearch(*sides, CondorTerms(law, ScoreSettings(), LOT * DISCOUNT, LOT, True))


def all_ranked(search: CondorSearch, *, scale: float) -> Limit:
    """
    What the score of one condor takes when everything that belongs to one side is shared.

    Credit, mean, EV, liquidity and width of both sides (5), margin (2); two breakevens looked up in
    a table (4 each) and their difference; what is lost in the tail (8); the logistic of EV over it
    and its weight beside the probability (7 and an exponential); the comparison with the best.
    """
    return elementary("each scored", scale=scale, items=len(search), multiply=32, exp=1)


def spreads_ranked(search: CondorSearch, *, scale: float) -> Limit:
    """Whichever condors are left out, every spread is looked at."""
    count = len(search.puts) + len(search.calls)
    return elementary(f"{count:,} spreads ranked", scale=scale, items=count, multiply=1)


def same(one: Top, other: Top) -> bool:
    """Whether two answers are the same condors with the same scores."""
    legs = np.array_equal(one.put, other.put) and np.array_equal(one.call, other.call)
    return bool(legs and np.allclose(one.score, other.score, rtol=0.0, atol=1e-9))


def _peak_mb(search: CondorSearch) -> float:
    tracemalloc.start()
    search.best(5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def _optionlab(searched_s: float) -> list[Row]:
    """optionlab on some condors under the same lognormal law, and how far the numbers are apart."""
    name = "condors: one evaluated (PoS, most, least)"
    strike, premium = _trades()
    terms = {"spot": SPOT, "rate": RATE, "sigma": SIGMA, "days": DAYS}
    try:
        with foreign("optionlab", WORKS) as peer, tempfile.TemporaryDirectory() as folder:
            peer.load(strike=strike, premium=premium)
            file = Path(folder) / "found.npy"
            peer.seconds("evaluate", "strike", "premium", keep=file, **terms)
            theirs = np.load(file)

            def their_us() -> float:
                return peer.seconds("evaluate", "strike", "premium", **terms) / TRADES * 1e6

            ours_us, peer_us = in_turns(
                clocked(lambda: _one_by_one(strike, premium), each=TRADES, scale=1e6), their_us
            )
            beside = Peer(f"optionlab {peer.version('optionlab')}", peer_us)
    except (subprocess.SubprocessError, OSError) as exc:
        return [{"name": name, "failed": f"optionlab cannot be run: {exc!r}"}]
    apart = np.abs(_one_by_one(strike, premium) - theirs).max(axis=0)
    # Two breakevens, each with the probability beyond it.
    floor = elementary("two probabilities", log=2, ndtr=2)
    return [
        figure(name, ours_us, "us", asked="a ratio, and the same", peer=beside, limit=floor),
        fact(
            "condors: the same numbers as optionlab's",
            f"PoS {apart[0]:.1e}, least {apart[1]:.2g}, most {apart[2]:.2g} apart",
        ),
        fact("condors: one of the search's", f"{searched_s * 1e6:.3f} us"),
    ]


def _trades() -> tuple[np.ndarray, np.ndarray]:
    """Strikes and premiums of condors: long put, short put, short call, long call."""
    rng = np.random.default_rng(1)
    put, call = SPOT - rng.integers(5, 30, TRADES), SPOT + rng.integers(5, 30, TRADES)
    wing = rng.integers(2, 15, TRADES)
    strike = np.stack((put - wing, put, call, call + wing), axis=1).astype(float)
    return strike, SMILE.value(strike, np.array([False, False, True, True])).round(2)


def _one_by_one(strike: np.ndarray, premium: np.ndarray) -> np.ndarray:
    """PoS, least and most P&L of each: textbook payoff, lognormal law."""
    tau = DAYS / 365
    law = density.lognormal(SPOT * float(np.exp(RATE * tau)), tau, SIGMA)
    quantity = np.array([1.0, -1.0, -1.0, 1.0])
    found = []
    for strikes, premiums in zip(strike, premium, strict=True):
        form = payoff.segments(
            strikes,
            [False, False, True, True],
            quantity,
            credit=-LOT * float(quantity @ premiums),
            multiplier=LOT,
        )
        profile = payoff.profile(form)
        found.append([float(probability.pos(law, form)), -profile.max_loss, profile.max_profit])
    return np.array(found, dtype=float)
