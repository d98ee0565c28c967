"""What is wanted of an option, how long for, what its row says then, and when silence is normal."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

from support import virtual_time
from support.simulated import OPTION, WANTED as PAIR, quote, running, settings, spy
from tomic.errors import GatewayRefused, UnknownContract
from tomic.ib import convert
from tomic.ib.option_quotes import Patience, option_quote, quote_source
from tomic.models import DataType, QuoteSource, RowStatus
from tomic.selection import Wanted
from tomic.sim.faults import (
    Delayed,
    Late,
    LinesTaken,
    NoGreeks,
    NoQuotes,
    NotSubscribed,
    PartiallySubscribed,
    Refuse,
    Silent,
)


def test_a_live_option_is_complete():
    """Bid, ask, IV, all Greeks, volume and open interest, within their latencies."""
    row, seconds, _, _ = quote()

    assert row.status == RowStatus.OK
    assert None not in (row.bid, row.ask, row.iv, row.delta, row.gamma, row.vega, row.theta)
    assert row.volume is not None and row.open_interest is not None
    assert (row.quote_source, row.greeks_source) == (QuoteSource.LIVE, "ib")
    assert row.quoted_at is not None
    assert seconds < 1.5


def test_a_silent_option_is_asked_once_more():
    """After a second without any message a fresh id is tried, and then it is a timeout."""
    row, seconds, gateway, _ = quote(Silent(**OPTION))

    assert (row.status, row.quote_source, row.quoted_at) == (RowStatus.TIMEOUT, None, None)
    assert gateway.by_kind["market_data"] == 2
    assert seconds == pytest.approx(2.0, abs=0.3)


@pytest.mark.parametrize(("retries", "asked"), [(0, 1), (1, 2), (3, 4)])
def test_how_often_is_a_setting(retries, asked):
    """`chain.retries` further attempts, each with an id of its own."""
    row, _, gateway, _ = quote(Silent(**OPTION), rules={"retries": retries})

    assert row.status == RowStatus.TIMEOUT
    assert gateway.by_kind["market_data"] == asked


def test_a_forgotten_option_comes_at_the_second_attempt():
    """The gateway lost the first subscription: the second one brings everything."""
    row, seconds, gateway, _ = quote(Silent(**OPTION, first_n=1))

    assert row.status == RowStatus.OK
    assert gateway.by_kind["market_data"] == 2
    assert seconds < 3.0


def test_a_late_option_is_still_taken():
    """A first line that speaks after the second was asked for is as good as that one."""
    row, seconds, gateway, _ = quote(Late(**OPTION, seconds=1.2, first_n=1))

    assert row.status == RowStatus.OK
    assert gateway.by_kind["cancel_market_data"] == 2
    assert seconds < 3.0


def test_without_a_spare_line_the_first_gives_way():
    """When every spare line is taken, the silent one is cancelled and asked again itself."""

    async def scenario():
        given = settings()
        async with running(Silent(**OPTION, first_n=1), given=given) as run:
            underlying, params = await spy(run.session)
            spare = run.session.limits.second_lines
            while not spare.full:
                await spare.enter()
            contract = convert.option_contract(underlying, params, PAIR)
            row = await option_quote(
                run.session, "one option", contract, PAIR, given.chain, Patience(1.0)
            )
            return row.status, run.session.retried, run.gateway.by_kind["market_data"]

    assert virtual_time.run(scenario) == (RowStatus.OK, 1, 2)


def test_not_computed_greeks_are_missing():
    """A model tick of -1 and -2 gives a quote without IV and Greeks, not with those numbers."""
    row, _, _, _ = quote(NoGreeks(**OPTION, sentinel=True))

    assert (row.status, row.greeks_source) == (RowStatus.NO_GREEKS, "none")
    assert (row.iv, row.delta, row.vega, row.theta) == (None, None, None, None)
    assert row.bid is not None


def test_missing_greeks_end_with_the_quote_timeout():
    """Quotes without a model are taken as they are after three seconds."""
    row, seconds, gateway, _ = quote(NoGreeks(**OPTION))

    assert row.status == RowStatus.NO_GREEKS
    assert seconds == pytest.approx(3.0, abs=0.1)
    assert gateway.by_kind["market_data"] == 1


def test_twenty_options_without_greeks_are_reason_enough():
    """Then nobody waits three seconds any more, and the user is told why there are none."""
    patience = Patience(1.0, without_greeks=19)
    row, _, _, notes = quote(NoGreeks(**OPTION), patience=patience)
    _, seconds, _, _ = quote(NoGreeks(**OPTION), patience=patience)

    assert row.status == RowStatus.NO_GREEKS
    assert seconds == pytest.approx(1.3, abs=0.1)
    assert notes[0].startswith("IB sends quotes without Greeks, as when the main window of TWS")
    quote(patience=patience)
    assert patience.without_greeks == 0


def test_no_quote_is_said_as_such():
    """Bid and ask of -1: IB says that there is none, which is an answer and no timeout."""
    row, seconds, gateway, _ = quote(NoQuotes(**OPTION))

    assert (row.status, row.bid, row.ask, row.quote_source) == (
        RowStatus.NO_QUOTE,
        None,
        None,
        None,
    )
    assert row.quoted_at is not None
    assert seconds < 2.0
    assert gateway.by_kind["market_data"] == 1


@pytest.mark.parametrize("code", [10090, 10091])
def test_a_partial_subscription_has_quotes(code):
    """The data keep flowing beside the error, and nobody waits for Greeks."""
    row, seconds, gateway, _ = quote(PartiallySubscribed(**OPTION, code=code))

    assert row.status == RowStatus.NO_GREEKS
    assert row.bid is not None
    assert seconds < 1.6
    assert gateway.codes()[code] == 1


@pytest.mark.parametrize("code", [354, 10089, 10168])
def test_not_subscribed_falls_back_to_delayed(code):
    """Once per session the data type changes to delayed; the row says so."""
    row, _, gateway, notes = quote(NotSubscribed(**OPTION, code=code))

    assert (row.status, row.quote_source) == (RowStatus.OK, QuoteSource.DELAYED)
    assert gateway.by_kind["market_data_type"] == 2
    assert notes == [
        f"live data are not subscribed ({code}); asking for delayed data. "
        "Subscribe in Client Portal > Settings > Market Data Subscriptions"
    ]


def test_not_subscribed_at_all():
    """Without delayed data either the row says that the subscription is missing."""
    row, _, gateway, _ = quote(NotSubscribed(**OPTION, delayed=False))

    assert (row.status, row.bid) == (RowStatus.NOT_SUBSCRIBED, None)
    assert gateway.codes()[354] == 2


def test_frozen_falls_back_to_delayed_frozen():
    """In a closed market the fallback of type 2 is type 4."""
    row, _, _, _ = quote(NotSubscribed(**OPTION), market_type=DataType.FROZEN, closed=True)

    assert (row.status, row.quote_source) == (RowStatus.OK, QuoteSource.DELAYED)


def test_delayed_data_that_nobody_asked_for_are_labelled():
    """10167: the gateway shows delayed data instead; the line says so, and the row as well."""
    row, _, _, _ = quote(Delayed(**OPTION))

    assert (row.status, row.quote_source) == (RowStatus.OK, QuoteSource.DELAYED)


def test_real_time_only_refuses_delayed_data():
    """Then a delayed row is no row."""
    row, _, _, _ = quote(Delayed(**OPTION), session={"realtime_only": True})

    assert (row.status, row.bid) == (RowStatus.NOT_SUBSCRIBED, None)


def test_an_unknown_option_is_told_apart():
    """200 is final, and costs neither a line nor a second attempt."""
    with pytest.raises(UnknownContract):
        quote(pair=Wanted(dt.date(2026, 12, 18), 590.5, "C"))


def test_another_refusal_is_final():
    """321 ends the option at once; its reason is told."""
    with pytest.raises(GatewayRefused) as caught:
        quote(Refuse(**OPTION, code=321))

    assert caught.value.error_code == 321


def test_an_illegal_generic_tick_costs_only_what_it_gives():
    """321 once: the option is asked again without generic ticks, and has quotes and Greeks."""
    row, _, _, _ = quote(Refuse(**OPTION, code=321, times=1))

    assert (row.status, row.greeks_source) == (RowStatus.OK, "ib")
    assert row.bid is not None


def test_no_free_line_is_not_the_options_fault():
    """101: it waits and asks again until there is one."""

    async def scenario():
        given, taken = settings(), LinesTaken(lines=100)
        async with running(given=given) as run:
            underlying, params = await spy(run.session)
            run.gateway.add(taken)
            asyncio.get_running_loop().call_later(5.0, run.gateway.remove, taken)
            contract = convert.option_contract(underlying, params, PAIR)
            row = await option_quote(
                run.session, "one option", contract, PAIR, given.chain, Patience(1.0)
            )
            return row.status, run.gateway.codes()[101]

    status, refused = virtual_time.run(scenario)
    assert status == RowStatus.OK
    assert refused > 5


def test_values_of_an_earlier_subscription_never_show():
    """ib_async keeps one ticker per contract for ever; a new line here starts empty."""

    async def scenario():
        given = settings()
        async with running(given=given) as run:
            underlying, params = await spy(run.session)
            contract = convert.option_contract(underlying, params, PAIR)

            async def once():
                return await option_quote(
                    run.session, "one option", contract, PAIR, given.chain, Patience(0.5)
                )

            first = await once()
            run.gateway.add(Silent(**OPTION))
            return first, await once()

    first, second = virtual_time.run(scenario)
    assert first.status == RowStatus.OK
    assert (second.status, second.bid, second.iv) == (RowStatus.TIMEOUT, None, None)


@pytest.mark.parametrize(
    ("kind", "label"),
    [
        (DataType.LIVE, QuoteSource.LIVE),
        (DataType.FROZEN, QuoteSource.FROZEN),
        (DataType.DELAYED, QuoteSource.DELAYED),
        (DataType.DELAYED_FROZEN, QuoteSource.DELAYED),
    ],
)
def test_labels_of_data_types(kind, label):
    """Every data type has the label under which its rows are shown."""
    assert quote_source(kind) is label


# -- how long silence is normal ---------------------------------------------------------------


def taught(*seconds: float) -> Patience:
    patience = Patience(1.0)
    for one in seconds:
        patience.learn(one)
    return patience


def test_at_first_the_setting_counts():
    """Up to twenty answers the configured patience holds."""
    assert Patience(1.0).seconds == 1.0
    assert taught(*[0.03] * 19).seconds == 1.0


def test_a_quick_gateway_is_asked_again_sooner():
    """Five times what nine in ten lines needed, but never under 0.6 s."""
    assert taught(*[0.03] * 20).seconds == 0.6
    assert taught(*[0.2] * 20).seconds == pytest.approx(1.0)


def test_a_slow_gateway_is_given_time():
    """A gateway that takes a second for everything is not asked twice for it."""
    assert taught(*[1.0] * 20).seconds == 3.0


def test_a_few_late_ones_do_not_slow_the_rest():
    """One in twenty a second and a half late changes when to give up, not when to ask again."""
    patience = taught(*[0.03] * 190, *[1.5] * 10)

    assert patience.seconds == 0.6
    assert patience.last_s == pytest.approx(1.65)


def test_giving_up_takes_two_spells():
    """The second attempt is given as long as the first."""
    assert taught(*[0.03] * 20).last_s == 1.2
    assert Patience(2.5).last_s == 3.0


def test_asking_again_in_vain_is_given_up():
    """Where lines speak although they were asked for again, the next are given that time."""
    patience = taught(*[0.03] * 190, *[1.5] * 10)
    for _ in range(3):
        patience.note_second(spoke=False)

    assert patience.seconds == pytest.approx(1.65)
    patience.note_second(spoke=True)
    assert patience.seconds == 0.6


def test_who_spoke_after_the_end_is_learned_from():
    """Otherwise a gateway that is slower than our patience could never teach it."""
    patience = Patience(1.0)
    for _ in range(20):
        patience.learn_too_late(2.0)

    assert patience.seconds == 3.0
    assert patience.too_early == 20


def test_extras_are_waited_for_where_they_come():
    """Volume and open interest are expected until more than a few options in five lack them."""
    patience = Patience(1.0)
    assert patience.extras_s == 1.5

    patience.without_extras = 4
    assert patience.extras_s == 0.6
    patience.with_extras = 10
    assert patience.extras_s == 1.5
    patience.without_extras = 6
    assert patience.extras_s == 0.6
