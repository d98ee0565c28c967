"""Reading the book over a real socket, saving it, and putting trades beside it."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import json
import math

import numpy as np
import pytest

from conftest import FAST, settings_in
from support import virtual_time
from support.simulated import gateway_with
from tomic import legs
from tomic.desk import Desk
from tomic.errors import BadFile, DataError, RequestTimeout, UnknownContract, UsageError
from tomic.ib.session import Session
from tomic.ib.spot import UnderlyingTicks
from tomic.models import OptionQuote, RowStatus, Spot, SpotSource, Underlying
from tomic.models.book import Mark, Position
from tomic.models.journal import Fill, JournalEntry, Trade
from tomic.portfolio import overview
from tomic.portfolio.fit import BookFit
from tomic.sim import Gateway, Limits, Profile
from tomic.sim.faults import DropAfter, NoGreeks, NoQuotes, NotSubscribed, Silent
from tomic.sim.market import Holding
from tomic.sim.market.model import ModelMarket
from tomic.sim.server.limits import Times
from tomic.store import Bars, Database
from tomic.wire.requests import ContractSpec
from tomic.workflows import scan
from tomic.workflows.portfolio import files, review
from tomic.workflows.portfolio.review import ReviewRequest

NEAR = "2026-12-18"


@pytest.fixture
def settings(tmp_path):
    """Everything in a folder of the test's own, and the patience for a busy machine."""
    return settings_in(
        tmp_path,
        portfolio={"snapshot": tmp_path / "book.json", "account_timeout_s": 60.0},
        chain={"quote_timeout_s": 60.0, "silent_s": 60.0, "retries": 0, "deadline_s": 60.0},
        market={"spot_timeout_s": 60.0},
    )


async def read(gateway, settings, **more):
    ib = settings.ib.model_copy(update={"port": gateway.port, "reconnect_pauses_s": (0.01, 0.05)})
    async with Session(ib, settings.limits, pace=FAST) as session:
        found, _ = await review.read_book(session, settings, None, **more)
    return found


def read_in_no_time(settings, *broken, after_s=None, profile=None):
    """The same in virtual time, where silence costs nothing and no machine is too slow."""

    async def scenario():
        clock = asyncio.get_running_loop().time
        deadline = None if after_s is None else clock() + after_s
        how = {"profile": profile or Profile.instant(), "limits": Limits().unpaced()}
        async with gateway_with(*broken, **how) as gateway:
            book = await read(gateway, settings, deadline=deadline)
            await asyncio.sleep(0.2)  # the gateway hears that the client has gone
            assert gateway.leaked == 0
            return book

    return virtual_time.run(scenario)


async def test_the_demo_book_comes_back_as_it_was_planned(gateway, settings):
    """The condor, the put, the covered call, the calendar, the two spreads and the shares."""
    book = await read(gateway, settings)
    found = overview.review(book, settings)

    assert [(one.symbol, one.strategy, one.quantity) for one in found.structures] == [
        ("AAPL", "covered_call", 1.0),
        ("IWM", "cash_secured_put", 1.0),
        ("MSFT", "short_put_spread", 2.0),
        ("QQQ", "calendar", 1.0),
        ("SPY", "iron_condor", 1.0),
        ("TLT", "shares", 1.0),
        ("XLF", "shares", 1.0),
    ]
    assert found.gaps == () and all(one.pnl is not None for one in found.structures)
    assert gateway.orders == 0 and gateway.what_ifs == 0
    assert gateway.open("market_data") == 0


async def test_marks_are_those_of_the_market(gateway, settings, market):
    """Each leg's price is the middle of the market's own quote, its Greeks IB's."""
    book = await read(gateway, settings)

    for one in book.positions:
        if one.is_option:
            quote, mark = market.quote(one.con_id), book.marks[one.contract]
            assert mark.price == pytest.approx(0.5 * (quote.bid + quote.ask))
            assert (mark.price_source, mark.greeks_source) == ("mid", "ib")
            assert mark.delta == pytest.approx(quote.model.delta, abs=1e-6)


@pytest.mark.parametrize("on", ["positions", "account_summary"])
async def test_no_answer_is_never_an_empty_book(gateway, settings, on):
    """A silent gateway is an error with exit code 6."""
    gateway.add(Silent(on=on))
    settings = settings.model_copy(
        update={"portfolio": settings.portfolio.model_copy(update={"account_timeout_s": 0.05})}
    )

    with pytest.raises(RequestTimeout) as caught:
        await read(gateway, settings)
    assert caught.value.exit_code == 6


def test_a_leg_that_stays_silent_is_named_and_its_neighbours_are_whole(settings):
    """One leg without an answer: its P&L is unknown, its Greeks come from a neighbour."""
    book = read_in_no_time(settings, Silent(symbol="MSFT", right="P", strike=385.0))
    found = overview.review(book, settings)

    (gap,) = found.gaps
    assert gap.name == f"MSFT {NEAR} 385P" and gap.missing == "price"
    assert book.marks[gap.name].unfinished
    (spread,) = [one for one in found.structures if one.symbol == "MSFT"]
    assert spread.pnl is None and spread.greeks.delta > 0.0
    assert all(one.pnl is not None for one in found.structures if one is not spread)


def test_local_greeks_where_ib_gives_none(settings):
    """Quotes without Greeks: ours are computed and near IB's."""
    whole = read_in_no_time(settings)
    book = read_in_no_time(settings, NoGreeks())

    for name, mark in book.marks.items():
        if name.endswith(("P", "C")):
            assert mark.greeks_source == "local"
            assert mark.delta == pytest.approx(whole.marks[name].delta, abs=0.03)


@pytest.mark.parametrize("delayed", [False, True])
def test_an_underlying_without_a_subscription_of_its_own(settings, delayed):
    """The options of the book have its price, live; what has none is delayed, or named."""
    patient = settings.model_copy(
        update={"market": settings.market.model_copy(update={"spot_timeout_s": 4.0})}
    )
    book = read_in_no_time(patient, NotSubscribed(code=354, kinds="stock", delayed=delayed))

    spot = book.markets["SPY"].spot
    assert (spot.price, spot.data_type.value) == (pytest.approx(590.16, abs=1.0), "live")
    assert book.marks["AAPL shares"].price_source == "model"
    shares = book.marks["TLT shares"]
    assert (shares.price is not None, shares.unfinished) == (delayed, not delayed)
    assert any("live data of SPY are not subscribed (354)" in note for note in book.notes)


async def test_no_quotes_leave_the_last_price(gateway, settings):
    """Bid and ask of -1 are no price of -1."""
    gateway.add(NoQuotes(symbol="IWM"))
    book = await read(gateway, settings)
    mark = next(mark for name, mark in book.marks.items() if name.startswith("IWM"))

    assert mark.bid is None and mark.price_source in ("last", "close", "none")


async def test_a_cut_connection_is_taken_up_again(gateway, settings):
    """The line drops while legs are quoted; the book is whole all the same."""
    gateway.add(DropAfter(messages=16))
    book = await read(gateway, settings)

    assert overview.review(book, settings).gaps == ()
    assert any("reconnect" in note for note in book.notes)


async def test_what_brokers_list_besides(settings):
    """Quantity 0 and an unknown contract are read, named, and cost nothing else."""
    market = ModelMarket(seed=1)
    held = market.book()
    stock = market.find(ContractSpec(symbol="SPY", sec_type="STK"))[0]
    object.__setattr__(
        held, "holdings", (*held.holdings, Holding("DU1234567", stock.con_id, 0.0, 0.0))
    )
    async with Gateway(
        market, seed=1, profile=Profile.instant(), limits=Limits().unpaced()
    ) as gateway:
        book = await read(gateway, settings)
    found = overview.review(book, settings)

    assert [(one.name, one.missing) for one in found.gaps] == [("SPY shares", "all")]
    assert len(found.structures) == 7


async def test_accounts_and_currencies(settings):
    """Two accounts in euros: totals are in euros, with the rate that the broker used."""
    market = ModelMarket(seed=1, accounts=("DU1", "DU2"), currency="EUR")
    async with Gateway(
        market, seed=1, profile=Profile.instant(), limits=Limits().unpaced()
    ) as gateway:
        book = await read(gateway, settings)
    dollars = book.model_copy(update={"currency": "USD", "rates": {}, "accounts": ()})

    euro = overview.review(book, settings)
    dollar = overview.review(dollars, settings)
    rate = book.rates["USD"]
    assert (book.currency, len(book.accounts)) == ("EUR", 2)
    assert euro.totals.greeks.vega == pytest.approx(dollar.totals.greeks.vega * rate)
    assert euro.totals.margin == pytest.approx(dollar.totals.margin * rate)
    assert euro.net_liquidation == pytest.approx(sum(one.net_liquidation for one in book.accounts))


async def test_a_closed_market_gives_the_last_quotes(settings):
    """On a Saturday frozen quotes are shown, and said to be frozen."""
    market = ModelMarket(seed=1, closed=True)
    async with Gateway(
        market, seed=1, profile=Profile.instant(), limits=Limits().unpaced()
    ) as gateway:
        book = await read(gateway, settings)
    found = overview.review(book, settings)

    assert found.data_type == "frozen" and len(found.structures) == 7
    assert all(one.pnl is not None for one in found.structures)


def test_a_deadline_keeps_what_has_come(tmp_path):
    """Quotes that are too slow cost their own legs; the account is there all the same."""
    slow = dataclasses.replace(Profile.instant(), quotes_s=(60.0, 60.0), greeks_s=(60.0, 60.0))
    patient = settings_in(
        tmp_path, chain={"quote_timeout_s": 60.0, "silent_s": 60.0}, market={"spot_timeout_s": 60.0}
    )
    book = read_in_no_time(patient, after_s=1.5, profile=slow)
    found = overview.review(book, patient)

    assert len(book.positions) == 13 and len(found.gaps) == 13
    assert found.totals.pnl is None
    assert found.net_liquidation > 0.0


async def test_a_book_that_cannot_be_saved_is_still_shown(settings, tmp_path):
    """A file where the folder should be costs the copy, not the review."""
    (tmp_path / "blocked").write_text("", encoding="utf-8")
    snapshot = {"snapshot": tmp_path / "blocked" / "book.json"}
    blocked = settings.model_copy(
        update={"portfolio": settings.portfolio.model_copy(update=snapshot)}
    )
    said = []
    async with Desk(blocked, demo=True, watch=lambda event: said.append(event.text)) as desk:
        view = await desk.portfolio()

    assert view.saved is None and len(view.review.structures) == 7
    assert any("was not saved" in text for text in said)


# -- saving -----------------------------------------------------------------------------------


async def test_a_saved_book_reviews_the_same(gateway, settings, tmp_path):
    """Everything that the review needs is in the file."""
    book = await read(gateway, settings)
    path = files.save_book(book, tmp_path / "deep" / "book.json")
    again = files.load_book(path)

    assert again == book
    assert overview.review(again, settings) == overview.review(book, settings)


async def test_since_when_a_position_is_held(gateway, settings):
    """A contract that an earlier book held keeps that day, on the same side only."""
    first = await read(gateway, settings)
    day = dt.date(2026, 11, 2)
    aged = [one.model_copy(update={"first_seen": day}) for one in first.positions]
    aged[0] = aged[0].model_copy(update={"quantity": -aged[0].quantity})
    second = await read(
        gateway, settings, before=first.model_copy(update={"positions": tuple(aged)})
    )

    seen = {one.contract: one.first_seen for one in second.positions}
    assert seen.pop(aged[0].contract) == second.today
    assert set(seen.values()) == {day}


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "is no saved portfolio"), ('{"version": "tomic.book/1"}', "as_of"), (None, "no saved")],
)
def test_files_that_are_no_book(tmp_path, content, said):
    """What is missing, and how to get it."""
    path = tmp_path / "book.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")

    with pytest.raises(BadFile, match=said):
        files.load_book(path)


# -- pins, sectors, journal -----------------------------------------------------------------------


def test_pins_from_a_file(tmp_path):
    """A name and legs, and what else one wants to say."""
    path = tmp_path / "pins.json"
    rows = [{"name": "wheel", "legs": f"-1 IWM {NEAR} 190P", "opened": "20261102"}]
    path.write_text(json.dumps(rows), encoding="utf-8")
    (pin,) = files.load_pins(path)

    assert (pin.source, pin.name, pin.opened) == ("pin", "wheel", dt.date(2026, 11, 2))
    assert pin.legs == legs.parse(f"-1 IWM {NEAR} 190P")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{}", "a list"),
        ("[{}]", "needs name and legs"),
        ('[{"name": "a", "legs": "nonsense"}]', "cannot read|write"),
        ('[{"name": "a", "legs": "-1 SPY 2026-12-18 1P", "color": 1}]', "unknown key 'color'"),
        ("[", "cannot be read"),
    ],
)
def test_pins_that_cannot_be_read(tmp_path, content, said):
    """The file and what is wrong in it."""
    path = tmp_path / "pins.json"
    path.write_text(content, encoding="utf-8")

    with pytest.raises(BadFile, match=said):
        files.load_pins(path)


def test_sectors_from_a_file(tmp_path):
    """Columns in any order and case; anything else is refused."""
    path = tmp_path / "sectors.csv"
    path.write_text("Sector,Symbol\nIndex,spy\nTechnology , AAPL\n", encoding="utf-8")
    assert files.load_sectors(path) == {"SPY": "Index", "AAPL": "Technology"}

    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(BadFile, match="columns symbol and sector"):
        files.load_sectors(path)


async def test_journal_entries_claim_their_legs(tmp_path):
    """An open entry gives its legs, its strategy and its day; a closed one nothing."""
    async with Database(tmp_path / "store.db") as store:
        at = dt.datetime(2026, 11, 2, 15, tzinfo=dt.UTC)
        fill = {"expiry": dt.date(2026, 12, 18), "right": "P", "price": 1.0}
        fills = (Fill(strike=190.0, quantity=-1, **fill), Fill(strike=180.0, quantity=1, **fill))
        entry = JournalEntry(
            symbol="IWM",
            strategy="short_put_spread",
            opened_at=at,
            trades=(Trade(at=at, action="open", fills=fills),),
        )
        document = entry.model_dump(mode="json", exclude={"id", "revision"})
        number = await store.journal.save(document, event="open", at=at)
        await store.journal.save({**document, "status": "closed"}, event="open", at=at)
        (claim,) = await review.journal_claims(store)

    assert (claim.source, claim.name, claim.strategy) == (
        "journal", str(number), "short_put_spread",
    )  # fmt: skip
    assert claim.opened == dt.date(2026, 11, 2)
    assert claim.legs == legs.parse(f"IWM -190P +180P {NEAR}")


# -- the desk ------------------------------------------------------------------------------------


async def test_before_and_after_a_trade(settings):
    """The considered spread joins the book, is priced over the same session, and costs one BAG."""
    async with Desk(settings, demo=True) as desk:
        view = await desk.portfolio(f"SPY short_put_spread 560/550 {NEAR}", ib_margin=True)
        gateway = desk._resources.stand_in.server

        assert (gateway.what_ifs, gateway.orders) == (1, 0)
    (trade,) = view.considered.structures
    assert trade.margin == pytest.approx(1000.0) and trade.credit > 0.0
    assert view.considered.what_if.initial_change == pytest.approx(1000.0)
    assert view.considered.change.margin == pytest.approx(trade.margin_net)
    before, after = view.review.totals, view.considered.after.totals
    assert after.greeks.delta > before.greeks.delta
    assert 0.0 < view.considered.change.fit < 1.0
    assert view.saved.name == "book-demo.json" and view.saved.exists()


async def test_a_leg_that_does_not_exist(settings):
    """A strike that is not listed is refused, not valued."""
    async with Desk(settings, demo=True) as desk:
        with pytest.raises(UnknownContract):
            await desk.portfolio(f"SPY short_put_spread 560.37/550 {NEAR}")


async def test_the_last_book_without_a_gateway(settings):
    """What one run saved the next shows, and a trade is then priced by the model."""
    async with Desk(settings, demo=True) as desk:
        live = await desk.portfolio()
    async with Desk(settings, demo=True) as desk:
        again = await desk.portfolio(f"SPY short_put_spread 565/552.5 {NEAR}", last=True)

        assert not desk.has_session
    assert again.review == live.review
    (trade,) = again.considered.structures
    assert {leg.sigma_source for leg in trade.legs} == {"near"} or trade.legs[0].problem
    assert trade.credit > 0.0


async def test_what_cannot_be_asked(settings):
    """Options that exclude each other, an unknown symbol offline, no saved book."""
    async with Desk(settings, demo=True) as desk:
        with pytest.raises(BadFile, match="no saved portfolio"):
            await desk.portfolio(last=True)
        await desk.portfolio()
        with pytest.raises(DataError, match="no price of GOOG"):
            await desk.portfolio(f"-1 GOOG {NEAR} 100P", last=True)
    for ask, said in (
        (ReviewRequest(file=settings.portfolio.snapshot, last=True), "exclude"),
        (ReviewRequest(ib_margin=True), r"asks about one trade; name it \(--with\)"),
        (ReviewRequest("-1 SPY 2026-12-18 1P", ib_margin=True, last=True), "needs TWS"),
    ):
        with pytest.raises(UsageError, match=said):
            ask.check()


async def test_the_saved_book_serves_a_scan(settings):
    """Without a saved book there is no fit, and one of last week says nothing of today."""
    now = dt.datetime(2026, 11, 20, 20, tzinfo=dt.UTC)
    assert scan.saved_fit(settings, now, simulated=True) is None
    async with Desk(settings, demo=True) as desk:
        await desk.portfolio()

    assert isinstance(scan.saved_fit(settings, now, simulated=True), BookFit)
    assert scan.saved_fit(settings, now + dt.timedelta(days=7), simulated=True) is None


async def test_returns_are_fetched_for_betas(settings):
    """A demo fetches the bars of what it holds, so betas are measured and not assumed."""
    async with Desk(settings, demo=True) as desk:
        found = (await desk.portfolio()).review

    assert all(one.n == 252 for one in found.totals.beta.betas)
    assert found.tail.days == 252 and found.tail.diversification > 1.0


def test_marks_without_anything():
    """A mark says nothing by default."""
    assert Mark().price is None and not Mark().unfinished


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "Australia/Sydney", "America/New_York"])
async def test_positions_are_asked_by_their_ids_whatever_day_they_name(market, settings, zone):
    """Near its end an option's day is that of the login's zone, which beside its id is refused."""
    limits = Limits().unpaced()
    async with Gateway(
        market, seed=1, profile=Profile.instant(), limits=limits, times=Times(zone=zone)
    ) as gateway:
        book = await read(gateway, settings)

        assert 478 not in gateway.codes()
    days = {one.expiry for one in book.positions if one.is_option}
    assert days == {dt.date(2026, 12, 18), dt.date(2027, 1, 15)}
    assert not [mark.problem for mark in book.marks.values() if mark.problem]
    assert all(one.pnl is not None for one in overview.review(book, settings).structures)


def test_an_assumed_forward_is_said(settings):
    """Held options are seldom pairs: local Greeks then hang on spot and yield, and notes say so."""
    book = read_in_no_time(settings, NoGreeks())

    assumed = {
        name.split()[0]
        for name, mark in book.marks.items()
        if mark.greeks_source == "local" and mark.forward_source == "spot"
    }
    said = {note.split(":")[0] for note in book.notes if "Greeks marked local" in note}
    assert assumed
    assert said == assumed


def test_marks_of_a_volatility_index_have_the_forward_of_a_pair():
    """Both sides of a strike imply the future; a put alone implies none, and has no Greeks."""
    as_of = dt.datetime(2026, 11, 20, 20, 0, tzinfo=dt.UTC)
    held = [
        Position(account="U1", symbol="VIX", sec_type="OPT", quantity=-1.0, con_id=number,
                 right=right, strike=17.0, expiry=dt.date(2026, 12, day), multiplier=100.0,
                 trading_class="VIX")
        for number, (right, day) in enumerate([("C", 16), ("P", 16), ("P", 23)])
    ]  # fmt: skip
    quoted = review.Quoted(
        underlyings={"VIX": Underlying(symbol="VIX", con_id=9, sec_type="IND")},
        ticks={"VIX": UnderlyingTicks(Spot(price=13.9, source=SpotSource.LAST, as_of=as_of))},
        rows={
            leg.contract: OptionQuote(
                expiry=leg.expiry, dte=0, strike=17.0, right=leg.right, bid=price - 0.01,
                ask=price + 0.01, status=RowStatus.NO_GREEKS,
            )
            for leg, price in zip(held, (1.352, 1.850, 1.9), strict=True)
        },
    )  # fmt: skip

    marks = review.marks_of(quoted, held, as_of=as_of, rate_of=lambda _: 0.045, data_type=None)

    call, put, alone = (marks[leg.contract] for leg in held)
    assert call.forward == put.forward == pytest.approx(16.5, abs=0.01)
    assert call.on_forward
    assert call.delta - put.delta == pytest.approx(np.exp(-0.045 * 25.8 / 365), abs=1e-3)
    assert (alone.forward, alone.greeks_source, alone.iv) == (None, "none", None)


async def test_prices_that_cannot_follow_each_other_are_no_return(tmp_path, settings):
    """The days of such a jump are left out, and the symbol is named."""
    days = np.array(["2026-11-16", "2026-11-17", "2026-11-18", "2026-11-19"], "datetime64[D]")
    close = np.array([100.0, 101.0, 1e-9, 102.0])
    bars = Bars("SPY", days, close, close, close, close, close)
    async with Database(tmp_path / "s.db") as store:
        await store.history.save_bars(bars)

        known = await review.stored(store, ["SPY"], settings, dt.date(2026, 11, 20))

    assert known.odd == ("SPY",)
    assert known.returns["SPY"] == (pytest.approx(math.log(1.01)), None, None)
