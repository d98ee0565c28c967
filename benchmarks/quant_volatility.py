"""Smile fits: time, error against a known smile, and residuals on recorded chains."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from tomic.quant import american, black_scholes, realized, smile, surface

# The reader of the recorded chains lives with the tests.
sys.path.append(str(Path(__file__).parents[1] / "tests"))
import recorded_chains

RUNS = 100
REFERENCE_EXP_NS = 1.3
"""Nanoseconds an element of np.exp on the core that the absolute figures are stated for."""
TAU, FORWARD = 30 / 365, 500.0
TRUTH = smile.Smile(FORWARD, TAU, 1.0, a=0.0012, b=0.03, rho=-0.6, m=0.01, sigma=0.06)
STRIKE = FORWARD * np.exp(np.linspace(-0.15, 0.10, 60))
CHAINS = {
    "SPY 2025-05-19": ("tomic_ib_SPY_20250519_2026cest.csv", recorded_chains.spy),
    "GOOG 2015-12-24": ("lean_GOOG_20151224_eod_chain.csv", recorded_chains.goog),
}


def run() -> list[dict[str, Any]]:
    """Measure everything once; each result names what is asked and what was measured."""
    results = [*_synthetic(), _rolling()]
    for name, (file, read) in CHAINS.items():
        why = recorded_chains.missing(file)
        results += [{"name": f"smile: {name}", "skipped": why}] if why else _recorded(name, read())
    return results


def best(work: Callable[[], object], repeat: int = 7, number: int = 20) -> float:
    """Seconds a call, the fastest of *repeat* rounds."""
    rounds = []
    for _ in range(repeat):
        started = time.perf_counter()
        for _ in range(number):
            work()
        rounds.append((time.perf_counter() - started) / number)
    return min(rounds)


def _quotes(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sixty volatilities off by half a spread, three of them by up to a quarter, and weights."""
    rng = np.random.default_rng(seed)
    half = 0.01 + 0.01 * TRUTH.value(STRIKE, STRIKE > FORWARD)
    error = 0.01 * half / TRUTH.vega(STRIKE)
    iv = TRUTH.iv(STRIKE) + rng.normal(0.0, error)
    bad = rng.choice(60, 3, replace=False)
    iv[bad] *= 1.0 + rng.uniform(-0.25, 0.25, 3)
    return iv, 0.01 / error


def _points(iv: np.ndarray) -> float:
    """Root mean square error against the true smile in volatility points."""
    return 100.0 * float(np.sqrt(np.mean((iv - TRUTH.iv(STRIKE)) ** 2)))


def _least_squares(iv: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The usual fit: plain least squares, no robust loss, no arbitrage check."""
    k = np.log(STRIKE / FORWARD)

    def curve(x: np.ndarray) -> np.ndarray:
        a, b, rho, m, sigma = x
        w = a + b * (rho * (k - m) + np.sqrt((k - m) ** 2 + sigma**2))
        return np.sqrt(np.maximum(w, 1e-12) / TAU)

    start = [float(np.min(iv)) ** 2 * TAU / 2, 0.05, -0.3, 0.0, 0.1]
    found = least_squares(lambda x: (curve(x) - iv) * weight, start, method="lm")
    return np.asarray(curve(found.x))


def _synthetic() -> list[dict[str, Any]]:
    cold, warm, errors, plain, plain_time, arbitrage = [], [], [], [], [], 0
    grid = np.linspace(-0.5, 0.5, 2001)
    for seed in range(RUNS):
        iv, weight = _quotes(seed)
        fit = partial(smile.fit, STRIKE, iv, forward=FORWARD, tau=TAU, weight=weight)
        found = fit()
        errors.append(_points(found.iv(STRIKE)))
        arbitrage += bool(smile.butterfly(found, grid).min() < 0.0)
        cold.append(best(fit, repeat=3, number=1))
        warm.append(best(partial(fit, previous=found), repeat=3, number=1))
        peer = partial(_least_squares, iv, weight)
        plain.append(_points(peer()))
        plain_time.append(best(peer, repeat=1, number=1))
    x = np.linspace(0.0, 1.0, 2048)
    exp_ns = best(partial(np.exp, x), number=2000) / x.size * 1e9
    milliseconds = 1e3 * float(np.median(cold))
    return [
        {
            "name": "smile: SVI fit, 60 strikes, 3 wrong",
            "asked": "<= 1 ms where np.exp takes 1.3 ns",
            "measured": f"{milliseconds:.2f} ms",
            "scaled_ms": round(milliseconds * min(1.0, REFERENCE_EXP_NS / exp_ns), 2),
            "warm_ms": round(1e3 * float(np.median(warm)), 2),
            "scipy_least_squares_ms": round(1e3 * float(np.median(plain_time)), 2),
            "exp_ns": round(exp_ns, 2),
        },
        {
            "name": "smile: error against the true smile, median of 100 runs",
            "asked": "<= .06 vol points",
            "measured": f"{np.median(errors):.3f} vol points",
            "worst": round(max(errors), 3),
            "scipy_least_squares": round(float(np.median(plain)), 3),
        },
        {
            "name": "smile: fits with butterfly arbitrage",
            "asked": "0 of 100",
            "measured": f"{arbitrage} of {RUNS}",
        },
    ]


def _recorded(name: str, chain: recorded_chains.Recorded) -> list[dict[str, Any]]:
    """One row an expiry: residuals of the quotes on the out-of-the-money side in half-spreads."""
    results: list[dict[str, Any]] = []
    before: smile.Smile | None = None
    for e in chain.expiries:
        parity = surface.american_forward(
            chain.spot, e.strike, e.call_mid, e.put_mid, chain.rate, e.tau
        )
        is_call = e.strike >= parity.forward
        bid, ask = np.where(is_call, [e.call_bid, e.call_ask], [e.put_bid, e.put_ask])
        div_yield = surface.implied_yield(chain.spot, parity.forward, chain.rate, e.tau)
        market = (chain.spot, e.strike, e.tau, chain.rate, div_yield)
        iv = american.implied_vol((bid + ask) / 2, *market, is_call)
        vega = black_scholes.greeks(*market, np.nan_to_num(iv, nan=0.3), is_call).vega
        weight = smile.quote_weights(e.strike, bid, ask, vega)
        fit = partial(
            smile.fit,
            e.strike,
            iv,
            forward=parity.forward,
            tau=e.tau,
            weight=weight,
            discount=math.exp(-chain.rate * e.tau),
            floor=before,
        )
        before = fit()
        used = (weight > 0) & np.isfinite(iv)
        # European values: what the de-Americanised volatility of each quote is worth.
        european = black_scholes.price(*market, np.nan_to_num(iv), is_call)
        miss = (european - before.value(e.strike, is_call))[used]
        score = np.abs(miss) / np.maximum((ask - bid)[used] / 2, 0.005)
        results.append(
            {
                "name": f"smile: {name}, {e.name}, {before.kind} through {before.n} quotes",
                "asked": "RMSE in half-spreads, printed",
                "measured": f"{np.sqrt(np.mean(score**2)):.2f} half-spreads",
                "median": round(float(np.median(score)), 2),
                "rmse_vol_points": round(100 * before.rmse, 3),
                "forward": round(parity.forward, 2),
                "arbitrage_free": before.arbitrage_free,
                "ms": round(1e3 * best(fit, repeat=3, number=1), 2),
                "note": before.note,
            }
        )
    return results


def _rolling() -> dict[str, Any]:
    """Five estimators over 500 symbols of three years."""
    rng = np.random.default_rng(0)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, (500, 756)), axis=-1))
    opening, high, low = close * 1.001, close * 1.01, close * 0.99

    def all_five() -> None:
        realized.close_to_close(close, 30)
        realized.parkinson(high, low, 30)
        realized.garman_klass(opening, high, low, close, 30)
        realized.rogers_satchell(opening, high, low, close, 30)
        realized.yang_zhang(opening, high, low, close, 30)

    return {
        "name": "realized: five estimators, 500 symbols x 756 days",
        "asked": "stated, no limit",
        "measured": f"{1e3 * best(all_five, repeat=3, number=1):.0f} ms",
    }


if __name__ == "__main__":
    for result in run():
        print(result)
