"""Structures: probability of success, target before stop, and the stress grid of a book."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import ndtr

from tomic.quant import (
    american,
    american_boundary,
    black_scholes,
    density,
    exercise_table,
    margin,
    payoff,
    probability,
    revaluation,
)

REFERENCE_EXP_NS = 1.3
"""Nanoseconds an element of np.exp on the core that the absolute figures are stated for."""
TAU, SIGMA, RATE, YIELD = 30 / 365, 0.25, 0.045, 0.013
AXES: dict[str, np.ndarray] = {
    "spot_moves": np.linspace(-0.2, 0.2, 41).round(3),
    "vol_moves": np.array([-0.5, -0.35, -0.2, -0.1, 0.0, 0.2, 0.4, 0.7, 1.0]),
    "days": np.array([0.0, 1.0, 5.0, 10.0, 20.0]),
}


def run() -> list[dict[str, Any]]:
    """Measure everything once; each result names what is asked and what was measured."""
    x = np.linspace(0.0, 1.0, 2048)
    exp_ns = best(lambda: np.exp(x), number=2000) / x.size * 1e9
    slower = max(1.0, exp_ns / REFERENCE_EXP_NS)
    return [
        _pos(slower),
        *_target(),
        *_stress(slower),
        _margin(),
        {"name": "structures: np.exp on this core", "measured": f"{exp_ns:.2f} ns"},
    ]


def best(work: Callable[[], object], repeat: int = 5, number: int = 1) -> float:
    """Seconds a call, the fastest of *repeat* rounds."""
    rounds = []
    for _ in range(repeat):
        started = time.perf_counter()
        for _ in range(number):
            work()
        rounds.append((time.perf_counter() - started) / number)
    return min(rounds)


def _four_legs(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Any calls and puts, long, short and double, with a random credit per share."""
    rng = np.random.default_rng(seed)
    strike = rng.integers(80, 120, (count, 4)).astype(float)
    quantity = rng.choice([-2.0, -1.0, 1.0, 2.0], (count, 4))
    return strike, rng.random((count, 4)) < 0.5, quantity, rng.normal(0.0, 3.0, count)


def _pos(slower: float) -> dict[str, Any]:
    market = density.lognormal(100.0, TAU, SIGMA)
    strike, is_call, quantity, credit = _four_legs(200_000, 1)

    def work() -> np.ndarray:
        shape = payoff.segments(strike, is_call, quantity, credit=credit)
        return probability.pos(market, shape)

    rate = strike.shape[0] / best(work) / 1e6
    total_vol = SIGMA * np.sqrt(TAU)
    score = np.linspace(-10.0, 10.0, 200_001)
    middle = 0.5 * (score[1:] + score[:-1])
    price = 100.0 * np.exp(total_vol * middle - 0.5 * total_vol**2)
    mass = np.diff(ndtr(score))
    found = work()[:200]
    exact = np.array(
        [
            mass @ (credit[row] + payoff.value_at(price, *legs) > 0.0)
            for row, legs in enumerate(
                zip(strike[:200], is_call[:200], quantity[:200], strict=True)
            )
        ]
    )
    return {
        "name": "structures: PoS of four legs, one expiry, any calls and puts",
        "asked": ">= 2 million a second where np.exp takes 1.3 ns, within 5e-5 of a fine grid",
        "measured": f"{rate:.2f} million/s, off by {np.abs(found - exact).max():.1e}",
        "scaled_millions": round(rate * slower, 2),
    }


def _target() -> list[dict[str, Any]]:
    """A condor closed at half its credit or at twice its loss, against simulated paths."""
    strike = np.array([85.0, 90.0, 110.0, 115.0])
    is_call = np.array([False, False, True, True])
    quantity = np.array([1.0, -1.0, -1.0, 1.0])
    vols, tau = np.array([0.29, 0.27, 0.23, 0.22]), np.full(4, 45 / 365)
    unit = black_scholes.price(100.0, strike, tau, RATE, YIELD, vols, is_call)
    credit = -100.0 * float(quantity @ unit)

    def work() -> probability.BeforeStop:
        return probability.target_before_stop(
            100.0, strike, tau, RATE, YIELD, vols, is_call, quantity, sigma=SIGMA, credit=credit,
            target=0.5 * credit, stop=-2.0 * credit, multiplier=100.0,
        )  # fmt: skip

    rng = np.random.default_rng(1)
    price, state, step = np.full(200_000, 100.0), np.zeros(200_000, dtype=int), 1 / 365
    for day in range(1, 46):
        move = SIGMA * np.sqrt(step) * rng.standard_normal(price.size)
        price *= np.exp((RATE - YIELD - 0.5 * SIGMA**2) * step + move)
        table = np.linspace(price.min(), price.max(), 4001)
        left = (45 - day) / 365
        unit = black_scholes.price(
            table, strike[:, None], left, RATE, YIELD, vols[:, None], is_call[:, None]
        )
        gain = np.interp(price, table, credit + 100.0 * (quantity @ unit))
        state[(state == 0) & (gain >= 0.5 * credit)] = 1
        state[(state == 0) & (gain <= -2.0 * credit)] = 2
    found, simulated = work(), float(np.mean(state == 1))
    return [
        {
            "name": "structures: target before stop, condor of 45 days",
            "asked": "within 0.5 points of 200,000 paths with daily steps",
            "measured": f"{100 * abs(found.target - simulated):.2f} points",
            "ours": round(found.target, 4),
            "simulated": round(simulated, 4),
            "ms": round(1e3 * best(work), 1),
        }
    ]


def _book(count: int, underlyings: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    which = rng.integers(0, underlyings, count)
    spot = rng.uniform(50.0, 600.0, underlyings)[which]
    return {
        "spot": spot,
        "strike": np.round(spot * np.exp(rng.normal(0.0, 0.1, count))),
        "tau": rng.choice([7, 21, 35, 49, 63, 91, 126, 182, 365, 540], count) / 365,
        "rate": RATE,
        "div_yield": rng.uniform(0.0, 0.03, underlyings)[which],
        "sigma": rng.uniform(0.12, 0.6, count),
        "is_call": rng.random(count) < 0.5,
    }


def _stress(slower: float) -> list[dict[str, Any]]:
    results = []
    for count, underlyings in ((200, 1), (200, 10), (500, 20)):
        book = _book(count, underlyings, seed=count)

        def work(book: dict[str, Any] = book) -> np.ndarray:
            return revaluation.stress_grid(**book, quantity=1.0, **AXES)

        american_boundary.solve.cache_clear()
        exercise_table.build.cache_clear()
        cold, warm = best(work, repeat=1), best(work)
        results.append(
            {
                "name": f"structures: stress 41 x 9 x 5, {count} American, {underlyings} symbols",
                "asked": f"<= {25 if count == 200 else 100} ms where np.exp takes 1.3 ns",
                "measured": f"{1e3 * warm:.1f} ms ({1e3 * cold:.1f} ms the first time)",
                "scaled_ms": round(1e3 * warm / slower, 1),
            }
        )
    return [*results, _stress_error()]


def _stress_error() -> dict[str, Any]:
    book = {**_book(60, 3, seed=9), "spot": np.full(60, 500.0)}
    book["strike"] = np.round(500.0 * np.exp(np.random.default_rng(3).normal(0.0, 0.1, 60)))
    columns = {
        name: np.broadcast_to(value, (60,))[:, None, None, None] for name, value in book.items()
    }
    moved = {
        **columns,
        "spot": columns["spot"] * (1.0 + AXES["spot_moves"][:, None, None]),
        "sigma": columns["sigma"] * (1.0 + AXES["vol_moves"][:, None]),
        "tau": np.maximum(columns["tau"] - AXES["days"] / 365.0, 0.0),
    }
    exact = american.price(*moved.values()) - american.price(*columns.values())
    found = revaluation.stress_grid(
        **book, quantity=1.0, multiplier=1.0, group=np.arange(60), **AXES
    )
    return {
        "name": "structures: stress grid against full American revaluation, spot 500",
        "asked": "within 0.5 cent a share",
        "measured": f"{100 * np.abs(found - exact).max():.2f} cent",
    }


def _margin() -> dict[str, Any]:
    rng = np.random.default_rng(2)
    strike = np.sort(rng.integers(80, 120, (100_000, 4)), axis=1).astype(float)
    is_call = np.broadcast_to([False, False, True, True], strike.shape)
    quantity = np.broadcast_to([1.0, -1.0, -1.0, 1.0], strike.shape)
    price = rng.uniform(0.1, 3.0, strike.shape)
    seconds = best(
        lambda: margin.requirement(strike, is_call, quantity, price, spot=100.0), repeat=3
    )
    return {
        "name": "structures: margin of condors, batched",
        "measured": f"{1e6 * seconds / len(strike):.2f} us each",
    }


if __name__ == "__main__":
    for result in run():
        print(result)
