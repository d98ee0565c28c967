"""
What is computed from a fetched chain: local IV and Greeks, parity deviation, the final status.

Pure: a chain in, a chain out. Numbers that IB gave are never replaced.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tomic import dates
from tomic._typing import BoolArray, FloatArray
from tomic.chain import Chain
from tomic.models import DataType, ExerciseStyle, RowStatus
from tomic.quant import parity

_FROZEN_PAIRS = 20
"""Pairs with identical call and put IV from which a chain is taken for frozen."""
_FROZEN_TYPES = {
    DataType.LIVE: DataType.FROZEN,
    DataType.DELAYED: DataType.DELAYED_FROZEN,
}


class MarketRules(Protocol):
    """What is needed of the market settings."""

    @property
    def parity_rate(self) -> float:
        """Of the column ``parity_deviation`` alone; continuously compounded, a fraction."""

    @property
    def greeks_only_if_open(self) -> bool:
        """Whether Greeks are emptied while the market is closed."""


class DeltaBounds(Protocol):
    """What is needed of the chain settings."""

    @property
    def min_delta(self) -> float:
        """Least delta, per share and signed."""

    @property
    def max_delta(self) -> float:
        """Largest delta."""


def complete(chain: Chain, market: MarketRules, rules: DeltaBounds) -> Chain:
    """
    Fill what IB left out, and settle each row's status.

    IV and Greeks are added, marked ``local``, where there is a mid and IB gave none: European
    for index options, with early exercise for all others. Rows whose delta leaves the range
    become ``delta_out_of_range``.
    """
    chain = with_parity_deviation(chain, market.parity_rate)
    chain = with_local_greeks(label_frozen(chain))
    chain = _mark_delta(chain, rules.min_delta, rules.max_delta)
    return _without_greeks(chain) if market.greeks_only_if_open and not is_open(chain) else chain


def is_open(chain: Chain) -> bool:
    """Whether the underlying trades at the time of the chain; False when its hours are unknown."""
    return dates.is_open(chain.underlying.sessions, chain.as_of)


def counterpart(chain: Chain) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Row numbers of the calls and of their puts, for every pair that has both."""
    expiry, strike = chain["expiry"], chain["strike"]
    # Rows are sorted by expiry, strike, right: a put follows its call at once.
    call = np.flatnonzero(
        chain.is_call[:-1]
        & ~chain.is_call[1:]
        & (expiry[:-1] == expiry[1:])
        & (strike[:-1] == strike[1:])
    )
    return call, call + 1


def with_parity_deviation(chain: Chain, rate: float) -> Chain:
    """
    Fill ``parity_deviation`` of each pair of quotes that are both present, at the mid.

    See `tomic.quant.parity.parity_deviation`: the original program's definition.
    """
    deviation = np.full(len(chain), np.nan)
    if len(chain) > 1:
        call, put = counterpart(chain)
        mid, strike, dte = chain.mid, chain["strike"][call], chain["dte"][call]
        gap = parity.parity_deviation(mid[call], mid[put], chain.spot.price, strike, dte, rate)
        deviation[call] = deviation[put] = gap
    return chain.with_columns(parity_deviation=deviation)


def label_frozen(chain: Chain) -> Chain:
    """
    Mark a chain as frozen when it looks so: identical call and put IV in at least 20 pairs.

    IB's live model gives calls and puts slightly different IV. In open hours it is only noted.
    """
    frozen = _FROZEN_TYPES.get(chain.data_type)
    if len(chain) < 2 or frozen is None:
        return chain
    call, put = counterpart(chain)
    from_ib = chain["greeks_source"] == "ib"
    both = from_ib[call] & from_ib[put]
    same = chain["iv"][call] == chain["iv"][put]
    if both.sum() < _FROZEN_PAIRS or not same[both].all():
        return chain
    text = f"call and put IV are identical in all {int(both.sum())} pairs, as in frozen data"
    if is_open(chain):
        return replace(chain, notes=(*chain.notes, f"{text}, although the market is open"))
    source = np.where(chain["quote_source"] == "live", "frozen", chain["quote_source"])
    return replace(
        chain,
        data_type=frozen,
        notes=(*chain.notes, f"{text}: labelled frozen"),
        columns={**chain.columns, "quote_source": source},
    )


def with_local_greeks(chain: Chain) -> Chain:
    """Fill IV and Greeks from the mid where IB gave none; forwards come from put-call parity."""
    mid = chain.mid
    lacking = np.isnan(chain["iv"]) & (mid > 0.0) & (chain["tau"] > 0.0)
    if not lacking.any():
        return chain
    div_yield = implied_yields(chain)[lacking]
    iv = local_iv(chain, lacking, mid[lacking], div_yield)
    greeks = local_greeks(chain, lacking, iv, div_yield)
    have = np.isfinite(iv)
    rows = np.flatnonzero(lacking)[have]
    columns: dict[str, NDArray[Any]] = {
        name: chain[name].copy() for name in ("iv", "delta", "gamma", "vega", "theta")
    }
    columns["iv"][rows] = iv[have]
    for name, values in greeks.items():
        columns[name][rows] = values[have]
    source, status = chain["greeks_source"].copy(), chain["status"].copy()
    source[rows] = "local"
    status[rows] = np.where(status[rows] == RowStatus.NO_GREEKS, RowStatus.OK.value, status[rows])
    return chain.with_columns(**columns, greeks_source=source, status=status)


def local_iv(chain: Chain, rows: BoolArray, price: FloatArray, div_yield: FloatArray) -> FloatArray:
    """IV of *rows* (m,) at *price* and *div_yield* (n,), the rows alone: (n,), NaN where none."""
    strike, tau, is_call = chain["strike"][rows], chain["tau"][rows], chain.is_call[rows]
    # scipy takes 0.3 s to import, and most chains come with IB's own numbers.
    from tomic.quant import american, implied

    is_american = chain.underlying.exercise_style is ExerciseStyle.AMERICAN
    invert = american.implied_vol if is_american else implied.implied_vol
    return invert(price, chain.spot.price, strike, tau, chain.rate, div_yield, is_call)


def local_greeks(
    chain: Chain, rows: BoolArray, iv: FloatArray, div_yield: FloatArray
) -> dict[str, FloatArray]:
    """Delta, gamma, vega and theta of *rows* (m,) at *iv* and *div_yield* (n,); (n,) each."""
    from tomic.quant import american, black_scholes

    is_american = chain.underlying.exercise_style is ExerciseStyle.AMERICAN
    model = american.greeks if is_american else black_scholes.greeks
    strike, tau, is_call = chain["strike"][rows], chain["tau"][rows], chain.is_call[rows]
    greeks = model(chain.spot.price, strike, tau, chain.rate, div_yield, iv, is_call)
    return {name: getattr(greeks, name) for name in ("delta", "gamma", "vega", "theta")}


def implied_yields(chain: Chain) -> FloatArray:
    """Dividend yield per row that puts the forward where its expiry's pairs trade; 0 if unknown."""
    result = np.zeros(len(chain))
    for expiry, (forward, tau) in forwards(chain).items():
        rows = chain["expiry"] == np.datetime64(expiry, "D")
        result[rows] = chain.rate - np.log(forward / chain.spot.price) / tau
    return result


def forwards(chain: Chain) -> dict[dt.date, tuple[float, float]]:
    """
    Expiry to (forward, tau) from put-call parity, early exercise left in.

    Near the money it moves calls and puts nearly equally, which is good enough for a yield.
    Expiries without a quoted pair, or whose time is over, are absent.
    """
    if len(chain) < 2:
        return {}
    call, put = counterpart(chain)
    mid, result = chain.mid, {}
    for expiry in chain.expiries:
        of_expiry = chain["expiry"][call] == np.datetime64(expiry, "D")
        if not of_expiry.any():
            continue
        c, p = call[of_expiry], put[of_expiry]
        tau = float(chain["tau"][c[0]])
        pairs = parity.forward_from_parity(chain["strike"][c], mid[c], mid[p], chain.rate, tau)
        if tau > 0.0 and pairs.forward > 0.0:
            result[expiry] = (pairs.forward, tau)
    return result


def _without_greeks(chain: Chain) -> Chain:
    empty, status = np.full(len(chain), np.nan), chain["status"]
    return chain.with_columns(
        delta=empty,
        gamma=empty,
        vega=empty,
        theta=empty,
        greeks_source=np.full(len(chain), "none"),
        status=np.where(status == RowStatus.OK, RowStatus.NO_GREEKS.value, status),
    )


def _mark_delta(chain: Chain, low: float, high: float) -> Chain:
    delta, status = chain["delta"], chain["status"].copy()
    outside = (delta < low) | (delta > high)
    # A row without a bid is out of range as well: it would stay out of the export either way.
    settled = (status == RowStatus.OK) | (status == RowStatus.NO_QUOTE)
    status[outside & settled] = RowStatus.DELTA_OUT_OF_RANGE.value
    return chain.with_columns(status=status)
