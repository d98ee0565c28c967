"""Open interest of a chain, strike by strike. No network."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tomic._typing import BoolArray
from tomic.chain import Chain
from tomic.models import RowStatus


@dataclass(frozen=True, slots=True)
class StrikeInterest:
    """Contracts that are open at one strike; None where no option there told."""

    strike: float
    puts: int | None
    calls: int | None


@dataclass(frozen=True, slots=True)
class InterestSummary:
    """What the strikes come to."""

    puts: int
    calls: int
    put_wall: float | None
    """Strike with the most puts, the lowest of several; None where none is open."""
    call_wall: float | None
    unknown: int
    """Options that exist and whose open interest is not known: they are in no sum."""

    @property
    def put_call(self) -> float | None:
        """Puts per call; None without a call."""
        return self.puts / self.calls if self.calls else None


def by_strike(chain: Chain, expiry: dt.date | None = None) -> list[StrikeInterest]:
    """
    Sum over the expiries of *chain*, or of *expiry* alone, of every strike of which any is known.

    It is the exchange's count of the evening before, and only of the strikes that were fetched.
    """
    rows = np.isfinite(chain["open_interest"]) & _of(chain, expiry)
    strikes = np.unique(chain["strike"][rows])
    puts, calls = (
        _sums(chain, rows & (chain.is_call == is_call), strikes) for is_call in (False, True)
    )
    return [
        StrikeInterest(strike, put, call)
        for strike, put, call in zip(strikes.tolist(), puts, calls, strict=True)
    ]


def summary(
    chain: Chain, strikes: Sequence[StrikeInterest], expiry: dt.date | None = None
) -> InterestSummary:
    """What *strikes*, as `by_strike` gave them, come to."""
    exists = chain["status"] != RowStatus.UNKNOWN_CONTRACT.value
    unknown = ~np.isfinite(chain["open_interest"]) & exists & _of(chain, expiry)
    return InterestSummary(
        puts=sum(row.puts or 0 for row in strikes),
        calls=sum(row.calls or 0 for row in strikes),
        put_wall=_wall(strikes, "puts"),
        call_wall=_wall(strikes, "calls"),
        unknown=int(unknown.sum()),
    )


def _of(chain: Chain, expiry: dt.date | None) -> BoolArray:
    if expiry is None:
        return np.ones(len(chain), dtype=bool)
    return np.asarray(chain["expiry"] == np.datetime64(expiry, "D"))


def _sums(chain: Chain, rows: BoolArray, strikes: np.ndarray) -> list[int | None]:
    place = np.searchsorted(strikes, chain["strike"][rows])
    total = np.bincount(place, chain["open_interest"][rows], minlength=strikes.size)
    count = np.bincount(place, minlength=strikes.size)
    both = zip(total.tolist(), count.tolist(), strict=True)
    return [round(value) if n else None for value, n in both]


def _wall(strikes: Sequence[StrikeInterest], side: str) -> float | None:
    sizes = {row.strike: getattr(row, side) or 0 for row in strikes}
    widest = max(sizes, key=lambda strike: sizes[strike], default=None)
    return widest if widest is not None and sizes[widest] > 0 else None
