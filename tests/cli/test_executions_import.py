"""`tomic journal import --tws`: fills of the day over the wire, in every form TWS writes them."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from support.clean_home import make_clean_home, write
from support.command_line import inside_gateway, run
from tomic.sim.faults import BlankFilterIgnored, Silent
from tomic.sim.market import MarketFill
from tomic.sim.market.model import ModelMarket
from tomic.sim.server.limits import Times
from tomic.wire.requests import ContractSpec

AT = dt.datetime(2026, 11, 20, 19, 31, 2, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty home and working folder."""
    made = make_clean_home(tmp_path, monkeypatch)
    write("tomic.toml", "[web]\nenabled = false\n[portfolio]\naccount_timeout_s = 1.0\n")
    return made


def spread(**changes: object) -> tuple[MarketFill, ...]:
    """A put spread of SPY sold in one order."""
    market = ModelMarket(1)

    def leg(strike: float, quantity: float, price: float, number: int) -> MarketFill:
        wanted = {"expiry": "20261218", "strike": strike, "right": "P", "trading_class": "SPY"}
        (put,) = market.find(ContractSpec(symbol="SPY", sec_type="OPT", **wanted))
        values = {"at": AT, "perm_id": 42, "commission": 0.65, **changes}
        name = f"0000e0d5.6553c9b2.0{number}.01"
        return MarketFill(
            name, "DU1234567", quantity=quantity, price=price, con_id=put.con_id, **values
        )

    return leg(560.0, -1.0, 3.10, 2), leg(550.0, 1.0, 1.60, 3)


def imported(*faults: object, **options: object):
    """What an import from a gateway with these fills did."""
    with inside_gateway(*faults, **options) as gateway:
        return run("journal", "import", "--tws", "--port", gateway.port)


@pytest.mark.parametrize(
    "times",
    [
        Times("utc"), Times("instrument"), Times("login", "MET"), Times("login", "JST"),
        Times("login", "EST"), Times("login", "America/New_York"), Times("bare", "IST"),
        Times("bare", "Eastern Standard Time"),
    ],
    ids=str,
)  # fmt: skip
def test_a_fill_is_the_same_in_every_form(times):
    """One entry of two legs at their price, time and cost; the second import adds nothing."""
    first = imported(fills=spread(), times=times)
    again = imported(fills=spread(), times=times)

    assert (first.exit_code, again.exit_code) == (0, 0), first.stderr
    assert "1 new" in first.stdout + first.stderr
    assert "0 new" in again.stdout + again.stderr
    assert "commissions unknown" not in first.stderr
    entry = json.loads(run("journal", "show", "1", "--json").stdout)
    (trade,) = entry["trades"]
    assert dt.datetime.fromisoformat(trade["at"]) == AT
    assert {(fill["strike"], fill["quantity"], fill["price"]) for fill in trade["fills"]} == {
        (560.0, -1.0, 3.10), (550.0, 1.0, 1.60),
    }  # fmt: skip
    assert [fill["commission"] for fill in trade["fills"]] == [0.65, 0.65]


def test_a_fill_that_cannot_be_read_is_no_success():
    """The import fails with the text of TWS, instead of saying that there was nothing."""
    done = imported(fills=spread(time_text="20261120 14:31:02 Atlantis"))

    assert done.exit_code == 5
    assert "20261120 14:31:02 Atlantis" in done.stderr
    assert "0 new" not in done.stdout + done.stderr


def test_a_gateway_that_answers_only_by_account():
    """The question is put once more for each account, and that is told."""
    done = imported(BlankFilterIgnored(), fills=spread())

    assert done.exit_code == 0, done.stderr
    assert "1 new" in done.stdout + done.stderr
    assert "asked by account" in done.stderr


def test_executions_that_are_never_told():
    """Exit code 6 with what helps: it is a known fault of TWS."""
    done = imported(Silent(on="executions"), fills=spread())

    assert done.exit_code == 6
    assert "restart TWS, or import an activity statement" in done.stderr
