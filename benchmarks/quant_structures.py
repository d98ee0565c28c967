"""Structures: probability of success, target before stop, and the stress grid of a book."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import QuantLib as ql
from benchmarks.figures import (
    Limit,
    Peer,
    Row,
    asked_here,
    clocked,
    elementary,
    fact,
    figure,
    in_turns,
)
from benchmarks.peers import Foreign, foreign
from scipy.special import ndtr

from tomic.quant import (
    american,
    american_boundary,
    black_scholes,
    density,
    exercise_table,
    margin,
    paths,
    payoff,
    probability,
    revaluation,
    smile,
)

SPOT, DAYS = 100.0, 30
TAU, SIGMA, RATE, YIELD = DAYS / 365, 0.25, 0.045, 0.013
AXES: dict[str, np.ndarray] = {
    "spot_moves": np.linspace(-0.2, 0.2, 41).round(3),
    "vol_moves": np.array([-0.5, -0.35, -0.2, -0.1, 0.0, 0.2, 0.4, 0.7, 1.0]),
    "days": np.array([0.0, 1.0, 5.0, 10.0, 20.0]),
}
STRUCTURES, PATHS = 200_000, 200_000
MANAGED, PER_EXPIRY, LAST_DTE = 50, 5, 21
"""Proposals that are managed, how many share an expiry, and the day on which time closes them."""
CONDOR_DAYS, CHAIN_PRICES = 45, 1201
"""Days until a condor expires, and prices of the Markov chain that asks what comes first."""
TRADES, CELLS = 20, 1_000
"""Structures given to optionlab, and cells of a stress grid to QuantLib: one at a time."""
TODAY = ql.Date(1, 1, 2024)
WORKS = """
from optionlab import run_strategy

def evaluate(strike, is_call, quantity, credit, spot, sigma, days):
    found = []
    columns = (strike, is_call, quantity, credit)
    for strikes, calls, amounts, paid in zip(*(column.tolist() for column in columns)):
        # Every premium is 1; what that makes more or less than the credit is had already.
        legs = [
            {"type": "call" if call else "put", "strike": k, "premium": 1.0, "n": abs(int(n)),
             "action": "buy" if n > 0 else "sell"}
            for k, call, n in zip(strikes, calls, amounts)
        ]
        out = run_strategy({
            "stock_price": spot, "volatility": sigma, "interest_rate": 0.0,
            "min_stock": spot / 2, "max_stock": spot * 2,
            "discard_nonbusiness_days": False, "days_to_target_date": days,
            "strategy": [*legs, {"type": "closed", "prev_pos": paid + sum(amounts)}],
        })
        found.append(out.probability_of_profit)
    return found

WORKS = {"evaluate": evaluate}
"""


def run() -> list[Row]:
    """Measure everything once; each row names what is asked and what was measured."""
    return [*_pos(), *_target(), *_managed(), *_stress(), _margin()]


# -- probability of success -------------------------------------------------------------------


def _four_legs(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Any calls and puts, long, short and double, with a random credit per share."""
    rng = np.random.default_rng(seed)
    strike = rng.integers(80, 120, (count, 4)).astype(float)
    quantity = rng.choice([-2.0, -1.0, 1.0, 2.0], (count, 4))
    return strike, rng.random((count, 4)) < 0.5, quantity, rng.normal(0.0, 3.0, count)


def _pos() -> list[Row]:
    market = density.lognormal(SPOT, TAU, SIGMA)
    legs = _four_legs(STRUCTURES, 1)
    strike, is_call, quantity, credit = legs

    def work() -> np.ndarray:
        shape = payoff.segments(strike, is_call, quantity, credit=credit)
        return probability.pos(market, shape)

    total_vol = SIGMA * np.sqrt(TAU)
    score = np.linspace(-10.0, 10.0, 200_001)
    middle = 0.5 * (score[1:] + score[:-1])
    price = SPOT * np.exp(total_vol * middle - 0.5 * total_vol**2)
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
    name = "structures: PoS of four legs, one expiry, any calls and puts"
    off = np.abs(found - exact).max()
    rows = [fact(f"{name}, error", f"{off:.1e}", "within 5e-5 of a fine grid")]
    try:
        with foreign("optionlab", WORKS) as peer:
            return [*_pos_beside(name, work, legs, peer), *rows]
    except (subprocess.SubprocessError, OSError) as exc:
        return [{"name": name, "failed": f"optionlab cannot be run: {exc!r}"}, *rows]


def _pos_beside(
    name: str, work: Callable[[], np.ndarray], legs: tuple[np.ndarray, ...], peer: Foreign
) -> list[Row]:
    names = ("strike", "is_call", "quantity", "credit")
    peer.load(**{key: array[:TRADES] for key, array in zip(names, legs, strict=True)})
    evaluate = partial(peer.seconds, "evaluate", *names, spot=SPOT, sigma=SIGMA, days=DAYS)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "found.npy"
        evaluate(keep=file)
        theirs = np.load(file)
    apart = np.abs(work()[:TRADES] - theirs).max()
    ours, other = in_turns(
        lambda: STRUCTURES / clocked(work, scale=1e6)(), lambda: TRADES / evaluate() / 1e6
    )
    strike, is_call, quantity, credit = legs
    shape = payoff.segments(strike, is_call, quantity, credit=credit)
    crossings = float(np.isfinite(payoff.profile(shape).breakevens).sum(axis=1).mean())
    # P&L is known at zero and at each strike, a difference, a maximum, a product and a sum a leg;
    # every breakeven between has the probability beyond it.
    each = elementary(
        "four legs at five prices, and the breakevens",
        multiply=4 * 5 * 4, log=round(crossings, 2), ndtr=round(crossings, 2),
    )  # fmt: skip
    return [
        figure(
            name,
            ours,
            "million/s",
            asked=asked_here(2, "million/s", more_is_better=True),
            peer=Peer(f"optionlab {peer.version('optionlab')}, one at a time", other),
            limit=Limit(each.what, 1.0 / each.value),
            more_is_better=True,
        ),
        fact(f"{name}, against optionlab", f"{apart:.1e} apart"),
    ]


# -- target before stop -----------------------------------------------------------------------


def _target() -> list[Row]:
    """A condor closed at half its credit or at twice its loss, against simulated paths."""
    strike = np.array([85.0, 90.0, 110.0, 115.0])
    is_call = np.array([False, False, True, True])
    quantity = np.array([1.0, -1.0, -1.0, 1.0])
    vols, tau = np.array([0.29, 0.27, 0.23, 0.22]), np.full(4, CONDOR_DAYS / 365)
    unit = black_scholes.price(SPOT, strike, tau, RATE, YIELD, vols, is_call)
    credit = -100.0 * float(quantity @ unit)

    def work() -> probability.BeforeStop:
        return probability.target_before_stop(
            SPOT, strike, tau, RATE, YIELD, vols, is_call, quantity, sigma=SIGMA, credit=credit,
            target=0.5 * credit, stop=-2.0 * credit, multiplier=100.0,
        )  # fmt: skip

    def simulated() -> float:
        rng = np.random.default_rng(1)
        price, state, step = np.full(PATHS, SPOT), np.zeros(PATHS, dtype=int), 1 / 365
        for day in range(1, CONDOR_DAYS + 1):
            move = SIGMA * np.sqrt(step) * rng.standard_normal(price.size)
            price *= np.exp((RATE - YIELD - 0.5 * SIGMA**2) * step + move)
            table = np.linspace(price.min(), price.max(), 4001)
            left = (CONDOR_DAYS - day) / 365
            unit = black_scholes.price(
                table, strike[:, None], left, RATE, YIELD, vols[:, None], is_call[:, None]
            )
            gain = np.interp(price, table, credit + 100.0 * (quantity @ unit))
            state[(state == 0) & (gain >= 0.5 * credit)] = 1
            state[(state == 0) & (gain <= -2.0 * credit)] = 2
        return float(np.mean(state == 1))

    ours, theirs = work().target, simulated()
    ours_ms, theirs_ms = in_turns(clocked(work, scale=1e3), clocked(simulated, scale=1e3))
    name = f"structures: target before stop, condor of {CONDOR_DAYS} days"
    # On the last day the legs are worth their payoff.
    values = CHAIN_PRICES * strike.size * (CONDOR_DAYS - 1)
    return [
        figure(
            name,
            ours_ms,
            "ms",
            peer=Peer(f"numpy {np.__version__}, {PATHS:,} paths", theirs_ms),
            limit=elementary(
                f"legs valued daily at {CHAIN_PRICES:,} prices", scale=1e-6, items=values, ndtr=2
            ),
        ),
        fact(
            f"{name}, error",
            f"{100 * abs(ours - theirs):.2f} points",
            f"within 0.5 points of {PATHS:,} paths with daily steps",
            ours=round(ours, 4),
            simulated=round(theirs, 4),
        ),
    ]


# -- managed outcome --------------------------------------------------------------------------


class _Condor:
    """A condor of 45 days on a skewed smile, closed at half its credit, twice its loss, or time."""

    def __init__(self, number: int) -> None:
        put, call = 92.0 - number, 106.0 + number
        self.legs = ((put - 4, False, 1), (put, False, -1), (call, True, -1), (call + 4, True, 1))
        forward, tau = SPOT * np.exp((RATE - YIELD) * CONDOR_DAYS / 365), CONDOR_DAYS / 365
        strike = np.linspace(70.0, 130.0, 61)
        vols = SIGMA - 0.4 * np.log(strike / forward) + 1.5 * np.log(strike / forward) ** 2
        discount = float(np.exp(-RATE * tau))
        self.smile = smile.fit(strike, vols, forward=forward, tau=tau, discount=discount)
        values = [q * float(self.smile.value(k, call)) for k, call, q in self.legs]
        self.credit = -100.0 * sum(values)

    def plan(self, law: paths.Law) -> paths.ExitPlan:
        carry = np.exp(-RATE * law.tau)
        values = [
            quantity * paths.option_values(law, self.smile, strike, call, discount=carry)
            for strike, call, quantity in self.legs
        ]
        watched = self.credit + 100.0 * np.stack(values).sum(axis=0)
        gain = self.credit + carry[:, None] * (watched - self.credit)
        return paths.ExitPlan(
            watched, gain, 5.0 * carry, 0.0, 0.5 * self.credit, -2.0 * self.credit,
            last=law.tau.size - 1, expires=False,
        )  # fmt: skip


def _managed() -> list[Row]:
    """Fifty proposals of ten expiries, and one after the other by a plain simulation."""
    days = np.array([day for day in range(1, CONDOR_DAYS - LAST_DTE + 1) if day % 7 not in (5, 6)])
    condors = [_Condor(number) for number in range(PER_EXPIRY)]
    market = density.from_smile(condors[0].smile)

    def work(drawn: int = paths.PATHS) -> list[paths.PathOutcome]:
        results = []
        for _ in range(MANAGED // PER_EXPIRY):
            law = paths.law(SPOT, [market], days / 365)
            simulated = paths.simulate(law, paths=drawn)
            results += [paths.outcome(each.plan(law), simulated, days) for each in condors]
        return results

    def plainly(condor: _Condor, count: int) -> float:
        """P(target), every leg valued on every path; the same law and smile."""
        law, rng = paths.law(SPOT, [market], days / 365), np.random.default_rng(1)
        state, score = np.zeros(count, dtype=int), np.zeros(count)
        for day, tau in enumerate(law.tau):
            step = np.diff(law.variance, prepend=0.0)[day]
            score += np.sqrt(step) * rng.standard_normal(count)
            place = score / np.sqrt(law.variance[day])
            price = np.interp(place, paths.score(), law.price[day])
            forward = price * condor.smile.forward / law.forward[day]
            left = condor.smile.tau - tau
            gain = condor.credit
            for strike, call, quantity in condor.legs:
                vol = condor.smile.iv(strike / forward * condor.smile.forward)
                unit = black_scholes.price(forward, strike, left, RATE, RATE, vol, call)
                gain = gain + 100.0 * quantity * unit
            state[(state == 0) & (gain <= -2.0 * condor.credit)] = 2
            state[(state == 0) & (gain >= 0.5 * condor.credit)] = 1
        return float(np.mean(state == 1))

    ours, one = in_turns(
        clocked(work, scale=1e3), clocked(lambda: plainly(condors[0], paths.PATHS), scale=1e3)
    )
    theirs = type(one)(tuple(MANAGED * value for value in one.values))
    few, many = work(), work(1 << 19)
    off = max(
        abs(getattr(a, name) - getattr(b, name))
        for a, b in zip(few, many, strict=True)
        for name in ("p_target", "p_stop", "p_time")
    )
    name = f"structures: managed outcome of {MANAGED} proposals"
    return [
        figure(
            name,
            ours,
            "ms",
            asked=asked_here(500, "ms"),
            peer=Peer(f"numpy {np.__version__}, {paths.PATHS:,} paths, one at a time", theirs),
            limit=elementary(
                "each leg at each tabulated price",
                scale=1e-6,
                items=MANAGED * 4 * days.size * paths.NODES,
                ndtr=2,
            ),
        ),
        fact(f"{name}, error", f"{100 * off:.2f} points", "within 0.5 points of 524,288 paths"),
    ]


# -- stress -----------------------------------------------------------------------------------


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


def _stress() -> list[Row]:
    rows = []
    for count, underlyings in ((200, 1), (200, 10), (500, 20)):
        book = _book(count, underlyings, seed=count)

        def warm(book: dict[str, Any] = book) -> np.ndarray:
            return revaluation.stress_grid(**book, quantity=1.0, **AXES)

        def cold(work: Callable[[], np.ndarray] = warm) -> np.ndarray:
            american_boundary.solve.cache_clear()
            exercise_table.build.cache_clear()
            return work()

        cold_ms, warm_ms, peer_ms = in_turns(
            clocked(cold, scale=1e3), clocked(warm, scale=1e3), partial(_quantlib_ms, book)
        )
        beside = Peer(f"QuantLib {ql.__version__} QdFp fast, from {CELLS:,} cells", peer_ms)
        # Logarithms, roots and discounts are shared along the axes; the probabilities are not.
        cells = _living(book)[0].size * AXES["spot_moves"].size * AXES["vol_moves"].size
        floor = elementary("each cell before expiry", scale=1e-6, items=cells, ndtr=2)
        name = f"structures: stress 41 x 9 x 5, {count} American, {underlyings} symbols"
        asked = asked_here(25 if count == 200 else 100, "ms")
        rows += [
            figure(name, warm_ms, "ms", asked=asked, peer=beside, limit=floor),
            figure(f"{name}, the first time", cold_ms, "ms", peer=beside, limit=floor),
        ]
    return [*rows, _stress_error()]


def _living(book: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Positions and days to pass whose options are not at their end; the others cost nothing."""
    row, day = np.nonzero(np.round(365.0 * book["tau"])[:, None] > AXES["days"])
    return row, day


def _quantlib_ms(book: dict[str, Any]) -> float:
    """Milliseconds for all cells before expiry, as some of them tell; making options is free."""
    rng, (row, day) = np.random.default_rng(5), _living(book)
    cells = row.size * AXES["spot_moves"].size * AXES["vol_moves"].size
    chosen = rng.integers(0, row.size, CELLS)
    row, day = row[chosen], day[chosen]
    columns = (
        book["spot"][row] * (1.0 + rng.choice(AXES["spot_moves"], CELLS)),
        book["strike"][row],
        np.round(365.0 * book["tau"][row] - AXES["days"][day]).astype(int),
        book["div_yield"][row],
        book["sigma"][row] * (1.0 + rng.choice(AXES["vol_moves"], CELLS)),
        book["is_call"][row],
    )
    ql.Settings.instance().evaluationDate = TODAY
    spot, div_yield, vol = (ql.SimpleQuote(0.1) for _ in range(3))
    counted, never = ql.Actual365Fixed(), ql.NullCalendar()
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(spot),
        ql.YieldTermStructureHandle(ql.FlatForward(TODAY, ql.QuoteHandle(div_yield), counted)),
        ql.YieldTermStructureHandle(ql.FlatForward(TODAY, RATE, counted)),
        ql.BlackVolTermStructureHandle(
            ql.BlackConstantVol(TODAY, never, ql.QuoteHandle(vol), counted)
        ),
    )
    engine = ql.QdFpAmericanEngine(process, ql.QdFpAmericanEngine.fastScheme())
    seconds = 0.0
    for s, k, days, q, v, call in zip(*(column.tolist() for column in columns), strict=True):
        spot.setValue(s), div_yield.setValue(q), vol.setValue(v)
        side = ql.Option.Call if call else ql.Option.Put
        exercise = ql.AmericanExercise(TODAY, TODAY + days)
        option = ql.VanillaOption(ql.PlainVanillaPayoff(side, k), exercise)
        option.setPricingEngine(engine)
        began = time.perf_counter()
        option.NPV()
        seconds += time.perf_counter() - began
    return seconds / CELLS * cells * 1e3


def _stress_error() -> Row:
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
    return fact(
        "structures: stress grid against full American revaluation, spot 500",
        f"{100 * np.abs(found - exact).max():.2f} cent",
        "within 0.5 cent a share",
    )


# -- margin -----------------------------------------------------------------------------------


def _margin() -> Row:
    rng = np.random.default_rng(2)
    strike = np.sort(rng.integers(80, 120, (100_000, 4)), axis=1).astype(float)
    is_call = np.broadcast_to([False, False, True, True], strike.shape)
    quantity = np.broadcast_to([1.0, -1.0, -1.0, 1.0], strike.shape)
    price = rng.uniform(0.1, 3.0, strike.shape)
    (each_us,) = in_turns(
        clocked(
            lambda: margin.requirement(strike, is_call, quantity, price, spot=100.0),
            each=len(strike),
            scale=1e6,
        )
    )
    # Who pays what is told by the worst of each side and of both: a difference, a maximum and a
    # product a leg at every strike and at zero. The premium is a product a leg.
    floor = elementary("three worst cases of four legs at five prices", multiply=3 * 4 * 5 * 3 + 4)
    return figure("structures: margin of condors, batched", each_us, "us", limit=floor)


if __name__ == "__main__":
    for row in run():
        print(row)
