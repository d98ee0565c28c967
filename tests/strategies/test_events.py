"""What is said of a trade's earnings, dividends and priced events."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pytest

from support import random_chains
from tomic.chain import Chain
from tomic.config import Settings
from tomic.models import OptionQuote, QuoteSource, RowStatus, Spot, SpotSource, Underlying
from tomic.quant import black_scholes
from tomic.strategies import propose
from tomic.strategies.pricing import board as boards

AS_OF = random_chains.AS_OF
TODAY = AS_OF.date()
SPOT = 100.0
DAYS = (18, 25, 32, 46, 60)


def after(days):
    return TODAY + dt.timedelta(days)


def chain(jumps=(), stock_type="COMMON", name="", sec_type="STK", rate=0.0):
    """European prices at 30 %, and the variance of jumps, (day, move), on top."""
    quotes = []
    for dte in DAYS:
        variance = 0.09 * dte / 365 + sum(move**2 for day, move in jumps if day <= dte)
        iv = math.sqrt(variance / (dte / 365))
        for strike in range(80, 121, 2):
            for right in "CP":
                value = float(
                    black_scholes.price(SPOT, strike, dte / 365, rate, 0.0, iv, right == "C")
                )
                quotes.append(
                    OptionQuote(
                        expiry=after(dte), dte=dte, strike=float(strike), right=right,
                        bid=max(value - 0.01, 0.0), ask=value + 0.01, volume=100,
                        open_interest=1000, status=RowStatus.OK, quoted_at=AS_OF,
                        quote_source=QuoteSource.LIVE, greeks_source="none",
                    )
                )  # fmt: skip
    return Chain.from_quotes(
        quotes,
        underlying=Underlying(
            symbol="XYZ", con_id=1, sec_type=sec_type, stock_type=stock_type, name=name
        ),
        spot=Spot(price=SPOT, source=SpotSource.LAST, as_of=AS_OF),
        as_of=AS_OF,
        rate=rate,
    )


def told(of_chain, trade="short_call_spread {}/{} {}", dte=32, strikes=(106, 110), **known):
    """The events of one trade, whatever rules it breaks."""
    vol = random_chains.snapshot(of_chain, iv30=0.3, hv30=0.3).model_copy(update=known)
    text = trade.format(*strikes, after(dte))
    review = propose.explain_trade(of_chain, vol, text)
    assert review.proposal is not None, review
    return review.proposal.events


def test_earnings_within_the_trade_have_their_move():
    """A date before the expiry is told with the jump that the expiries price."""
    (event,) = told(chain([(28, 0.08)]), next_earnings=after(28))

    assert (event.kind, event.date) == ("earnings", after(28))
    assert event.move == pytest.approx(0.08, rel=0.02)
    assert event.text == "earnings 30 Mar: ±8%"


def test_earnings_that_nobody_fears():
    """A date that adds nothing to the expiries behind it has no move."""
    (event,) = told(chain(), next_earnings=after(28))

    assert (event.kind, event.move) == ("earnings", None)
    assert event.text == "earnings 30 Mar, no jump is priced"


def test_earnings_whose_move_no_expiry_tells():
    """Of one expiry nothing can be said of a jump, neither that there is one nor that not."""
    whole = chain()
    front = whole.where(whole["expiry"] == np.datetime64(after(18), "D"))

    (event,) = told(front, dte=18, next_earnings=after(5))

    assert (event.move, event.text) == (None, "earnings 7 Mar")


def test_earnings_behind_the_trade_are_none_of_its_events():
    """On the day of the last expiry they count, a day later they do not."""
    assert [event.kind for event in told(chain(), next_earnings=after(32))] == ["earnings"]
    assert told(chain(), next_earnings=after(33)) == ()


@pytest.mark.parametrize("known", [{}, {"next_earnings": TODAY - dt.timedelta(days=1)}])
def test_an_unknown_date_is_always_flagged(known):
    """With no rule about earnings in force, a company without a date to come is flagged."""
    (event,) = told(chain(), **known)

    assert (event.kind, event.date) == ("earnings_unknown", None)
    assert event.text == "no earnings date is known"


@pytest.mark.parametrize(
    "kind",
    [
        {"stock_type": "ETF"},
        {"stock_type": "CLOSED-END FUND"},
        {"stock_type": "", "sec_type": "IND"},
        {"stock_type": "", "name": "SPDR S&P 500 ETF TRUST"},
    ],
)
def test_funds_and_indices_have_no_earnings(kind):
    """Nothing is unknown where nothing is to come."""
    assert told(chain(**kind)) == ()


def test_what_may_be_a_fund_is_said_to_be_unknown():
    """A chain from a file that names no type leaves both open."""
    (event,) = told(chain(stock_type=""))

    assert event.text == "no earnings date is known, nor whether XYZ is a fund"


def test_a_priced_event_is_told_where_it_lies_within_the_trade():
    """Between 25 and 32 days: a trade to day 32 spans it, one to day 25 does not."""
    fund = chain([(28, 0.08)], stock_type="ETF")

    (event,) = told(fund)

    assert (event.kind, event.date) == ("priced", after(32))
    assert event.move == pytest.approx(0.08, rel=0.02)
    assert event.text == "an event is priced between 27 Mar and 3 Apr: ±8%"
    assert told(fund, dte=25) == ()


def test_a_priced_event_before_every_expiry():
    """It may come tomorrow."""
    (event,) = told(chain([(5, 0.12)], stock_type="ETF"))

    assert event.text == "an event is priced before 20 Mar: ±12%"


def test_a_short_call_in_the_money_before_a_dividend():
    """Its time value is less than the dividend: who holds it takes the shares."""
    (event,) = told(
        chain(stock_type="ETF"), strikes=(84, 90), next_dividend=after(20), dividend_amount=0.45
    )

    assert (event.kind, event.date) == ("ex_dividend", after(20))
    assert event.text == (
        "ex-dividend 22 Mar, 0.45 a share; short 84C has a time value of 0.08, less than the "
        "dividend: assignment the day before is likely"
    )


def test_a_short_call_with_time_value_left():
    """At the money there is more time value than dividend; far out nothing is said."""
    fund, dividend = chain(stock_type="ETF"), {"dividend_amount": 0.45, "next_dividend": after(20)}

    (inside,) = told(fund, strikes=(98, 104), **dividend)
    (near,) = told(fund, strikes=(102, 106), **dividend)
    (far,) = told(fund, strikes=(112, 116), **dividend)

    assert inside.text.endswith("more than the dividend: assignment once that is gone")
    assert near.text.endswith("assigned if in the money with less than 0.45 left")
    assert far.text == "ex-dividend 22 Mar, 0.45 a share"


def test_dividends_outside_the_trade():
    """Paid on the day of the expiry it counts, as a call may be exercised before; later not."""
    fund = chain(stock_type="ETF")

    assert told(fund, next_dividend=after(32), dividend_amount=0.45)
    assert told(fund, next_dividend=after(33), dividend_amount=0.45) == ()
    assert told(fund, next_dividend=TODAY, dividend_amount=0.45) == ()


def test_european_calls_are_not_assigned_early():
    """Options on an index have no early exercise, whatever is paid."""
    index = chain(stock_type="", sec_type="IND")

    (event,) = told(index, strikes=(84, 90), next_dividend=after(20), dividend_amount=0.45)

    assert event.text == "ex-dividend 22 Mar, 0.45 a share"


def test_short_puts_are_told_the_day_alone():
    """Nobody exercises a put for a dividend."""
    fund = chain(stock_type="ETF")

    (event,) = told(
        fund,
        trade="short_put_spread {}/{} {}",
        strikes=(104, 98),
        next_dividend=after(20),
        dividend_amount=0.45,
    )

    assert event.text == "ex-dividend 22 Mar, 0.45 a share"


def test_events_stand_in_order_of_date():
    """The unknown date is last."""
    found = told(
        chain([(28, 0.08)]), strikes=(112, 116), next_dividend=after(20), dividend_amount=0.45
    )

    assert [event.kind for event in found] == ["ex_dividend", "priced", "earnings_unknown"]


@pytest.mark.parametrize(("day", "held"), [(27, 1.0), (31, 0.0)])
def test_iv30_of_the_smiles_holds_an_event_whole_or_not(day, held):
    """Without IB's IV30 that of the smiles stands in, with a known report on its day."""
    of_chain = chain([(day, 0.08)])
    vol = random_chains.snapshot(of_chain).model_copy(update={"next_earnings": after(day)})

    found = boards.prepare(of_chain, vol, Settings()).iv30

    assert found == pytest.approx(math.sqrt(0.09 + held * 0.08**2 * 365 / 30), rel=0.01)


def test_every_proposal_of_a_search_has_its_events():
    """What is proposed is told the same as what is asked about."""
    vol = random_chains.snapshot(chain(), iv30=0.3, hv30=0.4, iv_rank=0.6)

    found = propose.propose(chain([(28, 0.08)]), vol).proposals

    assert found
    for proposal in found:
        spans = proposal.last_expiry >= after(32)
        assert [event.kind for event in proposal.events] == ["priced"] * spans + [
            "earnings_unknown"
        ]
