"""Results with fixed figures, so that a picture of the panel is the same every time."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np

from tomic.chain import Chain
from tomic.models import DataType, OptionQuote, RowStatus, Spot, SpotSource, Underlying, VolSnapshot
from tomic.models.book import AccountSummary
from tomic.models.journal import (
    Calibration,
    CalibrationBin,
    ExitCheck,
    ExitSignal,
    Interval,
    JournalReport,
    ScoreTest,
    Statistics,
    Verdict,
)
from tomic.models.review import (
    Alert,
    BetaDelta,
    BookReview,
    BookTotals,
    HeldLeg,
    PortfolioGreeks,
    Severity,
    StressCell,
    StressGrid,
    Structure,
)
from tomic.models.trade import (
    CurvePoint,
    Grade,
    Leg,
    NearestMiss,
    PriceSource,
    Proposal,
    Refusal,
    RuleCount,
    ScanResult,
    ScorePart,
    SymbolOutcome,
)
from tomic.panel.views.chain import DrawnSmile, OpenInterest
from tomic.panel.views.data import SeriesRow as StoredRow
from tomic.panel.views.journal import EntryRow
from tomic.panel.views.settings import Setting
from tomic.store import SeriesInfo, StoreInfo
from tomic.workflows.volatility.measure import VolReport
from tomic.workflows.volatility.stored import PastDay, Realised

NOW = dt.datetime(2026, 11, 20, 20, 0, tzinfo=dt.UTC)
DECEMBER, JANUARY = dt.date(2026, 12, 18), dt.date(2027, 1, 15)


# -- market ----------------------------------------------------------------------------------


def vol_reports() -> list[VolReport]:
    """A symbol of which everything is known, and one of which little is."""
    known = VolSnapshot(
        symbol="SPY",
        as_of=NOW,
        spot=590.16,
        hv20=0.177,
        hv30=0.163,
        hv60=0.149,
        hv90=0.151,
        hv252=0.172,
        iv30=0.171,
        iv_rank=0.87,
        iv_percentile=0.96,
        iv_days=252,
        iv_window=252,
        vix=0.1749,
        atr14=6.12,
        skew=-0.031,
        term_m1_m2=-0.004,
        term_m1_m3=-0.011,
        next_dividend=dt.date(2026, 12, 18),
        sources={"spot": "ib", "iv30": "ib", "hv30": "store", "skew": "chain"},
        missing={"next_earnings": "no date is stored"},
    )
    little = VolSnapshot(
        symbol="ASML",
        as_of=NOW,
        spot=985.11,
        missing={"iv30": "IB sent none (tick 106) and none is stored", "hv30": "no bars stored"},
    )
    return [VolReport(known, Realised(), expected_move=28.93), VolReport(little, Realised())]


def past_days() -> list[PastDay]:
    """Thirty days, oldest first."""
    first = dt.date(2026, 10, 12)
    return [
        PastDay(
            day=first + dt.timedelta(days=one),
            close=580.0 + 0.5 * one,
            hv30=0.15 + 0.001 * (one % 7),
            iv30=0.16 + 0.0015 * one if one < 15 else 0.205 - 0.0015 * one,
            iv_rank=one / 30.0,
            iv_percentile=one / 40.0,
            atr14=6.0,
        )
        for one in range(30)
    ]


# -- chain -----------------------------------------------------------------------------------


def chain() -> Chain:
    """Two expiries of five strikes; one option timed out, one has no quote."""
    quotes = []
    for expiry, dte in ((DECEMBER, 28), (JANUARY, 56)):
        for place, strike in enumerate((570.0, 580.0, 590.0, 600.0, 610.0)):
            for right in ("C", "P"):
                delta = 0.8 - 0.15 * place - (1.0 if right == "P" else 0.0)
                mid = 12.0 + (590.0 - strike) * (0.5 if right == "C" else -0.5)
                quotes.append(
                    OptionQuote(
                        con_id=len(quotes) + 1,
                        expiry=expiry,
                        dte=dte,
                        strike=strike,
                        right=right,
                        bid=mid - 0.05,
                        ask=mid + 0.05,
                        iv=0.19 - 0.008 * place,
                        delta=delta,
                        gamma=0.011,
                        vega=0.62,
                        theta=-0.145,
                        volume=100 * place + 12,
                        open_interest=4200 + place,
                        status=RowStatus.OK,
                        greeks_source="ib",
                    )
                )
    quotes[3] = quotes[3].model_copy(update={"status": RowStatus.TIMEOUT, "bid": None})
    quotes[8] = quotes[8].model_copy(
        update={"status": RowStatus.NO_QUOTE, "delta": None, "ask": None}
    )
    return Chain.from_quotes(
        quotes,
        underlying=Underlying(symbol="SPY", con_id=1),
        spot=Spot(price=590.16, source=SpotSource.LAST, as_of=NOW),
        as_of=NOW,
        rate=0.045,
        data_type=DataType.LIVE,
        trading_class="SPY",
    )


def smiles() -> dict[dt.date, DrawnSmile]:
    """A smile for each of its expiries."""
    strike = np.array([570.0, 580.0, 590.0, 600.0, 610.0])
    across = np.linspace(570.0, 610.0, 81)
    return {
        day: DrawnSmile(
            expiry=day,
            dte=dte,
            strike=strike,
            iv=level + 5e-6 * (610.0 - strike) ** 2,
            is_call=strike >= 591.0,
            forward=591.2,
            across=across,
            fitted=level + 5e-6 * (610.0 - across) ** 2,
            interest=OpenInterest(strike, 4000.0 + 10.0 * strike % 777.0, 3000.0 + strike % 70.0),
        )
        for day, dte, level in ((DECEMBER, 28, 0.158), (JANUARY, 56, 0.163))
    }


# -- scan ------------------------------------------------------------------------------------


def proposal(**changes: object) -> Proposal:
    """A put spread that was found."""
    legs = (
        Leg(
            name="short_put", quantity=-1, right="P", strike=560.0, expiry=DECEMBER, price=4.1,
            price_source=PriceSource.TRUE, bid=4.05, ask=4.15, value=4.02, iv=0.192, delta=-0.22,
            gamma=0.008, vega=0.41, theta=-0.13, volume=812, open_interest=15_020,
        ),
        Leg(
            name="long_put", quantity=1, right="P", strike=550.0, expiry=DECEMBER, price=2.7,
            price_source=PriceSource.PARITY, bid=2.65, ask=2.75, value=2.72, iv=0.201, delta=-0.16,
            gamma=0.006, vega=0.33, theta=-0.11, volume=455, open_interest=9_811,
        ),
    )  # fmt: skip
    curve = [(530.0, -863.3), (550.0, -863.3), (558.6, 0.0), (560.0, 136.7), (620.0, 136.7)]
    given: dict[str, object] = {
        "id": "20261120-1", "rank": 1, "symbol": "SPY", "strategy": "short_put_spread",
        "side": "bullish", "as_of": NOW, "spot": 590.16, "spot_source": SpotSource.LAST,
        "data_type": DataType.LIVE, "rate": 0.045, "forward": 591.2, "expiry": DECEMBER, "dte": 28,
        "tau": 28 / 365, "last_expiry": DECEMBER, "legs": legs, "credit": 138.0,
        "credit_mid": 140.0, "credit_natural": 130.0, "commission": 1.3, "max_profit": 136.7,
        "max_loss": 863.3, "breakevens": (558.63,), "margin": 863.3, "margin_requirement": 1000.0,
        "profit": 136.7, "rom": 0.158, "rom_30d": 0.17, "pos": 0.79,
        "ev": 21.4, "ev_error": 3.1, "ev_30d": 0.026, "cvar95": 801.0, "risk_reward": 0.17,
        "touch": 0.41, "edge": 4.2, "edge_error": 1.3, "delta": 6.1, "gamma": -0.2, "vega": -8.0,
        "theta": 2.1, "theta_margin": 0.0024, "liquidity": 0.93, "score": 71.3, "grade": Grade.B,
        "parts": (
            ScorePart(name="pos", points=19.8), ScorePart(name="ev", points=56.8),
            ScorePart(name="liquidity", points=-5.3),
        ),
        "alternatives": 14, "market_volatility": 0.18, "iv30": 0.171,
        "iv_rank": 0.87,
        "curve": tuple(CurvePoint(price=x, profit=y) for x, y in curve),
        "notes": ("volume unknown",),
    }  # fmt: skip
    return Proposal.model_validate(given | changes)


def scan_result() -> ScanResult:
    """Two proposals, three rules that refused, a gated strategy and a symbol that failed."""
    second = proposal(
        id="20261120-2", rank=2, symbol="QQQ", strategy="iron_condor", score=64.0, grade=Grade.C,
        side="neutral", credit=-12.5, ev=-1.2,
    )  # fmt: skip
    return ScanResult(
        proposals=(proposal(), second),
        considered=356_935,
        passed=2_113,
        rejected=(
            RuleCount(rule="min_pos", kind="rule", count=301_222),
            RuleCount(rule="spread", kind="rule", count=52_000),
            RuleCount(rule="volume", kind="no_data", count=1_600),
        ),
        nearest_misses=(
            NearestMiss(
                rule="min_pos",
                kind="rule",
                symbol="SPY",
                strategy="short_put_spread",
                trade="short_put_spread 565P/555P 2026-12-18",
                observed=0.69,
                limit=0.7,
                message="PoS 69.0% < 70.0%",
                distance=0.014,
                only_rule=True,
            ),
        ),
        gated=(
            Refusal(
                rule="iv_rank",
                kind="rule",
                symbol="SPY",
                strategy="calendar",
                message="iv_rank 0.870 does not satisfy iv_rank <= 0.5",
            ),
        ),
        outcomes=(
            SymbolOutcome(symbol="SPY", considered=200_000, passed=1_000),
            SymbolOutcome(symbol="ASML", ok=False, error="ASML: no answer within 10 s"),
        ),
        as_of=NOW,
    )


# -- portfolio -------------------------------------------------------------------------------


def _structure(name: str, strategy: str, pnl: float, **more: object) -> Structure:
    leg = HeldLeg(
        contract="SPY 2026-12-18 580P", quantity=-1, right="P", strike=580.0, expiry=DECEMBER,
        multiplier=100.0, cost=2.1, price=1.4, price_source="mid", iv=0.18, delta=-0.24,
    )  # fmt: skip
    given: dict[str, object] = {
        "id": name, "strategy": strategy, "symbol": name.partition("-")[0], "account": "DU1234567",
        "source": "match", "quantity": 1, "legs": (leg,), "expiry": DECEMBER, "dte": 28,
        "greeks": PortfolioGreeks(delta_value=4370.0, gamma_value=-776.0, vega=-17.1, theta=8.7),
        "credit": 210.0, "pnl": pnl, "max_profit": 210.0, "max_loss": 790.0, "profit_share": 0.33,
        "margin": 3282.8, "margin_net": 3072.8, "rom": 0.023, "theta_margin": 0.0028, "iv": 0.18,
        "days_in_trade": 12,
    }  # fmt: skip
    return Structure.model_validate(given | more)


def book_review() -> BookReview:
    """Two strategies, a stress grid of five by three, and three alerts."""
    spots, vols, days = (-0.2, -0.1, 0.0, 0.1, 0.2), (-0.25, 0.0, 0.5), (0, 7)
    pnl = tuple(
        tuple(tuple(round(20_000 * spot - 900 * vol + 40 * day, 2) for day in days) for vol in vols)
        for spot in spots
    )
    worst = StressCell(spot_move=-0.2, vol_move=0.5, days=0, pnl=-4450.0)
    greeks = PortfolioGreeks(delta_value=8740.0, gamma_value=-1552.0, vega=-34.2, theta=17.4)
    beta = BetaDelta(
        benchmark="SPY", delta=14.8, error=1.2, delta_value=8734.0, window=252, betas=()
    )
    return BookReview(
        as_of=NOW,
        currency="USD",
        data_type=DataType.LIVE,
        accounts=(AccountSummary(account="DU1234567", net_liquidation=123_724.0),),
        net_liquidation=123_724.0,
        totals=BookTotals(
            greeks=greeks,
            beta=beta,
            pnl=32.0,
            margin=6565.6,
            margin_net=6145.6,
            margin_share=0.053,
            worst=worst,
            worst_share=0.036,
        ),
        structures=(
            _structure("SPY-1", "iron_condor", 96.0),
            _structure("IWM-1", "cash_secured_put", -64.0, quantity=2, dte=None),
        ),
        stress=StressGrid(
            name="book", spot_moves=spots, vol_moves=vols, days=days, pnl=pnl, worst=worst
        ),
        alerts=(
            Alert(
                rule="info",
                severity=Severity.INFO,
                scope="SPY-1",
                value=0.0,
                limit=0.0,
                unit="delta",
                message="neutral, delta +0.02",
                advice="fine when it is meant",
            ),
            Alert(
                rule="worst",
                severity=Severity.ALARM,
                scope="book",
                value=0.036,
                limit=0.03,
                unit="fraction",
                message="the worst stress cell costs 3.6% of net liquidation",
                advice="see which structure drives it, and hedge or close that one",
            ),
            Alert(
                rule="margin",
                severity=Severity.WARNING,
                scope="IWM",
                value=0.5,
                limit=0.4,
                unit="fraction",
                message="IWM holds 50% of the margin",
                advice="spread over other symbols",
            ),
        ),
    )


# -- journal ---------------------------------------------------------------------------------


def entry_rows() -> list[EntryRow]:
    """One entry to act on, one to hold, one that nobody has judged."""
    fired = ExitSignal(
        rule="profit_target", fired=True, observed=0.62, limit=0.5,
        text="62% of the premium is earned, target 50%", advice="close it",
    )  # fmt: skip
    unknown = ExitSignal(rule="earnings_days", fired=False, text="no earnings date is known")
    act = ExitCheck(
        entry_id=7, symbol="SPY", strategy="short_put_spread", verdict=Verdict.ACT,
        signals=(fired,), unjudged=(unknown,), as_of=NOW, pnl=84.2, share_of_premium=0.62, dte=28,
    )  # fmt: skip
    hold = ExitCheck(
        entry_id=9, symbol="QQQ", strategy="iron_condor", verdict=Verdict.HOLD, as_of=NOW,
        pnl=-31.0, share_of_premium=-0.11, dte=56,
    )  # fmt: skip
    return [
        EntryRow(
            7, "SPY", "short_put_spread", "-1 560P +1 550P 2026-12-18", "2026-11-02",
            84.2, act,
        ),
        EntryRow(
            9, "QQQ", "iron_condor", "-1 480P +1 470P -1 540C +1 550C 2027-01-15", "2026-11-11",
            -31.0, hold,
        ),
        EntryRow(12, "XLF", "covered_call", "-1 55C 2026-12-18", "2026-11-19", None),
    ]  # fmt: skip


def journal_report() -> JournalReport:
    """Forty closed trades, and how honest their probabilities were."""
    overall = Statistics(
        label="all", n=40, wins=29, win_rate=Interval(value=0.725, low=0.57, high=0.84),
        average_win=91.0, average_loss=-180.0, total=660.0,
        expectancy=Interval(value=16.5, low=-21.0, high=52.0), profit_factor=1.33,
        max_drawdown=-540.0, average_days=19.0, rom=0.021,
    )  # fmt: skip
    bins = (
        CalibrationBin(
            low=0.6, high=0.7, n=12, forecast=0.66, hit=Interval(value=0.58, low=0.3, high=0.8)
        ),
        CalibrationBin(
            low=0.7, high=0.8, n=28, forecast=0.75, hit=Interval(value=0.79, low=0.6, high=0.9)
        ),
    )
    trades = Calibration(
        what="campaigns, as they were closed", n=40, clusters=31, bins=bins,
        brier=Interval(value=0.196, low=0.15, high=0.24), base_rate=0.725, skill=0.02,
        bias=Interval(value=0.004, low=-0.11, high=0.12),
    )  # fmt: skip
    nothing = Interval()
    return JournalReport(
        overall=overall,
        groups=(overall.model_copy(update={"label": "short_put_spread", "n": 31}),),
        by="strategy",
        trades=trades,
        proposals=Calibration(what="saved proposals", n=0, clusters=0, brier=nothing, bias=nothing),
        score=ScoreTest(n=0, clusters=0, correlation=nothing),
        notes=("proposals wait for the price at their expiry; run tomic prices SPY",),
    )


# -- data and settings -----------------------------------------------------------------------


def stored() -> tuple[StoreInfo, list[StoredRow]]:
    """A store of two series."""
    first, last = dt.date(2025, 11, 18), dt.date(2026, 11, 19)
    info = StoreInfo(
        path=Path("data/volatility.db"),
        exists=True,
        size=2_140_000,
        schema_version=7,
        sqlite_version="3.40.1",
        tables={"bars": 253, "iv_series": 253, "entries": 0},
        series=(SeriesInfo("bars", 1, 253, first, last),),
    )
    rows = [StoredRow("SPY", series, 253, first, last, NOW) for series in ("bars", "ib30")]
    return info, rows


def settings_rows() -> list[Setting]:
    """A default, a value of a file and one of the environment."""
    return [
        Setting("ib.host", '"127.0.0.1"', "default"),
        Setting("ib.port", "7496", "tomic.toml"),
        Setting("market.rate", "0.04", "TOMIC_MARKET__RATE"),
        Setting("market.symbols", '["AAPL", "ASML", "CRM", "DIA", "EWG"]', "default"),
    ]
