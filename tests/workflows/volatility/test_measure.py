"""Volatility of symbols: each figure's source, age, and the reason when it is absent."""

from __future__ import annotations

import asyncio
import datetime as dt
import math
from dataclasses import replace

import httpx
import numpy as np
import pytest

from conftest import settings_in
from support import simulated, virtual_time
from tomic import dates
from tomic.chain import Chain, Fetch
from tomic.config import WebSettings
from tomic.desk import Desk
from tomic.errors import UnknownContract
from tomic.ib.spot import UnderlyingTicks
from tomic.models import DataType, OptionQuote, RowStatus, Spot, SpotSource, Underlying
from tomic.quant import black_scholes
from tomic.store import Bars, Dividend, Earnings, VolSeries
from tomic.web import Visits
from tomic.wire.requests import ContractSpec
from tomic.workflows.volatility import measure
from tomic.workflows.volatility.measure import Now, of_chain

NOW = dt.datetime(2026, 11, 20, 20, 0, tzinfo=dt.UTC)
TODAY, LAST = dt.date(2026, 11, 20), dt.date(2026, 11, 19)
DAYS = dates.trading_days(LAST - dt.timedelta(days=400), LAST)[-253:]


def ticks(spot=600.5, iv=0.20, dividends=None) -> UnderlyingTicks:
    """What a line gave."""
    price = Spot(price=spot, source=SpotSource.LAST, data_type=DataType.LIVE, as_of=NOW)
    return UnderlyingTicks(price, 0.15, iv, dividends)


async def fill(store, symbol, days=DAYS, kind="ib30", bars=True, seed=3) -> None:
    """Random bars and a volatility that walks between 10 and 30 %."""
    rng = np.random.default_rng(seed)
    close = 600.0 * np.exp(np.cumsum(0.01 * rng.standard_normal(len(days))))
    if bars:
        rows = zip(days, close, 1.01 * close, 0.99 * close, close, close, strict=True)
        await store.history.save_bars(Bars.from_rows(symbol, rows))
    values = np.linspace(0.10, 0.30, len(days))
    await store.history.save_iv(VolSeries.from_rows(symbol, kind, zip(days, values, strict=True)))


async def one(store, settings, symbol="SPY", now=None, **options):
    """The report of one symbol."""
    (report,) = await measure.volatility(store, [symbol], settings, now=now or Now(NOW), **options)
    return report


# -- sources -------------------------------------------------------------------------------


async def test_the_quote_comes_first(store, settings):
    """Spot and IV30 of this moment come from IB, what was from the store, each with its time."""
    await fill(store, "SPY")
    report = await one(store, settings, now=Now(NOW, {"SPY": ticks(), "VIX": ticks(17.5)}))

    found = report.snapshot
    assert (found.spot, found.iv30, found.vix) == (600.5, 0.20, 0.175)
    assert {found.sources[name] for name in ("spot", "iv30", "vix")} == {"ib"}
    assert {found.sources[name] for name in ("hv30", "atr14", "iv_rank")} == {"store"}
    assert found.ages["hv30"] == dt.datetime.combine(LAST, dt.time(16), dates.NEW_YORK)
    assert found.ages["spot"] == NOW
    assert found.iv_hv == pytest.approx(0.20 - found.hv30)
    assert report.expected_move == pytest.approx(600.5 * 0.20 * np.sqrt(30 / 365))


async def test_rank_is_of_one_series(store, settings):
    """Tick 106 stands in IB's own last 252 closes; days and window are told."""
    await fill(store, "SPY")
    found = (await one(store, settings, now=Now(NOW, {"SPY": ticks(iv=0.20)}))).snapshot

    values = np.linspace(0.10, 0.30, 253)[1:]
    assert found.iv_rank == pytest.approx((0.20 - values[0]) / (0.30 - values[0]))
    assert found.iv_percentile == pytest.approx((values < 0.20).mean())
    assert (found.iv_days, found.iv_window, found.iv_series) == (252, 252, "ib30")


async def test_without_a_gateway_the_last_close_counts(store, settings):
    """Everything is of the store then: the last day's value in the days before it."""
    await fill(store, "SPY")
    found = (await one(store, settings)).snapshot

    assert found.iv30 == pytest.approx(0.30)
    assert found.sources["iv30"] == found.sources["spot"] == "store"
    assert found.iv_rank > 1.0
    assert found.iv_days == 252


async def test_a_shorter_window_is_the_users(store, settings):
    """With 100 days the rank is over 100 days."""
    await fill(store, "SPY")
    found = (await one(store, settings, days=100)).snapshot

    assert (found.iv_days, found.iv_window) == (100, 100)


async def test_our_own_series_counts_once_it_has_sixty_days(store, settings):
    """With too little of IB's history, the rank is that of our own chains, and says so."""
    await fill(store, "SPY", days=DAYS[-20:])
    short = (await one(store, settings)).snapshot
    await fill(store, "SPY", days=DAYS[-61:], kind="chain30", bars=False)
    report = await one(store, settings)

    assert short.iv_rank is None
    assert short.missing["iv_rank"] == "19 of at least 60 days stored"
    assert report.snapshot.iv_series == "chain30"
    assert report.snapshot.iv_days == 60
    assert report.snapshot.iv30 == pytest.approx(0.30)


async def test_ibs_series_is_the_default(store, settings):
    """When both have a past, IB's is the rank and ours stands beside it."""
    await fill(store, "SPY")
    await fill(store, "SPY", days=DAYS[-100:], kind="chain30", bars=False)
    report = await one(store, settings)

    assert report.snapshot.iv_series == "ib30"
    assert report.own is not None
    assert (report.own.n, report.own.rank is not None) == (99, True)


async def test_what_was_quoted_earlier_today_is_remembered(store, settings):
    """A run without a gateway uses the IV30 that an earlier run saw after the last close."""
    await fill(store, "SPY")
    await one(store, settings, now=Now(NOW, {"SPY": ticks(iv=0.25)}))
    found = (await one(store, settings, now=Now(NOW + dt.timedelta(hours=1)))).snapshot

    assert found.iv30 == 0.25


# -- the VIX -------------------------------------------------------------------------------


async def test_the_ladder_of_the_vix(store, settings):
    """Quoted, else its last stored close, else the page; never its own IV."""
    quoted = await one(store, settings, now=Now(NOW, {"VIX": ticks(18.0, iv=0.9)}))
    rows = [(LAST, 17.0, 18.0, 16.0, 17.2, None)]
    await store.history.save_bars(Bars.from_rows("VIX", rows))
    stored = await one(store, settings)

    assert (quoted.snapshot.vix, quoted.snapshot.sources["vix"]) == (0.18, "ib")
    assert (stored.snapshot.vix, stored.snapshot.sources["vix"]) == (pytest.approx(0.172), "store")


async def test_the_page_is_the_last_step(store, settings):
    """One visit fills what is missing, in fractions, and the source is the web."""
    html = (
        '<script>{"lastPrice": 601.2}</script><i>IV Rank:</i><b>45.2%</b>'
        "<i>Implied Volatility:</i><b>18.5%</b><i>VIX:</i><b>17.49</b>"
    )
    transport = httpx.MockTransport(
        lambda _: httpx.Response(200, stream=httpx.ByteStream(html.encode()))
    )
    visits = Visits(WebSettings(), transport=transport)

    found = (await one(store, settings, visits=visits)).snapshot

    assert (found.spot, found.iv30, found.iv_rank, found.vix) == pytest.approx(
        (601.2, 0.185, 0.452, 0.1749)
    )
    assert set(found.sources.values()) == {"web"}
    assert (found.iv_days, found.iv_series) == (None, None)
    assert "iv_rank" not in found.missing
    assert visits.requests == 1


async def test_nobody_visits_for_what_is_known(store, settings):
    """With a spot, a rank and a VIX there is no reason to read the page."""
    await fill(store, "SPY")
    await fill(store, "VIX")
    visits = Visits(
        WebSettings(),
        transport=httpx.MockTransport(lambda _: httpx.Response(200, stream=httpx.ByteStream(b""))),
    )

    await one(store, settings, visits=visits)

    assert visits.requests == 0


async def test_figures_that_cannot_be(store, settings):
    """A stored or fetched figure that no market has is missing with its reason."""
    await fill(store, "SPY")
    await store.history.save_iv(VolSeries.from_rows("SPY", "ib30", [(DAYS[-1], 30.0)]))
    html = "<i>Implied Volatility:</i><b>1500%</b><i>VIX:</i><b>17.49</b>"
    transport = httpx.MockTransport(
        lambda _: httpx.Response(200, stream=httpx.ByteStream(html.encode()))
    )

    stored = (await one(store, settings)).snapshot
    visits = Visits(WebSettings(), transport=transport)
    visited = (await one(store, settings, visits=visits)).snapshot

    assert (stored.iv30, stored.missing["iv30"]) == (None, "store: a fraction: 0.3, not 30")
    assert visits.requests == 1
    assert (visited.iv30, visited.vix) == (None, pytest.approx(0.1749))


# -- reasons -------------------------------------------------------------------------------


async def test_an_empty_store_gives_reasons_and_no_numbers(store, settings):
    """Every absent field says why, and what to do."""
    found = (await one(store, settings)).snapshot

    for name in ("spot", "iv30", "iv_rank", "iv_percentile", "hv30", "atr14", "vix", "skew"):
        assert getattr(found, name) is None
        assert found.missing[name]
    assert found.missing["hv30"] == "no bars stored; run tomic prices SPY"
    assert found.sources == {}


async def test_one_bad_symbol_keeps_its_reason(store, settings):
    """A symbol the gateway does not know carries the error; the others are whole."""
    await fill(store, "SPY")
    error = UnknownContract("NOPE", 200, "no security definition")
    now = Now(NOW, {"SPY": ticks()}, {"NOPE": error})

    good, bad = await measure.volatility(store, ["SPY", "NOPE"], settings, now=now)

    assert good.error is None
    assert bad.error is error
    assert bad.snapshot.spot is None


# -- calendar ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("6.9,7.1,20261218,1.75", (dt.date(2026, 12, 18), 1.75)),
        (",,,", None),
        ("6.9,7.1,,", None),
        ("6.9,7.1,20261218,0.0", None),
        ("nonsense", None),
        ("6.9,7.1,20261318,1.0", None),
    ],
)
def test_dividends_of_tick_456(text, found):
    """The next ex-day and its amount; anything else is none announced."""
    dividend = measure.parse_dividends("SPY", text)

    assert (dividend and (dividend.day, dividend.amount)) == found


async def test_events_ahead(store, settings):
    """The next earnings come from the store, the next dividend from IB unless a file says more."""
    await store.calendar.save_earnings([Earnings("AAPL", dt.date(2027, 1, 28), "csv")])
    now = Now(NOW, {"AAPL": ticks(dividends="1.0,1.1,20270208,0.26")})
    found = (await one(store, settings, "AAPL", now=now)).snapshot
    await store.calendar.save_dividends([Dividend("AAPL", dt.date(2027, 2, 5), 0.27, "csv")])
    overridden = (await one(store, settings, "AAPL", now=now)).snapshot

    assert found.next_earnings == dt.date(2027, 1, 28)
    assert (found.next_dividend, found.dividend_amount) == (dt.date(2027, 2, 8), 0.26)
    assert found.sources["next_dividend"] == "ib"
    assert (overridden.next_dividend, overridden.sources["next_dividend"]) == (
        dt.date(2027, 2, 5),
        "store",
    )


async def test_no_page_is_visited_after_the_deadline(store, settings):
    """Pages are read one after the other, and none once time is up."""
    visits = Visits(
        WebSettings(),
        transport=httpx.MockTransport(lambda _: httpx.Response(200, stream=httpx.ByteStream(b""))),
    )
    over = asyncio.get_running_loop().time() - 1.0
    found = await measure.volatility(
        store, ["SPY", "QQQ"], settings, now=Now(NOW), visits=visits, deadline=over
    )

    assert [one.snapshot.spot for one in found] == [None, None]
    assert visits.requests == 0


# -- chains --------------------------------------------------------------------------------


async def test_a_chain_is_remembered(store, settings, demo_chain):
    """Its own IV30 joins its history, its terms the figures; nobody is asked for anything."""
    snapshot = await measure.remember_chain(store, demo_chain, settings)

    own = await store.history.iv("SPY", "chain30")
    today = await measure.chain_of_the_day(store, "SPY", demo_chain.as_of)
    assert own.date[-1].item() == TODAY
    assert snapshot.iv30 == own.value[-1]
    assert snapshot.sources["term_m1_m2"] == snapshot.sources["iv30"] == "chain"
    assert today is not None
    assert len(today) == len(demo_chain)
    quoted = await store.kept.load("SPY", TODAY)
    assert set(quoted["strike"]) <= set(demo_chain["strike"])
    assert quoted.spot == demo_chain.spot


async def test_a_chain_that_was_stopped_leaves_no_mark(store, settings, demo_chain):
    """What came of it is kept; it is not the chain of the day, and no history takes its IV."""
    whole = await measure.remember_chain(store, demo_chain, settings)
    later = demo_chain.as_of + dt.timedelta(minutes=5)
    cut = replace(
        demo_chain.where(demo_chain["dte"] < 20), as_of=later, fetch=Fetch(cut_short=True)
    )
    snapshot = await measure.remember_chain(store, cut, settings)

    own = await store.history.iv("SPY", "chain30")
    stored = (await store.history.latest_snapshots(["SPY"]))["SPY"]
    today = await measure.chain_of_the_day(store, "SPY", later)
    assert snapshot.as_of == later
    assert (await store.chains.load("SPY")).as_of == later
    assert today.as_of == demo_chain.as_of
    assert own.value.tolist() == [whole.iv30]
    assert stored.as_of == whole.as_of


async def test_a_chain_of_yesterday_is_not_of_the_day(store, settings, demo_chain):
    """On Friday it is, on the weekend still, on Monday morning no longer."""
    await measure.remember_chain(store, demo_chain, settings)

    async def known(days: float) -> bool:
        moment = demo_chain.as_of + dt.timedelta(days=days)
        return await measure.chain_of_the_day(store, "SPY", moment) is not None

    assert [await known(days) for days in (0, 1, 3)] == [True, True, False]


async def test_terms_of_the_last_chain_stay(store, settings, demo_chain):
    """A run without a chain shows the last one's terms, as stored and with their age."""
    before = await measure.remember_chain(store, demo_chain, settings)
    later = Now(demo_chain.as_of + dt.timedelta(hours=2))
    after = (await one(store, settings, now=later)).snapshot

    assert after.term_m1_m2 == before.term_m1_m2
    assert after.sources["term_m1_m2"] == "store"
    assert after.ages["term_m1_m2"] == demo_chain.as_of


# -- the whole way -------------------------------------------------------------------------


async def test_observing_quotes_every_symbol_and_the_vix(session, settings, market):
    """One line a symbol gives spot, IV and dividends; a symbol that fails is told apart."""

    async def opened():
        return session

    now = await measure.observe(opened, ["SPY", "NOSUCH"], settings)

    spy = market.find(ContractSpec(symbol="SPY", sec_type="STK"))[0].con_id
    assert now.ticks["SPY"].implied_volatility == market.quote(spy).implied_volatility
    assert set(now.ticks) == {"SPY", "VIX"}
    assert isinstance(now.errors["NOSUCH"], UnknownContract)
    assert now.at - market.now() < dt.timedelta(seconds=5)


@virtual_time.passing
async def test_a_silent_symbol_does_not_hold_the_others():
    """A line that says nothing ends with its own time-out."""
    async with simulated.running("silent:symbol=QQQ") as run:

        async def opened():
            return run.session

        given = simulated.settings(web={"enabled": False})
        now = await measure.observe(opened, ["SPY", "QQQ"], given)

    assert now.ticks["SPY"].spot is not None
    assert now.ticks["QQQ"].spot is None


async def test_without_a_gateway_every_symbol_has_its_error(settings):
    """Nothing is quoted; the store alone is left."""
    from tomic.errors import GatewayUnreachable

    async def unreachable():
        raise GatewayUnreachable("no gateway")

    now = await measure.observe(unreachable, ["SPY"], settings)

    assert now.ticks == {}
    assert set(now.errors) == {"SPY", "VIX"}


async def test_a_demo_fills_its_own_store(tmp_path):
    """On an empty home a demo knows 252 days, and the user's store is never made."""
    settings = settings_in(tmp_path)
    async with Desk(settings, demo=True) as desk:
        reports = await desk.vols(["SPY", "QQQ"])
        rows = await desk.vol_history("SPY", 3)

    for report in reports:
        assert report.snapshot.iv_days == 252
        assert report.snapshot.hv252 is not None
        assert report.snapshot.sources["spot"] == "ib"
    assert [row.day for row in rows] == list(DAYS[-3:])
    assert not settings.store.path.exists()


async def test_a_demo_takes_the_chain_of_the_day(tmp_path):
    """With --chain skew, terms and moves are there; the second time no chain is fetched."""
    async with Desk(settings_in(tmp_path), demo=True) as desk:
        first = await desk.vol("IWM", chain=True)
        sent = (await desk.session()).messages
        second = await desk.vol("IWM", chain=True)
        asked = (await desk.session()).messages - sent

    assert first.snapshot.skew is not None
    assert first.snapshot.skew < 0.0
    assert first.moves
    assert replace(second, moves=()).snapshot.skew == first.snapshot.skew
    assert asked < 20


AS_OF = dt.datetime(2026, 11, 20, 20, 0, tzinfo=dt.UTC)
SPOT, RATE = 600.0, 0.045


def chain_of(levels: dict[int, float], strikes=range(560, 641, 5)) -> Chain:
    """A chain with one flat volatility an expiry, by days; quotes a cent around fair value."""
    underlying = Underlying(symbol="SPY", con_id=1)
    rows = []
    for days, sigma in levels.items():
        expiry = AS_OF.date() + dt.timedelta(days=days)
        tau = days / 365.0
        for strike in map(float, strikes):
            for right in "CP":
                g = black_scholes.greeks(SPOT, strike, tau, RATE, 0.0, sigma, right == "C")
                rows.append(
                    OptionQuote(
                        expiry=expiry,
                        dte=0,
                        strike=strike,
                        right=right,
                        bid=float(g.price) - 0.01,
                        ask=float(g.price) + 0.01,
                        iv=sigma,
                        delta=float(g.delta),
                        gamma=float(g.gamma),
                        vega=float(g.vega),
                        theta=float(g.theta),
                        status=RowStatus.OK,
                        greeks_source="ib",
                    )
                )
    spot = Spot(price=SPOT, source=SpotSource.LAST, as_of=AS_OF)
    return Chain.from_quotes(rows, underlying=underlying, spot=spot, as_of=AS_OF, rate=RATE)


def test_flat_volatility_comes_back():
    """Two expiries at 20 % give 20 % at thirty days, no skew and no slope."""
    found = of_chain(chain_of({21: 0.2, 49: 0.2}))

    assert found.iv30 == pytest.approx(0.2, rel=1e-9)
    assert found.skew == pytest.approx(0.0, abs=1e-12)
    assert found.term_m1_m2 == pytest.approx(0.0, abs=1e-12)


def test_term_structure_is_first_less_later():
    """ATM volatilities of .20, .22 and .25 give -2 and -5 points: the front is cheaper."""
    found = of_chain(chain_of({21: 0.20, 28: 0.22, 56: 0.25}))

    assert found.term_m1_m2 == pytest.approx(-0.02)
    assert found.term_m1_m3 == pytest.approx(-0.05)


def test_one_expiry_has_no_term_structure():
    """Nothing to compare with, and the reason says so; strikes beyond the window do not count."""
    one = of_chain(chain_of({28: 0.2}))
    far = of_chain(chain_of({28: 0.2, 56: 0.2}, strikes=(580, 590, 610, 620)))

    assert (one.term_m1_m2, one.term_m1_m3) == (None, None)
    assert one.missing["term_m1_m2"].startswith("fewer than two expiries")
    assert far.term_m1_m2 is None


def test_strikes_near_the_money_reach_no_skew():
    """Ten points around 600 hold no 25-delta options: no skew, never a wrong one."""
    found = of_chain(chain_of({28: 0.2}, strikes=range(590, 611)))

    assert found.skew is None
    assert "0.25" in found.missing["skew"]
    assert found.iv30 == pytest.approx(0.2)


def test_three_kinds_of_expected_move():
    """For a flat smile the density's deviation is lognormal's, the straddle four fifths of it."""
    found = of_chain(chain_of({30: 0.2}, strikes=range(500, 701, 5)), smiles=True)

    (move,) = found.moves
    tau = 30 / 365.0 + 1 / 365.0 / 24.0
    forward = SPOT * math.exp(RATE * tau)
    assert move.dte == 30
    assert move.iv == pytest.approx(SPOT * 0.2 * math.sqrt(30 / 365.0))
    assert move.density == pytest.approx(forward * math.sqrt(math.expm1(0.04 * tau)), rel=0.01)
    assert move.straddle == pytest.approx(math.sqrt(2.0 / math.pi) * move.iv, rel=0.02)


def test_a_density_that_no_smile_gives_has_a_reason():
    """Four strikes are too few, and a hump at the money fits no smile: a note instead."""
    few = of_chain(chain_of({30: 0.2}, strikes=(580, 590, 610, 620)), smiles=True)
    plain = chain_of({30: 0.2}, strikes=range(500, 701, 5))
    hump = 0.1 * np.exp(-0.5 * ((plain["strike"] - SPOT) / 12.0) ** 2)
    humped = of_chain(plain.with_columns(iv=plain["iv"] + hump), smiles=True)

    assert few.moves[0].density is None
    assert few.moves[0].note == "4 strikes with a volatility, a density takes 5"
    assert humped.moves[0].density is None
    assert "volatility points" in humped.moves[0].note


def test_smiles_are_fitted_only_when_asked():
    """Without them the third kind is absent."""
    assert of_chain(chain_of({30: 0.2})).moves[0].density is None


def test_an_empty_chain_says_nothing():
    """No rows, no numbers, four reasons."""
    empty = chain_of({28: 0.2}).where(np.zeros(34, dtype=bool))
    found = of_chain(empty, smiles=True)

    assert found.moves == ()
    assert set(found.missing) == {"iv30", "skew", "term_m1_m2", "term_m1_m3"}


def with_jump(day: int, move: float, days=(21, 49, 77)) -> Chain:
    """20 % without the event of one day."""
    return chain_of(
        {dte: math.sqrt(0.04 + (move**2 * 365 / dte if dte >= day else 0.0)) for dte in days}
    )


@pytest.mark.parametrize(("day", "held"), [(26, 1.0), (33, 0.0)])
def test_iv30_holds_an_event_whole_or_not(day, held):
    """A known report before the thirtieth day is in IV30, one behind it is not."""
    report = AS_OF.date() + dt.timedelta(days=day)

    found = of_chain(with_jump(day, 0.06), earnings=[report])

    assert found.iv30 == pytest.approx(math.sqrt(0.04 + held * 0.06**2 * 365 / 30), rel=2e-3)
    (event,) = found.events
    assert event.is_dated
    assert event.jump.move == pytest.approx(0.06, rel=0.02)
    if held:
        assert found.ex_event_iv30 == pytest.approx(0.2, rel=2e-3)
    else:
        assert found.ex_event_iv30 is None


def test_an_event_of_no_date_leaves_iv30_where_it_was():
    """Recognised between 21 and 49 days it is spread over them, as a straight line does."""
    chain = with_jump(33, 0.10)
    plain = of_chain(chain)

    (event,) = plain.events

    assert (event.after, event.by) == (chain.expiries[0], chain.expiries[1])
    assert plain.iv30 == pytest.approx(
        math.sqrt(np.interp(30, [21, 49], [0.04 * 21, 0.04 * 49 + 3.65]) / 30), rel=1e-3
    )
    assert plain.ex_event_iv30 == pytest.approx(0.2, rel=5e-3)


def test_no_event_no_difference():
    """A rising term structure holds none, and IV30 is the straight line's."""
    found = of_chain(chain_of({21: 0.20, 49: 0.22, 77: 0.23}))

    assert (found.events, found.ex_event_iv30) == ((), None)
    tau = [move.tau for move in found.moves]
    variance = [move.atm_iv**2 * move.tau for move in found.moves]
    straight = np.interp(30 / 365, tau, variance)
    assert found.iv30 == pytest.approx(math.sqrt(straight * 365 / 30), rel=1e-12)
