"""The demo account: structures that exist, values that add up, a margin of the Reg-T kind."""

from __future__ import annotations

from datetime import timedelta

import pytest

from support.model_market import spot
from tomic.sim.market.model import OPEN_START, ModelMarket
from tomic.wire.requests import ContractSpec


@pytest.fixture(scope="module")
def market():
    return ModelMarket(seed=1)


def test_the_book_holds_structures_that_exist(market):
    """A condor, a short put, a covered call, a calendar and two spreads, all listed."""
    book = market.book()
    lines = {}
    for held in book.holdings:
        (listing,) = market.find(ContractSpec(con_id=held.con_id))
        lines.setdefault(listing.symbol, []).append((listing, held.quantity))

    assert book.accounts == ("DU1234567",)
    assert sorted(q for _, q in lines["SPY"]) == [-1, -1, 1, 1]
    assert len({x.strike for x, _ in lines["SPY"]}) == 4
    assert sorted(q for _, q in lines["AAPL"]) == [-1, 100]
    assert {x.strike for x, _ in lines["QQQ"]} == {lines["QQQ"][0][0].strike}
    assert len({x.expiry for x, _ in lines["QQQ"]}) == 2
    assert sorted(q for _, q in lines["MSFT"]) == [-2, 2]
    assert [(x.right, q) for x, q in lines["IWM"]] == [("P", -1)]


@pytest.mark.parametrize("seed", range(1, 7))
@pytest.mark.parametrize("days", [0, 12, 200])
def test_the_book_suits_any_seed_and_day(seed, days):
    """Four different strikes in the condor, whatever the level and the date."""
    market = ModelMarket(seed, start=OPEN_START + timedelta(days=days), symbols=["SPY"])
    strikes = [market.find(ContractSpec(con_id=h.con_id))[0].strike for h in market.book().holdings]

    assert strikes == sorted(set(strikes))


def test_account_values_add_up(market):
    """Net liquidation is cash plus shares plus options; cushion is excess over net."""
    values = {tag: value for tag, (value, _) in market.book().values["DU1234567"].items()}
    number = {tag: float(value) for tag, value in values.items() if tag.endswith(("Value", "Cash"))}
    net = float(values["NetLiquidation"])

    assert net == pytest.approx(
        number["TotalCashValue"] + number["StockMarketValue"] + number["OptionMarketValue"],
        abs=0.02,
    )
    excess = net - float(values["MaintMarginReq"])
    assert float(values["ExcessLiquidity"]) == pytest.approx(excess, abs=0.02)
    assert float(values["Cushion"]) == pytest.approx(excess / net, abs=1e-5)
    assert values["AccountType"] == "INDIVIDUAL"


def test_accounts_and_currencies_can_be_chosen():
    """Two accounts in euros: the same book at the rate that the account shows."""
    dollars = ModelMarket(symbols=["SPY"]).book()
    euros = ModelMarket(symbols=["SPY"], accounts=["U1", "U2"], currency="EUR").book()
    value, currency = euros.values["U1"]["NetLiquidation"]
    rate = float(euros.values["U1"]["ExchangeRate"][0])

    assert currency == "EUR"
    assert float(value) == pytest.approx(
        rate * float(dollars.values["DU1234567"]["NetLiquidation"][0]), abs=0.02
    )
    assert {held.account for held in euros.holdings} == {"U1"}


def test_margin_of_a_spread_is_its_worst_loss(market):
    """A 10-wide short put spread asks 1,000; a naked put about a fifth of the underlying."""
    put = {
        o.strike: o.con_id
        for o in market.find(
            ContractSpec(symbol="TSLA", sec_type="OPT", expiry="20261218", right="P")
        )
    }
    spread = market.whatif_margin("DU1234567", [(put[320.0], -1), (put[310.0], 1)])
    naked = market.whatif_margin("DU1234567", [(put[320.0], -1)])
    price = spot(market, "TSLA")

    assert spread == (1000.0, 1000.0)
    assert 10.0 * price < naked[0] < 30.0 * price
    assert market.whatif_margin("OTHER", [(put[320.0], -1)]) is None
    assert market.whatif_margin("DU1234567", [(4711, 1)]) is None


def test_closing_a_position_frees_its_margin(market):
    """Buying back the short put of IWM gives its requirement back."""
    (held,) = [
        h
        for h in market.book().holdings
        if market.find(ContractSpec(con_id=h.con_id))[0].symbol == "IWM"
    ]

    change = market.whatif_margin("DU1234567", [(held.con_id, 1)])

    assert change[0] < -1000.0
