"""
Stand-ins for quotes that a closed market does not give, always labelled as such.

An earlier chain's quotes, volatilities from historical closes, then the local model.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from tomic import dates, valuation
from tomic._typing import BoolArray, FloatArray
from tomic.chain import Chain
from tomic.models import QuoteSource, RowStatus

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
    solved = valuation.local_iv(then, rows, price[rows], valuation.implied_yields(then)[rows])
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
    yields = valuation.implied_yields(chain)[rows]
    greeks = valuation.local_greeks(chain, rows, iv[rows], yields)
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
