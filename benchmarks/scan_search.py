"""The condor search: all of a hundred strikes, exactly and pruned, and optionlab beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tomic.config import ScoreSettings
from tomic.quant import density, payoff, probability, smile
from tomic.strategies.condor_tables import Spreads, Terms
from tomic.strategies.condors import Search, Top

REFERENCE_EXP_NS = 1.3
"""Nanoseconds an element of np.exp on the core that the absolute figures are stated for."""
LOT, DISCOUNT, SPOT, DAYS, STRIKES = 100.0, 0.9963, 500.0, 30, 100
RATE, SIGMA = 0.045, 0.18
SMILE = smile.Smile(SPOT, DAYS / 365, DISCOUNT, a=0.0012, b=0.03, rho=-0.6, m=0.01, sigma=0.06)
TRADES = 20
"""Condors given to optionlab."""
PEER = "TOMIC_OPTIONLAB_PYTHON"
"""Environment variable with an interpreter that has optionlab; without it one is made."""
SCRIPT = """
import json, sys, time
from optionlab import run_strategy
found, began = [], None
for n, trade in enumerate(json.load(sys.stdin)):
    out = run_strategy(trade)
    if n == 0:
        began = time.perf_counter()
    else:
        found.append([out.probability_of_profit, out.minimum_return_in_the_domain,
                      out.maximum_return_in_the_domain])
print(json.dumps({"seconds": (time.perf_counter() - began) / len(found), "found": found}))
"""


def run() -> list[dict[str, Any]]:
    """Measure everything once; each result names what is asked and what was measured."""
    search = condors(STRIKES)
    x = np.linspace(0.0, 1.0, 2048)
    exp_ns = best(lambda: np.exp(x), repeat=20, number=100)[0] / x.size * 1e9
    slower = max(1.0, exp_ns / REFERENCE_EXP_NS)
    whole_s, whole = best(lambda: search.best(5))
    pruned_s, pruned = best(lambda: search.best(5, prune=True))
    rows = [
        _rate("all scored exactly", search, whole_s, whole, 0.3, slower),
        _rate("pruned", search, pruned_s, pruned, 0.1, slower),
        {
            "name": "condors: top 5 pruned, against all",
            "asked": "the same legs and scores",
            "measured": "same" if same(whole, pruned) else "DIFFERENT",
        },
        _memory(search),
        {"name": "condors: np.exp on this core", "measured": f"{exp_ns:.2f} ns"},
    ]
    return [*rows, *_optionlab(whole_s / len(search))]


def best(work: Callable[[], Any], *, repeat: int = 5, number: int = 1) -> tuple[float, Any]:
    """Seconds a call, the fastest of *repeat* rounds, and the last answer."""
    rounds, answer = [], None
    for _ in range(repeat):
        began = time.perf_counter()
        for _ in range(number):
            answer = work()
        rounds.append((time.perf_counter() - began) / number)
    return min(rounds), answer


def condors(count: int, seed: int = 0) -> Search:
    """All vertical spreads of *count* strikes, a point apart, around the money."""
    rng = np.random.default_rng(seed)
    strike = SPOT + np.arange(count) - count // 2.0
    market = density.from_smile(SMILE)
    law = density.forecast(market, 0.9 * market.volatility)
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
                ev=credit - owed[sold] + owed[bought],
                liquidity=(liquidity[sold] * liquidity[bought]) ** 0.25,
                row=np.stack((sold, bought), axis=1),
                is_call=call,
            )
        )
    return Search(*sides, Terms(law, ScoreSettings(), DAYS, LOT * DISCOUNT, LOT, True))


def same(one: Top, other: Top) -> bool:
    """Whether two answers are the same condors with the same scores."""
    legs = np.array_equal(one.put, other.put) and np.array_equal(one.call, other.call)
    return bool(legs and np.allclose(one.score, other.score, rtol=0.0, atol=1e-9))


def _rate(
    name: str, search: Search, seconds: float, top: Top, asked: float, slower: float
) -> dict[str, Any]:
    return {
        "name": f"condors: {len(search):,} of {STRIKES} strikes, {name}",
        "asked": f"<= {asked:g} s where np.exp takes {REFERENCE_EXP_NS} ns",
        "measured": f"{seconds:.3f} s",
        "scaled_s": seconds / slower,
        "million_a_second": len(search) / seconds / 1e6,
        "scored": top.scored,
        "cvar_computed": top.tails,
    }


def _memory(search: Search) -> dict[str, Any]:
    tracemalloc.start()
    search.best(5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {
        "name": "condors: memory of the exact search",
        "asked": "< 300 MB",
        "measured": f"{peak / 1e6:.0f} MB",
    }


def _optionlab(seconds_each: float) -> list[dict[str, Any]]:
    """optionlab on some condors under the same lognormal law, and how far the numbers are apart."""
    name = "condors: beside optionlab's run_strategy"
    python = os.environ.get(PEER)
    with tempfile.TemporaryDirectory() as folder:
        try:
            python = python or _installed(Path(folder))
            trades = _trades()
            answer = subprocess.run(
                [python, "-c", SCRIPT],
                input=json.dumps([trades[0], *trades]),
                capture_output=True, text=True, check=True, timeout=300,
            )  # fmt: skip
        except (subprocess.SubprocessError, OSError) as exc:
            return [{"name": name, "skipped": f"optionlab cannot be run: {type(exc).__name__}"}]
    given = json.loads(answer.stdout.strip().splitlines()[-1])
    ours = np.array([_ours(trade) for trade in trades])
    apart = np.abs(ours - np.array(given["found"])).max(axis=0)
    return [
        {
            "name": name,
            "asked": "a ratio, and the same numbers",
            "measured": f"{given['seconds'] * 1e6:.0f} us a strategy",
            "ours_us": seconds_each * 1e6,
            "ratio": given["seconds"] / seconds_each,
            "pos_apart": float(apart[0]),
            "least_apart": float(apart[1]),
            "most_apart": float(apart[2]),
        }
    ]


def _installed(folder: Path) -> str:
    """An interpreter of its own with optionlab, from the package index."""
    venv.create(folder / "peer", with_pip=True)
    python = folder / "peer" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    install = [str(python), "-m", "pip", "install", "-q", "optionlab"]
    subprocess.run(install, capture_output=True, check=True, timeout=300)
    return str(python)


def _trades() -> list[dict[str, Any]]:
    """Condors as optionlab takes them: one short strike pair after the other."""
    rng = np.random.default_rng(1)
    trades = []
    for _ in range(TRADES):
        put, call = SPOT - rng.integers(5, 30), SPOT + rng.integers(5, 30)
        wing = int(rng.integers(2, 15))
        legs = [
            (put - wing, "put", 1),
            (put, "put", -1),
            (call, "call", -1),
            (call + wing, "call", 1),
        ]
        trades.append(
            {
                "stock_price": SPOT,
                "volatility": SIGMA,
                "interest_rate": RATE,
                "min_stock": 250.0,
                "max_stock": 1000.0,
                "discard_nonbusiness_days": False,
                "days_to_target_date": DAYS,
                "strategy": [
                    {
                        "type": kind,
                        "strike": float(strike),
                        "premium": round(float(SMILE.value(strike, kind == "call")), 2),
                        "n": 100,
                        "action": "buy" if sign > 0 else "sell",
                    }
                    for strike, kind, sign in legs
                ],
            }
        )
    return trades


def _ours(trade: dict[str, Any]) -> list[float]:
    """PoS, least and most P&L of the same trade: textbook payoff, lognormal law."""
    tau = DAYS / 365
    law = density.lognormal(SPOT * float(np.exp(RATE * tau)), tau, SIGMA)
    legs = trade["strategy"]
    quantity = np.array([1.0 if leg["action"] == "buy" else -1.0 for leg in legs])
    premium = np.array([leg["premium"] for leg in legs])
    form = payoff.segments(
        [leg["strike"] for leg in legs],
        [leg["type"] == "call" for leg in legs],
        quantity,
        credit=-LOT * float(quantity @ premium),
        multiplier=LOT,
    )
    profile = payoff.profile(form)
    return [float(probability.pos(law, form)), -float(profile.max_loss), float(profile.max_profit)]
