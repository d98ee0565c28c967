"""
What is computed from a fetched chain: local IV and Greeks, parity deviation, the final status.

Pure: a chain in, a chain out. Numbers that IB gave are never replaced.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from tomic import dates
from tomic._typing import BoolArray, FloatArray
from tomic.chain import Chain
from tomic.config import ChainSettings, MarketSettings
from tomic.models import VOLATILITY_INDICES, Carry, DataType, QuoteSource, RowStatus
from tomic.quant import parity

_FROZEN_PAIRS = 20
"""Pairs with identical call and put IV from which a chain is taken for frozen."""
_IMPLIED = ("parity", "volatility")
"""Sources of forwards that options imply."""
_MOST_RATE_ERROR = 0.005
"""Standard error of an implied rate from which `market.rate` is no worse, a fraction a year."""
_SURE_RATE_ERROR = 0.002
"""Standard error up to which an expiry's rate counts as its own, not that of the curve."""
_LEAST_USE = 0.1
"""Standard error from which an expiry's own rate does not even help the curve."""
_SAME_MOMENT_S = 60
"""Seconds between call and put of a pair above which it says nothing of a slope."""
_STALE_SPOT = 0.02
"""How far a spot may be behind its options, as a share of it."""
_MOST_YIELD = 0.15
"""Yield of an index beyond which its options cannot be on the spot, a fraction a year."""
_BORROW_YIELD = 0.06
"""Yield of a share beyond which its options are priced for a borrow fee, a fraction a year."""
_BORROW_CARRY = 0.01
"""And how far that must carry the forward, as a share of the spot."""
_BORROW_ROUNDS = 6
_IV_FORWARD_ERROR = 0.005
"""Standard error of a forward from volatilities up to which it is used, as a share of it."""
_NAMED_DAYS = 4
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
    chain = _with_currency_noted(chain, market)
    return _without_greeks(chain) if market.greeks_only_if_open and not is_open(chain) else chain


def _with_currency_noted(chain: Chain, market: MarketSettings) -> Chain:
    """The chain with a note where it is discounted by the rate of another currency."""
    currency = chain.underlying.currency
    implied = chain.carries and all(carry.rate_source != "settings" for carry in chain.carries)
    if implied or market.knows_rate(currency):
        return chain
    return _noted(
        chain,
        f"no interest rate of {currency} is set: the dollar's market.rate, {market.rate:.2%}, is "
        f"used; set market.rates.{currency}",
    )


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
    """
    Fill IV and Greeks from the mid where IB gave none, and state what each expiry was carried at.

    Everything hangs on the forward of the expiry. Where nothing implies it, as with calls alone,
    the rows keep none and a note says so.
    """
    chain = with_carries(chain)
    mid = chain.mid
    lacking = np.isnan(chain["iv"]) & (mid > 0.0) & (chain["tau"] > 0.0)
    if not lacking.any():
        return chain
    chain = _with_carry_notes(chain, lacking)
    terms = pricing_terms(chain).of(lacking)
    iv = local_iv(chain, lacking, mid[lacking], terms)
    greeks = local_greeks(chain, lacking, iv, terms)
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


def local_iv(chain: Chain, rows: BoolArray, price: FloatArray, terms: PricingTerms) -> FloatArray:
    """IV of *rows* (m,) at *price* and *terms* (n,), the rows alone: (n,), NaN where none."""
    strike, tau, is_call = chain["strike"][rows], chain["tau"][rows], chain.is_call[rows]
    invert, _ = _model(chain)
    return invert(price, terms.underlying, strike, tau, terms.rate, terms.div_yield, is_call)


def local_greeks(
    chain: Chain, rows: BoolArray, iv: FloatArray, terms: PricingTerms
) -> dict[str, FloatArray]:
    """
    Delta, gamma, vega and theta of *rows* (m,) at *iv* and *terms* (n,); (n,) each.

    Delta and gamma are per 1.00 of what the option is on: the spot, or the forward of its expiry
    where `is_on_forward`; theta leaves that where it is.
    """
    strike, tau, is_call = chain["strike"][rows], chain["tau"][rows], chain.is_call[rows]
    _, model = _model(chain)
    greeks = model(terms.underlying, strike, tau, terms.rate, terms.div_yield, iv, is_call)
    return {name: getattr(greeks, name) for name in ("delta", "gamma", "vega", "theta")}


def _model(chain: Chain) -> tuple[Callable[..., FloatArray], Callable[..., Any]]:
    """What inverts prices of *chain* and what gives its Greeks, with early exercise or without."""
    # scipy takes 0.3 s to import, and most chains come with IB's own numbers.
    from tomic.quant import american, black_scholes, implied

    if chain.is_american:
        return american.implied_vol, partial(american.greeks, with_rho=False)
    return implied.implied_vol, black_scholes.greeks


# -- forwards and discount factors -----------------------------------------------------------------


class PricingTerms(NamedTuple):
    """What the options of rows are priced on, (m,) each, as the kernels take it."""

    underlying: FloatArray
    """Spot, or the forward where the options are on that; currency per share."""
    rate: FloatArray
    """To the row's expiry, fraction a year."""
    div_yield: FloatArray
    """What carries `underlying` to the forward, fraction a year; NaN where that is unknown."""

    def of(self, rows: BoolArray | NDArray[np.intp]) -> PricingTerms:
        """The terms of some rows."""
        return PricingTerms(*(values[rows] for values in self))


def pricing_terms(chain: Chain, stated: Mapping[dt.date, Carry] | None = None) -> PricingTerms:
    """
    Underlying, rate and yield of each row; the yield is NaN where the expiry has no forward.

    Args:
        stated: Instead of the chain's own `carries`.
    """
    by_expiry = carries(chain) if stated is None else stated
    forward, rate = by_row(chain, by_expiry)
    if is_on_forward(chain, by_expiry):
        return PricingTerms(forward, rate, np.where(np.isnan(forward), np.nan, rate))
    spot = np.full(len(chain), chain.spot.price)
    return PricingTerms(spot, rate, yields(chain, forward, rate))


def by_row(chain: Chain, by_expiry: Mapping[dt.date, Carry]) -> tuple[FloatArray, FloatArray]:
    """Forward and rate of each row, (m,); NaN and the chain's rate where the expiry has none."""
    forward, rate = np.full(len(chain), np.nan), np.full(len(chain), chain.rate)
    for expiry, rows in _expiry_rows(chain):
        if carry := by_expiry.get(expiry):
            forward[rows] = math.nan if carry.forward is None else carry.forward
            rate[rows] = carry.rate
    return forward, rate


def yields(chain: Chain, forward: FloatArray, rate: FloatArray) -> FloatArray:
    """What carries the spot to *forward* at *rate*, fraction a year, (m,); NaN when expired."""
    tau = np.where(chain["tau"] > 0.0, chain["tau"], np.nan)
    return np.asarray(rate - np.log(forward / chain.spot.price) / tau)


def is_on_forward(chain: Chain, by_expiry: Mapping[dt.date, Carry]) -> bool:
    """
    Whether options are to be hedged with the forward of their expiry: the spot cannot be carried.

    So it is with volatility indices, and with any index whose forward lies further from the spot
    than interest and dividends can bring it. Delta and gamma are then per 1.00 of that forward, and
    no larger than its discount factor.
    """
    if chain.is_american:
        return False
    if chain.symbol in VOLATILITY_INDICES:
        return True
    for expiry, rows in _expiry_rows(chain):
        carry, tau = by_expiry.get(expiry), float(chain["tau"][rows][0])
        if carry is not None and carry.forward is not None and carry.forward_source in _IMPLIED:
            off = abs(math.log(carry.forward / chain.spot.price) - carry.rate * tau)
            if off > _STALE_SPOT + _MOST_YIELD * tau:
                return True
    return False


def carries(chain: Chain) -> dict[dt.date, Carry]:
    """Forward and discount factor by expiry: as the chain states them, else as it implies them."""
    return {carry.expiry: carry for carry in chain.carries or implied_carries(chain)}


def with_carries(chain: Chain) -> Chain:
    """The chain with what its quotes imply stated, unless it states it already."""
    if chain.carries or len(chain) == 0:
        return chain
    implied = implied_carries(chain)
    chain = replace(chain, carries=implied)
    if not chain.is_american and any(_is_assumed(carry) for carry in implied):
        days = [carry.expiry for carry in implied if _is_assumed(carry)]
        return _noted(
            chain,
            f"no rate is implied for {_days(days)}: too few pairs of call and put; market.rate "
            f"{chain.rate:.2%} instead",
        )
    return chain


def _is_assumed(carry: Carry) -> bool:
    return carry.rate_source == "settings" and carry.pairs > 0


def implied_carries(chain: Chain) -> tuple[Carry, ...]:
    """
    Forward and discount factor of each expiry with time left, from put-call parity.

    Rates are implied from European options only: by each expiry's own line where its strikes are
    many, drawn to a curve through all expiries where they are few, and `chain.rate` where even that
    is off by half a point. Forwards come from the pairs nearest the money, of American options
    with early exercise left in: near the money it moves calls and puts nearly equally, except for
    shares that are hard to borrow, where it is taken off. Options on one side imply the
    forward that IB's volatilities of at least three of them belong to. Failing all that, an expiry
    without a pair is carried from the spot where the yield is known and the spot can be held; else
    it has no forward.
    """
    strips = [_Strip.of(chain, expiry, rows) for expiry, rows in _expiry_rows(chain)]
    strips = [strip for strip in strips if strip.tau > 0.0]
    own = [_own_rate(strip) for strip in strips] if not chain.is_american else []
    pooled = parity.pooled_rates(
        [strip.tau for strip in strips[: len(own)]],
        [rate for rate, _ in own],
        [error for _, error in own],
    )
    carried = []
    for place, strip in enumerate(strips):
        rate, error, source = chain.rate, math.nan, "settings"
        if own and pooled.error[place] <= _MOST_RATE_ERROR and _is_rate(pooled.rate[place]):
            rate, error = round(float(pooled.rate[place]), 6), float(pooled.error[place])
            source = "parity" if own[place][1] <= _SURE_RATE_ERROR else "curve"
        carried.append(_carry(chain, strip, rate, error, source))
    return tuple(carried)


class _Strip(NamedTuple):
    """The pairs of one expiry with a market on both sides."""

    expiry: dt.date
    rows: slice
    tau: float
    strike: FloatArray
    call: FloatArray
    """Mids, as `put`."""
    put: FloatArray
    spread: FloatArray
    """Ask less bid of call and put together."""
    at_once: BoolArray
    """Pairs of which both sides were quoted at about the same time, as far as that is known."""

    @classmethod
    def of(cls, chain: Chain, expiry: dt.date, rows: slice) -> _Strip:
        strike, is_call = chain["strike"][rows], chain.is_call[rows]
        # Rows are sorted by strike and right: a put follows its call at once.
        call = np.flatnonzero(is_call[:-1] & ~is_call[1:] & (strike[:-1] == strike[1:]))
        bid, ask = chain["bid"][rows], chain["ask"][rows]
        market = (bid > 0.0) & (ask >= bid) & (ask < np.inf)
        call = call[market[call] & market[call + 1]]
        mid, spread, stamp = 0.5 * (bid + ask), ask - bid, chain["quoted_at"][rows]
        # The difference of a time that is missing is NaT, which is not above anything.
        apart = np.abs(stamp[call] - stamp[call + 1]) > np.timedelta64(_SAME_MOMENT_S, "s")
        tau = float(chain["tau"][rows][0])
        put = call + 1
        return cls(
            expiry, rows, tau, strike[call], mid[call], mid[put], spread[call] + spread[put], ~apart
        )


def _own_rate(strip: _Strip) -> tuple[float, float]:
    """The rate of an expiry from its own options, and its standard error; NaN without one."""
    at = strip.at_once
    line = parity.discount_from_parity(
        strip.strike[at], strip.call[at], strip.put[at], strip.spread[at]
    )
    rate, error = line.rate(strip.tau)
    return (rate, error) if error <= _LEAST_USE else (math.nan, math.nan)


def _is_rate(rate: float) -> bool:
    """Whether a rate is within what the settings accept."""
    return -0.1 < rate < 1.0


def _carry(chain: Chain, strip: _Strip, rate: float, error: float, source: Any) -> Carry:
    """Rounded to what it can be good for: the clock's tenths of a second are not."""
    quotes = (strip.strike, strip.call, strip.put, rate, strip.tau)
    pairs = parity.forward_from_parity(*quotes)
    if chain.is_american and _is_hard_to_borrow(chain, pairs.forward, rate, strip.tau):
        pairs = parity.american_forward(chain.spot.price, *quotes, rounds=_BORROW_ROUNDS)
    known: dict[str, Any] = {"pairs": pairs.n}
    if chain.underlying.is_future and chain.spot.price > 0.0:
        # A future costs nothing to hold, so that its price is the forward (Black 1976).
        known |= {"forward": chain.spot.price, "forward_source": "future"}
    elif pairs.forward > 0.0:
        known |= {
            "forward": float(f"{pairs.forward:.10g}"),
            "forward_source": "parity",
            "forward_error": None if math.isnan(pairs.error) else float(f"{pairs.error:.4g}"),
        }
    elif (of_iv := _of_volatilities(chain, strip, rate)) is not None:
        known |= {"forward": float(f"{of_iv:.10g}"), "forward_source": "volatility"}
    elif chain.div_yield is not None and chain.symbol not in VOLATILITY_INDICES:
        carried = chain.spot.price * math.exp((rate - chain.div_yield) * strip.tau)
        if math.isfinite(carried):
            known |= {"forward": float(f"{carried:.10g}"), "forward_source": "spot"}
    return Carry(
        expiry=strip.expiry,
        rate=rate,
        rate_source=source,
        rate_error=None if math.isnan(error) else float(f"{error:.3g}"),
        discount=round(math.exp(-rate * strip.tau), 7),
        **known,
    )


def _of_volatilities(chain: Chain, strip: _Strip, rate: float) -> float | None:
    """The forward that IB's own volatilities belong to; None where too few options tell."""
    bid, ask = chain["bid"][strip.rows], chain["ask"][strip.rows]
    told = (chain["greeks_source"][strip.rows] == "ib") & (bid > 0.0) & (ask >= bid)
    if chain.is_american:
        # Out of the money early exercise is worth next to nothing.
        spot, strike = chain.spot.price, chain["strike"][strip.rows]
        told &= np.where(chain.is_call[strip.rows], strike >= spot, strike <= spot)
    if not told.any():
        return None
    found = parity.forward_from_volatility(
        chain["strike"][strip.rows][told],
        (0.5 * (bid + ask))[told],
        chain["iv"][strip.rows][told],
        chain.is_call[strip.rows][told],
        rate,
        strip.tau,
    )
    # One option may be quoted wide; several that agree are not wrong together.
    sure = found.n >= parity.LEAST_PAIRS and found.error <= _IV_FORWARD_ERROR * found.forward
    return found.forward if sure else None


def _is_hard_to_borrow(chain: Chain, forward: float, rate: float, tau: float) -> bool:
    """Whether a yield is so large that early exercise moves the forward by more than a trifle."""
    div_yield = parity.implied_yield(chain.spot.price, forward, rate, tau)
    return abs(div_yield) > _BORROW_YIELD and abs(div_yield) * tau > _BORROW_CARRY


def _expiry_rows(chain: Chain) -> list[tuple[dt.date, slice]]:
    """Each expiry with its rows, which lie together."""
    if len(chain) == 0:
        return []
    days, first = np.unique(chain["expiry"], return_index=True)
    ends = [*first[1:].tolist(), len(chain)]
    starts = zip(days.tolist(), first.tolist(), ends, strict=True)
    return [(day, slice(start, end)) for day, start, end in starts]


def forwards(chain: Chain) -> dict[dt.date, tuple[float, float]]:
    """
    Expiry to (forward, tau) from put-call parity; see `implied_carries`.

    Expiries without a quoted pair, or whose time is over, are absent.
    """
    by_expiry, result = carries(chain), {}
    for expiry, rows in _expiry_rows(chain):
        carry, tau = by_expiry.get(expiry), float(chain["tau"][rows][0])
        if carry is not None and carry.forward is not None and carry.forward_source == "parity":
            result[expiry] = (carry.forward, tau)
    return result


def _with_carry_notes(chain: Chain, lacking: BoolArray) -> Chain:
    """Say of which expiries with rows *lacking* the forward is unknown, or only assumed."""
    by_expiry = carries(chain)
    unknown: list[dt.date] = []
    assumed: list[dt.date] = []
    for expiry, rows in _expiry_rows(chain):
        if lacking[rows].any() and (carry := by_expiry.get(expiry)) is not None:
            if carry.forward is None:
                unknown.append(expiry)
            elif carry.forward_source == "spot":
                assumed.append(expiry)
    if assumed:
        chain = _noted(
            chain,
            f"no strike of {_days(assumed)} is quoted on both sides: IV and Greeks marked local "
            f"take the spot carried at the rate less a yield of {chain.div_yield or 0.0:.2%}",
        )
    if unknown:
        chain = _noted(
            chain,
            f"no forward of {_days(unknown)}: no strike is quoted on both sides, so options that "
            "IB gave no Greeks keep none; ask for calls and puts",
        )
    return chain


def _days(expiries: Sequence[dt.date]) -> str:
    """A few expiries by name, many by their number."""
    if len(expiries) <= _NAMED_DAYS:
        return ", ".join(map(str, expiries))
    return f"{len(expiries)} expiries from {expiries[0]} to {expiries[-1]}"


def _noted(chain: Chain, text: str) -> Chain:
    """The chain with a note, once."""
    return chain if text in chain.notes else replace(chain, notes=(*chain.notes, text))


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
    at_close = {carry.expiry: carry for carry in implied_carries(then)}
    solved = local_iv(then, rows, price[rows], pricing_terms(then, at_close).of(rows))
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
    chain = with_carries(chain)
    greeks = local_greeks(chain, rows, iv[rows], pricing_terms(chain).of(rows))
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
