"""Stored series brought up to date: what is asked, what is stored, what IB's limits cost."""

from __future__ import annotations

import asyncio
import datetime as dt
from contextlib import asynccontextmanager

import pytest

from conftest import FAST, settings_in
from support.patient_clock import PatientClock
from tomic import dates
from tomic.errors import DeadlineExceeded, PacingViolation, UnknownContract
from tomic.ib.session import Session
from tomic.sim import Gateway, Limits, Profile, faults
from tomic.sim.market import listings
from tomic.sim.market.model import ModelMarket
from tomic.store import Bars, VolSeries
from tomic.wire.requests import ContractSpec
from tomic.workflows.volatility import history

FRIDAY = dt.date(2026, 11, 20)
THURSDAY = FRIDAY - dt.timedelta(days=1)


def at(day: dt.date, hour: int, minute: int = 0) -> dt.datetime:
    """That time of that day in New York."""
    return listings.moment(day, dt.time(hour, minute))


@asynccontextmanager
async def opened(settings, clock=None, *, faults_=(), limits=None, kind=ModelMarket, **market):
    """A gateway on a market of its own, and a session on it."""
    counted = Limits().unpaced() if limits is None else limits
    gateway = Gateway(
        kind(seed=1, **market),
        seed=1,
        profile=Profile.instant(),
        limits=counted,
        faults=faults_,
        clock=clock,
    )
    async with gateway:
        ib = settings.ib.model_copy(update={"port": gateway.port})
        async with Session(ib, settings.limits, pace=FAST) as session:

            async def opener() -> Session:
                return session

            yield gateway, opener


def update(opener, store, symbols, settings, clock, **options):
    """A run of `history.update` on a clock that takes no time."""
    return history.update(
        opener, store, symbols, settings, clock=clock, sleep=clock.sleep, **options
    )


@pytest.fixture
def clock() -> PatientClock:
    return PatientClock()


async def test_an_empty_store_is_filled(store, settings, clock):
    """Two requests a symbol store 252 days and the one before them, up to the last whole day."""
    async with opened(settings, clock) as (gateway, opener):
        run = await update(opener, store, ["SPY", "QQQ"], settings, clock)

        spy = gateway.market.find(ContractSpec(symbol="SPY", sec_type="STK"))[0].con_id
        truth = gateway.market.bars(spy, "TRADES", 254, gateway.market.now())[:-1]

    bars = await store.history.bars("SPY")
    iv = await store.history.iv("SPY", "ib30")
    assert gateway.history_requests == 4
    assert bars.close.tolist() == [bar.close for bar in truth]
    assert bars.high.tolist() == [bar.high for bar in truth]
    assert len(bars) == len(iv) == 253
    assert bars.date[-1].item() == iv.date[-1].item() == THURSDAY
    assert [one.added for one in run.symbols] == [{"bars": 253, "ib30": 253}] * 2
    assert run.plan is not None
    assert run.plan.requests == 4


async def test_the_second_run_asks_nothing(store, settings, clock):
    """What is complete is not asked for; with the time given not even the gateway is needed."""
    async with opened(settings, clock) as (gateway, opener):
        await update(opener, store, ["SPY", "QQQ"], settings, clock)
        messages = gateway.messages
        run = await update(opener, store, ["SPY", "QQQ"], settings, clock)

        assert gateway.messages == messages

    async def unreachable() -> Session:
        raise AssertionError("asked")

    later = at(FRIDAY, 15, 30)
    again = await update(unreachable, store, ["SPY", "QQQ"], settings, clock, now=later)

    assert run.plan is again.plan is None
    assert [one.added for one in again.symbols] == [{}, {}]
    assert [one.rows for one in again.symbols] == [253, 253]


async def test_the_next_day_asks_for_one_day_and_its_neighbour(store, settings, clock):
    """After the close the day itself is added; the stored day before it is asked along."""
    async with opened(settings, clock) as (_, opener):
        await update(opener, store, ["SPY"], settings, clock)
    clock.forward(86_400.0)
    async with opened(settings, clock, start=at(FRIDAY, 17)) as (gateway, opener):
        run = await update(opener, store, ["SPY"], settings, clock)

        assert gateway.history_requests == 2

    assert run.symbols[0].added == {"bars": 1, "ib30": 1}
    assert run.symbols[0].last == FRIDAY
    assert await store.history.events() == []


async def test_the_gateways_clock_decides(store, settings, clock):
    """A computer whose clock is days ahead asks for what the gateway says is over."""
    async with opened(settings, clock) as (_, opener):
        ahead = at(FRIDAY + dt.timedelta(days=4), 17)
        run = await update(opener, store, ["SPY"], settings, clock, now=ahead)
        again = await update(opener, store, ["SPY"], settings, clock, now=ahead)

    assert run.symbols[0].rows == 253
    assert run.symbols[0].last == THURSDAY
    assert again.plan is None


async def test_a_day_under_way_is_not_stored(store, settings, clock):
    """At noon the bar of today is unfinished, and left out."""
    async with opened(settings, clock, start=at(FRIDAY, 12)) as (_, opener):
        await update(opener, store, ["SPY"], settings, clock)

    assert (await store.history.bars("SPY")).date[-1].item() == THURSDAY


async def test_a_weekend_adds_nothing(store, settings, clock):
    """On Saturday the store is as complete as on Friday evening."""
    async with opened(settings, clock, start=at(FRIDAY, 17)) as (_, opener):
        await update(opener, store, ["SPY"], settings, clock)
    async with opened(settings, clock, closed=True) as (gateway, opener):
        run = await update(opener, store, ["SPY"], settings, clock)

        assert gateway.history_requests == 0

    assert run.symbols[0].last == FRIDAY


async def test_a_half_day_is_over_at_one(store, settings, clock):
    """The day after Thanksgiving is whole at 13:05, and Thanksgiving is no day at all."""
    black_friday = dt.date(2026, 11, 27)
    async with opened(settings, clock, start=at(black_friday, 13, 5)) as (_, opener):
        await update(opener, store, ["SPY"], settings, clock, days=3)

    days = [day.item() for day in (await store.history.bars("SPY")).date]
    assert days == [dt.date(2026, 11, day) for day in (23, 24, 25, 27)]


async def test_a_split_is_fetched_again(store, settings, clock):
    """When the stored day has changed, the whole series is asked for and the event is noted."""
    async with opened(settings, clock) as (_, opener):
        await update(opener, store, ["NVDA"], settings, clock)
    before = await store.history.bars("NVDA")
    clock.forward(86_400.0)
    split = {"start": at(FRIDAY, 17), "splits": {"NVDA": 10.0}}
    async with opened(settings, clock, **split) as (gateway, opener):
        run = await update(opener, store, ["NVDA"], settings, clock)

        assert gateway.history_requests == 3

    after = await store.history.bars("NVDA")
    ((_, symbol, kind, detail),) = await store.history.events()
    assert len(after) == len(before) + 1
    assert after.close[:-1] == pytest.approx(before.close / 10.0, abs=1e-4)
    assert (symbol, kind) == ("NVDA", "replaced")
    assert detail.startswith("bars: 2026-11-19 was ")
    assert run.symbols[0].replaced == [detail]
    assert (await store.history.coverage("NVDA"))["ib30"].rows == 254


async def test_a_change_of_a_cent_is_no_split(store, settings, clock):
    """A close that was corrected by less than 0.5 % replaces the stored one, and that is all."""
    async with opened(settings, clock) as (_, opener):
        await update(opener, store, ["SPY"], settings, clock)
    bars = await store.history.bars("SPY", days=1)
    wrong = Bars("SPY", bars.date, bars.open, bars.high, bars.low, bars.close * 1.004, bars.volume)
    await store.history.save_bars(wrong)
    clock.forward(86_400.0)
    async with opened(settings, clock, start=at(FRIDAY, 17)) as (gateway, opener):
        await update(opener, store, ["SPY"], settings, clock)

        assert gateway.history_requests == 2

    assert (await store.history.bars("SPY")).close[-2] == bars.close[0]
    assert await store.history.events() == []


async def test_more_days_fetch_the_whole_series(store, settings, clock):
    """Beyond what was asked for before nothing is known; days beyond 365 are asked in years."""
    async with opened(settings, clock) as (gateway, opener):
        await update(opener, store, ["SPY"], settings, clock, days=100)
        run = await update(opener, store, ["SPY"], settings, clock, days=504)
        again = await update(opener, store, ["SPY"], settings, clock, days=252)

    assert gateway.history_requests == 4
    assert run.symbols[0].rows == 505
    assert run.symbols[0].added == {"bars": 404, "ib30": 404}
    assert again.plan is None


async def test_imported_closes_are_fetched_with_their_highs(store, settings, clock):
    """What nobody asked IB for is asked, though it reaches far enough."""
    async with opened(settings, clock) as (gateway, opener):
        spy = gateway.market.find(ContractSpec(symbol="SPY", sec_type="STK"))[0].con_id
        truth = gateway.market.bars(spy, "TRADES", 300, gateway.market.now())[:-1]
        rows = [(bar.day, None, None, None, bar.close, None) for bar in truth]
        await store.history.save_bars(Bars.from_rows("SPY", rows))
        await update(opener, store, ["SPY"], settings, clock)

    coverage = (await store.history.coverage("SPY"))["bars"]
    assert coverage.rows == 299
    assert coverage.close_only == 299 - 253


async def test_a_new_listing_has_no_past(store, settings, clock):
    """A symbol listed thirty days ago is asked for once, and gives what there is."""
    async with opened(settings, clock) as (gateway, opener):
        run = await update(opener, store, ["NEWC"], settings, clock)
        await update(opener, store, ["NEWC"], settings, clock)

    assert gateway.history_requests == 2
    assert run.symbols[0].rows == 22
    assert (await store.history.bars("NEWC")).date[0].item() == dt.date(2026, 10, 21)


async def test_no_data_is_final_for_the_day(store, settings, clock):
    """A series that IB does not have is asked for once after the close, not again that evening."""

    class NoBars(ModelMarket):
        def bars(self, con_id, what, days, end):
            return None

    async with opened(settings, clock, kind=NoBars, start=at(FRIDAY, 18)) as (gateway, opener):
        run = await update(opener, store, ["SPY"], settings, clock)
        clock.forward(60.0)
        await update(opener, store, ["SPY"], settings, clock)

    assert gateway.history_requests == 2
    assert run.symbols[0].rows == 0
    assert run.symbols[0].error is None


async def test_one_bad_symbol_stops_nobody(store, settings, clock):
    """An unknown symbol has an error; the others are stored."""
    async with opened(settings, clock) as (_, opener):
        run = await update(opener, store, ["SPY", "NOSUCH", "QQQ"], settings, clock)

    assert [one.rows for one in run.symbols] == [253, 0, 253]
    assert isinstance(run.symbols[1].error, UnknownContract)
    assert run.errors == (run.symbols[1].error,)


async def test_it_resumes_after_a_pacing_refusal(store, settings, clock):
    """What IB refused is asked for by the next run, and nothing else."""
    stubborn = faults.HistoryPacing(times=4)
    limits = settings.limits.model_copy(update={"history_at_once": 1})
    settings = settings.model_copy(update={"limits": limits})
    async with opened(settings, clock, faults_=[stubborn]) as (gateway, opener):
        first = await update(opener, store, ["SPY", "QQQ"], settings, clock)
        asked = gateway.history_requests
        second = await update(opener, store, ["SPY", "QQQ"], settings, clock)

        assert gateway.history_requests == asked + 1

    assert isinstance(first.symbols[0].error, PacingViolation)
    assert [one.asked for one in second.symbols] == [1, 0]
    assert [one.rows for one in second.symbols] == [253, 253]


async def test_a_lost_line_is_taken_up_again(store, settings, clock):
    """A connection that breaks in between costs only what was open."""
    settings = settings.model_copy(
        update={"ib": settings.ib.model_copy(update={"reconnect_pauses_s": (0.01,)})}
    )
    cut = faults.DropAfter(messages=9)
    async with opened(settings, clock, faults_=[cut]) as (gateway, opener):
        run = await update(opener, store, ["SPY", "QQQ", "IWM"], settings, clock)

    assert gateway.connections == 2
    assert [one.rows for one in run.symbols] == [253] * 3
    assert run.errors == ()


async def test_a_deadline_keeps_what_is_there(store, settings, clock):
    """What was not reached has an error, what was is stored."""
    dates.is_trading_day(FRIDAY)  # building the calendar must not eat the deadline
    silent = faults.Silent(on="history", symbol="QQQ")
    async with opened(settings, clock, faults_=[silent]) as (_, opener):
        deadline = asyncio.get_running_loop().time() + 1.0
        run = await update(opener, store, ["SPY", "QQQ"], settings, clock, deadline=deadline)

    assert [one.rows for one in run.symbols] == [253, 0]
    assert run.symbols[1].error is not None


async def test_a_deadline_holds_before_the_first_answer_too(store, settings, clock):
    """A gateway that does not tell the time is waited for until the deadline, not longer."""
    async with opened(settings, clock, faults_=[faults.Silent(on="current_time")]) as (_, opener):
        over = asyncio.get_running_loop().time()
        with pytest.raises(DeadlineExceeded, match="before the gateway told the time"):
            await update(opener, store, ["SPY"], settings, clock, deadline=over)


async def test_ibs_own_historical_volatility_is_a_series_of_its_own(store, settings, clock):
    """It is asked for when named, and stands beside ours."""
    async with opened(settings, clock) as (gateway, opener):
        series = ("bars", "ib30", "ib_hv30")
        run = await update(opener, store, ["SPY"], settings, clock, series=series)

    assert gateway.history_requests == 3
    assert run.symbols[0].added["ib_hv30"] == 253
    assert isinstance(await store.history.iv("SPY", "ib_hv30"), VolSeries)


async def test_force_fetches_everything_again(store, settings, clock):
    """Whole series are asked for whatever is stored, and nothing is new."""
    async with opened(settings, clock) as (gateway, opener):
        await update(opener, store, ["SPY"], settings, clock)
        clock.forward(60.0)
        run = await update(opener, store, ["SPY"], settings, clock, force=True)

    assert gateway.history_requests == 4
    assert run.symbols[0].added == {"bars": 0, "ib30": 0}


async def test_two_runs_keep_the_limit_together(store, settings, clock):
    """The second run counts what the first one asked, as IB does."""
    limits = settings.limits.model_copy(update={"history_per_10_min": 3})
    settings = settings.model_copy(update={"limits": limits})
    async with opened(settings, clock) as (_, opener):
        await update(opener, store, ["SPY"], settings, clock)
    async with opened(settings, clock) as (_, opener):
        run = await update(opener, store, ["QQQ"], settings, clock)

    assert run.plan is not None
    assert run.plan.seconds == pytest.approx(600.5)
    assert clock.passed == pytest.approx(600.0)


async def test_a_hundred_symbols_take_the_half_hour_that_they_must(tmp_path, clock, store):
    """Two hundred requests at 55 in ten minutes: said beforehand, kept, and no refusal."""
    settings = settings_in(tmp_path)
    said = []
    symbols = [f"S{number:03d}" for number in range(1, 101)]
    strict = Limits(messages_per_s=None)
    async with opened(settings, clock, limits=strict, universe="synthetic") as (gateway, opener):
        run = await update(opener, store, symbols, settings, clock, days=5, watch=said.append)

    assert gateway.history_requests == 200
    assert 162 not in gateway.codes()
    assert 1800.0 <= clock.passed < 1815.0
    assert run.plan is not None
    assert run.plan.seconds == pytest.approx(clock.passed, abs=30.0)
    assert run.plan.done_at.timestamp() == pytest.approx(clock(), abs=30.0)
    assert said[0].text.startswith(
        "200 requests for 100 symbols, at most 55 in ten minutes: 30 min"
    )
    assert f"done by about {run.plan.done_at:%H:%M}" in said[0].text
    assert {one.rows for one in run.symbols} == {6}
