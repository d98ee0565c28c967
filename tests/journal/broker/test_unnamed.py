"""Flex queries without column headers: read by the values, or not at all."""

from __future__ import annotations

import pytest

from tomic.errors import BadFile
from tomic.journal import broker

ROWS = [
    "U12345,USD,OPT,XYZ   251219P00050000,XYZ 19DEC25 50 P,12,XYZ,100,50,20251219,P,910,"
    "20251104;125447,20251104,-1,2.75,275,-1.05,273.95,USD,O,SELL,0000e0d5.69087a01.01.01,78,,"
    "EXECUTION,ExchTrade",
    "U12345,USD,OPT,XYZ   251219C00060000,XYZ 19DEC25 60 C,13,XYZ,100,60,20251219,C,911,"
    "20251105;100000,20251105,2,0.5,-100,-2.1,-102.1,USD,C,BUY,0000e0d5.69087a02.01.01,79,P,"
    "EXECUTION,ExchTrade",
]


def framed(rows: list[str], *, described: bool) -> str:
    inner = [f"DATA,TRNT,{row}" for row in rows] if described else rows
    return "\n".join(
        ["BOF,U0,q,1,20251101,20251231", "BOA,U12345", "BOS,TRNT,Trades; trade date basis", *inner,
         f"EOS,TRNT,{len(rows)}", "EOA,U12345", "EOF,U0"]
    )  # fmt: skip


@pytest.mark.parametrize("described", [True, False])
def test_columns_by_their_values(described):
    """Quantity, price and proceeds are the only numbers that fit together; it is said."""
    found = broker.parse("x", framed(ROWS, described=described))

    sold, bought = found.executions
    assert (sold.account, sold.symbol, sold.contract.name) == ("U12345", "XYZ", "50P 2025-12-19")
    assert (sold.quantity, sold.price, sold.commission) == (-1.0, 2.75, 1.05)
    assert (sold.exec_id, sold.opens, bought.opens) == ("0000e0d5.69087a01.01.01", True, False)
    assert (bought.quantity, bought.contract.multiplier) == (2.0, 100)
    assert any("read by the type of their values" in note for note in found.notes)


@pytest.mark.parametrize(
    "change",
    [("273.95,", "273.95,"), ("2.75,275,", "2.75,0,"), ("SELL", "x"), ("USD,OPT", "x,OPT")],
)
def test_values_that_do_not_tell(change):
    """Nothing is guessed: the file is refused with what to turn on."""
    rows = [row.replace(*change) for row in ROWS]
    if change[0] == change[1]:
        # Two columns of the same numbers: either could be the quantity.
        rows = [f"{row},{row.split(',')[14]}" for row in rows]

    with pytest.raises(BadFile, match=r"could not be read.*CSV with column headers"):
        broker.parse("x", framed(rows, described=True))
