"""Whom a fault hits, and how often."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tomic.sim import faults
from tomic.sim.faults.interference import Interference, Subject
from tomic.wire.requests import ContractSpec, ReqHistory

STOCK = ContractSpec(symbol="SPY", sec_type="STK", exchange="SMART", currency="USD")
CALL = ContractSpec(0, "SPY", "OPT", "20250718", 600.0, "C", exchange="SMART", currency="USD")
OTHER = replace(CALL, strike=601.0)
DAILY = ReqHistory(1, STOCK, False, "", "1 day", "5 D", True, "TRADES", 1)


def _subject(strike: float) -> Subject:
    return Subject("SPY", "OPT", "20250718", strike, "C")


def test_a_share_hits_the_same_contracts_every_time():
    """A share of 5 % hits about one option in twenty, the same for one seed, others for another."""
    chain = [_subject(float(strike)) for strike in range(2000)]

    def hit(seed: int) -> list[int]:
        box = Interference([faults.Silent(share=0.05)], seed)
        return [at for at, one in enumerate(chain) if box.aimed(faults.Silent, "market_data", one)]

    assert hit(1) == hit(1) != hit(2)
    assert 60 < len(hit(1)) < 140


def test_a_share_spares_the_underlying():
    """Shares and indices are hit only when they are all hit."""
    box = Interference([faults.Silent(share=0.99)], 1)

    assert box.aimed(faults.Silent, "market_data", Subject("SPY", "STK")) is None


def test_first_n_counts_per_contract_and_times_altogether():
    """first_n=1 hits each contract once; times=2 hits two requests and no third."""
    one, other = _subject(600.0), _subject(601.0)

    first = Interference([faults.Silent(first_n=1)], 1)
    hits = [bool(first.aimed(faults.Silent, "market_data", who)) for who in (one, one, other)]
    assert hits == [True, False, True]

    twice = Interference([faults.Silent(times=2)], 1)
    hits = [bool(twice.aimed(faults.Silent, "market_data", who)) for who in (one, one, other)]
    assert hits == [True, True, False]


@pytest.mark.parametrize(
    ("aim", "hit"),
    [
        ({"symbol": "SPY", "expiry": "2025-07-18", "strike": 600.0, "right": "C"}, True),
        ({"symbol": "QQQ"}, False),
        ({"expiry": "20250815"}, False),
        ({"right": "P"}, False),
        ({"on": "history"}, False),
        ({"on": ""}, True),
    ],
)
def test_a_fault_hits_what_it_is_aimed_at(aim, hit):
    """Every field that is given must fit; empty ones fit all."""
    box = Interference([faults.Silent(**aim)], 1)

    assert bool(box.aimed(faults.Silent, "market_data", _subject(600.0))) is hit
