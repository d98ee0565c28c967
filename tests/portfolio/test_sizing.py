"""How many contracts an account can carry, and which limit decides."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings as examples, strategies as st

from support import random_chains
from tomic.config import AccountSettings, Settings
from tomic.models import ScanResult
from tomic.models.book import AccountSummary, Book
from tomic.portfolio import sizing
from tomic.portfolio.sizing import Capital, HeldRisk
from tomic.strategies import propose

NOW = dt.datetime(2026, 3, 2, 20, 0, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def spread():
    """A bullish put spread: CVaR95 of 400 and margin of 450 each, EV of 30 ± 10, Kelly .20."""
    chain = random_chains.chain(5, spot=100.0, sigma=0.40, strikes=41, gaps=False, sec_type="STK")
    vol = random_chains.snapshot(chain, iv30=0.4, hv30=0.38, iv_rank=0.5)
    result = propose.propose(chain, vol, strategies=["short_put_spread"], top=1)
    figures = {"cvar95": 400.0, "margin": 450.0, "ev": 30.0, "ev_error": 10.0, "kelly": 0.20}
    return result.proposals[0].model_copy(update=figures)


def size(proposal, capital, *, correlations=None, rate=1.0, **account):
    settings = Settings(account=AccountSettings(**account))
    return sizing.size(proposal, settings, capital, rate, correlations or {})


def test_risk_decides(spread):
    """2 % of 100,000 carries five trades whose worst 5 % cost 400 each."""
    answer = size(spread, Capital(100_000.0, "USD", excess_liquidity=60_000.0))

    assert (answer.contracts, answer.by_risk, answer.by_cluster) == (5, 5, 12)
    assert answer.by_margin == 55  # a quarter of 100,000 over 450
    assert answer.buying_power_after == 60_000.0 - 5 * 450.0
    assert answer.limited_by.startswith("risk: CVaR95 of 400 each within 2.0% of 100,000 USD")


def test_margin_decides(spread):
    """With 1,000 of excess liquidity left there is margin for two."""
    answer = size(spread, Capital(100_000.0, "USD", excess_liquidity=1_000.0))

    assert (answer.contracts, answer.by_margin) == (2, 2)
    assert answer.buying_power_after == 100.0
    assert answer.limited_by == "margin: 450 each of 1,000 USD excess liquidity"


def test_no_contract_is_an_answer(spread):
    """One structure that risks more than the limit is too many, and the limit is named."""
    answer = size(spread, Capital(10_000.0, "USD", excess_liquidity=9_000.0))

    assert answer.contracts == 0
    assert answer.limited_by.startswith("risk: CVaR95 of 400")
    assert answer.buying_power_after == 9_000.0


def test_negative_excess_liquidity_carries_nothing(spread):
    """An account that is short of margin gets no trade, and no negative number of them."""
    answer = size(spread, Capital(100_000.0, "USD", excess_liquidity=-2_000.0))

    assert (answer.contracts, answer.by_margin) == (0, 0)


def test_what_moves_alike_shares_a_limit(spread):
    """Held trades count on the same side, of the same symbol or one that correlates above .9."""
    held = (
        HeldRisk(spread.symbol, "bullish", 1_500.0),
        HeldRisk("QQQ", "bullish", 2_500.0),
        HeldRisk("IWM", "bearish", 9_000.0),
        HeldRisk("GLD", "bullish", 9_000.0),
        HeldRisk("XYZ", "bullish", 9_000.0),
    )
    correlations = {
        frozenset((spread.symbol, "QQQ")): 0.95,
        frozenset((spread.symbol, "IWM")): 0.95,
        frozenset((spread.symbol, "GLD")): 0.10,
    }

    answer = size(spread, Capital(100_000.0, "USD", held=held), correlations=correlations)

    assert (answer.by_cluster, answer.contracts) == (2, 2)  # 5,000 - 4,000 over 400
    assert "QQQ" in answer.limited_by
    assert "4,000 at risk" in answer.limited_by


def test_kelly_takes_the_lower_bound(spread):
    """EV of 30 ± 10 counts as 17.20 for Kelly: .20 x 17.2/30 of 100,000 over 450."""
    capital = Capital(100_000.0, "USD")

    assert size(spread, capital).kelly == 25
    for figures in ({"ev_error": 24.0}, {"ev_error": None}, {"ev": -1.0}, {"kelly": None}):
        assert size(spread.model_copy(update=figures), capital).kelly is None


def test_money_is_compared_in_one_currency(spread):
    """At .92 euro for a dollar a CVaR of 400 dollars is 368 euro."""
    capital = Capital(100_000.0, "EUR", excess_liquidity=50_000.0, rates={"USD": 0.92})

    answer = size(spread, capital, rate=capital.rate_of("USD"))

    assert answer.by_risk == 5
    assert answer.buying_power_after == pytest.approx(50_000.0 - 5 * 414.0)
    assert capital.rate_of("GBX") is None


def test_without_a_rate_there_is_no_size(spread):
    """Dollars are not compared with an account in euro whose rate nobody said; a note says so."""
    sized = sizing.with_size(spread, Settings(), Capital(100_000.0, "EUR"), {})

    assert sized.size is None
    assert sized.notes[-1].startswith("no rate from USD to EUR")


def test_without_capital_a_note_says_what_to_do(spread):
    """Where net liquidation is unknown nothing has a size, and the scan says how to get one."""
    result = ScanResult(proposals=(spread,))

    assert sizing.capital(AccountSettings()) is None
    sized = sizing.sized(result, Settings(), None)

    assert sized.proposals[0].size is None
    assert "tomic portfolio" in sized.notes[-1]
    assert "net_liquidation" in sized.notes[-1]


def test_capital_of_a_book():
    """Of two accounts together, in the base currency; unknown where one of them is unknown."""
    accounts = (
        AccountSummary(account="A", net_liquidation=50_000.0, excess_liquidity=20_000.0),
        AccountSummary(
            account="B", currency="EUR", net_liquidation=10_000.0, excess_liquidity=5_000.0
        ),
    )
    book = Book(as_of=NOW, accounts=accounts, rates={"EUR": 1.10})

    both = sizing.capital(AccountSettings(), book)
    missing = sizing.capital(AccountSettings(), book.model_copy(update={"rates": {}}))

    assert (both.net_liquidation, both.currency) == (pytest.approx(61_000.0), "USD")
    assert both.excess_liquidity == pytest.approx(25_500.0)
    assert missing is None


def test_the_setting_goes_before_the_book():
    """Who wants to be sized by less says so; in another currency it is converted by the book."""
    accounts = (AccountSummary(account="A", net_liquidation=50_000.0, excess_liquidity=20_000.0),)
    book = Book(as_of=NOW, accounts=accounts, rates={"EUR": 1.10})
    euros = AccountSettings(net_liquidation=20_000.0, currency="EUR")

    converted = sizing.capital(euros, book)
    alone = sizing.capital(euros)
    unknown = sizing.capital(euros, book.model_copy(update={"rates": {}}))

    assert (converted.net_liquidation, converted.currency) == (pytest.approx(22_000.0), "USD")
    assert (alone.net_liquidation, alone.currency) == (20_000.0, "EUR")
    assert (unknown.net_liquidation, unknown.currency) == (20_000.0, "EUR")
    assert unknown.excess_liquidity is None


@examples(max_examples=60, deadline=None)
@given(
    net=st.floats(1_000.0, 1e7),
    excess=st.floats(-1e5, 1e7),
    more=st.floats(0.0, 1e6),
    share=st.floats(0.0, 1.0),
)
def test_more_capital_never_carries_less(spread, net, excess, more, share):
    """The number never falls with capital, and never takes more risk or margin than allowed."""
    less = size(spread, Capital(net, "USD", excess_liquidity=excess), risk_per_trade=share)
    rich = size(
        spread, Capital(net + more, "USD", excess_liquidity=excess + more), risk_per_trade=share
    )

    assert 0 <= less.contracts <= rich.contracts
    assert less.contracts * spread.cvar95 <= share * net * (1.0 + 1e-6)
    assert less.contracts == 0 or less.buying_power_after >= -1e-6
