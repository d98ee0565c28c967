"""Which contracts exist, in as few questions as possible."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

from support import virtual_time
from support.simulated import running, settings
from tomic.errors import DataError, SessionLost, UnknownContract
from tomic.ib import contracts
from tomic.selection import Wanted
from tomic.sim.faults import Refuse, Silent, Verbatim
from tomic.wire.answers import ContractData
from tomic.wire.framing import MAX_VERSION, split_fields
from tomic.wire.protocol import ANSWERS

DECEMBER, MARCH = dt.date(2026, 12, 18), dt.date(2027, 3, 19)
LISTED = (590.0, 591.0, 592.0)
NOT_LISTED = Wanted(MARCH, 591.0, "C")
"""So far out only every fifth strike is listed."""


def pairs(*expiries: dt.date, strikes=LISTED) -> list[Wanted]:
    return [Wanted(day, strike, right) for day in expiries for strike in strikes for right in "CP"]


async def spy(session):
    found = await contracts.resolve_underlying(session, "SPY", settings().market)
    listed = await contracts.option_params(session, found)
    return found, next(p for p in listed if p.trading_class == "SPY" and p.exchange == "SMART")


def listings(*faults, wanted=None, rules=None, known=None, complete=(), during=None):
    """Load the listings of *wanted*; what each pair's id is, and the gateway."""
    wanted = pairs(DECEMBER, MARCH, strikes=(590.0, 591.0)) if wanted is None else wanted

    async def scenario():
        given = settings(chain=rules or {})
        async with running(*faults, given=given) as run:
            underlying, params = await spy(run.session)
            one = contracts.Listings(
                run.session, underlying, params, wanted, given.chain, known, complete
            )

            async def ask(pair):
                try:
                    return await one.con_id(pair)
                except (UnknownContract, SessionLost) as exc:
                    return exc

            asked = [asyncio.create_task(ask(pair)) for pair in wanted]
            began, details = run.time(), run.gateway.details_exact
            loading = asyncio.create_task(one.load())
            if during is not None:
                await during(run, one)
            await loading
            found = dict(zip(wanted, [await task for task in asked], strict=True))
            exact = run.gateway.details_exact - details
            return found, one, exact, run.gateway.details_open, run.time() - began

    return virtual_time.run(scenario)


# -- the underlying --------------------------------------------------------------------------


def resolve(symbol, *faults, **options):
    async def scenario():
        async with running(*faults, **options) as run:
            found = await contracts.resolve_underlying(run.session, symbol, settings().market)
            await contracts.resolve_underlying(run.session, symbol, settings().market)
            return found, run.gateway.details_exact

    return virtual_time.run(scenario)


def test_a_stock_is_asked_for_once():
    """The second question in a session is answered from what is known."""
    found, asked = resolve("SPY")

    assert (found.symbol, found.sec_type, found.primary_exchange) == ("SPY", "STK", "ARCA")
    assert found.sessions
    assert asked == 1


def row_of_spy(zone, currency):
    """Contract details of SPY in another zone and currency, as the gateway's whole answer."""
    row = ContractData(
        77, "SPY", "STK", "", 0.0, "", "SMART", currency, "SPY", "SPY", "SPY", 756733, 0.01,
        time_zone_id=zone, liquid_hours="20261120:0930-20261120:1600",
    )  # fmt: skip
    fields = split_fields(ANSWERS.encode(row, MAX_VERSION)[4:])
    messages = (tuple("@" if part == "77" else part for part in fields), ("52", "1", "@"))
    return Verbatim(on="contract_details", messages=messages)


def test_a_zone_that_nobody_knows():
    """A share in dollars is traded in New York's days all the same; its hours are unknown."""

    async def scenario(currency):
        async with running(row_of_spy("Hora del Este", currency)) as run:
            found = await contracts.resolve_underlying(run.session, "SPY", settings().market)
            return found, run.notes

    found, notes = virtual_time.run(lambda: scenario("USD"))
    assert (found.time_zone, found.sessions) == ("America/New_York", ())
    assert "'Hora del Este' is unknown" in notes[0] and "its hours are left out" in notes[0]
    with pytest.raises(DataError, match="Hora del Este"):
        virtual_time.run(lambda: scenario("EUR"))


def test_share_classes():
    """BRK.B is asked for as IB writes it, and keeps the name people write."""
    found, _ = resolve("BRK.B")

    assert found.symbol == "BRK.B" and found.con_id > 0


@pytest.mark.parametrize("symbol", ["SPX", "VIX"])
def test_indices_resolve_at_their_exchange(symbol):
    """Symbols of the settings' table are indices."""
    found, _ = resolve(symbol)

    assert (found.sec_type, found.exchange) == ("IND", "CBOE")


def test_an_unknown_symbol_has_a_suggestion():
    """The message names what may have been meant."""
    with pytest.raises(UnknownContract, match=r"IB knows no symbol SPPY; did you mean SPY\?"):
        resolve("SPPY")


def test_an_unknown_symbol_without_suggestions():
    """Also when the gateway cannot help, the error comes soon and says what to do."""
    with pytest.raises(UnknownContract, match="IB knows no symbol QXZJ7; check the spelling"):
        resolve("QXZJ7", Silent(on="matching_symbols"))


def test_no_options_on_it():
    """A row of parameters for nothing at all is a clear word."""

    async def scenario():
        async with running() as run:
            found = await contracts.resolve_underlying(run.session, "SPY", settings().market)
            stranger = found.model_copy(update={"symbol": "NONE"})
            await contracts.option_params(run.session, stranger)

    with pytest.raises(DataError, match="IB lists no options on NONE"):
        virtual_time.run(scenario)


def test_parameters_are_asked_for_once():
    """All exchanges and classes come with one message."""

    async def scenario():
        async with running() as run:
            found, _ = await spy(run.session)
            again = await contracts.option_params(run.session, found)
            return {one.trading_class for one in again}, run.gateway.by_kind["option_params"]

    assert virtual_time.run(scenario) == ({"SPY", "2SPY", "SPY7"}, 1)


def test_parameters_without_an_end_are_used():
    """An answer whose end never comes is used when its time is over, and that is said."""

    async def scenario():
        async with running("endless:on=option_params") as run:
            _, params = await spy(run.session)
            return params.trading_class, run.notes

    trading_class, notes = virtual_time.run(scenario)
    assert trading_class == "SPY"
    assert notes == ["option parameters of SPY: the answer has no end; what arrived of it is used"]


# -- options ---------------------------------------------------------------------------------


def test_one_question_tells_a_whole_expiry():
    """Two expiries cost two open questions and no exact one; what is not listed is said so."""
    found, one, exact, opened, _ = listings()

    assert (exact, opened) == (0, 2)
    assert found[Wanted(DECEMBER, 590.0, "C")] > 0
    assert isinstance(found[NOT_LISTED], UnknownContract)
    assert one.complete == {DECEMBER, MARCH}
    assert len(one.ids) > 200


def test_known_expiries_are_not_asked_for():
    """What was remembered completely costs nothing; what is missing there is not listed."""
    known = {Wanted(DECEMBER, 590.0, "C"): 77}
    found, _, exact, opened, _ = listings(
        wanted=pairs(DECEMBER, strikes=(590.0,)), known=known, complete=[DECEMBER]
    )

    assert (exact, opened) == (0, 0)
    assert found[Wanted(DECEMBER, 590.0, "C")] == 77
    assert isinstance(found[Wanted(DECEMBER, 590.0, "P")], UnknownContract)


def test_half_known_expiries_are_asked_for():
    """Ids that came before a connection was lost do not make their expiry complete."""
    known = {Wanted(DECEMBER, 590.0, "C"): 77}
    found, _, _, opened, _ = listings(wanted=pairs(DECEMBER, strikes=(590.0,)), known=known)

    assert opened == 1
    assert found[Wanted(DECEMBER, 590.0, "P")] > 77


def test_a_refused_open_question_is_asked_one_by_one():
    """Only the expiry whose question failed costs exact requests."""
    fault = Refuse(on="contract_details", expiry="20261218", code=321, times=1)
    found, one, exact, opened, _ = listings(fault)

    assert (exact, opened) == (4, 1)
    assert all(isinstance(found[pair], int) and found[pair] > 0 for pair in pairs(DECEMBER)[:4])
    assert isinstance(found[NOT_LISTED], UnknownContract)
    assert one.complete == {MARCH}


def test_unlisted_options_asked_one_by_one():
    """200 to an exact question settles that option alone."""
    fault = Refuse(on="contract_details", expiry="20270319", code=321, times=1)
    found, _, exact, _, _ = listings(fault)

    assert exact == 4
    assert isinstance(found[NOT_LISTED], UnknownContract)


def test_an_expiry_without_any_listing():
    """200 to an open question: nothing is listed for that day, and no option is asked singly."""
    nowhere = dt.date(2026, 12, 19)
    found, one, exact, opened, _ = listings(wanted=pairs(nowhere))

    assert exact == 0 and opened == 1
    assert all(isinstance(error, UnknownContract) for error in found.values())
    assert one.complete == {nowhere}


def test_silent_details_do_without_ids():
    """Neither open nor exact questions are answered: every option is released in the end."""
    rules = {"open_details_timeout_s": 30.0, "details_timeout_s": 10.0}
    found, one, _, _, seconds = listings(Silent(on="contract_details", expiry="20261218"),
                                         rules=rules, wanted=pairs(DECEMBER))  # fmt: skip

    assert set(found.values()) == {0}
    assert one.complete == set()
    assert seconds <= 51.0


def test_dead_details_are_found_out_soon():
    """After one unanswered open question the next ones get five seconds, not thirty."""
    days = [dt.date(2026, 12, 4) + dt.timedelta(days=7 * n) for n in range(3)]
    wanted = [Wanted(day, 590.0, "C") for day in days]
    found, _, _, _, seconds = listings(
        *(Silent(on="contract_details", expiry=f"{day:%Y%m%d}") for day in days), wanted=wanted
    )

    assert set(found.values()) == {0}
    assert seconds < 30.0 + 5.0 + 2 * 10.0 + 1.0


def test_released_options_need_not_wait():
    """The most urgent ones can be let go without their ids, which still become known."""

    async def during(run, one):
        one.release(2)
        await asyncio.sleep(0.01)
        assert [one.is_known(pair) for pair in pairs(DECEMBER)[:4]] == [True, True, False, False]

    found, one, _, _, _ = listings(wanted=pairs(DECEMBER), during=during)

    assert [found[pair] for pair in pairs(DECEMBER)[:2]] == [0, 0]
    assert found[pairs(DECEMBER)[2]] > 0
    assert one.ids[pairs(DECEMBER)[0]] > 0


def test_a_lost_connection_is_told_to_everybody():
    """Whoever waits for an id learns that it will not come over this connection."""

    async def during(run, one):
        await asyncio.sleep(0.1)
        for client in list(run.gateway.clients):
            client.drop()

    found, _, _, _, _ = listings(during=during)

    assert {type(value) for value in found.values()} == {SessionLost}


def test_no_more_than_two_open_questions_at_once():
    """IB throttles open questions per symbol; more at once gain nothing."""

    async def scenario():
        given = settings()
        async with running(given=given) as run:
            underlying, params = await spy(run.session)
            days = [day for day in params.expiries if day.weekday() == 4][2:8]
            wanted = [Wanted(day, 590.0, "C") for day in days]
            one = contracts.Listings(run.session, underlying, params, wanted, given.chain)
            await one.load()
            return run.gateway.peak("contract_details"), run.gateway.details_open

    assert virtual_time.run(scenario) == (2, 6)


def test_options_are_named_as_people_write_them():
    """Messages name an option by symbol, day, strike and right."""
    assert contracts.describe("SPY", Wanted(DECEMBER, 592.5, "P")) == "SPY 2026-12-18 592.5P"


def test_a_slow_link_is_spared_the_ids():
    """Details of a whole expiry would keep it busy for seconds, and quoting needs no ids."""

    async def scenario():
        async with running("slow:rate=60000,latency=0.02") as run:
            underlying, params = await spy(run.session)
            wanted = pairs(DECEMBER, MARCH)
            loading = contracts.Listings(run.session, underlying, params, wanted, settings().chain)
            await loading.load()
            ids = [await loading.con_id(pair) for pair in wanted]
            return set(ids), run.gateway.details_open, run.notes

    ids, asked, notes = virtual_time.run(scenario)
    assert (ids, asked) == ({0}, 0)
    assert notes == [
        "the link to the gateway is slow; options are quoted by their description, without "
        "asking for contract ids"
    ]
