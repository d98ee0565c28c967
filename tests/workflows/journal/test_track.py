"""Saved proposals followed day by day from the store alone."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pytest

from support.journal_entries import EXPIRY, OPENED
from support.journal_market import Quotes, journal
from tomic.chain import Chain
from tomic.models import (
    DataType,
    Grade,
    Leg,
    ManagedOutcome,
    OptionQuote,
    PriceSource,
    Proposal,
    QuoteSource,
    RowStatus,
    ScorePart,
    Spot,
    SpotSource,
    TradeEvent,
    Underlying,
)
from tomic.quant import black_scholes
from tomic.store import Bars, Database, NewProposal, VolSeries
from tomic.workflows.journal import track

FREE = {"costs": {"commission": 0.0}, "journal": {"bootstrap": 200}}
MADE = OPENED.date()
KEEP = dt.timedelta(days=900)
PROMISED = ManagedOutcome(
    p_target=0.7, p_stop=0.1, p_time=0.2, p_expiry=0.0, days=9.0, ev=8.0, ev_error=0.5,
    tail=-300.0, paths=4000,
)  # fmt: skip


@pytest.fixture
async def store(tmp_path):
    """An open, empty store."""
    async with Database(tmp_path / "store.db") as db:
        yield db


def leg(quantity: int, name: str, price: float) -> Leg:
    return Leg(
        name=name, quantity=quantity, right=name[-1], strike=float(name[:-1]), expiry=EXPIRY,
        price=price, price_source=PriceSource.TRUE, iv=0.17,
    )  # fmt: skip


def proposal(**changes: object) -> Proposal:
    """A put spread sold for 150 less 5 of slippage and 1.30 of commission, without interest."""
    values = {
        "symbol": "SPY", "strategy": "short_put_spread", "side": "bullish", "as_of": OPENED,
        "spot": 593.0, "spot_source": SpotSource.LAST, "data_type": DataType.LIVE, "rate": 0.0,
        "forward": 593.0, "expiry": EXPIRY, "dte": 32, "tau": 32 / 365, "last_expiry": EXPIRY,
        "legs": (leg(1, "550P", 1.6), leg(-1, "560P", 3.15)), "credit": 150.0,
        "credit_mid": 155.0, "credit_natural": 140.0, "commission": 1.3, "max_profit": 148.7,
        "max_loss": 851.3, "breakevens": (558.51,), "margin": 851.3,
        "margin_requirement": 1000.0, "profit": 148.7, "rom": 0.17, "rom_30d": 0.16, "pos": 0.8,
        "ev": 12.0, "ev_30d": 0.01, "cvar95": 800.0, "risk_reward": 0.18, "edge": 1.0,
        "delta": 10.0, "gamma": -0.5, "vega": -20.0, "theta": 5.0, "theta_margin": 0.005,
        "liquidity": 1.0, "score": 72.0, "grade": Grade.A, "managed": PROMISED,
        "parts": (ScorePart(name="pos", points=72.0),), "market_volatility": 0.17, **changes,
    }  # fmt: skip
    return Proposal(**values)


async def save(store: Database, *proposals: Proposal, as_of: dt.datetime = OPENED) -> None:
    rows = [
        NewProposal(one.symbol, one.strategy, one.expiry, one.model_dump(mode="json"))
        for one in proposals
    ]
    await store.scans.save(rows, as_of=as_of, day=as_of.date())


def day(number: int) -> dt.date:
    return MADE + dt.timedelta(days=number)


async def close(store: Database, *closes: tuple[int, float]) -> None:
    """Store closes of days after the proposal; weekends are the caller's business."""
    rows = [(str(day(number)), 1.0, 1.0, 1.0, price, 1.0) for number, price in closes]
    await store.history.save_bars(Bars.from_rows("SPY", rows))


WEEKDAYS = [n for n in range(1, 32) if day(n).weekday() < 5 and n != 7 and n != 31]
"""Trading days of the proposal's life: Memorial Day is the 7th after it, Juneteenth the 31st."""


async def flat(store: Database, price: float = 593.0, until: int = 32) -> None:
    await close(store, *((n, price) for n in [*WEEKDAYS, 32] if n <= until))


async def keep(store: Database, number: int, low: float, high: float, spot: float = 590.0) -> None:
    """Keep a chain of both legs, each quoted a dime wide around its middle."""
    as_of = dt.datetime.combine(day(number), dt.time(19, 55), dt.UTC)
    quotes = [
        OptionQuote(
            expiry=EXPIRY, dte=32 - number, strike=strike, right="P", bid=middle - 0.05,
            ask=middle + 0.05, delta=-0.2, iv=0.2, status=RowStatus.OK,
            quote_source=QuoteSource.LIVE, greeks_source="ib",
        )
        for strike, middle in ((550.0, low), (560.0, high))
    ]  # fmt: skip
    chain = Chain.from_quotes(
        quotes, underlying=Underlying(symbol="SPY", con_id=1),
        spot=Spot(price=spot, source=SpotSource.LAST, as_of=as_of), as_of=as_of, rate=0.0,
    )  # fmt: skip
    await store.kept.save(chain, day=day(number), keep=KEEP)


def book_at(store: Database, number: int):
    at = dt.datetime.combine(day(number), dt.time(16), dt.UTC)
    return journal(store, Quotes(at=at), **FREE)


async def only(store: Database, number: int):
    (followed,) = await track.follow(book_at(store, number))
    return followed


async def test_the_target_closes_it_on_quotes(store):
    """Half of the credit is earned at a spread of .70; closing costs half-spreads and 1.30."""
    await save(store, proposal())
    await keep(store, 1, 1.0, 2.2)
    await keep(store, 2, 0.3, 1.0)

    after_one = await only(store, 2)
    after_two = await only(store, 3)

    # Slippage of the default is a part of the half-spread of a dime on two legs.
    share = book_at(store, 1).settings.costs.slippage
    assert (after_one.outcome, after_one.day, after_one.source) == ("open", day(1), "quotes")
    assert after_one.pnl == pytest.approx(148.7 - 120.0 - share * 10.0 - 1.3, abs=0.01)
    assert (after_two.outcome, after_two.rule, after_two.day) == ("target", "profit_target", day(2))
    assert after_two.pnl == pytest.approx(148.7 - 70.0 - share * 10.0 - 1.3, abs=0.01)
    assert after_two.per_share == pytest.approx(after_two.pnl / 100)
    assert after_two.per_margin == pytest.approx(after_two.pnl / 851.3)


async def test_the_stop_closes_it(store):
    """A spread of 4.60 is a loss of more than twice the credit of 1.50."""
    await save(store, proposal())
    await keep(store, 1, 4.0, 8.6)

    followed = await only(store, 2)

    assert (followed.outcome, followed.rule) == ("stop", "stop")
    assert followed.marks[0].watched == pytest.approx(148.7 - 460.0)


async def test_21_days_close_it(store):
    """On a still market the last day comes first: 21 days before the expiry, by a model."""
    await save(store, proposal())
    await flat(store, 575.0)

    followed = await only(store, 33)

    assert (followed.outcome, followed.rule, followed.day) == ("time", "min_dte", day(11))
    assert followed.source == "model"
    # Black's value at the volatility of the proposal, eleven days later.
    low, high = (
        float(black_scholes.price(575.0, strike, 21 / 365, 0.0, 0.0, 0.17, False))
        for strike in (550.0, 560.0)
    )
    assert followed.pnl == pytest.approx(148.7 - 100 * (high - low) - 5.0 - 1.3, abs=0.01)


async def test_earnings_close_it_before_they_come(store):
    """The rule of the settings closes a trade two days before a report that was known."""
    report = TradeEvent(kind="earnings", date=day(8), text="earnings")
    await save(store, proposal(events=(report,)))
    await flat(store, 580.0)

    followed = await only(store, 33)

    assert (followed.outcome, followed.rule) == ("time", "earnings_days")
    assert followed.day == day(8)


async def test_without_exits_it_runs_to_its_expiry(store):
    """With every rule off the result is that of the settlement at the close of the last day."""
    await save(store, proposal())
    await flat(store, 556.0)
    off = {"profit_target": "none", "stop": "none", "min_dte": "none", "earnings_days": "none"}
    at = dt.datetime.combine(day(33), dt.time(16), dt.UTC)
    book = journal(
        store, Quotes(at=at), costs={"commission": 0.0}, journal={"exits": off, "bootstrap": 200}
    )

    (followed,) = await track.follow(book)

    assert (followed.outcome, followed.day, followed.pnl) == ("expiry", EXPIRY, -251.3)
    assert len(followed.marks) == len(WEEKDAYS)


async def test_volatility_moves_the_model(store):
    """The legs' volatility changes as the 30-day one did since the proposal."""
    await save(store, proposal())
    await close(store, (1, 593.0))
    series = [(str(MADE), 0.20), (str(day(1)), 0.30)]
    await store.history.save_iv(VolSeries.from_rows("SPY", "ib30", series))

    followed = await only(store, 2)

    low, high = (
        float(black_scholes.price(593.0, strike, 31 / 365, 0.0, 0.0, 0.17 * 1.5, False))
        for strike in (550.0, 560.0)
    )
    assert followed.pnl == pytest.approx(148.7 - 100 * (high - low) - 6.3, abs=0.01)


async def test_following_again_changes_nothing(store):
    """A second run finds the same, and an end is never revised by other settings or prices."""
    await save(store, proposal())
    await keep(store, 1, 0.3, 1.0)
    await flat(store)

    first = await only(store, 3)
    second = await only(store, 3)
    await keep(store, 1, 4.0, 9.0)
    third = await only(store, 30)

    assert first == second == third
    assert first.outcome == "target"


@pytest.mark.parametrize("last", [2, 4, 9, 15])
async def test_nothing_looks_ahead(store, tmp_path, last):
    """Whatever comes later, days before it are judged the same, in one run or in many."""
    async with Database(tmp_path / "other.db") as other:
        for db in (store, other):
            await save(db, proposal(), proposal(pos=0.7))
            await flat(db, until=last)
            await keep(db, 2, 1.1, 2.5)
        for number in range(1, last + 2):
            daily = await track.follow(book_at(other, number))
        await close(store, *((n, 300.0) for n in WEEKDAYS if n > last))
        await keep(store, last + 1, 90.0, 95.0)
        at_once = await track.follow(book_at(store, 33))

    cut = [
        each.model_copy(
            update={"marks": tuple(mark for mark in each.marks if mark.day <= day(last))}
        ).marks
        for each in at_once
    ]
    assert [each.marks for each in daily] == cut
    assert len(cut[0]) > 0


async def test_a_day_is_waited_for(store):
    """A chain of a later day does not skip one whose close may still come."""
    await save(store, proposal())
    await keep(store, 3, 1.0, 2.4)

    waiting = await only(store, 4)
    record = await track.record(book_at(store, 4))
    await flat(store, until=3)
    after = await only(store, 4)

    assert (waiting.marks, waiting.note) == ((), f"prices after {MADE} are missing")
    assert record.notes == ("prices of 1 symbols are missing; run tomic prices SPY",)
    assert [mark.source for mark in after.marks] == ["model", "model", "quotes"]
    assert after.source == "mixed"
    assert after.note == ""


async def test_today_is_not_over(store):
    """The bar of a day that is still running is not its close."""
    await save(store, proposal())
    await flat(store, until=2)

    assert [mark.day for mark in (await only(store, 2)).marks] == [day(1)]


async def test_a_quote_without_an_ask_is_none(store):
    """A leg without a market is priced by the model, as all legs then are."""
    await save(store, proposal())
    await flat(store, until=1)
    await keep(store, 1, 1.0, math.nan)

    assert [mark.source for mark in (await only(store, 2)).marks] == ["model"]


async def test_a_split_voids_it(store):
    """Where prices were replaced since, strikes no longer compare; it counts nowhere."""
    await save(store, proposal())
    rows = [(str(day(1)), 1.0, 1.0, 1.0, 296.5, 1.0)]
    await store.history.replace(
        Bars.from_rows("SPY", rows), at=OPENED + dt.timedelta(days=1), reason="split"
    )

    followed = await only(store, 3)
    record = await track.record(book_at(store, 3))

    assert (followed.outcome, followed.pnl) == ("void", None)
    assert record.groups == ()
    assert record.notes == ("1 proposals count nowhere: see their notes in JSON",)


async def test_the_record_counts_by_grade(store):
    """Promised and realised of each grade; a repeated trade of a day counts once."""
    await save(
        store, proposal(), proposal(grade=Grade.B, legs=(leg(1, "540P", 1.0), leg(-1, "555P", 2.5)))
    )
    await save(store, proposal(score=50.0), as_of=OPENED + dt.timedelta(minutes=30))
    await flat(store)

    record = await track.record(book_at(store, 33))
    groups = {group.grade: group for group in record.groups}

    assert (record.last_month, record.repeated) == ("2025-05", 1)
    assert [group.grade for group in record.months] == ["A", "B"]
    assert (groups["A"].n, groups["A"].ended, groups["A"].pos) == (1, 1, 0.8)
    assert groups["A"].p_target == 0.7
    assert groups["A"].managed_ev == pytest.approx(8.0 / 851.3)
    assert groups["A"].few == "too few: 1 ended in 1 month"
    assert groups["A"].per_margin.value == pytest.approx(
        next(each.per_margin for each in record.proposals if each.grade == "A")
    )
    assert groups["A"].per_margin.low is None
    assert groups["A"].by_quotes == 0.0
    assert (await track.record(book_at(store, 33), symbol="QQQ")).groups == ()


async def test_every_class_of_a_day_is_looked_into(store):
    """A leg that the larger of two kept classes does not list is taken from the other."""
    await save(store, proposal())
    await keep(store, 1, 1.0, 2.2)
    other = await store.kept.load("SPY", day(1))
    rows = {name: array.copy() for name, array in other.columns.items()}
    rows["strike"] = rows["strike"] + 1.0
    more = Chain(
        underlying=other.underlying, spot=other.spot, as_of=other.as_of, rate=0.0, div_yield=None,
        data_type=other.data_type, trading_class="2SPY",
        columns={name: np.concatenate((array, other[name])) for name, array in rows.items()},
    )  # fmt: skip
    strike = np.concatenate((rows["strike"], other["strike"] + 2.0))
    await store.kept.save(more.with_columns(strike=np.sort(strike)), day=day(1), keep=KEEP)

    assert [mark.source for mark in (await only(store, 2)).marks] == ["quotes"]
