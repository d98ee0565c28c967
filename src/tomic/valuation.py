"""
What is computed from a fetched chain: local IV and Greeks, parity deviation, the final status.

Pure: a chain in, a chain out. Numbers that IB gave are never replaced.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from tomic import dates
from tomic._typing import BoolArray, FloatArray
from tomic.chain import Chain
from tomic.config import ChainSettings, MarketSettings
from tomic.models import DataType, ExerciseStyle, QuoteSource, RowStatus
from tomic.quant import parity

_FROZEN_PAIRS = 20
"""Pairs with identical call and put IV from which a chain is taken for frozen."""
_FROZEN_TYPES = {DataType.LIVE: DataType.FROZEN, DataType.DELAYED: DataType.DELAYED_FROZEN}


def complete(chain: Chain, market: MarketSettings, rules: ChainSettings) -> Chain:
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
    invert, _ = _model(chain)
    return invert(price, chain.spot.price, strike, tau, chain.rate, div_yield, is_call)


def local_greeks(
    chain: Chain, rows: BoolArray, iv: FloatArray, div_yield: FloatArray
) -> dict[str, FloatArray]:
    """Delta, gamma, vega and theta of *rows* (m,) at *iv* and *div_yield* (n,); (n,) each."""
    strike, tau, is_call = chain["strike"][rows], chain["tau"][rows], chain.is_call[rows]
    _, model = _model(chain)
    greeks = model(chain.spot.price, strike, tau, chain.rate, div_yield, iv, is_call)
    return {name: getattr(greeks, name) for name in ("delta", "gamma", "vega", "theta")}


def _model(chain: Chain) -> tuple[Callable[..., FloatArray], Callable[..., Any]]:
    """What inverts prices of *chain* and what gives its Greeks, with early exercise or without."""
    # scipy takes 0.3 s to import, and most chains come with IB's own numbers.
    from tomic.quant import american, black_scholes, implied

    if chain.exercise_style is ExerciseStyle.AMERICAN:
        return american.implied_vol, american.greeks
    return implied.implied_vol, black_scholes.greeks


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


_STORED = (
    "bid", "ask", "last", "close", "iv", "delta", "gamma", "vega", "theta", "volume",
    "open_interest", "greeks_source", "quoted_at",
)  # fmt: skip


def lacks_quotes(chain: Chain) -> BoolArray:
    """Rows that came without quotes and may be filled from elsewhere; not those cut off."""
    status = chain["status"]
    vain = [RowStatus.NO_QUOTE, RowStatus.TIMEOUT, RowStatus.NOT_SUBSCRIBED]
    return cast(BoolArray, np.isin(status, vain) & (chain["quote_source"] != "history"))


def with_stored(chain: Chain, stored: Chain) -> Chain:
    """Fill rows without a quote from an earlier chain of the same class, labelled ``stored``."""
    position = {key: row for row, key in enumerate(_keys(stored))}
    usable = np.isfinite(stored.mid)
    rows, origin = [], []
    for row, key in enumerate(_keys(chain)):
        match = position.get(key)
        if match is not None and usable[match]:
            rows.append(row)
            origin.append(match)
    to, source = np.array(rows, dtype=np.intp), np.array(origin, dtype=np.intp)
    wanted = lacks_quotes(chain)[to]
    to, source = to[wanted], source[wanted]
    if not len(to):
        return chain
    columns: dict[str, NDArray[Any]] = {}
    for name in _STORED:
        columns[name] = chain[name].copy()
        columns[name][to] = stored[name][source]
    columns["quote_source"] = _relabelled(chain, to, QuoteSource.STORED)
    known = np.isfinite(columns["iv"][to]) & np.isfinite(columns["delta"][to])
    columns["status"] = chain["status"].copy()
    columns["status"][to] = np.where(known, RowStatus.OK.value, RowStatus.NO_GREEKS.value)
    note = f"{len(to)} quotes are stored ones, {_ages(stored, source)}"
    return replace(chain, columns={**chain.columns, **columns}, notes=(*chain.notes, note))


def _ages(stored: Chain, rows: NDArray[Any]) -> str:
    """How old *rows* are; they may have been stored more than once, so only they know."""
    quoted = stored["quoted_at"][rows]
    known = np.sort(quoted[~np.isnat(quoted)]).astype(object)
    if not len(known):
        return f"of {stored.as_of:%Y-%m-%d %H:%M} UTC"
    first, last = (f"{moment:%Y-%m-%d %H:%M}" for moment in (known[0], known[-1]))
    return f"of {first} UTC" if first == last else f"of {first} to {last} UTC"


def _keys(chain: Chain) -> list[tuple[Any, ...]]:
    return list(zip(*(chain[name].tolist() for name in ("expiry", "strike", "right")), strict=True))


def _relabelled(chain: Chain, rows: NDArray[Any], source: QuoteSource) -> NDArray[Any]:
    labels = chain["quote_source"].copy()
    labels[rows] = source.value
    return labels


def with_historical_iv(chain: Chain) -> Chain:
    """
    Invert the closes of rows from ``history``, with the time to expiry at each close.

    Forwards come from parity between those closes. Greeks stay out.
    """
    rows = (chain["quote_source"] == QuoteSource.HISTORY) & np.isnan(chain["iv"])
    rows &= chain["close"] > 0.0
    if not rows.any():
        return chain
    now = np.datetime64(chain.as_of.astimezone(dt.UTC).replace(tzinfo=None), "us")
    years = (now - chain["quoted_at"]).astype(np.int64) / 1e6 / dates.YEAR_SECONDS
    price = np.where(rows, chain["close"], np.nan)
    then = chain.with_columns(
        bid=price, ask=price, tau=np.where(rows, chain["tau"] + years, np.nan)
    )
    solved = local_iv(then, rows, price[rows], implied_yields(then)[rows])
    iv = chain["iv"].copy()
    iv[rows] = solved
    return chain.with_columns(iv=iv)


def with_model(chain: Chain, usual_iv: float | None) -> Chain:
    """
    Give rows without any quote IV and Greeks of the local model, labelled ``model``.

    IV is read off the expiry's other options, flat beyond the outermost, else *usual_iv*. Bid and
    ask stay empty: a model's value is not a quote.
    """
    rows = lacks_quotes(chain) & (chain["quote_source"] == "") & np.isnan(chain["iv"])
    rows &= chain["tau"] > 0.0
    iv = np.where(rows, _interpolated_iv(chain, usual_iv), np.nan)
    rows &= np.isfinite(iv)
    if not rows.any():
        return chain
    yields = implied_yields(chain)[rows]
    greeks = local_greeks(chain, rows, iv[rows], yields)
    columns: dict[str, NDArray[Any]] = {"iv": np.where(rows, iv, chain["iv"])}
    for name, values in greeks.items():
        columns[name] = chain[name].copy()
        columns[name][rows] = values
    columns["quote_source"] = _relabelled(chain, rows, QuoteSource.MODEL)
    columns["greeks_source"] = np.where(rows, "local", chain["greeks_source"])
    return chain.with_columns(**columns)


def _interpolated_iv(chain: Chain, usual_iv: float | None) -> FloatArray:
    result = np.full(len(chain), math.nan if usual_iv is None else usual_iv)
    for expiry in np.unique(chain["expiry"]):
        of_expiry = chain["expiry"] == expiry
        known = of_expiry & np.isfinite(chain["iv"])
        if known.any():
            strike, place = np.unique(chain["strike"][known], return_inverse=True)
            mean = np.bincount(place, chain["iv"][known]) / np.bincount(place)
            result[of_expiry] = np.interp(chain["strike"][of_expiry], strike, mean)
    return result
