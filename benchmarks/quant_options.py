"""Options: implied volatility, Greeks, American prices, de-Americanised IV, beside peers."""

from __future__ import annotations

import importlib
import importlib.util
import time
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import QuantLib as ql

from tomic.quant import american, american_boundary, black_scholes, implied

REFERENCE_EXP_NS = 1.3
"""Nanoseconds an element of np.exp on the core that the absolute figures are stated for."""
SPOT, RATE, DIV_YIELD = 500.0, 0.045, 0.013
TODAY = ql.Date(1, 1, 2024)
DAY_COUNT = ql.Actual365Fixed()
QUANTLIB_ACCURACY = 1e-14
"""At its default of 1e-6 QuantLib's standard deviations are off by some 5e-5."""


def run() -> list[dict[str, Any]]:
    """Measure everything once; each result names what is asked and what was measured."""
    x = np.linspace(0.0, 1.0, 2048)
    exp_ns = best(lambda: [np.exp(x) for _ in range(200)]) / 200 / x.size * 1e9
    slower = max(1.0, exp_ns / REFERENCE_EXP_NS)
    return [
        *_implied(slower),
        _implied_error(),
        *_greeks(slower),
        *_american(slower),
        *_de_americanised(slower),
        {"name": "options: np.exp on this core", "measured": f"{exp_ns:.2f} ns"},
    ]


def best(work: Callable[[], object], repeat: int = 7) -> float:
    """Seconds a call, the fastest of *repeat*."""
    rounds = []
    for _ in range(repeat):
        started = time.perf_counter()
        work()
        rounds.append(time.perf_counter() - started)
    return min(rounds)


def _row(
    name: str, asked_us: float, slower: float, ours_us: float, peer: str, peer_us: float, least: str
) -> dict[str, Any]:
    return {
        "name": f"options: {name} against {peer}",
        "asked": f"<= {asked_us:g} us where np.exp takes 1.3 ns{least}",
        "measured": f"{ours_us:.3f} us, {peer_us / ours_us:.1f} x",
        "ours_us": round(ours_us, 4),
        "peer": peer,
        "peer_us": round(peer_us, 3),
        "ratio": round(peer_us / ours_us, 1),
        "limit": round(asked_us * slower, 3),
        "scaled_us": round(ours_us / slower, 4),
    }


def _chain(count: int) -> tuple[np.ndarray, ...]:
    """Out of the money within 2.5 standard deviations, 1 to 730 days, volatility 10 to 80 %."""
    rng = np.random.default_rng(1)
    tau = rng.uniform(1.0, 730.0, count) / 365.0
    sigma = rng.uniform(0.1, 0.8, count)
    forward = SPOT * np.exp((RATE - DIV_YIELD) * tau)
    strike = forward * np.exp(rng.uniform(-2.5, 2.5, count) * sigma * np.sqrt(tau))
    is_call = strike > forward
    price = black_scholes.price(SPOT, strike, tau, RATE, DIV_YIELD, sigma, is_call)
    return strike, tau, sigma, is_call, forward, price


def _implied(slower: float) -> list[dict[str, Any]]:
    rows = []
    for count in (10_000, 100_000):
        strike, tau, _, is_call, forward, price = _chain(count)

        def ours(p: Any = price, k: Any = strike, t: Any = tau, c: Any = is_call) -> object:
            return implied.implied_vol(p, SPOT, k, t, RATE, DIV_YIELD, c)

        ours_us = best(ours) / count * 1e6
        name = f"implied volatility, N = {count:,}"
        least = ", >= 10 x"
        fast = _fast_vollib("fast_implied_volatility")
        if fast is None:
            rows.append({"name": f"options: {name}", "skipped": "fast-vollib is not installed"})
        else:
            flag = np.where(is_call, "c", "p")

            def peer(
                p: Any = price, k: Any = strike, t: Any = tau, f: Any = flag, g: Any = fast
            ) -> object:
                return g(
                    p, SPOT, k, t, RATE, f, q=DIV_YIELD,
                    model="black_scholes_merton", return_as="numpy",
                )  # fmt: skip

            peer_us = best(peer, 3) / count * 1e6
            rows.append(_row(name, 0.20, slower, ours_us, "fast-vollib default", peer_us, least))
        side = np.where(is_call, 1, -1).tolist()
        quotes = list(
            zip(
                side, strike.tolist(), forward.tolist(), price.tolist(),
                np.exp(-RATE * tau).tolist(), strict=True,
            )
        )  # fmt: skip
        for accuracy in (QUANTLIB_ACCURACY, 1e-6):
            loop = _quantlib_loop(quotes, accuracy)
            peer_us = best(loop, 3) / count * 1e6
            label = f"QuantLib loop, accuracy {accuracy:g}"
            rows.append(_row(name, 0.20, slower, ours_us, label, peer_us, least))
    return rows


def _quantlib_loop(quotes: list[tuple[Any, ...]], accuracy: float) -> Callable[[], object]:
    solve, unset = ql.blackFormulaImpliedStdDev, ql.nullDouble()

    def loop() -> object:
        return [solve(*quote, 0.0, unset, accuracy, 100) for quote in quotes]

    return loop


def _fast_vollib(name: str) -> Callable[..., Any] | None:
    if importlib.util.find_spec("fast_vollib") is None:
        return None
    found: Callable[..., Any] = getattr(importlib.import_module("fast_vollib"), name)
    return found


def _implied_error(count: int = 400) -> dict[str, Any]:
    """Largest relative error to eight standard deviations from 0.2 days, fifty digits as truth."""
    rng = np.random.default_rng(7)
    tau = np.exp(rng.uniform(np.log(0.2), np.log(730.0), count)) / 365.0
    sigma = rng.uniform(0.1, 0.8, count)
    forward = SPOT * np.exp((RATE - DIV_YIELD) * tau)
    strike = forward * np.exp(rng.uniform(-8.0, 8.0, count) * sigma * np.sqrt(tau))
    is_call = strike > forward
    price = np.array([_exact(*row) for row in zip(strike, tau, sigma, is_call, strict=True)])
    got = implied.implied_vol(price, SPOT, strike, tau, RATE, DIV_YIELD, is_call)
    return {
        "name": "options: implied volatility, error to 8 sigma, T >= 0.2 days, 50 digits as truth",
        "asked": "<= 1e-12",
        "measured": f"{np.max(np.abs(got / sigma - 1.0)):.1e}",
    }


def _exact(strike: float, tau: float, sigma: float, is_call: bool) -> float:
    with mpmath.workdps(50):
        s, k, t, v = (mpmath.mpf(float(x)) for x in (SPOT, strike, tau, sigma))
        r, q = mpmath.mpf(RATE), mpmath.mpf(DIV_YIELD)
        total = v * mpmath.sqrt(t)
        d1 = (mpmath.log(s / k) + (r - q) * t) / total + total / 2
        sign = 1 if is_call else -1
        up, down = mpmath.ncdf(sign * d1), mpmath.ncdf(sign * (d1 - total))
        return float(sign * (s * mpmath.exp(-q * t) * up - k * mpmath.exp(-r * t) * down))


def _greeks(slower: float) -> list[dict[str, Any]]:
    rows = []
    for count in (10_000, 100_000):
        strike, tau, sigma, is_call, _, _ = _chain(count)

        def ours(k: Any = strike, t: Any = tau, v: Any = sigma, c: Any = is_call) -> object:
            return black_scholes.greeks(SPOT, k, t, RATE, DIV_YIELD, v, c)

        ours_us = best(ours) / count * 1e6
        name = f"price and five Greeks, N = {count:,}"
        fast = _fast_vollib("get_all_greeks")
        if fast is None:
            rows.append({"name": f"options: {name}", "skipped": "fast-vollib is not installed"})
            continue
        flag = np.where(is_call, "c", "p")

        def peer(
            k: Any = strike, t: Any = tau, v: Any = sigma, f: Any = flag, g: Any = fast
        ) -> object:
            return g(
                f, SPOT, k, t, RATE, v, q=DIV_YIELD,
                model="black_scholes_merton", return_as="numpy",
            )  # fmt: skip

        peer_us = best(peer, 3) / count * 1e6
        rows.append(_row(name, 0.08, slower, ours_us, "fast-vollib", peer_us, ""))
    return rows


def _quantlib_engine(scheme: Any) -> tuple[ql.SimpleQuote, Any]:
    ql.Settings.instance().evaluationDate = TODAY
    vol = ql.SimpleQuote(0.2)
    rates, yields = (
        ql.YieldTermStructureHandle(ql.FlatForward(TODAY, x, DAY_COUNT)) for x in (RATE, DIV_YIELD)
    )
    surface = ql.BlackConstantVol(TODAY, ql.NullCalendar(), ql.QuoteHandle(vol), DAY_COUNT)
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(ql.SimpleQuote(SPOT)), yields, rates, ql.BlackVolTermStructureHandle(surface)
    )
    return vol, ql.QdFpAmericanEngine(process, scheme)


def _quantlib_american(
    strike: np.ndarray, days: int, sigma: np.ndarray, is_call: np.ndarray, scheme: Any
) -> tuple[np.ndarray, float]:
    """Prices and seconds an option; the making of the option objects is not counted."""
    vol, engine = _quantlib_engine(scheme)
    exercise = ql.AmericanExercise(TODAY, TODAY + days)
    held = []
    for k, call in zip(strike.tolist(), is_call.tolist(), strict=True):
        side = ql.Option.Call if call else ql.Option.Put
        option = ql.VanillaOption(ql.PlainVanillaPayoff(side, k), exercise)
        option.setPricingEngine(engine)
        held.append(option)
    values = []
    started = time.perf_counter()
    for option, v in zip(held, sigma.tolist(), strict=True):
        vol.setValue(v)
        values.append(option.NPV())
    return np.array(values), (time.perf_counter() - started) / len(held)


def _american(slower: float) -> list[dict[str, Any]]:
    rng = np.random.default_rng(3)
    worst, ours_s, peer_s = [], [], []
    for days in (7, 30, 91, 365, 730):
        tau = days / 365.0
        sigma = rng.uniform(0.1, 0.8, 300)
        strike = SPOT * np.exp(rng.uniform(-2.0, 2.0, 300) * sigma * np.sqrt(tau))
        is_call = rng.random(300) > 0.5
        got = american.price(SPOT, strike, tau, RATE, DIV_YIELD, sigma, is_call)
        high = ql.QdFpAmericanEngine.highPrecisionScheme()
        exact, _ = _quantlib_american(strike[:60], days, sigma[:60], is_call[:60], high)
        worst.append(np.max(np.abs(got[:60] - exact)) / SPOT)
        fast = ql.QdFpAmericanEngine.fastScheme()
        peer_s.append(_quantlib_american(strike, days, sigma, is_call, fast)[1])
        strike, sigma, is_call = (np.tile(a, 10) for a in (strike, sigma, is_call))
        ours_s.append(
            best(
                lambda k=strike, t=tau, v=sigma, c=is_call: american.price(
                    SPOT, k, t, RATE, DIV_YIELD, v, c
                )
            )
            / strike.size
        )
    ours_us, peer_us = float(np.median(ours_s)) * 1e6, float(np.median(peer_s)) * 1e6
    american_boundary.solve.cache_clear()
    boundary = best(lambda: american_boundary.solve.__wrapped__(0.25, RATE, DIV_YIELD))
    return [
        _row(
            "American price, boundary known", 2.5, slower, ours_us, "QuantLib QdFp fast", peer_us,
            ", >= 10 x",
        ),
        {
            "name": "options: American price, error against QuantLib's high-precision engine",
            "asked": "<= 2e-6 of spot, 7 to 730 days",
            "measured": f"{max(worst):.1e} of spot",
        },
        {"name": "options: one boundary", "measured": f"{1e3 * boundary:.1f} ms"},
    ]  # fmt: skip


def _quotes() -> tuple[np.ndarray, ...]:
    """2,000 quotes: ten expiries, a hundred strikes, two sides, under a sloping smile."""
    tau = np.repeat(np.linspace(7.0, 730.0, 10).round() / 365.0, 200)
    width = np.tile(np.repeat(np.linspace(-2.0, 2.0, 100), 2), 10)
    strike = SPOT * np.exp(width * 0.25 * np.sqrt(tau))
    is_call = np.tile([True, False], 1000)
    return strike, tau, 0.25 - 0.1 * np.log(strike / SPOT), is_call


def _de_americanised(slower: float) -> list[dict[str, Any]]:
    strike, tau, sigma, is_call = _quotes()
    value = american.price(SPOT, strike, tau, RATE, DIV_YIELD, sigma, is_call)

    def solve() -> implied.ImpliedVol:
        return american.solve(value, SPOT, strike, tau, RATE, DIV_YIELD, is_call)

    def cold() -> implied.ImpliedVol:
        american_boundary.solve.cache_clear()
        return solve()

    cold_us = best(cold, 3) / strike.size * 1e6
    warm_us = best(solve) / strike.size * 1e6
    otm = is_call == (strike > SPOT)
    error = np.max(np.abs(solve().sigma[otm] / sigma[otm] - 1.0))
    peer_us = _quantlib_implied(
        strike[otm][::50], tau[otm][::50], value[otm][::50], is_call[otm][::50]
    )
    name, peer = "de-Americanised IV of 2,000 quotes", "QuantLib impliedVolatility"
    return [
        _row(f"{name}, warm", 15.0, slower, warm_us, peer, peer_us, ""),
        _row(f"{name}, cold", 50.0, slower, cold_us, peer, peer_us, ""),
        {
            "name": f"options: {name}, error out of the money",
            "asked": "<= 5e-5",
            "measured": f"{error:.1e}",
        },
    ]


def _quantlib_implied(
    strike: np.ndarray, tau: np.ndarray, value: np.ndarray, is_call: np.ndarray
) -> float:
    """Microseconds an option of QuantLib's own solver (finite differences inside)."""
    _, engine = _quantlib_engine(ql.QdFpAmericanEngine.fastScheme())
    vol = ql.BlackConstantVol(TODAY, ql.NullCalendar(), 0.2, DAY_COUNT)
    rates, yields = (
        ql.YieldTermStructureHandle(ql.FlatForward(TODAY, x, DAY_COUNT)) for x in (RATE, DIV_YIELD)
    )
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(ql.SimpleQuote(SPOT)), yields, rates, ql.BlackVolTermStructureHandle(vol)
    )
    started = time.perf_counter()
    for k, t, p, c in zip(strike.tolist(), tau, value.tolist(), is_call, strict=True):
        side = ql.Option.Call if c else ql.Option.Put
        exercise = ql.AmericanExercise(TODAY, TODAY + round(365.0 * t))
        option = ql.VanillaOption(ql.PlainVanillaPayoff(side, k), exercise)
        option.setPricingEngine(engine)
        option.impliedVolatility(p, process, 1e-6, 200, 1e-3, 4.0)
    return (time.perf_counter() - started) / strike.size * 1e6
