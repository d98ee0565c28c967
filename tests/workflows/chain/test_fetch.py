"""A chain over the strict gateway: every obtainable row, every fault, within its time."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from support import virtual_time
from support.simulated import SMALL, fetch, gateway_with, settings
from tomic import dates
from tomic.errors import (
    CompetingSession,
    DeadlineExceeded,
    EmptyChain,
    GatewayRefused,
    GatewayUnreachable,
    MarketClosed,
    MissingSpot,
    NoMarketData,
    SessionLost,
    UnknownContract,
)
from tomic.ib.session import Session
from tomic.models import DataType, SpotSource
from tomic.sim import Gateway
from tomic.sim.faults import Refuse
from tomic.sim.market.model import ModelMarket
from tomic.sim.server.limits import Times
from tomic.workflows.chain.fetch import fetch_chain, fetch_chains
from tomic.workflows.chain.setup import ChainRequest, KnownContracts

HISTORY = {"market": {"use_historical_iv_when_closed": True}}


class LastChain:
    """A memory that knows nothing but one earlier chain."""

    def __init__(self, chain):
        self.chain = chain

    async def recall(self, symbol, day):
        return None, ()

    async def load(self, symbol, day, trading_class):
        return KnownContracts()

    async def save(self, underlying, day, listed, params, known):
        return None

    async def last_chain(self, symbol, trading_class):
        return self.chain


def test_bars_are_inverted():
    """The middle of the last bar gives the IV that IB's frozen model has, without Greeks."""
    frozen = fetch(closed=True).chain
    got = fetch(closed=True, sections=HISTORY)

    rows = (got.chain["quote_source"] == "history") & np.isfinite(got.chain["iv"])
    near = rows & (np.abs(got.chain["strike"] - got.chain.spot.price) < 3.0)
    assert near.sum() >= 10
    assert np.abs(got.chain["iv"][near] - frozen["iv"][near]).max() < 0.02
    assert np.isnan(got.chain["delta"][rows]).all()
    assert set(got.chain["status"][rows]) == {"no_greeks"}


def test_options_have_no_iv_history_and_are_asked_once():
    """OPTION_IMPLIED_VOLATILITY is refused once with 162 and not asked for again."""
    got = fetch(closed=True, sections=HISTORY)

    assert got.gateway.codes()[162] == 1
    assert got.gateway.history_requests == got.sources["history"] + 1


def test_no_more_bars_than_allowed():
    """At most `market.historical_contracts`; the others keep their frozen quotes."""
    sections = {"market": {**HISTORY["market"], "historical_contracts": 5}}

    got = fetch(closed=True, sections=sections)

    assert got.sources["history"] == 5
    assert got.sources["frozen"] > 5


def test_a_bar_that_is_refused_leaves_the_frozen_quote():
    """Pacing (162) costs no row: the option is quoted as usual."""
    got = fetch("history_pacing:times=99", closed=True, sections=HISTORY)

    assert got.sources["history"] == 0
    assert got.chain.completeness == 1.0


def test_an_open_market_asks_for_no_bars():
    """The switch is about closed markets only."""
    assert fetch(sections=HISTORY).gateway.history_requests == 0


def test_greeks_can_be_left_out_while_closed():
    """`market.greeks_only_if_open`: quotes and IV stay, Greeks are empty, and rows say so."""
    sections = {"market": {"greeks_only_if_open": True}}

    got, live = fetch(closed=True, sections=sections), fetch(sections=sections)

    assert np.isnan(got.chain["delta"]).all() and np.isfinite(got.chain["iv"]).any()
    assert got.status["ok"] == 0 and got.status["no_greeks"] > 0
    assert live.status["ok"] > 0


def test_the_stored_chain_comes_before_the_model():
    """Without quotes the last stored chain fills in, labelled and with its own time."""
    earlier = fetch().chain

    got = fetch("no_quotes", closed=True, memory=LastChain(earlier))

    assert got.sources["stored"] == (earlier["status"] == "ok").sum()
    row, was = got.row(590.0, "C"), next(r for r in earlier.rows() if r.strike == 590.0)
    assert (row.bid, row.quoted_at) == (was.bid, was.quoted_at)


def test_the_model_invents_no_quotes():
    """What is stored nowhere gets IV and Greeks of the local model; bid and ask stay empty."""
    got = fetch("no_quotes:right=C", closed=True)

    rows = got.chain["quote_source"] == "model"
    assert rows.any()
    assert np.isnan(got.chain["bid"][rows]).all() and np.isnan(got.chain["ask"][rows]).all()
    assert np.isfinite(got.chain["delta"][rows]).all()
    assert set(got.chain["status"][rows]) == {"no_quote"}
    assert set(got.chain["greeks_source"][rows]) == {"local"}


@pytest.mark.parametrize("fault", ["no_quotes", "silent:right=C"])
def test_an_open_market_is_never_filled(fault):
    """While the market trades nothing stored or modelled stands in for a quote."""
    got = fetch(fault, memory=LastChain(fetch().chain))

    assert not {"stored", "model", "history"} & set(got.sources)


WHOLE = {"monthlies": 3, "weeklies": 4, "strike_range": "10"}
LOST = {"timeout", "lost", "not_subscribed"}


def test_every_listed_option_has_a_row():
    """One row per selected expiry, strike and right; what is not listed says so."""
    got = fetch()

    assert set(got.status) <= {"ok", "unknown_contract", "delta_out_of_range"}
    assert got.chain.completeness == 1.0
    assert got.chain.data_type is DataType.LIVE
    assert got.chain.spot.source is SpotSource.LAST
    assert got.chain.fetch.complete
    assert (got.gateway.leaked, got.gateway.orders) == (0, 0)


@pytest.mark.parametrize(
    "seed", [1, pytest.param(2, marks=pytest.mark.soak), pytest.param(3, marks=pytest.mark.soak)]
)
def test_the_whole_chain_keeps_to_the_message_floor(seed):
    """Seven expiries within 1.05 (E + 2N + 7) / 50 s and a second, never over 50 in a second."""
    got = fetch(rules=WHOLE, seed=seed)

    listed = len(got.chain) - got.status["unknown_contract"]
    floor = 1.05 * (len(got.chain.expiries) + 2 * listed + 7) / 50.0
    assert got.chain.completeness == 1.0
    assert got.seconds <= floor + 1.0
    assert got.gateway.peak_messages() <= 50
    assert got.gateway.peak_lines <= 90
    assert (got.gateway.details_exact, got.gateway.leaked) == (1, 0)


@pytest.mark.parametrize("fault", ["silent:share=0.05,first_n=1", "late:share=0.05,seconds=1.5"])
@pytest.mark.parametrize("points", ["4", pytest.param("10", marks=pytest.mark.soak)])
def test_stragglers_cost_no_row(fault, points):
    """One in twenty forgotten or late: every row is there, and the pace is kept."""
    got = fetch(fault, rules=WHOLE | {"strike_range": points})

    assert got.chain.completeness == 1.0
    assert got.gateway.peak_messages() <= 50
    assert got.gateway.leaked == 0


def test_silent_options_time_out_alone():
    """Options that never answer are timeouts; their neighbours are whole."""
    got = fetch("silent:strike=590,right=C")

    assert got.row(590.0, "C").status == "timeout"
    assert got.row(590.0, "P").status == "ok"
    assert got.status["timeout"] == len(got.chain.expiries)


@pytest.mark.parametrize(
    "fault",
    [
        "drop_after:messages=20",
        "drop_after_rows:rows=5",
        "drop_after_rows:rows=5,of=contract_details",
        "connectivity_lost:after=20",
        "connectivity_lost:after=20,code=1101",
        "server_broken:after=20",
        "farm_broken:after=20",
        "farm_broken:after=7,code=2157",
        "pacing_strike:at=15",
        "lines_taken:lines=95",
        "late_ticks:seconds=0.3",
        "announce:code=2108",
        "garble:after=20,whole_frame=true",
        "silent:on=contract_details,expiry=20261218",
        "refuse:on=contract_details,expiry=20261218,code=321",
        "client_id_in_use:ids=100+101",
    ],
)
def test_faults_that_cost_no_row(fault):
    """After each of these every obtainable row is there, no line is open, and the pace held."""
    got = fetch(fault)

    assert not LOST & set(got.status)
    assert got.chain.completeness == 1.0
    assert got.gateway.leaked == 0
    assert got.gateway.peak_messages() <= 50


@pytest.mark.parametrize(
    "fault",
    [
        "connectivity_lost:after=20,restored_after=none",
        "farm_broken:after=20,restored_after=none",
        "deaf:after=20",
        "truncate:after=20",
        "garble:after=20",
        "restart:after=20,down_for=600",
        "drop_after:messages=20,times=50",
        "silent:on=market_data,symbol=SPY,right=C",
        "lines_taken:lines=99",
    ],
)
@pytest.mark.parametrize("timeout", [4.0, pytest.param(15.0, marks=pytest.mark.soak)])
def test_the_command_ends_in_time(fault, timeout):
    """Whatever happens, it is over within two seconds of the deadline, with a row for each pair."""
    got = fetch(fault, timeout=timeout)

    assert got.seconds <= timeout + 2.0
    if got.error is None:
        assert len(got.chain) == sum(got.status.values()) > 0


def test_what_arrived_is_kept():
    """A connection that never comes back leaves the rows it brought, and says what is lost."""
    got = fetch("restart:after=30,down_for=600", timeout=10.0)

    assert got.status["ok"] > 0 and got.status["lost"] > 0
    assert not got.chain.fetch.complete
    assert got.chain.spot.price > 0.0


@pytest.mark.parametrize(
    ("fault", "timeout", "said"),
    [
        ("farm_broken:after=20,restored_after=none", 8.0, "out of time"),
        ("deaf:after=30", 8.0, ""),
        ("restart:after=30,down_for=600", 8.0, "lost"),
        ("silent:right=C", 120.0, "no answer"),
        ("no_quotes:right=C", 120.0, None),
        ("refuse:code=200,right=C", 120.0, None),
        ("drop_after:messages=20", 120.0, None),
        ("farm_broken:after=20", 120.0, None),
    ],
)
def test_cuts_are_told_from_gaps(fault, timeout, said):
    """Time and lost lines cut a chain; what nobody quotes or lists does not."""
    got = fetch(fault, timeout=timeout)

    assert got.chain.is_cut is (said is not None)
    assert (said or "") in got.chain.cut


def test_only_what_is_unfinished_is_asked_again():
    """After a drop the finished rows cost no further message."""
    whole, dropped = fetch(), fetch("drop_after_rows:rows=10")

    extra = dropped.gateway.messages - whole.gateway.messages
    assert dropped.chain.completeness == 1.0
    assert dropped.gateway.connections == 2
    assert extra < whole.gateway.messages


def test_competing_sessions_are_said_clearly():
    """10197 on the underlying ends with one error that has exit code 4."""
    got = fetch("competing")

    assert isinstance(got.error, CompetingSession)
    assert got.error.exit_code == 4


def test_competing_for_options_only():
    """10197 on the options: every row is lost, which is exit code 4 as well, and it is told."""
    got = fetch("competing:right=C")

    assert set(got.status) & {"ok"} == set() or got.status["lost"] > 0
    assert any("10197" in note for note in got.notes)


@pytest.mark.parametrize("fault", ["no_next_valid_id", "no_handshake", "close_on_connect"])
def test_no_session(fault):
    """A gateway that never gets ready is an error within the deadline."""
    got = fetch(fault, timeout=3.0)

    assert isinstance(got.error, GatewayUnreachable)
    assert got.seconds <= 5.0


def test_a_deadline_during_the_setup():
    """Without parameters there is nothing to export, and the reason is the deadline."""
    got = fetch("silent:on=option_params", timeout=3.0)

    assert isinstance(got.error, DeadlineExceeded)
    assert got.seconds <= 5.0


def test_nothing_in_the_window():
    """An empty window names what lies near, and an unknown symbol what may have been meant."""
    assert isinstance(fetch(rules={"strike_range": "0.001"}).error, EmptyChain)
    assert isinstance(fetch(symbols=("SPPY",)).error, UnknownContract)


def test_a_mute_stock_takes_its_price_from_an_option():
    """The underlying price of IB's model is the spot when the stock itself says nothing."""
    got = fetch("silent:symbol=SPY,times=2")

    assert got.chain.spot.source is SpotSource.MODEL
    assert isinstance(fetch("silent").error, MissingSpot)


def test_a_forgotten_stock_is_asked_again():
    """A subscription of the underlying that got lost is made once more, and gives the spot."""
    got = fetch("silent:symbol=SPY,times=1")

    assert got.chain.spot.source is SpotSource.LAST
    assert got.gateway.leaked == 0


def test_a_gateway_without_a_clock_costs_no_chain():
    """Where the time is not told, that of this computer is taken, and it is said."""
    got = fetch("silent:on=current_time")

    assert got.status["ok"] > 0 and got.gateway.leaked == 0
    assert any("does not tell the time" in note for note in got.notes)


def test_no_line_at_all_is_the_reason():
    """Where TWS has no line free for anybody, that is what is said, and not a missing spot."""
    error = fetch("lines_taken:lines=100").error

    assert isinstance(error, GatewayRefused) and error.error_code == 101
    assert "close watchlists" in str(error)


def test_an_outage_without_end_loses_rows():
    """1100 and nothing after it: what was not answered by the deadline is lost, not late."""
    got = fetch("connectivity_lost:after=30,restored_after=9999", timeout=20.0)

    assert set(got.status) <= {"ok", "lost", "unknown_contract"}
    assert got.status["lost"] > 0
    early = fetch("connectivity_lost:after=3,restored_after=9999", timeout=20.0)
    assert isinstance(early.error, SessionLost)


@pytest.mark.parametrize("fault", ["refuse:code=321,strike=590.0"])
def test_a_refused_option_is_lost_and_not_late(fault):
    """A refusal that says nothing about the market leaves the row lost, its neighbours whole."""
    got = fetch(fault)

    assert got.row(590.0, "C").status == "lost"
    assert got.status["lost"] == 2 * len(got.chain.expiries)
    assert got.chain.completeness < 1.0


def test_a_closed_market_is_no_live_market():
    """Only live data wanted, and the hours say closed: refused, with the way out."""
    error = fetch(closed=True, realtime_only=True).error

    assert isinstance(error, MarketClosed)
    assert "is closed until" in str(error) and "--realtime-only" in str(error)


# -- data types ------------------------------------------------------------------------------


def test_delayed_data_have_a_badge():
    """354: the chain is delayed, and so is each of its rows."""
    got = fetch("not_subscribed")

    assert got.chain.data_type is DataType.DELAYED
    assert got.sources["delayed"] == got.status["ok"]
    assert got.gateway.by_kind["market_data_type"] == 2


def test_real_time_only_refuses():
    """Delayed data are refused with exit code 5."""
    for fault in ("not_subscribed", "delayed"):
        got = fetch(fault, realtime_only=True)
        assert isinstance(got.error, NoMarketData)
        assert got.error.exit_code == 5


def test_a_closed_market_is_frozen():
    """Outside the hours type 2 gives the last quotes, labelled frozen."""
    got = fetch(closed=True)

    assert got.chain.data_type is DataType.FROZEN
    assert got.sources["frozen"] == got.status["ok"] > 0


def test_the_nightly_restart_is_named():
    """A connection lost at 00:30 New York time says that IB restarts its servers then."""
    night = dt.datetime(2026, 11, 20, 0, 30, tzinfo=ZoneInfo("America/New_York"))

    got = fetch("drop_after:messages=20", start=night)

    assert any("IB restarts its servers" in note for note in got.notes)


# -- the next run ----------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["drop_after:messages=20", "truncate:after=20", "lines_taken"])
def test_the_next_chain_works_at_once(fault):
    """A fault leaves nothing behind that would hold up the next chain of the session."""

    async def clear_later(run):
        run.session._loop.call_later(2.0, run.gateway.clear)

    got = fetch(fault, symbols=("SPY", "QQQ"), before=clear_later)

    assert [chain.symbol for chain in got.chains] == ["SPY", "QQQ"]
    assert got.chains[1].completeness == 1.0
    assert got.gateway.leaked == 0


# -- several symbols over one session ----------------------------------------------------------

FIVE = ("SPY", "QQQ", "IWM", "AAPL", "TSLA")


def fetch_all(*faults, symbols=FIVE, rules=SMALL, timeout=120.0):
    """The outcomes of several symbols at once, when each came, and the gateway."""

    async def scenario():
        clock, given = asyncio.get_running_loop().time, settings(chain=rules)
        async with gateway_with(*faults) as gateway:
            began, done = clock(), []
            ib = given.ib.model_copy(update={"port": gateway.port})
            async with Session(ib, given.limits, deadline=began + timeout) as session:

                async def fetch(symbol, rank):
                    request = ChainRequest(
                        session, symbol, given, deadline=began + timeout, rank=rank
                    )
                    return await fetch_chain(request), None

                found = await fetch_chains(
                    fetch, symbols, on_done=lambda one: done.append((one.symbol, clock() - began))
                )
            await asyncio.sleep(0.2)
            return found, done, gateway, clock() - began

    return virtual_time.run(scenario)


def test_five_symbols_take_the_time_of_their_messages():
    """1.05 (E + 2N + 3 + 4 a symbol) / 50 s and a second and a half, over one connection."""
    found, _, gateway, seconds = fetch_all()

    chains = [one.chain for one in found]
    listed = sum(len(c) - c.counts.get("unknown_contract", 0) for c in chains)
    expiries = sum(len(c.expiries) for c in chains)
    floor = 1.05 * (expiries + 2 * listed + 3 + 4 * len(FIVE)) / 50.0
    assert seconds <= floor + 2.0
    assert all(c.completeness == 1.0 for c in chains)
    assert gateway.peak_messages() <= 50
    assert (gateway.connections, gateway.leaked) == (1, 0)


def test_the_first_symbol_is_whole_first():
    """Symbols finish in the order in which they were named, the first long before the last."""
    rules = {"monthlies": 2, "weeklies": 2, "strike_range": "5"}
    _, done, _, seconds = fetch_all(symbols=FIVE[:3], rules=rules)

    assert [symbol for symbol, _ in done] == list(FIVE[:3])
    assert done[0][1] < 0.7 * seconds


def test_one_bad_symbol_never_stops_the_others():
    """An unknown symbol is an error in its own place; the rest is whole."""
    found, _, _, _ = fetch_all(symbols=("SPY", "SPPY", "QQQ"))

    assert [one.symbol for one in found] == ["SPY", "SPPY", "QQQ"]
    assert isinstance(found[1].error, UnknownContract)
    assert found[0].chain.completeness == found[2].chain.completeness == 1.0


def test_a_silent_symbol_holds_up_nobody():
    """One symbol without a word costs its own time, not that of the others."""
    found, done, _, _ = fetch_all("silent:symbol=QQQ", symbols=("SPY", "QQQ"))

    assert found[0].chain.completeness == 1.0
    assert found[1].error is not None
    assert done[0][0] == "SPY"


def test_a_lost_connection_is_mended_once_for_all():
    """Three symbols in flight share one new connection."""
    found, _, gateway, _ = fetch_all("drop_after:messages=60", symbols=("SPY", "QQQ", "IWM"))

    assert gateway.connections == 2
    assert all(one.chain.completeness == 1.0 for one in found)


def test_symbols_are_asked_for_once():
    """The same symbol twice is one outcome."""
    found, _, _, _ = fetch_all(symbols=("SPY", "SPY"))

    assert [one.symbol for one in found] == ["SPY"]


# -- which day an expiry is called --------------------------------------------------------------


class OtherMake(ModelMarket):
    """A market whose options have no OCC symbols."""

    def find(self, wanted):
        return [
            dataclasses.replace(listing, local_symbol="") if listing.sec_type == "OPT" else listing
            for listing in super().find(wanted)
        ]


def test_a_near_expiry_read_in_an_asian_login():
    """Details that call a Friday Saturday, as its close is there, lose no option."""
    rules = {**SMALL, "min_dte": 5, "max_dte": 30}
    here = fetch(rules=rules)
    there = fetch(rules=rules, times=Times(zone="Asia/Shanghai"))

    assert there.chain.expiries == here.chain.expiries
    assert there.status == here.status
    assert there.status["ok"] == len(there.chain)
    assert (there.chain["con_id"] == here.chain["con_id"]).all()
    assert np.isfinite(there.chain["open_interest"]).mean() > 0.9
    assert not [note for note in there.notes if "names" in note]


@pytest.mark.parametrize("one_by_one", [False, True])
def test_details_of_another_day_are_those_that_were_asked_for(one_by_one):
    """Without an OCC symbol the request tells which day is meant, and a note says so."""
    refused = Refuse(on="contract_details", expiry="20261130", code=321, times=1)
    broken = [refused] if one_by_one else []

    async def scenario():
        market = OtherMake(seed=1, monotonic=asyncio.get_running_loop().time)
        times = Times(zone="Asia/Tokyo")
        async with Gateway(market, seed=1, faults=broken, times=times) as gateway:
            # A daily Monday is called Tuesday, which is listed too.
            rules = {"expiries": "all", "min_dte": 10, "max_dte": 11, "strike_range": "3"}
            given = settings(chain=rules)
            ib, notes = given.ib.model_copy(update={"port": gateway.port}), []
            async with Session(ib, given.limits, on_note=notes.append) as session:
                return await fetch_chain(ChainRequest(session, "SPY", given)), notes

    chain, notes = virtual_time.run(scenario)
    assert chain.counts == {"ok": len(chain)}
    assert len(chain.expiries) == 2
    assert [note for note in notes if "names 2026-12-01" in note]


@pytest.mark.parametrize(
    ("symbol", "trading_class", "listed", "dte"),
    [
        ("SPX", "SPX", dt.date(2026, 12, 17), 28),
        ("NDX", "NDX", dt.date(2026, 12, 17), 28),
        ("VIX", "", dt.date(2026, 12, 15), 26),
        ("VIX", "VIXW", dt.date(2026, 12, 8), 19),
        # New Year's Day is the Friday thirty days after Wednesday the 2nd.
        ("VIX", "VIXW", dt.date(2026, 11, 30), 11),
    ],
)
def test_am_classes_are_counted_to_their_settlement(symbol, trading_class, listed, dte):
    """Asked for by its last trading day, an expiry lives to the opening after it."""
    rules = {
        "trading_class": trading_class, "strike_range": "1%", "min_dte": dte, "max_dte": dte
    }  # fmt: skip
    chain = fetch(symbols=(symbol,), rules=rules).chain

    settled = dt.datetime.combine(
        dates.settlement_day(listed, trading_class=chain.trading_class),
        dt.time(9, 30),
        dates.NEW_YORK,
    )
    assert chain.expiries == (listed,)
    assert set(chain["dte"].tolist()) == {dte}
    assert chain["tau"][0] == pytest.approx(dates.years_until(chain.as_of, settled))
    assert chain.counts == {"ok": len(chain)}


def test_local_volatility_of_an_am_class_is_that_of_the_gateway():
    """On its last Thursday SPX has the IV and the theta that the gateway's own model gives."""
    thursday = dt.datetime(2026, 12, 17, 11, 0, tzinfo=dates.NEW_YORK)
    options = {
        "symbols": ("SPX",),
        "start": thursday,
        "rules": {"trading_class": "SPX", "strike_range": "0.5%", "min_dte": 0, "max_dte": 3},
    }
    gateways = fetch(**options).chain
    ours = fetch("no_greeks", **options).chain

    assert ours.expiries == gateways.expiries == (dt.date(2026, 12, 17),)
    assert ours["tau"][0] * 365.0 == pytest.approx(0.9375, abs=0.001)
    assert set(ours["greeks_source"]) == {"local"}
    np.testing.assert_allclose(ours["iv"], gateways["iv"], rtol=0.05)
    np.testing.assert_allclose(ours["theta"], gateways["theta"], rtol=0.1)


def test_an_expiry_of_which_nothing_is_known_is_not_hidden():
    """Refused with 200 as a whole, a listed expiry counts as missing, and a note names it."""
    broken = Refuse(on="contract_details", expiry="20261218", code=200)
    got = fetch(broken, rules={**SMALL, "min_dte": 5})

    (gone,) = got.chain.unknown_expiries
    rows = got.chain["expiry"] == np.datetime64(gone, "D")
    assert gone == dt.date(2026, 12, 18)
    assert got.chain.completeness == pytest.approx(1.0 - rows.mean())
    assert [note for note in got.chain.notes if "2026-12-18" in note]
