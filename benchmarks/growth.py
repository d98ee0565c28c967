"""
How cost grows with contracts and with candidates, each at three sizes; symbols are in scan_scaling.

The exponent is the slope of a straight line through the logarithms: 1 means proportional.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.figures import GREEKS, Limit, Row, Sample, burnt, elementary, fact, figure, in_turns
from benchmarks.scan_scaling import exponent
from benchmarks.scan_search import all_ranked, condors

from tomic.config import Settings
from tomic.strategies import propose
from tomic.strategies.pricing import board

# The maker of random chains lives with the tests.
sys.path.append(str(Path(__file__).parents[1] / "tests"))
from support import random_chains

STRIKES = (20, 40, 80)
EXPIRIES = (2, 4, 8)
SEARCHED = (40, 70, 120)
ROUNDS = 3
_FIRST_DAY = 25
_APART = 3


class Case(NamedTuple):
    """A piece of work of some size."""

    size: int
    work: Callable[[], object]
    least: Limit


def run() -> list[Row]:
    """A row for each size, and the exponent under them."""
    settings = Settings()

    def chain(strikes: int, expiries: int) -> random_chains.Chain:
        days = tuple(_FIRST_DAY + _APART * n for n in range(expiries))
        return random_chains.chain(1, days=days, strikes=strikes, gaps=False)

    wider = [chain(strikes, 2) for strikes in STRIKES]
    longer = [chain(20, expiries) for expiries in EXPIRIES]
    vol = random_chains.snapshot(wider[0])
    searches = [condors(strikes) for strikes in SEARCHED]
    return [
        *_grown(
            "contracts (more strikes): chain prepared",
            "contracts",
            [_of_chain(one, partial(board.prepare, one, vol, settings)) for one in wider],
        ),
        *_grown(
            "contracts (more strikes): searched whole",
            "contracts",
            [_of_chain(one, partial(propose.evaluate, one, vol, settings)) for one in wider],
        ),
        *_grown(
            "contracts (more expiries): searched whole",
            "contracts",
            [_of_chain(one, partial(propose.evaluate, one, vol, settings)) for one in longer],
        ),
        *_grown(
            "candidates: condors scored exactly",
            "candidates",
            [Case(len(one), partial(one.best, 5), all_ranked(one, scale=1e-6)) for one in searches],
        ),
        *_candidates(wider, vol, settings),
    ]


def _of_chain(chain: random_chains.Chain, work: Callable[[], object]) -> Case:
    """Whatever is done with a chain, every contract has its Greeks."""
    least = elementary(**GREEKS, scale=1e-6, items=len(chain))
    return Case(len(chain), work, least)


def _grown(name: str, of: str, cases: list[Case]) -> list[Row]:
    for case in cases:
        case.work()
    samples = in_turns(*(burnt(case.work, scale=1e3) for case in cases), rounds=ROUNDS)
    sizes = [case.size for case in cases]
    return [
        *(
            figure(
                f"growth with {name}, {case.size:,}",
                sample,
                "ms",
                limit=case.least,
                per=_each(sample, case.size),
            )
            for case, sample in zip(cases, samples, strict=True)
        ),
        _power(name, of, sizes, [sample.median for sample in samples]),
    ]


def _each(sample: Sample, size: int) -> float:
    """Microseconds a piece."""
    return sample.median * 1e3 / size


def _power(name: str, of: str, sizes: list[int], costs: list[float]) -> Row:
    power = exponent(sizes, costs)
    return fact(f"growth with {name}: exponent", f"{of} ^ {power:.2f}", exponent=power)


def _candidates(
    chains: list[random_chains.Chain], vol: random_chains.VolSnapshot, settings: Settings
) -> list[Row]:
    """How many candidates a chain gives, which is why its cost grows as it does."""
    found = [propose.evaluate(one, vol, settings).considered for one in chains]
    sizes = [len(one) for one in chains]
    counted = ", ".join(f"{n:,} of {size}" for n, size in zip(found, sizes, strict=True))
    name = "candidates in a chain, two expiries"
    power = exponent(sizes, [float(n) for n in found])
    return [fact(f"growth of {name}", f"{counted}: contracts ^ {power:.2f}", exponent=power)]
