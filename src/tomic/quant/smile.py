"""
The smile of one expiry: fitted volatility, values, density and how sure we are of each.

Every smile is a raw SVI slice, whatever it was fitted as, so value, volatility, distribution and
density come from one formula and agree with each other:

- ``svi``: all five parameters, from five strikes on. Where the free fit allows butterfly
  arbitrage it is fitted again with the density's sign as a penalty; where it misses the quotes at
  the money, again with those counting for more;
- ``ssvi``: the three-parameter slice that cannot have butterfly arbitrage, for four strikes and
  where the penalty did not help. Straight lines between quotes are not a fallback: every kink of
  theirs is an atom of probability, half of them negative;
- ``flat``: one volatility, only on request.

Through fewer than four strikes there is no smile: what was made of them was off by 12 to 42
volatility points at the money.

Sources: Gatheral and Jacquier (2014), "Arbitrage-Free SVI Volatility Surfaces"; Breeden and
Litzenberger (1978), "Prices of State-Contingent Claims Implicit in Option Prices".
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from scipy.special import ndtr

from tomic._typing import FloatArray, Num
from tomic.quant import black_scholes, svi

Kind: TypeAlias = Literal["svi", "ssvi", "flat"]

_MEDIAN_SQUARE = 0.4549364  # of a standard normal
LEAST_STRIKES = 4
LEAST_STRIKES_SVI = 5
HEAVIEST = 4.0
"""Most that one quote may weigh, in medians of the weights."""
BINDING = 1e-3
"""Share of total variance between two expiries below which the earlier one holds the later up."""
REACH_SIGMAS = 12.0
"""How far out the density's sign is checked, in at-the-money standard deviations."""
MONEY_MISS = 0.002
"""Miss at the money, a fraction of volatility, from which on the quotes there count for more."""
MONEY_WEIGHT = 20.0
"""How much more they count then, at the forward itself."""
MONEY_WIDTH = 0.5
"""Standard deviations within which they do, and within which a miss is looked for."""
MONEY_ERRORS = 3.0
"""Standard errors of those quotes' median that a miss must exceed to be one."""
MONEY_QUOTES = 7
"""Quotes nearest the forward whose median residual is the miss."""
_FAR = 650.0
"""Log-moneyness whose price a float still holds."""
_INV_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)


def _unknown() -> FloatArray:
    return np.full((5, 5), np.nan)


@dataclass(frozen=True, slots=True)
class Smile:
    """
    Total variance w(k) = a + b (rho (k - m) + sqrt((k - m)^2 + sigma^2)) of one expiry.

    k is ln(strike / forward). Methods take scalars or arrays and broadcast; a strike or price
    that is NaN, and a strike that is not positive, gives NaN.
    """

    forward: float
    """Currency per share."""
    tau: float
    """Years to expiry (act/365), positive."""
    discount: float
    """Value today of one unit of currency at expiry."""
    a: float
    b: float
    rho: float
    m: float
    sigma: float
    kind: Kind = "svi"
    rmse: float = math.nan
    """Weighted root mean square of the volatility residuals, a fraction."""
    n: int = 0
    """Quotes fitted."""
    arbitrage_free: bool = True
    """Density not negative and, in a chain, total variance not below the expiry before."""
    note: str = ""
    """Why this kind of smile, and what was done to it; empty for a plain fit."""
    span: tuple[float, float] = (math.nan, math.nan)
    """Lowest and highest log-moneyness quoted; beyond it the smile is extrapolated."""
    miss: float = math.nan
    """
    Fitted less quoted volatility, a fraction, at the strikes on either side of the forward,
    interpolated to it; NaN unless both sides were quoted.
    """
    covariance: FloatArray = field(default_factory=_unknown, repr=False, compare=False)
    """Of (a, b rho, b, m, sigma); NaN where the quotes were too few to tell."""

    @property
    def raw(self) -> FloatArray:
        """The slice as `tomic.quant.svi` writes it: (a, b rho, b, m, sigma)."""
        return np.array([self.a, self.b * self.rho, self.b, self.m, self.sigma])

    def total_variance(self, log_moneyness: Num) -> FloatArray:
        """Variance to expiry at ln(strike / forward), dimensionless."""
        return svi.variance(self.raw, np.asarray(log_moneyness, dtype=np.float64))

    def iv(self, strike: Num) -> FloatArray:
        """Implied volatility, a fraction per square-root year."""
        return np.asarray(np.sqrt(self.total_variance(self.log_moneyness(strike)) / self.tau))

    def log_moneyness(self, strike: Num) -> FloatArray:
        """ln(strike / forward); NaN for a strike that is not positive and finite."""
        price = np.asarray(strike, dtype=np.float64)
        usable = (price > 0.0) & (price < np.inf)
        return np.asarray(np.log(np.where(usable, price, np.nan) / self.forward))

    def value(self, strike: Num, is_call: Num) -> FloatArray:
        """Value today of a European option, currency per share."""
        k = self.log_moneyness(strike)
        total_vol = np.sqrt(self.total_variance(k))
        paid = black_scholes.undiscounted(
            self.forward, self.forward * np.exp(k), total_vol, is_call
        )
        return np.asarray(self.discount * paid)

    def vega(self, strike: Num) -> FloatArray:
        """Change of `value` for 0.01 of volatility at that strike, currency per share."""
        k = self.log_moneyness(strike)
        total_vol = np.sqrt(self.total_variance(k))
        d1 = -k / total_vol + 0.5 * total_vol
        peak = self.forward * self.discount * math.sqrt(self.tau) * _INV_SQRT_2PI
        return np.asarray(0.01 * peak * np.exp(-0.5 * d1 * d1))

    def cdf(self, price: Num) -> FloatArray:
        """
        Risk-neutral probability that the underlying ends at or below *price*.

        0 at and below a price of zero, 1 at infinity, NaN at NaN.
        """
        at = np.asarray(price, dtype=np.float64)
        inside = (at > 0.0) & (at < np.inf)
        k = np.log(np.where(inside, at, self.forward) / self.forward)
        w, slope, _ = svi.derivatives(self.raw, k)
        total_vol = np.sqrt(w)
        d2 = -k / total_vol - 0.5 * total_vol
        below = ndtr(-d2) + _INV_SQRT_2PI * np.exp(-0.5 * d2 * d2) * slope / (2.0 * total_vol)
        edge = np.where(np.isnan(at), np.nan, np.where(at > 0.0, 1.0, 0.0))
        return np.asarray(np.where(inside, np.clip(below, 0.0, 1.0), edge))

    def density(self, price: Num) -> FloatArray:
        """
        Risk-neutral density of the underlying at expiry, per unit of currency.

        0 at and below a price of zero, NaN at NaN.
        """
        at = np.asarray(price, dtype=np.float64)
        inside = (at > 0.0) & (at < np.inf)
        k = np.log(np.where(inside, at, self.forward) / self.forward)
        w, slope, bend = svi.derivatives(self.raw, k)
        d2 = -k / np.sqrt(w) - 0.5 * np.sqrt(w)
        g = svi.durrleman(k, w, slope, bend)
        # Rounding only: the fit does not let g fall below zero.
        shape = np.maximum(g, 0.0) * np.exp(-0.5 * d2 * d2) / np.sqrt(w)
        edge = np.where(np.isnan(at), np.nan, 0.0)
        return np.asarray(np.where(inside, _INV_SQRT_2PI * shape / np.where(inside, at, 1.0), edge))

    def quantile(self, probability: Num) -> FloatArray:
        """Price below which the underlying ends with *probability*; NaN outside (0, 1)."""
        wanted = np.asarray(probability, dtype=np.float64)
        known = (wanted > 0.0) & (wanted < 1.0)
        low = np.full(wanted.shape, -_FAR)
        high = np.full(wanted.shape, _FAR)
        for _ in range(64):
            middle = 0.5 * (low + high)
            below = self.cdf(self.forward * np.exp(middle)) < wanted
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.asarray(np.where(known, self.forward * np.exp(0.5 * (low + high)), np.nan))

    def standard_error(self, strike: Num) -> FloatArray:
        """
        Standard error of `iv`, a fraction: what the scatter of the quotes leaves open.

        NaN where there were no more quotes than parameters.
        """
        k = self.log_moneyness(strike)
        rows = svi.gradient(self.raw, k.ravel())
        variance = np.einsum("ik,ij,jk->k", rows, self.covariance, rows).reshape(k.shape)
        w = self.total_variance(k)
        return np.asarray(np.sqrt(np.maximum(variance, 0.0)) / (2.0 * np.sqrt(w * self.tau)))


class ChainSmiles(dict[float, Smile]):
    """Smiles by tau, shortest first, and why the other expiries have none."""

    def __init__(self) -> None:
        super().__init__()
        self.missing: dict[float, str] = {}


class Residuals(NamedTuple):
    """Every contract against its smile."""

    value: FloatArray
    """At the smile, currency per share."""
    residual: FloatArray
    """Price less value: positive where the market pays more than the smile."""
    error: FloatArray
    """Standard error of the residual: fit and scatter of the quotes together."""


def flat(iv: float, *, forward: float, tau: float, discount: float = 1.0) -> Smile:
    """A smile of one volatility: the lognormal distribution."""
    _check_market(forward, tau, discount)
    if not iv > 0.0:
        raise ValueError(f"iv must be > 0, got {iv:g}")
    # sigma = 1 only keeps the formula defined; with b = 0 it does not matter.
    return Smile(forward, tau, discount, iv * iv * tau, 0.0, 0.0, 0.0, 1.0, "flat")


def quote_weights(strike: Num, bid: Num, ask: Num, vega: Num, *, tick: float = 0.01) -> FloatArray:
    """
    Weight of each quote in `fit`: vega over half the spread, one over the volatility's uncertainty.

    Args:
        strike, bid, ask: Currency per share.
        vega: Per 0.01 of volatility, currency per share.
        tick: A narrower spread counts as one tick.

    Returns:
        Per 0.01 of volatility; zero (the quote is left out) where the bid is missing or not
        positive, the market is crossed, or an input is NaN.
    """
    k, b, a, v = np.broadcast_arrays(
        *(np.asarray(x, dtype=np.float64) for x in (strike, bid, ask, vega))
    )
    usable = (k > 0.0) & (b > 0.0) & (a >= b) & np.isfinite(a) & (v > 0.0) & np.isfinite(v)
    half = np.where(usable, np.maximum(a - b, tick), 1.0) / 2.0
    return np.asarray(np.where(usable, v / half, 0.0))


def too_few(strikes: int) -> str:
    """Why there is no smile through so few strikes."""
    return f"no smile: {strikes} strikes with a usable quote, it takes {LEAST_STRIKES}"


def butterfly(smile: Smile, log_moneyness: Num) -> FloatArray:
    """
    Durrleman's g at log-moneyness: the density is not negative exactly where g >= 0.

    Source: Gatheral and Jacquier (2014), equation 2.1.
    """
    k = np.asarray(log_moneyness, dtype=np.float64)
    return svi.durrleman(k, *svi.derivatives(smile.raw, k))


def fit(
    strike: Num,
    iv: Num,
    *,
    forward: float,
    tau: float,
    weight: Num | None = None,
    discount: float = 1.0,
    previous: Smile | None = None,
    floor: Smile | None = None,
) -> Smile:
    """
    The smile through the implied volatilities of one expiry.

    Huber's loss keeps wrong quotes from pulling the curve. Give out-of-the-money quotes: in the
    money the volatility of an American option is not well determined.

    Args:
        strike: Currency per share; calls and puts may share a strike.
        iv: Fractions. Quotes whose strike, iv or weight is NaN or not positive are left out.
        forward, tau, discount: Of this expiry; tau in years, positive.
        weight: Of each volatility residual, from `quote_weights`; only ratios matter, and none
            counts for more than four times the median. All equal when not given.
        previous: An earlier smile of the same expiry to start from; about twice as fast.
        floor: Smile of the expiry before: total variance at equal log-moneyness may not fall
            below it where both were quoted.

    Returns:
        A smile whose ``kind``, ``note``, ``rmse`` and ``miss`` say what it is worth.

    Raises:
        ValueError: forward, tau or discount is not positive, shapes differ, or fewer than four
            strikes have a usable quote.
    """
    _check_market(forward, tau, discount)
    quotes = _quotes(strike, iv, weight, forward, tau)
    limits = _limits(quotes, floor)
    chosen, kind, note = _choose(quotes, tau, previous, limits)
    a, d, c, m, sigma = chosen.raw.tolist()
    residual = np.sqrt(svi.variance(chosen.raw, quotes.k) / tau) - np.sqrt(quotes.w / tau)
    # q is the weight of total variance; per unit of volatility it is 2 iv tau times as much.
    trusted = chosen.trust * (quotes.q * np.sqrt(quotes.w)) ** 2
    result = Smile(
        forward=float(forward),
        tau=float(tau),
        discount=float(discount),
        a=a,
        b=c,
        rho=d / c if c > 0.0 else 0.0,
        m=m,
        sigma=sigma,
        kind=kind,
        rmse=math.sqrt(float(trusted @ residual**2) / float(trusted.sum())),
        n=quotes.k.size,
        # A free fit is only kept after it passed this check.
        arbitrage_free=kind == "svi" or svi.is_butterfly_free(chosen.raw, limits.reach),
        note=note,
        span=(float(quotes.k.min()), float(quotes.k.max())),
        covariance=chosen.covariance,
    )
    result = _lift(result, limits) if limits.k.size else result
    return replace(result, miss=_miss(quotes, tau, result.raw))


def fit_chain(
    strike: Num, iv: Num, *, tau: Num, forward: Num, weight: Num | None = None, discount: Num = 1.0
) -> ChainSmiles:
    """
    A smile for every expiry of a chain, total variance rising from each to the next.

    Args:
        strike, iv, tau: One element a contract; contracts of one expiry share their tau.
        forward, discount: One element a contract, or scalars; the first of each expiry is used.
        weight: As in `fit`.

    Returns:
        Smiles by tau, shortest first. An expiry with usable quotes at fewer than four strikes is
        absent, and ``missing`` says why. Where the quotes themselves fall from one expiry to the
        next, the later smile is pulled up by a penalty, then shifted by what is left; its note
        says so.

    Raises:
        ValueError: Shapes do not broadcast, or an expiry has a forward or discount that is not
            positive.
    """
    arrays = [strike, iv, tau, forward, discount, 1.0 if weight is None else weight]
    k, v, t, f, d, q = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in arrays))
    usable = (k > 0.0) & (v > 0.0) & (q > 0.0) & (t > 0.0) & np.isfinite(k + v + q + t)
    smiles = ChainSmiles()
    floor: Smile | None = None
    for years in np.unique(t[t > 0.0]).tolist():
        rows = usable & (t == years)
        if (strikes := int(np.unique(k[rows]).size)) < LEAST_STRIKES:
            smiles.missing[years] = too_few(strikes)
            continue
        floor = fit(
            k[rows],
            v[rows],
            forward=float(f[rows][0]),
            tau=years,
            weight=q[rows],
            discount=float(d[rows][0]),
            floor=floor,
        )
        smiles[years] = floor
    return smiles


def beside(smile: Smile, before: Smile) -> Smile:
    """
    A smile that was fitted for itself, with what is wrong beside the expiry *before*.

    Where both were quoted and total variance falls, it is not free of arbitrage and notes it.
    """
    low, high = max(smile.span[0], before.span[0]), min(smile.span[1], before.span[1])
    k = np.linspace(low, high, 81 if low < high else 0)
    if np.all(smile.total_variance(k) >= before.total_variance(k)):
        return smile
    note = "total variance falls from the expiry before, as the quotes have it"
    return replace(
        smile, arbitrage_free=False, note=f"{smile.note}; {note}" if smile.note else note
    )


def residuals(smile: Smile, strike: Num, price: Num, is_call: Num) -> Residuals:
    """
    Value of every contract at the smile, price less value, and the error of that difference.

    Args:
        strike, is_call: The contracts.
        price: Mid prices of European options (de-Americanised where needed), currency per share.

    Returns:
        ``error`` is vega times the root of the fit's squared standard error and the quotes'
        squared scatter; |residual| / error above 3 is a quote that does not belong.
    """
    value = smile.value(strike, is_call)
    spread = np.hypot(smile.standard_error(strike), smile.rmse)
    error = 100.0 * smile.vega(strike) * spread
    return Residuals(value, np.asarray(np.asarray(price, dtype=np.float64) - value), error)


def true_scatter(residual: Num, error: Num) -> float:
    """
    Standard deviation of what is true of quotes' distances from the smile, unit of the prices.

    By a robust method of moments: the root of the median of residual^2 / .4549 - error^2, .4549
    being the median of a squared standard normal; 0 where the quotes' own errors explain more
    than there is. One bad quote does not vouch for the others.

    Args:
        residual: (n,) price less value at the smile, of quotes of one expiry; NaN where missing.
        error: (n,) standard errors of the prices.

    Source: Paule and Mandel (1982), "Consensus Values and Weighting Factors", with a median.
    """
    apart = np.asarray(residual, dtype=np.float64) ** 2
    noise = np.asarray(error, dtype=np.float64) ** 2
    true = apart / _MEDIAN_SQUARE - noise
    known = true[np.isfinite(true)]
    return math.sqrt(max(float(np.median(known)), 0.0)) if known.size else 0.0


class _Limits(NamedTuple):
    """What a slice must respect."""

    reach: float
    """Log-moneyness within which the density may not be negative."""
    k: FloatArray
    """Where total variance may not fall below `w`; empty without an expiry before."""
    w: FloatArray


def _check_market(forward: float, tau: float, discount: float) -> None:
    for name, number in (("forward", forward), ("tau", tau), ("discount", discount)):
        if not (number > 0.0 and math.isfinite(number)):
            raise ValueError(f"{name} must be > 0, got {number:g}")


def _quotes(strike: Num, iv: Num, weight: Num | None, forward: float, tau: float) -> svi.Quotes:
    price = np.asarray(strike, dtype=np.float64)
    vol = np.asarray(iv, dtype=np.float64)
    trust = np.ones(vol.shape) if weight is None else np.asarray(weight, dtype=np.float64)
    if not price.shape == vol.shape == trust.shape or price.ndim != 1:
        shapes = f"{price.shape}, {vol.shape} and {trust.shape}"
        raise ValueError(f"strike, iv and weight must have one shape (quotes,), got {shapes}")
    usable = (price > 0.0) & (vol > 0.0) & (trust > 0.0) & np.isfinite(price + vol + trust)
    if (strikes := int(np.unique(price[usable]).size)) < LEAST_STRIKES:
        raise ValueError(
            f"usable strikes must be >= {LEAST_STRIKES}, got {strikes} from {usable.size} quotes"
        )
    vol = vol[usable]
    trust = trust[usable]
    # Huber's loss does not see a stale locked market: it pulls the curve onto itself.
    middle = trust.size // 2
    trust = np.minimum(trust, HEAVIEST * np.partition(trust, middle)[middle])
    # A residual in volatility is a residual in total variance over 2 iv tau.
    return svi.Quotes(np.log(price[usable] / forward), vol * vol * tau, trust / (2.0 * vol * tau))


def _limits(quotes: svi.Quotes, floor: Smile | None) -> _Limits:
    nearest = int(np.argmin(np.abs(quotes.k)))
    quoted = float(np.abs(quotes.k).max())
    reach = max(REACH_SIGMAS * math.sqrt(float(quotes.w[nearest])), 2.0 * quoted)
    if floor is None:
        return _Limits(reach, np.zeros(0), np.zeros(0))
    low, high = max(quotes.k.min(), floor.span[0]), min(quotes.k.max(), floor.span[1])
    k = np.linspace(low, high, 81 if low < high else 0)
    return _Limits(reach, k, floor.total_variance(k))


def _choose(
    quotes: svi.Quotes, tau: float, previous: Smile | None, limits: _Limits
) -> tuple[svi.SliceFit, Kind, str]:
    """The best slice that has no butterfly arbitrage and goes through the money."""
    best = _legal(quotes, previous, limits)
    miss = abs(_typical_miss(quotes, tau, best[0].raw))
    if not miss > MONEY_MISS:
        return best
    if previous is not None:
        # The descent from an earlier smile may have led nowhere.
        return _choose(quotes, tau, None, limits)
    # Five numbers do not fit every quote, or not without arbitrage: the wings give way.
    score = quotes.k / _deviation(quotes)
    more = 1.0 + MONEY_WEIGHT * np.exp(-0.5 * (score / MONEY_WIDTH) ** 2)
    refit, kind, note = _legal(quotes._replace(q=quotes.q * more), None, limits)
    if not abs(_typical_miss(quotes, tau, refit.raw)) < miss:
        return best
    why = "quotes at the money count for more: not all could be fitted"
    return refit, kind, f"{note}; {why}" if note else why


def _legal(
    quotes: svi.Quotes, previous: Smile | None, limits: _Limits
) -> tuple[svi.SliceFit, Kind, str]:
    """The best slice that has no butterfly arbitrage."""
    count = int(np.unique(quotes.k).size)
    hinge = svi.floor_hinge(limits.k, limits.w) if limits.k.size else None
    if count < LEAST_STRIKES_SVI:
        note = f"ssvi: {count} strikes are too few for five parameters"
        return svi.fit_ssvi(quotes, hinge), "ssvi", note
    # A simpler smile has lost where the curve bends: start those cold.
    warm = previous.raw if previous is not None and previous.kind == "svi" else None
    begin = svi.starts(quotes) if warm is None else [warm]
    free = svi.fit_raw(quotes, begin, hinge)
    if svi.is_butterfly_free(free.raw, limits.reach):
        return free, "svi", ""
    # From the slice that cannot have arbitrage towards the quotes, not back from the one that has.
    rough = begin[0] if warm is None else svi.rough_ssvi(quotes)
    wall = svi.butterfly_hinge(limits.reach, 0.02, float(np.median(quotes.w)))
    repaired = svi.fit_raw(quotes, [rough], wall if hinge is None else svi.both(hinge, wall))
    if svi.is_butterfly_free(repaired.raw, limits.reach):
        return repaired, "svi", "fitted again to keep the density positive"
    return svi.fit_ssvi(quotes, hinge), "ssvi", "ssvi: the free fit had butterfly arbitrage"


def _deviation(quotes: svi.Quotes) -> float:
    """One standard deviation to expiry by the quote nearest the forward, in log-moneyness."""
    return math.sqrt(float(quotes.w[int(np.argmin(np.abs(quotes.k)))]))


def _typical_miss(quotes: svi.Quotes, tau: float, raw: FloatArray) -> float:
    """
    Fitted less quoted volatility at the money: the median of some quotes, which one wrong quote
    does not move, and between the nearest strikes where few quotes are near. Zero where it is
    no more than their scatter explains.
    """
    near = np.argsort(np.abs(quotes.k), kind="stable")[: 2 * MONEY_QUOTES]
    near = near[np.abs(quotes.k[near]) <= 2.0 * MONEY_WIDTH * _deviation(quotes)]
    fitted = np.maximum(svi.variance(raw, quotes.k[near]), 0.0)
    rest = (np.sqrt(fitted) - np.sqrt(quotes.w[near])) / math.sqrt(tau)
    nearest = rest[:MONEY_QUOTES]
    nearest = nearest[np.abs(quotes.k[near[: nearest.size]]) <= MONEY_WIDTH * _deviation(quotes)]
    if nearest.size < 3:
        return _miss(quotes, tau, raw, MONEY_WIDTH * _deviation(quotes))
    miss = float(np.median(nearest))
    if abs(miss) <= MONEY_MISS or rest.size < 5:
        return miss
    # Second differences along the strikes leave noise alone: a curve that misses is smooth.
    bends = np.diff(rest[np.argsort(quotes.k[near], kind="stable")], 2)
    scatter = 1.4826 * float(np.median(np.abs(bends))) / math.sqrt(6.0)
    error = scatter * math.sqrt(0.5 * math.pi / nearest.size)
    return miss if abs(miss) > MONEY_ERRORS * error else 0.0


def _miss(quotes: svi.Quotes, tau: float, raw: FloatArray, within: float = math.inf) -> float:
    """
    Fitted less quoted volatility at the strikes on either side of the forward, interpolated to it.

    NaN where one side has no quote within that log-moneyness.
    """
    k = quotes.k
    below, above = k[(k <= 0.0) & (k >= -within)], k[(k >= 0.0) & (k <= within)]
    if not (below.size and above.size):
        return math.nan
    ends = np.array([below.max(), above.min()])
    fitted = np.sqrt(np.maximum(svi.variance(raw, ends), 0.0) / tau)
    # Calls and puts may share a strike.
    quoted = [math.sqrt(float(quotes.w[k == end].mean()) / tau) for end in ends]
    return float(np.interp(0.0, ends, fitted - quoted))


def _lift(smile: Smile, limits: _Limits) -> Smile:
    """Shift the whole slice up by what the penalty left below the expiry before."""
    room = float(np.min(smile.total_variance(limits.k) / limits.w)) - 1.0
    if room > BINDING:
        return smile
    short = float(np.max(limits.w - smile.total_variance(limits.k)))
    lifted = replace(smile, a=smile.a + max(short, 0.0))
    note = "held up by the expiry before: total variance may not fall"
    return replace(
        lifted,
        arbitrage_free=svi.is_butterfly_free(lifted.raw, limits.reach),
        note=f"{smile.note}; {note}" if smile.note else note,
    )
