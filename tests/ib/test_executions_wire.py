"""Executions over the wire: in every form in which TWS writes them, with what they cost."""

from __future__ import annotations

import ast
import datetime as dt
import inspect
from pathlib import Path

import ib_async
import pytest

from support import virtual_time
from support.simulated import running
from tomic import dates
from tomic.errors import DataError, RequestTimeout, UnreadableAnswer
from tomic.ib import account, convert
from tomic.ib.callbacks import Callbacks
from tomic.ib.link import StrictDecoder
from tomic.sim import Gateway
from tomic.sim.faults import BlankFilterIgnored, Silent
from tomic.sim.market import Listing, MarketFill
from tomic.sim.market.model import ModelMarket
from tomic.sim.server.limits import Times
from tomic.wire.requests import ContractSpec

AT = dt.datetime(2026, 11, 20, 19, 31, 2, tzinfo=dt.UTC)
ZAL = Listing(
    168731675, "ZAL", "STK", "IBIS", currency="EUR", local_symbol="ZAL", time_zone_id="MET"
)
BAG = Listing(28812380, "SPY", "BAG", "SMART", local_symbol="28812380")


def shares(exec_id: str = "0000e0d5.6553c9b2.01.01", **changes: object) -> MarketFill:
    """A hundred shares of SPY bought."""
    spy = ModelMarket(1).find(ContractSpec(symbol="SPY", sec_type="STK"))[0].con_id
    values = {"account": "DU1234567", "at": AT, "quantity": 100.0, "price": 590.5, "con_id": spy,
              "perm_id": 77, "order_id": 3, "commission": 1.05, **changes}  # fmt: skip
    return MarketFill(exec_id, **values)


def option(**changes: object) -> MarketFill:
    """One put of SPY sold."""
    put = (
        ModelMarket(1)
        .find(
            ContractSpec(symbol="SPY", sec_type="OPT", expiry="20261218", strike=560.0, right="P")
        )[0]
        .con_id
    )
    values = {"exec_id": "0000e0d5.6553c9b2.02.01", "quantity": -1.0, "price": 2.35,
              "con_id": put, "commission": 0.65, **changes}  # fmt: skip
    return shares(**values)


def asked(
    *fills: MarketFill, faults=(), times: Times | None = None, timeout_s: float = 10.0, **options
):
    """The executions of one question, how many were left out, the notes, and the gateway."""

    async def scenario():
        options["fills"] = fills
        async with running(*faults, times=times, **options) as run:
            found, left_out = await account.executions(run.session, timeout_s=timeout_s)
            return found, left_out, run.notes, run.gateway

    return virtual_time.run(scenario)


FORMS = [
    (Times("utc"), "20261120-19:31:02"),
    (Times("instrument"), "20261120 14:31:02 US/Eastern"),
    (Times("login", "America/New_York"), "20261120 14:31:02 America/New_York"),
    (Times("login", "EST"), "20261120 14:31:02 EST"),
    (Times("login", "MET"), "20261120 20:31:02 MET"),
    (Times("login", "JST"), "20261121 04:31:02 JST"),
    (Times("login", "HKT"), "20261121 03:31:02 HKT"),
    (Times("login", "IST"), "20261121 01:01:02 IST"),
    (Times("bare", "MET"), "20261120  20:31:02"),
    (Times("bare", "Central European Standard Time"), "20261120  20:31:02"),
    (Times("bare", "America/Chicago"), "20261120  13:31:02"),
]


@pytest.mark.parametrize(("times", "written"), FORMS, ids=lambda value: str(value)[:40])
def test_every_form_of_time_is_the_same_moment(times, written):
    """UTC, a zone by any of its names, or none: the login's, which the greeting names."""
    listing = ModelMarket(1).find(ContractSpec(symbol="SPY", sec_type="STK"))[0]
    assert times.execution(AT, listing.time_zone_id) == written

    found, left_out, _, _ = asked(shares(), option(), times=times)

    assert [one.at for one in found] == [AT, AT]
    assert left_out == 0


def test_a_listing_abroad_is_not_the_american_share():
    """IB calls both ASML: the execution in euros is of ASML@AEB, the option of AEX."""
    market = ModelMarket(1)
    (asml,) = market.find(ContractSpec(symbol="ASML", sec_type="STK", exchange="AEB"))
    option_of_aex = market.find(ContractSpec(symbol="EOE", sec_type="OPT", exchange="FTA"))[0]
    found, left_out, _, _ = asked(
        shares(con_id=asml.con_id),
        shares(exec_id="0000e0d5.6553c9b2.03.01", con_id=option_of_aex.con_id),
    )

    assert {trade.symbol for trade in found} == {"ASML@AEB", "AEX"} and left_out == 0


def test_a_share_of_another_exchange_in_its_zone():
    """ib_async #188: an execution at Xetra, in Middle European Time."""
    found, _, _, _ = asked(shares(contract=ZAL, con_id=0))

    assert (found[0].symbol, found[0].at, found[0].quantity) == ("ZAL@EUR", AT, 100.0)


def test_an_execution_is_whole():
    """Contract, side, size, price, order and commission are as the ledger has them."""
    stock, put = asked(shares(), option())[0]

    assert (stock.symbol, stock.quantity, stock.price, stock.order) == ("SPY", 100.0, 590.5, "77")
    assert (put.contract.name, put.quantity, put.price) == ("560P 2026-12-18", -1.0, 2.35)
    assert (stock.commission, put.commission) == (1.05, 0.65)


@pytest.mark.parametrize("reported_s", [-1.0, 0.0, 0.7, 1.9])
def test_a_commission_before_or_after_the_list(reported_s):
    """Reports carry no request id, and come before the row, with it, or seconds after the end."""
    found, _, _, _ = asked(shares(reported_s=reported_s), option())

    assert [one.commission for one in found] == [1.05, 0.65]


def test_a_commission_that_never_comes_is_unknown():
    """Only the master client is told those of others; unknown is not zero."""
    found, _, _, _ = asked(shares(commission=None), option(reported_s=60.0))

    assert [one.commission for one in found] == [None, None]


@pytest.mark.parametrize(
    "changes", [{"commission": 1.7976931348623157e308}, {"commission_currency": "CHF"}]
)
def test_a_commission_that_cannot_be_used_is_unknown(changes):
    """The largest number means "not known", and another currency is not that of the price."""
    found, _, _, _ = asked(shares(**changes))

    assert found[0].commission is None


def test_a_correction_takes_the_place_of_what_it_corrects():
    """It has the same id but for the digits after its last dot, in whatever order they come."""
    found, left_out, _, _ = asked(
        shares("0000e0d5.6553c9b2.01.02", price=590.4), shares(), option()
    )

    assert [(one.exec_id[-5:], one.price) for one in found] == [("01.02", 590.4), ("02.01", 2.35)]
    assert left_out == 0


def test_other_instruments_are_counted():
    """A combination comes as a whole beside its legs, which are what counts."""
    found, left_out, _, _ = asked(option(), shares("0000e0d5.6553c9b2.03.01", contract=BAG))

    assert (len(found), left_out) == (1, 1)


def test_a_row_without_sense_is_named():
    """What cannot be used is counted and told, and costs the others nothing."""
    found, left_out, notes, _ = asked(shares(price=-1.0), option())

    assert (len(found), left_out) == (1, 1)
    assert "execution 0000e0d5.6553c9b2.01.01 of SPY left out: 100 at -1" in notes[0]


@pytest.mark.parametrize(
    "text", ["20261120 14:31:02 Mars/Olympus", "yesterday", "20261340-01:02:03", ""]
)
def test_a_time_that_cannot_be_read_fails_the_question(text):
    """The answer is not whole, and says why; it never ends well without the row."""

    async def scenario():
        fills = (option(), shares(time_text=text or " "))
        async with running(fills=fills) as run:
            with pytest.raises(UnreadableAnswer) as caught:
                await account.executions(run.session, timeout_s=10.0)
            return str(caught.value), run.session.unreadable, run.notes

    told, counted, notes = virtual_time.run(scenario)
    assert (text or "' '") in told
    assert told.startswith("executions: the gateway's answer cannot be read: execDetails: ")
    assert counted == {"execDetails": 1}
    assert any("cannot be read: execDetails" in note for note in notes)


def test_a_time_of_the_login_needs_its_zone():
    """When the greeting tells no zone, a time without one cannot be placed."""
    with pytest.raises(DataError, match="login's time zone"):
        convert.to_moment("20261120  10:00:00", None)


@pytest.mark.parametrize(
    ("greeting", "hours"),
    [
        ("20261120 15:04:31 Hora estándar central europea", 1.0),
        ("20261120 19:34:30 heure de l'Inde", 5.5),
        ("20261120 14:04:30 EST", -5.0),
        ("20261120 08:12:00 Hora del Este", None),
    ],
)
def test_a_login_zone_in_another_language(greeting, hours):
    """An unknown name is as far from UTC as its time is from now, where the clocks agree."""
    now = dt.datetime(2026, 11, 20, 14, 4, 30, tzinfo=dt.UTC)

    zone = convert.to_login_zone(greeting, now)

    offset = None if zone is None else now.astimezone(zone).utcoffset().total_seconds() / 3600.0
    assert offset == hours


def test_a_blank_filter_that_is_ignored():
    """Some gateways answer only when an account is named: each is asked for."""
    found, _, notes, gateway = asked(shares(), option(), faults=[BlankFilterIgnored()])

    assert len(found) == 2
    assert gateway.by_kind["executions"] == 2
    assert notes == ["TWS did not answer the question for all executions; asked by account"]


def test_executions_that_are_never_told():
    """The error says that this is a known fault of TWS, and what to do instead."""
    with pytest.raises(RequestTimeout, match="restart TWS, or import an activity statement"):
        asked(shares(), faults=[Silent(on="executions")])


def test_historical_ticks_are_decoded():
    """They read the same attribute of the wrapper as executions do."""
    callbacks = Callbacks(lambda code, text: None, lambda: None)
    got: list[ib_async.HistoricalTick] = []
    callbacks.historicalTicks = lambda req_id, ticks, done: got.extend(ticks)

    decoder = StrictDecoder(callbacks)
    decoder.serverVersion = 178
    decoder.interpret(["96", "5", "1", "1763667062", "0", "590.5", "100", "1"])

    assert [(one.time, one.price) for one in got] == [
        (dt.datetime(2025, 11, 20, 19, 31, 2, tzinfo=dt.UTC), 590.5)
    ]
    assert not callbacks.unreadable


def test_the_wrapper_has_everything_that_the_decoder_asks_for():
    """Each attribute that ib_async reads is there, and methods alone are methods."""
    found: set[str] = set()
    for module in (ib_async.decoder, ib_async.client):
        for node in ast.walk(ast.parse(Path(inspect.getfile(module)).read_text())):
            if isinstance(node, ast.Attribute) and _is_wrapper(node.value):
                found.add(node.attr)
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "wrap":
                found.add(node.args[0].value)
    callbacks = Callbacks(lambda code, text: None, lambda: None)
    values = {"defaultTimezone", "ib"}

    assert len(found) > 60
    assert values <= found
    assert all(callable(getattr(callbacks, name)) for name in found - values)
    assert isinstance(callbacks.defaultTimezone, dt.tzinfo)
    assert callbacks.ib.TimezoneTWS == ""
    with pytest.raises(AttributeError):
        _ = callbacks.notThere


def _is_wrapper(node: ast.expr) -> bool:
    return getattr(node, "attr", getattr(node, "id", "")) == "wrapper"


def test_ib_asyncs_own_decoder_reads_the_login_zone():
    """A time without a zone is the login's for it as well."""

    async def scenario():
        async with running(times=Times("bare", "MET")) as run:
            return run.session._link.callbacks.ib.TimezoneTWS

    assert virtual_time.run(scenario) == str(dates.zone("MET"))


async def test_executions_at_every_server_version(settings):
    """The row grew a field at 178, and is read at both."""
    from tomic.ib.session import Session

    for version in (157, 177, 178):
        async with Gateway(ModelMarket(1, fills=[shares()]), server_version=version) as gateway:
            ib = settings.ib.model_copy(update={"port": gateway.port})
            async with Session(ib, settings.limits) as session:
                found, _ = await account.executions(session, timeout_s=60.0)
        assert [one.at for one in found] == [AT]
