"""Statistics over the store, and saved proposals followed to their expiry."""

from __future__ import annotations

import datetime as dt
import math

import pytest

from support.journal_entries import EXPIRY, LATER, OPENED, condor, entry, option, trade
from support.journal_market import Quotes, journal
from tomic.journal.statistics import settle_proposal
from tomic.models import DataType, Grade, Leg, PriceSource, Proposal, ScorePart, SpotSource
from tomic.models.journal import Context
from tomic.quant import black_scholes
from tomic.store import Bars, Database, NewProposal, VolSeries
from tomic.workflows.journal import entries as journals, statistics

FREE = {"costs": {"commission": 0.0}, "journal": {"bootstrap": 200}}


@pytest.fixture
async def store(tmp_path):
    """An open, empty store."""
    async with Database(tmp_path / "store.db") as db:
        yield db


def leg(quantity: int, name: str, price: float, expiry: dt.date = EXPIRY, **more: object) -> Leg:
    return Leg(
        name=name,
        quantity=quantity,
        right=name[-1],
        strike=float(name[:-1]),
        expiry=expiry,
        price=price,
        price_source=PriceSource.TRUE,
        **more,
    )


SPREAD = (leg(1, "550P", 1.6), leg(-1, "560P", 3.1))


def proposal(legs: tuple[Leg, ...] = SPREAD, **changes: object) -> Proposal:
    """A put spread sold for 150.00, 148.70 after commission, without interest."""
    values = {
        "symbol": "SPY", "strategy": "short_put_spread", "side": "bullish", "as_of": OPENED,
        "spot": 593.0, "spot_source": SpotSource.LAST, "data_type": DataType.LIVE, "rate": 0.0,
        "forward": 593.0, "expiry": EXPIRY, "dte": 32, "tau": 32 / 365, "last_expiry": EXPIRY,
        "legs": legs, "credit": 150.0, "credit_mid": 150.0, "credit_natural": 140.0,
        "commission": 1.3, "max_profit": 148.7, "max_loss": 851.3, "breakevens": (558.51,),
        "margin": 851.3, "margin_requirement": 1000.0, "profit": 148.7, "rom": 0.17,
        "rom_30d": 0.16, "pos": 0.8, "ev": 12.0,
        "ev_30d": 0.01, "cvar95": 800.0, "risk_reward": 0.18, "edge": 1.0, "delta": 10.0,
        "gamma": -0.5, "vega": -20.0, "theta": 5.0, "theta_margin": 0.005, "liquidity": 1.0,
        "score": 72.0, "grade": Grade.A, "parts": (ScorePart(name="pos", points=72.0),),
        "market_volatility": 0.17, **changes,
    }  # fmt: skip
    return Proposal(**values)


# -- one proposal ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spot", "result", "won"),
    [(593.0, 148.7, True), (560.0, 148.7, True), (556.0, -251.3, False), (500.0, -851.3, False)],
)
def test_a_spread_at_its_expiry(spot, result, won):
    """Credit less what is in the money: 148.70 above 560, less 100 a point below it, no further."""
    found = settle_proposal(proposal(), spot)

    assert found == {"result": result, "won": won, "spot": spot, "modelled": False}


def test_results_are_in_todays_money():
    """What happens at expiry is discounted with the rate of the proposal."""
    found = settle_proposal(proposal(rate=0.05), 500.0)

    assert found["result"] == pytest.approx(148.7 - 1000.0 * math.exp(-0.05 * 32 / 365), abs=0.01)


def test_a_covered_call_at_its_expiry():
    """Shares called away at 600 have earned 7 points beside the premium."""
    shares = Leg(
        name="stock", sec_type="STK", quantity=100, price=593.0, price_source=PriceSource.SPOT
    )
    one = proposal((shares, leg(-1, "600C", 4.0)), credit=401.3)

    assert settle_proposal(one, 610.0)["result"] == pytest.approx(400.0 + 700.0)
    assert settle_proposal(one, 583.0)["result"] == pytest.approx(400.0 - 1000.0)


def test_a_calendar_is_revalued():
    """The later leg keeps its time value, at its own volatility times the change since."""
    legs = (leg(-1, "595P", 9.0, iv=0.17), leg(1, "595P", 13.0, LATER, iv=0.17))
    one = proposal(legs, credit=-398.7, last_expiry=LATER)

    quiet = settle_proposal(one, 595.0)
    rich = settle_proposal(one, 595.0, vol_ratio=1.5)

    # 0.4 x 595 x 0.17 x sqrt(28 / 365) = 11.2 at the money, so some 7.2 are earned.
    assert quiet["result"] == pytest.approx(
        100 * 0.3989 * 595 * 0.17 * math.sqrt(28 / 365) - 400, 0.01
    )
    assert rich["result"] - quiet["result"] == pytest.approx(0.5 * (quiet["result"] + 400), 0.01)
    assert quiet["modelled"]


def test_a_later_leg_is_carried_as_its_own_forward_stood():
    """A dividend between both expiries takes from the later one's forward, and only there."""
    legs = (leg(-1, "595P", 9.0, iv=0.17), leg(1, "595P", 13.0, LATER, iv=0.17, forward=590.0))
    years = (LATER - EXPIRY).days / 365
    div_yield = math.log(593.0 / 590.0) / years
    worth = black_scholes.price(595.0, 595.0, years, 0.0, div_yield, 0.17, False)

    own = settle_proposal(
        proposal(legs, credit=-398.7, last_expiry=LATER), 595.0, is_american=False
    )
    plain = settle_proposal(
        proposal((legs[0], legs[1].model_copy(update={"forward": None})), credit=-398.7),
        595.0,
        is_american=False,
    )

    assert own["result"] == pytest.approx(100.0 * float(worth) - 400.0, abs=0.02)
    # The forward is 3 lower, of which a put at the money has a half.
    assert own["result"] - plain["result"] == pytest.approx(100.0 * 3.0 * 0.5, rel=0.1)


# -- all of them -----------------------------------------------------------------------------


async def save(store, *proposals: Proposal) -> None:
    rows = [
        NewProposal(one.symbol, one.strategy, one.expiry, one.model_dump(mode="json"))
        for one in proposals
    ]
    await store.scans.save(rows, as_of=OPENED, day=OPENED.date())


def bars(*closes: tuple[str, float]) -> Bars:
    return Bars.from_rows("SPY", [(day, 1.0, 1.0, 1.0, close, 1.0) for day, close in closes])


def book_at(store, day: str):
    quotes = Quotes(at=dt.datetime.fromisoformat(f"{day}T16:00:00+00:00"))
    return journal(store, quotes, **FREE)


async def test_proposals_are_followed_to_their_expiry(store):
    """Traded or not, each is settled once at the stored close of its day, and kept."""
    await save(store, proposal(), proposal(expiry=LATER, last_expiry=LATER))
    await store.history.save_bars(bars(("2025-06-20", 556.0)))

    before = await statistics.settle(book_at(store, "2025-06-20"))
    after = await statistics.settle(book_at(store, "2025-06-21"))
    again = await statistics.settle(book_at(store, "2025-06-21"))

    assert (before.settled, after.settled, again.settled) == (0, 1, 0)
    (found,) = await store.scans.proposals(settled=True)
    assert found.outcome["result"] == -251.3


async def test_a_missing_price_is_waited_for(store):
    """Without the close of its last day a proposal waits, and the report says what to run."""
    await save(store, proposal())
    await store.history.save_bars(bars(("2025-06-18", 590.0)))
    book = book_at(store, "2025-06-25")

    found = await statistics.settle(book)
    report = await statistics.report(book)

    assert (found.settled, found.waiting) == (0, ("SPY",))
    assert report.notes == ("proposals wait for the price at their expiry; run tomic prices SPY",)


async def test_a_holiday_takes_the_day_before(store):
    """A day without trading is recognised by a later bar."""
    await save(store, proposal())
    await store.history.save_bars(bars(("2025-06-18", 559.0), ("2025-06-23", 580.0)))

    await statistics.settle(book_at(store, "2025-06-25"))

    (found,) = await store.scans.proposals(settled=True)
    assert found.outcome["spot"] == 559.0


async def test_a_split_voids_a_proposal(store):
    """Where prices were replaced since, strikes no longer compare; it counts nowhere."""
    await save(store, proposal())
    await store.history.replace(
        bars(("2025-06-20", 278.0)), at=OPENED + dt.timedelta(days=9), reason="split"
    )
    book = book_at(store, "2025-06-25")

    found = await statistics.settle(book)

    assert (found.settled, found.voided) == (0, 1)
    assert (await statistics.report(book)).proposals.n == 0


async def test_volatility_follows_the_stored_series(store):
    """The later leg of a calendar is revalued with how 30-day volatility changed."""
    legs = (leg(-1, "595P", 9.0, iv=0.17), leg(1, "595P", 13.0, LATER, iv=0.17))
    await save(store, proposal(legs, credit=-398.7, last_expiry=LATER))
    await store.history.save_bars(bars(("2025-06-20", 595.0)))
    days = [("2025-05-19", 0.20), ("2025-06-20", 0.30)]
    await store.history.save_iv(VolSeries.from_rows("SPY", "ib30", days))

    await statistics.settle(book_at(store, "2025-06-25"))

    (found,) = await store.scans.proposals(settled=True)
    expected = settle_proposal(proposal(legs, credit=-398.7), 595.0, vol_ratio=1.5)
    assert found.outcome["result"] == pytest.approx(expected["result"], abs=0.02)


async def test_the_report_has_everything(store):
    """Campaigns, groups, both calibrations and the score, from the store alone."""
    sold = entry(
        trade("open", 0, option(-1, "560P", 2.0)),
        trade("close", 9, option(1, "560P", 0.8)),
        strategy="naked_put",
        context=Context(pos=0.8, margin=6000.0, grade="A"),
    )
    book = book_at(store, "2025-06-25")
    for one in (sold, condor()):
        await journals.save(book, one, event="open")
    await save(store, proposal(), proposal(score=50.0, grade=Grade.C))
    await store.history.save_bars(bars(("2025-06-20", 590.0)))

    found = await statistics.report(book, by="strategy")

    assert (found.overall.n, found.overall.total) == (1, 120.0)
    assert [one.label for one in found.groups] == ["naked_put"]
    assert (found.trades.n, found.trades.brier.value) == (1, pytest.approx(0.04))
    assert (found.proposals.n, found.proposals.clusters) == (2, 1)
    assert [band.grade for band in found.score.bands] == ["A", "C"]
    assert found.notes == ()
    assert (await statistics.report(book, symbol="QQQ")).overall.n == 0


# -- currencies --------------------------------------------------------------------------------


async def test_currencies_are_never_added(store):
    """Euros and dollars stand in lines of their own, and entries that say nothing are counted."""
    book = journal(store, Quotes(), **FREE)
    for currency, price in (("EUR", 1.0), ("USD", 2.0), ("USD", 3.0), ("", 4.0)):
        sold = trade("open", 0, option(-1, "560P", price))
        bought = trade("close", 5, option(1, "560P", 0.0))
        await journals.save(book, entry(sold, bought, currency=currency), event="open")

    report = await statistics.report(book, by="symbol")

    totals = {row.label: row.total for row in (report.overall, *report.groups)}
    assert totals == {
        "all USD": 500.0, "all EUR": 100.0, "all, currency not told": 400.0,
        "SPY USD": 500.0, "SPY EUR": 100.0, "SPY, currency not told": 400.0,
    }  # fmt: skip
    assert any("counted apart, never added" in note for note in report.notes)


async def test_one_currency_and_silence_are_counted_together(store):
    """Where only dollars are known the others go with them, and it is said how many."""
    book = journal(store, Quotes(), **FREE)
    for currency in ("USD", ""):
        sold = trade("open", 0, option(-1, "560P", 2.0))
        bought = trade("close", 5, option(1, "560P", 0.0))
        await journals.save(book, entry(sold, bought, currency=currency), event="open")

    report = await statistics.report(book)

    assert (report.overall.label, report.overall.total) == ("all", 400.0)
    assert "1 entries do not say their currency: counted as USD like the others" in report.notes
