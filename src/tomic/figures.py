"""
Every figure that the program shows: title, unit, decimals, definition, caveat, worked example.

`find` looks one up by name, alias or the heading of its column; tables take theirs from `columns`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, replace
from types import MappingProxyType

from tomic.errors import UsageError


@dataclass(frozen=True, slots=True)
class Figure:
    """How every table heads and writes one figure."""

    name: str
    """The field that holds it."""
    title: str
    unit: str
    """As the program computes; tables print volatilities and ranks in per cent."""
    _: KW_ONLY
    label: str = ""
    """Its heading; the title where it has no other."""
    short: str = ""
    """Its heading where room is scarce; the label where it has no other."""
    decimals: int = 2
    """Of what is printed, which is *factor* times the figure."""
    factor: float = 1.0
    suffix: str = ""
    """What follows the number where the heading does not say it."""
    is_signed: bool = False
    """A plus stands before what is positive."""

    @property
    def heading(self) -> str:
        """Over a column."""
        return self.label or self.title

    @property
    def narrow(self) -> str:
        """Over a narrow column."""
        return self.short or self.heading


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition(Figure):
    """One metric, as `tomic explain` prints it; its example is executed by a test."""

    meaning: str
    formula: str
    source: str
    caveat: str
    kernel: str
    """Dotted name of the function that computes it."""
    example: str
    """A Python expression over the modules of `tomic.quant` and its neighbours."""
    result: float
    """What the example gives."""
    aliases: tuple[str, ...] = ()


# -- what is shown, and what it means: a table, so not laid out by the formatter --------------
# fmt: off

_OPTION = "black_scholes.greeks(100.0, 95.0, 30 / 365, 0.05, 0.0, 0.25, False)"
_GREEKS_CAVEAT = (
    "IB's model where it gave one; ours, marked local, allows early exercise except for index "
    "options, and is per unit of the forward for volatility indices"
)
_HAUG = 'Haug (2007), "The Complete Guide to Option Pricing Formulas"'
_CLOSES = "[100.0, 101.0, 99.0, 102.0, 103.0, 101.0, 104.0]"
_BARS = "[99.5, 101.0, 100.5], [101.0, 103.0, 102.0], [99.0, 100.0, 98.0], [100.0, 102.0, 99.0]"
_WINDOW_CAVEAT = "absent with fewer bars than the window needs, or a missing day inside it"
_FRACTION = "fraction per square-root year, 252 trading days"
_SPREAD = (
    "payoff.segments([95.0, 90.0], [False, False], [-1.0, 1.0], credit=150.0, multiplier=100.0)"
)
_MARKET = "density.lognormal(100.0, 30 / 365, 0.25)"
_SCORED = "scoring.ScoreFigures(*(np.array([x]) for x in (0.8, -3.5, 350.0, 1.0)))"

_CHAIN = (
    Definition("completeness", "completeness of a chain", "fraction", label="complete", decimals=0,
        factor=100.0, aliases=("complete",),
        meaning="Share of the listed contracts in the range of deltas whose quotes and Greeks are "
        "there.",
        formula="rows with status ok / rows that are neither unknown_contract nor "
        "delta_out_of_range", source="status of each row",
        caveat="an option that nobody quotes is listed and counts as incomplete, and so does an "
        "expiry of which no contract is known",
        kernel="tomic.chain.Chain.completeness", example="247 / (260 - 4 - 4)", result=0.98015873),
    Definition("quality", "quality of an exported file", "fraction", label="quality", decimals=1,
        factor=100.0, meaning="Share of a file's rows that are complete, sound and no repetition.",
        formula="valid rows / all rows", source="the file's own cells",
        caveat="says nothing about the age of the quotes",
        kernel="tomic.files.quality.CsvQuality.quality",
        example="quality.CsvQuality(total=4, complete=3, valid=2, expiries=()).quality",
        result=0.5),
    Definition("dte", "days to expiry", "calendar days", label="days", short="DTE", decimals=0,
        aliases=("days",),
        meaning="Calendar days from the exchange's date of today to the day of settlement.",
        formula="settlement day - today", source="IB contract details, OCC symbols, Cboe calendars",
        caveat="an option that is settled today has 0, whatever the hour; SPX (AM) is settled the "
        "day after it last trades",
        kernel="tomic.dates.days_to_expiry",
        example="dates.days_to_expiry(dt.date(2026, 12, 16), dt.date(2026, 12, 17), "
        "trading_class='SPX')", result=2.0),
    Definition("tau", "years to expiry", "years of 365 days", label="tau", decimals=4,
        meaning="Time to the minute at which the option is settled.",
        formula="seconds to settlement / (365 * 24 * 3600)",
        source="IB trading hours; New York closes at 16:00, 13:00 on half days",
        caveat="classes that settle on the opening end at 09:30, the day after they last trade",
        kernel="tomic.dates.years_to_expiry",
        example="dates.years_to_expiry(dt.datetime(2025, 6, 18, 16, tzinfo=dates.NEW_YORK), "
        "dt.date(2025, 7, 18), underlying=models.Underlying(symbol='SPY', con_id=1)) * 365",
        result=30.0),
    Definition("iv", "implied volatility", "fraction per square-root year", label="IV", short="IV%",
        decimals=1, factor=100.0, aliases=("IV%",),
        meaning="The volatility at which the model price equals the option's price.",
        formula="sigma such that Black-Scholes(sigma) = price",
        source="Jaeckel (2015), \"Let's Be Rational\", for the shape of the problem",
        caveat="none where the price breaks an arbitrage bound; deep in the money it is uncertain",
        kernel="tomic.quant.implied.implied_vol",
        example="implied.implied_vol(2.4933768, 100.0, 100.0, 30 / 365, 0.05, 0.0, True)",
        result=0.2),
    Definition("delta", "delta", "shares per share of multiplier, calls 0 to 1, puts -1 to 0",
        short="Δ", aliases=("Δ",),
        meaning="Change of the option's price per unit of the underlying's.",
        formula="exp(-q t) N(d1) for calls, exp(-q t) (N(d1) - 1) for puts", source=_HAUG,
        caveat=_GREEKS_CAVEAT, kernel="tomic.quant.black_scholes.greeks",
        example=f"{_OPTION}.delta", result=-0.2093053),
    Definition("gamma", "gamma", "delta per currency unit", short="Γ", decimals=4, aliases=("Γ",),
        meaning="Change of delta per unit of the underlying's price.",
        formula="exp(-q t) n(d1) / (S sigma sqrt(t))", source=_HAUG, caveat=_GREEKS_CAVEAT,
        kernel="tomic.quant.black_scholes.greeks", example=f"{_OPTION}.gamma", result=0.0401324),
    Definition("vega", "vega", "currency per share and vol point", short="V", decimals=3,
        aliases=("V",),
        meaning="Change of the option's price when volatility rises by one point (0.01).",
        formula="S exp(-q t) n(d1) sqrt(t) / 100", source=_HAUG, caveat=_GREEKS_CAVEAT,
        kernel="tomic.quant.black_scholes.greeks", example=f"{_OPTION}.vega", result=0.0824639),
    Definition("theta", "theta", "currency per share and calendar day", short="Θ", decimals=3,
        aliases=("Θ",),
        meaning="Change of the option's price when a calendar day passes and nothing else moves.",
        formula="dV/dt / 365", source=_HAUG,
        caveat="negative for what is held; over a weekend three days pass",
        kernel="tomic.quant.black_scholes.greeks", example=f"{_OPTION}.theta", result=-0.0313724),
    Definition("parity_deviation", "deviation from put-call parity", "currency per share",
        label="parity deviation", aliases=("avg_parity_deviation",),
        meaning="How far call minus put lies from its theoretical value, without sign.",
        formula="|(C - P) - (S - K exp(-r t))|, mids, t = days / 365, r = 5 %",
        source="the original program's column, kept comparable",
        caveat="no dividends, American options as if European: a few tenths are normal",
        kernel="tomic.quant.parity.parity_deviation",
        example="parity.parity_deviation(6.1, 5.1, 600.5, 600.0, 30)", result=1.9607),
    Definition("forward", "forward from parity", "currency per share", label="forward",
        meaning="The price for delivery at expiry that the options themselves imply.",
        formula="median of K + exp(r t) (C - P) over the pairs nearest the money",
        source='Stoll (1969), "The Relationship Between Put and Call Option Prices"',
        caveat="early exercise of American options moves it by cents, by tenths over months",
        kernel="tomic.quant.parity.forward_from_parity",
        example="parity.forward_from_parity([99.0, 100.0, 101.0], [3.5, 2.9, 2.4], [2.1, 2.5, "
        "3.0], 0.0, 0.1).forward", result=100.4),
    Definition("implied_rate", "rate implied by parity", "fraction a year", label="rate",
        decimals=2, factor=100.0,
        meaning="The rate to an expiry that European options themselves imply.",
        formula="-ln(D) / t, -D the slope of C - P over the strikes, weighted and robust",
        source='Stoll (1969); Huber (1964), "Robust Estimation of a Location Parameter"',
        caveat="sure from some sixty strikes on, below that drawn from the other expiries; never "
        "of American options",
        kernel="tomic.quant.parity.discount_from_parity",
        example="parity.discount_from_parity([96.0, 97.0, 98.0, 99.0, 100.0, 101.0, 102.0, "
        "103.0], [5.312, 4.532, 3.752, 3.072, 2.392, 1.912, 1.532, 1.152], [1.0, 1.2, 1.4, 1.7, "
        "2.0, 2.5, 3.1, 3.7]).rate(0.5)[0]", result=0.0404054),
    Definition("atm_iv", "at-the-money IV", "fraction per square-root year", label="ATM IV",
        decimals=2, factor=100.0, meaning="Implied volatility of an expiry at its forward.",
        formula="linear in variance and log strike between the two strikes around the forward",
        source="common practice; calls and puts of one strike are averaged",
        caveat="none where the strikes do not enclose the forward",
        kernel="tomic.quant.surface.atm_iv",
        example="surface.atm_iv([95.0, 105.0], [0.22, 0.18], 95.0)", result=0.22),
    Definition("expected_move", "expected move from IV", "currency per share", label="EM30",
        aliases=("EM", "EM30", "expected_move_30d"),
        meaning="One standard deviation of the price after some days.",
        formula="S iv sqrt(days / 365)", source="common practice",
        caveat="two times out of three it stays inside, were returns normal; EM30 uses IV30",
        kernel="tomic.quant.surface.expected_move_iv",
        example="surface.expected_move_iv(600.0, 0.18, 30)", result=30.9628188),
    Definition("expected_move_straddle", "expected move from the straddle", "currency per share",
        label="straddle", aliases=("straddle",),
        meaning="What the straddle at the forward costs: the mean distance from the forward.",
        formula="C + P, interpolated at the forward",
        source='Brenner and Subrahmanyam (1988), "A Simple Formula to Compute the Implied SD"',
        caveat="about 0.8 standard deviations; no factor is applied",
        kernel="tomic.quant.surface.expected_move_straddle",
        example="surface.expected_move_straddle([595.0, 605.0], [14.0, 9.0], [8.0, 13.0], 600.0)",
        result=22.0),
    Definition("expected_move_density", "expected move from the density", "currency per share",
        label="density", aliases=("density",),
        meaning="Standard deviation of the price at expiry under the fitted smile.",
        formula="sqrt of the second central moment of the risk-neutral density",
        source='Breeden and Litzenberger (1978), "Prices of State-Contingent Claims"',
        caveat="larger than from ATM IV where the wings are expensive; rests on the fitted tails",
        kernel="tomic.quant.surface.expected_move_density",
        example="surface.expected_move_density(smile.flat(0.2, forward=100.0, tau=0.25)).sigma",
        result=10.0251),
)
"""What is shown of one option and of one expiry."""

_VOLATILITY = (
    Definition("iv30", "30-day implied volatility", "fraction per square-root year", label="IV30",
        decimals=1, factor=100.0, suffix="%",
        aliases=("implied_volatility", "own IV30", "chain_iv30"),
        meaning="Volatility that options expect over the next thirty days.",
        formula="IB's own (tick 106, its daily bars); of our chains: linear in total variance, "
        "with the jump of known earnings on its day",
        source="IB; for our chains, interpolation of ATM IV between two expiries",
        caveat="the two series differ by some tenths of a point and are never mixed in one rank",
        kernel="tomic.quant.surface.constant_maturity_iv",
        example="surface.constant_maturity_iv([23 / 365, 37 / 365], [0.20, 0.20])", result=0.2),
    Definition("iv_rank", "IV rank", "fraction; below 0 or above 1 at a new extreme",
        label="IV rank", short="rank", decimals=0, factor=100.0, aliases=("rank", "IVR"),
        meaning="Where today's IV30 lies between the lowest and highest close of its window.",
        formula="(today - min) / (max - min), today excluded from the window of 252 trading days",
        source="common practice; series and days are printed beside it",
        caveat="one spike last spring keeps it low for a year: look at the percentile too",
        kernel="tomic.quant.realized.iv_rank",
        example="realized.iv_rank(0.25, [0.10, 0.20, 0.30, 0.40]).value", result=0.5),
    Definition("iv_percentile", "IV percentile", "fraction", label="IV percentile", short="pct",
        decimals=0, factor=100.0, aliases=("pct", "IVP", "percentile"),
        meaning="Share of the days in the window whose IV30 was strictly below today's.",
        formula="days below / days present", source="common practice",
        caveat="equal days count as not below; absent under 60 days, flagged under 252",
        kernel="tomic.quant.realized.iv_percentile",
        example="realized.iv_percentile(0.25, [0.10, 0.20, 0.25, 0.40]).value", result=0.5),
    Definition("hv", "historical volatility, close to close", _FRACTION, label="HV", decimals=1,
        factor=100.0, suffix="%",
        aliases=("hv20", "hv30", "hv60", "hv90", "hv252", "close_to_close"),
        meaning="Sample standard deviation of the last n daily log returns, annualised.",
        formula="sqrt(252 / (n - 1) * sum (r - mean r)^2), r = ln(close / previous close)",
        source="textbook estimator; n of 20, 30, 60, 90 and 252",
        caveat=f"{_WINDOW_CAVEAT}; its standard error is hv / sqrt(2 n)",
        kernel="tomic.quant.realized.close_to_close",
        example=f"realized.close_to_close({_CLOSES}, 6)[-1]", result=0.3528491502),
    Definition("ewma", "historical volatility, exponentially weighted", _FRACTION, label="ewma",
        decimals=1, factor=100.0,
        meaning="Volatility in which each day counts 6 % less than the one after it.",
        formula="sqrt(252 * sum w r^2 / sum w), w = 0.94^age, over the last n returns",
        source="RiskMetrics Technical Document, 4th edition (1996)",
        caveat="the mean return is taken as zero", kernel="tomic.quant.realized.ewma",
        example="realized.ewma([100.0, 101.0, 100.0], 2)[-1]", result=0.1579577),
    Definition("parkinson", "historical volatility after Parkinson", _FRACTION, label="parkinson",
        decimals=1, factor=100.0, meaning="Volatility from each day's high and low.",
        formula="sqrt(252 / (4 n ln 2) * sum ln(H / L)^2)",
        source='Parkinson (1980), "The Extreme Value Method for Estimating the Variance"',
        caveat="blind to gaps between sessions, so below close to close where prices jump",
        kernel="tomic.quant.realized.parkinson",
        example="realized.parkinson([101.0, 103.0], [99.0, 100.0], 2)[-1]", result=0.24059387),
    Definition("garman_klass", "historical volatility after Garman and Klass", _FRACTION,
        label="garman klass", decimals=1, factor=100.0,
        meaning="Volatility from open, high, low and close of each day.",
        formula="sqrt(252 * mean(ln(H / L)^2 / 2 - (2 ln 2 - 1) ln(C / O)^2))",
        source='Garman and Klass (1980), "On the Estimation of Security Price Volatilities"',
        caveat="blind to gaps and biased when prices drift",
        kernel="tomic.quant.realized.garman_klass",
        example=f"realized.garman_klass({_BARS}, 3)[-1]", result=0.33077561),
    Definition("rogers_satchell", "historical volatility after Rogers and Satchell", _FRACTION,
        label="rogers satchell", decimals=1, factor=100.0,
        meaning="As Garman and Klass, right under any drift.",
        formula="sqrt(252 * mean(ln(H/O) ln(H/C) + ln(L/O) ln(L/C)))",
        source='Rogers and Satchell (1991), "Estimating Variance from High, Low, Close Prices"',
        caveat="blind to gaps", kernel="tomic.quant.realized.rogers_satchell",
        example=f"realized.rogers_satchell({_BARS}, 3)[-1]", result=0.32865451),
    Definition("yang_zhang", "historical volatility after Yang and Zhang", _FRACTION,
        label="yang zhang", decimals=1, factor=100.0,
        meaning="Overnight, open-to-close and Rogers-Satchell variance, weighted for least error.",
        formula="sqrt(252 (Vo + k Vc + (1 - k) Vrs)), k = 0.34 / (1.34 + (n + 1) / (n - 1))",
        source='Yang and Zhang (2000), "Drift Independent Volatility Estimation"',
        caveat="sees gaps; over 1.6 times close to close a bad tick is suspected: that stands in",
        kernel="tomic.quant.realized.yang_zhang", example=f"realized.yang_zhang({_BARS}, 2)[-1]",
        result=0.45776896),
    Definition("iv_hv", "implied less historical volatility", "vol fraction", label="IV30-HV30",
        short="IV-HV", decimals=1, factor=100.0, suffix="pt", is_signed=True, aliases=("vrp",),
        meaning="IV30 less close-to-close HV30: what options charge above what was.",
        formula="IV30 - HV30", source="common practice",
        caveat="looks back on one side and ahead on the other; after a shock it misleads",
        kernel="tomic.models.VolSnapshot.iv_hv",
        example="models.VolSnapshot(symbol='SPY', as_of=dt.datetime(2026, 1, 2, tzinfo=dt.UTC), "
        "iv30=0.18, hv30=0.15).iv_hv", result=0.03),
    Definition("atr14", "average true range", "currency per share", label="ATR14", aliases=("ATR",),
        meaning="Mean daily range of fourteen days, gaps included.",
        formula="Wilder: (13 ATR + TR) / 14, TR = max(H - L, |H - C'|, |L - C'|)",
        source='Wilder (1978), "New Concepts in Technical Trading Systems"',
        caveat="the original program took the plain mean, which differs by a few per cent",
        kernel="tomic.quant.realized.atr_wilder",
        example="realized.atr_wilder([101.0, 103.0, 102.0], [99.0, 100.0, 98.0], [100.0, 102.0, "
        "99.0], 2)[-1]", result=3.25),
    Definition("vix", "VIX", "fraction; the index divided by 100", label="VIX", decimals=1,
        factor=100.0, meaning="Cboe's 30-day volatility of the S&P 500 from a strip of options.",
        formula="sqrt of variance interpolated to 30 days between two expiries",
        source='Cboe (2022), "Cboe Volatility Index Mathematics Methodology"',
        caveat="quoted, not computed: index line, else last stored close, else the page",
        kernel="tomic.quant.surface.vix_index",
        example="surface.vix_index(0.04, 0.04, near_minutes=30000.0, next_minutes=50000.0)",
        result=0.2),
    Definition("skew", "skew, 25 delta", "vol fraction; negative where puts are more expensive",
        label="skew", decimals=1, factor=100.0, suffix="pt", is_signed=True,
        aliases=("25dRR", "risk reversal"),
        meaning="IV of the 25-delta call less that of the 25-delta put, nearest 30 days.",
        formula="IV(call, 0.25) - IV(put, -0.25), linear in delta",
        source="market convention for the risk reversal",
        caveat="needs strikes out to 25 delta: ten points of SPY do not reach them",
        kernel="tomic.quant.surface.skew",
        example="surface.skew([30, 30, 30, 30], [0.20, 0.30, -0.20, -0.30], [0.16, 0.16, 0.20, "
        "0.20])", result=-0.04),
    Definition("term_m1_m2", "term structure, first less second expiry",
        "vol fraction; positive is backwardation", label="M1-M2", decimals=1, factor=100.0,
        suffix="pt", is_signed=True, aliases=("M1-M2",),
        meaning="How much more expensive the first selected expiry is than the second.",
        formula="mean IV within 5 points of spot, first expiry less second",
        source="the original program's column",
        caveat="the expiries are those of the chain, weeklies included, whatever months they are",
        kernel="tomic.quant.surface.term_structure",
        example="surface.term_structure([0.20, 0.22, 0.25]).m1_m2", result=-0.02),
    Definition("term_m1_m3", "term structure, first less third expiry",
        "vol fraction; positive is backwardation", label="M1-M3", decimals=1, factor=100.0,
        suffix="pt", is_signed=True, aliases=("M1-M3",),
        meaning="How much more expensive the first selected expiry is than the third.",
        formula="mean IV within 5 points of spot, first expiry less third",
        source="the original program's column",
        caveat="the expiries are those of the chain, weeklies included, whatever months they are",
        kernel="tomic.quant.surface.term_structure",
        example="surface.term_structure([0.20, 0.22, 0.25]).m1_m3", result=-0.05),
)
"""A symbol's volatility: implied, its place in the past, realised, skew, terms."""

_TRADES = (
    Definition("credit", "credit, executable", "currency per structure", label="credit",
        is_signed=True, aliases=("credit_mid", "credit_natural"),
        meaning="What the trade pays when it is entered; negative for a debit.",
        formula="-sum(quantity x mid) x multiplier - slippage x half-spreads",
        source="settings costs.slippage (0.5) and costs.commission (0.65 a contract)",
        caveat="commission is not in it; the natural price, all half-spreads given, is beside it",
        kernel="tomic.strategies.measures.credits",
        example="100 * (2.00 - 0.50) - 100 * 0.5 * (0.05 + 0.03)", result=146.0),
    Definition("max_profit", "maximum profit", "currency per structure; unlimited when unbounded",
        label="max profit", decimals=0, is_signed=True,
        meaning="The most a structure can make at its first expiry.",
        formula="largest value of credit plus payoff over all prices", source="payoff at its kinks",
        caveat="calendars and diagonals are valued by model at the first expiry",
        kernel="tomic.quant.payoff.profile", example=f"payoff.profile({_SPREAD}).max_profit",
        result=150.0),
    Definition("max_loss", "maximum loss", "currency per structure, >= 0; unlimited when unbounded",
        label="max loss", decimals=0, meaning="The most a structure can lose at its first expiry.",
        formula="minus the smallest value of credit plus payoff over all prices",
        source="payoff at its kinks",
        caveat="early assignment, dividends and gaps in liquidity can cost more",
        kernel="tomic.quant.payoff.profile", example=f"payoff.profile({_SPREAD}).max_loss",
        result=350.0),
    Definition("breakevens", "breakevens", "currency per share", aliases=("breakeven", "BE"),
        meaning="Prices at expiry where profit turns to loss.",
        formula="zeros of credit plus payoff", source="payoff at its kinks",
        caveat="before expiry time value moves them", kernel="tomic.quant.payoff.profile",
        example=f"payoff.profile({_SPREAD}).breakevens[0]", result=93.5),
    Definition("margin", "margin", "currency per structure", decimals=0,
        aliases=("margin_requirement", "margin_cash"),
        meaning="What the trade takes from excess liquidity under the exchanges' rules.",
        formula="requirement - credit (+ debit); naked shorts 20 % of spot less out-of-the-money",
        source="FINRA Rule 4210; Cboe Margin Manual",
        caveat="your broker may ask more; tomic portfolio --ib-margin asks it",
        kernel="tomic.quant.margin.requirement",
        example="margin.requirement([95.0, 90.0], [False, False], [-1.0, 1.0], [2.0, 0.5], "
        "spot=100.0).net", result=350.0),
    Definition("rom", "return on margin", "fraction; rom_30d per 30 days", label="ROM", decimals=1,
        factor=100.0, aliases=("ROM/30d", "ROC"),
        meaning="What the trade makes when it wins, on average, per margin.",
        formula="E[P&L | P&L > 0] / margin; times 30 / days for rom_30d",
        source="mean_win, the mean P&L of the outcomes that win: no more than is likely",
        caveat="not part of the score: ranked by it, trades lose; see pos and ev",
        kernel="tomic.strategies.proposals.describe", example="120.0 / 350.0", result=0.34285714),
    Definition("pos", "probability of success", "fraction", label="PoS", decimals=1, factor=100.0,
        aliases=("PoP",),
        meaning="Chance that the structure makes money at its first expiry.",
        formula="P(P&L > 0) under the market's density, that of the fitted smile",
        source="the exact payoff at expiry, not a function of delta",
        caveat="says nothing about how much is won or lost: see ev",
        kernel="tomic.quant.probability.pos", example=f"probability.pos({_MARKET}, {_SPREAD})",
        result=0.81643901),
    Definition("ev", "expected value", "currency per structure, today's money", label="EV",
        is_signed=True, aliases=("ev_30d", "ev_quotes", "ev_error"),
        meaning="Mean P&L at expiry if the options' own distribution is right, after entry costs.",
        formula="integral of P&L times the density of the fitted smile, less what the legs' mids "
        "promise beyond the smile times 1 - t^2 / (t^2 + s^2); ev_30d per margin and 30 days",
        source="Breeden and Litzenberger (1978); s half a spread over sqrt(3), t of the "
        "chain: Paule and Mandel (1982)",
        caveat="about minus the costs, as the market believes its own prices; ev_quotes takes "
        "every mid for true, ev_error is the standard error from the quotes",
        kernel="tomic.quant.probability.ev", example=f"probability.ev({_MARKET}, {_SPREAD})",
        result=74.162),
    Definition("market_volatility", "volatility of the market's density",
        "fraction per square-root year", label="market vol", decimals=1, factor=100.0,
        meaning="Standard deviation of the log-return that the options' own density has.",
        formula="sd(ln S) / sqrt(tau) under the density of the fitted smile",
        source="Breeden and Litzenberger (1978)",
        caveat="above the IV at the money where the wings are expensive",
        kernel="tomic.quant.density.from_smile", example=f"{_MARKET}.volatility", result=0.25),
    Definition("expected_volatility", "expected realised volatility",
        "fraction per square-root year", label="expected vol", decimals=1, factor=100.0,
        aliases=("expected realised volatility", "expected vol"),
        meaning="What the volatility of the next thirty days usually comes to, given IV30.",
        formula="0.94 IV30; two times in three between 0.75 and 1.33 of that",
        source="32,613 weeks of 174 symbols, 2022-2025: mean log ratio -.059, deviation .28; see "
        "docs/evidence.md",
        caveat="historical volatility adds nothing to it, and the mean square is not below IV30's",
        kernel="tomic.quant.realized.expected_from_iv",
        example="realized.expected_from_iv(0.20).volatility", result=0.188),
    Definition("cvar95", "conditional value at risk", "currency per structure, >= 0",
        label="CVaR95", decimals=0, aliases=("CVaR",),
        meaning="Mean loss of the worst twentieth of outcomes, those without loss counted as 0.",
        formula="mean of the loss beyond its 95 % quantile, under the market's density",
        source="Rockafellar and Uryasev (2000)",
        caveat="lies in the tail of the density, where quotes are few",
        kernel="tomic.quant.probability.cvar",
        example=f"probability.cvar({_MARKET}, {_SPREAD}, 0.95)", result=350.0),
    Definition("risk_reward", "risk-reward", "ratio", aliases=("RR",),
        meaning="Profit per tail loss, as the rules take it; not part of the score.",
        formula="profit / CVaR95", source="maximum profit, or its 95 % quantile where unbounded",
        caveat="higher is better; the original used both directions",
        kernel="tomic.strategies.rules.risk_reward", example="150.0 / 350.0", result=0.42857143),
    Definition("touch", "probability of touch", "fraction", label="touch", decimals=1, factor=100.0,
        aliases=("PoT", "probability of touch"),
        meaning="Chance that a short strike is reached at any moment before the first expiry.",
        formula="reflection principle with drift; two barriers for a short strike on both sides",
        source='Shreve (2004), "Stochastic Calculus for Finance II"',
        caveat="about twice the chance of ending beyond it; watched daily it is a little lower",
        kernel="tomic.quant.probability.touch",
        example="probability.touch(100.0, 95.0, 30 / 365, 0.0, 0.0, 0.25)", result=0.4863894),
    Definition("kelly", "Kelly fraction", "fraction, capped at score.kelly_cap", label="Kelly",
        decimals=1, factor=100.0,
        meaning="Share of the account whose commitment as margin grows wealth fastest.",
        formula="f that maximises E[ln(1 + f P&L / margin)]",
        source='Kelly (1956), "A New Interpretation of Information Rate"',
        caveat="assumes that the density is right; 0 where EV is not positive, as it mostly is not",
        kernel="tomic.quant.probability.kelly", example="probability.kelly_binary(0.6, 1.0)",
        result=0.2),
    Definition("edge", "edge against the smile",
        "currency per structure; edge_error its standard error", label="edge", is_signed=True,
        aliases=("edge_error",),
        meaning="What the trade receives at mid above its value on the fitted smile.",
        formula="-multiplier x sum quantity x (mid - smile value)",
        source="the fitted smile of each expiry", caveat="smaller than twice its error it is noise",
        kernel="tomic.strategies.proposals.describe",
        example="-100 * (-1 * (2.05 - 2.00) + 1 * (0.50 - 0.52))", result=7.0),
    Definition("theta_margin", "theta per margin", "fraction per calendar day",
        label="theta / margin", decimals=1, factor=100.0, aliases=("theta per margin",),
        meaning="What a day brings per margin.", formula="theta / margin",
        source="Greeks of the legs", caveat="paid for with gamma",
        kernel="tomic.strategies.proposals.describe", example="3.5 / 350.0", result=0.01),
    Definition("liquidity", "liquidity", "fraction in (0, 1]", aliases=("L",),
        meaning="How well the legs can be traded; the factor L of the score.",
        formula="mean over legs of 1/(1 + s/4) sqrt((oi+50)/(oi+100)) ((v+10)/(v+20))^(1/4)",
        source="geometric mean; s: spread per accepted one; unknown interest 250, volume 50",
        caveat="a price that is no quote costs a fifth", kernel="tomic.strategies.measures.measure",
        example="1 / (1 + 0.25 * 0.4) * (1050 / 1100) ** 0.5 * (510 / 520) ** 0.25", result=0.8839),
    Definition("fit", "fit to the book", "fraction in (0, 1]", label="fit", aliases=("F",),
        meaning="How little the trade strains the book it would join; the factor F of the score.",
        formula="1 / (1 + max(0, strain) / half), strain the mean change per net liquidation",
        source="delta, vega, gamma, margin and the worst stress cell",
        caveat="1 when no portfolio is known, and the proposal says so",
        kernel="tomic.portfolio.fit.factor_of", example="1 / (1 + max(0.0, 0.0))", result=1.0),
    Definition("score", "TOMIC score", "0 to 100", label="score", decimals=1,
        meaning="What proposals are ranked by.",
        formula="100 L F (0.25 PoS + 0.75 n_ev)",
        source="settings [score]; strictly monotone, nothing is clipped",
        caveat="a ranking of this moment, no promise; --score original has the old definitions",
        kernel="tomic.strategies.scoring.total",
        example=f"scoring.total({_SCORED}, config.ScoreSettings())[0]", result=48.3156),
    Definition("score_pos", "score part: probability of success", "fraction", aliases=("n_pos",),
        meaning="The probability itself.", formula="pos", source="the market's density",
        caveat="its weight is 0.25", kernel="tomic.strategies.scoring.components",
        example=f"scoring.components({_SCORED}, config.ScoreSettings())[0, 0]", result=0.8),
    Definition("score_ev", "score part: expected value", "fraction", aliases=("n_ev",),
        meaning="Expected value per CVaR95 between 0 and 1.",
        formula="1 / (1 + exp(-x / 2 %)), x = (EV - 0.14 |dEV / d ln sigma|) / CVaR95",
        source="settings score.ev_scale and score.robust, without which x is EV / CVaR95",
        caveat="lower than the EV shown suggests: half of a usual miss of volatility is taken off",
        kernel="tomic.strategies.scoring.components",
        example=f"scoring.components({_SCORED}, config.ScoreSettings())[1, 0]", result=0.3775407),
    Definition("grade", "grade", "letter, A to D",
        meaning="Where a trade's score stands among the day's candidates of its strategy.",
        formula="share of those that passed every rule, of all symbols scanned, with a lower score "
        "before fit: A from 90 %, B from 70 %, C from 40 %",
        source="settings score.grade_a, grade_b and grade_c",
        caveat="C at best where costs take more than a tick of each contract, or a trade that "
        "cannot lose looks mispriced; one trade by itself is graded among its own chain's",
        kernel="tomic.strategies.scoring.percentile",
        example="scoring.percentile(scoring.counted(np.array([40.0, 45.0, 50.0, 55.0, 60.0])), "
        "55.0)", result=0.75),
)
"""What a trade can win and lose, how likely, and what it ties up."""

_DECIDING = (
    Definition("short_delta", "largest delta of the short legs", "0 to 1, no sign", label="short Δ",
        aliases=("short Δ",),
        meaning="How far in the money the nearest short leg is expected to be, as sellers read it.",
        formula="max |delta| over the legs that are sold", source="delta",
        caveat="close to the chance of ending in the money, and not the same",
        kernel="tomic.strategies.proposals.short_delta", example="max(abs(-0.16), abs(0.14))",
        result=0.16),
    Definition("distance", "distance to the nearest breakeven", "standard deviations, >= 0",
        label="to BE", decimals=1, suffix="σ", aliases=("to BE",),
        meaning="How many expected moves the underlying is from where profit turns to loss.",
        formula="min |breakeven - spot| / (forward x ATM IV x sqrt(tau)), to the first expiry",
        source="breakevens; ATM IV of the fitted smile",
        caveat="whichever side is nearer; of a trade that needs a move, the way still to go",
        kernel="tomic.strategies.proposals.distance", example="abs(93.5 - 100.0) / 5.0",
        result=1.3),
    Definition("p_target", "probability of the profit target", "fraction", label="P(target)",
        decimals=0, factor=100.0, suffix="%", aliases=("P(target)",),
        meaning="Chance that the profit target of [journal] closes the trade before another exit.",
        formula="share of simulated paths on which the target comes first",
        source="the market's density, sticky moneyness, exits of [journal]",
        caveat="exits cut the tail and cost their spreads: they are no edge",
        kernel="tomic.models.trade.ManagedOutcome", example="6100 / 10000", result=0.61),
    Definition("ev_view", "expected value of your view", "currency per structure, today's money",
        label="EV view", decimals=0, is_signed=True,
        meaning="Mean P&L at expiry if volatility and drift are what you say they will be.",
        formula="integral of P&L times the market's density, moved and rescaled by the view",
        source="[view.SYMBOL] volatility and drift",
        caveat="your own opinion; it ranks only by view.trust",
        kernel="tomic.models.trade.ViewFigures",
        example=f"probability.ev(density.viewed({_MARKET}, volatility=0.8), {_SPREAD})",
        result=100.386),
    Definition("cost_share", "costs of entry", "fraction of the maximum profit before costs",
        label="costs", decimals=0, factor=100.0, suffix="%", aliases=("costs",),
        meaning="What slippage and commission take of the most that can be won.",
        formula="(credit at mid - executable credit) / (maximum profit + costs)",
        source="settings [costs]", caveat="of the way in alone; the way out costs as much again",
        kernel="tomic.models.trade.Proposal", example="(150.0 - 144.7) / (144.7 + 5.3)",
        result=0.0353333),
    Definition("ev_change", "expected value beside holding", "currency for the whole position",
        label="EV beside holding", short="vs hold", decimals=0, is_signed=True,
        aliases=("vs hold",),
        meaning="What an alternative of `tomic manage` is expected to bring more than holding, its "
        "costs included; after ± its standard error.",
        formula="EV of the campaign with it - EV of the campaign held",
        source="the scan's densities; error: quotes of what is traded, and dEV / d ln sigma times "
        "the usual miss of volatility",
        caveat="the market's density knows no edge: most differences lie within their error, and "
        "then holding wins",
        kernel="tomic.journal.manage.judged.described", example="-6.30 - 20.70", result=-27.0),
    Definition("locked_in", "locked in", "currency for the whole position", decimals=0,
        is_signed=True, aliases=("locked",),
        meaning="What the campaign has come to on everything that is closed, after costs.",
        formula="all cash so far and of the trade + what is left at the prices it was opened at",
        source="trades of the journal; average cost in the book",
        caveat="unknown where a leg that is left has no price of its own",
        kernel="tomic.journal.manage.judged.described",
        example="300.0 - 410.0 - 1.30 + 520.0 - 5.20 * 100", result=-111.3),
    Definition("buying_power", "buying power", "currency per structure", label="BP", decimals=0,
        aliases=("BP",),
        meaning="What the trade takes from excess liquidity: `margin` under its American name.",
        formula="requirement - credit (+ debit)", source="margin",
        caveat="your broker may ask more; tomic portfolio --ib-margin asks it",
        kernel="tomic.quant.margin.requirement", example="500.0 - 150.0", result=350.0),
)
"""What a seller decides by, beside what a trade wins and loses."""

_BOOK = (
    Definition("book_delta", "net delta", "shares; delta_value in base currency", label="delta",
        short="Δ shares", decimals=0, is_signed=True,
        aliases=("delta_value", "net delta", "contract_delta"),
        meaning="Shares of the underlying that would move like what is held.",
        formula="sum of delta x quantity x multiplier, shares counted one each",
        source="Greeks of every leg",
        caveat="the original left the multiplier out: contract_delta keeps its figure",
        kernel="tomic.portfolio.exposure.greeks", example="(-2 * 0.30 + 1 * 0.20) * 100",
        result=-40.0),
    Definition("book_gamma", "net gamma",
        "shares per point; gamma_value: change of currency delta per 1 %", label="gamma",
        is_signed=True, aliases=("gamma_value", "net gamma"), meaning="Change of the book's delta.",
        formula="sum of gamma x quantity x multiplier; x S^2 / 100 for gamma_value",
        source="Greeks of every leg",
        caveat="points of different underlyings do not add up: compare gamma_value",
        kernel="tomic.portfolio.exposure.greeks", example="(-2 * 0.02 + 1 * 0.01) * 100",
        result=-3.0),
    Definition("beta", "beta", "ratio",
        meaning="How much a symbol has moved per move of the benchmark.",
        formula="slope of daily log returns on the benchmark's over 252 days, shrunk towards 1",
        source='Vasicek (1973), "A Note on Using Cross-Sectional Information"',
        caveat="an estimate with an error, which is printed; under 60 returns it is taken as 1",
        kernel="tomic.quant.realized.beta",
        example="realized.beta([0.02, -0.01, 0.03, 0.0], [0.01, -0.005, 0.015, 0.0], 4).beta",
        result=2.0),
    Definition("beta_weighted_delta", "beta-weighted delta", "shares of the benchmark",
        label="beta-weighted", decimals=1, is_signed=True, aliases=("BWD",),
        meaning="Delta of the whole book in shares of the benchmark.",
        formula="sum of delta x price x beta / price of the benchmark",
        source="betas over stored returns",
        caveat="its error is that of the betas, and in a crash all betas move",
        kernel="tomic.portfolio.exposure.beta_weighted",
        example="(50 * 200.0 * 1.2 - 100 * 50.0 * 0.8) / 400.0", result=20.0),
    Definition("margin_share", "margin used", "fraction", decimals=0, factor=100.0,
        aliases=("margin used",), meaning="Margin of the book per net liquidation.",
        formula="sum of margins by our rules / net liquidation", source="margin",
        caveat="the account's own figures stand beside it",
        kernel="tomic.portfolio.overview.review", example="18344.0 / 48210.0", result=0.38050197),
    Definition("concentration", "concentration", "fraction", decimals=0, factor=100.0,
        meaning="Share of the margin in one symbol, sector, strategy or expiry.",
        formula="margin there / margin of all structures", source="margin",
        caveat="by margin, not by loss: see stress_worst",
        kernel="tomic.portfolio.exposure.concentration", example="4100.0 / 10000.0", result=0.41),
    Definition("stress_worst", "worst stress cell", "currency; worst_share per net liquidation",
        label="worst cell", decimals=0, is_signed=True, aliases=("worst_share", "stress"),
        meaning="Largest loss over the grid of spot, volatility and days, everything revalued.",
        formula="min over the grid of value(cell) - value(now), from the live spot",
        source="full revaluation, early exercise included",
        caveat="a grid is no forecast: what lies beyond it costs more",
        kernel="tomic.quant.revaluation.stress_grid",
        example="revaluation.stress_grid([100.0], [100.0], [0.0], 0.0, 0.0, [0.2], [True], "
        "quantity=[-1.0], spot_moves=[-0.1, 0.0, 0.1], vol_moves=[0.0], days=[0]).min()",
        result=-1000.0),
    Definition("value_at_risk", "value at risk", "currency, a loss positive", decimals=0,
        aliases=("VaR", "VaR95"), meaning="Loss of a day that only one day in twenty exceeds.",
        formula="95 % quantile of the losses if each stored day came again",
        source='Hull (2018), "Options, Futures, and Other Derivatives", chapter 22',
        caveat="volatilities stay, and the past is short",
        kernel="tomic.portfolio.stress.tail_risk",
        example="float(np.quantile([100.0, 50.0, -20.0, 80.0, 10.0], 0.95))", result=96.0),
    Definition("diversification", "diversification ratio", "ratio, 1 when they all do",
        label="diversification", aliases=("diversification ratio",),
        meaning="How much risk disappears because symbols do not move together.",
        formula="sum of the symbols' standard deviations / that of the book",
        source='Choueifaty and Coignard (2008), "Toward Maximum Diversification"',
        caveat="correlations rise when it matters", kernel="tomic.portfolio.stress.tail_risk",
        example="(100.0 + 100.0) / math.sqrt(100.0**2 + 100.0**2)", result=1.41421356),
    Definition("result", "result", "currency", is_signed=True, aliases=("P&L", "pnl"),
        meaning="What a campaign made, all its fills and commissions counted.",
        formula="cash of all trades, each quantity x multiplier, less commissions",
        source="the journal's own trades", caveat="computed, never typed",
        kernel="tomic.journal.campaign.result", example="100 * 2 * (1.20 - 0.60) - 4 * 0.65",
        result=117.4),
    Definition("share_of_premium", "share of the premium", "fraction", label="of premium",
        short="of prem", decimals=0, factor=100.0,
        meaning="Profit so far per premium received: what a profit target of 50 % looks at.",
        formula="P&L / (premium x quantity x multiplier)", source="exit rules of the entry",
        caveat="the original ignored the quantity", kernel="tomic.journal.exits.share_of_premium",
        example="120.0 / (1.20 * 2 * 100)", result=0.5),
    Definition("win_rate", "win rate", "fraction with a 95 % interval", decimals=0, factor=100.0,
        meaning="Share of closed campaigns that made money.",
        formula="wins / n, interval after Wilson",
        source='Wilson (1927), "Probable Inference, the Law of Succession"',
        caveat="a result of 0 is no win; ten trades say little",
        kernel="tomic.journal.statistics.wilson", example="resampling.wilson(2, 3).value",
        result=0.66666667),
    Definition("expectancy", "expectancy", "currency, interval by bootstrap over symbol and expiry",
        is_signed=True, meaning="Mean result of a closed campaign.", formula="sum of results / n",
        source="Efron and Tibshirani (1993) for the interval",
        caveat="campaigns of one symbol and expiry share one outcome",
        kernel="tomic.journal.statistics.statistics", example="(100.0 - 50.0 + 70.0) / 3",
        result=40.0),
    Definition("profit_factor", "profit factor", "ratio; inf without a loss", short="PF",
        aliases=("PF",), meaning="What was won per what was lost.",
        formula="sum of wins / sum of losses", source="common practice",
        caveat="one large win can carry it", kernel="tomic.journal.statistics.statistics",
        example="(100.0 + 70.0) / 50.0", result=3.4),
    Definition("max_drawdown", "maximum drawdown", "currency, <= 0", label="drawdown",
        short="max DD", aliases=("drawdown",),
        meaning="Deepest fall of the running total from its highest point.",
        formula="min over days of total - highest total so far",
        source="results on the day of closing, marks before",
        caveat="the original printed the worst single trade",
        kernel="tomic.journal.statistics.max_drawdown",
        example="min(0.0, 100 - 100, 50 - 100, 120 - 120)", result=-50.0),
    Definition("slippage", "slippage", "currency per structure",
        meaning="What fills cost against the mids at the time.",
        formula="sum of quantity x (fill - mid) x multiplier",
        source="marks recorded with the fills", caveat="only where a mid was recorded",
        kernel="tomic.journal.campaign.slippage", example="100 * (1.22 - 1.20)", result=2.0),
    Definition("brier", "Brier score", "0 best, 1 worst; skill compares with the base rate",
        label="Brier", decimals=3, aliases=("skill", "calibration"),
        meaning="How far forecast probabilities were from what happened.",
        formula="mean of (forecast - outcome)^2",
        source='Brier (1950), "Verification of Forecasts Expressed in Terms of Probability"',
        caveat="always saying the base rate scores base x (1 - base): see skill",
        kernel="tomic.journal.statistics.calibration",
        example="calibration.calibration('x', [0.8, 0.6], [True, False], ['a', 'b']).brier.value",
        result=0.2),
    Definition("calibration_bias", "calibration bias", "fraction; positive is overconfident",
        label="bias", decimals=1, factor=100.0, is_signed=True, aliases=("bias",),
        meaning="Mean forecast less the share that came true.",
        formula="mean of (forecast - outcome)", source="journal and saved proposals",
        caveat="zero on average can still be wrong in every bin",
        kernel="tomic.journal.statistics.calibration",
        example="calibration.calibration('x', [0.8, 0.6], [True, False], ['a', 'b']).bias.value",
        result=0.2),
    Definition("attribution", "P&L by Greeks", "currency", aliases=("residual",),
        meaning="What each Greek of the start explains of the P&L, and the residual.",
        formula="delta dS, gamma dS^2 / 2, vega dsigma, theta dt; the rest is the residual",
        source="Greeks at the start of the step",
        caveat="near expiry the residual dominates: the stepwise revaluation has none",
        kernel="tomic.journal.attribution.by_greeks",
        example="-40 * 2.0 + 0.5 * -3.0 * 2.0**2 + -12.0 * 1.0 + 6.0 * 1", result=-92.0),
)
"""Metrics of the book and of the journal."""

_PLAIN = (
    Figure("spot", "price of the underlying", "currency per share", label="spot"),
    Figure("close", "closing price", "currency per share", label="close"),
    Figure("bid", "bid", "currency per share"),
    Figure("ask", "ask", "currency per share"),
    Figure("open_interest", "open interest", "contracts", short="OI", decimals=0),
    Figure("volume", "volume", "contracts of today", short="vol", decimals=0),
    Figure("iv_days", "days of IV behind rank and percentile", "trading days", label="days",
        short="n", decimals=0),
)
"""What the market says by itself; nothing is computed, so there is nothing to explain."""

# fmt: on

ALL: Mapping[str, Definition] = MappingProxyType(
    {figure.name: figure for figure in (*_CHAIN, *_VOLATILITY, *_TRADES, *_DECIDING, *_BOOK)}
)
"""Definitions by name: chain, volatility, trades, book and journal."""

_VARIANTS = {
    **{f"hv{days}": ("hv", f"HV{days}") for days in (20, 30, 60, 90, 252)},
    "chain_iv30": ("iv30", "own IV30"),
    "rom_30d": ("rom", "ROM/30d"),
}
"""Fields that share a definition: its name, and their own heading."""

_COLUMNS: Mapping[str, Figure] = {
    **ALL,
    **{figure.name: figure for figure in _PLAIN},
    **{
        field: replace(ALL[name], name=field, label=label, short="")
        for field, (name, label) in _VARIANTS.items()
    },
}


def columns(fields: str) -> tuple[Figure, ...]:
    """
    How the fields named in *fields*, apart by blanks, are headed and written.

    Raises:
        KeyError: One of them is described nowhere.
    """
    return tuple(_COLUMNS[field] for field in fields.split())


def plain(text: str) -> str:
    """*text* without what people write in different ways: case, blanks, hyphens, slashes."""
    return re.sub(r"[\s_/-]", "", text).lower()


_BY_ALIAS = {
    plain(alias): definition
    for definition in ALL.values()
    for alias in (definition.name, *definition.aliases)
}


def find(text: str) -> Definition:
    """
    The definition called *text*, whatever its case; ``IV rank`` and ``iv-rank`` are ``iv_rank``.

    Raises:
        UsageError: No such metric; the message suggests similar ones.
    """
    wanted = plain(text)
    if wanted in _BY_ALIAS:
        return _BY_ALIAS[wanted]
    near = difflib.get_close_matches(wanted, _BY_ALIAS, n=3, cutoff=0.5)
    names = dict.fromkeys(_BY_ALIAS[alias].name for alias in near)
    hint = f"did you mean {' or '.join(names)}?" if near else "tomic explain lists all of them"
    raise UsageError(f"no metric called {text!r}; {hint}")
