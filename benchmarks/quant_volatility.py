"""Smile fits: time, error against known smiles and at the money, residuals on recorded chains."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy
from benchmarks.figures import (
    Limit,
    Peer,
    Row,
    Sample,
    asked_here,
    clocked,
    elementary,
    fact,
    figure,
    in_turns,
)
from scipy.optimize import least_squares

from tomic.quant import american, black_scholes, parity, realized, smile, svi

# The reader of the recorded chains lives with the tests.
sys.path.append(str(Path(__file__).parents[1] / "tests"))
from support import index_smiles, recorded_chains

RUNS = 100
SMOOTH = 300
SPX = (recorded_chains.SPX_2018, recorded_chains.SPX_2019)
TAU, FORWARD = 30 / 365, 500.0
TRUTH = smile.Smile(FORWARD, TAU, 1.0, a=0.0012, b=0.03, rho=-0.6, m=0.01, sigma=0.06)
STRIKE = FORWARD * np.exp(np.linspace(-0.15, 0.10, 60))
LEAST_SQUARES = f"scipy {scipy.__version__} least_squares"
"""Plain: no robust loss, no arbitrage check."""
SYMBOLS, DAYS, WINDOW = 500, 756, 30
CHAINS = {
    "SPY 2025-05-19": ("tomic_ib_SPY_20250519_2026cest.csv", recorded_chains.spy),
    "GOOG 2015-12-24": ("lean_GOOG_20151224_eod_chain.csv", recorded_chains.goog),
}


def run() -> list[Row]:
    """Measure everything once; each row names what is asked and what was measured."""
    rows = [*_synthetic(), *_smooth(), *_rolling()]
    lacking = [recorded_chains.missing(file) for file in SPX]
    why = next(filter(None, lacking), None)
    rows += [{"name": "smile: SPX", "skipped": why}] if why else _spx()
    for name, (file, read) in CHAINS.items():
        why = recorded_chains.missing(file)
        rows += [{"name": f"smile: {name}", "skipped": why}] if why else _recorded(name, read())
    return rows


# -- a known smile ----------------------------------------------------------------------------


class Quotes(NamedTuple):
    """Volatilities of `TRUTH` as a market might show them."""

    iv: np.ndarray
    weight: np.ndarray
    good: np.ndarray
    """Which ones are only off by noise."""


def _quotes(seed: int) -> Quotes:
    """Sixty volatilities off by half a spread, three of them by up to a quarter, and weights."""
    rng = np.random.default_rng(seed)
    half = 0.01 + 0.01 * TRUTH.value(STRIKE, STRIKE > FORWARD)
    error = 0.01 * half / TRUTH.vega(STRIKE)
    iv = TRUTH.iv(STRIKE) + rng.normal(0.0, error)
    bad = rng.choice(60, 3, replace=False)
    iv[bad] *= 1.0 + rng.uniform(-0.25, 0.25, 3)
    good = np.ones(60, dtype=np.bool_)
    good[bad] = False
    return Quotes(iv, 0.01 / error, good)


def _points(iv: np.ndarray) -> float:
    """Root mean square error against the true smile in volatility points."""
    return 100.0 * float(np.sqrt(np.mean((iv - TRUTH.iv(STRIKE)) ** 2)))


class Plain(NamedTuple):
    """What the usual fit finds."""

    iv: np.ndarray
    converged: bool


def _least_squares(
    strike: np.ndarray, iv: np.ndarray, weight: np.ndarray, forward: float, tau: float
) -> Plain:
    """The usual fit; where it does not converge it ends after scipy's 500 evaluations."""
    k = np.log(strike / forward)

    def curve(x: np.ndarray) -> np.ndarray:
        a, b, rho, m, sigma = x
        w = a + b * (rho * (k - m) + np.sqrt((k - m) ** 2 + sigma**2))
        return np.sqrt(np.maximum(w, 1e-12) / tau)

    start = [float(np.min(iv)) ** 2 * tau / 2, 0.05, -0.3, 0.0, 0.1]
    found = least_squares(lambda x: (curve(x) - iv) * weight, start, method="lm")
    return Plain(np.asarray(curve(found.x)), bool(found.success))


def _peer_name(found: Sequence[Plain]) -> str:
    """The peer, and how often it took its time for nothing."""
    lost = sum(not one.converged for one in found)
    return f"{LEAST_SQUARES}, {lost} of {len(found)} not converged"


def _oracle(quotes: Quotes) -> np.ndarray:
    """Volatilities of weighted least squares that knows the wrong quotes, and where to start."""
    truth = TRUTH.iv(STRIKE)
    slopes = svi.gradient(TRUTH.raw, np.log(STRIKE / FORWARD)).T / (2.0 * TAU * truth[:, None])
    known = quotes.weight * quotes.good
    step = np.linalg.lstsq(slopes * known[:, None], (quotes.iv - truth) * known, rcond=None)[0]
    return np.asarray(truth + slopes @ step)


def _synthetic() -> list[Row]:
    cold, warm, plain = [], [], []
    errors, plain_found, least, arbitrage = [], [], [], 0
    grid = np.linspace(-0.5, 0.5, 2001)
    for seed in range(RUNS):
        quotes = _quotes(seed)
        fit = partial(smile.fit, STRIKE, quotes.iv, forward=FORWARD, tau=TAU, weight=quotes.weight)
        found = fit()
        peer = partial(_least_squares, STRIKE, quotes.iv, quotes.weight, FORWARD, TAU)
        errors.append(_points(found.iv(STRIKE)))
        plain_found.append(peer())
        least.append(_points(_oracle(quotes)))
        arbitrage += bool(smile.butterfly(found, grid).min() < 0.0)
        cold.append(fit)
        warm.append(partial(fit, previous=found))
        plain.append(peer)
    cold_ms, warm_ms, plain_ms = in_turns(*(_median_ms(works) for works in (cold, warm, plain)))
    peer_name, floor = _peer_name(plain_found), _linear_fits(STRIKE.size)
    beside = Peer(peer_name, plain_ms)
    plain_errors = Sample(tuple(_points(one.iv) for one in plain_found))
    name = "smile: SVI fit, 60 strikes, 3 wrong"
    return [
        figure(name, cold_ms, "ms", asked=asked_here(1, "ms"), peer=beside, limit=floor),
        figure(f"{name}, from an earlier one", warm_ms, "ms", peer=beside, limit=floor),
        figure(
            f"smile: error against the true smile, {RUNS} draws",
            Sample(tuple(errors)),
            "vol points",
            asked="<= 0.06 vol points",
            peer=Peer(peer_name, plain_errors),
            limit=Limit("least squares that knows which are wrong", float(np.median(least))),
        ),
        fact("smile: fits with butterfly arbitrage", f"{arbitrage} of {RUNS}", f"0 of {RUNS}"),
    ]


def _median_ms(works: Sequence[Callable[[], object]]) -> Callable[[], float]:
    """*works* as `in_turns` takes them: the median of their milliseconds."""
    return lambda: float(np.median([clocked(work, scale=1e3)() for work in works]))


def _linear_fits(*quotes: int) -> Limit:
    """Milliseconds of one linear fit to each number of quotes; none that is not linear is less."""
    rng, total = np.random.default_rng(0), 0.0
    for count in quotes:
        rows, wanted = rng.normal(size=(count, 5)), rng.normal(size=count)
        work = partial(_linear_fit, rows, wanted)
        total += min(clocked(work, number=20, scale=1e3)() for _ in range(20))
    each = "" if len(quotes) == 1 else " each"
    return Limit(f"one linear fit of five numbers{each}", total)


def _linear_fit(rows: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    return np.linalg.solve(rows.T @ rows, rows.T @ wanted)


# -- at the money -----------------------------------------------------------------------------


def _smooth() -> list[Row]:
    """Index-like smiles without noise: how often the fit misses them at the money."""
    misses = []
    for one in index_smiles.draw(SMOOTH, 0):
        found = smile.fit(one.strike, one.iv, forward=one.forward, tau=one.tau)
        misses.append(100.0 * abs(float(found.iv(one.forward)) - one.at_money))
    return _money(f"smile: {SMOOTH} smooth random smiles", misses, most=0)


def _spx() -> list[Row]:
    """Every SPX expiry of 5 to 75 days: misses at the money, and the time of all fits."""
    misses, fits, peers, counts = [], [], [], []
    for _, chain in recorded_chains.spx():
        for expiry in chain.expiries:
            q = recorded_chains.european_quotes(chain, expiry)
            fit = partial(
                smile.fit,
                q.strike,
                q.iv,
                weight=q.weight,
                forward=q.forward,
                tau=q.tau,
                discount=q.discount,
            )
            misses.append(100.0 * abs(float(fit().iv(q.forward)) - q.at_the_money()))
            used = (q.weight > 0.0) & np.isfinite(q.iv)
            quotes = (q.strike[used], q.iv[used], q.weight[used])
            fits.append(fit)
            peers.append(partial(_least_squares, *quotes, q.forward, q.tau))
            counts.append(int(used.sum()))
    name = f"smile: SPX 2018 and 2019, {len(fits)} expiries"
    ours, theirs = in_turns(_median_ms(fits), _median_ms(peers))
    return [
        *_money(name, misses, most=1),
        figure(
            f"{name}, a fit through {int(np.median(counts))} quotes",
            ours,
            "ms",
            peer=Peer(_peer_name([peer() for peer in peers]), theirs),
            limit=_linear_fits(int(np.median(counts))),
        ),
    ]


def _money(name: str, misses: Sequence[float], *, most: int) -> list[Row]:
    """How many smiles are off at the money by more than half a point, and by more than two."""
    return [
        fact(
            f"{name}, off at the money",
            f"{sum(miss > 0.5 for miss in misses)} by > .5 points, "
            f"{sum(miss > 2.0 for miss in misses)} by > 2, "
            f"median {np.median(misses):.2f}, worst {max(misses):.2f}",
            f"<= {most} by > .5, 0 by > 2",
        )
    ]


# -- recorded chains --------------------------------------------------------------------------


def _recorded(name: str, chain: recorded_chains.Recorded) -> list[Row]:
    """
    One row an expiry and one for the time of all.

    Residuals are those of the quotes on the out-of-the-money side, in half-spreads.
    """
    rows: list[Row] = []
    fits: list[Callable[[], smile.Smile]] = []
    peers: list[Callable[[], Plain]] = []
    before: smile.Smile | None = None
    for e in chain.expiries:
        implied = parity.american_forward(
            chain.spot, e.strike, e.call_mid, e.put_mid, chain.rate, e.tau
        )
        is_call = e.strike >= implied.forward
        bid, ask = np.where(is_call, [e.call_bid, e.call_ask], [e.put_bid, e.put_ask])
        div_yield = parity.implied_yield(chain.spot, implied.forward, chain.rate, e.tau)
        market = (chain.spot, e.strike, e.tau, chain.rate, div_yield)
        iv = american.implied_vol((bid + ask) / 2, *market, is_call)
        vega = black_scholes.greeks(*market, np.nan_to_num(iv, nan=0.3), is_call).vega
        weight = smile.quote_weights(e.strike, bid, ask, vega)
        fit = partial(
            smile.fit,
            e.strike,
            iv,
            forward=implied.forward,
            tau=e.tau,
            weight=weight,
            discount=math.exp(-chain.rate * e.tau),
            floor=before,
        )
        before = fit()
        used = (weight > 0) & np.isfinite(iv)
        fits.append(fit)
        peers.append(
            partial(
                _least_squares, e.strike[used], iv[used], weight[used], implied.forward, e.tau
            )
        )  # fmt: skip
        # European values: what the de-Americanised volatility of each quote is worth.
        european = black_scholes.price(*market, np.nan_to_num(iv), is_call)
        miss = (european - before.value(e.strike, is_call))[used]
        score = np.abs(miss) / np.maximum((ask - bid)[used] / 2, 0.005)
        rows.append(
            fact(
                f"smile: {name}, {e.name}, {before.kind} through {before.n} quotes",
                f"{np.sqrt(np.mean(score**2)):.2f} half-spreads",
                "RMSE in half-spreads, printed",
                quotes=before.n,
                rmse_half_spreads=float(np.sqrt(np.mean(score**2))),
                median_half_spreads=round(float(np.median(score)), 2),
                rmse_vol_points=round(100 * before.rmse, 3),
                forward=round(implied.forward, 2),
                arbitrage_free=before.arbitrage_free,
                note=before.note,
            )
        )
    quotes = sum(row["quotes"] for row in rows)
    samples = in_turns(*(clocked(work, scale=1e3) for work in (*fits, *peers)))
    ours, theirs = samples[: len(fits)], samples[len(fits) :]
    for row, sample in zip(rows, ours, strict=True):
        row |= sample.fields("ms_")
    return [
        *rows,
        figure(
            f"smile: {name}, all {len(fits)} fits through {quotes} quotes",
            _sum(ours),
            "ms",
            peer=Peer(_peer_name([peer() for peer in peers]), _sum(theirs)),
            limit=_linear_fits(*(row["quotes"] for row in rows)),
        ),
    ]


def _sum(samples: Sequence[Sample]) -> Sample:
    """Round by round, all of them together."""
    rounds = zip(*(sample.values for sample in samples), strict=True)
    return Sample(tuple(map(sum, rounds)))


# -- volatility that was ----------------------------------------------------------------------


def _rolling() -> list[Row]:
    """Five estimators over 500 symbols of three years, and the same in pandas."""
    rng = np.random.default_rng(0)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, (SYMBOLS, DAYS)), axis=-1))
    opening, high, low = close * 1.001, close * 1.01, close * 0.99
    # A column a symbol, as pandas rolls best.
    frames = [pd.DataFrame(price.T.copy()) for price in (opening, high, low, close)]

    def all_five() -> list[np.ndarray]:
        return [
            realized.close_to_close(close, WINDOW),
            realized.parkinson(high, low, WINDOW),
            realized.garman_klass(opening, high, low, close, WINDOW),
            realized.rogers_satchell(opening, high, low, close, WINDOW),
            realized.yang_zhang(opening, high, low, close, WINDOW),
        ]

    def plain() -> list[pd.DataFrame]:
        return _by_pandas(*frames)

    apart = [
        np.nanmax(np.abs(one - other.to_numpy().T))
        for one, other in zip(all_five(), plain(), strict=True)
    ]
    ours, theirs = in_turns(clocked(all_five, scale=1e3), clocked(plain, scale=1e3))
    name = f"realized: five estimators, {SYMBOLS} symbols x {DAYS} days"
    return [
        figure(
            name,
            ours,
            "ms",
            peer=Peer(f"pandas {pd.__version__} rolling", theirs),
            limit=elementary(
                # Each is a call of its own; ten windows of 30 take 4 doublings and 3 sums each.
                "each estimator: a logarithm of each of its prices, its windows and a root",
                scale=1e-6, items=SYMBOLS * DAYS, log=15, sqrt=5, multiply=10 * 7,
            ),
        ),
        fact(f"{name}, against pandas", f"{max(apart):.1e} apart"),
    ]  # fmt: skip


def _by_pandas(
    opening: pd.DataFrame, high: pd.DataFrame, low: pd.DataFrame, close: pd.DataFrame
) -> list[pd.DataFrame]:
    """The five as one writes them with pandas, logarithms taken once."""
    o, h, l, c = (np.log(frame) for frame in (opening, high, low, close))  # noqa: E741
    rogers_satchell = (h - o) * (h - c) + (l - o) * (l - c)
    k = realized.yang_zhang_weight(WINDOW)
    variances = [
        c.diff().rolling(WINDOW).var(),
        ((h - l) ** 2 / (4.0 * math.log(2.0))).rolling(WINDOW).mean(),
        (0.5 * (h - l) ** 2 - (2.0 * math.log(2.0) - 1.0) * (c - o) ** 2).rolling(WINDOW).mean(),
        rogers_satchell.rolling(WINDOW).mean(),
        (o - c.shift()).rolling(WINDOW).var()
        + k * (c - o).rolling(WINDOW).var()
        + (1.0 - k) * rogers_satchell.rolling(WINDOW).mean(),
    ]
    return [np.sqrt(variance * realized.TRADING_DAYS) for variance in variances]


if __name__ == "__main__":
    for row in run():
        print(row)
