"""Options: implied volatility, Greeks, American prices, de-Americanised IV, beside peers."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import QuantLib as ql
from benchmarks.figures import (
    GREEKS,
    PRICE,
    Peer,
    Row,
    Sample,
    asked_here,
    clocked,
    elementary,
    elementary_ns,
    fact,
    figure,
    in_turns,
)
from benchmarks.peers import Foreign, foreign

from tomic.quant import american, american_boundary, black_scholes, implied

SPOT, RATE, DIV_YIELD = 500.0, 0.045, 0.013
TODAY = ql.Date(1, 1, 2024)
DAY_COUNT = ql.Actual365Fixed()
QUANTLIB = f"QuantLib {ql.__version__}"
QUANTLIB_ACCURACY = 1e-14
"""At its default of 1e-6 QuantLib's standard deviations are off by some 5e-5."""
SCALAR = 2_000
"""Options given to a peer that takes one at a time in Python."""
WORKS = """
import numpy as np
import fast_vollib
from vollib.black_scholes_merton import black_scholes_merton
from vollib.black_scholes_merton.greeks import analytical
from vollib.black_scholes_merton.implied_volatility import implied_volatility
MODEL = {"model": "black_scholes_merton", "return_as": "numpy"}
GREEKS = ("delta", "gamma", "vega", "theta", "rho")

def flags(is_call):
    return np.where(is_call, "c", "p")

def fast_iv(price, strike, tau, is_call, spot, rate, div_yield):
    flag = flags(is_call)
    return fast_vollib.fast_implied_volatility(
        price, spot, strike, tau, rate, flag, q=div_yield, **MODEL)

def fast_greeks(strike, tau, sigma, is_call, spot, rate, div_yield):
    return list(fast_vollib.get_all_greeks(
        flags(is_call), spot, strike, tau, rate, sigma, q=div_yield, **MODEL).values())

def one_by_one(*columns):
    return zip(*(column.tolist() for column in columns))

def iv(price, strike, tau, is_call, spot, rate, div_yield, count):
    rows = one_by_one(price[:count], strike, tau, flags(is_call))
    return [implied_volatility(p, spot, k, t, rate, div_yield, f) for p, k, t, f in rows]

def greeks(strike, tau, sigma, is_call, spot, rate, div_yield, count):
    found = []
    for k, t, v, f in one_by_one(strike[:count], tau, sigma, flags(is_call)):
        given = (f, spot, k, t, rate, v, div_yield)
        row = [getattr(analytical, name)(*given) for name in GREEKS]
        found.append([black_scholes_merton(*given), *row])
    return found

WORKS = {"fast_iv": fast_iv, "fast_greeks": fast_greeks, "iv": iv, "greeks": greeks}
"""
_MARKET = {"spot": SPOT, "rate": RATE, "div_yield": DIV_YIELD}


def run() -> list[Row]:
    """Measure everything once; each row names what is asked and what was measured."""
    return [
        *_beside_vollib(),
        *_beside_quantlib(),
        _implied_error(),
        *_american(),
        *_de_americanised(),
        fact("options: np.exp on this core", f"{elementary_ns()['exp']:.2f} ns"),
    ]


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


def _beside_vollib() -> list[Row]:
    """vollib and fast-vollib, which run in an environment of their own."""
    try:
        with foreign("vollib", WORKS) as peer:
            return [row for count in (10_000, 100_000) for row in _vollib_rows(peer, count)]
    except (subprocess.SubprocessError, OSError) as exc:
        return [{"name": "options: beside vollib and fast-vollib", "failed": repr(exc)}]


def _vollib_rows(peer: Foreign, count: int) -> list[Row]:
    strike, tau, sigma, is_call, _, price = _chain(count)
    peer.load(price=price, strike=strike, tau=tau, sigma=sigma, is_call=is_call)

    def implied_vol() -> object:
        return implied.implied_vol(price, SPOT, strike, tau, RATE, DIV_YIELD, is_call)

    def greeks() -> object:
        return black_scholes.greeks(SPOT, strike, tau, RATE, DIV_YIELD, sigma, is_call)

    rows = []
    for ours, name, fast, one, given, asked_us, least, floor in (
        (implied_vol, "implied volatility", "fast_iv", "iv", "price", 0.20, ", >= 10 x", PRICE),
        (greeks, "price and five Greeks", "fast_greeks", "greeks", "sigma", 0.08, "", GREEKS),
    ):
        names = (given, "strike", "tau", "is_call")
        # Each has its caches and its imports behind it.
        ours(), peer.seconds(fast, *names, **_MARKET)
        peer.seconds(one, *names, **_MARKET, count=10)

        def quick(work: str = fast, names: tuple[str, ...] = names) -> float:
            return peer.seconds(work, *names, **_MARKET) / count * 1e6

        def slow(work: str = one, names: tuple[str, ...] = names) -> float:
            return peer.seconds(work, *names, **_MARKET, count=SCALAR) / SCALAR * 1e6

        mine, fast_us, slow_us = in_turns(clocked(ours, each=count, scale=1e6), quick, slow)
        for package, sample in (("fast-vollib", fast_us), ("vollib", slow_us)):
            rows.append(
                figure(
                    f"options: {name}, {count:,}",
                    mine,
                    "us",
                    asked=asked_here(asked_us, "us", least) if package == "fast-vollib" else "",
                    peer=Peer(f"{package} {peer.version(package)}", sample),
                    limit=elementary(**floor),
                )
            )
    return rows


def _beside_quantlib() -> list[Row]:
    count = 10_000
    strike, tau, _, is_call, forward, price = _chain(count)
    side = np.where(is_call, 1, -1).tolist()
    columns = (side, strike.tolist(), forward.tolist(), price.tolist())
    quotes = list(zip(*columns, np.exp(-RATE * tau).tolist(), strict=True))

    def ours() -> object:
        return implied.implied_vol(price, SPOT, strike, tau, RATE, DIV_YIELD, is_call)

    accuracies = (QUANTLIB_ACCURACY, 1e-6)
    loops = [_quantlib_loop(quotes, accuracy) for accuracy in accuracies]
    mine, *theirs = in_turns(
        *(clocked(work, each=count, scale=1e6) for work in (ours, *loops))
    )  # fmt: skip
    return [
        figure(
            f"options: implied volatility, {count:,}",
            mine,
            "us",
            asked=asked_here(0.2, "us", ", >= 10 x"),
            peer=Peer(f"{QUANTLIB} loop, accuracy {accuracy:g}", sample),
            limit=elementary(**PRICE),
        )
        for accuracy, sample in zip(accuracies, theirs, strict=True)
    ]


def _quantlib_loop(quotes: list[tuple[Any, ...]], accuracy: float) -> Callable[[], object]:
    solve, unset = ql.blackFormulaImpliedStdDev, ql.nullDouble()

    def loop() -> object:
        return [solve(*quote, 0.0, unset, accuracy, 100) for quote in quotes]

    return loop


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
    worst = np.max(np.abs(got / sigma - 1.0))
    name = "options: implied volatility, error to 8 sigma, T >= 0.2 days, 50 digits as truth"
    return fact(name, f"{worst:.1e}", "<= 1e-12")


def _exact(strike: float, tau: float, sigma: float, is_call: bool) -> float:
    with mpmath.workdps(50):
        s, k, t, v = (mpmath.mpf(float(x)) for x in (SPOT, strike, tau, sigma))
        r, q = mpmath.mpf(RATE), mpmath.mpf(DIV_YIELD)
        total = v * mpmath.sqrt(t)
        d1 = (mpmath.log(s / k) + (r - q) * t) / total + total / 2
        sign = 1 if is_call else -1
        up, down = mpmath.ncdf(sign * d1), mpmath.ncdf(sign * (d1 - total))
        return float(sign * (s * mpmath.exp(-q * t) * up - k * mpmath.exp(-r * t) * down))


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


def _american() -> list[Row]:
    rng = np.random.default_rng(3)
    high, fast = ql.QdFpAmericanEngine.highPrecisionScheme(), ql.QdFpAmericanEngine.fastScheme()
    worst, ours, theirs = [], [], []
    for days in (7, 30, 91, 365, 730):
        tau = days / 365.0
        sigma = rng.uniform(0.1, 0.8, 300)
        strike = SPOT * np.exp(rng.uniform(-2.0, 2.0, 300) * sigma * np.sqrt(tau))
        is_call = rng.random(300) > 0.5
        got = american.price(SPOT, strike, tau, RATE, DIV_YIELD, sigma, is_call)
        exact, _ = _quantlib_american(strike[:60], days, sigma[:60], is_call[:60], high)
        worst.append(np.max(np.abs(got[:60] - exact)) / SPOT)
        many = tuple(np.tile(a, 10) for a in (strike, sigma, is_call))

        def work(t: float = tau, many: Any = many) -> object:
            return american.price(SPOT, many[0], t, RATE, DIV_YIELD, many[1], many[2])

        def peer(d: int = days, few: Any = (strike, sigma, is_call)) -> float:
            return _quantlib_american(few[0], d, few[1], few[2], fast)[1] * 1e6

        work()
        mine, other = in_turns(clocked(work, each=many[0].size, scale=1e6), peer)
        ours.append(mine)
        theirs.append(other)
    american_boundary.solve.cache_clear()
    solve = american_boundary.solve.__wrapped__
    (boundary,) = in_turns(clocked(lambda: solve(0.25, RATE, DIV_YIELD), scale=1e3))
    # A put is exercised for its rate and held for its yield: a probability and a density of each.
    mesh = american_boundary.STANDARD
    places = mesh.sigmas * mesh.times * mesh.inner
    once = elementary(
        f"the integrals once, {places:,} places", scale=1e-6, items=places, ndtr=2, exp=2
    )
    return [
        figure(
            "options: American price, boundary known, five expiries",
            _middle(ours),
            "us",
            asked=asked_here(2.5, "us", ", >= 10 x"),
            peer=Peer(f"{QUANTLIB} QdFp fast", _middle(theirs)),
            limit=elementary(**PRICE),
        ),
        fact(
            "options: American price, error against QuantLib's high-precision engine",
            f"{max(worst):.1e} of spot",
            "<= 2e-6 of spot, 7 to 730 days",
        ),
        figure("options: one exercise boundary", boundary, "ms", limit=once),
    ]


def _middle(samples: list[Sample]) -> Sample:
    """Round by round, the middle of several samples."""
    rounds = zip(*(sample.values for sample in samples), strict=True)
    return Sample(tuple(float(np.median(values)) for values in rounds))


def _quotes() -> tuple[np.ndarray, ...]:
    """2,000 quotes: ten expiries, a hundred strikes, two sides, under a sloping smile."""
    tau = np.repeat(np.linspace(7.0, 730.0, 10).round() / 365.0, 200)
    width = np.tile(np.repeat(np.linspace(-2.0, 2.0, 100), 2), 10)
    strike = SPOT * np.exp(width * 0.25 * np.sqrt(tau))
    is_call = np.tile([True, False], 1000)
    return strike, tau, 0.25 - 0.1 * np.log(strike / SPOT), is_call


def _de_americanised() -> list[Row]:
    strike, tau, sigma, is_call = _quotes()
    value = american.price(SPOT, strike, tau, RATE, DIV_YIELD, sigma, is_call)

    def solve() -> implied.ImpliedVol:
        return american.solve(value, SPOT, strike, tau, RATE, DIV_YIELD, is_call)

    def cold() -> implied.ImpliedVol:
        american_boundary.solve.cache_clear()
        return solve()

    otm = is_call == (strike > SPOT)
    few = tuple(a[otm][::50] for a in (strike, tau, value, is_call))
    clock = {"each": strike.size, "scale": 1e6}
    cold_us, warm_us, peer_us = in_turns(
        clocked(cold, **clock), clocked(solve, **clock), lambda: _quantlib_implied(*few)
    )
    error = np.max(np.abs(solve().sigma[otm] / sigma[otm] - 1.0))
    name, peer = "options: de-Americanised IV of 2,000", Peer(f"{QUANTLIB} solver", peer_us)
    floor = elementary(**PRICE)
    return [
        figure(
            f"{name}, warm", warm_us, "us", asked=asked_here(15, "us"), peer=peer, limit=floor
        ),
        figure(
            f"{name}, cold", cold_us, "us", asked=asked_here(50, "us"), peer=peer, limit=floor
        ),
        fact(f"{name}, error out of the money", f"{error:.1e}", "<= 5e-5"),
    ]  # fmt: skip


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
