"""Small chains made by hand, at one moment and of one expiry."""

from __future__ import annotations

import datetime as dt

from tomic.chain import Chain
from tomic.models import (
    DataType,
    OptionQuote,
    QuoteSource,
    RowStatus,
    Spot,
    SpotSource,
    TradingSession,
    Underlying,
)
from tomic.quant import american, black_scholes

AS_OF = dt.datetime(2025, 6, 18, 15, 0, tzinfo=dt.UTC)
EXPIRY = dt.date(2025, 7, 18)
OPEN = TradingSession(opens=AS_OF - dt.timedelta(hours=1), closes=AS_OF + dt.timedelta(hours=4))
RATE, SPOT, VOL = 0.05, 600.5, 0.18


def row(strike, right, status=RowStatus.OK, **fields) -> OptionQuote:
    known = {"quote_source": QuoteSource.LIVE, "greeks_source": "none", "quoted_at": AS_OF}
    return OptionQuote(
        expiry=EXPIRY, dte=0, strike=strike, right=right, status=status, **(known | fields)
    )


def chain_of(*rows, is_open=True, sec_type="STK", data_type=DataType.LIVE) -> Chain:
    sessions = (OPEN,) if is_open else ()
    return Chain.from_quotes(
        rows,
        underlying=Underlying(symbol="SPY", con_id=1, sec_type=sec_type, sessions=sessions),
        spot=Spot(price=SPOT, source=SpotSource.LAST, as_of=AS_OF),
        as_of=AS_OF,
        rate=RATE,
        data_type=data_type,
    )


def priced(sec_type: str, strikes=(590.0, 600.0, 610.0), status=RowStatus.NO_GREEKS):
    """Rows whose mids are model values at 18 % volatility."""
    empty = chain_of(row(600.0, "C"), sec_type=sec_type)
    tau = float(empty["tau"][0])
    model = black_scholes if sec_type == "IND" else american
    rows = []
    for strike in strikes:
        for right in "CP":
            value = float(model.price(SPOT, strike, tau, RATE, 0.0, VOL, right == "C"))
            rows.append(row(strike, right, status, bid=value - 0.01, ask=value + 0.01))
    return rows
