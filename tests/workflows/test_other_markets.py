"""European listings and options on futures: their chains, and the books that hold them."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from support import virtual_time
from support.simulated import fetch, running, settings
from tomic.errors import EmptyChain, UnknownContract, UsageError
from tomic.portfolio import lines, overview
from tomic.sim.market.account import Planned
from tomic.workflows.portfolio.review import read_book
from tomic.workflows.scan import refuse_future

AFTERNOON = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC)
"""16:00 in Amsterdam, 10:00 in New York: both trade."""
MONTHS = {"strike_range": "4%", "weeklies": 0, "monthlies": 2}


def fetched(symbol, rules=None, **options):
    return fetch(symbols=(symbol,), rules=MONTHS | (rules or {}), start=AFTERNOON, **options)


@pytest.mark.parametrize(
    ("symbol", "exchange", "trading_class", "multiplier"),
    [
        ("AEX", "FTA", "EOE", 100),
        ("EOE", "FTA", "EOE", 100),
        ("EOE@FTA", "FTA", "EOE", 100),
        ("ESTX50", "EUREX", "OESX", 10),
        ("ESTX50@EUREX", "EUREX", "OESX", 10),
        ("DAX", "EUREX", "ODAX", 5),
    ],
)
def test_a_european_index_has_its_own_exchange_currency_and_size(
    symbol, exchange, trading_class, multiplier
):
    """Every option is quoted, in euros, of the class and multiplier that its exchange lists."""
    result = fetched(symbol)
    chain = result.chain

    assert set(result.status) <= {"ok", "delta_out_of_range"} and len(chain) > 20
    assert (chain.underlying.sec_type, chain.underlying.exchange) == ("IND", exchange)
    assert chain.underlying.currency == "EUR"
    assert (chain.trading_class, chain.multiplier) == (trading_class, multiplier)
    assert chain.symbol == symbol


def test_options_asked_by_their_ids_have_their_open_interest():
    """Open interest comes as a pair of ticks for calls and puts: an option keeps its own."""
    chain = fetched("ESTX50", {"monthlies": 3}).chain
    ok = chain["status"] == "ok"

    assert np.isfinite(chain["open_interest"][ok]).mean() > 0.9
    assert np.nanmax(chain["open_interest"]) > 0


def test_a_share_at_its_own_exchange_is_not_the_american_one():
    """ASML@AEB is quoted in euros, and ASML in dollars, at different prices."""
    abroad = fetched("ASML@AEB", {"trading_class": "ASM"}).chain
    american = fetched("ASML").chain

    assert (abroad.underlying.currency, american.underlying.currency) == ("EUR", "USD")
    assert abroad.underlying.con_id != american.underlying.con_id
    assert abroad.spot.price != american.spot.price


def test_of_several_classes_one_must_be_chosen():
    """The error names every class with its multiplier and exchange, and where to choose."""
    error = fetched("ASML@AEB").error

    assert isinstance(error, UsageError)
    for words in ("AS9C (x100, FTA)", "ASM (x100, EUREX)", "ASM2 (x10, EUREX)", "--trading-class"):
        assert words in str(error)


def test_a_class_of_the_settings_is_taken():
    """[market.classes] says which class is meant when none is asked for."""
    sections = {"market": {"classes": {"ASML@AEB": "ASM2"}}}
    chain = fetched("ASML@AEB", sections=sections).chain

    assert (chain.trading_class, chain.multiplier) == ("ASM2", 10)


def test_a_class_with_another_multiplier_is_refused():
    """A multiplier behind the class must be one that is listed."""
    error = fetched("ASML@AEB", {"trading_class": "ASM2:100"}).error

    assert isinstance(error, EmptyChain)
    assert "no class ASM2 with multiplier 100" in str(error) and "ASM2 (x10, EUREX)" in str(error)


def test_a_name_of_ones_own_is_a_listing():
    """[market.listings] gives a listing a name, under which everything is kept."""
    sections = {"market": {"listings": {"ASMLA": "ASML@AEB"}, "classes": {"ASMLA": "ASM"}}}
    chain = fetched("ASMLA", sections=sections).chain

    assert (chain.symbol, chain.underlying.ib_symbol) == ("ASMLA", "ASML")
    assert chain.underlying.currency == "EUR"


@pytest.mark.parametrize(
    ("symbol", "words"),
    [
        ("ASML.AS", "did you mean ASML or ASML@AEB?"),
        ("ASML@SBF", "no symbol ASML at SBF; did you mean ASML or ASML@AEB?"),
        ("QXZJ@AEB", "no symbol QXZJ at AEB"),
    ],
)
def test_an_unknown_listing_names_those_that_exist(symbol, words):
    """The spelling of other programs, or another exchange, is answered with IB's own."""
    error = fetched(symbol).error

    assert isinstance(error, UnknownContract) and words in str(error)


def test_an_index_exchange_of_the_settings_needs_no_currency():
    """An exchange in [market.indices] is enough: what it lists tells its currency."""
    sections = {"market": {"indices": {"EURO50": "ESTX50@EUREX"}}}
    chain = fetched("EURO50", sections=sections).chain

    assert (chain.underlying.currency, chain.trading_class) == ("EUR", "OESX")


@pytest.mark.parametrize(
    ("symbol", "clock"),
    [("AEX", "16:00"), ("ESTX50", "12:00"), ("DAX", "13:00"), ("ASML@AEB", "17:30")],
)
def test_settlement_is_by_the_clock_of_the_class(symbol, clock):
    """Euronext averages until 16:00, Eurex until 12:00 or 13:00; shares settle at the close."""
    rules = {"trading_class": "ASM"} if symbol == "ASML@AEB" else {}
    chain = fetched(symbol, rules).chain
    zone = chain.underlying.sessions[0].opens.tzinfo
    hour, minute = map(int, clock.split(":"))
    settled = dt.datetime(2026, 12, 18, hour, minute, tzinfo=zone)

    first = chain["tau"][chain["expiry"] == np.datetime64("2026-12-18")][0]
    left = (settled.astimezone(dt.UTC) - chain.as_of.astimezone(dt.UTC)).total_seconds()
    assert first == pytest.approx(left / (365.0 * 86400.0), rel=1e-9)


def test_what_is_assumed_of_days_to_come_is_said():
    """IB gives the hours of some days; beyond them the chain says what it takes for granted."""
    notes = fetched("AEX").chain.notes

    assert any("the days of FTA are not known" in note and "17:40" in note for note in notes)
    assert not any("are not known" in note for note in fetched("SPY").chain.notes)


def test_the_rate_of_another_currency_is_its_own_or_is_said_to_be_the_dollars():
    """[market.rates] holds one a currency; without it the dollar's is used, and a note says so."""
    sections = {"market": {"rates": {"EUR": 0.02}}}
    rules = {"trading_class": "ASM"}
    assumed = fetched("ASML@AEB", rules).chain
    own = fetched("ASML@AEB", rules, sections=sections).chain

    assert (assumed.rate, own.rate) == (0.045, 0.02)
    assert any("no interest rate of EUR is set" in note for note in assumed.notes)
    assert not any("interest rate" in note for note in own.notes)
    assert not any("interest rate" in note for note in fetched("SPY").chain.notes)


def test_a_closed_exchange_is_frozen_while_new_york_trades():
    """At 15:00 in New York Amsterdam is closed: its quotes are frozen, and SPY's live."""
    late = fetch(symbols=("AEX", "SPY"), rules=MONTHS | {"monthlies": 1})
    aex, spy = late.chains

    assert aex.data_type == "frozen"
    assert spy.underlying.currency == "USD"


def test_shares_in_pence_say_so():
    """London's quotes are pence by IB's magnifier: the currency is GBX, and a note says so."""
    chain = fetched("VOD@LSE", {"strike_range": "8"}).chain

    assert (chain.underlying.currency, chain.multiplier) == ("GBX", 1000)
    assert "VOD@LSE is quoted in GBX: 100 make 1 GBP" in chain.notes


# -- options on futures ------------------------------------------------------------------------


def test_a_root_means_the_next_month_with_time_left():
    """ES@CME is the December future a month before its end, and a note names the others."""
    result = fetched("ES@CME", {"strike_range": "1%"})
    chain = result.chain

    assert (chain.underlying.sec_type, chain.underlying.local_symbol) == ("FUT", "ESZ6")
    assert (chain.trading_class, chain.multiplier) == ("ES", 50)
    assert set(result.status) == {"ok"}
    assert any("others are ESH7@CME" in note for note in chain.notes)


def test_near_its_end_the_next_month_is_meant():
    """With ten days left to the December future the one of March is taken."""
    result = fetch(
        symbols=("ES@CME",),
        rules=MONTHS | {"strike_range": "1%"},
        start=dt.datetime(2026, 12, 8, 15, 0, tzinfo=dt.UTC),
    )

    assert result.chain.underlying.local_symbol == "ESH7"


def test_one_month_is_called_by_its_own_name():
    """ESH7@CME is the future of March, whatever its days left."""
    chain = fetched("ESH7@CME", {"strike_range": "1%"}).chain

    assert chain.underlying.expiry == dt.date(2027, 3, 19)
    assert chain.expiries == (dt.date(2027, 3, 19),)


@pytest.mark.parametrize(
    ("rules", "settled"),
    [
        ({}, dt.datetime(2026, 12, 18, 14, 30, tzinfo=dt.UTC)),
        (
            {"trading_class": "EW", "expiries": "all", "min_dte": 5},
            dt.datetime(2026, 11, 30, 21, 0, tzinfo=dt.UTC),
        ),
    ],
    ids=["quarterly at the open", "end of month at 16:00"],
)
def test_futures_options_settle_by_class(rules, settled):
    """Quarterly options of ES settle on the opening of their own last day, the others at 16:00."""
    chain = fetched("ES@CME", {"strike_range": "1%"} | rules).chain

    left = (settled - chain.as_of.astimezone(dt.UTC)).total_seconds()
    assert chain["tau"][0] == pytest.approx(left / (365.0 * 86400.0), rel=1e-9)


def test_local_greeks_on_a_future_are_those_of_black():
    """Without IB's Greeks the model gives back volatility and deltas, from the future's price."""
    rules = {"strike_range": "2%"}
    told = fetched("ES@CME", rules).chain

    chain = fetch("no_greeks", symbols=("ES@CME",), rules=MONTHS | rules, start=AFTERNOON).chain

    assert set(chain["greeks_source"].tolist()) == {"local"}
    np.testing.assert_allclose(chain["iv"], told["iv"], atol=0.006)
    np.testing.assert_allclose(chain["delta"], told["delta"], atol=0.01)


def test_a_scan_refuses_futures_by_name():
    """Their margin is SPAN's, so nothing can be ranked by it; the error says what serves."""
    with pytest.raises(UsageError, match=r"ES@CME is a future: .*SPAN.*tomic chain ES@CME"):
        refuse_future("ES@CME", settings())

    refuse_future("AEX", settings())


# -- books -------------------------------------------------------------------------------------


def book_of(*held, currency="EUR"):
    """The book of an account that holds *held*, as it is read while Europe trades."""

    async def scenario():
        given = settings()
        options = {"start": AFTERNOON, "planned": held, "currency": currency}
        async with running(given=given, **options) as run:
            book, _ = await read_book(run.session, given, None)
            return book

    return virtual_time.run(scenario)


def review_of(*held, currency="EUR"):
    return overview.review(book_of(*held, currency=currency), settings())


def test_two_listings_of_one_share_are_two_symbols():
    """IB calls both ASML: the one in euros is priced in euros, under the name of its listing."""
    book = book_of(Planned("ASML@AEB", 100), Planned("ASML", 10))

    prices = {position.symbol: book.marks[position.contract].price for position in book.positions}
    assert set(prices) == {"ASML@AEB", "ASML"}
    assert prices["ASML@AEB"] == book.markets["ASML@AEB"].spot.price
    assert prices["ASML"] == book.markets["ASML"].spot.price != prices["ASML@AEB"]
    assert book.markets["ASML@AEB"].underlying.currency == "EUR"


def test_positions_at_other_exchanges_are_quoted_there():
    """Options that SMART does not know have their marks and Greeks from their own exchange."""
    book = book_of(
        Planned("EOE", -1, "P", -0.8), Planned("ESTX50", -2, "P", -0.8), Planned("ESZ6", -1, "P")
    )

    held = {position.symbol: position for position in book.positions}
    assert {name: (row.exchange, row.multiplier) for name, row in held.items()} == {
        "AEX": ("FTA", 100.0),
        "ESTX50": ("EUREX", 10.0),
        "ESZ6@CME": ("CME", 50.0),
    }
    marks = [book.marks[position.contract] for position in book.positions]
    assert all(mark.price and mark.delta and not mark.problem for mark in marks)


def test_money_of_several_currencies_is_added_at_the_rates_shown():
    """Delta values in euros: shares in euros, dollars and pence, each at the broker's rate."""
    book = book_of(Planned("ASML@AEB", 100), Planned("ASML", 10), Planned("VOD@LSE", 1000))
    review = overview.review(book, settings())

    spot = {name: market.spot.price for name, market in book.markets.items() if market.spot}
    expected = (
        100 * spot["ASML@AEB"]
        + 10 * spot["ASML"] * review.rates["USD"]
        + 1000 * spot["VOD@LSE"] / 100.0 * review.rates["GBP"]
    )
    assert review.currency == "EUR"
    (added,) = [note for note in review.notes if note.startswith("added in EUR at ")]
    assert "1 USD = 0.92 EUR" in added and "1 GBX = 0.0116456 EUR" in added
    assert review.totals.greeks.delta_value == pytest.approx(expected)


def test_the_cost_of_shares_in_pence_is_in_pence():
    """IB quotes pence and gives costs in pounds: bought at the market, nothing is lost or won."""
    review = review_of(Planned("VOD@LSE", 1000))

    (structure,) = review.structures
    assert structure.currency == "GBX"
    assert structure.pnl == pytest.approx(0.0, abs=0.01)


def test_the_size_of_a_contract_counts():
    """Two short puts of x10 on ESTX50 have twenty times the delta of a point, not two hundred."""
    book = book_of(Planned("ESTX50", -2, "P", -0.8))
    review = overview.review(book, settings())

    (position,) = book.positions
    mark = book.marks[position.contract]
    assert review.totals.greeks.delta == pytest.approx(-20.0 * mark.delta)
    (structure,) = review.structures
    assert structure.pnl == pytest.approx(20.0 * (position.average_cost - mark.price))


def test_a_covered_call_of_ten_shares_covers_ten():
    """Shares are counted by the size of the contracts held on them."""
    from_exchange = book_of(Planned("ASML@AEB", 10), Planned("ASML@AEB", -1, "C", 0.8))
    small = [
        position.model_copy(update={"multiplier": 10.0, "trading_class": "ASM2"})
        if position.is_option
        else position
        for position in from_exchange.positions
    ]
    book = from_exchange.model_copy(update={"positions": tuple(small)})

    (structure,) = overview.review(book, settings()).structures
    assert (structure.strategy, structure.quantity) == ("covered_call", 1.0)


def test_the_margin_of_futures_options_is_not_ours():
    """Greeks of ES options count, by Black on the future; their margin is unknown and says why."""
    review = review_of(Planned("ESZ6", -1, "P", -0.8), Planned("SPY", -1, "P", -0.8))

    future = next(row for row in review.structures if row.symbol == "ESZ6@CME")
    assert future.margin is None and "SPAN" in " ".join(future.notes)
    assert future.greeks.delta > 0.0
    assert review.totals.margin is None and review.totals.margin_unknown == (future.id,)


def test_a_margin_abroad_says_whose_rules_it_follows():
    """Reg T and Cboe rule in dollars; elsewhere the structure says that they are taken."""
    review = review_of(Planned("ESTX50", -2, "P", -0.8), Planned("SPY", -1, "P", -0.8))

    notes = {row.symbol: " ".join(row.notes) for row in review.structures}
    assert "margin by American rules" in notes["ESTX50"] and "EUR" in notes["ESTX50"]
    assert "American rules" not in notes["SPY"]


def test_the_interest_of_a_position_is_that_of_its_currency():
    """A book holds the rate of each currency; a position takes its own."""
    book = book_of(Planned("ASML@AEB", 100), Planned("SPY", 10))
    book = book.model_copy(update={"interest_rates": {"EUR": 0.02}})

    rates = {line.position.symbol: line.rate for line in lines.lines_of(book, book.positions)}
    assert rates == {"ASML@AEB": 0.02, "SPY": 0.045}


def test_a_position_whose_id_tells_nothing_is_not_taken_for_the_american_share():
    """When its details are refused, ASML in euros is named after its currency, and is a gap."""

    async def scenario():
        given = settings()
        options = {"start": AFTERNOON, "planned": (Planned("ASML@AEB", 100),), "currency": "EUR"}
        async with running("refuse:on=contract_details,code=200", given=given, **options) as run:
            book, _ = await read_book(run.session, given, None)
            return book

    book = virtual_time.run(scenario)

    assert [position.symbol for position in book.positions] == ["ASML@EUR"]
    assert [gap.missing for gap in overview.review(book, settings()).gaps] == ["all"]
